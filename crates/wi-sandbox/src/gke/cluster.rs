//! Clusters: what the world file says of them, and how the API shows them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pool::{MetadataMode, NodePool, is_running, running};
use crate::ids::{ClusterKey, hash};
use crate::kube::{
    Controllers, KubeState, NamespaceState, NodeSpec, PodDisruptionBudgetState, PodState, Webhook,
    budgets, kept,
};
use crate::serde_help::{is_default, nullable_values};

/// Of control planes and nodes.
pub const VERSION: &str = "1.33.5-gke.1308000";

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
    /// The name of its membership in the fleet of its own project, which may as well stand in `fleets`. Absent: it is in no
    /// fleet, or in another project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<String>,
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
    /// What makes pods (Deployments and the like), ConfigMaps and Secrets, as manifests. Without `controllers` nothing
    /// makes pods by them: `pods` are those that there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
    /// The controllers and kubelets: with them `objects` make pods, as in a real cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controllers: Option<Controllers>,
    /// Custom resources, as manifests with the `apiVersion` of their group. They are read only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_objects: Vec<Value>,
    /// What Kubernetes denies the caller, by verb and resource: `patch serviceaccounts`, `patch serviceaccounts in shop`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// Admission webhooks, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// The highest Kubernetes `resourceVersion` given out so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resource_version: u64,
    /// Whatever else GKE shows of it, in the shape of the API; it goes over what is shown otherwise.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
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

/// Where a cluster's Kubernetes API listens.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// `127.0.0.1:PORT`.
    pub endpoint: &'a str,
    /// Base64 of the PEM of its CA.
    pub ca: &'a str,
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

impl Cluster {
    /// One without node pools and settings.
    pub fn named((project, location, name): ClusterKey) -> Self {
        Self {
            project,
            location,
            name,
            workload_pool: None,
            autopilot: false,
            status: running(),
            conditions: Vec::new(),
            version: version(),
            labels: BTreeMap::new(),
            node_auto_provisioning: false,
            maintenance_exclusions: BTreeMap::new(),
            control_plane: ControlPlane::default(),
            membership: None,
            unreachable: false,
            node_pools: Vec::new(),
            etag: String::new(),
            namespaces: BTreeMap::new(),
            pods: Vec::new(),
            nodes: Vec::new(),
            pod_disruption_budgets: Vec::new(),
            objects: Vec::new(),
            controllers: None,
            custom_objects: Vec::new(),
            denied: Vec::new(),
            webhooks: Vec::new(),
            resource_version: 0,
            extra: Map::new(),
        }
    }

    /// What cannot be: a foreign pool, `GKE_METADATA` without a pool, two node pools of one name.
    pub fn check(&self) -> Result<(), String> {
        for object in &self.objects {
            kept(object).map_err(|e| format!("cluster `{}`: {e}", self.name))?;
        }
        for object in &self.custom_objects {
            if crate::kube::custom_names(object).is_none() {
                let name = &self.name;
                return Err(format!(
                    "cluster `{name}`: a custom object has no group in its apiVersion, or no kind"
                ));
            }
        }
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

    /// `PROJECT/LOCATION/NAME`.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.location, self.name)
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
            denied: self.denied.clone(),
            webhooks: self.webhooks.clone(),
            objects: self.objects.clone(),
            controllers: self.controllers.clone(),
            custom_objects: self.custom_objects.clone(),
            pod_disruption_budgets: self.pod_disruption_budgets.clone(),
        }
    }

    /// Takes the Kubernetes side back, to be saved.
    pub fn take_kube(&mut self, kube: KubeState) {
        self.resource_version = kube.resource_version;
        self.namespaces = kube.namespaces;
        self.pods = kube.pods;
        self.nodes = kube.nodes;
        self.objects = kube.objects;
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

    /// What `setResourceLabels` is compared with.
    pub fn label_fingerprint(&self) -> String {
        format!("{:08x}", hash(&self.labels) >> 32)
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        match location_kind(&self.location) {
            "zones" => self
                .location
                .rsplit_once('-')
                .map_or("", |(region, _)| region),
            _ => &self.location,
        }
    }

    /// The zones of its nodes.
    pub fn zones(&self) -> Vec<String> {
        if location_kind(&self.location) == "zones" {
            return vec![self.location.clone()];
        }
        ["b", "c", "d"]
            .iter()
            .map(|z| format!("{}-{z}", self.location))
            .collect()
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

fn version() -> String {
    VERSION.to_owned()
}

fn is_version(version: &str) -> bool {
    version == VERSION
}

fn no_upgrades() -> String {
    "NO_UPGRADES".to_owned()
}

fn default_pools() -> Vec<NodePool> {
    vec![NodePool::of_three("default-pool")]
}
