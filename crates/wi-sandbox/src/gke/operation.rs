//! A long-running operation: what is saved of it, and how the API shows it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cluster::location_kind;
use super::pool::MetadataMode;
use super::upgrade::Upgrade;
use crate::clock::{self, Millis};
use crate::ids::ClusterKey;
use crate::serde_help::is_default;

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
    /// The creation or the deletion of a cluster or a node pool.
    pub create: u32,
    /// The recreation of as many nodes as `maxSurge` and `maxUnavailable` allow at once.
    pub node_recreate: u32,
    /// A change of a membership of a fleet.
    pub membership: u32,
}

impl Default for OperationSeconds {
    fn default() -> Self {
        Self {
            pending: 2,
            update_cluster: 240,
            set_labels: 20,
            create: 240,
            node_recreate: 90,
            membership: 20,
        }
    }
}

/// An operation on a cluster or node pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// `operation-…`.
    pub name: String,
    /// `UPDATE_CLUSTER`, `SET_LABELS` …; empty: none is shown, as GKE does at times.
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
    /// Other settings of the cluster, by their names in the API.
    Setting(Map<String, Value>),
    /// Other settings of the node pool, in the shape in which the API shows it.
    NodePoolSetting(Map<String, Value>),
    /// How many nodes the node pool has, in all zones.
    Size(u32),
    /// The nodes that an update which failed had changed are again as the node pool has them.
    Rollback {
        /// Whether budgets that never let a pod go are waited for.
        #[serde(rename = "respectsBudgets")]
        respects_budgets: bool,
    },
    /// The cluster comes.
    CreateCluster,
    /// The cluster goes.
    DeleteCluster,
    /// The node pool comes.
    CreateNodePool,
    /// The node pool goes.
    DeleteNodePool,
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
            "status": self.status,
            "zone": self.location,
            "selfLink": format!("{parent}/operations/{}", self.name),
            "targetLink": self.target(&parent),
            "startTime": self.start_time,
        });
        if !self.operation_type.is_empty() {
            shown["operationType"] = self.operation_type.clone().into();
        }
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

    /// `PARENT/clusters/C[/nodePools/N]`.
    pub fn target(&self, parent: &str) -> String {
        match &self.node_pool {
            Some(pool) => format!("{parent}/clusters/{}/nodePools/{pool}", self.cluster),
            None => format!("{parent}/clusters/{}", self.cluster),
        }
    }

    /// An operation that was never `PENDING` begins with its first step, at its start.
    pub fn starts_at(&self, due: Millis) -> bool {
        clock::parse(&self.start_time) == Some(due)
    }
}
