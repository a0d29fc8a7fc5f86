//! Who uses which identity on which node pool: the containers of pods that are there, and of those that
//! would be made. As the services and the clients would have it, and by nothing that anybody plans.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::{Granted, Token};
use super::container::{self, Source};
use super::gke::cluster::Cluster;
use super::gke::pool::{MetadataMode, NodePool};
use super::kube::{KubeCluster, is_selected, is_tolerated, pod_state};
use super::oracle;
use super::state::State;

/// What one container has on a node pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// `PROJECT/LOCATION/NAME`.
    pub cluster: String,
    /// The node pool that the pod is on, or that one like it could come to be on.
    pub pool: String,
    /// Its namespace.
    pub namespace: String,
    /// `KIND/NAME` of what makes the pod.
    pub workload: String,
    /// The container.
    pub container: String,
    /// Where its program's credential comes from.
    pub source: Source,
    /// What the metadata server answers it.
    pub token: Token,
    /// The roles that come with that.
    pub roles: BTreeSet<Granted>,
}

const MAKERS: [&str; 7] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

/// Of all clusters: pods where they are, and what objects make on every node pool that would have it.
pub fn all(state: &State) -> Vec<Use> {
    let mut uses = Vec::new();
    for cluster in &state.world.clusters {
        let Some(running) = state.kubes.get(&cluster.key()) else {
            continue;
        };
        let kube = &running.kube;
        for pod in kube.pod_objects() {
            let owner = &pod["metadata"]["ownerReferences"][0];
            let workload = match (owner["kind"].as_str(), owner["name"].as_str()) {
                (Some(kind), Some(name)) => format!("{kind}/{name}"),
                _ => format!(
                    "Pod/{}",
                    pod["metadata"]["name"].as_str().unwrap_or_default()
                ),
            };
            for pool in &cluster.node_pools {
                let here = match pod["spec"]["nodeName"].as_str() {
                    Some(node) => kube.nodes_of(&pool.name).iter().any(|n| n.name == node),
                    None => could_run(pool, &pod["spec"]),
                };
                if here {
                    uses.extend(of_pod(state, cluster, kube, pool, &workload, &pod));
                }
            }
        }
        for kind in MAKERS {
            for object in kube.objects_of(kind) {
                let spec = &object["spec"];
                let template = match kind {
                    "CronJob" => &spec["jobTemplate"]["spec"]["template"],
                    _ => &spec["template"],
                };
                let mut pod = template.clone();
                pod["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                for pool in &cluster.node_pools {
                    if could_run(pool, &pod["spec"]) {
                        let workload = format!("{kind}/{name}");
                        uses.extend(of_pod(state, cluster, kube, pool, &workload, &pod));
                    }
                }
            }
        }
    }
    uses
}

fn of_pod(
    state: &State,
    cluster: &Cluster,
    kube: &KubeCluster,
    pool: &NodePool,
    workload: &str,
    pod: &Value,
) -> Vec<Use> {
    let as_state = pod_state(pod);
    let namespace = as_state.namespace.clone();
    let gke = pool.workload_metadata == Some(MetadataMode::GkeMetadata);
    let token = oracle::token_on(state, cluster, pool, gke, &as_state);
    let roles = oracle::roles_of(state, cluster, &as_state, &token);
    let config_map = |name: &str| {
        let maps = kube.objects_of("ConfigMap");
        let map = maps.iter().find(|m| {
            m["metadata"]["name"] == name && m["metadata"]["namespace"] == namespace.as_str()
        });
        map.map(|m| m["data"].clone())
    };
    let spec = &pod["spec"];
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists
        .into_iter()
        .filter_map(|list| spec[list].as_array())
        .flatten()
        .map(|container| Use {
            cluster: oracle::cluster_name(cluster),
            pool: pool.name.clone(),
            namespace: namespace.clone(),
            workload: workload.to_owned(),
            container: container["name"].as_str().unwrap_or_default().to_owned(),
            source: container::source(spec, container, &config_map),
            token: token.clone(),
            roles: roles.clone(),
        })
        .collect()
}

/// Whether the scheduler would put such a pod onto a node of this pool, as it is now.
fn could_run(pool: &NodePool, pod: &Value) -> bool {
    let node = pool.node("", 0);
    let label = |key: &str| match key {
        "cloud.google.com/gke-nodepool" => Some(pool.name.clone()),
        "kubernetes.io/os" => Some("linux".to_owned()),
        "iam.gke.io/gke-metadata-server-enabled" => node.metadata_server.then(|| "true".to_owned()),
        key => pool.labels.get(key).cloned(),
    };
    let taints = node.extra.get("spec").map(|spec| spec["taints"].clone());
    is_selected(&label, pod) && is_tolerated(&taints.unwrap_or_default(), pod)
}
