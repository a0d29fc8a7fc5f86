//! What the metadata address gives: node, node pool and cluster.

use super::{Fix, Link, Rung, Situation, State, WorkloadObject};
use crate::access::facts::{Look, look};
use crate::address::Address;
use crate::live::Seen;
use crate::names::Email;
use crate::wire::container::{Cluster, GKE_METADATA, NodePool};

/// The label of nodes that run the GKE metadata server.
const NODE_LABEL: &str = "iam.gke.io/gke-metadata-server-enabled";
/// The label by which GKE says which node pool a node is of.
const POOL_LABEL: &str = "cloud.google.com/gke-nodepool";

/// What the metadata address gives, as far as pod, node and cluster decide.
#[derive(Debug)]
pub(super) enum Server {
    /// GKE's own: the Kubernetes service account decides.
    Gke,
    /// The node's service account, of this pool where it is known.
    Node(Option<String>),
    /// That could not be told.
    Unknown,
}

/// 6, 8 and 9: what answers at the metadata address.
pub(super) fn server_links(
    s: &Situation<'_>,
    object: Option<&WorkloadObject>,
    links: &mut Vec<Link>,
) -> Server {
    let cluster = match &s.read.cluster {
        Seen::Found(cluster) => cluster,
        Seen::Absent => {
            let what = format!("there is no cluster {}", s.read.path);
            links.push(Link::new(Rung::ClusterPool, State::Broken, what));
            return Server::Unknown;
        }
        Seen::Unknown(why) => {
            links.push(Link::unseen(Rung::ClusterPool, "the cluster", why));
            return Server::Unknown;
        }
    };
    let node = s.read.workload.as_ref().and_then(|w| w.node.as_ref());
    let labels = node.and_then(|n| Some(&n.found()?.labels));
    let pool = labels.and_then(|l| l.get(POOL_LABEL)).cloned();
    if let Some(object) = object
        && object.spec.host_network
    {
        links.push(
            Link::new(
                Rung::HostNetwork,
                State::Broken,
                "it is on the host's network: it gets the node's service account",
            )
            .fix(Fix::Say(
                "take hostNetwork out of the workload's manifest, or give the node pool's account the roles"
                    .to_owned(),
            )),
        );
        return Server::Node(pool);
    }
    if object.is_some() {
        links.push(Link::new(
            Rung::HostNetwork,
            State::Holds,
            "it is not on the host's network",
        ));
    }
    if cluster.autopilot.enabled {
        let title = "Autopilot: every node has the GKE metadata server";
        links.push(Link::new(Rung::NodePool, State::Holds, title));
        return Server::Gke;
    }
    match node {
        Some(Seen::Found(node)) => of_node(s, cluster, pool, node.labels.get(NODE_LABEL), links),
        Some(Seen::Absent) => {
            links.push(Link::new(
                Rung::Node,
                State::Unseen,
                "its node is gone: the pod is about to be made elsewhere",
            ));
            Server::Unknown
        }
        Some(Seen::Unknown(why)) => {
            links.push(Link::unseen(Rung::Node, "its node", why));
            pools_link(s, cluster, links);
            Server::Unknown
        }
        None => pools_link(s, cluster, links),
    }
}

pub(super) fn is_gke(pool: &NodePool) -> bool {
    pool.autopilot_config.enabled || pool.config.workload_metadata_config.mode == GKE_METADATA
}

pub(super) fn pool_fix(s: &Situation<'_>, pool: &str) -> Fix {
    let declared = s
        .desired
        .zip(s.cluster_name)
        .and_then(|(desired, name)| Some((desired.clusters.get(name)?, name)))
        .filter(|(cluster, _)| cluster.node_pools.select(pool));
    match declared {
        Some((_, name)) => Fix::Apply(vec![Address::node_pool(name, pool)]),
        None => Fix::Run(format!(
            "gcloud container node-pools update {pool} --cluster={} --location={} --project={} --workload-metadata=GKE_METADATA",
            s.read.path.name, s.read.path.location, s.read.path.project
        )),
    }
}

/// Of the node that a pod is on.
pub(super) fn of_node(
    s: &Situation<'_>,
    cluster: &Cluster,
    pool: Option<String>,
    label: Option<&String>,
    links: &mut Vec<Link>,
) -> Server {
    let name = pool.clone().unwrap_or_default();
    let declared = cluster.node_pools.iter().find(|p| p.name == name);
    let has_server = label.is_some_and(|l| l == "true");
    let mode = declared.is_none_or(is_gke);
    match (has_server, mode) {
        (true, _) => {
            links.push(Link::new(
                Rung::Node,
                State::Holds,
                format!("its node, of pool {name}, has the GKE metadata server"),
            ));
            Server::Gke
        }
        (false, true) => {
            links.push(
                Link::new(
                    Rung::Node,
                    State::Broken,
                    format!("its node was made before pool {name} had GKE_METADATA: it has not the GKE metadata server, and gives the node's service account"),
                )
                .fix(Fix::Say("wait until GKE has made the pool's nodes anew, or drain this one".to_owned())),
            );
            Server::Node(pool)
        }
        (false, false) => {
            links.push(
                Link::new(
                    Rung::NodePool,
                    State::Broken,
                    format!("pool {name} is not on GKE_METADATA: its pods get the node's service account"),
                )
                .fix(pool_fix(s, &name)),
            );
            Server::Node(pool)
        }
    }
}

/// Of all node pools, where no node is known.
pub(super) fn pools_link(s: &Situation<'_>, cluster: &Cluster, links: &mut Vec<Link>) -> Server {
    let others: Vec<&str> = cluster
        .node_pools
        .iter()
        .filter(|p| !is_gke(p))
        .map(|p| p.name.as_str())
        .collect();
    let all = !others.is_empty() && others.len() == cluster.node_pools.len();
    let list = others.join(", ");
    let (state, title, server) = if others.is_empty() {
        let title = "every node pool is on GKE_METADATA".to_owned();
        (State::Holds, title, Server::Gke)
    } else if all {
        let title = format!(
            "no node pool ({list}) is on GKE_METADATA: pods get the node's service account"
        );
        (
            State::Broken,
            title,
            Server::Node(Some(others[0].to_owned())),
        )
    } else {
        let title =
            format!("pods on {list}, which is not on GKE_METADATA, get the node's service account");
        (State::Doubtful, title, Server::Gke)
    };
    let mut link = Link::new(Rung::NodePool, state, title);
    if let Some(first) = others.first() {
        link.fix = Some(pool_fix(s, first));
    }
    links.push(link);
    server
}

/// 10 and 11.
pub(super) fn cluster_links(s: &Situation<'_>, links: &mut Vec<Link>) {
    let Seen::Found(cluster) = &s.read.cluster else {
        return;
    };
    let wanted = s.read.path.project.workload_pool();
    let has = cluster.workload_identity_config.workload_pool.as_str();
    let declared = s.cluster_name.filter(|_| s.desired.is_some());
    if has == wanted {
        let title = format!("the cluster has pool {has}");
        links.push(Link::new(Rung::ClusterPool, State::Holds, title));
    } else {
        let title = match has {
            "" => "Workload Identity is off in the cluster: it has no workload pool".to_owned(),
            other => format!("the cluster's pool is {other}, not {wanted}"),
        };
        let fix = match declared {
            Some(name) => Fix::Apply(vec![Address::cluster_pool(name)]),
            None => Fix::Run(format!(
                "gcloud container clusters update {} --location={} --project={} --workload-pool={wanted}",
                s.read.path.name, s.read.path.location, s.read.path.project
            )),
        };
        links.push(Link::new(Rung::ClusterPool, State::Broken, title).fix(fix));
    }
    match &s.around.pools.get(&s.read.path.project) {
        Some(Seen::Found(state)) if state == "ACTIVE" || state.is_empty() => links.push(Link::new(
            Rung::WorkloadPool,
            State::Holds,
            format!("pool {wanted} is active"),
        )),
        Some(Seen::Found(state)) => links.push(Link::new(
            Rung::WorkloadPool,
            State::Broken,
            format!("pool {wanted} is {state}"),
        )),
        Some(Seen::Absent) if has == wanted => links.push(Link::new(
            Rung::WorkloadPool,
            State::Broken,
            format!("IAM does not have pool {wanted}"),
        )),
        Some(Seen::Absent) | None => {}
        Some(Seen::Unknown(why)) => {
            links.push(Link::unseen(
                Rung::WorkloadPool,
                &format!("pool {wanted}"),
                why,
            ));
        }
    }
}

/// The node pool whose identity is given.
pub(super) fn pool_of<'a>(s: &'a Situation<'_>, server: &Server) -> Option<&'a NodePool> {
    let Server::Node(Some(name)) = server else {
        return None;
    };
    s.read
        .cluster
        .found()?
        .node_pools
        .iter()
        .find(|p| p.name == *name)
}

/// The service account of a node pool.
pub(super) fn node_account(s: &Situation<'_>, pool: Option<&str>) -> Option<Email> {
    let cluster = s.read.cluster.found()?;
    let pool = cluster
        .node_pools
        .iter()
        .find(|p| Some(p.name.as_str()) == pool)?;
    match pool.config.service_account.as_str() {
        "" | "default" => match look(&s.facts.numbers, &s.read.path.project) {
            Look::Found(number) => {
                Email::parse(&format!("{number}-compute@developer.gserviceaccount.com")).ok()
            }
            _ => None,
        },
        email => Email::parse(email).ok(),
    }
}
