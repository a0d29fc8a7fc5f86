//! Workloads, as a spec means them.

use serde::{Deserialize, Serialize};

/// Workloads by namespace, kind and name: `NS/*`, `NS/NAME` or `NS/KIND/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadPattern {
    /// The namespace.
    pub namespace: String,
    /// `None`: of any kind.
    pub kind: Option<String>,
    /// `None`: of any name.
    pub name: Option<String>,
}

impl WorkloadPattern {
    /// Whether it means this workload; kinds are compared without regard to case, as kubectl does.
    pub fn matches(&self, namespace: &str, kind: &str, name: &str) -> bool {
        self.namespace == namespace
            && self
                .kind
                .as_ref()
                .is_none_or(|k| k.eq_ignore_ascii_case(kind))
            && self.name.as_ref().is_none_or(|n| n == name)
    }
}
