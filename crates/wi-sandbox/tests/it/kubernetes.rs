//! The Kubernetes APIs, through Connect Gateway: no request breaks anything.

use crate::support::{Answer, Client, GATEWAY, WORLD, mutants, odd_values, start};
use serde_json::{Value, json};

const VERBS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const KINDS: [&str; 6] = [
    "application/json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
];

fn sane(what: &str, answer: &Answer) {
    assert!(
        !answer.body.contains("The sandbox failed"),
        "{what}: {}",
        answer.body
    );
    assert!(
        answer.status != 502 && answer.status != 503,
        "{what}: {}",
        answer.body
    );
}

fn paths() -> Vec<String> {
    let collections = [
        "/api/v1/namespaces",
        "/api/v1/nodes",
        "/api/v1/pods",
        "/api/v1/namespaces/shop/pods",
        "/api/v1/namespaces/shop/serviceaccounts",
        "/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
    ];
    let mut paths: Vec<String> = collections.map(str::to_owned).to_vec();
    for (collection, name) in collections
        .iter()
        .zip(["shop", "n", "p", "web-1", "checkout", "web"])
    {
        for rest in [
            name,
            "nope",
            "%2F%00",
            &format!("{name}/status"),
            &format!("{name}/token"),
        ] {
            paths.push(format!("{collection}/{rest}"));
        }
    }
    for other in [
        "",
        "/",
        "/api",
        "/apis",
        "/version",
        "/readyz",
        "/openapi/v2",
        "/openapi/v3",
        "/apis/policy",
        "/apis//v1",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/api/v1/namespaces/shop/nope",
        "/api/v2/x",
    ] {
        paths.push(other.to_owned());
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_verb_type_or_body_breaks_it() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let bodies: [&[u8]; 9] = [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\"x\"",
        b"{\"a\":",
        b"a: [b",
        b"k8s\0\x0a\xff\xff",
        b"k8s\0\x12\x06\x0a\x04\x0a\x02ab",
    ];
    for path in paths() {
        for query in [
            "",
            "?dryRun=All&fieldManager=x&force=true&fieldValidation=Strict&limit=1&continue=x",
        ] {
            let path = format!("{GATEWAY}{path}{query}");
            for verb in VERBS {
                for kind in KINDS {
                    for body in bodies {
                        let answer = client.send(verb, &path, kind, body);
                        sane(
                            &format!("{verb} {path} {kind} {}", String::from_utf8_lossy(body)),
                            &answer,
                        );
                    }
                }
            }
        }
    }
}

fn objects() -> Vec<(&'static str, &'static str, Value)> {
    let meta = |name: &str| json!({"name": name, "labels": {"a": "b"}, "annotations": {"c/d": "e"}, "finalizers": ["x/y"], "ownerReferences": [{"kind": "A", "name": "b"}], "managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}}]});
    vec![
        (
            "/api/v1/namespaces",
            "shop",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta("shop"), "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
        ),
        (
            "/api/v1/namespaces/shop/serviceaccounts",
            "checkout",
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("checkout"), "secrets": [{"name": "x"}], "imagePullSecrets": [{"name": "y"}], "automountServiceAccountToken": true}),
        ),
        (
            "/api/v1/namespaces/shop/pods",
            "web-1",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta("web-1"), "spec": {"serviceAccountName": "checkout", "nodeName": "n", "nodeSelector": {"a": "b"}, "containers": [{"name": "c", "env": [{"name": "x", "value": "y"}]}], "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "status": {"phase": "Running"}}),
        ),
        (
            "/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
            "web",
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta("web"), "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}}}),
        ),
        (
            "/api/v1/nodes",
            "n",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": meta("n"), "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_of_an_object_breaks_it() {
    for (collection, name, object) in objects() {
        let sandbox = start(WORLD).await;
        let mut client = Client::of(&sandbox);
        let (all, one) = (
            format!("{GATEWAY}{collection}"),
            format!("{GATEWAY}{collection}/{name}"),
        );
        let applied = format!("{one}?fieldManager=x&force=true");
        for mutant in mutants(&object) {
            let text = mutant.to_string();
            for (verb, path, kind) in [
                ("POST", &all, KINDS[0]),
                ("PUT", &one, KINDS[0]),
                ("PATCH", &one, KINDS[1]),
                ("PATCH", &one, KINDS[2]),
                ("PATCH", &applied, KINDS[4]),
                ("GET", &all, KINDS[0]),
            ] {
                sane(
                    &format!("{verb} {path} {text}"),
                    &client.send(verb, path, kind, text.as_bytes()),
                );
            }
        }
        for pointer in [
            "",
            "/",
            "/metadata",
            "/metadata/labels",
            "/metadata/labels/a",
            "/metadata/annotations/c~1d",
            "/spec",
            "/status",
            "/metadata/finalizers/0",
            "/metadata/managedFields",
        ] {
            for value in odd_values() {
                for op in ["add", "replace", "remove", "test", "move", "copy", "nope"] {
                    let patch = json!([{"op": op, "path": pointer, "from": "/metadata/name", "value": value}]).to_string();
                    sane(
                        &patch,
                        &client.send("PATCH", &one, KINDS[3], patch.as_bytes()),
                    );
                    sane(&patch, &client.get(&all));
                }
            }
        }
        sandbox.snapshot();
        sandbox.access();
    }
}
