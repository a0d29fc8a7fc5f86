//! Which change waits for which: the dependency graph for what is added, and for what is removed
//! all that takes its place.

use std::collections::BTreeSet;

use super::{AccountChange, Action, Plan, What};
use crate::desired::Desired;
use crate::graph::Graph;
use crate::identity::{Email, Member};
use crate::live::{Live, Seen};
use crate::resources::Resource;

pub(super) fn set_needs(graph: &Graph, desired: &Desired, live: &Live, plan: &mut Plan) {
    let mut needs: Vec<(String, BTreeSet<String>)> = Vec::with_capacity(plan.changes.len());
    for (address, change) in &plan.changes {
        let waits_for = match &change.what {
            What::Binding { key, .. } if change.action == Action::Delete => match &key.resource {
                Resource::ServiceAccount(email) if key.is_impersonation() => {
                    let mut waits = leaving(plan, email);
                    waits.extend(identity_changes(plan, &key.member, desired));
                    waits
                }
                resource => {
                    let mut waits = additions_elsewhere(plan, &key.member, resource);
                    waits.extend(identity_changes(plan, &key.member, desired));
                    if let Member::ServiceAccount(email) = &key.member {
                        waits.extend(leaving(plan, email));
                        waits.extend(node_pools_running_as(plan, live, email));
                    }
                    waits
                }
            },
            What::Account {
                email,
                change: how @ (AccountChange::Disable | AccountChange::Delete),
                ..
            } => {
                let mut waits = leaving(plan, email);
                waits.extend(node_pools_running_as(plan, live, email));
                if *how == AccountChange::Delete {
                    // Deleted first, its members would turn into dead ones under our hands.
                    waits.extend(removals_of(plan, email));
                }
                waits
            }
            _ => graph.needs_among(address, &plan.changes),
        };
        needs.push((address.clone(), waits_for));
    }
    for (address, mut waits_for) in needs {
        waits_for.remove(&address);
        if let Some(change) = plan.changes.get_mut(&address) {
            change.needs = waits_for;
        }
    }
}

/// The same principal gains something on another policy: what it gets comes before what it loses.
/// On the same policy both are one write, so there is no gap.
fn additions_elsewhere(plan: &Plan, member: &Member, resource: &Resource) -> BTreeSet<String> {
    plan.changes
        .iter()
        .filter(|(_, c)| {
            c.action == Action::Create
                && matches!(&c.what, What::Binding { key, .. } if key.member == *member && key.resource != *resource)
        })
        .map(|(address, _)| address.clone())
        .collect()
}

/// Changes of Kubernetes service accounts that stop acting as this account.
fn leaving(plan: &Plan, email: &Email) -> BTreeSet<String> {
    plan.changes
        .iter()
        .filter(|(_, c)| {
            matches!(&c.what, What::Ksa { account_before: Some(before), .. } if before == email)
        })
        .map(|(address, _)| address.clone())
        .collect()
}

/// Removals of what an account has, and of who may act as it.
fn removals_of(plan: &Plan, email: &Email) -> BTreeSet<String> {
    plan.changes
        .iter()
        .filter(|(_, c)| c.action == Action::Delete)
        .filter(|(_, c)| match &c.what {
            What::Binding { key, .. } => {
                key.member == Member::ServiceAccount(email.clone())
                    || key.resource == Resource::ServiceAccount(email.clone())
            }
            _ => false,
        })
        .map(|(address, _)| address.clone())
        .collect()
}

/// Changes of this identity's Kubernetes service accounts, in all clusters.
fn identity_changes(plan: &Plan, member: &Member, desired: &Desired) -> BTreeSet<String> {
    let Member::Ksa(identity) = member else {
        return BTreeSet::new();
    };
    desired
        .ksas
        .iter()
        .filter(|(_, ksa)| ksa.identity == *identity)
        .map(|(key, _)| key.to_string())
        .filter(|address| plan.changes.contains_key(address))
        .collect()
}

/// Node pools whose pods live on this account until the pool is moved.
fn node_pools_running_as(plan: &Plan, live: &Live, email: &Email) -> BTreeSet<String> {
    plan.changes
        .iter()
        .filter(|(_, c)| match &c.what {
            What::NodePool {
                cluster, node_pool, ..
            } => live
                .clusters
                .get(cluster)
                .and_then(Seen::found)
                .is_some_and(|c| {
                    c.node_pools
                        .iter()
                        .any(|p| p.name == *node_pool && p.config.service_account == email.as_str())
                }),
            _ => false,
        })
        .map(|(address, _)| address.clone())
        .collect()
}
