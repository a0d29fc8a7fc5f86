//! Strategic merge patches: lists that are maps by a key are merged by it, with the directives `$patch`,
//! `$retainKeys`, `$setElementOrder/…` and `$deleteFromPrimitiveList/…`.
//!
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::lists;
use super::status::Status;

/// Lays a patch over an object of a kind.
///
/// # Errors
/// 400 for items without their key and for directives that there are not.
pub fn patch(kind: Kind, target: &mut Value, patch: &Value) -> Result<(), Status> {
    map(kind, target, patch, &mut Vec::new())
}

fn map(
    kind: Kind,
    target: &mut Value,
    patch: &Value,
    path: &mut Vec<String>,
) -> Result<(), Status> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            *target = without_directives(patch);
            return Ok(());
        }
        Some("delete") => {
            *target = json!({});
            return Ok(());
        }
        Some(other) => return Err(unknown(other)),
    }
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        let Some(directive) = key.strip_prefix('$') else {
            continue;
        };
        match directive.split_once('/') {
            Some(("deleteFromPrimitiveList", list)) => {
                let gone = value.as_array().cloned().unwrap_or_default();
                if let Some(list) = target.get_mut(list).and_then(Value::as_array_mut) {
                    list.retain(|item| !gone.contains(item));
                }
            }
            Some(("setElementOrder", _)) => {}
            None if matches!(directive, "patch" | "retainKeys") => {}
            _ => return Err(unknown(key)),
        }
    }
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        path.push(key.clone());
        let at = &mut target[key.as_str()];
        match value {
            Value::Null => {
                if let Some(target) = target.as_object_mut() {
                    target.remove(key);
                }
            }
            // `patchStrategy: replace`.
            Value::Object(_) if kind == Kind::PodDisruptionBudget && key == "selector" => {
                *at = value.clone();
            }
            Value::Object(_) => map(kind, at, value, path)?,
            Value::Array(items) => match lists::merge_key(path) {
                Some(merge_key) => list(kind, at, items, merge_key, path)?,
                None => *at = value.clone(),
            },
            value => *at = value.clone(),
        }
        path.pop();
    }
    for (key, value) in patch {
        let order = value.as_array();
        if let (Some(list), Some(order)) = (key.strip_prefix("$setElementOrder/"), order) {
            path.push(list.to_owned());
            if let Some(list) = target.get_mut(list).and_then(Value::as_array_mut) {
                reorder(list, order, lists::merge_key(path));
            }
            path.pop();
        }
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array)
        && let Some(target) = target.as_object_mut()
    {
        target.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    Ok(())
}

fn list(
    kind: Kind,
    target: &mut Value,
    items: &[Value],
    merge_key: &str,
    path: &mut Vec<String>,
) -> Result<(), Status> {
    let directive = |item: &Value| item["$patch"].as_str().map(str::to_owned);
    if items
        .iter()
        .any(|i| directive(i).as_deref() == Some("replace"))
    {
        let kept = items.iter().filter(|i| directive(i).is_none());
        *target = kept.cloned().collect();
        return Ok(());
    }
    if !target.is_array() {
        *target = json!([]);
    }
    let Some(list) = target.as_array_mut() else {
        return Ok(());
    };
    for item in items {
        let key = &item[merge_key];
        if key.is_null() {
            return Err(Status::bad_request(format!(
                "map: {item} does not contain declared merge key: {merge_key}"
            )));
        }
        let at = list.iter().position(|there| there[merge_key] == *key);
        match (directive(item).as_deref(), at) {
            (Some("delete"), Some(at)) => drop(list.remove(at)),
            (Some("delete"), None) => {}
            (None | Some("merge"), Some(at)) => map(kind, &mut list[at], item, path)?,
            (None | Some("merge"), None) => {
                let mut new = json!({});
                map(kind, &mut new, item, path)?;
                list.push(new);
            }
            (Some(other), _) => return Err(unknown(other)),
        }
    }
    Ok(())
}

/// Items that the order names come as it says; others stay behind those that were before them.
fn reorder(list: &mut [Value], order: &[Value], merge_key: Option<&str>) {
    let key = |item: &Value| match merge_key {
        Some(merge_key) => item[merge_key].clone(),
        None => item.clone(),
    };
    let rank = |item: &Value| order.iter().position(|named| key(named) == key(item));
    let mut last = 0;
    let mut ranked: Vec<((usize, usize), Value)> = list
        .iter()
        .enumerate()
        .map(|(at, item)| match rank(item) {
            Some(rank) => {
                last = last.max(rank);
                ((rank, 0), item.clone())
            }
            None => ((last, at + 1), item.clone()),
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    for (place, (_, item)) in list.iter_mut().zip(ranked) {
        *place = item;
    }
}

fn without_directives(patch: &Map<String, Value>) -> Value {
    let kept = patch.iter().filter(|(key, _)| !key.starts_with('$'));
    Value::Object(
        kept.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

fn unknown(directive: &str) -> Status {
    Status::bad_request(format!("unknown patch directive: {directive}"))
}
