//! Node pools that GKE makes by itself would run as the default account.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI105",
        severity: Severity::High,
        title: "Auto-provisioned node pools would run as the Compute Engine default account",
        help: "What GKE makes by itself has what autoprovisioningNodePoolDefaults say. Set a service account there.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters],
    offline: false,
    decides: "Node auto-provisioning is on, and its serviceAccount is empty, default or Compute Engine's.",
    references: &["CIS GKE 1.9.0: 5.2.1", "gke-policy-automation nap_forbid_default_sa"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        let auto = &gke.autoscaling;
        if !cluster.declared || gke.autopilot.enabled || !auto.enable_node_autoprovisioning {
            continue;
        }
        let account = auto.autoprovisioning_node_pool_defaults.service_account.as_str();
        let is_default = Email::parse(account).is_ok_and(|e| is_compute_default(&e));
        if !is_default && !matches!(account, "" | "default") {
            continue;
        }
        let (subject, place) = world.cluster(name);
        let path = &cluster.path;
        let fix = format!(
            "gcloud container clusters update {} --location {} --project {} --enable-autoprovisioning --autoprovisioning-service-account=EMAIL",
            path.name, path.location, path.project
        );
        let what = "node pools that GKE makes by itself run as the Compute Engine default account";
        out.found(&subject, what.to_owned(), place).fix = Some(fix);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        three(
            &super::RULE,
            |w| w.of_gke().autoscaling.enable_node_autoprovisioning = true,
            |w| {
                let auto = &mut w.of_gke().autoscaling;
                auto.enable_node_autoprovisioning = true;
                NODES.clone_into(&mut auto.autoprovisioning_node_pool_defaults.service_account);
            },
            |w| w.main().gke = refused(),
        );
    }
}
