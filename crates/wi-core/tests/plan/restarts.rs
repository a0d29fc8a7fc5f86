//! Workloads that have a token of their former identity, and those that a new one does not reach.

use serde_json::{Value, json};
use wi_core::plan::Plan;

use crate::support::*;

const OLD: &str = "old@acme-prod.iam.gserviceaccount.com";

/// `shop/checkout` gets another account; one pod runs as it.
fn world(of_pod: Value) -> Value {
    let pod = with(pod("checkout", "n1", "web"), of_pod);
    with(
        settled(),
        json!({ "kubernetes": { "main": {
        "ServiceAccount": { "=shop/checkout": ours(Some(OLD)) },
        "Pod": { "shop/web-0": pod },
        "Node": { "n1": node("p1") },
    } } }),
    )
}

fn restarts(plan: &Plan) -> Vec<String> {
    let all = plan.restarts.iter();
    all.map(|r| {
        format!(
            "{} {} {}/{}",
            r.cluster, r.workload.kind, r.workload.namespace, r.workload.name
        )
    })
    .collect()
}

#[test]
fn running_pods_whose_identity_changes_are_to_be_restarted() {
    assert_eq!(
        restarts(&plan(SPEC, world(json!({})))),
        ["main StatefulSet shop/web"]
    );
    for other in [
        json!({ "spec": { "serviceAccountName": "worker" } }),
        json!({ "status": { "phase": "Pending" } }),
        json!({ "status": { "phase": "Succeeded" } }),
    ] {
        assert_eq!(
            restarts(&plan(SPEC, world(other.clone()))),
            Vec::<String>::new(),
            "{other}"
        );
    }
    let elsewhere = with(
        world(json!({})),
        json!({ "kubernetes": { "main": { "Pod": { "shop/web-0": null, "other/web-0": pod("checkout", "n1", "web") } } } }),
    );
    assert_eq!(restarts(&plan(SPEC, elsewhere)), Vec::<String>::new());
    let unchanged = with(
        world(json!({})),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": ours(Some(CHECKOUT)) } } } }),
    );
    assert_eq!(restarts(&plan(SPEC, unchanged)), Vec::<String>::new());
    let only_marked = with(
        world(json!({})),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": annotated(Some(CHECKOUT), "x") } } } }),
    );
    assert_eq!(restarts(&plan(SPEC, only_marked)), Vec::<String>::new());
    let made = with(
        world(json!({})),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": null } } } }),
    );
    assert_eq!(restarts(&plan(SPEC, made)), Vec::<String>::new());
}

#[test]
fn what_runs_to_its_end_has_its_new_identity_the_next_time() {
    for kind in ["Job", "CronJob"] {
        let owner = json!({ "metadata": { "ownerReferences": [{ "kind": kind, "name": "once", "controller": true }] } });
        assert_eq!(
            restarts(&plan(SPEC, world(owner))),
            Vec::<String>::new(),
            "{kind}"
        );
    }
}

#[test]
fn pods_on_the_nodes_identity_are_not_reached_by_a_new_one() {
    let on_node = with(
        world(json!({})),
        json!({ "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } } }),
    );
    let kept = SPEC.replace(
        "location: europe-west1",
        "location: europe-west1, nodePools: { exclude: [p1] }",
    );
    assert_eq!(
        restarts(&plan(&kept, on_node.clone())),
        Vec::<String>::new()
    );
    assert_eq!(
        restarts(&plan(SPEC, on_node)),
        Vec::<String>::new(),
        "its nodes are recreated anyway"
    );
    let unknown_node = world(json!({ "spec": { "nodeName": "n9" } }));
    assert_eq!(
        restarts(&plan(SPEC, unknown_node)),
        ["main StatefulSet shop/web"]
    );
    let unknown_pool = with(
        world(json!({})),
        json!({ "kubernetes": { "main": { "Node": { "n1": node("p9") } } } }),
    );
    assert_eq!(
        restarts(&plan(SPEC, unknown_pool)),
        ["main StatefulSet shop/web"]
    );
    let autopilot = with(
        world(json!({})),
        json!({ "clusters": { "main": { "autopilot": { "enabled": true }, "nodePools": { "p1": pool("") } } } }),
    );
    assert_eq!(
        restarts(&plan(SPEC, autopilot)),
        ["main StatefulSet shop/web"]
    );
}

#[test]
fn pods_with_another_credential_are_told() {
    let host = plan(SPEC, world(json!({ "spec": { "hostNetwork": true } })));
    assert_eq!(restarts(&host), Vec::<String>::new());
    says(
        &host.warnings,
        &["StatefulSet shop/web in cluster.main is on the host's network"],
    );
    let key = json!({ "name": "app", "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/key.json" }], "volumeMounts": [{ "name": "keys", "mountPath": "/keys" }] });
    let volumes = json!([{ "name": "keys", "secret": { "secretName": "s" } }]);
    let own = plan(
        SPEC,
        world(json!({ "spec": { "containers": [key], "volumes": volumes } })),
    );
    assert_eq!(restarts(&own), Vec::<String>::new());
    says(
        &own.warnings,
        &["StatefulSet shop/web in cluster.main has a credentials file of its own"],
    );
    let some = plan(
        SPEC,
        world(json!({ "spec": { "containers": [key, { "name": "other" }], "volumes": volumes } })),
    );
    assert_eq!(restarts(&some), ["main StatefulSet shop/web"]);
}
