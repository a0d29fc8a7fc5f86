//! What was taken out of a template, piece by piece with its place: the way back of a workload whose cluster keeps no
//! template of before. There are names and paths in it and no other value, so that it may stand in an annotation.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::edit::{List, METADATA_NODES, Step};

/// One piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Piece {
    /// An item of a container's list, at its place there.
    Of {
        list: List,
        container: String,
        field: String,
        at: usize,
        item: Value,
    },
    /// A volume, at its place.
    Volume { at: usize, item: Value },
    /// A volume as it was before some of its files went.
    Instead { item: Value },
    /// A variable that was added.
    Without {
        list: List,
        container: String,
        name: String,
    },
    /// Nodes need not have the metadata server.
    AnyNode,
}

fn container<'a>(template: &'a Value, list: List, name: &str) -> Option<&'a Value> {
    let mut all = template["spec"][list.field()].as_array()?.iter();
    all.find(|c| c["name"] == name)
}

fn named(items: &Value, field: &str, name: &str) -> Option<(usize, Value)> {
    let mut all = items.as_array()?.iter().enumerate();
    let (at, item) = all.find(|(_, item)| item[field] == name)?;
    Some((at, item.clone()))
}

/// What these steps take from a template. `None`: a value that may be a secret would go with it.
pub fn taken(template: &Value, steps: &[Step]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for step in steps {
        let piece = match step {
            Step::RemoveVariable {
                list,
                container: of,
                name,
            } => {
                let (at, item) = named(&container(template, *list, of)?["env"], "name", name)?;
                let value = item["value"].as_str();
                if value.is_some_and(|value| !value.starts_with('/')) {
                    return None;
                }
                piece_of(*list, of, "env", at, item)
            }
            Step::RemoveMount {
                list,
                container: of,
                at: path,
                ..
            } => {
                let mounts = &container(template, *list, of)?["volumeMounts"];
                let (at, item) = named(mounts, "mountPath", path)?;
                piece_of(*list, of, "volumeMounts", at, item)
            }
            Step::RemoveVolume { name } => {
                let (at, item) = named(&template["spec"]["volumes"], "name", name)?;
                Piece::Volume { at, item }
            }
            Step::ReplaceVolume { name, .. } => {
                let (_, item) = named(&template["spec"]["volumes"], "name", name)?;
                Piece::Instead { item }
            }
            Step::RemoveArgument {
                list,
                container,
                field,
                at,
                text,
                ..
            } => piece_of(*list, container, field, *at, json!(text)),
            Step::AddVariable {
                list,
                container,
                name,
                ..
            } => Piece::Without {
                list: *list,
                container: container.clone(),
                name: name.clone(),
            },
            Step::SelectNodes => Piece::AnyNode,
        };
        pieces.push(piece);
    }
    Some(pieces)
}

fn piece_of(list: List, container: &str, field: &str, at: usize, item: Value) -> Piece {
    Piece::Of {
        list,
        container: container.to_owned(),
        field: field.to_owned(),
        at,
        item,
    }
}

fn insert(items: &mut Value, at: usize, item: &Value) {
    if !items.is_array() {
        *items = json!([]);
    }
    if let Some(items) = items.as_array_mut() {
        items.insert(at.min(items.len()), item.clone());
    }
}

fn order(piece: &Piece) -> usize {
    match piece {
        Piece::Of { at, .. } | Piece::Volume { at, .. } => *at,
        _ => 0,
    }
}

/// The template with these pieces again. `None`: where one was is gone.
pub fn put_back(template: &Value, pieces: &[Piece]) -> Option<Value> {
    let mut after = template.clone();
    let spec = &mut after["spec"];
    // Arguments are counted as each of them went, one after the other; the others where they stood.
    let (arguments, mut others): (Vec<&Piece>, Vec<&Piece>) = pieces.iter().partition(
        |p| matches!(p, Piece::Of { field, .. } if field == "args" || field == "command"),
    );
    others.sort_by_key(|piece| order(piece));
    for piece in others.into_iter().chain(arguments.into_iter().rev()) {
        match piece {
            Piece::Of {
                list,
                container,
                field,
                at,
                item,
            } => {
                let mut all = spec[list.field()].as_array_mut()?.iter_mut();
                let of = all.find(|c| c["name"] == *container)?;
                insert(&mut of[field.as_str()], *at, item);
            }
            Piece::Volume { at, item } => insert(&mut spec["volumes"], *at, item),
            Piece::Instead { item } => {
                let mut all = spec["volumes"].as_array_mut()?.iter_mut();
                *all.find(|v| v["name"] == item["name"])? = item.clone();
            }
            Piece::Without {
                list,
                container,
                name,
            } => {
                let mut all = spec[list.field()].as_array_mut()?.iter_mut();
                let of = all.find(|c| c["name"] == *container)?;
                of["env"].as_array_mut()?.retain(|v| v["name"] != *name);
            }
            Piece::AnyNode => {
                let selector = spec["nodeSelector"].as_object_mut()?;
                selector.remove(METADATA_NODES);
                if selector.is_empty() {
                    spec.as_object_mut()?.remove("nodeSelector");
                }
            }
        }
    }
    Some(after)
}

/// A pod's spec of these pieces alone: what they lead to.
pub fn alone(pieces: &[Piece]) -> Value {
    let mut spec = json!({});
    for piece in pieces {
        match piece {
            Piece::Of {
                list,
                container,
                field,
                item,
                ..
            } => {
                let all = &mut spec[list.field()];
                let known = container_at(all, container);
                let at = known.unwrap_or_else(|| {
                    insert(all, usize::MAX, &json!({"name": container}));
                    all.as_array().map_or(0, |all| all.len() - 1)
                });
                insert(&mut all[at][field.as_str()], usize::MAX, item);
            }
            Piece::Volume { item, .. } | Piece::Instead { item } => {
                insert(&mut spec["volumes"], usize::MAX, item);
            }
            Piece::Without { .. } | Piece::AnyNode => {}
        }
    }
    spec
}

fn container_at(all: &Value, name: &str) -> Option<usize> {
    all.as_array()?.iter().position(|c| c["name"] == name)
}
