//! Deny policies and principal access boundaries: what takes a right away whatever policies allow.

use jiff::Timestamp;

use super::answer::{Question, Reason};
use super::conditions::{attributes, truth};
use super::facts::{Chain, Facts, Look, Unseen, look};
use super::principal::{Membership, Principal, any};
use crate::cel::{Attributes, Truth};
use crate::names::Condition;
use crate::resource::Resource;
use crate::wire::restrictions::{Boundary, DenyRule};

/// What restricts, and what could not be seen of that.
#[derive(Debug, Default)]
pub(super) struct Restrictions {
    pub reasons: Vec<Reason>,
    pub unseen: Vec<Unseen>,
}

pub(super) fn restrictions(facts: &Facts, question: &Question<'_>, chain: &Chain) -> Restrictions {
    let mut found = Restrictions::default();
    // What could not be seen above may have some.
    found.unseen.extend(chain.unseen.clone());
    for place in chain.resources.iter().filter(|r| has_denies(r)) {
        match look(&facts.denies, place) {
            Look::Found(policies) => {
                for policy in policies {
                    for rule in &policy.rules {
                        match denies(&rule.deny_rule, facts, question) {
                            Membership::Yes => found.reasons.push(Reason::Deny {
                                policy: policy.name.clone(),
                                at: place.clone(),
                                rule: rule.description.clone(),
                            }),
                            Membership::Unknown(unseen) => found.unseen.push(unseen),
                            Membership::No => {}
                        }
                    }
                }
            }
            Look::Absent => {}
            Look::Unseen(why) => found.unseen.push(Unseen::Denies(place.clone(), why)),
        }
    }
    boundaries(facts, question, chain, &mut found);
    found
}

/// Whether a condition holds for a question: of a binding, or of a deny rule.
pub(super) fn condition_holds(
    facts: &Facts,
    condition: &Condition,
    question: &Question<'_>,
) -> Membership {
    let known = attributes(question.resource, question.permission, question.at, facts);
    match truth(&condition.expression, &known) {
        Truth::Yes => Membership::Yes,
        Truth::No => Membership::No,
        Truth::Unknown(why) => {
            Membership::Unknown(Unseen::Condition(condition.expression.clone(), why))
        }
    }
}

/// Whether deny policies are attached to such a resource.
pub fn has_denies(resource: &Resource) -> bool {
    resource.is_of_hierarchy()
}

fn denies(rule: &DenyRule, facts: &Facts, question: &Question<'_>) -> Membership {
    let permission = deniable(question.permission);
    let matches = |list: &[String]| list.iter().any(|p| is_pattern_of(p, &permission));
    if !matches(&rule.denied_permissions) || matches(&rule.exception_permissions) {
        return Membership::No;
    }
    let who = |list: &[String]| any(list.iter().map(|p| question.principal.is_denied(p, facts)));
    let condition = match &rule.denial_condition {
        None => Membership::Yes,
        Some(condition) => condition_holds(facts, condition, question),
    };
    let excepted = match who(&rule.exception_principals) {
        Membership::Yes => Membership::No,
        Membership::No => Membership::Yes,
        unknown => unknown,
    };
    all([who(&rule.denied_principals), excepted, condition])
}

/// The worst of several.
fn all(parts: impl IntoIterator<Item = Membership>) -> Membership {
    let mut worst = Membership::Yes;
    for part in parts {
        match part {
            Membership::No => return Membership::No,
            Membership::Unknown(_) if worst == Membership::Yes => worst = part,
            _ => {}
        }
    }
    worst
}

/// `iam.serviceAccounts.actAs` as deny policies write it: `iam.googleapis.com/serviceAccounts.actAs`.
/// <https://cloud.google.com/iam/docs/deny-permissions-support>
fn deniable(permission: &str) -> String {
    let (service, rest) = permission.split_once('.').unwrap_or((permission, ""));
    let service = match service {
        "resourcemanager" => "cloudresourcemanager",
        "bigtable" => "bigtableadmin",
        "cloudsql" => "cloudsql",
        other => other,
    };
    format!("{service}.googleapis.com/{rest}")
}

/// `SERVICE/RESOURCE.VERB`, each of which may be `*`.
fn is_pattern_of(pattern: &str, permission: &str) -> bool {
    let (Some((service, what)), Some((own_service, own))) =
        (pattern.split_once('/'), permission.split_once('/'))
    else {
        return false;
    };
    if service != own_service {
        return false;
    }
    if what == own || what == "*" {
        return true;
    }
    let (Some((kind, verb)), Some((own_kind, own_verb))) =
        (what.rsplit_once('.'), own.rsplit_once('.'))
    else {
        return false;
    };
    (kind == "*" || kind == own_kind) && (verb == "*" || verb == own_verb)
}

/// The sets of principals, bound to which a boundary means this one: its pool, and the project, folders and
/// organization that it is in.
pub fn boundary_sets(principal: &Principal, facts: &Facts) -> (Vec<String>, Option<Unseen>) {
    let (mut sets, home, mut unseen) = match principal {
        Principal::Ksa(ksa) => {
            let home = Resource::Project(ksa.project.clone());
            match ksa.pool_set(facts) {
                Ok(set) => (vec![set], home, None),
                Err(unseen) => (Vec::new(), home, Some(unseen)),
            }
        }
        Principal::Account(email) => {
            let account = Resource::ServiceAccount(email.clone());
            (Vec::new(), account, None)
        }
    };
    let chain = facts.chain(&home);
    let containers = chain.resources.iter().filter(|r| has_denies(r));
    sets.extend(containers.map(Resource::full_name));
    unseen = unseen.or(chain.unseen);
    (sets, unseen)
}

/// Bound to any boundary, a principal reaches what one of them allows, and nothing else.
fn boundaries(facts: &Facts, question: &Question<'_>, chain: &Chain, found: &mut Restrictions) {
    let (sets, unseen) = boundary_sets(question.principal, facts);
    let mut unseen: Vec<Unseen> = unseen.into_iter().collect();
    let (mut blocking, mut may_allow) = (Vec::new(), Vec::new());
    for set in sets {
        match look(&facts.boundaries, &set) {
            Look::Found(bound) => {
                for boundary in bound {
                    match blocks(boundary, question, chain) {
                        // One that lets it through is enough.
                        Blocks::Allows => return,
                        Blocks::Yes => blocking.push(boundary.name.clone()),
                        Blocks::DoesNotApply => {}
                        Blocks::MayAllow(why) => {
                            may_allow.push(Unseen::Boundaries(set.clone(), why));
                        }
                        Blocks::Unknown(why) => unseen.push(Unseen::Boundaries(set.clone(), why)),
                    }
                }
            }
            Look::Absent => {}
            Look::Unseen(why) => unseen.push(Unseen::Boundaries(set.clone(), why)),
        }
    }
    if !blocking.is_empty() {
        unseen.extend(may_allow);
    }
    // What is not seen may allow what others block, and block what nothing does.
    if unseen.is_empty() && !blocking.is_empty() {
        found.reasons.push(Reason::Boundary { policies: blocking });
    }
    found.unseen.extend(unseen);
}

enum Blocks {
    Yes,
    Allows,
    DoesNotApply,
    /// It lets it through, if it is one of this principal's, for this permission.
    MayAllow(String),
    Unknown(String),
}

fn blocks(boundary: &Boundary, question: &Question<'_>, chain: &Chain) -> Blocks {
    let applies = match &boundary.condition {
        None => Truth::Yes,
        Some(condition) => truth(
            &condition.expression,
            &of_principal(question.principal, question.at),
        ),
    };
    let mut unclear = None;
    match applies {
        Truth::No => return Blocks::DoesNotApply,
        Truth::Yes => {}
        Truth::Unknown(why) => unclear = Some(format!("a condition: {why}")),
    }
    let version = &boundary.details.enforcement_version;
    let enforced = is_enforced(version, question.permission);
    if enforced != Some(true) {
        unclear = Some(format!(
            "whether version {version} of them covers {} is not known here",
            question.permission
        ));
    }
    let allowed = boundary.details.rules.iter().any(|rule| {
        rule.effect == "ALLOW"
            && rule
                .resources
                .iter()
                .any(|r| chain.resources.iter().any(|c| c.full_name() == *r))
    });
    match (allowed, unclear) {
        (true, None) => Blocks::Allows,
        (true, Some(why)) => Blocks::MayAllow(why),
        (false, _) if enforced == Some(false) => Blocks::DoesNotApply,
        (false, None) => match &chain.unseen {
            // A folder that was not seen could be allowed.
            Some(unseen) => Blocks::Unknown(unseen.to_string()),
            None => Blocks::Yes,
        },
        (false, Some(why)) => Blocks::Unknown(why),
    }
}

fn of_principal(principal: &Principal, at: Option<Timestamp>) -> Attributes {
    let (kind, subject) = match principal {
        Principal::Ksa(ksa) => (
            "iam.googleapis.com/WorkloadPoolIdentity",
            format!("ns/{}/sa/{}", ksa.identity.namespace, ksa.identity.name),
        ),
        Principal::Account(email) => ("iam.googleapis.com/ServiceAccount", email.to_string()),
    };
    Attributes {
        time: at,
        principal_type: Some(kind.to_owned()),
        principal_subject: Some(subject),
        ..Attributes::default()
    }
}

/// What each enforcement version adds, by the beginning of a permission.
/// <https://cloud.google.com/iam/docs/pab-blocked-permissions>
const ENFORCED: [(u32, &[&str]); 3] = [
    (
        2,
        &[
            "storage.buckets.",
            "storage.objects.",
            "storage.managedFolders.",
            "storage.folders.",
            "storage.hmacKeys.",
            "bigquery.datasets.",
            "bigquery.tables.",
            "bigquery.jobs.",
            "bigquery.models.",
            "bigquery.routines.",
            "resourcemanager.",
            "monitoring.",
        ],
    ),
    (
        3,
        &[
            "iam.serviceAccountKeys.",
            "iam.roles.",
            "iam.denypolicies.",
            "pubsub.",
            "bigtable.",
            "cloudsql.",
            "spanner.",
            "artifactregistry.",
            "datastore.",
            "container.",
        ],
    ),
    (
        4,
        &["secretmanager.", "cloudkms.", "privateca.", "bigquery."],
    ),
];

/// Whether boundaries of a version can block a permission at all; `None`: not known here.
fn is_enforced(version: &str, permission: &str) -> Option<bool> {
    let version: u32 = match version {
        "" | "latest" => return None,
        version => version.parse().ok()?,
    };
    let since = ENFORCED
        .iter()
        .find(|(_, starts)| starts.iter().any(|s| permission.starts_with(s)))
        .map(|(since, _)| *since);
    match since {
        Some(since) if version >= since => Some(true),
        // The first version has some reads of all services, and the third most rights on service accounts.
        _ if version >= 1 && is_read(permission) => None,
        _ if version >= 3 && permission.starts_with("iam.serviceAccounts.") => None,
        Some(_) => Some(false),
        None if version > 4 => None,
        None => Some(false),
    }
}

fn is_read(permission: &str) -> bool {
    let verb = permission.rsplit('.').next().unwrap_or_default();
    verb.starts_with("get") || verb.starts_with("list")
}
