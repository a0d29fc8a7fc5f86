//! PodDisruptionBudgets: what may keep a node from being drained.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::kubernetes::ObjectMeta;

/// `policy/v1` PodDisruptionBudget, the fields that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Budget {
    pub metadata: ObjectMeta,
    pub spec: BudgetSpec,
    pub status: BudgetStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    pub selector: Option<Selector>,
    /// A number, or a percentage as text.
    pub min_available: Option<Value>,
    /// A number, or a percentage as text.
    pub max_unavailable: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    pub expected_pods: u32,
    pub desired_healthy: u32,
}

/// `LabelSelector`: all of its parts must hold; an empty one selects everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<Requirement>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Requirement {
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    pub values: Vec<String>,
}

impl Selector {
    /// Whether it selects an object with these labels.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        equal
            && self.match_expressions.iter().all(|r| {
                let value = labels.get(&r.key);
                match r.operator.as_str() {
                    "In" => value.is_some_and(|v| r.values.contains(v)),
                    "NotIn" => value.is_none_or(|v| !r.values.contains(v)),
                    "Exists" => value.is_some(),
                    _ => value.is_none(),
                }
            })
    }
}

impl Budget {
    /// Whether it admits no eviction even when all its pods are healthy.
    pub fn admits_nothing(&self) -> bool {
        self.status.expected_pods > 0 && self.status.desired_healthy >= self.status.expected_pods
    }

    /// What it asks for, for the user.
    pub fn asks_for(&self) -> String {
        let shown = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        match (&self.spec.min_available, &self.spec.max_unavailable) {
            (Some(min), _) => format!("minAvailable: {}", shown(min)),
            (None, Some(max)) => format!("maxUnavailable: {}", shown(max)),
            (None, None) => String::new(),
        }
    }
}
