//! Between the state that people write and the objects that the API serves.

use std::cell::RefCell;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::budget::PodDisruptionBudgetState;
use super::kind::Kind;
use super::objects::Key;
use super::state::{NamespaceState, NodeSpec, PodOwner, PodState, ServiceAccountState};

/// The label that GKE puts on the nodes of a pool.
pub const POOL_LABEL: &str = "cloud.google.com/gke-nodepool";
/// The label that GKE puts on nodes that run the GKE metadata server.
pub const METADATA_SERVER_LABEL: &str = "iam.gke.io/gke-metadata-server-enabled";

/// What a volume is made of: itself, or the parts of a projected one.
pub fn volume_sources(volume: &Value) -> impl Iterator<Item = &Value> {
    let projected = volume["projected"]["sources"].as_array();
    std::iter::once(volume).chain(projected.into_iter().flatten())
}

/// The field that names the Secret of a source: a volume has another one than a projected source.
pub fn name_of_secret(secret: &Value) -> &'static str {
    match secret["secretName"].is_string() {
        true => "secretName",
        false => "name",
    }
}

type Labels = BTreeMap<String, String>;

/// The fields of `ObjectMeta` that every kind has.
struct Meta<'a> {
    name: &'a str,
    namespace: Option<&'a str>,
    labels: &'a Labels,
    annotations: &'a Labels,
    uid: &'a Option<String>,
    resource_version: &'a Option<String>,
    creation_timestamp: &'a Option<String>,
    managed_fields: &'a [Value],
}

impl Meta<'_> {
    fn object(&self, kind: Kind) -> Value {
        let mut meta = Map::new();
        meta.insert("name".into(), json!(self.name));
        if let Some(namespace) = self.namespace {
            meta.insert("namespace".into(), json!(namespace));
        }
        for (key, value) in [
            ("uid", self.uid),
            ("resourceVersion", self.resource_version),
            ("creationTimestamp", self.creation_timestamp),
        ] {
            if let Some(value) = value {
                meta.insert(key.into(), json!(value));
            }
        }
        for (key, value) in [("labels", self.labels), ("annotations", self.annotations)] {
            if !value.is_empty() {
                meta.insert(key.into(), json!(value));
            }
        }
        if !self.managed_fields.is_empty() {
            meta.insert("managedFields".into(), json!(self.managed_fields));
        }
        json!({ "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": meta })
    }
}

/// The namespace as the API serves it.
pub fn namespace(name: &str, state: &NamespaceState) -> Value {
    let mut object = Meta {
        name,
        namespace: None,
        labels: &state.labels,
        annotations: &state.annotations,
        uid: &state.uid,
        resource_version: &state.resource_version,
        creation_timestamp: &state.creation_timestamp,
        managed_fields: state.managed_fields.as_deref().unwrap_or_default(),
    }
    .object(Kind::Namespace);
    object["spec"] = json!({ "finalizers": ["kubernetes"] });
    object["status"] = json!({ "phase": if state.terminating { "Terminating" } else { "Active" } });
    if state.terminating {
        object["metadata"]["deletionTimestamp"] = json!(now());
    }
    if !state.quota.is_empty() {
        object["status"][QUOTA] = json!(state.quota);
    }
    overlay(&mut object, &state.extra);
    object
}

/// Where a namespace keeps its quota here. It is no field of the API and not shown.
pub const QUOTA: &str = "quota";

/// How many objects a namespace may have, by resource.
pub fn quota_of(namespace: &Value) -> BTreeMap<String, usize> {
    serde_json::from_value(namespace["status"][QUOTA].clone()).unwrap_or_default()
}

/// The namespace as the state file has it, its accounts aside.
pub fn namespace_state(object: &Value) -> NamespaceState {
    let mut state = NamespaceState {
        labels: labels_of(object, "labels"),
        annotations: labels_of(object, "annotations"),
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        creation_timestamp: text(object, "/metadata/creationTimestamp"),
        managed_fields: Some(list(object, "/metadata/managedFields")),
        quota: quota_of(object),
        ..NamespaceState::default()
    };
    state.extra = rest(object, &namespace(&name_of(object), &state));
    state
}

/// The service account as the API serves it.
pub fn service_account(namespace: &str, name: &str, state: &ServiceAccountState) -> Value {
    let mut object = Meta {
        name,
        namespace: Some(namespace),
        labels: &state.labels,
        annotations: &state.annotations,
        uid: &state.uid,
        resource_version: &state.resource_version,
        creation_timestamp: &state.creation_timestamp,
        managed_fields: state.managed_fields.as_deref().unwrap_or_default(),
    }
    .object(Kind::ServiceAccount);
    overlay(&mut object, &state.extra);
    object
}

/// The service account as the state file has it.
pub fn service_account_state(object: &Value) -> ServiceAccountState {
    let mut state = ServiceAccountState {
        labels: labels_of(object, "labels"),
        annotations: labels_of(object, "annotations"),
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        creation_timestamp: text(object, "/metadata/creationTimestamp"),
        managed_fields: Some(list(object, "/metadata/managedFields")),
        ..ServiceAccountState::default()
    };
    let namespace = text(object, "/metadata/namespace").unwrap_or_default();
    state.extra = rest(
        object,
        &service_account(&namespace, &name_of(object), &state),
    );
    state
}

/// The pod as the API serves it.
pub fn pod(state: &PodState) -> Value {
    let mut object = Meta {
        name: &state.name,
        namespace: Some(&state.namespace),
        labels: &state.labels,
        annotations: &state.annotations,
        uid: &state.uid,
        resource_version: &state.resource_version,
        creation_timestamp: &state.creation_timestamp,
        managed_fields: &[],
    }
    .object(Kind::Pod);
    if let Some(owner) = &state.owner {
        let group = match owner.kind.as_str() {
            "Job" | "CronJob" => "batch/v1",
            "Node" | "ReplicationController" => "v1",
            _ => "apps/v1",
        };
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": group,
            "kind": owner.kind,
            "name": owner.name,
            "uid": super::uid::derive(&["owner", &owner.kind, &state.namespace, &owner.name]),
            "controller": true,
        }]);
    }
    let mut spec = json!({ "serviceAccountName": state.service_account_name });
    if let Some(node) = &state.node {
        spec["nodeName"] = json!(node);
    }
    if state.host_network {
        spec["hostNetwork"] = json!(true);
    }
    if !state.node_selector.is_empty() {
        spec["nodeSelector"] = json!(state.node_selector);
    }
    if !state.containers.is_empty() {
        spec["containers"] = json!(state.containers);
    }
    if !state.volumes.is_empty() {
        spec["volumes"] = json!(state.volumes);
    }
    object["spec"] = spec;
    let phase = match (&state.phase, &state.node) {
        (Some(phase), _) => phase,
        (None, Some(_)) => "Running",
        (None, None) => "Pending",
    };
    object["status"] = json!({ "phase": phase });
    overlay(&mut object, &state.extra);
    object
}

/// The pod as the state file has it.
pub fn pod_state(object: &Value) -> PodState {
    let mut state = PodState {
        containers: list(object, "/spec/containers"),
        volumes: list(object, "/spec/volumes"),
        ..pod_brief(object)
    };
    state.extra = rest(object, &pod(&state));
    state
}

/// The same without what is copied for nothing where only its place and its identity are asked for.
pub fn pod_brief(object: &Value) -> PodState {
    let owners = object.pointer("/metadata/ownerReferences");
    let owners = owners
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let controller = owners
        .iter()
        .find(|owner| owner["controller"] == json!(true))
        .or(owners.first());
    PodState {
        name: name_of(object),
        namespace: text(object, "/metadata/namespace").unwrap_or_default(),
        service_account_name: text(object, "/spec/serviceAccountName")
            .unwrap_or_else(|| "default".to_owned()),
        owner: controller.and_then(|owner| {
            Some(PodOwner {
                kind: text(owner, "/kind")?,
                name: text(owner, "/name")?,
            })
        }),
        node: text(object, "/spec/nodeName"),
        host_network: object.pointer("/spec/hostNetwork") == Some(&json!(true)),
        labels: labels_of(object, "labels"),
        annotations: labels_of(object, "annotations"),
        node_selector: text_map(object.pointer("/spec/nodeSelector")),
        phase: text(object, "/status/phase"),
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        creation_timestamp: text(object, "/metadata/creationTimestamp"),
        ..PodState::default()
    }
}

/// The budget as the API serves it, its status aside.
pub fn disruption_budget(state: &PodDisruptionBudgetState) -> Value {
    let mut object = Meta {
        name: &state.name,
        namespace: Some(&state.namespace),
        labels: &state.labels,
        annotations: &state.annotations,
        uid: &state.uid,
        resource_version: &state.resource_version,
        creation_timestamp: &state.creation_timestamp,
        managed_fields: state.managed_fields.as_deref().unwrap_or_default(),
    }
    .object(Kind::PodDisruptionBudget);
    let mut spec = json!({});
    for (field, limit) in [
        ("minAvailable", state.min_available),
        ("maxUnavailable", state.max_unavailable),
    ] {
        if let Some(limit) = limit {
            spec[field] = json!(limit);
        }
    }
    if let Some(selector) = &state.selector {
        spec["selector"] = json!(selector);
    }
    object["spec"] = spec;
    overlay(&mut object, &state.extra);
    object
}

/// The budget as the state file has it.
pub fn disruption_budget_state(object: &Value) -> PodDisruptionBudgetState {
    let spec = &object["spec"];
    let mut state = PodDisruptionBudgetState {
        name: name_of(object),
        namespace: text(object, "/metadata/namespace").unwrap_or_default(),
        selector: serde_json::from_value(spec["selector"].clone())
            .ok()
            .flatten(),
        min_available: (&spec["minAvailable"]).try_into().ok(),
        max_unavailable: (&spec["maxUnavailable"]).try_into().ok(),
        labels: labels_of(object, "labels"),
        annotations: labels_of(object, "annotations"),
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        creation_timestamp: text(object, "/metadata/creationTimestamp"),
        managed_fields: Some(list(object, "/metadata/managedFields")),
        extra: BTreeMap::new(),
    };
    state.extra = rest(object, &disruption_budget(&state));
    state
}

/// The node as the API serves it.
pub fn node(spec: &NodeSpec) -> Value {
    let mut labels = spec.labels.clone();
    if !spec.pool.is_empty() {
        labels.insert(POOL_LABEL.to_owned(), spec.pool.clone());
    }
    if spec.metadata_server {
        labels.insert(METADATA_SERVER_LABEL.to_owned(), "true".to_owned());
    }
    let mut object = Meta {
        name: &spec.name,
        namespace: None,
        labels: &labels,
        annotations: &BTreeMap::new(),
        uid: &spec.uid,
        resource_version: &spec.resource_version,
        creation_timestamp: &spec.creation_timestamp,
        managed_fields: &[],
    }
    .object(Kind::Node);
    let ready = if spec.ready { "True" } else { "False" };
    object["status"] = json!({ "conditions": [{ "type": "Ready", "status": ready }] });
    overlay(&mut object, &spec.extra);
    object
}

/// The node as the state file has it.
pub fn node_spec(object: &Value) -> NodeSpec {
    let mut labels = labels_of(object, "labels");
    let ready = is_ready(object);
    let metadata_server = labels
        .get(METADATA_SERVER_LABEL)
        .is_some_and(|on| on == "true");
    if metadata_server {
        labels.remove(METADATA_SERVER_LABEL);
    }
    let mut spec = NodeSpec {
        name: name_of(object),
        pool: labels.remove(POOL_LABEL).unwrap_or_default(),
        labels,
        ready,
        metadata_server,
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        creation_timestamp: text(object, "/metadata/creationTimestamp"),
        extra: BTreeMap::new(),
    };
    spec.extra = rest(object, &node(&spec));
    spec
}

/// Whether a node takes pods, or a pod requests, as its conditions say.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The key of an object that is kept as it is written, and the object with what may be left out.
///
/// # Errors
/// When it has no kind of those, or no name.
pub fn kept(object: &Value) -> Result<(Key, Value), String> {
    let kind = text(object, "/kind").unwrap_or_default();
    let known = Kind::named(&kind).filter(|kind| kind.is_kept_as_written());
    let known = known.ok_or_else(|| format!("`objects` may not have a {kind:?}"))?;
    let name = name_of(object);
    if name.is_empty() {
        return Err(format!("a {kind} of `objects` has no metadata.name"));
    }
    let mut object = object.clone();
    object["apiVersion"] = json!(known.api_version());
    let namespace = object["metadata"]["namespace"].take();
    let namespace = namespace.as_str().unwrap_or("default").to_owned();
    object["metadata"]["namespace"] = json!(namespace);
    if known == Kind::Secret {
        encode(&mut object);
    }
    Ok((Key::new(known, &namespace, &name), object))
}

/// Takes fields away that are null: objects have a type, in which those are not set. What a ControllerRevision
/// remembers is kept as it was written.
pub fn without_nulls(object: &mut Value) {
    match object {
        Value::Object(fields)
            if fields
                .get("kind")
                .is_some_and(|k| k == "ControllerRevision") => {}
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// A Secret as the API server keeps it: `stringData` is written to `data`, and there is a type.
pub fn encode(secret: &mut Value) {
    let plain = secret.as_object_mut().and_then(|s| s.remove("stringData"));
    for (key, text) in text_map(plain.as_ref()) {
        secret["data"][key] = json!(STANDARD.encode(text));
    }
    if secret["type"].is_null() {
        secret["type"] = json!("Opaque");
    }
}

/// `metadata.name`.
pub fn name_of(object: &Value) -> String {
    text(object, "/metadata/name").unwrap_or_default()
}

/// The string at a JSON pointer.
pub fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer)?.as_str().map(str::to_owned)
}

/// `metadata.labels` or `metadata.annotations`.
pub fn labels_of(object: &Value, field: &str) -> Labels {
    text_map(object.pointer("/metadata").and_then(|meta| meta.get(field)))
}

/// A JSON object of strings; other values are left out.
pub fn text_map(value: Option<&Value>) -> Labels {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn list(object: &Value, pointer: &str) -> Vec<Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// Lays `extra` over an object: maps are merged, everything else is replaced.
fn overlay(object: &mut Value, extra: &BTreeMap<String, Value>) {
    for (key, value) in extra {
        merge(&mut object[key.as_str()], value);
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// What `object` has beyond `built`, so that `overlay(built, rest) == object`.
fn rest(object: &Value, built: &Value) -> BTreeMap<String, Value> {
    match surplus(object, built) {
        Some(Value::Object(map)) => map.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

fn surplus(object: &Value, built: &Value) -> Option<Value> {
    match (object, built) {
        (object, built) if object == built => None,
        (Value::Object(object), Value::Object(built)) => {
            let map: Map<String, Value> = object
                .iter()
                .filter_map(|(key, value)| match built.get(key) {
                    Some(same) => Some((key.clone(), surplus(value, same)?)),
                    None => Some((key.clone(), value.clone())),
                })
                .collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
        (object, _) => Some(object.clone()),
    }
}

/// The current time as the API writes it: RFC 3339, whole seconds, UTC.
pub fn now() -> String {
    now_and(0)
}

/// The time so many seconds from now.
pub fn now_and(seconds: i64) -> String {
    thread_local! {
        // Large worlds start with many objects of one second: it is written once.
        static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let then = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    LAST.with_borrow_mut(|(second, text)| {
        if *second != then.as_second() {
            *second = then.as_second();
            *text = then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        }
        text.clone()
    })
}

/// Whether something is to happen before an object goes.
pub fn has_finalizers(object: &Value) -> bool {
    let list = object["metadata"]["finalizers"].as_array();
    list.is_some_and(|list| !list.is_empty())
}
