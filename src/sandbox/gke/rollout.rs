//! A node pool's nodes recreated in batches, as its surge settings allow.
//!
//! Of a batch of `maxSurge + maxUnavailable` nodes, `maxUnavailable` go at once and `maxSurge` new
//! ones come; when those are ready, the rest of the batch is drained and replaced.

use super::cluster::{MetadataMode, NodePool};
use super::operations::Operation;
use crate::sandbox::kube::KubeCluster;
use crate::sandbox::state::State;

/// Lists the nodes to recreate.
pub fn begin(state: &State, op: &mut Operation) {
    if let Some((kube, pool)) = subject(state, op) {
        op.waiting = kube
            .nodes_of(&pool.name)
            .into_iter()
            .map(|node| node.name)
            .collect();
        op.nodes_total = u32::try_from(op.waiting.len()).unwrap_or(u32::MAX);
    }
}

/// Brings the surge nodes of the next batch, and takes the nodes that may be missing.
pub fn begin_batch(state: &mut State, op: &mut Operation, mode: MetadataMode) {
    let Some((kube, pool)) = subject(state, op) else {
        return;
    };
    let size = (pool.max_surge + pool.max_unavailable).max(1) as usize;
    op.draining = op.waiting.drain(..size.min(op.waiting.len())).collect();
    let surge = (pool.max_surge as usize).min(op.draining.len());
    add(state, op, &kube, &pool, mode, surge);
    let unavailable = op.draining.len() - surge;
    for name in &op.draining[..unavailable] {
        kube.remove_node(name);
    }
    kube.schedule();
}

/// Drains the rest of the batch; what is missing then is added.
pub fn finish_batch(state: &mut State, op: &mut Operation, mode: MetadataMode) {
    let Some((kube, pool)) = subject(state, op) else {
        return;
    };
    let surge = (pool.max_surge as usize).min(op.draining.len());
    let unavailable = op.draining.len() - surge;
    add(state, op, &kube, &pool, mode, unavailable);
    for name in &op.draining[unavailable..] {
        kube.remove_node(name);
    }
    kube.schedule();
    op.nodes_done += u32::try_from(op.draining.len()).unwrap_or(0);
    op.draining.clear();
}

fn subject(state: &State, op: &Operation) -> Option<(KubeCluster, NodePool)> {
    let kube = state.kubes.get(&op.key())?.kube.clone();
    let cluster = state.world.clusters.iter().find(|c| c.key() == op.key())?;
    let pool = cluster
        .node_pools
        .iter()
        .find(|p| Some(&p.name) == op.node_pool.as_ref())?;
    Some((kube, pool.clone()))
}

fn add(
    state: &mut State,
    op: &Operation,
    kube: &KubeCluster,
    pool: &NodePool,
    mode: MetadataMode,
    count: usize,
) {
    let renewed = NodePool {
        workload_metadata: Some(mode),
        ..pool.clone()
    };
    for _ in 0..count {
        kube.add_node(renewed.node(&op.cluster, 1000 + state.next_revision()));
    }
}
