//! Long-running operations: how they look, and how they move on with simulated time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cluster::{etag, location_kind};
use super::pool::MetadataMode;
use super::rollout;
use super::upgrade::Upgrade;
use crate::clock::{self, Millis};
use crate::errors::ApiError;
use crate::faults;
use crate::oracle;
use crate::state::{ClusterKey, State, hash};
use crate::world::is_default;

/// How long operations take, in simulated seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OperationSeconds {
    /// How long an operation is `PENDING`.
    pub pending: u32,
    /// An update of a cluster.
    pub update_cluster: u32,
    /// New labels, of a cluster; new upgrade settings, of a node pool.
    pub set_labels: u32,
    /// The recreation of as many nodes as `maxSurge` and `maxUnavailable` allow at once.
    pub node_recreate: u32,
}

impl Default for OperationSeconds {
    fn default() -> Self {
        Self {
            pending: 2,
            update_cluster: 240,
            set_labels: 20,
            node_recreate: 90,
        }
    }
}

/// An operation on a cluster or node pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// `operation-…`.
    pub name: String,
    /// `UPDATE_CLUSTER`, `SET_LABELS` …
    pub operation_type: String,
    /// The project id.
    pub project: String,
    /// Region or zone.
    pub location: String,
    /// The cluster.
    pub cluster: String,
    /// The node pool, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<String>,
    /// `PENDING`, `RUNNING` or `DONE`.
    pub status: String,
    /// RFC 3339, simulated.
    pub start_time: String,
    /// RFC 3339, simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it does, until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// When something happens next (RFC 3339, simulated).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// For node pools: how many nodes are to be recreated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nodes_total: u32,
    /// For node pools: how many are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nodes_done: u32,
    /// For node pools: the nodes that are still to be recreated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
    /// For node pools: the nodes that make room now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<String>,
    /// For node pools that are updated blue-green: whether all nodes are drained and the last soak
    /// has begun.
    #[serde(default, skip_serializing_if = "is_default")]
    pub soaking: bool,
}

/// What an operation changes when it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// The cluster's workload pool; empty turns it off.
    WorkloadPool(String),
    /// The cluster's labels.
    Labels(BTreeMap<String, String>),
    /// The node pool's metadata server.
    WorkloadMetadata(MetadataMode),
    /// How the node pool's nodes are recreated.
    Upgrade(Upgrade),
    /// A change that the sandbox does not keep, such as a cluster's logging settings.
    Nothing,
}

impl Operation {
    /// The cluster that it is about.
    pub fn key(&self) -> ClusterKey {
        (
            self.project.clone(),
            self.location.clone(),
            self.cluster.clone(),
        )
    }

    /// Whether it still holds its cluster.
    pub fn is_running(&self) -> bool {
        self.status != "DONE"
    }

    /// The operation as the API shows it.
    pub fn show(&self, number: u64) -> Value {
        let parent = format!(
            "https://container.googleapis.com/v1/projects/{number}/{}/{}",
            location_kind(&self.location),
            self.location
        );
        let mut shown = json!({
            "name": self.name,
            "operationType": self.operation_type,
            "status": self.status,
            "location": self.location,
            "zone": self.location,
            "selfLink": format!("{parent}/operations/{}", self.name),
            "targetLink": self.target(&parent),
            "startTime": self.start_time,
        });
        if let Some(end) = &self.end_time {
            shown["endTime"] = end.clone().into();
        }
        if self.nodes_total > 0 {
            shown["progress"] = json!({"metrics": [
                {"name": "NODES_TOTAL", "intValue": self.nodes_total.to_string()},
                {"name": "NODES_DONE", "intValue": self.nodes_done.to_string()},
            ]});
            shown["detail"] =
                format!("{} of {} nodes updated.", self.nodes_done, self.nodes_total).into();
        }
        if let Some(error) = &self.error {
            shown["error"] = json!({"code": 13, "message": error});
            shown["statusMessage"] = error.clone().into();
        }
        shown
    }

    fn target(&self, parent: &str) -> String {
        match &self.node_pool {
            Some(pool) => format!("{parent}/clusters/{}/nodePools/{pool}", self.cluster),
            None => format!("{parent}/clusters/{}", self.cluster),
        }
    }
}

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

/// Does all that was due by now. Says if anything happened.
pub fn advance(state: &mut State) -> bool {
    let now = state.clock.now();
    let mut any = false;
    while let Some(due) = next_due(state).filter(|due| *due <= now) {
        let is_next = |op: &Operation| op.is_running() && self::due(state, op) == Some(due);
        let at = state.world.operations.iter().position(is_next);
        let Some(at) = at else { break };
        let mut op = state.world.operations[at].clone();
        step(state, &mut op, due);
        let after = format!("a step of {} on {}", op.name, op.cluster);
        state.world.operations[at] = op;
        oracle::record(state, &after);
        any = true;
    }
    any
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
            Some(Change::WorkloadMetadata(_)) => {}
            Some(Change::Labels(_) | Change::Upgrade(_)) => return wait(op, seconds.set_labels),
            _ => return wait(op, seconds.update_cluster),
        }
    }
    if let Some(Change::WorkloadMetadata(mode)) = op.change {
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

impl Operation {
    /// An operation that was never `PENDING` begins with its first step, at its start.
    fn starts_at(&self, due: Millis) -> bool {
        clock::parse(&self.start_time) == Some(due)
    }
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
        Change::Nothing => {}
    }
    cluster.etag = etag(revision);
}
