//! A grant that has ended.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI405",
        severity: Severity::Low,
        title: "A grant has ended and is still there",
        help: "It gives nothing any more, and hides what is in force. Take it out of the spec, or of the policy.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search],
    offline: true,
    decides: "The condition of a grant of the spec, or of a binding of one of its identities, holds at no time from now on.",
    references: &["wi: expires, conditions"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    for (key, place) in &world.desired.bindings {
        let Some(condition) = &key.condition else {
            continue;
        };
        if access::has_ended(&condition.expression, world.now) {
            told.insert((key.resource.clone(), key.role.to_string(), key.member.clone(), condition.expression.clone()));
            let subject = world.desired.binding_address(key).to_string();
            let place = world.place(Some(place), &[]);
            let what = format!("{} on {} has ended", key.role, key.resource);
            out.found(&subject, what, place).fix = Some("take it out of the spec".to_owned());
        }
    }
    if world.live.is_none() {
        return;
    }
    for held in world.held_wherever(out) {
        let Some(condition) = &held.binding.condition else {
            continue;
        };
        let member = Member::parse(held.member);
        let key = (held.on.clone(), held.binding.role.clone(), member.clone(), condition.expression.clone());
        if world.is_of_spec(&member) && access::has_ended(&condition.expression, world.now) && told.insert(key) {
            let what = format!("{} on {} has ended", held.binding.role, held.on);
            world.tell(out, &held, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let until = |day: &str| format!("request.time < timestamp(\"{day}T00:00:00Z\")");
        let role = "roles/pubsub.editor";
        three(
            &super::RULE,
            |w| w.bind_if("project/acme-prod", role, WEB_ACCOUNT, Some(&until("2026-11-29"))),
            |w| w.bind_if("project/acme-prod", role, WEB_ACCOUNT, Some(&until("2026-12-01"))),
            |w| w.refuse("project/acme-prod"),
        );
        let spec = |day: &str| SPEC.replace("resource: bucket/acme-b }", &format!("resource: bucket/acme-b, expires: {day} }}"));
        by_spec(&super::RULE, &spec("2026-11-01"), &spec("2027-11-01"));
    }
}
