//! Clusters and node pools that come and go.

use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::clusters::find as find_cluster;
use super::completion::set_status;
use super::node_pools::find as find_pool;
use super::operation::Change;
use super::operations;
use super::pool::{MetadataMode, NodePool};
use super::show;
use super::upgrade::Upgrade;
use crate::clock;
use crate::constraints;
use crate::errors::ApiError;
use crate::hub::complete;
use crate::ids::ClusterKey;
use crate::state::State;

/// What the API tells and nobody sets, and what has a field of its own here.
const OF_A_CLUSTER: [&str; 22] = [
    "autopilot",
    "conditions",
    "controlPlaneEndpointsConfig",
    "createTime",
    "currentMasterVersion",
    "currentNodeCount",
    "currentNodeVersion",
    "endpoint",
    "etag",
    "fleet",
    "id",
    "initialNodeCount",
    "instanceGroupUrls",
    "labelFingerprint",
    "location",
    "name",
    "nodeConfig",
    "nodePools",
    "resourceLabels",
    "selfLink",
    "status",
    "workloadIdentityConfig",
];
const OF_A_POOL: [&str; 9] = [
    "conditions",
    "etag",
    "initialNodeCount",
    "instanceGroupUrls",
    "name",
    "selfLink",
    "status",
    "statusMessage",
    "upgradeSettings",
];

fn rest(body: &Value, without: &[&str]) -> Map<String, Value> {
    let fields = body.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !without.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// `POST …/clusters`.
pub fn cluster(
    state: &mut State,
    project: &str,
    location: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    let wanted = &body["cluster"];
    if !wanted.is_object() {
        return Err(ApiError::invalid("Cluster must be specified."));
    }
    let name = wanted["name"].as_str().unwrap_or_default();
    check_name("Cluster.name", name)?;
    if location == "-" {
        return Err(ApiError::invalid("Location \"-\" does not exist."));
    }
    let key = (project.to_owned(), location.to_owned(), name.to_owned());
    if find_cluster(state, &key).is_ok() {
        return Err(already_exists(&key, None));
    }
    let autopilot = wanted["autopilot"]["enabled"] == true;
    let own = state.workload_pool(project);
    let pool = wanted["workloadIdentityConfig"]["workloadPool"].as_str();
    let pool = pool.filter(|pool| !pool.is_empty());
    if let Some(pool) = pool.filter(|pool| *pool != own) {
        return Err(ApiError::invalid(format!(
            "Invalid workload pool {pool:?}: the only supported value is {own:?}."
        )));
    }
    let workload_pool = pool.map(str::to_owned).or(autopilot.then_some(own));
    if workload_pool.is_some() {
        constraints::check(
            &state.world.organization_policies,
            "iam.disableWorkloadIdentityClusterCreation",
            project,
            "Workload Identity is not allowed on new clusters of this project.",
        )?;
    }
    let host = wanted["fleet"]["project"].as_str();
    let host = host.map(|host| {
        let known = state.project(host.trim_start_matches("projects/"));
        known.ok_or_else(|| ApiError::invalid(format!("Fleet project {host:?} does not exist.")))
    });
    let host = host.transpose()?;
    let mut new = Cluster {
        workload_pool,
        autopilot,
        status: "PROVISIONING".to_owned(),
        labels: serde_json::from_value(wanted["resourceLabels"].clone()).unwrap_or_default(),
        extra: rest(wanted, &OF_A_CLUSTER),
        ..Cluster::named(key.clone())
    };
    let mut pools: Vec<Value> = wanted["nodePools"].as_array().cloned().unwrap_or_default();
    let count = &wanted["initialNodeCount"];
    if pools.is_empty() && (autopilot || count.as_u64().unwrap_or(0) > 0) {
        let count = count.as_u64().unwrap_or(1);
        pools.push(json!({
            "name": "default-pool", "initialNodeCount": count, "config": wanted["nodeConfig"],
        }));
    }
    if pools.is_empty() {
        return Err(ApiError::invalid(
            "Cluster.initial_node_count must be greater than zero.",
        ));
    }
    for pool in &pools {
        let pool = read_pool(&new, pool)?;
        new.node_pools.push(pool);
    }
    new.check().map_err(ApiError::invalid)?;
    let mut revision = state.next_revision();
    new.complete(&state.workload_pool(project), &mut revision);
    state.world.revision = revision;
    state.world.clusters.push(new);
    if let Some(host) = host {
        let now = clock::text(state.clock.now());
        complete::register(&mut state.world, &host, &key, &now);
    }
    Ok(operations::start(state, &key, None, Change::CreateCluster))
}

/// `DELETE …/clusters/C`.
pub fn delete_cluster(state: &mut State, key: &ClusterKey) -> Result<Value, ApiError> {
    find_cluster(state, key)?;
    operations::ensure_idle(state, key)?;
    set_status(state, key, None, "STOPPING");
    Ok(operations::start(state, key, None, Change::DeleteCluster))
}

/// `POST …/nodePools`.
pub fn node_pool(state: &mut State, key: &ClusterKey, body: &Value) -> Result<Value, ApiError> {
    let wanted = &body["nodePool"];
    if !wanted.is_object() {
        return Err(ApiError::invalid("NodePool must be specified."));
    }
    let name = wanted["name"].as_str().unwrap_or_default();
    check_name("NodePool.name", name)?;
    let cluster = find_cluster(state, key)?;
    if cluster.autopilot {
        return Err(ApiError::invalid(
            "Autopilot clusters do not support mutating node pools.",
        ));
    }
    if find_pool(cluster, name).is_ok() {
        return Err(already_exists(key, Some(name)));
    }
    let mut pool = read_pool(cluster, wanted)?;
    if pool.workload_metadata == Some(MetadataMode::GkeMetadata) && cluster.workload_pool.is_none()
    {
        return Err(ApiError::invalid(
            "GKE_METADATA requires Workload Identity to be enabled on the cluster: set its workload pool first.",
        ));
    }
    operations::ensure_idle(state, key)?;
    pool.status = "PROVISIONING".to_owned();
    pool.etag = super::cluster::etag(state.next_revision());
    let mut clusters = state.world.clusters.iter_mut();
    if let Some(cluster) = clusters.find(|c| c.key() == *key) {
        cluster.node_pools.push(pool);
    }
    let change = Change::CreateNodePool;
    Ok(operations::start(state, key, Some(name), change))
}

/// `DELETE …/nodePools/N`.
pub fn delete_node_pool(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
) -> Result<Value, ApiError> {
    let cluster = find_cluster(state, key)?;
    find_pool(cluster, name)?;
    if cluster.autopilot {
        return Err(ApiError::invalid(
            "Autopilot clusters do not support mutating node pools.",
        ));
    }
    operations::ensure_idle(state, key)?;
    set_status(state, key, Some(name), "STOPPING");
    let change = Change::DeleteNodePool;
    Ok(operations::start(state, key, Some(name), change))
}

/// A node pool of a request. One of a cluster with a workload pool has the GKE metadata server unless it
/// says otherwise.
fn read_pool(cluster: &Cluster, wanted: &Value) -> Result<NodePool, ApiError> {
    let name = wanted["name"].as_str().unwrap_or_default();
    check_name("NodePool.name", name)?;
    let config = &wanted["config"];
    let mode = match config["workloadMetadataConfig"]["mode"].as_str() {
        Some("GKE_METADATA") => Some(MetadataMode::GkeMetadata),
        Some("GCE_METADATA") => Some(MetadataMode::GceMetadata),
        _ => cluster
            .workload_pool
            .is_some()
            .then_some(MetadataMode::GkeMetadata),
    };
    let upgrade = match wanted.get("upgradeSettings") {
        Some(settings) => Upgrade::read(settings).map_err(ApiError::invalid)?,
        None => Upgrade::default(),
    };
    let mut extra = rest(wanted, &OF_A_POOL);
    if let Some(config) = extra.get_mut("config").and_then(Value::as_object_mut) {
        config.remove("workloadMetadataConfig");
        config.remove("serviceAccount");
    }
    extra.retain(|_, value| !value.is_null());
    let account = config["serviceAccount"].as_str().unwrap_or("default");
    let mut pool = NodePool {
        service_account: account.to_owned(),
        workload_metadata: mode,
        upgrade,
        extra,
        ..NodePool::of_three(name)
    };
    let zones = u32::try_from(pool.zones(cluster.zones()).len()).unwrap_or(1);
    let count = wanted["initialNodeCount"].as_u64().unwrap_or(0);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    pool.nodes = count.saturating_mul(zones);
    if pool.nodes > MOST_NODES {
        return Err(ApiError::invalid(format!(
            "NodePool.initial_node_count must not be more than {MOST_NODES} nodes."
        )));
    }
    Ok(pool)
}

/// As many nodes as a GKE cluster may have.
const MOST_NODES: u32 = 15_000;

fn check_name(field: &str, name: &str) -> Result<(), ApiError> {
    let fine = (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-');
    if fine {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Invalid value for field {field:?}: {name:?}: must match (?:[a-z](?:[-a-z0-9]{{0,38}}[a-z0-9])?)."
    )))
}

fn already_exists(key: &ClusterKey, pool: Option<&str>) -> ApiError {
    let (project, location, name) = key;
    let pool = pool.map_or(String::new(), |pool| format!("/nodePools/{pool}"));
    let missing = show::not_found(project, location, &format!("clusters/{name}{pool}"));
    ApiError::already_exists(missing.message.replacen("Not found", "Already exists", 1))
}
