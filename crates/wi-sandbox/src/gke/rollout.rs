//! A node pool's nodes recreated in batches, as its upgrade settings say.
//!
//! Surge: of a batch of `maxSurge + maxUnavailable` nodes, `maxUnavailable` go at once and
//! `maxSurge` new ones come; when those are ready, the rest of the batch is drained and replaced.
//! Blue-green: a second set of nodes comes, the first is cordoned, drained in batches, and goes.

use serde_json::json;

use super::operation::{Change, Operation};
use super::pool::{MetadataMode, NodePool, has_server};
use super::upgrade::Strategy;
use crate::kube::{KubeCluster, NodeSpec};
use crate::state::State;

/// The metadata server of the nodes that an operation brings; `None`: it recreates none.
pub fn mode(state: &State, op: &Operation) -> Option<MetadataMode> {
    match op.change {
        Some(Change::WorkloadMetadata(mode)) => Some(mode),
        Some(Change::Rollback { .. }) => {
            let (_, pool) = subject(state, op)?;
            Some(pool.workload_metadata.unwrap_or(MetadataMode::GceMetadata))
        }
        _ => None,
    }
}

/// Lists the nodes to recreate; blue-green brings all new ones at once.
pub fn begin(state: &mut State, op: &mut Operation, mode: MetadataMode) {
    let Some((kube, pool)) = subject(state, op) else {
        return;
    };
    let mut blue = kube.nodes_of(&pool.name);
    let there = blue.len();
    if matches!(op.change, Some(Change::Rollback { .. })) {
        // Those that the failed update left alone stay; the ones that it had cordoned take pods again.
        let as_before = |node: &mut NodeSpec| node.metadata_server == has_server(mode);
        for node in blue.extract_if(.., as_before).filter(is_cordoned) {
            let mut extra = pool.node_extra();
            extra.entry("spec".to_owned()).or_insert(json!({}));
            kube.add_node(NodeSpec { extra, ..node });
        }
    }
    op.waiting = blue.iter().map(|node| node.name.clone()).collect();
    op.nodes_total = u32::try_from(op.waiting.len()).unwrap_or(u32::MAX);
    if pool.upgrade.strategy == Strategy::BlueGreen {
        let kept = there - blue.len();
        let wanted = match op.change {
            Some(Change::Rollback { .. }) => (pool.nodes as usize).saturating_sub(kept),
            _ => blue.len(),
        };
        add(state, op, &kube, &pool, mode, wanted);
        for node in blue {
            let mut extra = node.extra.clone();
            extra.insert("spec".to_owned(), json!({"unschedulable": true}));
            kube.add_node(NodeSpec { extra, ..node });
        }
    }
}

fn is_cordoned(node: &NodeSpec) -> bool {
    let spec = node.extra.get("spec");
    spec.is_some_and(|spec| spec["unschedulable"] == true)
}

/// Begins with the next batch: brings the surge nodes, and takes the nodes that may be missing.
/// Answers with the seconds that the batch takes beyond the recreation of nodes.
pub fn begin_batch(state: &mut State, op: &mut Operation, mode: MetadataMode) -> u32 {
    let Some((kube, pool)) = subject(state, op) else {
        return 0;
    };
    let upgrade = &pool.upgrade;
    let blue_green = upgrade.strategy == Strategy::BlueGreen;
    let size = if blue_green {
        upgrade.blue_green.batch_node_count
    } else {
        upgrade.max_surge + upgrade.max_unavailable
    };
    let size = size.max(1) as usize;
    op.draining = op.waiting.drain(..size.min(op.waiting.len())).collect();
    if blue_green {
        return upgrade.blue_green.batch_soak_seconds;
    }
    let surge = (upgrade.max_surge as usize).min(op.draining.len());
    add(state, op, &kube, &pool, mode, surge);
    let unavailable = op.draining.len() - surge;
    for name in &op.draining[..unavailable] {
        kube.remove_node(name);
    }
    kube.schedule();
    0
}

/// How long the nodes that are drained now are kept by PodDisruptionBudgets that never let a pod go:
/// GKE gives up on them after an hour. In seconds.
pub fn held_up(state: &State, op: &Operation) -> u32 {
    let asked = Some(Change::Rollback {
        respects_budgets: false,
    });
    if op.change == asked {
        return 0;
    }
    let blocked = subject(state, op).is_some_and(|(kube, _)| {
        op.draining
            .iter()
            .any(|node| kube.blocks_eviction(node).is_some())
    });
    if blocked { 3600 } else { 0 }
}

/// Drains the rest of the batch; what is missing then is added.
pub fn finish_batch(state: &mut State, op: &mut Operation, mode: MetadataMode) {
    let Some((kube, pool)) = subject(state, op) else {
        return;
    };
    if pool.upgrade.strategy == Strategy::BlueGreen {
        // Drained nodes hold no pods, so that they stay until the last soak ends shows nowhere.
        for name in &op.draining {
            kube.remove_node(name);
        }
    } else {
        let surge = (pool.upgrade.max_surge as usize).min(op.draining.len());
        let unavailable = op.draining.len() - surge;
        add(state, op, &kube, &pool, mode, unavailable);
        for name in &op.draining[unavailable..] {
            kube.remove_node(name);
        }
    }
    kube.schedule();
    op.nodes_done += u32::try_from(op.draining.len()).unwrap_or(0);
    op.draining.clear();
}

/// How long blue-green waits after the last batch, in seconds.
pub fn last_soak(state: &State, op: &Operation) -> u32 {
    match subject(state, op) {
        _ if matches!(op.change, Some(Change::Rollback { .. })) => 0,
        Some((_, pool)) if pool.upgrade.strategy == Strategy::BlueGreen => {
            pool.upgrade.blue_green.node_pool_soak_seconds
        }
        _ => 0,
    }
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
