//! `wi sandbox`: serves the simulator, for gcloud, kubectl, client libraries and `wi` itself.

use std::fmt::Write;
use std::path::Path;

use super::args::SandboxArgs;
use super::connect::{self, Interrupts};
use super::{Failure, Success};
use crate::render::print;
use crate::sandbox::{Options, Sandbox};

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
        let token_file =
            std::env::temp_dir().join(format!("wi-sandbox-{}.token", std::process::id()));
        write_private(&token_file, &sandbox.token())?;
        if let Some(kubeconfig) = &args.kubeconfig {
            write_private(kubeconfig, &sandbox.kubeconfig())?;
        }
        print::data(&settings(&sandbox, &token_file, args.kubeconfig.as_deref()));
        Interrupts::new()?.next().await;
        sandbox.stop().await;
        let _ = std::fs::remove_file(&token_file);
        Ok(Success::Ok)
    })
}

/// The file can be read by its owner only: a token is in it.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| Failure::Message(format!("cannot write {}: {e}", path.display())))
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
