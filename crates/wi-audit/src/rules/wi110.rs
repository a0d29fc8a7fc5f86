//! Metadata endpoints of old.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI110",
        severity: Severity::Medium,
        title: "Legacy metadata endpoints, or metadata concealment",
        help: "The endpoints of old ask for no header, so that a forged request of a pod is enough to have the node's token; concealment (SECURE) does not protect as GKE_METADATA does. Move the pool to GKE_METADATA.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters],
    offline: false,
    decides: "Compute Engine's metadata server answers pods of the pool, and metadata disable-legacy-endpoints is not true; or the mode is SECURE.",
    references: &["trivy AVD-GCP-0048", "ScoutSuite legacy-metadata-endpoints-enabled", "gcpdiag WARN/2022_002"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        for pool in gke.node_pools.iter().filter(|p| cluster.declared && gke.has_node_identity(p)) {
            let config = &pool.config;
            let concealed = config.workload_metadata_config.mode == "SECURE";
            let disabled = config.metadata.get("disable-legacy-endpoints");
            let what = match (concealed, disabled.map(String::as_str)) {
                (true, _) => "it conceals metadata, which does not keep pods from the node's token for certain",
                (false, Some("true" | "TRUE" | "True")) => continue,
                (false, _) => "its metadata server answers at the endpoints of old, which ask for no header",
            };
            let (subject, place) = world.node_pool(name, &pool.name);
            let fix = format!("wi apply --target {subject}");
            out.found(&subject, what.to_owned(), place).fix = Some(fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        three(
            &super::RULE,
            |w| {
                w.general().config.workload_metadata_config.mode.clear();
                w.general().config.metadata.clear();
            },
            |w| w.general().config.workload_metadata_config.mode.clear(),
            |w| w.main().gke = refused(),
        );
        three(
            &super::RULE,
            |w| "SECURE".clone_into(&mut w.general().config.workload_metadata_config.mode),
            // GKE's server has none of them.
            |w| w.general().config.metadata.clear(),
            |w| w.main().gke = refused(),
        );
    }
}
