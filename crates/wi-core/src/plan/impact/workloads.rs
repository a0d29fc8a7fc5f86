//! From pods to the workloads that make them.

use crate::wire::pods::{Container, Pod};
use serde::{Deserialize, Serialize};

/// What makes pods: named once, however many pods it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// The controller's kind, or `Pod`.
    pub kind: String,
    /// The controller's name.
    pub name: String,
    /// The Kubernetes service account that its pods run as.
    pub service_account: String,
}

impl Workload {
    /// Of a pod. Behind a ReplicaSet is its Deployment, behind a Job its CronJob, where there is one.
    pub fn of(pod: &Pod) -> Self {
        let controller = pod.metadata.owner_references.iter().find(|o| o.controller);
        let (kind, name) = match controller {
            Some(owner) => match (owner.kind.as_str(), owner.name.rsplit_once('-')) {
                // A Deployment names its ReplicaSet by a hash of the pod template, a CronJob its
                // Job by the minute that it was due.
                ("ReplicaSet", Some((deployment, hash))) if is_template_hash(pod, hash) => {
                    ("Deployment".to_owned(), deployment.to_owned())
                }
                ("Job", Some((cron_job, minute))) if is_minute(minute) => {
                    ("CronJob".to_owned(), cron_job.to_owned())
                }
                _ => (owner.kind.clone(), owner.name.clone()),
            },
            None => ("Pod".to_owned(), pod.metadata.name.clone()),
        };
        Self {
            namespace: pod.metadata.namespace.clone(),
            kind,
            name,
            service_account: pod.service_account().to_owned(),
        }
    }
}

/// The label says it for sure; where it was stripped, a hash looks like one.
fn is_template_hash(pod: &Pod, suffix: &str) -> bool {
    match pod.metadata.labels.get("pod-template-hash") {
        Some(hash) => hash == suffix,
        None => suffix.len() >= 4 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()),
    }
}

fn is_minute(suffix: &str) -> bool {
    suffix.len() >= 8 && suffix.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the pod still runs, or what made it will run again.
pub(super) fn is_live(pod: &Pod) -> bool {
    !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
        || Workload::of(pod).kind == "CronJob"
}

/// Which of a pod's containers bring a credentials file of their own.
pub(super) enum OwnCredentials {
    /// None of them.
    None,
    /// Some, and others may live on the node's identity.
    Some,
    /// All of them.
    All,
}

/// By the variable that Google's client libraries look at first.
pub(super) fn own_credentials(pod: &Pod) -> OwnCredentials {
    let with = pod
        .spec
        .containers
        .iter()
        .filter(|c| has_credentials(c))
        .count();
    match with {
        0 => OwnCredentials::None,
        n if n == pod.spec.containers.len() => OwnCredentials::All,
        _ => OwnCredentials::Some,
    }
}

fn has_credentials(container: &Container) -> bool {
    container
        .env
        .iter()
        .any(|e| e.name == "GOOGLE_APPLICATION_CREDENTIALS" && !e.value.is_empty())
}
