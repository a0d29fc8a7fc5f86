//! Grants of the spec that give nobody anything: what has ended, and what another grant of the spec gives as well.

use wi_core::access::{self, Answer, Principal, Question};
use wi_core::address::BindingKey;
use wi_core::live::Seen;
use wi_core::names::{Email, Member};
use wi_core::spec::model::SourceLine;

use crate::world::{Live, World};

/// A grant that may go, since nobody loses access by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needless {
    /// The grant.
    pub grant: BindingKey,
    /// Where the spec has it.
    pub place: SourceLine,
    /// Why nobody loses by it.
    pub why: String,
}

/// All of the spec, one after the other: what one rests on is not taken away after it. Where something was not seen, a grant
/// stays.
pub fn needless(world: &World) -> Vec<Needless> {
    let Some(live) = world.live() else {
        return Vec::new();
    };
    let mut gone: Vec<Needless> = Vec::new();
    for (key, place) in &world.desired.bindings {
        if key.is_impersonation() || !world.is_of_spec(&key.member) {
            continue;
        }
        let ended = key.condition.as_ref();
        let ended = ended.is_some_and(|c| access::has_ended(&c.expression, world.now));
        let why = match (&key.member, ended) {
            (_, true) => Some("it has ended".to_owned()),
            (Member::ServiceAccount(email), false) => {
                given_by_others(world, live, key, email, &gone)
            }
            _ => None,
        };
        if let Some(why) = why {
            gone.push(Needless {
                grant: key.clone(),
                place: place.clone(),
                why,
            });
        }
    }
    gone
}

/// Which other grants of the spec give all of a role on all that it is on, without a condition.
fn given_by_others(
    world: &World,
    live: &Live,
    key: &BindingKey,
    email: &Email,
    gone: &[Needless],
) -> Option<String> {
    let role = live.iam.roles.get(key.role.as_str())?.found()?;
    if role.included_permissions.is_empty() {
        return None;
    }
    let stays = |other: &BindingKey| {
        *other != *key
            && other.member == key.member
            && other.condition.is_none()
            && !gone.iter().any(|g| g.grant == *other)
    };
    let mut facts = live.iam.clone();
    // Only what the spec goes on to ask for counts.
    for (on, policy) in &mut facts.policies {
        let Seen::Found(policy) = policy else {
            continue;
        };
        for binding in &mut policy.bindings {
            let declared = world.desired.bindings.keys().any(|other| {
                stays(other)
                    && other.resource == *on
                    && other.role.as_str() == binding.role
                    && binding.condition.is_none()
            });
            if !declared {
                binding
                    .members
                    .retain(|member| Member::parse(member) != key.member);
            }
            // What is everybody's, or a group's, is not the spec's to rely on.
            binding
                .members
                .retain(|member| matches!(Member::parse(member), Member::ServiceAccount(_)));
        }
    }
    let principal = Principal::Account(email.clone());
    let mut by: Vec<String> = Vec::new();
    for permission in &role.included_permissions {
        let question = Question {
            principal: &principal,
            permission,
            resource: &key.resource,
            at: world.now,
        };
        match access::ask(&facts, &question) {
            Answer::Allowed { by: grants, .. } => {
                by.extend(
                    grants
                        .iter()
                        .take(1)
                        .map(|g| format!("{} on {}", g.role, g.on)),
                );
            }
            Answer::Denied { .. } | Answer::Unknown { .. } => return None,
        }
    }
    by.sort();
    by.dedup();
    Some(format!("{} gives as much", by.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::*;

    fn spec(grants: &str) -> String {
        let own = "[{ role: roles/storage.objectViewer, resource: bucket/acme-b }]";
        assert!(SPEC.contains(own));
        SPEC.replace(own, grants)
    }

    fn told(world: &World) -> Vec<(String, String)> {
        let all = needless(world).into_iter();
        all.map(|n| (format!("{} on {}", n.grant.role, n.grant.resource), n.why))
            .collect()
    }

    #[test]
    fn what_another_grant_of_the_spec_gives_may_go_and_what_only_a_policy_gives_may_not() {
        let both = spec(
            "[{ role: roles/storage.objectViewer, resource: bucket/acme-b }, roles/storage.objectViewer]",
        );
        let mut world = world();
        world.bind(
            "project/acme-prod",
            "roles/storage.objectViewer",
            WEB_ACCOUNT,
        );
        // By hand, beside the spec: it may be gone tomorrow.
        assert_eq!(told(&world), []);
        world.desired = desired(&both);
        let (what, why) = told(&world).pop().expect("one");
        assert_eq!(what, "roles/storage.objectViewer on bucket/acme-b");
        assert!(
            why.contains("roles/storage.objectViewer on project/acme-prod"),
            "{why}"
        );
        assert_eq!(told(&world).len(), 1, "one of the two stays");
        // A grant that the spec asks for and that is not there yet gives nothing.
        world
            .there()
            .iam
            .policies
            .insert(resource("project/acme-prod"), policy(serde_json::json!([])));
        assert_eq!(told(&world), []);
    }

    #[test]
    fn what_gives_more_or_was_not_seen_stays() {
        let both = spec(
            "[{ role: roles/storage.admin, resource: bucket/acme-b }, roles/storage.objectViewer]",
        );
        let mut world = world();
        world.desired = desired(&both);
        world.bind(
            "project/acme-prod",
            "roles/storage.objectViewer",
            WEB_ACCOUNT,
        );
        world.bind("bucket/acme-b", "roles/storage.admin", WEB_ACCOUNT);
        assert_eq!(
            told(&world),
            [],
            "the admin's role gives more, and the other one is on more"
        );
        let both = spec(
            "[{ role: roles/storage.objectViewer, resource: bucket/acme-b }, roles/storage.objectViewer]",
        );
        world.desired = desired(&both);
        assert_eq!(told(&world).len(), 1);
        let roles = &mut world.there().iam.roles;
        roles.insert("roles/storage.objectViewer".to_owned(), refused());
        assert_eq!(told(&world), []);
    }

    #[test]
    fn of_two_that_give_the_same_one_stays() {
        let twin = "roles/storage.twin";
        let mut world = world();
        world.desired = desired(&spec(
            "[{ role: roles/storage.objectViewer, resource: bucket/acme-b }, { role: roles/storage.twin, resource: bucket/acme-b }]",
        ));
        world.role(twin, &["storage.objects.get", "storage.objects.list"]);
        world.bind("bucket/acme-b", twin, WEB_ACCOUNT);
        assert_eq!(told(&world).len(), 1, "{:?}", told(&world));
    }

    #[test]
    fn what_has_ended_may_go_and_what_ends_later_may_not() {
        let until = |day: &str| {
            spec(&format!(
                "[{{ role: roles/storage.objectViewer, resource: bucket/acme-b, expires: {day} }}]"
            ))
        };
        let mut world = world();
        world.desired = desired(&until("2026-11-01"));
        assert_eq!(told(&world).len(), 1);
        world.desired = desired(&until("2027-11-01"));
        assert_eq!(told(&world), []);
    }
}
