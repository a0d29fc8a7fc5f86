//! Controllers and kubelets: what a client sees of what its objects make.

mod applied;
mod deployments;
mod jobs;
mod others;

use std::time::Duration;

use serde_json::{Value, json};
use wi_sandbox::Sandbox;

use crate::support::{Answer, Client, GATEWAY, start};

/// A cluster whose controllers run, with these objects and three nodes.
fn world(objects: &[Value]) -> Value {
    json!({
        "apiVersion": "wi.sandbox/v1",
        // Time passes by what a test says, and by little else.
        "timeScale": 0.001,
        "projects": { "acme": { "number": 123_456_789_012_u64 } },
        "clusters": [{
            "project": "acme", "location": "europe-west1", "name": "main", "membership": "main",
            "workloadPool": "acme.svc.id.goog",
            "nodePools": [{ "name": "default-pool", "nodes": 3, "workloadMetadata": "GKE_METADATA" }],
            "namespaces": { "shop": { "serviceAccounts": { "web": {}, "other": {} } } },
            "controllers": {},
            "objects": objects,
        }],
    })
}

pub fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "shop", "labels": { "app": name } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": template(name),
        },
    })
}

pub fn template(name: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": name } },
        "spec": {
            "serviceAccountName": "web",
            "containers": [{ "name": "app", "image": format!("{name}:1"),
                "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }] }],
        },
    })
}

/// What a manager has of an object.
#[track_caller]
pub fn fields_of<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let all = object["metadata"]["managedFields"].as_array();
    let mut all = all.expect("managers").iter();
    all.find(|m| m["manager"] == manager).expect("it is named")
}

/// A cluster's API, and the clock.
pub struct Cluster {
    pub sandbox: Sandbox,
    client: Client,
}

impl Cluster {
    pub async fn of(objects: &[Value]) -> Self {
        Self::with(objects, |_| {}).await
    }

    /// In a world that is changed before it starts.
    pub async fn with(objects: &[Value], change: impl FnOnce(&mut Value)) -> Self {
        let mut world = world(objects);
        change(&mut world);
        let sandbox = start(&world.to_string()).await;
        let client = Client::of(&sandbox);
        Self { sandbox, client }
    }

    /// Another sandbox that begins where this one ends.
    pub async fn saved(self) -> Self {
        let sandbox = start(&self.sandbox.snapshot().to_yaml()).await;
        let client = Client::of(&sandbox);
        Self { sandbox, client }
    }

    pub fn pass(&self, seconds: u64) {
        self.sandbox.pass(Duration::from_secs(seconds));
    }

    pub fn send(&mut self, verb: &str, path: &str, kind: &str, body: &Value) -> Answer {
        let path = format!("{GATEWAY}{path}");
        self.client
            .send(verb, &path, kind, body.to_string().as_bytes())
    }

    /// A request to Google's APIs, or to the sandbox itself.
    pub fn google(&mut self, verb: &str, path: &str) -> Answer {
        self.client.json(verb, path, &json!({}))
    }

    pub fn get(&mut self, path: &str) -> Value {
        self.client.get(&format!("{GATEWAY}{path}")).json()
    }

    pub fn create(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", body)
    }

    /// A merge patch, which has to be taken.
    pub fn merge(&mut self, path: &str, patch: &Value) -> Value {
        let answer = self.send("PATCH", path, "application/merge-patch+json", patch);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// A strategic merge patch.
    pub fn strategic(&mut self, path: &str, patch: &Value) -> Answer {
        self.send(
            "PATCH",
            path,
            "application/strategic-merge-patch+json",
            patch,
        )
    }

    /// Server-side apply by a field manager.
    pub fn apply(&mut self, path: &str, manager: &str, object: &Value) -> Answer {
        let path = format!("{path}?fieldManager={manager}");
        self.send("PATCH", &path, "application/apply-patch+yaml", object)
    }

    pub fn list(&mut self, path: &str) -> Vec<Value> {
        self.get(path)["items"].as_array().expect("a list").clone()
    }

    pub fn pods(&mut self) -> Vec<Value> {
        self.list("/api/v1/namespaces/shop/pods")
    }

    /// Those that are ready and stay.
    pub fn ready(&mut self) -> Vec<Value> {
        let mut pods = self.pods();
        pods.retain(|pod| is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }
}

pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == "Ready" && c["status"] == "True")
}

pub fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap_or("none")
}

pub fn condition(object: &Value, name: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|c| c["type"] == name);
    let text = |field: &str| {
        found
            .and_then(|c| c[field].as_str())
            .unwrap_or("none")
            .to_owned()
    };
    (text("status"), text("reason"))
}

pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
pub const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
pub const SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
