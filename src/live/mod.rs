//! Reads the live state of just what the desired state touches, in parallel, with as few calls as
//! the APIs allow.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::TryStreamExt;

use crate::desired::Desired;
use crate::gcp::container::Cluster;
use crate::gcp::iam::ServiceAccount;
use crate::gcp::policies::Policy;
use crate::gcp::{buckets, iam, policies, projects};
use crate::http::{ApiError, Http};
use crate::identity::{Email, Member, ProjectId, Role};
use crate::resources::Resource;

mod background;
mod clusters;
pub mod discover;
mod inherited;
mod objects;
mod outside;

pub use discover::Lists;
pub use objects::{Objects, Workloads};
pub use outside::Outside;

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

    fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Found(value) => Seen::Found(f(value)),
            Self::Absent => Seen::Absent,
            Self::Unknown(why) => Seen::Unknown(why),
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
    /// Whether buckets have uniform bucket-level access, for those where it matters.
    pub uniform_access: BTreeMap<String, Seen<bool>>,
    /// Project numbers, for `principal://` members.
    pub numbers: BTreeMap<ProjectId, Seen<u64>>,
    /// The folders and the organization above the projects that are granted on, where they could be
    /// read; what they grant is inherited. Told to the reader, and nothing is planned by it.
    pub ancestors: BTreeMap<ProjectId, Vec<Resource>>,
    /// Whether the roles that are to be granted anew exist.
    pub roles: BTreeMap<Role, Seen<bool>>,
    /// How each cluster's Kubernetes API is reached, by the spec's name.
    pub reached_by: BTreeMap<String, String>,
    /// Policies that are read to tell what a node pool's pods can do today; nothing is planned by
    /// them, so that one that cannot be read holds nothing up.
    pub background: BTreeMap<Resource, Seen<Policy>>,
    /// Clusters of the same projects that the spec does not mention.
    pub outside: Vec<Outside>,
    /// The Compute Engine default service accounts of projects whose node pools are to be moved.
    pub default_accounts: BTreeMap<ProjectId, Email>,
}

/// Reads all that `desired` touches. Failures are in the result, not errors.
pub async fn read(http: &Http, desired: &Desired) -> Live {
    read_with(http, desired, Lists::new()).await
}

/// As [`read`], with lists of clusters that have been read already.
pub async fn read_with(http: &Http, desired: &Desired, lists: Lists) -> Live {
    let (
        clusters,
        (accounts, account_policies),
        resource_policies,
        numbers,
        uniform_access,
        (ancestors, inherited),
    ) = tokio::join!(
        clusters::read(http, desired, lists),
        read_accounts(http, desired),
        read_policies(http, resources_to_look_at(desired)),
        read_numbers(http, desired),
        read_uniform_access(http, desired),
        inherited::read(http, desired),
    );
    let mut policies = resource_policies;
    policies.extend(account_policies);
    let mut live = Live {
        clusters: clusters.clusters,
        kubernetes: clusters.kubernetes,
        reached_by: clusters.reached_by,
        outside: clusters.outside,
        accounts,
        policies,
        numbers,
        uniform_access,
        ancestors,
        ..Live::default()
    };
    let roles = read_roles(http, desired, &live);
    let background = background::read(http, desired, &live);
    let (roles, background) = tokio::join!(roles, background);
    live.roles = roles;
    live.background = background.policies;
    live.background.extend(inherited);
    live.default_accounts = background.default_accounts;
    live
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
    // Direct grants are most likely on the project of the pool.
    let pools = desired
        .clusters
        .values()
        .map(|c| Resource::Project(c.path.project.clone()));
    let managed: BTreeSet<&Email> = managed_emails(desired).collect();
    granted
        .chain(homes)
        .chain(pools)
        .chain(desired.removed.iter().cloned())
        .chain(
            desired
                .former_projects
                .iter()
                .cloned()
                .map(Resource::Project),
        )
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

/// Lists the accounts of each project, and reads the policies of those that are there and managed
/// while further pages are fetched.
async fn read_accounts(
    http: &Http,
    desired: &Desired,
) -> (Accounts, BTreeMap<Resource, Seen<Policy>>) {
    let projects: BTreeSet<&ProjectId> = desired
        .accounts
        .values()
        .filter(|a| a.managed)
        .map(|a| &a.project)
        .chain(&desired.former_projects)
        .collect();
    let managed: BTreeSet<&Email> = managed_emails(desired).collect();
    let managed = &managed;
    let policy_of = async |account: ServiceAccount| {
        let Ok(email) = Email::parse(&account.email) else {
            return Ok(None);
        };
        let policy = if managed.contains(&email) {
            let resource = Resource::ServiceAccount(email.clone());
            Some(Seen::of(policies::read(http, &resource).await))
        } else {
            None
        };
        Ok(Some((email, account, policy)))
    };
    let per_project = join_all(projects.into_iter().map(async |project| {
        // The client bounds the calls at a time.
        let read: Result<Vec<_>, ApiError> = iam::service_accounts(http, project)
            .map_ok(&policy_of)
            .try_buffer_unordered(usize::MAX)
            .try_collect()
            .await;
        (project.clone(), read)
    }))
    .await;
    let mut accounts = BTreeMap::new();
    let mut policies = BTreeMap::new();
    for (project, read) in per_project {
        let listed = Seen::of(read).map(|read| {
            let mut listed = BTreeMap::new();
            for (email, account, policy) in read.into_iter().flatten() {
                if let Some(policy) = policy {
                    policies.insert(Resource::ServiceAccount(email.clone()), policy);
                }
                listed.insert(email, account);
            }
            listed
        });
        accounts.insert(project, listed);
    }
    (accounts, policies)
}

/// Only conditions and direct grants ask for uniform bucket-level access.
async fn read_uniform_access(http: &Http, desired: &Desired) -> BTreeMap<String, Seen<bool>> {
    let buckets: BTreeSet<&str> = desired
        .bindings
        .keys()
        .filter(|b| b.condition.is_some() || matches!(b.member, Member::Ksa(_)))
        .filter_map(|b| b.resource.bucket())
        .collect();
    join_all(buckets.into_iter().map(async |bucket| {
        let uniform = Seen::of(buckets::has_uniform_access(http, bucket).await);
        (bucket.to_owned(), uniform)
    }))
    .await
    .into_iter()
    .collect()
}

/// A role that is granted already exists.
async fn read_roles(http: &Http, desired: &Desired, live: &Live) -> BTreeMap<Role, Seen<bool>> {
    let in_use: BTreeSet<&str> = live
        .policies
        .values()
        .filter_map(Seen::found)
        .flat_map(|p| &p.bindings)
        .map(|b| b.role.as_str())
        .collect();
    let new: BTreeSet<&Role> = desired
        .bindings
        .keys()
        .map(|b| &b.role)
        .filter(|r| !in_use.contains(r.as_str()) && **r != Role::workload_identity_user())
        .collect();
    join_all(new.into_iter().map(async |role| {
        let exists = Seen::of(iam::role_exists(http, role).await);
        (role.clone(), exists)
    }))
    .await
    .into_iter()
    .collect()
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
