//! Which lists of workloads and Services are maps by a key of their items, as the API's types declare it
//! (`patchMergeKey`, `x-kubernetes-list-map-keys`). All other lists are replaced whole.

use serde_json::{Value, json};

/// The keys by which server-side apply tells the items of the list at this path apart.
pub fn keys(path: &[String]) -> Option<&'static [&'static str]> {
    if path.first().is_none_or(|first| first != "spec") {
        return None;
    }
    Some(match path.last()?.as_str() {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        "ports" if path.len() == 2 => &["port", "protocol"],
        "ports" => &["containerPort", "protocol"],
        _ => return None,
    })
}

/// The key by which a strategic merge patch does.
pub fn merge_key(path: &[String]) -> Option<&'static str> {
    keys(path).map(|keys| keys[0])
}

/// The part of a path that stands for an item: `k:{"name":"web"}`.
pub fn part(keys: &[&str], item: &Value) -> String {
    let found: serde_json::Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), key_of(item, key)))
        .collect();
    format!("k:{}", Value::Object(found))
}

/// The keys of an item in such a part.
pub fn keys_of(part: &str) -> Option<Value> {
    serde_json::from_str(part.strip_prefix("k:")?).ok()
}

/// The item of a list that a part stands for.
pub fn position(list: &[Value], part: &str) -> Option<usize> {
    let keys = keys_of(part)?;
    let keys = keys.as_object()?;
    list.iter()
        .position(|item| keys.iter().all(|(key, value)| key_of(item, key) == *value))
}

/// A port that names no protocol is one of TCP.
fn key_of(item: &Value, key: &str) -> Value {
    match &item[key] {
        Value::Null if key == "protocol" => json!("TCP"),
        value => value.clone(),
    }
}
