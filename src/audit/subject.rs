//! Whose reach is asked for, as users write it.

use wi_audit::World;
use wi_audit::reach::Node;
use wi_core::live::Seen;
use wi_core::names::Email;
use wi_core::words::safe;

/// Whom a text means in a world; in several clusters: all of them.
///
/// # Errors
/// Where it means nobody, with what there is.
pub fn nodes(world: &World, text: &str) -> Result<Vec<Node>, String> {
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
    let (kind, rest) = match text.split_once(['.', '/']) {
        Some((kind, rest)) if ["cluster", "nodepool", "gsa", "pod", "ksa"].contains(&kind) => {
            (kind, rest)
        }
        _ => ("", text),
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match (kind, parts.as_slice()) {
        ("cluster", _) => Ok(vec![Node::Cluster(cluster(rest)?)]),
        ("nodepool", [on, pool]) => Ok(vec![Node::NodePool {
            cluster: cluster(on)?,
            pool: (*pool).to_owned(),
        }]),
        ("gsa", _) => Ok(vec![Node::Account(account(world, rest)?)]),
        ("", [email]) if email.contains('@') => {
            Ok(vec![Node::Account(Email::parse(email).map_err(|e| e.0)?)])
        }
        ("pod", [namespace, name]) => pods(world, namespace, name),
        ("" | "ksa", [on, namespace, name]) => Ok(vec![Node::Ksa {
            cluster: cluster(on)?,
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        }]),
        ("", [namespace, name]) => ksas(world, namespace, name),
        _ => Err(format!(
            "`{}` is nobody: write NAMESPACE/SERVICEACCOUNT, CLUSTER/NAMESPACE/SERVICEACCOUNT, pod/NAMESPACE/NAME, gsa/NAME, an email, nodepool/CLUSTER/POOL or cluster/NAME",
            safe(text)
        )),
    }
}

fn account(world: &World, name: &str) -> Result<Email, String> {
    match world.desired.accounts.get(name) {
        Some(account) => Ok(account.email.clone()),
        None => Email::parse(name)
            .map_err(|_| format!("the spec has no account `{}`: write its email", safe(name))),
    }
}

fn ksas(world: &World, namespace: &str, name: &str) -> Result<Vec<Node>, String> {
    let live = world.live().into_iter().flat_map(|l| &l.clusters);
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
            "there is no Kubernetes service account {} in any cluster",
            safe(&format!("{namespace}/{name}"))
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
