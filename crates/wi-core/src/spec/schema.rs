//! The shape of the spec's YAML, of which the JSON Schema is made; the checks read that schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::Condition;

/// A spec of wi: clusters, Google service accounts, namespaces and grants. Any number of files are
/// merged.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "wi/v1")]
pub struct Document {
    /// Says that this document is for wi.
    #[schemars(extend("const" = "wi/v1"))]
    pub api_version: String,
    /// Who owns what this spec creates; it is part of the marks on the objects.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: Option<String>,
    /// The default project of clusters and accounts.
    pub project: Option<String>,
    /// Clusters, by the name that the spec uses for them.
    pub clusters: Option<BTreeMap<String, Option<Cluster>>>,
    /// Where to look for more clusters, so that a new one needs no edit.
    pub discover: Option<Vec<Discover>>,
    /// Settings for all clusters that a selector selects; the first that fits counts.
    pub overrides: Option<Vec<Override>>,
    /// In which order clusters are changed; all at once if left out.
    pub rollout: Option<Rollout>,
    /// Google service accounts, by the name that the spec uses for them.
    pub google_service_accounts: Option<BTreeMap<String, Option<Account>>>,
    /// Namespaces, by name.
    pub namespaces: Option<BTreeMap<String, Option<Namespace>>>,
    /// Workloads that may lose the node's identity, on all clusters: NAMESPACE/*,
    /// NAMESPACE/NAME or NAMESPACE/KIND/NAME.
    pub accept_loss: Option<Vec<String>>,
    /// Resources that the spec no longer grants on: what its principals still have there is removed.
    pub removed: Option<Vec<String>>,
    /// Where to search policies for what left the spec, beside the projects that it names: folder/NUMBER,
    /// organization/NUMBER, project/ID.
    pub search: Option<Vec<String>>,
    /// What the spec must not ask for.
    pub guard: Option<Guard>,
    /// Google service accounts that get off their static keys, by the name that the spec uses for them:
    /// `wi migrate` says how far they are.
    pub migrate: Option<BTreeMap<String, Option<Migration>>>,
    /// What is expected of identities beyond what their roles explain, for `wi logs`.
    pub audit: Option<Audit>,
}

/// What is expected of identities beyond what their roles explain.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Audit {
    /// Projects beside those of the spec that its identities may call into.
    pub trusted_projects: Option<Vec<String>>,
    /// What identities may do, though it is unusual.
    pub expect: Option<Vec<Expect>>,
}

/// Something unusual that is expected: whose, what, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// A Google service account, by the name that the spec uses for it.
    pub account: Option<String>,
    /// A Kubernetes service account: NAMESPACE/NAME.
    pub service_account: Option<String>,
    /// Anybody else, as entries name him; `*` stands for anything.
    pub principal: Option<String>,
    /// The service that is called: bigquery.googleapis.com.
    pub service: Option<String>,
    /// The detector, where it is not about a service.
    #[schemars(extend("enum" = ["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "L10", "L11", "L12", "L13", "L14", "L15", "L16", null]))]
    pub finding: Option<String>,
    /// What the finding is about, as it says; `*` stands for anything.
    pub about: Option<String>,
    /// Why it is expected.
    pub reason: String,
    /// The last day on which it is: 2027-03-31.
    pub until: Option<String>,
}

/// How far an account is to get off its static keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Migration {
    /// bound: its workloads could do without a key. shadow: those that may have one have a second Deployment without it
    /// beside them, to which nothing is sent. canary: it gets a share of their requests. cutover: none has a key any
    /// more. disabled: its keys are. deleted: its keys are, for good. pruned: so are the Secrets that held nothing but them.
    #[schemars(regex(pattern = r"^(bound|shadow|canary|cutover|disabled|deleted|pruned)$"))]
    pub until: String,
    /// Workloads that keep their key: NAMESPACE/*, NAMESPACE/NAME or NAMESPACE/KIND/NAME.
    pub exclude: Option<Vec<String>>,
    /// What you vouch for, since no template tells it: unknown-reader (what has the key and is not known to read
    /// it does without), mentions (so does what mentions its path), set-elsewhere (what else may set a variable
    /// that is taken away leads to no other credential), in-files (nothing takes the key from the files that it lies in),
    /// put-back (whoever put a key back into a template will not again), gap (a pod may end before its new one is there),
    /// works-twice (what no Service sends requests to may do its work once more in a pod beside its own), unproven (a
    /// key goes from a template although no token of its Kubernetes service account could be tried before, and ends
    /// although a CronJob has not run without it yet).
    pub accept: Option<Vec<String>>,
    /// shadow or rolling, by workload: NAMESPACE/*, NAMESPACE/NAME or NAMESPACE/KIND/NAME. The plan chooses for the others.
    pub strategy: Option<BTreeMap<String, String>>,
    /// How long to wait before each step.
    pub soak: Option<MigrationSoak>,
}

/// How long to wait before each step of a migration.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigrationSoak {
    /// How long a key has to be silent before it is disabled: 168h if left out, at least 24h.
    pub quiet: Option<String>,
    /// How long it has to be disabled before it is deleted: 168h if left out, at least 75m.
    pub disabled: Option<String>,
    /// How long the first new pod of a workload has to be ready before the others follow, or that of a shadow before
    /// the next rung: 60s if left out, at most 24h.
    pub canary: Option<String>,
}

/// What the spec must not ask for; `*` stands for anything.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// Roles that are not granted: roles/owner, roles/*.admin.
    pub forbid_roles: Option<Vec<String>>,
    /// Members that get no role, as IAM writes them: serviceAccount:*@old-project.*.
    pub forbid_members: Option<Vec<String>>,
    /// Roles that are granted under a condition only.
    pub require_condition_for: Option<Vec<String>>,
    /// How many things one plan may remove at most.
    pub max_removals: Option<u32>,
    /// true: user-managed keys of the spec's accounts are an error, unless an account's `keys` allows them.
    pub forbid_keys: Option<bool>,
}

/// A GKE cluster.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Its project; the spec's `project` if left out.
    pub project: Option<String>,
    /// A region (europe-west1) or a zone (europe-west1-b).
    pub location: String,
    /// Its name in GKE, if that is another one.
    pub name: Option<String>,
    /// For the selectors of namespaces.
    pub labels: Option<BTreeMap<String, String>>,
    /// false: it is others' to manage. Neither it nor its node pools are changed, only Kubernetes
    /// service accounts on it and IAM.
    pub manage: Option<bool>,
    /// Node pools to move to the GKE metadata server: `all` (the default), a list of names ([]: none), or
    /// `exclude` with a list of names. Others stay as they are.
    pub node_pools: Option<NodePools>,
    /// Workloads on this cluster that may lose the node's identity: NAMESPACE/*, NAMESPACE/NAME or
    /// NAMESPACE/KIND/NAME.
    pub accept_loss: Option<Vec<String>>,
    /// How its Kubernetes API is reached; left out, by what the cluster offers.
    pub access: Option<Access>,
}

/// Which node pools of a cluster.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NodePools {
    /// `all`.
    All(String),
    /// Those with these names.
    Names(Vec<String>),
    /// All but some.
    AllBut(AllBut),
}

/// All but some.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllBut {
    /// The names of those that stay as they are.
    pub exclude: Vec<String>,
}

/// How a cluster's Kubernetes API is reached: an endpoint that GKE offers, or a kubeconfig.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// dns, public, private, or connectGateway: through the fleet that the cluster is registered with.
    #[schemars(extend("enum" = ["dns", "public", "private", "connectGateway", null]))]
    pub endpoint: Option<String>,
    /// A kubeconfig file; `~/` is the home directory.
    pub kubeconfig: Option<String>,
    /// Its context; the current one if left out.
    pub context: Option<String>,
}

/// A Google service account: made and kept by this spec, or one that exists elsewhere (`email`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// An account that exists elsewhere: used, never created, changed or deleted.
    pub email: Option<String>,
    /// The part of the address before the @, if it is not the key.
    pub id: Option<String>,
    /// Its project; the spec's `project` if left out.
    pub project: Option<String>,
    /// Shown in the console, up to 100 bytes.
    pub display_name: Option<String>,
    /// Roles that it is to have.
    pub grants: Option<Vec<Grant>>,
    /// Who else may act as it: NAMESPACE/KSA in clusters of its own project, PROJECT/NAMESPACE/KSA, `*` for all
    /// KSAs of a namespace (or of a project: PROJECT/*/*), cluster/PROJECT/LOCATION/NAME, or a member as IAM
    /// writes it.
    pub users: Option<Vec<User>>,
    /// What becomes of it when it leaves the spec: disable (the default), delete or keep. One that was there
    /// before the spec is released, unless this says otherwise.
    #[schemars(extend("enum" = ["disable", "delete", "keep", null]))]
    pub on_remove: Option<String>,
    /// Which user-managed keys it may have: `none` (the plan warns of each that is there), `keep` (any), or
    /// `allow` with a list of ids. The plan reads them only where this or the guard says something.
    pub keys: Option<Keys>,
}

/// Somebody who may act as an account.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum User {
    /// At any time.
    Name(String),
    /// While a condition holds.
    While(UserWhile),
}

/// Somebody who may act as an account while a condition holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserWhile {
    /// NAMESPACE/KSA, PROJECT/NAMESPACE/KSA, or as above.
    pub user: String,
    /// When it may.
    pub condition: Option<Condition>,
    /// Until when it may, in place of a condition: 2027-01-01 or 2027-01-01T12:00:00Z.
    pub expires: Option<String>,
}

/// Which user-managed keys an account may have.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Keys {
    /// `none` or `keep`.
    Word(String),
    /// Some, for some time.
    Allow(AllowedKeys),
}

/// Keys that an account may have for some time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllowedKeys {
    /// Their ids.
    pub allow: Vec<String>,
    /// The last day: 2027-01-31.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// A role on a resource.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Grant {
    /// A role on the account's own project.
    Role(String),
    /// A role on a resource.
    On(GrantOn),
}

/// A role on a resource, possibly under a condition.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantOn {
    /// roles/NAME, projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME.
    pub role: String,
    /// project/ID or bucket/NAME, or a full resource name; the account's own project if left out.
    pub resource: Option<String>,
    /// When it holds.
    pub condition: Option<Condition>,
    /// Until when it holds, in place of a condition: 2027-01-01 or 2027-01-01T12:00:00Z.
    pub expires: Option<String>,
}

/// A namespace, on each of its clusters.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Namespace {
    /// Its clusters: labels that they must have, their names, or a selector as kubectl takes it
    /// (`env in (prod, staging), !legacy`); all if left out.
    pub clusters: Option<Selector>,
    /// Whether wi creates it (the default); otherwise it must exist.
    pub create: Option<bool>,
    /// Kubernetes service accounts, by name.
    pub service_accounts: Option<BTreeMap<String, Option<ServiceAccount>>>,
}

/// Which clusters.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Selector {
    /// `all`, or a selector as kubectl takes it: `env=prod`, `ring in (1, 2)`, `!legacy`.
    Text(String),
    /// Those with all of these labels.
    Labels(BTreeMap<String, String>),
    /// Those with these names.
    Names(Vec<String>),
}

/// A Kubernetes service account.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccount {
    /// On which of its namespace's clusters it is; all if left out.
    pub clusters: Option<Selector>,
    /// The Google service account that its pods act as: its name, or a map that says how.
    pub impersonates: Option<Impersonates>,
    /// Roles of its own, without a Google service account.
    pub grants: Option<Vec<Grant>>,
    /// Roles of its own beside `impersonates`: they do nothing while its pods act as the account, and are kept.
    pub own_grants: Option<Vec<Grant>>,
    /// Made and annotated elsewhere (Helm, Argo CD ...): only IAM is kept here.
    pub existing: Option<bool>,
    /// What it is instead on some of its clusters; the first that fits counts.
    pub overrides: Option<Vec<ServiceAccountOverride>>,
}

/// What a Kubernetes service account is on some clusters.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountOverride {
    /// On which.
    pub clusters: Selector,
    /// The Google service account that its pods act as there: its name, or a map that says how.
    pub impersonates: Option<Impersonates>,
    /// Roles of its own there, without a Google service account.
    pub grants: Option<Vec<Grant>>,
    /// Roles of its own beside `impersonates`: they do nothing while its pods act as the account, and are kept.
    pub own_grants: Option<Vec<Grant>>,
}

/// As which Google service account pods act.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Impersonates {
    /// As this one of `googleServiceAccounts`.
    Account(String),
    /// As one of them, by a right that is not just its own at all times.
    By(ImpersonatesBy),
}

/// As which Google service account pods act, and by which right.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImpersonatesBy {
    /// Its name in `googleServiceAccounts`.
    pub account: String,
    /// When they may.
    pub condition: Option<Condition>,
    /// Until when they may, in place of a condition: 2027-01-01 or 2027-01-01T12:00:00Z.
    pub expires: Option<String>,
    /// project/ID: the right is on the whole project, so that they may act as every account there. For what is so
    /// already; left out, the right is on the account alone.
    pub through: Option<String>,
}

/// Where to look for clusters.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Discover {
    /// In this project.
    pub project: Option<String>,
    /// In all projects of this folder, by its number; not of the folders in it.
    pub folder: Option<String>,
    /// In this region or zone only.
    pub location: Option<String>,
    /// With these resource labels in GKE only.
    pub resource_labels: Option<BTreeMap<String, String>>,
    /// Labels that they have in this spec, for selectors.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Settings for the clusters that are selected. What a cluster says itself counts more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Override {
    /// Which clusters.
    pub clusters: Selector,
    /// false: they are others' to manage.
    pub manage: Option<bool>,
    /// Node pools to move to the GKE metadata server.
    pub node_pools: Option<NodePools>,
    /// Workloads that may lose the node's identity, in addition to the cluster's own.
    pub accept_loss: Option<Vec<String>>,
    /// How the Kubernetes API is reached.
    pub access: Option<Access>,
}

/// In which order clusters are changed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// One after another. Every cluster is in exactly one.
    pub waves: Vec<Wave>,
    /// How many clusters may fail before nothing more is started; 0 if left out.
    pub max_failures: Option<u32>,
    /// What happens once more have failed: pause (the default) or continue.
    #[schemars(extend("enum" = ["pause", "continue", null]))]
    pub on_failure: Option<String>,
    /// After so long nothing more is started: 24h.
    pub deadline: Option<String>,
}

/// Clusters that are changed before those of the next wave.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wave {
    /// What it is called.
    pub name: String,
    /// Its clusters, or `remaining` for all that are in no other wave.
    pub clusters: Option<Selector>,
    /// Another word for `clusters`.
    pub select: Option<Selector>,
    /// How many clusters are changed at a time: a number, or a part of the wave (25%); all if left
    /// out.
    pub max_parallel: Option<Parallel>,
    /// How long to wait after it before the next one: 30m. The same as gate.soak.
    pub soak: Option<String>,
    /// What it takes to go on to the next one.
    pub gate: Option<Gate>,
    /// How many of its clusters may fail; the rollout's if left out.
    pub max_failures: Option<u32>,
}

/// A number, or a part.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Parallel {
    /// So many.
    Number(u32),
    /// So many of a hundred: 25%; rounded up.
    Percent(String),
}

/// What it takes to go on after a wave.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Read back what was written, and wait for the pods of changed node pools; true if left out.
    pub verify: Option<bool>,
    /// How long to wait then: 30m.
    pub soak: Option<String>,
    /// Whether somebody must approve.
    pub manual: Option<bool>,
}

/// The JSON Schema of a document.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}
