//! `wi verify`: proof that workloads may do what the spec says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use wi_core::access::Subject;
use wi_core::access::ladder::Link;
use wi_core::desired::{Desired, DesiredKsa, KsaKey};
use wi_core::resource::Resource;
use wi_core::words::safe;

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::report::put;
use super::{Failure, Success, again};
use crate::engine::pipeline::{Found, Input};
use crate::explain::{self, Query};
use crate::verify::{self, Jobs, Outcome, Proof, Wanted};
use crate::view::print;
use crate::view::verify::{self as view, Report};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct VerifyArgs {
    /// Spec files and directories (default: this directory), then whose access is proven, where that is not
    /// everybody's: NAMESPACE/SERVICEACCOUNT, CLUSTER/NAMESPACE/SERVICEACCOUNT, gsa/NAME, an email, or the
    /// address of a change
    #[arg(value_name = "[PATH]... [SUBJECT]")]
    pub args: Vec<String>,
    /// In place of the spec's grants, try this: bucket/NAME and the like, or a full resource name
    #[arg(
        long,
        value_name = "RESOURCE",
        requires = "permission",
        help_heading = TRIED
    )]
    pub to: Option<String>,
    /// The permission that is tried there, such as storage.objects.get
    #[arg(
        long,
        value_name = "PERMISSION",
        requires = "to",
        help_heading = TRIED
    )]
    pub permission: Option<String>,
    /// This cluster alone (repeatable)
    #[arg(long, value_name = "CLUSTER", help_heading = TRIED)]
    pub cluster: Vec<String>,
    /// Try again what does not hold, for so long: policies take minutes to be in force everywhere
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10m",
        value_parser = duration,
        help_heading = TRIED
    )]
    pub wait_propagation: Option<Duration>,
    /// From where it is tried: from here, or from a pod of a Job for each, too, which proves its node, metadata server and
    /// network
    #[arg(long, value_enum, default_value_t = Mode::Simulate, help_heading = TRIED)]
    pub mode: Mode,
    /// The image of the Jobs, with curl in it, such as a mirror of curlimages/curl
    #[arg(long, value_name = "IMAGE", required_if_eq("mode", "job"), help_heading = TRIED)]
    pub image: Option<String>,
    /// How long a Job may take
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration, help_heading = TRIED)]
    pub timeout: Duration,
    /// The form of the proofs
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = heading::OUTPUT)]
    pub format: Format,
    /// Write the proofs to this file, and the text to standard output
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

const TRIED: &str = "What is tried";

/// From where it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    Simulate,
    Job,
}

/// The form of the proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Junit,
}

/// `10m`, `90s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let read: Option<SignedDuration> = text.parse().ok();
    let read = read.and_then(|d| Duration::try_from(d).ok());
    read.ok_or_else(|| "write a duration such as 10m or 90s".to_owned())
}

/// The most service accounts of which the broken link is looked for.
const MOST_EXPLAINED: usize = 10;

pub(super) fn run(args: VerifyArgs) -> Result<Success, Failure> {
    let (paths, subjects) = paths_and_subjects(&args.args)?;
    let input = Input::load(&paths, None)?;
    let report = connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &paths, || input.declared()).await?;
        let report = prove(&session, input, &args, &paths, &subjects).await;
        session.close().await?;
        report
    })?;
    show(&args, &report)?;
    match (
        report.count(Outcome::Broken),
        report.count(Outcome::Untried),
    ) {
        (0, 0) => Ok(Success::Ok),
        (0, _) => Err(Failure::Said),
        _ => Ok(Success::Findings),
    }
}

async fn prove(
    session: &Session,
    input: Input,
    args: &VerifyArgs,
    paths: &[PathBuf],
    subjects: &[Subject],
) -> Result<Report, Failure> {
    let run = verify::run_name();
    let http = session.http.calling_for(&run);
    let found = input.on_all_clusters(&http).await?;
    let unlisted = found.unlisted.iter();
    let not_seen: Vec<(String, String)> = unlisted
        .map(|(place, why)| (place.to_string(), why.to_string()))
        .collect();
    let desired = &found.desired;
    let only = chosen(desired, subjects, &args.cluster)?;
    if desired.ksas.is_empty() && not_seen.is_empty() {
        let why = "the spec has no Kubernetes service account: there is nothing to prove";
        return Err(Failure::Message(why.to_owned()));
    }
    let to = match (&args.to, &args.permission) {
        (Some(to), Some(permission)) => Some((resource(desired, to)?, permission.clone())),
        _ => None,
    };
    let image = args.image.clone().filter(|_| args.mode == Mode::Job);
    let jobs = image.map(|image| Arc::new(Jobs::new(image, args.timeout, &run)));
    let wanted = Wanted {
        only,
        to,
        wait: args.wait_propagation.unwrap_or_default(),
        jobs: jobs.clone(),
    };
    let told = |text: &str| print::note(&safe(text));
    let proofs = verify::verify(&http, desired, &found.lists, &wanted, &told);
    let proofs = match &jobs {
        None => proofs.await,
        Some(jobs) => until_interrupted(jobs, proofs).await?,
    };
    let because = because(&http, &found, &proofs).await;
    Ok(Report {
        run,
        proofs,
        not_seen,
        because,
        jobs: jobs.map(|jobs| jobs.image.clone()),
        hints: again::hints(paths, &args.connect),
    })
}

/// ^C ends what is under way, and no Job is left behind.
async fn until_interrupted(
    jobs: &Jobs,
    proofs: impl Future<Output = Vec<Proof>>,
) -> Result<Vec<Proof>, Failure> {
    let mut interrupts = connect::Interrupts::new()?;
    let mut proofs = std::pin::pin!(proofs);
    tokio::select! {
        proofs = &mut proofs => return Ok(proofs),
        () = interrupts.next() => {}
    }
    jobs.stop.cancel();
    print::note(
        "Interrupt received: the Jobs are deleted. A second interrupt stops at once; the clusters delete them then, minutes later.\n",
    );
    tokio::select! {
        proofs = &mut proofs => Ok(proofs),
        () = interrupts.next() => Err(Failure::Message("interrupted".to_owned())),
    }
}

/// What is a path comes first; what is none is a subject.
fn paths_and_subjects(args: &[String]) -> Result<(Vec<PathBuf>, Vec<Subject>), Failure> {
    let is_path = |arg: &&String| Path::new(arg.as_str()).exists();
    let count = args.iter().take_while(is_path).count();
    let (paths, subjects) = args.split_at(count);
    let mut paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(PathBuf::from("."));
    }
    let subjects: Result<Vec<Subject>, String> = subjects.iter().map(|s| subject(s)).collect();
    Ok((paths, subjects?))
}

fn subject(text: &str) -> Result<Subject, String> {
    let subject = Subject::parse(text).map_err(|why| match text.contains('/') {
        true => why.to_string(),
        false => format!("there is no file or directory `{}`, and {why}", safe(text)),
    })?;
    match subject {
        Subject::Ksa { .. } | Subject::Account(_) => Ok(subject),
        Subject::Pod { .. } | Subject::Workload { .. } => Err(format!(
            "`{}`: tokens are of service accounts, not of pods: name NAMESPACE/SERVICEACCOUNT. `wi explain {}` looks at the pod itself",
            safe(text),
            safe(text)
        )),
    }
}

/// The service accounts that are meant; `None`: all.
fn chosen(
    desired: &Desired,
    subjects: &[Subject],
    clusters: &[String],
) -> Result<Option<BTreeSet<KsaKey>>, Failure> {
    if let Some(unknown) = clusters.iter().find(|c| !desired.clusters.contains_key(*c)) {
        let names: Vec<&str> = desired.clusters.keys().map(String::as_str).collect();
        return Err(Failure::Message(format!(
            "the spec has no cluster `{}`: it has {}",
            safe(unknown),
            names.join(", ")
        )));
    }
    if subjects.is_empty() && clusters.is_empty() {
        return Ok(None);
    }
    let on_cluster = |key: &KsaKey| clusters.is_empty() || clusters.contains(&key.cluster);
    let mut all = BTreeSet::new();
    let none_named = [None];
    let named: Vec<Option<&Subject>> = match subjects {
        [] => none_named.to_vec(),
        some => some.iter().map(Some).collect(),
    };
    for subject in named {
        let of_subject = desired.ksas.iter().filter(|(key, ksa)| {
            on_cluster(key) && subject.is_none_or(|s| is_meant(desired, s, key, ksa))
        });
        let before = all.len();
        all.extend(of_subject.map(|(key, _)| key.clone()));
        if let (Some(subject), true) = (subject, all.len() == before) {
            return Err(Failure::Message(format!(
                "the spec has no service account of a pod that is {}, on the clusters that are looked at",
                in_words(subject)
            )));
        }
    }
    Ok(Some(all))
}

fn is_meant(desired: &Desired, subject: &Subject, key: &KsaKey, ksa: &DesiredKsa) -> bool {
    match subject {
        Subject::Ksa {
            cluster,
            namespace,
            name,
        } => {
            cluster.as_ref().is_none_or(|c| *c == key.cluster)
                && key.namespace.as_str() == namespace
                && key.name.as_str() == name
        }
        Subject::Account(name) => ksa.account.as_ref().is_some_and(|email| {
            let of_spec = desired.accounts.get(name).map(|a| &a.email);
            email.as_str() == name || of_spec == Some(email)
        }),
        Subject::Pod { .. } | Subject::Workload { .. } => false,
    }
}

fn in_words(subject: &Subject) -> String {
    match subject {
        Subject::Ksa {
            cluster: Some(cluster),
            namespace,
            name,
        } => safe(&format!("{cluster}/{namespace}/{name}")),
        Subject::Ksa {
            namespace, name, ..
        } => safe(&format!("{namespace}/{name}")),
        Subject::Account(name) => safe(name),
        Subject::Pod { namespace, name }
        | Subject::Workload {
            namespace, name, ..
        } => safe(&format!("{namespace}/{name}")),
    }
}

/// As the spec writes it, or in full. Where its project is left out, it is that of a grant of the spec.
fn resource(desired: &Desired, text: &str) -> Result<Resource, Failure> {
    let homes = desired.accounts.values().map(|a| &a.project);
    let mut homes = homes.chain(desired.clusters.values().map(|c| &c.path.project));
    let granted = |resource: &Resource| desired.bindings.keys().any(|k| k.resource == *resource);
    let known = homes
        .clone()
        .filter_map(|p| Resource::parse(text, Some(p)).ok())
        .find(granted);
    match known {
        Some(resource) => Ok(resource),
        None => {
            Resource::parse(text, homes.next()).map_err(|e| Failure::Message(format!("--to: {e}")))
        }
    }
}

/// The first broken link of what does not hold, as `wi explain` finds it by what it reads.
async fn because(
    http: &wi_client::http::Http,
    found: &Found,
    proofs: &[Proof],
) -> BTreeMap<KsaKey, Link> {
    let broken = proofs.iter().filter_map(|p| Some((p, p.broken()?)));
    let now = Timestamp::now() - http.clock_ahead().unwrap_or_default();
    let links = broken.take(MOST_EXPLAINED).map(async |(proof, step)| {
        let key = &proof.key;
        let asked = step.asked.as_ref();
        let query = Query {
            subject: Subject::Ksa {
                cluster: Some(key.cluster.clone()),
                namespace: key.namespace.to_string(),
                name: key.name.to_string(),
            },
            to: asked.map(|(_, resource)| resource.to_string()),
            permission: asked.map(|(permission, _)| permission.clone()),
            at: Some(now),
            cluster: None,
            project: None,
        };
        let chains = explain::explain(http, Some(found.clone()), &query).await;
        let chain = chains.ok()?.into_iter().next()?;
        Some((key.clone(), chain.ladder.first()?.clone()))
    });
    join_all(links).await.into_iter().flatten().collect()
}

fn show(args: &VerifyArgs, report: &Report) -> Result<(), Failure> {
    let rendered = match args.format {
        Format::Text => view::text(report, print::width()),
        Format::Json => view::json::proofs(report),
        Format::Junit => view::junit(report),
    };
    put(&rendered, args.out.as_deref(), || {
        view::text(report, print::width())
    })
}
