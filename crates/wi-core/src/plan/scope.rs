//! The part of what a spec asks for that carrying out a plan takes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::touches::Scope;
use super::{Change, Edit, Plan};
use crate::address::NamespaceKey;
use crate::desired::{Desired, DesiredKsa};
use crate::names::{KsaIdentity, Member, ProjectId};
use crate::read_set::ReadSet;
use crate::resource::Resource;
use crate::spec::model::NodePools;

/// A part of what a spec asks for, and what is to be read for it.
#[derive(Debug, Clone)]
pub struct Part {
    /// What is asked for.
    pub desired: Desired,
    /// What is to be read.
    pub reads: ReadSet,
}

impl Part {
    /// What is to be read for this, and of what changes touch beside.
    fn of(desired: Desired, scope: &Scope) -> Self {
        let mut reads = ReadSet::of(&desired);
        // What left the spec is touched, too.
        reads.accounts.extend(scope.projects.iter().cloned());
        for resource in &scope.policies {
            reads.policy(resource.clone());
        }
        for key in &scope.leaving {
            if let Some(cluster) = reads.clusters.get_mut(&key.cluster) {
                cluster.pods_of.insert(key.namespace.to_string());
            }
        }
        reads.only_users = Some(scope.users.clone());
        reads.outside = desired.has_all_clusters;
        Self { desired, reads }
    }
}

/// What is looked at again before `plan` is carried out: what its changes touch, and of clusters whose node
/// pools move all identities, since pods there may use any of them.
pub fn touched(desired: &Desired, plan: &Plan) -> Part {
    let scope = scope(desired, plan);
    Part::of(narrowed(desired, &scope), &scope)
}

/// [`touched`], with the chain of each identity on the clusters that the changes touch, and the grants
/// that they make: what verifying a wave reads.
pub fn with_chains(desired: &Desired, plan: &Plan) -> Part {
    let scope = scope(desired, plan);
    Part::of(chained(desired, plan, &scope), &scope)
}

/// What is kept of `desired` with `plan`: enough for [`touched`], and for [`with_chains`] where waves are
/// verified.
pub(super) fn kept(desired: &Desired, plan: &Plan) -> Desired {
    let scope = scope(desired, plan);
    if plan.waves.is_some() {
        chained(desired, plan, &scope)
    } else {
        narrowed(desired, &scope)
    }
}

fn scope(desired: &Desired, plan: &Plan) -> Scope {
    let mut scope = Scope::default();
    for change in plan.changes.values() {
        change.edit.scope(&mut scope);
    }
    scope.accounts_of_whole_clusters(desired);
    scope
}

/// Whether somebody in any cluster may have come to rely on what is taken: on an account that ends, or on what an
/// identity has that the spec does not name.
fn looks_everywhere(desired: &Desired, scope: &Scope) -> bool {
    if desired.leftovers.is_none() {
        let takes = !scope.ends.is_empty() || !scope.taken_from.is_empty();
        return takes && desired.has_all_clusters;
    }
    let named: HashSet<&KsaIdentity> = match scope.taken_from.is_empty() {
        true => HashSet::new(),
        false => desired.ksas.values().map(|k| &k.identity).collect(),
    };
    !scope.ends.is_empty() || scope.taken_from.iter().any(|i| !named.contains(i))
}

fn narrowed(desired: &Desired, scope: &Scope) -> Desired {
    let mut part = desired.empty();
    part.changes_templates = scope.shadows;
    let everywhere = looks_everywhere(desired, scope);
    part.has_all_clusters = everywhere;
    let of_users = scope.pools_of_users();
    // Those whose annotation others write, and that may rely on what is taken.
    let relies = |ksa: &DesiredKsa| scope.takes && ksa.existing;
    let relying = desired.ksas.iter().filter(|(_, ksa)| relies(ksa));
    let relying: BTreeSet<NamespaceKey> = relying.map(|(key, _)| key.namespace_key()).collect();
    part.clusters = chosen(&desired.clusters, |name, cluster| {
        scope.clusters.contains(name)
            || !scope.keys_of.is_empty()
            || everywhere
            || relying.iter().any(|key| key.cluster == *name)
            || of_users.contains(cluster.path.project.workload_pool().as_str())
    });
    for (name, cluster) in &mut part.clusters {
        if !scope.clusters.contains(name) {
            // For its service accounts alone.
            cluster.node_pools = NodePools::Only(BTreeMap::new());
        }
    }
    part.namespaces = chosen(&desired.namespaces, |key, _| {
        // Whoever has just a part of a cluster sees its namespaces alone.
        let of_others = || {
            desired
                .clusters
                .get(&key.cluster)
                .is_some_and(|c| !c.managed)
        };
        scope.holds(key) || relying.contains(key) || (everywhere && of_others())
    });
    part.ksas = chosen(&desired.ksas, |key, ksa| {
        scope.holds(&key.namespace_key()) || scope.has_user(ksa) || relies(ksa)
    });
    part.accounts = chosen(&desired.accounts, |_, account| {
        scope.accounts.contains(&account.email)
    });
    part.migrations = chosen(&desired.migrations, |name, _| {
        let account = desired.accounts.get(name);
        account.is_some_and(|a| {
            scope.keys_of.contains(&a.email) || scope.templates_of.contains(&a.email)
        })
    });
    // The policies that say what pods have whose node pool moves, and who may act as an account whose key goes.
    let identities: BTreeSet<&KsaIdentity> = desired
        .ksas
        .iter()
        .filter(|(key, _)| scope.whole.contains(&key.cluster))
        .map(|(_, ksa)| &ksa.identity)
        .collect();
    part.bindings = chosen(&desired.bindings, |key, _| {
        let of_template = matches!(&key.resource, Resource::ServiceAccount(email) if scope.templates_of.contains(email));
        of_template || matches!(&key.member, Member::Ksa(identity) if identities.contains(identity))
    });
    if !scope.whole.is_empty() {
        part.looked_at = looked_at(desired);
        let managed = desired.accounts.values().filter(|a| a.managed);
        let managed = managed.map(|a| a.email.clone());
        part.of_the_whole = managed.chain(desired.of_the_whole.clone()).collect();
    }
    part.pools = pools(desired, &part);
    part
}

/// What a plan of `desired` has seen of who has what, beside accounts.
fn looked_at(desired: &Desired) -> BTreeSet<Resource> {
    let accounts = desired.accounts.values().filter(|a| a.managed);
    let projects = accounts.map(|a| Resource::Project(a.project.clone()));
    let granted = desired.bindings.keys().map(|key| key.resource.clone());
    let former = desired.removed.iter().chain(&desired.looked_at).cloned();
    let all = projects.chain(granted).chain(former);
    all.filter(|r| !matches!(r, Resource::ServiceAccount(_)))
        .collect()
}

fn chained(desired: &Desired, plan: &Plan, scope: &Scope) -> Desired {
    let mut part = narrowed(desired, scope);
    let clusters: BTreeSet<&str> = plan.changes.values().filter_map(Change::cluster).collect();
    let is_in = |cluster: &str| clusters.contains(cluster);
    let touched = std::mem::take(&mut part.ksas);
    part.ksas = chosen(&desired.ksas, |key, _| {
        is_in(&key.cluster) || touched.contains_key(key)
    });
    let touched = std::mem::take(&mut part.namespaces);
    part.namespaces = chosen(&desired.namespaces, |key, _| {
        is_in(&key.cluster) || touched.contains_key(key)
    });
    let emails: BTreeSet<_> = part
        .ksas
        .values()
        .filter_map(|k| k.account.clone())
        .collect();
    part.accounts = chosen(&desired.accounts, |name, account| {
        emails.contains(&account.email) || part.accounts.contains_key(name)
    });
    let members: BTreeSet<Member> = part
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
    part.bindings = chosen(&desired.bindings, |key, _| {
        members.contains(&key.member) || made.contains(key)
    });
    part.pools = pools(desired, &part);
    part
}

/// The workload pools of the clusters and members of a part.
fn pools(desired: &Desired, part: &Desired) -> BTreeMap<String, ProjectId> {
    let of_clusters = part.clusters.values();
    let mut used: BTreeSet<String> = of_clusters
        .map(|c| c.path.project.workload_pool())
        .collect();
    used.extend(part.bindings.keys().filter_map(|key| match &key.member {
        Member::Ksa(identity) => Some(identity.pool.clone()),
        _ => None,
    }));
    chosen(&desired.pools, |pool, _| used.contains(pool))
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
