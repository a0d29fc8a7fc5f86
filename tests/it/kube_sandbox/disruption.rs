//! PodDisruptionBudgets in the API: their group, the figures in their status, what is refused.

use reqwest::Method;
use serde_json::{Value, json};
use wi_sandbox::kube::KubeCluster;

use super::{Server, managers, names, send};

pub const ALL: &str = "/apis/policy/v1/poddisruptionbudgets";
pub const SHOP: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
pub const APPLY: &str = "application/apply-patch+yaml";

/// Four pods with the label `app: web`: three that run and one that waits; one more has ended.
pub fn shop(budgets: &Value) -> Value {
    let pod = |name: &str, phase: &str| {
        json!({ "name": name, "namespace": "shop", "labels": { "app": "web", "name": name },
                "node": "n1", "phase": phase })
    };
    json!({
        "namespaces": { "shop": null },
        "pods": [
            pod("a", "Running"), pod("b", "Running"), pod("c", "Running"), pod("d", "Pending"),
            pod("e", "Succeeded"),
            { "name": "job", "namespace": "shop", "labels": { "app": "job" }, "node": "n2" },
            { "name": "elsewhere", "labels": { "app": "web" }, "node": "n2" },
        ],
        "podDisruptionBudgets": budgets,
    })
}

pub fn budget(name: &str, rest: Value) -> Value {
    let mut budget = json!({ "name": name, "namespace": "shop" });
    for (field, value) in rest.as_object().unwrap() {
        budget[field] = value.clone();
    }
    budget
}

pub fn web() -> Value {
    json!({ "matchLabels": { "app": "web" } })
}

pub fn manifest(spec: &Value) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": { "name": "web" },
        "spec": spec,
    })
}

/// `[expectedPods, currentHealthy, desiredHealthy, disruptionsAllowed]`.
fn figures(budget: &Value) -> [u64; 4] {
    assert_eq!(budget["status"]["observedGeneration"], 1, "{budget}");
    [
        "expectedPods",
        "currentHealthy",
        "desiredHealthy",
        "disruptionsAllowed",
    ]
    .map(|field| budget["status"][field].as_u64().unwrap())
}

#[tokio::test]
async fn budgets_are_served_in_the_group_policy() {
    let server = Server::start(shop(&json!([]))).await;
    let spec = json!({ "minAvailable": 2, "selector": web() });
    let mut body = manifest(&spec);
    body["status"] = json!({ "disruptionsAllowed": 99 });
    let create = server.request(Method::POST, SHOP).body(body.to_string());
    let (code, created) = send(create.header("user-agent", "test/1")).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["apiVersion"], "policy/v1");
    assert_eq!(created["spec"], spec);
    assert_eq!(figures(&created), [4, 3, 2, 1]);
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!(entry["apiVersion"], "policy/v1");
    assert_eq!(
        entry["fieldsV1"],
        json!({ "f:spec": { "f:minAvailable": {}, "f:selector": {} } }),
        "a selector is one field"
    );

    let one = format!("{SHOP}/web");
    assert_eq!(server.get(&one).await, (200, created.clone()));
    for path in [ALL, SHOP] {
        let (code, list) = server.get(path).await;
        assert_eq!((code, names(&list)), (200, vec!["web"]));
        assert_eq!(list["kind"], "PodDisruptionBudgetList");
        assert_eq!(list["apiVersion"], "policy/v1");
        assert_eq!(list["items"][0]["status"], created["status"]);
        assert!(list["items"][0].get("apiVersion").is_none());
    }
    let elsewhere = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    assert_eq!(names(&server.get(elsewhere).await.1), Vec::<&str>::new());
    for path in [
        "/api/v1/poddisruptionbudgets",
        "/api/v1/namespaces/shop/poddisruptionbudgets/web",
        "/apis/policy/v1/pods",
        "/apis/policy/v1/namespaces/shop",
        "/apis/policy/v1beta1/poddisruptionbudgets",
        "/apis/policy/v1/poddisruptionbudgets/web",
        "/apis//v1/pods",
    ] {
        assert_eq!(server.get(path).await.0, 404, "{path}");
    }

    let writes = server.changes.load(std::sync::atomic::Ordering::SeqCst);
    let put = server.request(Method::PUT, &one);
    let (code, same) = send(put.body(created.to_string())).await;
    assert_eq!((code, &same), (200, &created), "the status is no change");
    assert_eq!(
        server.changes.load(std::sync::atomic::Ordering::SeqCst),
        writes
    );

    let (code, deleted) = send(server.request(Method::DELETE, &one)).await;
    assert_eq!(code, 200);
    assert_eq!(
        deleted["details"],
        json!({ "name": "web", "group": "policy", "kind": "poddisruptionbudgets",
                "uid": created["metadata"]["uid"] })
    );
    let (code, status) = server.get(&one).await;
    assert_eq!(
        (code, &status["message"], &status["details"]["group"]),
        (
            404,
            &json!("poddisruptionbudgets.policy \"web\" not found"),
            &json!("policy")
        )
    );
}

#[tokio::test]
async fn discovery_tells_of_the_group() {
    let server = Server::start(shop(&json!([]))).await;
    let (_, groups) = server.get("/apis").await;
    let names: Vec<&Value> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| &group["name"])
        .collect();
    assert_eq!(
        names,
        [
            "apps",
            "authorization.k8s.io",
            "autoscaling",
            "batch",
            "discovery.k8s.io",
            "networking.k8s.io",
            "policy"
        ]
    );
    let (_, group) = server.get("/apis/policy").await;
    assert_eq!(group["kind"], "APIGroup");
    assert_eq!(group["preferredVersion"]["groupVersion"], "policy/v1");
    let (_, resources) = server.get("/apis/policy/v1").await;
    assert_eq!(resources["groupVersion"], "policy/v1");
    assert_eq!(resources["resources"].as_array().unwrap().len(), 1);
    assert_eq!(resources["resources"][0]["name"], "poddisruptionbudgets");
    assert_eq!(resources["resources"][0]["shortNames"], json!(["pdb"]));
    let (_, core) = server.get("/api/v1").await;
    assert!(!core.to_string().contains("poddisruptionbudgets"));
    assert_eq!(server.get("/apis/storage.k8s.io").await.0, 404);
    assert_eq!(server.get("/apis/autoscaling/v1").await.0, 404);

    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let request = server.request(Method::GET, "/apis");
    let (_, aggregated) = send(request.header("accept", accept)).await;
    let groups = aggregated["items"].as_array().unwrap();
    let named = |group: &&Value| group["metadata"]["name"] == "policy";
    let policy = groups.iter().find(named).expect("the group");
    let resource = &policy["versions"][0]["resources"][0];
    assert_eq!(
        resource["responseKind"],
        json!({ "group": "policy", "version": "v1", "kind": "PodDisruptionBudget" })
    );
    assert_eq!(resource["shortNames"], json!(["pdb"]));
}

#[tokio::test]
async fn budgets_have_pages_and_every_form() {
    let budgets: Vec<Value> = (0..5)
        .map(|i| {
            budget(
                &format!("b{i}"),
                json!({ "selector": web(), "maxUnavailable": i }),
            )
        })
        .collect();
    let server = Server::start(shop(&json!(budgets))).await;
    let list = format!("{SHOP}?limit=3");
    let (_, first) = server.get(&list).await;
    assert_eq!(names(&first), ["b0", "b1", "b2"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    let token = first["metadata"]["continue"].as_str().unwrap();
    // The figures of a later page are those of the first page's moment too.
    let gone = "/api/v1/namespaces/shop/pods/a";
    send(server.request(Method::DELETE, gone)).await;
    let (_, second) = server.get(&format!("{list}&continue={token}")).await;
    assert_eq!(names(&second), ["b3", "b4"]);
    assert_eq!(figures(&second["items"][0]), [4, 3, 1, 2]);
    assert_eq!(
        figures(&server.get(&format!("{SHOP}/b3")).await.1),
        [3, 2, 0, 2]
    );
    server.cluster.compact();
    let (code, _) = server.get(&format!("{list}&continue={token}")).await;
    assert_eq!(code, 410);

    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let request = server.request(Method::GET, ALL).header("accept", accept);
    let (_, list) = send(request).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"].as_array().unwrap().len(), 5);
    assert!(list["items"][0].get("spec").is_none());
    assert!(list["items"][0].get("status").is_none());

    let accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let request = server.request(Method::GET, ALL).header("accept", accept);
    let (_, table) = send(request).await;
    let cells = table["rows"][2]["cells"].as_array().unwrap();
    assert_eq!(cells[..4], ["b2", "N/A", "2", "1"]);
}

#[tokio::test]
async fn the_status_counts_pods_as_the_disruption_controller_does() {
    for (limit, expected) in [
        (json!({ "minAvailable": 0 }), [4, 3, 0, 3]),
        (json!({ "minAvailable": 2 }), [4, 3, 2, 1]),
        (json!({ "minAvailable": 4 }), [4, 3, 4, 0]),
        (json!({ "minAvailable": 9 }), [4, 3, 9, 0]),
        (json!({ "minAvailable": "0%" }), [4, 3, 0, 3]),
        (json!({ "minAvailable": "26%" }), [4, 3, 2, 1]),
        (json!({ "minAvailable": "50%" }), [4, 3, 2, 1]),
        (json!({ "minAvailable": "100%" }), [4, 3, 4, 0]),
        (json!({ "maxUnavailable": 0 }), [4, 3, 4, 0]),
        (json!({ "maxUnavailable": 1 }), [4, 3, 3, 0]),
        (json!({ "maxUnavailable": 2 }), [4, 3, 2, 1]),
        (json!({ "maxUnavailable": 9 }), [4, 3, 0, 3]),
        (json!({ "maxUnavailable": "0%" }), [4, 3, 4, 0]),
        (json!({ "maxUnavailable": "26%" }), [4, 3, 2, 1]),
        (json!({ "maxUnavailable": "100%" }), [4, 3, 0, 3]),
        (json!({}), [4, 3, 0, 3]),
    ] {
        let mut written = budget("web", limit.clone());
        written["selector"] = web();
        let server = Server::start(shop(&json!([written]))).await;
        let (code, shown) = server.get(&format!("{SHOP}/web")).await;
        assert_eq!((code, figures(&shown)), (200, expected), "{limit}");
        for (field, value) in limit.as_object().unwrap() {
            assert_eq!(shown["spec"][field], *value);
        }
    }
}

#[tokio::test]
async fn a_selector_takes_labels_and_expressions() {
    let rule = |key: &str, operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
    // Of five pods that have not ended: a, b, c, d with `app: web` and `name`, and one job.
    for (selector, expected) in [
        (Value::Null, 0),
        (json!({}), 5),
        (web(), 4),
        (json!({ "matchLabels": { "app": "web", "name": "a" } }), 1),
        (rule("name", "In", &["a", "b", "x"]), 2),
        (rule("name", "NotIn", &["a"]), 4),
        (rule("name", "Exists", &[]), 4),
        (rule("name", "DoesNotExist", &[]), 1),
        (
            json!({ "matchLabels": { "app": "web" },
                    "matchExpressions": [{ "key": "name", "operator": "NotIn", "values": ["a", "d"] }] }),
            2,
        ),
    ] {
        let server = Server::start(shop(&json!([]))).await;
        let body = manifest(&json!({ "minAvailable": 1, "selector": selector }));
        let create = server.request(Method::POST, SHOP).body(body.to_string());
        let (code, created) = send(create).await;
        assert_eq!(code, 201, "{created}");
        assert_eq!(created["status"]["expectedPods"], expected, "{selector}");
        let again = KubeCluster::new(server.cluster.state());
        assert_eq!(again.state(), server.cluster.state());
    }
}

#[tokio::test]
async fn budgets_that_the_api_refuses() {
    let server = Server::start(shop(&json!([]))).await;
    let create = async |spec: Value| {
        let create = server.request(Method::POST, SHOP);
        send(create.body(manifest(&spec).to_string())).await
    };
    let (code, status) = create(json!({ "minAvailable": 1, "maxUnavailable": 1 })).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with("PodDisruptionBudget.policy \"web\" is invalid: spec: Invalid value")
            && message.ends_with("minAvailable and maxUnavailable cannot be both set"),
        "{message}"
    );
    assert_eq!(status["details"]["group"], "policy");

    let rule = |rule: Value| json!({ "selector": { "matchExpressions": [rule] } });
    for (spec, code, field) in [
        (json!({ "minAvailable": -1 }), 422, "spec.minAvailable"),
        (json!({ "minAvailable": "half" }), 422, "spec.minAvailable"),
        (
            json!({ "maxUnavailable": "101%" }),
            422,
            "spec.maxUnavailable",
        ),
        (json!({ "maxUnavailable": "%" }), 422, "spec.maxUnavailable"),
        (json!({ "maxUnavailable": true }), 400, ""),
        (json!({ "maxUnavailable": 0.5 }), 400, ""),
        (
            rule(json!({ "key": "a", "operator": "Is" })),
            422,
            "spec.selector",
        ),
        (
            rule(json!({ "key": "a", "operator": "In" })),
            422,
            "spec.selector.matchExpressions[0].values",
        ),
        (
            rule(json!({ "key": "a", "operator": "Exists", "values": ["b"] })),
            422,
            "spec.selector.matchExpressions[0].values",
        ),
    ] {
        let (found, status) = create(spec.clone()).await;
        assert_eq!(found, code, "{spec}: {status}");
        let cause = &status["details"]["causes"][0]["field"];
        assert_eq!(cause.as_str().unwrap_or_default(), field, "{spec}");
    }

    let mut core = manifest(&json!({}));
    core["apiVersion"] = json!("v1");
    let request = server.request(Method::POST, SHOP);
    let (code, status) = send(request.body(core.to_string())).await;
    assert_eq!(code, 400);
    assert!(status["message"].as_str().unwrap().contains("policy/v1"));
    let mut unknown = manifest(&json!({}));
    unknown["specs"] = json!({});
    let strict = format!("{SHOP}?fieldValidation=Strict");
    let request = server.request(Method::POST, &strict);
    let (code, status) = send(request.body(unknown.to_string())).await;
    assert_eq!(code, 400);
    assert!(status["message"].as_str().unwrap().contains("\"specs\""));

    // The other limit comes in by a patch, and through another manager's apply.
    create(json!({ "minAvailable": 1, "selector": {} })).await;
    let one = format!("{SHOP}/web");
    let other = json!({ "spec": { "maxUnavailable": 1 } });
    let (code, _) = server
        .patch(&one, "application/merge-patch+json", &other)
        .await;
    assert_eq!(code, 422);
    let applied = manifest(&json!({ "maxUnavailable": 1 }));
    let path = format!("{one}?fieldManager=wi");
    assert_eq!(server.patch(&path, APPLY, &applied).await.0, 422);
    let swap = json!({ "spec": { "minAvailable": null, "maxUnavailable": "30%" } });
    let (code, swapped) = server
        .patch(&one, "application/merge-patch+json", &swap)
        .await;
    assert_eq!((code, figures(&swapped)), (200, [5, 4, 3, 1]));
}

#[tokio::test]
async fn managers_own_a_selector_as_a_whole() {
    let server = Server::start(shop(&json!([]))).await;
    let one = format!("{SHOP}/web");
    let apply = async |manager: &str, spec: Value, force: bool| {
        let path = format!("{one}?fieldManager={manager}&force={force}");
        server.patch(&path, APPLY, &manifest(&spec)).await
    };
    let (code, created) = apply(
        "wi",
        json!({ "maxUnavailable": 1, "selector": web() }),
        false,
    )
    .await;
    assert_eq!(code, 201, "{created}");

    let job = json!({ "selector": { "matchLabels": { "name": "a" } } });
    let patch = json!({ "spec": job });
    let path = format!("{one}?fieldManager=kubectl-patch");
    let (_, patched) = server
        .patch(&path, "application/strategic-merge-patch+json", &patch)
        .await;
    assert_eq!(patched["spec"]["selector"], job["selector"], "replaced");
    assert_eq!(figures(&patched), [1, 1, 0, 1]);

    let (code, status) = apply(
        "wi",
        json!({ "maxUnavailable": 1, "selector": web() }),
        false,
    )
    .await;
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"kubectl-patch\" using policy/v1: .spec.selector"
    );
    let (code, taken) = apply(
        "wi",
        json!({ "maxUnavailable": 1, "selector": web() }),
        true,
    )
    .await;
    assert_eq!((code, &taken["spec"]["selector"]), (200, &web()));
    assert_eq!(managers(&taken), "wi Apply");
    let (_, dropped) = apply("wi", json!({ "maxUnavailable": 1 }), false).await;
    assert_eq!(dropped["spec"], json!({ "maxUnavailable": 1 }));
}
