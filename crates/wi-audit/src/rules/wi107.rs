//! A node account with more than nodes need.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI107",
        severity: Severity::High,
        title: "Node account has more than it needs",
        help: "Whoever is root on a node is its account. Leave it roles/container.defaultNodeServiceAccount, and roles/artifactregistry.reader where images are.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters, Read::Policies, Read::Search, Read::Numbers],
    offline: false,
    decides: "The account of a node pool has a role beyond those of nodes: logs, metrics, images, storage.objectViewer on a bucket.",
    references: &["CIS GKE 1.9.0: 5.2.1", "OWASP Kubernetes Top 10 2025: K08", "GKE hardening guide: least privilege service accounts"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut told = BTreeSet::new();
    for (name, cluster, pool) in world.node_pools(out) {
        if !cluster.declared {
            continue;
        }
        let Some((email, held)) = excess(world, out, &cluster.path.project, pool) else {
            continue;
        };
        if held.is_empty() || !told.insert(email.clone()) {
            continue;
        }
        let (subject, place) = world.account(&email);
        let what = format!("nodes run as it, and it has {}", listed(&held));
        let found = out.found(&subject, what, place);
        found.evidence.push(format!("of node pool {name}/{}", pool.name));
        found.fix = held.first().map(Held::removal);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let nodes = format!("serviceAccount:{NODES}");
        three(
            &super::RULE,
            |w| w.bind("bucket/acme-b", "roles/storage.admin", &nodes),
            |w| w.bind("bucket/acme-b", "roles/storage.objectViewer", &nodes),
            |w| w.refuse("bucket/acme-b"),
        );
        // On a whole project that role reads all buckets.
        three(
            &super::RULE,
            |w| w.bind("project/acme-prod", "roles/storage.objectViewer", &nodes),
            |w| w.bind("project/acme-prod", "roles/logging.logWriter", &nodes),
            |w| {
                "default".clone_into(&mut w.general().config.service_account);
                w.there().iam.numbers.clear();
            },
        );
    }
}
