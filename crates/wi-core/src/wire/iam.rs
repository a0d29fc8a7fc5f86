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

/// A key of a service account. Of the private half there is nothing: IAM tells it once, when it is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccountKey {
    /// `projects/P/serviceAccounts/E/keys/ID`.
    pub name: String,
    /// RFC 3339.
    pub valid_after_time: String,
    /// RFC 3339; in the year 9999: without end.
    pub valid_before_time: String,
    pub disabled: bool,
    /// `SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED` …
    pub disable_reason: String,
    /// What stays with the key for its life.
    pub extended_status: Vec<ExtendedStatus>,
    /// Base64 of a certificate or a public key, where it was asked for.
    pub public_key_data: String,
}

/// What Google says of a key besides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ExtendedStatus {
    /// `…_EXPOSED`, `…_COMPROMISE_DETECTED`.
    pub key: String,
    /// Where it was seen, in words of Google's.
    pub value: String,
}

impl ServiceAccountKey {
    /// The last part of its name.
    pub fn id(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// What Google says if it is exposed or compromised, in words.
    pub fn exposure(&self) -> Option<String> {
        let is_bad =
            |text: &str| text.ends_with("EXPOSED") || text.ends_with("COMPROMISE_DETECTED");
        let status = self.extended_status.iter().find(|s| is_bad(&s.key));
        let status = status.map(|s| format!("{}: {}", s.key, s.value));
        status.or_else(|| is_bad(&self.disable_reason).then(|| self.disable_reason.clone()))
    }
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
