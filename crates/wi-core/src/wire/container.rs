//! What GKE answers: `container.googleapis.com/v1`.

mod maintenance;
mod operation;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

pub use maintenance::{
    Exclusion, ExclusionOptions, ExclusionUntilEndOfSupport, MaintenancePolicy, MaintenanceWindow,
    NodePoolMaintenance,
};
pub use operation::{Metric, Operation, OperationError, Progress};

use self::maintenance::UNTIL_END_OF_SUPPORT;
use super::upgrade::UpgradeSettings;

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

/// The mode of a node pool whose nodes run the GKE metadata server.
pub const GKE_METADATA: &str = "GKE_METADATA";

/// `Cluster.status`; what is not known is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum ClusterStatus {
    Provisioning,
    Running,
    Reconciling,
    Degraded,
    Stopping,
    Error,
    Other(String),
}

impl ClusterStatus {
    /// Whether it takes changes.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running | Self::Reconciling | Self::Degraded)
    }

    /// Whether its Kubernetes API may answer; of a state that is not known, too.
    pub fn may_answer(&self) -> bool {
        !self.comes_or_goes() && *self != Self::Error
    }

    /// Whether it is being made or deleted: of what is or was in it nothing can be told yet, or any more.
    pub fn comes_or_goes(&self) -> bool {
        matches!(self, Self::Provisioning | Self::Stopping)
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Running => "RUNNING",
            Self::Reconciling => "RECONCILING",
            Self::Degraded => "DEGRADED",
            Self::Stopping => "STOPPING",
            Self::Error => "ERROR",
            Self::Other(status) => status,
        }
    }
}

impl From<String> for ClusterStatus {
    fn from(status: String) -> Self {
        let known = [
            Self::Provisioning,
            Self::Running,
            Self::Reconciling,
            Self::Degraded,
            Self::Stopping,
            Self::Error,
        ];
        let same = known.into_iter().find(|known| known.as_str() == status);
        same.unwrap_or(Self::Other(status))
    }
}

impl Default for ClusterStatus {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl fmt::Display for ClusterStatus {
    /// As GKE writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    pub status: ClusterStatus,
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
    pub network_config: NetworkConfig,
    pub cluster_ipv4_cidr: String,
    pub services_ipv4_cidr: String,
    pub network_policy: Enabled,
    /// Authorization of before RBAC.
    pub legacy_abac: Enabled,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkConfig {
    /// `ADVANCED_DATAPATH` is GKE Dataplane V2.
    pub datapath_provider: String,
    /// The VPC: `projects/P/global/networks/N`.
    pub network: String,
}

/// `UsableSubnetwork`: a subnetwork that clusters of a project can be in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subnetwork {
    /// `projects/P/regions/R/subnetworks/S`.
    pub subnetwork: String,
    /// Its VPC: `projects/P/global/networks/N`.
    pub network: String,
    /// What nodes have their addresses from.
    pub ip_cidr_range: String,
    pub secondary_ip_ranges: Vec<SecondaryRange>,
}

/// `UsableSubnetworkSecondaryRange`: what pods or services have their addresses from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecondaryRange {
    pub range_name: String,
    pub ip_cidr_range: String,
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
    pub master_ipv4_cidr_block: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAutoscaling {
    /// Whether GKE makes node pools by itself.
    pub enable_node_autoprovisioning: bool,
    pub autoprovisioning_node_pool_defaults: NodePoolDefaults,
}

/// What node pools have that GKE makes by itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePoolDefaults {
    /// An email, or `default`.
    pub service_account: String,
    pub oauth_scopes: Vec<String>,
}

impl Cluster {
    /// Whether pods of a node pool have the node's identity: neither the metadata server of GKE runs there
    /// nor Autopilot, which has it everywhere.
    pub fn has_node_identity(&self, pool: &NodePool) -> bool {
        !self.autopilot.enabled
            && !pool.autopilot_config.enabled
            && pool.config.workload_metadata_config.mode != GKE_METADATA
    }

    /// Whether NetworkPolicies have any effect.
    pub fn enforces_network_policies(&self) -> bool {
        self.has_dataplane_v2() || self.network_policy.enabled
    }

    /// Whether it is on GKE Dataplane V2.
    pub fn has_dataplane_v2(&self) -> bool {
        self.network_config.datapath_provider == "ADVANCED_DATAPATH"
    }

    /// The exclusion that covers `now` and means the nodes of this pool, the cluster's or the node pool's
    /// own: its name, and until when it holds.
    pub fn exclusion_at(&self, node_pool: &str, now: jiff::Timestamp) -> Option<(String, String)> {
        let own = self.node_pools.iter().find(|p| p.name == node_pool);
        let own = own.map(|p| &p.maintenance_policy.exclusion_until_end_of_support);
        if let Some(own) = own.filter(|own| own.enabled) {
            let end = Exclusion {
                start_time: own.start_time.clone(),
                end_time: own.end_time.clone(),
                maintenance_exclusion_options: ExclusionOptions {
                    end_time_behavior: UNTIL_END_OF_SUPPORT.to_owned(),
                    ..ExclusionOptions::default()
                },
            };
            if let Some(until) = end.until(now) {
                return Some(("exclusionUntilEndOfSupport".to_owned(), until));
            }
        }
        self.maintenance_policy
            .window
            .maintenance_exclusions
            .iter()
            // NO_MINOR_UPGRADES lets nodes be upgraded, so it does not mean them.
            .filter(|(_, e)| e.maintenance_exclusion_options.scope != "NO_MINOR_UPGRADES")
            .find_map(|(name, e)| Some((name.clone(), e.until(now)?)))
    }
}

/// Why a cluster, a node pool or an operation is in its state.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusCondition {
    /// Of `google.rpc.Code`, by name.
    pub canonical_code: String,
    /// The older one, such as `GCE_STOCKOUT`.
    pub code: String,
    pub message: String,
}

impl StatusCondition {
    /// In GKE's words; `None` where it says that nothing is wrong.
    fn complaint(&self) -> Option<&str> {
        let codes = [self.code.as_str(), self.canonical_code.as_str()];
        let mut codes = codes
            .into_iter()
            .filter(|c| !matches!(*c, "" | "OK" | "UNKNOWN"));
        match self.message.as_str() {
            "" => codes.next(),
            _ if self.canonical_code == "OK" => None,
            message => Some(message),
        }
    }
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
    /// Of the static password, which new clusters cannot have.
    pub username: String,
    pub client_certificate_config: ClientCertificate,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientCertificate {
    /// Whether the cluster gave one out as it was made.
    pub issue_client_certificate: bool,
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
    /// Whether Autopilot runs its nodes, in a Standard cluster.
    pub autopilot_config: Enabled,
    pub maintenance_policy: NodePoolMaintenance,
}

impl NodePool {
    /// Whether `workloadMetadataConfig.mode` is one of those that are known, none and the names of old among them.
    pub fn has_known_mode(&self) -> bool {
        let of_old = ["", "MODE_UNSPECIFIED", "UNSPECIFIED", "SECURE", "EXPOSE"];
        let mode = self.config.workload_metadata_config.mode.as_str();
        of_old.contains(&mode) || matches!(mode, "GCE_METADATA" | GKE_METADATA)
    }

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
    /// Of the tokens of its service account; `https://www.googleapis.com/auth/…`.
    pub oauth_scopes: Vec<String>,
    pub workload_metadata_config: WorkloadMetadataConfig,
    /// What its virtual machines are told, such as `disable-legacy-endpoints`.
    pub metadata: BTreeMap<String, String>,
    /// Kubernetes labels that its nodes get beside GKE's own.
    pub labels: BTreeMap<String, String>,
    /// Kubernetes taints of its nodes.
    pub taints: Vec<NodeTaint>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeTaint {
    pub key: String,
    pub value: String,
    /// `NO_SCHEDULE`, `PREFER_NO_SCHEDULE` or `NO_EXECUTE`.
    pub effect: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadMetadataConfig {
    /// `GCE_METADATA`, `GKE_METADATA`, or a legacy name; empty is the Compute Engine server.
    pub mode: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{ClusterPath, ProjectId};
    use serde_json::json;

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

    fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).expect("as GKE answers")
    }

    #[test]
    fn a_done_operation_that_says_what_went_wrong_has_failed() {
        for (told, why) in [
            (
                json!({"error": {"code": 9, "message": "no quota"}}),
                Some("no quota (code 9)"),
            ),
            (
                json!({"error": {"code": 9}, "statusMessage": "no quota"}),
                Some("no quota (code 9)"),
            ),
            (
                json!({"error": {}, "statusMessage": "no quota"}),
                Some("no quota"),
            ),
            (
                json!({"nodepoolConditions": [{"code": "GCE_STOCKOUT", "message": "no capacity"}]}),
                Some("no capacity"),
            ),
            (
                json!({"clusterConditions": [{"canonicalCode": "INTERNAL"}]}),
                Some("INTERNAL"),
            ),
            (
                json!({"clusterConditions": [{"canonicalCode": "OK", "message": "fine"}]}),
                None,
            ),
            (json!({"error": {}, "nodepoolConditions": [{}]}), None),
            (json!({}), None),
        ] {
            let operation: Operation = from(told.clone());
            assert_eq!(operation.failure().as_deref(), why, "{told}");
        }
    }

    #[test]
    fn exclusions_hold_until_their_end_or_that_of_support() {
        let now: jiff::Timestamp = "2026-11-30T00:00:00Z".parse().expect("a time");
        let (before, after) = ("2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z");
        let until = |exclusion: serde_json::Value| {
            let cluster: Cluster = from(json!({
                "nodePools": [{"name": "p"}],
                "maintenancePolicy": {"window": {"maintenanceExclusions": {"freeze": exclusion}}},
            }));
            cluster.exclusion_at("p", now).map(|(_, until)| until)
        };
        let eos = json!({"scope": "NO_MINOR_OR_NODE_UPGRADES", "endTimeBehavior": "UNTIL_END_OF_SUPPORT"});
        let of_support = Some("the end of support of its version".to_owned());
        assert_eq!(
            until(json!({"startTime": before, "endTime": after})),
            Some(after.to_owned())
        );
        assert_eq!(until(json!({"startTime": before, "endTime": before})), None);
        assert_eq!(until(json!({"startTime": after, "endTime": after})), None);
        assert_eq!(
            until(json!({"startTime": before, "maintenanceExclusionOptions": eos})),
            of_support
        );
        let passed =
            json!({"startTime": before, "endTime": before, "maintenanceExclusionOptions": eos});
        assert_eq!(until(passed), of_support);
        assert!(until(json!({"startTime": before})).is_some());
        let tomorrow = json!({"endTime": after, "maintenanceExclusionOptions": {"scope": "SCOPE_OF_TOMORROW"}});
        assert!(until(tomorrow).is_some());
        let minor = json!({"endTime": after, "maintenanceExclusionOptions": {"scope": "NO_MINOR_UPGRADES"}});
        assert_eq!(until(minor), None);
        let cluster: Cluster = from(json!({"nodePools": [
            {"name": "p", "maintenancePolicy": {"exclusionUntilEndOfSupport": {"enabled": true, "startTime": before}}},
            {"name": "q"},
        ]}));
        assert_eq!(
            cluster.exclusion_at("p", now).map(|(_, until)| until),
            of_support
        );
        assert_eq!(cluster.exclusion_at("q", now), None);
    }

    #[test]
    fn an_operation_without_a_type_has_one_blank_less() {
        let operation: Operation = from(json!({"name": "operation-9"}));
        assert_eq!(operation.title(), "operation-9");
    }
}
