//! `wi logs`: what is unusual in audit logs, who used what, and how to get at them.

mod at_google;
mod scan;
mod used;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use wi_client::files;
use wi_core::spec::model::Spec;
use wi_core::words::safe;
use wi_logs::baseline::{self, Baseline};
use wi_logs::when::Micros;

use super::{Failure, Success};
use crate::logs::live;

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    #[command(subcommand)]
    command: LogsCommand,
}

#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Find what is unusual, by the spec and by the past
    Scan(Box<scan::ScanArgs>),
    /// Learn what is usual into a baseline
    Learn(scan::LearnArgs),
    /// Print who used what
    Summary(used::SummaryArgs),
    /// Print the permissions that somebody used
    Permissions(used::PermissionsArgs),
    /// Print filters of Cloud Logging for the spec's identities
    Filters(at_google::FilterArgs),
    /// Print the commands that make a log sink to BigQuery
    Sink(at_google::SinkArgs),
    /// Print the query that brings a sink's dataset down to what is looked at
    Sql(at_google::SqlArgs),
}

pub(super) fn run(args: LogsArgs) -> Result<Success, Failure> {
    match args.command {
        LogsCommand::Scan(args) => scan::run(*args),
        LogsCommand::Learn(args) => scan::learn(args),
        LogsCommand::Summary(args) => used::summary(args),
        LogsCommand::Permissions(args) => used::permissions(args),
        LogsCommand::Filters(args) => at_google::filters(args),
        LogsCommand::Sink(args) => at_google::sink(args),
        LogsCommand::Sql(args) => at_google::sql(args),
    }
}

/// The spec, if there is one: without any, the past alone decides.
fn spec(paths: &[PathBuf]) -> Result<Option<Spec>, Failure> {
    match crate::engine::load(paths) {
        Ok(spec) => Ok(Some(spec)),
        Err(errors) if errors.mistakes().iter().all(|m| m.code == "no_spec") => Ok(None),
        Err(errors) => Err(errors.into()),
    }
}

/// The moment that lies `7d` before another.
fn since(text: &str, now: Micros) -> Result<Micros, Failure> {
    let before = live::duration(text).ok_or_else(|| {
        Failure::Message(format!(
            "--since: `{}` is no time: 7d, 36h or 90m",
            safe(text)
        ))
    })?;
    let before = Micros::try_from(before.as_micros()).unwrap_or(Micros::MAX);
    Ok(now.saturating_sub(before))
}

/// A baseline; an empty one, where a file that is to be written is not there yet.
fn read_baseline(file: &Path, may_be_new: bool) -> Result<Baseline, Failure> {
    let name = file.display();
    if may_be_new && !file.exists() {
        return Ok(Baseline::default());
    }
    let bytes = files::read(file, baseline::LARGEST as u64)
        .map_err(|e| Failure::Message(format!("cannot read {name}: {e}")))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::Message(format!("{name} is not text")))?;
    Baseline::parse(&text).map_err(|e| Failure::Message(format!("{name}:{e}")))
}
