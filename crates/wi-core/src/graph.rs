//! What needs what: the dependency graph over addresses.
//!
//! The order keeps every running pod's access: what gives access comes before what makes a pod
//! rely on it, and removals come after all additions that replace them. See docs/concepts.md.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::address::Address;
use crate::desired::Desired;
use crate::names::Member;
use crate::resource::Resource;

/// Addresses and their needs; an edge points from what is needed to what needs it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    graph: DiGraph<Address, ()>,
    index: HashMap<Address, NodeIndex>,
}

impl Graph {
    /// The graph of the desired resources. Node pools are known only to GKE: `node_pools` holds
    /// the pools of each cluster of the spec, where they are known.
    pub fn of(desired: &Desired, node_pools: &BTreeMap<String, Vec<String>>) -> Self {
        let mut graph = Self::default();
        let managed = |cluster: &str| desired.clusters.get(cluster).is_some_and(|c| c.managed);
        for cluster in desired.clusters.keys().filter(|c| managed(c)) {
            graph.node(&Address::cluster_pool(cluster));
        }
        for account in desired.accounts.values().filter(|a| a.managed) {
            graph.node(&desired.account_address(&account.email));
        }
        // Members of a pool are accepted once one cluster of its project has it: the first that is
        // changed will do.
        let pool_cluster: BTreeMap<&str, Address> = desired
            .pools
            .keys()
            .filter_map(|pool| {
                let first = desired
                    .clusters_of_pool(pool)
                    .filter(|c| managed(c))
                    .min_by_key(|c| desired.wave_of(c))?;
                Some((pool.as_str(), Address::cluster_pool(first)))
            })
            .collect();
        let mut grants_of: BTreeMap<&Member, Vec<Address>> = BTreeMap::new();
        for key in desired.bindings.keys() {
            let address = desired.binding_address(key);
            graph.node(&address);
            for email in [account_of(&key.member), account_behind(&key.resource)]
                .into_iter()
                .flatten()
            {
                if desired.manages(email) {
                    graph.need(&address, &desired.account_address(email));
                }
            }
            if let Member::Ksa(ksa) = &key.member
                && let Some(cluster) = pool_cluster.get(ksa.pool.as_str())
            {
                graph.need(&address, cluster);
            }
            grants_of.entry(&key.member).or_default().push(address);
        }
        for key in desired.namespaces.keys() {
            if managed(&key.cluster) {
                // Turning the pool on may restart a zonal control plane; do not write into that.
                graph.need(&key.address(), &Address::cluster_pool(&key.cluster));
            } else {
                graph.node(&key.address());
            }
        }
        for (key, ksa) in &desired.ksas {
            let address = key.address();
            graph.need(&address, &key.namespace_key().address());
            let identity = Member::Ksa(ksa.identity.clone());
            let account = ksa.account.clone().map(Member::ServiceAccount);
            for member in [Some(identity), account].iter().flatten() {
                for grant in grants_of.get(member).into_iter().flatten() {
                    graph.need(&address, grant);
                }
            }
        }
        for (cluster, pools) in node_pools {
            for pool in pools {
                let address = Address::node_pool(cluster, pool);
                graph.need(&address, &Address::cluster_pool(cluster));
                for (key, _) in desired.ksas_of(cluster) {
                    graph.need(&address, &key.address());
                }
            }
        }
        graph
    }

    /// Adds an address.
    pub fn node(&mut self, address: &Address) -> NodeIndex {
        if let Some(index) = self.index.get(address) {
            return *index;
        }
        let index = self.graph.add_node(address.clone());
        self.index.insert(address.clone(), index);
        index
    }

    /// Says that `address` needs `needed` to be done first.
    pub fn need(&mut self, address: &Address, needed: &Address) {
        let (to, from) = (self.node(address), self.node(needed));
        if to != from {
            self.graph.update_edge(from, to, ());
        }
    }

    /// The nearest addresses in `among` that `address` needs, looking through all others.
    pub fn needs_among<V>(
        &self,
        address: &Address,
        among: &BTreeMap<Address, V>,
    ) -> BTreeSet<Address> {
        let mut found = BTreeSet::new();
        let Some(start) = self.index.get(address) else {
            return found;
        };
        let mut seen = BTreeSet::new();
        let mut todo = vec![*start];
        while let Some(node) = todo.pop() {
            for needed in self.graph.neighbors_directed(node, Direction::Incoming) {
                if !seen.insert(needed) {
                    continue;
                }
                if among.contains_key(&self.graph[needed]) {
                    found.insert(self.graph[needed].clone());
                } else {
                    todo.push(needed);
                }
            }
        }
        found
    }

    /// All addresses.
    pub fn into_addresses(self) -> BTreeSet<Address> {
        self.index.into_keys().collect()
    }

    /// Addresses with their direct needs, both in order.
    pub fn rows(&self) -> Vec<(&str, Vec<&str>)> {
        let mut rows: Vec<(&str, Vec<&str>)> = self
            .index
            .iter()
            .map(|(address, node)| {
                let mut needs: Vec<&str> = self
                    .graph
                    .edges_directed(*node, Direction::Incoming)
                    .map(|e| &*self.graph[e.source()])
                    .collect();
                needs.sort_unstable();
                (&**address, needs)
            })
            .collect();
        rows.sort_unstable();
        rows
    }

    /// An address on a cycle, if there is one.
    pub fn cycle(&self) -> Option<&str> {
        petgraph::algo::toposort(&self.graph, None)
            .err()
            .map(|c| &*self.graph[c.node_id()])
    }
}

fn account_of(member: &Member) -> Option<&crate::names::Email> {
    match member {
        Member::ServiceAccount(email) => Some(email),
        _ => None,
    }
}

fn account_behind(resource: &Resource) -> Option<&crate::names::Email> {
    match resource {
        Resource::ServiceAccount(email) => Some(email),
        _ => None,
    }
}
