//! Pods that are not there just now, and those that GKE runs itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{SPEC, assert_fate, fates, moves, plan, pod, world};

/// An object whose pods would have this spec.
fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let template = json!({"spec": spec});
    let spec = match kind {
        "CronJob" => json!({"jobTemplate": {"spec": {"template": template}}}),
        _ => json!({"replicas": 0, "template": template}),
    };
    json!({"kind": kind, "metadata": {"name": name, "namespace": "apps"}, "spec": spec})
}

fn plain() -> Value {
    json!({"containers": [{"name": "main"}]})
}

fn selecting(selector: &Value) -> Value {
    json!({"containers": [{"name": "main"}], "nodeSelector": selector})
}

const KINDS: [&str; 7] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "ReplicationController",
];

#[test]
fn what_makes_pods_later_is_named_on_a_pool_of_no_nodes_too() {
    let mut objects: Vec<Value> = KINDS.iter().map(|k| object(k, "idle", &plain())).collect();
    // These are known by others, or make no pod any more.
    let mut owned = object("ReplicaSet", "idle-66d9c", &plain());
    owned["metadata"]["ownerReferences"] =
        json!([{"kind": "Deployment", "name": "idle", "controller": true}]);
    let mut started = object("Job", "idle-29000000", &plain());
    started["metadata"]["ownerReferences"] =
        json!([{"kind": "CronJob", "name": "idle", "controller": true}]);
    let mut ended = object("Job", "ended", &plain());
    ended["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    objects.extend([owned, started, ended]);
    let mut pending = pod("waits", "apps", "default", &plain());
    pending["phase"] = json!("Pending");
    pending["nodeSelector"] = json!({"cloud.google.com/gke-nodepool": "empty"});
    let keyed = json!({"serviceAccountName": "own", "containers": [{"name": "main"}]});
    let mut safe = object("Deployment", "safe", &keyed);
    safe["metadata"]["namespace"] = json!("shop");
    objects.push(safe);
    let world = world(&json!({
        "nodePools": [{"name": "empty", "nodes": 0}],
        "objects": objects,
        "pods": [pending],
    }));
    let plan = plan(SPEC, &world, &[]);
    let fates = fates(&plan, "empty");
    for kind in KINDS {
        assert_fate(&fates, &format!("apps/{kind}/idle"), "loses", "");
    }
    assert_fate(&fates, "apps/StatefulSet/waits", "loses", "");
    assert_fate(&fates, "shop/Deployment/safe", "gets", "acme-prod/shop/own");
    assert_eq!(fates.len(), KINDS.len() + 2, "{fates:#?}");
    assert!(!moves(&plan, "empty"));
    // A ReplicaSet of what is no Deployment is named by that.
    let mut rollout = object("ReplicaSet", "web-66d9c", &plain());
    rollout["metadata"]["ownerReferences"] =
        json!([{"kind": "Rollout", "name": "web", "controller": true}]);
    let world = super::world(&json!({"objects": [rollout]}));
    assert_fate(
        &super::fates(&super::plan(SPEC, &world, &[]), "p"),
        "apps/Rollout/web",
        "loses",
        "",
    );
}

#[test]
fn a_template_counts_where_its_pods_could_come_to_be() {
    let affine = |rule: Value| {
        json!({"containers": [{"name": "main"}], "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]},
        }}})
    };
    let tolerating = |t: Value| json!({"containers": [{"name": "main"}], "tolerations": [t]});
    let pool = "cloud.google.com/gke-nodepool";
    // Name, pods, and the node pools on which they count.
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("anywhere", plain(), &["web", "jobs", "none"]),
        ("by-pool", selecting(&json!({pool: "jobs"})), &["jobs"]),
        ("by-label", selecting(&json!({"team": "jobs"})), &["jobs"]),
        ("by-no-label", selecting(&json!({"team": "x"})), &[]),
        (
            "by-zone",
            selecting(&json!({"topology.kubernetes.io/zone": "europe-west1-b"})),
            &["web", "jobs", "none"],
        ),
        (
            "by-gpu",
            selecting(&json!({"cloud.google.com/gke-accelerator": "t4"})),
            &["none"],
        ),
        (
            "own-identity",
            selecting(&json!({"iam.gke.io/gke-metadata-server-enabled": "true"})),
            &[],
        ),
        (
            "in",
            affine(json!({"key": "team", "operator": "In", "values": ["jobs", "y"]})),
            &["jobs"],
        ),
        (
            "not-in",
            affine(json!({"key": "team", "operator": "NotIn", "values": ["jobs"]})),
            &["web", "none"],
        ),
        (
            "exists",
            affine(json!({"key": "team", "operator": "Exists"})),
            &["web", "jobs"],
        ),
        (
            "not-there",
            affine(json!({"key": "team", "operator": "DoesNotExist"})),
            &["none"],
        ),
        (
            "tolerates",
            tolerating(json!({"key": "for", "value": "gpu", "effect": "NoSchedule"})),
            &["web", "jobs", "none", "tainted"],
        ),
        (
            "tolerates-all",
            tolerating(json!({"operator": "Exists"})),
            &["web", "jobs", "none", "tainted"],
        ),
        (
            "tolerates-other",
            tolerating(json!({"key": "for", "value": "x"})),
            &["web", "jobs", "none"],
        ),
    ];
    let mut objects: Vec<Value> = cases
        .iter()
        .map(|(name, spec, _)| object("Deployment", name, spec))
        .collect();
    // Where its pods are just now tells nothing of where they will be when they are made anew.
    objects.push(object("StatefulSet", "placed", &plain()));
    objects.push(object("CronJob", "nightly", &plain()));
    objects.push(object("DaemonSet", "agent", &plain()));
    let on_web = json!({pool: "web"});
    let mut placed = pod("placed", "apps", "default", &plain());
    let mut nightly = pod("nightly-29000000", "apps", "default", &plain());
    nightly["owner"] = json!({"kind": "Job", "name": "nightly-29000000"});
    let mut agent = pod("agent", "apps", "default", &plain());
    agent["owner"] = json!({"kind": "DaemonSet", "name": "agent"});
    for pod in [&mut placed, &mut nightly, &mut agent] {
        pod["nodeSelector"] = on_web.clone();
    }
    let world = world(&json!({
        "nodePools": [
            {"name": "web", "nodes": 1, "labels": {"team": "web"}},
            {"name": "jobs", "nodes": 1, "labels": {"team": "jobs"}},
            {"name": "none", "nodes": 0},
            {"name": "tainted", "nodes": 0, "taints": [{"key": "for", "value": "gpu", "effect": "NO_SCHEDULE"}]},
        ],
        "objects": objects,
        "pods": [placed, nightly, agent],
    }));
    let plan = plan(SPEC, &world, &[]);
    let mut cases: Vec<(String, &[&str])> = cases
        .iter()
        .map(|(n, _, on)| (format!("apps/Deployment/{n}"), *on))
        .collect();
    cases.push((
        "apps/StatefulSet/placed".to_owned(),
        &["web", "jobs", "none"],
    ));
    cases.push(("apps/CronJob/nightly".to_owned(), &["web", "jobs", "none"]));
    cases.push(("apps/DaemonSet/agent".to_owned(), &["web", "jobs", "none"]));
    for (name, wanted) in cases {
        let on: BTreeSet<&str> = ["web", "jobs", "none", "tainted"]
            .into_iter()
            .filter(|pool| fates(&plan, pool).contains_key(&name))
            .collect();
        assert_eq!(on, wanted.iter().copied().collect(), "{name}");
    }
}

#[test]
fn what_cannot_be_listed_holds_the_node_pool_back_until_it_is_accepted() {
    for kind in KINDS {
        let plural = format!("{}s", kind.to_lowercase());
        let world = world(&json!({"denied": [format!("list {plural}")]}));
        let seen = plan(SPEC, &world, &[]);
        let unread = &seen["wi"]["unread"];
        assert_eq!(
            unread[0]["object"],
            format!("the {kind}s of cluster.main"),
            "{unread}"
        );
        assert_eq!(seen["wi"]["held_back"][0]["reason"], "unread");
        assert!(!moves(&seen, "p"), "{kind}");
        let accepted = plan(SPEC, &world, &["--accept-loss"]);
        assert!(moves(&accepted, "p"), "{kind}");
        let warnings = accepted["wi"]["warnings"].to_string();
        assert!(
            warnings.contains(&format!("although the {kind}s of its cluster")),
            "{warnings}"
        );
    }
}

#[test]
fn gke_itself_is_known_by_its_marks_and_its_namespaces() {
    let mut pods = Vec::new();
    let mut add = |name: &str, namespace: &str, fields: Value| {
        let mut pod = pod(name, namespace, "default", &plain());
        for (field, value) in fields.as_object().expect("a map") {
            pod[field] = value.clone();
        }
        pods.push(pod);
    };
    add(
        "dns",
        "kube-system",
        json!({"labels": {"k8s-app": "kube-dns"}}),
    );
    add(
        "agent",
        "kube-system",
        json!({"annotations": {"components.gke.io/component-name": "gke-metrics-agent"}}),
    );
    add(
        "addon",
        "kube-system",
        json!({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}),
    );
    add(
        "proxy",
        "kube-system",
        json!({"owner": {"kind": "Node", "name": "x"}}),
    );
    add("collector", "gmp-system", json!({}));
    add("csi", "gke-managed-filestorecsi", json!({}));
    add(
        "external-dns",
        "kube-system",
        json!({"labels": {"k8s-app": "external-dns"}}),
    );
    add(
        "fluentd",
        "kube-system",
        json!({"labels": {"app": "kube-dns"}}),
    );
    add("tools", "gke-tools", json!({}));
    add("motd", "kube-public", json!({}));
    // The marks of GKE's programs mean nothing elsewhere.
    add("copy", "apps", json!({"labels": {"k8s-app": "kube-dns"}}));
    let mut own = object("DaemonSet", "netd", &plain());
    own["metadata"] = json!({"name": "netd", "namespace": "kube-system", "labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}});
    let mut by_template = object("DaemonSet", "pdcsi-node", &plain());
    by_template["metadata"]["namespace"] = json!("kube-system");
    by_template["spec"]["template"]["metadata"] =
        json!({"labels": {"k8s-app": "gcp-compute-persistent-disk-csi-driver"}});
    let mut theirs = object("DaemonSet", "node-agent", &plain());
    theirs["metadata"]["namespace"] = json!("kube-system");
    let world = world(&json!({"pods": pods, "objects": [own, by_template, theirs]}));
    let fates = fates(&plan(SPEC, &world, &[]), "p");
    let named: Vec<&str> = fates.keys().map(String::as_str).collect();
    assert_eq!(
        named,
        [
            "apps/StatefulSet/copy",
            "gke-tools/StatefulSet/tools",
            "kube-public/StatefulSet/motd",
            "kube-system/DaemonSet/node-agent",
            "kube-system/StatefulSet/external-dns",
            "kube-system/StatefulSet/fluentd",
        ]
    );
}

/// A node pool stands, and an account's identity changes: who is to be restarted, and whom it does not
/// reach.
#[test]
fn an_identity_that_does_not_reach_a_pod_is_told_and_nothing_is_restarted_for_it() {
    let spec = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts: { backend: {} }
namespaces: { apps: { serviceAccounts: { app: { impersonates: backend } } } }
";
    let key = json!({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/key.json"});
    let keyed = json!({"name": "main", "env": [key], "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]});
    let volumes = json!([{"name": "keys", "secret": {"secretName": "keys"}}]);
    let world = world(&json!({
        "nodePools": [{"name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA"}],
        "namespaces": {"apps": {"serviceAccounts": {"app": {}}}},
        "pods": [
            pod("plain", "apps", "app", &plain()),
            pod("keyed", "apps", "app", &json!({"containers": [keyed], "volumes": volumes})),
            pod("half", "apps", "app", &json!({"containers": [keyed, {"name": "other"}], "volumes": volumes})),
            pod("image", "apps", "app", &json!({"containers": [{"name": "main", "env": [key]}]})),
            pod("gcloud", "apps", "app", &json!({"containers": [{"name": "main", "image": "google/cloud-sdk", "env": [key]}]})),
            pod("host", "apps", "app", &json!({"hostNetwork": true, "containers": [{"name": "main"}]})),
        ],
    }));
    let plan = plan(spec, &world, &[]);
    let restarts = plan["wi"]["restarts"].as_array().expect("restarts");
    let names: Vec<&str> = restarts.iter().filter_map(|r| r["name"].as_str()).collect();
    assert_eq!(names, ["gcloud", "half", "plain"], "{restarts:#?}");
    let warnings = plan["wi"]["warnings"].to_string();
    for (name, words) in [
        (
            "keyed",
            "wins over the metadata server (GOOGLE_APPLICATION_CREDENTIALS, a file of Secret keys)",
        ),
        (
            "image",
            "wins over the metadata server (GOOGLE_APPLICATION_CREDENTIALS)",
        ),
        ("host", "on the host's network"),
    ] {
        let line = format!("StatefulSet apps/{name} in cluster.main");
        let told = plan["wi"]["warnings"].as_array().expect("warnings");
        let told = told
            .iter()
            .filter_map(Value::as_str)
            .find(|w| w.starts_with(&line));
        assert!(
            told.is_some_and(|w| w.contains(words)),
            "{name}: {warnings}"
        );
    }
}
