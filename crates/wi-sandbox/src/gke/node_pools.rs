//! Node pools: list, get, update.

use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::clusters::{check_etag, find as find_cluster, running};
use super::operation::Change;
use super::operations;
use super::pool::{MetadataMode, NodePool};
use super::show;
use super::upgrade::Upgrade;
use crate::errors::ApiError;
use crate::ids::ClusterKey;
use crate::state::State;
use crate::wire;

/// All node pools of a cluster.
pub fn list(state: &State, key: &ClusterKey) -> Result<Value, ApiError> {
    let cluster = find_cluster(state, key)?;
    let pools: Vec<Value> = cluster
        .node_pools
        .iter()
        .map(|p| shown(state, cluster, p))
        .collect();
    Ok(if pools.is_empty() {
        json!({})
    } else {
        json!({"nodePools": pools})
    })
}

/// One node pool.
pub fn get(state: &State, key: &ClusterKey, name: &str) -> Result<Value, ApiError> {
    let cluster = find_cluster(state, key)?;
    Ok(shown(state, cluster, find(cluster, name)?))
}

fn shown(state: &State, cluster: &Cluster, pool: &NodePool) -> Value {
    let busy =
        running(state, &cluster.key()).is_some_and(|op| op.node_pool.as_ref() == Some(&pool.name));
    show::node_pool(pool, cluster, state.number(&cluster.project), busy)
}

/// The node pool, or 404.
pub fn find<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a NodePool, ApiError> {
    cluster
        .node_pools
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| {
            let rest = format!("clusters/{}/nodePools/{name}", cluster.name);
            show::not_found(&cluster.project, &cluster.location, &rest)
        })
}

/// The node pool of a cluster whose node pools are its user's; it and its cluster, or the refusal.
pub fn find_mutable<'a>(
    state: &'a State,
    key: &ClusterKey,
    name: &str,
) -> Result<(&'a Cluster, &'a NodePool), ApiError> {
    let cluster = find_cluster(state, key)?;
    let pool = find(cluster, name)?;
    if cluster.autopilot {
        return Err(ApiError::invalid(
            "Autopilot clusters do not support mutating node pools.",
        ));
    }
    Ok((cluster, pool))
}

/// `PUT` of the metadata mode, for which the pool's nodes are recreated, of the upgrade settings, or of what else a
/// node pool has, which is shown from then on.
pub fn update(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    let (cluster, pool) = find_mutable(state, key, name)?;
    check_etag(body.get("etag"), &pool.etag)?;
    if let Some(settings) = body.get("upgradeSettings") {
        let upgrade = Upgrade::read(settings).map_err(ApiError::invalid)?;
        operations::ensure_idle(state, key)?;
        let change = Change::Upgrade(upgrade);
        return Ok(operations::start(state, key, Some(name), change));
    }
    let Some(config) = body.get("workloadMetadataConfig") else {
        let fields = settings(body)?;
        operations::ensure_idle(state, key)?;
        let change = Change::NodePoolSetting(fields);
        return Ok(operations::start(state, key, Some(name), change));
    };
    let mode = match config["mode"].as_str() {
        Some("GKE_METADATA") => MetadataMode::GkeMetadata,
        Some("GCE_METADATA") => MetadataMode::GceMetadata,
        _ => {
            return Err(ApiError::invalid(format!(
                "Invalid value at 'workload_metadata_config.mode': {}",
                config["mode"]
            )));
        }
    };
    if mode == MetadataMode::GkeMetadata && cluster.workload_pool.is_none() {
        return Err(ApiError::invalid(
            "GKE_METADATA requires Workload Identity to be enabled on the cluster: set its workload pool first.",
        ));
    }
    operations::ensure_idle(state, key)?;
    Ok(operations::start(
        state,
        key,
        Some(name),
        Change::WorkloadMetadata(mode),
    ))
}

/// What an update sets, in the shape of a node pool: `labels` becomes `config.labels`, `nodeVersion` `version`.
fn settings(body: &Value) -> Result<Map<String, Value>, ApiError> {
    const NAMES: [&str; 6] = [
        "name",
        "projectId",
        "zone",
        "clusterId",
        "nodePoolId",
        "etag",
    ];
    let (mut fields, mut config) = (Map::new(), Map::new());
    let given = body.as_object().into_iter().flatten();
    for (name, value) in given.filter(|(name, _)| !NAMES.contains(&name.as_str())) {
        // Lists and maps come in a message of their own, which tells empty from not given.
        let inner = match name.as_str() {
            "labels" | "resourceLabels" => value.get("labels"),
            "tags" => value.get("tags"),
            "taints" => value.get("taints"),
            _ => None,
        };
        let value = inner.unwrap_or(value).clone();
        match name.as_str() {
            "nodeVersion" => _ = fields.insert("version".to_owned(), value),
            name if wire::has_field("container.NodeConfig", name) => {
                config.insert(name.to_owned(), value);
            }
            name if wire::has_field("container.NodePool", name) => {
                fields.insert(name.to_owned(), value);
            }
            name => {
                return Err(ApiError::new(
                    501,
                    format!("The sandbox does not set {name} of node pools."),
                ));
            }
        }
    }
    if !config.is_empty() {
        fields.insert("config".to_owned(), config.into());
    }
    if fields.is_empty() {
        return Err(ApiError::invalid(
            "At least one of ['node_version', 'image_type', 'locations', 'workload_metadata_config', 'upgrade_settings'] must be specified.",
        ));
    }
    Ok(fields)
}

/// `:setAutoscaling`, `:setManagement` and `:setSize`, as gcloud calls them; `None`: no such verb is simulated.
pub fn set(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
    verb: &str,
    body: &Value,
) -> Option<Result<Value, ApiError>> {
    let field = match verb {
        "setAutoscaling" => "autoscaling",
        "setManagement" => "management",
        "setSize" => "nodeCount",
        _ => return None,
    };
    Some(set_field(state, key, name, field, body))
}

fn set_field(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
    field: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    let (cluster, pool) = find_mutable(state, key, name)?;
    let change = match body.get(field) {
        Some(Value::Object(_)) if field != "nodeCount" => {
            let fields = Map::from_iter([(field.to_owned(), body[field].clone())]);
            Change::NodePoolSetting(fields)
        }
        Some(count) if field == "nodeCount" => {
            let each = count.as_u64().and_then(|n| u32::try_from(n).ok());
            let zones = u32::try_from(pool.zones(cluster.zones()).len()).ok();
            let nodes = each
                .zip(zones)
                .and_then(|(each, zones)| each.checked_mul(zones));
            // More than any node pool has.
            let nodes = nodes.filter(|n| *n <= 15_000);
            Change::Size(nodes.ok_or_else(|| {
                ApiError::invalid(format!("Invalid value for field \"node_count\": {count}."))
            })?)
        }
        // proto3: what is not sent is zero.
        None if field == "nodeCount" => Change::Size(0),
        _ => return Err(ApiError::invalid(format!("{field} must be specified."))),
    };
    operations::ensure_idle(state, key)?;
    Ok(operations::start(state, key, Some(name), change))
}
