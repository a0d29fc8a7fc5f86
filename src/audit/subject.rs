//! Whose reach is asked for, in a world.

use futures::future::join_all;
use wi_audit::World;
use wi_audit::reach::Node;
use wi_client::http::{Http, seen};
use wi_client::kubernetes::Kube;
use wi_core::access::{Subject, Whose};
use wi_core::live::{Seen, to_connect};
use wi_core::names::Email;
use wi_core::reason::Reason;
use wi_core::wire::workloads::WorkloadKind;
use wi_core::words::safe;

/// Whom is meant in a world, and what could not be read that may hide more; in several clusters: all of them. A workload's
/// template is read.
///
/// # Errors
/// Where nobody is, with what there is.
pub async fn nodes(
    http: &Http,
    world: &World,
    whose: &Whose,
) -> Result<(Vec<Node>, Vec<String>), String> {
    if let Whose::Subject(Subject::Workload {
        kind,
        namespace,
        name,
    }) = whose
    {
        return workloads(http, world, kind, namespace, name).await;
    }
    known(world, whose).map(|nodes| (nodes, Vec::new()))
}

/// Whom is meant by what was read already.
fn known(world: &World, whose: &Whose) -> Result<Vec<Node>, String> {
    let Some(live) = world.live() else {
        return Err("nothing was read".to_owned());
    };
    let cluster = |name: &str| match live.clusters.contains_key(name) {
        true => Ok(name.to_owned()),
        false => {
            let known: Vec<&str> = live.clusters.keys().map(String::as_str).collect();
            Err(format!(
                "there is no cluster `{}`: there are {}",
                safe(name),
                safe(&known.join(", "))
            ))
        }
    };
    match whose {
        Whose::Cluster(name) => Ok(vec![Node::Cluster(cluster(name)?)]),
        Whose::NodePool { cluster: on, pool } => node_pool(world, cluster(on)?, pool),
        Whose::Subject(Subject::Account(name)) => Ok(vec![Node::Account(account(world, name)?)]),
        Whose::Subject(Subject::Ksa {
            cluster: Some(on),
            namespace,
            name,
        }) => {
            let on = cluster(on)?;
            ksas(world, namespace, name, Some(&on))
        }
        Whose::Subject(Subject::Ksa {
            cluster: None,
            namespace,
            name,
        }) => ksas(world, namespace, name, None),
        Whose::Subject(Subject::Pod { namespace, name }) => pods(world, namespace, name),
        // Read by its template.
        Whose::Subject(Subject::Workload { .. }) => Ok(Vec::new()),
    }
}

fn node_pool(world: &World, cluster: String, pool: &str) -> Result<Vec<Node>, String> {
    let on = world.live().and_then(|l| l.clusters.get(&cluster));
    let pools = on.and_then(|c| c.gke.found()).map(|c| &c.node_pools);
    if let Some(pools) = pools
        && pools.iter().all(|p| p.name != pool)
    {
        let there: Vec<&str> = pools.iter().map(|p| p.name.as_str()).collect();
        return Err(format!(
            "cluster {} has no node pool `{}`: it has {}",
            safe(&cluster),
            safe(pool),
            safe(&there.join(", "))
        ));
    }
    Ok(vec![Node::NodePool {
        cluster,
        pool: pool.to_owned(),
    }])
}

fn account(world: &World, name: &str) -> Result<Email, String> {
    match world.desired.accounts.get(name) {
        Some(account) => Ok(account.email.clone()),
        None => Email::parse(name)
            .map_err(|_| format!("the spec has no account `{}`: write its email", safe(name))),
    }
}

fn ksas(
    world: &World,
    namespace: &str,
    name: &str,
    only: Option<&str>,
) -> Result<Vec<Node>, String> {
    let live = world.live().into_iter().flat_map(|l| &l.clusters);
    let live = live.filter(|(cluster, _)| only.is_none_or(|o| o == cluster.as_str()));
    let key = (namespace.to_owned(), name.to_owned());
    let mut unseen = Vec::new();
    let mut all = Vec::new();
    for (cluster, on) in live {
        let is_there = match &on.ksas {
            Seen::Found(ksas) => ksas.contains_key(&key),
            Seen::Absent => false,
            Seen::Unknown(why) => {
                unseen.push(format!("{cluster}: {why}"));
                false
            }
        };
        if is_there || world.desired.ksa(cluster, namespace, name).is_some() {
            all.push(Node::Ksa {
                cluster: cluster.clone(),
                namespace: key.0.clone(),
                name: key.1.clone(),
            });
        }
    }
    match all.is_empty() {
        false => Ok(all),
        true if unseen.is_empty() => Err(format!(
            "there is no Kubernetes service account {} in {}",
            safe(&format!("{namespace}/{name}")),
            only.map_or("any cluster".to_owned(), |c| format!("cluster {}", safe(c)))
        )),
        true => Err(format!(
            "whether there is a Kubernetes service account {} could not be read: {}",
            safe(&format!("{namespace}/{name}")),
            unseen.join("; ")
        )),
    }
}

fn pods(world: &World, namespace: &str, name: &str) -> Result<Vec<Node>, String> {
    let live = world.live().into_iter().flat_map(|l| &l.clusters);
    let mut all = Vec::new();
    let mut unseen = Vec::new();
    for (cluster, on) in live {
        match &on.pods {
            Seen::Found(pods) => {
                let mut named = pods.iter();
                let pod =
                    named.find(|p| p.metadata.namespace == namespace && p.metadata.name == name);
                all.extend(pod.map(|pod| Node::Ksa {
                    cluster: cluster.clone(),
                    namespace: namespace.to_owned(),
                    name: pod.service_account().to_owned(),
                }));
            }
            Seen::Absent => {}
            Seen::Unknown(why) if on.declared => unseen.push(format!("{cluster}: {why}")),
            Seen::Unknown(_) => {}
        }
    }
    match (all.is_empty(), unseen.is_empty()) {
        (false, _) => Ok(all),
        (true, true) => Err(format!(
            "there is no pod {}",
            safe(&format!("{namespace}/{name}"))
        )),
        (true, false) => Err(format!("pods could not be read: {}", unseen.join("; "))),
    }
}

/// As whom a workload's pods run, by its template.
async fn workloads(
    http: &Http,
    world: &World,
    kind: &'static WorkloadKind,
    namespace: &str,
    name: &str,
) -> Result<(Vec<Node>, Vec<String>), String> {
    let live = world.live().into_iter().flat_map(|l| &l.clusters);
    let read =
        live.filter_map(|(cluster, on)| Some((cluster, on, world.desired.clusters.get(cluster)?)));
    let read = read.map(async |(cluster, on, declared)| {
        let gke = match to_connect(declared, &on.gke) {
            Some(gke) => gke,
            None => return (cluster, unconnected(&on.gke)),
        };
        let kube = match Kube::connect(http, &gke, &declared.access) {
            Ok(kube) => kube,
            Err(why) => return (cluster, Seen::Unknown(Reason::from(why))),
        };
        let template = seen(kube.get_workload(kind, namespace, name).await);
        (
            cluster,
            template.map(|t| t.template(kind.kind).spec.service_account().to_owned()),
        )
    });
    let named = format!("{} {}", kind.kind, safe(&format!("{namespace}/{name}")));
    let mut all = Vec::new();
    let mut unseen = Vec::new();
    for (cluster, account) in join_all(read).await {
        match account {
            Seen::Found(name) => all.push(Node::Ksa {
                cluster: cluster.clone(),
                namespace: namespace.to_owned(),
                name,
            }),
            Seen::Absent => {}
            Seen::Unknown(why) => unseen.push(format!("{named} in cluster {cluster}: {why}")),
        }
    }
    match (all.is_empty(), unseen.is_empty()) {
        (false, _) => Ok((all, unseen)),
        (true, false) => Err(format!("could not be read: {}", unseen.join("; "))),
        (true, true) => Err(format!("there is no {named} in any cluster of the spec")),
    }
}

/// What is in a cluster that cannot be connected to.
fn unconnected(gke: &Seen<wi_core::wire::container::Cluster>) -> Seen<String> {
    match gke {
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why.clone()),
        Seen::Found(_) => Seen::Unknown("it was not read".into()),
    }
}
