//! Which members of policies a principal is, in three values.
//! <https://cloud.google.com/iam/docs/principal-identifiers>

use super::facts::{Facts, Look, Unseen, look};
use crate::live::Seen;
use crate::names::{ClusterPath, Email, KsaIdentity, ProjectId};
use crate::resource::Resource;

/// Who calls.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A Kubernetes service account itself, with a federated token.
    Ksa(KsaPrincipal),
    /// A Google service account.
    Account(Email),
}

/// A Kubernetes service account of one cluster.
#[derive(Debug, Clone)]
pub struct KsaPrincipal {
    /// Whom IAM takes it for.
    pub identity: KsaIdentity,
    /// The project of its pool.
    pub project: ProjectId,
    /// Its cluster.
    pub cluster: ClusterPath,
    /// Its uid in that cluster.
    pub uid: Seen<String>,
}

/// Whether a principal is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// That could not be told.
    Unknown(Unseen),
}

impl Membership {
    fn of(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

/// The legacy basic roles, and the members that stand for who has them on a project.
const CONVENIENCE: [(&str, &str); 3] = [
    ("projectOwner:", "roles/owner"),
    ("projectEditor:", "roles/editor"),
    ("projectViewer:", "roles/viewer"),
];

impl Principal {
    /// Whether a member of an allow policy, as it is written there, is this principal or has it in it.
    pub fn is(&self, member: &str, facts: &Facts) -> Membership {
        for (prefix, role) in CONVENIENCE {
            if let Some(project) = member.strip_prefix(prefix) {
                return self.has_basic_role(project, role, facts);
            }
        }
        self.is_plainly(member, facts)
    }

    /// As [`Self::is`], but for the members that stand for who has a basic role.
    fn is_plainly(&self, member: &str, facts: &Facts) -> Membership {
        match (member, self) {
            ("allUsers", _) | ("allAuthenticatedUsers", Self::Account(_)) => Membership::Yes,
            // Google says that federated identities are not in it, and not whether those of GKE's own pools are.
            ("allAuthenticatedUsers", Self::Ksa(_)) => {
                Membership::Unknown(Unseen::Members(member.to_owned()))
            }
            _ if member.starts_with("group:") => {
                Membership::Unknown(Unseen::Members(member.to_owned()))
            }
            (_, Self::Account(email)) => match member.strip_prefix("serviceAccount:") {
                Some(other) => Membership::of(other.eq_ignore_ascii_case(email.as_str())),
                None => self.is_in_container(member, facts),
            },
            (_, Self::Ksa(ksa)) => ksa.is(member, facts),
        }
    }

    /// Whether a principal of a deny policy is this one or has it in it.
    /// <https://cloud.google.com/iam/docs/deny-overview#deny-policy-principals>
    pub fn is_denied(&self, principal: &str, facts: &Facts) -> Membership {
        if principal == "principalSet://goog/public:all" {
            return Membership::Yes;
        }
        let sets = [
            "principalSet://goog/group/",
            "principalSet://goog/cloudIdentityCustomerId/",
        ];
        if sets.iter().any(|set| principal.starts_with(set)) {
            return Membership::Unknown(Unseen::Members(principal.to_owned()));
        }
        let account =
            principal.strip_prefix("principal://iam.googleapis.com/projects/-/serviceAccounts/");
        match (account, self) {
            (Some(other), Self::Account(email)) => {
                Membership::of(other.eq_ignore_ascii_case(email.as_str()))
            }
            (Some(_), Self::Ksa(_)) => Membership::No,
            (None, Self::Account(_)) => self.is_in_container(principal, facts),
            (None, Self::Ksa(ksa)) => ksa.is(principal, facts),
        }
    }

    /// `principalSet://cloudresourcemanager.googleapis.com/{projects|folders|organizations}/N/type/ServiceAccount`.
    fn is_in_container(&self, member: &str, facts: &Facts) -> Membership {
        let set = "principalSet://cloudresourcemanager.googleapis.com/";
        let Some(set) = member.strip_prefix(set) else {
            return Membership::No;
        };
        let Self::Account(email) = self else {
            return Membership::No;
        };
        let Some(container) = set.strip_suffix("/type/ServiceAccount") else {
            return match set.contains("/type/") {
                true => Membership::No,
                false => Membership::Unknown(Unseen::Members(member.to_owned())),
            };
        };
        let account = Resource::ServiceAccount(email.clone());
        let chain = facts.chain(&account);
        let mut unclear = None;
        for resource in &chain.resources {
            match resource {
                Resource::Project(project) => match look(&facts.numbers, project) {
                    Look::Found(number) if container == format!("projects/{number}") => {
                        return Membership::Yes;
                    }
                    Look::Unseen(why) if container.starts_with("projects/") => {
                        unclear = Some(Unseen::Number(project.clone(), why));
                    }
                    _ => {}
                },
                Resource::Named(named) => {
                    let name = named.names.first().map(String::as_str).unwrap_or_default();
                    if container == format!("{}s/{name}", named.kind.short) {
                        return Membership::Yes;
                    }
                }
                Resource::ServiceAccount(_) => {}
            }
        }
        let above = chain.unseen.filter(|_| {
            let is_project = container.starts_with("projects/");
            !is_project || chain.resources.len() == 1
        });
        match unclear.or(above) {
            Some(unseen) => Membership::Unknown(unseen),
            None => Membership::No,
        }
    }

    /// Whether it has one of the legacy basic roles by a project's own policy.
    fn has_basic_role(&self, project: &str, role: &str, facts: &Facts) -> Membership {
        let Ok(project) = ProjectId::parse(project) else {
            return Membership::No;
        };
        let resource = Resource::Project(project);
        let policy = match look(&facts.policies, &resource) {
            Look::Found(policy) => policy,
            Look::Absent => return Membership::No,
            Look::Unseen(why) => return Membership::Unknown(Unseen::Policy(resource, why)),
        };
        let holders = policy.bindings.iter().filter(|b| b.role == role);
        any(holders
            .flat_map(|b| &b.members)
            .map(|member| self.is_plainly(member, facts)))
    }
}

/// The best of several.
pub(super) fn any(memberships: impl Iterator<Item = Membership>) -> Membership {
    let mut best = Membership::No;
    for membership in memberships {
        match membership {
            Membership::Yes => return Membership::Yes,
            Membership::Unknown(_) if best == Membership::No => best = membership,
            _ => {}
        }
    }
    best
}

impl KsaPrincipal {
    fn is(&self, member: &str, facts: &Facts) -> Membership {
        if member.starts_with("serviceAccount:") {
            return Membership::of(member == self.identity.legacy_member());
        }
        let Some((scheme, rest)) = member.split_once("://iam.googleapis.com/projects/") else {
            return Membership::No;
        };
        let in_pool = format!(
            "/locations/global/workloadIdentityPools/{}/",
            self.identity.pool
        );
        let Some((number, which)) = rest.split_once(in_pool.as_str()) else {
            return Membership::No;
        };
        let of_pool = match look(&facts.numbers, &self.project) {
            Look::Found(own) => Membership::of(own.to_string() == number),
            Look::Absent => Membership::No,
            // An id where the number belongs is nobody, whatever the number is.
            Look::Unseen(_) if !number.bytes().all(|b| b.is_ascii_digit()) => Membership::No,
            Look::Unseen(why) => Membership::Unknown(Unseen::Number(self.project.clone(), why)),
        };
        match (of_pool, self.is_in_pool(scheme, which)) {
            (Membership::No, _) | (_, Membership::No) => Membership::No,
            (Membership::Yes, inside) => inside,
            (unknown, _) => unknown,
        }
    }

    /// The subject itself, and the sets of the pool: all, of a namespace, of a cluster, by uid.
    fn is_in_pool(&self, scheme: &str, which: &str) -> Membership {
        let KsaIdentity {
            namespace, name, ..
        } = &self.identity;
        // Documentation writes the account by its uid either way.
        if let Some(uid) = which.strip_prefix("kubernetes.serviceaccount.uid/") {
            return match &self.uid {
                Seen::Found(own) => Membership::of(!own.is_empty() && own == uid),
                Seen::Absent => Membership::No,
                Seen::Unknown(why) => Membership::Unknown(Unseen::Uid(why.to_string())),
            };
        }
        Membership::of(match scheme {
            "principal" => which == format!("subject/ns/{namespace}/sa/{name}"),
            "principalSet" => {
                which == "*"
                    || which.strip_prefix("namespace/") == Some(namespace)
                    || which.strip_prefix("kubernetes.cluster/")
                        == Some(&super::members::cluster_url(&self.cluster))
            }
            _ => false,
        })
    }

    /// The set of all of its pool, as bindings of principal access boundaries name it.
    pub fn pool_set(&self, facts: &Facts) -> Result<String, Unseen> {
        match look(&facts.numbers, &self.project) {
            Look::Found(number) => Ok(format!(
                "//iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{}",
                self.identity.pool
            )),
            Look::Absent => Err(Unseen::Number(
                self.project.clone(),
                "no such project".to_owned(),
            )),
            Look::Unseen(why) => Err(Unseen::Number(self.project.clone(), why)),
        }
    }
}
