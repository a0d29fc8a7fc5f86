//! What a spec is made of: clusters, accounts and policies of some projects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use futures::stream::TryStreamExt;
use tracing::{Instrument, info_span};
use wi_client::google::{assets, buckets, container, iam, policies, projects};
use wi_client::http::{ApiError, Http, seen};
use wi_client::kubernetes::Kube;
use wi_core::desired::{GSA_ANNOTATION, Leftovers};
use wi_core::import::{Facts, FoundCluster};
use wi_core::live::{Objects, Seen};
use wi_core::names::{ClusterPath, Email, Member, ProjectId};
use wi_core::reason::Reason;
use wi_core::resource::Resource;
use wi_core::spec::model::Access;
use wi_core::wire::container::Cluster;
use wi_core::wire::iam::ServiceAccount;
use wi_core::wire::policy::Policy;
use wi_core::words::safe;

use crate::engine::read::leftovers::{project_ids, resource};
use crate::engine::read::own_cluster::{self, Doubt};

/// What is to be read.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose clusters, accounts and policies.
    pub projects: BTreeSet<ProjectId>,
    /// Names of clusters, or `LOCATION/NAME`; none: all.
    pub clusters: BTreeSet<String>,
    /// How some clusters are reached, by such names; `*`: all others.
    pub access: BTreeMap<String, Access>,
}

impl Wanted {
    fn access(&self, path: &ClusterPath) -> Access {
        let full = format!("{}/{}", path.location, path.name);
        let names = [full.as_str(), &path.name, "*"];
        let access = names.iter().find_map(|name| self.access.get(*name));
        access.cloned().unwrap_or_default()
    }

    fn wants(&self, path: &ClusterPath) -> bool {
        let full = format!("{}/{}", path.location, path.name);
        self.clusters.is_empty()
            || self.clusters.contains(&path.name)
            || self.clusters.contains(&full)
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// What the spec is made of.
    pub facts: Facts,
    /// What could not be read, and why: nothing of it is in the facts.
    pub unseen: BTreeMap<String, String>,
}

type Policies = BTreeMap<Resource, Seen<Policy>>;
type Accounts = Seen<BTreeMap<Email, ServiceAccount>>;

/// Reads all of it, in parallel; the client bounds the calls at a time. `tell` hears how far it is.
pub async fn read(http: &Http, wanted: &Wanted, tell: &(dyn Fn(&str) + Sync)) -> Read {
    tell("Listing clusters and accounts, searching policies");
    let (clusters, accounts, projects, above, found) = tokio::join!(
        read_clusters(http, wanted, tell),
        read_accounts(http, &wanted.projects),
        read_policies(http, wanted.projects.iter().cloned().map(Resource::Project)),
        read_above(http, &wanted.projects),
        search(http, &wanted.projects),
    );
    let mut read = Read::default();
    for (project, listed, missing) in clusters {
        if !wanted.clusters.is_empty() || missing.is_some() {
            read.facts.partial.insert(project.clone());
        }
        if let Some(why) = missing {
            let what = format!("clusters of project/{project}");
            read.unseen.insert(what, why);
        }
        read.facts.clusters.extend(listed);
    }
    for (project, listed, of_accounts) in accounts {
        let why = match &listed {
            Seen::Found(_) => None,
            Seen::Absent => Some("the project does not exist".to_owned()),
            Seen::Unknown(why) => Some(why.to_string()),
        };
        if let Some(why) = why {
            let what = format!("Google service accounts of project/{project}");
            read.unseen.insert(what, why);
        }
        read.facts.accounts.insert(project, listed);
        read.facts.policies.extend(of_accounts);
    }
    read.facts.policies.extend(projects);
    let (above, unseen) = above;
    read.facts.policies.extend(above);
    read.unseen.extend(unseen);
    tell("Reading policies");
    let others = acted_as(&read.facts).map(Resource::ServiceAccount);
    let others: Vec<Resource> = others.collect();
    let (others, found) = tokio::join!(
        read_policies(http, others.into_iter()),
        read_found(http, wanted, found, &mut read.unseen, &read.facts.policies),
    );
    read.facts.policies.extend(others);
    read.facts.policies.extend(found);
    let asked = read.facts.buckets_to_ask().into_iter();
    let asked = join_all(asked.map(async |bucket| {
        let uniform = buckets::has_uniform_access(http, &bucket).await;
        (bucket, uniform)
    }));
    for (bucket, uniform) in asked.await {
        // What could not be asked is told by the plan that follows.
        if let Ok(uniform) = uniform {
            read.facts.uniform.insert(bucket, uniform);
        }
    }
    for (resource, policy) in &read.facts.policies {
        if let (Seen::Unknown(why), false) =
            (policy, matches!(resource, Resource::ServiceAccount(_)))
        {
            let what = format!("the policy of {resource}");
            let help = match resource {
                Resource::Named(_) if resource.is_of_hierarchy() => {
                    ": what is inherited from it is in no spec (roles/iam.securityReviewer on it shows that)"
                }
                _ => "",
            };
            read.unseen.insert(what, format!("{why}{help}"));
        }
    }
    read
}

/// A project, its clusters, and why some may be missing.
type Listed = (ProjectId, Vec<(ClusterPath, FoundCluster)>, Option<String>);

async fn read_clusters(http: &Http, wanted: &Wanted, tell: &(dyn Fn(&str) + Sync)) -> Vec<Listed> {
    let (all, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (all, done) = (&all, &done);
    join_all(wanted.projects.iter().map(async |project| {
        let list = match container::list_clusters(http, project).await {
            Ok(list) => list,
            // A project without clusters may have accounts.
            Err(e) if e.is_api_off() => return (project.clone(), Vec::new(), None),
            Err(e) => return (project.clone(), Vec::new(), Some(e.reason().to_string())),
        };
        let missing = match list.missing_zones.as_slice() {
            [] => None,
            zones => Some(format!("GKE did not hear from {}", zones.join(", "))),
        };
        let paths = list.clusters.into_iter().map(|cluster| {
            let path = ClusterPath {
                project: project.clone(),
                location: cluster.location.clone(),
                name: cluster.name.clone(),
            };
            (path, cluster)
        });
        let clusters: Vec<_> = paths.filter(|(path, _)| wanted.wants(path)).collect();
        all.fetch_add(clusters.len(), Ordering::Relaxed);
        let read = join_all(clusters.into_iter().map(async |(path, cluster)| {
            let span = info_span!("cluster", name = path.name);
            let access = wanted.access(&path);
            let objects = objects(http, &path, &cluster, &access);
            let objects = objects.instrument(span).await;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            tell(&format!(
                "Reading service accounts: {done} of {} clusters",
                all.load(Ordering::Relaxed)
            ));
            let found = FoundCluster {
                cluster,
                access,
                objects,
            };
            (path, found)
        }));
        (project.clone(), read.await, missing)
    }))
    .await
}

/// The namespaces and service accounts of a cluster.
async fn objects(
    http: &Http,
    path: &ClusterPath,
    cluster: &Cluster,
    access: &Access,
) -> Seen<Objects> {
    if !cluster.status.is_running() {
        return Seen::Unknown(format!("the cluster is {}", cluster.status).into());
    }
    let kube = match Kube::connect(http, cluster, access) {
        Ok(kube) => kube,
        Err(why) => return Seen::Unknown(why.into()),
    };
    let listed = match own_cluster::check(&kube, cluster, path).await {
        Ok(listed) => listed,
        Err(Doubt::Unread(e)) => return Seen::Unknown(e.reason()),
        Err(Doubt::Other(why)) => return Seen::Unknown(why.into()),
    };
    let namespaces = match listed.namespaces {
        Some(listed) => listed,
        None => kube.list_namespaces().await,
    };
    let read = async {
        let by_name = namespaces?.into_iter().map(|m| (m.name.clone(), m));
        let accounts = kube.list_service_accounts().await?.into_iter();
        Ok::<_, ApiError>(Objects {
            namespaces: by_name.collect(),
            service_accounts: accounts
                .map(|m| ((m.namespace.clone(), m.name.clone()), m))
                .collect(),
            ..Objects::default()
        })
    };
    match read.await {
        Ok(objects) => Seen::Found(objects),
        Err(e) => Seen::Unknown(e.reason()),
    }
}

/// The accounts of each project, and who may act as them.
async fn read_accounts(
    http: &Http,
    projects: &BTreeSet<ProjectId>,
) -> Vec<(ProjectId, Accounts, Policies)> {
    let policy_of = async |account: ServiceAccount| {
        let Ok(email) = Email::parse(&account.email) else {
            return Ok(None);
        };
        let resource = Resource::ServiceAccount(email.clone());
        let policy = seen(policies::read(http, &resource).await);
        Ok(Some((email, account, resource, policy)))
    };
    join_all(projects.iter().map(async |project| {
        let read: Result<Vec<_>, ApiError> = iam::service_accounts(http, project)
            .map_ok(&policy_of)
            .try_buffer_unordered(usize::MAX)
            .try_collect()
            .await;
        let mut policies = Policies::new();
        let listed = seen(read).map(|read| {
            let mut listed = BTreeMap::new();
            for (email, account, resource, policy) in read.into_iter().flatten() {
                policies.insert(resource, policy);
                listed.insert(email, account);
            }
            listed
        });
        (project.clone(), listed, policies)
    }))
    .await
}

async fn read_policies(http: &Http, resources: impl Iterator<Item = Resource>) -> Policies {
    let read = join_all(resources.map(async |resource| {
        let policy = seen(policies::read(http, &resource).await);
        (resource, policy)
    }));
    read.await.into_iter().collect()
}

/// The policies of the folders and organizations that the projects are in, and what of that could not be read.
async fn read_above(
    http: &Http,
    projects: &BTreeSet<ProjectId>,
) -> (Policies, BTreeMap<String, String>) {
    let lists = join_all(projects.iter().map(async |project| {
        let above = projects::ancestors(http, project).await;
        (project, above)
    }));
    let (mut above, mut unseen) = (BTreeSet::new(), BTreeMap::new());
    for (project, list) in lists.await {
        match list {
            Ok(list) => above.extend(list),
            Err(e) => {
                let what = format!("folders and organizations of project/{project}");
                let why = format!("{}: what is inherited from them is in no spec", e.reason());
                unseen.insert(what, why);
            }
        }
    }
    (read_policies(http, above.into_iter()).await, unseen)
}

/// Accounts that are in none of the lists and that service accounts are annotated with.
fn acted_as(facts: &Facts) -> impl Iterator<Item = Email> {
    let objects = facts.clusters.values().filter_map(|c| c.objects.found());
    let metas = objects.flat_map(|o| o.service_accounts.values());
    let annotated = metas.filter_map(|m| Email::parse(m.annotations.get(GSA_ANNOTATION)?).ok());
    let annotated: BTreeSet<Email> = annotated.collect();
    annotated.into_iter().filter(|email| {
        let resource = Resource::ServiceAccount(email.clone());
        !facts.policies.contains_key(&resource)
    })
}

/// What a search answered: resources in whose policies a member of the projects is, and where none could be made.
struct Searched {
    found: BTreeSet<String>,
    refused: BTreeMap<String, String>,
}

async fn search(http: &Http, projects: &BTreeSet<ProjectId>) -> Searched {
    let places = Leftovers {
        projects: projects.clone(),
        ..Leftovers::default()
    };
    let pools = projects.iter().map(ProjectId::workload_pool);
    let searches = places.searches(pools).into_iter();
    let answers = join_all(searches.map(async |(scope, query)| {
        let answer = assets::search_policies(http, &scope, &query).await;
        (scope, answer)
    }));
    // The search goes by words: it finds members that are only alike, too.
    let pools: BTreeSet<String> = projects.iter().map(ProjectId::workload_pool).collect();
    let of_projects = |email: &Email| email.project().is_some_and(|p| projects.contains(&p));
    let is_theirs = |member: &String| match Member::parse(member) {
        Member::Ksa(ksa) => pools.contains(&ksa.pool),
        Member::ServiceAccount(email) => of_projects(&email),
        Member::DeletedServiceAccount { email, .. } => {
            Email::parse(&email).is_ok_and(|email| of_projects(&email))
        }
        Member::Set(_) | Member::Other(_) => false,
    };
    let concerns = |policy: &Policy| {
        let mut members = policy.bindings.iter().flat_map(|b| &b.members);
        members.any(is_theirs)
    };
    let mut searched = Searched {
        found: BTreeSet::new(),
        refused: BTreeMap::new(),
    };
    for (scope, answer) in answers.await {
        match answer {
            Ok(found) => {
                let found = found.into_iter().filter(|f| concerns(&f.policy));
                searched.found.extend(found.map(|f| f.resource));
            }
            Err(e) => {
                let what = format!("policies of what is in {scope}");
                let help = match e.is_api_off() {
                    true => format!(": turn {} on", assets::SERVICE),
                    false => format!(" ({} is in {})", assets::PERMISSION, assets::ROLE),
                };
                let why = format!(
                    "they could not be searched: {}{help}",
                    e.message.trim_end_matches('.')
                );
                searched.refused.insert(what, why);
            }
        }
    }
    searched
}

/// The policies of what a search found; those of accounts are read with them.
async fn read_found(
    http: &Http,
    wanted: &Wanted,
    searched: Searched,
    unseen: &mut BTreeMap<String, String>,
    known: &Policies,
) -> Policies {
    unseen.extend(searched.refused);
    let names: Vec<String> = searched
        .found
        .into_iter()
        .filter(|name| !name.starts_with(ACCOUNTS))
        .collect();
    let ids = project_ids(http, names.iter(), &BTreeMap::new()).await;
    let resources = join_all(names.into_iter().map(async |name| {
        let resource: Result<Resource, Reason> = resource(http, &name, &ids).await;
        (name, resource)
    }));
    let mut to_read = BTreeSet::new();
    for (name, resource) in resources.await {
        match resource {
            Ok(Resource::Project(project)) if !wanted.projects.contains(&project) => {}
            Ok(resource) if known.contains_key(&resource) => {}
            Ok(resource) => _ = to_read.insert(resource),
            Err(why) => _ = unseen.insert(safe(&name), why.to_string()),
        }
    }
    read_policies(http, to_read.into_iter()).await
}

/// What the names of policies of accounts begin with.
const ACCOUNTS: &str = "//iam.googleapis.com/projects/";
