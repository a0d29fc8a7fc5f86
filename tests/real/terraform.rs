//! Terraform's providers google and kubernetes on the sandbox, and `wi` beside them: the set-up of
//! docs/beside-terraform.md is imported, planned and applied, and then both stay quiet.
//!
//! `WI_TEST_TERRAFORM_PLUGINS` names a folder of providers, as `terraform providers mirror` makes it: nothing is
//! downloaded.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::Place;
use crate::support::served::Process;

const WORLD: &str = "apiVersion: wi.sandbox/v1\ntimeScale: 2000\npropagationSeconds: { serviceAccount: 0 }\nprojects: { acme-prod: {} }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, workloadPool: acme-prod.svc.id.goog, nodePools: [{ name: default-pool, nodes: 3, workloadMetadata: GKE_METADATA }] }\n";

/// The cluster and its node pool, which are there.
const IMPORTED: &str = r#"
terraform {
  required_providers {
    google     = { source = "hashicorp/google" }
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}

provider "google" {
  project = "acme-prod"
}

provider "kubernetes" {
  config_path = "kubeconfig"
}

import {
  to = google_container_cluster.main
  id = "projects/acme-prod/locations/europe-west1/clusters/main"
}

resource "google_container_cluster" "main" {
  name                = "main"
  location            = "europe-west1"
  initial_node_count  = 1
  deletion_protection = false
  workload_identity_config {
    workload_pool = "acme-prod.svc.id.goog"
  }
  lifecycle {
    ignore_changes = [initial_node_count, node_config, node_pool]
  }
}

import {
  to = google_container_node_pool.pool
  id = "acme-prod/europe-west1/main/default-pool"
}

resource "google_container_node_pool" "pool" {
  name       = "default-pool"
  cluster    = google_container_cluster.main.name
  location   = "europe-west1"
  node_count = 1
  node_config {
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}
"#;

/// A block of the document.
fn of_document(language: &str) -> String {
    let document = include_str!("../../docs/beside-terraform.md");
    let block = document.split(&format!("```{language}\n")).nth(1);
    let block = block.and_then(|rest| rest.split("```").next());
    block.expect("a block").to_owned()
}

/// Where the providers are, or why not.
fn plugins() -> Result<PathBuf, &'static str> {
    let version = Command::new("terraform")
        .arg("version")
        .env("CHECKPOINT_DISABLE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if version.is_err() {
        return Err("terraform is not on this machine");
    }
    let named = std::env::var_os("WI_TEST_TERRAFORM_PLUGINS");
    let folder = named.map(PathBuf::from).ok_or(
        "no folder of Terraform's providers is named (WI_TEST_TERRAFORM_PLUGINS, as `terraform providers mirror` makes it)",
    )?;
    let has = |name: &str| {
        let hashicorp = folder.join("registry.terraform.io/hashicorp");
        hashicorp.join(name).is_dir()
    };
    match has("google") && has("kubernetes") {
        true => Ok(folder),
        false => {
            Err("WI_TEST_TERRAFORM_PLUGINS has no hashicorp/google or no hashicorp/kubernetes")
        }
    }
}

struct Terraform {
    sandbox: Process,
}

impl Terraform {
    fn output(&self, args: &[&str]) -> Output {
        let token = std::fs::read_to_string(&self.sandbox.token_file).expect("a token");
        let settings = self.sandbox.settings.iter();
        Command::new("terraform")
            .args(args)
            .current_dir(self.sandbox.place.dir.path())
            .envs(
                settings
                    .filter(|(name, _)| name.starts_with("GOOGLE_"))
                    .cloned(),
            )
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", token.trim())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            // No mirror, cache or credentials of whoever runs this.
            .env("TF_CLI_CONFIG_FILE", self.sandbox.place.path("terraformrc"))
            .output()
            .expect("terraform")
    }

    /// Runs it; its exit code has to be this one.
    fn ends(&self, args: &[&str], code: i32) {
        let output = self.output(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "terraform {args:?}: {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Nothing is to be done, for either of them, however often they are asked.
    fn both_are_quiet(&self) {
        for _ in 0..2 {
            self.ends(
                &["plan", "-input=false", "-no-color", "-detailed-exitcode"],
                0,
            );
            let plan = self.sandbox.wi(&["plan", "wi.yaml", "--detailed-exitcode"]);
            assert_eq!(plan.code, Some(0), "{}\n{}", plan.out, plan.err);
        }
    }
}

fn start(plugins: &Path, spec: &str, terraform: &str) -> Terraform {
    let place = Place::new(spec, WORLD);
    place.write("main.tf", &format!("{IMPORTED}\n{terraform}"));
    place.write("terraformrc", "");
    let terraform = Terraform {
        sandbox: Process::of(place),
    };
    let plugins = format!("-plugin-dir={}", plugins.display());
    terraform.ends(&["init", "-input=false", "-no-color", &plugins], 0);
    let apply = ["apply", "-input=false", "-no-color", "-auto-approve"];
    terraform.ends(&apply, 0);
    let plan = ["plan", "-input=false", "-no-color", "-detailed-exitcode"];
    terraform.ends(&plan, 0);
    terraform
}

#[test]
fn terraform_converges_and_beside_the_spec_of_the_document_both_stay_quiet() {
    let plugins = match plugins() {
        Ok(plugins) => plugins,
        Err(why) => return println!("skipped: {why}"),
    };
    let terraform = start(&plugins, &of_document("yaml"), &of_document("hcl"));
    terraform.both_are_quiet();
}

#[test]
fn wi_only_adopts_what_terraform_made_and_both_are_quiet_where_it_ignores_the_marks() {
    let plugins = match plugins() {
        Ok(plugins) => plugins,
        Err(why) => return println!("skipped: {why}"),
    };
    let own = of_document("yaml")
        .replace(
            "    email: checkout@acme-prod.iam.gserviceaccount.com\n",
            "",
        )
        .replace("existing: true, ", "")
        .replace("    create: false\n", "");
    let marks = "lifecycle { ignore_changes = [metadata[0].labels, metadata[0].annotations] }\n";
    let ignoring = of_document("hcl")
        .replace(
            "account_id = \"checkout\"\n",
            "account_id = \"checkout\"\n  lifecycle { ignore_changes = [description] }\n",
        )
        .replace(
            "resource \"kubernetes_service_account_v1\" \"checkout\" {\n",
            &format!("resource \"kubernetes_service_account_v1\" \"checkout\" {{\n  {marks}"),
        )
        .replace(
            "resource \"kubernetes_namespace_v1\" \"shop\" {\n",
            &format!("resource \"kubernetes_namespace_v1\" \"shop\" {{\n  {marks}"),
        );
    let terraform = start(&plugins, &own, &ignoring);
    let plan = terraform.sandbox.wi(&["plan", "wi.yaml"]).ok();
    plan.says(&["0 to add", "0 to destroy"]);
    terraform
        .sandbox
        .wi(&["apply", "wi.yaml", "--auto-approve"])
        .ok();
    terraform.both_are_quiet();
}

#[test]
fn a_state_of_terraform_says_what_of_what_is_there_is_its_own() {
    let plugins = match plugins() {
        Ok(plugins) => plugins,
        Err(why) => return println!("skipped: {why}"),
    };
    let terraform = start(&plugins, &of_document("yaml"), &of_document("hcl"));
    for (kind, args) in [
        ("tfstate", &["state", "pull"][..]),
        ("tfjson", &["show", "-json"]),
    ] {
        let output = terraform.output(args);
        assert!(output.status.success(), "terraform {args:?}");
        let text = String::from_utf8(output.stdout).expect("JSON");
        terraform.sandbox.place.write(kind, &text);
        let all = [
            "import",
            kind,
            "--from",
            kind,
            "--project",
            "acme-prod",
            "--out",
            "own",
            "--single-file",
            "--force",
        ];
        let ran = terraform.sandbox.wi(&all).ok();
        let path = terraform.sandbox.place.path("own/wi.yaml");
        let spec = std::fs::read_to_string(path).expect("a spec");
        let address = "# Terraform's google_service_account.checkout";
        assert!(spec.contains(address), "{spec}\n{}", ran.err);
        let token = std::fs::read_to_string(&terraform.sandbox.token_file).expect("a token");
        assert!(!format!("{spec}{}{}", ran.out, ran.err).contains(token.trim()));
    }
}
