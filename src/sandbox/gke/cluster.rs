//! Clusters and node pools: what the world file says of them, and how the API shows them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sandbox::kube::{
    KubeState, NamespaceState, NodeSpec, PodDisruptionBudgetState, PodState, budgets,
};
use crate::sandbox::state::{ClusterKey, RunningKube, hash};
use crate::sandbox::world::{is_default, nullable_values};

const VERSION: &str = "1.33.5-gke.1308000";

/// A GKE cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// The project id.
    pub project: String,
    /// A region, or a zone.
    pub location: String,
    /// The name.
    pub name: String,
    /// `PROJECT.svc.id.goog`. Absent: Workload Identity is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_pool: Option<String>,
    /// Autopilot clusters always have their workload pool and refuse changes to node pools.
    #[serde(default, skip_serializing_if = "is_default")]
    pub autopilot: bool,
    /// `RUNNING` unless said otherwise. `RECONCILING` is shown while an operation runs.
    #[serde(default = "running", skip_serializing_if = "is_running")]
    pub status: String,
    /// Messages of `conditions`: why the status is what it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// `currentMasterVersion`. Absent: a recent one.
    #[serde(default = "version", skip_serializing_if = "is_version")]
    pub version: String,
    /// `resourceLabels`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether GKE makes node pools by itself when pods need them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub node_auto_provisioning: bool,
    /// Times without maintenance, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maintenance_exclusions: BTreeMap<String, Exclusion>,
    /// How the Kubernetes API is offered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub control_plane: ControlPlane,
    /// Nothing listens where the Kubernetes API is said to be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unreachable: bool,
    /// Node pools. Absent: one, `default-pool`, of 3 nodes.
    #[serde(default = "default_pools")]
    pub node_pools: Vec<NodePool>,
    /// Changes with the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Kubernetes namespaces by name, with their service accounts.
    #[serde(
        default,
        deserialize_with = "nullable_values",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(with = "BTreeMap<String, Option<NamespaceState>>")]
    pub namespaces: BTreeMap<String, NamespaceState>,
    /// Pods. One without a node is scheduled at the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodState>,
    /// Nodes. Absent: made from the node pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeSpec>,
    /// `PodDisruptionBudget`s of all namespaces.
    #[serde(
        default,
        deserialize_with = "budgets",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub pod_disruption_budgets: Vec<PodDisruptionBudgetState>,
    /// The highest Kubernetes `resourceVersion` given out so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resource_version: u64,
}

/// How the Kubernetes API of a cluster is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ControlPlane {
    /// By an IP address that is called public.
    #[default]
    Public,
    /// By an IP address that is called private; there is no public one.
    Private,
    /// By the DNS endpoint alone. Its certificate is the sandbox's, which no public authority has
    /// signed, so clients that do as Google says cannot connect.
    Dns,
}

/// A time without maintenance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exclusion {
    /// RFC 3339.
    pub start_time: String,
    /// RFC 3339.
    pub end_time: String,
    /// `NO_UPGRADES`, `NO_MINOR_UPGRADES` or `NO_MINOR_OR_NODE_UPGRADES`.
    #[serde(default = "no_upgrades")]
    pub scope: String,
}

/// A node pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePool {
    /// The name.
    pub name: String,
    /// How many nodes.
    #[serde(default = "three")]
    pub nodes: u32,
    /// `GKE_METADATA` or `GCE_METADATA`. Absent: the node's own metadata server, without a setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_metadata: Option<MetadataMode>,
    /// The nodes' service account; `default` is the Compute Engine default account.
    #[serde(
        default = "default_account",
        skip_serializing_if = "is_default_account"
    )]
    pub service_account: String,
    /// `RUNNING` unless said otherwise. `RECONCILING` is shown while an operation runs.
    #[serde(default = "running", skip_serializing_if = "is_running")]
    pub status: String,
    /// Whether GKE made it by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub autoprovisioned: bool,
    /// How nodes are recreated.
    #[serde(flatten)]
    pub upgrade: Upgrade,
    /// Changes with the node pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
}

/// How the nodes of a pool are recreated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Upgrade {
    /// A few nodes at a time, or a second set of nodes beside the first.
    #[serde(skip_serializing_if = "is_default")]
    pub strategy: Strategy,
    /// `SURGE`: how many nodes an update may add.
    pub max_surge: u32,
    /// `SURGE`: how many nodes an update may take away at once.
    pub max_unavailable: u32,
    /// `BLUE_GREEN`: its settings.
    #[serde(skip_serializing_if = "is_default")]
    pub blue_green: BlueGreen,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            strategy: Strategy::Surge,
            max_surge: 1,
            max_unavailable: 0,
            blue_green: BlueGreen::default(),
        }
    }
}

/// `upgradeSettings.strategy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Strategy {
    /// A few nodes at a time.
    #[default]
    Surge,
    /// A second set of nodes beside the first.
    BlueGreen,
}

/// `upgradeSettings.blueGreenSettings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlueGreen {
    /// How many nodes are drained at a time.
    pub batch_node_count: u32,
    /// How long after each batch.
    pub batch_soak_seconds: u32,
    /// How long after the last batch until the first set goes.
    pub node_pool_soak_seconds: u32,
}

impl Default for BlueGreen {
    fn default() -> Self {
        Self {
            batch_node_count: 1,
            batch_soak_seconds: 0,
            node_pool_soak_seconds: 3600,
        }
    }
}

impl Upgrade {
    /// `upgradeSettings` as the API shows them.
    fn show(&self) -> Value {
        if self.strategy == Strategy::BlueGreen {
            let blue_green = &self.blue_green;
            return json!({"strategy": "BLUE_GREEN", "blueGreenSettings": {
                "nodePoolSoakDuration": format!("{}s", blue_green.node_pool_soak_seconds),
                "standardRolloutPolicy": {
                    "batchNodeCount": blue_green.batch_node_count,
                    "batchSoakDuration": format!("{}s", blue_green.batch_soak_seconds),
                },
            }});
        }
        let mut shown = json!({"strategy": "SURGE"});
        for (field, count) in [
            ("maxSurge", self.max_surge),
            ("maxUnavailable", self.max_unavailable),
        ] {
            if count > 0 {
                shown[field] = count.into();
            }
        }
        shown
    }

    /// Reads `upgradeSettings` of a request; what it leaves out has its default.
    pub fn read(wire: &Value) -> Result<Self, String> {
        let number = |name: &str| match &wire[name] {
            Value::Null => Ok(0),
            value => value
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or(format!("upgrade_settings.{name} is not a count: {value}")),
        };
        let strategy = match wire["strategy"].as_str().unwrap_or("SURGE") {
            "SURGE" | "NODE_POOL_UPDATE_STRATEGY_UNSPECIFIED" => Strategy::Surge,
            "BLUE_GREEN" => Strategy::BlueGreen,
            other => {
                return Err(format!(
                    "Invalid value at 'upgrade_settings.strategy': {other}"
                ));
            }
        };
        let seconds = |value: &Value, default: u32| match value.as_str() {
            None => Ok(default),
            Some(text) => text
                .strip_suffix('s')
                .and_then(|n| n.parse().ok())
                .ok_or(format!("Illegal duration format: {text}")),
        };
        let settings = &wire["blueGreenSettings"];
        let policy = &settings["standardRolloutPolicy"];
        let default = BlueGreen::default();
        let (max_surge, max_unavailable) = (number("maxSurge")?, number("maxUnavailable")?);
        if strategy == Strategy::Surge && max_surge + max_unavailable == 0 {
            return Err("max_surge and max_unavailable cannot both be 0.".to_owned());
        }
        Ok(Self {
            strategy,
            max_surge,
            max_unavailable,
            blue_green: BlueGreen {
                batch_node_count: policy["batchNodeCount"]
                    .as_u64()
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(default.batch_node_count),
                batch_soak_seconds: seconds(&policy["batchSoakDuration"], 0)?,
                node_pool_soak_seconds: seconds(
                    &settings["nodePoolSoakDuration"],
                    default.node_pool_soak_seconds,
                )?,
            },
        })
    }
}

/// What pods get from the metadata address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MetadataMode {
    /// The node's identity.
    GceMetadata,
    /// The pod's own identity.
    GkeMetadata,
    /// The node's identity, parts of the metadata concealed: a setting of old node pools.
    Secure,
    /// The node's identity: a setting of old node pools.
    Expose,
}

impl Cluster {
    /// What cannot be: a foreign pool, `GKE_METADATA` without a pool, two node pools of one name.
    pub fn check(&self) -> Result<(), String> {
        let mut names = std::collections::BTreeSet::new();
        for pool in &self.node_pools {
            let on = self.workload_pool.is_some() || self.autopilot;
            if pool.workload_metadata == Some(MetadataMode::GkeMetadata) && !on {
                return Err(format!(
                    "node pool `{}` of cluster `{}` has GKE_METADATA, but the cluster has no workloadPool",
                    pool.name, self.name
                ));
            }
            if !names.insert(&pool.name) {
                return Err(format!(
                    "cluster `{}` has node pool `{}` twice",
                    self.name, pool.name
                ));
            }
        }
        Ok(())
    }

    /// Project, location and name.
    pub fn key(&self) -> ClusterKey {
        (
            self.project.clone(),
            self.location.clone(),
            self.name.clone(),
        )
    }

    /// Fills in what people leave out.
    pub fn complete(&mut self, pool: &str, revision: &mut u64) {
        if self.autopilot {
            self.workload_pool.get_or_insert_with(|| pool.to_owned());
        }
        let mut etag = |etag: &mut String| {
            if etag.is_empty() {
                *revision += 1;
                *etag = self::etag(*revision);
            }
        };
        etag(&mut self.etag);
        for node_pool in &mut self.node_pools {
            if self.autopilot {
                node_pool.workload_metadata = Some(MetadataMode::GkeMetadata);
            }
            etag(&mut node_pool.etag);
        }
        if self.nodes.is_empty() {
            let pools = self.node_pools.iter();
            self.nodes = pools
                .flat_map(|p| (0..p.nodes).map(|i| p.node(&self.name, u64::from(i))))
                .collect();
        }
    }

    /// The cluster's id, in hex.
    pub fn id(&self) -> String {
        let h = hash(&self.key());
        format!("{h:016x}{:016x}", hash(&h))
    }

    /// Its Kubernetes side.
    pub fn kube(&self) -> KubeState {
        KubeState {
            cluster_id: self.id(),
            resource_version: self.resource_version,
            namespaces: self.namespaces.clone(),
            pods: self.pods.clone(),
            nodes: self.nodes.clone(),
            pod_disruption_budgets: self.pod_disruption_budgets.clone(),
        }
    }

    /// Takes the Kubernetes side back, to be saved.
    pub fn take_kube(&mut self, kube: KubeState) {
        self.resource_version = kube.resource_version;
        self.namespaces = kube.namespaces;
        self.pods = kube.pods;
        self.nodes = kube.nodes;
        self.pod_disruption_budgets = kube.pod_disruption_budgets;
    }

    /// `projects/NUMBER/zones/Z` for zonal clusters, `projects/NUMBER/locations/R` for regional ones.
    pub fn parent(&self, number: u64) -> String {
        format!(
            "projects/{number}/{}/{}",
            location_kind(&self.location),
            self.location
        )
    }

    /// The cluster as the API shows it.
    pub fn show(
        &self,
        number: u64,
        busy_pool: Option<Option<&str>>,
        kube: Option<&RunningKube>,
    ) -> Value {
        let pools = self.node_pools.iter();
        let pools: Vec<Value> = pools
            .map(|p| {
                p.show(
                    self,
                    number,
                    busy_pool.is_some_and(|busy| busy == Some(p.name.as_str())),
                )
            })
            .collect();
        let nodes: u32 = self.node_pools.iter().map(|p| p.nodes).sum();
        let mut shown = json!({
            "name": self.name,
            "id": self.id(),
            "location": self.location,
            "zone": self.location,
            "locations": self.zones(),
            "selfLink": format!("https://container.googleapis.com/v1/{}/clusters/{}", self.parent(number), self.name),
            "status": if busy_pool.is_some() { "RECONCILING" } else { &self.status },
            "etag": self.etag,
            "labelFingerprint": format!("{:08x}", hash(&self.labels) >> 32),
            "currentMasterVersion": self.version,
            "currentNodeVersion": VERSION,
            "initialClusterVersion": VERSION,
            "currentNodeCount": nodes,
            "createTime": "2026-01-05T08:00:00+00:00",
            "releaseChannel": {"channel": "REGULAR"},
            "network": "default",
            "nodePools": pools,
        });
        if !self.labels.is_empty() {
            shown["resourceLabels"] = json!(self.labels);
        }
        if self.autopilot {
            shown["autopilot"] = json!({"enabled": true});
        }
        if let Some(pool) = &self.workload_pool {
            shown["workloadIdentityConfig"] = json!({"workloadPool": pool});
        }
        if !self.conditions.is_empty() {
            let conditions = self.conditions.iter();
            shown["conditions"] = conditions
                .map(|message| json!({"canonicalCode": "UNKNOWN", "message": message}))
                .collect();
        }
        if self.node_auto_provisioning {
            shown["autoscaling"] = json!({"enableNodeAutoprovisioning": true});
        }
        if !self.maintenance_exclusions.is_empty() {
            let exclusions: BTreeMap<&String, Value> = self
                .maintenance_exclusions
                .iter()
                .map(|(name, e)| {
                    let shown = json!({
                        "startTime": e.start_time,
                        "endTime": e.end_time,
                        "maintenanceExclusionOptions": {"scope": e.scope},
                    });
                    (name, shown)
                })
                .collect();
            shown["maintenancePolicy"] = json!({"window": {"maintenanceExclusions": exclusions}});
        }
        if let Some(kube) = kube {
            self.show_control_plane(&mut shown, kube);
        }
        shown
    }

    fn show_control_plane(&self, shown: &mut Value, kube: &RunningKube) {
        // Port 9 (discard) is where nothing listens.
        let address = if self.unreachable {
            "127.0.0.1:9"
        } else {
            kube.endpoint.as_str()
        };
        shown["masterAuth"] = json!({"clusterCaCertificate": kube.ca});
        if self.control_plane != ControlPlane::Dns {
            shown["endpoint"] = address.into();
        }
        let endpoints = match self.control_plane {
            ControlPlane::Public => json!({"ipEndpointsConfig": {
                "enabled": true, "enablePublicEndpoint": true, "publicEndpoint": address, "globalAccess": false,
            }}),
            ControlPlane::Private => json!({"ipEndpointsConfig": {
                "enabled": true, "enablePublicEndpoint": false, "privateEndpoint": address, "globalAccess": false,
            }}),
            ControlPlane::Dns => json!({
                "ipEndpointsConfig": {"enabled": false},
                "dnsEndpointConfig": {"endpoint": address, "allowExternalTraffic": true},
            }),
        };
        shown["controlPlaneEndpointsConfig"] = endpoints;
    }

    fn zones(&self) -> Vec<String> {
        if location_kind(&self.location) == "zones" {
            return vec![self.location.clone()];
        }
        ["b", "c", "d"]
            .iter()
            .map(|z| format!("{}-{z}", self.location))
            .collect()
    }
}

impl NodePool {
    /// A node of this pool; `salt` tells it from the others.
    pub fn node(&self, cluster: &str, salt: u64) -> NodeSpec {
        let group = hash(&(cluster, &self.name)) >> 32;
        let unique = hash(&(cluster, &self.name, salt, "node")) >> 48;
        NodeSpec {
            name: format!("gke-{cluster}-{}-{group:08x}-{unique:04x}{salt}", self.name),
            pool: self.name.clone(),
            metadata_server: self.workload_metadata == Some(MetadataMode::GkeMetadata),
            ..NodeSpec::default()
        }
    }

    /// The node pool as the API shows it.
    pub fn show(&self, cluster: &Cluster, number: u64, busy: bool) -> Value {
        let mut config = json!({
            "machineType": "e2-medium",
            "diskSizeGb": 100,
            "diskType": "pd-balanced",
            "imageType": "COS_CONTAINERD",
            "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "serviceAccount": self.service_account,
        });
        if let Some(mode) = self.workload_metadata {
            config["workloadMetadataConfig"] = json!({"mode": mode});
        }
        let mut shown = json!({
            "name": self.name,
            "status": if busy { "RECONCILING" } else { &self.status },
            "etag": self.etag,
            "version": VERSION,
            "initialNodeCount": self.nodes,
            "locations": cluster.zones(),
            "config": config,
            "management": {"autoUpgrade": true, "autoRepair": true},
            "upgradeSettings": self.upgrade.show(),
            "selfLink": format!(
                "https://container.googleapis.com/v1/{}/clusters/{}/nodePools/{}",
                cluster.parent(number), cluster.name, self.name
            ),
        });
        if self.autoprovisioned {
            shown["autoscaling"] = json!({"enabled": true, "autoprovisioned": true});
        }
        shown
    }
}

/// `zones` for names such as `europe-west1-b`, otherwise `locations`.
pub fn location_kind(location: &str) -> &'static str {
    let zone = location
        .rsplit('-')
        .next()
        .is_some_and(|last| last.len() == 1);
    if zone { "zones" } else { "locations" }
}

/// The etag of a cluster or node pool that is written now.
pub fn etag(revision: u64) -> String {
    let h = hash(&revision);
    let hex = format!("{h:016x}{:016x}", hash(&h));
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn running() -> String {
    "RUNNING".to_owned()
}

fn is_running(status: &str) -> bool {
    status == "RUNNING"
}

fn version() -> String {
    VERSION.to_owned()
}

fn is_version(version: &str) -> bool {
    version == VERSION
}

fn no_upgrades() -> String {
    "NO_UPGRADES".to_owned()
}

fn three() -> u32 {
    3
}

fn default_account() -> String {
    "default".to_owned()
}

fn is_default_account(account: &str) -> bool {
    account == "default"
}

fn default_pools() -> Vec<NodePool> {
    vec![NodePool {
        name: "default-pool".to_owned(),
        nodes: three(),
        workload_metadata: None,
        service_account: default_account(),
        status: running(),
        autoprovisioned: false,
        upgrade: Upgrade::default(),
        etag: String::new(),
    }]
}
