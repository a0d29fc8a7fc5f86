//! The request oracle: which requests are served, by which identity, and what it must be able to show.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use wi_sandbox::{By, RequestSample, Token};

use crate::controllers::{Cluster, WEB, deployment};

const ACCOUNT: &str = "web@acme.iam.gserviceaccount.com";
const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn key_file(id: &str) -> String {
    let file = json!({ "type": "service_account", "client_email": ACCOUNT, "private_key_id": id, "private_key": "CANARY" });
    base64::engine::general_purpose::STANDARD.encode(file.to_string())
}

fn secret(id: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "web-key", "namespace": "shop" },
        "data": { "key.json": key_file(id) },
    })
}

/// A Deployment that has its key as a file.
fn with_key(name: &str, replicas: u32) -> Value {
    let mut web = deployment(name, replicas);
    web["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let spec = &mut web["spec"]["template"]["spec"];
    spec["containers"][0]["env"] =
        json!([{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/key.json" }]);
    spec["containers"][0]["volumeMounts"] =
        json!([{ "name": "key", "mountPath": "/keys", "readOnly": true }]);
    spec["volumes"] = json!([{ "name": "key", "secret": { "secretName": "web-key" } }]);
    web
}

fn service(name: &str, selector: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "selector": selector, "ports": [{ "port": 80 }] },
    })
}

/// The edit that takes a workload off its key.
fn off_the_key() -> Value {
    json!({ "spec": { "template": { "spec": {
        "containers": [{
            "name": "app",
            "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "$patch": "delete" }],
            "volumeMounts": [{ "mountPath": "/keys", "$patch": "delete" }],
        }],
        "volumes": [{ "name": "key", "$patch": "delete" }],
    }}}})
}

/// An account with a key and a role; `bound`: the KSA shop/web may be it, and is annotated.
async fn start(objects: &[Value], bound: bool, change: impl FnOnce(&mut Value)) -> Cluster {
    let members = match bound {
        true => json!(["serviceAccount:acme.svc.id.goog[shop/web]"]),
        false => json!([]),
    };
    let annotations = match bound {
        true => json!({ "iam.gke.io/gcp-service-account": ACCOUNT }),
        false => json!({}),
    };
    let mut objects = objects.to_vec();
    objects.push(secret(KEY));
    Cluster::with(&objects, |world| {
        world["projects"]["acme"]["serviceAccounts"] = json!({ "web": {
            "keys": [{ "id": KEY }],
            "policy": { "bindings": [{ "role": "roles/iam.workloadIdentityUser", "members": members }] },
        }});
        world["buckets"] = json!({ "receipts": { "project": "acme", "policy": { "bindings": [
            { "role": "roles/storage.objectViewer", "members": [format!("serviceAccount:{ACCOUNT}")] },
        ]}}});
        world["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"]["annotations"] = annotations;
        let calls = json!([{ "permission": "storage.objects.get", "resource": "bucket/receipts" }]);
        world["apps"] = json!([{ "image": "web:*", "calls": calls }]);
        change(world);
    })
    .await
}

/// The identities that served requests of a Service, and why others failed, now.
fn now(cluster: &Cluster, service: &str) -> (Vec<By>, Vec<String>) {
    cluster.sandbox.record_requests();
    let samples = cluster.sandbox.recorded_requests();
    of(samples.last().expect("a sample"), service)
}

fn of(sample: &RequestSample, service: &str) -> (Vec<By>, Vec<String>) {
    let mine = sample
        .requests
        .keys()
        .filter(|r| r.service.as_deref() == Some(service));
    let (failed, served): (Vec<_>, Vec<_>) = mine.partition(|r| r.failed.is_some());
    let served = served.into_iter().map(|r| r.by.clone()).collect();
    (
        served,
        failed
            .into_iter()
            .filter_map(|r| r.failed.clone())
            .collect(),
    )
}

fn by_key(id: &str) -> By {
    By::Key {
        account: ACCOUNT.to_owned(),
        id: id.to_owned(),
    }
}

fn as_account() -> By {
    By::Metadata(Token::Account(ACCOUNT.to_owned()))
}

fn failures(cluster: &Cluster) -> Vec<String> {
    let samples = cluster.sandbox.recorded_requests();
    let failed = samples
        .iter()
        .flat_map(|s| s.requests.keys())
        .filter_map(|r| r.failed.clone());
    failed.collect()
}

fn front() -> Value {
    service("web", json!({ "app": "web" }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_serves_until_the_metadata_server_does_and_no_request_is_lost_between() {
    let mut cluster = start(&[with_key("web", 3), front()], true, |world| {
        let all =
            json!([{ "service": "allServices", "auditLogConfigs": [{ "logType": "DATA_READ" }] }]);
        world["projects"]["acme"]["policy"] = json!({ "auditConfigs": all });
    })
    .await;
    assert_eq!(now(&cluster, "shop/web"), (vec![by_key(KEY)], vec![]));
    let answer = cluster.strategic(WEB, &off_the_key());
    assert_eq!(answer.status, 200, "{}", answer.body);
    cluster.pass(600);
    assert!(failures(&cluster).is_empty(), "{:?}", failures(&cluster));
    assert_eq!(now(&cluster, "shop/web"), (vec![as_account()], vec![]));
    // Each process has asked for a token, and used it: that is in the logs.
    let world = cluster.sandbox.snapshot();
    let of = |method: &str| {
        let entries = world.log_entries.iter();
        entries
            .filter(|e| e["protoPayload"]["methodName"] == method)
            .count()
    };
    assert_eq!(
        (of("GenerateAccessToken"), of("storage.objects.get")),
        (3, 3)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_is_not_able_to_call() {
    // Nobody bound the KSA: the new pods get ready, and each of their requests fails.
    let mut cluster = start(&[with_key("web", 2), front()], false, |_| {}).await;
    cluster.sandbox.record_requests();
    cluster.strategic(WEB, &off_the_key());
    cluster.pass(600);
    assert_eq!(cluster.ready().len(), 2);
    let (served, failed) = now(&cluster, "shop/web");
    assert!(served.is_empty());
    assert!(failed[0].contains("storage.objects.get"), "{failed:?}");
    // A program whose readiness asks would have held the rollout.
    let mut cluster = start(&[with_key("web", 2), front()], false, |world| {
        world["apps"][0]["readyByCalls"] = json!(true);
    })
    .await;
    cluster.sandbox.record_requests();
    cluster.strategic(WEB, &off_the_key());
    cluster.pass(600);
    assert!(failures(&cluster).is_empty());
    assert_eq!(now(&cluster, "shop/web").0, [by_key(KEY)]);
    // It is not ready any more when its key and the token of it are gone.
    let key = format!("/v1/projects/acme/serviceAccounts/{ACCOUNT}/keys/{KEY}");
    assert_eq!(cluster.google("DELETE", &key).status, 200);
    cluster.pass(2400);
    assert_eq!(cluster.ready().len(), 2);
    cluster.pass(1500);
    assert!(cluster.ready().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_without_its_file_is_no_reason_to_ask_the_metadata_server() {
    let mut cluster = start(&[with_key("web", 1), front()], true, |_| {}).await;
    let half = json!({ "spec": { "template": { "spec": {
        "containers": [{ "name": "app", "volumeMounts": [{ "mountPath": "/keys", "$patch": "delete" }] }],
        "volumes": [{ "name": "key", "$patch": "delete" }],
    }}}});
    assert_eq!(cluster.strategic(WEB, &half).status, 200);
    cluster.pass(60);
    let (served, failed) = now(&cluster, "shop/web");
    assert!(served.is_empty());
    assert!(
        failed[0].contains("/keys/key.json was not found"),
        "{failed:?}"
    );
    let mut cluster = start(&[with_key("web", 1), front()], true, |world| {
        world["apps"][0]["crashes"] = json!(true);
    })
    .await;
    cluster.sandbox.record_requests();
    cluster.strategic(WEB, &half);
    cluster.pass(60);
    assert!(failures(&cluster).is_empty(), "the old pod stays");
    let crashed = cluster.pods().iter().any(|pod| {
        let told = &pod["status"]["containerStatuses"][0];
        told["state"]["waiting"]["reason"] == "CrashLoopBackOff" && told["restartCount"] != json!(0)
    });
    assert!(crashed);
    // A crash loop has no end, and is not waited for once the rollout has given up.
    cluster.pass(700);
    let settled = tokio::time::timeout(Duration::from_secs(60), cluster.sandbox.settle());
    settled.await.expect("it rests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_outlives_its_key_for_its_hour_and_a_new_pod_has_none() {
    let mut cluster = start(&[with_key("web", 1), front()], false, |_| {}).await;
    cluster.sandbox.record_requests();
    let keys = format!("/v1/projects/acme/serviceAccounts/{ACCOUNT}/keys/{KEY}");
    assert_eq!(
        cluster.google("POST", &format!("{keys}:disable")).status,
        200
    );
    cluster.pass(3000);
    assert!(failures(&cluster).is_empty());
    cluster.pass(900);
    let (served, failed) = now(&cluster, "shop/web");
    assert!(served.is_empty());
    assert!(failed[0].contains("is disabled"), "{failed:?}");
    assert_eq!(
        cluster.google("POST", &format!("{keys}:enable")).status,
        200
    );
    assert_eq!(now(&cluster, "shop/web"), (vec![by_key(KEY)], vec![]));
    // A process that starts now has no token to live on.
    assert_eq!(cluster.google("DELETE", &keys).status, 200);
    assert!(failures(&cluster).is_empty());
    cluster.merge(WEB, &json!({ "spec": { "replicas": 2 } }));
    cluster.pass(60);
    let (served, failed) = now(&cluster, "shop/web");
    assert_eq!(served, [by_key(KEY)]);
    assert!(failed[0].contains("Invalid JWT Signature"), "{failed:?}");
    // What the key was used for is known: once at the start of each hour.
    let world = cluster.sandbox.snapshot();
    let key = &world.projects["acme"].service_accounts["web"].keys[0];
    assert_eq!(key.uses.len(), 2, "{:?}", key.uses);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_with_a_label_of_a_foreign_service_answers_its_requests_wrongly() {
    let mut other = deployment("other", 2);
    other["spec"]["template"]["metadata"]["labels"]["tier"] = json!("front");
    let objects = [
        with_key("web", 2),
        front(),
        other,
        service("front", json!({ "tier": "front" })),
    ];
    let mut cluster = start(&objects, true, |world| {
        world["apps"][0]["serves"] = json!(["shop/web*"]);
        world["apps"]
            .as_array_mut()
            .expect("apps")
            .push(json!({ "image": "other:1" }));
    })
    .await;
    cluster.sandbox.record_requests();
    let mut shadow = with_key("web", 1);
    shadow["metadata"]["name"] = json!("web-copy");
    let labels = json!({ "copy": "web", "tier": "front" });
    shadow["spec"]["selector"] = json!({ "matchLabels": { "copy": "web" } });
    shadow["spec"]["template"]["metadata"]["labels"] = labels;
    assert_eq!(
        cluster
            .create(crate::controllers::DEPLOYMENTS, &shadow)
            .status,
        201
    );
    cluster.pass(60);
    let (served, failed) = now(&cluster, "shop/front");
    assert_eq!(served.len(), 1);
    assert!(
        failed[0].contains("does not serve shop/front"),
        "{failed:?}"
    );
    // Behind its own Service nothing has changed.
    assert_eq!(now(&cluster, "shop/web"), (vec![by_key(KEY)], vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_shrinks_the_original_while_a_copy_takes_its_load() {
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "web", "namespace": "shop" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "minReplicas": 1, "maxReplicas": 10,
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }],
        },
    });
    let mut web = with_key("web", 4);
    web["spec"]["selector"]["matchLabels"]["track"] = json!("main");
    web["spec"]["template"]["metadata"]["labels"]["track"] = json!("main");
    let mut cluster = start(&[web, front(), scaler], true, |world| {
        world["apps"][0]["capacity"] = json!(100);
        world["traffic"] = json!([{ "service": "shop/web", "perMinute": 320 }]);
    })
    .await;
    cluster.sandbox.record_requests();
    cluster.pass(900);
    assert_eq!(cluster.get(WEB)["spec"]["replicas"], 4);
    // A copy behind the same Service, which the autoscaler does not see.
    let mut copy = with_key("web", 4);
    copy["metadata"]["name"] = json!("web-copy");
    copy["spec"]["selector"] = json!({ "matchLabels": { "copy": "web" } });
    copy["spec"]["template"]["metadata"]["labels"] = json!({ "app": "web", "copy": "web" });
    assert_eq!(
        cluster
            .create(crate::controllers::DEPLOYMENTS, &copy)
            .status,
        201
    );
    cluster.pass(120);
    assert_eq!(
        cluster.get(WEB)["spec"]["replicas"],
        4,
        "it waits for its window"
    );
    cluster.pass(900);
    assert_eq!(cluster.get(WEB)["spec"]["replicas"], 2);
    assert!(failures(&cluster).is_empty());
    let path = format!("{}/web-copy", crate::controllers::DEPLOYMENTS);
    let delete = json!({ "propagationPolicy": "Background" });
    assert_eq!(
        cluster
            .send("DELETE", &path, "application/json", &delete)
            .status,
        200
    );
    cluster.pass(5);
    assert!(
        failures(&cluster)
            .iter()
            .any(|why| why.contains("overloaded"))
    );
    // It grows again, too late.
    cluster.pass(120);
    assert_eq!(cluster.get(WEB)["spec"]["replicas"], 4);
    assert_eq!(now(&cluster, "shop/web").1, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_a_ready_pod_loses_all_and_minutes_are_counted() {
    let mut cluster = start(&[with_key("web", 1), front()], true, |_| {}).await;
    cluster.sandbox.record_requests();
    cluster.pass(600);
    let told = cluster.google("GET", "/sandbox/v1/requests").json();
    let counted = told["requests"][0]["count"].as_u64().expect("a count");
    assert!((540..=660).contains(&counted), "{told:#}");
    cluster.merge(WEB, &json!({ "spec": { "replicas": 0 } }));
    let (served, failed) = now(&cluster, "shop/web");
    assert_eq!(
        (served, failed),
        (vec![], vec!["no pod is ready".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_needs_a_right_that_a_key_does_not() {
    let mut cluster = start(&[with_key("web", 1), front()], true, |world| {
        world["apps"][0]["signs"] = json!(true);
    })
    .await;
    assert_eq!(now(&cluster, "shop/web"), (vec![by_key(KEY)], vec![]));
    cluster.strategic(WEB, &off_the_key());
    cluster.pass(60);
    let (_, failed) = now(&cluster, "shop/web");
    assert!(failed[0].contains("signBlob"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_put_templates_back_and_makers_put_secrets_and_keys_back() {
    let owner = json!({ "object": "shop/Deployment/web", "manager": "argocd-controller", "afterSeconds": 30 });
    let maker =
        json!({ "secret": "shop/web-key", "manager": "external-secrets", "everySeconds": 60 });
    let mut cluster = start(&[with_key("web", 1), front()], true, |world| {
        world["clusters"][0]["controllers"] = json!({ "owners": [owner], "makers": [maker] });
    })
    .await;
    cluster.strategic(WEB, &off_the_key());
    cluster.pass(20);
    assert_eq!(now(&cluster, "shop/web").0, [as_account()]);
    cluster.pass(60);
    assert_eq!(now(&cluster, "shop/web").0, [by_key(KEY)]);
    let web = cluster.get(WEB);
    let managers = web["metadata"]["managedFields"]
        .as_array()
        .expect("managers");
    assert!(
        managers.iter().any(|m| m["manager"] == "argocd-controller"),
        "{managers:#?}"
    );
    let path = "/api/v1/namespaces/shop/secrets/web-key";
    assert_eq!(
        cluster
            .send("DELETE", path, "application/json", &json!({}))
            .status,
        200
    );
    assert_eq!(cluster.get(path)["code"], 404);
    cluster.pass(90);
    assert_eq!(cluster.get(path)["data"]["key.json"], key_file(KEY));
    // One that makes keys replaces a key that is gone.
    let mut cluster = start(&[with_key("web", 1), front()], true, |world| {
        let maker = json!({ "secret": "shop/web-key", "manager": "cnrm", "everySeconds": 60, "keysOf": ACCOUNT });
        world["clusters"][0]["controllers"] = json!({ "makers": [maker] });
    })
    .await;
    let keys = format!("/v1/projects/acme/serviceAccounts/{ACCOUNT}/keys/{KEY}");
    assert_eq!(cluster.google("DELETE", &keys).status, 200);
    cluster.pass(90);
    let world = cluster.sandbox.snapshot();
    let keys = &world.projects["acme"].service_accounts["web"].keys;
    let made: Vec<_> = keys.iter().filter(|key| !key.deleted).collect();
    assert_eq!(made.len(), 1);
    let path = "/api/v1/namespaces/shop/secrets/web-key";
    assert_eq!(cluster.get(path)["data"]["key.json"], key_file(&made[0].id));
}
