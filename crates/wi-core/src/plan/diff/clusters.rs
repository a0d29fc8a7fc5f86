//! Clusters: their state and their workload pool.

use std::collections::{BTreeMap, BTreeSet};

use super::node_pools;
use crate::address::Address;
use crate::desired::{Desired, DesiredCluster};
use crate::live::{Live, Seen};
use crate::names::ClusterPath;
use crate::plan::{Change, ClusterPool, Edit, Options, Plan};
use crate::spec::nearest;
use crate::wire::container::{Cluster, ClusterStatus};

/// Compares clusters and their node pools; answers with the node pools of each cluster.
pub(in crate::plan) fn diff(
    desired: &Desired,
    live: &Live,
    options: &Options,
    plan: &mut Plan,
) -> BTreeMap<String, Vec<String>> {
    let mut pools = BTreeMap::new();
    for (name, wanted) in &desired.clusters {
        let address = Address::cluster_pool(name);
        let cluster = match &live.clusters[name] {
            Seen::Found(cluster) if wanted.managed => cluster,
            Seen::Absent => {
                let there = live.clusters_of.get(&wanted.path.project);
                let way_out = there
                    .and_then(|there| meant(&wanted.path, there))
                    .unwrap_or_else(|| {
                        format!(
                            "Check project, location (a zonal cluster is found under its zone, a regional one under its region) and name: gcloud container clusters list --project {}",
                            wanted.path.project
                        )
                    });
                let message = format!("{} does not exist. {way_out}", wanted.path);
                plan.error(address, Some(&wanted.place), message);
                continue;
            }
            Seen::Found(cluster) => {
                if desired.ksas_of(name).next().is_some()
                    && !cluster.autopilot.enabled
                    && cluster.workload_identity_config.workload_pool.is_empty()
                {
                    plan.warnings.push(format!(
                        "{address} has no workload pool, and is others' to manage (`manage: false`): until they turn it on, no pod there has an identity of its own"
                    ));
                }
                continue;
            }
            Seen::Unknown(why) => {
                // Of one that is others' only what is in it counts, which is told of.
                if wanted.managed {
                    plan.unseen(&address, why.clone());
                }
                continue;
            }
        };
        pools.insert(
            name.clone(),
            cluster.node_pools.iter().map(|p| p.name.clone()).collect(),
        );
        if cluster.status == ClusterStatus::Degraded {
            plan.warnings
                .push(format!("{address} is DEGRADED{}", conditions(cluster)));
        }
        diff_cluster(name, wanted, cluster, live, options, plan);
    }
    pools
}

/// Which of a project's clusters may have been meant by a path that is none's.
pub fn meant(path: &ClusterPath, there: &BTreeSet<ClusterPath>) -> Option<String> {
    let named: Vec<&ClusterPath> = there.iter().filter(|c| c.name == path.name).collect();
    if let [first, ..] = named.as_slice() {
        let all: Vec<&str> = named.iter().map(|c| c.location.as_str()).collect();
        return Some(format!(
            "There is one of that name in {}: write location: {}",
            all.join(" and in "),
            first.location
        ));
    }
    let near = nearest(&path.name, there.iter().map(|c| c.name.as_str()))?;
    let named = || there.iter().filter(|c| c.name == near);
    let here = named().find(|c| c.location == path.location);
    let meant = here.or_else(|| named().next())?;
    Some(format!(
        "Did you mean {} in {}?",
        meant.name, meant.location
    ))
}

fn diff_cluster(
    name: &str,
    wanted: &DesiredCluster,
    cluster: &Cluster,
    live: &Live,
    options: &Options,
    plan: &mut Plan,
) {
    let address = Address::cluster_pool(name);
    match &cluster.status {
        status if status.is_running() => {}
        ClusterStatus::Provisioning => {
            let why = "it is PROVISIONING, being created: plan again once it is RUNNING";
            return plan.unseen(address, why);
        }
        status => {
            let message = format!(
                "{} is {status}{}; it takes no changes until it is RUNNING. If it is to go, take it out of the spec",
                wanted.path,
                conditions(cluster)
            );
            return plan.error(address, Some(&wanted.place), message);
        }
    }
    if cluster.autopilot.enabled {
        return; // Workload Identity is always on there, and node pools cannot be edited
    }
    if version(&cluster.current_master_version).is_some_and(|v| v < OLDEST) {
        let message = format!(
            "{} runs Kubernetes {}; Workload Identity needs {}.{} or later: upgrade the control plane first",
            wanted.path, cluster.current_master_version, OLDEST.0, OLDEST.1
        );
        return plan.error(address, Some(&wanted.place), message);
    }
    let pool = wanted.path.project.workload_pool();
    let before = &cluster.workload_identity_config.workload_pool;
    if before.is_empty() {
        let edit = ClusterPool {
            cluster: name.to_owned(),
            before: before.clone(),
            after: pool,
        };
        let notes = pool_notes(cluster);
        plan.insert(Change::new(
            Edit::ClusterPool(edit),
            notes,
            Some(&wanted.place),
        ));
    } else if *before != pool {
        plan.error(
            address,
            Some(&wanted.place),
            format!("{} has the workload pool {before}, but only {pool} is its project's own; turn the other off first", wanted.path),
        );
        return;
    }
    node_pools::diff(name, wanted, cluster, live, options, plan);
}

fn pool_notes(cluster: &Cluster) -> Vec<String> {
    let mut notes =
        vec!["disturbs no pod; node pools created from now on start with GKE_METADATA".to_owned()];
    if cluster.autoscaling.enable_node_autoprovisioning {
        notes.push(
            "so do those that node auto-provisioning creates: a pod without an identity of its own that lands there no longer has the node's"
                .to_owned(),
        );
    }
    notes
}

/// Workload Identity needs a control plane of at least this version.
const OLDEST: (u32, u32) = (1, 12);

/// `1.33.5-gke.1308000` as (1, 33).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn conditions(cluster: &Cluster) -> String {
    let says: Vec<&str> = cluster
        .conditions
        .iter()
        .map(|c| c.message.trim_end_matches('.'))
        .filter(|m| !m.is_empty())
        .collect();
    if says.is_empty() {
        String::new()
    } else {
        format!(": {}", says.join("; "))
    }
}
