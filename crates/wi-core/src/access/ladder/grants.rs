//! What a principal may do on a resource: links 18 to 22, and 29.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::scopes::cover;
use super::{Asked, Fix, Link, Rung, Situation, State};
use crate::access::answer::{Answer, Question, Reason};
use crate::access::facts::{Facts, Unseen};
use crate::access::question::{ask, held};
use crate::access::{KsaPrincipal, Principal};
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::live::Seen;
use crate::names::{Email, Member};
use crate::resource::Resource;
use crate::spec::model::SourceLine;
use crate::wire::container::NodePool;

/// Whose rights are looked at.
pub(super) struct Who<'a> {
    pub principal: Principal,
    /// As users know it.
    pub name: String,
    /// How a policy names it.
    pub member: Member,
    /// Of a node's account: the pool with its scopes.
    pub node_pool: Option<&'a NodePool>,
}

impl<'a> Who<'a> {
    pub fn account(email: &Email) -> Self {
        Self {
            principal: Principal::Account(email.clone()),
            name: email.to_string(),
            member: Member::ServiceAccount(email.clone()),
            node_pool: None,
        }
    }

    pub fn node(email: &Email, node_pool: Option<&'a NodePool>) -> Self {
        Self {
            node_pool,
            ..Self::account(email)
        }
    }

    pub fn ksa(ksa: &KsaPrincipal) -> Self {
        Self {
            principal: Principal::Ksa(ksa.clone()),
            name: format!("{}/{} itself", ksa.identity.namespace, ksa.identity.name),
            member: Member::Ksa(ksa.identity.clone()),
            node_pool: None,
        }
    }
}

/// What the links of a principal's rights take.
pub(super) struct Scene<'a> {
    pub facts: &'a Facts,
    pub desired: Option<&'a Desired>,
    pub uniform: &'a BTreeMap<Resource, Seen<bool>>,
    pub asked: Option<&'a Asked>,
    pub at: Option<Timestamp>,
}

impl<'a> Scene<'a> {
    pub fn of(s: &'a Situation<'_>) -> Self {
        Self {
            facts: s.facts,
            desired: s.desired,
            uniform: &s.around.uniform,
            asked: s.asked,
            at: s.at,
        }
    }
}

/// The links of what is asked, or of all that the spec grants it.
pub(super) fn grant_links(s: &Scene<'_>, who: &Who<'_>) -> (Vec<Link>, Option<Answer>) {
    let Some(asked) = s.asked else {
        return (of_spec(s, who), None);
    };
    let Some(permission) = &asked.permission else {
        return (any_role(s, who, &asked.resource), None);
    };
    let question = Question {
        principal: &who.principal,
        permission,
        resource: &asked.resource,
        at: s.at,
    };
    let answer = ask(s.facts, &question);
    let mut links = Vec::new();
    let what = format!("{permission} on {}", asked.resource);
    match &answer {
        Answer::Allowed { by, unless } => {
            let title = format!("{} has {what}: {}", who.name, by[0]);
            let source = source(s, who, &asked.resource);
            links.push(Link::new(Rung::Grant, State::Holds, title).source(source.as_ref()));
            links.extend(unless.iter().map(restricted));
        }
        Answer::Unknown { because } => {
            let rung = rung_of(because);
            // Groups are never seen: that is no fault of whoever looks.
            let only_sets = because.iter().all(|u| matches!(u, Unseen::Members(_)));
            let title = match only_sets {
                true => format!("{} has {what} only if it is in a group that has", who.name),
                false => format!("whether {} has {what} could not be seen", who.name),
            };
            let mut link = Link::new(rung, State::Unseen, title);
            link.detail = because.iter().map(ToString::to_string).collect();
            links.push(link);
        }
        Answer::Denied { first, also } => {
            for reason in std::iter::once(first).chain(also) {
                links.push(denied(s, who, reason, permission, &asked.resource));
            }
        }
    }
    links.extend(service_link(s, who, permission, &asked.resource));
    let answer = links_of_scopes(who, permission, answer, &mut links);
    (links, Some(answer))
}

/// Where what could not be seen belongs.
fn rung_of(because: &[Unseen]) -> Rung {
    match because {
        [] => Rung::Grant,
        all if all.iter().all(|u| matches!(u, Unseen::Condition(..))) => Rung::Condition,
        all if all.iter().all(|u| matches!(u, Unseen::Role(..))) => Rung::Role,
        _ => Rung::Grant,
    }
}

/// Tokens of a node are good for what its scopes cover.
fn links_of_scopes(
    who: &Who<'_>,
    permission: &str,
    answer: Answer,
    links: &mut Vec<Link>,
) -> Answer {
    let Some(pool) = who.node_pool else {
        return answer;
    };
    match cover(&pool.config.oauth_scopes, permission) {
        Some(true) => answer,
        Some(false) => {
            links.push(Link::new(
                Rung::NodePool,
                State::Broken,
                format!(
                    "the scopes of pool {} do not cover {permission}: ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                    pool.name
                ),
            ));
            match answer {
                Answer::Denied { .. } => answer,
                _ => Answer::Denied {
                    first: Reason::NoGrant,
                    also: Vec::new(),
                },
            }
        }
        None => {
            links.push(Link::new(
                Rung::NodePool,
                State::Unseen,
                format!(
                    "whether the scopes of pool {} cover {permission} depends on the call",
                    pool.name
                ),
            ));
            match answer {
                Answer::Denied { .. } => answer,
                _ => Answer::Unknown {
                    because: vec![Unseen::Members(format!("the scopes of pool {}", pool.name))],
                },
            }
        }
    }
}

/// Deny policies or boundaries that were not seen: they may take away what is granted.
pub(super) fn restricted(unseen: &Unseen) -> Link {
    let rung = match unseen {
        Unseen::Boundaries(..) => Rung::Boundary,
        _ => Rung::Deny,
    };
    Link::new(
        rung,
        State::Unseen,
        format!("what may deny it could not be seen: {unseen}"),
    )
}

/// 21 and 22.
pub(super) fn denied_link(reason: &Reason, what: &str) -> Link {
    match reason {
        Reason::Deny { policy, at, rule } => {
            let mut link = Link::new(
                Rung::Deny,
                State::Broken,
                format!("a deny policy on {at} denies {what}"),
            );
            link.detail.push(policy.clone());
            if !rule.is_empty() {
                link.detail.push(rule.clone());
            }
            link.fix(Fix::Say(
                "an exception in the deny policy, from whoever owns it".to_owned(),
            ))
        }
        Reason::Boundary { policies } => {
            let mut link = Link::new(
                Rung::Boundary,
                State::Broken,
                format!("principal access boundaries do not let it reach {what}"),
            );
            link.detail = policies.clone();
            link.fix(Fix::Say(
                "a rule of the boundary for the resource's project, from whoever owns it"
                    .to_owned(),
            ))
        }
        _ => Link::new(Rung::Grant, State::Broken, format!("it may not do {what}")),
    }
}

fn denied(
    s: &Scene<'_>,
    who: &Who<'_>,
    reason: &Reason,
    permission: &str,
    resource: &Resource,
) -> Link {
    let name = &who.name;
    let what = format!("{permission} on {resource}");
    let broken = |rung, title: String| {
        Link::new(rung, State::Broken, title)
            .fix(grant_fix(s, who, permission, resource))
            .source(source(s, who, resource).as_ref())
    };
    match reason {
        Reason::Deny { .. } | Reason::Boundary { .. } => denied_link(reason, &what),
        Reason::NoResource(resource) => Link::new(
            Rung::Grant,
            State::Broken,
            format!("there is no {resource}"),
        ),
        Reason::NoGrant => broken(
            Rung::Grant,
            format!("{name} has no role on {resource}, nor on anything above it"),
        ),
        Reason::RoleLacks(grants) => {
            let mut link = broken(Rung::Role, format!("no role of {name} has {permission}"));
            link.detail = grants.iter().map(|g| format!("it has {g}")).collect();
            link
        }
        Reason::Condition(grants) => {
            let title = format!("{name} has {what} under a condition that does not hold");
            let mut link = broken(Rung::Condition, title);
            link.detail
                .extend(grants.iter().map(|g| g.with_condition()));
            link
        }
    }
}

/// Grants of the spec to somebody, on a resource or what it is in.
fn declared<'a>(
    s: &'a Scene<'_>,
    who: &'a Who<'_>,
    resource: &'a Resource,
) -> impl Iterator<Item = (&'a BindingKey, &'a SourceLine)> {
    let chain = s.facts.chain(resource).resources;
    let all = s.desired.into_iter().flat_map(|d| &d.bindings);
    all.filter(move |(key, _)| key.member == who.member && chain.contains(&key.resource))
}

fn source(s: &Scene<'_>, who: &Who<'_>, resource: &Resource) -> Option<SourceLine> {
    let first = declared(s, who, resource).next();
    first.map(|(_, place)| place.clone())
}

/// What gives the permission: a grant that the spec has and the live state has not, or lines for the spec.
fn grant_fix(s: &Scene<'_>, who: &Who<'_>, permission: &str, resource: &Resource) -> Option<Fix> {
    if who.node_pool.is_some() {
        return None;
    }
    let gives = |role: &str| {
        let definition = s.facts.roles.get(role).and_then(Seen::found);
        definition.is_none_or(|r| r.gives(permission))
    };
    let missing: BTreeSet<_> = declared(s, who, resource)
        .filter(|(key, _)| gives(key.role.as_str()) && !is_live(s.facts, key, &who.principal))
        .filter_map(|(key, _)| Some(s.desired?.binding_address(key)))
        .collect();
    if !missing.is_empty() {
        return Some(Fix::Apply(missing.into_iter().collect()));
    }
    let role = smallest(s.facts, permission);
    let role = role.unwrap_or_else(|| format!("a role with {permission}"));
    Some(Fix::Spec(vec![
        "grants:".to_owned(),
        format!("  - {{ role: {role}, resource: {resource} }}"),
    ]))
}

/// Whether a grant of the spec is in the policy that was read.
fn is_live(facts: &Facts, key: &BindingKey, principal: &Principal) -> bool {
    let policy = facts.policies.get(&key.resource).and_then(Seen::found);
    policy.into_iter().flat_map(|p| &p.bindings).any(|b| {
        b.role == key.role.as_str()
            && b.condition == key.condition
            && b.members
                .iter()
                .any(|m| principal.is(m, facts) == crate::access::Membership::Yes)
    })
}

/// Of the predefined roles that were read, the one with the permission that gives least.
fn smallest(facts: &Facts, permission: &str) -> Option<String> {
    let roles = facts.roles.values().filter_map(Seen::found);
    roles
        .filter(|r| r.name.starts_with("roles/") && r.gives(permission))
        .min_by_key(|r| (r.included_permissions.len(), r.name.clone()))
        .map(|r| r.name.clone())
}

/// Without a question: each grant that the spec has for it.
fn of_spec(s: &Scene<'_>, who: &Who<'_>) -> Vec<Link> {
    let Some(desired) = s.desired else {
        return Vec::new();
    };
    let own = desired
        .bindings
        .iter()
        .filter(|(key, _)| key.member == who.member && !key.is_impersonation());
    own.map(|(key, place)| {
        let what = format!("{} on {}", key.role, key.resource);
        let link = match s.facts.policies.get(&key.resource) {
            Some(Seen::Found(_)) if is_live(s.facts, key, &who.principal) => {
                Link::new(Rung::Grant, State::Holds, what)
            }
            Some(Seen::Found(_)) => {
                let fix = Fix::Apply(vec![desired.binding_address(key)]);
                Link::new(Rung::Grant, State::Broken, format!("{what} is not granted")).fix(fix)
            }
            Some(Seen::Absent) => {
                let title = format!("there is no {}", key.resource);
                Link::new(Rung::Grant, State::Broken, title)
            }
            Some(Seen::Unknown(why)) => {
                Link::unseen(Rung::Grant, &format!("the policy of {}", key.resource), why)
            }
            None => Link::unseen(Rung::Grant, &what, "it was not read"),
        };
        link.source(Some(place))
    })
    .collect()
}

/// Without a permission: whether it has any role there.
fn any_role(s: &Scene<'_>, who: &Who<'_>, resource: &Resource) -> Vec<Link> {
    let (grants, unseen) = held(s.facts, &who.principal, resource, s.at);
    let mut links = Vec::new();
    if let Some(Seen::Absent) = s.facts.policies.get(resource) {
        let title = format!("there is no {resource}");
        return vec![Link::new(Rung::Grant, State::Broken, title)];
    }
    let ended = |holds: &Option<bool>| *holds == Some(false);
    for (grant, holds) in &grants {
        let (rung, state, title) = match holds {
            Some(true) => (
                Rung::Grant,
                State::Holds,
                format!("{} has {grant}", who.name),
            ),
            Some(false) => (
                Rung::Condition,
                State::Doubtful,
                format!("the condition of {grant} does not hold"),
            ),
            None => (
                Rung::Condition,
                State::Unseen,
                format!("whether the condition of {grant} holds could not be told"),
            ),
        };
        links.push(Link::new(rung, state, title));
    }
    if grants.iter().any(|(_, holds)| *holds == Some(true)) {
        return links;
    }
    if !unseen.is_empty() {
        let title = format!(
            "whether {} has a role on {resource} could not be seen",
            who.name
        );
        let mut link = Link::new(Rung::Grant, State::Unseen, title);
        link.detail = unseen.iter().map(ToString::to_string).collect();
        links.push(link);
    } else if grants.is_empty() {
        let title = format!(
            "{} has no role on {resource}, nor on anything above it",
            who.name
        );
        links.push(
            Link::new(Rung::Grant, State::Broken, title)
                .fix(missing_fix(s, who, resource))
                .source(source(s, who, resource).as_ref()),
        );
    } else if grants.iter().all(|(_, holds)| ended(holds)) {
        for link in &mut links {
            link.state = State::Broken;
        }
    }
    links
}

fn missing_fix(s: &Scene<'_>, who: &Who<'_>, resource: &Resource) -> Option<Fix> {
    let desired = s.desired?;
    let missing: Vec<_> = declared(s, who, resource)
        .filter(|(key, _)| !is_live(s.facts, key, &who.principal))
        .map(|(key, _)| desired.binding_address(key))
        .collect();
    (!missing.is_empty()).then_some(Fix::Apply(missing))
}

/// Permissions of services that take no federated identity, or not for this.
/// <https://cloud.google.com/iam/docs/federated-identity-supported-services>
const UNSUPPORTED: [(&str, &str); 12] = [
    ("appengine.", "App Engine"),
    ("cloudprofiler.", "Cloud Profiler"),
    ("deploymentmanager.", "Deployment Manager"),
    ("source.", "Cloud Source Repositories"),
    ("servicemanagement.", "Cloud Endpoints"),
    ("looker.", "Looker (core)"),
    ("enterpriseknowledgegraph.", "Enterprise Knowledge Graph"),
    (
        "run.routes.invoke",
        "Cloud Run, which takes ID tokens of Google service accounts",
    ),
    (
        "run.jobs.run",
        "Cloud Run, which takes ID tokens of Google service accounts",
    ),
    (
        "cloudfunctions.functions.invoke",
        "Cloud Run functions, which take ID tokens of Google service accounts",
    ),
    ("pubsublite.", "Pub/Sub Lite"),
    (
        "cloudsql.instances.login",
        "the database login of Cloud SQL",
    ),
];

/// The service of a permission, if it takes no federated identity for it.
pub fn no_federated(permission: &str) -> Option<&'static str> {
    let mut all = UNSUPPORTED.iter();
    let found = all.find(|(start, _)| permission.starts_with(start));
    found.map(|(_, service)| *service)
}

/// 29.
fn service_link(
    s: &Scene<'_>,
    who: &Who<'_>,
    permission: &str,
    resource: &Resource,
) -> Option<Link> {
    if !matches!(who.principal, Principal::Ksa(_)) {
        return None;
    }
    let fix =
        Fix::Say("let it act as a Google service account: impersonates, in the spec".to_owned());
    if let Some(service) = no_federated(permission) {
        let title = format!("{service}: no federated identity is taken");
        return Some(Link::new(Rung::Service, State::Broken, title).fix(fix));
    }
    if resource.bucket().is_none() || !permission.starts_with("storage.") {
        return None;
    }
    match s.uniform.get(resource) {
        Some(Seen::Found(false)) => Some(
            Link::new(
                Rung::Service,
                State::Broken,
                format!("{resource} has no uniform bucket-level access: Cloud Storage takes no federated identity there"),
            )
            .fix(fix),
        ),
        _ => None,
    }
}
