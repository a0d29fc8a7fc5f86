//! What Kubernetes answers: the metadata of objects.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// `ObjectMeta`, the fields that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectMeta {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    /// When it was made, as RFC 3339.
    #[serde(skip_serializing)]
    pub creation_timestamp: String,
    /// Since when it is being deleted; empty while it is not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deletion_timestamp: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing)]
    pub managed_fields: Vec<ManagedFields>,
    pub owner_references: Vec<OwnerReference>,
}

impl ObjectMeta {
    /// Whether this manager has applied (`kubectl apply --server-side`) this annotation as it is now: a copy of
    /// the object has it from somebody else.
    pub fn is_applied_by(&self, manager: &str, annotation: &str) -> bool {
        let entries = self.managed_fields.iter();
        let mut own = entries.filter(|m| m.manager == manager && m.operation == "Apply");
        own.any(|m| m.owns_annotation(annotation))
    }

    /// What made the object and looks after it.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|o| o.controller)
    }

    /// When somebody last set a field of it, or took one away, after it was made; `None`: never, or nobody kept count
    /// of that.
    pub fn changed_at(&self) -> Option<Timestamp> {
        let times = self.managed_fields.iter();
        let last = times
            .filter_map(|m| m.time.parse::<Timestamp>().ok())
            .max()?;
        let made = self.creation_timestamp.parse::<Timestamp>().ok();
        (made != Some(last)).then_some(last)
    }

    /// Whether an apply of `wi` made it and nobody has set a field since. To apply what is there already keeps the
    /// time of the entry, so that it is that of the creation still.
    pub fn is_made_by_an_apply(&self) -> bool {
        let as_made = |m: &ManagedFields| {
            m.manager == FIELD_MANAGER
                && m.operation == "Apply"
                && m.time == self.creation_timestamp
        };
        !self.managed_fields.is_empty() && self.managed_fields.iter().all(as_made)
    }
}

/// `ManagedFieldsEntry`: who owns what. There are many, so that only what is asked for is kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ManagedFields {
    pub manager: String,
    /// `Apply` for server-side apply, `Update` for all other writes.
    pub operation: String,
    /// When a field was last added, changed or given up, as RFC 3339.
    pub time: String,
    #[serde(rename = "fieldsV1")]
    fields: OwnedFields,
}

/// `FieldsV1`: a tree of `f:NAME` keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct OwnedFields {
    #[serde(rename = "f:metadata")]
    metadata: OwnedMetadata,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct OwnedMetadata {
    #[serde(rename = "f:annotations")]
    annotations: BTreeMap<String, IgnoredAny>,
}

impl ManagedFields {
    /// Whether the manager owns this annotation.
    pub fn owns_annotation(&self, name: &str) -> bool {
        let annotations = self.fields.metadata.annotations.keys();
        annotations
            .filter_map(|key| key.strip_prefix("f:"))
            .any(|key| key == name)
    }
}

/// `OwnerReference`: what made an object.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct OwnerReference {
    pub kind: String,
    pub name: String,
    /// Whether it is the controller.
    pub controller: bool,
}

/// The label on all that `wi` made or adopted.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The annotation that names the spec.
pub const OWNER: &str = "wi/owner";

/// How `wi` is known among the managers of an object's fields.
pub const FIELD_MANAGER: &str = "wi";
