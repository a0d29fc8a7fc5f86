//! What admission decides on writes: terminating namespaces, quotas, and webhooks that deny or rewrite.

use serde_json::{Value, json};

use super::kind::Kind;
use super::manifest;
use super::objects::{Key, Objects};
use super::patch::merge_patch;
use super::status::Status;
use super::webhook::{Operation, Webhook};

/// The object as the webhooks leave it.
///
/// # Errors
/// 403 in the words of the webhook that denies it; 400 for a dry run that one of them takes no part in.
pub fn admit(
    webhooks: &[Webhook],
    key: &Key,
    operation: Operation,
    mut object: Value,
    dry_run: bool,
) -> Result<Value, Status> {
    let asked = || webhooks.iter().filter(|hook| hook.is_asked(key, operation));
    if let Some(hook) = asked().find(|hook| dry_run && hook.side_effects) {
        let message = format!("admission webhook {:?} does not support dry run", hook.name);
        return Err(Status::bad_request(message));
    }
    for hook in asked() {
        merge_patch(&mut object, &hook.rewrite_of());
    }
    // Those that validate are asked when all have rewritten.
    for hook in asked() {
        if let Some(message) = &hook.deny {
            let message = format!(
                "admission webhook {:?} denied the request: {message}",
                hook.name
            );
            return Err(Status::new(403, "Forbidden", message));
        }
    }
    Ok(object)
}

/// Refuses a new object in a namespace that is going.
///
/// # Errors
/// 403 with the cause `NamespaceTerminating`.
pub fn not_terminating(objects: &Objects, key: &Key) -> Result<(), Status> {
    let namespace = Key::new(Kind::Namespace, "", &key.namespace);
    let going = objects
        .get(&namespace)
        .is_some_and(|object| !object["metadata"]["deletionTimestamp"].is_null());
    if !going {
        return Ok(());
    }
    let name = &key.namespace;
    let why =
        format!("unable to create new content in namespace {name} because it is being terminated");
    let status = Status::forbidden(key.kind, &key.name, &why);
    Err(status.because(json!([{
        "reason": "NamespaceTerminating",
        "message": format!("namespace {name} is being terminated"),
        "field": "metadata.namespace",
    }])))
}

/// Refuses a new object that a `ResourceQuota` of its namespace has no room for; the namespace has the quota as
/// the annotation that the world file's `quota` becomes.
///
/// # Errors
/// 403 in the words of the quota.
pub fn within_quota(objects: &Objects, key: &Key) -> Result<(), Status> {
    let namespace = Key::new(Kind::Namespace, "", &key.namespace);
    let resource = format!("count/{}", key.kind.plural());
    let limit = objects
        .get(&namespace)
        .and_then(|object| manifest::quota_of(object).get(&resource).copied());
    let Some(limit) = limit else { return Ok(()) };
    let used = objects
        .from(Key::new(key.kind, &key.namespace, ""))
        .take_while(|(other, _)| other.namespace == key.namespace)
        .count();
    if used < limit {
        return Ok(());
    }
    let why = format!(
        "exceeded quota: objects, requested: {resource}=1, used: {resource}={used}, limited: {resource}={limit}"
    );
    Err(Status::forbidden(key.kind, &key.name, &why))
}
