//! Policies of the world file, and the roles in them that are its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::serde_help::is_default;

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
