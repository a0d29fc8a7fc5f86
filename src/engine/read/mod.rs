//! Reads the live state of just what is asked for, in parallel, with as few calls as
//! the APIs allow.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::TryStreamExt;
use wi_client::google::{buckets, iam, keys, policies, projects};
use wi_client::http::seen;
use wi_client::http::{ApiError, Http};
use wi_core::live::{Live, Seen};
use wi_core::names::{Email, ProjectId, Role};
use wi_core::plan::ownership::owner_in_description;
use wi_core::read_set::ReadSet;
use wi_core::resource::Resource;
use wi_core::wire::iam::{ServiceAccount, ServiceAccountKey};
use wi_core::wire::policy::Policy;

pub(super) mod alone;
mod ancestors;
mod clusters;
pub mod discover;
pub mod facts;
pub mod leftovers;
mod node_identity;
mod objects;
pub(crate) mod own_cluster;
mod unmanaged_clusters;
mod users;

pub use discover::Lists;
pub use objects::config_maps;

/// Reads all of it. Failures are in the result, not errors.
pub async fn read(http: &Http, set: &ReadSet) -> Live {
    read_with(http, set, Lists::new()).await
}

/// As [`read`], with lists of clusters that have been read already.
pub async fn read_with(http: &Http, set: &ReadSet, lists: Lists) -> Live {
    let (
        clusters,
        (accounts, accounts_unseen, account_policies),
        resource_policies,
        numbers,
        uniform_access,
        (ancestors, inherited),
        accounts_of_others,
        keys,
    ) = tokio::join!(
        clusters::read(http, set, lists),
        read_accounts(http, set),
        read_policies(http, set.policies.clone()),
        read_numbers(http, set),
        read_uniform_access(http, set),
        ancestors::read(http, set),
        node_identity::get_accounts(http, set.accounts_of_others.iter().cloned()),
        read_keys(http, set),
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
        keys,
        ..Live::default()
    };
    live.leftovers_unseen.accounts = accounts_unseen;
    let roles = read_roles(http, set, &live);
    let background = node_identity::read(http, set, &live);
    let (roles, background) = tokio::join!(roles, background);
    live.roles = roles;
    live.background = background.policies;
    live.background.extend(inherited);
    live.default_accounts = background.default_accounts;
    live.accounts_of_others.extend(background.accounts);
    live.pods_of_users = users::read(http, set, &live).await;
    live
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

/// Lists the accounts of each project, and reads the policies of those that are there and managed, or were,
/// while further pages are fetched. Projects apart where they could not be listed and need not be.
async fn read_accounts(
    http: &Http,
    set: &ReadSet,
) -> (
    Accounts,
    BTreeMap<ProjectId, String>,
    BTreeMap<Resource, Seen<Policy>>,
) {
    let was_managed = |account: &ServiceAccount| {
        set.marked_by.is_some()
            && owner_in_description(&account.description) == set.marked_by.as_deref()
    };
    let policy_of = async |account: ServiceAccount| {
        let Ok(email) = Email::parse(&account.email) else {
            return Ok(None);
        };
        let policy = if set.managed.contains(&email) || was_managed(&account) {
            let resource = Resource::ServiceAccount(email.clone());
            Some(seen(policies::read(http, &resource).await))
        } else {
            None
        };
        Ok(Some((email, account, policy)))
    };
    let per_project = join_all(
        set.accounts
            .union(&set.former_accounts)
            .map(async |project| {
                // The client bounds the calls at a time.
                let read: Result<Vec<_>, ApiError> = iam::service_accounts(http, project)
                    .map_ok(&policy_of)
                    .try_buffer_unordered(usize::MAX)
                    .try_collect()
                    .await;
                (project.clone(), read)
            }),
    )
    .await;
    let mut accounts = BTreeMap::new();
    let mut unseen = BTreeMap::new();
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
        match listed {
            Seen::Unknown(why) if !set.accounts.contains(&project) => {
                unseen.insert(project, why.into());
            }
            Seen::Absent if !set.accounts.contains(&project) => {}
            listed => {
                accounts.insert(project, listed);
            }
        }
    }
    (accounts, unseen, policies)
}

async fn read_uniform_access(http: &Http, set: &ReadSet) -> BTreeMap<String, Seen<bool>> {
    join_all(set.buckets.iter().map(async |bucket| {
        let uniform = seen(buckets::has_uniform_access(http, bucket).await);
        (bucket.clone(), uniform)
    }))
    .await
    .into_iter()
    .collect()
}

/// A role that is granted already exists.
async fn read_roles(http: &Http, set: &ReadSet, live: &Live) -> BTreeMap<Role, Seen<bool>> {
    let in_use: BTreeSet<&str> = live
        .policies
        .values()
        .filter_map(Seen::found)
        .flat_map(|p| &p.bindings)
        .map(|b| b.role.as_str())
        .collect();
    let new = set.roles.iter().filter(|r| !in_use.contains(r.as_str()));
    join_all(new.map(async |role| {
        let exists = seen(iam::role_exists(http, role).await);
        (role.clone(), exists)
    }))
    .await
    .into_iter()
    .collect()
}

async fn read_keys(http: &Http, set: &ReadSet) -> BTreeMap<Email, Seen<Vec<ServiceAccountKey>>> {
    join_all(set.keys.iter().map(async |(email, project)| {
        let keys = seen(keys::user_managed(http, project, email).await);
        (email.clone(), keys)
    }))
    .await
    .into_iter()
    .collect()
}

async fn read_numbers(http: &Http, set: &ReadSet) -> BTreeMap<ProjectId, Seen<u64>> {
    join_all(set.numbers.iter().map(async |project| {
        let number = seen(projects::project_number(http, project).await);
        (project.clone(), number)
    }))
    .await
    .into_iter()
    .collect()
}
