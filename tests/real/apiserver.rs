//! Every Kubernetes call of `wi` against a real API server, where the environment names one:
//!
//! ```sh
//! WI_TEST_KUBECONFIG=~/.kube/config cargo test --test real apiserver
//! ```
//!
//! The current context is used, which has to be allowed everything; where it logs in by a plugin,
//! `WI_ALLOW_EXEC_PLUGINS=1` has to be set, as for `wi` itself. What is made is in namespaces that
//! begin with `wi-test-`, or is named so (priority levels and flow schemas), and is deleted at the end
//! of each test, also of one that fails. Without the variable nothing is tested, and that is said. So is
//! what a server cannot be made to do.

mod apply;
mod calls;
mod lists;
mod priority;
mod real;
mod who;

const ANNOTATION: &str = "iam.gke.io/gcp-service-account";

/// Past the test runner, which keeps what tests print that pass.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "real_apiserver: {text}");
}

fn namespace(name: &str) -> serde_json::Value {
    serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
        "labels": {"app.kubernetes.io/managed-by": "wi"}}})
}

fn account(namespace: &str, name: &str, annotation: Option<&str>) -> serde_json::Value {
    let mut object = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace}});
    if let Some(value) = annotation {
        object["metadata"]["annotations"] = serde_json::json!({ ANNOTATION: value });
    }
    object
}
