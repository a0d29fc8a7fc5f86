//! Google's half in the sandbox, Kubernetes' half for real, by the binary itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::real::Real;
use crate::support::served::Served;
use crate::support::{Place, Ran};

fn served(real: &Real, kubeconfig: &Path) -> (Served, String) {
    let name = &real.name;
    let spec = format!(
        "apiVersion: wi/v1\nname: {name}\nproject: acme-prod\nclusters:\n  main: {{ location: europe-west1, access: {{ kubeconfig: \"{}\" }} }}\ngoogleServiceAccounts:\n  web-app: {{ grants: [roles/viewer] }}\nnamespaces:\n  {name}:\n    serviceAccounts:\n      app: {{ impersonates: web-app }}\n      bare: {{}}\n",
        kubeconfig.display()
    );
    let world = "apiVersion: wi.sandbox/v1\ntimeScale: 1000\nprojects: { acme-prod: {} }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, workloadPool: acme-prod.svc.id.goog, unreachable: true, nodePools: [{ name: default-pool, nodes: 1, workloadMetadata: GKE_METADATA }] }\n";
    // Its CA is not the one of the sandbox's cluster, and it has no nodes: it says itself which cluster it stands for.
    let which = "projects/acme-prod/locations/europe-west1/clusters/main";
    let patch = json!({"metadata": {"annotations": {"wi/cluster": which}}});
    let kube = real.kube();
    let annotated = real
        .runtime
        .block_on(kube.patch_namespace("kube-system", &patch));
    annotated.expect("kube-system is annotated");
    (Served::of(Place::new(&spec, world)), spec)
}

fn wi(served: &Served, args: &[&str]) -> Ran {
    let mut command = served.command(args);
    command
        .env("WI_ALLOW_EXEC_PLUGINS", "1")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ran::of(&mut command)
}

#[test]
fn a_plan_and_an_apply() {
    let Some(real) = Real::new("apply") else {
        return;
    };
    let (served, spec) = served(&real, real.kubeconfig());
    let ran = wi(&served, &["apply", "wi.yaml", "--auto-approve"]).ok();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    let plan = wi(&served, &["plan", "wi.yaml", "--detailed-exitcode"]).ok();
    assert!(plan.out.contains("No changes."), "{}", plan.out);
    // What left the spec is taken away again.
    served
        .place
        .write("wi.yaml", &spec.replace("      bare: {}\n", ""));
    let args = ["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"];
    let ran = wi(&served, &args).ok();
    assert!(ran.out.contains("1 destroyed"), "{}", ran.out);
}

/// A service account's token in a file, which wins over a token that is none.
#[test]
fn by_a_token_file() {
    let Some(real) = Real::new("file") else {
        return;
    };
    let token = real.runtime.block_on(async {
        real.make_namespace().await;
        real.token_of_an_account("worker").await
    });
    std::fs::write(real.directory.path().join("token"), format!("{token}\n")).expect("written");
    let user = json!({ "token": "wrong", "tokenFile": "token" });
    let (served, _) = served(&real, &real.kubeconfig_of(&user));
    let ran = wi(&served, &["plan", "wi.yaml"]);
    let text = format!("{} {}", ran.out, ran.err);
    assert!(!text.contains("401"), "{text}");
    // Nobody gave the account the right to list what all clusters have to be asked for.
    if ran.code == Some(0) {
        super::say("403 is not tested: the server allows everybody everything");
    } else {
        let who = format!("system:serviceaccount:{}:worker", real.name);
        assert!(text.replace(['\n', '│', ' '], "").contains(&who), "{text}");
    }
}

/// The kubeconfig's own token or certificate, by way of a plugin.
#[test]
fn by_a_plugin() {
    let Some(real) = Real::new("plugin") else {
        return;
    };
    let user = real.user();
    let text = |field: &str| {
        let data = STANDARD.decode(user[field].as_str().unwrap_or_default());
        String::from_utf8(data.expect("base64")).expect("PEM")
    };
    let mut status = json!({ "expirationTimestamp": "2099-01-01T00:00:00Z" });
    if user["client-certificate-data"].is_string() {
        status["clientCertificateData"] = json!(text("client-certificate-data"));
        status["clientKeyData"] = json!(text("client-key-data"));
    }
    if !real.other.token.is_empty() {
        status["token"] = json!(real.other.token);
    }
    let version = "client.authentication.k8s.io/v1";
    let answer = json!({ "apiVersion": version, "kind": "ExecCredential", "status": status });
    let directory = real.directory.path();
    std::fs::write(directory.join("answer"), answer.to_string()).expect("written");
    let script = directory.join("login");
    let program = format!("#!/bin/sh\nexec cat {}/answer\n", directory.display());
    std::fs::write(&script, program).expect("written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("permissions");
    let plugin = json!({ "exec": { "apiVersion": version, "command": "./login", "args": null,
        "env": Value::Null, "interactiveMode": "Never", "provideClusterInfo": true } });
    let (served, _) = served(&real, &real.kubeconfig_of(&plugin));
    wi(&served, &["apply", "wi.yaml", "--auto-approve"]).ok();
    let plan = wi(&served, &["plan", "wi.yaml", "--detailed-exitcode"]).ok();
    assert!(plan.out.contains("No changes."), "{}", plan.out);
}
