//! Every Kubernetes call of `wi` against a real API server, where the environment names one:
//!
//! ```sh
//! WI_TEST_KUBECONFIG=~/.kube/config cargo test --test real_apiserver
//! ```
//!
//! The current context is used, which has to be allowed everything; what is made is in namespaces that
//! begin with `wi-test-`, and is deleted at the end. Without the variable nothing is tested.

mod support;

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use serde_json::{Value, json};
use support::served::Served;
use support::{Place, Ran};
use wi::auth::TokenSource;
use wi::gcp::container::Cluster;
use wi::http::{Http, HttpOptions};
use wi::kube::Kube;
use wi::spec::model::Access;

const ANNOTATION: &str = "iam.gke.io/gcp-service-account";

fn kubeconfig() -> Option<PathBuf> {
    let path = std::env::var_os("WI_TEST_KUBECONFIG")?;
    let path = std::fs::canonicalize(path).expect("WI_TEST_KUBECONFIG names a file");
    Some(path)
}

fn connect(path: &std::path::Path) -> Kube {
    let http = Http::new(HttpOptions {
        token: TokenSource::none(),
        ..HttpOptions::default()
    })
    .expect("a client");
    let access = Access::Kubeconfig {
        path: path.to_owned(),
        context: None,
    };
    Kube::connect(&http, &Cluster::default(), &access).expect("a context that can be used")
}

/// What `wi` never does itself: deleting a namespace, and writing as somebody else.
struct Other {
    client: reqwest::Client,
    server: String,
    token: String,
}

impl Other {
    fn of(path: &std::path::Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a kubeconfig");
        let config: Value = serde_saphyr::from_str(&text).expect("YAML");
        let named = |list: &str, name: &Value| -> Value {
            let all = config[list].as_array().expect("a list");
            all.iter()
                .find(|e| e["name"] == *name)
                .cloned()
                .expect("an entry")
        };
        let context = named("contexts", &config["current-context"])["context"].clone();
        let cluster = named("clusters", &context["cluster"])["cluster"].clone();
        let user = named("users", &context["user"])["user"].clone();
        let decoded = |value: &Value| {
            STANDARD
                .decode(value.as_str().unwrap_or_default())
                .expect("base64")
        };
        let ca = decoded(&cluster["certificate-authority-data"]);
        let mut builder = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).expect("a CA")]);
        if user["client-certificate-data"].is_string() {
            let both = [
                decoded(&user["client-certificate-data"]),
                decoded(&user["client-key-data"]),
            ]
            .concat();
            builder = builder.identity(reqwest::Identity::from_pem(&both).expect("a certificate"));
        }
        Self {
            client: builder.build().expect("a client"),
            server: cluster["server"].as_str().expect("a server").to_owned(),
            token: user["token"].as_str().unwrap_or_default().to_owned(),
        }
    }

    async fn call(&self, method: &str, path: &str, content_type: &str, body: Value) -> u16 {
        let request = self
            .client
            .request(
                method.parse().expect("a method"),
                format!("{}{path}", self.server),
            )
            .bearer_auth(&self.token)
            .header("content-type", content_type)
            .body(body.to_string());
        let answer = request.send().await.expect("an answer");
        answer.status().as_u16()
    }

    async fn delete_namespace(&self, name: &str) {
        let path = format!("/api/v1/namespaces/{name}");
        self.call("DELETE", &path, "application/json", json!({}))
            .await;
    }
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
        "labels": {"app.kubernetes.io/managed-by": "wi"}}})
}

fn account(namespace: &str, name: &str, annotation: Option<&str>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace}});
    if let Some(value) = annotation {
        object["metadata"]["annotations"] = json!({ ANNOTATION: value });
    }
    object
}

async fn every_call(kube: &Kube, other: &Other, name: &str) {
    for (verb, resource) in [("list", "pods"), ("patch", "serviceaccounts")] {
        assert!(
            kube.may(verb, "", resource).await.expect("asked"),
            "{verb} {resource}"
        );
    }
    assert!(
        kube.get_namespace(name)
            .await
            .is_err_and(|e| e.is_not_found())
    );
    let made = kube
        .apply_namespace(&namespace(name), false)
        .await
        .expect("made");
    let again = kube
        .apply_namespace(&namespace(name), false)
        .await
        .expect("as it was");
    assert_eq!(
        (&made.uid, &made.resource_version),
        (&again.uid, &again.resource_version)
    );
    assert_eq!(kube.get_namespace(name).await.expect("there").uid, made.uid);
    let namespaces = kube.list_namespaces().await.expect("listed");
    assert!(
        namespaces
            .iter()
            .any(|n| n.name == name && n.labels.len() >= 2)
    );

    // Created by server-side apply, fields owned by us alone.
    let ksa = kube
        .apply_service_account(
            &account(name, "app", Some("a@p.iam.gserviceaccount.com")),
            false,
        )
        .await
        .expect("made");
    assert!(
        ksa.managed_fields
            .iter()
            .any(|m| m.manager == "wi" && m.owns_annotation(ANNOTATION))
    );
    // Somebody else's annotation is a conflict that names them, until it is forced.
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts/app");
    let patch = json!({"metadata": {"annotations": {ANNOTATION: "b@p.iam.gserviceaccount.com"}}});
    let status = other
        .call(
            "PATCH",
            &format!("{path}?fieldManager=kubectl-annotate"),
            "application/merge-patch+json",
            patch,
        )
        .await;
    assert_eq!(status, 200);
    let wanted = account(name, "app", Some("c@p.iam.gserviceaccount.com"));
    let conflict = kube
        .apply_service_account(&wanted, false)
        .await
        .expect_err("a conflict");
    assert!(conflict.is_conflict(), "{conflict}");
    assert!(
        conflict
            .causes
            .iter()
            .any(|c| c.message.contains("kubectl-annotate")),
        "{conflict:?}"
    );
    let forced = kube
        .apply_service_account(&wanted, true)
        .await
        .expect("forced");
    assert_eq!(
        forced.annotations[ANNOTATION],
        "c@p.iam.gserviceaccount.com"
    );
    // Taken out by a merge patch, whoever owns it.
    let patch = json!({"metadata": {"annotations": {ANNOTATION: null}}});
    let bare = kube
        .patch_service_account(name, "app", &patch)
        .await
        .expect("patched");
    assert!(!bare.annotations.contains_key(ANNOTATION));
    // Deleted only in the version that was seen.
    assert!(
        kube.delete_service_account(&forced)
            .await
            .is_err_and(|e| e.is_conflict())
    );
    kube.delete_service_account(&bare).await.expect("deleted");
    let gone = kube.get_service_account(name, "app").await;
    assert!(gone.is_err_and(|e| e.is_not_found()));
    // A field that is not known is an error of the server's, as in the sandbox.
    let mut odd = account(name, "odd", None);
    odd["odd"] = json!({});
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts/odd?fieldManager=wi");
    let status = other
        .call("PATCH", &path, "application/apply-patch+yaml", odd)
        .await;
    assert_eq!(status, 500);
    // In a namespace that is not there.
    let lost = kube
        .apply_service_account(&account("wi-test-not-there", "x", None), false)
        .await;
    assert!(lost.is_err_and(|e| e.is_not_found()));

    kube.list_nodes().await.expect("nodes");
    kube.list_pods().await.expect("pods");
    kube.list_pods_of(name)
        .await
        .expect("pods of one namespace");
    kube.list_budgets().await.expect("budgets");

    // More than a page.
    let many: Vec<Value> = (0..620)
        .map(|n| account(name, &format!("many-{n:03}"), None))
        .collect();
    for part in many.chunks(40) {
        try_join_all(
            part.iter()
                .map(|object| kube.apply_service_account(object, false)),
        )
        .await
        .expect("made");
    }
    let all = kube.list_service_accounts().await.expect("listed");
    let ours = all
        .iter()
        .filter(|a| a.namespace == name && a.name.starts_with("many-"));
    assert_eq!(ours.count(), 620, "of {}", all.len());
}

#[test]
fn every_kubernetes_call() {
    let Some(path) = kubeconfig() else {
        println!("WI_TEST_KUBECONFIG is not set: nothing is tested");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let name = format!("wi-test-calls-{}", std::process::id());
    let (kube, other) = (connect(&path), Other::of(&path));
    let result = runtime.block_on(async {
        let (kube, other_of_task) = (kube.clone(), Other::of(&path));
        let name = name.clone();
        tokio::spawn(async move { every_call(&kube, &other_of_task, &name).await }).await
    });
    runtime.block_on(other.delete_namespace(&name));
    if let Err(e) = result {
        std::panic::resume_unwind(e.into_panic());
    }
}

/// Google's half in the sandbox, Kubernetes' half for real.
#[test]
fn a_plan_and_an_apply() {
    let Some(path) = kubeconfig() else {
        println!("WI_TEST_KUBECONFIG is not set: nothing is tested");
        return;
    };
    let name = format!("wi-test-apply-{}", std::process::id());
    let spec = format!(
        "apiVersion: wi/v1\nname: {name}\nproject: acme-prod\nclusters:\n  main: {{ location: europe-west1, access: {{ kubeconfig: \"{}\" }} }}\ngoogleServiceAccounts:\n  web-app: {{ grants: [roles/viewer] }}\nnamespaces:\n  {name}:\n    serviceAccounts:\n      app: {{ impersonates: web-app }}\n      bare: {{}}\n",
        path.display()
    );
    let world = "apiVersion: wi.sandbox/v1\ntimeScale: 1000\nprojects: { acme-prod: {} }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, workloadPool: acme-prod.svc.id.goog, unreachable: true, nodePools: [{ name: default-pool, nodes: 1, workloadMetadata: GKE_METADATA }] }\n";
    let served = Served::of(Place::new(&spec, world));
    let result = std::panic::catch_unwind(|| {
        let ran = served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
        assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
        let plan: Ran = served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).ok();
        assert!(plan.out.contains("No changes."), "{}", plan.out);
        // What left the spec is taken away again.
        let spec = spec.replace("      bare: {}\n", "");
        served.place.write("wi.yaml", &spec);
        let ran = served
            .wi(&["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"])
            .ok();
        assert!(ran.out.contains("1 destroyed"), "{}", ran.out);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Other::of(&path).delete_namespace(&name));
    if let Err(e) = result {
        std::panic::resume_unwind(e);
    }
}
