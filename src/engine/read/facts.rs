//! Reads what [`Need`]s name, in parallel.

use std::collections::BTreeSet;

use futures::future::join_all;
use wi_client::google::{buckets, iam, policies, projects, restrictions};
use wi_client::http::{Http, seen};
use wi_core::access::{Facts, Need};
use wi_core::live::Seen;
use wi_core::names::{Email, ProjectId, Role};
use wi_core::resource::Resource;
use wi_core::wire::iam::{RoleDefinition, ServiceAccount};
use wi_core::wire::policy::Policy;
use wi_core::wire::restrictions::{Boundary, DenyPolicy};

/// One thing that was read.
#[derive(Debug)]
pub enum Fact {
    /// The project of what does not say it.
    Home(Resource, Seen<ProjectId>),
    /// What is above a project, the nearest first.
    Ancestors(ProjectId, Seen<Vec<Resource>>),
    /// A project's number.
    Number(ProjectId, Seen<u64>),
    /// An allow policy.
    Policy(Resource, Seen<Policy>),
    /// The deny policies of a container.
    Denies(Resource, Seen<Vec<DenyPolicy>>),
    /// The boundaries of a set of principals.
    Boundaries(String, Seen<Vec<Boundary>>),
    /// A Google service account.
    Account(Email, Seen<ServiceAccount>),
    /// What a role permits.
    Role(String, Seen<RoleDefinition>),
}

/// Reads all of them.
pub async fn read(http: &Http, needs: BTreeSet<Need>) -> Vec<Fact> {
    join_all(needs.into_iter().map(|need| one(http, need))).await
}

async fn one(http: &Http, need: Need) -> Fact {
    match need {
        Need::Home(resource) => {
            let project = home(http, &resource).await;
            Fact::Home(resource, project)
        }
        Need::Ancestors(project) => {
            let above = seen(projects::ancestors(http, &project).await);
            Fact::Ancestors(project, above)
        }
        Need::Number(project) => {
            let number = seen(projects::project_number(http, &project).await);
            Fact::Number(project, number)
        }
        Need::Policy(resource) => {
            let policy = seen(policies::read(http, &resource).await);
            Fact::Policy(resource, policy)
        }
        Need::Denies(resource) => {
            let denies = match container(&resource.full_name()) {
                Some(container) => seen(restrictions::deny_policies(http, &container).await),
                None => Seen::Absent,
            };
            Fact::Denies(resource, denies)
        }
        Need::Boundaries(set) => {
            let bound = match container(&set) {
                Some(parent) => seen(restrictions::boundaries(http, &parent, &set).await),
                None => Seen::Absent,
            };
            Fact::Boundaries(set, bound)
        }
        Need::Account(email) => {
            let account = match email.project() {
                Some(project) => seen(iam::get_service_account(http, &project, &email).await),
                None => of_google(&email),
            };
            Fact::Account(email, account)
        }
        Need::Role(role) => {
            let definition = match Role::parse(&role) {
                Ok(parsed) => seen(iam::get_role(http, &parsed).await),
                Err(e) => Seen::Unknown(e.to_string().into()),
            };
            Fact::Role(role, definition)
        }
    }
}

/// The default account of Compute Engine is there unless somebody deleted it; its project is not in its name.
fn of_google(email: &Email) -> Seen<ServiceAccount> {
    match email
        .as_str()
        .ends_with("-compute@developer.gserviceaccount.com")
    {
        true => Seen::Found(ServiceAccount {
            email: email.to_string(),
            ..ServiceAccount::default()
        }),
        false => Seen::Unknown("its project is not in its name".into()),
    }
}

/// The project of a bucket, or of Compute Engine's default account.
async fn home(http: &Http, resource: &Resource) -> Seen<ProjectId> {
    let number = match resource {
        Resource::ServiceAccount(email) => {
            let number = email.as_str().split('-').next().unwrap_or_default();
            match number.parse() {
                Ok(number) => number,
                Err(_) => return Seen::Unknown("its project is not in its name".into()),
            }
        }
        _ => {
            let Some(bucket) = resource.bucket() else {
                return Seen::Unknown("its project is not in its name".into());
            };
            match buckets::home_and_uniform_access(http, bucket).await {
                Ok((number, _)) => number,
                Err(e) if e.is_not_found() => return Seen::Absent,
                Err(e) => return Seen::Unknown(e.reason()),
            }
        }
    };
    // Whoever may not see the project is not told whether it is there.
    match projects::project_id(http, number).await {
        Ok(project) => Seen::Found(project),
        Err(e) => Seen::Unknown(e.reason()),
    }
}

/// `projects/ID` of a container, or of a pool's full name.
fn container(full: &str) -> Option<String> {
    if let Some(container) = full.strip_prefix("//cloudresourcemanager.googleapis.com/") {
        return Some(container.to_owned());
    }
    let rest = full.strip_prefix("//iam.googleapis.com/projects/")?;
    Some(format!("projects/{}", rest.split('/').next()?))
}

/// Keeps what was read.
pub fn add(facts: &mut Facts, more: Vec<Fact>) {
    for fact in more {
        match fact {
            Fact::Home(key, value) => drop(facts.homes.insert(key, value)),
            Fact::Ancestors(key, value) => drop(facts.ancestors.insert(key, value)),
            Fact::Number(key, value) => drop(facts.numbers.insert(key, value)),
            Fact::Policy(key, value) => drop(facts.policies.insert(key, value)),
            Fact::Denies(key, value) => drop(facts.denies.insert(key, value)),
            Fact::Boundaries(key, value) => drop(facts.boundaries.insert(key, value)),
            Fact::Account(key, value) => drop(facts.accounts.insert(key, value)),
            Fact::Role(key, value) => drop(facts.roles.insert(key, value)),
        }
    }
}

/// Whether a need was read, whatever came of it.
pub fn has(facts: &Facts, need: &Need) -> bool {
    match need {
        Need::Home(key) => facts.homes.contains_key(key),
        Need::Ancestors(key) => facts.ancestors.contains_key(key),
        Need::Number(key) => facts.numbers.contains_key(key),
        Need::Policy(key) => facts.policies.contains_key(key),
        Need::Denies(key) => facts.denies.contains_key(key),
        Need::Boundaries(key) => facts.boundaries.contains_key(key),
        Need::Account(key) => facts.accounts.contains_key(key),
        Need::Role(key) => facts.roles.contains_key(key),
    }
}
