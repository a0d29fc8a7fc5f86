//! What takes rights away: deny policies and principal access boundaries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;

/// A deny policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DenyPolicy {
    /// What it is attached to: `project/ID`, `folder/N` or `organization/N`.
    pub at: String,
    /// Its id.
    pub id: String,
    /// Who may not do what.
    #[serde(default)]
    pub rules: Vec<DenyRule>,
}

/// A rule of a deny policy, as the API has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DenyRule {
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who is denied: `principalSet://goog/public:all`, `principal://…`.
    pub denied_principals: Vec<String>,
    /// Who is not, all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exception_principals: Vec<String>,
    /// What is denied: `iam.googleapis.com/serviceAccounts.getAccessToken`.
    pub denied_permissions: Vec<String>,
    /// What is not, all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exception_permissions: Vec<String>,
    /// It denies while this holds. Absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial_condition: Option<Condition>,
}

/// A principal access boundary policy and what it is bound to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessBoundary {
    /// The number of the organization that it is of.
    pub organization: String,
    /// Its id.
    pub id: String,
    /// Projects, folders and organizations that its principals may reach, by full resource name.
    pub resources: Vec<String>,
    /// Which permissions it can block.
    #[serde(default = "third_version")]
    pub enforcement_version: String,
    /// The sets of principals that it is bound to: a workload pool, a project, a folder, an organization
    /// (`//cloudresourcemanager.googleapis.com/projects/ID`).
    #[serde(default)]
    pub bound_to: Vec<String>,
}

fn third_version() -> String {
    "3".to_owned()
}

impl AccessBoundary {
    /// As the API has it.
    pub fn name(&self) -> String {
        format!(
            "organizations/{}/locations/global/principalAccessBoundaryPolicies/{}",
            self.organization, self.id
        )
    }
}
