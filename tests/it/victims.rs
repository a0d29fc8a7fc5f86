//! Who would lose the node's identity: everybody who lives on it is named before a node pool moves, and
//! nobody who does not holds one back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Place;

mod containers;
mod ksas;
mod networks;
mod templates;

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
namespaces:
  shop: { serviceAccounts: { own: { grants: [roles/logging.logWriter] } } }
";

/// What becomes of each workload of a node pool, by `NAMESPACE/KIND/NAME`: the fate, and its words.
pub type Fates = BTreeMap<String, (String, String)>;

/// A world with one cluster; `cluster` is laid over it.
pub fn world(cluster: &Value) -> Value {
    let mut all = json!({
        "project": "acme-prod",
        "location": "europe-west1",
        "name": "main",
        "workloadPool": "acme-prod.svc.id.goog",
        "nodePools": [
            {"name": "p", "nodes": 1, "serviceAccount": "nodes@acme-prod.iam.gserviceaccount.com"},
        ],
    });
    for (key, value) in cluster.as_object().expect("a map") {
        all[key] = value.clone();
    }
    json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 2000,
        "projects": {"acme-prod": {
            "number": 123_456_789_012_u64,
            "policy": {"bindings": [{
                "role": "roles/editor",
                "members": ["serviceAccount:nodes@acme-prod.iam.gserviceaccount.com"],
            }]},
            "serviceAccounts": {"nodes": {}},
        }},
        "clusters": [all],
    })
}

/// A pod of a StatefulSet of this name.
pub fn pod(name: &str, namespace: &str, ksa: &str, spec: &Value) -> Value {
    json!({
        "name": format!("{name}-0"),
        "namespace": namespace,
        "serviceAccountName": ksa,
        "owner": {"kind": "StatefulSet", "name": name},
        "extra": {"spec": spec},
    })
}

/// The plan as JSON, whatever its exit code is.
pub fn plan(spec: &str, world: &Value, options: &[&str]) -> Value {
    let parts = world.as_object().expect("a map").iter();
    let lines: Vec<String> = parts
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}: {text}\n"),
            None => format!("{key}: {value}\n"),
        })
        .collect();
    let place = Place::new(spec, &lines.concat());
    let ran = place.wi(&[&["plan", "--json"], options].concat());
    assert!(!ran.out.is_empty(), "{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

pub fn fates(plan: &Value, pool: &str) -> Fates {
    let pools = plan["wi"]["node_pools"].as_array().expect("node pools");
    let pool = pools
        .iter()
        .find(|p| p["address"] == format!("nodepool.main/{pool}"));
    let workloads = pool.and_then(|p| p["workloads"].as_array());
    workloads
        .into_iter()
        .flatten()
        .map(|w| {
            let text = |field: &str| w[field].as_str().unwrap_or_default().to_owned();
            let name = format!("{}/{}/{}", text("namespace"), text("kind"), text("name"));
            (name, (text("fate"), text("detail")))
        })
        .collect()
}

/// Whether the plan moves a node pool.
pub fn moves(plan: &Value, pool: &str) -> bool {
    let changes = plan["resource_changes"].as_array().expect("changes");
    let address = format!("nodepool.main/{pool}");
    changes.iter().any(|c| c["address"] == address)
}

#[track_caller]
pub fn assert_fate(fates: &Fates, workload: &str, fate: &str, words: &str) {
    let found = fates.get(workload);
    let (found, detail) = found.unwrap_or_else(|| panic!("{workload} is not named: {fates:#?}"));
    assert!(
        found == fate && detail.contains(words) && (words.is_empty() != (detail.len() > 1)),
        "{workload}: {fate} {words:?} wanted, {found} {detail:?} found"
    );
}
