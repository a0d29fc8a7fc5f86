//! gcloud against the sandbox: what Google's own client makes of the answers.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wi_sandbox::world::World;
use wi_sandbox::{Options, Sandbox};

const BROWNFIELD: &str = include_str!("../../examples/brownfield/world.yaml");

struct Gcloud {
    endpoint: String,
    folder: tempfile::TempDir,
}

impl Gcloud {
    fn new(sandbox: &Sandbox) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), sandbox.token()).unwrap();
        Self {
            endpoint: sandbox.endpoint(),
            folder,
        }
    }

    fn run(&self, line: &str) -> Value {
        self.try_run(line, 5)
    }

    fn try_run(&self, line: &str, tries: u32) -> Value {
        // A `|` stands for a blank within an argument.
        let arguments = line.split_whitespace().map(|word| word.replace('|', " "));
        let mut command = Command::new("gcloud");
        command.args(arguments).args(["--format=json", "--quiet"]);
        for api in ["CONTAINER", "IAM", "CLOUDRESOURCEMANAGER"] {
            command.env(
                format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}"),
                &self.endpoint,
            );
        }
        let output = command
            .env(
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
                format!("{}storage/v1/", self.endpoint),
            )
            .env("CLOUDSDK_CONFIG", self.folder.path())
            .env(
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
                self.folder.path().join("token"),
            )
            .env("CLOUDSDK_CORE_PROJECT", "acme-prod")
            .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
            .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")
            .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true")
            .env("CLOUDSDK_SURVEY_DISABLE_PROMPTS", "true")
            .env("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false")
            .env("NO_GCE_CHECK", "true")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        // gcloud gives up after a few conflicts with other writers, and says what to do.
        if errors.contains("There were concurrent policy changes") && tries > 1 {
            return self.try_run(line, tries - 1);
        }
        assert!(output.status.success(), "gcloud {line}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

/// Whether gcloud is there; says so when it is not.
fn gcloud_is_here() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here =
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join("gcloud").exists());
    if !here {
        eprintln!("skipped: gcloud is not on this machine");
    }
    here
}

async fn start(time_scale: f64) -> Sandbox {
    let world = World::parse(BROWNFIELD, "world.yaml").unwrap();
    let options = Options {
        time_scale: Some(time_scale),
        ..Options::default()
    };
    Sandbox::start(world, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_and_node_pools() {
    if !gcloud_is_here() {
        return;
    }
    let sandbox = start(10_000.0).await;
    let gcloud = Gcloud::new(&sandbox);
    assert_eq!(
        gcloud
            .run("container clusters list")
            .as_array()
            .unwrap()
            .len(),
        2
    );
    gcloud.run(
        "container clusters update edge --zone=us-central1-a --workload-pool=acme-prod.svc.id.goog",
    );
    let edge = gcloud.run("container clusters describe edge --zone=us-central1-a");
    assert_eq!(
        edge["workloadIdentityConfig"]["workloadPool"],
        "acme-prod.svc.id.goog"
    );
    gcloud.run("container node-pools update pool-1 --cluster=edge --zone=us-central1-a --workload-metadata=GKE_METADATA");
    let pools = gcloud.run("container node-pools list --cluster=edge --zone=us-central1-a");
    assert_eq!(
        pools[0]["config"]["workloadMetadataConfig"]["mode"],
        "GKE_METADATA"
    );
    let operations = gcloud.run("container operations list");
    assert_eq!(operations.as_array().unwrap().len(), 2);
    let name = operations[0]["name"].as_str().unwrap();
    let operation = gcloud.run(&format!(
        "container operations describe {name} --zone=us-central1-a"
    ));
    assert_eq!(operation["status"], "DONE");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_policies() {
    if !gcloud_is_here() {
        return;
    }
    let sandbox = start(10_000.0).await;
    let gcloud = Gcloud::new(&sandbox);
    gcloud.run("iam service-accounts create reporter --display-name=Reporter");
    let accounts = gcloud.run("iam service-accounts list");
    assert_eq!(accounts.as_array().unwrap().len(), 3);
    let email = "reporter@acme-prod.iam.gserviceaccount.com";
    let user = "--role=roles/iam.workloadIdentityUser --member=serviceAccount:acme-prod.svc.id.goog[shop/reporter]";
    gcloud.run(&format!(
        "iam service-accounts add-iam-policy-binding {email} {user} --condition=None"
    ));
    let policy = gcloud.run(&format!("iam service-accounts get-iam-policy {email}"));
    assert_eq!(
        policy["bindings"][0]["members"][0],
        "serviceAccount:acme-prod.svc.id.goog[shop/reporter]"
    );

    let condition =
        "--condition=title=soon,expression=request.time<timestamp('2027-01-01T00:00:00Z')";
    gcloud.run(&format!("projects add-iam-policy-binding acme-prod --role=roles/browser --member=serviceAccount:{email} {condition}"));
    let policy = gcloud.run("projects get-iam-policy acme-prod");
    let added = policy["bindings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|b| b["role"] == "roles/browser")
        .unwrap();
    assert_eq!(added["condition"]["title"], "soon");
    assert_eq!(policy["auditConfigs"][0]["service"], "allServices");

    gcloud.run(&format!("storage buckets add-iam-policy-binding gs://acme-receipts --role=roles/storage.objectViewer --member=serviceAccount:{email}"));
    let policy = gcloud.run("storage buckets get-iam-policy gs://acme-receipts");
    assert!(policy.to_string().contains(email), "{policy}");
}

/// gcloud grants, with and without a condition, while `wi` applies to the same policy.
#[tokio::test(flavor = "multi_thread")]
async fn bindings_that_gcloud_adds_during_an_apply_are_kept() {
    if !gcloud_is_here() {
        return;
    }
    let mut world = World::parse(BROWNFIELD, "world.yaml").unwrap();
    // Slow enough that the two meet.
    world.faults =
        serde_json::from_value(serde_json::json!([{"match": "POST *IamPolicy", "latencyMs": 300}]))
            .unwrap();
    let options = Options {
        time_scale: Some(200.0),
        ..Options::default()
    };
    let sandbox = Sandbox::start(world, options).await.unwrap();
    let gcloud = Gcloud::new(&sandbox);
    let folder = tempfile::tempdir().unwrap();
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n";
    let accounts: String = (0..8)
        .map(|i| {
            format!(
                "  worker-{i}: {{ grants: [roles/pubsub.publisher, roles/cloudtrace.agent] }}\n"
            )
        })
        .collect();
    std::fs::write(folder.path().join("wi.yaml"), format!("{spec}{accounts}")).unwrap();
    let mut wi = Command::new(env!("CARGO_BIN_EXE_wi"))
        .args(["apply", "wi.yaml", "--auto-approve", "--accept-loss"])
        .current_dir(folder.path())
        .env("WI_ENDPOINT", &gcloud.endpoint)
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", sandbox.token())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    gcloud.run("projects add-iam-policy-binding acme-prod --member=user:eve@example.com --role=roles/browser --condition=None");
    gcloud.run("projects add-iam-policy-binding acme-prod --member=user:eve@example.com --role=roles/pubsub.publisher --condition=title=office,expression=request.time.getHours()<18");
    assert!(wi.wait().unwrap().success());
    let policy = gcloud.run("projects get-iam-policy acme-prod");
    let has = |role: &str, member: &str, condition: Option<&str>| {
        policy["bindings"].as_array().unwrap().iter().any(|b| {
            b["role"] == role
                && b["condition"]["title"].as_str() == condition
                && b["members"].as_array().unwrap().iter().any(|m| m == member)
        })
    };
    assert!(
        has("roles/browser", "user:eve@example.com", None),
        "{policy}"
    );
    assert!(
        has(
            "roles/pubsub.publisher",
            "user:eve@example.com",
            Some("office")
        ),
        "{policy}"
    );
    for i in 0..8 {
        let worker = format!("serviceAccount:worker-{i}@acme-prod.iam.gserviceaccount.com");
        assert!(has("roles/pubsub.publisher", &worker, None), "{policy}");
    }
}
