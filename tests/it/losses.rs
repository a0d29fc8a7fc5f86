//! Who loses an identity without a node pool that moves: annotations are access, and the account of nodes is what
//! their pods live on.

use serde_json::{Value, json};
use wi_sandbox::{Fault, Token, World};

use crate::support::inside::Inside;
use crate::support::{Place, flat};

const HEAD: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
";

/// Two workloads that act as an account of others, whose service accounts were there before, on a node pool with the GKE metadata server.
const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects: { acme-prod: { number: 123456789012, serviceAccounts: { backend: {} } } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { web: {}, jobs: {} } } }
    pods:
      - { name: web-0, namespace: shop, serviceAccountName: web, owner: { kind: StatefulSet, name: web } }
      - { name: jobs-0, namespace: shop, serviceAccountName: jobs, owner: { kind: StatefulSet, name: jobs } }
";

fn spec(accounts: &str) -> String {
    format!(
        "{HEAD}googleServiceAccounts: {{ backend: {{ email: backend@acme-prod.iam.gserviceaccount.com }} }}\nnamespaces: {{ shop: {{ serviceAccounts: {{ {accounts} }} }} }}\n"
    )
}

const BOTH: &str = "web: { impersonates: backend }, jobs: { impersonates: backend }";

#[test]
fn identities_that_go_with_their_annotations_are_losses_and_stop_a_plan() {
    let place = Place::new(&spec(BOTH), WORLD);
    place.wi(&["apply", "--auto-approve"]).ok();
    place.write("wi.yaml", &spec(""));
    let plan = place.wi(&["plan"]).fails();
    let said = flat(&plan.out);
    for words in [
        "- loses its identity in cluster.main: backend@acme-prod.iam.gserviceaccount.com, as which these act: StatefulSet shop/web",
        "as which these act: StatefulSet shop/jobs",
        "it removes 2 of the 4 things that this spec owns",
    ] {
        assert!(said.contains(words), "{words}:\n{}", plan.out);
    }
    assert!(!said.contains("for their new identity"), "{}", plan.out);
    // A service account that stays, and is given nothing in its place.
    place.write("wi.yaml", &spec("web: {}, jobs: { impersonates: backend }"));
    let plan = place.wi(&["plan", "--json"]).ok();
    let plan: Value = serde_json::from_str(&plan.out).expect("JSON");
    let rows = plan["wi"]["access"].as_array().expect("rows");
    let lost = rows.iter().filter(|r| {
        r["gains"] == json!(false) && r["role"] == json!("its identity in cluster.main:")
    });
    assert_eq!(lost.count(), 1, "{rows:#?}");
}

#[test]
fn pods_that_cannot_be_listed_are_told_of_wherever_they_count() {
    let denied = WORLD.replace(
        "    namespaces:",
        "    denied: [list pods]\n    namespaces:",
    );
    let place = Place::new(&spec(BOTH), &denied);
    let plan = place.wi(&["plan"]).ok();
    let said = flat(&plan.out);
    assert!(
        said.contains(
            "have to be restarted for their new identity, and which it does not reach, is not known"
        ),
        "{}",
        plan.out
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    place.write("wi.yaml", &spec(""));
    let plan = place.wi(&["plan"]).fails();
    assert!(
        flat(&plan.out).contains("whose pods act as that could not be read"),
        "{}",
        plan.out
    );
}

/// By the oracle: the pod on a node pool that is held back has what it had, and a later plan takes it.
#[tokio::test]
async fn what_pods_of_a_held_node_pool_live_on_is_taken_once_it_has_moved() {
    const NODES: &str = "nodes-sa@acme-prod.iam.gserviceaccount.com";
    let world = json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 2000,
        "projects": { "acme-prod": {
            "number": 123_456_789_012_u64,
            "policy": { "bindings": [
                { "role": "roles/pubsub.publisher", "members": [format!("serviceAccount:{NODES}")] },
            ] },
            "serviceAccounts": { "nodes-sa": { "description": "[wi:shop]" } },
        } },
        "clusters": [{
            "project": "acme-prod", "location": "europe-west1", "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{ "name": "p", "nodes": 1, "serviceAccount": NODES }],
            "pods": [{ "name": "web-0", "namespace": "shop",
                "owner": { "kind": "StatefulSet", "name": "web" } }],
        }],
    });
    let text = serde_saphyr::to_string(&world).expect("YAML");
    let world = World::parse(&text, "world.yaml").expect("a world");
    let spec = format!("{HEAD}googleServiceAccounts: {{ nodes-sa: {{}} }}\n");
    let inside = Inside::start(&spec, world).await;
    let publishes = || {
        let pods = inside.sandbox.access();
        let mut roles = pods.iter().flat_map(|pod| &pod.roles);
        roles.any(|r| r.role == "roles/pubsub.publisher")
    };
    assert!(publishes());
    let ran = inside.wi(&["apply", "--auto-approve"]).await.ok();
    assert!(publishes(), "{}", ran.out);
    let said = flat(&ran.out);
    assert!(
        said.contains("live on the account of their nodes"),
        "{}",
        ran.out
    );
    let accepted = ["apply", "--auto-approve", "--accept-loss"];
    let ran = inside.wi(&accepted).await.ok();
    assert!(ran.out.contains("1 destroyed"), "{}", ran.out);
    assert!(!publishes());
}

const GSA: &str = "iam.gke.io/gcp-service-account";
const LEGACY: &str = "legacy-app@acme-prod.iam.gserviceaccount.com";

/// A pod that others let act as `legacy-app`, whose service account the spec takes over and gives back.
#[tokio::test]
async fn an_adopted_account_is_given_back_with_the_identity_that_it_had() {
    let world = json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 2000,
        "projects": { "acme-prod": {
            "number": 123_456_789_012_u64,
            "serviceAccounts": {
                "backend": {},
                "legacy-app": { "policy": { "bindings": [{
                    "role": "roles/iam.workloadIdentityUser",
                    "members": ["serviceAccount:acme-prod.svc.id.goog[shop/web]"],
                }] } },
            },
        } },
        "clusters": [{
            "project": "acme-prod", "location": "europe-west1", "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{ "name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA" }],
            "namespaces": { "shop": { "serviceAccounts": { "web": { "annotations": { GSA: LEGACY } } } } },
            "pods": [{ "name": "web-0", "namespace": "shop", "serviceAccountName": "web",
                "owner": { "kind": "StatefulSet", "name": "web" } }],
        }],
    });
    let text = serde_saphyr::to_string(&world).expect("YAML");
    let world = World::parse(&text, "world.yaml").expect("a world");
    let taken = spec("web: { impersonates: backend }");
    let inside = Inside::start(&taken, world).await;
    let annotations = || {
        let state = serde_json::to_value(inside.sandbox.snapshot()).expect("JSON");
        state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"]["annotations"].clone()
    };
    let force = ["apply", "--auto-approve", "--force-conflicts"];
    inside.wi(&force).await.ok();
    assert_eq!(annotations()["wi/former-account"], LEGACY);
    let plan = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(plan.code, Some(0), "{}", plan.out);

    inside.place.write("wi.yaml", &spec(""));
    inside.sandbox.record_access();
    let ran = inside.wi(&["apply", "--auto-approve"]).await.ok();
    assert!(!ran.out.contains("loses its identity"), "{}", ran.out);
    assert_eq!(annotations(), json!({ GSA: LEGACY }));
    for sample in inside.sandbox.recorded_access() {
        let token = &sample.pods[0].token;
        assert!(
            matches!(token, Token::Account(_)),
            "{}: {token:?}",
            sample.after
        );
    }
    // It is nobody's field but ours, so that it can be taken over again.
    inside.place.write("wi.yaml", &taken);
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    assert_eq!(annotations()["wi/former-account"], LEGACY);
}

/// `shop/web` of two clusters, which others made, acts as itself with the role that the spec gives it; `left` is the spec
/// without it, a wave for each cluster.
fn released_in_waves() -> (String, String, World) {
    let waves = "rollout: { waves: [{ name: first, clusters: [main], gate: { manual: true } }, { name: second, clusters: [far] }] }\n";
    let clusters = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 }, far: { location: us-east1 } }\n";
    let with = format!(
        "{clusters}{waves}googleServiceAccounts: {{ backend: {{ grants: [roles/logging.logWriter] }} }}\nnamespaces: {{ shop: {{ serviceAccounts: {{ web: {{ impersonates: backend }} }} }} }}\n"
    );
    let without = format!("{clusters}{waves}");
    let cluster = |name: &str, location: &str| {
        json!({
            "project": "acme-prod", "location": location, "name": name,
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{ "name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA" }],
            "namespaces": { "shop": { "serviceAccounts": { "web": { "annotations": { GSA: LEGACY } } } } },
            "pods": [{ "name": "web-0", "namespace": "shop", "serviceAccountName": "web",
                "owner": { "kind": "StatefulSet", "name": "web" } }],
        })
    };
    let legacy = json!({ "policy": { "bindings": [{
        "role": "roles/iam.workloadIdentityUser",
        "members": ["serviceAccount:acme-prod.svc.id.goog[shop/web]"],
    }] } });
    let world = json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 2000,
        "projects": { "acme-prod": {
            "number": 123_456_789_012_u64,
            "serviceAccounts": { "legacy-app": legacy },
        } },
        "clusters": [cluster("main", "europe-west1"), cluster("far", "us-east1")],
    });
    let text = serde_saphyr::to_string(&world).expect("YAML");
    let world = World::parse(&text, "world.yaml").expect("a world");
    (with, without, world)
}

/// What it had goes after its identity is given back in each cluster, and the marks that tell of it after that: also
/// where a wave, a target or a refusal comes between.
#[tokio::test]
async fn what_is_released_in_waves_loses_nothing_and_leaves_nothing() {
    let (with, without, world) = released_in_waves();
    let inside = Inside::start(&with, world).await;
    let apply = |more: &[&'static str]| {
        let mut args = vec!["apply", "--auto-approve", "--allow-mass-removal"];
        args.extend(more);
        args
    };
    inside
        .wi(&apply(&["--force-conflicts", "--approve", "first"]))
        .await
        .ok();
    inside.place.write("wi.yaml", &without);
    inside.sandbox.record_access();
    let one_cluster = inside.wi(&apply(&["--cluster", "main"])).await.ok();
    assert!(
        one_cluster.out.contains("No changes to what was chosen"),
        "{}",
        one_cluster.out
    );
    let refused = json!([{ "match": "PATCH /api/v1/namespaces/shop/serviceaccounts/web?fieldManager=wi$", "status": 403 }]);
    let refused: Vec<Fault> = serde_json::from_value(refused).expect("faults");
    inside.sandbox.inject(refused);
    let failed = inside.wi(&apply(&["--approve", "first"])).await;
    assert_eq!(failed.code, Some(1), "{}{}", failed.out, failed.err);
    inside.sandbox.heal();
    inside.wi(&apply(&["--approve", "first"])).await.ok();
    for sample in inside.sandbox.recorded_access() {
        for pod in &sample.pods {
            let token = &pod.token;
            assert!(
                matches!(token, Token::Account(_)),
                "{}: {} {token:?}",
                sample.after,
                pod.cluster
            );
        }
    }
    let plan = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    let state = serde_json::to_value(inside.sandbox.snapshot()).expect("JSON");
    for cluster in state["clusters"].as_array().expect("clusters") {
        let web = &cluster["namespaces"]["shop"]["serviceAccounts"]["web"]["annotations"];
        assert_eq!(web, &json!({ GSA: LEGACY }));
    }
    let accounts = &state["projects"]["acme-prod"]["serviceAccounts"];
    assert_eq!(accounts["backend"]["disabled"], true);
    assert!(
        !accounts["backend"]["policy"]
            .to_string()
            .contains("shop/web")
    );
    assert!(
        accounts["legacy-app"]["policy"]
            .to_string()
            .contains("shop/web")
    );
}

/// Found by a label, which somebody takes away: the last cluster of its project.
#[test]
fn a_cluster_whose_label_is_taken_away_is_told_of_and_keeps_what_its_pods_rely_on() {
    let found = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ndiscover: [{ project: acme-edge, resourceLabels: { team: shop } }]\ngoogleServiceAccounts: { backend: { grants: [roles/logging.logWriter] } }\nnamespaces: { shop: { serviceAccounts: { web: { impersonates: backend } } } }\n";
    let edge = "  - project: acme-edge\n    location: us-east1\n    name: edge\n    extra: { resourceLabels: { team: shop } }\n    nodePools: [{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }]\n    workloadPool: acme-edge.svc.id.goog\n    pods: [{ name: web-0, namespace: shop, serviceAccountName: web, owner: { kind: StatefulSet, name: web } }]\n    namespaces: { shop: { serviceAccounts: { web: {} } } }\n";
    let world = format!("{WORLD}{edge}").replace(
        "serviceAccounts: { backend: {} } } }",
        "}, acme-edge: { number: 345 } }",
    );
    let place = Place::new(found, &world);
    place.wi(&["apply", "--auto-approve"]).ok();
    let member = "acme-edge.svc.id.goog[shop/web]";
    assert!(place.state().to_string().contains(member));
    place.edit_state(|text| text.replace("team: shop", "team: other"));
    assert!(!place.state().to_string().contains("team\":\"shop"));
    let ran = place.wi(&["apply", "--auto-approve"]).ok();
    let said = flat(&ran.out);
    for words in [
        "was in this spec and is not any more",
        "shop/web as backend@acme-prod.iam.gserviceaccount.com",
        "binding.backend/acme-edge/shop/web stays, though the spec does not ask for it",
    ] {
        assert!(said.contains(words), "{words}:\n{}", ran.out);
    }
    assert!(place.state().to_string().contains(member), "{}", ran.out);
    // Once it is gone there, the binding goes.
    place.edit_state(|text| {
        let mut state: Value = serde_saphyr::from_str(&text).expect("YAML");
        for cluster in state["clusters"].as_array_mut().expect("clusters") {
            if cluster["name"] == "edge" {
                cluster["namespaces"]["shop"]["serviceAccounts"] = json!({});
            }
        }
        state.to_string()
    });
    let plan = place.wi(&["plan"]).ok();
    assert!(
        plan.out.contains("- binding.backend/acme-edge/shop/web"),
        "{}",
        plan.out
    );
    assert!(!plan.out.contains("is not any more"), "{}", plan.out);
}
