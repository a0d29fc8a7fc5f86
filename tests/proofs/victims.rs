//! Over generated pods and templates, on node pools of every kind: what is said of each container is what
//! the oracle finds, and who loses the node's identity by the oracle, before and after, is named by the plan.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use wi_core::access::{self, Credential, Given, Ksa, MetadataServer};
use wi_core::desired::GSA_ANNOTATION;
use wi_core::live::{ConfigMaps, Live, Seen};
use wi_core::names::KsaIdentity;
use wi_core::plan::{IdentityEffect, Plan};
use wi_core::wire::pods::PodSpec;
use wi_sandbox::{Sandbox, Source, Token, Use, World};

use crate::support::client::Client;
use crate::support::inside::runtime;

const WORLDS: usize = 60;
const CLUSTER: &str = "acme-prod/europe-west1/main";
const SPEC: &str = "apiVersion: wi/v1
name: proof
project: acme-prod
clusters: { main: { location: europe-west1 } }
namespaces: { proof: { serviceAccounts: { own: { grants: [roles/browser] } } } }
";

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
struct Gen {
    spec: Value,
    ksa: usize,
    kind: &'static str,
    has_pod: bool,
}

fn workload() -> impl Strategy<Value = Gen> {
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
const KSAS: [(&str, Option<&str>); 14] = [
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

fn world(workloads: &[Gen], moved: bool) -> Value {
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

/// Whether nothing can be done with a token: to act as an account by asking for it is not what programs
/// do.
fn is_nobody(of: &Use) -> bool {
    match &of.token {
        Token::Refused(_) => true,
        Token::Federated(_) => of
            .roles
            .iter()
            .all(|g| g.role == "roles/iam.workloadIdentityUser" || g.only_if.is_some()),
        Token::Node(_) | Token::Account(_) => false,
    }
}

fn config_maps() -> ConfigMaps {
    let map = |name: &str, data: &[(&str, &str)]| {
        let data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let key = ("apps".to_owned(), name.to_owned());
        (key, Seen::Found(data.collect::<BTreeMap<_, _>>()))
    };
    let mut maps = ConfigMaps::from([
        map(
            "paths",
            &[("good", "/keys/key.json"), ("bad", "/app/key.json")],
        ),
        map("env", &[("APPLICATION_CREDENTIALS", "/keys/key.json")]),
    ]);
    maps.insert(("apps".to_owned(), "none".to_owned()), Seen::Absent);
    maps
}

/// What is said of each container, against the oracle.
fn check_containers(workloads: &[Gen], after: &[Use]) {
    let maps = config_maps();
    let given = Given::Nobody(access::WhyNot::NoRoles);
    for (i, of) in workloads.iter().enumerate() {
        let spec: PodSpec = serde_json::from_value(of.spec.clone()).expect("a pod");
        for said in access::containers(&spec, "apps", &maps, MetadataServer::Gke(&given)) {
            let workload = format!("{}/w{i}", of.kind);
            let found = after
                .iter()
                .find(|u| u.workload == workload && u.container == said.name);
            let Some(found) = found else { continue };
            let same = match (&found.source, &said.credential) {
                (Source::Container(by), Credential::Own(own)) => by == own.by,
                (Source::MetadataServer, Credential::None | Credential::Ignored { .. }) => true,
                (Source::Unknown(_), Credential::Unclear(_)) => true,
                _ => false,
            };
            assert!(same, "{said:?}\n{found:?}\n{:#}", of.spec);
        }
    }
}

/// What the metadata server is said to give each service account, against the oracle.
fn check_given(live: &Live, after: &[Use], workloads: &[Gen]) -> usize {
    let cluster = &live.clusters["main"].found().expect("the cluster");
    assert_eq!(cluster.name, "main");
    let objects = live.kubernetes["main"].found().expect("its objects");
    let path = wi_core::names::ClusterPath {
        project: "acme-prod".parse().expect("a project"),
        location: "europe-west1".to_owned(),
        name: "main".to_owned(),
    };
    let mut compared = 0;
    for (i, of) in workloads.iter().enumerate() {
        let name = KSAS[of.ksa].0;
        let meta = &objects.service_accounts[&("apps".to_owned(), name.to_owned())];
        let identity = KsaIdentity {
            pool: "acme-prod.svc.id.goog".to_owned(),
            namespace: "apps".to_owned(),
            name: name.to_owned(),
        };
        let ksa = Ksa {
            identity: &identity,
            cluster: &path,
            number: Some(123_456_789_012),
            uid: &meta.uid,
            annotation: meta.annotations.get(GSA_ANNOTATION).map(String::as_str),
        };
        let now = "2026-11-30T00:00:00Z".parse().expect("a time");
        let given = access::by_metadata_server(live, &ksa, Some(now));
        let workload = format!("{}/w{i}", of.kind);
        let is_host = of.spec["hostNetwork"] == true;
        for found in after.iter().filter(|u| u.workload == workload && !is_host) {
            let same = match (&given, &found.token) {
                (Given::Account(email), Token::Account(token)) => email.as_str() == token,
                (Given::Principal(_), Token::Federated(_)) => !is_nobody(found),
                (Given::Nobody(_) | Given::Unseen(_), _) => is_nobody(found),
                _ => false,
            };
            assert!(same, "{name}: {given:?}\n{found:?}");
            compared += 1;
        }
    }
    compared
}

type Named = BTreeSet<(String, String)>;

/// Node pool and `KIND/NAME` of everybody whom the plan says to lose the node's identity.
fn named(plan: &Plan) -> Named {
    let mut named = Named::new();
    for (address, impact) in &plan.impact {
        let pool = address.to_string();
        let pool = pool.rsplit('/').next().expect("a name").to_owned();
        for (fate, workloads) in &impact.workloads {
            if matches!(fate, IdentityEffect::Loses(_)) {
                named.extend(
                    workloads
                        .iter()
                        .map(|w| (pool.clone(), format!("{}/{}", w.kind, w.name))),
                );
            }
        }
    }
    named
}

/// The same by the oracle: whoever asks for the node's token before and is nobody after; with `perhaps`,
/// also where it cannot be known whether it asks.
fn losers(before: &[Use], after: &[Use], workloads: &[Gen], perhaps: bool) -> Named {
    let key = |u: &Use| (u.pool.clone(), u.workload.clone(), u.container.clone());
    let after: BTreeMap<_, &Use> = after.iter().map(|u| (key(u), u)).collect();
    let placed: BTreeMap<String, BTreeSet<&str>> = workloads
        .iter()
        .enumerate()
        .filter(|(_, of)| of.has_pod)
        .map(|(i, of)| (format!("{}/w{i}", of.kind), BTreeSet::new()))
        .collect();
    before
        .iter()
        .filter(|u| matches!(u.token, Token::Node(_)))
        .filter(|u| match u.source {
            Source::MetadataServer => true,
            Source::Unknown(_) => perhaps,
            Source::Container(_) => false,
        })
        .filter(|u| after.get(&key(u)).is_some_and(|u| is_nobody(u)))
        .filter(|u| !placed.contains_key(&u.workload) || perhaps || is_there(u, before))
        .map(|u| (u.pool.clone(), u.workload.clone()))
        .collect()
}

/// Objects of which a pod is on a node count there alone, and are twice in the list.
fn is_there(of: &Use, all: &[Use]) -> bool {
    let same =
        |u: &&Use| u.pool == of.pool && u.workload == of.workload && u.container == of.container;
    all.iter().filter(same).count() > 1
}

async fn sandbox(workloads: &[Gen], moved: bool) -> Sandbox {
    let text = world(workloads, moved).to_string();
    let world = World::parse(&text, "world.yaml").expect("a valid world");
    let started = Sandbox::start(world, wi_sandbox::Options::default()).await;
    started.expect("the sandbox starts")
}

/// How many losers were found.
async fn check(workloads: &[Gen]) -> usize {
    let (stays, moved) = (
        sandbox(workloads, false).await,
        sandbox(workloads, true).await,
    );
    let client = Client::of(SPEC, &stays);
    let live = wi::engine::read::read(&client.http, &client.desired).await;
    let options = wi_core::plan::Options {
        now: "2026-11-30T00:00:00Z".parse().ok(),
        ..crate::support::client::options()
    };
    let plan = wi_core::plan::plan(&client.desired, &live, &options);
    assert!(
        plan.unseen.is_empty() && plan.errors.is_empty(),
        "{:?}",
        plan.errors
    );
    let (before, after) = (stays.uses(), moved.uses());
    assert!(before.iter().all(|u| u.cluster == CLUSTER));
    check_containers(workloads, &after);
    check_given(&live, &after, workloads);

    let named = named(&plan);
    let sure = losers(&before, &after, workloads, false);
    let silent: Vec<_> = sure.difference(&named).collect();
    assert!(
        silent.is_empty(),
        "not named: {silent:?}\n{:#}",
        world(workloads, false)
    );
    let possible = losers(&before, &after, workloads, true);
    let without_need: Vec<_> = named.difference(&possible).collect();
    assert!(
        without_need.is_empty(),
        "named: {without_need:?}\n{:#}",
        world(workloads, false)
    );
    for (pool, _) in &named {
        let address = format!("nodepool.main/{pool}");
        assert!(
            plan.changes.keys().all(|a| a.to_string() != address),
            "{address} is moved"
        );
    }
    stays.stop().await;
    moved.stop().await;
    sure.len()
}

#[test]
fn nobody_loses_the_nodes_identity_unnamed() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    let mut losers = 0;
    for _ in 0..WORLDS {
        let workloads = prop::collection::vec(workload(), 4..14);
        let workloads = workloads
            .new_tree(&mut runner)
            .expect("workloads")
            .current();
        losers += runtime.block_on(check(&workloads));
    }
    assert!(losers > 3 * WORLDS, "only {losers} losers");
}
