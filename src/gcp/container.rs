//! GKE: `container.googleapis.com/v1`.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Api, ApiError, Http, Request};
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
    /// Whether it has ended, well or not.
    pub fn is_done(&self) -> bool {
        self.status == "DONE"
    }

    /// What GKE says went wrong, once done: HTTP 200 and DONE may still be a failure.
    pub fn failure(&self) -> Option<String> {
        match &self.error {
            Some(error) if error.code != 0 || !error.message.is_empty() => Some(format!(
                "{} (code {})",
                crate::render::safe(&error.message),
                error.code
            )),
            _ => None,
        }
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

/// `projects.locations.clusters.list` over all locations; node pools are part of it.
pub async fn list_clusters(http: &Http, project: &ProjectId) -> Result<ClusterList, ApiError> {
    get(http, &format!("projects/{project}/locations/-/clusters")).await
}

/// `projects.locations.clusters.get`.
pub async fn get_cluster(http: &Http, cluster: &ClusterPath) -> Result<Cluster, ApiError> {
    get(http, &cluster.to_string()).await
}

/// `projects.locations.operations.list` of the cluster's location; it is not paged.
pub async fn list_operations(
    http: &Http,
    cluster: &ClusterPath,
) -> Result<Vec<Operation>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Operations {
        operations: Vec<Operation>,
    }
    let path = format!(
        "projects/{}/locations/{}/operations",
        cluster.project, cluster.location
    );
    Ok(get::<Operations>(http, &path).await?.operations)
}

/// `projects.locations.operations.get`.
pub async fn get_operation(
    http: &Http,
    cluster: &ClusterPath,
    name: &str,
) -> Result<Operation, ApiError> {
    let path = format!(
        "projects/{}/locations/{}/operations/{name}",
        cluster.project, cluster.location
    );
    get(http, &path).await
}

/// `projects.locations.clusters.update` of the workload pool, under the cluster's etag.
pub async fn set_workload_pool(
    http: &Http,
    cluster: &ClusterPath,
    pool: &str,
    etag: &str,
) -> Result<Operation, ApiError> {
    let mut update = json!({"desiredWorkloadIdentityConfig": {"workloadPool": pool}});
    if !etag.is_empty() {
        update["etag"] = etag.into();
    }
    put(http, &cluster.to_string(), json!({ "update": update })).await
}

/// `projects.locations.clusters.nodePools.update` of the metadata server alone, under the node
/// pool's etag. A version or image type in this call would start an upgrade; none is sent.
pub async fn set_node_pool_metadata_mode(
    http: &Http,
    cluster: &ClusterPath,
    node_pool: &str,
    mode: &str,
    etag: &str,
) -> Result<Operation, ApiError> {
    let mut body = json!({"workloadMetadataConfig": {"mode": mode}});
    if !etag.is_empty() {
        body["etag"] = etag.into();
    }
    put(http, &format!("{cluster}/nodePools/{node_pool}"), body).await
}

async fn get<T: serde::de::DeserializeOwned>(http: &Http, path: &str) -> Result<T, ApiError> {
    let url = http.url(Api::Container, &format!("v1/{path}"));
    http.json(Request::new(Method::GET, url)).await
}

async fn put(http: &Http, path: &str, body: Value) -> Result<Operation, ApiError> {
    let url = http.url(Api::Container, &format!("v1/{path}"));
    http.json(Request::new(Method::PUT, url).body(body)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_matched_by_location_and_name() {
        let cluster = ClusterPath {
            project: ProjectId::parse("acme-prod").expect("valid"),
            location: "europe-west1-b".into(),
            name: "main".into(),
        };
        let operation = |link: &str| Operation {
            target_link: link.into(),
            ..Operation::default()
        };
        let base = "https://container.googleapis.com/v1/projects/123";
        assert!(operation(&format!("{base}/zones/europe-west1-b/clusters/main")).targets(&cluster));
        assert!(
            operation(&format!(
                "{base}/locations/europe-west1-b/clusters/main/nodePools/p"
            ))
            .targets(&cluster)
        );
        assert!(
            !operation(&format!("{base}/zones/europe-west1-b/clusters/main2")).targets(&cluster)
        );
        assert!(
            !operation(&format!("{base}/zones/europe-west1-c/clusters/main")).targets(&cluster)
        );
    }
}
