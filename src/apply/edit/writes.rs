//! Which edits of a policy are written together: all of them, unless that is refused. Then they are divided, and
//! nothing is removed unless what takes its place was added before.

use std::collections::BTreeSet;

use wi_core::address::{Address, BindingKey};

use crate::apply::{SkipReason, Status};

/// One member to add to or take from a policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned<'a> {
    pub address: &'a Address,
    pub key: &'a BindingKey,
    pub members: &'a [String],
    pub adds: bool,
    /// Addresses of changes that must be done before, or with it.
    pub needs: &'a BTreeSet<Address>,
}

/// The writes of one policy, one after another.
#[derive(Debug)]
pub(super) struct Writes<'a> {
    /// The last one is next.
    todo: Vec<Vec<Planned<'a>>>,
    /// Removals that wait until all additions have ended.
    later: Vec<Planned<'a>>,
    ended: Vec<(Address, Status)>,
}

impl<'a> Writes<'a> {
    pub fn of(edits: Vec<Planned<'a>>) -> Self {
        let whole = (!edits.is_empty()).then_some(edits);
        Self {
            todo: whole.into_iter().collect(),
            later: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// What is written next.
    pub fn next(&mut self) -> Option<Vec<Planned<'a>>> {
        self.todo.pop().or_else(|| self.removals())
    }

    /// Those whose additions are all there; the others are not started.
    fn removals(&mut self) -> Option<Vec<Planned<'a>>> {
        let missing: BTreeSet<Address> = self
            .ended
            .iter()
            .filter(|(_, status)| *status != Status::Done)
            .map(|(address, _)| address.clone())
            .collect();
        let mut free = Vec::with_capacity(self.later.len());
        for removal in std::mem::take(&mut self.later) {
            match removal.needs.iter().find(|need| missing.contains(*need)) {
                Some(need) => {
                    let because = SkipReason::Need(need.clone());
                    let status = Status::NotStarted(because);
                    self.ended.push((removal.address.clone(), status));
                }
                None => free.push(removal),
            }
        }
        (!free.is_empty()).then_some(free)
    }

    /// How a write ended. `is_refused`: it says that one member is bad, rarely which, so that it is halved until that
    /// is found.
    pub fn settle(&mut self, mut part: Vec<Planned<'a>>, is_refused: bool, status: &Status) {
        let both = part.iter().any(|e| e.adds) && part.iter().any(|e| !e.adds);
        if is_refused && both {
            let (additions, removals) = part.into_iter().partition(|e| e.adds);
            self.todo.push(additions);
            self.later = removals;
        } else if is_refused && part.len() > 1 {
            let second = part.split_off(part.len() / 2);
            self.todo.push(second);
            self.todo.push(part);
        } else {
            let ended = part.iter().map(|e| (e.address.clone(), status.clone()));
            self.ended.extend(ended);
        }
    }

    pub fn into_ended(self) -> Vec<(Address, Status)> {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use wi_core::address::AccountName;
    use wi_core::names::{Email, Member, Role};
    use wi_core::resource::Resource;

    use super::*;

    /// An edit of the generator's: whether it adds, whether the server takes it, and which additions a removal needs.
    type Made = (bool, bool, Vec<usize>);

    fn edits() -> impl Strategy<Value = Vec<Made>> {
        let one = (
            any::<bool>(),
            prop::bool::weighted(0.7),
            prop::collection::vec(0..12_usize, 0..3),
        );
        prop::collection::vec(one, 1..12)
    }

    fn key(n: usize) -> BindingKey {
        let email = format!("a{n:02}@acme-prod.iam.gserviceaccount.com");
        BindingKey {
            resource: Resource::parse("project/acme-prod", None).expect("a resource"),
            role: Role::workload_identity_user(),
            condition: None,
            member: Member::ServiceAccount(Email::parse(&email).expect("an email")),
        }
    }

    proptest! {
        #[test]
        fn no_removal_is_written_without_its_additions(made in edits()) {
            let keys: Vec<BindingKey> = (0..made.len()).map(key).collect();
            let named = |k| Address::binding(k, |e| Cow::Owned(AccountName::of_email(e)));
            let addresses: Vec<Address> = keys.iter().map(named).collect();
            let needs: Vec<BTreeSet<Address>> = made.iter().map(|(adds, _, of)| {
                let of = of.iter().filter(|n| !adds && made.get(**n).is_some_and(|m| m.0));
                of.map(|n| addresses[*n].clone()).collect()
            }).collect();
            let planned: Vec<Planned> = (0..made.len()).map(|n| Planned {
                address: &addresses[n], key: &keys[n], members: &[], adds: made[n].0, needs: &needs[n],
            }).collect();
            let is_good: BTreeMap<&Address, bool> = addresses.iter().zip(&made).map(|(a, m)| (a, m.1)).collect();
            let mut there: BTreeSet<&Address> = BTreeSet::new();
            let mut writes = Writes::of(planned);
            let mut count = 0;
            while let Some(part) = writes.next() {
                count += 1;
                prop_assert!(count < 100, "it comes to no end");
                let with: BTreeSet<&Address> = part.iter().filter(|e| e.adds).map(|e| e.address).collect();
                for removal in part.iter().filter(|e| !e.adds) {
                    let has = |need: &&Address| there.contains(need) || with.contains(need);
                    prop_assert!(removal.needs.iter().all(|n| has(&n)), "{:?} without its additions", removal);
                }
                let is_refused = part.iter().any(|e| !is_good[e.address]);
                let status = if is_refused { Status::Failed("bad".into()) } else { Status::Done };
                if !is_refused {
                    there.extend(with);
                }
                writes.settle(part, is_refused, &status);
            }
            let ended: BTreeMap<Address, Status> = writes.into_ended().into_iter().collect();
            prop_assert_eq!(ended.len(), made.len(), "each has an end");
            for (n, address) in addresses.iter().enumerate() {
                let lacks = needs[n].iter().any(|need| !is_good[need]);
                let is_done = ended[address] == Status::Done;
                prop_assert_eq!(is_done, made[n].1 && !lacks, "{}: {:?}", address, ended[address]);
            }
        }
    }
}
