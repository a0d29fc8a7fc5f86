//! What admission decides on writes: terminating namespaces, quotas, and webhooks that deny or rewrite.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kind::Kind;
use super::manifest;
use super::objects::{Key, Objects};
use super::patch::merge_patch;
use super::status::Status;
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
    fn is_asked(&self, key: &Key, operation: Operation) -> bool {
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
}

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

impl Webhook {
    fn rewrite_of(&self) -> Value {
        match &self.rewrite {
            Value::Object(_) => self.rewrite.clone(),
            _ => json!({}),
        }
    }
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
