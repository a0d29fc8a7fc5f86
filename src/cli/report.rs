//! What a command found, on its way out: the languages of findings, and the file that one of them goes to.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use wi_client::files;
use wi_core::findings::accepted::{self, Entry, Form};
use wi_core::findings::{Findings, Severity};

use super::{Failure, Success, heading};
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

/// From which severity on findings are a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Low,
    Medium,
    High,
    Critical,
    /// Exit with 0 whatever is found
    None,
}

impl FailOn {
    /// How a command ends that found these.
    pub fn judge(self, findings: &Findings) -> Success {
        let least = match self {
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
            Self::None => return Success::Ok,
        };
        match findings.reaches(least) {
            true => Success::Findings,
            false => Success::Ok,
        }
    }
}

/// In which form findings are told, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = heading::OUTPUT)]
pub(super) struct ReportArgs {
    /// The form of the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write the findings to this file, and the text to standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl ReportArgs {
    /// Prints the report, or writes it to the file and prints the text.
    pub fn put(&self, report: &Report, text: impl Fn() -> String) -> Result<(), Failure> {
        put(&self.format.of(report, &text), self.out.as_deref(), text)
    }
}

/// Writes a file that accepts what is open, and says what is to be done with it.
pub(super) fn write_draft(
    file: &Path,
    findings: &Findings,
    today: Date,
    form: &Form,
) -> Result<(), Failure> {
    write(file, &accepted::draft(findings, today, form))?;
    print::note(&format!(
        "Wrote {}: give each entry its reason, and an end.\n",
        file.display()
    ));
    Ok(())
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

/// Writes a file whole, or leaves the one that is there.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    files::write_whole(file, text.as_bytes())
        .map_err(|e| Failure::Message(format!("cannot write {}: {e}", file.display())))
}

/// The largest file of accepted findings, in bytes.
const LARGEST: u64 = 4 << 20;

/// The file of accepted findings: the one that is named, or the one of this name in the first path.
pub(super) fn accepted_file(
    named: Option<&Path>,
    paths: &[PathBuf],
    name: &str,
) -> Option<PathBuf> {
    if let Some(file) = named {
        return Some(file.to_owned());
    }
    let first = paths.first().map_or(Path::new("."), PathBuf::as_path);
    let file = first.join(name);
    // As it would be written by somebody who is in the directory.
    let file = file.strip_prefix(".").unwrap_or(&file);
    file.is_file().then(|| file.to_owned())
}

/// Reads it: the entries, and what the file is called.
pub(super) fn read_accepted(
    file: Option<&Path>,
    today: Date,
    form: &Form,
) -> Result<Option<(Vec<Entry>, String)>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let name = file.display().to_string();
    let bytes = files::read(file, LARGEST)
        .map_err(|e| Failure::Message(format!("cannot read {name}: {e}")))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::Message(format!("{name} is not text")))?;
    let entries = accepted::parse(&text, &name, today, form).map_err(|mistakes| {
        Failure::Message(format!("accepted findings:\n{}", mistakes.join("\n")))
    })?;
    Ok(Some((entries, name)))
}
