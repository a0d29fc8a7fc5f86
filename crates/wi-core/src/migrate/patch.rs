//! An edit as patches, for those who keep the template elsewhere.
//!
//! Nothing of the template's own values is in them but names, and the argument that goes: a live template may
//! have secrets in its variables.

use serde_json::{Map, Value, json};

use super::edit::{List, METADATA_NODES, Step};

/// The patches of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// A strategic merge patch; `None`: it has nothing to say.
    pub merge: Option<Value>,
    /// JSON Patch (RFC 6902), for arguments: a merge would have to write all of them. Each removal is tested
    /// before.
    pub json: Vec<Value>,
}

/// An edit of this object as patches. `api_version` and `kind` are the object's.
pub fn patches(
    api_version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
    steps: &[Step],
) -> Patches {
    let mut spec = Value::Null;
    let mut json = Vec::new();
    for step in steps {
        match step {
            Step::RemoveVariable {
                list,
                container,
                name,
            } => {
                let gone = json!({"name": name, "$patch": "delete"});
                push(container_of(&mut spec, *list, container), "env", gone);
            }
            Step::AddVariable {
                list,
                container,
                name,
                value,
            } => {
                let new = json!({"name": name, "value": value});
                push(container_of(&mut spec, *list, container), "env", new);
            }
            Step::RemoveMount {
                list,
                container,
                at,
                ..
            } => {
                let gone = json!({"mountPath": at, "$patch": "delete"});
                push(
                    container_of(&mut spec, *list, container),
                    "volumeMounts",
                    gone,
                );
            }
            Step::RemoveVolume { name } => {
                push(
                    &mut spec,
                    "volumes",
                    json!({"name": name, "$patch": "delete"}),
                );
            }
            // Lists of files have no key to merge by: they are replaced.
            Step::ReplaceVolume { name, volume } => {
                let mut part = Map::from_iter([("name".to_owned(), json!(name))]);
                if let Some(items) = volume["secret"].get("items") {
                    part.insert("secret".to_owned(), json!({"items": items}));
                }
                if let Some(sources) = volume["projected"].get("sources") {
                    part.insert("projected".to_owned(), json!({"sources": sources}));
                }
                push(&mut spec, "volumes", Value::Object(part));
            }
            Step::SelectNodes => spec["nodeSelector"] = json!({METADATA_NODES: "true"}),
            Step::RemoveArgument {
                list,
                index,
                container,
                field,
                at,
                text,
            } => {
                let base = format!("/{}/{}/{index}", pointer(kind), list.field());
                json.push(
                    json!({"op": "test", "path": format!("{base}/name"), "value": container}),
                );
                let path = format!("{base}/{field}/{at}");
                json.push(json!({"op": "test", "path": path, "value": text}));
                json.push(json!({"op": "remove", "path": path}));
            }
        }
    }
    let merge = (!spec.is_null()).then(|| {
        let inner = pointer(kind);
        let nested = inner
            .rsplit('/')
            .fold(spec, |value, field| json!({field: value}));
        let mut object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
        });
        object["spec"] = nested["spec"].clone();
        object
    });
    Patches { merge, json }
}

/// Where the pods' spec is in an object of this kind, as of a JSON pointer.
fn pointer(kind: &str) -> &'static str {
    match kind {
        "CronJob" => "spec/jobTemplate/spec/template/spec",
        _ => "spec/template/spec",
    }
}

/// A container's part of a merge, by its name.
fn container_of<'a>(spec: &'a mut Value, list: List, name: &str) -> &'a mut Value {
    let field = list.field();
    if !spec[field].is_array() {
        spec[field] = json!([]);
    }
    let at = spec[field]
        .as_array()
        .and_then(|all| all.iter().position(|c| c["name"] == name));
    let at = at.unwrap_or_else(|| {
        push(spec, field, json!({"name": name}));
        spec[field].as_array().map_or(0, |all| all.len() - 1)
    });
    &mut spec[field][at]
}

fn push(of: &mut Value, field: &str, item: Value) {
    match of.get_mut(field).and_then(Value::as_array_mut) {
        Some(list) => list.push(item),
        None => of[field] = json!([item]),
    }
}
