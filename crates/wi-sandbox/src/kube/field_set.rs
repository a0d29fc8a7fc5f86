//! Fields of an object as sets of paths: found, compared, set, taken away, and as `fieldsV1` writes them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::lists;

pub(super) type Path = Vec<String>;
pub(super) type FieldSet = BTreeSet<Path>;

/// Fields of `metadata` that nobody owns: the server's, and the names.
const UNOWNED_META: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
];

/// The fields in which `object` differs from `before`, the maps that it makes among them.
pub(super) fn changed(before: &Value, object: &Value) -> FieldSet {
    let mut changed: FieldSet = leaves(object)
        .into_iter()
        .filter(|path| match is_item(path) {
            true => at(before, path).is_none(),
            false => at(before, path) != at(object, path),
        })
        .collect();
    // Who makes a map owns it beside what is in it: `.` in `fieldsV1`.
    for map in ["annotations", "labels"] {
        let path = vec!["metadata".to_owned(), map.to_owned()];
        if at(before, &path).is_none() && holds_fields(object, &path) {
            changed.insert(path);
        }
    }
    changed
}

pub(super) fn dotted(path: &Path) -> String {
    let shown = path.iter().map(|part| match lists::keys_of(part) {
        Some(Value::Object(keys)) => {
            let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", keys.join(","))
        }
        _ => format!(".{part}"),
    });
    shown.collect()
}

/// The fields that an object sets, without those that nobody owns.
pub(super) fn leaves(object: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if !UNOWNED_META.contains(&key.as_str()) {
                        collect(
                            value,
                            &mut vec!["metadata".to_owned(), key.clone()],
                            &mut set,
                        );
                    }
                }
            }
            _ => collect(value, &mut vec![key.clone()], &mut set),
        }
    }
    set
}

pub(super) fn collect(value: &Value, path: &mut Path, set: &mut FieldSet) {
    match value {
        Value::Null if path.first().is_none_or(|first| first != "metadata") => {}
        Value::Object(map) if !map.is_empty() && !is_atomic(path) => {
            for (key, value) in map {
                path.push(key.clone());
                collect(value, path, set);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() && lists::keys(path).is_some() => {
            let keys = lists::keys(path).unwrap_or_default();
            for item in items {
                path.push(lists::part(keys, item));
                set.insert(path.clone());
                collect(item, path, set);
                path.pop();
            }
        }
        _ => {
            set.insert(path.clone());
        }
    }
}

/// Whether a field is that an item of a list is there.
pub(super) fn is_item(path: &[String]) -> bool {
    path.last().is_some_and(|part| part.starts_with("k:{"))
}

/// Whether a field is one by which an item is known.
pub(super) fn is_key(path: &[String]) -> bool {
    match path {
        [.., item, field] => lists::keys_of(item).is_some_and(|keys| keys.get(field).is_some()),
        _ => false,
    }
}

/// Puts an item into its list, if it is not there yet.
pub(super) fn add_item(object: &mut Value, path: &Path) {
    let (Some(part), list) = (path.last(), &path[..path.len() - 1]) else {
        return;
    };
    let Some(keys) = lists::keys_of(part) else {
        return;
    };
    let place = place_of(object, list);
    if !place.is_array() {
        *place = json!([]);
    }
    if let Some(list) = place.as_array_mut()
        && lists::position(list, part).is_none()
    {
        list.push(keys);
    }
}

pub(super) fn at<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, part| match value {
        Value::Array(list) => list.get(lists::position(list, part)?),
        value => value.get(part),
    })
}

/// A map, or a list that is one by keys, with something in it: it has fields of its own.
pub(super) fn holds_fields(object: &Value, path: &Path) -> bool {
    match at(object, path) {
        Some(Value::Object(map)) => !map.is_empty() && !is_atomic(path),
        Some(Value::Array(list)) => !list.is_empty() && lists::keys(path).is_some(),
        _ => false,
    }
}

/// The value of a label or an annotation.
pub(super) fn is_text(path: &Path) -> bool {
    matches!(path.as_slice(), [_, map, _] if map == "labels" || map == "annotations")
}

/// A map that has one owner, whatever is in it: `LabelSelector` has `structType=atomic`.
pub(super) fn is_atomic(path: &[String]) -> bool {
    let last = path.last().map(String::as_str);
    let selector = path.len() == 2 && last == Some("selector");
    let references = [
        "configMapKeyRef",
        "fieldRef",
        "nodeSelector",
        "resourceFieldRef",
        "secretKeyRef",
    ];
    path.first().is_some_and(|first| first == "spec")
        && (selector || last.is_some_and(|last| references.contains(&last)))
}

pub(super) fn set(object: &mut Value, path: &Path, value: Value) {
    *place_of(object, path) = value;
}

/// Where a field is, made if it is not there.
pub(super) fn place_of<'a>(object: &'a mut Value, path: &[String]) -> &'a mut Value {
    let mut place = object;
    for part in path {
        let item = place.as_array().and_then(|l| lists::position(l, part));
        if let Some(index) = item {
            place = &mut place[index];
            continue;
        }
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part.as_str()];
    }
    place
}

/// Removes a leaf, and the maps that it leaves empty.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    if let (Value::Array(list), [part, rest @ ..]) = (&mut *object, path) {
        match lists::position(list, part) {
            Some(index) if rest.is_empty() => drop(list.remove(index)),
            Some(index) => remove(&mut list[index], rest),
            None => {}
        }
        return;
    }
    let (Some(map), [key, rest @ ..]) = (object.as_object_mut(), path) else {
        return;
    };
    if rest.is_empty() {
        map.remove(key);
        return;
    }
    let Some(inner) = map.get_mut(key) else {
        return;
    };
    remove(inner, rest);
    let nothing =
        inner.as_object().is_some_and(Map::is_empty) || inner.as_array().is_some_and(Vec::is_empty);
    if nothing {
        map.remove(key);
    }
}

pub(super) fn without_entries(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    object
}

/// `FieldsV1`: a tree of `f:NAME` keys whose leaves are empty maps; `.` is the field itself, where
/// there are others in it.
pub(super) fn encode(fields: &FieldSet) -> Value {
    let mut tree = json!({});
    for path in fields {
        let mut place = &mut tree;
        for part in path {
            let part = match part.starts_with("k:{") {
                true => part.clone(),
                false => format!("f:{part}"),
            };
            place = &mut place[part];
            if place.is_null() {
                *place = json!({});
            }
        }
        let has_more = |other: &Path| other.len() > path.len() && other.starts_with(path);
        if fields.iter().any(has_more) {
            place["."] = json!({});
        }
    }
    tree
}

pub(super) fn decode(tree: &Value, path: &mut Path, set: &mut FieldSet) {
    let Some(map) = tree.as_object() else { return };
    let mut inner = false;
    for (key, value) in map {
        // `v:` of a real cluster's dump ends in the field above it.
        if key == "." && !path.is_empty() {
            set.insert(path.clone());
        }
        let item = key.starts_with("k:{").then_some(key.as_str());
        if let Some(part) = key.strip_prefix("f:").or(item) {
            inner = true;
            path.push(part.to_owned());
            decode(value, path, set);
            path.pop();
        }
    }
    if !inner && !path.is_empty() {
        set.insert(path.clone());
    }
}
