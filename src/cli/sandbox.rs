//! `wi sandbox`: serves the simulator, for gcloud, kubectl, client libraries and `wi` itself.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::connect::{self, Interrupts};
use super::{Failure, Success};
use crate::view::print;
use wi_client::files;
use wi_sandbox::{Options, Sandbox};

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// The world to start from
    #[arg(value_name = "WORLD")]
    pub world: PathBuf,
    /// The port of the Google APIs on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 4588)]
    pub port: u16,
    /// Keep the state here between runs; without it, changes are forgotten at the end
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Also write the settings for kubectl to this file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

pub(super) fn run(args: SandboxArgs) -> Result<Success, Failure> {
    connect::runtime()?.block_on(async {
        let from = match &args.state {
            Some(state) if state.exists() => state,
            _ => &args.world,
        };
        let world = connect::read_world(from)?;
        let sandbox = Sandbox::start(
            world,
            Options {
                port: args.port,
                state_file: args.state.clone(),
                ..Options::default()
            },
        )
        .await
        .map_err(|e| {
            Failure::Message(format!(
                "the sandbox cannot listen on port {}: {e}",
                args.port
            ))
        })?;
        let token_file = TokenFile::new(&sandbox.token())?;
        if let Some(kubeconfig) = &args.kubeconfig {
            files::write_private(kubeconfig, sandbox.kubeconfig().as_bytes())
                .map_err(|e| unwritten(kubeconfig, &e))?;
            let authorities = authorities_beside(kubeconfig);
            files::write_private(&authorities, sandbox.authorities().as_bytes())
                .map_err(|e| unwritten(&authorities, &e))?;
        }
        print::data(&settings(
            &sandbox,
            &token_file.0,
            args.kubeconfig.as_deref(),
        ))?;
        Interrupts::new()?.next().await;
        sandbox.stop().await;
        Ok(Success::Ok)
    })
}

/// A file with the sandbox's token, for its owner alone, under a name that nobody can have prepared
/// in a directory that all write to. It goes when this does.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(token: &str) -> Result<Self, Failure> {
        let name = format!("wi-sandbox-{}.token", files::unguessable());
        let path = std::env::temp_dir().join(name);
        let mut file = files::create_private(&path).map_err(|e| unwritten(&path, &e))?;
        let token_file = Self(path);
        file.write_all(token.as_bytes())
            .map_err(|e| unwritten(&token_file.0, &e))?;
        Ok(token_file)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn unwritten(path: &Path, e: &std::io::Error) -> Failure {
    Failure::Message(format!("cannot write {}: {e}", path.display()))
}

/// The APIs of gcloud's settings, and where below the endpoint each begins: those that are simulated, and those of the
/// same commands, which would go to Google with the sandbox's token.
const GCLOUD: [(&str, &str); 26] = [
    ("ARTIFACTREGISTRY", ""),
    ("BIGQUERY", "bigquery/v2/"),
    ("BIGTABLEADMIN", ""),
    ("CLOUDASSET", ""),
    ("CLOUDBILLING", ""),
    ("CLOUDFUNCTIONS", ""),
    ("CLOUDKMS", ""),
    ("CLOUDRESOURCEMANAGER", ""),
    ("CLOUDTASKS", ""),
    ("COMPUTE", "compute/v1/"),
    ("CONNECTGATEWAY", ""),
    ("CONTAINER", ""),
    ("DNS", ""),
    ("GKEHUB", ""),
    ("IAM", ""),
    ("IAMCREDENTIALS", ""),
    ("IAP", ""),
    ("LOGGING", ""),
    ("MONITORING", ""),
    ("POLICYANALYZER", ""),
    ("PUBSUB", ""),
    ("RUN", ""),
    ("SECRETMANAGER", ""),
    ("SERVICEUSAGE", ""),
    ("SPANNER", ""),
    ("STORAGE", "storage/v1/"),
];

/// The same of Terraform's provider, each as its own default has it. To an endpoint that is no `https://` it sends the
/// version twice where it calls by a client library (`/v1/v1/…`), and once elsewhere: the sandbox takes both.
const TERRAFORM: [(&str, &str); 29] = [
    ("ARTIFACT_REGISTRY", "v1/"),
    ("BIG_QUERY", "bigquery/v2/"),
    ("BIGTABLE", "v2/"),
    ("CLOUD_ASSET", "v1/"),
    ("CLOUD_BILLING", "v1/"),
    ("CLOUD_FUNCTIONS", "v1/"),
    ("CLOUD_RUN_V2", "v2/"),
    ("CLOUD_TASKS", "v2/"),
    ("CLOUDFUNCTIONS2", "v2/"),
    ("COMPUTE", "compute/v1/"),
    ("CONTAINER", "v1/"),
    ("DNS", "dns/v1/"),
    ("GKE_HUB", "v1/"),
    ("GKE_HUB2", "v1/"),
    ("IAM", "v1/"),
    ("IAM2", "v2/"),
    ("IAM_BETA", "v1/"),
    ("IAM_CREDENTIALS", "v1/"),
    ("IAP", "v1/"),
    ("KMS", "v1/"),
    ("LOGGING", "v2/"),
    ("MONITORING", ""),
    ("PUBSUB", "v1/"),
    ("RESOURCE_MANAGER", "v1/"),
    ("RESOURCE_MANAGER_V3", "v3/"),
    ("SECRET_MANAGER", "v1/"),
    ("SERVICE_USAGE", "v1/"),
    ("SPANNER", "v1/"),
    ("STORAGE", "storage/v1/"),
];

/// `KUBECONFIG.ca.pem`.
fn authorities_beside(kubeconfig: &Path) -> PathBuf {
    let mut name = kubeconfig.file_name().unwrap_or_default().to_owned();
    name.push(".ca.pem");
    kubeconfig.with_file_name(name)
}

/// Shell lines that point each tool at the sandbox.
fn settings(sandbox: &Sandbox, token_file: &Path, kubeconfig: Option<&Path>) -> String {
    let endpoint = sandbox.endpoint();
    let token_file = token_file.display();
    let mut out =
        format!("# The sandbox listens on {endpoint} until ^C. In another shell:\n\n# wi\n");
    let _ = writeln!(out, "export WI_ENDPOINT={endpoint}");
    let _ = writeln!(out, "export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE={token_file}\n");
    let project = sandbox.snapshot().projects.keys().next().cloned();
    out.push_str("# gcloud\n");
    for (api, path) in GCLOUD {
        let _ = writeln!(
            out,
            "export CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}={endpoint}{path}"
        );
    }
    if let Some(project) = &project {
        let _ = writeln!(out, "export CLOUDSDK_CORE_PROJECT={project}");
    }
    out.push_str("export CLOUDSDK_CORE_CHECK_GCE_METADATA=false NO_GCE_CHECK=true\n");
    out.push_str("\n# Terraform's provider google\n");
    for (api, path) in TERRAFORM {
        let _ = writeln!(out, "export GOOGLE_{api}_CUSTOM_ENDPOINT={endpoint}{path}");
    }
    if let Some(project) = &project {
        let _ = writeln!(out, "export GOOGLE_PROJECT={project}");
    }
    let _ = writeln!(
        out,
        "export GOOGLE_OAUTH_ACCESS_TOKEN=\"$(cat {token_file})\""
    );
    match kubeconfig {
        Some(file) => {
            let _ = writeln!(
                out,
                "\n# kubectl: a context for each cluster\nexport KUBECONFIG={}",
                file.display()
            );
            let _ = writeln!(
                out,
                "# For clusters with a DNS endpoint alone: the authorities of their certificates\n# export SSL_CERT_FILE={}",
                authorities_beside(file).display()
            );
        }
        None => out.push_str("\n# kubectl: start with --kubeconfig FILE to get its settings\n"),
    }
    out
}

#[cfg(test)]
mod tests {
    use wi_core::api::Api;

    use super::*;

    #[test]
    fn settings_of_gcloud_have_every_api_that_wi_calls() {
        for api in Api::ALL {
            // gcloud has its access token, and asks for no other.
            let is_of_tokens = matches!(api, Api::Oauth2 | Api::Sts);
            let name = api.name().to_uppercase();
            let has = GCLOUD.iter().any(|(known, _)| *known == name);
            assert!(has || is_of_tokens, "{name}");
        }
    }
}
