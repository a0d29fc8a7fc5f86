//! `wi logs summary` and `wi logs permissions`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use wi_core::words::safe;
use wi_logs::collect::Seen;
use wi_logs::detect::Report;
use wi_logs::name;
use wi_logs::summary::{self, Permissions};

use super::super::{Failure, Success};
use super::spec;
use crate::logs::{self, expected, files, report};
use crate::view::{logs as view, print};

#[derive(Debug, Args)]
pub(in crate::cli) struct SummaryArgs {
    /// Files of logs, directories with them, `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The form of the table
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PermissionsArgs {
    /// NAMESPACE/KSA, the name of an account in the spec, an email, or a principal as entries have it
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
    /// Files of logs, directories with them, `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The spec, for names
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub spec: Vec<PathBuf>,
    /// The form of the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    Text,
    Json,
}

pub(in crate::cli) fn summary(args: SummaryArgs) -> Result<Success, Failure> {
    let named = files::named(&args.files)?;
    let count = named.len();
    let read = logs::facts(files::inputs(named, None));
    let used = summary::summary(&read.facts);
    let looked_at = report::looked_at(&read, count, &Report::default());
    print::data(&match args.format {
        Format::Text => view::summary(&used, &looked_at),
        Format::Json => view::summary_json(&used, &looked_at),
    })?;
    whole(&read.broken)
}

/// An error, if something could not be read.
fn whole(broken: &[(String, String)]) -> Result<Success, Failure> {
    match broken.first() {
        None => Ok(Success::Ok),
        Some((file, why)) => Err(Failure::Message(format!(
            "{} could not be read to its end: {}",
            safe(file),
            safe(why)
        ))),
    }
}

pub(in crate::cli) fn permissions(args: PermissionsArgs) -> Result<Success, Failure> {
    let spec = spec(&args.spec)?;
    let all = spec.as_ref().map(expected::of).unwrap_or_default();
    let subject = args.subject.trim();
    let named: Vec<String> = match subject.split_once('/') {
        // On several clusters it may be of several pools.
        Some((namespace, ksa)) if namespace != "gsa" && !subject.contains(['[', ':']) => {
            let end = format!("[{namespace}/{ksa}]");
            let known = all.identities.keys().filter(|p| p.ends_with(&end));
            known.cloned().collect()
        }
        _ => {
            let names = spec.as_ref().map(expected::names).unwrap_or_default();
            let subject = subject.strip_prefix("gsa/").unwrap_or(subject);
            let email = names.get(subject).cloned();
            email
                .or_else(|| subject.contains('@').then(|| name::principal(subject)))
                .or_else(|| name::is_ksa(subject).then(|| subject.to_owned()))
                .or_else(|| subject.contains(':').then(|| name::principal(subject)))
                .into_iter()
                .collect()
        }
    };
    if named.is_empty() {
        return Err(Failure::Message(format!(
            "nobody is called `{}`: NAMESPACE/KSA or an account of the spec, an email, or serviceAccount:POOL[NAMESPACE/KSA]",
            safe(subject)
        )));
    }
    let files = files::named(&args.files)?;
    let seen = Arc::new(Seen::default());
    let outcome = logs::gather(files::inputs(files, None), || {
        Permissions::of(named.iter().cloned(), Arc::clone(&seen))
    });
    let mut found = Permissions::of(named.iter().cloned(), Arc::clone(&seen));
    for part in outcome.parts {
        found.merge(part);
    }
    let identities = named.iter().filter_map(|n| all.identity(n));
    let mut unseen: Vec<String> = identities
        .flat_map(wi_logs::expected::Identity::services)
        .filter(|s| !found.services.contains_key(*s))
        .map(str::to_owned)
        .collect();
    unseen.sort();
    unseen.dedup();
    print::data(&match args.format {
        Format::Text => view::permissions(&found, &unseen),
        Format::Json => view::permissions_json(&found, &unseen),
    })?;
    whole(&outcome.broken)
}
