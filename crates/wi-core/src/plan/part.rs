//! The part of what a spec asks for that carrying out a plan takes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Plan, What};
use crate::desired::Desired;
use crate::names::{Member, ProjectId};
use crate::resource::Resource;

/// The part of `desired` that is to be read again for `plan`: what its changes touch, and of
/// clusters whose node pools move all identities, since pods there may use any of them.
pub(super) fn needed(desired: &Desired, plan: &Plan) -> Desired {
    let mut clusters = BTreeSet::new();
    let mut whole = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    let mut emails = BTreeSet::new();
    let mut resources = BTreeSet::new();
    for change in plan.changes.values() {
        match &change.what {
            What::ClusterPool { cluster, .. } | What::RestoreSettings { cluster, .. } => {
                clusters.insert(cluster.clone());
            }
            What::NodePool { cluster, .. } => {
                clusters.insert(cluster.clone());
                whole.insert(cluster.clone());
            }
            What::Account { email, .. } => {
                emails.insert(email.clone());
            }
            What::Binding { key, .. } => {
                resources.insert(key.resource.clone());
                if let Resource::ServiceAccount(email) = &key.resource {
                    emails.insert(email.clone());
                }
            }
            What::Namespace(write) | What::Ksa { change: write, .. } => {
                clusters.insert(write.cluster.clone());
                namespaces.insert((write.cluster.clone(), write.namespace().to_owned()));
            }
        }
    }
    let mut needed = desired.clone();
    needed.clusters.retain(|name, _| clusters.contains(name));
    needed.namespaces.retain(|key, _| {
        whole.contains(&key.cluster)
            || namespaces.contains(&(key.cluster.clone(), key.namespace.to_string()))
    });
    needed.ksas.retain(|key, _| {
        whole.contains(&key.cluster)
            || namespaces.contains(&(key.cluster.clone(), key.namespace.to_string()))
    });
    needed
        .accounts
        .retain(|_, account| emails.contains(&account.email));
    // Just the policies that are written; whether roles exist and what is inherited was for the plan.
    needed.bindings.clear();
    let projects: BTreeSet<&ProjectId> =
        needed.clusters.values().map(|c| &c.path.project).collect();
    needed.pools.retain(|_, project| projects.contains(project));
    needed.removed = resources;
    needed.former_projects = plan
        .changes
        .values()
        .filter_map(|change| match &change.what {
            What::Account { project, .. } => Some(project.clone()),
            _ => None,
        })
        .collect();
    needed.former_ksas.clear();
    needed
}

/// [`needed`], with the chain of each identity on the clusters that the changes touch, and the grants
/// that they make: what verifying a wave reads.
pub fn with_chains(desired: &Desired, plan: &Plan) -> Desired {
    let mut wanted = needed(desired, plan);
    let clusters: BTreeSet<&str> = plan
        .changes
        .values()
        .filter_map(|c| c.what.cluster())
        .collect();
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
        .filter_map(|change| match &change.what {
            What::Binding { key, .. } if change.action != Action::Delete => Some(key),
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
