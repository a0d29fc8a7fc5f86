//! The state of one simulated cluster, as people write it in world files and as it is saved.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::budget::{PodDisruptionBudgetState, budgets};
use super::clockwork::Controllers;
use super::webhook::Webhook;
use crate::serde_help::nullable_values;

/// Everything that the API server of one cluster holds.
///
/// The namespaces `default` and `kube-system`, and an account `default` in each namespace, exist
/// whether or not they are written here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeState {
    /// Distinguishes this cluster's generated uids from those of other clusters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// The highest resourceVersion given out so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub resource_version: u64,
    /// Namespaces by name.
    #[serde(deserialize_with = "nullable_values")]
    pub namespaces: BTreeMap<String, NamespaceState>,
    /// Pods of all namespaces.
    pub pods: Vec<PodState>,
    /// `PodDisruptionBudget`s of all namespaces.
    #[serde(deserialize_with = "budgets", skip_serializing_if = "Vec::is_empty")]
    pub pod_disruption_budgets: Vec<PodDisruptionBudgetState>,
    /// Nodes of all node pools.
    pub nodes: Vec<NodeSpec>,
    /// What makes pods (Deployments and the like), ConfigMaps and Secrets, as manifests. Without `controllers` nothing
    /// makes pods by them: `pods` are those that there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
    /// The controllers and kubelets, where they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controllers: Option<Controllers>,
    /// Custom resources, as manifests; read only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_objects: Vec<Value>,
    /// What the caller may not do, by verb and resource: `patch serviceaccounts`, `patch serviceaccounts in shop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// Admission webhooks, in the order in which they are asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
}

/// A namespace and the service accounts in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NamespaceState {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How many objects a `ResourceQuota` lets it have, by resource: `count/serviceaccounts: 5`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<String, usize>,
    /// Whether it is being deleted, and does not end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub terminating: bool,
    /// Service accounts by name.
    #[serde(deserialize_with = "nullable_values")]
    pub service_accounts: BTreeMap<String, ServiceAccountState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// `metadata.managedFields` as the API shows it. Absent: kubectl has applied all of it. Empty: nobody is named for it,
    /// as of an object that was made without labels and annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_fields: Option<Vec<Value>>,
    /// Short for `managedFields`: the field manager that has applied all of it on the server's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_by: Option<String>,
    /// The rest of the object, in the shape of its manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

/// A Kubernetes service account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceAccountState {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// `metadata.managedFields` as the API shows it. Absent: kubectl has applied all of it. Empty: nobody is named for it,
    /// as of an object that was made without labels and annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_fields: Option<Vec<Value>>,
    /// Short for `managedFields`: the field manager that has applied all of it on the server's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_by: Option<String>,
    /// The rest of the object, in the shape of its manifest, such as `imagePullSecrets`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodState {
    pub name: String,
    #[serde(default = "default_name")]
    pub namespace: String,
    #[serde(default = "default_name")]
    pub service_account_name: String,
    /// The controller that recreates the pod when its node goes. Without one the pod is gone too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PodOwner>,
    /// The node that the pod is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host_network: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// `spec.containers` of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Value>,
    /// `spec.volumes` of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Value>,
    /// `Running` when left out and a node is given, otherwise `Pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// The rest of the object, in the shape of its manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

/// The controller of a pod, such as a `ReplicaSet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodOwner {
    pub kind: String,
    pub name: String,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeSpec {
    pub name: String,
    /// The node pool, shown as the label `cloud.google.com/gke-nodepool`.
    pub pool: String,
    /// Labels other than those that come from `pool` and `metadataServer`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    pub ready: bool,
    /// The GKE metadata server runs here: label `iam.gke.io/gke-metadata-server-enabled`.
    pub metadata_server: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// The rest of the object, in the shape of its manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

impl Default for NodeSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            pool: String::new(),
            labels: BTreeMap::new(),
            ready: true,
            metadata_server: false,
            uid: None,
            resource_version: None,
            creation_timestamp: None,
            extra: BTreeMap::new(),
        }
    }
}

impl Default for PodState {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: default_name(),
            service_account_name: default_name(),
            owner: None,
            node: None,
            host_network: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            containers: Vec::new(),
            volumes: Vec::new(),
            phase: None,
            uid: None,
            resource_version: None,
            creation_timestamp: None,
            extra: BTreeMap::new(),
        }
    }
}

fn default_name() -> String {
    "default".to_owned()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
