//! Worlds and what is in them, as [`crate::world::live`] takes them.

use serde_json::{Map, Value, json};

use crate::support::{CHECKOUT, GSA, POOL};

/// The world in which all of [`SPEC`] is as it is to be.
pub fn settled() -> Value {
    json!({
        "clusters": { "main": cluster("main", json!({ "p1": pool("GKE_METADATA") })) },
        "accounts": { "acme-prod": { "checkout": { "uniqueId": "1", "description": "[wi:shop]" } } },
        "policies": {
            "project/acme-prod": {},
            "topic/acme-prod/orders": { "roles/pubsub.publisher": [format!("serviceAccount:{CHECKOUT}")] },
            "bucket/acme-receipts": { "roles/storage.objectViewer": [principal("shop", "worker")] },
            (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": [member("shop", "checkout")] },
        },
        "kubernetes": { "main": {
            "Namespace": { "shop": {} },
            "ServiceAccount": { "shop/checkout": ours(Some(CHECKOUT)), "shop/worker": ours(None) },
        } },
        "numbers": { "acme-prod": 42 },
        "uniform": { "acme-receipts": true },
    })
}

/// The same before anything of [`SPEC`] was done, but for the cluster, the namespace and the resources.
pub fn bare() -> Value {
    with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "checkout": null } },
            "policies": {
                "topic/acme-prod/orders": { "roles/pubsub.publisher": null },
                "bucket/acme-receipts": { "roles/storage.objectViewer": null },
                (format!("serviceaccount/{CHECKOUT}")): null,
            },
            "kubernetes": { "main": { "ServiceAccount": null } },
        }),
    )
}

/// `world` with a merge patch (RFC 7386): `null` takes out, texts and lists replace. What has `=` before its
/// name replaces, too.
pub fn with(mut world: Value, patch: Value) -> Value {
    merge(&mut world, patch);
    world
}

fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let into = into.as_object_mut().expect("an object");
    for (key, value) in patch {
        let whole = key.strip_prefix('=').map(str::to_owned);
        let key = whole.clone().unwrap_or(key);
        if value.is_null() || whole.is_some() {
            into.remove(&key);
        }
        if !value.is_null() {
            merge(into.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// A running cluster with its project's workload pool.
pub fn cluster(name: &str, node_pools: Value) -> Value {
    json!({
        "id": format!("id-of-{name}"), "name": name, "location": "europe-west1", "status": "RUNNING",
        "currentMasterVersion": "1.33.5-gke.1", "workloadIdentityConfig": { "workloadPool": POOL },
        "nodePools": node_pools,
    })
}

/// A node pool of one node that runs as `nodes@`.
pub fn pool(mode: &str) -> Value {
    json!({
        "status": "RUNNING", "initialNodeCount": 1, "locations": ["europe-west1-b"],
        "config": {
            "serviceAccount": "nodes@acme-prod.iam.gserviceaccount.com",
            "workloadMetadataConfig": { "mode": mode },
        },
    })
}

/// An object with the mark of a spec, which `wi` has applied.
pub fn marked(owner: &str) -> Value {
    json!({ "metadata": {
        "uid": "u", "annotations": { "wi/owner": owner }, "labels": { "app.kubernetes.io/managed-by": "wi" },
        "managedFields": [owns("wi", "Apply", &["wi/owner"])],
    } })
}

/// A Kubernetes service account with the spec's mark, annotated by `wi`.
pub fn ours(account: Option<&str>) -> Value {
    ours_annotated_by(account, "wi")
}

/// A Kubernetes service account with the spec's mark, annotated by a field manager.
pub fn ours_annotated_by(account: Option<&str>, manager: &str) -> Value {
    let mut object = marked("shop");
    if let Some(account) = account {
        object["metadata"]["annotations"][GSA] = json!(account);
        object["metadata"]["managedFields"] = match manager {
            "wi" => json!([owns("wi", "Apply", &["wi/owner", GSA])]),
            other => json!([
                owns("wi", "Apply", &["wi/owner"]),
                owns(other, "Update", &[GSA])
            ]),
        };
    }
    object
}

/// The same, and it was there before the spec.
pub fn adopted(account: Option<&str>, manager: &str) -> Value {
    let mut object = ours_annotated_by(account, manager);
    object["metadata"]["annotations"]["wi/adopted"] = json!("true");
    object
}

/// A Kubernetes service account without marks, whose annotation a field manager owns.
pub fn annotated(account: Option<&str>, manager: &str) -> Value {
    let mut object = json!({ "metadata": { "uid": "u", "annotations": {} } });
    if let Some(account) = account {
        object["metadata"]["annotations"][GSA] = json!(account);
        object["metadata"]["managedFields"] = json!([owns(manager, "Update", &[GSA])]);
    }
    object
}

fn owns(manager: &str, operation: &str, annotations: &[&str]) -> Value {
    let annotations: Map<String, Value> = annotations
        .iter()
        .map(|a| (format!("f:{a}"), json!({})))
        .collect();
    json!({ "manager": manager, "operation": operation, "fieldsV1": { "f:metadata": { "f:annotations": annotations } } })
}

/// A running pod of a StatefulSet.
pub fn pod(ksa: &str, node: &str, owner: &str) -> Value {
    json!({
        "metadata": { "ownerReferences": [{ "kind": "StatefulSet", "name": owner, "controller": true }] },
        "spec": { "serviceAccountName": ksa, "nodeName": node, "containers": [{ "name": "app" }] },
        "status": { "phase": "Running" },
    })
}

/// A node of a node pool.
pub fn node(pool: &str) -> Value {
    json!({ "metadata": { "labels": { "cloud.google.com/gke-nodepool": pool } } })
}

/// A Kubernetes service account as a member of a Google one's policy.
pub fn member(namespace: &str, name: &str) -> String {
    format!("serviceAccount:{POOL}[{namespace}/{name}]")
}

/// A Kubernetes service account as a member of any other policy.
pub fn principal(namespace: &str, name: &str) -> String {
    format!(
        "principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/{POOL}/subject/ns/{namespace}/sa/{name}"
    )
}
