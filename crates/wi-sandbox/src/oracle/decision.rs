//! What an identity may do: policies, deny policies, boundaries and conditions.

use std::collections::BTreeSet;

use super::containers::{above, full_name, is_in};
use super::members::{boundary_sets, denied_as, members, who};
use crate::access::{Granted, Token};
use crate::clock;
use crate::gke::cluster::Cluster;
use crate::kube::PodState;
use crate::restrictions;
use crate::roles;
use crate::state::{State, email};
use crate::world::{Binding, Condition, Policy};

/// Whether one call would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `None`: it depends on what is not simulated.
    pub allowed: Option<bool>,
    /// What decides: `grant`, `role`, `condition`, `deny` or `boundary`; what keeps the pod from its
    /// identity otherwise.
    pub link: &'static str,
    /// In words.
    pub why: String,
}

/// The roles that come with a token.
pub(crate) fn roles_of(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    token: &Token,
) -> BTreeSet<Granted> {
    granted(state, &members(state, cluster, who(pod), token))
}

/// All roles of these members, on all resources.
pub(super) fn granted(state: &State, members: &BTreeSet<String>) -> BTreeSet<Granted> {
    policies(state)
        .flat_map(|(resource, policy)| in_policy(state, policy, &resource, members))
        .collect()
}

/// The roles of these members that hold on a resource: by its own policy, and by those of all that it is in.
pub(super) fn granted_on(
    state: &State,
    members: &BTreeSet<String>,
    resource: &str,
) -> BTreeSet<Granted> {
    let above = above(state, resource);
    policies(state)
        .filter(|(name, _)| name == resource || above.contains(name) || is_in(resource, name))
        .flat_map(|(name, policy)| in_policy(state, policy, &name, members))
        .collect()
}

/// Whether whoever goes by these members may do this.
/// `cluster`: where the caller comes from, unless it is an account.
pub(super) fn decide(
    state: &State,
    cluster: Option<&Cluster>,
    members: &BTreeSet<String>,
    permission: &str,
    resource: &str,
) -> Decision {
    let told = |allowed, link, why: String| Decision { allowed, link, why };
    let containers = above(state, resource);
    let short = |name: &String| match name.strip_prefix("//cloudresourcemanager.googleapis.com/") {
        Some(container) => container.replacen("s/", "/", 1),
        None => name.clone(),
    };
    let attached: BTreeSet<String> = containers.iter().map(short).collect();
    let denied = restrictions::is_denied(state, &denied_as(members), &attached, permission);
    if denied == Some(true) {
        return told(
            Some(false),
            "deny",
            format!("a deny policy denies {permission}"),
        );
    }
    let full: BTreeSet<String> = attached.iter().map(|c| full_name(c)).collect();
    let sets = boundary_sets(state, cluster, members);
    let bounded = restrictions::is_bounded(state, &sets, &full, permission);
    if bounded == Some(true) {
        let why = "a principal access boundary does not let it reach the resource".to_owned();
        return told(Some(false), "boundary", why);
    }
    let roles = granted_on(state, members, resource);
    let permits = |g: &&Granted| roles::permits(&state.world, &g.role, permission);
    let sure = roles
        .iter()
        .find(|g| g.only_if.is_none() && permits(g) == Some(true));
    if let Some(by) = sure {
        let certain = denied == Some(false) && bounded == Some(false);
        let why = format!("{} on {}", by.role, by.resource);
        return told(certain.then_some(true), "grant", why);
    }
    if let Some(perhaps) = roles.iter().find(|g| permits(g) != Some(false)) {
        let why = format!("{} on {}, perhaps", perhaps.role, perhaps.resource);
        return told(None, "grant", why);
    }
    // Those whose conditions no longer hold.
    let ever = granted_ever(state, members, resource);
    if let Some(ended) = ever.iter().find(|g| permits(g) == Some(true)) {
        let why = format!(
            "the condition of {} on {} does not hold",
            ended.role, ended.resource
        );
        return told(Some(false), "condition", why);
    }
    let who = "it";
    let link = if ever.is_empty() { "grant" } else { "role" };
    let has: Vec<&str> = ever.iter().map(|g| g.role.as_str()).collect();
    let has = match has.is_empty() {
        true => "no role".to_owned(),
        false => format!("only {}", has.join(", ")),
    };
    let why = format!("{who} has {has} on {resource}, and none permits {permission}");
    told(Some(false), link, why)
}

/// As [`granted_on`], whatever conditions say.
fn granted_ever(state: &State, members: &BTreeSet<String>, resource: &str) -> BTreeSet<Granted> {
    let above = above(state, resource);
    policies(state)
        .filter(|(name, _)| name == resource || above.contains(name) || is_in(resource, name))
        .flat_map(|(name, policy)| {
            let held = policy.bindings.iter();
            let held = held.filter(|b| b.members.iter().any(|m| members.contains(m)));
            let held = held.filter(|b| !only_as_authenticated(b, members));
            held.map(move |b| Granted {
                resource: name.clone(),
                role: b.role.clone(),
                only_if: None,
            })
        })
        .collect()
}

pub(super) fn policies(state: &State) -> impl Iterator<Item = (String, &Policy)> {
    let projects = state.world.projects.iter().flat_map(|(id, project)| {
        let accounts = project
            .service_accounts
            .iter()
            .map(move |(account, a)| (format!("serviceaccount/{}", email(id, account)), &a.policy));
        accounts.chain(std::iter::once((format!("project/{id}"), &project.policy)))
    });
    let buckets = state.world.buckets.iter().filter_map(|(name, bucket)| {
        let policy = bucket.policy.as_ref()?;
        Some((format!("bucket/{name}"), policy))
    });
    let others = state.world.resources.iter();
    projects
        .chain(buckets)
        .chain(others.map(|(name, resource)| (name.clone(), &resource.policy)))
}

pub(super) fn in_policy(
    state: &State,
    policy: &Policy,
    resource: &str,
    members: &BTreeSet<String>,
) -> Vec<Granted> {
    policy
        .bindings
        .iter()
        .filter(|binding| binding.members.iter().any(|m| members.contains(m)))
        .filter_map(|binding| {
            let held = match &binding.condition {
                None => Some(true),
                Some(condition) => holds(state, condition),
            };
            let only_if = match (held, &binding.condition) {
                (Some(false), _) => return None,
                (None, Some(condition)) => Some(condition.expression.clone()),
                _ => only_as_authenticated(binding, members).then(|| AUTHENTICATED.to_owned()),
            };
            Some(Granted {
                resource: resource.to_owned(),
                role: binding.role.clone(),
                only_if,
            })
        })
        .collect()
}

/// Google does not say whether a federated identity is among `allAuthenticatedUsers`.
const AUTHENTICATED: &str = "allAuthenticatedUsers has the federated identity in it";

fn only_as_authenticated(binding: &Binding, members: &BTreeSet<String>) -> bool {
    let is_federated = members.iter().any(|m| m.starts_with("principal://iam."));
    let mut by = binding.members.iter().filter(|m| members.contains(*m));
    is_federated && by.all(|m| m == "allAuthenticatedUsers")
}

/// Whether a condition holds now; `None` for all but a bound on the time.
pub(super) fn holds(state: &State, condition: &Condition) -> Option<bool> {
    let rest = condition.expression.trim().strip_prefix("request.time")?;
    let rest = rest.trim_start();
    let (before, rest) = match rest.strip_prefix('<') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('>')?),
    };
    let bound = rest
        .trim_start_matches('=')
        .trim()
        .strip_prefix("timestamp(")?
        .strip_suffix(')')?
        .trim_matches(['"', '\'']);
    let bound = clock::parse(bound)?;
    Some(before == (state.clock.now() < bound))
}
