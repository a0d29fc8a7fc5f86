//! Ways into a cluster of before RBAC and IAM.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI111",
        severity: Severity::High,
        title: "Legacy authorization, client certificate or static password",
        help: "Whoever is in the cluster can be any of its Kubernetes service accounts. Certificates and passwords cannot be taken back one by one, and legacy authorization gives more than RBAC shows. Turn them off.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters],
    offline: false,
    decides: "legacyAbac.enabled, masterAuth.clientCertificateConfig.issueClientCertificate, or a masterAuth.username.",
    references: &["CIS GKE 1.9.0: 5.8.1, 5.8.3", "checkov CKV_GCP_7, CKV_GCP_13", "trivy AVD-GCP-0062, AVD-GCP-0064"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        if !cluster.declared {
            continue;
        }
        let auth = &gke.master_auth;
        let mut ways = Vec::new();
        if gke.legacy_abac.enabled {
            ways.push("legacy authorization (ABAC)");
        }
        if auth.client_certificate_config.issue_client_certificate {
            ways.push("a client certificate");
        }
        if !auth.username.is_empty() {
            ways.push("a static password");
        }
        if ways.is_empty() {
            continue;
        }
        let (subject, place) = world.cluster(name);
        let path = &cluster.path;
        let at = format!("{} --location {} --project {}", path.name, path.location, path.project);
        let fix = match gke.legacy_abac.enabled {
            true => format!("gcloud container clusters update {at} --no-enable-legacy-authorization"),
            false => "rotate the cluster's credentials; new clusters have neither".to_owned(),
        };
        let what = format!("it has {}", ways.join(", "));
        out.found(&subject, what, place).fix = Some(fix);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        for fires in [
            (|w: &mut crate::World| w.of_gke().legacy_abac.enabled = true) as fn(&mut crate::World),
            |w| w.of_gke().master_auth.client_certificate_config.issue_client_certificate = true,
            |w| w.of_gke().master_auth.username = "admin".to_owned(),
        ] {
            three(&super::RULE, fires, |_| {}, |w| w.main().gke = refused());
        }
    }
}
