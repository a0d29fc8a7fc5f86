//! An admin role.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI402",
        severity: Severity::Medium,
        title: "A workload has an admin role",
        help: "Admin roles give roles away and delete what they are on. Workloads read, write or call: give the role for that.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search, Read::Roles],
    offline: true,
    decides: "An account or a Kubernetes service account of the spec has a role that ends in admin, or may set a policy; high on a project, a folder or an organization. Basic roles have a rule of their own.",
    references: &["CIS GCP 5.0.0: 1.6", "checkov CKV_GCP_42", "trivy AVD-GCP-0007"],
    check,
};

fn is_admin(role: &str) -> bool {
    basic(role) == 0 && (role.ends_with(".admin") || role.ends_with("Admin"))
}

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    let weigh = |on: &Resource| match on.is_of_hierarchy() {
        true => Severity::High,
        false => Severity::Medium,
    };
    for (key, place) in &world.desired.bindings {
        if !is_admin(key.role.as_str()) {
            continue;
        }
        told.insert((key.resource.clone(), key.role.to_string(), key.member.clone()));
        let subject = world.desired.binding_address(key).to_string();
        let place = world.place(Some(place), &[]);
        let what = format!("{} has {} on {}", key.member, key.role, key.resource);
        let found = out.found(&subject, what, place);
        found.severity = weigh(&key.resource);
        found.fix = Some("write the smaller role; wi logs permissions says what is used".to_owned());
    }
    let Some(live) = world.live() else { return };
    for held in world.held_wherever(out) {
        let member = Member::parse(held.member);
        let role = held.binding.role.as_str();
        if basic(role) > 0 || !world.is_of_spec(&member) {
            continue;
        }
        let mut sets = None;
        if !is_admin(role) {
            match live.iam.roles.get(role) {
                Some(Seen::Found(found)) => {
                    let mut all = found.included_permissions.iter();
                    sets = all.find(|p| found.is_in_force() && p.ends_with(".setIamPolicy"));
                }
                Some(Seen::Absent) => {}
                _ => {
                    world.gives(out, role, &[]);
                    continue;
                }
            }
            if sets.is_none() {
                continue;
            }
        }
        if !told.insert((held.on.clone(), role.to_owned(), member.clone())) {
            continue;
        }
        let what = format!("{member} has {role} on {}", held.on);
        let found = world.tell(out, &held, what);
        found.severity = weigh(held.on);
        found.evidence.extend(sets.map(|p| format!("it has {p}")));
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", "roles/storage.admin", WEB_ACCOUNT),
            |w| w.bind("project/acme-prod", "roles/storage.admin", "group:ops@example.com"),
            |w| w.refuse("folder/7"),
        );
        let custom = "projects/acme-prod/roles/giver";
        three(
            &super::RULE,
            |w| {
                w.role(custom, &["pubsub.topics.setIamPolicy"]);
                w.bind("project/acme-prod", custom, WEB_ACCOUNT);
            },
            |w| {
                w.role(custom, &["pubsub.topics.getIamPolicy"]);
                w.bind("project/acme-prod", custom, WEB_ACCOUNT);
            },
            |w| w.bind("project/acme-prod", custom, WEB_ACCOUNT),
        );
        let spec = |role: &str| SPEC.replace("grants: [", &format!("grants: [{role}, "));
        by_spec(&super::RULE, &spec("roles/pubsub.admin"), &spec("roles/pubsub.publisher"));
        by_spec(&super::RULE, &spec("roles/storage.objectAdmin"), &spec("roles/owner"));
    }
}
