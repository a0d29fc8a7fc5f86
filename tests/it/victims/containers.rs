//! What containers bring along.

use serde_json::{Value, json};

use super::{SPEC, assert_fate, fates, moves, plan, pod, world};

const KEPT: (&str, &str) = ("keeps", "a credentials file of its own");

fn env(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn from(name: &str, source: &str, of: &str, optional: bool) -> Value {
    json!({"name": name, "valueFrom": {source: {"name": of, "key": "key.json", "optional": optional}}})
}

/// `GOOGLE_APPLICATION_CREDENTIALS`.
fn adc(value: &str) -> Value {
    env("GOOGLE_APPLICATION_CREDENTIALS", value)
}

/// A container with the Secret `keys` below `/keys`.
fn keyed(fields: &Value) -> Value {
    let mut container = json!({
        "name": "main",
        "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
    });
    for (field, value) in fields.as_object().expect("a map") {
        container[field] = value.clone();
    }
    container
}

fn volume(source: &Value) -> Value {
    let mut volume = json!({"name": "keys"});
    for (field, value) in source.as_object().expect("a map") {
        volume[field] = value.clone();
    }
    volume
}

fn secret() -> Value {
    volume(&json!({"secret": {"secretName": "keys"}}))
}

/// One container, and the volume `keys`.
fn one(container: &Value, volume: &Value) -> Value {
    json!({"containers": [container], "volumes": [volume]})
}

/// A container that names a file below `/keys`, on this volume.
fn on(source: &Value) -> Value {
    let container = keyed(&json!({"env": [adc("/keys/key.json")]}));
    one(&container, &volume(source))
}

fn of(fields: &Value) -> Value {
    one(&keyed(fields), &secret())
}

type Case = (&'static str, Value, (&'static str, &'static str));

fn by_files() -> Vec<Case> {
    let loses = |words| ("loses", words);
    let items = |path: &str| json!({"secret": {"secretName": "keys", "items": [{"key": "a", "path": path}]}});
    let mounts =
        |mounts: Value| json!({"env": [adc("/keys/gcp/key.json")], "volumeMounts": mounts});
    let two = |inner: &str| {
        let container = keyed(&mounts(json!([
            {"name": "scratch", "mountPath": "/keys/"},
            {"name": "keys", "mountPath": inner},
        ])));
        json!({"containers": [container], "volumes": [
            {"name": "scratch", "emptyDir": {}},
            {"name": "keys", "secret": {"secretName": "keys"}},
        ]})
    };
    vec![
        ("file", of(&json!({"env": [adc("/keys/key.json")]})), KEPT),
        // No key is called so, whatever a Secret has.
        (
            "file-with-a-blank",
            of(&json!({"env": [adc("/keys/key.json ")]})),
            loses("volume keys does not have"),
        ),
        (
            "file-directory",
            of(&json!({"env": [adc("/keys")]})),
            loses("volume keys does not have"),
        ),
        ("file-renamed", on(&items("key.json")), KEPT),
        (
            "file-renamed-away",
            on(&items("other.json")),
            loses("volume keys does not have"),
        ),
        ("file-nearest", two("/keys/gcp"), KEPT),
        (
            "file-elsewhere",
            two("/keys/other"),
            loses("an emptyDir, which is filled at run time"),
        ),
        (
            "file-sub-path",
            of(&json!({"env": [adc("/etc/k.json")], "volumeMounts": [
                {"name": "keys", "mountPath": "/etc/k.json", "subPath": "key.json"},
            ]})),
            KEPT,
        ),
        (
            "file-like-it",
            of(&json!({"env": [adc("/keys-old/key.json")]})),
            loses("in the image, or nowhere"),
        ),
        (
            "file-in-image",
            of(&json!({"env": [adc("/app/key.json")]})),
            loses("is /app/key.json, where no volume"),
        ),
        (
            "file-optional",
            on(&json!({"secret": {"secretName": "keys", "optional": true}})),
            loses("optional"),
        ),
        (
            "file-on-node",
            on(&json!({"hostPath": {"path": "/keys"}})),
            loses("a directory of the node"),
        ),
        (
            "file-on-disk",
            on(&json!({"persistentVolumeClaim": {"claimName": "x"}})),
            loses("a persistent volume"),
        ),
        (
            "file-by-store",
            on(&json!({"csi": {"driver": "secrets-store.csi.k8s.io"}})),
            KEPT,
        ),
        (
            "file-by-fuse",
            on(&json!({"csi": {"driver": "gcsfuse.csi.storage.gke.io"}})),
            loses("a CSI driver"),
        ),
        (
            "federation",
            on(&json!({"projected": {"sources": [
                {"serviceAccountToken": {"path": "token", "audience": "x"}},
                {"configMap": {"name": "federation", "items": [{"key": "c", "path": "key.json"}]}},
            ]}})),
            KEPT,
        ),
        (
            "token-alone",
            on(&json!({"projected": {"sources": [{"serviceAccountToken": {"path": "key.json"}}]}})),
            loses("volume keys does not have"),
        ),
    ]
}

fn by_variables() -> Vec<Case> {
    let loses = |words| ("loses", words);
    let tf = "GOOGLE_CREDENTIALS";
    let gac = "GOOGLE_APPLICATION_CREDENTIALS";
    vec![
        ("empty", of(&json!({"env": [adc("")]})), loses("")),
        (
            "last-wins",
            of(&json!({"env": [adc("/keys/key.json"), adc("")]})),
            loses(""),
        ),
        (
            "expanded",
            of(&json!({"env": [env("DIR", "/keys"), adc("$(DIR)/key.json")]})),
            KEPT,
        ),
        (
            "escaped",
            of(&json!({"env": [env("DIR", "/keys"), adc("$$(DIR)/key.json")]})),
            loses("in the image"),
        ),
        (
            "expanded-too-early",
            of(&json!({"env": [adc("$(DIR)/key.json"), env("DIR", "/keys")]})),
            loses("in the image"),
        ),
        (
            "of-the-pod",
            of(&json!({"env": [
                {"name": "DIR", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                adc("$(DIR)/key.json"),
            ]})),
            loses("not known here"),
        ),
        (
            "terraform",
            of(&json!({"env": [from(tf, "secretKeyRef", "tf", false)]})),
            KEPT,
        ),
        (
            "terraform-perhaps",
            of(&json!({"env": [from(tf, "secretKeyRef", "tf", true)]})),
            loses("Secret tf, which is not read"),
        ),
        (
            "terraform-inline",
            of(&json!({"env": [env(tf, r#"{"private_key": "hush"}"#)]})),
            KEPT,
        ),
        (
            "terraform-path",
            of(&json!({"env": [env(tf, "/keys/key.json")]})),
            KEPT,
        ),
        (
            "key-for-a-path",
            of(&json!({"env": [adc(r#"{"private_key": "hush"}"#)]})),
            loses("leads to nothing that is mounted"),
        ),
        (
            "path-of-secret",
            of(&json!({"env": [from(gac, "secretKeyRef", "paths", false)]})),
            loses("Secret paths, which is not read"),
        ),
        (
            "path-of-map",
            of(&json!({"env": [from(gac, "configMapKeyRef", "good", false)]})),
            KEPT,
        ),
        (
            "path-of-map-wrong",
            of(&json!({"env": [from(gac, "configMapKeyRef", "bad", false)]})),
            loses("in the image"),
        ),
        (
            "path-of-map-gone",
            of(&json!({"env": [from(gac, "configMapKeyRef", "gone", true)]})),
            loses(""),
        ),
        (
            "all-of-map",
            of(&json!({"envFrom": [{"prefix": "GOOGLE_", "configMapRef": {"name": "env"}}]})),
            KEPT,
        ),
        (
            "all-of-map-other",
            of(&json!({"envFrom": [{"configMapRef": {"name": "env"}}]})),
            loses(""),
        ),
        (
            "env-over-map",
            of(
                &json!({"env": [adc("/app/k.json")], "envFrom": [{"prefix": "GOOGLE_", "configMapRef": {"name": "env"}}]}),
            ),
            loses("in the image"),
        ),
        (
            "all-of-secret",
            of(&json!({"envFrom": [{"secretRef": {"name": "env"}}]})),
            loses("Secret env, which is not read"),
        ),
        // What terraform reads does not stand in for what the libraries were told to read.
        (
            "two-ways",
            of(&json!({"env": [adc("/app/key.json"), from(tf, "secretKeyRef", "tf", false)]})),
            loses("in the image"),
        ),
    ]
}

fn by_programs() -> Vec<Case> {
    let loses = |words| ("loses", words);
    let ignored = loses("do not read GOOGLE_APPLICATION_CREDENTIALS");
    let over = "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE";
    let script = |text: &str| json!(["sh", "-c", text]);
    let with = |image: &str, command: Value| {
        of(&json!({"image": image, "command": command, "env": [adc("/keys/key.json")]}))
    };
    let without = |image: &str, command: Value| of(&json!({"image": image, "command": command}));
    vec![
        (
            "gcloud",
            with("google/cloud-sdk:alpine", json!([])),
            ignored,
        ),
        (
            "gcloud-cli",
            with(
                "gcr.io/google.com/cloudsdktool/google-cloud-cli@sha256:00",
                json!([]),
            ),
            ignored,
        ),
        (
            "gsutil-in-script",
            with("debian", script("cd /x && (gsutil -m cp a gs://b)")),
            ignored,
        ),
        (
            "bq-by-path",
            with("debian", json!(["/opt/bin/bq", "load"])),
            ignored,
        ),
        (
            "like-gcloud",
            with("acme/gcloudless:1", json!(["run"])),
            ignored,
        ),
        (
            "no-gcloud",
            with("acme/worker:1", json!(["run", "--gcloud-project=x"])),
            KEPT,
        ),
        (
            "override",
            of(&json!({"image": "google/cloud-sdk", "env": [env(over, "/keys/key.json")]})),
            KEPT,
        ),
        (
            "override-wrong",
            of(&json!({"image": "google/cloud-sdk", "env": [env(over, "/app/key.json")]})),
            loses("in the image"),
        ),
        (
            "override-alone",
            of(&json!({"image": "acme/backup", "env": [env(over, "/keys/key.json")]})),
            KEPT,
        ),
        (
            "activated",
            without(
                "google/cloud-sdk",
                script("gcloud auth activate-service-account --key-file=/keys/key.json; gsutil ls"),
            ),
            KEPT,
        ),
        (
            "activated-by-word",
            without(
                "google/cloud-sdk",
                script("gcloud auth login --cred-file '/keys/key.json' && gsutil ls"),
            ),
            KEPT,
        ),
        (
            "activated-by-variable",
            of(
                &json!({"image": "google/cloud-sdk", "env": [env("K", "/keys/key.json")],
                "args": ["gcloud", "auth", "activate-service-account", "--key-file", "$(K)"]}),
            ),
            KEPT,
        ),
        (
            "activated-by-shell",
            without(
                "google/cloud-sdk",
                script("gcloud auth activate-service-account --key-file=$K"),
            ),
            loses("not known here"),
        ),
        (
            "logged-in",
            of(&json!({"image": "google/cloud-sdk", "env": [env("CLOUDSDK_CONFIG", "/keys")]})),
            loses("logged in with"),
        ),
        (
            "sql-proxy",
            of(
                &json!({"image": "gcr.io/cloudsql-docker/gce-proxy:1.33", "command": ["/cloud_sql_proxy", "-credential_file=/keys/key.json"]}),
            ),
            KEPT,
        ),
        (
            "sql-proxy-2",
            without(
                "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2",
                json!(["--credentials-file", "/keys/key.json"]),
            ),
            KEPT,
        ),
        (
            "sql-proxy-plain",
            without(
                "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2",
                json!(["--port=5432"]),
            ),
            loses(""),
        ),
        (
            "flag-of-others",
            without(
                "acme/worker",
                json!(["--credentials-file", "/keys/key.json"]),
            ),
            loses(""),
        ),
    ]
}

fn by_containers() -> Vec<Case> {
    let some = |words| ("loses", words);
    let good = keyed(&json!({"env": [adc("/keys/key.json")]}));
    let bad = json!({"name": "other"});
    let named = |container: &Value, fields: Value| {
        let mut container = container.clone();
        for (field, value) in fields.as_object().expect("a map") {
            container[field] = value.clone();
        }
        container
    };
    let always = json!({"name": "mesh", "restartPolicy": "Always"});
    let with = |list: &str, other: &Value| {
        let mut pod = json!({"containers": [good], "volumes": [secret()]});
        match list {
            "containers" => pod[list] = json!([good, other]),
            list => pod[list] = json!([other]),
        }
        pod
    };
    let mut host = with("containers", &bad);
    host["hostNetwork"] = json!(true);
    vec![
        (
            "second",
            with("containers", &bad),
            some(
                "only some of its containers have a credentials file of their own, container other",
            ),
        ),
        (
            "init",
            with("initContainers", &bad),
            some("init container other has none"),
        ),
        (
            "sidecar",
            with("initContainers", &named(&bad, always.clone())),
            some("sidecar mesh has none"),
        ),
        (
            "debug",
            with("ephemeralContainers", &bad),
            some("ephemeral container other has none"),
        ),
        (
            "init-gcloud",
            with(
                "initContainers",
                &named(&good, json!({"name": "dl", "image": "google/cloud-sdk"})),
            ),
            some("init container dl runs gcloud"),
        ),
        (
            "init-unclear",
            with(
                "initContainers",
                &named(&good, json!({"name": "dl", "env": [adc("/app/k.json")]})),
            ),
            some("whether init container dl has a credential"),
        ),
        (
            "every-one",
            with("initContainers", &named(&good, always)),
            KEPT,
        ),
        ("host-network", host, ("keeps", "the host's network")),
    ]
}

#[test]
fn a_container_keeps_what_it_brings_along_and_asks_the_metadata_server_otherwise() {
    let cases: Vec<Case> = [by_files(), by_variables(), by_programs(), by_containers()]
        .into_iter()
        .flatten()
        .collect();
    let pods: Vec<Value> = cases
        .iter()
        .map(|(name, spec, _)| pod(name, "apps", "default", spec))
        .collect();
    let map = |name: &str, data: Value| json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps"}, "data": data});
    let world = world(&json!({"pods": pods, "objects": [
        map("good", json!({"key.json": "/keys/key.json", "other": "hush"})),
        map("bad", json!({"key.json": "/app/key.json"})),
        map("env", json!({"APPLICATION_CREDENTIALS": "/keys/key.json"})),
    ]}));
    let plan = plan(SPEC, &world, &[]);
    let fates = fates(&plan, "p");
    for (name, _, (fate, words)) in &cases {
        assert_fate(&fates, &format!("apps/StatefulSet/{name}"), fate, words);
    }
    assert_eq!(fates.len(), cases.len());
    assert!(!moves(&plan, "p"));
    assert!(!plan.to_string().contains("hush"));
}

/// A ConfigMap that may not be read makes nobody safe, and nobody who is safe unsafe.
#[test]
fn a_config_map_that_is_refused_leaves_open_what_a_container_has() {
    let by_map = of(
        &json!({"env": [from("GOOGLE_APPLICATION_CREDENTIALS", "configMapKeyRef", "good", false)]}),
    );
    let all = of(&json!({"envFrom": [{"configMapRef": {"name": "good"}}]}));
    let world = world(&json!({
        "pods": [
            pod("by-map", "apps", "default", &by_map),
            pod("all", "apps", "default", &all),
            pod("own", "shop", "own", &by_map),
        ],
        "objects": [{"kind": "ConfigMap", "metadata": {"name": "good", "namespace": "apps"}, "data": {"key.json": "/keys/key.json"}}],
        "denied": ["get configmaps"],
    }));
    let fates = fates(&plan(SPEC, &world, &[]), "p");
    assert_fate(
        &fates,
        "apps/StatefulSet/by-map",
        "loses",
        "ConfigMap good, which could not be read",
    );
    assert_fate(
        &fates,
        "apps/StatefulSet/all",
        "loses",
        "ConfigMap good may have variables",
    );
    assert_fate(&fates, "shop/StatefulSet/own", "gets", "acme-prod/shop/own");
}
