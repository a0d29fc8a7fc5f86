//! The kinds of workloads whose pods are replaced by a controller, and what of their settings says how.

use serde_json::{Value, json};

/// For so long a new pod has to be ready before the next one comes: a month, which nobody waits for.
pub const STANDS: i64 = 30 * 24 * 3600;

/// How pods of a workload come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As many as are wanted, each as good as another: a Deployment.
    Replicas,
    /// Each with a number of its own, of which it ends before it comes again: a StatefulSet.
    Numbered,
    /// One for each node: a DaemonSet.
    OnNodes,
}

impl Shape {
    /// That of an object of the API; what is no other one is taken for a Deployment.
    pub fn of(object: &Value) -> Self {
        match object["kind"].as_str() {
            Some("StatefulSet") => Self::Numbered,
            Some("DaemonSet") => Self::OnNodes,
            _ => Self::Replicas,
        }
    }

    /// The settings of a rollout that change on the way.
    pub(super) fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Replicas => &["strategy", "minReadySeconds", "progressDeadlineSeconds"],
            Self::Numbered | Self::OnNodes => &["updateStrategy"],
        }
    }
}

/// How far a workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// One new pod stands beside those of before.
    Canary,
    /// The others follow.
    Rolling,
}

impl Stage {
    /// That of an object on which a change goes on.
    pub fn of(object: &Value) -> Self {
        let spec = &object["spec"];
        let stands = match Shape::of(object) {
            Shape::Replicas => spec["minReadySeconds"] == json!(STANDS),
            Shape::Numbered => partition(object) > 0,
            // By `minReadySeconds` its controller judges the pods of before, too, and replaces all at once that are
            // younger: so one is replaced by hand.
            Shape::OnNodes => spec["updateStrategy"]["type"] == "OnDelete",
        };
        if stands { Self::Canary } else { Self::Rolling }
    }
}

/// How many pods of a StatefulSet keep their template.
pub(super) fn partition(object: &Value) -> i64 {
    let rolling = &object["spec"]["updateStrategy"]["rollingUpdate"];
    rolling["partition"].as_i64().unwrap_or(0)
}

/// Whether it wants no pod.
pub fn is_idle(object: &Value) -> bool {
    match Shape::of(object) {
        Shape::Replicas | Shape::Numbered => object["spec"]["replicas"] == 0,
        Shape::OnNodes => object["status"]["desiredNumberScheduled"] == 0,
    }
}
