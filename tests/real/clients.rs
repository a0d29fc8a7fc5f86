//! The same binary against a server that it knows nothing of, and gcloud and kubectl beside it:
//! what they show is what `wi` did, and what they change `wi` sees.

use std::process::{Command, Stdio};

use crate::support::Place;
use crate::support::served::Served;

/// A client that the machine may have; its answer in JSON.
fn client(served: &Served, program: &str, args: &[&str]) -> serde_json::Value {
    let output = Command::new(program)
        .args(args)
        .env("KUBECONFIG", served.place.path("kubeconfig"))
        .env("CLOUDSDK_CONFIG", served.place.path("gcloud"))
        .env("CLOUDSDK_CORE_PROJECT", "acme-prod")
        .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &served.token_file)
        .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
        .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")
        .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true")
        .env("CLOUDSDK_SURVEY_DISABLE_PROMPTS", "true")
        .env("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false")
        .env("NO_GCE_CHECK", "true")
        .env(
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER",
            &served.endpoint,
        )
        .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM", &served.endpoint)
        .env(
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
            &served.endpoint,
        )
        .output()
        .expect(program);
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

pub fn is_there(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !there {
        println!("skipped: {program} is not on this machine");
    }
    there
}

#[test]
fn the_binary_works_on_any_server_that_speaks_the_apis() {
    let served = Served::of(Place::example("quickstart"));
    let plan = served.wi(&["plan", "wi.yaml", "--detailed-exitcode", "-vv"]);
    assert_eq!(plan.code, Some(2), "{plan:?}");
    let token = std::fs::read_to_string(&served.token_file).expect("token");
    assert!(
        plan.err
            .contains("/v1/projects/acme-prod/locations/-/clusters"),
        "{}",
        plan.err
    );
    assert!(
        !plan.err.contains(token.trim()),
        "the log has the token in it"
    );
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let again = served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);
}

#[test]
fn a_refused_token_is_an_error_with_a_way_out_and_no_changes() {
    let served = Served::of(Place::example("quickstart"));
    std::fs::write(&served.token_file, "not-the-token").expect("written");
    let plan = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(
        plan.out.contains("gcloud auth application-default login"),
        "{}",
        plan.out
    );
    assert!(!plan.out.contains("not-the-token") && !plan.err.contains("not-the-token"));
}

#[test]
fn gcloud_sees_what_wi_did_and_wi_sees_what_gcloud_does() {
    if !is_there("gcloud") {
        return;
    }
    let served = Served::of(Place::example("quickstart"));
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let json = "--format=json";
    let at = "--location=europe-west1";
    let cluster = client(
        &served,
        "gcloud",
        &["container", "clusters", "describe", "main", at, json],
    );
    assert_eq!(
        cluster["workloadIdentityConfig"]["workloadPool"],
        "acme-prod.svc.id.goog"
    );
    let pool = [
        "container",
        "node-pools",
        "describe",
        "default-pool",
        "--cluster=main",
        at,
        json,
    ];
    let pool = client(&served, "gcloud", &pool);
    assert_eq!(
        pool["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
    let email = "checkout@acme-prod.iam.gserviceaccount.com";
    let policy = client(
        &served,
        "gcloud",
        &["iam", "service-accounts", "get-iam-policy", email, json],
    );
    assert_eq!(
        policy["bindings"][0]["role"],
        "roles/iam.workloadIdentityUser"
    );
    assert_eq!(
        policy["bindings"][0]["members"][0],
        "serviceAccount:acme-prod.svc.id.goog[shop/checkout]"
    );
    let policy = client(
        &served,
        "gcloud",
        &["projects", "get-iam-policy", "acme-prod", json],
    );
    assert_eq!(policy["bindings"][0]["role"], "roles/cloudsql.client");

    let member = format!("--member=serviceAccount:{email}");
    let add = [
        "projects",
        "add-iam-policy-binding",
        "acme-prod",
        &member,
        "--role=roles/editor",
        "--condition=None",
    ];
    client(&served, "gcloud", &add);
    let plan = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(
        plan.out
            .contains("- grant.checkout:roles/editor@project/acme-prod"),
        "{}",
        plan.out
    );
}

#[test]
fn kubectl_sees_what_wi_did_and_wi_sees_and_mends_what_kubectl_does() {
    if !is_there("kubectl") {
        return;
    }
    let served = Served::of(Place::example("quickstart"));
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let get = ["get", "sa", "checkout", "-n", "shop", "-o", "json"];
    let account = client(&served, "kubectl", &get);
    let annotation = |account: &serde_json::Value| {
        account["metadata"]["annotations"]["iam.gke.io/gcp-service-account"].clone()
    };
    assert_eq!(
        annotation(&account),
        "checkout@acme-prod.iam.gserviceaccount.com"
    );
    assert_eq!(
        account["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "wi"
    );

    let other = "iam.gke.io/gcp-service-account=other@acme-prod.iam.gserviceaccount.com";
    client(
        &served,
        "kubectl",
        &[
            "annotate",
            "sa",
            "checkout",
            "-n",
            "shop",
            "--overwrite",
            other,
        ],
    );
    let plan = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(
        plan.out.contains("changed outside wi, by kubectl-annotate"),
        "{}",
        plan.out
    );
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    assert_eq!(
        annotation(&client(&served, "kubectl", &get)),
        "checkout@acme-prod.iam.gserviceaccount.com"
    );
}

/// What Google's how-to for Workload Identity does, by google-api-python-client and google-cloud-container over REST.
/// `WI_TEST_PYTHON` names an interpreter that has them.
#[test]
fn googles_client_libraries_cannot_tell_the_sandbox_apart() {
    let python = std::env::var("WI_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python)
        .args(["-c", "import googleapiclient"])
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        println!(
            "skipped: {python} has no google-api-python-client (WI_TEST_PYTHON names another)"
        );
        return;
    }
    let served = Served::of(Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\n",
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\npropagationSeconds: { serviceAccount: 0 }\nprojects: { acme-prod: { disabledServices: [run.googleapis.com] } }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, workloadPool: acme-prod.svc.id.goog }\n",
    ));
    let token = std::fs::read_to_string(&served.token_file).expect("token");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/google_clients.py");
    let output = Command::new(&python)
        .args([script, &served.endpoint, &token])
        .output()
        .expect("python");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let mut seen: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    if let Some(why) = seen["no gapic"].as_str() {
        println!("skipped: google-cloud-container over REST: {why}");
    } else {
        assert_eq!(seen["gapic"], serde_json::json!(["main", "new"]));
    }
    assert!(seen["roles"].take().as_u64() > Some(100));
    for (what, wanted) in [
        ("create", serde_json::json!("CREATE_CLUSTER")),
        ("pool", serde_json::json!("acme-prod.svc.id.goog")),
        ("legacyAbac", serde_json::json!({})),
        (
            "email",
            serde_json::json!("by-python@acme-prod.iam.gserviceaccount.com"),
        ),
        ("update", serde_json::json!("y")),
        ("search", serde_json::json!(["acme-prod"])),
        ("binding", serde_json::json!(["user:ann@example.com"])),
        ("enabled", serde_json::json!(true)),
    ] {
        assert_eq!(seen[what], wanted, "{what}");
    }
}
