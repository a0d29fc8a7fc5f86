//! What GKE answers: `container.googleapis.com/v1`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::upgrade::UpgradeSettings;
use crate::names::ClusterPath;

/// The answer of `projects.locations.clusters.list` over all locations; it is not paged.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterList {
    /// The clusters that were found.
    pub clusters: Vec<Cluster>,
    /// Zones that did not answer: what is not listed there is unknown, not absent.
    pub missing_zones: Vec<String>,
}

impl ClusterList {
    /// Whether what is in a region or zone may be missing.
    pub fn lacks(&self, location: &str) -> bool {
        let zones = &mut self.missing_zones.iter();
        zones.any(|zone| zone == location || zone.starts_with(&format!("{location}-")))
    }
}

/// The fields of a GKE cluster that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    /// Unique: a cluster that is made anew under the same name has another.
    pub id: String,
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
    pub private_cluster_config: PrivateCluster,
    pub autoscaling: ClusterAutoscaling,
    pub maintenance_policy: MaintenancePolicy,
    pub resource_labels: BTreeMap<String, String>,
    pub label_fingerprint: String,
    pub fleet: Fleet,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// `//gkehub.googleapis.com/projects/N/locations/L/memberships/M`; empty when the cluster is in no
    /// fleet.
    pub membership: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrivateCluster {
    pub private_endpoint: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAutoscaling {
    /// Whether GKE makes node pools by itself.
    pub enable_node_autoprovisioning: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MaintenancePolicy {
    pub window: MaintenanceWindow,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MaintenanceWindow {
    /// By name.
    pub maintenance_exclusions: BTreeMap<String, Exclusion>,
}

/// A time in which nodes are to be left alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exclusion {
    /// RFC 3339.
    pub start_time: String,
    /// RFC 3339.
    pub end_time: String,
    pub maintenance_exclusion_options: ExclusionOptions,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ExclusionOptions {
    /// `NO_UPGRADES` (the default), `NO_MINOR_UPGRADES` or `NO_MINOR_OR_NODE_UPGRADES`.
    pub scope: String,
}

impl Cluster {
    /// The exclusion that covers `now` and means nodes: its name and end.
    pub fn exclusion_at(&self, now: jiff::Timestamp) -> Option<(&str, &str)> {
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        self.maintenance_policy
            .window
            .maintenance_exclusions
            .iter()
            .find(|(_, e)| {
                // NO_MINOR_UPGRADES lets nodes be upgraded, so it does not mean them.
                e.maintenance_exclusion_options.scope != "NO_MINOR_UPGRADES"
                    && time(&e.start_time).is_none_or(|start| start <= now)
                    && time(&e.end_time).is_some_and(|end| now < end)
            })
            .map(|(name, e)| (name.as_str(), e.end_time.as_str()))
    }
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
    /// `None`: GKE's default, one surge node.
    pub upgrade_settings: Option<UpgradeSettings>,
    /// Per zone.
    pub initial_node_count: u32,
    /// Its zones.
    pub locations: Vec<String>,
    /// URLs of its managed instance groups.
    pub instance_group_urls: Vec<String>,
    pub autoscaling: NodePoolAutoscaling,
}

impl NodePool {
    /// What the names of its nodes begin with, one for each of its managed instance groups, which are
    /// named so with `-grp` at the end.
    pub fn node_prefixes(&self) -> impl Iterator<Item = &str> {
        self.instance_group_urls
            .iter()
            .filter_map(|url| url.rsplit('/').next()?.strip_suffix("grp"))
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodePoolAutoscaling {
    /// Whether GKE made it by itself.
    pub autoprovisioned: bool,
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
                crate::words::safe(&error.message),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ProjectId;

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
