//! Google service accounts of the world file, their keys, and what is known of their use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Policy;
use crate::serde_help::is_default;

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
