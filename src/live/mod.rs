//! Reads the live state of just what the desired state touches, in parallel, with as few calls as
//! the APIs allow.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::desired::{Desired, GKE_METADATA};
use crate::gcp::container::{Cluster, ClusterList};
use crate::gcp::iam::ServiceAccount;
use crate::gcp::policies::Policy;
use crate::gcp::{container, iam, policies, projects};
use crate::http::{ApiError, Http};
use crate::identity::{Email, Member, ProjectId, Resource};
use crate::kube::pods::Pod;
use crate::kube::{Kube, ObjectMeta};

/// What a read found. Not seen is not absent: nothing is concluded from `Unknown`.
#[derive(Debug, Clone)]
pub enum Seen<T> {
    /// It is there.
    Found(T),
    /// The service says that it is not there.
    Absent,
    /// It could not be read; why, for the user.
    Unknown(String),
}

impl<T> Seen<T> {
    /// The value, if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(value) => Some(value),
            _ => None,
        }
    }

    fn of(result: Result<T, ApiError>) -> Self {
        match result {
            Ok(value) => Self::Found(value),
            Err(e) if e.is_not_found() => Self::Absent,
            Err(e) => Self::Unknown(e.for_user()),
        }
    }
}

/// The live state that a plan rests on.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// By the spec's name.
    pub clusters: BTreeMap<String, Seen<Cluster>>,
    /// The accounts of each project that has managed ones.
    pub accounts: BTreeMap<ProjectId, Seen<BTreeMap<Email, ServiceAccount>>>,
    /// Policies by resource. Those of accounts that do not exist are absent.
    pub policies: BTreeMap<Resource, Seen<Policy>>,
    /// The Kubernetes objects of each cluster, by the spec's name.
    pub kubernetes: BTreeMap<String, Seen<Objects>>,
    /// Project numbers, for `principal://` members.
    pub numbers: BTreeMap<ProjectId, Seen<u64>>,
}

/// The Kubernetes objects of a cluster that `wi` looks at.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// By name.
    pub namespaces: BTreeMap<String, ObjectMeta>,
    /// By namespace and name.
    pub service_accounts: BTreeMap<(String, String), ObjectMeta>,
    /// Pods and nodes, read only where a node pool is to be moved.
    pub workloads: Option<Result<Workloads, String>>,
}

/// Which pods run on which node pool.
#[derive(Debug, Clone, Default)]
pub struct Workloads {
    /// All pods that run.
    pub pods: Vec<Pod>,
    /// The node pool of each node, by the node's name.
    pub pool_of_node: BTreeMap<String, String>,
}

/// The mark at the end of a Google service account's description: `[wi:NAME]`.
pub fn owner_in_description(description: &str) -> Option<&str> {
    let (_, rest) = description.trim_end().rsplit_once("[wi:")?;
    rest.strip_suffix(']')
}

/// Reads all that `desired` touches. Failures are in the result, not errors.
pub async fn read(http: &Http, desired: &Desired) -> Live {
    let ((clusters, kubernetes), (accounts, account_policies), resource_policies, numbers) = tokio::join!(
        read_clusters(http, desired),
        read_accounts(http, desired),
        read_policies(http, resources_to_look_at(desired)),
        read_numbers(http, desired),
    );
    let mut policies = resource_policies;
    policies.extend(account_policies);
    Live {
        clusters,
        accounts,
        policies,
        kubernetes,
        numbers,
    }
}

/// Policies that are read whether or not an account is there: those that grants name, and the
/// projects of the accounts that the spec manages, where former grants are most likely.
fn resources_to_look_at(desired: &Desired) -> BTreeSet<Resource> {
    let granted = desired.bindings.keys().map(|b| b.resource.clone());
    let homes = desired
        .accounts
        .values()
        .filter(|a| a.managed)
        .map(|a| Resource::Project(a.project.clone()));
    let managed: BTreeSet<&Email> = managed_emails(desired).collect();
    granted
        .chain(homes)
        .filter(|r| !matches!(r, Resource::ServiceAccount(e) if managed.contains(e)))
        .collect()
}

fn managed_emails(desired: &Desired) -> impl Iterator<Item = &Email> {
    desired
        .accounts
        .values()
        .filter(|a| a.managed)
        .map(|a| &a.email)
}

async fn read_policies(
    http: &Http,
    resources: BTreeSet<Resource>,
) -> BTreeMap<Resource, Seen<Policy>> {
    join_all(resources.into_iter().map(async |resource| {
        let policy = Seen::of(policies::read(http, &resource).await);
        (resource, policy)
    }))
    .await
    .into_iter()
    .collect()
}

type Accounts = BTreeMap<ProjectId, Seen<BTreeMap<Email, ServiceAccount>>>;

/// Lists the accounts of each project, then reads the policies of those that are there and managed.
async fn read_accounts(
    http: &Http,
    desired: &Desired,
) -> (Accounts, BTreeMap<Resource, Seen<Policy>>) {
    let projects: BTreeSet<&ProjectId> = desired
        .accounts
        .values()
        .filter(|a| a.managed)
        .map(|a| &a.project)
        .collect();
    let managed: BTreeSet<&Email> = managed_emails(desired).collect();
    let managed = &managed;
    let per_project = join_all(projects.into_iter().map(async |project| {
        let listed = Seen::of(iam::list_service_accounts(http, project).await.map(|list| {
            list.into_iter()
                .filter_map(|a| Some((Email::parse(&a.email).ok()?, a)))
                .collect::<BTreeMap<_, _>>()
        }));
        let there = listed
            .found()
            .into_iter()
            .flat_map(|all| all.keys())
            .filter(|email| managed.contains(email))
            .map(|email| Resource::ServiceAccount(email.clone()))
            .collect();
        let policies = read_policies(http, there).await;
        (project.clone(), listed, policies)
    }))
    .await;
    let mut accounts = BTreeMap::new();
    let mut policies = BTreeMap::new();
    for (project, listed, read) in per_project {
        accounts.insert(project, listed);
        policies.extend(read);
    }
    (accounts, policies)
}

async fn read_numbers(http: &Http, desired: &Desired) -> BTreeMap<ProjectId, Seen<u64>> {
    // Only direct grants are written with the project number.
    let pools: BTreeSet<&ProjectId> = desired
        .bindings
        .keys()
        .filter(|b| !b.is_impersonation())
        .filter_map(|b| match &b.member {
            Member::Ksa(ksa) => desired.pools.get(&ksa.pool),
            _ => None,
        })
        .collect();
    join_all(pools.into_iter().map(async |project| {
        let number = Seen::of(projects::project_number(http, project).await);
        (project.clone(), number)
    }))
    .await
    .into_iter()
    .collect()
}

type Clusters = BTreeMap<String, Seen<Cluster>>;

async fn read_clusters(
    http: &Http,
    desired: &Desired,
) -> (Clusters, BTreeMap<String, Seen<Objects>>) {
    let mut by_project: BTreeMap<&ProjectId, Vec<&str>> = BTreeMap::new();
    for (name, cluster) in &desired.clusters {
        by_project
            .entry(&cluster.path.project)
            .or_default()
            .push(name);
    }
    let per_project = join_all(by_project.into_iter().map(async |(project, names)| {
        let list = container::list_clusters(http, project).await;
        join_all(names.into_iter().map(async |name| {
            let cluster = find_cluster(&list, desired, name);
            let objects = read_objects(http, &cluster).await;
            (name.to_owned(), cluster, objects)
        }))
        .await
    }))
    .await;
    let mut clusters = BTreeMap::new();
    let mut kubernetes = BTreeMap::new();
    for (name, cluster, objects) in per_project.into_iter().flatten() {
        clusters.insert(name.clone(), cluster);
        kubernetes.insert(name, objects);
    }
    (clusters, kubernetes)
}

fn find_cluster(
    list: &Result<ClusterList, ApiError>,
    desired: &Desired,
    name: &str,
) -> Seen<Cluster> {
    let path = &desired.clusters[name].path;
    let list = match list {
        Ok(list) => list,
        // A project that is not there has no clusters, but more likely is a typing error.
        Err(e) => return Seen::Unknown(e.for_user()),
    };
    let found = list
        .clusters
        .iter()
        .find(|c| c.name == path.name && c.location == path.location);
    let in_missing_zone = list
        .missing_zones
        .iter()
        .any(|zone| *zone == path.location || zone.starts_with(&format!("{}-", path.location)));
    match found {
        Some(cluster) => Seen::Found(cluster.clone()),
        None if in_missing_zone => Seen::Unknown(format!(
            "GKE did not hear from {} (missingZones), so {path} may or may not exist",
            list.missing_zones.join(", ")
        )),
        None => Seen::Absent,
    }
}

async fn read_objects(http: &Http, cluster: &Seen<Cluster>) -> Seen<Objects> {
    let Seen::Found(cluster) = cluster else {
        return Seen::Unknown("the cluster itself could not be read".to_owned());
    };
    let pools_move = !cluster.autopilot.enabled
        && cluster
            .node_pools
            .iter()
            .any(|p| p.config.workload_metadata_config.mode != GKE_METADATA);
    if matches!(
        cluster.status.as_str(),
        "PROVISIONING" | "STOPPING" | "ERROR"
    ) {
        return Seen::Unknown(format!("the cluster is {}", cluster.status));
    }
    let kube = match Kube::connect(http, cluster) {
        Ok(kube) => kube,
        Err(e) => return Seen::Unknown(e),
    };
    let workloads = async {
        if !pools_move {
            return None;
        }
        let (pods, nodes) = tokio::join!(kube.list_pods(), kube.list_nodes());
        Some(match (pods, nodes) {
            (Ok(pods), Ok(nodes)) => Ok(Workloads {
                pods,
                pool_of_node: nodes
                    .into_iter()
                    .filter_map(|n| {
                        let pool = n.labels.get("cloud.google.com/gke-nodepool")?.clone();
                        Some((n.name, pool))
                    })
                    .collect(),
            }),
            (Err(e), _) | (_, Err(e)) => Err(e.for_user()),
        })
    };
    let (namespaces, service_accounts, workloads) = tokio::join!(
        kube.list_namespaces(),
        kube.list_service_accounts(),
        workloads
    );
    let (namespaces, service_accounts) = match (namespaces, service_accounts) {
        (Ok(n), Ok(s)) => (n, s),
        (Err(e), _) | (_, Err(e)) => return Seen::Unknown(e.for_user()),
    };
    Seen::Found(Objects {
        namespaces: namespaces
            .into_iter()
            .map(|m| (m.name.clone(), m))
            .collect(),
        service_accounts: service_accounts
            .into_iter()
            .map(|m| ((m.namespace.clone(), m.name.clone()), m))
            .collect(),
        workloads,
    })
}
