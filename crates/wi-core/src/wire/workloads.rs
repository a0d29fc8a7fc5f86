//! What makes pods: Deployments and the like, and the pods that they would make.

use serde::Deserialize;

use super::kubernetes::ObjectMeta;
use super::pods::{PodCondition, PodSpec};

/// A kind of object that has a pod template, with where it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadKind {
    /// `Deployment`.
    pub kind: &'static str,
    /// The collection in all namespaces.
    pub path: &'static str,
    /// How messages call them.
    pub plural: &'static str,
}

/// All kinds of Kubernetes itself that have a pod template and make pods by it.
pub const WORKLOAD_KINDS: [WorkloadKind; 7] = [
    of("Deployment", "/apis/apps/v1/deployments", "Deployments"),
    of("StatefulSet", "/apis/apps/v1/statefulsets", "StatefulSets"),
    of("DaemonSet", "/apis/apps/v1/daemonsets", "DaemonSets"),
    of("ReplicaSet", "/apis/apps/v1/replicasets", "ReplicaSets"),
    of("Job", "/apis/batch/v1/jobs", "Jobs"),
    of("CronJob", "/apis/batch/v1/cronjobs", "CronJobs"),
    of(
        "ReplicationController",
        "/api/v1/replicationcontrollers",
        "ReplicationControllers",
    ),
];

/// The templates that StatefulSets and DaemonSets had.
pub const REVISIONS: WorkloadKind = of(
    "ControllerRevision",
    "/apis/apps/v1/controllerrevisions",
    "ControllerRevisions",
);

/// What keeps the templates that an object of this kind had. `None`: nothing does.
pub fn history_of(kind: &str) -> Option<&'static WorkloadKind> {
    match kind {
        "Deployment" => WORKLOAD_KINDS.iter().find(|k| k.kind == "ReplicaSet"),
        "StatefulSet" | "DaemonSet" => Some(&REVISIONS),
        _ => None,
    }
}

const fn of(kind: &'static str, path: &'static str, plural: &'static str) -> WorkloadKind {
    WorkloadKind { kind, path, plural }
}

/// The fields of such an object that `wi` reads, of whatever kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadObject {
    pub metadata: ObjectMeta,
    pub spec: WorkloadSpec,
    pub status: WorkloadStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// Of what keeps a number of pods.
    pub replicas: Option<i64>,
    pub template: PodTemplate,
    /// Of a CronJob.
    pub job_template: JobTemplate,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    pub spec: JobSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    pub template: PodTemplate,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    pub metadata: ObjectMeta,
    pub spec: PodSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadStatus {
    /// Of a Job: `Complete` or `Failed` once it has ended.
    pub conditions: Vec<PodCondition>,
}

impl WorkloadObject {
    /// The template of its pods.
    pub fn template(&self, kind: &str) -> &PodTemplate {
        if kind == "CronJob" {
            &self.spec.job_template.spec.template
        } else {
            &self.spec.template
        }
    }

    /// Whether it is a Job that has run to its end: it makes no pod any more.
    pub fn has_ended(&self, kind: &str) -> bool {
        let ended = |c: &PodCondition| {
            c.status == "True" && matches!(c.r#type.as_str(), "Complete" | "Failed")
        };
        kind == "Job" && self.status.conditions.iter().any(ended)
    }
}
