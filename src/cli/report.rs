//! What a command found, on its way out: the languages of findings, and the file that one of them goes to.

use std::io::Write;
use std::path::Path;

use clap::ValueEnum;

use super::Failure;
use crate::scan::Report;
use crate::view::{findings as view, print};

/// The languages that findings are told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Sarif,
    Markdown,
    Junit,
}

impl Format {
    /// A report in this language; `text` is what a reader at a terminal gets of it.
    pub fn of(self, report: &Report, text: impl FnOnce() -> String) -> String {
        let findings = &report.findings;
        match self {
            Self::Text => text(),
            Self::Json => view::json::report(report),
            Self::Sarif => view::sarif::findings(findings),
            Self::Markdown => view::markdown::findings(findings),
            Self::Junit => view::junit::findings(findings),
        }
    }
}

/// Prints what was asked for, or writes it to a file and prints the text.
pub(super) fn put(
    told: &str,
    out: Option<&Path>,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let Some(file) = out else {
        return Ok(print::data(told)?);
    };
    write(file, &anstream::adapter::strip_str(told).to_string())?;
    Ok(print::data(&text())?)
}

/// Writes a file.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::File::create(file)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| Failure::Message(format!("cannot write {}: {e}", file.display())))
}
