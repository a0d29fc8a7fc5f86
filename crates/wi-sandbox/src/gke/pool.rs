//! A node pool: what the world file says of it, and how the API shows it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::upgrade::Upgrade;
use crate::ids::hash;
use crate::kube::NodeSpec;
use crate::serde_help::is_default;

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
    /// Kubernetes labels of its nodes beside GKE's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Kubernetes taints of its nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Changes with the node pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Whatever else GKE shows of it, in the shape of the API (`config: {imageType: …}`); it goes over what
    /// is shown otherwise.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A taint: pods that do not tolerate it are kept off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NO_SCHEDULE`, `PREFER_NO_SCHEDULE` or `NO_EXECUTE`.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaintEffect {
    /// No pod comes.
    NoSchedule,
    /// Pods go elsewhere if they can.
    PreferNoSchedule,
    /// No pod comes, and those that are there go.
    NoExecute,
}

impl TaintEffect {
    /// As Kubernetes calls it.
    pub fn in_kubernetes(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
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

/// Whether nodes of this mode have the GKE metadata server.
pub fn has_server(mode: MetadataMode) -> bool {
    mode == MetadataMode::GkeMetadata
}

impl NodePool {
    /// One of three nodes, with nothing set.
    pub fn of_three(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nodes: three(),
            workload_metadata: None,
            service_account: default_account(),
            status: running(),
            autoprovisioned: false,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            upgrade: Upgrade::default(),
            etag: String::new(),
            extra: Map::new(),
        }
    }

    /// A node of this pool; `salt` tells it from the others.
    pub fn node(&self, cluster: &str, salt: u64) -> NodeSpec {
        let group = self.group(cluster);
        let unique = hash(&(cluster, &self.name, salt, "node")) >> 48;
        NodeSpec {
            name: format!("{group}-{unique:04x}{salt}"),
            pool: self.name.clone(),
            metadata_server: self.workload_metadata.is_some_and(has_server),
            labels: self.labels.clone(),
            extra: self.node_extra(),
            ..NodeSpec::default()
        }
    }

    /// What its nodes have in their manifests beside labels.
    pub fn node_extra(&self) -> BTreeMap<String, Value> {
        let taints: Vec<Value> = self
            .taints
            .iter()
            .map(|t| json!({"key": t.key, "value": t.value, "effect": t.effect.in_kubernetes()}))
            .collect();
        let spec = (!taints.is_empty()).then(|| ("spec".to_owned(), json!({"taints": taints})));
        spec.into_iter().collect()
    }

    /// What its managed instance groups name their instances after.
    pub fn group(&self, cluster: &str) -> String {
        let unique = hash(&(cluster, &self.name)) >> 32;
        format!("gke-{cluster}-{}-{unique:08x}", self.name)
    }

    /// The zones of its nodes, in a cluster of these.
    pub fn zones(&self, of_cluster: Vec<String>) -> Vec<String> {
        let own = self.extra.get("locations").and_then(Value::as_array);
        let own: Vec<String> = own
            .into_iter()
            .flatten()
            .filter_map(|zone| zone.as_str().map(str::to_owned))
            .collect();
        if own.is_empty() { of_cluster } else { own }
    }
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

pub(super) fn running() -> String {
    "RUNNING".to_owned()
}

pub(super) fn is_running(status: &str) -> bool {
    status == "RUNNING"
}
