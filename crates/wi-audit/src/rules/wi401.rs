//! A basic role.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI401",
        severity: Severity::High,
        title: "A workload has a basic role",
        help: "Basic roles have thousands of permissions over all services. Give it the roles of the services that it calls.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search],
    offline: true,
    decides: "An account or a Kubernetes service account of the spec has roles/owner, editor, admin or writer (medium: viewer, reader), as the spec asks for or in a policy.",
    references: &["checkov CKV_GCP_115, CKV_GCP_116, CKV_GCP_117", "trivy AVD-GCP-0007", "OWASP Kubernetes Top 10 2025: K02"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    for (key, place) in &world.desired.bindings {
        let rank = basic(key.role.as_str());
        if rank == 0 {
            continue;
        }
        told.insert((key.resource.clone(), key.role.to_string(), key.member.clone()));
        let subject = world.desired.binding_address(key).to_string();
        let place = world.place(Some(place), &[]);
        let what = format!("{} has {} on {}", key.member, key.role, key.resource);
        let found = out.found(&subject, what, place);
        if rank == 1 {
            found.severity = Severity::Medium;
        }
        found.fix = Some("write the roles of the services that it calls; wi logs permissions says which".to_owned());
    }
    if world.live.is_none() {
        return;
    }
    for held in world.held_wherever(out) {
        let member = Member::parse(held.member);
        let rank = basic(&held.binding.role);
        let key = (held.on.clone(), held.binding.role.clone(), member.clone());
        if rank == 0 || !world.is_of_spec(&member) || !told.insert(key) {
            continue;
        }
        let what = format!("{member} has {} on {}", held.binding.role, held.on);
        let found = world.tell(out, &held, what);
        if rank == 1 {
            found.severity = Severity::Medium;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let editor = "roles/editor";
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", editor, WEB_ACCOUNT),
            |w| w.bind("project/acme-prod", editor, "user:ann@example.com"),
            |w| w.refuse("project/acme-prod"),
        );
        let spec = |role: &str| SPEC.replace("grants: [", &format!("grants: [{role}, "));
        by_spec(&super::RULE, &spec("roles/viewer"), &spec("roles/monitoring.viewer"));
    }
}
