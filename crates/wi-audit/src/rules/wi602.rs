//! A workload can become another account.

use super::escalation::steps;
use super::prelude::*;
use crate::reach::How;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI602",
        severity: Severity::High,
        title: "A workload can become another account",
        help: "What the other account may do the workload may do, whatever its own grants say. Take the right away, or say it in the spec: users.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search, Read::Roles, Read::Numbers],
    offline: false,
    decides: "An identity of the spec makes tokens, signatures or keys of an account that the spec does not let it be, or edits that account's policy, by allow policies and the deny policies that were read; critical where that leads on to every role of a project.",
    references: &["RhinoSecurityLabs: GCP IAM privilege escalation", "OWASP Kubernetes Top 10 2025: K08"],
    check,
};

fn check(world: &World, out: &mut Out) {
    steps(world, out, |how| matches!(how, How::Token | How::Sign | How::Key | How::AccountPolicy));
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use wi_core::findings::Severity;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let other = format!("serviceaccount/{}", email("other"));
        for role in ["roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountKeyAdmin", "roles/iam.serviceAccountAdmin"] {
            three(
                &super::RULE,
                |w| w.bind(&other, role, WEB_ACCOUNT),
                |w| w.bind(&other, role, "user:ann@example.com"),
                |w| w.refuse(&other),
            );
        }
        three(
            &super::RULE,
            |w| w.bind("folder/7", "roles/iam.serviceAccountKeyAdmin", WEB),
            |w| w.bind(&other, "roles/iam.serviceAccountUser", WEB),
            |w| w.bind(&other, "projects/acme-prod/roles/unread", WEB),
        );
    }

    #[test]
    fn what_it_leads_to_is_told_step_by_step_and_decides_how_bad_it_is() {
        let mut world = world();
        let other = format!("serviceaccount/{}", email("other"));
        world.bind(&other, "roles/iam.serviceAccountTokenCreator", WEB_ACCOUNT);
        assert_eq!(ask(&super::RULE, &world).0[0].severity, Severity::High);
        let member = format!("serviceAccount:{}", email("other"));
        world.bind("project/acme-prod", "roles/resourcemanager.projectIamAdmin", &member);
        let (found, _) = ask(&super::RULE, &world);
        assert_eq!(found[0].severity, Severity::Critical);
        let steps = found[0].evidence.join("\n");
        assert!(steps.contains("webapp@acme-prod.iam.gserviceaccount.com can make tokens of other@"), "{steps}");
        assert!(steps.contains("can give itself every role on project/acme-prod, by roles/resourcemanager.projectIamAdmin"), "{steps}");
    }
}
