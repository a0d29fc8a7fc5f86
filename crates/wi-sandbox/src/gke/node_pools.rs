//! Node pools: list, get, update.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::clusters::{check_etag, find as find_cluster, running};
use super::operation::Change;
use super::operations;
use super::pool::{MetadataMode, NodePool};
use super::upgrade::Upgrade;
use crate::errors::{ApiError, known_fields};
use crate::ids::ClusterKey;
use crate::state::State;

/// The fields of `UpdateNodePoolRequest`.
const FIELDS: [&str; 38] = [
    "accelerators",
    "bootDisk",
    "bootDiskKmsKey",
    "clusterId",
    "confidentialNodes",
    "consolidationDelay",
    "containerdConfig",
    "diskSizeGb",
    "diskType",
    "etag",
    "fastSocket",
    "flexStart",
    "gcfsConfig",
    "gvnic",
    "imageType",
    "kubeletConfig",
    "labels",
    "linuxNodeConfig",
    "locations",
    "loggingConfig",
    "machineType",
    "maxRunDuration",
    "name",
    "nodeDrainConfig",
    "nodeNetworkConfig",
    "nodePoolId",
    "nodeVersion",
    "projectId",
    "queuedProvisioning",
    "resourceLabels",
    "resourceManagerTags",
    "storagePools",
    "tags",
    "taints",
    "upgradeSettings",
    "windowsNodeConfig",
    "workloadMetadataConfig",
    "zone",
];

/// All node pools of a cluster.
pub fn list(state: &State, key: &ClusterKey) -> Result<Value, ApiError> {
    let cluster = find_cluster(state, key)?;
    let pools: Vec<Value> = cluster
        .node_pools
        .iter()
        .map(|p| show(state, cluster, p))
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
    Ok(show(state, cluster, find(cluster, name)?))
}

fn show(state: &State, cluster: &Cluster, pool: &NodePool) -> Value {
    let busy =
        running(state, &cluster.key()).is_some_and(|op| op.node_pool.as_ref() == Some(&pool.name));
    pool.show(cluster, state.number(&cluster.project), busy)
}

fn find<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a NodePool, ApiError> {
    cluster
        .node_pools
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| {
            ApiError::not_found(format!(
                "Not found: projects/{}/locations/{}/clusters/{}/nodePools/{name}.",
                cluster.project, cluster.location, cluster.name
            ))
        })
}

/// `PUT` of the metadata mode, for which the pool's nodes are recreated, or of the upgrade settings.
pub fn update(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    known_fields(body, &FIELDS, "")?;
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
        return Err(ApiError::new(
            501,
            "The sandbox only updates workloadMetadataConfig and upgradeSettings of node pools.",
        ));
    };
    known_fields(config, &["mode"], " at 'workload_metadata_config'")?;
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
