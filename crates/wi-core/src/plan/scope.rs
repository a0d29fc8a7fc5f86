//! The part of what a spec asks for that carrying out a plan takes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Edit, Plan};
use crate::address::NamespaceKey;
use crate::desired::Desired;
use crate::names::{Email, KsaIdentity, Member, ProjectId};
use crate::resource::Resource;

/// What changes touch, as each edit says.
#[derive(Debug, Default)]
pub struct Scope {
    clusters: BTreeSet<String>,
    /// Clusters of which all identities count.
    whole: BTreeSet<String>,
    namespaces: BTreeSet<NamespaceKey>,
    accounts: BTreeSet<Email>,
    projects: BTreeSet<ProjectId>,
    policies: BTreeSet<Resource>,
}

impl Scope {
    pub(super) fn cluster(&mut self, cluster: &str) {
        self.clusters.insert(cluster.to_owned());
    }

    pub(super) fn whole_cluster(&mut self, cluster: &str) {
        self.cluster(cluster);
        self.whole.insert(cluster.to_owned());
    }

    pub(super) fn namespace(&mut self, key: &NamespaceKey) {
        self.cluster(&key.cluster);
        self.namespaces.insert(key.clone());
    }

    pub(super) fn account(&mut self, email: &Email, project: &ProjectId) {
        self.accounts.insert(email.clone());
        self.projects.insert(project.clone());
    }

    pub(super) fn policy(&mut self, resource: &Resource) {
        self.policies.insert(resource.clone());
        if let Resource::ServiceAccount(email) = resource {
            self.accounts.insert(email.clone());
        }
    }

    /// The accounts that pods of clusters may act as whose node pools move.
    fn accounts_of_whole_clusters(&mut self, desired: &Desired) {
        for (key, ksa) in &desired.ksas {
            if self.whole.contains(&key.cluster) {
                self.accounts.extend(ksa.account.clone());
            }
        }
        for account in desired.accounts.values().filter(|a| a.managed) {
            if self.accounts.contains(&account.email) {
                self.projects.insert(account.project.clone());
            }
        }
    }

    fn holds(&self, key: &NamespaceKey) -> bool {
        self.whole.contains(&key.cluster) || self.namespaces.contains(key)
    }
}

/// The part of `desired` that is to be read again for `plan`: what its changes touch, and of
/// clusters whose node pools move all identities, since pods there may use any of them.
pub(super) fn needed(desired: &Desired, plan: &Plan) -> Desired {
    let mut scope = Scope::default();
    for change in plan.changes.values() {
        change.edit.scope(&mut scope);
    }
    scope.accounts_of_whole_clusters(desired);
    let mut needed = desired.clone();
    needed
        .clusters
        .retain(|name, _| scope.clusters.contains(name));
    needed.namespaces.retain(|key, _| scope.holds(key));
    needed
        .ksas
        .retain(|key, _| scope.holds(&key.namespace_key()));
    needed
        .accounts
        .retain(|_, account| scope.accounts.contains(&account.email));
    // Beside the policies that are written, those that say what pods have whose node pool moves.
    let identities: BTreeSet<&KsaIdentity> = desired
        .ksas
        .iter()
        .filter(|(key, _)| scope.whole.contains(&key.cluster))
        .map(|(_, ksa)| &ksa.identity)
        .collect();
    needed.bindings.retain(
        |key, _| matches!(&key.member, Member::Ksa(identity) if identities.contains(identity)),
    );
    let projects: BTreeSet<&ProjectId> =
        needed.clusters.values().map(|c| &c.path.project).collect();
    needed.pools.retain(|_, project| projects.contains(project));
    needed.removed = scope.policies;
    needed.former_projects = scope.projects;
    needed.former_ksas.clear();
    needed
}

/// [`needed`], with the chain of each identity on the clusters that the changes touch, and the grants
/// that they make: what verifying a wave reads.
pub fn with_chains(desired: &Desired, plan: &Plan) -> Desired {
    let mut wanted = needed(desired, plan);
    let clusters: BTreeSet<&str> = plan.changes.values().filter_map(Change::cluster).collect();
    wanted.ksas = chosen(&desired.ksas, |key, _| {
        clusters.contains(key.cluster.as_str())
    });
    wanted.namespaces = chosen(&desired.namespaces, |key, _| {
        clusters.contains(key.cluster.as_str())
    });
    let emails: BTreeSet<_> = wanted
        .ksas
        .values()
        .filter_map(|k| k.account.clone())
        .collect();
    wanted.accounts = chosen(&desired.accounts, |name, account| {
        emails.contains(&account.email) || wanted.accounts.contains_key(name)
    });
    let members: BTreeSet<Member> = wanted
        .ksas
        .values()
        .map(|k| Member::Ksa(k.identity.clone()))
        .chain(emails.into_iter().map(Member::ServiceAccount))
        .collect();
    let made: BTreeSet<_> = plan
        .changes
        .values()
        .filter_map(|change| match &change.edit {
            Edit::Binding(binding) if binding.adds() => Some(&binding.key),
            _ => None,
        })
        .collect();
    wanted.bindings = chosen(&desired.bindings, |key, _| {
        members.contains(&key.member) || made.contains(key)
    });
    wanted
}

fn chosen<K: Clone + Ord, V: Clone>(
    all: &BTreeMap<K, V>,
    choose: impl Fn(&K, &V) -> bool,
) -> BTreeMap<K, V> {
    all.iter()
        .filter(|(key, value)| choose(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What is kept of `desired` with `plan`: more than is [`needed`] where waves are verified.
pub(super) fn kept(desired: &Desired, plan: &Plan) -> Desired {
    if plan.waves.is_some() {
        with_chains(desired, plan)
    } else {
        needed(desired, plan)
    }
}
