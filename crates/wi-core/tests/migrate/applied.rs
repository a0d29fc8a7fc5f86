//! Patches as the API server applies them, by the merge keys of its types: written from the documentation, and
//! without a look at what makes them.

use serde_json::Value;

/// The keys by which strategic merge tells the items of a list apart; other lists are replaced.
fn merge_key(field: &str) -> Option<&'static str> {
    match field {
        "containers" | "initContainers" | "volumes" | "env" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}

/// Applies a strategic merge patch.
pub fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = serde_json::json!({});
    }
    for (field, value) in fields {
        match (value.as_array(), merge_key(field)) {
            (Some(items), Some(key)) => merge_list(&mut object[field.as_str()], items, key),
            _ if value.is_object() => merge(&mut object[field.as_str()], value),
            _ => object[field.as_str()] = value.clone(),
        }
    }
}

fn merge_list(list: &mut Value, items: &[Value], key: &str) {
    if !list.is_array() {
        *list = serde_json::json!([]);
    }
    let list = list.as_array_mut().expect("a list");
    for item in items {
        if item["$patch"] == "delete" {
            list.retain(|i| i[key] != item[key]);
        } else if let Some(own) = list.iter_mut().find(|i| i[key] == item[key]) {
            merge(own, item);
        } else {
            list.push(item.clone());
        }
    }
}

/// Applies a JSON patch (RFC 6902), as far as those of `wi` go.
pub fn json_patch(object: &mut Value, patch: &[Value]) {
    for operation in patch {
        let path = operation["path"].as_str().expect("a path");
        let (above, last) = path.rsplit_once('/').expect("a parent");
        let last = last.replace("~1", "/").replace("~0", "~");
        let index = || last.parse::<usize>().expect("an index");
        let value = || operation["value"].clone();
        let kind = operation["op"].as_str().expect("an operation");
        if kind == "test" {
            assert_eq!(object.pointer(path), Some(&value()), "{operation}");
            continue;
        }
        match (kind, object.pointer_mut(above).expect("a place")) {
            ("remove", Value::Object(map)) => _ = map.remove(&last).expect("there"),
            ("remove", Value::Array(list)) => _ = list.remove(index()),
            ("add", Value::Array(list)) if last == "-" => list.push(value()),
            ("replace", Value::Array(list)) => list[index()] = value(),
            ("add" | "replace", Value::Object(map)) => _ = map.insert(last, value()),
            other => panic!("{other:?}"),
        }
    }
}

/// Without the lists that are empty: the API server keeps none.
pub fn without_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.as_array().is_some_and(Vec::is_empty));
            map.values_mut().for_each(without_empty);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty),
        _ => {}
    }
}
