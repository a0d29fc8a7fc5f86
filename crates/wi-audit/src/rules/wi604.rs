//! A workload can become every Kubernetes service account.

use super::escalation::steps;
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
    steps(world, out, |how| matches!(how, How::KsaToken | How::RunPods | How::ClusterAdmin));
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
