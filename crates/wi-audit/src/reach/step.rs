//! Somebody, a step to somebody else, and the path that steps make.

use std::fmt;

use wi_core::access::{Grant, Unseen};
use wi_core::names::Email;
use wi_core::resource::Resource;
use wi_core::words::safe;

/// Somebody, or a place where somebodies are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A Kubernetes service account on a cluster.
    Ksa {
        /// The cluster's name in the world.
        cluster: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A Google service account.
    Account(Email),
    /// Whoever is root on a node of it.
    NodePool {
        /// The cluster's name in the world.
        cluster: String,
        /// Its name.
        pool: String,
    },
    /// Whoever is admin of it.
    Cluster(String),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ksa {
                cluster,
                namespace,
                name,
            } => write!(
                f,
                "ksa.{}/{}/{}",
                safe(cluster),
                safe(namespace),
                safe(name)
            ),
            Self::Account(email) => write!(f, "{email}"),
            Self::NodePool { cluster, pool } => {
                write!(f, "nodepool.{}/{}", safe(cluster), safe(pool))
            }
            Self::Cluster(name) => write!(f, "cluster.{}", safe(name)),
        }
    }
}

/// By what one becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It makes access tokens of the account.
    Token,
    /// It signs as the account, and so makes tokens.
    Sign,
    /// It makes keys of the account.
    Key,
    /// It gives itself a right on the account.
    AccountPolicy,
    /// It gives itself a role on all that is in a project, a folder or an organization.
    Policy,
    /// It changes what a custom role permits.
    RoleEdit,
    /// It runs code as the account.
    RunAs,
    /// It runs builds, as the account that a project builds as.
    Build,
    /// It makes tokens of every Kubernetes service account.
    KsaToken,
    /// It runs pods as every Kubernetes service account.
    RunPods,
    /// It gives itself every right in a cluster.
    ClusterAdmin,
    /// Nodes run as the account.
    NodeAccount,
    /// Its pods have the identity of their nodes.
    NodeIdentity,
    /// A pod of it runs on the node pool.
    PodOnNode,
    /// It is in the cluster.
    InCluster,
    /// The cluster's admin can make it, and IAM does not tell clusters of a pool apart.
    SamePool,
}

impl How {
    /// `can make tokens of`: between who can and who it becomes.
    pub fn words(self) -> &'static str {
        match self {
            Self::Token => "can make tokens of",
            Self::Sign => "can sign as",
            Self::Key => "can make keys of",
            Self::AccountPolicy => "can give itself a right on",
            Self::Policy => "can give itself every role on",
            Self::RoleEdit => "can change what its own custom role permits in",
            Self::RunAs => "can run code as",
            Self::Build => "can run builds in",
            Self::KsaToken => "can make tokens of every Kubernetes service account of",
            Self::RunPods => "can run pods as every Kubernetes service account of",
            Self::ClusterAdmin => "can give itself every right in",
            Self::NodeAccount => "runs as",
            Self::NodeIdentity => "has pods with the identity of their nodes, which is",
            Self::PodOnNode => "runs pods of",
            Self::InCluster => "has",
            Self::SamePool => "can make, with the identity that IAM knows,",
        }
    }

    /// A stable word for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Sign => "sign",
            Self::Key => "key",
            Self::AccountPolicy => "account-policy",
            Self::Policy => "policy",
            Self::RoleEdit => "role-edit",
            Self::RunAs => "run-as",
            Self::Build => "build",
            Self::KsaToken => "ksa-token",
            Self::RunPods => "run-pods",
            Self::ClusterAdmin => "cluster-admin",
            Self::NodeAccount => "node-account",
            Self::NodeIdentity => "node-identity",
            Self::PodOnNode => "pod-on-node",
            Self::InCluster => "in-cluster",
            Self::SamePool => "same-pool",
        }
    }
}

/// One becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Whom.
    pub to: Node,
    /// By what.
    pub how: How,
    /// The bindings that give it.
    pub by: Vec<Grant>,
    /// What was not seen and decides whether it is so; none: it is.
    pub because: Vec<Unseen>,
    /// What was not seen and could take it away.
    pub unless: Vec<Unseen>,
}

impl Edge {
    /// A step that needs no binding.
    pub(super) fn plain(to: Node, how: How) -> Self {
        Self {
            to,
            how,
            by: Vec::new(),
            because: Vec::new(),
            unless: Vec::new(),
        }
    }
}

/// A right that is about more than one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    /// What it lets one do.
    pub how: How,
    /// On what.
    pub on: Resource,
    /// The permission that decides.
    pub permission: &'static str,
    /// The bindings that give it.
    pub by: Vec<Grant>,
    /// What was not seen and decides whether it is so; none: it is.
    pub because: Vec<Unseen>,
    /// What was not seen and could take it away.
    pub unless: Vec<Unseen>,
}

/// What somebody becomes at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges {
    /// Whom.
    pub to: Vec<Edge>,
    /// By what that is about more than one account.
    pub powers: Vec<Power>,
}

/// How somebody is reached from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Each step with whom it is from, the first one first; none: it is who was asked for.
    pub steps: Vec<(Node, Edge)>,
}

impl Path {
    /// Whether each step was seen to be so.
    pub fn is_sure(&self) -> bool {
        self.steps.iter().all(|(_, edge)| edge.because.is_empty())
    }
}
