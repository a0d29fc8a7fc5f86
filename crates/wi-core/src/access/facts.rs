//! What was read to answer a question about access. Not asked for is not seen.

use std::collections::BTreeMap;
use std::fmt;

use crate::live::Seen;
use crate::names::{Email, ProjectId};
use crate::resource::Resource;
use crate::wire::iam::{RoleDefinition, ServiceAccount};
use crate::wire::policy::Policy;
use crate::wire::restrictions::{Boundary, DenyPolicy};

/// Policies, roles, and what is above what.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Allow policies. Of what does not exist they are absent.
    pub policies: BTreeMap<Resource, Seen<Policy>>,
    /// The project that something is in whose name does not say: a bucket, Compute Engine's default account.
    pub homes: BTreeMap<Resource, Seen<ProjectId>>,
    /// The folders and the organization above a project, the nearest first.
    pub ancestors: BTreeMap<ProjectId, Seen<Vec<Resource>>>,
    /// Project numbers.
    pub numbers: BTreeMap<ProjectId, Seen<u64>>,
    /// Roles by name.
    pub roles: BTreeMap<String, Seen<RoleDefinition>>,
    /// Google service accounts.
    pub accounts: BTreeMap<Email, Seen<ServiceAccount>>,
    /// Deny policies by the project, folder or organization that they are attached to.
    pub denies: BTreeMap<Resource, Seen<Vec<DenyPolicy>>>,
    /// Principal access boundaries by the set of principals that they are bound to
    /// (`//cloudresourcemanager.googleapis.com/projects/P`, a workload pool).
    pub boundaries: BTreeMap<String, Seen<Vec<Boundary>>>,
}

/// What an answer would need and was not seen, with why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// An allow policy.
    Policy(Resource, String),
    /// The project of a resource.
    Home(Resource, String),
    /// What is above a project.
    Ancestors(ProjectId, String),
    /// The number of a project.
    Number(ProjectId, String),
    /// What a role permits.
    Role(String, String),
    /// Whether a condition holds: its expression.
    Condition(String, String),
    /// Whether one is in a group, or in another set that nobody lists.
    Members(String),
    /// The uid of a Kubernetes service account.
    Uid(String),
    /// Deny policies of a project, a folder or the organization.
    Denies(Resource, String),
    /// Principal access boundaries of a set of principals.
    Boundaries(String, String),
}

impl Unseen {
    /// What it is: `the policy of project/acme-prod`.
    pub fn what(&self) -> String {
        match self {
            Self::Policy(resource, _) => format!("the policy of {resource}"),
            Self::Home(resource, _) => format!("the project of {resource}"),
            Self::Ancestors(project, _) => format!("what is above project/{project}"),
            Self::Number(project, _) => format!("the number of project/{project}"),
            Self::Role(role, _) => format!("what {role} permits"),
            Self::Condition(expression, _) => {
                format!("whether the condition `{expression}` holds")
            }
            Self::Members(set) => format!("who is in {set}"),
            Self::Uid(_) => "the uid of the Kubernetes service account".to_owned(),
            Self::Denies(at, _) => format!("the deny policies of {at}"),
            Self::Boundaries(of, _) => format!("the principal access boundaries of {of}"),
        }
    }

    /// Why it was not seen; `None`: nobody can.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Members(_) => None,
            Self::Policy(_, why)
            | Self::Home(_, why)
            | Self::Ancestors(_, why)
            | Self::Number(_, why)
            | Self::Role(_, why)
            | Self::Condition(_, why)
            | Self::Uid(why)
            | Self::Denies(_, why)
            | Self::Boundaries(_, why) => Some(why),
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.why() {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// What nothing was asked for is like what was refused: nothing is concluded from it.
const NOT_READ: &str = "it was not read";

/// What was seen of something.
pub(super) enum Look<'a, T> {
    Found(&'a T),
    Absent,
    Unseen(String),
}

/// What a map of facts has of something.
pub(super) fn look<'a, K: Ord, T>(facts: &'a BTreeMap<K, Seen<T>>, key: &K) -> Look<'a, T> {
    match facts.get(key) {
        Some(Seen::Found(found)) => Look::Found(found),
        Some(Seen::Absent) => Look::Absent,
        Some(Seen::Unknown(why)) => Look::Unseen(why.to_string()),
        None => Look::Unseen(NOT_READ.to_owned()),
    }
}

/// A resource and all that it inherits policies from, the nearest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Itself first.
    pub resources: Vec<Resource>,
    /// Why there may be more above.
    pub unseen: Option<Unseen>,
}

impl Facts {
    /// The resource, what it is in, the project, its folders and the organization.
    pub fn chain(&self, resource: &Resource) -> Chain {
        let mut resources = vec![resource.clone()];
        let mut last = resource.clone();
        loop {
            if let Resource::Project(project) = &last {
                let unseen = match look(&self.ancestors, project) {
                    Look::Found(above) => {
                        resources.extend(above.iter().cloned());
                        None
                    }
                    Look::Absent => None,
                    Look::Unseen(why) => Some(Unseen::Ancestors(project.clone(), why)),
                };
                return Chain { resources, unseen };
            }
            last = match last.container() {
                Some(above) => above,
                None if matches!(last.kind().short, "folder" | "organization") => {
                    // What is above a folder is not looked for: nothing is granted on one by a spec.
                    let is_top = last.kind().short == "organization";
                    let unseen = (!is_top).then(|| {
                        Unseen::Policy(last.clone(), "what is above it was not read".to_owned())
                    });
                    return Chain { resources, unseen };
                }
                None => match look(&self.homes, &last) {
                    Look::Found(project) => Resource::Project(project.clone()),
                    Look::Absent => {
                        return Chain {
                            resources,
                            unseen: None,
                        };
                    }
                    Look::Unseen(why) => {
                        return Chain {
                            resources,
                            unseen: Some(Unseen::Home(last, why)),
                        };
                    }
                },
            };
            resources.push(last.clone());
        }
    }
}
