//! Pods: which identity each runs with, and where.

use serde::Deserialize;

use super::{Kube, ObjectMeta};
use crate::http::ApiError;

/// The fields of a pod that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: ObjectMeta,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub service_account_name: String,
    pub node_name: String,
    pub host_network: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    pub phase: String,
}

impl Pod {
    /// The Kubernetes service account that it runs as.
    pub fn service_account(&self) -> &str {
        match self.spec.service_account_name.as_str() {
            "" => "default",
            name => name,
        }
    }
}

impl Kube {
    /// All pods of all namespaces, every page.
    pub async fn list_pods(&self) -> Result<Vec<Pod>, ApiError> {
        self.list("/api/v1/pods", "", "application/json").await
    }
}
