//! `wi logs scan` and `wi logs learn`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use wi_core::findings::NotSeen;
use wi_core::names::{Email, ProjectId};
use wi_core::spec::model::Spec;
use wi_core::words::safe;
use wi_logs::baseline::{self, Baseline};
use wi_logs::collect::Collector;
use wi_logs::detect::{self, Detector};
use wi_logs::digest::Digests;
use wi_logs::expected::Expected;
use wi_logs::{filter, name, when};

use super::super::connect::{self, ConnectArgs, Session};
use super::super::report::{FailOn, ReportArgs, write};
use super::super::{Failure, Success};
use super::{read_baseline, since, spec};
use crate::engine::pipeline::Input;
use crate::logs::{self, around, expected, files, live, report};
use crate::view::{findings as view, print};

const READ: &str = "What is read";
const JUDGED: &str = "What counts";

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(in crate::cli) struct ScanArgs {
    /// Files of logs, directories with them, `-` for standard input; gzip and zstd are unpacked
    #[arg(value_name = "FILE", help_heading = READ)]
    pub files: Vec<PathBuf>,
    /// The result of the query that `wi logs sql` writes
    #[arg(long, value_name = "FILE", help_heading = READ)]
    pub from_bigquery: Vec<PathBuf>,
    /// Ask Cloud Logging for the logs of the spec's projects
    #[arg(long, help_heading = READ)]
    pub live: bool,
    /// Ask for this project's logs, too (repeatable)
    #[arg(long, value_name = "PROJECT", requires = "live", help_heading = READ)]
    pub project: Vec<String>,
    /// Ask for so much of the past: 7d, 36h, 90m
    #[arg(long, value_name = "TIME", default_value = "7d", requires = "live", help_heading = READ)]
    pub since: String,
    /// Read at most so many entries from Cloud Logging
    #[arg(long, value_name = "N", default_value_t = 200_000, requires = "live", help_heading = READ)]
    pub max_entries: u64,
    /// The spec: what its roles explain is expected
    #[arg(long, value_name = "PATH", default_value = ".", help_heading = JUDGED)]
    pub spec: Vec<PathBuf>,
    /// What was learned (default: .wi/baseline.v1.jsonl, if it is there)
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub baseline: Option<PathBuf>,
    /// Learn from what is read, once it is judged
    #[arg(long, help_heading = JUDGED)]
    pub learn: bool,
    /// Only these detectors: L2, or service-unexplained
    #[arg(long, value_name = "L1,…", value_delimiter = ',', help_heading = JUDGED)]
    pub detectors: Vec<String>,
    /// Networks that are known, a line each: CIDR LABEL
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub ip_map: Option<PathBuf>,
    /// Who carries out plans (default: whoever's program is called wi)
    #[arg(long, value_name = "EMAIL", help_heading = JUDGED)]
    pub wi_identity: Option<String>,
    /// When accounts went off keys: DATE for all, or EMAIL=DATE (default: the first token of their pods)
    #[arg(long, value_name = "[EMAIL=]DATE", help_heading = JUDGED)]
    pub migrated: Vec<String>,
    /// An account that nodes run as, beside Compute Engine's default one (repeatable)
    #[arg(long, value_name = "EMAIL", help_heading = JUDGED)]
    pub node_account: Vec<String>,
    /// Exit with 2 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Medium, help_heading = JUDGED)]
    pub fail_on: FailOn,
    /// Exit with 0 or 2 although something could not be read
    #[arg(long, help_heading = JUDGED)]
    pub allow_incomplete: bool,
    #[command(flatten)]
    pub report: ReportArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LearnArgs {
    /// Files of logs, directories with them, `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The baseline that is added to
    #[arg(long, value_name = "FILE", default_value = BASELINE)]
    pub baseline: PathBuf,
    /// Learn from a file again
    #[arg(long)]
    pub force: bool,
}

/// The baseline, where none is named.
pub(super) const BASELINE: &str = ".wi/baseline.v1.jsonl";

/// From so many bytes on a baseline is worth a word.
const LARGE: usize = baseline::LARGEST / 2;

pub(in crate::cli) fn run(args: ScanArgs) -> Result<Success, Failure> {
    if args.files.is_empty() && args.from_bigquery.is_empty() && !args.live {
        return Err(Failure::Message(
            "nothing to read: name files of logs, `-` for standard input, or pass --live"
                .to_owned(),
        ));
    }
    let only = detectors(&args.detectors)?;
    let spec = spec(&args.spec)?;
    let mut expected = expectation(&args, spec.as_ref())?;
    let known = match &args.baseline {
        Some(file) => read_baseline(file, args.learn)?,
        None => read_baseline(Path::new(BASELINE), true)?,
    };
    let digests = Digests::default();
    let mut named = files::named(&args.files)?;
    named.extend(args.from_bigquery.iter().cloned());
    let count = named.len();
    let mut read = logs::facts(files::inputs(named, args.learn.then(|| digests.clone())));
    let seen = match args.live {
        true => look(&args, spec.as_ref(), &mut expected, &mut read)?,
        false => Seen::default(),
    };
    let today = when::day_of(jiff::Timestamp::now().as_microsecond());
    let found = detect::detect(&read.facts, &known, &expected, &only, today);
    let mut findings = report::findings(&found, &read, &expected);
    findings.not_seen.extend(seen.not_seen);
    findings.warnings.extend(seen.warnings);
    if spec.is_none() {
        let told = "No spec was read: the past alone decides. Name it with --spec.";
        findings.warnings.push(told.to_owned());
    }
    let looked_at = report::looked_at(&read, count, &found);
    let report = crate::scan::Report {
        findings,
        keys: Vec::new(),
        looked_at,
    };
    show(&report, &args)?;
    if args.learn {
        let file = args
            .baseline
            .clone()
            .unwrap_or_else(|| PathBuf::from(BASELINE));
        let mut digests = digests.all();
        digests.extend(seen.source);
        add(&file, known, &read, &digests, false)?;
    }
    if !report.findings.is_complete() && !args.allow_incomplete {
        return Err(Failure::Message(
            "not all could be read; see above. Pass --allow-incomplete to go by what could be"
                .to_owned(),
        ));
    }
    Ok(args.fail_on.judge(&report.findings))
}

/// What Cloud Logging was asked for, besides entries.
#[derive(Default)]
struct Seen {
    not_seen: Vec<NotSeen>,
    warnings: Vec<String>,
    /// What a baseline calls it.
    source: Option<String>,
}

/// Reads the logs of the spec's projects, whether they are on, and what clusters and roles say of identities.
fn look(
    args: &ScanArgs,
    spec: Option<&Spec>,
    expected: &mut Expected,
    read: &mut logs::Read,
) -> Result<Seen, Failure> {
    let mut projects = Vec::new();
    let own = expected.projects.iter().map(|p| ("the spec", p));
    for (of, text) in own.chain(args.project.iter().map(|p| ("--project", p))) {
        let id = ProjectId::parse(text).map_err(|e| format!("{of}: {}", e.0))?;
        if !projects.contains(&id) {
            projects.push(id);
        }
    }
    if projects.is_empty() {
        return Err(Failure::Message(
            "--live: of which projects? Name a spec, or --project".to_owned(),
        ));
    }
    connect::runtime()?.block_on(async {
        let (http, session) = match args.connect.sandbox {
            None => (connect::connect(&args.connect)?, None),
            Some(_) => {
                let input = Input::load(&args.spec, None)?;
                let session = Session::open(&args.connect, &args.spec, || input.declared()).await?;
                (session.http.clone(), Some(session))
            }
        };
        let (mut warnings, mut not_seen) = live::switched_off(&http, &projects).await;
        if let Some(spec) = spec {
            warnings.extend(around::look(&http, spec, expected).await);
        }
        let ahead = http.clock_ahead().unwrap_or_default();
        let now = (jiff::Timestamp::now() - ahead).as_microsecond();
        let wanted = live::Wanted {
            projects,
            filter: filter::all(expected),
            since: since(&args.since, now)?,
            until: now,
            most: args.max_entries,
        };
        let mut into = Collector::new(Arc::default());
        not_seen.extend(live::read(&http, &wanted, &mut into, &mut print::note).await);
        read.facts.merge(into.finish());
        if let Some(session) = session {
            session.close().await?;
        }
        warnings.sort();
        let from = when::rfc3339(wanted.since);
        let to = when::rfc3339(wanted.until);
        Ok(Seen {
            not_seen,
            warnings,
            source: Some(format!("live:{from}/{to}")),
        })
    })
}

pub(in crate::cli) fn learn(args: LearnArgs) -> Result<Success, Failure> {
    let known = read_baseline(&args.baseline, true)?;
    let digests = Digests::default();
    let named = files::named(&args.files)?;
    let read = logs::facts(files::inputs(named, Some(digests.clone())));
    if let Some((file, why)) = read.broken.first() {
        return Err(Failure::Message(format!(
            "cannot read {}: {}; nothing was learned",
            safe(file),
            safe(why)
        )));
    }
    add(&args.baseline, known, &read, &digests.all(), args.force)?;
    Ok(Success::Ok)
}

/// Adds what was read to a baseline.
fn add(
    file: &Path,
    mut known: Baseline,
    read: &logs::Read,
    digests: &[String],
    force: bool,
) -> Result<(), Failure> {
    let again = digests.iter().find(|d| known.sources.contains_key(*d));
    if let Some(again) = again.filter(|_| !force) {
        return Err(Failure::Message(format!(
            "{} has learned from this already ({again}): --force of `wi logs learn` counts it twice",
            file.display()
        )));
    }
    known.merge(&Baseline::of(&read.facts, digests));
    let text = known.text();
    let name = file.display();
    if text.len() > baseline::LARGEST {
        return Err(Failure::Message(format!(
            "the baseline would have {} MB, and more than {} are not read: learn from fewer principals",
            text.len() >> 20,
            baseline::LARGEST >> 20
        )));
    }
    if text.len() > LARGE {
        print::note(&format!(
            "Warning: {name} has {} MB by now.\n",
            text.len() >> 20
        ));
    }
    if let Some(directory) = file.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)
            .map_err(|e| Failure::Message(format!("cannot make {}: {e}", directory.display())))?;
    }
    write(file, &text)?;
    print::note(&format!(
        "Learned from {} entries: {} principals in {name}.\n",
        detect::thousands(read.facts.counts.entries),
        known.principals.len()
    ));
    Ok(())
}

fn detectors(given: &[String]) -> Result<Vec<Detector>, Failure> {
    let parse = |text: &String| {
        Detector::parse(text.trim()).ok_or_else(|| {
            let text = safe(text);
            Failure::Message(format!(
                "--detectors: there is no `{text}`: they are L1 to L16"
            ))
        })
    };
    given.iter().map(parse).collect()
}

/// What the spec and the flags expect.
fn expectation(args: &ScanArgs, spec: Option<&Spec>) -> Result<Expected, Failure> {
    let mut all = spec.map(expected::of).unwrap_or_default();
    if let Some(file) = &args.ip_map {
        all.networks = expected::networks(file)?;
    }
    let email = |flag: &str, text: &str| {
        let email = Email::parse(text).map_err(|e| format!("{flag}: {}", e.0))?;
        Ok::<_, Failure>(name::principal(email.as_str()))
    };
    if let Some(wi) = &args.wi_identity {
        all.wi = Some(email("--wi-identity", wi)?);
    }
    for node in &args.node_account {
        all.node_accounts.insert(email("--node-account", node)?);
    }
    for given in &args.migrated {
        let (who, date) = match given.split_once('=') {
            Some((who, date)) => (Some(email("--migrated", who)?), date),
            None => (None, given.as_str()),
        };
        let day = when::day_from(date).ok_or_else(|| {
            Failure::Message(format!(
                "--migrated: `{}` is no date: 2026-11-05",
                safe(date)
            ))
        })?;
        match who {
            Some(who) => _ = all.migrated.insert(who, day * when::DAY),
            None => all.migrated_all = Some(day * when::DAY),
        }
    }
    Ok(all)
}

fn show(report: &crate::scan::Report, args: &ScanArgs) -> Result<(), Failure> {
    let text = || view::text::findings(&report.findings, &report.looked_at, print::width());
    args.report.put(report, text)
}
