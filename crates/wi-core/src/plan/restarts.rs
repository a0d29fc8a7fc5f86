//! Pods that have a token of their former identity, and keep it until it expires or they restart.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::impact::Workload;
use super::{Plan, What};
use crate::address::Address;
use crate::desired::{GKE_METADATA, GSA_ANNOTATION};
use crate::live::{Live, Seen};

/// Workloads of one Kubernetes service account whose identity changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Restart {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// What to restart.
    pub workload: Workload,
}

pub(super) fn list(live: &Live, plan: &mut Plan) {
    let mut restarts = BTreeSet::new();
    for change in plan.changes.values() {
        let What::Ksa { change: write, .. } = &change.what else {
            continue;
        };
        let Some(before) = &write.before else {
            continue; // no pod can run as an account that is not there
        };
        if !change.attributes.iter().any(|a| a.name == GSA_ANNOTATION) {
            continue;
        }
        let objects = live.kubernetes.get(&write.cluster).and_then(Seen::found);
        let Some(Ok(workloads)) = objects.and_then(|o| o.workloads.as_ref()) else {
            continue;
        };
        for pod in &workloads.pods {
            let pool = workloads.pool_of_node.get(&pod.spec.node_name);
            if pod.metadata.namespace == before.namespace
                && pod.service_account() == before.name
                && pod.status.phase == "Running"
                && !pod.spec.host_network
                && pool.is_none_or(|pool| uses_own_identity(&write.cluster, pool, live))
                && !pool.is_some_and(|pool| {
                    plan.changes
                        .contains_key(&Address::node_pool(&write.cluster, pool))
                })
            {
                restarts.insert(Restart {
                    cluster: write.cluster.clone(),
                    workload: Workload::of(pod),
                });
            }
        }
    }
    // What runs to its end has its new identity the next time.
    restarts.retain(|r| !matches!(r.workload.kind.as_str(), "Job" | "CronJob"));
    plan.restarts = restarts.into_iter().collect();
}

fn uses_own_identity(cluster: &str, pool: &str, live: &Live) -> bool {
    live.clusters
        .get(cluster)
        .and_then(Seen::found)
        .and_then(|c| c.node_pools.iter().find(|p| p.name == pool))
        .is_none_or(|p| p.config.workload_metadata_config.mode == GKE_METADATA)
}
