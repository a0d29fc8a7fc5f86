//! Clusters and node pools: what the world file says of them, and how the API shows them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sandbox::kube::{KubeState, NamespaceState, NodeSpec, PodState};
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
    /// `resourceLabels`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
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
    /// The highest Kubernetes `resourceVersion` given out so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resource_version: u64,
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
    /// How many nodes an update may add.
    #[serde(default = "one")]
    pub max_surge: u32,
    /// How many nodes an update may take away at once.
    #[serde(default)]
    pub max_unavailable: u32,
    /// Changes with the node pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
}

/// What pods get from the metadata address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MetadataMode {
    /// The node's identity.
    GceMetadata,
    /// The pod's own identity.
    GkeMetadata,
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
        }
    }

    /// Takes the Kubernetes side back, to be saved.
    pub fn take_kube(&mut self, kube: KubeState) {
        self.resource_version = kube.resource_version;
        self.namespaces = kube.namespaces;
        self.pods = kube.pods;
        self.nodes = kube.nodes;
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
            "currentMasterVersion": VERSION,
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
        if let Some(kube) = kube {
            shown["endpoint"] = kube.endpoint.clone().into();
            shown["masterAuth"] = json!({"clusterCaCertificate": kube.ca});
            shown["controlPlaneEndpointsConfig"] = json!({
                "ipEndpointsConfig": {
                    "enabled": true, "enablePublicEndpoint": true, "publicEndpoint": kube.endpoint, "globalAccess": false,
                },
            });
        }
        shown
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
        let mut upgrade = json!({"strategy": "SURGE"});
        for (field, count) in [
            ("maxSurge", self.max_surge),
            ("maxUnavailable", self.max_unavailable),
        ] {
            if count > 0 {
                upgrade[field] = count.into();
            }
        }
        json!({
            "name": self.name,
            "status": if busy { "RECONCILING" } else { "RUNNING" },
            "etag": self.etag,
            "version": VERSION,
            "initialNodeCount": self.nodes,
            "locations": cluster.zones(),
            "config": config,
            "management": {"autoUpgrade": true, "autoRepair": true},
            "upgradeSettings": upgrade,
            "selfLink": format!(
                "https://container.googleapis.com/v1/{}/clusters/{}/nodePools/{}",
                cluster.parent(number), cluster.name, self.name
            ),
        })
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

fn three() -> u32 {
    3
}

fn one() -> u32 {
    1
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
        max_surge: 1,
        max_unavailable: 0,
        etag: String::new(),
    }]
}
