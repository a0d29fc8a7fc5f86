//! A workload can run code as another account.

use super::escalation::{each, is_declared, untold, worst};
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
    each(world, out, |graph, identity, out| {
        for edge in &graph.edges(&identity.node).to {
            if !matches!(edge.how, How::RunAs) || is_declared(world, identity, &edge.to) {
                continue;
            }
            if !edge.because.is_empty() {
                untold(out, &edge.because);
                continue;
            }
            let Some(grant) = edge.by.last() else { continue };
            let subject = format!("{} to {}", identity.node, edge.to);
            let what = format!("{} {} {}", identity.node, edge.how.words(), edge.to);
            let place = world.place(None, &["policy", &grant.on.to_string()]);
            let (severity, steps) = worst(graph, world, &identity.node, edge);
            let found = out.found(&subject, what, place);
            found.severity = severity;
            found.evidence = steps;
            found.fix = Some(format!("take {} on {} from {}", grant.role, grant.on, grant.member));
        }
    });
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
