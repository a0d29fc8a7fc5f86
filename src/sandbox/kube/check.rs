//! What the API refuses in an object: names, labels, annotations, unknown fields, budgets.

use serde_json::Value;

use super::disruption;
use super::kind::Kind;
use super::status::Status;
use super::store::Key;

/// The top-level fields of a kind; others are dropped, or refused under `fieldValidation=Strict`.
fn known_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Namespace | Kind::Node | Kind::Pod | Kind::PodDisruptionBudget => {
            &["apiVersion", "kind", "metadata", "spec", "status"]
        }
        Kind::ServiceAccount => &[
            "apiVersion",
            "kind",
            "metadata",
            "secrets",
            "imagePullSecrets",
            "automountServiceAccountToken",
        ],
    }
}

/// Drops fields that the kind does not have; `strict` makes them an error.
pub fn prune(kind: Kind, body: &mut Value, strict: bool, applied: bool) -> Result<(), Status> {
    let Some(object) = body.as_object_mut() else {
        return Err(Status::bad_request(
            "the object provided is not a JSON object",
        ));
    };
    for (field, expected) in [("apiVersion", &*kind.api_version()), ("kind", kind.name())] {
        if let Some(found) = object.get(field).filter(|found| *found != expected) {
            let message = format!(
                "the {field} in the data ({found}) does not match the expected {expected:?}"
            );
            return Err(Status::bad_request(message));
        }
    }
    for field in ["metadata", "spec", "status"] {
        if let Some(found) = object
            .get(field)
            .filter(|found| !found.is_object() && !found.is_null())
        {
            return Err(Status::bad_request(format!(
                "{field}: expected map, got {found}"
            )));
        }
    }
    let field = object
        .keys()
        .find(|field| !known_fields(kind).contains(&field.as_str()));
    if let Some(field) = field.filter(|_| applied) {
        // As a server of version 1.34 answers, whatever `fieldValidation` says.
        let message = format!(
            "failed to create typed patch object ({}/{}; /v1, Kind={}): .{field}: field not declared in schema",
            object["metadata"]["namespace"].as_str().unwrap_or_default(),
            object["metadata"]["name"].as_str().unwrap_or_default(),
            kind.name(),
        );
        return Err(Status::new(500, "", message));
    }
    let unknown: Vec<String> = object
        .keys()
        .filter(|field| !known_fields(kind).contains(&field.as_str()))
        .filter(|field| !field.starts_with('$'))
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    if strict && !unknown.is_empty() {
        let name = kind.name();
        let message = format!(
            "{name} in version \"v1\" cannot be handled as a {name}: strict decoding error: {}",
            unknown.join(", ")
        );
        return Err(Status::bad_request(message));
    }
    object
        .retain(|field, _| known_fields(kind).contains(&field.as_str()) || field.starts_with('$'));
    Ok(())
}

/// The name of a new object.
pub fn name(key: &Key) -> Result<(), Status> {
    let (valid, limit, what) = match key.kind {
        Kind::Namespace => (is_label(&key.name), 63, "label"),
        _ => (
            key.name.split('.').all(is_label_of_any_length),
            253,
            "subdomain",
        ),
    };
    if key.name.is_empty() {
        let why = "Required value: name or generateName is required";
        return Err(Status::invalid(key.kind, "", "metadata.name", why));
    }
    if !valid || key.name.len() > limit {
        let why = format!(
            "Invalid value: {:?}: a lowercase RFC 1123 {what} must consist of lower case alphanumeric \
             characters or '-', must start and end with an alphanumeric character, and have at most \
             {limit} characters",
            key.name
        );
        return Err(Status::invalid(key.kind, &key.name, "metadata.name", &why));
    }
    Ok(())
}

/// Name, namespace, labels, annotations and spec of a body that is to be stored under `key`.
pub fn object(key: &Key, body: &Value) -> Result<(), Status> {
    let meta = &body["metadata"];
    for (field, expected, place) in [
        ("name", &key.name, "name"),
        ("namespace", &key.namespace, "namespace"),
    ] {
        let found = meta[field].as_str().unwrap_or_default();
        if !found.is_empty() && found != expected && (place == "name" || key.kind.namespaced()) {
            let message = format!(
                "the {place} of the object ({found}) does not match the {place} on the URL ({expected})"
            );
            return Err(Status::bad_request(message));
        }
    }
    for field in ["labels", "annotations"] {
        let entries = match &meta[field] {
            Value::Null => continue,
            Value::Object(entries) => entries,
            _ => {
                return Err(Status::bad_request(format!(
                    "metadata.{field} is not a map"
                )));
            }
        };
        for (name, value) in entries {
            let path = format!("metadata.{field}");
            let Some(value) = value.as_str() else {
                let message = format!("metadata.{field}.{name}: expected string, got {value}");
                return Err(Status::bad_request(message));
            };
            if !is_qualified(name) {
                let why = format!("Invalid value: {name:?}: name part must be a qualified name");
                return Err(Status::invalid(key.kind, &key.name, &path, &why));
            }
            if field == "labels" && !is_label_value(value) {
                let why = format!(
                    "Invalid value: {value:?}: a valid label must be an empty string or \
                                   consist of alphanumeric characters, '-', '_' or '.', and at most 63 of them"
                );
                return Err(Status::invalid(key.kind, &key.name, &path, &why));
            }
        }
    }
    if key.kind == Kind::PodDisruptionBudget {
        disruption::check(key, &body["spec"])?;
    }
    Ok(())
}

/// RFC 1123 label: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 characters.
fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_label_of_any_length(name)
}

fn is_label_of_any_length(name: &str) -> bool {
    let edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = name.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// `[prefix/]name` of a label or an annotation.
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label_of_any_length))
        && !name.is_empty()
        && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    value.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
