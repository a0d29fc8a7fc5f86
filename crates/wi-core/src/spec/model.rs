//! The checked spec: every name parsed, every reference resolved, every value with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::names::{ClusterPath, Condition, Email, KubeName, Member, ProjectId, Role};
use crate::resource::Resource;
use crate::spec::key_rule::KeyRule;
use crate::spec::migration::Migration;
pub use crate::spec::selector::Selector;
pub use crate::spec::source_line::SourceLine;
pub use crate::spec::workload_pattern::WorkloadPattern;
use serde::{Deserialize, Serialize};

/// All spec files, merged.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Who owns what this spec creates; the `NAME` of the marks on the objects.
    pub name: String,
    /// By the name that the spec gives it.
    pub clusters: BTreeMap<String, ClusterSpec>,
    /// Where to look for more clusters.
    pub discover: Vec<Discover>,
    /// Settings of selected clusters.
    pub overrides: Vec<ClusterOverride>,
    /// In which order clusters are changed.
    pub rollout: Option<Rollout>,
    /// The index of each cluster's wave.
    pub wave_of: BTreeMap<String, usize>,
    /// Workloads that may lose the node's identity, on all clusters.
    pub accept_loss: Vec<WorkloadPattern>,
    /// By the name that the spec gives it.
    pub accounts: BTreeMap<String, AccountSpec>,
    /// By the namespace's name.
    pub namespaces: BTreeMap<KubeName, NamespaceSpec>,
    /// The default project of clusters and accounts.
    pub project: Option<ProjectId>,
    /// Where policies are searched for what left the spec, beside the projects that it names: projects,
    /// folders and organizations.
    pub search: BTreeMap<Resource, SourceLine>,
    /// Resources that the spec no longer grants on.
    pub removed: BTreeMap<Resource, SourceLine>,
    /// What a plan must not do.
    pub guard: Guard,
    /// Accounts that get off their static keys, by their names.
    pub migrations: BTreeMap<String, Migration>,
    /// What is expected of identities beyond what their roles explain.
    pub audit: Audit,
    /// The files, and the SHA-256 of each.
    pub files: BTreeMap<String, String>,
}

impl Spec {
    /// What it asks for once all that it owns is to go: nothing, on the same clusters, which stay as they are.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let mut spec = self.clone();
        spec.accounts.clear();
        spec.namespaces.clear();
        spec.migrations.clear();
        for cluster in spec.clusters.values_mut() {
            cluster.manage = Some(false);
        }
        // Clusters that are still to be found have only these.
        let all = ClusterOverride {
            clusters: Selector::All,
            manage: Some(false),
            node_pools: None,
            accept_loss: Vec::new(),
            access: None,
        };
        spec.overrides.insert(0, all);
        spec
    }
}

/// What a plan must not do. Rules about roles are checked when the spec is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Members that get no role, as IAM writes them; `*` stands for anything.
    pub forbid_members: Vec<(String, SourceLine)>,
    /// How many things one plan may remove at most.
    pub max_removals: Option<(usize, SourceLine)>,
    /// Whether accounts of the spec may have no user-managed keys, unless their own `keys` allows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbid_keys: Option<SourceLine>,
}

/// What is expected of identities beyond what their roles explain.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// Projects beside those of the spec that its identities may call into.
    pub trusted_projects: BTreeSet<ProjectId>,
    /// What they may do, though it is unusual.
    pub expect: Vec<Expect>,
    /// Roles that the guard wants a condition on, with `*` for anything: of those that others gave, too.
    pub conditional: Vec<String>,
}

/// Something unusual that is expected.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Whose.
    pub subject: Expected,
    /// The service that is called; `None`: whichever.
    pub service: Option<String>,
    /// The detector: `L5`; `None`: whichever.
    pub finding: Option<String>,
    /// What the finding is about, with `*` for anything; `None`: anything.
    pub about: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it is expected; `None`: for ever.
    pub until: Option<jiff::civil::Date>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// Whose unusual doing is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// That of an account of [`Spec::accounts`].
    Account(String),
    /// That of a Kubernetes service account.
    Ksa {
        /// Its namespace.
        namespace: KubeName,
        /// Its name.
        name: KubeName,
    },
    /// That of anybody whom this fits, with `*` for anything.
    Principal(String),
}

/// A cluster of the spec.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Where GKE has it.
    pub path: ClusterPath,
    /// For selectors; these are the spec's, not the cluster's resource labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the cluster and its node pools are this spec's to change; `None`: it does not say.
    pub manage: Option<bool>,
    /// The node pools that are to run the GKE metadata server; `None`: it does not say.
    pub node_pools: Option<NodePools>,
    /// Workloads that may lose the node's identity.
    pub accept_loss: Vec<WorkloadPattern>,
    /// How its Kubernetes API is reached; `None`: it does not say.
    pub access: Option<Access>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// Where to look for clusters.
#[derive(Debug, Clone)]
pub struct Discover {
    /// In which projects.
    pub scope: Scope,
    /// `None`: everywhere.
    pub location: Option<String>,
    /// Labels that they have in GKE.
    pub resource_labels: BTreeMap<String, String>,
    /// Labels that they get in the spec.
    pub labels: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// Projects to look for clusters in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One.
    Project(ProjectId),
    /// All that are directly in a folder, by its number.
    Folder(String),
}

/// Settings of selected clusters, which their own count more than.
#[derive(Debug, Clone)]
pub struct ClusterOverride {
    /// Which clusters.
    pub clusters: Selector,
    /// Whether they are this spec's to change.
    pub manage: Option<bool>,
    /// Their node pools.
    pub node_pools: Option<NodePools>,
    /// Workloads that may lose the node's identity, besides their own.
    pub accept_loss: Vec<WorkloadPattern>,
    /// How they are reached.
    pub access: Option<Access>,
}

/// In which order clusters are changed.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// One after another.
    pub waves: Vec<Wave>,
    /// Clusters that may fail, over all waves, before nothing more is started.
    pub max_failures: usize,
    /// Whether to go on all the same.
    pub continues: bool,
    /// How long anything may be started.
    pub deadline: Option<Duration>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// Clusters that are changed before those of the next wave.
#[derive(Debug, Clone)]
pub struct Wave {
    /// What it is called.
    pub name: String,
    /// Which clusters; `None`: all that are in no other wave.
    pub clusters: Option<Selector>,
    /// How many at a time.
    pub max_parallel: Parallel,
    /// Whether what was written is read back, and pods are waited for.
    pub verify: bool,
    /// How long to wait before the next wave.
    pub soak: Duration,
    /// Whether somebody must approve the next wave.
    pub manual: bool,
    /// Clusters of it that may fail.
    pub max_failures: Option<usize>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// How many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parallel {
    /// No bound.
    All,
    /// So many.
    Number(usize),
    /// So many of a hundred, rounded up.
    Percent(usize),
}

impl Parallel {
    /// How many of so many; never none.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::All => total,
            Self::Number(n) => n,
            Self::Percent(percent) => (total * percent).div_ceil(100),
        }
        .max(1)
    }
}

/// Node pools of a cluster; those that are not selected stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NodePools {
    /// All that there are.
    #[default]
    All,
    /// These, each with its place.
    Only(BTreeMap<String, SourceLine>),
    /// All but these.
    Except(BTreeSet<String>),
}

impl NodePools {
    /// Whether a node pool of this name is selected.
    pub fn select(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains_key(name),
            Self::Except(names) => !names.contains(name),
        }
    }
}

/// How a cluster's Kubernetes API is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Access {
    /// By the best endpoint that the cluster offers.
    #[default]
    Offered,
    /// By this endpoint of the cluster.
    Endpoint(Endpoint),
    /// By Google's gateway to the clusters of a fleet.
    ConnectGateway,
    /// As a kubeconfig says.
    Kubeconfig {
        /// The file, as written: `~/` is the home directory of whoever connects.
        path: String,
        /// `None`: the current context.
        context: Option<String>,
    },
}

/// The endpoints that a GKE cluster can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// `gke-….gke.goog`, behind Google's front end and IAM.
    Dns,
    /// A public IP address.
    Public,
    /// An IP address of the cluster's network.
    Private,
}

/// A Google service account of the spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountSpec {
    /// Its address.
    pub email: Email,
    /// The project that it is in.
    pub project: ProjectId,
    /// Whether this spec creates and owns it; `false` for one named by `email:`.
    pub managed: bool,
    /// Shown in the console; `None` leaves it as it is.
    pub display_name: Option<String>,
    /// Roles that it is to have.
    pub grants: Vec<Grant>,
    /// Who else may act as it.
    pub users: Vec<UserSpec>,
    /// What becomes of it when it leaves the spec; `None`: it does not say.
    pub on_remove: Option<OnRemove>,
    /// Which user-managed keys it may have; `None`: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyRule>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// Somebody who may act as an account, and is in no namespace of the spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserSpec {
    /// As a policy has it.
    pub member: Member,
    /// The project of the workload pool, where a name of the spec says it.
    pub project: Option<ProjectId>,
    /// The project number, where a member as IAM writes it says it.
    pub number: Option<u64>,
    /// When it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// What becomes of a Google service account that leaves the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnRemove {
    /// It is disabled: nothing is lost that cannot be had back.
    #[default]
    Disable,
    /// It is deleted.
    Delete,
    /// It stays as it is, with its roles; the mark goes.
    Keep,
}

/// One role on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// What it is granted on.
    pub resource: Resource,
    /// When it holds.
    pub condition: Option<Condition>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// A namespace of the spec, on each of its clusters.
#[derive(Debug, Clone)]
pub struct NamespaceSpec {
    /// Which clusters it is on.
    pub selector: Selector,
    /// Names of [`Spec::clusters`], the selector resolved.
    pub clusters: BTreeSet<String>,
    /// Whether `wi` creates it; otherwise it must exist.
    pub create: bool,
    /// By the account's name.
    pub service_accounts: BTreeMap<KubeName, KsaSpec>,
    /// Where it is declared.
    pub place: SourceLine,
}

/// A Kubernetes service account of the spec.
#[derive(Debug, Clone)]
pub struct KsaSpec {
    /// On which of its namespace's clusters it is.
    pub selector: Selector,
    /// How its pods reach Google APIs.
    pub identity: KsaAccess,
    /// How they do on some clusters; the first that fits counts.
    pub overrides: Vec<(Selector, KsaAccess)>,
    /// Whether it is made and annotated elsewhere, and only referred to here.
    pub existing: bool,
    /// Where it is declared.
    pub place: SourceLine,
}

impl KsaSpec {
    /// Whether it is on this cluster, where its namespace is.
    pub fn is_on(&self, name: &str, cluster: &ClusterSpec) -> bool {
        self.selector.selects(name, &cluster.labels)
    }

    /// How its pods reach Google APIs on this cluster.
    pub fn on(&self, name: &str, cluster: &ClusterSpec) -> &KsaAccess {
        self.overrides
            .iter()
            .find(|(selector, _)| selector.selects(name, &cluster.labels))
            .map_or(&self.identity, |(_, identity)| identity)
    }
}

/// How the pods of a Kubernetes service account reach Google APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KsaAccess {
    /// As a Google service account.
    Impersonates(Impersonation),
    /// As themselves, with these roles (possibly none).
    Direct(Vec<Grant>),
}

/// How a Kubernetes service account acts as a Google one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonation {
    /// The account, of [`Spec::accounts`].
    pub account: String,
    /// When it may.
    pub condition: Option<Condition>,
    /// The project on which it has the right, and so may act as every account there; `None`: it has it on the
    /// account.
    pub through: Option<Resource>,
    /// Roles of its own, which do nothing while it acts as the account.
    pub own_grants: Vec<Grant>,
}
