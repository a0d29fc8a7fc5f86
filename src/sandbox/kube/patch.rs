//! Patches, and the optimistic lock that a body of any write can carry.

use serde_json::{Value, json};

use super::manifest;
use super::status::Status;
use super::store::Key;

/// How a patch body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    Merge,
    StrategicMerge,
}

/// `metadata.uid` and `metadata.resourceVersion` of a body are an optimistic lock.
pub fn check_lock(key: &Key, live: &Value, body: &Value) -> Result<(), Status> {
    for field in ["uid", "resourceVersion"] {
        let pointer = format!("/metadata/{field}");
        let found = manifest::text(live, &pointer).unwrap_or_default();
        let Some(wanted) = manifest::text(body, &pointer).filter(|wanted| !wanted.is_empty())
        else {
            continue;
        };
        if wanted == found {
            continue;
        }
        let why = if field == "uid" {
            format!(
                "Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
            )
        } else {
            "the object has been modified; please apply your changes to the latest version and try again"
                .to_owned()
        };
        return Err(Status::conflict(key.kind, &key.name, &why));
    }
    Ok(())
}

/// RFC 7396, with the directives of a strategic merge patch skipped.
///
/// Lists are replaced: the kinds here have none whose elements people merge. So is the one map with
/// `patchStrategy: replace` that they have, the selector of a PodDisruptionBudget.
pub fn merge_patch(target: &mut Value, patch: &Value, kind: PatchKind) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if kind == PatchKind::StrategicMerge && key.starts_with('$') {
            continue;
        }
        if value.is_null() {
            if let Some(target) = target.as_object_mut() {
                target.remove(key);
            }
        } else if kind == PatchKind::StrategicMerge && key == "selector" {
            target[key.as_str()] = value.clone();
        } else {
            merge_patch(&mut target[key.as_str()], value, kind);
        }
    }
}
