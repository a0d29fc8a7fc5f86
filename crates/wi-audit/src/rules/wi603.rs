//! A workload can run code as another account.

use super::escalation::steps;
use super::prelude::*;
use crate::reach::How;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI603",
        severity: Severity::High,
        title: "A workload can run code as another account",
        help: "Whoever may start something that runs as the account has its tokens. Take roles/iam.serviceAccountUser on the account away, or the role that starts things.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search, Read::Roles, Read::Numbers],
    offline: false,
    decides: "An identity of the spec has iam.serviceAccounts.actAs on an account and, somewhere, the permission to start what runs as it (a virtual machine, a Cloud Run service, a function, a job), by allow policies and the deny policies that were read.",
    references: &["RhinoSecurityLabs: GCP IAM privilege escalation", "CIS GCP 5.0.0: 1.9"],
    check,
};

fn check(world: &World, out: &mut Out) {
    steps(world, out, |how| matches!(how, How::RunAs));
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let other = format!("serviceaccount/{}", email("other"));
        let runs = |w: &mut crate::World| {
            w.bind(&other, "roles/iam.serviceAccountUser", WEB_ACCOUNT);
            w.bind("project/acme-prod", "roles/run.developer", WEB_ACCOUNT);
        };
        three(
            &super::RULE,
            runs,
            // One half alone starts nothing.
            |w| w.bind(&other, "roles/iam.serviceAccountUser", WEB_ACCOUNT),
            |w| {
                w.bind(&other, "roles/iam.serviceAccountUser", WEB_ACCOUNT);
                w.refuse("project/acme-prod");
            },
        );
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", "roles/editor", WEB_ACCOUNT),
            |w| w.bind("project/acme-prod", "roles/run.developer", WEB_ACCOUNT),
            |w| {
                w.bind("project/acme-prod", "roles/run.developer", WEB_ACCOUNT);
                w.bind(&other, "projects/acme-prod/roles/unread", WEB_ACCOUNT);
            },
        );
    }
}
