//! Patches, and the optimistic lock that a body of any write can carry.

use serde_json::{Value, json};

use super::manifest;
use super::objects::Key;
use super::status::Status;

/// How a patch body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    Merge,
    StrategicMerge,
    /// RFC 6902.
    Json,
}

/// `metadata.resourceVersion` and `metadata.uid` of a body are an optimistic lock. What a PUT says of
/// another uid is a conflict; for patches the uid is a field that cannot be changed.
pub fn check_lock(key: &Key, live: &Value, body: &Value, is_put: bool) -> Result<(), Status> {
    let wanted = |pointer: &str| manifest::text(body, pointer).filter(|text| !text.is_empty());
    let found = |pointer: &str| manifest::text(live, pointer).unwrap_or_default();
    if let Some(version) = wanted("/metadata/resourceVersion") {
        if version.parse::<u64>().is_err() {
            let message = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
            return Err(Status::new(500, "", message));
        }
        if version != found("/metadata/resourceVersion") {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Status::conflict(key.kind, &key.name, why));
        }
    }
    let (uid, live_uid) = (wanted("/metadata/uid"), found("/metadata/uid"));
    match uid.filter(|uid| *uid != live_uid) {
        None => Ok(()),
        Some(uid) if is_put => {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}"
            );
            Err(Status::conflict(key.kind, &key.name, &why))
        }
        Some(uid) => {
            let why = format!("Invalid value: {uid:?}: field is immutable");
            Err(Status::invalid(key.kind, &key.name, "metadata.uid", &why))
        }
    }
}

/// RFC 7396.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if !value.is_null() {
            merge_patch(&mut target[key.as_str()], value);
        } else if let Some(target) = target.as_object_mut() {
            target.remove(key);
        }
    }
}

/// RFC 6902.
///
/// # Errors
/// 400 for what is no such patch, 422 where an operation cannot be carried out.
pub fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Status> {
    let garbage = || {
        Status::bad_request(
            "error decoding patch: json: cannot unmarshal it into Go value of type []handlers.jsonPatchOp",
        )
    };
    for operation in patch.as_array().ok_or_else(garbage)? {
        let word = |field: &str| operation[field].as_str();
        let path = word("path").ok_or_else(garbage)?;
        let value = operation.get("value").cloned();
        let done = match word("op").ok_or_else(garbage)? {
            // What is not there is null, and can be replaced where its place is.
            "test" => {
                let found = target.pointer(path).unwrap_or(&Value::Null);
                (*found == value.unwrap_or_default()).then_some(())
            }
            "remove" => take(target, path).map(drop),
            "replace" => replace(target, path, value.unwrap_or_default()),
            "add" => value.and_then(|value| put(target, path, value)),
            "move" => word("from")
                .and_then(|from| take(target, from))
                .and_then(|value| put(target, path, value)),
            "copy" => word("from")
                .and_then(|from| target.pointer(from).cloned())
                .and_then(|value| put(target, path, value)),
            _ => return Err(garbage()),
        };
        done.ok_or_else(|| {
            let message = "the server rejected our request due to an error in our request";
            Status::generic(422, "Invalid", message)
        })?;
    }
    Ok(())
}

/// The parent of a JSON pointer, and the last key.
fn parent<'a>(target: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (above, last) = path.rsplit_once('/')?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Some((target.pointer_mut(above)?, last))
}

/// Puts a value in the place of another, or of none in an object.
fn replace(target: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *target = value;
        return Some(());
    }
    let (place, last) = parent(target, path)?;
    match place {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(list) => *list.get_mut(last.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(())
}

fn take(target: &mut Value, path: &str) -> Option<Value> {
    let (place, last) = parent(target, path)?;
    match place {
        Value::Object(map) => map.remove(&last),
        Value::Array(list) => {
            let index: usize = last.parse().ok()?;
            (index < list.len()).then(|| list.remove(index))
        }
        _ => None,
    }
}

fn put(target: &mut Value, path: &str, value: Value) -> Option<()> {
    let (place, last) = parent(target, path)?;
    match place {
        Value::Object(map) => {
            map.insert(last, value);
            Some(())
        }
        Value::Array(list) => {
            let index = match last.as_str() {
                "-" => list.len(),
                index => index.parse().ok()?,
            };
            (index <= list.len()).then(|| list.insert(index, value))
        }
        _ => None,
    }
}
