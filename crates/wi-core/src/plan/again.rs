//! What is taken away is looked at again before that happens: somebody may have come to rely on it since.

use std::collections::BTreeMap;

use super::scope::{Part, touched};
use super::{Edit, HoldReason, KsaAfter, Options, Plan};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::Live;
use crate::names::{Email, Member};
use crate::read_set::ReadSet;
use crate::resource::Resource;

impl Edit {
    /// Whether somebody who has come to rely on what is there would lose by it.
    pub fn takes(&self) -> bool {
        match self {
            Self::Account(account) => account.ends_it(),
            Self::Binding(binding) => !binding.adds(),
            Self::Ksa(ksa) => match ksa.after {
                KsaAfter::Deleted | KsaAfter::Released => true,
                KsaAfter::Kept { .. } | KsaAfter::LetGo => ksa
                    .account_before()
                    .is_some_and(|before| ksa.account_after() != Some(before.as_str())),
            },
            // Node pools, keys, Secrets, templates and shadows are looked at again each by itself.
            Self::NodePool(_) | Self::Key(_) | Self::Secret(_) => false,
            Self::Template(_) | Self::Shadow(_) => false,
            Self::ClusterPool(_) | Self::RestoreSettings(_) | Self::Namespace(_) => false,
        }
    }
}

/// What is to be read again for those changes of `plan` that take something. `desired` is all that the spec asks for, of
/// which all counts: who uses an account may be a node, or a service account that the spec does not name; or it is what
/// a saved plan has kept of it.
pub fn rests_on(desired: &Desired, plan: &Plan) -> Part {
    let touched = touched(desired, plan);
    if desired.leftovers.is_none() {
        return touched;
    }
    let mut reads = ReadSet::of(desired);
    for resource in touched.reads.policies {
        reads.policy(resource);
    }
    Part {
        desired: desired.clone(),
        reads,
    }
}

/// Of the changes that take something those that must not be carried out any more, and why: `live` was read for
/// `part` ([`rests_on`]).
pub fn relied_on(
    plan: &Plan,
    part: &Desired,
    live: &Live,
    options: &Options,
) -> BTreeMap<Address, String> {
    let fresh = super::plan(part, live, options);
    let appeared = match part.leftovers.is_none() {
        true => super::left::appeared(plan, part, live, options),
        false => BTreeMap::new(), // the plan itself has told of them
    };
    let takings = plan.changes.iter().filter(|(_, c)| c.edit.takes());
    let gone = takings.filter(|(address, _)| !fresh.changes.contains_key(*address));
    let stays = gone.filter_map(|(address, change)| {
        let why = fresh.why_it_stays(address).or_else(|| {
            // What goes with an account that ends stays with it.
            let account = part.account_address(account(&change.edit)?);
            plan.changes.get(&account)?;
            fresh.why_it_stays(&account)
        });
        Some((address.clone(), why?))
    });
    stays.chain(appeared).collect()
}

/// The account that a change takes something from, or from whose users.
fn account(edit: &Edit) -> Option<&Email> {
    let Edit::Binding(binding) = edit else {
        return None;
    };
    match (&binding.key.member, &binding.key.resource) {
        (Member::ServiceAccount(email), _) | (_, Resource::ServiceAccount(email)) => Some(email),
        _ => None,
    }
}

impl Plan {
    /// Why this is not planned though the spec does not ask for it.
    fn why_it_stays(&self, address: &Address) -> Option<String> {
        let held = self.held_back.iter().find(|h| h.address == *address);
        let held = held.map(|h| h.why.in_words());
        let unseen = || {
            let unseen = self.unseen.iter().find(|u| u.what == **address);
            unseen.map(|u| u.why.to_string())
        };
        let told = || {
            let stays = self.staying.contains(address);
            let of_it = |w: &&String| {
                w.starts_with(&**address)
                    || w.contains(&format!("{address},"))
                    || w.contains(&format!("{address} stay"))
            };
            let told = self.warnings.iter().find(of_it);
            stays.then(|| told.map_or_else(|| "somebody relies on it".to_owned(), Clone::clone))
        };
        held.or_else(unseen).or_else(told)
    }
}

impl HoldReason {
    fn in_words(&self) -> String {
        match self {
            Self::Loss => "workloads would lose the node's identity".to_owned(),
            Self::Unread => "it could not be read".to_owned(),
            Self::RestsOn(unread) => format!("it rests on {unread}"),
            _ => self.what_stands_against_it().join("; "),
        }
    }

    /// What was seen to stand against it, a line each; nothing where node pools alone are meant, or what is not seen.
    pub(super) fn what_stands_against_it(&self) -> Vec<String> {
        match self {
            Self::Exclusion { name, until } => {
                vec![format!(
                    "the maintenance exclusion {name} holds until {until}"
                )]
            }
            Self::Users(users) => users.in_words(),
            Self::InUse(by) => vec![by.clone()],
            Self::Keys { why, .. } => why.clone(),
            Self::Loss | Self::Unread | Self::RestsOn(_) => Vec::new(),
        }
    }
}
