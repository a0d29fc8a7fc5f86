//! What IAM answers: `iam.googleapis.com/v1`.

use std::collections::BTreeSet;

use serde::Deserialize;

/// A Google service account.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccount {
    pub email: String,
    pub unique_id: String,
    pub display_name: String,
    pub description: String,
    pub disabled: bool,
}

/// A role, predefined or custom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleDefinition {
    /// `roles/NAME`, or below a project or an organization.
    pub name: String,
    /// `GA`, `BETA` …; a custom role that is `DISABLED` gives nothing.
    pub stage: String,
    /// A custom role that was deleted is there for a while, and gives nothing.
    pub deleted: bool,
    pub included_permissions: BTreeSet<String>,
}

impl RoleDefinition {
    /// Whether who has the role has this permission.
    pub fn gives(&self, permission: &str) -> bool {
        self.is_in_force() && self.included_permissions.contains(permission)
    }

    /// Whether it gives anything: it is neither deleted nor disabled.
    pub fn is_in_force(&self) -> bool {
        !self.deleted && self.stage != "DISABLED"
    }
}
