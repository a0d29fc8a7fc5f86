//! The live state, as far as it was read. Values only: reading is the engine's.

pub mod around;
pub mod keys;
pub mod shadows;
pub mod templates;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::address::WorkloadKey;
use crate::desired::{Desired, DesiredCluster};
use crate::names::{ClusterPath, Email, KsaIdentity, ProjectId, Role};
use crate::reason::Reason;
use crate::resource::Resource;
use crate::spec::model::{Access, Endpoint};
use crate::wire::budgets::Budget;
use crate::wire::container::Cluster;
use crate::wire::iam::{ServiceAccount, ServiceAccountKey};
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::network::NetworkPolicy;
use crate::wire::pods::{Pod, PodSpec};
use crate::wire::policy::Policy;
use crate::wire::workloads::WorkloadObject;
use crate::words::safe;

/// What a read found. Not seen is not absent: nothing is concluded from `Unknown`.
#[derive(Debug, Clone)]
pub enum Seen<T> {
    /// It is there.
    Found(T),
    /// The service says that it is not there.
    Absent,
    /// It could not be read; why, for the user.
    Unknown(Reason),
}

impl<T> Seen<T> {
    /// The value, if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(value) => Some(value),
            _ => None,
        }
    }

    /// A reference to the value, if it was found.
    pub fn as_ref(&self) -> Seen<&T> {
        match self {
            Self::Found(value) => Seen::Found(value),
            Self::Absent => Seen::Absent,
            Self::Unknown(why) => Seen::Unknown(why.clone()),
        }
    }

    /// The same, of what was found.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Found(value) => Seen::Found(f(value)),
            Self::Absent => Seen::Absent,
            Self::Unknown(why) => Seen::Unknown(why),
        }
    }
}

/// How the Kubernetes API of a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReachedBy {
    /// At an endpoint of the cluster's own, with its host.
    Endpoint(Endpoint, String),
    /// By Connect Gateway.
    Gateway {
        /// Such as `global`.
        location: String,
        /// The cluster's name in its fleet.
        membership: String,
    },
    /// As a kubeconfig says.
    Context {
        /// The context.
        name: String,
        /// The kubeconfig.
        file: String,
    },
}

impl ReachedBy {
    /// Without what differs from cluster to cluster.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Endpoint(Endpoint::Dns, _) => "DNS endpoint",
            Self::Endpoint(Endpoint::Public, _) => "public endpoint",
            Self::Endpoint(Endpoint::Private, _) => "private endpoint",
            Self::Gateway { .. } => "Connect Gateway",
            Self::Context { .. } => "kubeconfig",
        }
    }
}

impl fmt::Display for ReachedBy {
    /// `public endpoint 34.1.2.3`, `Connect Gateway global/main`, `context kind-dev of FILE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(_, host) => write!(f, "{} {}", self.kind(), safe(host)),
            Self::Gateway {
                location,
                membership,
            } => write!(f, "{} {}/{}", self.kind(), safe(location), safe(membership)),
            Self::Context { name, file } => write!(f, "context {} of {}", safe(name), safe(file)),
        }
    }
}

/// The live state that a plan rests on.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// By the spec's name.
    pub clusters: BTreeMap<String, Seen<Cluster>>,
    /// The accounts of each project that has managed ones.
    pub accounts: BTreeMap<ProjectId, Seen<BTreeMap<Email, ServiceAccount>>>,
    /// User-managed keys of accounts of which the spec says which they may have, or that it takes off their keys.
    pub keys: BTreeMap<Email, Seen<Vec<ServiceAccountKey>>>,
    /// What was seen of who has and uses keys that are to end, or may come back, by the spec's names of the accounts.
    /// An account of which nothing was asked is not there.
    pub off_keys: BTreeMap<String, keys::KeysOf>,
    /// Deployments whose template a run has begun to change, by cluster, where that was asked and `off_keys` does not tell
    /// of them; or why it is not known.
    pub half_way: BTreeMap<String, Result<BTreeSet<WorkloadKey>, String>>,
    /// Shadows, by cluster, where that was asked; or why they are not known.
    pub shadows: BTreeMap<String, Result<Vec<shadows::ShadowSeen>, String>>,
    /// The workloads of namespaces, by the spec's name of their cluster, in which an identity is to end: some may have
    /// nothing else, since `wi` took their key out. Or why they are not known.
    pub alone: BTreeMap<(String, String), Result<Vec<Template>, String>>,
    /// Policies by resource. Those of accounts that do not exist are absent.
    pub policies: BTreeMap<Resource, Seen<Policy>>,
    /// The Kubernetes objects of each cluster, by the spec's name.
    pub kubernetes: BTreeMap<String, Seen<Objects>>,
    /// Whether buckets have uniform bucket-level access, for those where it matters.
    pub uniform_access: BTreeMap<String, Seen<bool>>,
    /// Project numbers, for `principal://` members.
    pub numbers: BTreeMap<ProjectId, Seen<u64>>,
    /// The folders and the organization above the projects that are granted on, where they could be
    /// read; what they grant is inherited. Told to the reader, and nothing is planned by it.
    pub ancestors: BTreeMap<ProjectId, Vec<Resource>>,
    /// Whether the roles that are to be granted anew exist.
    pub roles: BTreeMap<Role, Seen<bool>>,
    /// How each cluster's Kubernetes API is reached, by the spec's name.
    pub reached_by: BTreeMap<String, ReachedBy>,
    /// Policies that are read to tell what a node pool's pods can do today; nothing is planned by
    /// them, so that one that cannot be read holds nothing up.
    pub background: BTreeMap<Resource, Seen<Policy>>,
    /// All clusters of the projects in which one of the spec is not there.
    pub clusters_of: BTreeMap<ProjectId, BTreeSet<ClusterPath>>,
    /// Clusters of the same projects that the spec does not mention.
    pub outside: Vec<Outside>,
    /// The Compute Engine default service accounts of projects whose node pools are to be moved.
    pub default_accounts: BTreeMap<ProjectId, Email>,
    /// Where clusters of the spec were to be found and could not be looked for; why.
    pub unlisted: BTreeMap<Unlisted, Reason>,
    /// Resources that the spec does not name, and that a search found grants of its principals on.
    pub found_by_search: BTreeSet<Resource>,
    /// Where what left the spec could not be looked for.
    pub leftovers_unseen: LeftoversUnseen,
    /// Pods of namespaces by which it is told whether somebody uses a right to act as an account.
    pub pods_of_users: BTreeMap<(ClusterPath, String), Result<Vec<Pod>, Reason>>,
    /// Accounts that the spec names by their email, or pods act as, and that it does not manage.
    pub accounts_of_others: BTreeMap<Email, Seen<ServiceAccount>>,
}

/// What is known of a cluster for whoever connects to it: all that GKE said, or nothing where it is others'
/// to manage and a kubeconfig leads there, so that it need not be listed. `None`: it cannot be reached.
pub fn to_connect<'a>(
    wanted: &DesiredCluster,
    cluster: &'a Seen<Cluster>,
) -> Option<Cow<'a, Cluster>> {
    match cluster {
        Seen::Found(cluster) => Some(Cow::Borrowed(cluster)),
        Seen::Unknown(_)
            if !wanted.managed && matches!(wanted.access, Access::Kubeconfig { .. }) =>
        {
            Some(Cow::Owned(Cluster::default()))
        }
        _ => None,
    }
}

impl Live {
    /// All policies that were read, for whatever reason.
    pub fn policies_of_all(&self) -> impl Iterator<Item = (&Resource, &Seen<Policy>)> {
        self.policies.iter().chain(&self.background)
    }

    /// The policy of a resource; `None`: it was not asked for.
    pub fn policy(&self, resource: &Resource) -> Option<&Seen<Policy>> {
        let of_background = || self.background.get(resource);
        self.policies.get(resource).or_else(of_background)
    }

    /// The Google service account that the nodes of a node pool run as, where its address is known: of the
    /// Compute Engine default one where a node pool of its project is to be moved.
    pub fn node_account(&self, desired: &Desired, cluster: &str, node_pool: &str) -> Option<Email> {
        let found = self.clusters.get(cluster)?.found()?;
        let pool = found.node_pools.iter().find(|p| p.name == node_pool)?;
        match pool.config.service_account.as_str() {
            "" | "default" => {
                let project = &desired.clusters.get(cluster)?.path.project;
                self.default_accounts.get(project).cloned()
            }
            email => Email::parse(email).ok(),
        }
    }

    /// A Google service account; `None`: it was not asked for.
    pub fn account(&self, email: &Email) -> Option<Seen<&ServiceAccount>> {
        if let Some(account) = self.accounts_of_others.get(email) {
            return Some(account.as_ref());
        }
        let listed = self.accounts.get(&email.project()?)?;
        Some(match listed {
            Seen::Found(listed) => listed.get(email).map_or(Seen::Absent, Seen::Found),
            Seen::Absent => Seen::Absent,
            Seen::Unknown(why) => Seen::Unknown(why.clone()),
        })
    }
}

/// Where what left the spec could not be looked for, and why. Nothing else rests on it.
#[derive(Debug, Clone, Default)]
pub struct LeftoversUnseen {
    /// Projects whose accounts could not be listed, and of which the spec declares none.
    pub accounts: BTreeMap<ProjectId, String>,
    /// Places in which policies could not be searched.
    pub policies: BTreeMap<Resource, String>,
    /// What a search found that cannot be taken away: what a principal of the spec has, by the name of what
    /// it is on, and why not.
    pub out_of_reach: BTreeMap<String, (BTreeSet<String>, String)>,
    /// What a search found that identities of the spec's own pools have which it does not name: on what, and which role.
    pub of_strangers: BTreeMap<KsaIdentity, BTreeSet<(String, String)>>,
}

/// A place where clusters of the spec were to be found and could not be looked for, or not everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unlisted {
    /// Clusters of a project, or those of some of its zones.
    ClustersOf(ProjectId),
    /// Projects of a folder, by its number.
    ProjectsOf(String),
}

impl fmt::Display for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClustersOf(project) => write!(f, "the clusters of project/{project}"),
            Self::ProjectsOf(folder) => write!(f, "the projects of folder/{folder}"),
        }
    }
}

/// The Kubernetes objects of a cluster that `wi` looks at.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// By name.
    pub namespaces: BTreeMap<String, ObjectMeta>,
    /// By namespace and name.
    pub service_accounts: BTreeMap<(String, String), ObjectMeta>,
    /// Whether those are just of the spec's namespaces, since no others may be read.
    pub only_of_spec: bool,
    /// Pods and nodes: all of them where a node pool is to be moved; those of the namespaces in
    /// which an account's identity changes where none is; otherwise they are not read.
    pub workloads: Option<Result<Workloads, Reason>>,
}

/// Which pods run on which node pool.
#[derive(Debug, Clone, Default)]
pub struct Workloads {
    /// All pods, or those of `namespaces`.
    pub pods: Vec<Pod>,
    /// Whose pods they are; `None`: all.
    pub namespaces: Option<BTreeSet<String>>,
    /// The node pool of each node, by the node's name.
    pub pool_of_node: BTreeMap<String, String>,
    /// What keeps nodes from being drained, read where a node pool is to be moved.
    pub budgets: Vec<Budget>,
    /// Why `budgets` could not be read.
    pub budgets_unseen: Option<String>,
    /// What makes pods, read where a node pool is to be moved: by it those pods are known that are not
    /// there just now.
    pub templates: Vec<Template>,
    /// Kinds of which that could not be read (`Deployments`), and why.
    pub templates_unseen: BTreeMap<String, Reason>,
    /// NetworkPolicies, read with them where the cluster enforces any.
    pub network_policies: Vec<NetworkPolicy>,
    /// ConfigMaps by which it is told whether a container has a credential of its own.
    pub config_maps: ConfigMaps,
    /// The labels of the nodes of each node pool: their keys, and the values that there are.
    pub labels_of_pool: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Workloads {
    /// Whether the pods of a namespace are among them.
    pub fn has_pods_of(&self, namespace: &str) -> bool {
        let namespaces = self.namespaces.as_ref();
        namespaces.is_none_or(|all| all.contains(namespace))
    }
}

/// ConfigMaps by namespace and name: of each the keys that were asked for. One that was not read is not
/// there; one that does not exist is absent.
pub type ConfigMaps = BTreeMap<(String, String), Seen<BTreeMap<String, String>>>;

/// What makes pods, and the pods that it makes.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// Its kind: `Deployment`.
    pub kind: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The metadata of its pods.
    pub pod_metadata: ObjectMeta,
    /// The rest of its pods.
    pub pod: PodSpec,
}

impl Template {
    /// Of an object of this kind; `None` where another object makes its pods known, or it makes none any
    /// more: a Deployment's ReplicaSets, a CronJob's Jobs, Jobs that have ended.
    pub fn of(kind: &str, object: WorkloadObject) -> Option<Self> {
        let owner = object.metadata.controller();
        let known = match kind {
            "ReplicaSet" => owner.is_some_and(|o| o.kind == "Deployment"),
            "Job" => owner.is_some_and(|o| o.kind == "CronJob") || object.has_ended(kind),
            _ => false,
        };
        if known {
            return None;
        }
        let template = object.template(kind).clone();
        Some(Self {
            kind: kind.to_owned(),
            metadata: object.metadata,
            pod_metadata: template.metadata,
            pod: template.spec,
        })
    }
}

/// A cluster that the spec does not mention, whose pods have identities of the same workload pool.
#[derive(Debug, Clone)]
pub struct Outside {
    /// The cluster; its name is `-` for all of a zone that GKE did not hear from.
    pub path: ClusterPath,
    /// Its Kubernetes service accounts.
    pub service_accounts: Seen<Vec<ObjectMeta>>,
    /// What GKE says of it.
    pub cluster: Cluster,
}
