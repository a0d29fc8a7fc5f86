//! Allow policies, as every API has them.

use std::collections::BTreeSet;

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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What dead members begin with: `deleted:serviceAccount:EMAIL?uid=ID`.
const DEAD: &str = "deleted:";

impl Policy {
    /// Dead members that the API hands out and does not take back: in an access list (BigQuery) all of
    /// them, elsewhere those whose address has a live member, too ("Inconsistent representation of
    /// deleted member"). They give nobody anything, and one of them has the whole policy refused.
    pub fn unwritable(&self, is_access_list: bool) -> BTreeSet<String> {
        let members = || self.bindings.iter().flat_map(|b| &b.members);
        let live: BTreeSet<String> = members()
            .filter(|m| !m.starts_with(DEAD))
            .map(|m| m.to_ascii_lowercase())
            .collect();
        members()
            .filter_map(|m| Some((m, m.strip_prefix(DEAD)?)))
            .filter(|(_, dead)| {
                let address = dead.split("?uid=").next().unwrap_or_default();
                is_access_list || live.contains(&address.to_ascii_lowercase())
            })
            .map(|(member, _)| member.clone())
            .collect()
    }
}
