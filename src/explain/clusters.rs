//! The clusters that a question is about, and what is read of each.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::container;
use wi_client::http::{Http, seen};
use wi_client::kubernetes::Kube;
use wi_core::access::ladder::{InCluster, NetworkPolicies, Workload, WorkloadObject};
use wi_core::access::{Subject, config_maps_asked};
use wi_core::desired::Desired;
use wi_core::live::{ConfigMaps, Seen};
use wi_core::names::ClusterPath;
use wi_core::reason::Reason;
use wi_core::spec::model::Access;
use wi_core::wire::container::Cluster;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::pods::{Pod, PodSpec};
use wi_core::wire::workloads::WorkloadKind;

use super::{ExplainError, Query};
use crate::engine::read::Lists;

/// A cluster to look at.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The spec's name.
    pub name: Option<String>,
    pub path: ClusterPath,
    access: Access,
    /// Where it was listed already.
    listed: Option<Seen<Cluster>>,
}

impl Target {
    /// As users know it.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!(
                "{}/{}/{}",
                self.path.project, self.path.location, self.path.name
            ),
        }
    }
}

/// The clusters that the query means.
pub(super) async fn targets(
    http: &Http,
    desired: Option<&Desired>,
    lists: Lists,
    query: &Query,
) -> Result<Vec<Target>, ExplainError> {
    let named = match &query.subject {
        Subject::Ksa { cluster, .. } => cluster.as_ref().or(query.cluster.as_ref()),
        _ => query.cluster.as_ref(),
    };
    let Some(desired) = desired else {
        return of_project(http, query, named).await;
    };
    let all: Vec<&String> = desired.clusters.keys().collect();
    if let Some(name) = named
        && !desired.clusters.contains_key(name)
    {
        return Err(ExplainError::NotInSpec {
            name: name.clone(),
            there: all.into_iter().cloned().collect(),
        });
    }
    let declares = |cluster: &str| match &query.subject {
        Subject::Ksa {
            namespace, name, ..
        } => desired.ksa(cluster, namespace, name).is_some(),
        Subject::Pod { namespace, .. } | Subject::Workload { namespace, .. } => desired
            .ksas_of(cluster)
            .any(|(key, _)| key.namespace.as_str() == namespace),
        Subject::Account(_) => false,
    };
    let any = all.iter().any(|c| declares(c));
    let chosen = all.into_iter().filter(|c| match named {
        Some(name) => name == *c,
        None => !any || declares(c),
    });
    let targets = chosen.map(|name| {
        let cluster = &desired.clusters[name];
        let list = lists.get(&cluster.path.project);
        Target {
            name: Some(name.clone()),
            path: cluster.path.clone(),
            access: cluster.access.clone(),
            listed: list.and_then(|list| listed(list.as_ref().ok()?, &cluster.path)),
        }
    });
    Ok(targets.collect())
}

fn listed(
    list: &wi_core::wire::container::ClusterList,
    path: &ClusterPath,
) -> Option<Seen<Cluster>> {
    let mut all = list.clusters.iter();
    let found = all.find(|c| c.name == path.name && c.location == path.location);
    found.map(|c| Seen::Found(c.clone()))
}

/// Without a spec: the clusters of a project.
async fn of_project(
    http: &Http,
    query: &Query,
    named: Option<&String>,
) -> Result<Vec<Target>, ExplainError> {
    let Some(project) = &query.project else {
        return Err(ExplainError::NoSpec);
    };
    let list =
        container::list_clusters(http, project)
            .await
            .map_err(|e| ExplainError::Unlisted {
                project: project.clone(),
                why: e.reason(),
            })?;
    let is_meant = |c: &Cluster| match named {
        Some(name) => c.name == *name || format!("{}/{}", c.location, c.name) == *name,
        None => true,
    };
    let found: Vec<Target> = list
        .clusters
        .iter()
        .filter(|c| is_meant(c))
        .map(|c| Target {
            name: None,
            path: ClusterPath {
                project: project.clone(),
                location: c.location.clone(),
                name: c.name.clone(),
            },
            access: Access::default(),
            listed: Some(Seen::Found(c.clone())),
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    if !list.missing_zones.is_empty() {
        return Err(ExplainError::MissingZones(list.missing_zones));
    }
    Err(ExplainError::NoCluster {
        project: project.clone(),
        named: named.cloned(),
        there: list.clusters.into_iter().map(|c| c.name).collect(),
    })
}

/// What was read of one cluster.
#[derive(Debug)]
pub(super) struct Read {
    pub target: Target,
    pub there: InCluster,
}

impl Read {
    /// Whether what was asked for is in this cluster.
    pub fn has_subject(&self) -> bool {
        match &self.there.workload {
            Some(workload) => workload.object.found().is_some(),
            None => self.there.ksa.found().is_some(),
        }
    }

    pub fn is_unseen(&self) -> bool {
        match &self.there.workload {
            Some(workload) => matches!(workload.object, Seen::Unknown(_)),
            None => matches!(self.there.ksa, Seen::Unknown(_)),
        }
    }

    pub fn subject(&self) -> String {
        match &self.there.workload {
            Some(w) => format!("{} {}/{}", w.kind, self.there.namespace, w.name),
            None => format!("{}/{}", self.there.namespace, self.there.name),
        }
    }
}

/// Reads a cluster, the subject in it, and what its pod brings along.
pub(super) async fn read(http: &Http, target: Target, subject: &Subject) -> Read {
    let cluster = match &target.listed {
        Some(cluster) => cluster.clone(),
        None => seen(container::get_cluster(http, &target.path).await),
    };
    let (namespace, name) = match subject {
        Subject::Ksa {
            namespace, name, ..
        } => (namespace.clone(), name.clone()),
        Subject::Pod { namespace, .. } | Subject::Workload { namespace, .. } => {
            (namespace.clone(), String::new())
        }
        Subject::Account(_) => (String::new(), String::new()),
    };
    let mut read = InCluster {
        path: target.path.clone(),
        cluster,
        namespace,
        name,
        ksa: Seen::Unknown("".into()),
        other_ksas: Vec::new(),
        workload: None,
        config_maps: ConfigMaps::new(),
        network: None,
    };
    look_into(http, &target, subject, &mut read).await;
    Read {
        target,
        there: read,
    }
}

/// Reads the subject, and what its pod brings along, from a cluster whose own answer is known.
async fn look_into(http: &Http, target: &Target, subject: &Subject, read: &mut InCluster) {
    let kube = match &read.cluster {
        Seen::Found(cluster) => Kube::connect(http, cluster, &target.access).map_err(Reason::from),
        Seen::Absent => Err("the cluster does not exist".into()),
        Seen::Unknown(_) => Err("the cluster itself could not be read".into()),
    };
    let kube = match kube {
        Ok(kube) => kube,
        Err(why) => {
            read.ksa = Seen::Unknown(why.clone());
            read.workload = unread(subject, why);
            return;
        }
    };
    match subject {
        Subject::Ksa { .. } | Subject::Account(_) => {}
        Subject::Pod { namespace, name } => {
            read.workload = Some(pod(&kube, namespace, name).await);
        }
        Subject::Workload {
            kind,
            namespace,
            name,
        } => read.workload = Some(workload(&kube, kind, namespace, name).await),
    }
    let object = read.workload.as_ref().map(|w| w.object.clone());
    match &object {
        Some(Seen::Found(object)) => object.spec.service_account().clone_into(&mut read.name),
        Some(Seen::Absent) => {
            read.ksa = Seen::Unknown("there is no pod that says as whom it runs".into());
            return;
        }
        Some(Seen::Unknown(why)) => {
            read.ksa = Seen::Unknown(why.clone());
            return;
        }
        None => {}
    }
    let (ksa, more) = tokio::join!(
        kube.get_service_account(&read.namespace, &read.name),
        of_pod(
            &kube,
            &read.namespace,
            object.as_ref().and_then(Seen::found)
        ),
    );
    read.ksa = seen(ksa);
    if matches!(read.ksa, Seen::Absent) {
        let there = kube.list_service_accounts_of(&read.namespace).await;
        let names = there.unwrap_or_default().into_iter().map(|m| m.name);
        read.other_ksas = near(names, &read.name);
    }
    if let Some((config_maps, network, node)) = more {
        read.config_maps = config_maps;
        read.network = Some(network);
        if let Some(workload) = &mut read.workload {
            workload.node = node;
        }
    }
}

/// Of a subject whose cluster cannot be looked into.
fn unread(subject: &Subject, why: Reason) -> Option<Workload> {
    let (kind, name) = match subject {
        Subject::Pod { name, .. } => ("Pod", name),
        Subject::Workload { kind, name, .. } => (kind.kind, name),
        Subject::Ksa { .. } | Subject::Account(_) => return None,
    };
    Some(Workload {
        kind: kind.to_owned(),
        name: name.clone(),
        others: Vec::new(),
        object: Seen::Unknown(why),
        node: None,
    })
}

async fn pod(kube: &Kube, namespace: &str, name: &str) -> Workload {
    let read = seen(kube.get_pod(namespace, name).await);
    let others = match read {
        Seen::Absent => {
            let there = kube.list_pods_of(namespace).await.unwrap_or_default();
            near(there.into_iter().map(|p| p.metadata.name), name)
        }
        _ => Vec::new(),
    };
    Workload {
        kind: "Pod".to_owned(),
        name: name.to_owned(),
        others,
        object: read.map(of_one),
        node: None,
    }
}

fn of_one(pod: Pod) -> WorkloadObject {
    WorkloadObject {
        pod: Some(pod.metadata.name.clone()),
        metadata: pod.metadata,
        spec: pod.spec,
        status: Some(pod.status),
    }
}

/// A workload: one of its pods, or its template where it has none.
async fn workload(kube: &Kube, kind: &WorkloadKind, namespace: &str, name: &str) -> Workload {
    let (object, pods) = tokio::join!(
        kube.get_workload(kind, namespace, name),
        kube.list_pods_of(namespace)
    );
    let object = match (seen(object), pods) {
        (Seen::Found(object), Ok(pods)) => {
            let own = pods
                .into_iter()
                .filter(|p| !p.has_ended() && is_of(p, kind.kind, name));
            // One that runs says more than one that waits.
            let best = own.min_by_key(|p| (p.status.phase != "Running", p.metadata.name.clone()));
            Seen::Found(match best {
                Some(pod) => of_one(pod),
                None => {
                    let template = object.template(kind.kind).clone();
                    WorkloadObject {
                        metadata: template.metadata,
                        spec: template.spec,
                        status: None,
                        pod: None,
                    }
                }
            })
        }
        (Seen::Found(_), Err(e)) => Seen::Unknown(e.reason()),
        (Seen::Absent, _) => Seen::Absent,
        (Seen::Unknown(why), _) => Seen::Unknown(why),
    };
    Workload {
        kind: kind.kind.to_owned(),
        name: name.to_owned(),
        others: Vec::new(),
        object,
        node: None,
    }
}

/// Whether a workload made a pod: itself, or by its ReplicaSets or Jobs, which are named after it.
fn is_of(pod: &Pod, kind: &str, name: &str) -> bool {
    let Some(owner) = pod.metadata.controller() else {
        return false;
    };
    let between = match kind {
        "Deployment" => "ReplicaSet",
        "CronJob" => "Job",
        _ => "",
    };
    let below = || {
        let rest = owner
            .name
            .strip_prefix(name)
            .and_then(|r| r.strip_prefix('-'));
        owner.kind == between && rest.is_some_and(|r| !r.contains('-'))
    };
    (owner.kind == kind && owner.name == name) || below()
}

type OfPod = (ConfigMaps, Seen<NetworkPolicies>, Option<Seen<ObjectMeta>>);

/// What a pod's spec makes it necessary to read.
async fn of_pod(kube: &Kube, namespace: &str, object: Option<&WorkloadObject>) -> Option<OfPod> {
    let object = object?;
    let node = async {
        match object.spec.node_name.as_str() {
            "" => None,
            // On the host's network the node's own server answers, whichever it is; its pool says as whom.
            node => Some(seen(kube.get_node(node).await)),
        }
    };
    let (config_maps, network, node) = tokio::join!(
        config_maps(kube, namespace, &object.spec),
        kube.list_network_policies(namespace),
        node
    );
    Some((config_maps, seen(network), node))
}

async fn config_maps(kube: &Kube, namespace: &str, spec: &PodSpec) -> ConfigMaps {
    let asked: BTreeMap<String, BTreeSet<String>> = config_maps_asked(spec)
        .into_iter()
        .map(|(name, keys)| (name.to_owned(), keys))
        .collect();
    join_all(asked.into_iter().map(async |(name, keys)| {
        let read = seen(kube.get_config_map(namespace, &name).await);
        let kept = read.map(|mut data| {
            data.retain(|k, _| keys.contains(k));
            data
        });
        ((namespace.to_owned(), name), kept)
    }))
    .await
    .into_iter()
    .collect()
}

/// The most names that are told.
const MOST: usize = 3;

/// Those of the names that are most like one.
fn near(names: impl Iterator<Item = String>, wanted: &str) -> Vec<String> {
    let common = |name: &str| {
        let same = name.chars().zip(wanted.chars()).take_while(|(a, b)| a == b);
        same.count()
    };
    let mut all: Vec<String> = names.collect();
    all.sort_by_key(|name| (std::cmp::Reverse(common(name)), name.clone()));
    all.retain(|name| common(name) > 0);
    all.truncate(MOST);
    all
}
