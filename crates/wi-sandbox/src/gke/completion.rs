//! What is there once a creation or a deletion has ended well.

use super::operation::Change;
use crate::ids::ClusterKey;
use crate::state::State;

/// `RUNNING`, `STOPPING`, of a cluster or one of its node pools.
pub fn set_status(state: &mut State, key: &ClusterKey, pool: Option<&str>, status: &str) {
    let mut clusters = state.world.clusters.iter_mut();
    let Some(cluster) = clusters.find(|c| c.key() == *key) else {
        return;
    };
    match pool {
        None => status.clone_into(&mut cluster.status),
        Some(name) => {
            let mut pools = cluster.node_pools.iter_mut();
            if let Some(pool) = pools.find(|pool| pool.name == name) {
                status.clone_into(&mut pool.status);
            }
        }
    }
}

/// What is done when the creation or the deletion has ended well.
pub fn complete(state: &mut State, key: &ClusterKey, pool: Option<&str>, change: &Change) {
    match (change, pool) {
        (Change::CreateCluster, _) => set_status(state, key, None, "RUNNING"),
        (Change::DeleteCluster, _) => {
            state.world.clusters.retain(|c| c.key() != *key);
            state.kubes.remove(key);
        }
        (Change::CreateNodePool, Some(name)) => {
            set_status(state, key, pool, "RUNNING");
            let clusters = state.world.clusters.iter();
            let made = clusters
                .filter(|c| c.key() == *key)
                .flat_map(|c| &c.node_pools)
                .find(|pool| pool.name == name);
            if let (Some(pool), Some(running)) = (made, state.kubes.get(key)) {
                for node in 0..pool.nodes {
                    running.kube.add_node(pool.node(&key.2, u64::from(node)));
                }
                running.kube.schedule();
            }
        }
        (Change::Size(nodes), Some(name)) => resize(state, key, name, *nodes),
        (Change::DeleteNodePool, Some(name)) => {
            if let Some(running) = state.kubes.get(key) {
                running.kube.set_nodes(name, &[]);
                running.kube.schedule();
            }
            let mut clusters = state.world.clusters.iter_mut();
            if let Some(cluster) = clusters.find(|c| c.key() == *key) {
                cluster.node_pools.retain(|pool| pool.name != name);
            }
        }
        _ => {}
    }
}

/// Nodes of other names come; the last ones go, and their pods with them.
fn resize(state: &mut State, key: &ClusterKey, name: &str, nodes: u32) {
    let revision = state.next_revision();
    let mut clusters = state.world.clusters.iter_mut();
    let Some(cluster) = clusters.find(|c| c.key() == *key) else {
        return;
    };
    let mut pools = cluster.node_pools.iter_mut();
    let Some(pool) = pools.find(|pool| pool.name == name) else {
        return;
    };
    pool.nodes = nodes;
    if let Some(running) = state.kubes.get(key) {
        let mut there = running.kube.nodes_of(name);
        let had = u32::try_from(there.len()).unwrap_or(u32::MAX);
        there.truncate(nodes as usize);
        let more = (had..nodes).map(|n| pool.node(&key.2, (revision << 16) + u64::from(n)));
        there.extend(more);
        running.kube.set_nodes(name, &there);
        running.kube.schedule();
    }
}
