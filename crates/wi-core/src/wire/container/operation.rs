//! Operations, and what they say at their end.

use serde::Deserialize;

use super::StatusCondition;
use crate::names::ClusterPath;
use crate::words::safe;

/// A long-running operation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    pub name: String,
    pub operation_type: String,
    /// `PENDING`, `RUNNING`, `DONE` or `ABORTING`.
    pub status: String,
    pub location: String,
    pub target_link: String,
    pub start_time: String,
    pub error: Option<OperationError>,
    /// What went wrong, of operations without an `error`.
    pub status_message: String,
    /// As `status_message`.
    pub nodepool_conditions: Vec<StatusCondition>,
    /// As `status_message`.
    pub cluster_conditions: Vec<StatusCondition>,
    pub progress: Option<Progress>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OperationError {
    pub code: i64,
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub metrics: Vec<Metric>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    pub name: String,
    /// An int64 in JSON is a string.
    pub int_value: Option<String>,
}

impl Operation {
    /// Whether it has ended, well or not.
    pub fn is_done(&self) -> bool {
        self.status == "DONE"
    }

    /// What GKE says went wrong, once done: HTTP 200 and DONE may still be a failure, and it is told in
    /// three places, by some operations in one and by some in another.
    pub fn failure(&self) -> Option<String> {
        if let Some(error) = &self.error
            && (error.code != 0 || !error.message.is_empty())
        {
            let message = match error.message.as_str() {
                "" => self.status_message.as_str(),
                message => message,
            };
            return Some(format!("{} (code {})", safe(message), error.code));
        }
        if !self.status_message.is_empty() {
            return Some(safe(&self.status_message));
        }
        let conditions = self
            .nodepool_conditions
            .iter()
            .chain(&self.cluster_conditions);
        let complaints: Vec<&str> = conditions.filter_map(StatusCondition::complaint).collect();
        (!complaints.is_empty()).then(|| safe(&complaints.join("; ")))
    }

    /// Its kind and name, as far as GKE tells the kind: `UPGRADE_NODES operation-1`.
    pub fn title(&self) -> String {
        let parts = [self.operation_type.as_str(), self.name.as_str()];
        let told: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        told.join(" ")
    }

    /// Whether it works on this cluster or one of its node pools: by location and name, since
    /// links carry the project's number, and `zones/` or `locations/`.
    pub fn targets(&self, cluster: &ClusterPath) -> bool {
        let mut parts = self
            .target_link
            .split('/')
            .skip_while(|p| *p != "projects")
            .skip(2);
        matches!(parts.next(), Some("zones" | "locations"))
            && parts.next() == Some(cluster.location.as_str())
            && parts.next() == Some("clusters")
            && parts.next() == Some(cluster.name.as_str())
    }

    /// Done and total nodes, where GKE reports them.
    pub fn node_progress(&self) -> Option<(u64, u64)> {
        let metrics = &self.progress.as_ref()?.metrics;
        let metric = |name: &str| {
            metrics
                .iter()
                .find(|m| m.name == name)?
                .int_value
                .as_ref()?
                .parse()
                .ok()
        };
        Some((metric("NODES_DONE").unwrap_or(0), metric("NODES_TOTAL")?))
    }
}
