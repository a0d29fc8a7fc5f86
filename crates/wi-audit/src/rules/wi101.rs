//! A cluster has no workload pool.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI101",
        severity: Severity::High,
        title: "Cluster has no workload pool",
        help: "Without it no pod has an identity of its own: each has that of its node, or a static key. Turning it on disturbs no pod.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters],
    offline: false,
    decides: "workloadIdentityConfig.workloadPool is empty, and the cluster is no Autopilot one.",
    references: &["CIS GKE 1.9.0: 5.2.2", "OWASP Kubernetes Top 10 2025: K08", "kubescape C-0225", "gke-policy-automation workload_identity", "GKE hardening guide: Workload Identity Federation"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        if !cluster.declared || gke.autopilot.enabled || !gke.workload_identity_config.workload_pool.is_empty() {
            continue;
        }
        let (subject, place) = world.cluster(name);
        let fix = format!("wi apply --target {subject}");
        let found = out.found(&subject, "it has no workload pool".to_owned(), place);
        found.fix = Some(fix);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        three(
            &super::RULE,
            |w| w.of_gke().workload_identity_config.workload_pool.clear(),
            |w| {
                w.of_gke().workload_identity_config.workload_pool.clear();
                w.of_gke().autopilot.enabled = true;
            },
            |w| w.main().gke = refused(),
        );
    }
}
