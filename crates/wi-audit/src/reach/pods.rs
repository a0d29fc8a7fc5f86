//! On which node pools pods run, and as whom.

use std::collections::{BTreeSet, HashMap};

use crate::world::Live;

const POOL_LABEL: &str = "cloud.google.com/gke-nodepool";

/// On which node pools pods of each Kubernetes service account run, and whether one of them there has the node's identity.
pub(super) fn on_nodes(live: &Live) -> HashMap<(String, String, String), BTreeSet<(String, bool)>> {
    let mut all: HashMap<_, BTreeSet<(String, bool)>> = HashMap::new();
    for (name, cluster) in &live.clusters {
        let (Some(gke), Some(nodes), Some(pods)) = (
            cluster.gke.found(),
            cluster.nodes.found(),
            cluster.pods.found(),
        ) else {
            continue;
        };
        let pool_of: HashMap<&str, &String> = nodes
            .iter()
            .filter_map(|n| Some((n.name.as_str(), n.labels.get(POOL_LABEL)?)))
            .collect();
        for pod in pods.iter().filter(|p| !p.has_ended()) {
            let Some(pool) = pool_of.get(pod.spec.node_name.as_str()) else {
                continue;
            };
            let known = gke.node_pools.iter().find(|p| p.name == **pool);
            let has_identity =
                pod.spec.host_network || known.is_some_and(|p| gke.has_node_identity(p));
            let key = (
                name.clone(),
                pod.metadata.namespace.clone(),
                pod.service_account().to_owned(),
            );
            all.entry(key)
                .or_default()
                .insert(((*pool).clone(), has_identity));
        }
    }
    all
}
