//! The Kubernetes objects of one cluster.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use wi_client::http::{ApiError, ErrorKind, Http};
use wi_client::kubernetes::Kube;
use wi_core::desired::{Desired, GKE_METADATA, GSA_ANNOTATION};
use wi_core::live::{Objects, Seen, Workloads};
use wi_core::names::Email;
use wi_core::spec::model::Access;
use wi_core::wire::container::{Cluster, NodePool};
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::words::safe;

type ServiceAccounts = BTreeMap<(String, String), ObjectMeta>;

/// Reads one cluster's objects; answers with how the API was reached, too.
pub(super) async fn read(
    http: &Http,
    desired: &Desired,
    name: &str,
    cluster: &Seen<Cluster>,
) -> (Seen<Objects>, Option<String>) {
    let Seen::Found(cluster) = cluster else {
        let why = "the cluster itself could not be read".to_owned();
        return (Seen::Unknown(why), None);
    };
    if matches!(
        cluster.status.as_str(),
        "PROVISIONING" | "STOPPING" | "ERROR"
    ) {
        let why = format!("the cluster is {}", cluster.status);
        return (Seen::Unknown(why), None);
    }
    let kube = match Kube::connect(http, cluster, &desired.clusters[name].access) {
        Ok(kube) => kube,
        Err(e) => return (Seen::Unknown(e), None),
    };
    let reached_by = kube.reached_by().to_owned();
    let nodes = match desired.clusters[name].access {
        Access::Kubeconfig { .. } => Some(kube.list_nodes().await),
        _ => None,
    };
    // Who may not list nodes is told so where a node pool is to be moved.
    if let Some(Ok(nodes)) = &nodes
        && let Some(why) = of_another(cluster, nodes)
    {
        return (Seen::Unknown(format!("the {reached_by} {why}")), None);
    }
    match read_with(&kube, desired, name, cluster, nodes).await {
        Ok(objects) => (Seen::Found(objects), Some(reached_by)),
        Err(e) => (Seen::Unknown(unreached(&kube, &e)), None),
    }
}

fn unreached(kube: &Kube, e: &ApiError) -> String {
    let reached_by = kube.reached_by();
    let way_out = if e.kind != ErrorKind::Unanswered {
        ""
    } else if kube.is_private() {
        ". It is reached from the cluster's network only: run wi there, or set the cluster's `access`, or enable its DNS endpoint"
    } else {
        ". If it is reached in another way, set the cluster's `access` (docs/spec.md)"
    };
    format!("by the {reached_by}: {}{way_out}", e.for_user())
}

/// `nodes`, where they have been listed already.
async fn read_with(
    kube: &Kube,
    desired: &Desired,
    name: &str,
    cluster: &Cluster,
    nodes: Option<Result<Vec<ObjectMeta>, ApiError>>,
) -> Result<Objects, ApiError> {
    let nodes = async || match &nodes {
        Some(listed) => listed.clone(),
        None => kube.list_nodes().await,
    };
    let selected = &desired.clusters[name].node_pools;
    let on_node_identity = |p: &NodePool| {
        !cluster.autopilot.enabled
            && !p.autopilot_config.enabled
            && p.config.workload_metadata_config.mode != GKE_METADATA
    };
    let pools_move = cluster
        .node_pools
        .iter()
        .any(|p| on_node_identity(p) && selected.select(&p.name));
    let service_accounts = async {
        let list = kube.list_service_accounts().await?;
        Ok(list
            .into_iter()
            .map(|m| ((m.namespace.clone(), m.name.clone()), m))
            .collect::<ServiceAccounts>())
    };
    let all_workloads = async {
        if !pools_move {
            return None;
        }
        let (pods, nodes, budgets) = tokio::join!(kube.list_pods(), nodes(), kube.list_budgets());
        let (budgets, budgets_unseen) = match budgets {
            Ok(budgets) => (budgets, None),
            Err(e) => (Vec::new(), Some(e.for_user())),
        };
        Some(match (pods, nodes) {
            (Ok(pods), Ok(nodes)) => Ok(Workloads {
                pods,
                pool_of_node: pool_of_node(nodes),
                budgets,
                budgets_unseen,
            }),
            (Err(e), _) | (_, Err(e)) => Err(e.for_user()),
        })
    };
    // One call first, so that the others find its connection: a handshake costs more than they do.
    let namespaces = kube.list_namespaces().await?;
    let (service_accounts, mut workloads) = tokio::join!(service_accounts, all_workloads);
    let service_accounts = service_accounts?;
    if workloads.is_none() {
        let changing = namespaces_with_new_identities(desired, name, &service_accounts);
        if !changing.is_empty() {
            let nodes = async {
                if cluster.node_pools.iter().any(on_node_identity) {
                    nodes().await
                } else {
                    Ok(Vec::new())
                }
            };
            let read = workloads_of(kube, &changing, nodes).await;
            workloads = Some(read.map_err(|e| e.for_user()));
        }
    }
    Ok(Objects {
        namespaces: namespaces
            .into_iter()
            .map(|m| (m.name.clone(), m))
            .collect(),
        service_accounts,
        workloads,
    })
}

/// Why these are the nodes of another cluster. GKE, who names nodes, says what for.
fn of_another(cluster: &Cluster, nodes: &[ObjectMeta]) -> Option<String> {
    let prefixes = || cluster.node_pools.iter().flat_map(NodePool::node_prefixes);
    let ours = |node: &ObjectMeta| prefixes().any(|prefix| node.name.starts_with(prefix));
    let prefix = prefixes().next()?;
    let node = nodes.first()?;
    (!nodes.iter().any(ours)).then(|| {
        format!(
            "is another cluster's: its nodes have names such as {}, and those of {} begin with {prefix}. Correct the cluster's `access`",
            safe(&node.name), safe(&cluster.name)
        )
    })
}

/// Namespaces in which an account that is there is to get another identity.
fn namespaces_with_new_identities(
    desired: &Desired,
    cluster: &str,
    there: &ServiceAccounts,
) -> BTreeSet<String> {
    desired
        .ksas_of(cluster)
        .filter(|(_, wanted)| !wanted.existing)
        .filter(|(key, wanted)| {
            there
                .get(&(key.namespace.to_string(), key.name.to_string()))
                .is_some_and(|meta| {
                    meta.annotations.get(GSA_ANNOTATION).map(String::as_str)
                        != wanted.account.as_ref().map(Email::as_str)
                })
        })
        .map(|(key, _)| key.namespace.to_string())
        .collect()
}

async fn workloads_of(
    kube: &Kube,
    namespaces: &BTreeSet<String>,
    nodes: impl Future<Output = Result<Vec<ObjectMeta>, ApiError>>,
) -> Result<Workloads, ApiError> {
    let pods = try_join_all(namespaces.iter().map(|ns| kube.list_pods_of(ns)));
    let (pods, nodes) = tokio::try_join!(pods, nodes)?;
    Ok(Workloads {
        pods: pods.into_iter().flatten().collect(),
        pool_of_node: pool_of_node(nodes),
        ..Workloads::default()
    })
}

fn pool_of_node(nodes: Vec<ObjectMeta>) -> BTreeMap<String, String> {
    nodes
        .into_iter()
        .filter_map(|n| {
            let pool = n.labels.get("cloud.google.com/gke-nodepool")?.clone();
            Some((n.name, pool))
        })
        .collect()
}
