//! What is to be read for an answer, and was not yet: asked again after each round of reading, since what is
//! above a resource is known only then.

use std::collections::BTreeSet;

use super::facts::{Facts, Unseen};
use super::principal::Principal;
use super::question::roles_held;
use super::restrictions::{boundary_sets, has_denies};
use crate::live::Seen;
use crate::names::{Email, ProjectId};
use crate::resource::Resource;

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The project that a resource is in.
    Home(Resource),
    /// What is above a project.
    Ancestors(ProjectId),
    /// The number of a project.
    Number(ProjectId),
    /// An allow policy.
    Policy(Resource),
    /// Deny policies of a project, a folder or an organization.
    Denies(Resource),
    /// The boundaries of a set of principals.
    Boundaries(String),
    /// A Google service account.
    Account(Email),
    /// What a role permits.
    Role(String),
}

/// A question to come: somebody, on something.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Who.
    pub principal: Principal,
    /// On what.
    pub resource: Resource,
}

/// What these questions take that was not read yet.
pub fn needs(facts: &Facts, topics: &[Topic]) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    for Topic {
        principal,
        resource,
    } in topics
    {
        match principal {
            Principal::Ksa(ksa) => {
                needs.insert(Need::Number(ksa.project.clone()));
            }
            Principal::Account(email) => {
                needs.insert(Need::Account(email.clone()));
                // Which container's sets it is in, and which boundaries are bound to those.
                above(facts, &Resource::ServiceAccount(email.clone()), &mut needs);
            }
        }
        let chain = facts.chain(resource);
        above(facts, resource, &mut needs);
        if let Principal::Ksa(ksa) = principal {
            above(facts, &Resource::Project(ksa.project.clone()), &mut needs);
        }
        needs.extend(chain.resources.iter().cloned().map(Need::Policy));
        let containers = chain.resources.iter().filter(|r| has_denies(r));
        needs.extend(containers.cloned().map(Need::Denies));
        let (sets, _) = boundary_sets(principal, facts);
        needs.extend(sets.into_iter().map(Need::Boundaries));
        for on in &chain.resources {
            let bindings = facts.policies.get(on).and_then(Seen::found);
            let bindings = bindings.into_iter().flat_map(|p| &p.bindings);
            for binding in bindings {
                // Conditions on secrets name the project by its number.
                if binding.condition.is_some()
                    && let Some(project) = project_of(&chain.resources)
                {
                    needs.insert(Need::Number(project.clone()));
                }
                for member in &binding.members {
                    needs.extend(of_member(member));
                }
            }
        }
        let roles = roles_held(facts, principal, resource);
        needs.extend(roles.into_iter().map(Need::Role));
    }
    needs.retain(|need| !is_read(facts, need));
    // What a role permits is asked last: whether one has it may yet be told.
    if needs.iter().any(|n| !matches!(n, Need::Role(_))) {
        needs.retain(|n| !matches!(n, Need::Role(_)));
    }
    needs
}

/// What tells what is above a resource.
fn above(facts: &Facts, resource: &Resource, needs: &mut BTreeSet<Need>) {
    match facts.chain(resource).unseen {
        Some(Unseen::Home(resource, _)) => {
            needs.insert(Need::Home(resource));
        }
        Some(Unseen::Ancestors(project, _)) => {
            needs.insert(Need::Ancestors(project));
        }
        _ => {}
    }
}

fn project_of(chain: &[Resource]) -> Option<&ProjectId> {
    chain.iter().find_map(|r| match r {
        Resource::Project(project) => Some(project),
        _ => None,
    })
}

/// Members that stand for others: for who has a basic role, for the accounts of a project.
fn of_member(member: &str) -> Option<Need> {
    let basic = ["projectOwner:", "projectEditor:", "projectViewer:"];
    let project = basic.iter().find_map(|b| member.strip_prefix(b))?;
    let project = project.parse().ok()?;
    Some(Need::Policy(Resource::Project(project)))
}

fn is_read(facts: &Facts, need: &Need) -> bool {
    match need {
        Need::Home(resource) => facts.homes.contains_key(resource),
        Need::Ancestors(project) => facts.ancestors.contains_key(project),
        Need::Number(project) => facts.numbers.contains_key(project),
        Need::Policy(resource) => facts.policies.contains_key(resource),
        Need::Denies(resource) => facts.denies.contains_key(resource),
        Need::Boundaries(set) => facts.boundaries.contains_key(set),
        Need::Account(email) => facts.accounts.contains_key(email),
        Need::Role(role) => facts.roles.contains_key(role),
    }
}
