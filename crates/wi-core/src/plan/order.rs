//! Which change waits for which: the dependency graph for what is added, and for what is removed
//! all that takes its place.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountAfter, Change, Edit, Plan};
use crate::address::Address;
use crate::desired::Desired;
use crate::graph::Graph;
use crate::live::Live;
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;

/// What removals have to wait for, found by what they have in common. Addresses of changes.
#[derive(Default)]
struct Index<'a> {
    /// What a principal gains, and on which resource.
    additions: BTreeMap<&'a Member, Vec<(&'a Resource, &'a Address)>>,
    /// Kubernetes service accounts that stop acting as an account.
    leaving: BTreeMap<Email, Vec<&'a Address>>,
    /// Removals of what an account has, and of who may act as it.
    removals: BTreeMap<&'a Email, Vec<&'a Address>>,
    /// Kubernetes service accounts of an identity, in all clusters.
    identities: BTreeMap<&'a KsaIdentity, Vec<&'a Address>>,
    /// Node pools whose pods live on an account until the pool is moved.
    node_pools: BTreeMap<&'a str, Vec<&'a Address>>,
}

impl<'a> Index<'a> {
    fn of(plan: &'a Plan, desired: &'a Desired, live: &'a Live) -> Self {
        let mut index = Self::default();
        for (address, change) in &plan.changes {
            match &change.edit {
                Edit::Binding(binding) if binding.adds() => {
                    let key = &binding.key;
                    let gains = index.additions.entry(&key.member).or_default();
                    gains.push((&key.resource, address));
                }
                Edit::Binding(binding) => {
                    if let Member::ServiceAccount(email) = &binding.key.member {
                        index.removals.entry(email).or_default().push(address);
                    }
                    if let Resource::ServiceAccount(email) = &binding.key.resource {
                        index.removals.entry(email).or_default().push(address);
                    }
                }
                Edit::Ksa(ksa) => {
                    if let Some(before) = ksa.account_before() {
                        index.leaving.entry(before).or_default().push(address);
                    }
                }
                Edit::NodePool(pool) => {
                    if let Some(account) = runs_as(live, &pool.cluster, &pool.node_pool) {
                        index.node_pools.entry(account).or_default().push(address);
                    }
                }
                _ => {}
            }
        }
        for (key, ksa) in &desired.ksas {
            if let Some((address, _)) = plan.changes.get_key_value(&key.address()) {
                let identity = index.identities.entry(&ksa.identity).or_default();
                identity.push(address);
            }
        }
        index
    }

    /// The same principal gains something on another policy: what it gets comes before what it
    /// loses. On the same policy both are one write, so there is no gap.
    fn additions_elsewhere(&self, member: &Member, resource: &Resource) -> Vec<&'a Address> {
        let gains = self.additions.get(member).into_iter().flatten();
        gains
            .filter(|(on, _)| *on != resource)
            .map(|(_, address)| *address)
            .collect()
    }

    fn identity_changes(&self, member: &Member) -> &[&'a Address] {
        match member {
            Member::Ksa(identity) => self.identities.get(identity).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    fn leaving(&self, email: &Email) -> &[&'a Address] {
        self.leaving.get(email).map_or(&[], Vec::as_slice)
    }

    fn removals_of(&self, email: &Email) -> &[&'a Address] {
        self.removals.get(email).map_or(&[], Vec::as_slice)
    }

    fn node_pools_running_as(&self, email: &Email) -> &[&'a Address] {
        let pools = self.node_pools.get(email.as_str());
        pools.map_or(&[], Vec::as_slice)
    }

    /// What a removal waits for; `None` for what is no removal.
    fn waits_for(&self, change: &Change) -> Option<Vec<&'a Address>> {
        let mut waits = Vec::new();
        match &change.edit {
            Edit::Binding(binding) if !binding.adds() => {
                let key = &binding.key;
                waits.extend(self.identity_changes(&key.member));
                match &key.resource {
                    Resource::ServiceAccount(email) if key.is_impersonation() => {
                        waits.extend(self.leaving(email));
                    }
                    resource => {
                        waits.extend(self.additions_elsewhere(&key.member, resource));
                        if let Member::ServiceAccount(email) = &key.member {
                            waits.extend(self.leaving(email));
                            waits.extend(self.node_pools_running_as(email));
                        }
                    }
                }
            }
            Edit::Account(account) if account.ends_it() => {
                waits.extend(self.leaving(&account.email));
                waits.extend(self.node_pools_running_as(&account.email));
                if account.after == AccountAfter::Deleted {
                    // Deleted first, its members would turn into dead ones under our hands.
                    waits.extend(self.removals_of(&account.email));
                }
            }
            _ => return None,
        }
        Some(waits)
    }
}

fn runs_as<'a>(live: &'a Live, cluster: &str, node_pool: &str) -> Option<&'a str> {
    let cluster = live.clusters.get(cluster)?.found()?;
    let pool = cluster.node_pools.iter().find(|p| p.name == node_pool)?;
    Some(&pool.config.service_account)
}

pub(super) fn set_needs(graph: &Graph, desired: &Desired, live: &Live, plan: &mut Plan) {
    let index = Index::of(plan, desired, live);
    let needs: Vec<BTreeSet<Address>> = plan
        .changes
        .iter()
        .map(|(address, change)| {
            let mut needs = match index.waits_for(change) {
                Some(waits) => waits.into_iter().cloned().collect(),
                None => graph.needs_among(address, &plan.changes),
            };
            needs.remove(address);
            needs
        })
        .collect();
    for (change, needs) in plan.changes.values_mut().zip(needs) {
        change.needs = needs;
    }
}
