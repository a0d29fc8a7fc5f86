//! What nobody took out of the spec, and what is there all the same: on clusters that labels select no more, on
//! clusters that left the spec, at others' hands, and on node pools that move while others are at work.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wi::apply::gates::Gates;
use wi::apply::rollout::roll_out;
use wi::apply::{Observer, Status};
use wi_sandbox::{Token, World};

use crate::support::client::{Client, annotate, options};
use crate::support::inside::Inside;
use crate::support::{Place, flat};

const GSA: &str = "iam.gke.io/gcp-service-account";
const APPLY: [&str; 3] = ["apply", "--auto-approve", "--allow-mass-removal"];

/// `shop/report` has a role of its own where `env` is `prod`.
fn by_label(env: &str) -> String {
    format!(
        "apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: {{ location: europe-west1, labels: {{ env: {env} }} }}
  other: {{ project: acme-far, location: us-east1, labels: {{ env: prod }} }}
namespaces:
  shop:
    clusters: {{ env: prod }}
    serviceAccounts:
      report: {{ grants: [{{ role: roles/storage.objectViewer, resource: bucket/receipts }}] }}
"
    )
}

fn world(pods: Value) -> Value {
    let cluster = |project: &str, location: &str, name: &str, pods: Value| {
        json!({ "project": project, "location": location, "name": name,
            "workloadPool": format!("{project}.svc.id.goog"), "namespaces": { "shop": {} }, "pods": pods,
            "nodePools": [{ "name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA" }] })
    };
    json!({
        "apiVersion": "wi.sandbox/v1", "timeScale": 2000,
        "projects": { "acme-prod": { "number": 123_456_789_012_u64 }, "acme-far": { "number": 345 } },
        "buckets": { "receipts": { "project": "acme-prod" } },
        "clusters": [
            cluster("acme-prod", "europe-west1", "main", pods),
            cluster("acme-far", "us-east1", "other", json!([])),
        ],
    })
}

fn report() -> Value {
    json!([{ "name": "report-0", "namespace": "shop", "serviceAccountName": "report",
        "owner": { "kind": "StatefulSet", "name": "report" } }])
}

fn text(world: &Value) -> String {
    serde_saphyr::to_string(world).expect("YAML")
}

/// By the oracle: the pod reads from the first moment to the last.
#[tokio::test]
async fn a_label_that_is_taken_away_takes_nothing_from_the_pods_of_its_cluster() {
    let world = World::parse(&text(&world(report())), "world.yaml").expect("a world");
    let inside = Inside::start(&by_label("prod"), world).await;
    inside.wi(&APPLY).await.ok();
    inside.place.write("wi.yaml", &by_label("dev"));
    inside.sandbox.record_access();
    let ran = inside.wi(&APPLY).await.ok();
    let said = flat(&ran.out);
    for words in [
        "ksa.main/shop/report is held back",
        "the labels of cluster.main do not select the namespace shop any more",
        "StatefulSet shop/report",
        "acceptLoss: [shop/ServiceAccount/report]",
        "the same identity is in cluster.main, where it is held back",
    ] {
        assert!(said.contains(words), "{words}:\n{}", ran.out);
    }
    for sample in inside.sandbox.recorded_access() {
        let reads = sample.pods.iter().flat_map(|p| &p.roles);
        let reads = reads.filter(|r| r.role == "roles/storage.objectViewer");
        assert_eq!(reads.count(), 1, "{}", sample.after);
    }
    // Accepted, it goes with its role.
    let accepted = format!(
        "{}acceptLoss: [shop/ServiceAccount/report]\n",
        by_label("dev")
    );
    inside.place.write("wi.yaml", &accepted);
    inside.wi(&APPLY).await.ok();
    let state = serde_json::to_value(inside.sandbox.snapshot()).expect("JSON");
    let there = &state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["report"];
    assert_eq!(there, &Value::Null);
    let plan = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(plan.code, Some(0), "{}", plan.out);
}

/// A saved plan rests on it that nothing runs as what it deletes.
#[test]
fn a_saved_plan_is_stale_once_something_runs_as_what_it_deletes() {
    let place = Place::new(&by_label("prod"), &text(&world(json!([]))));
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &by_label("dev"));
    let plan = ["plan", "wi.yaml", "--out", "p.plan", "--allow-mass-removal"];
    let planned = place.wi(&plan).ok();
    assert!(
        planned.out.contains("- ksa.main/shop/report"),
        "{}",
        planned.out
    );
    place.edit_state(|state| {
        let mut state: Value = serde_saphyr::from_str(&state).expect("YAML");
        state["clusters"][0]["pods"] = report();
        state.to_string()
    });
    let apply = place.wi(&["apply", "p.plan"]);
    assert_eq!(apply.code, Some(4), "{apply:?}");
    apply.says(&["these run as it: StatefulSet shop/report"]);
}

/// The former spec knows of a cluster that this one has not, and whose pods are not to lose anything.
#[test]
fn what_a_cluster_that_left_the_spec_relies_on_stays_although_the_former_spec_tells_of_it() {
    let mut world = world(json!([]));
    world["clusters"][1]["pods"] = report();
    let place = Place::new(&by_label("prod"), &text(&world));
    place.wi(&APPLY).ok();
    place.commit("wi.yaml");
    let other = "  other: { project: acme-far, location: us-east1, labels: { env: prod } }\n";
    let now = by_label("prod");
    assert!(now.contains(other));
    place.write("wi.yaml", &now.replace(other, ""));
    let far = |place: &Place| {
        place.state()["buckets"]
            .to_string()
            .contains("acme-far.svc")
    };
    let base = [&APPLY[..], &["--base", "HEAD"]].concat();
    let ran = place.wi(&base).ok();
    let said = flat(&ran.out);
    for words in [
        "the same identity is in projects/acme-far/locations/us-east1/clusters/other, which is not in the spec",
        "was in this spec and is not any more",
    ] {
        assert!(said.contains(words), "{words}:\n{}", ran.out);
    }
    assert!(far(&place), "{}", ran.out);
    // Not seen is not gone.
    let refused = "{ match: \"GET /v1/projects/acme-far/locations/-/clusters\", denied: true }";
    place.edit_state(|state| {
        let mut state: Value = serde_saphyr::from_str(&state).expect("YAML");
        state["faults"] = serde_saphyr::from_str(&format!("[{refused}]")).expect("YAML");
        state.to_string()
    });
    let ran = place.wi(&base).ok();
    assert!(far(&place), "{}", ran.out);
    assert!(flat(&ran.out).contains("perhaps, which is not in the spec and could not be read"));
    // Once the cluster is deleted, what it had goes.
    place.edit_state(|state| {
        let mut state: Value = serde_saphyr::from_str(&state).expect("YAML");
        state["faults"] = json!([]);
        state["clusters"]
            .as_array_mut()
            .expect("clusters")
            .remove(1);
        state.to_string()
    });
    let ran = place.wi(&base).ok();
    assert!(!far(&place), "{}", ran.out);
}

/// Made by `wi`, and given to others: its pods notice nothing, and nothing of it goes with the spec later.
#[tokio::test]
async fn a_service_account_that_becomes_others_is_let_go_and_keeps_its_annotation() {
    let spec = |existing: &str| {
        format!(
            "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: {{ main: {{ location: europe-west1 }} }}\ngoogleServiceAccounts: {{ backend: {{ grants: [{{ role: roles/storage.objectViewer, resource: bucket/receipts }}] }} }}\nnamespaces: {{ shop: {{ serviceAccounts: {{ report: {{ impersonates: backend{existing} }} }} }} }}\n"
        )
    };
    let world = World::parse(&text(&world(report())), "world.yaml").expect("a world");
    let inside = Inside::start(&spec(""), world).await;
    inside.wi(&APPLY).await.ok();
    inside.place.write("wi.yaml", &spec(", existing: true"));
    inside.sandbox.record_access();
    let ran = inside.wi(&APPLY).await.ok();
    assert!(
        flat(&ran.out).contains("let go: others make and annotate it from now on"),
        "{}",
        ran.out
    );
    for sample in inside.sandbox.recorded_access() {
        let is_account = |t: &Token| matches!(t, Token::Account(a) if a.starts_with("backend@"));
        assert!(
            is_account(&sample.pods[0].token),
            "{}: {:?}",
            sample.after,
            sample.pods
        );
    }
    let state = serde_json::to_value(inside.sandbox.snapshot()).expect("JSON");
    let there = &state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["report"];
    assert_eq!(
        there["annotations"],
        json!({ GSA: "backend@acme-prod.iam.gserviceaccount.com" })
    );
    assert!(!there.to_string().contains("managed-by"), "{there}");
    let plan = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(plan.code, Some(0), "{}", plan.out);
}

/// Between the plan and the move of a node pool somebody disables the account that a pod on it is to act as.
#[tokio::test]
async fn a_node_pool_is_not_moved_once_somebody_on_it_would_lose_by_it() {
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\n";
    let account = "backend@acme-prod.iam.gserviceaccount.com";
    let mut world = world(report());
    world["clusters"].as_array_mut().expect("clusters").pop();
    world["clusters"][0]["nodePools"] = json!([{ "name": "p", "nodes": 1 }]);
    world["clusters"][0]["namespaces"] =
        json!({ "shop": { "serviceAccounts": { "report": { "annotations": { GSA: account } } } } });
    world["projects"]["acme-prod"]["serviceAccounts"] = json!({ "backend": { "policy": { "bindings": [{
        "role": "roles/iam.workloadIdentityUser",
        "members": ["serviceAccount:acme-prod.svc.id.goog[shop/report]"],
    }] } } });
    let world = World::parse(&text(&world), "world.yaml").expect("a world");
    let inside = Inside::start(spec, world).await;
    let client = Client::of(spec, &inside.sandbox);
    let (plan, live) = client.plan().await;
    let pool = "nodepool.main/p";
    assert!(plan.changes.contains_key(pool), "{:?}", plan.held_back);
    let email = wi_core::names::Email::parse(account).expect("an email");
    let project = email.project().expect("a project");
    let http = &client.http;
    let disabled = wi_client::google::iam::disable_service_account(http, &project, &email).await;
    disabled.expect("the sandbox disables it");
    let outcome = client.apply(&plan, &live, CancellationToken::new()).await;
    let Some((_, Status::Failed(why))) = outcome.iter().find(|(a, _)| &***a == pool) else {
        panic!("{outcome:?}");
    };
    assert!(
        why.contains("it is not moved") && why.contains("StatefulSet shop/report"),
        "{why}"
    );
    assert!(matches!(inside.sandbox.access()[0].token, Token::Node(_)));
}

/// Annotates a service account of others once the gate of the first wave is passed.
struct AtTheGate(Client);

const EXPORTER: &str = "exporter@acme-prod.iam.gserviceaccount.com";

impl std::fmt::Debug for AtTheGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtTheGate")
    }
}

impl Observer for AtTheGate {
    fn wave(&self, _name: &str, what: &str) {
        if what == "gate passed" {
            annotate(&self.0, "b", ("other", "q"), EXPORTER);
        }
    }
}

/// Hours may lie between two waves: what has come to be used in them is left.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_to_be_used_before_a_later_wave_stays_and_is_named() {
    let spec = "apiVersion: wi/v1\nname: mon\nproject: acme-prod\nclusters:\n  a: { location: europe-west1, labels: { ring: \"1\" } }\n  b: { location: europe-west1 }\ngoogleServiceAccounts: { exporter: { grants: [roles/viewer] } }\nnamespaces: { mon: { serviceAccounts: { exporter: { impersonates: exporter } } } }\nrollout: { waves: [{ name: first, clusters: { ring: \"1\" } }, { name: rest, clusters: remaining }] }\n";
    let member = |name: &str| format!("serviceAccount:acme-prod.svc.id.goog[other/{name}]");
    let cluster = |name: &str| {
        json!({ "project": "acme-prod", "location": "europe-west1", "name": name, "autopilot": true,
        "namespaces": { "other": { "serviceAccounts": { "q": {}, "r": {} } } } })
    };
    let act = json!({ "bindings": [{ "role": "roles/iam.workloadIdentityUser", "members": [member("q"), member("r")] }] });
    let world = json!({
        "apiVersion": "wi.sandbox/v1", "timeScale": 2000,
        "projects": { "acme-prod": { "serviceAccounts": { "exporter": { "policy": act } } } },
        "clusters": [cluster("a"), cluster("b")],
    });
    let world = World::parse(&text(&world), "world.yaml").expect("a world");
    let inside = Inside::start(spec, world).await;
    let client = Client::of(spec, &inside.sandbox);
    let (plan, live) = client.plan().await;
    let observer = std::sync::Arc::new(AtTheGate(Client::of(spec, &inside.sandbox)));
    let hour = std::time::Duration::from_secs(3600);
    let context = std::sync::Arc::new(client.observed(&plan, &live, hour, observer));
    let (gates, stop) = (Gates::default(), CancellationToken::new());
    let (desired, options) = (&client.desired, options());
    let (outcome, _) = roll_out(&context, desired, &live, &options, &gates, &stop).await;
    let binding = |name: &str| {
        let ended = outcome
            .iter()
            .find(|(a, _)| a.ends_with(&format!("/other/{name}")));
        ended.map(|(_, status)| status)
    };
    let Some(Status::Failed(why)) = binding("q") else {
        panic!("{outcome:?}");
    };
    assert!(
        why.contains("used by other/q in cluster.b") && why.contains("looked at again"),
        "{why}"
    );
    assert_eq!(binding("r"), Some(&Status::Done), "{outcome:?}");
    let policies = serde_json::to_string(&inside.world()["projects"]).expect("JSON");
    assert!(
        policies.contains("[other/q]") && !policies.contains("[other/r]"),
        "{policies}"
    );
}

/// Accounts of the spec that its service accounts on the cluster do not act as, and others there do, have not
/// left it for a plan that moves a node pool of that cluster.
#[test]
fn a_saved_plan_that_moves_a_node_pool_is_not_stale_for_what_it_did_not_look_at() {
    let spec = |pools: &str| {
        format!(
            "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: {{ main: {{ location: europe-west1{pools} }} }}\ngoogleServiceAccounts: {{ backend: {{ users: [shop/report], grants: [{{ role: roles/storage.objectViewer, resource: bucket/receipts }}] }} }}\n"
        )
    };
    let mut world = world(report());
    world["clusters"].as_array_mut().expect("clusters").pop();
    world["clusters"][0]["nodePools"] = json!([{ "name": "p", "nodes": 1 }]);
    world["clusters"][0]["namespaces"] = json!({ "shop": { "serviceAccounts": {
        "report": { "annotations": { GSA: "backend@acme-prod.iam.gserviceaccount.com" } } } } });
    let place = Place::new(&spec(", nodePools: []"), &text(&world));
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &spec(""));
    let plan = place.wi(&["plan", "wi.yaml", "--out", "p.plan"]).ok();
    assert!(plan.out.contains("~ nodepool.main/p"), "{}", plan.out);
    place.wi(&["apply", "p.plan"]).ok();
    let pool = &place.state()["clusters"][0]["nodePools"][0];
    assert_eq!(pool["workloadMetadata"], "GKE_METADATA");
}
