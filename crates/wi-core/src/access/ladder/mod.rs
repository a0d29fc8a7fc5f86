//! The chain from a pod to what it may do, link by link: the pod, its Kubernetes service account, the node,
//! the pool, the Google service account, the right to be it, the role on the resource.
//!
//! [`workload`] and [`account`] take what was read and say of every link whether it holds. What was not seen
//! is [`State::Unseen`], and never broken.

mod account;
mod grants;
mod identity;
mod near;
mod network;
mod node;
mod program;
mod scopes;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use account::{GET_TOKEN, account};
pub use grants::no_federated;
pub use identity::{acts_as, ksa, principals, workload};
pub use near::NearMiss;
pub use network::{NetworkPolicies, Reach, cut_off, kept_from};

use super::KsaPrincipal;
use super::answer::Answer;
use super::facts::Facts;
use crate::address::Address;
use crate::desired::Desired;
use crate::live::{ConfigMaps, Seen};
use crate::names::{ClusterPath, Email, KsaIdentity, ProjectId};
use crate::resource::Resource;
use crate::spec::model::SourceLine;
use crate::wire::container::Cluster;
use crate::wire::kubernetes::ObjectMeta;
use crate::wire::pods::{PodSpec, PodStatus};

/// A link of the chain. Its number is its place in the order; its id is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// The pod, or what makes it, exists and runs.
    Pod,
    /// The Kubernetes service account that it runs as.
    ServiceAccountName,
    /// That account exists.
    ServiceAccount,
    /// Its annotation.
    Annotation,
    /// Its other annotations.
    Annotations,
    /// The host's network.
    HostNetwork,
    /// The file with the Kubernetes token.
    Automount,
    /// The node has the metadata server.
    Node,
    /// The node pool's mode.
    NodePool,
    /// The cluster has its project's workload pool.
    ClusterPool,
    /// The pool itself.
    WorkloadPool,
    /// The APIs that it takes are on.
    Apis,
    /// The Google service account.
    Account,
    /// The right to be it.
    Binding,
    /// A role on the resource.
    Grant,
    /// The role has the permission.
    Role,
    /// Its condition holds.
    Condition,
    /// Deny policies.
    Deny,
    /// Principal access boundaries.
    Boundary,
    /// NetworkPolicies.
    Network,
    /// What the program brings along.
    Program,
    /// The service takes federated identities.
    Service,
}

impl Rung {
    /// Stable, for programs: `14-binding`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Pod => "1-pod",
            Self::ServiceAccountName => "2-service-account-name",
            Self::ServiceAccount => "3-service-account",
            Self::Annotation => "4-annotation",
            Self::Annotations => "5-other-annotations",
            Self::HostNetwork => "6-host-network",
            Self::Automount => "7-automount",
            Self::Node => "8-node",
            Self::NodePool => "9-node-pool",
            Self::ClusterPool => "10-cluster-pool",
            Self::WorkloadPool => "11-workload-pool",
            Self::Apis => "12-apis",
            Self::Account => "13-account",
            Self::Binding => "14-binding",
            Self::Grant => "18-grant",
            Self::Role => "19-role",
            Self::Condition => "20-condition",
            Self::Deny => "21-deny",
            Self::Boundary => "22-boundary",
            Self::Network => "26-network",
            Self::Program => "28-program",
            Self::Service => "29-service",
        }
    }
}

/// Whether a link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// ✓
    Holds,
    /// ✗
    Broken,
    /// ! It holds, but there is something about it.
    Doubtful,
    /// ? It could not be seen.
    Unseen,
    /// · It does not matter here.
    Irrelevant,
}

/// A link, what is so of it, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub rung: Rung,
    /// Whether it holds.
    pub state: State,
    /// In words, one line.
    pub title: String,
    /// More lines.
    pub detail: Vec<String>,
    /// Members that are nearly the right one.
    pub near: Vec<NearMiss>,
    /// What mends it.
    pub fix: Option<Fix>,
    /// Where the spec asks for it.
    pub source: Option<SourceLine>,
}

impl Link {
    fn new(rung: Rung, state: State, title: impl Into<String>) -> Self {
        Self {
            rung,
            state,
            title: title.into(),
            detail: Vec::new(),
            near: Vec::new(),
            fix: None,
            source: None,
        }
    }

    fn unseen(rung: Rung, what: &str, why: &str) -> Self {
        Self::new(
            rung,
            State::Unseen,
            format!("{what} could not be seen: {why}"),
        )
    }

    fn fix(mut self, fix: impl Into<Option<Fix>>) -> Self {
        self.fix = fix.into();
        self
    }

    fn source(mut self, source: Option<&SourceLine>) -> Self {
        self.source = source.cloned();
        self
    }
}

/// What mends a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// `wi apply --target ADDRESS …`: the spec asks for it.
    Apply(Vec<Address>),
    /// A command, to be copied.
    Run(String),
    /// Lines of the spec.
    Spec(Vec<String>),
    /// In words: something of others'.
    Say(String),
}

/// As whom a program calls Google's APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A Google service account.
    Account(Email),
    /// The Kubernetes service account itself.
    Ksa(KsaIdentity),
    /// The node's service account.
    Node(Email),
    /// Whoever its own credential is of.
    Own(String),
    /// Nobody: it gets no token.
    Nobody,
    /// That could not be told.
    Unknown,
}

/// What the chain comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works, and nothing that was not seen can change that.
    Allowed,
    /// It does not.
    Denied,
    /// It could not be told.
    Unknown,
}

/// All links, and what they come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    /// In their order.
    pub links: Vec<Link>,
    /// As whom the program calls.
    pub caller: Caller,
    /// What it comes to.
    pub verdict: Verdict,
    /// The answer to the question, where one was asked and there is somebody to ask it of.
    pub answer: Option<Answer>,
    /// What is never looked at, and could refuse the call all the same.
    pub not_evaluated: Vec<String>,
}

impl Ladder {
    /// The first broken link. What denies whatever is granted comes before what is missing.
    pub fn first(&self) -> Option<&Link> {
        let broken = || self.links.iter().filter(|l| l.state == State::Broken);
        let first = broken().next()?;
        let of_iam = |l: &&Link| l.rung >= Rung::Binding;
        let denies = |l: &&Link| matches!(l.rung, Rung::Deny | Rung::Boundary);
        match of_iam(&first) {
            true => broken().find(denies).or(Some(first)),
            false => Some(first),
        }
    }

    /// What could not be seen.
    pub fn unseen(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|l| l.state == State::Unseen)
    }
}

/// What is asked of a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// On what.
    pub resource: Resource,
    /// A permission; `None`: any role there.
    pub permission: Option<String>,
}

/// A pod, or a template that makes pods.
#[derive(Debug, Clone)]
pub struct Workload {
    /// `Pod`, `Deployment` …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Names that are there, where it is not.
    pub others: Vec<String>,
    /// What was asked for.
    pub object: Seen<WorkloadObject>,
    /// Its node, for a pod that has one.
    pub node: Option<Seen<ObjectMeta>>,
}

/// What of a workload is read.
#[derive(Debug, Clone)]
pub struct WorkloadObject {
    /// The pod's metadata.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: PodSpec,
    /// Of a pod that is there: of a workload one of its pods.
    pub status: Option<PodStatus>,
    /// The name of that pod.
    pub pod: Option<String>,
}

/// What was read of one cluster about one Kubernetes service account, and about the pod or workload that was asked for.
#[derive(Debug, Clone)]
pub struct InCluster {
    /// Where GKE has the cluster.
    pub path: ClusterPath,
    /// The cluster.
    pub cluster: Seen<Cluster>,
    /// Of the Kubernetes service account.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is there of it.
    pub ksa: Seen<ObjectMeta>,
    /// Names in that namespace, where it is not.
    pub other_ksas: Vec<String>,
    /// The pod or workload that was asked for.
    pub workload: Option<Workload>,
    /// ConfigMaps that say what its containers bring along.
    pub config_maps: ConfigMaps,
    /// NetworkPolicies of the namespace.
    pub network: Option<Seen<NetworkPolicies>>,
}

/// What was read beside clusters and policies.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Of each project that matters, the APIs that are off among those that are asked for.
    pub apis_off: BTreeMap<ProjectId, Seen<BTreeSet<String>>>,
    /// The state of each project's workload pool: `ACTIVE`.
    pub pools: BTreeMap<ProjectId, Seen<String>>,
    /// Whether buckets have uniform bucket-level access.
    pub uniform: BTreeMap<Resource, Seen<bool>>,
}

/// Everything about one Kubernetes service account in one cluster, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Policies, roles, accounts.
    pub facts: &'a Facts,
    /// APIs, pools, buckets.
    pub around: &'a Around,
    /// The spec, where there is one.
    pub desired: Option<&'a Desired>,
    /// The spec's name of the cluster.
    pub cluster_name: Option<&'a str>,
    /// What is there.
    pub read: &'a InCluster,
    /// What is asked for.
    pub asked: Option<&'a Asked>,
    /// When.
    pub at: Option<Timestamp>,
}

/// What never is looked at.
fn not_evaluated() -> Vec<String> {
    vec!["VPC Service Controls".to_owned()]
}

/// What all links come to, by the answer for whoever calls.
fn verdict(links: &[Link], answer: Option<&Answer>, caller: &Caller) -> Verdict {
    let has = |state| links.iter().any(|l| l.state == state);
    let allowed = answer.map(Answer::is_allowed);
    match (caller, allowed) {
        (Caller::Nobody, _) => Verdict::Denied,
        (Caller::Unknown | Caller::Own(_), Some(_)) => Verdict::Unknown,
        (_, Some(Some(false))) => Verdict::Denied,
        (_, Some(None)) => Verdict::Unknown,
        // Not as itself, and all the same.
        (Caller::Node(_), Some(Some(true))) if !has(State::Unseen) => Verdict::Allowed,
        _ if has(State::Broken) => Verdict::Denied,
        _ if has(State::Unseen) || *caller == Caller::Unknown => Verdict::Unknown,
        _ => Verdict::Allowed,
    }
}

/// As whom the annotation makes it act.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ActsAs {
    Account(Email),
    Itself,
    /// The annotation is no address.
    NoAccount,
    /// There is no such Kubernetes service account.
    Absent,
    Unknown,
}

fn ksa_principal(s: &Situation<'_>) -> KsaPrincipal {
    KsaPrincipal {
        identity: KsaIdentity::new(
            s.read.path.project.workload_pool(),
            &s.read.namespace,
            &s.read.name,
        ),
        project: s.read.path.project.clone(),
        cluster: s.read.path.clone(),
        uid: s.read.ksa.as_ref().map(|m| m.uid.clone()),
    }
}
