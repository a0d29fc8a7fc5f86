//! The GKE half: workload pools and the metadata server of node pools.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Attribute, Change, Plan, What};
use crate::desired::{Desired, DesiredCluster, GKE_METADATA, cluster_address, node_pool_address};
use crate::gcp::container::Cluster;
use crate::live::{Live, Seen};

/// Compares clusters and their node pools; answers with the node pools of each cluster.
pub(super) fn diff(
    desired: &Desired,
    live: &Live,
    plan: &mut Plan,
) -> BTreeMap<String, Vec<String>> {
    let mut node_pools = BTreeMap::new();
    for (name, wanted) in &desired.clusters {
        let address = cluster_address(name);
        let cluster = match &live.clusters[name] {
            Seen::Found(cluster) => cluster,
            Seen::Absent => {
                plan.error(
                    address,
                    Some(&wanted.place),
                    format!(
                        "{} does not exist. Check project, location (a zonal cluster is found under its zone, a regional one under its region) and name: gcloud container clusters list --project {}",
                        wanted.path, wanted.path.project
                    ),
                );
                continue;
            }
            Seen::Unknown(why) => {
                plan.unseen(&address, why);
                continue;
            }
        };
        node_pools.insert(
            name.clone(),
            cluster.node_pools.iter().map(|p| p.name.clone()).collect(),
        );
        if cluster.status == "DEGRADED" {
            let says: Vec<&str> = cluster
                .conditions
                .iter()
                .map(|c| c.message.as_str())
                .collect();
            plan.warnings
                .push(format!("{address} is DEGRADED: {}", says.join("; ")));
        }
        diff_cluster(name, wanted, cluster, plan);
    }
    node_pools
}

fn diff_cluster(name: &str, wanted: &DesiredCluster, cluster: &Cluster, plan: &mut Plan) {
    let address = cluster_address(name);
    if cluster.autopilot.enabled {
        return; // Workload Identity is always on there, and node pools cannot be edited
    }
    if !matches!(
        cluster.status.as_str(),
        "RUNNING" | "RECONCILING" | "DEGRADED"
    ) {
        plan.error(
            address,
            Some(&wanted.place),
            format!(
                "{} is {}; it takes no changes until it is RUNNING",
                wanted.path, cluster.status
            ),
        );
        return;
    }
    let pool = wanted.path.project.workload_pool();
    let before = &cluster.workload_identity_config.workload_pool;
    if before.is_empty() {
        plan.changes.insert(
            address,
            Change {
                action: Action::Update,
                what: What::ClusterPool {
                    cluster: name.to_owned(),
                    path: wanted.path.clone(),
                    before: before.clone(),
                    pool: pool.clone(),
                },
                attributes: vec![Attribute::new(
                    "workloadIdentityConfig.workloadPool",
                    Some(before),
                    Some(&pool),
                )],
                reason: Some(
                    "disturbs no pod; node pools created from now on start with GKE_METADATA"
                        .to_owned(),
                ),
                place: Some(wanted.place.clone()),
                needs: BTreeSet::new(),
            },
        );
    } else if *before != pool {
        plan.error(
            address,
            Some(&wanted.place),
            format!("{} has the workload pool {before}, but only {pool} is its project's own; turn the other off first", wanted.path),
        );
        return;
    }
    for node_pool in &cluster.node_pools {
        let mode = &node_pool.config.workload_metadata_config.mode;
        if mode == GKE_METADATA {
            continue;
        }
        let surge = &node_pool.upgrade_settings;
        let how = match surge.strategy.as_str() {
            "BLUE_GREEN" => "blue-green: a second set of nodes, then the first goes".to_owned(),
            _ => format!(
                "at most {} more and {} fewer nodes than now at any time",
                surge.max_surge, surge.max_unavailable
            ),
        };
        plan.changes.insert(
            node_pool_address(name, &node_pool.name),
            Change {
                action: Action::Update,
                what: What::NodePool {
                    cluster: name.to_owned(),
                    path: wanted.path.clone(),
                    node_pool: node_pool.name.clone(),
                    before: mode.clone(),
                },
                attributes: vec![Attribute::new(
                    "config.workloadMetadataConfig.mode",
                    Some(mode),
                    Some(GKE_METADATA),
                )],
                reason: Some(how),
                place: Some(wanted.place.clone()),
                needs: BTreeSet::new(),
            },
        );
    }
}
