//! Programs in containers, and the requests for them, as the world file has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::serde_help::is_default;

/// What the program in an image does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// The image; `*` stands for anything.
    pub image: String,
    /// What each of its requests asks of Google's APIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<AppCall>,
    /// Variables with a key file's path or its text, before the metadata server is asked.
    #[serde(default = "adc", skip_serializing_if = "is_adc")]
    pub variables: Vec<String>,
    /// A key file that it reads itself, whatever its variables say; without it, it crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// It crashes when it finds no credential. Otherwise its requests fail.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crashes: bool,
    /// It is ready only while its calls work. Otherwise it is ready when it has started, whatever comes of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_by_calls: bool,
    /// It signs URLs: with its key, or by `iam.serviceAccounts.signBlob` on the account that it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub signs: bool,
    /// It works by itself, once a minute, whether or not a Service has it: a consumer of a queue.
    #[serde(default, skip_serializing_if = "is_default")]
    pub works: bool,
    /// The Services (`NAMESPACE/NAME`, `*` stands for anything) whose requests it can answer. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serves: Vec<String>,
    /// It is curl: its arguments say what it asks of the metadata server and of others, and the pod's log has what it
    /// prints.
    #[serde(default, skip_serializing_if = "is_default")]
    pub curl: bool,
    /// How many requests a minute one pod can answer, at 100 % of its CPU. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// From its start until it is ready, in simulated seconds. Absent: as the cluster's `controllers` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_seconds: Option<u32>,
}

/// A call of Google's APIs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppCall {
    /// What it takes: `storage.objects.get`.
    pub permission: String,
    /// On what: `project/ID`, `bucket/NAME` or a full resource name.
    pub resource: String,
    /// The service, for audit logs.
    #[serde(default = "storage", skip_serializing_if = "is_storage")]
    pub service: String,
    /// As entries name it. Absent: as the permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

fn storage() -> String {
    "storage.googleapis.com".to_owned()
}

fn is_storage(service: &str) -> bool {
    service == storage()
}

/// Requests for a Service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// `NAMESPACE/NAME`.
    pub service: String,
    /// `PROJECT/LOCATION/NAME` of the cluster, or its name. Absent: in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// How many there are each minute.
    pub per_minute: u32,
}

fn adc() -> Vec<String> {
    vec!["GOOGLE_APPLICATION_CREDENTIALS".to_owned()]
}

fn is_adc(variables: &[String]) -> bool {
    variables == adc()
}
