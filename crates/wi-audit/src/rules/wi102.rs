//! A node pool whose pods have the node's identity.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI102",
        severity: Severity::High,
        title: "Node pool without the GKE metadata server",
        help: "Every pod on it can have the token of the node's account. Move it to GKE_METADATA: the plan lists who lives on that account today.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters],
    offline: false,
    decides: "workloadMetadataConfig.mode of a pool is not GKE_METADATA (not set is the server of Compute Engine); Autopilot always has it.",
    references: &["CIS GKE 1.9.0: 5.4.1", "OWASP Kubernetes Top 10 2025: K08", "checkov CKV_GCP_69", "trivy AVD-GCP-0057", "kubescape C-0052"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        for pool in gke.node_pools.iter().filter(|p| gke.has_node_identity(p)) {
            if !cluster.declared {
                continue;
            }
            let (subject, place) = world.node_pool(name, &pool.name);
            let selected = world.desired.clusters.get(name).map(|c| c.managed && c.node_pools.select(&pool.name));
            let fix = match selected {
                Some(true) => format!("wi apply --target {subject}"),
                _ => format!("take {} into nodePools of the cluster in the spec", pool.name),
            };
            let what = "its pods can have the token of the node's service account";
            out.found(&subject, what.to_owned(), place).fix = Some(fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let set = |mode: &'static str| {
            move |w: &mut crate::World| mode.clone_into(&mut w.general().config.workload_metadata_config.mode)
        };
        three(&super::RULE, set(""), set("GKE_METADATA"), |w| w.main().gke = refused());
        three(
            &super::RULE,
            set("GCE_METADATA"),
            |w| {
                w.general().config.workload_metadata_config.mode.clear();
                w.general().autopilot_config.enabled = true;
            },
            |w| w.main().gke = refused(),
        );
    }
}
