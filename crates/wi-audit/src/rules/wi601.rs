//! A workload can give itself more.

use super::escalation::{by, each, take_away, untold};
use super::prelude::*;
use crate::reach::How;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI601",
        severity: Severity::Critical,
        title: "A workload can give itself every role",
        help: "Whoever sets the policy of a project has all that is in it, and whoever changes what its own role permits has what it likes. Take the role away: wi plans policies, workloads need not.",
        can_be_accepted: false,
    },
    reads: &[Read::Policies, Read::Search, Read::Roles, Read::Numbers],
    offline: false,
    decides: "An identity of the spec has setIamPolicy on a project, a folder or an organization, or iam.roles.update where it has a custom role, by allow policies and the deny policies that were read.",
    references: &["RhinoSecurityLabs: GCP IAM privilege escalation", "OWASP Kubernetes Top 10 2025: K02, K08", "CIS GCP 5.0.0: 1.6"],
    check,
};

fn check(world: &World, out: &mut Out) {
    each(world, out, |graph, identity, out| {
        for power in &graph.edges(&identity.node).powers {
            if !matches!(power.how, How::Policy | How::RoleEdit) {
                continue;
            }
            if !power.because.is_empty() {
                untold(out, &power.because);
                continue;
            }
            let Some(grant) = power.by.first() else { continue };
            let subject = format!("{} on {}", identity.node, power.on);
            let what = format!("{} {} {}", identity.node, power.how.words(), power.on);
            let place = world.place(None, &["policy", &grant.on.to_string()]);
            let found = out.found(&subject, what, place);
            found.evidence.push(format!("{} by {}", power.permission, by(&power.by)));
            found.fix = Some(take_away(grant));
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let admin = "roles/resourcemanager.projectIamAdmin";
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", admin, WEB_ACCOUNT),
            |w| w.bind("project/acme-prod", admin, "user:ann@example.com"),
            |w| w.refuse("folder/7"),
        );
        let custom = "projects/acme-prod/roles/mine";
        three(
            &super::RULE,
            |w| {
                w.role(custom, &["iam.roles.update"]);
                w.bind("project/acme-prod", custom, WEB);
            },
            // Of a role of its own there is none that it could change.
            |w| {
                w.role("roles/iam.roleAdmin", &["iam.roles.update"]);
                w.bind("project/acme-prod", "roles/iam.roleAdmin", WEB);
            },
            |w| w.bind("project/acme-prod", "projects/acme-prod/roles/unread", WEB),
        );
        let ended = "request.time < timestamp(\"2026-11-01T00:00:00Z\")";
        three(
            &super::RULE,
            |w| w.bind("organization/9", "roles/owner", WEB),
            |w| w.bind_if("project/acme-prod", admin, WEB_ACCOUNT, Some(ended)),
            |w| w.bind_if("project/acme-prod", admin, WEB_ACCOUNT, Some("resource.matchTag('a/b', 'c')")),
        );
    }
}
