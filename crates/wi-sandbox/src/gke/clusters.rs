//! Clusters: list, get, update.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::cluster::{Address, Cluster};
use super::operation::{Change, Operation};
use super::operations;
use super::{list as list_answer, missing_zones, show};
use crate::errors::ApiError;
use crate::hub;
use crate::ids::ClusterKey;
use crate::state::State;
use crate::wire;

/// All clusters of a location, or of all with `-`.
pub fn list(state: &State, project: &str, location: &str) -> Value {
    let missing = missing_zones(state);
    let clusters = state.world.clusters.iter().filter(|c| {
        c.project == project
            && (location == "-" || c.location == location)
            && !missing.contains(&c.location)
    });
    let clusters: Vec<Value> = clusters.map(|c| shown(state, c)).collect();
    list_answer("clusters", clusters, missing)
}

/// One cluster.
pub fn get(state: &State, key: &ClusterKey) -> Result<Value, ApiError> {
    Ok(shown(state, find(state, key)?))
}

/// The cluster, or 404.
pub fn find<'a>(state: &'a State, key: &ClusterKey) -> Result<&'a Cluster, ApiError> {
    state
        .world
        .clusters
        .iter()
        .find(|c| c.key() == *key)
        .ok_or_else(|| {
            let (project, location, name) = key;
            show::not_found(project, location, &format!("clusters/{name}"))
        })
}

/// The operation that holds the cluster.
pub fn running<'a>(state: &'a State, key: &ClusterKey) -> Option<&'a Operation> {
    state
        .world
        .operations
        .iter()
        .find(|op| op.is_running() && op.key() == *key)
}

fn shown(state: &State, cluster: &Cluster) -> Value {
    let key = cluster.key();
    let busy = running(state, &key).map(|op| op.node_pool.as_deref());
    let address = state.kubes.get(&key).map(|kube| Address {
        endpoint: &kube.endpoint,
        ca: &kube.ca,
    });
    let fleet = hub::show::of_gke(state, cluster);
    show::cluster(
        cluster,
        state.number(&cluster.project),
        fleet,
        busy,
        address,
    )
}

/// `PUT` of one setting.
pub fn update(state: &mut State, key: &ClusterKey, body: &Value) -> Result<Value, ApiError> {
    let update = body.get("update").and_then(Value::as_object);
    let update = update.ok_or_else(|| ApiError::invalid("Must specify a field to update."))?;
    let mut settings = Vec::new();
    for name in update.keys().filter(|name| *name != "etag") {
        settings.push(name.as_str());
    }
    let cluster = find(state, key)?;
    let change = match settings.as_slice() {
        [] => return Err(ApiError::invalid("Must specify a field to update.")),
        ["desiredWorkloadIdentityConfig"] => {
            let config = &update["desiredWorkloadIdentityConfig"];
            workload_pool(state, cluster, config)?
        }
        [name] => Change::Setting(setting(name, &update[*name])),
        _ => {
            return Err(ApiError::invalid(format!(
                "Only one field may be updated at a time, got: {}.",
                settings.join(", ")
            )));
        }
    };
    check_etag(update.get("etag"), &cluster.etag)?;
    operations::ensure_idle(state, key)?;
    Ok(operations::start(state, key, None, change))
}

/// The cluster's field that an update's is about: `desiredLoggingConfig` becomes `loggingConfig`.
fn setting(name: &str, value: &Value) -> Map<String, Value> {
    let field = name.strip_prefix("desired").map(|rest| {
        let mut letters = rest.chars();
        let first = letters.next().map(|c| c.to_ascii_lowercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    let mut fields = Map::new();
    if let Some(field) = field.filter(|f| wire::has_field("container.Cluster", f)) {
        fields.insert(field, value.clone());
    }
    fields
}

fn workload_pool(state: &State, cluster: &Cluster, config: &Value) -> Result<Change, ApiError> {
    if cluster.autopilot {
        return Err(ApiError::invalid(
            "Workload Identity cannot be changed on Autopilot clusters: it is always enabled.",
        ));
    }
    let own = state.workload_pool(&cluster.project);
    let Some(pool) = config["workloadPool"].as_str() else {
        return Err(ApiError::invalid(
            "Must specify workload_pool in desired_workload_identity_config.",
        ));
    };
    if !pool.is_empty() && pool != own {
        return Err(ApiError::invalid(format!(
            "Invalid workload pool {pool:?}: the only supported value is {own:?}."
        )));
    }
    let gke = Some(super::pool::MetadataMode::GkeMetadata);
    let in_use = cluster
        .node_pools
        .iter()
        .find(|p| p.workload_metadata == gke);
    if let (true, Some(node_pool)) = (pool.is_empty(), in_use) {
        return Err(ApiError::invalid(format!(
            "Workload Identity cannot be disabled while node pool {:?} uses GKE_METADATA.",
            node_pool.name
        )));
    }
    Ok(Change::WorkloadPool(pool.to_owned()))
}

/// 409 when the caller's etag is not the current one; none is none.
pub fn check_etag(given: Option<&Value>, current: &str) -> Result<(), ApiError> {
    match given.and_then(Value::as_str) {
        Some(given) if !given.is_empty() && given != current => Err(ApiError::aborted(format!(
            "Etag mismatch: the resource was changed concurrently (current etag {current:?}, got {given:?})."
        ))),
        _ => Ok(()),
    }
}

/// `:setResourceLabels` replaces all labels.
pub fn set_labels(state: &mut State, key: &ClusterKey, body: &Value) -> Result<Value, ApiError> {
    let cluster = find(state, key)?;
    if body["labelFingerprint"].as_str() != Some(&cluster.label_fingerprint()) {
        return Err(ApiError::precondition(
            "Labels could not be set due to fingerprint mismatch.",
        ));
    }
    let labels = body
        .get("resourceLabels")
        .cloned()
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let labels: BTreeMap<String, String> = serde_json::from_value(labels)
        .map_err(|e| ApiError::invalid(format!("resourceLabels: {e}")))?;
    operations::ensure_idle(state, key)?;
    Ok(operations::start(state, key, None, Change::Labels(labels)))
}
