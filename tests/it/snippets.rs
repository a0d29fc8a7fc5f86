//! The commands of README and docs, typed as they stand there, on a machine that has what they name.

use std::process::Command;

use crate::support::{Place, Ran};

/// Commands of others, and what needs real servers or logs.
const NOT_HERE: [&str; 5] = ["gcloud ", "bq ", "curl ", "cargo test", "kubectl "];

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod: { number: 123456789012, serviceAccounts: { web-app: {} } }
buckets: { acme-receipts: { project: acme-prod } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: prod-eu
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{ name: batch, nodes: 2, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { web: {} } } }
    pods:
      - { name: web-7c9-x2, namespace: shop, serviceAccountName: web, owner: { kind: StatefulSet, name: web } }
";

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  prod-eu: { location: europe-west1 }
googleServiceAccounts:
  web-app: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }
namespaces:
  shop: { serviceAccounts: { web: { impersonates: web-app } } }
";

const REFUSED: &str =
    "Error: Permission 'storage.objects.get' denied on resource (or it may not exist).\n";

const ENTRY: &str = r#"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"storage.googleapis.com","methodName":"storage.objects.get","resourceName":"projects/_/buckets/acme-receipts/objects/a","authenticationInfo":{"principalEmail":"web-app@acme-prod.iam.gserviceaccount.com"},"authorizationInfo":[{"permission":"storage.objects.get","granted":true}]},"insertId":"a","resource":{"type":"gcs_bucket","labels":{"project_id":"acme-prod"}},"timestamp":"2026-10-05T09:00:00Z","logName":"projects/acme-prod/logs/cloudaudit.googleapis.com%2Fdata_access"}"#;

/// A directory with all that a document's commands name.
fn place(text: &str) -> Place {
    let place = Place::new(SPEC, WORLD);
    // The spec lies where the commands look for it.
    let lines = typed(text);
    let names = |dir: &str| lines.iter().any(|l| l.split(' ').skip(2).any(|w| w == dir));
    if let Some(dir) = ["wi", "infra"].into_iter().find(|dir| names(dir)) {
        let moved = place.path("wi.yaml");
        place.write(&format!("{dir}/wi.yaml"), SPEC);
        std::fs::remove_file(moved).expect("moved");
    }
    // Several specs below one directory are a mistake.
    let examples = ["quickstart", "fleet"];
    for example in examples
        .iter()
        .filter(|e| text.contains(&format!("examples/{e} ")))
    {
        let from = Place::example(example);
        for file in ["wi.yaml", "world.yaml"] {
            let text = std::fs::read_to_string(from.path(file)).expect(file);
            place.write(&format!("examples/{example}/{file}"), &text);
        }
    }
    place.write("charts/values.yaml", "replicas: 2\n");
    place.write("terraform.tfstate", "{\"version\": 4, \"resources\": []}\n");
    place.write("error.txt", REFUSED);
    place.write("exported/2026-10/a.jsonl", &format!("{ENTRY}\n"));
    place.write("result.json", "[]");
    place.commit("error.txt");
    place
}

/// The lines of a document that are typed.
fn typed(text: &str) -> Vec<String> {
    let blocks = text.split("```console\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("\n```").next());
    let lines = blocks.flat_map(str::lines);
    lines
        .filter_map(|line| line.strip_prefix("$ "))
        .map(str::to_owned)
        .collect()
}

/// The same command on the sandbox, where it would call Google, and without a question.
fn on_the_sandbox(line: &str) -> String {
    let line = line.replace("cargo run --", "wi");
    let (command, to) = match line.split_once(" > ") {
        Some((command, file)) => (command, format!(" > {file}")),
        None => (line.split(" #").next().unwrap_or_default(), String::new()),
    };
    let words: Vec<&str> = command.split_whitespace().collect();
    let calls = match words.as_slice() {
        [
            "wi",
            "plan" | "apply" | "migrate" | "verify" | "import" | "export" | "access",
            ..,
        ] => true,
        ["wi", "audit", rest @ ..] => {
            let alone = ["--offline", "--explain-rule", "--list-rules"];
            !rest.iter().any(|w| alone.contains(w))
        }
        ["wi", "explain", rest @ ..] => rest.first() != Some(&"--error"),
        ["wi", "scan", ..] => words.contains(&"--live"),
        _ => false,
    };
    let mut command = command.trim_end().to_owned();
    if calls && !words.contains(&"--sandbox") {
        command.push_str(" --sandbox world.yaml");
    }
    let is_saved = words.iter().any(|w| w.ends_with(".plan"));
    let asks = words[1] == "apply" && !is_saved;
    if asks || words.contains(&"referenced") && words[1] != "plan" {
        command.push_str(" --auto-approve");
    }
    command + &to
}

#[test]
fn the_commands_of_the_documents_run_as_they_stand_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md")];
    let docs = std::fs::read_dir(root.join("docs")).expect("docs");
    documents.extend(docs.map(|entry| entry.expect("an entry").path()));
    documents.sort();
    let wi = std::path::Path::new(env!("CARGO_BIN_EXE_wi"));
    let bin = wi.parent().expect("a directory");
    let mut ran = 0;
    for document in documents
        .iter()
        .filter(|d| d.extension().is_some_and(|e| e == "md"))
    {
        let text = std::fs::read_to_string(document).expect("a document");
        let place = place(&text);
        for line in typed(&text) {
            if NOT_HERE.iter().any(|other| line.starts_with(other)) {
                continue;
            }
            let command = on_the_sandbox(&line);
            let path = std::env::var_os("PATH").unwrap_or_default();
            let paths = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
            let ended = Ran::of(
                Command::new("sh")
                    .args(["-c", &command])
                    .current_dir(place.dir.path())
                    .env_clear()
                    .env("PATH", std::env::join_paths(paths).expect("a path"))
                    .env("HOME", place.dir.path())
                    .stdin(std::process::Stdio::null()),
            );
            // Findings, links that are broken, accounts that wait: what it is there to say.
            let is_an_answer = matches!(ended.code, Some(0 | 2 | 3));
            let document = document.display();
            assert!(
                is_an_answer,
                "{document}: {command}\n{}\n{}",
                ended.out, ended.err
            );
            ran += 1;
        }
    }
    assert!(ran >= 20, "only {ran} commands were run");
}
