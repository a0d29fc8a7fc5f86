//! A pod on the host's network has a strong node account.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI203",
        severity: Severity::High,
        title: "A pod on the host's network has the identity of a strong node account",
        help: "The metadata server gives a pod with hostNetwork the node's token, whatever its service account. Leave the host's network, or take roles from the node's account.",
        can_be_accepted: true,
    },
    reads: &[Read::Clusters, Read::Pods, Read::Nodes, Read::Policies, Read::Search, Read::Numbers],
    offline: false,
    decides: "A pod that GKE does not run itself has hostNetwork, and the account of its node's pool has more than nodes need.",
    references: &["kubescape C-0041", "OWASP Kubernetes Top 10 2025: K08"],
    check,
};

const POOL: &str = "cloud.google.com/gke-nodepool";

fn check(world: &World, out: &mut Out) {
    let pods = world.pods(out);
    let on_host: Vec<_> = pods.into_iter().filter(|(_, _, p)| p.spec.host_network).collect();
    let mut told = BTreeSet::new();
    for (name, cluster, pod) in on_host {
        let what = format!("the nodes of cluster {name}");
        let Some(gke) = out.seen(&format!("cluster {name}"), &cluster.gke, Read::Clusters) else {
            continue;
        };
        let Some(nodes) = out.seen(&what, &cluster.nodes, Read::Nodes) else {
            continue;
        };
        let node = nodes.iter().find(|n| n.name == pod.spec.node_name);
        let pool = node.and_then(|n| n.labels.get(POOL));
        let Some(pool) = gke.node_pools.iter().find(|p| Some(&p.name) == pool) else {
            continue;
        };
        let Some((email, held)) = excess(world, out, &cluster.path.project, pool) else {
            continue;
        };
        let maker = pod.metadata.controller().map_or(&pod.metadata.name, |o| &o.name);
        if held.is_empty() || !told.insert((name, &pod.metadata.namespace, maker)) {
            continue;
        }
        let subject = format!("pod {name}/{}/{maker}", pod.metadata.namespace);
        let place = world.place(None, &["cluster", name, "Pod", &pod.metadata.namespace, maker]);
        let what = format!("it is on the host's network, so that it is {email}, which has {}", listed(&held));
        let found = out.found(&subject, what, place);
        found.fix = Some("take hostNetwork from its template, or the roles from the node's account".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use serde_json::json;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let pod = |namespace: &str, labels: serde_json::Value| {
            json!({ "metadata": { "name": "agent", "namespace": namespace, "labels": labels },
                "spec": { "hostNetwork": true, "nodeName": "node-1" } })
        };
        let strong = |w: &mut crate::World| {
            w.bind("project/acme-prod", "roles/editor", &format!("serviceAccount:{NODES}"));
        };
        three(
            &super::RULE,
            |w| {
                strong(w);
                w.pod(pod("tools", json!({})));
            },
            |w| {
                strong(w);
                w.pod(pod("kube-system", json!({ "k8s-app": "netd" })));
            },
            |w| {
                w.pod(pod("tools", json!({})));
                w.main().nodes = refused();
            },
        );
        three(
            &super::RULE,
            |w| {
                strong(w);
                w.pod(pod("tools", json!({})));
            },
            |w| w.pod(pod("tools", json!({}))),
            |w| w.main().pods = refused(),
        );
    }
}
