//! Patches and server-side apply of templates: lists that are maps by a key, and who owns what in them.

use serde_json::{Value, json};

use super::{Cluster, WEB, deployment, fields_of};

fn container(cluster: &mut Cluster) -> Value {
    cluster.get(WEB)["spec"]["template"]["spec"]["containers"][0].clone()
}

fn in_template(spec: Value) -> Value {
    json!({ "spec": { "template": { "spec": spec } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategic_patch_merges_by_key_and_deletes_by_directive() {
    let mut cluster = Cluster::of(&[deployment("web", 1)]).await;
    let env = json!([{ "name": "A", "$patch": "delete" }, { "name": "C", "value": "3" }]);
    let patch = in_template(json!({
        "$setElementOrder/containers": [{ "name": "app" }],
        "containers": [{
            "name": "app", "env": env,
            "$setElementOrder/env": [{ "name": "C" }, { "name": "B" }],
            "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
        }],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    }));
    let answer = cluster.strategic(WEB, &patch);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let app = container(&mut cluster);
    assert_eq!(
        app["env"],
        json!([{ "name": "C", "value": "3" }, { "name": "B", "value": "2" }])
    );
    assert_eq!(app["image"], "web:1");
    // args and envFrom are replaced whole.
    for args in [json!(["a", "b"]), json!(["c"])] {
        let patch = in_template(json!({ "containers": [{ "name": "app", "args": args }] }));
        cluster.strategic(WEB, &patch);
        assert_eq!(container(&mut cluster)["args"], args);
    }
    let gone = in_template(json!({
        "containers": [{ "name": "app", "volumeMounts": [{ "mountPath": "/tmp", "$patch": "delete" }] }],
        "volumes": [{ "name": "tmp", "$patch": "delete" }],
    }));
    assert_eq!(cluster.strategic(WEB, &gone).status, 200);
    let spec = cluster.get(WEB)["spec"]["template"]["spec"].clone();
    assert_eq!(spec["volumes"], json!([]));
    let nameless = in_template(json!({ "containers": [{ "image": "web:2" }] }));
    assert_eq!(cluster.strategic(WEB, &nameless).status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appliers_own_items_of_lists_and_take_out_what_is_theirs_alone() {
    let mut cluster = Cluster::of(&[deployment("web", 1)]).await;
    let applied = |env: Value, volumes: Value| {
        let mut object = in_template(json!({
            "containers": [{ "name": "app", "env": env }], "volumes": volumes,
        }));
        object["apiVersion"] = json!("apps/v1");
        object["kind"] = json!("Deployment");
        object["metadata"] = json!({ "name": "web", "namespace": "shop" });
        object
    };
    let mine = applied(
        json!([{ "name": "C", "value": "3" }]),
        json!([{ "name": "tmp", "emptyDir": {} }]),
    );
    let answer = cluster.apply(WEB, "me", &mine);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let shown = answer.json();
    let my = fields_of(&shown, "me");
    let key = "k:{\"name\":\"app\"}";
    let fields = &my["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][key];
    assert_eq!(fields["."], json!({}), "{my:#}");
    assert_eq!(fields["f:env"]["k:{\"name\":\"C\"}"]["f:value"], json!({}));
    // Another value of the same variable is a conflict, in the server's words.
    let other = applied(json!([{ "name": "C", "value": "4" }]), json!([]));
    let answer = cluster.apply(WEB, "you", &other);
    assert_eq!(answer.status, 409);
    let field = ".spec.template.spec.containers[name=\"app\"].env[name=\"C\"].value";
    assert_eq!(answer.json()["details"]["causes"][0]["field"], field);
    // Two who apply the same item: it stays while one of them does.
    let shared = applied(json!([{ "name": "A", "value": "1" }]), json!([]));
    assert_eq!(cluster.apply(WEB, "me", &shared).status, 200);
    // What I apply no more goes; what others have in the container stays.
    let less = applied(json!([]), json!([]));
    assert_eq!(cluster.apply(WEB, "me", &less).status, 200);
    let app = container(&mut cluster);
    assert_eq!(
        app["env"],
        json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }])
    );
    assert_eq!(app["image"], "web:1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_apply_s_owner_and_others_keep_their_variables() {
    let mut cluster = Cluster::of(&[deployment("web", 1)]).await;
    let set = in_template(
        json!({ "containers": [{ "name": "app", "env": [{ "name": "SET", "value": "x" }] }] }),
    );
    let path = format!("{WEB}?fieldManager=kubectl-set");
    assert_eq!(cluster.strategic(&path, &set).status, 200);
    let web = cluster.get(WEB);
    let by = fields_of(&web, "kubectl-set");
    let env = &by["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"app\"}"]
        ["f:env"];
    assert_eq!(
        env["k:{\"name\":\"SET\"}"],
        json!({ ".": {}, "f:name": {}, "f:value": {} })
    );
    // Whoever owns A and B by an update keeps them.
    let owner = json!([{ "name": "A", "value": "1" }]);
    let theirs = in_template(json!({ "containers": [{ "name": "app", "env": owner }] }));
    assert_eq!(cluster.strategic(WEB, &theirs).status, 200);
    let env = container(&mut cluster)["env"].clone();
    assert_eq!(env.as_array().map(Vec::len), Some(3), "{env}");
}
