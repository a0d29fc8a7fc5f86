//! `metadata.managedFields`: who owns which field, and server-side apply on top of it.
//!
//! A field is the path of its leaf, such as `metadata`, `annotations`, `iam.gke.io/gcp-service-account`.
//! An item of a list with keys is a part such as `k:{"name":"web"}` (see [`lists`]), and a field itself: that the item
//! is there. Other lists are leaves (atomic), and so are empty maps and selectors.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::field_set::{
    FieldSet, Path, add_item, at, changed, decode, dotted, encode, holds_fields, is_item, is_key,
    is_text, leaves, remove, set, without_entries,
};
use super::kind::Kind;
use super::manifest::now;
use super::status::Status;

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
