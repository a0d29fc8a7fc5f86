//! Deployments and their ReplicaSets.

use serde_json::{Value, json};

use super::{Cluster, DEPLOYMENTS, SETS, WEB, condition, deployment, fields_of, image, is_ready};

fn set_image(image: &str) -> Value {
    json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_world_asks_for_is_there_from_the_start() {
    let mut cluster = Cluster::of(&[deployment("web", 3)]).await;
    let pods = cluster.ready();
    assert_eq!(pods.len(), 3);
    let set = &cluster.list(SETS)[0];
    assert_eq!(
        pods[0]["metadata"]["ownerReferences"][0]["uid"],
        set["metadata"]["uid"]
    );
    assert_eq!(pods[0]["spec"]["serviceAccountName"], "web");
    let web = cluster.get(WEB);
    assert_eq!(web["status"]["availableReplicas"], 3, "{web:#}");
    assert_eq!(
        web["status"]["observedGeneration"],
        web["metadata"]["generation"]
    );
    assert_eq!(
        condition(&web, "Progressing"),
        ("True".to_owned(), "NewReplicaSetAvailable".to_owned())
    );
    assert_eq!(
        web["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_template_comes_step_by_step_within_surge_and_unavailable() {
    let mut web = deployment("web", 4);
    web["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let mut cluster = Cluster::of(&[web]).await;
    let answer = cluster.strategic(WEB, &set_image("web:2"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (mut least, mut most) = (usize::MAX, 0);
    for _ in 0..60 {
        let pods = cluster.pods();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        least = least.min(cluster.ready().len());
        most = most.max(pods.iter().filter(stays).count());
        cluster.pass(1);
    }
    assert_eq!((least, most), (4, 5));
    let pods = cluster.pods();
    assert_eq!(pods.len(), 4);
    assert!(
        pods.iter()
            .all(|pod| image(pod) == "web:2" && is_ready(pod))
    );
    let web = cluster.get(WEB);
    assert_eq!(web["status"]["updatedReplicas"], 4);
    assert_eq!(web["metadata"]["generation"], 2);
    assert_eq!(
        web["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    let old = cluster
        .list(SETS)
        .into_iter()
        .find(|set| image(&set["spec"]["template"]) == "web:1");
    assert_eq!(old.expect("the former one stays")["spec"]["replicas"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_former_template_is_the_former_replica_set_again() {
    let mut cluster = Cluster::of(&[deployment("web", 2)]).await;
    cluster.strategic(WEB, &set_image("web:2"));
    cluster.pass(120);
    cluster.strategic(WEB, &set_image("web:1"));
    cluster.pass(120);
    assert_eq!(cluster.list(SETS).len(), 2);
    let web = cluster.get(WEB);
    assert_eq!(
        web["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
    assert!(cluster.ready().iter().all(|pod| image(pod) == "web:1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_cannot_start_hold_the_rollout_and_its_deadline_tells() {
    let mut cluster = Cluster::of(&[deployment("web", 3)]).await;
    let secret = json!([{ "name": "key", "secret": { "secretName": "nope" } }]);
    let patch = json!({ "spec": { "progressDeadlineSeconds": 120, "template": { "spec": { "volumes": secret } } } });
    assert_eq!(cluster.strategic(WEB, &patch).status, 200);
    cluster.pass(60);
    assert_eq!(condition(&cluster.get(WEB), "Progressing").0, "True");
    cluster.pass(120);
    let web = cluster.get(WEB);
    let told = condition(&web, "Progressing");
    assert_eq!(
        told,
        ("False".to_owned(), "ProgressDeadlineExceeded".to_owned())
    );
    // A quarter of three, rounded down, is none.
    assert_eq!(cluster.ready().len(), 3);
    let stuck = cluster
        .pods()
        .into_iter()
        .find(|pod| !is_ready(pod))
        .expect("a new one");
    assert_eq!(stuck["status"]["phase"], "Pending");
    // The Secret comes, and so do they.
    let secret = json!({ "metadata": { "name": "nope" }, "data": {} });
    assert_eq!(
        cluster
            .create("/api/v1/namespaces/shop/secrets", &secret)
            .status,
        201
    );
    cluster.pass(60);
    let told = condition(&cluster.get(WEB), "Progressing").1;
    assert_eq!(told, "NewReplicaSetAvailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raised_min_ready_seconds_make_one_canary_and_count_the_young_as_unavailable() {
    let mut web = deployment("web", 3);
    web["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let mut cluster = Cluster::of(&[web]).await;
    // Alone it is refused: the deadline has to be longer.
    let alone = json!({ "spec": { "minReadySeconds": 3600 } });
    let answer = cluster.strategic(WEB, &alone);
    assert_eq!(answer.status, 422);
    assert!(
        answer.body.contains("must be greater than minReadySeconds"),
        "{}",
        answer.body
    );
    let mut patch = set_image("web:2");
    patch["spec"]["minReadySeconds"] = json!(3600);
    patch["spec"]["progressDeadlineSeconds"] = json!(7200);
    assert_eq!(cluster.strategic(WEB, &patch).status, 200);
    cluster.pass(600);
    let new = |pods: &[Value]| pods.iter().filter(|pod| image(pod) == "web:2").count();
    let pods = cluster.ready();
    assert_eq!((pods.len(), new(&pods)), (4, 1));
    cluster.merge(WEB, &json!({ "spec": { "minReadySeconds": 0 } }));
    cluster.pass(120);
    let pods = cluster.ready();
    assert_eq!((pods.len(), new(&pods)), (3, 3));
    assert_eq!(cluster.list(SETS).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_younger_than_raised_min_ready_seconds_are_unavailable_at_once() {
    // Those that a world begins with are a day old.
    let mut cluster = Cluster::of(&[deployment("web", 3)]).await;
    let raise = |seconds: u64| json!({ "spec": { "minReadySeconds": seconds, "progressDeadlineSeconds": 2 * seconds } });
    cluster.merge(WEB, &raise(80_000));
    assert_eq!(condition(&cluster.get(WEB), "Available").0, "True");
    cluster.merge(WEB, &raise(100_000));
    let told = condition(&cluster.get(WEB), "Available");
    assert_eq!(
        told,
        ("False".to_owned(), "MinimumReplicasUnavailable".to_owned())
    );
    assert_eq!(cluster.ready().len(), 3);
    cluster.pass(20_000);
    assert_eq!(condition(&cluster.get(WEB), "Available").0, "True");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_deployment_rolls_nothing_and_scales() {
    let mut cluster = Cluster::of(&[deployment("web", 2)]).await;
    cluster.merge(WEB, &json!({ "spec": { "paused": true } }));
    cluster.strategic(WEB, &set_image("web:2"));
    cluster.merge(WEB, &json!({ "spec": { "replicas": 4 } }));
    cluster.pass(60);
    let pods = cluster.ready();
    assert_eq!(pods.len(), 4);
    assert!(pods.iter().all(|pod| image(pod) == "web:1"));
    assert_eq!(
        condition(&cluster.get(WEB), "Progressing").1,
        "DeploymentPaused"
    );
    cluster.merge(WEB, &json!({ "spec": { "paused": false } }));
    cluster.pass(120);
    assert!(cluster.ready().iter().all(|pod| image(pod) == "web:2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scale_is_a_subresource_with_a_manager_of_its_own() {
    let mut cluster = Cluster::of(&[deployment("web", 1)]).await;
    let scale = format!("{WEB}/scale");
    let shown = cluster.get(&scale);
    assert_eq!(
        (&shown["kind"], &shown["status"]["selector"]),
        (&json!("Scale"), &json!("app=web"))
    );
    let path = format!("{scale}?fieldManager=somebody");
    let answer = cluster.send(
        "PATCH",
        &path,
        "application/merge-patch+json",
        &json!({ "spec": { "replicas": 3 } }),
    );
    assert_eq!(
        (answer.status, &answer.json()["spec"]["replicas"]),
        (200, &json!(3))
    );
    cluster.pass(30);
    assert_eq!(cluster.ready().len(), 3);
    let web = cluster.get(WEB);
    let by = fields_of(&web, "somebody");
    assert_eq!(by["subresource"], "scale");
    assert_eq!(by["fieldsV1"], json!({ "f:spec": { "f:replicas": {} } }));
    // An old version is a lock.
    let mut stale = shown;
    stale["spec"]["replicas"] = json!(0);
    assert_eq!(
        cluster
            .send("PUT", &scale, "application/json", &stale)
            .status,
        409
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_takes_along_orphans_or_waits() {
    let all = ["a", "b", "c"].map(|name| deployment(name, 1));
    let mut cluster = Cluster::of(&all).await;
    let delete = |cluster: &mut Cluster, name: &str, how: &str| {
        let path = format!("{DEPLOYMENTS}/{name}");
        let answer = cluster.send(
            "DELETE",
            &path,
            "application/json",
            &json!({ "propagationPolicy": how }),
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    delete(&mut cluster, "a", "Orphan");
    delete(&mut cluster, "b", "Background");
    delete(&mut cluster, "c", "Foreground");
    let going = cluster.get(&format!("{DEPLOYMENTS}/c"));
    assert_eq!(
        going["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    cluster.pass(10);
    assert_eq!(cluster.get(&format!("{DEPLOYMENTS}/c"))["code"], 404);
    let pods = cluster.pods();
    assert_eq!(pods.len(), 1);
    assert_eq!(image(&pods[0]), "a:1");
    assert_eq!(cluster.list(SETS).len(), 1);
    // Whoever comes with the same selector takes them.
    assert_eq!(cluster.create(DEPLOYMENTS, &deployment("a", 1)).status, 201);
    cluster.pass(10);
    assert_eq!((cluster.pods().len(), cluster.list(SETS).len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_refuses_of_workloads() {
    let mut cluster = Cluster::of(&[deployment("web", 1)]).await;
    let refused = |cluster: &mut Cluster, patch: Value, why: &str| {
        let answer = cluster.send("PATCH", WEB, "application/merge-patch+json", &patch);
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains(why), "{}", answer.body);
    };
    let labels = json!({ "app": "other" });
    let with = |selector: bool| {
        let mut patch = json!({ "spec": { "template": { "metadata": { "labels": labels } } } });
        if selector {
            patch["spec"]["selector"] = json!({ "matchLabels": labels });
        }
        patch
    };
    refused(&mut cluster, with(false), "does not match template");
    refused(&mut cluster, with(true), "field is immutable");
    let long = json!({ "spec": { "template": { "metadata": { "labels": { "wi/shadow": "x".repeat(64) } } } } });
    refused(&mut cluster, long, "no more than 63");
    let test = json!([{ "op": "test", "path": "/spec/replicas", "value": 7 }, { "op": "remove", "path": "/spec/replicas" }]);
    let answer = cluster.send("PATCH", WEB, "application/json-patch+json", &test);
    assert_eq!(answer.status, 422);
    assert!(
        answer.body.contains("the server rejected our request"),
        "{}",
        answer.body
    );
    let log = cluster.get("/api/v1/namespaces/shop/pods/web-1/exec");
    assert_eq!(log["code"], 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_told_by_the_replica_set_and_the_deployment() {
    let mut cluster = Cluster::of(&[deployment("web", 1)]).await;
    // Null alone changes nothing: the former name of the field brings it back.
    cluster.merge(
        WEB,
        &json!({ "spec": { "template": { "spec": { "serviceAccountName": null } } } }),
    );
    let spec = cluster.get(WEB)["spec"]["template"]["spec"].clone();
    assert_eq!(spec["serviceAccountName"], "web");
    let nobody = json!({ "serviceAccountName": "nobody", "serviceAccount": null });
    cluster.merge(WEB, &json!({ "spec": { "template": { "spec": nobody } } }));
    cluster.pass(30);
    let web = cluster.get(WEB);
    assert_eq!(
        condition(&web, "ReplicaFailure"),
        ("True".to_owned(), "FailedCreate".to_owned())
    );
    assert_eq!(cluster.ready().len(), 1);
}
