//! A workload can become every Kubernetes service account.

use super::escalation::{each, is_declared, untold, worst};
use super::prelude::*;
use crate::reach::How;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI604",
        severity: Severity::High,
        title: "A workload can become every Kubernetes service account",
        help: "Whoever makes tokens of service accounts, or pods, by IAM does so in every cluster of the project, and is then what those are. Give it a role of Kubernetes in its namespace.",
        can_be_accepted: true,
    },
    reads: &[Read::Policies, Read::Search, Read::Roles, Read::Numbers],
    offline: false,
    decides: "An identity of the spec has, on a project with clusters, container.serviceAccounts.createToken, a permission to make or enter pods, or to bind or escalate cluster roles, by allow policies and the deny policies that were read.",
    references: &["OWASP Kubernetes Top 10 2025: K02, K08", "kubescape C-0002", "CIS GKE 1.9.0: 4.1.2"],
    check,
};

fn check(world: &World, out: &mut Out) {
    each(world, out, |graph, identity, out| {
        for edge in &graph.edges(&identity.node).to {
            if !matches!(edge.how, How::KsaToken | How::RunPods | How::ClusterAdmin) || is_declared(world, identity, &edge.to) {
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
        let role = "roles/container.developer";
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", role, WEB_ACCOUNT),
            |w| w.bind("project/acme-prod", role, "group:devs@example.com"),
            |w| w.refuse("organization/9"),
        );
        three(
            &super::RULE,
            |w| w.bind("organization/9", role, WEB),
            |w| w.bind("bucket/acme-b", role, WEB),
            |w| w.bind("project/acme-prod", "projects/acme-prod/roles/unread", WEB),
        );
    }
}
