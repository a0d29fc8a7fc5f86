//! `wi scan`: static keys, where they lie.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use wi_client::files;
use wi_core::findings::{Severity, accepted};

use super::args::heading;
use super::{Failure, Success};
use crate::scan::{self, Progress, Report, report};
use crate::view::{findings as view, print, scanning};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct ScanArgs {
    /// Files and directories, read recursively, whatever Git ignores
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// Look through Git's history, too: all of it, or the commits of a range such as main..HEAD
    #[arg(
        long,
        value_name = "RANGE",
        num_args = 0..=1,
        require_equals = true,
        help_heading = SEARCHED
    )]
    pub history: Option<Option<String>>,
    /// Exit with 2 from this severity on
    #[arg(long, value_enum, default_value_t = Level::Medium, help_heading = JUDGED)]
    pub fail_on: Level,
    /// The file of accepted findings (default: wi-scan.yaml in the first PATH, if it is there)
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub baseline: Option<PathBuf>,
    /// Write a file that accepts what is open, for you to fill in the reasons
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub write_baseline: Option<PathBuf>,
    /// Exit with 0 or 2 although something could not be looked at
    #[arg(long, help_heading = JUDGED)]
    pub allow_incomplete: bool,
    /// The form of the findings
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = heading::OUTPUT)]
    pub format: Format,
    /// Write the findings to this file, and the text to standard output
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    pub out: Option<PathBuf>,
}

const SEARCHED: &str = "What is looked through";
const JUDGED: &str = "What counts";

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Low,
    Medium,
    High,
    Critical,
}

/// The languages that findings are told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Sarif,
    Markdown,
    Junit,
}

/// The file of accepted findings, where none is named.
const BASELINE: &str = "wi-scan.yaml";

/// The largest such file, in bytes.
const LARGEST: u64 = 4 << 20;

pub(super) fn run(args: ScanArgs) -> Result<Success, Failure> {
    let today = jiff::Zoned::now().date();
    // Mistakes of the file are told before the work is done.
    let accepted = match baseline(&args) {
        Some(file) => Some((read_baseline(&file, today)?, file.display().to_string())),
        None => None,
    };
    let progress = Progress::default();
    let (walked, history) = scanning::while_scanning(&progress, || {
        let walked = scan::files::scan(&args.paths, &progress);
        let history = args
            .history
            .as_ref()
            .map(|range| scan::history::scan(first(&args.paths), range.as_deref(), &progress));
        (walked, history)
    });
    let history = history.transpose()?;
    let mut report = report::offline(&walked, history.as_ref());
    report.findings.out_of_reach.push(BEYOND.to_owned());
    report.findings.sort();
    if let Some((entries, file)) = &accepted {
        accepted::accept(&mut report.findings, entries, file, today);
    }
    if let Some(file) = &args.write_baseline {
        let text = accepted::draft(&report.findings, today);
        write(file, &text)?;
        let file = file.display();
        print::note(&format!(
            "Wrote {file}: give each entry its reason, and an end.\n"
        ));
    }
    show(&report, &args)?;
    if !report.findings.is_complete() && !args.allow_incomplete {
        return Err(Failure::Message(
            "the scan is incomplete; see above. Pass --allow-incomplete to go by what could be looked at".to_owned(),
        ));
    }
    Ok(match report.findings.reaches(severity(args.fail_on)) {
        true => Success::Findings,
        false => Success::Ok,
    })
}

/// What no scan looks at.
const BEYOND: &str =
    "images, registries, artefact stores, Secret Manager, secrets of CI servers, other machines";

fn severity(level: Level) -> Severity {
    match level {
        Level::Low => Severity::Low,
        Level::Medium => Severity::Medium,
        Level::High => Severity::High,
        Level::Critical => Severity::Critical,
    }
}

fn first(paths: &[PathBuf]) -> &Path {
    paths.first().map_or(Path::new("."), PathBuf::as_path)
}

fn baseline(args: &ScanArgs) -> Option<PathBuf> {
    if let Some(file) = &args.baseline {
        return Some(file.clone());
    }
    let file = first(&args.paths).join(BASELINE);
    // As it would be written by somebody who is in the directory.
    let file = file.strip_prefix(".").unwrap_or(&file);
    file.is_file().then(|| file.to_owned())
}

fn read_baseline(file: &Path, today: jiff::civil::Date) -> Result<Vec<accepted::Entry>, Failure> {
    let name = file.display().to_string();
    let bytes = files::read(file, LARGEST)
        .map_err(|e| Failure::Message(format!("cannot read {name}: {e}")))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::Message(format!("{name} is not text")))?;
    accepted::parse(&text, &name, today).map_err(|mistakes| {
        Failure::Message(format!("accepted findings:\n{}", mistakes.join("\n")))
    })
}

fn show(report: &Report, args: &ScanArgs) -> Result<(), Failure> {
    let findings = &report.findings;
    let text = || view::text::findings(findings, &report.looked_at, print::width());
    let told = match args.format {
        Format::Text => text(),
        Format::Json => view::json::report(report),
        Format::Sarif => view::sarif::findings(findings),
        Format::Markdown => view::markdown::findings(findings),
        Format::Junit => view::junit::findings(findings),
    };
    match &args.out {
        Some(file) => {
            let plain = anstream::adapter::strip_str(&told).to_string();
            write(file, &plain)?;
            print::data(&text())?;
        }
        None => print::data(&told)?,
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::File::create(file)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| Failure::Message(format!("cannot write {}: {e}", file.display())))
}
