//! `wi validate`: the spec alone, offline.

use std::path::PathBuf;

use super::args::SpecArgs;
use super::{Failure, Success};
use crate::desired::Desired;
use crate::render::print;
use crate::spec::model::Spec;

pub(super) fn run(args: SpecArgs) -> Result<Success, Failure> {
    let spec = load(&args.paths)?;
    let accounts: usize = spec
        .namespaces
        .values()
        .map(|n| n.service_accounts.len())
        .sum();
    print::data(&format!(
        "Success! The spec `{}` is valid: {}, {}, {} with {}.\n",
        spec.name,
        count(spec.clusters.len(), "cluster"),
        count(spec.accounts.len(), "Google service account"),
        count(spec.namespaces.len(), "namespace"),
        count(accounts, "Kubernetes service account"),
    ));
    Ok(Success::Ok)
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Reads the spec; all its mistakes are one failure.
pub(super) fn load(paths: &[PathBuf]) -> Result<Spec, Failure> {
    crate::spec::load(paths)
        .map_err(|errors| Failure::Rendered(errors.render(print::width(), true)))
}

/// What the spec asks for, and what a former version of it did.
pub(super) fn desired(paths: &[PathBuf], base: Option<&str>) -> Result<Desired, Failure> {
    let mut desired = Desired::of(&load(paths)?);
    if let Some(reference) = base {
        let former = crate::spec::load_former(reference, paths)?;
        desired.succeed(&Desired::of(&former));
    }
    Ok(desired)
}
