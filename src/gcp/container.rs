//! GKE: `container.googleapis.com/v1`.

use serde::Deserialize;

use crate::http::{ApiError, Http};
use crate::identity::{ClusterPath, ProjectId};

/// The answer of `projects.locations.clusters.list` over all locations; it is not paged.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterList {
    /// The clusters that were found.
    pub clusters: Vec<Cluster>,
    /// Zones that did not answer: what is not listed there is unknown, not absent.
    pub missing_zones: Vec<String>,
}

/// The fields of a GKE cluster that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    pub name: String,
    pub location: String,
    pub status: String,
    pub etag: String,
    pub current_master_version: String,
    pub autopilot: Enabled,
    pub workload_identity_config: WorkloadIdentityConfig,
    pub endpoint: String,
    pub master_auth: MasterAuth,
    pub control_plane_endpoints_config: ControlPlaneEndpoints,
    pub node_pools: Vec<NodePool>,
    pub conditions: Vec<StatusCondition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct StatusCondition {
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Enabled {
    pub enabled: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadIdentityConfig {
    /// `PROJECT.svc.id.goog`; empty or absent when Workload Identity is off.
    pub workload_pool: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MasterAuth {
    /// PEM in base64.
    pub cluster_ca_certificate: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlPlaneEndpoints {
    pub dns_endpoint_config: DnsEndpoint,
    pub ip_endpoints_config: IpEndpoints,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DnsEndpoint {
    pub endpoint: String,
    pub allow_external_traffic: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpEndpoints {
    /// `None` when the cluster is older than this setting.
    pub enabled: Option<bool>,
    pub public_endpoint: String,
    pub private_endpoint: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePool {
    pub name: String,
    pub status: String,
    pub etag: String,
    pub config: NodeConfig,
    pub upgrade_settings: UpgradeSettings,
    pub initial_node_count: u32,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeConfig {
    /// An email, or `default` for the Compute Engine default service account.
    pub service_account: String,
    pub workload_metadata_config: WorkloadMetadataConfig,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadMetadataConfig {
    /// `GCE_METADATA`, `GKE_METADATA`, or a legacy name; empty is the Compute Engine server.
    pub mode: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeSettings {
    pub strategy: String,
    pub max_surge: u32,
    pub max_unavailable: u32,
}

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
    pub status_message: String,
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
    pub fn is_done(&self) -> bool {
        unimplemented!()
    }
    /// What GKE says went wrong, once done.
    pub fn failure(&self) -> Option<String> {
        unimplemented!()
    }
    /// Whether it works on this cluster or one of its node pools: by (location, name), since links
    /// carry the project number and `zones/` or `locations/`.
    pub fn targets(&self, _cluster: &ClusterPath) -> bool {
        unimplemented!()
    }
    /// (done, total) nodes, where GKE reports it.
    pub fn node_progress(&self) -> Option<(u64, u64)> {
        unimplemented!()
    }
}

pub async fn list_clusters(_http: &Http, _project: &ProjectId) -> Result<ClusterList, ApiError> {
    unimplemented!()
}
pub async fn get_cluster(_http: &Http, _cluster: &ClusterPath) -> Result<Cluster, ApiError> {
    unimplemented!()
}
/// Operations of the cluster's location.
pub async fn list_operations(
    _http: &Http,
    _cluster: &ClusterPath,
) -> Result<Vec<Operation>, ApiError> {
    unimplemented!()
}
pub async fn get_operation(
    _http: &Http,
    _cluster: &ClusterPath,
    _name: &str,
) -> Result<Operation, ApiError> {
    unimplemented!()
}
pub async fn set_workload_pool(
    _http: &Http,
    _cluster: &ClusterPath,
    _pool: &str,
    _etag: &str,
) -> Result<Operation, ApiError> {
    unimplemented!()
}
pub async fn set_node_pool_metadata_mode(
    _http: &Http,
    _cluster: &ClusterPath,
    _node_pool: &str,
    _mode: &str,
    _etag: &str,
) -> Result<Operation, ApiError> {
    unimplemented!()
}
