//! How far an account has come off its keys: from what is live, and from nothing else.

use std::collections::BTreeSet;

use super::Trap;
use super::shadow::Stage;
use crate::address::Address;
use crate::spec::migration::Until;

/// Whether a workload could do without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// All that the spec asks for its identity is there.
    Yes,
    /// The spec does not say that its Kubernetes service account acts as the account.
    NotDeclared,
    /// These changes are to be made first.
    Waits(BTreeSet<Address>),
    /// Why that cannot be said.
    CannotSay(String),
}

/// What was seen of one workload.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What leads to the key in its template, for the reader; empty: nothing does.
    pub uses: Vec<String>,
    /// Pods of it that have the key still.
    pub pods: BTreeSet<String>,
    /// Secrets that it or a pod of it is given and that were not opened: a key may be in them.
    pub unopened: BTreeSet<String>,
    /// Whether it could do without.
    pub bound: Bound,
    /// What stands against taking the key out.
    pub traps: BTreeSet<Trap>,
    /// The change by which `wi apply` takes it out, or gives it back.
    pub by_wi: Option<Address>,
    /// What stands beside it, or is to.
    pub shadow: Shadow,
    /// Whether the spec leaves it out.
    pub is_excluded: bool,
}

/// The shadow of a workload.
#[derive(Debug, Clone, Default)]
pub struct Shadow {
    /// How far it is; `None`: there is none.
    pub stage: Option<Stage>,
    /// Whether its pod is ready, and was not started again.
    pub is_ready: bool,
    /// What its pod shows, for the reader.
    pub shows: Option<String>,
    /// The change by which `wi apply` makes it, or makes it another one, or takes it away.
    pub by_wi: Option<Address>,
    /// What holds it back, or the template that waits for it.
    pub held: Vec<String>,
    /// Whether all of that passes.
    pub passes: bool,
}

/// The rungs of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// It may have the key: not all that it is given was opened.
    CannotSay,
    /// It has the key, and could not do without.
    Holds,
    /// It has the key, and could do without.
    Bound,
    /// Beside it stands a pod without the key, to which nothing is sent.
    Shadow,
    /// That one gets a share of the requests.
    Canary,
    /// Neither its template nor a pod of it has the key.
    CutOver,
}

/// What comes next for a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// The spec is to say as whom it acts.
    Declare,
    /// `wi apply` makes these.
    Apply(BTreeSet<Address>),
    /// It waits for these, or they stand against it; whether all of them pass.
    Wait(Vec<String>, bool),
    /// These are to be settled by hand, or accepted.
    Settle(BTreeSet<Trap>),
    /// Its template is to be changed.
    Change,
    /// These pods are to be replaced: their template has no key any more.
    Replace(BTreeSet<String>),
    /// Something could not be read.
    Look(String),
}

impl Workload {
    /// How far it is.
    pub fn rung(&self) -> Rung {
        if self.uses.is_empty() && self.pods.is_empty() {
            match self.unopened.is_empty() {
                true => Rung::CutOver,
                false => Rung::CannotSay,
            }
        } else if self.bound != Bound::Yes {
            Rung::Holds
        } else {
            match self.shadow.stage.filter(|_| self.shadow.is_ready) {
                Some(Stage::Canary) => Rung::Canary,
                Some(Stage::Dark) => Rung::Shadow,
                None => Rung::Bound,
            }
        }
    }

    /// What `wi apply` changes of it: its template, and what stands beside it.
    fn changes(&self) -> BTreeSet<Address> {
        let all = [&self.by_wi, &self.shadow.by_wi].into_iter();
        all.flatten().cloned().collect()
    }

    /// What comes next on the way to there.
    pub fn next(&self, until: Until) -> Next {
        let changes = self.changes();
        let or_wait = || match self.shadow.held.is_empty() {
            true => Next::Nothing,
            false => Next::Wait(self.shadow.held.clone(), self.shadow.passes),
        };
        let rung = self.rung();
        if self.is_excluded || rung == Rung::CutOver {
            // What was begun is not at its end, or is to go back.
            return match changes.is_empty() {
                false => Next::Apply(changes),
                true if self.is_excluded => Next::Nothing,
                true => or_wait(),
            };
        }
        if rung == Rung::CannotSay {
            let secrets: Vec<&str> = self.unopened.iter().map(String::as_str).collect();
            return Next::Look(format!("not opened: {}", secrets.join(", ")));
        }
        match &self.bound {
            Bound::CannotSay(why) => return Next::Look(why.clone()),
            Bound::NotDeclared => return Next::Declare,
            Bound::Waits(changes) => return Next::Apply(changes.clone()),
            Bound::Yes if !changes.is_empty() => return Next::Apply(changes),
            Bound::Yes if until < Until::Cutover || !self.shadow.held.is_empty() => {
                return or_wait();
            }
            Bound::Yes => {}
        }
        if self.uses.is_empty() {
            Next::Replace(self.pods.clone())
        } else if self.traps.is_empty() {
            Next::Change
        } else {
            Next::Settle(self.traps.clone())
        }
    }
}

/// How it stands with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is where it is to be.
    Reached,
    /// Something is to happen first.
    Waits,
    /// Something stands against it that does not pass by itself.
    Held,
    /// Not all could be looked at.
    CannotSay,
}

/// How an account stands, by its workloads, by how many others have a key of it (custom resources), and by
/// what could not be looked at.
pub fn standing<'a>(
    workloads: impl Iterator<Item = &'a Workload>,
    others: usize,
    until: Until,
    unseen: &[String],
) -> Standing {
    let of = |workload: &Workload| match workload.next(until) {
        Next::Nothing => Standing::Reached,
        Next::Apply(_) | Next::Change | Next::Replace(_) => Standing::Waits,
        Next::Wait(_, true) => Standing::Waits,
        Next::Declare | Next::Settle(_) | Next::Wait(_, false) => Standing::Held,
        Next::Look(_) => Standing::CannotSay,
    };
    let worst = workloads.map(of).max().unwrap_or(Standing::Reached);
    let others = match (others, until) {
        (0, _) | (_, Until::Bound | Until::Shadow | Until::Canary) => Standing::Reached,
        _ => Standing::Waits,
    };
    // What was not looked at may have the key.
    let unseen = match unseen {
        [] => Standing::Reached,
        _ => Standing::CannotSay,
    };
    worst.max(others).max(unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Workload {
        Workload {
            uses: vec!["GOOGLE_APPLICATION_CREDENTIALS".to_owned()],
            pods: BTreeSet::from(["shop/web-1".to_owned()]),
            unopened: BTreeSet::new(),
            bound: Bound::Yes,
            traps: BTreeSet::new(),
            by_wi: None,
            shadow: Shadow::default(),
            is_excluded: false,
        }
    }

    #[test]
    fn template_without_the_key_is_not_enough_while_a_pod_has_it() {
        let free = Workload {
            uses: Vec::new(),
            ..workload()
        };
        assert_eq!(free.rung(), Rung::Bound);
        assert!(matches!(free.next(Until::Cutover), Next::Replace(_)));
        let done = Workload {
            pods: BTreeSet::new(),
            ..free
        };
        assert_eq!(done.rung(), Rung::CutOver);
        assert_eq!(done.next(Until::Cutover), Next::Nothing);
    }

    #[test]
    fn workload_of_whose_secrets_one_was_not_opened_is_never_cut_over() {
        let free = Workload {
            uses: Vec::new(),
            pods: BTreeSet::new(),
            unopened: BTreeSet::from(["Secret key".to_owned()]),
            ..workload()
        };
        assert_eq!(free.rung(), Rung::CannotSay);
        assert!(matches!(free.next(Until::Cutover), Next::Look(_)));
        let all = std::slice::from_ref(&free).iter();
        assert_eq!(standing(all, 0, Until::Cutover, &[]), Standing::CannotSay);
        // Of one that has the key another Secret changes nothing.
        let holds = Workload {
            unopened: free.unopened,
            ..workload()
        };
        assert_eq!(holds.rung(), Rung::Bound);
    }

    #[test]
    fn template_is_changed_only_when_the_workload_could_do_without() {
        for bound in [
            Bound::NotDeclared,
            Bound::Waits(BTreeSet::new()),
            Bound::CannotSay("refused".to_owned()),
        ] {
            let not_yet = Workload {
                bound,
                ..workload()
            };
            assert_eq!(not_yet.rung(), Rung::Holds);
            assert_ne!(not_yet.next(Until::Cutover), Next::Change);
        }
        assert_eq!(workload().next(Until::Cutover), Next::Change);
        assert_eq!(workload().next(Until::Bound), Next::Nothing);
    }

    #[test]
    fn shadow_that_is_not_ready_is_no_rung_and_what_it_waits_for_is_told() {
        let with = |stage, is_ready| Workload {
            shadow: Shadow {
                stage: Some(stage),
                is_ready,
                ..Shadow::default()
            },
            ..workload()
        };
        assert_eq!(with(Stage::Dark, false).rung(), Rung::Bound);
        assert_eq!(with(Stage::Dark, true).rung(), Rung::Shadow);
        assert_eq!(with(Stage::Canary, true).rung(), Rung::Canary);
        let mut soaks = with(Stage::Dark, true);
        assert_eq!(soaks.next(Until::Shadow), Next::Nothing);
        assert_eq!(soaks.next(Until::Cutover), Next::Change);
        soaks.shadow.held = vec!["it soaks".to_owned()];
        soaks.shadow.passes = true;
        for until in [Until::Canary, Until::Cutover] {
            assert!(matches!(soaks.next(until), Next::Wait(_, true)));
            let only = std::slice::from_ref(&soaks);
            assert_eq!(standing(only.iter(), 0, until, &[]), Standing::Waits);
        }
        soaks.shadow.passes = false;
        let only = std::slice::from_ref(&soaks);
        assert_eq!(standing(only.iter(), 0, Until::Canary, &[]), Standing::Held);
    }

    #[test]
    fn account_stands_as_its_last_workload_does_and_unseen_is_never_reached() {
        let free = Workload {
            uses: Vec::new(),
            pods: BTreeSet::new(),
            ..workload()
        };
        let until = Until::Cutover;
        let both = [free.clone(), workload()];
        assert_eq!(standing(both.iter(), 0, until, &[]), Standing::Waits);
        let only_free = std::slice::from_ref(&free);
        assert_eq!(standing(only_free.iter(), 0, until, &[]), Standing::Reached);
        assert_eq!(standing(only_free.iter(), 1, until, &[]), Standing::Waits);
        let unseen = ["pods of cluster.main".to_owned()];
        assert_eq!(
            standing(only_free.iter(), 0, until, &unseen),
            Standing::CannotSay
        );
        let trapped = Workload {
            traps: BTreeSet::from([Trap::HostNetwork]),
            ..workload()
        };
        assert_eq!(standing([trapped].iter(), 0, until, &[]), Standing::Held);
        let excluded = Workload {
            is_excluded: true,
            ..workload()
        };
        assert_eq!(
            standing([excluded].iter(), 0, until, &[]),
            Standing::Reached
        );
    }
}
