//! The same role twice.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI411",
        severity: Severity::Low,
        title: "The same role is granted above, too",
        help: "What is granted on the project holds on all in it: the grant below says less than is so. Drop one of the two, the wider one where the narrower is enough.",
        can_be_accepted: true,
    },
    reads: &[],
    offline: true,
    decides: "The spec grants a role to somebody on a resource and, both without a condition, on what the resource is in.",
    references: &["Google: using resource hierarchy for access control"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (key, place) in &world.desired.bindings {
        if key.condition.is_some() || key.is_impersonation() {
            continue;
        }
        let mut above = key.resource.container();
        while let Some(on) = above {
            let mut wider = key.clone();
            wider.resource = on.clone();
            if world.desired.bindings.contains_key(&wider) {
                let subject = world.desired.binding_address(key).to_string();
                let place = world.place(Some(place), &[]);
                let what = format!("{} has {} on {on}, too", key.member, key.role);
                out.found(&subject, what, place).fix = Some(format!("take one of the two out of the spec: the one on {on}, if {} is enough", key.resource));
                break;
            }
            above = on.container();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_for_the_same_role_above_and_for_no_other() {
        let with = |above: &str| {
            SPEC.replace(
                "grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-b }]",
                &format!("grants: [{{ role: roles/pubsub.publisher, resource: topic/t }}, {above}]"),
            )
        };
        by_spec(&super::RULE, &with("roles/pubsub.publisher"), &with("roles/pubsub.subscriber"));
        // However far above.
        let table = |above: &str| {
            let own = "role: roles/bigquery.dataViewer, resource: table/sales/orders";
            SPEC.replace(
                "role: roles/storage.objectViewer, resource: bucket/acme-b }]",
                &format!("{own} }}, {above}]"),
            )
        };
        let (same, other) = ("roles/bigquery.dataViewer", "roles/bigquery.jobUser");
        by_spec(&super::RULE, &table(same), &table(other));
        let on = "{ role: roles/pubsub.publisher, resource: project/acme-prod, condition: { title: t, expression: \"request.time < timestamp('2027-01-01T00:00:00Z')\" } }";
        by_spec(&super::RULE, &with("roles/pubsub.publisher"), &with(on));
    }
}
