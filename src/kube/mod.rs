//! The few Kubernetes calls that `wi` makes, on the one HTTP layer.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::gcp::container::Cluster;
use crate::http::{ApiError, Http};

/// `ObjectMeta`, the fields that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectMeta {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub managed_fields: Vec<ManagedFields>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedFields {
    pub manager: String,
    pub operation: String,
    /// `FieldsV1`: a tree of `f:name` keys.
    pub fields_v1: serde_json::Value,
}

/// The API server of one cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kube;

impl Kube {
    /// Chooses an endpoint that the cluster offers and trusts what belongs to it.
    /// The error is for the user: no endpoint offered, or a CA that cannot be read.
    pub fn connect(_http: &Http, _cluster: &Cluster) -> Result<Self, String> {
        unimplemented!()
    }
    /// Metadata only, every page.
    pub async fn list_namespaces(&self) -> Result<Vec<ObjectMeta>, ApiError> {
        unimplemented!()
    }
    /// Metadata only, every page, all namespaces.
    pub async fn list_service_accounts(&self) -> Result<Vec<ObjectMeta>, ApiError> {
        unimplemented!()
    }
    pub async fn get_namespace(&self, _name: &str) -> Result<ObjectMeta, ApiError> {
        unimplemented!()
    }
    pub async fn get_service_account(
        &self,
        _namespace: &str,
        _name: &str,
    ) -> Result<ObjectMeta, ApiError> {
        unimplemented!()
    }
    /// Server-side apply with field manager `wi`; `object` is the whole applied configuration
    /// (apiVersion, kind, metadata). `force` takes fields over from other managers.
    pub async fn apply_namespace(
        &self,
        _object: &serde_json::Value,
        _force: bool,
    ) -> Result<ObjectMeta, ApiError> {
        unimplemented!()
    }
    pub async fn apply_service_account(
        &self,
        _object: &serde_json::Value,
        _force: bool,
    ) -> Result<ObjectMeta, ApiError> {
        unimplemented!()
    }
    /// A merge patch (`application/merge-patch+json`): removes an annotation that another manager owns.
    pub async fn patch_service_account(
        &self,
        _namespace: &str,
        _name: &str,
        _patch: &serde_json::Value,
    ) -> Result<ObjectMeta, ApiError> {
        unimplemented!()
    }
    /// Deletes under preconditions `{uid, resourceVersion}`.
    pub async fn delete_namespace(&self, _meta: &ObjectMeta) -> Result<(), ApiError> {
        unimplemented!()
    }
    pub async fn delete_service_account(&self, _meta: &ObjectMeta) -> Result<(), ApiError> {
        unimplemented!()
    }
}
