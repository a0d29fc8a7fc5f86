//! The simulated Google APIs on the wire.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use wi_sandbox::world::{World, json_schema};
use wi_sandbox::{Options, Sandbox};

#[cfg(target_os = "linux")]
use crate::support::{Place, Ran, served::Served};

const BROWNFIELD: &str = include_str!("../../examples/brownfield/world.yaml");
const QUICKSTART: &str = include_str!("../../examples/quickstart/world.yaml");
const MAIN: &str = "v1/projects/acme-prod/locations/europe-west1/clusters/main";
const ACCOUNTS: &str = "v1/projects/acme-prod/serviceAccounts";
const PROJECT: &str = "v3/projects/acme-prod";
const BUCKET: &str = "storage/v1/b/acme-receipts/iam";

struct Server {
    sandbox: Sandbox,
    client: Client,
}

impl Server {
    async fn of(world: &str, time_scale: f64) -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let world = World::parse(world, "world.yaml").unwrap();
        let options = Options {
            time_scale: Some(time_scale),
            ..Options::default()
        };
        let sandbox = Sandbox::start(world, options).await.unwrap();
        Self {
            sandbox,
            client: Client::new(),
        }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.sandbox.endpoint());
        let method: Method = method.parse().unwrap();
        let mut request = self
            .client
            .request(method, url)
            .bearer_auth(self.sandbox.token());
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_str(&response.text().await.unwrap()).unwrap(),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn project_policy(&self) -> Value {
        let body = json!({"options": {"requestedPolicyVersion": 3}});
        self.call("POST", &format!("{PROJECT}:getIamPolicy"), body)
            .await
            .1
    }

    async fn set_project_policy(&self, policy: Value) -> (u16, Value) {
        self.call(
            "POST",
            &format!("{PROJECT}:setIamPolicy"),
            json!({"policy": policy}),
        )
        .await
    }
}

fn message(answer: &(u16, Value)) -> &str {
    answer.1["error"]["message"].as_str().unwrap_or_default()
}

fn enable(pool: &str) -> Value {
    json!({"update": {"desiredWorkloadIdentityConfig": {"workloadPool": pool}}})
}

#[tokio::test]
async fn cluster_then_node_pool() {
    let server = Server::of(QUICKSTART, 20_000.0).await;
    let pool = format!("{MAIN}/nodePools/default-pool");
    let metadata = json!({"workloadMetadataConfig": {"mode": "GKE_METADATA"}});

    let before = server.get(MAIN).await;
    assert_eq!(before.get("workloadIdentityConfig"), None);
    assert_eq!(
        server.call("PUT", &pool, metadata.clone()).await.0,
        400,
        "the cluster has no pool yet"
    );
    assert_eq!(
        server
            .call("PUT", MAIN, enable("other.svc.id.goog"))
            .await
            .0,
        400
    );
    let mut stale = enable("acme-prod.svc.id.goog");
    stale["update"]["etag"] = "stale".into();
    let refused = server.call("PUT", MAIN, stale).await;
    assert_eq!(
        (refused.0, &refused.1["error"]["status"]),
        (409, &json!("ABORTED"))
    );
    let refused = server
        .call("PUT", MAIN, json!({"update": {"nonsense": 1}}))
        .await;
    assert!(
        message(&refused).contains("Unknown name \"nonsense\" at 'update'"),
        "{refused:?}"
    );

    let (status, op) = server
        .call("PUT", MAIN, enable("acme-prod.svc.id.goog"))
        .await;
    assert_eq!(status, 200, "{op}");
    assert!(
        op["targetLink"]
            .as_str()
            .unwrap()
            .ends_with("v1/projects/123456789012/locations/europe-west1/clusters/main")
    );
    server.sandbox.settle().await;
    let after = server.get(MAIN).await;
    assert_eq!(
        after["workloadIdentityConfig"]["workloadPool"],
        "acme-prod.svc.id.goog"
    );
    assert_ne!(after["etag"], before["etag"]);

    let (status, _) = server.call("PUT", &pool, metadata).await;
    assert_eq!(status, 200);
    server.sandbox.settle().await;
    assert_eq!(
        server.get(&pool).await["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
    let world = server.sandbox.snapshot();
    let cluster = &world.clusters[0];
    assert_eq!(cluster.nodes.len(), 3);
    assert!(
        cluster.nodes.iter().all(|node| node.metadata_server),
        "{:?}",
        cluster.nodes
    );
    let dns = cluster
        .pods
        .iter()
        .find(|pod| pod.name.starts_with("kube-dns"))
        .unwrap();
    assert!(
        cluster
            .nodes
            .iter()
            .any(|node| Some(&node.name) == dns.node.as_ref()),
        "{dns:?}"
    );
    assert_eq!(world.operations.len(), 2);
    let again = World::parse(&world.to_yaml(), "saved").unwrap();
    assert_eq!(again, world);
}

#[tokio::test]
async fn one_operation_per_cluster() {
    let server = Server::of(QUICKSTART, 1.0).await;
    let (_, op) = server
        .call("PUT", MAIN, enable("acme-prod.svc.id.goog"))
        .await;
    assert_eq!(server.get(MAIN).await["status"], "RECONCILING");
    let refused = server
        .call("PUT", MAIN, enable("acme-prod.svc.id.goog"))
        .await;
    assert_eq!(
        (refused.0, &refused.1["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
    assert_eq!(
        message(&refused),
        format!(
            "Cluster is running incompatible operation {}.",
            op["name"].as_str().unwrap()
        )
    );
    assert_eq!(
        refused.1["error"]["details"][0]["reason"],
        "CLUSTER_ALREADY_HAS_OPERATION"
    );
}

/// From the request that is held nothing is answered and no time passes; `answer`: it is carried out.
#[tokio::test]
async fn a_held_request_stops_the_world_until_the_faults_are_removed() {
    for (hold, begun) in [("request", 0), ("answer", 1)] {
        let server = Server::of(QUICKSTART, 20_000.0).await;
        let fault = json!([{"match": "PUT", "hold": hold}, {"operation": "none", "stuck": true}]);
        server.call("POST", "sandbox/v1/faults", fault).await;
        let put = server.call("PUT", MAIN, enable("acme-prod.svc.id.goog"));
        let mut put = std::pin::pin!(put);
        tokio::select! {
            answer = put.as_mut() => panic!("{answer:?}"),
            () = server.sandbox.stands_still() => {}
        }
        // Others wait as well, and the operation does not go on: it would end at once.
        let mut get = std::pin::pin!(server.get(MAIN));
        for _ in 0..20 {
            let a_while = std::time::Duration::from_millis(5);
            let both = futures::future::select(put.as_mut(), get.as_mut());
            assert!(tokio::time::timeout(a_while, both).await.is_err());
            let operations = server.sandbox.snapshot().operations;
            assert_eq!(operations.len(), begun, "{hold}");
            assert!(operations.iter().all(wi_sandbox::Operation::is_running));
        }
        server.sandbox.go_on();
        assert_eq!(put.await.0, 200);
        get.await;
        server.sandbox.settle().await;
        let now = server.sandbox.snapshot();
        assert_eq!(now.operations.len(), 1);
        assert!(!now.operations[0].is_running());
        assert_eq!(now.faults.len(), 1, "others stay");
    }
}

#[tokio::test]
async fn failing_operation_is_done_with_an_error() {
    let server = Server::of(QUICKSTART, 20_000.0).await;
    let fault = json!({"operation": "UPDATE_CLUSTER", "error": "Out of stock."});
    server.call("POST", "sandbox/v1/faults", fault).await;
    let (_, op) = server
        .call("PUT", MAIN, enable("acme-prod.svc.id.goog"))
        .await;
    server.sandbox.settle().await;
    let name = op["name"].as_str().unwrap();
    let op = server
        .get(&format!(
            "v1/projects/acme-prod/locations/europe-west1/operations/{name}"
        ))
        .await;
    assert_eq!(
        (&op["status"], &op["error"]["message"]),
        (&json!("DONE"), &json!("Out of stock."))
    );
    assert_eq!(server.get(MAIN).await.get("workloadIdentityConfig"), None);
}

#[tokio::test]
async fn autopilot_and_zonal_clusters() {
    let server = Server::of(BROWNFIELD, 100.0).await;
    let auto = "v1/projects/acme-dev/locations/europe-west4/clusters/auto";
    assert_eq!(
        server.get(auto).await["workloadIdentityConfig"]["workloadPool"],
        "acme-dev.svc.id.goog"
    );
    assert_eq!(
        server
            .call("PUT", auto, enable("acme-dev.svc.id.goog"))
            .await
            .0,
        400
    );
    let edge = server
        .get("v1/projects/123456789012/locations/us-central1-a/clusters/edge")
        .await;
    assert!(
        edge["selfLink"]
            .as_str()
            .unwrap()
            .ends_with("projects/123456789012/zones/us-central1-a/clusters/edge")
    );
    server
        .call(
            "POST",
            "sandbox/v1/faults",
            json!({"missingZones": ["us-central1-a"]}),
        )
        .await;
    let list = server
        .get("v1/projects/acme-prod/locations/-/clusters")
        .await;
    assert_eq!(list["missingZones"], json!(["us-central1-a"]));
    assert_eq!(list["clusters"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn policies_etags_and_conditions() {
    let server = Server::of(BROWNFIELD, 100.0).await;
    let read = server.project_policy().await;
    assert_eq!(read["version"], 3);
    let mut policy = read.clone();
    let bindings = policy["bindings"].as_array_mut().unwrap();
    bindings.push(json!({"role": "roles/viewer", "members": ["user:Ann@Example.com", "user:ann@example.com"]}));
    bindings.push(json!({"role": "roles/browser", "members": []}));
    let (status, written) = server.set_project_policy(policy.clone()).await;
    assert_eq!(status, 200, "{written}");
    assert_ne!(written["etag"], read["etag"]);
    assert_eq!(written["auditConfigs"], read["auditConfigs"]);
    let all = written["bindings"].as_array().unwrap();
    assert!(
        all.contains(&json!({"role": "roles/viewer", "members": ["user:ann@example.com"]})),
        "{all:?}"
    );
    assert!(!all.iter().any(|b| b["role"] == "roles/browser"));

    let refused = server.set_project_policy(policy).await;
    assert_eq!(refused.0, 409);
    assert!(message(&refused).starts_with("There were concurrent policy changes."));

    let (_, hidden) = server
        .call("POST", "v1/projects/acme-prod:getIamPolicy", Value::Null)
        .await;
    assert_eq!(hidden["version"], 1);
    let mangled = |b: &Value| {
        b["role"]
            .as_str()
            .unwrap()
            .starts_with("roles/monitoring.viewer_withcond_")
    };
    assert!(
        hidden["bindings"].as_array().unwrap().iter().any(mangled),
        "{hidden}"
    );
    assert_eq!(server.set_project_policy(hidden).await.0, 400);
}

#[tokio::test]
async fn members_must_exist() {
    let server = Server::of(QUICKSTART, 100.0).await;
    let cases = [
        (
            "serviceAccount:ghost@acme-prod.iam.gserviceaccount.com",
            "Service account ghost@acme-prod.iam.gserviceaccount.com does not exist.",
        ),
        (
            "serviceAccount:acme-prod.svc.id.goog[a/b]",
            "Identity Pool does not exist (acme-prod.svc.id.goog).",
        ),
        (
            "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/a/sa/b",
            "Identity Pool does not exist (acme-prod.svc.id.goog).",
        ),
        ("nobody", "unknown type"),
    ];
    for (member, expected) in cases {
        let policy = json!({"bindings": [{"role": "roles/browser", "members": [member]}]});
        let refused = server.set_project_policy(policy).await;
        assert_eq!(refused.0, 400, "{member}");
        assert!(message(&refused).contains(expected), "{refused:?}");
    }
}

#[tokio::test]
async fn account_life() {
    let server = Server::of(BROWNFIELD, 100.0).await;
    let email = "checkout@acme-prod.iam.gserviceaccount.com";
    let account = format!("{ACCOUNTS}/{email}");
    let uid = server.get(&account).await["uniqueId"]
        .as_str()
        .unwrap()
        .to_owned();
    let changed = json!({"serviceAccount": {"displayName": "Till"}, "updateMask": "displayName"});
    let (_, patched) = server.call("PATCH", &account, changed).await;
    assert_eq!(
        patched,
        json!({"name": format!("projects/acme-prod/serviceAccounts/{email}"), "displayName": "Till"})
    );

    server.call("DELETE", &account, Value::Null).await;
    assert_eq!(server.call("GET", &account, Value::Null).await.0, 404);
    let dead = format!("deleted:serviceAccount:{email}?uid={uid}");
    let policy = server.project_policy().await;
    assert!(policy.to_string().contains(&dead), "{policy}");
    assert_eq!(
        server.set_project_policy(policy).await.0,
        200,
        "can be written back"
    );
    let (status, back) = server
        .call("POST", &format!("{ACCOUNTS}/{uid}:undelete"), json!({}))
        .await;
    assert_eq!(
        (status, &back["restoredAccount"]["uniqueId"]),
        (200, &json!(uid))
    );
    assert!(
        !server
            .project_policy()
            .await
            .to_string()
            .contains("deleted:")
    );
}

#[tokio::test]
async fn new_accounts_are_not_seen_at_once() {
    let server = Server::of(QUICKSTART, 1.0).await;
    let (status, created) = server
        .call("POST", ACCOUNTS, json!({"accountId": "checkout"}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        server
            .call("POST", ACCOUNTS, json!({"accountId": "checkout"}))
            .await
            .0,
        409
    );
    let email = created["email"].as_str().unwrap();
    assert_eq!(
        server
            .call("GET", &format!("{ACCOUNTS}/{email}"), Value::Null)
            .await
            .0,
        404
    );
    assert_eq!(
        server
            .call(
                "GET",
                &format!("v1/projects/-/serviceAccounts/{email}"),
                Value::Null
            )
            .await
            .0,
        403
    );
    let policy = json!({"bindings": [{"role": "roles/browser", "members": [format!("serviceAccount:{email}")]}]});
    assert_eq!(server.set_project_policy(policy).await.0, 400);
}

#[tokio::test]
async fn accounts_are_paged() {
    let mut world = World::parse(QUICKSTART, "world").unwrap();
    let accounts = &mut world
        .projects
        .get_mut("acme-prod")
        .unwrap()
        .service_accounts;
    accounts.extend((0..25).map(|i| (format!("account-{i:02}"), Default::default())));
    let server = Server::of(&world.to_yaml(), 100.0).await;
    let first = server.get(ACCOUNTS).await;
    assert_eq!(first["accounts"].as_array().unwrap().len(), 20);
    let token = first["nextPageToken"].as_str().unwrap();
    let second = server.get(&format!("{ACCOUNTS}?pageToken={token}")).await;
    assert_eq!(second["accounts"].as_array().unwrap().len(), 5);
    assert_eq!(second.get("nextPageToken"), None);
    let name = "account-00@acme-prod.iam.gserviceaccount.com";
    let path = format!("{ACCOUNTS}/{name}:getIamPolicy?options.requestedPolicyVersion=3");
    assert_eq!(
        server.call("POST", &path, Value::Null).await.1,
        json!({"etag": "ACAB"})
    );
}

#[tokio::test]
async fn bucket_policies() {
    let server = Server::of(BROWNFIELD, 100.0).await;
    let mut policy = server.get(BUCKET).await;
    assert!(
        policy
            .to_string()
            .contains("roles/storage.legacyBucketOwner")
    );
    let conditional = json!({"role": "roles/storage.objectViewer", "members": ["user:ann@example.com"],
        "condition": {"title": "t", "expression": "true"}});
    policy["bindings"]
        .as_array_mut()
        .unwrap()
        .push(conditional.clone());
    policy["version"] = 3.into();
    assert_eq!(server.call("PUT", BUCKET, policy.clone()).await.0, 200);
    let (status, stale) = server.call("PUT", BUCKET, policy).await;
    assert_eq!(
        (status, &stale["error"]["errors"][0]["reason"]),
        (412, &json!("conditionNotMet"))
    );
    let legacy = json!({"version": 3, "bindings": [conditional]});
    assert_eq!(
        server
            .call("PUT", "storage/v1/b/acme-legacy/iam", legacy)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn faults_calls_and_tokens() {
    let server = Server::of(QUICKSTART, 100.0).await;
    let faults = json!([{"match": "GET /v3/.*", "status": 503, "times": 1, "retryAfter": 1},
        {"match": "GET /storage/", "denied": true}]);
    server.call("POST", "sandbox/v1/faults", faults).await;
    let url = format!("{}{PROJECT}", server.sandbox.endpoint());
    let request = server.client.get(&url).bearer_auth(server.sandbox.token());
    let failed = request.send().await.unwrap();
    assert_eq!(
        (
            failed.status().as_u16(),
            failed.headers()["retry-after"].to_str().unwrap()
        ),
        (503, "1")
    );
    assert_eq!(server.get(PROJECT).await["name"], "projects/123456789012");
    assert_eq!(server.call("GET", BUCKET, Value::Null).await.0, 403);
    assert_eq!(
        server.get("sandbox/v1/calls").await["counts"][format!("GET /{PROJECT}")],
        2
    );
    let nobody = server
        .client
        .get(&url)
        .bearer_auth("wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(nobody.status().as_u16(), 401);
}

#[tokio::test]
async fn state_file_is_a_world() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.yaml");
    let options = Options {
        state_file: Some(file.clone()),
        ..Options::default()
    };
    let sandbox = Sandbox::start(World::parse(BROWNFIELD, "w").unwrap(), options)
        .await
        .unwrap();
    let before = sandbox.snapshot();
    sandbox.stop().await;
    let mut saved = World::parse(&std::fs::read_to_string(file).unwrap(), "state.yaml").unwrap();
    saved.clock.clone_from(&before.clock);
    assert_eq!(saved, before);
}

#[test]
fn schema_is_current_and_examples_fit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/wi-sandbox.v1.schema.json");
    let current = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == current,
        "run the tests with UPDATE_SCHEMAS=1"
    );
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    for world in [QUICKSTART, BROWNFIELD] {
        let value: Value = serde_saphyr::from_str(world).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| e.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[test]
fn mistakes_in_worlds_are_shown() {
    for (world, expected) in [
        ("apiVersion: wi/v1", "a world file has `wi.sandbox/v1`"),
        ("apiVersion: wi.sandbox/v1\nbukkets: {}", "bukkets"),
        (
            "apiVersion: wi.sandbox/v1\nbuckets: {b: {project: nope}}",
            "`nope`",
        ),
    ] {
        let error = World::parse(world, "w.yaml").unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("w.yaml"),
            "{error}"
        );
    }
}

/// Its certificate is of an authority that the sandbox gives away beside the kubeconfig.
#[cfg(target_os = "linux")]
#[test]
fn a_cluster_with_a_dns_endpoint_alone_is_reached_by_another_process() {
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\nnamespaces: { shop: { serviceAccounts: { pay: {} } } }\n";
    let world = "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, autopilot: true, controlPlane: DNS, namespaces: { shop: {} } }\n";
    let served = Served::of(Place::new(spec, world));
    served.wi(&["plan", "wi.yaml"]).fails();
    served.place.write("ca.pem", &served.sandbox.authorities());
    let mut plan = served.command(&["plan", "wi.yaml"]);
    plan.env("SSL_CERT_FILE", served.place.path("ca.pem"));
    Ran::of(&mut plan).ok();
}
