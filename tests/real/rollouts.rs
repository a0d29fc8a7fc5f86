//! kubectl on what the sandbox's controllers make: it scales, edits, waits for rollouts and undoes them.

use std::process::Command;

use crate::clients::is_there;
use crate::support::Place;
use crate::support::served::Served;

const WORLD: &str = "apiVersion: wi.sandbox/v1
timeScale: 200
projects: { acme-prod: {} }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    controllers: {}
    namespaces: { shop: {} }
    objects:
      - apiVersion: apps/v1
        kind: Deployment
        metadata: { name: web, namespace: shop }
        spec:
          replicas: 2
          selector: { matchLabels: { app: web } }
          template:
            metadata: { labels: { app: web } }
            spec: { containers: [{ name: app, image: 'web:1', env: [{ name: A, value: a }, { name: KEY, value: /keys/key.json }] }] }
";

/// What kubectl says, in a namespace.
fn kubectl(served: &Served, args: &[&str]) -> String {
    let output = Command::new("kubectl")
        .args(["-n", "shop"])
        .args(args)
        .env("KUBECONFIG", served.place.path("kubeconfig"))
        .output()
        .expect("kubectl runs");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn kubectl_scales_edits_waits_and_undoes() {
    if !is_there("kubectl") {
        return;
    }
    let served = Served::of(Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\n",
        WORLD,
    ));
    let wait = ["rollout", "status", "deployment/web", "--timeout=120s"];
    let image = [
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].spec.containers[0].image}",
    ];
    let ready = [
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.status.readyReplicas}",
    ];
    assert!(kubectl(&served, &wait).contains("successfully rolled out"));
    kubectl(&served, &["scale", "deployment/web", "--replicas=3"]);
    kubectl(&served, &wait);
    assert_eq!(kubectl(&served, &ready), "3");
    kubectl(&served, &["set", "env", "deployment/web", "KEY-", "B=b"]);
    kubectl(&served, &wait);
    let env = [
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].env[*].name}",
    ];
    assert_eq!(kubectl(&served, &env), "A B");
    kubectl(&served, &["set", "image", "deployment/web", "app=web:2"]);
    kubectl(&served, &wait);
    kubectl(
        &served,
        &[
            "wait",
            "--for=delete",
            "pod",
            "-l",
            "app=gone",
            "--timeout=1s",
        ],
    );
    let history = kubectl(&served, &["rollout", "history", "deployment/web"]);
    assert!(history.contains('3'), "{history}");
    kubectl(&served, &["rollout", "undo", "deployment/web"]);
    kubectl(&served, &wait);
    let new = kubectl(&served, &image);
    assert!(new.contains("web:1"), "{new}");
    kubectl(&served, &["rollout", "restart", "deployment/web"]);
    kubectl(&served, &wait);
    kubectl(
        &served,
        &[
            "delete",
            "deployment",
            "web",
            "--cascade=foreground",
            "--timeout=60s",
        ],
    );
    assert_eq!(kubectl(&served, &["get", "replicasets", "-o", "name"]), "");
}
