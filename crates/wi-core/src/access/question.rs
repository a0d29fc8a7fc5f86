//! May this principal do that, there, then: the answer, with what it rests on.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::answer::{Answer, Grant, Question, Reason};
use super::facts::{Chain, Facts, Look, Unseen, look};
use super::principal::{Membership, Principal, any};
use super::restrictions::{condition_holds, restrictions};
use crate::resource::Resource;
use crate::wire::policy::Binding;

/// Answers a question by what was read.
pub fn ask(facts: &Facts, question: &Question<'_>) -> Answer {
    let chain = facts.chain(question.resource);
    let allowed = allow(facts, question, &chain);
    let restricted = restrictions(facts, question, &chain);
    let mut reasons = restricted.reasons.into_iter();
    if let Some(first) = reasons.next() {
        let mut also: Vec<Reason> = reasons.collect();
        if let Allow::No(reason) = allowed {
            also.push(reason);
        }
        return Answer::Denied { first, also };
    }
    match allowed {
        Allow::Yes(by) => Answer::Allowed {
            by,
            unless: sorted(restricted.unseen),
        },
        Allow::No(first) => Answer::Denied {
            first,
            also: Vec::new(),
        },
        Allow::Unknown(because) => Answer::Unknown {
            because: sorted(because),
        },
    }
}

fn sorted(mut unseen: Vec<Unseen>) -> Vec<Unseen> {
    unseen.sort();
    unseen.dedup();
    unseen
}

enum Allow {
    Yes(Vec<Grant>),
    No(Reason),
    Unknown(Vec<Unseen>),
}

/// What the allow policies say. One binding that was seen is enough; that there is none takes all of them.
fn allow(facts: &Facts, question: &Question<'_>, chain: &Chain) -> Allow {
    let mut unseen: Vec<Unseen> = chain.unseen.iter().cloned().collect();
    let (mut by, mut lacking, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    let mut missing = None;
    for resource in &chain.resources {
        let policy = match look(&facts.policies, resource) {
            Look::Found(policy) => policy,
            Look::Absent => {
                if resource == question.resource {
                    missing = Some(resource.clone());
                }
                continue;
            }
            Look::Unseen(why) => {
                unseen.push(Unseen::Policy(resource.clone(), why));
                continue;
            }
        };
        for binding in &policy.bindings {
            let (membership, member) = member_of(binding, question.principal, facts);
            if membership == Membership::No {
                continue;
            }
            let grant = Grant {
                on: resource.clone(),
                role: binding.role.clone(),
                member: member.to_owned(),
                condition: binding.condition.clone(),
            };
            let gives = gives(facts, &binding.role, question.permission);
            let holds = holds(facts, binding, question);
            match (membership, gives, holds) {
                (Membership::Yes, Membership::Yes, Membership::Yes) => by.push(grant),
                (Membership::Yes, Membership::No, _) => lacking.push(grant),
                (Membership::Yes, Membership::Yes, Membership::No) => ended.push(grant),
                // It is denied either way, and which link is to blame depends on the role.
                (Membership::Yes, Membership::Unknown(why), Membership::No) => unseen.push(why),
                (_, Membership::No, _) | (_, _, Membership::No) => {}
                (Membership::Unknown(why), _, _)
                | (_, Membership::Unknown(why), _)
                | (_, _, Membership::Unknown(why)) => unseen.push(why),
                (Membership::No, ..) => {}
            }
        }
    }
    if !by.is_empty() {
        return Allow::Yes(by);
    }
    // What is not there has no policy, and those above may have let one see that.
    if let Some(missing) = missing {
        return Allow::No(Reason::NoResource(missing));
    }
    if !unseen.is_empty() {
        return Allow::Unknown(unseen);
    }
    Allow::No(if !ended.is_empty() {
        Reason::Condition(ended)
    } else if !lacking.is_empty() {
        Reason::RoleLacks(lacking)
    } else {
        Reason::NoGrant
    })
}

/// Whether a binding means the principal, and by which of its members.
fn member_of<'b>(
    binding: &'b Binding,
    principal: &Principal,
    facts: &Facts,
) -> (Membership, &'b str) {
    let mut best = (Membership::No, "");
    for member in &binding.members {
        match principal.is(member, facts) {
            Membership::Yes => return (Membership::Yes, member),
            unknown @ Membership::Unknown(_) if best.0 == Membership::No => {
                best = (unknown, member);
            }
            _ => {}
        }
    }
    best
}

fn gives(facts: &Facts, role: &str, permission: &str) -> Membership {
    match look(&facts.roles, &role.to_owned()) {
        Look::Found(found) if found.gives(permission) => Membership::Yes,
        // A role that is gone gives nothing.
        Look::Found(_) | Look::Absent => Membership::No,
        Look::Unseen(why) => Membership::Unknown(Unseen::Role(role.to_owned(), why)),
    }
}

fn holds(facts: &Facts, binding: &Binding, question: &Question<'_>) -> Membership {
    match &binding.condition {
        None => Membership::Yes,
        Some(condition) => condition_holds(facts, condition, question),
    }
}

/// The roles that a principal has on a resource or above, or may have, by the policies that were read: what
/// they permit is to be read before [`ask`] can tell.
pub fn roles_held(facts: &Facts, principal: &Principal, resource: &Resource) -> BTreeSet<String> {
    let chain = facts.chain(resource);
    let policies = chain
        .resources
        .iter()
        .filter_map(|r| facts.policies.get(r)?.found());
    policies
        .flat_map(|policy| &policy.bindings)
        .filter(|b| any(b.members.iter().map(|m| principal.is(m, facts))) != Membership::No)
        .map(|b| b.role.clone())
        .collect()
}

/// The roles that a principal has on a resource or above, whatever they permit, with whether their
/// conditions hold; and what may hide more of them.
pub fn held(
    facts: &Facts,
    principal: &Principal,
    resource: &Resource,
    at: Option<Timestamp>,
) -> (Vec<(Grant, Option<bool>)>, Vec<Unseen>) {
    let chain = facts.chain(resource);
    let mut unseen: Vec<Unseen> = chain.unseen.into_iter().collect();
    let mut grants = Vec::new();
    let question = Question {
        principal,
        permission: "",
        resource,
        at,
    };
    for on in &chain.resources {
        let policy = match look(&facts.policies, on) {
            Look::Found(policy) => policy,
            Look::Absent => continue,
            Look::Unseen(why) => {
                unseen.push(Unseen::Policy(on.clone(), why));
                continue;
            }
        };
        for binding in &policy.bindings {
            let (membership, member) = member_of(binding, principal, facts);
            match membership {
                Membership::Yes => {
                    let holds = match holds(facts, binding, &question) {
                        Membership::Yes => Some(true),
                        Membership::No => Some(false),
                        Membership::Unknown(_) => None,
                    };
                    let grant = Grant {
                        on: on.clone(),
                        role: binding.role.clone(),
                        member: member.to_owned(),
                        condition: binding.condition.clone(),
                    };
                    grants.push((grant, holds));
                }
                Membership::No => {}
                Membership::Unknown(why) => unseen.push(why),
            }
        }
    }
    (grants, sorted(unseen))
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
