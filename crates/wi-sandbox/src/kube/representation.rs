//! The forms in which a client accepts objects: whole, metadata only, or as a table.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kind::Kind;
use super::list::Page;
use super::manifest;
use super::status::Status;

/// The first form of the `Accept` header that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    Whole,
    Metadata,
    /// With what of each object beside its cells.
    Table(Include),
}

/// `includeObject` of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    /// The parameter; metadata unless it says otherwise.
    pub fn of(parameter: &str) -> Result<Self, Status> {
        match parameter {
            "None" => Ok(Self::None),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(Status::bad_request(format!(
                "unrecognized includeObject value: {other:?}"
            ))),
        }
    }
}

impl Representation {
    /// The first form that the `Accept` header names and this server writes, of an object or of a
    /// list. None is named: 406.
    pub fn of(accept: &str, kind: Kind, is_list: bool, include: Include) -> Result<Self, Status> {
        if accept.is_empty() {
            return Ok(Self::Whole);
        }
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next();
            if !matches!(
                media_type,
                Some("application/json" | "application/yaml" | "application/*" | "*/*")
            ) {
                continue;
            }
            let parameters: Vec<&str> = parts.collect();
            let form = parameters.iter().find_map(|part| part.strip_prefix("as="));
            let meta_v1 = parameters.contains(&"v=v1") && parameters.contains(&"g=meta.k8s.io");
            return match form {
                None => Ok(Self::Whole),
                Some("PartialObjectMetadata") if meta_v1 && !is_list => Ok(Self::Metadata),
                Some("PartialObjectMetadataList") if meta_v1 && is_list => Ok(Self::Metadata),
                Some("Table") if meta_v1 => Ok(Self::Table(include)),
                Some(form @ "PartialObjectMetadata") if meta_v1 => Err(not_acceptable(&format!(
                    "you requested {form}, but the requested object is a list (*core.{}List)",
                    kind.name()
                ))),
                Some(form @ "PartialObjectMetadataList") if meta_v1 => {
                    Err(not_acceptable(&format!(
                        "you requested {form}, but the requested object is not a list (*core.{})",
                        kind.name()
                    )))
                }
                Some(_) => continue,
            };
        }
        Err(not_acceptable(
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ))
    }

    /// One object.
    pub fn object(self, kind: Kind, object: &Arc<Value>) -> Value {
        match self {
            Self::Whole => (**object).clone(),
            Self::Metadata => metadata_only(object),
            Self::Table(include) => {
                let version = manifest::text(object, "/metadata/resourceVersion");
                table(
                    kind,
                    std::slice::from_ref(object),
                    json!({ "resourceVersion": version }),
                    include,
                )
            }
        }
    }

    /// One page of a list.
    pub fn page(self, kind: Kind, page: &Page) -> Value {
        let mut metadata = json!({ "resourceVersion": page.resource_version.to_string() });
        if !page.continue_token.is_empty() {
            metadata["continue"] = json!(page.continue_token);
        }
        if let Some(remaining) = page.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        match self {
            Self::Whole => json!({
                "kind": format!("{}List", kind.name()),
                "apiVersion": kind.api_version(),
                "metadata": metadata,
                // Typed lists say kind and apiVersion once, for all their items.
                "items": page.items.iter().map(|object| without_type(object)).collect::<Vec<_>>(),
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": page.items.iter().map(|object| metadata_only(object)).collect::<Vec<_>>(),
            }),
            Self::Table(include) => table(kind, &page.items, metadata, include),
        }
    }
}

fn not_acceptable(message: &str) -> Status {
    Status::new(406, "NotAcceptable", message)
}

fn metadata_only(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

fn without_type(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("kind");
        map.remove("apiVersion");
    }
    object
}

fn table(kind: Kind, items: &[Arc<Value>], metadata: Value, include: Include) -> Value {
    let definitions: Vec<Value> = columns(kind)
        .iter()
        .map(|(name, priority)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({ "name": name, "type": "string", "format": format, "description": "", "priority": priority })
        })
        .collect();
    let rows: Vec<Value> = items
        .iter()
        .map(|object| {
            let cells = cells(kind, object);
            match include {
                Include::None => json!({ "cells": cells, "object": null }),
                Include::Metadata => json!({ "cells": cells, "object": metadata_only(object) }),
                Include::Object => json!({ "cells": cells, "object": **object }),
            }
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The columns that `kubectl get` prints; those of priority 1 under `-o wide` only.
fn columns(kind: Kind) -> &'static [(&'static str, u8)] {
    match kind {
        Kind::Namespace => &[("Name", 0), ("Status", 0), ("Age", 0)],
        Kind::ServiceAccount => &[("Name", 0), ("Secrets", 0), ("Age", 0)],
        Kind::Secret => &[("Name", 0), ("Type", 0), ("Data", 0), ("Age", 0)],
        kind if kind.is_kept_as_written() => &[("Name", 0), ("Age", 0)],
        Kind::Pod => &[
            ("Name", 0),
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            ("Age", 0),
            ("IP", 1),
            ("Node", 1),
            ("Nominated Node", 1),
            ("Readiness Gates", 1),
        ],
        Kind::PodDisruptionBudget => &[
            ("Name", 0),
            ("Min Available", 0),
            ("Max Unavailable", 0),
            ("Allowed Disruptions", 0),
            ("Age", 0),
        ],
        _ => &[
            ("Name", 0),
            ("Status", 0),
            ("Roles", 0),
            ("Age", 0),
            ("Version", 0),
            ("Internal-IP", 1),
            ("External-IP", 1),
            ("OS-Image", 1),
            ("Kernel-Version", 1),
            ("Container-Runtime", 1),
        ],
    }
}

/// The cells of one row of the `Table` form, in the order of [`columns`].
fn cells(kind: Kind, object: &Value) -> Vec<Value> {
    let none = || "<none>".to_owned();
    let text = |pointer: &str| manifest::text(object, pointer).unwrap_or_else(none);
    let name = manifest::name_of(object);
    let age = age(object);
    let cells: Vec<String> = match kind {
        Kind::Namespace => vec![name, text("/status/phase"), age],
        Kind::Secret => {
            let data = object["data"].as_object().map_or(0, serde_json::Map::len);
            vec![name, text("/type"), data.to_string(), age]
        }
        kind if kind.is_kept_as_written() => vec![name, age],
        Kind::ServiceAccount => {
            let secrets = object["secrets"].as_array().map_or(0, Vec::len);
            vec![name, secrets.to_string(), age]
        }
        Kind::Pod => {
            let containers = object["spec"]["containers"].as_array();
            let all = containers.map_or(1, Vec::len);
            let phase = text("/status/phase");
            let told = object["status"]["containerStatuses"].as_array();
            let (ready, restarts) = match told {
                Some(told) => {
                    let restarts = told.iter().filter_map(|c| c["restartCount"].as_i64());
                    (
                        told.iter().filter(|c| c["ready"] == true).count(),
                        restarts.sum(),
                    )
                }
                None => (if phase == "Running" { all } else { 0 }, 0),
            };
            let (ready, restarts) = (format!("{ready}/{all}"), restarts.to_string());
            let (ip, node) = (text("/status/podIP"), text("/spec/nodeName"));
            vec![name, ready, phase, restarts, age, ip, node, none(), none()]
        }
        Kind::PodDisruptionBudget => {
            let limit = |field: &str| match &object["spec"][field] {
                Value::Null => "N/A".to_owned(),
                Value::String(percent) => percent.clone(),
                count => count.to_string(),
            };
            let allowed = object["status"]["disruptionsAllowed"].to_string();
            let limits = (limit("minAvailable"), limit("maxUnavailable"));
            vec![name, limits.0, limits.1, allowed, age]
        }
        _ => {
            let ready = manifest::node_spec(object).ready;
            let ready = if ready { "Ready" } else { "NotReady" }.to_owned();
            let mut cells = vec![name, ready, none(), age];
            cells.push(text("/status/nodeInfo/kubeletVersion"));
            cells.extend(std::iter::repeat_with(none).take(5));
            cells
        }
    };
    cells.into_iter().map(Value::from).collect()
}

/// Since `creationTimestamp`, in the largest whole unit.
fn age(object: &Value) -> String {
    let created = manifest::text(object, "/metadata/creationTimestamp");
    let Some(created) = created.and_then(|text| text.parse::<jiff::Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    let seconds = jiff::Timestamp::now().as_second() - created.as_second();
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}
