//! Node pools: list, get, update.

use serde_json::{Value, json};

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

/// `PUT` of the metadata mode, for which the pool's nodes are recreated, or of the upgrade settings.
pub fn update(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    let cluster = find_cluster(state, key)?;
    let pool = find(cluster, name)?;
    if cluster.autopilot {
        return Err(ApiError::invalid(
            "Autopilot clusters do not support mutating node pools.",
        ));
    }
    check_etag(body.get("etag"), &pool.etag)?;
    if let Some(settings) = body.get("upgradeSettings") {
        let upgrade = Upgrade::read(settings).map_err(ApiError::invalid)?;
        operations::ensure_idle(state, key)?;
        let change = Change::Upgrade(upgrade);
        return Ok(operations::start(state, key, Some(name), change));
    }
    let Some(config) = body.get("workloadMetadataConfig") else {
        const NAMES: [&str; 5] = ["name", "projectId", "zone", "clusterId", "nodePoolId"];
        let fields = body.as_object().into_iter().flatten();
        if fields
            .filter(|(name, _)| !NAMES.contains(&name.as_str()) && *name != "etag")
            .count()
            == 0
        {
            return Err(ApiError::invalid(
                "At least one of ['node_version', 'image_type', 'locations', 'workload_metadata_config', 'upgrade_settings'] must be specified.",
            ));
        }
        return Err(ApiError::new(
            501,
            "The sandbox only updates workloadMetadataConfig and upgradeSettings of node pools.",
        ));
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
