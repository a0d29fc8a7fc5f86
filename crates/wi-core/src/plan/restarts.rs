//! Pods that have a token of their former identity, and keep it until it expires or they restart.

use std::collections::BTreeSet;

use super::impact::Workload;
use super::{Edit, Plan};
use crate::address::Address;
use crate::desired::GKE_METADATA;
use crate::live::{Live, Seen};
use serde::{Deserialize, Serialize};

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
        let Edit::Ksa(ksa) = &change.edit else {
            continue;
        };
        // No pod can run as an account that is not there.
        if ksa.before.is_none() || !ksa.changes_identity(&plan.owner) {
            continue;
        }
        let key = &ksa.key;
        let objects = live.kubernetes.get(&key.cluster).and_then(Seen::found);
        let Some(Ok(workloads)) = objects.and_then(|o| o.workloads.as_ref()) else {
            continue;
        };
        for pod in &workloads.pods {
            let pool = workloads.pool_of_node.get(&pod.spec.node_name);
            if pod.metadata.namespace == key.namespace.as_str()
                && pod.service_account() == key.name.as_str()
                && pod.status.phase == "Running"
                && !pod.spec.host_network
                && pool.is_none_or(|pool| uses_own_identity(&key.cluster, pool, live))
                && !pool.is_some_and(|pool| {
                    plan.changes
                        .contains_key(&Address::node_pool(&key.cluster, pool))
                })
            {
                restarts.insert(Restart {
                    cluster: key.cluster.clone(),
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
