//! Whether those whose identity or access was changed may do what the spec says, by their own tokens.

use std::collections::{BTreeMap, BTreeSet};

use wi_core::address::Address;
use wi_core::desired::{Desired, DesiredKsa, KsaKey};
use wi_core::names::Member;
use wi_core::plan::{Action, Change, Edit, Plan};

use super::rollout::Gates;
use crate::verify::{self, Outcome, Proof, Wanted};
use wi_client::http::Http;

/// Whether a service account has its access by what a change is about.
pub(super) fn rests_on(change: &Change, key: &KsaKey, ksa: &DesiredKsa) -> bool {
    if change.action() == Action::Delete {
        return false;
    }
    match &change.edit {
        Edit::Binding(binding) => match &binding.key.member {
            Member::Ksa(identity) => *identity == ksa.identity,
            Member::ServiceAccount(email) => ksa.account.as_ref() == Some(email),
            _ => false,
        },
        Edit::Account(account) => {
            !account.only_describes() && ksa.account.as_ref() == Some(&account.email)
        }
        Edit::ClusterPool(pool) => pool.cluster == key.cluster,
        _ => false,
    }
}

/// The service accounts on some clusters that these changes are about, each with the one that a failure is told of: its
/// own, where that is one of them.
pub fn subjects(
    desired: &Desired,
    plan: &Plan,
    done: &BTreeSet<&Address>,
    on: impl Fn(&str) -> bool,
) -> BTreeMap<KsaKey, Address> {
    let ksas = desired.ksas.iter().filter(|(key, _)| on(&key.cluster));
    ksas.filter_map(|(key, ksa)| {
        let own = key.address();
        let is_changed = done.contains(&own) && plan.changes[&own].action() != Action::Delete;
        let about = match is_changed {
            true => own,
            false => {
                let mut all = done.iter();
                let address = all.find(|a| rests_on(&plan.changes[**a], key, ksa))?;
                (*address).clone()
            }
        };
        Some((key.clone(), about))
    })
    .collect()
}

/// Tries them, and goes on trying what policies may not give yet.
pub async fn prove(
    http: &Http,
    desired: &Desired,
    subjects: &BTreeMap<KsaKey, Address>,
    gates: &Gates,
    told: &(dyn Fn(&str) + Sync),
) -> Vec<Proof> {
    let wanted = Wanted {
        only: Some(subjects.keys().cloned().collect()),
        to: None,
        wait: gates.propagation,
    };
    let http = http.calling_for(&verify::run_name());
    verify::verify(&http, desired, &BTreeMap::new(), &wanted, told).await
}

/// What does not hold, or could not be tried, of a proof: in words.
pub(super) fn why(proof: &Proof) -> Option<(Outcome, String)> {
    let step = proof.broken().or_else(|| proof.untried())?;
    let key = &proof.key;
    let what = match step.outcome {
        Outcome::Broken => "does not hold",
        _ => "could not be tried",
    };
    let why = format!(
        "{}/{} on {}: {} {what}: {} (wi explain {}/{}/{})",
        key.namespace,
        key.name,
        key.cluster,
        step.title,
        step.why,
        key.cluster,
        key.namespace,
        key.name
    );
    Some((step.outcome, why))
}
