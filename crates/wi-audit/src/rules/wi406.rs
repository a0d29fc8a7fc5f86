//! A grant that ends soon.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI406",
        severity: Severity::Low,
        title: "A grant ends within 14 days",
        help: "What uses it fails from then on. Give it a later end, or take it and what uses it away.",
        can_be_accepted: true,
    },
    reads: &[],
    offline: true,
    decides: "The condition of a grant of the spec holds now, and at no time from 14 days on.",
    references: &["wi: expires, conditions"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let Some(now) = world.now else { return };
    let soon = jiff::SignedDuration::from_hours(14 * 24);
    let Ok(soon) = now.checked_add(soon) else { return };
    for (key, place) in &world.desired.bindings {
        let Some(condition) = &key.condition else {
            continue;
        };
        let text = &condition.expression;
        if access::holds(text, Some(now)) != Some(true) || !access::has_ended(text, Some(soon)) {
            continue;
        }
        let subject = world.desired.binding_address(key).to_string();
        let place = world.place(Some(place), &[]);
        let what = format!("{} on {} ends within 14 days", key.role, key.resource);
        let found = out.found(&subject, what, place);
        found.evidence.push(format!("if {text}"));
        found.fix = Some("set a later end in the spec, and wi apply".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_within_14_days_and_not_before() {
        let spec = |day: &str| SPEC.replace("resource: bucket/acme-b }", &format!("resource: bucket/acme-b, expires: {day} }}"));
        by_spec(&super::RULE, &spec("2026-12-10"), &spec("2026-12-30"));
        by_spec(&super::RULE, &spec("2026-12-02"), &spec("2026-11-01"));
    }
}
