//! Roles of Kubernetes service accounts themselves, which do nothing while they act as a Google one.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::IMPERSONATION;
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::names::{Email, KsaIdentity, Member};
use crate::plan::{Edit, Plan};
use crate::resource::Resource;

/// Says which roles of the spec sleep.
pub(in crate::plan) fn tell(desired: &Desired, plan: &mut Plan) {
    let sleeping = sleeping(desired);
    let mut told: BTreeMap<&KsaIdentity, Vec<String>> = BTreeMap::new();
    for key in desired.bindings.keys() {
        if let Member::Ksa(identity) = &key.member
            && sleeping.contains_key(identity)
            && sleeps(key)
        {
            let what = format!("{} on {}", key.role, key.resource);
            told.entry(identity).or_default().push(what);
        }
    }
    for change in plan.changes.values_mut() {
        if let Edit::Binding(binding) = &change.edit
            && let Member::Ksa(identity) = &binding.key.member
            && told.contains_key(identity)
            && binding.adds()
            && sleeps(&binding.key)
        {
            let accounts = in_words(&sleeping[identity]);
            let note = format!("it does nothing while {identity} acts as {accounts}");
            change.notes.push(note);
        }
    }
    plan.warnings
        .extend(told.into_iter().map(|(identity, roles)| {
        format!(
            "{identity} acts as {}, and while it does its own roles do nothing (`ownGrants`): {}",
            in_words(&sleeping[identity]),
            roles.join(", ")
        )
    }));
}

/// Identities that act as Google service accounts wherever they are, and as which.
fn sleeping(desired: &Desired) -> BTreeMap<&KsaIdentity, BTreeSet<&Email>> {
    let mut all: BTreeMap<&KsaIdentity, BTreeSet<&Email>> = BTreeMap::new();
    let mut awake = BTreeSet::new();
    for ksa in desired.ksas.values() {
        match &ksa.account {
            Some(account) => _ = all.entry(&ksa.identity).or_default().insert(account),
            None => _ = awake.insert(&ksa.identity),
        }
    }
    all.retain(|identity, _| !awake.contains(identity));
    all
}

/// The right to act as accounts is what the identity itself has, whatever it is annotated with.
fn sleeps(key: &BindingKey) -> bool {
    let on_accounts = matches!(key.resource, Resource::ServiceAccount(_));
    !((on_accounts || key.resource.is_of_hierarchy()) && IMPERSONATION.contains(&key.role.as_str()))
}

fn in_words(accounts: &BTreeSet<&Email>) -> String {
    let accounts: Vec<&str> = accounts.iter().map(|a| a.as_str()).collect();
    accounts.join(" or ")
}
