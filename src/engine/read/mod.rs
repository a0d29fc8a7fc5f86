//! Reads the live state of just what the desired state touches, in parallel, with as few calls as
//! the APIs allow.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::TryStreamExt;
use wi_client::google::{buckets, iam, policies, projects};
use wi_client::http::seen;
use wi_client::http::{ApiError, Http};
use wi_core::desired::Desired;
use wi_core::live::{Live, Seen};
use wi_core::names::{Email, Member, ProjectId, Role};
use wi_core::resource::Resource;
use wi_core::wire::iam::ServiceAccount;
use wi_core::wire::policy::Policy;

mod ancestors;
mod clusters;
pub mod discover;
mod node_identity;
mod objects;
mod unmanaged_clusters;

pub use discover::Lists;

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
        accounts_of_others,
    ) = tokio::join!(
        clusters::read(http, desired, lists),
        read_accounts(http, desired),
        read_policies(http, resources_to_look_at(desired)),
        read_numbers(http, desired),
        read_uniform_access(http, desired),
        ancestors::read(http, desired),
        node_identity::get_accounts(http, accounts_of_others(desired)),
    );
    let mut policies = resource_policies;
    policies.extend(account_policies);
    let mut live = Live {
        clusters: clusters.clusters,
        kubernetes: clusters.kubernetes,
        reached_by: clusters.reached_by,
        clusters_of: clusters.clusters_of,
        outside: clusters.outside,
        accounts,
        policies,
        numbers,
        uniform_access,
        ancestors,
        accounts_of_others,
        ..Live::default()
    };
    let roles = read_roles(http, desired, &live);
    let background = node_identity::read(http, desired, &live);
    let (roles, background) = tokio::join!(roles, background);
    live.roles = roles;
    live.background = background.policies;
    live.background.extend(inherited);
    live.default_accounts = background.default_accounts;
    live.accounts_of_others.extend(background.accounts);
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
        .filter(|c| c.managed)
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

/// Accounts that the spec names by their email and has pods act as.
fn accounts_of_others(desired: &Desired) -> impl Iterator<Item = Email> {
    let acted_as: BTreeSet<&Email> = desired
        .ksas
        .values()
        .filter_map(|k| k.account.as_ref())
        .collect();
    let managed: BTreeSet<&Email> = managed_emails(desired).collect();
    let others = acted_as.difference(&managed);
    others.copied().cloned().collect::<Vec<_>>().into_iter()
}

async fn read_policies(
    http: &Http,
    resources: BTreeSet<Resource>,
) -> BTreeMap<Resource, Seen<Policy>> {
    join_all(resources.into_iter().map(async |resource| {
        let policy = seen(policies::read(http, &resource).await);
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
            Some(seen(policies::read(http, &resource).await))
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
        let listed = seen(read).map(|read| {
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
        let uniform = seen(buckets::has_uniform_access(http, bucket).await);
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
        let exists = seen(iam::role_exists(http, role).await);
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
        let number = seen(projects::project_number(http, project).await);
        (project.clone(), number)
    }))
    .await
    .into_iter()
    .collect()
}
