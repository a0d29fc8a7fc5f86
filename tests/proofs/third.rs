//! A third writer of the same policies, clusters and Kubernetes objects: as careful as any client is, and
//! in a hurry. It remembers all that it has written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use wi_sandbox::Sandbox;

use crate::generate::{Fleet, NAMESPACES, PROJECTS, SECRET_IN_FULL, email};

/// At least so many times it writes each thing, and on until the others have ended.
const LEAST: usize = 3;

pub struct Third {
    client: reqwest::Client,
    endpoint: String,
    token: String,
    /// Of each cluster by its number: its Kubernetes API, and a client that trusts it.
    clusters: Vec<(String, reqwest::Client)>,
    ended: AtomicBool,
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

/// Where a cluster is.
fn cluster(fleet: &Fleet, c: usize) -> String {
    let project = PROJECTS[fleet.clusters[c].project];
    format!("v1/projects/{project}/locations/europe-west1/clusters/c{c}")
}

impl Third {
    pub fn of(sandbox: &Sandbox) -> Self {
        // Only the first caller in the process installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config: Value = serde_json::from_str(&sandbox.kubeconfig()).expect("JSON");
        let clusters = config["clusters"].as_array().expect("clusters");
        let clusters = clusters.iter().map(|entry| {
            let text = |field: &str| entry["cluster"][field].as_str().expect("a text").to_owned();
            let ca = base64::engine::general_purpose::STANDARD
                .decode(text("certificate-authority-data"))
                .expect("base64");
            let ca = reqwest::Certificate::from_pem(&ca).expect("a certificate");
            let client = builder().tls_certs_only([ca]).build().expect("a client");
            (text("server"), client)
        });
        Self {
            client: builder().build().expect("a client"),
            endpoint: sandbox.endpoint(),
            token: sandbox.token(),
            clusters: clusters.collect(),
            ended: AtomicBool::new(false),
        }
    }

    /// The others have ended: each of its tasks finishes what it is at.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Writes everything; answers with what must be there afterwards, as [`crate::check::of_others`] has it.
    pub async fn write_all(&self, fleet: &Fleet) -> Vec<String> {
        let accounts = fleet.accounts.iter().enumerate().filter(|(_, a)| a.exists);
        let own = accounts.map(async |(i, _)| {
            let url = format!("v1/projects/acme-one/serviceAccounts/{}", email(i));
            let name = format!("acme-one/account{i}");
            self.policy(&name, &url, "roles/iam.serviceAccountTokenCreator")
                .await
        });
        let clusters = (0..fleet.clusters.len()).map(async |c| {
            let url = cluster(fleet, c);
            let labels = self.labels(&url, c);
            let pool = self.node_pool(&url, c);
            let objects = self.objects(fleet, c);
            let (labels, pool, objects) = tokio::join!(labels, pool, objects);
            [labels, pool, objects].concat()
        });
        let (project, bucket, secret, own, clusters) = tokio::join!(
            self.policy("acme-one", "v3/projects/acme-one", "roles/browser"),
            self.bucket(),
            self.policy(
                SECRET_IN_FULL,
                "v1/projects/acme-one/secrets/key",
                "roles/secretmanager.viewer"
            ),
            futures::future::join_all(own),
            futures::future::join_all(clusters),
        );
        [vec![project, bucket, secret], own, clusters]
            .concat()
            .concat()
    }

    /// Begins one operation on a cluster.
    pub async fn hold(&self, fleet: &Fleet, c: usize) {
        let written = self.label(&cluster(fleet, c), c, 0).await;
        assert_eq!(written.len(), 1);
    }

    /// Begins operations on a cluster until the others have ended; answers with how many.
    pub async fn keep_busy(&self, fleet: &Fleet, c: usize) -> usize {
        self.labels(&cluster(fleet, c), c).await.len()
    }

    /// Goes on until the others have ended.
    async fn again_and_again(
        &self,
        mut write: impl AsyncFnMut(usize) -> Vec<String>,
    ) -> Vec<String> {
        let mut written = Vec::new();
        for n in 0.. {
            if n >= LEAST && self.ended.load(Ordering::Relaxed) {
                break;
            }
            written.extend(write(n).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        written
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let url = format!("{}{path}", self.endpoint);
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    /// A member, a condition with another one, and an audit setting.
    fn add_to(policy: &mut Value, name: &str, role: &str, n: usize) -> Vec<String> {
        policy["version"] = json!(3);
        let (plain, bound) = (
            format!("user:third{n}@example.com"),
            format!("user:bound{n}@example.com"),
        );
        let condition = json!({"title": "third", "expression": "request.time.getHours() < 12"});
        let new = [
            json!({"role": role, "members": [plain]}),
            json!({"role": role, "members": [bound], "condition": condition}),
        ];
        match policy["bindings"].as_array_mut() {
            Some(bindings) => bindings.extend(new),
            None => policy["bindings"] = json!(new),
        }
        let condition = "Some(Condition { expression: \"request.time.getHours() < 12\", title: \"third\", description: \"\", location: \"\" })";
        let mut lines = vec![
            format!("{name}: {role} to {plain} if None"),
            format!("{name}: {role} to {bound} if {condition}"),
        ];
        // Buckets have none.
        if policy["auditConfigs"].is_array() {
            let audit = json!({"auditLogConfigs": [{"logType": "DATA_WRITE"}], "service": format!("s{n}.googleapis.com")});
            lines.push(format!("{name}: {audit}"));
            policy["auditConfigs"]
                .as_array_mut()
                .expect("a list")
                .push(audit);
        }
        lines
    }

    async fn policy(&self, name: &str, url: &str, role: &str) -> Vec<String> {
        self.again_and_again(async |n| {
            loop {
                let options = json!({"options": {"requestedPolicyVersion": 3}});
                let by_get = url.contains("/secrets/");
                let (_, mut policy) = match by_get {
                    true => {
                        self.call(
                            "GET",
                            &format!("{url}:getIamPolicy?options.requestedPolicyVersion=3"),
                            &Value::Null,
                        )
                        .await
                    }
                    false => {
                        self.call(
                            "POST",
                            &format!("{url}:getIamPolicy?options.requestedPolicyVersion=3"),
                            &options,
                        )
                        .await
                    }
                };
                let lines = Self::add_to(&mut policy, name, role, n);
                match self
                    .call(
                        "POST",
                        &format!("{url}:setIamPolicy"),
                        &json!({"policy": policy, "updateMask": "bindings,etag,auditConfigs"}),
                    )
                    .await
                {
                    (200, _) => return lines,
                    (409, _) => {}
                    other => panic!("{url}: the third writer got {other:?}"),
                }
            }
        })
        .await
    }

    async fn bucket(&self) -> Vec<String> {
        let url = "storage/v1/b/receipts/iam?optionsRequestedPolicyVersion=3";
        self.again_and_again(async |n| {
            loop {
                let (_, mut policy) = self.call("GET", url, &Value::Null).await;
                let lines = Self::add_to(&mut policy, "receipts", "roles/storage.admin", n);
                match self.call("PUT", "storage/v1/b/receipts/iam", &policy).await {
                    (200, _) => return lines,
                    (409 | 412, _) => {}
                    other => panic!("the third writer got {other:?}"),
                }
            }
        })
        .await
    }

    async fn labels(&self, url: &str, c: usize) -> Vec<String> {
        self.again_and_again(async |n| self.label(url, c, n).await)
            .await
    }

    /// A label of the cluster: an operation, which holds the cluster while it runs.
    async fn label(&self, url: &str, c: usize, n: usize) -> Vec<String> {
        loop {
            let (_, cluster) = self.call("GET", url, &Value::Null).await;
            let mut labels = cluster["resourceLabels"].clone();
            labels[format!("third-{n}")] = json!("x");
            let body =
                json!({"resourceLabels": labels, "labelFingerprint": cluster["labelFingerprint"]});
            match self
                .call("POST", &format!("{url}:setResourceLabels"), &body)
                .await
            {
                (200, _) => return vec![format!("c{c}: label third-{n}=x")],
                // Busy, or changed meanwhile.
                (400 | 409 | 412, _) => tokio::time::sleep(Duration::from_millis(7)).await,
                other => panic!("{url}: the third writer got {other:?}"),
            }
        }
    }

    /// How the nodes of the first pool are recreated: another value each time, the last one stays.
    async fn node_pool(&self, url: &str, c: usize) -> Vec<String> {
        let mut last = 0;
        self.again_and_again(async |n| {
            let surge = 3 + n % 5;
            let settings = json!({"strategy": "SURGE", "maxSurge": surge, "maxUnavailable": 1});
            loop {
                let url = format!("{url}/nodePools/p0");
                let (_, pool) = self.call("GET", &url, &Value::Null).await;
                let body = json!({"upgradeSettings": settings, "etag": pool["etag"]});
                match self.call("PUT", &url, &body).await {
                    (200, _) => break,
                    (400 | 409 | 412, _) => tokio::time::sleep(Duration::from_millis(7)).await,
                    other => panic!("{url}: the third writer got {other:?}"),
                }
            }
            last = surge;
            Vec::new()
        })
        .await;
        vec![format!("c{c}: p0 maxSurge {last}")]
    }

    /// Labels and annotations of the service accounts that wi writes too, and an account of its own, as
    /// another field manager.
    async fn objects(&self, fleet: &Fleet, c: usize) -> Vec<String> {
        let (server, client) = &self.clusters[c];
        self.again_and_again(async |n| {
            let mut lines = Vec::new();
            for (k, ksa) in fleet.ksas.iter().enumerate().filter(|(_, k)| k.exists) {
                let namespace = NAMESPACES[ksa.namespace];
                for name in [format!("ksa{k}"), format!("of-third-{n}")] {
                    let key = format!("third/{k}");
                    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
                        "name": name, "namespace": namespace,
                        "annotations": {key.as_str(): n.to_string()}, "labels": {"third": "x"},
                    }});
                    let url = format!(
                        "{server}/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager=third{k}&force=true"
                    );
                    let answer = client
                        .patch(url)
                        .bearer_auth(&self.token)
                        .header("content-type", "application/apply-patch+yaml")
                        .body(object.to_string())
                        .send()
                        .await
                        .expect("an answer");
                    assert!(answer.status().is_success(), "{name}: {}", answer.status());
                    lines.push(format!("c{c}/{namespace}/{name}: third=x"));
                    lines.push(format!("c{c}/{namespace}/{name}"));
                }
            }
            lines
        })
        .await
    }
}
