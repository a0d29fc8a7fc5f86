//! Generated pods and templates, and the world that they are in.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Strategy;
use serde_json::{Value, json};
use wi_core::desired::GSA_ANNOTATION;

/// One of these, or nothing, as often as it is there.
fn one_of(choices: Vec<Value>) -> impl Strategy<Value = Value> {
    prop::sample::select(choices)
}

fn variable() -> impl Strategy<Value = Value> {
    let names = [
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CREDENTIALS",
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
        "CSQL_PROXY_CREDENTIALS_FILE",
        "CLOUDSDK_CONFIG",
        "DIR",
        "OTHER",
    ];
    let key = |optional: bool| json!({"name": "s", "key": "k", "optional": optional});
    let values = vec![
        json!({"value": "/keys/key.json"}),
        json!({"value": "/keys/key.json"}),
        json!({"value": "/keys/sub/key.json"}),
        json!({"value": "/app/key.json"}),
        json!({"value": "$(DIR)/key.json"}),
        json!({"value": "/keys"}),
        json!({"value": ""}),
        json!({"value": "{\"type\": \"service_account\"}"}),
        json!({"valueFrom": {"secretKeyRef": key(false)}}),
        json!({"valueFrom": {"secretKeyRef": key(true)}}),
        json!({"valueFrom": {"configMapKeyRef": {"name": "paths", "key": "good"}}}),
        json!({"valueFrom": {"configMapKeyRef": {"name": "paths", "key": "bad"}}}),
        json!({"valueFrom": {"configMapKeyRef": {"name": "none", "key": "good", "optional": true}}}),
        json!({"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
    ];
    (prop::sample::select(names.to_vec()), one_of(values)).prop_map(|(name, mut value)| {
        value["name"] = json!(name);
        value
    })
}

fn container() -> impl Strategy<Value = Value> {
    let images = vec![
        json!("acme/app"),
        json!("acme/app"),
        json!("google/cloud-sdk:1"),
    ];
    let commands = vec![
        json!([]),
        json!([]),
        json!(["run", "--fast"]),
        json!(["sh", "-c", "gsutil cp a b"]),
        json!([
            "sh",
            "-c",
            "gcloud auth activate-service-account --key-file=/keys/key.json; gsutil ls"
        ]),
        json!(["gcloud", "auth", "login", "--cred-file", "/app/key.json"]),
    ];
    let mounts = vec![
        json!([]),
        json!([{"name": "keys", "mountPath": "/keys"}]),
        json!([{"name": "keys", "mountPath": "/keys"}]),
        json!([{"name": "keys", "mountPath": "/keys/"}, {"name": "scratch", "mountPath": "/keys/sub"}]),
        json!([{"name": "scratch", "mountPath": "/keys"}, {"name": "keys", "mountPath": "/keys/sub"}]),
        json!([{"name": "keys", "mountPath": "/keys/key.json", "subPath": "key.json"}]),
    ];
    let from = vec![
        json!([]),
        json!([]),
        json!([]),
        json!([{"configMapRef": {"name": "env"}}]),
        json!([{"prefix": "GOOGLE_", "configMapRef": {"name": "env"}}]),
        json!([{"secretRef": {"name": "s"}}]),
    ];
    (
        one_of(images),
        one_of(commands),
        prop::collection::vec(variable(), 0..3),
        one_of(from),
        one_of(mounts),
    )
        .prop_map(|(image, command, env, from, mounts)| {
            json!({"image": image, "command": command, "env": env, "envFrom": from, "volumeMounts": mounts})
        })
}

fn keys_volume() -> impl Strategy<Value = Value> {
    let items = |path: &str| json!([{"key": "k", "path": path}]);
    one_of(vec![
        json!({"secret": {"secretName": "s"}}),
        json!({"secret": {"secretName": "s"}}),
        json!({"secret": {"secretName": "s", "items": items("key.json")}}),
        json!({"secret": {"secretName": "s", "items": items("other.json")}}),
        json!({"secret": {"secretName": "s", "optional": true}}),
        json!({"configMap": {"name": "config"}}),
        json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "c", "items": items("key.json")}}]}}),
        json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}),
        json!({"csi": {"driver": "secrets-store.csi.k8s.io"}}),
        json!({"hostPath": {"path": "/x"}}),
    ])
}

fn placement() -> impl Strategy<Value = Value> {
    let pool = "cloud.google.com/gke-nodepool";
    let affinity = |rule: Value| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}}})
    };
    one_of(vec![
        json!({}),
        json!({}),
        json!({"nodeSelector": {pool: "a"}}),
        json!({"nodeSelector": {pool: "empty"}}),
        json!({"nodeSelector": {"team": "b"}}),
        json!({"nodeSelector": {"team": "nobody"}}),
        json!({"nodeSelector": {"iam.gke.io/gke-metadata-server-enabled": "true"}}),
        json!({"tolerations": [{"key": "only", "operator": "Exists"}], "nodeSelector": {pool: "tainted"}}),
        json!({"tolerations": [{"operator": "Exists"}]}),
        affinity(json!({"key": "team", "operator": "NotIn", "values": ["b"]})),
        affinity(json!({"key": "team", "operator": "Exists"})),
        affinity(json!({"key": "team", "operator": "DoesNotExist"})),
        json!({"hostNetwork": true}),
    ])
}

/// A pod's spec, as whose service account, and what there is of it: a pod, an object, or both.
#[derive(Debug, Clone)]
pub struct Gen {
    pub spec: Value,
    pub ksa: usize,
    pub kind: &'static str,
    pub has_pod: bool,
}

pub fn workload() -> impl Strategy<Value = Gen> {
    let kinds = vec![
        "StatefulSet",
        "StatefulSet",
        "Deployment",
        "DaemonSet",
        "CronJob",
        "Job",
        "ReplicationController",
        "ReplicaSet",
    ];
    (
        prop::collection::vec(container(), 1..3),
        prop::option::weighted(0.3, container()),
        any::<bool>(),
        keys_volume(),
        placement(),
        0..KSAS.len(),
        prop::sample::select(kinds),
        any::<bool>(),
    )
        .prop_map(
            |(mut main, init, sidecar, keys, mut spec, ksa, kind, has_pod)| {
                for (i, container) in main.iter_mut().enumerate() {
                    container["name"] = json!(format!("c{i}"));
                }
                spec["containers"] = json!(main);
                if let Some(mut init) = init {
                    init["name"] = json!("init");
                    if sidecar {
                        init["restartPolicy"] = json!("Always");
                    }
                    spec["initContainers"] = json!([init]);
                }
                let mut keys = keys;
                keys["name"] = json!("keys");
                spec["volumes"] = json!([keys, {"name": "scratch", "emptyDir": {}}]);
                spec["serviceAccountName"] = json!(KSAS[ksa].0);
                // A pod outlives nothing here but what keeps its name.
                // One that needs the GKE metadata server runs in one of the two worlds alone.
                let needs_server = spec["nodeSelector"].to_string().contains("metadata-server");
                let has_pod = has_pod && kind == "StatefulSet" && !needs_server;
                Gen {
                    spec,
                    ksa,
                    kind,
                    has_pod,
                }
            },
        )
}

/// Service accounts of namespace `apps`, and their annotations.
pub const KSAS: [(&str, Option<&str>); 14] = [
    ("bare", None),
    ("bare2", None),
    ("direct", None),
    ("ended", None),
    ("perhaps", None),
    ("by-uid", None),
    ("only-bound", None),
    ("empty", Some("")),
    ("bound", Some("on@acme-prod.iam.gserviceaccount.com")),
    ("unbound", Some("on@acme-prod.iam.gserviceaccount.com")),
    ("bound-once", Some("on@acme-prod.iam.gserviceaccount.com")),
    ("elsewhere", Some("far@other-prod.iam.gserviceaccount.com")),
    ("off", Some("off@acme-prod.iam.gserviceaccount.com")),
    ("ghost", Some("ghost@acme-prod.iam.gserviceaccount.com")),
];

/// One with node pools of every kind, before they are moved or after.
pub fn world(workloads: &[Gen], moved: bool) -> Value {
    let member = |name: &str| json!(format!("serviceAccount:acme-prod.svc.id.goog[apps/{name}]"));
    let user =
        |name: &str| json!({"role": "roles/iam.workloadIdentityUser", "members": [member(name)]});
    let past = json!({"title": "past", "expression": "request.time < timestamp(\"2020-01-01T00:00:00Z\")"});
    let hours = json!({"title": "hours", "expression": "request.time.getHours() < 18"});
    let if_ = |mut binding: Value, condition: &Value| {
        binding["condition"] = condition.clone();
        binding
    };
    let uid = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/kubernetes.serviceaccount.uid/u-1";
    let policy = json!({"bindings": [
        {"role": "roles/editor", "members": ["serviceAccount:nodes@acme-prod.iam.gserviceaccount.com"]},
        {"role": "roles/logging.logWriter", "members": [member("direct"), member("empty"), uid]},
        if_(json!({"role": "roles/pubsub.viewer", "members": [member("ended")]}), &past),
        if_(json!({"role": "roles/pubsub.editor", "members": [member("perhaps")]}), &hours),
    ]});
    let accounts: BTreeMap<&str, Value> = KSAS
        .iter()
        .map(|(name, annotation)| {
            let annotations = annotation.map(|a| json!({GSA_ANNOTATION: a}));
            let mut account = json!({"annotations": annotations.unwrap_or(json!({}))});
            if *name == "by-uid" {
                account["uid"] = json!("u-1");
            }
            (*name, account)
        })
        .collect();
    let (mut pods, mut objects) = (Vec::new(), Vec::new());
    for (i, of) in workloads.iter().enumerate() {
        let name = format!("w{i}");
        let template = json!({"spec": of.spec});
        let spec = match of.kind {
            "CronJob" => json!({"jobTemplate": {"spec": {"template": template}}}),
            _ => json!({"template": template}),
        };
        objects.push(
            json!({"kind": of.kind, "metadata": {"name": name, "namespace": "apps"}, "spec": spec}),
        );
        if of.has_pod {
            let mut extra = of.spec.clone();
            let mut pod = json!({"name": format!("{name}-0"), "namespace": "apps", "serviceAccountName": KSAS[of.ksa].0,
                "owner": {"kind": of.kind, "name": name}});
            for (field, named) in [
                ("nodeSelector", "nodeSelector"),
                ("hostNetwork", "hostNetwork"),
            ] {
                let value = extra[field].take();
                if !value.is_null() {
                    pod[named] = value;
                }
            }
            extra
                .as_object_mut()
                .expect("a map")
                .retain(|_, v| !v.is_null());
            pod["extra"] = json!({"spec": extra});
            pods.push(pod);
        }
    }
    let map = |name: &str, data: Value| json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps"}, "data": data});
    objects.push(map(
        "paths",
        json!({"good": "/keys/key.json", "bad": "/app/key.json"}),
    ));
    objects.push(map(
        "env",
        json!({"APPLICATION_CREDENTIALS": "/keys/key.json"}),
    ));
    let mode = if moved {
        "GKE_METADATA"
    } else {
        "GCE_METADATA"
    };
    let pool = |mut fields: Value| {
        fields["workloadMetadata"] = json!(mode);
        fields["serviceAccount"] = json!("nodes@acme-prod.iam.gserviceaccount.com");
        fields
    };
    json!({
        "apiVersion": "wi.sandbox/v1",
        "projects": {
            "acme-prod": {"number": 123_456_789_012_u64, "policy": policy, "serviceAccounts": {
                "nodes": {},
                "on": {"policy": {"bindings": [user("bound"), user("only-bound"), if_(user("bound-once"), &past)]}},
                "off": {"disabled": true, "policy": {"bindings": [user("off")]}},
            }},
            "other-prod": {"number": 77, "serviceAccounts": {"far": {"policy": {"bindings": [user("elsewhere")]}}}},
        },
        "clusters": [{
            "project": "acme-prod", "location": "europe-west1", "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [
                pool(json!({"name": "a", "nodes": 1})),
                pool(json!({"name": "b", "nodes": 1, "labels": {"team": "b"}})),
                pool(json!({"name": "empty", "nodes": 0})),
                pool(json!({"name": "tainted", "nodes": 1, "taints": [{"key": "only", "value": "x", "effect": "NO_SCHEDULE"}]})),
            ],
            "namespaces": {"apps": {"serviceAccounts": accounts}},
            "pods": pods,
            "objects": objects,
        }],
    })
}
