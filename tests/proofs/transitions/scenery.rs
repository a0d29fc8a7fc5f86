//! Worlds for the specs: half of what they ask for is there, and much that is others'.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::chance::Chance;
use super::edits::EXTERNAL;
use super::model::{Acts, CLUSTERS, DATASET_IN_FULL, SECRET_IN_FULL, Spec, TOPIC_IN_FULL};

pub const GSA: &str = "iam.gke.io/gcp-service-account";
pub const NODES: &str = "nodes@acme-one.iam.gserviceaccount.com";

/// Workloads that live on the node's identity, or seem to: namespace, kind, and whether a pod is there.
pub const SILENT: [(&str, &str, bool); 10] = [
    ("legacy", "ReplicaSet", true),
    ("kube-system", "ReplicaSet", true),
    ("gke-tools", "DaemonSet", true),
    ("hosts", "StatefulSet", true),
    ("keyed", "StatefulSet", true),
    ("half-keyed", "StatefulSet", true),
    ("zero", "Deployment", false),
    ("cron", "CronJob", false),
    ("once", "Job", true),
    ("bare", "", true),
];

/// Kinds of what makes pods of the teams.
const KINDS: [&str; 5] = ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", ""];

fn number(project: &str) -> u64 {
    if project == "acme-one" { 1111 } else { 2222 }
}

/// A binding with a condition as others write them, and members of every kind.
fn of_others(role: &str, plain: bool) -> Vec<Value> {
    let members = json!([
        "user:ann@example.com",
        format!("serviceAccount:{}", EXTERNAL[1])
    ]);
    let mut all = vec![json!({"role": role, "members": members})];
    if !plain {
        all.push(json!({"role": role, "members": ["group:audit@example.com", "deleted:user:ex@example.com?uid=12", "deleted:serviceAccount:gone@acme-one.iam.gserviceaccount.com?uid=7"],
            "condition": {"title": "office-hours", "expression": "request.time.getHours() < 17", "location": "policies/office.yaml:3"}}));
        all.push(json!({"role": role, "members": ["user:bob@example.com"], "condition": {"title": "early", "expression": "request.time.getHours() > 6"}}));
    }
    all
}

/// Role to members, beside those with conditions.
#[derive(Debug, Default)]
struct Policy(Vec<Value>);

impl Policy {
    fn grant(&mut self, role: &str, member: String) {
        self.0.push(json!({"role": role, "members": [member]}));
    }
}

/// `clusters`: how many.
pub fn world(
    chance: &mut Chance,
    clusters: usize,
    before: &[Spec],
    after: &[Spec],
    allows_off: bool,
) -> Value {
    let mut accounts: BTreeMap<String, Value> = BTreeMap::new();
    let (mut bucket, mut project, secret, dataset, mut topic) = (
        Policy(of_others("roles/storage.objectViewer", false)),
        Policy(of_others("roles/browser", false)),
        Policy(of_others("roles/secretmanager.viewer", false)),
        Policy(of_others("roles/bigquery.dataViewer", true)),
        Policy(of_others("roles/pubsub.viewer", false)),
    );
    // The node's account has roles that pods live on.
    let node = format!("serviceAccount:{NODES}");
    bucket.grant("roles/storage.objectViewer", node.clone());
    project.grant("roles/logging.logWriter", node.clone());
    project.grant("roles/monitoring.editor", node);

    let own: BTreeSet<String> = before
        .iter()
        .chain(after)
        .flat_map(|s| s.accounts.values())
        .filter(|a| !a.referred)
        .map(|a| a.email.clone())
        .collect();
    let mut borrowed = None;
    for email in &own {
        if !chance.percent(50) {
            continue;
        }
        let mut policy = Policy(of_others("roles/iam.serviceAccountTokenCreator", false));
        if borrowed.is_none() && chance.percent(50) {
            let member = "serviceAccount:acme-one.svc.id.goog[other/borrow]".to_owned();
            policy.grant("roles/iam.workloadIdentityUser", member);
            borrowed = Some(email.clone());
        }
        let id = email.split('@').next().expect("an id").to_owned();
        accounts.insert(id, json!({"policy": {"bindings": policy.0}}));
    }
    let mut nodes = Policy::default();
    for pool in ["acme-one", "acme-two"].iter().take(clusters) {
        nodes.grant(
            "roles/iam.workloadIdentityUser",
            format!("serviceAccount:{pool}.svc.id.goog[other/ann]"),
        );
    }
    let enabled: Vec<bool> = (0..clusters)
        .map(|_| !allows_off || chance.percent(85))
        .collect();
    let pools: BTreeSet<&str> = (0..clusters)
        .filter(|c| enabled[*c])
        .map(|c| CLUSTERS[c].0)
        .collect();
    nodes.0.retain(|b| {
        let text = b.to_string();
        pools.iter().any(|p| text.contains(&format!("{p}.svc")))
    });
    if !pools.contains("acme-one") {
        let by_borrow = |v: &Value| v.to_string().contains("[other/borrow]");
        for account in accounts.values_mut() {
            let bindings = account["policy"]["bindings"]
                .as_array_mut()
                .expect("a list");
            bindings.retain(|b| !by_borrow(b));
        }
        borrowed = None;
    }
    accounts.insert("nodes".to_owned(), json!({"policy": {"bindings": nodes.0}}));
    for p in &pools {
        let set = format!(
            "principalSet://iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{p}.svc.id.goog/namespace/sets",
            number(p)
        );
        topic.grant("roles/pubsub.publisher", set);
    }
    // Roles that a KSA of a spec has in the other spelling.
    for (ns, name, ksa) in before.iter().flat_map(Spec::ksas) {
        if let Acts::Direct(_) = ksa.acts
            && chance.percent(30)
            && pools.contains("acme-one")
        {
            let member = format!("serviceAccount:acme-one.svc.id.goog[{ns}/{name}]");
            bucket.grant("roles/storage.objectViewer", member);
        }
    }
    let externals: BTreeMap<&str, Value> = EXTERNAL
        .iter()
        .map(|email| {
            let id = email.split('@').next().expect("an id");
            let policy = of_others("roles/iam.serviceAccountTokenCreator", false);
            (id, json!({"policy": {"bindings": policy}}))
        })
        .collect();
    let clusters: Vec<Value> = (0..clusters)
        .map(|c| cluster(chance, c, enabled[c], before, after, borrowed.as_deref()))
        .collect();
    let seconds = (1 + chance.below(40), 1 + chance.below(40));
    let audit = json!([{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}]);
    json!({
        "apiVersion": "wi.sandbox/v1", "timeScale": 4000,
        "operationSeconds": {"pending": 1, "updateCluster": seconds.0, "nodeRecreate": seconds.1},
        "projects": {
            "acme-one": {"number": number("acme-one"), "policy": {"bindings": project.0, "auditConfigs": audit}, "serviceAccounts": accounts},
            "acme-two": {"number": number("acme-two"), "policy": {"bindings": of_others("roles/browser", false)}, "serviceAccounts": externals},
        },
        "buckets": {"receipts": {"project": "acme-one", "policy": {"bindings": bucket.0}}},
        "resources": {
            SECRET_IN_FULL: {"policy": {"bindings": secret.0}},
            DATASET_IN_FULL: {"policy": {"bindings": dataset.0}},
            TOPIC_IN_FULL: {"policy": {"bindings": topic.0}},
        },
        "clusters": clusters,
    })
}

fn cluster(
    chance: &mut Chance,
    c: usize,
    enabled: bool,
    before: &[Spec],
    after: &[Spec],
    borrowed: Option<&str>,
) -> Value {
    let (project, location) = CLUSTERS[c];
    let annotated = |email: &str| json!({"annotations": {GSA: email}});
    let mut namespaces = json!({
        "other": {"labels": {"team": "others"}, "annotations": {"note": "keep"}, "serviceAccounts": {"ann": annotated(NODES)}},
        "sets": {"serviceAccounts": {"set": {}}},
    });
    let mut pods = vec![
        pod("other", "ann", "ann", "p0", "StatefulSet"),
        pod("sets", "set", "set", "p0", "ReplicaSet"),
    ];
    if let Some(email) = borrowed
        && project == "acme-one"
    {
        namespaces["other"]["serviceAccounts"]["borrow"] = annotated(email);
        pods.push(pod("other", "borrow", "borrow", "p0", "StatefulSet"));
    }
    let all: BTreeSet<(&String, &String)> = before
        .iter()
        .chain(after)
        .flat_map(Spec::ksas)
        .map(|(ns, name, _)| (ns, name))
        .collect();
    for (ns, name) in all {
        let of = before.iter().find(|s| s.ksa(ns, name).is_some());
        let wanted = of.and_then(|s| s.account_of(ns, name));
        let others_make = of.is_some_and(|s| s.ksa(ns, name).is_some_and(|k| k.existing));
        if others_make || chance.percent(50) {
            let mut annotations = json!({"note": "keep"});
            if let Some(account) = wanted.filter(|_| others_make || chance.percent(40)) {
                annotations[GSA] = json!(account.email);
            }
            namespaces[ns]["labels"]["team"] = json!("others");
            namespaces[ns]["serviceAccounts"][name] =
                json!({"labels": {"team": "others"}, "annotations": annotations});
        }
        if chance.percent(80) {
            let kind = chance.pick(&KINDS).expect("a kind");
            let pool = if chance.percent(80) { "p0" } else { "p1" };
            pods.push(pod(ns, &format!("{ns}-{name}"), name, pool, kind));
        }
    }
    let mut objects = Vec::new();
    for (ns, kind, has_pod) in SILENT {
        if !chance.percent(25) {
            continue;
        }
        if ns != "kube-system" {
            namespaces[ns]["serviceAccounts"]["default"] = json!({});
        }
        if has_pod {
            pods.push(silent(ns, kind));
        } else {
            let template = json!({"spec": {"nodeSelector": {"cloud.google.com/gke-nodepool": "p1"}, "containers": [{"name": "c"}]}});
            let spec = match kind {
                "CronJob" => json!({"jobTemplate": {"spec": {"template": template}}}),
                _ => json!({"replicas": 0, "template": template}),
            };
            objects.push(
                json!({"kind": kind, "metadata": {"name": "w", "namespace": ns}, "spec": spec}),
            );
        }
    }
    let mode = |moved: bool| {
        if moved && enabled {
            "GKE_METADATA"
        } else {
            "GCE_METADATA"
        }
    };
    let p1 = chance.percent(30);
    let mut value = json!({
        "project": project, "location": location, "name": format!("c{c}"), "labels": {"team": "others"},
        "nodePools": [
            {"name": "p0", "nodes": 1, "workloadMetadata": mode(chance.percent(85)), "serviceAccount": NODES},
            {"name": "p1", "nodes": 1, "workloadMetadata": mode(p1), "serviceAccount": NODES, "maxSurge": 1, "maxUnavailable": 0},
        ],
        "namespaces": namespaces, "pods": pods, "objects": objects,
    });
    if enabled {
        value["workloadPool"] = json!(format!("{project}.svc.id.goog"));
    }
    value
}

/// A pod on a node pool; without a kind, one that nothing makes.
fn pod(ns: &str, name: &str, ksa: &str, pool: &str, kind: &str) -> Value {
    let mut pod = json!({"name": format!("{name}-0"), "namespace": ns, "serviceAccountName": ksa,
        "containers": [{"name": "c"}], "nodeSelector": {"cloud.google.com/gke-nodepool": pool}});
    if !kind.is_empty() {
        let owner = match kind {
            "ReplicaSet" => format!("{name}-66d9c"),
            _ => name.to_owned(),
        };
        pod["owner"] = json!({"kind": kind, "name": owner});
    }
    pod
}

fn silent(ns: &str, kind: &str) -> Value {
    let mut pod = pod(ns, "w", "default", "p1", kind);
    let keyed = json!({"name": "c", "env": [{"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/key.json"}], "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]});
    let keys = json!([{"name": "keys", "secret": {"secretName": "key"}}]);
    match ns {
        "hosts" => pod["hostNetwork"] = json!(true),
        "keyed" => {
            pod["containers"] = json!([keyed]);
            pod["volumes"] = keys;
        }
        "half-keyed" => {
            pod["containers"] = json!([keyed]);
            pod["volumes"] = keys;
            pod["extra"] = json!({"spec": {"initContainers": [{"name": "init"}]}});
        }
        _ => {}
    }
    pod
}
