//! Whether what a kubeconfig leads to is the cluster that the spec means: all that is written there would be somebody
//! else's.

use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::names::ClusterPath;
use wi_core::wire::container::{Cluster, NodePool};
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::words::{safe, shell_word};

/// The annotation of the namespace `kube-system` by which whoever runs the cluster says which one it is:
/// `projects/P/locations/L/clusters/C`.
const CLUSTER: &str = "wi/cluster";

/// What was listed to find out, and need not be again.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub namespaces: Option<Result<Vec<ObjectMeta>, ApiError>>,
    pub nodes: Option<Result<Vec<ObjectMeta>, ApiError>>,
}

/// Why nothing is read there.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// It does not answer as it should.
    Unread(ApiError),
    /// It is another cluster, or may be one. In words, about what it is reached by.
    Other(String),
}

/// Asks the server where its certificate does not say it. Nodes bear names that GKE gives; where they cannot be listed,
/// whoever runs the cluster says so in it.
pub(crate) async fn check(
    kube: &Kube,
    cluster: &Cluster,
    path: &ClusterPath,
) -> Result<Listed, Doubt> {
    // Where GKE cannot be asked there is nothing to compare with: it is as the spec says.
    if kube.is_proven() || cluster.name.is_empty() {
        return Ok(Listed::default());
    }
    let (namespaces, nodes) = tokio::join!(kube.list_namespaces(), kube.list_nodes());
    let namespaces = match namespaces {
        Err(e) if e.code != 403 => return Err(Doubt::Unread(e)),
        namespaces => namespaces,
    };
    let all = namespaces.as_deref().unwrap_or_default();
    let said = all.iter().find(|n| n.name == "kube-system");
    let said = said.and_then(|n| n.annotations.get(CLUSTER));
    let proven = match said {
        Some(said) if *said == path.to_string() => Ok(()),
        Some(said) => Err(format!(
            "is another cluster's: its namespace kube-system has the annotation {CLUSTER} `{}`, and {path} is meant. Correct the cluster's `access`",
            safe(said)
        )),
        None => by_nodes(cluster, path, &nodes),
    };
    proven.map_err(Doubt::Other)?;
    Ok(Listed {
        namespaces: Some(namespaces),
        nodes: Some(nodes),
    })
}

/// Whether these are the cluster's nodes. GKE, who names nodes, says what for; the error says why not.
fn by_nodes(
    cluster: &Cluster,
    path: &ClusterPath,
    nodes: &Result<Vec<ObjectMeta>, ApiError>,
) -> Result<(), String> {
    let prefixes = || cluster.node_pools.iter().flat_map(NodePool::node_prefixes);
    let ours = |node: &ObjectMeta| prefixes().any(|prefix| node.name.starts_with(prefix));
    let why = match nodes {
        Ok(nodes) if nodes.iter().any(ours) => return Ok(()),
        Ok(nodes) => match (nodes.first(), prefixes().next()) {
            (Some(node), Some(prefix)) => {
                return Err(format!(
                    "is another cluster's: its nodes have names such as {}, and those of {} begin with {prefix}. Correct the cluster's `access`",
                    safe(&node.name),
                    safe(&cluster.name)
                ));
            }
            (None, _) => "and it has no nodes to know it by".to_owned(),
            (_, None) => "and GKE names no nodes of it".to_owned(),
        },
        Err(e) => format!("and its nodes cannot be listed ({})", e.message),
    };
    let word = |text: &str| shell_word(&safe(text));
    Err(format!(
        "may be another cluster's: its certificate is not from the CA that GKE has for {path}, {why}. Let its user list nodes, or take the context of `gcloud container clusters get-credentials {} --location={} --project={}`, or say in the cluster which one it is: kubectl annotate namespace kube-system {CLUSTER}={path}",
        word(&path.name),
        path.location,
        path.project,
    ))
}
