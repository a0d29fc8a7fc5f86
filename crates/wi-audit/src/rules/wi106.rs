//! Tokens of a strong node account that pods can have.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI106",
        severity: Severity::Medium,
        title: "Pods can have tokens of a strong node account",
        help: "The scope cloud-platform leaves all to the roles of the node's account, and pods of this pool can ask for its token. Take roles from it, or move the pool to GKE_METADATA.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters, Read::Policies, Read::Search, Read::Numbers],
    offline: false,
    decides: "A pool has the scope cloud-platform, its mode is not GKE_METADATA, and its account has more than nodes need; high where that is a basic role that can change everything.",
    references: &["OWASP Kubernetes Top 10 2025: K08", "kubescape C-0052"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        for pool in gke.node_pools.iter().filter(|p| cluster.declared && gke.has_node_identity(p)) {
            let mut scopes = pool.config.oauth_scopes.iter();
            if !scopes.any(|s| s.ends_with("/auth/cloud-platform")) {
                continue;
            }
            let Some((email, held)) = excess(world, out, &cluster.path.project, pool) else {
                continue;
            };
            if held.is_empty() {
                continue;
            }
            let (subject, place) = world.node_pool(name, &pool.name);
            let what = format!("its pods can have tokens of {email}, which has {}", listed(&held));
            let found = out.found(&subject, what, place);
            if held.iter().any(|h| basic(&h.binding.role) == 2) {
                found.severity = Severity::High;
            }
            found.fix = Some(format!("wi apply --target {subject}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let strong = |w: &mut crate::World| {
            w.general().config.workload_metadata_config.mode.clear();
            w.bind("project/acme-prod", "roles/editor", &format!("serviceAccount:{NODES}"));
        };
        three(
            &super::RULE,
            strong,
            |w| {
                strong(w);
                w.general().config.oauth_scopes = vec!["https://www.googleapis.com/auth/logging.write".to_owned()];
            },
            |w| {
                w.general().config.workload_metadata_config.mode.clear();
                w.refuse("project/acme-prod");
            },
        );
    }
}
