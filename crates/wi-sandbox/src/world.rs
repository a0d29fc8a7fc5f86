//! The world file: everything that the simulated services hold, as people write it and as it is
//! saved. `docs/sandbox.md` describes it.

mod apps;
mod restrictions;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::constraints::OrganizationPolicy;
use super::faults::Fault;
use super::gke::cluster::Cluster;
use super::gke::operation::{Operation, OperationSeconds};
use super::hub::fleet::Fleet;
use super::serde_help::{is_default, nullable_values};

pub use apps::{App, AppCall, Traffic};
pub use restrictions::{AccessBoundary, DenyPolicy, DenyRule};

/// The `apiVersion` that marks a world file.
pub const API_VERSION: &str = "wi.sandbox/v1";

/// Why a world file was refused.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The text is not YAML of the right shape; the message has the line and column.
    #[error("{file}: {message}")]
    Syntax {
        /// The name of the file, as given.
        file: String,
        /// What is wrong, with its place.
        message: String,
    },
    /// The shape is right, but the parts contradict each other.
    #[error("{file}: {message}")]
    Contradiction {
        /// The name of the file, as given.
        file: String,
        /// What is wrong.
        message: String,
    },
}

/// The whole state of the sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct World {
    /// `wi.sandbox/v1`.
    pub api_version: String,
    /// Who the token belongs to.
    #[serde(default = "default_caller")]
    pub caller: String,
    /// Permissions that `testIamPermissions` says the caller does not have. Calls are refused by
    /// `faults` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caller_lacks: Vec<String>,
    /// Custom roles that there are: `projects/P/roles/ID`, `organizations/N/roles/ID`; with what they permit,
    /// or by their names alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_roles: Vec<CustomRole>,
    /// Predefined roles that there are not: any other is taken for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_roles: Vec<String>,
    /// Simulated seconds per real second, for long-running operations and delays.
    #[serde(default = "default_time_scale")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub time_scale: f64,
    /// The simulated time (RFC 3339) at which the state was saved. Absent: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// How far the servers' clocks are ahead of this machine's, or behind it if less than zero: those of
    /// the `Date` header and of the simulated time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clock_ahead_seconds: i64,
    /// Counts the writes; etags and ids are made from it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision: u64,
    /// Organization policies that are enforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organization_policies: Vec<OrganizationPolicy>,
    /// Deny policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny_policies: Vec<DenyPolicy>,
    /// Principal access boundary policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_boundaries: Vec<AccessBoundary>,
    /// Projects by id.
    #[serde(default, deserialize_with = "nullable_values")]
    #[schemars(with = "BTreeMap<String, Option<Project>>")]
    pub projects: BTreeMap<String, Project>,
    /// Buckets by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<String, Bucket>,
    /// Other resources with a policy, by full resource name (`//secretmanager.googleapis.com/…`).
    #[serde(
        default,
        deserialize_with = "nullable_values",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(with = "BTreeMap<String, Option<PolicyResource>>")]
    pub resources: BTreeMap<String, PolicyResource>,
    /// GKE clusters.
    #[serde(default)]
    pub clusters: Vec<Cluster>,
    /// Fleets by their host projects.
    #[serde(
        default,
        deserialize_with = "nullable_values",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(with = "BTreeMap<String, Option<Fleet>>")]
    pub fleets: BTreeMap<String, Fleet>,
    /// GKE operations, running and ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
    /// How long operations take, in simulated seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub operation_seconds: OperationSeconds,
    /// How long a change stays unseen by other services, in simulated seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub propagation_seconds: PropagationSeconds,
    /// How what is known of the use of keys comes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub evidence: Evidence,
    /// What pods ask for: audit logs have it, and the token for it, where they are on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_calls: Vec<PodCall>,
    /// Programs in containers, by their images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<App>,
    /// How many requests Services have; 60 a minute where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<Traffic>,
    /// Entries of logs, as Cloud Logging has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_entries: Vec<Value>,
    /// Failures to inject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            caller: default_caller(),
            caller_lacks: Vec::new(),
            custom_roles: Vec::new(),
            unknown_roles: Vec::new(),
            time_scale: default_time_scale(),
            clock: None,
            clock_ahead_seconds: 0,
            revision: 0,
            organization_policies: Vec::new(),
            deny_policies: Vec::new(),
            access_boundaries: Vec::new(),
            projects: BTreeMap::new(),
            buckets: BTreeMap::new(),
            resources: BTreeMap::new(),
            clusters: Vec::new(),
            fleets: BTreeMap::new(),
            operations: Vec::new(),
            operation_seconds: OperationSeconds::default(),
            propagation_seconds: PropagationSeconds::default(),
            evidence: Evidence::default(),
            pod_calls: Vec::new(),
            apps: Vec::new(),
            traffic: Vec::new(),
            log_entries: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// A custom role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CustomRole {
    /// One that is there, and permits nothing.
    Name(String),
    /// One with what it permits.
    Role(RoleDefinition),
}

/// What a custom role permits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleDefinition {
    /// `projects/P/roles/ID`
    pub name: String,
    /// `storage.objects.get` …
    #[serde(default)]
    pub permissions: Vec<String>,
    /// `GA` unless said otherwise; `DISABLED` gives nothing.
    #[serde(
        default = "generally_available",
        skip_serializing_if = "is_generally_available"
    )]
    pub stage: String,
    /// Whether it was deleted, within the last days: it is shown, and gives nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deleted: bool,
}

fn generally_available() -> String {
    "GA".to_owned()
}

fn is_generally_available(stage: &str) -> bool {
    stage == "GA"
}

impl CustomRole {
    /// `projects/P/roles/ID`
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Role(role) => &role.name,
        }
    }

    /// Whether who has it has this permission.
    pub fn gives(&self, permission: &str) -> bool {
        match self {
            Self::Name(_) => false,
            Self::Role(role) => {
                let in_force = !role.deleted && role.stage != "DISABLED";
                in_force && role.permissions.iter().any(|p| p == permission)
            }
        }
    }
}

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Project {
    /// The project number. Absent: made from the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The allow policy.
    #[serde(skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// What is above it, the nearest first: `folder/N`, then `organization/N`. Their policies are
    /// among `resources`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<String>,
    /// Google service accounts by account id (the part before the `@`).
    #[serde(
        deserialize_with = "nullable_values",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(with = "BTreeMap<String, Option<ServiceAccount>>")]
    pub service_accounts: BTreeMap<String, ServiceAccount>,
    /// Accounts deleted within the last 30 days.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted_service_accounts: Vec<DeletedServiceAccount>,
    /// APIs that are off, as Service Usage tells (`iamcredentials.googleapis.com`). Calls of them are
    /// refused by `faults` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled_services: Vec<String>,
    /// Whether the project has its workload pool, and since when (RFC 3339, simulated). A cluster
    /// that has the pool creates it; once there it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_pool_since: Option<String>,
}

/// A Google service account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceAccount {
    /// Shown in the console.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether it is disabled.
    #[serde(skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// 21 digits. Absent: made from the email.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unique_id: String,
    /// Who may act as the account.
    #[serde(skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Its user-managed keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<AccountKey>,
    /// From when on IAM sees the account (RFC 3339, simulated). Absent: it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visible_from: Option<String>,
}

/// A user-managed key of a service account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountKey {
    /// Its id, usually 40 hex digits.
    pub id: String,
    /// When it was made (RFC 3339).
    #[serde(default = "long_ago")]
    pub created_at: String,
    /// Until when it holds (RFC 3339).
    #[serde(default = "far_ahead")]
    pub expires_at: String,
    /// `GOOGLE_PROVIDED` or `USER_PROVIDED`.
    #[serde(default = "google_provided")]
    pub origin: String,
    /// Whether it is disabled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// `SERVICE_ACCOUNT_KEY_DISABLE_REASON_…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub disable_reason: String,
    /// `{key, value}`, as the API has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_status: Vec<Value>,
    /// The public half, PEM. Empty: none is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub public_key: String,
    /// Whether it is deleted: what services know of its use they still tell.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deleted: bool,
    /// When it was used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<KeyUse>,
}

/// A use of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyUse {
    /// When (RFC 3339).
    pub at: String,
    /// How often.
    #[serde(default = "once")]
    pub count: u64,
    /// The project of the resource that was called. Absent: the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_ip: Option<String>,
    /// With what program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Which method. Absent: `storage.objects.get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// How what is known of the use of keys comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Evidence {
    /// How long a use stays out of Cloud Monitoring, in simulated seconds.
    pub metric_lag_seconds: u32,
    /// How many days a use stays out of the Activity Analyzer.
    pub activity_lag_days: u32,
    /// What Cloud Monitoring says that it cannot reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
    /// Whether each page of log entries comes after an empty one, as where a project has many others.
    #[serde(skip_serializing_if = "is_default")]
    pub empty_log_pages: bool,
}

/// A call of a pod, one a minute if they are many.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodCall {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// `PROJECT/LOCATION/NAME`, or its name; absent: in any cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// When (RFC 3339, simulated).
    pub at: String,
    /// How many there are; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The service: `bigquery.googleapis.com`.
    pub service: String,
    /// As entries name it: `google.cloud.bigquery.v2.JobService.InsertJob`.
    pub method: String,
    /// What it takes: `bigquery.jobs.create`.
    pub permission: String,
    /// On what: `project/ID`, `bucket/NAME` or a full resource name.
    pub resource: String,
    /// From which address; absent: one that Google does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_ip: Option<String>,
    /// By which program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            metric_lag_seconds: 10_800,
            activity_lag_days: 2,
            unreachable: Vec::new(),
            empty_log_pages: false,
        }
    }
}

/// A service account within the 30 days in which it can be undeleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeletedServiceAccount {
    /// The part of its email before the `@`.
    pub account_id: String,
    /// When it was deleted (RFC 3339, simulated).
    pub deleted_at: String,
    /// What comes back when it is undeleted.
    pub account: ServiceAccount,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    /// The project that it is in.
    pub project: String,
    /// Conditions and Kubernetes principals in the policy need it.
    #[serde(default = "yes")]
    pub uniform_bucket_level_access: bool,
    /// Where it is.
    #[serde(default = "default_bucket_location")]
    pub location: String,
    /// The allow policy. Absent: the legacy roles of a new bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A resource of which only the policy is simulated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyResource {
    /// The allow policy; of a dataset, the entries of its access list that name a member.
    #[serde(skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Of a dataset: the other entries of its access list, as the API has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_access: Vec<Value>,
}

/// An allow policy as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Changes with every write. Absent: never written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Who has which role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    /// Which audit logs are written, as the API has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_configs: Vec<Value>,
}

/// The members of one role under one condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    /// The role.
    pub role: String,
    /// The members, as IAM writes them.
    #[serde(default)]
    pub members: Vec<String>,
    /// When the binding holds. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// The condition of a binding.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// The CEL expression.
    pub expression: String,
    /// A short title.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where the expression comes from, for messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub location: String,
}

/// How long a change stays unseen by other services, in simulated seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PropagationSeconds {
    /// From the creation of an account until IAM sees it.
    pub service_account: u32,
    /// From the end of the first cluster's operation until IAM knows the project's pool.
    pub workload_pool: u32,
    /// From the write of a policy until a search of Cloud Asset finds it so. What a world file has is found.
    pub policy_search: u32,
}

impl Default for PropagationSeconds {
    fn default() -> Self {
        Self {
            service_account: 10,
            workload_pool: 5,
            policy_search: 60,
        }
    }
}

impl World {
    /// Reads a world file. `file_name` is only shown in errors.
    ///
    /// # Errors
    /// When the text is not YAML of this shape, or names a project that it does not have.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, WorldError> {
        // A world of 200 clusters has some million nodes.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: 64,
                max_nodes: 40_000_000,
                max_events: 100_000_000,
                max_total_scalar_bytes: 1 << 30,
            },
        };
        let read = serde_saphyr::from_str_with_options(text, options);
        let world: Self = read.map_err(|e| WorldError::Syntax {
            file: file_name.to_owned(),
            message: e.to_string(),
        })?;
        world.check().map_err(|message| WorldError::Contradiction {
            file: file_name.to_owned(),
            message,
        })?;
        Ok(world)
    }

    fn check(&self) -> Result<(), String> {
        if self.api_version != API_VERSION {
            return Err(format!(
                "apiVersion is `{}`; a world file has `{API_VERSION}`",
                self.api_version
            ));
        }
        if !(self.time_scale.is_finite() && self.time_scale > 0.0) {
            return Err("timeScale must be a number above 0".to_owned());
        }
        let known = |project: &str, what: String| {
            if self.projects.contains_key(project) {
                return Ok(());
            }
            Err(format!(
                "{what} is in project `{project}`, which `projects` does not have"
            ))
        };
        for (name, bucket) in &self.buckets {
            known(&bucket.project, format!("bucket `{name}`"))?;
        }
        let mut seen = std::collections::BTreeSet::new();
        for cluster in &self.clusters {
            known(&cluster.project, format!("cluster `{}`", cluster.name))?;
            if !seen.insert((&cluster.project, &cluster.location, &cluster.name)) {
                return Err(format!(
                    "cluster `{}` of {} is there twice",
                    cluster.name, cluster.location
                ));
            }
            cluster.check()?;
        }
        let mut members = std::collections::BTreeSet::new();
        for (host, fleet) in &self.fleets {
            known(host, format!("the fleet of {host}"))?;
            for membership in &fleet.memberships {
                if membership.cluster.split('/').count() != 3 {
                    return Err(format!(
                        "the cluster of membership `{}` is `{}`: it takes PROJECT/LOCATION/NAME",
                        membership.name, membership.cluster
                    ));
                }
                if !members.insert(&membership.cluster) {
                    return Err(format!(
                        "cluster `{}` is in a fleet twice",
                        membership.cluster
                    ));
                }
            }
        }
        Ok(())
    }

    /// The world as YAML: a valid world file again.
    pub fn to_yaml(&self) -> String {
        // A JSON document is YAML too, should the YAML writer ever refuse.
        serde_saphyr::to_string(self).unwrap_or_else(|_| {
            serde_json::to_string_pretty(self)
                .unwrap_or_else(|e| format!("# cannot be written: {e}\n"))
        })
    }
}

/// The JSON Schema of world files.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(World).to_value();
    schema["title"] = "World file of the wi sandbox".into();
    schema
}

fn default_caller() -> String {
    "dev@example.com".to_owned()
}

fn default_time_scale() -> f64 {
    100.0
}

fn default_bucket_location() -> String {
    "EU".to_owned()
}

fn long_ago() -> String {
    "2023-02-11T09:00:00Z".to_owned()
}

fn far_ahead() -> String {
    "9999-12-31T23:59:59Z".to_owned()
}

fn google_provided() -> String {
    "GOOGLE_PROVIDED".to_owned()
}

fn once() -> u64 {
    1
}

fn yes() -> bool {
    true
}
