//! JSON Patch (RFC 6902) from one state of an object to another: what goes is tested before, and nothing that stays
//! is in it, so that what it carries is what changes.

use serde_json::{Value, json};

/// The operations that make `after` of `before`, which is at this JSON pointer.
pub fn between(at: &str, before: &Value, after: &Value) -> Vec<Value> {
    let mut operations = Vec::new();
    add(at, before, after, &mut operations);
    operations
}

/// That it is the object that was read, in the version that was read.
pub fn of_version(object: &Value) -> Vec<Value> {
    let test = |path: &str| {
        let value = object.pointer(path).unwrap_or(&Value::Null);
        json!({"op": "test", "path": path, "value": value})
    };
    vec![test("/metadata/uid"), test("/metadata/resourceVersion")]
}

fn add(at: &str, before: &Value, after: &Value, operations: &mut Vec<Value>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for name in old.keys().filter(|name| !new.contains_key(*name)) {
                operations.push(json!({"op": "remove", "path": member(at, name)}));
            }
            for (name, value) in new {
                match old.get(name) {
                    Some(old) => add(&member(at, name), old, value, operations),
                    None => operations
                        .push(json!({"op": "add", "path": member(at, name), "value": value})),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => list(at, old, new, operations),
        _ => operations.push(json!({"op": "replace", "path": at, "value": after})),
    }
}

/// What is left of a list keeps its order; what is new in it comes last. Any other list is replaced.
fn list(at: &str, old: &[Value], new: &[Value], operations: &mut Vec<Value>) {
    let mut left = Vec::new();
    let mut next = 0;
    for (index, item) in old.iter().enumerate() {
        if new.get(next).is_some_and(|n| is_same(item, n)) {
            left.push((index, next));
            next += 1;
        }
    }
    let is_known = |item: &Value| old.iter().any(|o| is_same(o, item));
    if new[next..].iter().any(is_known) {
        return operations.push(json!({"op": "replace", "path": at, "value": new}));
    }
    for (index, item) in old.iter().enumerate().rev() {
        if left.iter().any(|(kept, _)| *kept == index) {
            continue;
        }
        let path = member(at, &index.to_string());
        // A thing that has a name is known by it: its value may be a secret.
        let test = match item.get("name") {
            Some(name) => json!({"op": "test", "path": format!("{path}/name"), "value": name}),
            None => json!({"op": "test", "path": path, "value": item}),
        };
        operations.push(test);
        operations.push(json!({"op": "remove", "path": path}));
    }
    for (place, (index, new_index)) in left.iter().enumerate() {
        let path = member(at, &place.to_string());
        add(&path, &old[*index], &new[*new_index], operations);
    }
    for item in &new[next..] {
        operations.push(json!({"op": "add", "path": member(at, "-"), "value": item}));
    }
}

/// Whether one item of a list is the other one, perhaps changed: things with names are known by these, and mounts by
/// their paths.
fn is_same(old: &Value, new: &Value) -> bool {
    let key = |item: &Value| {
        let path = item.get("mountPath").cloned();
        path.or_else(|| item.get("name").cloned())
    };
    match (key(old), key(new)) {
        (Some(a), Some(b)) => a == b,
        _ => old == new,
    }
}

/// The pointer of what is below.
fn member(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}
