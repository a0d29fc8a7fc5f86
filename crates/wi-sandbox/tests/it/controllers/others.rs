//! StatefulSets, DaemonSets, Services, autoscalers and budgets.

use serde_json::{Value, json};

use super::{Cluster, WEB, deployment, image, is_ready, template};

const STATEFUL: &str = "/apis/apps/v1/namespaces/shop/statefulsets/db";
const DAEMON: &str = "/apis/apps/v1/namespaces/shop/daemonsets/agent";

fn made(kind: &str, name: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "selector": { "matchLabels": { "app": name } }, "template": template(name) },
    });
    for (field, value) in spec.as_object().expect("fields") {
        object["spec"][field] = value.clone();
    }
    object
}

fn service(name: &str, selector: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "selector": selector, "ports": [{ "port": 80 }] },
    })
}

/// Name and image of each pod, in order.
fn images(cluster: &mut Cluster) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = cluster
        .pods()
        .iter()
        .map(|pod| {
            (
                pod["metadata"]["name"].as_str().unwrap_or("").to_owned(),
                image(pod).to_owned(),
            )
        })
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_rolls_from_the_last_to_its_partition() {
    let mut cluster = Cluster::of(&[made("StatefulSet", "db", json!({ "replicas": 3 }))]).await;
    assert_eq!(cluster.ready().len(), 3);
    let uids = |cluster: &mut Cluster| -> Vec<Value> {
        let pods = cluster.pods();
        pods.iter()
            .map(|pod| pod["metadata"]["uid"].clone())
            .collect()
    };
    let before = uids(&mut cluster);
    let patch = json!({ "spec": {
        "updateStrategy": { "rollingUpdate": { "partition": 2 } },
        "template": { "spec": { "containers": [{ "name": "app", "image": "db:2" }] } },
    }});
    assert_eq!(cluster.strategic(STATEFUL, &patch).status, 200);
    cluster.pass(60);
    let of = |all: &[(String, String)]| {
        all.iter()
            .map(|(_, image)| image.clone())
            .collect::<Vec<_>>()
    };
    let all = images(&mut cluster);
    assert_eq!(of(&all), ["db:1", "db:1", "db:2"]);
    assert_eq!(
        uids(&mut cluster)[..2],
        before[..2],
        "those below it are let be"
    );
    let db = cluster.get(STATEFUL);
    assert_ne!(
        db["status"]["currentRevision"],
        db["status"]["updateRevision"]
    );
    cluster.merge(
        STATEFUL,
        &json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 0 } } } }),
    );
    cluster.pass(60);
    let all = images(&mut cluster);
    assert_eq!(of(&all), ["db:2", "db:2", "db:2"]);
    let db = cluster.get(STATEFUL);
    assert_eq!(
        db["status"]["currentRevision"],
        db["status"]["updateRevision"]
    );
    // What it was is in its revisions.
    let revisions = cluster.list("/apis/apps/v1/namespaces/shop/controllerrevisions");
    assert_eq!(revisions.len(), 2);
    let answer = cluster.strategic(STATEFUL, &json!({ "spec": { "serviceName": "other" } }));
    assert_eq!(answer.status, 422);
    cluster.merge(STATEFUL, &json!({ "spec": { "replicas": 1 } }));
    cluster.pass(60);
    assert_eq!(
        images(&mut cluster),
        [("db-0".to_owned(), "db:2".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_set_has_a_pod_on_each_node_and_waits_for_deletes_where_it_says_so() {
    let on_delete = json!({ "updateStrategy": { "type": "OnDelete" } });
    let mut cluster = Cluster::of(&[made("DaemonSet", "agent", on_delete)]).await;
    assert_eq!(cluster.ready().len(), 3);
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "agent:2" }] } } } });
    cluster.strategic(DAEMON, &patch);
    cluster.pass(60);
    assert!(cluster.pods().iter().all(|pod| image(pod) == "agent:1"));
    let first = cluster.pods()[0]["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let answer = cluster.send(
        "DELETE",
        &format!("/api/v1/namespaces/shop/pods/{first}"),
        "application/json",
        &json!({}),
    );
    assert_eq!(answer.status, 200);
    cluster.pass(60);
    let new = |cluster: &mut Cluster| {
        cluster
            .ready()
            .iter()
            .filter(|p| image(p) == "agent:2")
            .count()
    };
    assert_eq!(new(&mut cluster), 1);
    cluster.merge(
        DAEMON,
        &json!({ "spec": { "updateStrategy": { "type": "RollingUpdate" } } }),
    );
    cluster.pass(120);
    assert_eq!(new(&mut cluster), 3);
    assert_eq!(cluster.get(DAEMON)["status"]["numberAvailable"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_has_the_ready_pods_of_its_labels_whoever_made_them() {
    let mut other = deployment("other", 1);
    other["spec"]["template"]["metadata"]["labels"]["tier"] = json!("front");
    let objects = [
        deployment("web", 2),
        other,
        service("web", json!({ "app": "web" })),
        service("front", json!({ "tier": "front" })),
    ];
    let mut cluster = Cluster::of(&objects).await;
    let ready = |cluster: &mut Cluster, name: &str| {
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io/service-name={name}"
        );
        let slices = cluster.list(&path);
        let endpoints = slices[0]["endpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        endpoints
            .iter()
            .filter(|e| e["conditions"]["ready"] == true)
            .count()
    };
    assert_eq!(
        (ready(&mut cluster, "web"), ready(&mut cluster, "front")),
        (2, 1)
    );
    // A new pod is none before it is ready.
    cluster.merge(WEB, &json!({ "spec": { "replicas": 3 } }));
    assert_eq!(ready(&mut cluster, "web"), 2);
    cluster.pass(10);
    assert_eq!(ready(&mut cluster, "web"), 3);
    // A label puts them behind another Service.
    let label =
        json!({ "spec": { "template": { "metadata": { "labels": { "tier": "front" } } } } });
    cluster.merge(WEB, &label);
    cluster.pass(120);
    assert_eq!(ready(&mut cluster, "front"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_counts_ready_pods_and_refuses_evictions() {
    let mut cluster = Cluster::of(&[deployment("web", 2)]).await;
    let budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
    let budget = json!({ "metadata": { "name": "web" }, "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    assert_eq!(cluster.create(budgets, &budget).status, 201);
    let pods = cluster.ready();
    let evict = |cluster: &mut Cluster, pod: &Value| {
        let name = pod["metadata"]["name"].as_str().expect("a name");
        let path = format!("/api/v1/namespaces/shop/pods/{name}/eviction");
        cluster.create(
            &path,
            &json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } }),
        )
    };
    assert_eq!(evict(&mut cluster, &pods[0]).status, 201);
    // Its successor is not ready yet.
    let answer = evict(&mut cluster, &pods[1]);
    assert_eq!(answer.status, 429, "{}", answer.body);
    cluster.pass(30);
    assert_eq!(evict(&mut cluster, &pods[1]).status, 201);
    let mut second = budget;
    second["metadata"]["name"] = json!("web-2");
    cluster.pass(30);
    assert_eq!(cluster.create(budgets, &second).status, 201);
    let pods = cluster.ready();
    assert_eq!(evict(&mut cluster, &pods[0]).status, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_go_take_their_pods_and_controllers_make_others() {
    let agent = made("DaemonSet", "agent", json!({}));
    let mut cluster = Cluster::of(&[deployment("web", 3), agent]).await;
    let node = cluster.pods()[0]["spec"]["nodeName"]
        .as_str()
        .expect("a node")
        .to_owned();
    let answer = cluster.send(
        "DELETE",
        &format!("/api/v1/nodes/{node}"),
        "application/json",
        &json!({}),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    cluster.pass(30);
    let pods = cluster.pods();
    assert_eq!(pods.iter().filter(|p| image(p) == "web:1").count(), 3);
    assert_eq!(pods.iter().filter(|p| image(p) == "agent:1").count(), 2);
    assert!(pods.iter().all(is_ready));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_state_goes_on_with_the_same_objects() {
    let objects = [
        deployment("web", 2),
        made("StatefulSet", "db", json!({ "replicas": 2 })),
        made("DaemonSet", "agent", json!({})),
        service("web", json!({ "app": "web" })),
    ];
    let mut cluster = Cluster::of(&objects).await;
    cluster.merge(WEB, &json!({ "spec": { "replicas": 3 } }));
    cluster.pass(60);
    let all = |cluster: &mut Cluster| -> Vec<Value> {
        let mut all = Vec::new();
        for list in [
            "/api/v1/namespaces/shop/pods",
            "/apis/apps/v1/namespaces/shop/deployments",
            "/apis/apps/v1/namespaces/shop/replicasets",
            "/apis/apps/v1/namespaces/shop/statefulsets",
            "/apis/apps/v1/namespaces/shop/controllerrevisions",
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
        ] {
            all.extend(cluster.list(list));
        }
        all
    };
    let before = all(&mut cluster);
    let mut again = cluster.saved().await;
    again.pass(60);
    let after = all(&mut again);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
}
