//! The simulated Kubernetes API over the wire: TLS with its own CA, bearer tokens, JSON.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use wi_sandbox::Verdict;
use wi_sandbox::kube::{KubeCluster, KubeState, NodeSpec, PodOwner, PodState, Served};

mod as_the_server;
mod disruption;
mod drain;
mod kubectl;
mod watching;

const ACCOUNT: &str = "/api/v1/namespaces/shop/serviceaccounts/checkout";
const ANNOTATION: &str = "iam.gke.io/gcp-service-account";

struct Server {
    cluster: KubeCluster,
    served: Served,
    client: Client,
    changes: Arc<AtomicUsize>,
}

impl Server {
    async fn start(world: Value) -> Self {
        let state: KubeState = serde_json::from_value(world).unwrap();
        let cluster = KubeCluster::new(state);
        let changes = Arc::new(AtomicUsize::new(0));
        let counter = changes.clone();
        let api = cluster.api(
            Arc::new(|token| token == "secret"),
            Arc::new(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            }),
            Arc::new(|_| Verdict::default()),
        );
        let served = api.serve().unwrap();
        // Only the first caller in the process installs it.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(served.ca_pem.as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .build()
            .unwrap();
        Self {
            cluster,
            served,
            client,
            changes,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("https://{}{path}", self.served.addr);
        self.client.request(method, url).bearer_auth("secret")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        send(self.request(Method::GET, path)).await
    }

    async fn patch(&self, path: &str, content_type: &str, body: &Value) -> (u16, Value) {
        let request = self.request(Method::PATCH, path);
        send(
            request
                .header("content-type", content_type)
                .body(body.to_string()),
        )
        .await
    }

    async fn apply(&self, manager: &str, options: &str, annotations: Value) -> (u16, Value) {
        let body = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": "checkout", "namespace": "shop", "annotations": annotations },
        });
        let path = format!("{ACCOUNT}?fieldManager={manager}{options}");
        self.patch(&path, "application/apply-patch+yaml", &body)
            .await
    }
}

async fn send(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let code = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        code,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

fn shop() -> Value {
    json!({ "namespaces": { "shop": null } })
}

#[tokio::test]
async fn a_request_without_a_good_token_is_unauthorized() {
    let server = Server::start(shop()).await;
    let url = format!("https://{}/api/v1/namespaces", server.served.addr);
    for request in [
        server.client.get(&url),
        server.client.get(&url).bearer_auth("wrong"),
    ] {
        let (code, body) = send(request).await;
        assert_eq!((code, &body["reason"]), (401, &json!("Unauthorized")));
    }
    assert_eq!(server.get("/readyz").await, (200, json!("ok")));
    server.served.stop().await;
    assert!(server.client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn apply_creates_updates_and_drops_what_it_no_longer_says() {
    let server = Server::start(shop()).await;
    let (code, created) = server.apply("wi", "", json!({ "a": "1", "b": "1" })).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(
        created["metadata"]["managedFields"][0]["fieldsV1"],
        json!({ "f:metadata": { "f:annotations": { "f:a": {}, "f:b": {} } } })
    );
    let (code, again) = server.apply("wi", "", json!({ "a": "1", "b": "1" })).await;
    assert_eq!(
        (code, &again),
        (200, &created),
        "the same again changes nothing"
    );
    assert_eq!(server.changes.load(Ordering::SeqCst), 1);

    let (code, updated) = server.apply("wi", "", json!({ "a": "2" })).await;
    assert_eq!(code, 200);
    assert_eq!(updated["metadata"]["annotations"], json!({ "a": "2" }));
    assert_eq!(updated["metadata"]["uid"], created["metadata"]["uid"]);
    assert_ne!(
        updated["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
    assert_eq!(
        server.cluster.account("shop", "checkout").unwrap().0,
        [("a".to_owned(), "2".to_owned())].into()
    );
}

#[tokio::test]
async fn managers_share_a_value_conflict_over_another_and_take_it_by_force() {
    let server = Server::start(shop()).await;
    server.apply("wi", "", json!({ ANNOTATION: "a@p" })).await;
    let (code, shared) = server.apply("argo", "", json!({ ANNOTATION: "a@p" })).await;
    assert_eq!(
        (code, managers(&shared)),
        (200, "argo Apply, wi Apply".to_owned())
    );

    let (code, status) = server.apply("wi", "", json!({ ANNOTATION: "b@p" })).await;
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        format!(
            "Apply failed with 1 conflict: conflict with \"argo\": .metadata.annotations.{ANNOTATION}"
        )
    );
    let (code, taken) = server
        .apply("wi", "&force=true", json!({ ANNOTATION: "b@p" }))
        .await;
    assert_eq!((code, managers(&taken)), (200, "wi Apply".to_owned()));

    // A shared field that one owner drops stays for the other.
    server.apply("argo", "", json!({ ANNOTATION: "b@p" })).await;
    let (_, dropped) = server.apply("wi", "", json!({})).await;
    assert_eq!(dropped["metadata"]["annotations"][ANNOTATION], "b@p");
    let (_, gone) = server.apply("argo", "", json!({})).await;
    assert!(gone["metadata"]["annotations"].get(ANNOTATION).is_none());
}

#[tokio::test]
async fn a_conflict_with_kubectl_annotate_names_it() {
    let server = Server::start(json!({
        "namespaces": { "shop": { "serviceAccounts": { "checkout": { "labels": { "app": "checkout" } } } } },
    }))
    .await;
    let patch = json!({ "metadata": { "annotations": { ANNOTATION: "a@p", "x": "1" } } });
    let path = format!("{ACCOUNT}?fieldManager=kubectl-annotate");
    let (code, _) = server
        .patch(&path, "application/merge-patch+json", &patch)
        .await;
    assert_eq!(code, 200);

    let (code, status) = server.apply("wi", "", json!({ ANNOTATION: "b@p" })).await;
    assert_eq!(code, 409);
    assert_eq!(
        status,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "Conflict", "code": 409,
            "message": format!("Apply failed with 1 conflict: conflict with \"kubectl-annotate\" using v1: .metadata.annotations.{ANNOTATION}"),
            "details": { "causes": [{
                "reason": "FieldManagerConflict",
                "message": "conflict with \"kubectl-annotate\" using v1",
                "field": format!(".metadata.annotations.{ANNOTATION}"),
            }] },
        })
    );
    let both = json!({ ANNOTATION: "b@p", "x": "2" });
    let (_, status) = server.apply("wi", "", both).await;
    assert_eq!(
        status["message"],
        format!(
            "Apply failed with 2 conflicts: conflicts with \"kubectl-annotate\" using v1:\n- .metadata.annotations.{ANNOTATION}\n- .metadata.annotations.x"
        )
    );
}

#[tokio::test]
async fn apply_is_refused_where_the_api_refuses_it() {
    let server = Server::start(shop()).await;
    let (code, _) = server.apply("", "", json!({})).await;
    assert_eq!(code, 422, "no field manager");

    let bad = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}, "secret": 1 });
    let strict = format!("{ACCOUNT}?fieldManager=wi&fieldValidation=Strict");
    let (code, status) = server
        .patch(&strict, "application/apply-patch+yaml", &bad)
        .await;
    assert_eq!(code, 500);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains(".secret: field not declared in schema")
    );

    let object = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {} });
    let absent = "/api/v1/namespaces/nowhere/serviceaccounts/x?fieldManager=wi";
    let (code, status) = server
        .patch(absent, "application/apply-patch+yaml", &object)
        .await;
    assert_eq!(
        (code, &status["message"]),
        (404, &json!("namespaces \"nowhere\" not found"))
    );

    let (code, _) = server.apply("wi", "&dryRun=All", json!({})).await;
    assert_eq!((code, server.get(ACCOUNT).await.0), (201, 404));

    let namespace = json!({ "metadata": { "name": "Not_A_Name" } });
    let create = server.request(Method::POST, "/api/v1/namespaces");
    let (code, status) = send(create.body(namespace.to_string())).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));

    let nonsense = json!({ "metadata": "text", "spec": [] });
    for (method, path) in [
        (Method::POST, "/api/v1/namespaces"),
        (Method::PUT, "/api/v1/namespaces/shop"),
    ] {
        let (code, _) = send(server.request(method, path).body(nonsense.to_string())).await;
        assert_eq!(code, 400);
    }
    assert_eq!(server.changes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stale_version_or_another_uid_is_a_conflict() {
    let server = Server::start(shop()).await;
    let (_, object) = server.apply("wi", "", json!({ "a": "1" })).await;
    let stale = object["metadata"]["resourceVersion"].clone();
    server.apply("wi", "", json!({ "a": "2" })).await;

    let (code, _) = send(
        server
            .request(Method::PUT, ACCOUNT)
            .body(object.to_string()),
    )
    .await;
    assert_eq!(code, 409, "PUT");
    let patch = json!({ "metadata": { "resourceVersion": stale, "annotations": { "a": null } } });
    let (code, _) = server
        .patch(ACCOUNT, "application/merge-patch+json", &patch)
        .await;
    assert_eq!(code, 409, "PATCH");
    let mut applied =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "uid": "other" } });
    let path = format!("{ACCOUNT}?fieldManager=wi");
    let (code, status) = server
        .patch(&path, "application/apply-patch+yaml", &applied)
        .await;
    assert_eq!(code, 422, "apply with another uid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.uid");
    applied["metadata"] = json!({ "uid": "other", "resourceVersion": stale });
    let (code, _) = server
        .patch(&path, "application/apply-patch+yaml", &applied)
        .await;
    assert_eq!(code, 409, "apply with both");
    applied["metadata"] = json!({ "resourceVersion": stale });
    let (code, _) = server
        .patch(&path, "application/apply-patch+yaml", &applied)
        .await;
    assert_eq!(code, 409, "apply with an old version");

    for precondition in [
        json!({ "uid": "other" }),
        json!({ "resourceVersion": stale }),
    ] {
        let options = json!({ "preconditions": precondition }).to_string();
        let (code, status) = send(server.request(Method::DELETE, ACCOUNT).body(options)).await;
        assert_eq!(code, 409, "{precondition}");
        assert_eq!(status["details"]["kind"], "ServiceAccount");
    }
    let (_, now) = server.get(ACCOUNT).await;
    let (uid, version) = (&now["metadata"]["uid"], &now["metadata"]["resourceVersion"]);
    let options =
        json!({ "preconditions": { "uid": uid, "resourceVersion": version } }).to_string();
    let (code, _) = send(server.request(Method::DELETE, ACCOUNT).body(options)).await;
    assert_eq!((code, server.get(ACCOUNT).await.0), (200, 404));
}

#[tokio::test]
async fn pages_are_one_snapshot_until_it_expires() {
    let accounts: serde_json::Map<String, Value> =
        (0..7).map(|i| (format!("a{i}"), Value::Null)).collect();
    let server =
        Server::start(json!({ "namespaces": { "shop": { "serviceAccounts": accounts } } })).await;
    let list = "/api/v1/namespaces/shop/serviceaccounts?limit=3";
    let (_, first) = server.get(list).await;
    assert_eq!(names(&first), ["a0", "a1", "a2"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 5);
    assert!(
        first["items"][0].get("kind").is_none(),
        "as typed lists are"
    );
    let token = first["metadata"]["continue"].as_str().unwrap();

    let gone = "/api/v1/namespaces/shop/serviceaccounts/a4";
    send(server.request(Method::DELETE, gone)).await;
    let (_, second) = server.get(&format!("{list}&continue={token}")).await;
    assert_eq!(
        names(&second),
        ["a3", "a4", "a5"],
        "the snapshot of the first page"
    );
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );

    server.cluster.compact();
    let (code, status) = server.get(&format!("{list}&continue={token}")).await;
    assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
    let fresh = status["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = server.get(&format!("{list}&continue={fresh}")).await;
    assert_eq!(names(&rest), ["a3", "a5", "a6"], "the current state");
    // As the API server writes it, so that one can be made that is too old everywhere.
    let json = URL_SAFE_NO_PAD.decode(token).unwrap();
    let parts: Value = serde_json::from_slice(&json).unwrap();
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    assert_eq!(
        parts,
        json!({ "v": "meta.k8s.io/v1", "rv": version.parse::<u64>().unwrap(), "start": "shop/a2\0" })
    );
    for query in [
        "&continue=nonsense".to_owned(),
        "&continue=e30".to_owned(),
        format!("&continue={fresh}&resourceVersion=5"),
        "&resourceVersion=abc".to_owned(),
    ] {
        assert_eq!(
            server.get(&format!("{list}{query}")).await.0,
            400,
            "{query}"
        );
    }
    let (_, all) = server
        .get("/api/v1/namespaces/shop/serviceaccounts?limit=-1")
        .await;
    assert_eq!(names(&all).len(), 6);
}

#[tokio::test]
async fn metadata_only_and_gzip_as_accepted() {
    let server = Server::start(json!({
        "namespaces": { "shop": {} },
        "pods": [{ "name": "p", "namespace": "shop", "node": "n" }],
    }))
    .await;
    let accept =
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let request = server
        .request(Method::GET, "/api/v1/pods")
        .header("accept", accept);
    let (_, list) = send(request).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert!(list["items"][0].get("spec").is_none());

    let patch = json!({ "metadata": { "annotations": { "long": "x".repeat(4000) } } });
    let shop = "/api/v1/namespaces/shop";
    server
        .patch(shop, "application/merge-patch+json", &patch)
        .await;
    let ca = reqwest::Certificate::from_pem(server.served.ca_pem.as_bytes()).unwrap();
    let plain = Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .gzip(false)
        .build()
        .unwrap();
    let url = format!("https://{}{shop}", server.served.addr);
    let request = plain
        .get(url)
        .bearer_auth("secret")
        .header("accept-encoding", "gzip");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().len() < 1500);
}

#[tokio::test]
async fn selectors() {
    let server = Server::start(json!({
        "namespaces": { "shop": { "serviceAccounts": { "web": null } } },
        "pods": [
            { "name": "a", "namespace": "shop", "labels": { "app": "web", "tier": "1" },
              "serviceAccountName": "web", "node": "n1" },
            { "name": "b", "namespace": "shop", "labels": { "app": "job" } },
            { "name": "c", "node": "n2", "hostNetwork": true },
        ],
    }))
    .await;
    for (query, expected) in [
        ("labelSelector=app%3Dweb", vec!["a"]),
        ("labelSelector=app!=web", vec!["c", "b"]),
        ("labelSelector=app", vec!["a", "b"]),
        ("labelSelector=!app", vec!["c"]),
        ("labelSelector=app+in+(web,job),tier", vec!["a"]),
        ("labelSelector=app%20notin%20(web)", vec!["c", "b"]),
        ("fieldSelector=status.phase=Running", vec!["c", "a"]),
        ("fieldSelector=spec.nodeName=n1", vec!["a"]),
        ("fieldSelector=spec.serviceAccountName!=default", vec!["a"]),
        (
            "fieldSelector=metadata.namespace=shop,metadata.name=b",
            vec!["b"],
        ),
    ] {
        let (code, list) = server.get(&format!("/api/v1/pods?{query}")).await;
        assert_eq!((code, names(&list)), (200, expected), "{query}");
    }
    for query in [
        "labelSelector=a+b",
        "fieldSelector=spec.unknown=1",
        "limit=x",
    ] {
        assert_eq!(
            server.get(&format!("/api/v1/pods?{query}")).await.0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_state_goes_round_and_a_deleted_namespace_takes_its_content() {
    let server = Server::start(json!({
        "namespaces": { "shop": { "labels": { "team": "shop" } } },
        "pods": [{ "name": "p", "namespace": "shop", "owner": { "kind": "Job", "name": "p" },
                   "containers": [{ "name": "c", "env": [{ "name": "A", "value": "1" }] }] }],
        "nodes": [{ "name": "n", "pool": "main" }],
    }))
    .await;
    server.apply("wi", "", json!({ "a": "1" })).await;
    let secrets = json!({ "imagePullSecrets": [{ "name": "registry" }] });
    server
        .patch(ACCOUNT, "application/strategic-merge-patch+json", &secrets)
        .await;
    let cordon = json!({ "spec": { "unschedulable": true } });
    server
        .patch("/api/v1/nodes/n", "application/merge-patch+json", &cordon)
        .await;

    let state = server.cluster.state();
    let text = serde_json::to_string(&state).unwrap();
    let again = KubeCluster::new(serde_json::from_str(&text).unwrap());
    assert_eq!(again.state(), state);
    let account = &state.namespaces["shop"].service_accounts["checkout"];
    assert_eq!(account.managed_fields.as_ref().map_or(0, Vec::len), 2);
    assert_eq!(
        account.extra["imagePullSecrets"],
        secrets["imagePullSecrets"]
    );

    send(server.request(Method::DELETE, "/api/v1/namespaces/shop")).await;
    let state = server.cluster.state();
    assert!(!state.namespaces.contains_key("shop"));
    assert_eq!(state.pods, []);
    assert!(
        state.namespaces["kube-system"]
            .service_accounts
            .contains_key("default")
    );
    let (code, _) = send(server.request(Method::DELETE, "/api/v1/namespaces/kube-system")).await;
    assert_eq!(code, 403);
}

#[test]
fn evicted_pods_come_back_as_their_controllers_make_them() {
    let pod = |name: &str, kind: Option<&str>| PodState {
        name: name.to_owned(),
        node: Some("n1".to_owned()),
        owner: kind.map(|kind| PodOwner {
            kind: kind.to_owned(),
            name: "app".to_owned(),
        }),
        ..PodState::default()
    };
    let mut picky = pod("app-picky", Some("ReplicaSet"));
    picky.node_selector = [(
        "iam.gke.io/gke-metadata-server-enabled".to_owned(),
        "true".to_owned(),
    )]
    .into();
    let cluster = KubeCluster::new(KubeState {
        pods: vec![
            pod("app-x", Some("ReplicaSet")),
            picky,
            pod("app-0", Some("StatefulSet")),
            pod("agent", Some("DaemonSet")),
            pod("bare", None),
        ],
        ..KubeState::default()
    });
    let node = |name: &str| NodeSpec {
        name: name.to_owned(),
        ..NodeSpec::default()
    };
    cluster.set_nodes("main", &[node("n1"), node("n2")]);
    let before = cluster.pods();
    cluster.set_nodes("main", &[node("n2")]);
    cluster.schedule();

    let after = cluster.pods();
    assert_eq!(after.len(), 4, "{after:?}");
    let stays = |pod: &PodState| before.iter().any(|old| old.uid == pod.uid);
    let kept: Vec<_> = after.iter().filter(|pod| stays(pod)).collect();
    // A DaemonSet has a pod on each node.
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].owner.as_ref().unwrap().kind, "DaemonSet");
    assert_eq!(kept[0].node.as_deref(), Some("n2"));
    let stateful = after.iter().find(|pod| pod.name == "app-0").unwrap();
    assert_eq!(stateful.node.as_deref(), Some("n2"));
    assert_eq!(stateful.phase.as_deref(), Some("Running"));
    let pending: Vec<_> = after.iter().filter(|pod| pod.node.is_none()).collect();
    assert_eq!(pending.len(), 1, "no node has the metadata server yet");
    assert_eq!(pending[0].phase.as_deref(), Some("Pending"));

    cluster.add_node(NodeSpec {
        metadata_server: true,
        ..node("n3")
    });
    cluster.schedule();
    assert!(
        cluster
            .pods()
            .iter()
            .any(|pod| pod.node.as_deref() == Some("n3"))
    );
    assert_eq!(cluster.nodes_of("main").len(), 1);
}

#[test]
fn a_world_file_with_a_mistake_is_refused() {
    let mistake = json!({ "namespaces": { "shop": { "serviceaccounts": {} } } });
    let error = serde_json::from_value::<KubeState>(mistake).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown field `serviceaccounts`"),
        "{error}"
    );
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    let names = items.map(|item| item["metadata"]["name"].as_str().unwrap());
    names.filter(|name| *name != "default").collect()
}

fn managers(object: &Value) -> String {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter();
    let word = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let mut managers: Vec<String> = entries
        .map(|entry| format!("{} {}", word(entry, "manager"), word(entry, "operation")))
        .collect();
    managers.sort();
    managers.join(", ")
}
