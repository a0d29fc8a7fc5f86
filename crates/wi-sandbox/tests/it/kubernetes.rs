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

/// The paths of all kinds that discovery tells of: their lists, objects that are there and that are not, and what is
/// below them.
fn discovered(client: &mut Client) -> Vec<String> {
    let mut ask = |path: &str| client.get(&format!("{GATEWAY}{path}")).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let groups = ask("/apis")["groups"].clone();
    let versions = groups.as_array().into_iter().flatten().flat_map(|group| {
        let versions = group["versions"].as_array().into_iter().flatten();
        versions.map(|version| format!("/apis/{}", text(&version["groupVersion"])))
    });
    let versions: Vec<String> = versions.chain(["/api/v1".to_owned()]).collect();
    let mut paths = Vec::new();
    for version in versions {
        let resources = ask(&version)["resources"].clone();
        for resource in resources.as_array().expect("resources") {
            let base = match resource["namespaced"] == true {
                true => format!("{version}/namespaces/shop"),
                false => version.clone(),
            };
            let name = text(&resource["name"]);
            let (plural, below) = name.split_once('/').unwrap_or((&name, ""));
            let list = format!("{base}/{plural}");
            let there = ask(&list)["items"][0]["metadata"]["name"].clone();
            for one in [there.as_str().unwrap_or("x"), "nope"] {
                paths.push(format!("{list}/{one}/{below}"));
                paths.push(format!("{list}/{one}"));
            }
            paths.extend([list, format!("{version}/{plural}")]);
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_of_discovery_takes_every_verb_and_body() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let paths = discovered(&mut client);
    assert!(paths.len() > 30, "{paths:?}");
    let bodies = [
        json!({}),
        json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": null}),
        json!({"metadata": {"name": 5, "namespace": []}, "spec": {"replicas": -1, "template": []}}),
        json!([{"op": "add", "path": "/spec", "value": 5}]),
    ];
    for path in &paths {
        let path = format!("{GATEWAY}{path}?timeoutSeconds=1&limit=1");
        for verb in VERBS {
            for kind in [KINDS[0], KINDS[2], KINDS[3], KINDS[4]] {
                for body in &bodies {
                    let body = body.to_string();
                    let answer = client.send(verb, &path, kind, body.as_bytes());
                    sane(&format!("{verb} {path} {kind} {body}"), &answer);
                }
            }
        }
    }
    sandbox.snapshot();
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

const ACCOUNTS: &str = "/api/v1/namespaces/shop/serviceaccounts";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn world_with(cluster: &str) -> String {
    format!(
        "apiVersion: wi.sandbox/v1\nprojects: {{ acme: {{ number: 123456789012 }} }}\nclusters:\n  - {{ project: acme, location: europe-west1, name: main, membership: main, {cluster} }}\n"
    )
}

fn applied(name: &str, annotations: Value) -> Vec<u8> {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "annotations": annotations}})
        .to_string()
        .into_bytes()
}

/// GKE's own how-to: `kubectl create serviceaccount`, `kubectl annotate`. Seen on kube-apiserver 1.35.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_an_object_without_fields_is_not_known_until_the_first_apply() {
    let sandbox = start(&world_with("namespaces: { shop: {} }")).await;
    let mut client = Client::of(&sandbox);
    let all = format!("{GATEWAY}{ACCOUNTS}?fieldManager=kubectl-create");
    let made = client.json("POST", &all, &json!({"metadata": {"name": "pay"}}));
    assert_eq!(made.status, 201);
    assert!(made.json()["metadata"].get("managedFields").is_none());
    let one = format!("{GATEWAY}{ACCOUNTS}/pay");
    let patch = json!({"metadata": {"annotations": {"k": "theirs"}}}).to_string();
    let annotated = client.send(
        "PATCH",
        &format!("{one}?fieldManager=kubectl-annotate"),
        MERGE,
        patch.as_bytes(),
    );
    assert_eq!(annotated.status, 200);
    assert!(
        annotated.json()["metadata"].get("managedFields").is_none(),
        "nor does a later update"
    );
    let apply = format!("{one}?fieldManager=wi");
    let refused = client.send(
        "PATCH",
        &apply,
        APPLY,
        &applied("pay", json!({"k": "ours"})),
    );
    assert_eq!(refused.status, 409);
    let message = "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .metadata.annotations.k";
    assert_eq!(refused.json()["message"], message);
    // A dry run tells the same, and leaves nothing.
    let asked = client.send(
        "PATCH",
        &format!("{apply}&dryRun=All"),
        APPLY,
        &applied("pay", json!({"k": "ours"})),
    );
    assert_eq!(
        (asked.status, asked.json()["message"].clone()),
        (409, json!(message))
    );
    let taken = client.send(
        "PATCH",
        &format!("{apply}&force=true"),
        APPLY,
        &applied("pay", json!({"k": "ours"})),
    );
    let managers: Vec<Value> = taken.json()["metadata"]["managedFields"]
        .as_array()
        .expect("they are named now")
        .iter()
        .map(|entry| entry["manager"].clone())
        .collect();
    assert_eq!(
        managers,
        ["wi", "before-first-apply"],
        "which keeps the map that the annotation is in"
    );
    // Reset by hand, as kubernetes documents it.
    let reset = client.send(
        "PATCH",
        &one,
        MERGE,
        b"{\"metadata\": {\"managedFields\": [{}]}}",
    );
    assert!(reset.json()["metadata"].get("managedFields").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_world_has_is_somebodys_unless_it_says_otherwise() {
    let sandbox = start(&world_with(
        "namespaces: { shop: { serviceAccounts: { theirs: { annotations: { k: v } }, nobodys: { annotations: { k: v }, managedFields: [] } } } }",
    ))
    .await;
    let mut client = Client::of(&sandbox);
    let mut manager = |name: &str| {
        let account = client.get(&format!("{GATEWAY}{ACCOUNTS}/{name}")).json();
        account["metadata"]["managedFields"][0]["manager"].clone()
    };
    assert_eq!(manager("theirs"), "kubectl-client-side-apply");
    assert_eq!(manager("nobodys"), Value::Null);
    // So it stays when it was saved and read again.
    let again = start(&sandbox.snapshot().to_yaml()).await;
    let mut client = Client::of(&again);
    let nobodys = client.get(&format!("{GATEWAY}{ACCOUNTS}/nobodys")).json();
    assert!(nobodys["metadata"].get("managedFields").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admission_refuses_and_rewrites_in_dry_runs_too() {
    let sandbox = start(&world_with(
        "namespaces: { shop: { quota: { count/serviceaccounts: 2 } }, going: { terminating: true }, locked: {} }, webhooks: [{ name: fix.example.com, resources: [serviceaccounts], namespaces: [shop], rewrite: { metadata: { annotations: { k: fixed } } } }, { name: no.example.com, namespaces: [lock*], deny: not here }]",
    ))
    .await;
    let mut client = Client::of(&sandbox);
    let mut apply = |namespace: &str, name: &str, query: &str| {
        let path = format!(
            "{GATEWAY}/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager=wi{query}"
        );
        let answer = client.send("PATCH", &path, APPLY, &applied(name, json!({"k": "asked"})));
        (answer.status, answer.json())
    };
    for query in ["&dryRun=All", ""] {
        let (status, made) = apply("shop", "pay", query);
        assert_eq!(
            (status, &made["metadata"]["annotations"]["k"]),
            (201, &json!("fixed"))
        );
        let (status, denied) = apply("locked", "pay", query);
        let words = "admission webhook \"no.example.com\" denied the request: not here";
        assert_eq!((status, &denied["message"]), (403, &json!(words)));
        let (status, going) = apply("going", "pay", query);
        assert_eq!(
            (status, &going["details"]["causes"][0]["reason"]),
            (403, &json!("NamespaceTerminating"))
        );
    }
    // `default` and `pay` are two.
    for query in ["&dryRun=All", ""] {
        let (status, full) = apply("shop", "more", query);
        let words = "serviceaccounts \"more\" is forbidden: exceeded quota: objects, requested: count/serviceaccounts=1, used: count/serviceaccounts=2, limited: count/serviceaccounts=2";
        assert_eq!((status, &full["message"]), (403, &json!(words)));
    }
    let (status, _) = apply("shop", "pay", "");
    assert_eq!(status, 200, "what is there may be changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_of_client_go_and_odd_json_patches_are_understood() {
    let sandbox = start(&world_with(
        "namespaces: { shop: { serviceAccounts: { pay: {}, kept: { extra: { metadata: { finalizers: [a/b] } } } } } }",
    ))
    .await;
    let mut client = Client::of(&sandbox);
    let one = format!("{GATEWAY}{ACCOUNTS}/pay");
    let patch = json!([
        {"op": "test", "path": "/metadata/annotations", "value": null},
        {"op": "replace", "path": "/metadata/annotations", "value": {"k": "v"}},
    ]);
    let patched = client.send(
        "PATCH",
        &one,
        "application/json-patch+json",
        patch.to_string().as_bytes(),
    );
    assert_eq!(
        (
            patched.status,
            &patched.json()["metadata"]["annotations"]["k"]
        ),
        (200, &json!("v"))
    );
    // runtime.Unknown around DeleteOptions{preconditions: {uid}, dryRun: [All]}
    let delete = |uid: &str, dry_run: bool| {
        let mut options = vec![
            0x12,
            u8::try_from(uid.len() + 2).expect("short"),
            0x0a,
            u8::try_from(uid.len()).expect("short"),
        ];
        options.extend_from_slice(uid.as_bytes());
        if dry_run {
            options.extend_from_slice(b"\x2a\x03All");
        }
        let mut body = b"k8s\0\x12".to_vec();
        body.push(u8::try_from(options.len()).expect("short"));
        body.extend(options);
        body
    };
    let uid = patched.json()["metadata"]["uid"]
        .as_str()
        .expect("a uid")
        .to_owned();
    let protobuf = "application/vnd.kubernetes.protobuf";
    assert_eq!(
        client
            .send("DELETE", &one, protobuf, &delete("another", false))
            .status,
        409
    );
    assert_eq!(
        client
            .send("DELETE", &one, protobuf, &delete(&uid, true))
            .status,
        200
    );
    assert_eq!(client.get(&one).status, 200, "that was a dry run");
    assert_eq!(
        client
            .send("DELETE", &one, protobuf, &delete(&uid, false))
            .status,
        200
    );
    assert_eq!(client.get(&one).status, 404);
    // One with a finalizer goes when that has gone.
    let kept = format!("{GATEWAY}{ACCOUNTS}/kept");
    assert_eq!(
        client.send("DELETE", &kept, "application/json", b"").status,
        200
    );
    assert!(client.get(&kept).json()["metadata"]["deletionTimestamp"].is_string());
    let released = client.send(
        "PATCH",
        &kept,
        MERGE,
        b"{\"metadata\": {\"finalizers\": null}}",
    );
    assert_eq!((released.status, client.get(&kept).status), (200, 404));
}

fn nulls(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(at.to_owned()),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| nulls(&format!("{at}/{name}"), value, found)),
        Value::Array(items) => items.iter().for_each(|item| nulls(at, item, found)),
        _ => {}
    }
}

/// Objects have a type: what is not set is not there, and the metadata of a template are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_set_is_not_served_as_null() {
    for controllers in ["", ", controllers: {}"] {
        let sandbox = start(&format!(
            "apiVersion: wi.sandbox/v1\nprojects: {{ acme: {{ number: 123456789012 }} }}\nclusters:\n  - project: acme\n    location: europe-west1\n    name: main\n    membership: main\n    objects:\n      - {{ kind: CronJob, metadata: {{ name: nightly, namespace: shop, labels: null }}, spec: {{ schedule: '0 0 1 1 *', suspend: null, jobTemplate: {{ spec: {{ template: {{ spec: {{ containers: [{{ name: c, image: x, env: null }}] }} }} }} }} }} }}\n    namespaces: {{ shop: {{}} }}{}\n",
            controllers.replace(", ", "\n    ")
        ))
        .await;
        let mut client = Client::of(&sandbox);
        let list = format!("{GATEWAY}/apis/batch/v1/namespaces/shop/cronjobs");
        let post = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "posted"}, "spec": {"schedule": "0 0 1 1 *", "timeZone": null, "jobTemplate": {"spec": {"template": {"metadata": null, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x", "args": null}]}}}}}});
        let posted = client.json("POST", &list, &post);
        assert_eq!(posted.status, 201, "{}", posted.body);
        let served = client.get(&list).json();
        let items = served["items"].as_array().expect("items");
        assert_eq!(items.len(), 2);
        for item in items {
            let mut found = Vec::new();
            nulls("", item, &mut found);
            assert_eq!(found, Vec::<String>::new(), "{item}");
            let template = &item["spec"]["jobTemplate"];
            assert_eq!(template["metadata"], json!({}));
            assert_eq!(template["spec"]["template"]["metadata"], json!({}));
        }
    }
}
