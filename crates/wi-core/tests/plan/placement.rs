//! Which node pools a pod that is on no node may come to.

use serde_json::{Value, json};

use crate::impact::{fates, world};
use crate::support::*;

/// Whether a pod with this spec may come to a node pool with this configuration, beside nodes with labels.
fn may_come(spec: Value, config: Value, labels: Value) -> bool {
    let template = json!({ "spec": { "template": { "spec": spec } } });
    let labelled = with(node("p1"), json!({ "metadata": { "labels": labels } }));
    let world = with(
        world(
            json!({ "StatefulSet": { "shop/web": template }, "Pod": {}, "Node": { "n1": labelled } }),
        ),
        json!({
            "clusters": { "main": { "nodePools": { "p1": { "config": config } } } },
        }),
    );
    !fates(&plan(SPEC, world)).is_empty()
}

fn term(key: &str, operator: &str, values: &[&str]) -> Value {
    let rule = json!({ "key": key, "operator": operator, "values": values });
    terms(json!([{ "matchExpressions": [rule] }]))
}

fn terms(terms: Value) -> Value {
    json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } } })
}

#[test]
fn placement_goes_by_labels_of_the_pool_and_its_nodes() {
    let none = json!({});
    let selector = |key: &str, value: &str| json!({ "nodeSelector": { key: value } });
    assert!(may_come(none.clone(), none.clone(), none.clone()));
    for (key, value, good) in [
        ("cloud.google.com/gke-nodepool", "p1", true),
        ("cloud.google.com/gke-nodepool", "p2", false),
        ("iam.gke.io/gke-metadata-server-enabled", "true", false),
        ("team", "a", true),
        ("team", "b", false),
        ("tier", "x", true),
        ("tier", "y", false),
        ("nobody", "x", false),
        // Nodes in other zones may come.
        ("topology.kubernetes.io/zone", "elsewhere", true),
        ("failure-domain.beta.kubernetes.io/zone", "elsewhere", true),
        ("kubernetes.io/hostname", "elsewhere", true),
        ("kubernetes.io/arch", "arm64", false),
    ] {
        let labels = json!({ "tier": "x", "kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": "here" });
        assert_eq!(
            may_come(
                selector(key, value),
                json!({ "labels": { "team": "a" } }),
                labels
            ),
            good,
            "{key}={value}"
        );
    }
}

#[test]
fn placement_of_a_pool_without_nodes_goes_by_what_is_known() {
    let of = |key: &str| {
        let template =
            json!({ "spec": { "template": { "spec": { "nodeSelector": { key: "x" } } } } });
        let world = with(
            world(json!({ "StatefulSet": { "shop/web": template }, "Pod": {} })),
            json!({ "kubernetes": { "main": { "Node": { "n1": null } } } }),
        );
        !fates(&plan(SPEC, world)).is_empty()
    };
    assert!(
        of("kubernetes.io/arch")
            && of("node.kubernetes.io/instance-type")
            && of("cloud.google.com/gke-spot"),
        "GKE sets it, perhaps to this"
    );
    assert!(of("k8s.io/x") && of("x.gke.io/y"));
    assert!(!of("team") && !of("acme.example/x") && !of("notkubernetes.io/x"));
}

#[test]
fn placement_goes_by_required_affinity() {
    let none = json!({});
    for (operator, values, with_team, without) in [
        ("In", &["a"][..], true, false),
        ("In", &["b"][..], false, false),
        ("NotIn", &["a"][..], false, true),
        ("NotIn", &["b"][..], true, true),
        ("Exists", &[][..], true, false),
        ("DoesNotExist", &[][..], false, true),
        ("Gt", &["1"][..], true, true),
    ] {
        let spec = term("team", operator, values);
        assert_eq!(
            may_come(
                spec.clone(),
                json!({ "labels": { "team": "a" } }),
                none.clone()
            ),
            with_team,
            "{operator} {values:?}"
        );
        assert_eq!(
            may_come(spec, none.clone(), none.clone()),
            without,
            "{operator} {values:?}"
        );
    }
    let exists = |key: &str| json!({ "key": key, "operator": "Exists" });
    let either = terms(
        json!([{ "matchExpressions": [exists("x")] }, { "matchExpressions": [exists("team")] }]),
    );
    let both = terms(json!([{ "matchExpressions": [exists("x"), exists("team")] }]));
    let team = json!({ "labels": { "team": "a" } });
    assert!(may_come(either, team.clone(), none.clone()) && !may_come(both, team, none.clone()));
    let field = |key: &str, operator: &str, name: &str| {
        terms(json!([{ "matchFields": [{ "key": key, "operator": operator, "values": [name] }] }]))
    };
    assert!(may_come(
        field("metadata.name", "In", "n1"),
        none.clone(),
        none.clone()
    ));
    assert!(!may_come(
        field("metadata.name", "In", "n2"),
        none.clone(),
        none.clone()
    ));
    assert!(
        may_come(
            field("metadata.name", "In", "n9"),
            none.clone(),
            none.clone()
        ),
        "it could be of any pool"
    );
    assert!(may_come(
        field("metadata.name", "NotIn", "n2"),
        none.clone(),
        none.clone()
    ));
    assert!(may_come(
        field("other", "In", "n2"),
        none.clone(),
        none.clone()
    ));
    assert!(may_come(
        json!({ "nodeName": "n1" }),
        none.clone(),
        none.clone()
    ));
    assert!(!may_come(json!({ "nodeName": "n2" }), none.clone(), none));
}

#[test]
fn placement_goes_by_taints() {
    let taint = |key: &str, effect: &str| json!({ "taints": [{ "key": key, "value": "x", "effect": effect }] });
    let tolerating = |toleration: Value| json!({ "tolerations": [toleration] });
    let none = json!({});
    let comes = |spec: Value, config: Value| may_come(spec, config, json!({}));
    assert!(
        !comes(none.clone(), taint("only", "NO_SCHEDULE"))
            && !comes(none.clone(), taint("only", "NO_EXECUTE"))
    );
    assert!(comes(none.clone(), taint("only", "PREFER_NO_SCHEDULE")));
    assert!(
        comes(none.clone(), taint("nvidia.com/gpu", "NO_SCHEDULE"))
            && comes(
                none.clone(),
                taint("cloud.google.com/gke-spot", "NO_SCHEDULE")
            )
    );
    for good in [
        json!({ "operator": "Exists" }),
        json!({ "key": "only", "operator": "Exists" }),
        json!({ "key": "only", "value": "x" }),
        json!({ "key": "only", "value": "x", "effect": "NoSchedule" }),
    ] {
        assert!(
            comes(tolerating(good.clone()), taint("only", "NO_SCHEDULE")),
            "{good}"
        );
    }
    for bad in [
        json!({ "key": "other", "operator": "Exists" }),
        json!({ "key": "only", "value": "y" }),
        json!({ "key": "only", "value": "x", "effect": "NoExecute" }),
    ] {
        assert!(
            !comes(tolerating(bad.clone()), taint("only", "NO_SCHEDULE")),
            "{bad}"
        );
    }
    assert!(comes(
        tolerating(json!({ "key": "only", "value": "x", "effect": "NoExecute" })),
        taint("only", "NO_EXECUTE")
    ));
}
