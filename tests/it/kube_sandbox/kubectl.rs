//! The real kubectl against the simulated API; skipped, with a line that says so, where it is absent.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ANNOTATION, Server};

const MANIFEST: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: applied
  namespace: made
  annotations: { iam.gke.io/gcp-service-account: a@p.iam.gserviceaccount.com }
";

const BUDGET: &str = "\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: applied
  namespace: shop
spec:
  maxUnavailable: 50%
  selector: { matchLabels: { app: web } }
";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_gets_annotates_creates_applies_and_deletes() {
    if is_absent() {
        return;
    }
    let server = Server::start(json!({
        "namespaces": { "shop": { "serviceAccounts": { "checkout": null } } },
        "pods": [{ "name": "web", "namespace": "shop", "node": "n1" }],
        "nodes": [{ "name": "n1", "pool": "main" }],
        "denied": ["delete nodes"],
    }))
    .await;
    let home = home(&server);
    std::fs::write(home.path().join("sa.yaml"), MANIFEST).unwrap();
    let address = format!("https://{}", server.served.addr);
    let kubectl = |args: &[&str]| run(home.path(), &address, args);

    assert!(kubectl(&["get", "ns"]).contains("shop"));
    assert!(kubectl(&["get", "pods", "-A"]).contains("Running"));
    assert!(kubectl(&["get", "nodes"]).contains("n1"));
    assert_eq!(
        kubectl(&["auth", "can-i", "create", "serviceaccounts"]).trim(),
        "yes"
    );
    let denied = output(home.path(), &address, &["auth", "can-i", "delete", "nodes"]);
    assert_eq!(String::from_utf8_lossy(&denied.stdout).trim(), "no");

    let email = format!("{ANNOTATION}=g@p.iam.gserviceaccount.com");
    kubectl(&["-n", "shop", "annotate", "sa", "checkout", &email]);
    let yaml = kubectl(&["-n", "shop", "get", "sa", "checkout", "-o", "yaml"]);
    assert!(yaml.contains(&email.replace('=', ": ")), "{yaml}");
    let json = kubectl(&[
        "-n",
        "shop",
        "get",
        "sa/checkout",
        "-o",
        "json",
        "--show-managed-fields",
    ]);
    let account: Value = serde_json::from_str(&json).unwrap();
    // An object that was made without labels and annotations has no managers before it is applied.
    assert_eq!(account["metadata"]["managedFields"], Value::Null);

    kubectl(&["create", "ns", "made"]);
    kubectl(&["-n", "made", "create", "sa", "plain"]);
    let apply = ["apply", "--server-side", "-f", "sa.yaml"];
    assert!(kubectl(&apply).contains("serverside-applied"));
    kubectl(&[
        "-n",
        "made",
        "annotate",
        "--overwrite",
        "sa",
        "applied",
        &email,
    ]);
    let conflict = output(home.path(), &address, &apply);
    assert!(!conflict.status.success());
    let told = String::from_utf8_lossy(&conflict.stderr).into_owned();
    assert!(
        told.contains("conflict with \"kubectl-annotate\" using v1"),
        "{told}"
    );
    // The server looks at fields itself, which kubectl learns from its OpenAPI document.
    let misspelt = MANIFEST.replace("annotations:", "anotations:");
    std::fs::write(home.path().join("misspelt.yaml"), misspelt).unwrap();
    let refused = output(home.path(), &address, &["apply", "-f", "misspelt.yaml"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("strict decoding error: unknown field \"metadata.anotations\""),
        "{told}"
    );
    assert!(kubectl(&["apply", "-f", "sa.yaml"]).contains("configured"));
    assert!(kubectl(&["explain", "sa"]).contains("ServiceAccount"));
    kubectl(&["-n", "made", "label", "sa", "plain", "team=shop"]);
    assert_eq!(
        kubectl(&["-n", "made", "get", "sa", "-l", "team=shop", "-o", "name"]).trim(),
        "serviceaccount/plain"
    );
    kubectl(&["-n", "made", "delete", "sa", "plain"]);
    kubectl(&["delete", "ns", "made"]);
    assert!(!kubectl(&["get", "ns", "-o", "name"]).contains("made"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_gets_describes_creates_and_applies_disruption_budgets() {
    if is_absent() {
        return;
    }
    let pod = |name: &str| json!({ "name": name, "namespace": "shop", "labels": { "app": "web" }, "node": "n1" });
    let server = Server::start(json!({
        "namespaces": { "shop": null },
        "pods": [pod("a"), pod("b"), pod("c")],
        "podDisruptionBudgets": [{
            "name": "web", "namespace": "shop", "minAvailable": "50%",
            "selector": { "matchLabels": { "app": "web" } },
        }],
    }))
    .await;
    let home = home(&server);
    std::fs::write(home.path().join("pdb.yaml"), BUDGET).unwrap();
    let address = format!("https://{}", server.served.addr);
    let kubectl = |args: &[&str]| run(home.path(), &address, &[&["-n", "shop"], args].concat());

    let table = kubectl(&["get", "pdb", "-A"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[1][..5], ["shop", "web", "50%", "N/A", "1"], "{table}");
    let described = kubectl(&["describe", "pdb", "web"]);
    assert!(described.contains("Allowed disruptions:  1"), "{described}");
    let resources = kubectl(&["api-resources", "--api-group=policy", "-o", "name"]);
    assert_eq!(resources.trim(), "poddisruptionbudgets.policy");

    // It writes protobuf.
    let selector = "--selector=app=web,tier notin (a,b),!old";
    let create = ["create", "pdb", "made", "--max-unavailable=10%", selector];
    assert!(kubectl(&create).contains("poddisruptionbudget.policy/made created"));
    kubectl(&[
        "create",
        "pdb",
        "least",
        "--min-available=2",
        "--selector=app",
    ]);
    let json = kubectl(&["get", "pdb", "made", "-o", "json"]);
    let made: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        made["spec"],
        json!({
            "maxUnavailable": "10%",
            "selector": {
                "matchLabels": { "app": "web" },
                "matchExpressions": [
                    { "key": "old", "operator": "DoesNotExist" },
                    { "key": "tier", "operator": "NotIn", "values": ["a", "b"] },
                ],
            },
        })
    );
    assert_eq!(made["status"]["disruptionsAllowed"], 1);
    let least = kubectl(&["get", "pdb", "least", "-o", "jsonpath={.spec.minAvailable}"]);
    assert_eq!(least, "2");

    let apply = ["apply", "--server-side", "-f", "pdb.yaml"];
    assert!(kubectl(&apply).contains("serverside-applied"));
    kubectl(&["delete", "pdb", "applied"]);
    assert!(!kubectl(&["get", "pdb", "-o", "name"]).contains("applied"));
}

/// Whether there is no kubectl to test with.
fn is_absent() -> bool {
    let version = Command::new("kubectl")
        .args(["version", "--client"])
        .output();
    if version.is_err() {
        println!("skipped: kubectl is not installed");
    }
    version.is_err()
}

fn home(server: &Server) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("ca.pem"), &server.served.ca_pem).unwrap();
    home
}

fn run(home: &Path, address: &str, args: &[&str]) -> String {
    let output = output(home, address, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn output(home: &Path, address: &str, args: &[&str]) -> Output {
    Command::new("kubectl")
        .current_dir(home)
        .env("HOME", home)
        .env("KUBECONFIG", home.join("none"))
        .args([
            "--server",
            address,
            "--token",
            "secret",
            "--request-timeout",
            "20s",
        ])
        .args(["--certificate-authority", "ca.pem"])
        .args(args)
        .output()
        .unwrap()
}
