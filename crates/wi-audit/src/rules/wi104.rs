//! Nodes run as the default account of Compute Engine.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI104",
        severity: Severity::High,
        title: "Nodes run as the Compute Engine default account",
        help: "It is shared by all that runs in the project, and has editor in older ones. Give node pools an account of their own with roles/container.defaultNodeServiceAccount.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters],
    offline: false,
    decides: "config.serviceAccount of a node pool is empty, default, or NUMBER-compute@developer.gserviceaccount.com.",
    references: &["CIS GKE 1.9.0: 5.2.1", "OWASP Kubernetes Top 10 2025: K08", "trivy AVD-GCP-0050", "gke-policy-automation node_pool_forbid_default_sa", "prowler gke_cluster_no_default_service_account"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, pool) in world.node_pools(out) {
        if !cluster.declared || world.node_account(&cluster.path.project, pool).is_ok() {
            continue;
        }
        let (subject, place) = world.node_pool(name, &pool.name);
        let what = "its nodes run as the Compute Engine default account";
        out.found(&subject, what.to_owned(), place).fix = Some(
            "make a node pool with --service-account and roles/container.defaultNodeServiceAccount for it, and move the workloads".to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let set = |email: &'static str| {
            move |w: &mut crate::World| email.clone_into(&mut w.general().config.service_account)
        };
        let other = set("other@acme-prod.iam.gserviceaccount.com");
        three(&super::RULE, set("default"), other, |w| w.main().gke = refused());
        let named = set("42-compute@developer.gserviceaccount.com");
        three(&super::RULE, named, |_| {}, |w| w.main().gke = refused());
    }
}
