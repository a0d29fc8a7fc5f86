//! The real kubectl against the simulated API; skipped, with a line that says so, where it is absent.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{ANNOTATION, Server};

const MANIFEST: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: applied
  namespace: made
  annotations: { iam.gke.io/gcp-service-account: a@p.iam.gserviceaccount.com }
";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_gets_annotates_creates_applies_and_deletes() {
    if Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .is_err()
    {
        println!("skipped: kubectl is not installed");
        return;
    }
    let server = Server::start(json!({
        "namespaces": { "shop": { "serviceAccounts": { "checkout": null } } },
        "pods": [{ "name": "web", "namespace": "shop", "node": "n1" }],
        "nodes": [{ "name": "n1", "pool": "main" }],
        "podDisruptionBudgets": [{ "name": "web", "namespace": "shop", "minAvailable": 1 }],
    }))
    .await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("ca.pem"), &server.served.ca_pem).unwrap();
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

    let listed = kubectl(&["get", "pdb", "-A"]);
    assert!(
        listed.contains("ALLOWED DISRUPTIONS") && listed.contains("web"),
        "{listed}"
    );

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
    assert_eq!(
        account["metadata"]["managedFields"][0]["manager"],
        "kubectl-annotate"
    );

    kubectl(&["create", "ns", "made"]);
    kubectl(&["-n", "made", "create", "sa", "plain"]);
    let apply = [
        "apply",
        "--server-side",
        "--validate=false",
        "-f",
        "sa.yaml",
    ];
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
    kubectl(&["-n", "made", "label", "sa", "plain", "team=shop"]);
    assert_eq!(
        kubectl(&["-n", "made", "get", "sa", "-l", "team=shop", "-o", "name"]).trim(),
        "serviceaccount/plain"
    );
    kubectl(&["-n", "made", "delete", "sa", "plain"]);
    kubectl(&["delete", "ns", "made"]);
    assert!(!kubectl(&["get", "ns", "-o", "name"]).contains("made"));
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
