//! `metadata.managedFields`: who owns which field, and server-side apply on top of it.
//!
//! A field is the path of its leaf, such as `metadata`, `annotations`, `iam.gke.io/gcp-service-account`.
//! An item of a list with keys is a part such as `k:{"name":"web"}` (see [`lists`]), and a field itself: that the item
//! is there. Other lists are leaves (atomic), and so are empty maps and selectors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::lists;
use super::manifest::now;
use super::status::Status;

type Path = Vec<String>;
type FieldSet = BTreeSet<Path>;

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

/// The field manager of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager(pub String);

/// The subresource by which replicas are set.
pub const SCALE: &str = "scale";

/// One entry of `managedFields`.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    operation: String,
    /// Empty but for who wrote by one.
    subresource: String,
    time: String,
    fields: FieldSet,
}

impl Entry {
    fn is(&self, manager: &Manager, operation: &str, subresource: &str) -> bool {
        self.manager == manager.0 && self.operation == operation && self.subresource == subresource
    }

    /// How a conflict names it; the API version is shown for `Update` only.
    fn label(&self, kind: Kind) -> String {
        match self.operation.as_str() {
            "Update" if !self.subresource.is_empty() => format!(
                "{:?} with subresource {:?} using {}",
                self.manager,
                self.subresource,
                kind.api_version()
            ),
            "Update" => format!("{:?} using {}", self.manager, kind.api_version()),
            _ => format!("{:?}", self.manager),
        }
    }
}

/// Server-side apply of `applied` on `live`: the merged object with its `managedFields`.
///
/// # Errors
/// 409 with a cause for each field that another manager owns with another value, unless `force`.
pub fn apply(
    kind: Kind,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager,
    force: bool,
) -> Result<Value, Status> {
    let empty = json!({ "metadata": {} });
    let is_new = live.is_none();
    let live = live.unwrap_or(&empty);
    let mut entries = entries_of(live);
    if entries.is_empty() && !is_new {
        // What nobody is named for belongs to whoever wrote it before.
        entries.extend(Entry::of_all(live, BEFORE_FIRST_APPLY));
    }
    let wanted = leaves(applied);

    let mut conflicts: Vec<(String, Path)> = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| !entry.is(manager, "Apply", ""))
    {
        for path in &wanted {
            // Two may want that an item is there.
            let differs = !is_item(path) && at(live, path) != at(applied, path);
            if differs && entry.fields.contains(path) {
                conflicts.push((entry.label(kind), path.clone()));
            }
        }
    }
    if !conflicts.is_empty() && !force {
        return Err(conflict_status(&conflicts));
    }

    let mut object = live.clone();
    for path in &wanted {
        // An empty map, or none, asks for the map to be there, not for what others keep in it to go.
        let holds_map = holds_fields(&object, path);
        match at(applied, path) {
            // What is in it comes after it, as fields of its own.
            Some(_) if is_item(path) => add_item(&mut object, path),
            Some(Value::Object(_) | Value::Array(_)) if holds_map => {}
            // A text that is null is an empty one.
            Some(Value::Null) if is_text(path) => set(&mut object, path, json!("")),
            Some(Value::Null) | None => {}
            Some(value) => set(&mut object, path, value.clone()),
        }
    }
    // Taking over with force: a field that changed hands has one owner.
    for entry in entries
        .iter_mut()
        .filter(|entry| !entry.is(manager, "Apply", ""))
    {
        entry
            .fields
            .retain(|path| !conflicts.iter().any(|(_, taken)| taken == path));
    }
    let owned = take_fields(&mut entries, manager, "Apply", "");
    let (former, former_time) = owned.unwrap_or_default();
    for path in former.difference(&wanted) {
        let shared = |path: &Path| {
            let within = |other: &Path| is_item(path) && other.starts_with(path);
            let mut fields = entries.iter().flat_map(|entry| &entry.fields);
            fields.any(|other| other == path || within(other))
        };
        // The keys of an item go with the item, and not before it.
        if !shared(path) && !is_key(path) && (is_item(path) || !holds_fields(&object, path)) {
            remove(&mut object, path);
        }
    }
    // Whoever applies what is there already gets no time.
    let unchanged = !is_new && without_entries(&object) == without_entries(live);
    entries.push(Entry {
        manager: manager.0.clone(),
        operation: "Apply".to_owned(),
        subresource: String::new(),
        time: if unchanged { former_time } else { now() },
        fields: wanted,
    });
    store_entries(kind, &mut object, entries);
    Ok(object)
}

/// Books every field in which `object` differs from `live` to `manager`, operation `Update`. The entries so far are
/// those in `object`. An object that nobody is named for stays so, until it is applied for the first time.
pub fn record_update(kind: Kind, live: Option<&Value>, object: Value, manager: &Manager) -> Value {
    record_update_by(kind, live, object, manager, "")
}

/// The same by a subresource.
pub fn record_update_by(
    kind: Kind,
    live: Option<&Value>,
    mut object: Value,
    manager: &Manager,
    subresource: &str,
) -> Value {
    let empty = json!({ "metadata": {} });
    let mut entries = entries_of(&object);
    if live.is_some() && entries.is_empty() {
        store_entries(kind, &mut object, entries);
        return object;
    }
    let changed = changed(live.unwrap_or(&empty), &object);
    for entry in &mut entries {
        entry
            .fields
            .retain(|path| !changed.contains(path) && (at(&object, path).is_some()));
    }
    if !changed.is_empty() {
        let former = take_fields(&mut entries, manager, "Update", subresource);
        let (mut fields, _) = former.unwrap_or_default();
        fields.extend(changed);
        entries.push(Entry {
            manager: manager.0.clone(),
            operation: "Update".to_owned(),
            subresource: subresource.to_owned(),
            time: now(),
            fields,
        });
    }
    store_entries(kind, &mut object, entries);
    object
}

/// What a full write says of `managedFields`: nothing, that they are to be forgotten (`[{}]`), or how they are to be.
pub fn given_entries(kind: Kind, given: Option<&Value>, live: &Value) -> Value {
    let list = given
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if list.len() == 1 && list[0] == json!({}) {
        return json!([]);
    }
    let mut object = json!({ "metadata": { "managedFields": list } });
    let entries = entries_of(&object);
    if entries.iter().all(|entry| entry.fields.is_empty()) {
        return live["metadata"]["managedFields"].clone();
    }
    store_entries(kind, &mut object, entries);
    object["metadata"]["managedFields"].take()
}

/// The manager of all that an object has when it is applied for the first time and nobody is named for it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

impl Entry {
    /// All fields of an object as one manager's update; none if there are none.
    fn of_all(object: &Value, manager: &str) -> Option<Self> {
        let fields = changed(&json!({ "metadata": {} }), object);
        (!fields.is_empty()).then(|| Self {
            manager: manager.to_owned(),
            operation: "Update".to_owned(),
            subresource: String::new(),
            time: now(),
            fields,
        })
    }
}

/// The fields in which `object` differs from `before`, the maps that it makes among them.
fn changed(before: &Value, object: &Value) -> FieldSet {
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

/// The Status of k8s.io/apimachinery `NewConflictError`, words included.
fn conflict_status(conflicts: &[(String, Path)]) -> Status {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(label, path)| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {label}"),
                "field": dotted(path),
            })
        })
        .collect();
    if let [(label, path)] = conflicts {
        let path = dotted(path);
        let message = format!("Apply failed with 1 conflict: conflict with {label}: {path}");
        return Status::apply_conflict(message, &causes);
    }
    let mut by_manager: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (label, path) in conflicts {
        let line = format!("- {}", dotted(path));
        by_manager.entry(label).or_default().push(line);
    }
    let managers: Vec<String> = by_manager
        .into_iter()
        .map(|(label, lines)| format!("conflicts with {label}:\n{}", lines.join("\n")))
        .collect();
    let message = format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        managers.join("\n")
    );
    Status::apply_conflict(message, &causes)
}

fn dotted(path: &Path) -> String {
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
fn leaves(object: &Value) -> FieldSet {
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

fn collect(value: &Value, path: &mut Path, set: &mut FieldSet) {
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
fn is_item(path: &[String]) -> bool {
    path.last().is_some_and(|part| part.starts_with("k:{"))
}

/// Whether a field is one by which an item is known.
fn is_key(path: &[String]) -> bool {
    match path {
        [.., item, field] => lists::keys_of(item).is_some_and(|keys| keys.get(field).is_some()),
        _ => false,
    }
}

/// Puts an item into its list, if it is not there yet.
fn add_item(object: &mut Value, path: &Path) {
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

fn at<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, part| match value {
        Value::Array(list) => list.get(lists::position(list, part)?),
        value => value.get(part),
    })
}

/// A map, or a list that is one by keys, with something in it: it has fields of its own.
fn holds_fields(object: &Value, path: &Path) -> bool {
    match at(object, path) {
        Some(Value::Object(map)) => !map.is_empty() && !is_atomic(path),
        Some(Value::Array(list)) => !list.is_empty() && lists::keys(path).is_some(),
        _ => false,
    }
}

/// The value of a label or an annotation.
fn is_text(path: &Path) -> bool {
    matches!(path.as_slice(), [_, map, _] if map == "labels" || map == "annotations")
}

/// A map that has one owner, whatever is in it: `LabelSelector` has `structType=atomic`.
fn is_atomic(path: &[String]) -> bool {
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

fn set(object: &mut Value, path: &Path, value: Value) {
    *place_of(object, path) = value;
}

/// Where a field is, made if it is not there.
fn place_of<'a>(object: &'a mut Value, path: &[String]) -> &'a mut Value {
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
fn remove(object: &mut Value, path: &[String]) {
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

fn take_fields(
    entries: &mut Vec<Entry>,
    manager: &Manager,
    operation: &str,
    subresource: &str,
) -> Option<(FieldSet, String)> {
    let index = entries
        .iter()
        .position(|entry| entry.is(manager, operation, subresource))?;
    let entry = entries.remove(index);
    Some((entry.fields, entry.time))
}

fn without_entries(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    object
}

fn entries_of(object: &Value) -> Vec<Entry> {
    let list = object["metadata"]["managedFields"].as_array();
    list.into_iter()
        .flatten()
        .map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let mut fields = FieldSet::new();
            decode(&entry["fieldsV1"], &mut Vec::new(), &mut fields);
            Entry {
                manager: word("manager"),
                operation: word("operation"),
                subresource: word("subresource"),
                time: word("time"),
                fields,
            }
        })
        .collect()
}

fn store_entries(kind: Kind, object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    // The API lists `Apply` before `Update`, then by age and manager.
    entries.sort_by(|a, b| {
        (&a.operation, &a.time, &a.manager).cmp(&(&b.operation, &b.time, &b.manager))
    });
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut shown = json!({
                "manager": entry.manager,
                "operation": entry.operation,
                "apiVersion": kind.api_version(),
                "fieldsType": "FieldsV1",
                "fieldsV1": encode(&entry.fields),
            });
            if !entry.subresource.is_empty() {
                shown["subresource"] = json!(entry.subresource);
            }
            if !entry.time.is_empty() {
                shown["time"] = json!(entry.time);
            }
            shown
        })
        .collect();
    if list.is_empty() {
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.remove("managedFields");
        }
    } else {
        object["metadata"]["managedFields"] = json!(list);
    }
}

/// `FieldsV1`: a tree of `f:NAME` keys whose leaves are empty maps; `.` is the field itself, where
/// there are others in it.
fn encode(fields: &FieldSet) -> Value {
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

fn decode(tree: &Value, path: &mut Path, set: &mut FieldSet) {
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
