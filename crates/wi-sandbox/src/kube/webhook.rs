//! Admission webhooks: which of them is asked, and what it says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kind::Kind;
use super::objects::Key;
use crate::faults::matches;

/// An admission webhook of the cluster. It is asked in dry runs, too, unless it has side effects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Its name, such as `policy.example.com`.
    pub name: String,
    /// The resources that it is asked about (`serviceaccounts`). Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The namespaces that it is asked about; `*` stands for anything. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// `CREATE`, `UPDATE`, `DELETE`. Absent: creations and updates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// Deny with this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<String>,
    /// A merge patch over the object as it would be stored.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub rewrite: Value,
    /// Its `sideEffects` are neither `None` nor `NoneOnDryRun`: dry runs of what it is asked about are refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub side_effects: bool,
}

/// What is being done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

impl Webhook {
    pub fn is_asked(&self, key: &Key, operation: Operation) -> bool {
        let namespace = match key.kind {
            Kind::Namespace => &key.name,
            _ => &key.namespace,
        };
        let any = |list: &[String], what: &str| {
            list.is_empty() || list.iter().any(|one| matches(&format!("{one}$"), what))
        };
        let meant = match self.operations.as_slice() {
            [] => operation != Operation::Delete,
            named => named.iter().any(|one| one == operation.word()),
        };
        meant && any(&self.resources, key.kind.plural()) && any(&self.namespaces, namespace)
    }

    pub fn rewrite_of(&self) -> Value {
        match &self.rewrite {
            Value::Object(_) => self.rewrite.clone(),
            _ => json!({}),
        }
    }
}
