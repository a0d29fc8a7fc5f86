//! A role without the condition that the guard wants.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI404",
        severity: Severity::High,
        title: "A role is held without the condition that the guard wants",
        help: "The spec is checked for it as it is read; what others granted is not. Take the binding away, or give it a condition.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search],
    offline: false,
    decides: "An account or a Kubernetes service account of the spec has a role of guard.requireConditionFor without a condition, in a policy.",
    references: &["wi: guard.requireConditionFor"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for held in world.held_wherever(out) {
        let wanted = world.conditional.iter().any(|p| wi_core::spec::glob(p, &held.binding.role));
        let member = Member::parse(held.member);
        if !wanted || held.binding.condition.is_some() || !world.is_of_spec(&member) {
            continue;
        }
        let what = format!("{member} has {} on {} without a condition", held.binding.role, held.on);
        world.tell(out, &held, what);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let wanted = |w: &mut crate::World| w.conditional.push("roles/pubsub.*".to_owned());
        let role = "roles/pubsub.editor";
        three(
            &super::RULE,
            |w| {
                wanted(w);
                w.bind("project/acme-prod", role, WEB_ACCOUNT);
            },
            |w| {
                wanted(w);
                let until = "request.time < timestamp(\"2027-01-01T00:00:00Z\")";
                w.bind_if("project/acme-prod", role, WEB_ACCOUNT, Some(until));
            },
            |w| {
                wanted(w);
                w.refuse("project/acme-prod");
            },
        );
    }
}
