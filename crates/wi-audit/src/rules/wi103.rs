//! Nodes that are older than the mode of their pool.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI103",
        severity: Severity::Medium,
        title: "Nodes are older than their pool's mode",
        help: "The pool says GKE_METADATA and these nodes do not run it yet: their pods have the node's identity still. Recreate the nodes.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters, Read::Nodes],
    offline: false,
    decides: "A node of a pool with GKE_METADATA has no label iam.gke.io/gke-metadata-server-enabled=true.",
    references: &["Google: best practices for using service accounts in GKE"],
    check,
};

const SERVER: &str = "iam.gke.io/gke-metadata-server-enabled";
const POOL: &str = "cloud.google.com/gke-nodepool";

fn check(world: &World, out: &mut Out) {
    for (name, cluster, gke) in world.gke(out) {
        if !cluster.declared || gke.autopilot.enabled {
            continue;
        }
        let what = format!("the nodes of cluster {name}");
        let Some(nodes) = out.seen(&what, &cluster.nodes, Read::Nodes) else {
            continue;
        };
        for pool in gke.node_pools.iter().filter(|p| !gke.has_node_identity(p)) {
            let of_pool = nodes.iter().filter(|n| n.labels.get(POOL) == Some(&pool.name));
            let old: Vec<&str> = of_pool
                .filter(|n| n.labels.get(SERVER).is_none_or(|v| v != "true"))
                .map(|n| n.name.as_str())
                .collect();
            if old.is_empty() {
                continue;
            }
            let (subject, place) = world.node_pool(name, &pool.name);
            let what = format!("{} of its nodes do not run the GKE metadata server", old.len());
            let found = out.found(&subject, what, place);
            found.evidence.push(format!("nodes: {}", old[..old.len().min(5)].join(", ")));
            found.fix = Some("recreate them: kubectl drain each, and delete its virtual machine".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use serde_json::json;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let node = |pool: &'static str| {
            move |w: &mut crate::World| match &mut w.main().nodes {
                wi_core::live::Seen::Found(nodes) => nodes.push(wire(json!({ "name": "node-2",
                    "labels": { "cloud.google.com/gke-nodepool": pool } }))),
                other => panic!("{other:?}"),
            }
        };
        // Of another pool, which is gone, nothing is said.
        three(&super::RULE, node("general"), node("gone"), |w| w.main().nodes = refused());
    }
}
