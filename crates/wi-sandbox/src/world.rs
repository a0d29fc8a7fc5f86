//! The world file: everything that the simulated services hold, as people write it and as it is
//! saved. `docs/sandbox.md` describes it.

mod accounts;
mod apps;
mod policies;
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

pub use accounts::{AccountKey, DeletedServiceAccount, Evidence, KeyUse, PodCall, ServiceAccount};
pub use apps::{App, AppCall, Traffic};
pub use policies::{Binding, Condition, CustomRole, Policy, PolicyResource, RoleDefinition};
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

fn yes() -> bool {
    true
}
