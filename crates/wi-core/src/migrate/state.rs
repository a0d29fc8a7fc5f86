//! How far an account has come off its keys: from what is live, and from nothing else.

use std::collections::BTreeSet;

use super::Trap;
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
    /// Whether the spec leaves it out.
    pub is_excluded: bool,
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
        } else if self.bound == Bound::Yes {
            Rung::Bound
        } else {
            Rung::Holds
        }
    }

    /// What comes next on the way to there.
    pub fn next(&self, until: Until) -> Next {
        if self.is_excluded {
            return Next::Nothing;
        }
        match (self.rung(), &self.by_wi) {
            // What was begun is not at its end, or is to go back.
            (Rung::CutOver, Some(change)) => {
                return Next::Apply(BTreeSet::from([change.clone()]));
            }
            (Rung::CutOver, None) => return Next::Nothing,
            (Rung::CannotSay, _) => {
                let secrets: Vec<&str> = self.unopened.iter().map(String::as_str).collect();
                return Next::Look(format!("not opened: {}", secrets.join(", ")));
            }
            (Rung::Holds | Rung::Bound, _) => {}
        }
        match &self.bound {
            Bound::CannotSay(why) => return Next::Look(why.clone()),
            Bound::NotDeclared => return Next::Declare,
            Bound::Waits(changes) => return Next::Apply(changes.clone()),
            Bound::Yes if until == Until::Bound => return Next::Nothing,
            Bound::Yes => {}
        }
        if let Some(change) = &self.by_wi {
            return Next::Apply(BTreeSet::from([change.clone()]));
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
        Next::Declare | Next::Settle(_) => Standing::Held,
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
