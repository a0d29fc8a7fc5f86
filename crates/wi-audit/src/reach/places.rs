//! Places where somebodies are: nodes, node pools and clusters, and whom being there makes one.

use std::collections::{BTreeMap, HashSet};

use wi_core::names::Email;

use super::edges::Graph;
use super::step::{Edge, Edges, How, Node};

impl Graph<'_> {
    pub(super) fn node_account(&self, cluster: &str, pool: &str) -> Option<Email> {
        let on = self.live.clusters.get(cluster)?;
        let pools = &on.gke.found()?.node_pools;
        let pool = pools.iter().find(|p| p.name == pool)?;
        match self.world.node_account(&on.path.project, pool) {
            Ok(email) => Some(email),
            Err(email) => email,
        }
    }

    pub(super) fn of_pool(&self, cluster: &str, pool: &str) -> Edges {
        let mut edges = Edges::default();
        if let Some(email) = self.node_account(cluster, pool) {
            edges
                .to
                .push(Edge::plain(Node::Account(email), How::NodeAccount));
        }
        let mut ksas: Vec<&(String, String, String)> = self
            .on_nodes
            .iter()
            .filter(|((on, ..), pools)| on == cluster && pools.iter().any(|(p, _)| p == pool))
            .map(|(key, _)| key)
            .collect();
        ksas.sort();
        let pods = ksas
            .into_iter()
            .map(|(cluster, namespace, name)| Node::Ksa {
                cluster: cluster.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
            });
        edges
            .to
            .extend(pods.map(|node| Edge::plain(node, How::PodOnNode)));
        edges
    }

    /// Whoever is admin of a cluster is all that is in it, and all that IAM takes for the same.
    pub(super) fn of_cluster(&self, name: &str) -> Edges {
        let mut edges = Edges::default();
        let Some(on) = self.live.clusters.get(name) else {
            return edges;
        };
        let node = |namespace: &str, called: &str| Node::Ksa {
            cluster: name.to_owned(),
            namespace: namespace.to_owned(),
            name: called.to_owned(),
        };
        let mut there = HashSet::new();
        for (namespace, called) in on.ksas.found().into_iter().flat_map(BTreeMap::keys) {
            there.insert((namespace.as_str(), called.as_str()));
            edges
                .to
                .push(Edge::plain(node(namespace, called), How::InCluster));
        }
        let pool = on.path.project.workload_pool();
        let mut named: Vec<(&str, &str)> = self.index.named_of(&pool).collect();
        named.retain(|key| !there.contains(key));
        named.sort_unstable();
        let made = named
            .into_iter()
            .map(|(ns, called)| Edge::plain(node(ns, called), How::SamePool));
        edges.to.extend(made);
        for pool in on.gke.found().into_iter().flat_map(|c| &c.node_pools) {
            let pool = Node::NodePool {
                cluster: name.to_owned(),
                pool: pool.name.clone(),
            };
            edges.to.push(Edge::plain(pool, How::InCluster));
        }
        edges
    }
}
