//! Whether those whose identity or access was changed may do what the spec says, by their own tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wi_core::address::Address;
use wi_core::desired::{Desired, DesiredKsa, KsaKey};
use wi_core::names::{Email, KsaIdentity, Member};
use wi_core::plan::{Action, Change, Edit, Plan};

use super::gates::Gates;
use crate::verify::{self, Outcome, Proof, Wanted};
use wi_client::http::Http;

/// The first of some changes by which each identity, account and cluster has its access.
#[derive(Debug, Default)]
pub(super) struct Access<'a> {
    of_identity: BTreeMap<&'a KsaIdentity, &'a Address>,
    of_account: BTreeMap<&'a Email, &'a Address>,
    of_cluster: BTreeMap<&'a str, &'a Address>,
}

impl<'a> Access<'a> {
    /// `changes` in the order of their addresses; what takes something away gives no access.
    pub(super) fn of(changes: impl IntoIterator<Item = (&'a Address, &'a Change)>) -> Self {
        let mut access = Self::default();
        let changes = changes.into_iter();
        for (address, change) in changes.filter(|(_, c)| c.action() != Action::Delete) {
            match &change.edit {
                Edit::Binding(binding) => match &binding.key.member {
                    Member::Ksa(identity) => {
                        access.of_identity.entry(identity).or_insert(address);
                    }
                    Member::ServiceAccount(email) => {
                        access.of_account.entry(email).or_insert(address);
                    }
                    _ => {}
                },
                Edit::Account(account) if !account.only_describes() => {
                    access.of_account.entry(&account.email).or_insert(address);
                }
                Edit::ClusterPool(pool) => {
                    access.of_cluster.entry(&pool.cluster).or_insert(address);
                }
                _ => {}
            }
        }
        access
    }

    /// The first by which a service account has its access.
    pub(super) fn first(&self, key: &KsaKey, ksa: &DesiredKsa) -> Option<&'a Address> {
        let account = ksa.account.as_ref().and_then(|a| self.of_account.get(a));
        let identity = self.of_identity.get(&ksa.identity);
        let cluster = self.of_cluster.get(key.cluster.as_str());
        let all = [identity, account, cluster].into_iter().flatten();
        all.copied().min()
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
    let access = Access::of(done.iter().map(|a| (*a, &plan.changes[*a])));
    let ksas = desired.ksas.iter().filter(|(key, _)| on(&key.cluster));
    ksas.filter_map(|(key, ksa)| {
        let own = key.address();
        let is_changed = done.contains(&own) && plan.changes[&own].action() != Action::Delete;
        let about = match is_changed {
            true => own,
            false => access.first(key, ksa)?.clone(),
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
        jobs: None,
    };
    let http = http.calling_for(&verify::run_name());
    verify::verify(&http, desired, &BTreeMap::new(), &wanted, told).await
}

/// Tries whether Google gives pods of a service account what they are to act as, and nothing of what it may do then.
/// `None`: the spec does not have it.
pub(super) async fn identity(
    http: &Http,
    desired: &Desired,
    key: &KsaKey,
    wait: Duration,
    told: &(dyn Fn(&str) + Sync),
) -> Option<Proof> {
    let wanted = Wanted {
        only: Some(BTreeSet::from([key.clone()])),
        to: None,
        wait,
        jobs: None,
    };
    let http = http.calling_for(&verify::run_name());
    let mut without_grants = desired.clone();
    without_grants.bindings.clear();
    let proofs = verify::verify(&http, &without_grants, &BTreeMap::new(), &wanted, told).await;
    proofs.into_iter().next()
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
