//! The same binary against a server that it knows nothing of, and gcloud and kubectl beside it:
//! what they show is what `wi` did, and what they change `wi` sees.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::{Place, Ran};

/// `wi sandbox`, serving until it is dropped.
struct Served {
    place: Place,
    child: Child,
    endpoint: String,
    token_file: String,
}

impl Served {
    fn example(name: &str) -> Self {
        let place = Place::example(name);
        let mut child = place
            .command(&[
                "sandbox",
                "world.yaml",
                "--port",
                "0",
                "--kubeconfig",
                "kubeconfig",
            ])
            .env("TMPDIR", place.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("wi sandbox starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (mut endpoint, mut token_file) = (None, None);
        for line in stdout.lines() {
            let line = line.expect("a line");
            if let Some(url) = line.strip_prefix("export WI_ENDPOINT=") {
                endpoint = Some(url.to_owned());
            }
            if let Some(file) = line.strip_prefix("export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=") {
                token_file = Some(file.to_owned());
                break;
            }
        }
        Self {
            place,
            child,
            endpoint: endpoint.expect("an endpoint is printed"),
            token_file: token_file.expect("a token file is printed"),
        }
    }

    /// `wi`, with endpoint overrides and a token file, and no sandbox flag.
    fn wi(&self, args: &[&str]) -> Ran {
        let mut command = self.place.command(args);
        command
            .env("WI_ENDPOINT", &self.endpoint)
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &self.token_file);
        Ran::of(command.output().expect("wi runs"))
    }

    /// A client that the machine may have; its answer in JSON.
    fn client(&self, program: &str, args: &[&str]) -> serde_json::Value {
        let output = Command::new(program)
            .args(args)
            .env("KUBECONFIG", self.place.path("kubeconfig"))
            .env("CLOUDSDK_CONFIG", self.place.path("gcloud"))
            .env("CLOUDSDK_CORE_PROJECT", "acme-prod")
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &self.token_file)
            .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
            .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")
            .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true")
            .env("CLOUDSDK_SURVEY_DISABLE_PROMPTS", "true")
            .env("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false")
            .env("NO_GCE_CHECK", "true")
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", &self.endpoint)
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM", &self.endpoint)
            .env(
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
                &self.endpoint,
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
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there(program: &str) -> bool {
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
    let served = Served::example("quickstart");
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
    let served = Served::example("quickstart");
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
    let served = Served::example("quickstart");
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let json = "--format=json";
    let at = "--location=europe-west1";
    let cluster = served.client(
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
    let pool = served.client("gcloud", &pool);
    assert_eq!(
        pool["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
    let email = "checkout@acme-prod.iam.gserviceaccount.com";
    let policy = served.client(
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
    let policy = served.client("gcloud", &["projects", "get-iam-policy", "acme-prod", json]);
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
    served.client("gcloud", &add);
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
    let served = Served::example("quickstart");
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let get = ["get", "sa", "checkout", "-n", "shop", "-o", "json"];
    let account = served.client("kubectl", &get);
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
    served.client(
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
        annotation(&served.client("kubectl", &get)),
        "checkout@acme-prod.iam.gserviceaccount.com"
    );
}
