//! `wi validate`: the spec alone, offline.

use std::path::PathBuf;

use clap::Args;
use wi_core::spec::model::Spec;
use wi_core::words::counted;

use super::{Failure, Success};
use crate::view::print;
use crate::view::wrap::filled;

#[derive(Debug, Args)]
pub(super) struct SpecArgs {
    /// Spec files and directories, read recursively; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
}

pub(super) fn run(args: SpecArgs) -> Result<Success, Failure> {
    let spec = load(&args.paths)?;
    let accounts: usize = spec
        .namespaces
        .values()
        .map(|n| n.service_accounts.len())
        .sum();
    let told = format!(
        "Success! The spec `{}` is valid: {}, {}, {} with {}.",
        spec.name,
        counted(spec.clusters.len(), "cluster"),
        counted(spec.accounts.len(), "Google service account"),
        counted(spec.namespaces.len(), "namespace"),
        counted(accounts, "Kubernetes service account"),
    );
    print::data(&format!("{}\n", filled(&told, print::width())))?;
    Ok(Success::Ok)
}

/// Reads the spec; all its mistakes are one failure.
pub(super) fn load(paths: &[PathBuf]) -> Result<Spec, Failure> {
    Ok(crate::engine::load(paths)?)
}
