//! The real server: reached as `wi` does it and as anybody else, and left as it was found.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wi_client::auth::TokenSource;
use wi_client::http::{Http, HttpOptions};
use wi_client::kubernetes::Kube;
use wi_core::spec::model::Access;
use wi_core::wire::container::Cluster;

use super::say;
use crate::support::front::{Front, Upstream};

/// A namespace of the real server for one test. Dropped, it is deleted with all that the test made.
pub struct Real {
    /// The namespace, which the test may make.
    pub name: String,
    /// Kubeconfigs of the test's own.
    pub directory: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
    /// The server as another client reaches it.
    pub other: Upstream,
    path: PathBuf,
    user: Value,
    cluster: Value,
    made: Mutex<Vec<String>>,
}

impl Real {
    /// `None`, and a word about it, where the environment names no server.
    pub fn new(test: &str) -> Option<Self> {
        let Some(path) = std::env::var_os("WI_TEST_KUBECONFIG") else {
            say(&format!(
                "WI_TEST_KUBECONFIG is not set: nothing is tested of `{test}`"
            ));
            return None;
        };
        let path = std::fs::canonicalize(path).expect("WI_TEST_KUBECONFIG names a file");
        let text = std::fs::read_to_string(&path).expect("a kubeconfig");
        let config: Value = serde_saphyr::from_str(&text).expect("YAML");
        let named = |list: &str, name: &Value, key: &str| -> Value {
            let all = config[list].as_array().expect("a list");
            let entry = all.iter().find(|e| e["name"] == *name).expect("an entry");
            entry[key].clone()
        };
        let context = named("contexts", &config["current-context"], "context");
        let mut cluster = named("clusters", &context["cluster"], "cluster");
        let mut user = named("users", &context["user"], "user");
        // Data in place of files, so that copies of it may lie elsewhere.
        let directory = path.parent().expect("a directory");
        inline(&mut cluster, "certificate-authority", directory);
        inline(&mut user, "client-certificate", directory);
        inline(&mut user, "client-key", directory);
        let name = format!("wi-test-{test}-{}", std::process::id());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Some(Self {
            made: Mutex::new(vec![format!("/api/v1/namespaces/{name}")]),
            name,
            directory: tempfile::tempdir().expect("a directory"),
            runtime,
            other: other(&cluster, &user),
            path,
            user,
            cluster,
        })
    }

    /// Connected as the kubeconfig says.
    pub fn kube(&self) -> Kube {
        connect(&self.path)
    }

    /// The kubeconfig of `WI_TEST_KUBECONFIG`.
    pub fn kubeconfig(&self) -> &Path {
        &self.path
    }

    /// The user of the kubeconfig.
    pub fn user(&self) -> Value {
        self.user.clone()
    }

    /// A kubeconfig for the same server with another user.
    pub fn kubeconfig_of(&self, user: &Value) -> PathBuf {
        self.written(&self.cluster, user)
    }

    /// Connected to a front of this server.
    pub fn behind(&self, front: &Front) -> Kube {
        self.behind_as(front, &json!({ "token": "of-the-front" }))
    }

    pub fn behind_as(&self, front: &Front, user: &Value) -> Kube {
        let ca = STANDARD.encode(&front.authority.pem);
        let cluster = json!({ "server": front.url(), "certificate-authority-data": ca });
        connect(&self.written(&cluster, user))
    }

    /// A client without credentials.
    pub fn anonymous(&self) -> reqwest::Client {
        other(&self.cluster, &Value::Null).client
    }

    fn written(&self, cluster: &Value, user: &Value) -> PathBuf {
        let mut number = 0;
        let path = loop {
            let path = self.directory.path().join(format!("kubeconfig-{number}"));
            if !path.exists() {
                break path;
            }
            number += 1;
        };
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{ "name": "it", "cluster": cluster }],
            "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "me" } }],
            "users": [{ "name": "me", "user": user }],
        });
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// What is deleted at the end beside the namespace, and before it.
    pub fn clean_up(&self, path: String) {
        self.made.lock().expect("a list").push(path);
    }

    pub async fn make_namespace(&self) {
        let (kube, object) = (self.kube(), super::namespace(&self.name));
        let made = kube.apply_namespace(&object, false).await;
        made.expect("the namespace");
    }

    /// One call as another client; the status and what is answered.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        call(&self.other, method, path, "application/json", body).await
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made.lock().expect("a list"));
        let other = self.other.clone();
        self.runtime.block_on(async move {
            for path in made.iter().rev() {
                let (status, body) =
                    call(&other, "DELETE", path, "application/json", json!({})).await;
                if !matches!(status, 200 | 202 | 404) {
                    say(&format!(
                        "{path} is left behind: {status} {}",
                        body["message"]
                    ));
                }
            }
        });
    }
}

pub fn connect(path: &Path) -> Kube {
    let http = Http::new(HttpOptions {
        token: TokenSource::none(),
        ..HttpOptions::default()
    })
    .expect("a client");
    let access = Access::Kubeconfig {
        path: path.display().to_string(),
        context: None,
    };
    Kube::connect(&http, &Cluster::default(), &access).expect("a context that can be used")
}

pub async fn call(
    server: &Upstream,
    method: &str,
    path: &str,
    content_type: &str,
    body: Value,
) -> (u16, Value) {
    let url = format!("{}{path}", server.server);
    let mut request = server
        .client
        .request(method.parse().expect("a method"), url)
        .header("content-type", content_type);
    if method != "GET" {
        request = request.body(body.to_string());
    }
    if !server.token.is_empty() {
        request = request.bearer_auth(&server.token);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Reads what a field names into its `-data`.
fn inline(entry: &mut Value, field: &str, directory: &Path) {
    let data = format!("{field}-data");
    if let (Some(file), true) = (entry[field].as_str(), entry[&data].is_null()) {
        let content = std::fs::read(directory.join(file)).expect("a file of the kubeconfig");
        entry[&data] = json!(STANDARD.encode(content));
    }
    entry.as_object_mut().expect("a map").remove(field);
}

/// A client that is not ours, with the same credentials.
fn other(cluster: &Value, user: &Value) -> Upstream {
    let decoded = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        STANDARD.decode(text).expect("base64")
    };
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder().gzip(false);
    if cluster["certificate-authority-data"].is_string() {
        let ca = decoded(&cluster["certificate-authority-data"]);
        let cas = reqwest::Certificate::from_pem_bundle(&ca).expect("a CA");
        builder = builder.tls_certs_only(cas);
    }
    if user["client-certificate-data"].is_string() {
        let both = [
            decoded(&user["client-certificate-data"]),
            decoded(&user["client-key-data"]),
        ]
        .concat();
        builder = builder.identity(reqwest::Identity::from_pem(&both).expect("a certificate"));
    }
    let token = match (&user["token"], &user["exec"]["command"]) {
        (Value::String(token), _) => token.clone(),
        (_, Value::String(command)) => token_of(command, &user["exec"]),
        _ => String::new(),
    };
    let server = cluster["server"].as_str().expect("a server");
    Upstream {
        client: builder.build().expect("a client"),
        server: server.trim_end_matches('/').to_owned(),
        token,
    }
}

/// What a plugin gives, such as gke-gcloud-auth-plugin.
fn token_of(command: &str, exec: &Value) -> String {
    let info = json!({ "apiVersion": exec["apiVersion"], "kind": "ExecCredential",
        "spec": { "interactive": false } });
    let args = exec["args"].as_array().into_iter().flatten();
    let output = std::process::Command::new(command)
        .args(args.filter_map(Value::as_str))
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .output()
        .expect("the plugin runs");
    let credential: Value = serde_json::from_slice(&output.stdout).expect("a credential");
    let token = credential["status"]["token"].as_str();
    token.expect("a token").to_owned()
}
