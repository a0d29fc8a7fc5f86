//! Who leans on the node's identity: a node pool is not moved to the GKE metadata server while
//! workloads on it would silently lose the node's service account.

use std::collections::{BTreeMap, BTreeSet};

use super::{Options, Plan, What};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::kube::pods::Pod;
use crate::live::{Live, Objects, Seen, Workloads};

/// A node pool that is not moved.
#[derive(Debug, Clone)]
pub struct HeldBack {
    /// The node pool's address.
    pub address: String,
    /// The node's service account, which they would lose.
    pub node_account: String,
    /// Those who would lose it; empty where the pods could not be read.
    pub workloads: BTreeSet<Workload>,
    /// Why, where it is not for these workloads.
    pub why: Option<String>,
}

/// What makes pods: named once, however many pods it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// The controller's kind, or `Pod`.
    pub kind: String,
    /// The controller's name.
    pub name: String,
    /// The Kubernetes service account that its pods run as.
    pub service_account: String,
}

/// Namespaces whose pods GKE itself runs and fits to the metadata server.
fn is_gke_own(namespace: &str) -> bool {
    matches!(
        namespace,
        "kube-system" | "kube-node-lease" | "kube-public" | "gmp-system"
    ) || namespace.starts_with("gke-")
}

fn workload(pod: &Pod) -> Workload {
    let controller = pod.metadata.owner_references.iter().find(|o| o.controller);
    let (kind, name) = match controller {
        // A ReplicaSet's name is its Deployment's and a hash of the pod template.
        Some(owner) if owner.kind == "ReplicaSet" => match owner.name.rsplit_once('-') {
            Some((deployment, _hash)) => ("Deployment".to_owned(), deployment.to_owned()),
            None => (owner.kind.clone(), owner.name.clone()),
        },
        Some(owner) => (owner.kind.clone(), owner.name.clone()),
        None => ("Pod".to_owned(), pod.metadata.name.clone()),
    };
    Workload {
        namespace: pod.metadata.namespace.clone(),
        kind,
        name,
        service_account: pod.service_account().to_owned(),
    }
}

/// Takes those node pools out of the plan whose workloads would lose the node's identity.
pub(super) fn hold_back(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let moving: Vec<(String, String, String)> = plan
        .changes
        .iter()
        .filter_map(|(address, change)| match &change.what {
            What::NodePool {
                cluster, node_pool, ..
            } => Some((address.clone(), cluster.clone(), node_pool.clone())),
            _ => None,
        })
        .collect();
    for (address, cluster, node_pool) in moving {
        let node_account = node_account(live, &cluster, &node_pool);
        let held = match live.kubernetes.get(&cluster).map(workloads_of) {
            Some(Ok((objects, workloads))) => {
                let losing = losing(desired, &cluster, &node_pool, objects, workloads);
                if losing.is_empty() {
                    continue;
                }
                HeldBack {
                    address: address.clone(),
                    node_account,
                    workloads: losing,
                    why: None,
                }
            }
            Some(Err(why)) => {
                plan.unseen(format!("the pods on {address}"), &why);
                HeldBack {
                    address: address.clone(),
                    node_account,
                    workloads: BTreeSet::new(),
                    why: Some(format!("its pods could not be read: {why}")),
                }
            }
            None => continue,
        };
        if options.accept_loss {
            plan.warnings.push(format!(
                "{address} moves although workloads on it lose the identity of {}: {}",
                held.node_account,
                held.describe()
            ));
        } else {
            plan.changes.remove(&address);
            plan.held_back.push(held);
        }
    }
}

impl HeldBack {
    /// The workloads in one line, or why they are not known.
    pub fn describe(&self) -> String {
        match &self.why {
            Some(why) => why.clone(),
            None => self
                .workloads
                .iter()
                .map(|w| format!("{} {}/{}", w.kind, w.namespace, w.name))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

fn node_account(live: &Live, cluster: &str, node_pool: &str) -> String {
    let account = live
        .clusters
        .get(cluster)
        .and_then(Seen::found)
        .and_then(|c| c.node_pools.iter().find(|p| p.name == node_pool))
        .map_or("", |p| p.config.service_account.as_str());
    match account {
        "" | "default" => "the Compute Engine default service account".to_owned(),
        email => email.to_owned(),
    }
}

fn workloads_of(seen: &Seen<Objects>) -> Result<(&Objects, &Workloads), String> {
    match seen {
        Seen::Found(objects) => match &objects.workloads {
            Some(Ok(workloads)) => Ok((objects, workloads)),
            Some(Err(why)) => Err(why.clone()),
            None => Err("they were not listed".to_owned()),
        },
        Seen::Unknown(why) => Err(why.clone()),
        Seen::Absent => Err("the cluster does not exist".to_owned()),
    }
}

fn losing(
    desired: &Desired,
    cluster: &str,
    node_pool: &str,
    objects: &Objects,
    workloads: &Workloads,
) -> BTreeSet<Workload> {
    // Who has an identity of its own once the plan is carried out.
    let declared: BTreeMap<(&str, &str), bool> = desired
        .ksas
        .iter()
        .filter(|(key, _)| key.cluster == cluster)
        .map(|(key, ksa)| {
            let has_identity = ksa.account.is_some() || ksa.has_direct_grants;
            ((key.namespace.as_str(), key.name.as_str()), has_identity)
        })
        .collect();
    workloads
        .pods
        .iter()
        .filter(|pod| {
            workloads
                .pool_of_node
                .get(&pod.spec.node_name)
                .is_some_and(|p| p == node_pool)
                && !pod.spec.host_network
                && !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
                && !is_gke_own(&pod.metadata.namespace)
        })
        .filter(|pod| {
            let (namespace, name) = (pod.metadata.namespace.as_str(), pod.service_account());
            match declared.get(&(namespace, name)) {
                Some(has_identity) => !has_identity,
                None => !objects
                    .service_accounts
                    .get(&(namespace.to_owned(), name.to_owned()))
                    .is_some_and(|m| m.annotations.contains_key(GSA_ANNOTATION)),
            }
        })
        .map(workload)
        .collect()
}
