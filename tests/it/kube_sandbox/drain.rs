//! PodDisruptionBudgets in the state and in world files, and which of them block a drain.

use reqwest::Method;
use serde_json::{Value, json};
use wi_sandbox::kube::{IntOrPercent, KubeCluster, KubeState};
use wi_sandbox::world::World;
use wi_sandbox::{Options, Sandbox};

use super::disruption::{ALL, APPLY, SHOP, budget, manifest, shop, web};
use super::{Server, send};

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
projects: { acme-prod: }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    podDisruptionBudgets:
      - { name: web, namespace: shop, selector: { matchLabels: { app: web } }, minAvailable: 50% }
      - { name: all, selector: {}, maxUnavailable: 0 }
";

#[tokio::test]
async fn budgets_go_round_the_state() {
    let server = Server::start(shop(&json!([
        budget("percent", json!({ "minAvailable": "05%", "selector": {} })),
        budget(
            "written",
            json!({
                "maxUnavailable": 1, "labels": { "a": "b" }, "annotations": { "c": "d" },
                "uid": "u", "resourceVersion": "77",
                "selector": { "matchExpressions": [{ "key": "app", "operator": "Exists" }] },
                "extra": { "spec": { "unhealthyPodEvictionPolicy": "AlwaysAllow" } },
            })
        ),
    ])))
    .await;
    let path = format!("{SHOP}/web?fieldManager=wi");
    let applied = manifest(&json!({ "minAvailable": "50%", "selector": web() }));
    server.patch(&path, APPLY, &applied).await;
    let (_, before) = server.get(ALL).await;
    let written = &before["items"][2];
    assert_eq!(written["metadata"]["uid"], "u");
    assert_eq!(written["metadata"]["resourceVersion"], "77");
    assert_eq!(written["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");

    let state = server.cluster.state();
    let web = &state.pod_disruption_budgets[1];
    assert_eq!(web.min_available, Some(IntOrPercent::Percent(50)));
    assert_eq!(web.managed_fields.as_ref().map_or(0, Vec::len), 1);
    let text = serde_json::to_string(&state).unwrap();
    assert!(!text.contains("expectedPods"), "computed, not saved");
    let again: KubeState = serde_json::from_str(&text).unwrap();
    assert_eq!(KubeCluster::new(again).state(), state);
    let again = Server::start(serde_json::from_str(&text).unwrap()).await;
    assert_eq!(again.get(ALL).await.1, before);

    send(server.request(Method::DELETE, "/api/v1/namespaces/shop")).await;
    assert_eq!(server.cluster.state().pod_disruption_budgets, []);
}

#[test]
fn a_world_with_an_impossible_budget_is_refused() {
    for (mistake, told) in [
        (
            json!({ "minAvailable": 1, "maxUnavailable": 1 }),
            "PodDisruptionBudget shop/web has both minAvailable and maxUnavailable",
        ),
        (
            json!({ "minAvailable": "120%" }),
            "\"120%\": must not be greater than 100%",
        ),
        (
            json!({ "minAvailable": -1 }),
            "-1: must be greater than or equal to 0",
        ),
        (
            json!({ "selector": { "matchlabels": {} } }),
            "unknown field `matchlabels`",
        ),
    ] {
        let world = shop(&json!([budget("web", mistake)]));
        let error = serde_json::from_value::<KubeState>(world).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn a_budget_that_can_never_admit_an_eviction_blocks_the_node() {
    let blocker = |budgets: Value, node: &str| {
        let state: KubeState = serde_json::from_value(shop(&budgets)).unwrap();
        KubeCluster::new(state).blocks_eviction(node)
    };
    let by = |name: &str| Some(format!("shop/{name}"));
    for (limit, blocked) in [
        (json!({ "minAvailable": 4 }), true),
        (json!({ "minAvailable": 9 }), true),
        (json!({ "minAvailable": "76%" }), true),
        (json!({ "maxUnavailable": 0 }), true),
        (json!({ "maxUnavailable": "0%" }), true),
        // One pod waits, so none may go now; but one may when that runs.
        (json!({ "minAvailable": 3 }), false),
        (json!({ "maxUnavailable": 1 }), false),
        (json!({ "maxUnavailable": "1%" }), false),
        (json!({}), false),
    ] {
        let mut written = budget("web", limit.clone());
        written["selector"] = web();
        let budgets = json!([written]);
        let expected = blocked.then(|| "shop/web".to_owned());
        assert_eq!(blocker(budgets.clone(), "n1"), expected, "{limit}");
        assert_eq!(blocker(budgets.clone(), "n2"), None, "no pod of its here");
        assert_eq!(blocker(budgets, "n3"), None);
    }

    let never = |name: &str, selector: Value| {
        budget(name, json!({ "maxUnavailable": 0, "selector": selector }))
    };
    let two = json!([never("z", json!({})), never("y", json!({}))]);
    assert_eq!(blocker(two, "n2"), by("y"), "the first by name");
    let named = |name: &str| never("one", json!({ "matchLabels": { "name": name } }));
    assert_eq!(blocker(json!([named("a")]), "n1"), by("one"));
    assert_eq!(blocker(json!([named("d")]), "n1"), None, "it does not run");
    assert_eq!(blocker(json!([named("e")]), "n1"), None, "it has ended");
    assert_eq!(blocker(json!([never("none", Value::Null)]), "n1"), None);

    let state: KubeState = serde_json::from_value(json!({
        "pods": [{ "name": "done", "node": "n1", "phase": "Failed" }, { "name": "p", "node": "n2" }],
        "podDisruptionBudgets": [{ "name": "all", "selector": {}, "minAvailable": 1 }],
    }))
    .unwrap();
    let cluster = KubeCluster::new(state);
    assert_eq!(cluster.blocks_eviction("n1"), None, "its pod has ended");
    assert!(cluster.blocks_eviction("n2").is_some());

    let owned = |kind: &str| {
        let state: KubeState = serde_json::from_value(json!({
            "pods": [{ "name": "p", "node": "n1", "owner": { "kind": kind, "name": "p" } }],
            "podDisruptionBudgets": [{ "name": "all", "selector": {}, "minAvailable": 1 }],
        }))
        .unwrap();
        KubeCluster::new(state).blocks_eviction("n1")
    };
    assert_eq!(owned("StatefulSet").as_deref(), Some("default/all"));
    assert_eq!(owned("DaemonSet"), None, "a drain leaves it alone");
}

#[tokio::test]
async fn the_budgets_of_a_world_file_are_saved_with_it() {
    // Only the first caller in the process installs it.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let world = World::parse(WORLD, "world.yaml").unwrap();
    let sandbox = Sandbox::start(world, Options::default()).await.unwrap();
    let running = sandbox.snapshot();
    sandbox.stop().await;
    let budgets = &running.clusters[0].pod_disruption_budgets;
    let names: Vec<&str> = budgets.iter().map(|budget| budget.name.as_str()).collect();
    assert_eq!(names, ["all", "web"]);
    assert_eq!(budgets[1].min_available, Some(IntOrPercent::Percent(50)));
    assert!(budgets.iter().all(|budget| budget.uid.is_some()));
    let saved = World::parse(&running.to_yaml(), "saved.yaml").unwrap();
    assert_eq!(saved.clusters, running.clusters);

    let both = WORLD.replace("maxUnavailable: 0", "maxUnavailable: 0, minAvailable: 1");
    let error = World::parse(&both, "world.yaml").unwrap_err().to_string();
    assert!(error.contains("default/all has both"), "{error}");
}
