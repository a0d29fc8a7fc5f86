//! The forms in which a client accepts objects: whole, metadata only, or as a table.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kind::Kind;
use super::list::Page;
use super::manifest;

/// The first form of the `Accept` header that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Whole,
    Metadata,
    Table,
}

impl Form {
    /// `None` when the client accepts nothing that this server writes (protobuf alone, say).
    pub fn of(accept: &str) -> Option<Self> {
        if accept.is_empty() {
            return Some(Self::Whole);
        }
        accept.split(',').find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let json = matches!(
                parts.next(),
                Some("application/json" | "application/*" | "*/*")
            );
            let parameters: Vec<&str> = parts.collect();
            let form = parameters.iter().find_map(|part| part.strip_prefix("as="));
            let meta_v1 = parameters.contains(&"v=v1") && parameters.contains(&"g=meta.k8s.io");
            match form {
                _ if !json => None,
                None => Some(Self::Whole),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta_v1 => {
                    Some(Self::Metadata)
                }
                Some("Table") if meta_v1 => Some(Self::Table),
                Some(_) => None,
            }
        })
    }

    /// One object.
    pub fn object(self, kind: Kind, object: &Arc<Value>) -> Value {
        match self {
            Self::Whole => (**object).clone(),
            Self::Metadata => metadata_only(object),
            Self::Table => {
                let version = manifest::text(object, "/metadata/resourceVersion");
                table(
                    kind,
                    std::slice::from_ref(object),
                    json!({ "resourceVersion": version }),
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
            Self::Table => table(kind, &page.items, metadata),
        }
    }
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

fn table(kind: Kind, items: &[Arc<Value>], metadata: Value) -> Value {
    let definitions: Vec<Value> = columns(kind)
        .iter()
        .map(|name| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({ "name": name, "type": "string", "format": format, "description": "", "priority": 0 })
        })
        .collect();
    let rows: Vec<Value> = items
        .iter()
        .map(|object| json!({ "cells": cells(kind, object), "object": metadata_only(object) }))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The columns that `kubectl get` prints.
fn columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Namespace => &["Name", "Status", "Age"],
        Kind::ServiceAccount => &["Name", "Secrets", "Age"],
        Kind::Pod => &["Name", "Status", "Node", "Age"],
        Kind::PodDisruptionBudget => &[
            "Name",
            "Min Available",
            "Max Unavailable",
            "Allowed Disruptions",
            "Age",
        ],
        Kind::Node => &["Name", "Status", "Age"],
    }
}

/// The cells of one row of the `Table` form, in the order of [`columns`].
fn cells(kind: Kind, object: &Value) -> Vec<Value> {
    let text =
        |pointer: &str| manifest::text(object, pointer).unwrap_or_else(|| "<none>".to_owned());
    let name = manifest::name_of(object);
    let age = age(object);
    let cells: Vec<String> = match kind {
        Kind::Namespace => vec![name, text("/status/phase"), age],
        Kind::ServiceAccount => {
            let secrets = object["secrets"].as_array().map_or(0, Vec::len);
            vec![name, secrets.to_string(), age]
        }
        Kind::Pod => vec![name, text("/status/phase"), text("/spec/nodeName"), age],
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
        Kind::Node => {
            let ready = manifest::node_spec(object).ready;
            vec![
                name,
                if ready { "Ready" } else { "NotReady" }.to_owned(),
                age,
            ]
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
