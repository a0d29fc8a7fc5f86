//! Allow policies, as every API has them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::Condition;

/// An allow policy. What `wi` does not know stays in `rest` and is written back as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// `version`, `auditConfigs`, `kind`, `resourceId` and whatever comes.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A role, who has it, and when. Member order and casing are the server's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    pub role: String,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
