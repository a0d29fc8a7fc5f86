//! From files and servers to values: the spec, the live state, the plan.

pub mod git;
mod git_base;
pub mod pipeline;
pub mod read;
mod sources;

use std::path::PathBuf;

pub use git_base::FormerError;
use wi_core::spec::model::Spec;
use wi_core::spec::{self, SpecErrors};

/// Reads and merges files, directories (recursively) and `-`, standard input.
pub fn load(paths: &[PathBuf]) -> Result<Spec, SpecErrors> {
    let mut mistakes = Vec::new();
    let sources = sources::read(paths, &mut mistakes);
    let where_looked: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    spec::load(sources, mistakes, &where_looked.join(", "))
}

/// The spec's files as they are, those that could be read.
pub fn read_sources(paths: &[PathBuf]) -> Vec<spec::Source> {
    sources::read(paths, &mut Vec::new())
}

/// As [`load`], of a former version that git has.
pub fn load_former(reference: &str, paths: &[PathBuf]) -> Result<Spec, FormerError> {
    let sources = git_base::sources(reference, paths)?;
    spec::load_sources(sources).map_err(|errors| FormerError::Spec {
        reference: reference.to_owned(),
        errors,
    })
}
