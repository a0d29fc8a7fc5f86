//! Long-running operations move on with simulated time.

use serde_json::{Value, json};

use super::cluster::{etag, location_kind};
use super::operation::{Change, Operation};
use super::{completion, rollout, show};
use crate::clock::{self, Millis};
use crate::errors::ApiError;
use crate::faults;
use crate::ids::{ClusterKey, hash};
use crate::samples;
use crate::state::State;

/// Refuses a change while an operation holds the cluster.
pub fn ensure_idle(state: &State, key: &ClusterKey) -> Result<(), ApiError> {
    match state
        .world
        .operations
        .iter()
        .find(|op| op.is_running() && op.key() == *key)
    {
        None => Ok(()),
        Some(op) => Err(ApiError::precondition(format!(
            "Cluster is running incompatible operation {}.",
            op.name
        ))
        .with_info(
            "CLUSTER_ALREADY_HAS_OPERATION",
            "container.googleapis.com",
            json!({}),
        )),
    }
}

/// Starts an operation and gives it as the API shows it.
pub fn start(
    state: &mut State,
    key: &ClusterKey,
    node_pool: Option<&str>,
    change: Change,
) -> Value {
    let kind = match change {
        Change::Labels(_) => "SET_LABELS",
        Change::CreateCluster => "CREATE_CLUSTER",
        Change::DeleteCluster => "DELETE_CLUSTER",
        Change::CreateNodePool => "CREATE_NODE_POOL",
        Change::DeleteNodePool => "DELETE_NODE_POOL",
        Change::Size(_) => "SET_NODE_POOL_SIZE",
        Change::Rollback { .. } => "UPGRADE_NODES",
        // The v1 API shows changes of a node pool's configuration as updates of the cluster.
        _ => "UPDATE_CLUSTER",
    };
    let now = state.clock.now();
    let id = hash(&(state.next_revision(), key));
    let (project, location, cluster) = key.clone();
    let pending = i64::from(state.world.operation_seconds.pending) * 1000;
    let operation = Operation {
        name: format!("operation-{now}-{:08x}-{:04x}", id >> 32, id & 0xffff),
        operation_type: kind.to_owned(),
        project,
        location,
        cluster,
        node_pool: node_pool.map(str::to_owned),
        status: if pending > 0 { "PENDING" } else { "RUNNING" }.to_owned(),
        start_time: clock::text(now),
        end_time: None,
        error: None,
        change: Some(change),
        next_at: Some(clock::text(now + pending)),
        nodes_total: 0,
        nodes_done: 0,
        waiting: Vec::new(),
        draining: Vec::new(),
        soaking: false,
    };
    let number = state.number(&operation.project);
    let shown = operation.show(number);
    state.world.operations.push(operation);
    shown
}

/// When the next thing happens, if an operation runs.
pub fn next_due(state: &State) -> Option<Millis> {
    let running = state.world.operations.iter().filter(|op| op.is_running());
    running.filter_map(|op| due(state, op)).min()
}

/// When the next thing happens to an operation that no fault holds.
fn due(state: &State, op: &Operation) -> Option<Millis> {
    let at = clock::parse(op.next_at.as_deref()?)?;
    (!faults::is_stuck(&state.world.faults, &about(state, op))).then_some(at)
}

/// What faults compare with: `TYPE targetLink`.
fn about(state: &State, op: &Operation) -> String {
    let number = state.number(&op.project);
    let parent = format!(
        "projects/{number}/{}/{}",
        location_kind(&op.location),
        op.location
    );
    format!("{} {}", op.operation_type, op.target(&parent))
}

/// Does all that was due by a time.
pub fn advance_to(state: &mut State, now: Millis) {
    while let Some(due) = next_due(state).filter(|due| *due <= now) {
        let is_next = |op: &Operation| op.is_running() && self::due(state, op) == Some(due);
        let at = state.world.operations.iter().position(is_next);
        let Some(at) = at else { break };
        let mut op = state.world.operations[at].clone();
        step(state, &mut op, due);
        let after = format!("a step of {} on {}", op.name, op.cluster);
        state.world.operations[at] = op;
        samples::take(state, &after);
    }
}

/// One step of one operation, at the simulated time `due`.
fn step(state: &mut State, op: &mut Operation, due: Millis) {
    let seconds = state.world.operation_seconds.clone();
    let wait = |op: &mut Operation, seconds: u32| {
        op.next_at = Some(clock::text(due + i64::from(seconds).max(1) * 1000));
    };
    let begins = op.status == "PENDING" || (op.nodes_total == 0 && op.starts_at(due));
    if begins {
        op.status = "RUNNING".to_owned();
        match op.change {
            Some(Change::WorkloadMetadata(_) | Change::Rollback { .. }) => {}
            Some(Change::Labels(_) | Change::Upgrade(_)) => return wait(op, seconds.set_labels),
            Some(
                Change::CreateCluster
                | Change::DeleteCluster
                | Change::CreateNodePool
                | Change::DeleteNodePool,
            ) => return wait(op, seconds.create),
            _ => return wait(op, seconds.update_cluster),
        }
    }
    if let Some(mode) = rollout::mode(state, op) {
        if begins {
            rollout::begin(state, op, mode);
        } else {
            rollout::finish_batch(state, op, mode);
        }
        // A failing operation stops half way: some nodes are new, the pool keeps its old setting.
        let half_way = op.nodes_done * 2 >= op.nodes_total;
        let stopped = half_way && fails(state, op, false);
        if !op.waiting.is_empty() && !stopped {
            let extra = rollout::begin_batch(state, op, mode);
            let held_up = rollout::held_up(state, op);
            return wait(op, seconds.node_recreate + extra + held_up);
        }
        if !stopped && !op.soaking {
            let soak = rollout::last_soak(state, op);
            if soak > 0 {
                op.soaking = true;
                return wait(op, soak);
            }
        }
    }
    if op.error.is_none() && !fails(state, op, true) {
        complete(state, op, due);
    }
    op.status = "DONE".to_owned();
    op.end_time = Some(clock::text(due));
    op.next_at = None;
    op.change = None;
    op.waiting.clear();
}

/// Takes the error that a fault has for this operation.
fn fails(state: &mut State, op: &mut Operation, ends: bool) -> bool {
    let about = about(state, op);
    op.error = op
        .error
        .take()
        .or_else(|| faults::operation_error(&mut state.world.faults, &about, ends));
    op.error.is_some()
}

fn complete(state: &mut State, op: &Operation, due: Millis) {
    let Some(change) = op.change.clone() else {
        return;
    };
    let revision = state.next_revision();
    let pool_seen = due + i64::from(state.world.propagation_seconds.workload_pool) * 1000;
    let Some(cluster) = state
        .world
        .clusters
        .iter_mut()
        .find(|c| c.key() == op.key())
    else {
        return;
    };
    match change {
        Change::WorkloadPool(pool) if pool.is_empty() => cluster.workload_pool = None,
        Change::WorkloadPool(pool) => {
            cluster.workload_pool = Some(pool);
            if let Some(project) = state.world.projects.get_mut(&op.project) {
                project
                    .workload_pool_since
                    .get_or_insert_with(|| clock::text(pool_seen));
            }
        }
        Change::Labels(labels) => cluster.labels = labels,
        Change::WorkloadMetadata(mode) => {
            let pool = cluster
                .node_pools
                .iter_mut()
                .find(|p| Some(&p.name) == op.node_pool.as_ref());
            if let Some(pool) = pool {
                pool.workload_metadata = Some(mode);
                pool.etag = etag(revision + 1_000_000_007);
            }
        }
        Change::Upgrade(upgrade) => {
            let pool = cluster
                .node_pools
                .iter_mut()
                .find(|p| Some(&p.name) == op.node_pool.as_ref());
            if let Some(pool) = pool {
                pool.upgrade = upgrade;
                pool.etag = self::etag(revision + 1_000_000_007);
            }
        }
        Change::Setting(fields) => {
            for (name, value) in &fields {
                show::merge(
                    cluster.extra.entry(name.clone()).or_insert(Value::Null),
                    value,
                );
            }
        }
        Change::NodePoolSetting(fields) => {
            let mut pools = cluster.node_pools.iter_mut();
            if let Some(pool) = pools.find(|p| Some(&p.name) == op.node_pool.as_ref()) {
                for (name, value) in &fields {
                    show::merge(pool.extra.entry(name.clone()).or_insert(Value::Null), value);
                }
                pool.etag = self::etag(revision + 1_000_000_007);
            }
        }
        change => {
            let pool = op.node_pool.as_deref();
            return completion::complete(state, &op.key(), pool, &change);
        }
    }
    cluster.etag = etag(revision);
}
