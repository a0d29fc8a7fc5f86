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

/// Shell lines that point each tool at the sandbox.
fn settings(sandbox: &Sandbox, token_file: &Path, kubeconfig: Option<&Path>) -> String {
    let endpoint = sandbox.endpoint();
    let token_file = token_file.display();
    let mut out =
        format!("# The sandbox listens on {endpoint} until ^C. In another shell:\n\n# wi\n");
    let _ = writeln!(out, "export WI_ENDPOINT={endpoint}");
    let _ = writeln!(out, "export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE={token_file}\n");
    out.push_str("# gcloud\n");
    for api in ["CONTAINER", "IAM", "CLOUDRESOURCEMANAGER"] {
        let _ = writeln!(
            out,
            "export CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}={endpoint}"
        );
    }
    let _ = writeln!(
        out,
        "export CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE={endpoint}storage/v1/"
    );
    if let Some(project) = sandbox.snapshot().projects.keys().next() {
        let _ = writeln!(out, "export CLOUDSDK_CORE_PROJECT={project}");
    }
    out.push_str("export CLOUDSDK_CORE_CHECK_GCE_METADATA=false NO_GCE_CHECK=true\n");
    match kubeconfig {
        Some(file) => {
            let _ = writeln!(
                out,
                "\n# kubectl: a context for each cluster\nexport KUBECONFIG={}",
                file.display()
            );
        }
        None => out.push_str("\n# kubectl: start with --kubeconfig FILE to get its settings\n"),
    }
    out
}
