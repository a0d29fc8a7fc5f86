//! The kinds that this API server knows, and what each is called where.

use std::borrow::Cow;

/// The one version that a group is served in.
pub fn version_of(group: &str) -> &'static str {
    match group {
        "autoscaling" => "v2",
        _ => "v1",
    }
}

/// A kind; the order is that of the saved state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Namespace,
    Node,
    Pod,
    PodDisruptionBudget,
    ServiceAccount,
    ConfigMap,
    ControllerRevision,
    CronJob,
    DaemonSet,
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Job,
    NetworkPolicy,
    ReplicaSet,
    ReplicationController,
    Service,
    StatefulSet,
    Secret,
}

impl Kind {
    pub const ALL: [Self; 19] = [
        Self::Namespace,
        Self::Node,
        Self::Pod,
        Self::PodDisruptionBudget,
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::ControllerRevision,
        Self::CronJob,
        Self::DaemonSet,
        Self::Deployment,
        Self::EndpointSlice,
        Self::HorizontalPodAutoscaler,
        Self::Job,
        Self::NetworkPolicy,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Service,
        Self::StatefulSet,
        Self::Secret,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::ControllerRevision => "ControllerRevision",
            Self::CronJob => "CronJob",
            Self::DaemonSet => "DaemonSet",
            Self::Deployment => "Deployment",
            Self::EndpointSlice => "EndpointSlice",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Job => "Job",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Service => "Service",
            Self::StatefulSet => "StatefulSet",
            Self::Secret => "Secret",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::PodDisruptionBudget => "poddisruptionbudgets",
            Self::ServiceAccount => "serviceaccounts",
            Self::ConfigMap => "configmaps",
            Self::ControllerRevision => "controllerrevisions",
            Self::CronJob => "cronjobs",
            Self::DaemonSet => "daemonsets",
            Self::Deployment => "deployments",
            Self::EndpointSlice => "endpointslices",
            Self::HorizontalPodAutoscaler => "horizontalpodautoscalers",
            Self::Job => "jobs",
            Self::NetworkPolicy => "networkpolicies",
            Self::ReplicaSet => "replicasets",
            Self::ReplicationController => "replicationcontrollers",
            Self::Service => "services",
            Self::StatefulSet => "statefulsets",
            Self::Secret => "secrets",
        }
    }

    pub fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::Namespace => &["ns"],
            Self::Node => &["no"],
            Self::Pod => &["po"],
            Self::PodDisruptionBudget => &["pdb"],
            Self::ServiceAccount => &["sa"],
            Self::ConfigMap => &["cm"],
            Self::CronJob => &["cj"],
            Self::DaemonSet => &["ds"],
            Self::Deployment => &["deploy"],
            Self::HorizontalPodAutoscaler => &["hpa"],
            Self::ControllerRevision | Self::EndpointSlice | Self::Job => &[],
            Self::NetworkPolicy => &["netpol"],
            Self::ReplicaSet => &["rs"],
            Self::ReplicationController => &["rc"],
            Self::Service => &["svc"],
            Self::StatefulSet => &["sts"],
            Self::Secret => &[],
        }
    }

    /// The API group, empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace
            | Self::Node
            | Self::Pod
            | Self::ServiceAccount
            | Self::ConfigMap
            | Self::Secret
            | Self::Service
            | Self::ReplicationController => "",
            Self::PodDisruptionBudget => "policy",
            Self::CronJob | Self::Job => "batch",
            Self::NetworkPolicy => "networking.k8s.io",
            Self::HorizontalPodAutoscaler => "autoscaling",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::ControllerRevision
            | Self::DaemonSet
            | Self::Deployment
            | Self::ReplicaSet
            | Self::StatefulSet => "apps",
        }
    }

    /// Group and version, as in `apiVersion`.
    pub fn api_version(self) -> Cow<'static, str> {
        match self.group() {
            "" => "v1".into(),
            group => format!("{group}/{}", version_of(group)).into(),
        }
    }

    /// `name` as messages qualify it: `KIND.GROUP` or `PLURAL.GROUP`, bare in the core group.
    pub fn qualified(self, name: &str) -> String {
        match self.group() {
            "" => name.to_owned(),
            group => format!("{name}.{group}"),
        }
    }

    pub fn namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::Node)
    }

    /// Whether objects of it are kept as their manifests are written: what makes pods, ConfigMaps and Secrets.
    pub fn is_kept_as_written(self) -> bool {
        !matches!(
            self,
            Self::Namespace
                | Self::Node
                | Self::Pod
                | Self::PodDisruptionBudget
                | Self::ServiceAccount
        )
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind behind a path segment.
    pub fn from_plural(group: &str, plural: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.group() == group && kind.plural() == plural)
    }

    /// The kinds of a group.
    pub fn of_group(group: &str) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |kind| kind.group() == group)
    }
}
