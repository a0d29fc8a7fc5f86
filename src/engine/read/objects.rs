//! The Kubernetes objects of one cluster.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use wi_client::http::{ApiError, ErrorKind, Http, seen};
use wi_client::kubernetes::Kube;
use wi_core::access::config_maps_asked;
use wi_core::desired::GSA_ANNOTATION;
use wi_core::live::{ConfigMaps, Objects, ReachedBy, Seen, Template, Workloads, to_connect};
use wi_core::names::{Email, KubeName};
use wi_core::plan::ownership::owner_of;
use wi_core::read_set::ReadCluster;
use wi_core::reason::Reason;
use wi_core::wire::container::Cluster;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::pods::{Pod, PodSpec};
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind, WorkloadObject};

use super::own_cluster::{self, Doubt, Listed};

/// The label by which GKE says which node pool a node is of.
const POOL_LABEL: &str = "cloud.google.com/gke-nodepool";

type ServiceAccounts = BTreeMap<(String, String), ObjectMeta>;

/// Reads one cluster's objects; answers with how the API was reached, too.
pub(super) async fn read(
    http: &Http,
    asked: &ReadCluster,
    owner: Option<&str>,
    cluster: &Seen<Cluster>,
) -> (Seen<Objects>, Option<ReachedBy>) {
    let wanted = &asked.wanted;
    let known = to_connect(wanted, cluster);
    let Some(cluster) = known.as_deref() else {
        let why = match cluster {
            Seen::Unknown(why) if !wanted.managed => {
                let way_out = ". By a kubeconfig it is reached without (access: { kubeconfig: ~/.kube/config, context: NAME })";
                let why = why.clone().within("the cluster could not be found: ");
                why.with(way_out)
            }
            _ => "the cluster itself could not be read".into(),
        };
        return (Seen::Unknown(why), None);
    };
    if !cluster.status.may_answer() {
        let why = format!("the cluster is {}", cluster.status);
        return (Seen::Unknown(why.into()), None);
    }
    let kube = match Kube::connect(http, cluster, &wanted.access) {
        Ok(kube) => kube,
        Err(e) => return (Seen::Unknown(e.into()), None),
    };
    let reached_by = kube.reached_by().clone();
    let listed = match own_cluster::check(&kube, cluster, &wanted.path).await {
        Ok(listed) => listed,
        Err(Doubt::Unread(e)) => return (Seen::Unknown(unreached(&kube, &e)), None),
        Err(Doubt::Other(why)) => {
            return (
                Seen::Unknown(format!("the {reached_by} {why}").into()),
                None,
            );
        }
    };
    match read_with(&kube, asked, owner, cluster, listed).await {
        Ok(objects) => (Seen::Found(objects), Some(reached_by)),
        Err(e) => (Seen::Unknown(unreached(&kube, &e)), None),
    }
}

fn unreached(kube: &Kube, e: &ApiError) -> Reason {
    let reached_by = kube.reached_by();
    let way_out = if !matches!(e.kind, ErrorKind::Unanswered | ErrorKind::Tls) {
        ""
    } else if kube.is_private() {
        ". It is reached from the cluster's network only: run wi there, or set the cluster's `access`, or enable its DNS endpoint"
    } else {
        ". If it is reached in another way, set the cluster's `access` (`wi help spec`)"
    };
    let by = format!("by the {reached_by}: ");
    e.reason().within(&by).with(way_out)
}

/// What does not depend on something else is read side by side. `listed` has been read already.
async fn read_with(
    kube: &Kube,
    asked: &ReadCluster,
    owner: Option<&str>,
    cluster: &Cluster,
    listed: Listed,
) -> Result<Objects, ApiError> {
    // One call first, so that the others find its connection: a handshake costs more than they do.
    let namespaces = match listed.namespaces {
        Some(listed) => listed,
        None => kube.list_namespaces().await,
    };
    let nodes = async || match &listed.nodes {
        Some(listed) => listed.clone(),
        None => kube.list_nodes().await,
    };
    let wanted = &asked.wanted;
    let pools_move = wanted.moving(cluster).next().is_some();
    let all_workloads = async {
        if !pools_move {
            return None;
        }
        let policies = async {
            match cluster.enforces_network_policies() {
                true => kube.list_all_network_policies().await,
                false => Ok(Vec::new()),
            }
        };
        let (pods, nodes, budgets, templates, policies) = tokio::join!(
            kube.list_pods(),
            nodes(),
            kube.list_budgets(),
            list_templates(|kind| kube.list_workloads(kind)),
            policies
        );
        let (budgets, budgets_unseen) = match budgets {
            Ok(budgets) => (budgets, None),
            Err(e) => (Vec::new(), Some(e.reason().into())),
        };
        let (pods, nodes) = match (pods, nodes) {
            (Ok(pods), Ok(nodes)) => (pods, nodes),
            (Err(e), _) | (_, Err(e)) => return Some(Err(e.reason())),
        };
        let (templates, mut templates_unseen) = templates;
        // Whom they keep from the metadata server is not known then, as whose pods come later is not.
        let network_policies = policies.unwrap_or_else(|e| {
            templates_unseen.insert("NetworkPolicies".to_owned(), e.reason());
            Vec::new()
        });
        // Which ones is said by the pods and the templates.
        let config_maps = read_config_maps(kube, &pods, &templates).await;
        Some(Ok(Workloads {
            pods,
            namespaces: None,
            labels_of_pool: labels_of_pool(&nodes),
            pool_of_node: pool_of_node(nodes),
            budgets,
            budgets_unseen,
            templates,
            templates_unseen,
            network_policies,
            config_maps,
        }))
    };
    let everywhere = async {
        let namespaces = namespaces?;
        Ok((namespaces, kube.list_service_accounts().await?))
    };
    let (all, mut workloads) = tokio::join!(everywhere, all_workloads);
    let (all, only_of_spec) = match all {
        // Who has a namespace of it may not see the others'.
        Err(ApiError { code: 403, .. }) if !wanted.managed => {
            let own = asked.namespaces.iter().map(KubeName::as_str);
            (of_namespaces(kube, own).await?, true)
        }
        all => (all?, false),
    };
    let (namespaces, list) = all;
    let service_accounts: ServiceAccounts = list
        .into_iter()
        .map(|m| ((m.namespace.clone(), m.name.clone()), m))
        .collect();
    if workloads.is_none() {
        // Which pods get another identity is said by the service accounts.
        let mut left = asked.pods_of.clone();
        left.extend(namespaces_of_what_left(asked, owner, &service_accounts));
        let mut changing = namespaces_with_new_identities(asked, owner, &service_accounts);
        changing.extend(left.iter().cloned());
        if !changing.is_empty() {
            let nodes = async {
                if cluster
                    .node_pools
                    .iter()
                    .any(|p| cluster.has_node_identity(p))
                {
                    nodes().await
                } else {
                    Ok(Vec::new())
                }
            };
            // One list where most of them are asked for.
            let at_once = changing.len() > 3 && changing.len() * 2 > namespaces.len();
            let pods = pods_of(kube, &changing, at_once);
            let read = workloads_of(kube, (&changing, pods), &left, nodes).await;
            workloads = Some(read.map_err(|e| e.reason()));
        }
    }
    Ok(Objects {
        namespaces: namespaces
            .into_iter()
            .map(|m| (m.name.clone(), m))
            .collect(),
        service_accounts,
        only_of_spec,
        workloads,
    })
}

/// Just these namespaces and their service accounts, with rights in each alone.
async fn of_namespaces(
    kube: &Kube,
    names: impl Iterator<Item = &str>,
) -> Result<(Vec<ObjectMeta>, Vec<ObjectMeta>), ApiError> {
    let read = try_join_all(names.map(async |name| {
        let (namespace, accounts) = tokio::join!(
            kube.get_namespace(name),
            kube.list_service_accounts_of(name)
        );
        let accounts = accounts?;
        let namespace = match namespace {
            Err(e) if e.is_not_found() => None,
            // Each namespace has a service account at least: where one is seen, it is there.
            Err(ApiError { code: 403, .. }) if !accounts.is_empty() => Some(ObjectMeta {
                name: name.to_owned(),
                ..ObjectMeta::default()
            }),
            namespace => Some(namespace?),
        };
        Ok((namespace, accounts))
    }))
    .await?;
    let (namespaces, accounts): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    Ok((
        namespaces.into_iter().flatten().collect(),
        accounts.into_iter().flatten().collect(),
    ))
}

/// What makes pods, and which kinds of that could not be read, with why.
async fn list_templates<'a, F>(
    list: impl Fn(&'a WorkloadKind) -> F,
) -> (Vec<Template>, BTreeMap<String, Reason>)
where
    F: Future<Output = Result<Vec<WorkloadObject>, ApiError>>,
{
    let lists = WORKLOAD_KINDS
        .iter()
        .map(async |kind| (kind, list(kind).await));
    let mut templates = Vec::new();
    let mut unseen = BTreeMap::new();
    for (kind, list) in join_all(lists).await {
        match list {
            Ok(list) => {
                let of_kind = list.into_iter().filter_map(|o| Template::of(kind.kind, o));
                templates.extend(of_kind);
            }
            Err(e) => {
                unseen.insert(kind.plural.to_owned(), e.reason());
            }
        }
    }
    (templates, unseen)
}

async fn read_config_maps(kube: &Kube, pods: &[Pod], templates: &[Template]) -> ConfigMaps {
    let of_pods = pods.iter().map(|p| (&p.metadata, &p.spec));
    let of_templates = templates.iter().map(|t| (&t.metadata, &t.pod));
    config_maps(kube, of_pods.chain(of_templates)).await
}

/// The ConfigMaps by which it is told what containers of these pods have. Just the keys that say so are
/// kept.
pub async fn config_maps<'a>(
    kube: &Kube,
    pods: impl Iterator<Item = (&'a ObjectMeta, &'a PodSpec)>,
) -> ConfigMaps {
    let mut asked: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (metadata, spec) in pods {
        for (name, keys) in config_maps_asked(spec) {
            let key = (metadata.namespace.clone(), name.to_owned());
            asked.entry(key).or_default().extend(keys);
        }
    }
    join_all(asked.into_iter().map(async |(key, keys)| {
        let read = seen(kube.get_config_map(&key.0, &key.1).await);
        let kept = read.map(|mut data| {
            data.retain(|k, _| keys.contains(k));
            data
        });
        (key, kept)
    }))
    .await
    .into_iter()
    .collect()
}

/// Namespaces in which an account that is there is adopted, or is to get another identity.
fn namespaces_with_new_identities(
    asked: &ReadCluster,
    owner: Option<&str>,
    there: &ServiceAccounts,
) -> BTreeSet<String> {
    let ours = asked.ksas.iter().filter(|ksa| !ksa.existing);
    let changing = ours.filter(|ksa| {
        let key = (ksa.identity.namespace.clone(), ksa.identity.name.clone());
        there.get(&key).is_some_and(|meta| {
            let is_adopted = owner.is_some_and(|owner| owner_of(meta) != Some(owner));
            let account = meta.annotations.get(GSA_ANNOTATION).map(String::as_str);
            is_adopted || account != ksa.account.as_ref().map(Email::as_str)
        })
    });
    changing.map(|ksa| ksa.identity.namespace.clone()).collect()
}

/// Namespaces of accounts that left the spec here: what runs as them is looked at before they go.
fn namespaces_of_what_left(
    asked: &ReadCluster,
    owner: Option<&str>,
    there: &ServiceAccounts,
) -> BTreeSet<String> {
    let left = there.values().filter(|meta| {
        owner.is_some_and(|owner| owner_of(meta) == Some(owner))
            && asked.ksa(&meta.namespace, &meta.name).is_none()
    });
    left.map(|meta| meta.namespace.clone()).collect()
}

/// Pods of some namespaces, by one list of all where that is allowed and they are most of them.
async fn pods_of(
    kube: &Kube,
    namespaces: &BTreeSet<String>,
    at_once: bool,
) -> Result<Vec<Pod>, ApiError> {
    if at_once {
        match kube.list_pods().await {
            Err(ApiError { code: 403, .. }) => {}
            all => {
                let mut pods = all?;
                pods.retain(|pod| namespaces.contains(&pod.metadata.namespace));
                return Ok(pods);
            }
        }
    }
    let each = try_join_all(namespaces.iter().map(|ns| kube.list_pods_of(ns))).await?;
    Ok(each.into_iter().flatten().collect())
}

/// Pods of some namespaces, and of those that service accounts leave what makes them, too.
async fn workloads_of(
    kube: &Kube,
    (namespaces, pods): (
        &BTreeSet<String>,
        impl Future<Output = Result<Vec<Pod>, ApiError>>,
    ),
    left: &BTreeSet<String>,
    nodes: impl Future<Output = Result<Vec<ObjectMeta>, ApiError>>,
) -> Result<Workloads, ApiError> {
    let templates = join_all(
        left.iter()
            .map(|ns| list_templates(move |kind| kube.list_workloads_of(kind, ns))),
    );
    let (pods, nodes, templates) = tokio::join!(pods, nodes, templates);
    let (templates, unseen): (Vec<_>, Vec<_>) = templates.into_iter().unzip();
    Ok(Workloads {
        pods: pods?,
        namespaces: Some(namespaces.clone()),
        pool_of_node: pool_of_node(nodes?),
        templates: templates.into_iter().flatten().collect(),
        templates_unseen: unseen.into_iter().flatten().collect(),
        ..Workloads::default()
    })
}

/// The labels of each node pool's nodes.
fn labels_of_pool(nodes: &[ObjectMeta]) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut of_pool: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for node in nodes {
        let Some(pool) = node.labels.get(POOL_LABEL) else {
            continue;
        };
        let labels = of_pool.entry(pool.clone()).or_default();
        for (key, value) in &node.labels {
            labels.entry(key.clone()).or_default().insert(value.clone());
        }
    }
    of_pool
}

fn pool_of_node(nodes: Vec<ObjectMeta>) -> BTreeMap<String, String> {
    nodes
        .into_iter()
        .filter_map(|n| {
            let pool = n.labels.get(POOL_LABEL)?.clone();
            Some((n.name, pool))
        })
        .collect()
}
