//! What the access oracle finds, and the samples that it takes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::clock::Millis;

/// Whose token the metadata server hands to a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Token {
    /// The node's service account: no GKE metadata server, or one that the pod goes past.
    Node(String),
    /// The Google service account that the Kubernetes one is annotated with.
    Account(String),
    /// The Kubernetes service account itself: `principal://…`.
    Federated(String),
    /// None, and why.
    Refused(String),
}

/// A role that an identity has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// `project/ID`, `bucket/NAME` or `serviceaccount/EMAIL`.
    pub resource: String,
    /// The role.
    pub role: String,
    /// The expression of the binding's condition, where the oracle cannot evaluate it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_if: Option<String>,
}

/// What a running pod can do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAccess {
    /// `PROJECT/LOCATION/NAME`.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// `KIND/NAME` of what makes the pod, which outlives it.
    pub workload: String,
    /// Its name.
    pub pod: String,
    /// The Kubernetes service account that it runs as.
    pub service_account: String,
    /// Whose token it gets.
    pub token: Token,
    /// The roles that come with the token.
    pub roles: BTreeSet<Granted>,
    /// Of samples: other tokens that it was given within the hour that they live, which clients use until they expire,
    /// and the roles that come with each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub former: BTreeMap<String, BTreeSet<Granted>>,
}

/// All pods' access after a mutation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// What had just happened.
    pub after: String,
    /// Of each pod that runs.
    pub pods: Vec<PodAccess>,
}

/// Samples, once somebody asked for them.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Each differs from the one before. `None`: nobody asked.
    pub samples: Option<Vec<Sample>>,
    /// The tokens that each pod was given, and when last; by cluster, namespace, name and uid.
    pub(crate) given: BTreeMap<[String; 4], BTreeMap<Token, Millis>>,
}
