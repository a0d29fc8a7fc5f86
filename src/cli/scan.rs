//! `wi scan`: static keys, where they lie, and who uses them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use wi_client::http::Http;
use wi_core::desired::Desired;
use wi_core::findings::{NotSeen, accepted};
use wi_core::names::ProjectId;
use wi_core::words::safe;

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::report::{FailOn, ReportArgs, accepted_file, put, read_accepted, write_draft};
use super::secrets::SecretsArgs;
use super::{Failure, Success};
use crate::engine::pipeline::Input;
use crate::scan::live::{Live, ReadSecrets, read, see, tell};
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
    /// Look at the clusters and projects of the spec, too, and tell who uses which key
    #[arg(long, help_heading = SEARCHED)]
    pub live: bool,
    /// Look at the keys of this project's accounts, too (repeatable; without a spec, at them alone)
    #[arg(long, value_name = "PROJECT", requires = "live", help_heading = SEARCHED)]
    pub project: Vec<String>,
    /// Only this cluster of the spec (repeatable)
    #[arg(long, value_name = "CLUSTER", requires = "live", help_heading = SEARCHED)]
    pub cluster: Vec<String>,
    #[command(flatten)]
    pub secrets: SecretsArgs,
    /// Which custom resources are looked at
    #[arg(long, value_enum, default_value_t = Custom::Known, help_heading = SEARCHED)]
    pub custom_resources: Custom,
    /// What is asked for the use of keys
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values_t = [Source::Metrics, Source::Activity],
        help_heading = SEARCHED
    )]
    pub evidence: Vec<Source>,
    /// Exit with 2 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Medium, help_heading = JUDGED)]
    pub fail_on: FailOn,
    /// The file of accepted findings (default: wi-scan.yaml in the first PATH, if it is there)
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub baseline: Option<PathBuf>,
    /// Write a file that accepts what is open, for you to fill in the reasons
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub write_baseline: Option<PathBuf>,
    /// Exit with 0 or 2 although something could not be looked at
    #[arg(long, help_heading = JUDGED)]
    pub allow_incomplete: bool,
    #[command(flatten)]
    pub report: ReportArgs,
    /// Print who has which key as a graph
    #[arg(long, value_enum, conflicts_with = "format", help_heading = heading::OUTPUT)]
    pub graph: Option<Graph>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Which custom resources are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Custom {
    Known,
    None,
}

/// What tells of the use of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Source {
    Metrics,
    Activity,
    Logs,
    None,
}

/// The languages of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Graph {
    Dot,
    Mermaid,
}

const SEARCHED: &str = "What is looked through";
const JUDGED: &str = "What counts";

/// The file of accepted findings, where none is named.
const BASELINE: &str = "wi-scan.yaml";

pub(super) fn run(args: ScanArgs) -> Result<Success, Failure> {
    if args.secrets.mode() != ReadSecrets::None && !args.live {
        return Err(Failure::Message(
            "--read-secrets is about clusters: pass --live, too".to_owned(),
        ));
    }
    let today = jiff::Zoned::now().date();
    // Mistakes of the file are told before the work is done.
    let file = accepted_file(args.baseline.as_deref(), &args.paths, BASELINE);
    let accepted = read_accepted(file.as_deref(), today, &accepted::SCAN)?;
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
    let live = match args.live {
        true => Some(look(&args, &report::sightings(&walked, history.as_ref()))?),
        false => None,
    };
    let in_clusters = live.iter().flat_map(|l| &l.clusters.sightings);
    let in_clusters = in_clusters.map(|(_, s)| s.clone()).collect();
    let mut report = report::of(&walked, history.as_ref(), in_clusters);
    match &live {
        Some(live) => {
            tell::add(&mut report, &live.clusters, &live.projects, &live.judged);
            report.findings.not_seen.extend(live.not_seen.clone());
        }
        None => {
            let told = "clusters and accounts (--live)".to_owned();
            report.findings.out_of_reach.push(told);
        }
    }
    report.findings.out_of_reach.push(BEYOND.to_owned());
    report.findings.sort();
    if let Some((entries, file)) = &accepted {
        accepted::accept_and_warn(&mut report.findings, entries, file, today);
    }
    if let Some(file) = &args.write_baseline {
        write_draft(file, &report.findings, today, &accepted::SCAN)?;
    }
    show(&report, &args)?;
    if !report.findings.is_complete() && !args.allow_incomplete {
        return Err(Failure::Message(
            "the scan is incomplete; see above. Pass --allow-incomplete to go by what could be looked at".to_owned(),
        ));
    }
    Ok(args.fail_on.judge(&report.findings))
}

/// What no scan looks at.
const BEYOND: &str =
    "images, registries, artefact stores, Secret Manager, secrets of CI servers, other machines";

/// Looks at clusters and projects.
fn look(args: &ScanArgs, in_files: &[report::Sighting]) -> Result<Live, Failure> {
    let mut ids = BTreeSet::new();
    for project in &args.project {
        let id = ProjectId::parse(project).map_err(|e| format!("--project: {}", e.0))?;
        ids.insert(id);
    }
    let no_spec = !ids.is_empty()
        && args.connect.sandbox.is_none()
        && crate::engine::load(&args.paths)
            .is_err_and(|errors| errors.mistakes().iter().all(|m| m.code == "no_spec"));
    connect::runtime()?.block_on(async {
        if no_spec {
            let http = connect::connect(&args.connect)?;
            return seen(&http, args, None, ids, in_files, Vec::new()).await;
        }
        let input = Input::load(&args.paths, None)?;
        let session = Session::open(&args.connect, &args.paths, || input.declared()).await?;
        let found = input.on_all_clusters(&session.http).await?;
        let unlisted = found.unlisted.iter().map(|(what, why)| NotSeen {
            what: what.to_string(),
            why: why.to_string(),
        });
        let unlisted = unlisted.collect();
        let mut desired = found.desired;
        for name in &args.cluster {
            if !desired.clusters.contains_key(name) {
                let name = safe(name);
                return Err(Failure::Message(format!(
                    "--cluster {name}: the spec has no such cluster"
                )));
            }
        }
        if !args.cluster.is_empty() {
            desired
                .clusters
                .retain(|name, _| args.cluster.contains(name));
        }
        ids.extend(desired.accounts.values().map(|a| a.project.clone()));
        ids.extend(desired.clusters.values().map(|c| c.path.project.clone()));
        let live = seen(&session.http, args, Some(&desired), ids, in_files, unlisted).await;
        session.close().await?;
        live
    })
}

async fn seen(
    http: &Http,
    args: &ScanArgs,
    desired: Option<&Desired>,
    ids: BTreeSet<ProjectId>,
    in_files: &[report::Sighting],
    not_seen: Vec<NotSeen>,
) -> Result<Live, Failure> {
    let wanted = read::Wanted {
        secrets: args.secrets.mode(),
        custom: args.custom_resources == Custom::Known,
        metrics: args.evidence.contains(&Source::Metrics),
        activity: args.evidence.contains(&Source::Activity),
        logs: args.evidence.contains(&Source::Logs),
        only: None,
    };
    let consent = |looked: &[read::Looked]| args.secrets.consent(looked);
    let mut live = see(http, desired, &ids, &wanted, in_files, consent).await?;
    live.not_seen.extend(not_seen);
    Ok(live)
}

fn first(paths: &[PathBuf]) -> &Path {
    paths.first().map_or(Path::new("."), PathBuf::as_path)
}

fn show(report: &Report, args: &ScanArgs) -> Result<(), Failure> {
    let text = || {
        let width = print::width();
        let keys = view::keys::text(&report.keys, width);
        keys + &view::text::findings(&report.findings, &report.looked_at, width)
    };
    let graph = args.graph.map(|graph| match graph {
        Graph::Dot => view::keys::graph(&report.keys, view::keys::Language::Dot),
        Graph::Mermaid => view::keys::graph(&report.keys, view::keys::Language::Mermaid),
    });
    match graph {
        Some(graph) => put(&graph, args.report.out.as_deref(), text),
        None => args.report.put(report, text),
    }
}
