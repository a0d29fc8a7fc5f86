//! Pods that have a token of their former identity, and keep it until it expires or they restart; and
//! those that a new identity does not reach.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::impact::Workload;
use super::{Edit, Plan};
use crate::access::{self, Credential, Given, MetadataServer, WhyNot};
use crate::address::Address;
use crate::live::{Live, Seen, Workloads};
use crate::wire::pods::Pod;

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
    let mut unreached = BTreeSet::new();
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
            if pod.metadata.namespace != key.namespace.as_str()
                || pod.service_account() != key.name.as_str()
                || pod.status.phase != "Running"
            {
                continue;
            }
            let workload = Workload::of(pod);
            if let Some(why) = is_unreached(pod, workloads) {
                unreached.insert(format!(
                    "{} {}/{} in cluster.{} {why}",
                    workload.kind, workload.namespace, workload.name, key.cluster
                ));
                continue;
            }
            let pool = workloads.pool_of_node.get(&pod.spec.node_name);
            if pool.is_none_or(|pool| uses_own_identity(&key.cluster, pool, live))
                && !pool.is_some_and(|pool| {
                    plan.changes
                        .contains_key(&Address::node_pool(&key.cluster, pool))
                })
            {
                restarts.insert(Restart {
                    cluster: key.cluster.clone(),
                    workload,
                });
            }
        }
    }
    plan.warnings.extend(unreached);
    // What runs to its end has its new identity the next time.
    restarts.retain(|r| !matches!(r.workload.kind.as_str(), "Job" | "CronJob"));
    plan.restarts = restarts.into_iter().collect();
}

/// Why the pod goes on as it does, whatever identity its service account is given.
fn is_unreached(pod: &Pod, workloads: &Workloads) -> Option<String> {
    if pod.spec.host_network {
        return Some(
            "is on the host's network, where every pod is the node: the new identity of its service account is not for it"
                .to_owned(),
        );
    }
    let nobody = Given::Nobody(WhyNot::NoRoles);
    let containers = access::containers(
        &pod.spec,
        &pod.metadata.namespace,
        &workloads.config_maps,
        MetadataServer::Gke(&nobody),
    );
    let by = containers.iter().map(|c| match &c.credential {
        Credential::Own(own) => Some(own.to_string()),
        Credential::Unclear(doubt) => doubt.by().map(str::to_owned),
        Credential::None | Credential::Ignored { .. } => None,
    });
    let by: BTreeSet<String> = by.collect::<Option<_>>()?;
    (!by.is_empty()).then(|| {
        let by: Vec<String> = by.into_iter().collect();
        format!(
            "has a credentials file of its own, which wins over the metadata server ({}): it does not use the new identity of its service account until that is taken away",
            by.join("; ")
        )
    })
}

fn uses_own_identity(cluster: &str, pool: &str, live: &Live) -> bool {
    let cluster = live.clusters.get(cluster).and_then(Seen::found);
    cluster.is_none_or(|cluster| {
        let found = cluster.node_pools.iter().find(|p| p.name == pool);
        found.is_none_or(|pool| !cluster.has_node_identity(pool))
    })
}
