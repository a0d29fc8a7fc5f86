//! From pods to the workloads that make them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::live::Template;
use crate::wire::pods::Pod;

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

/// `Deployment shop/checkout`.
impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Workload {
    /// Of a pod. Behind a ReplicaSet is its Deployment, behind a Job its CronJob, where there is one.
    pub fn of(pod: &Pod) -> Self {
        let (kind, name) = match pod.metadata.controller() {
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

    /// Of what makes pods. A ReplicaSet of something else is named by that.
    pub(in crate::plan) fn of_template(template: &Template) -> Self {
        let owner = match template.kind.as_str() {
            "ReplicaSet" => template.metadata.controller(),
            _ => None,
        };
        let (kind, name) = match owner {
            Some(owner) => (&owner.kind, &owner.name),
            None => (&template.kind, &template.metadata.name),
        };
        Self {
            namespace: template.metadata.namespace.clone(),
            kind: kind.clone(),
            name: name.clone(),
            service_account: template.pod.service_account().to_owned(),
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
    !pod.has_ended() || Workload::of(pod).kind == "CronJob"
}

/// Where the pods of each workload are just now.
pub(super) type Placed<'a> = BTreeMap<(&'a str, String, String), BTreeSet<Option<&'a str>>>;

/// The node pools that the pods of a workload are on, by its namespace, kind and name: of what made them,
/// and of what made that. `None` is a node whose node pool is not known.
pub(super) fn placed<'a>(
    pods: &'a [Pod],
    pool_of_node: &'a BTreeMap<String, String>,
) -> Placed<'a> {
    let mut placed = Placed::new();
    for pod in pods {
        if pod.spec.node_name.is_empty() || pod.has_ended() {
            continue;
        }
        let namespace = pod.metadata.namespace.as_str();
        let pool = pool_of_node.get(&pod.spec.node_name).map(String::as_str);
        let workload = Workload::of(pod);
        let controller = pod.metadata.controller();
        let owners = controller.map(|o| (o.kind.clone(), o.name.clone()));
        for (kind, name) in [(workload.kind, workload.name)].into_iter().chain(owners) {
            let on = placed.entry((namespace, kind, name)).or_default();
            on.insert(pool);
        }
    }
    placed
}
