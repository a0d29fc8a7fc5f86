//! `wi explain`: why a pod may do something, or may not.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use wi_core::access::Subject;
use wi_core::access::ladder::Verdict;
use wi_core::desired::Desired;
use wi_core::names::ProjectId;

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::{Failure, Success, again};
use crate::engine::pipeline::Input;
use crate::explain::messages::{self, Message};
use crate::explain::{self, Chain, Query};
use crate::view::{self, print};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct ExplainArgs {
    /// Spec files and directories (default: this directory, if it has a spec), then whose access is asked
    /// for: NAMESPACE/SERVICEACCOUNT, pod/NAMESPACE/NAME, deploy/NAMESPACE/NAME, gsa/NAME, an email, or the
    /// address of a change
    #[arg(value_name = "[PATH]... SUBJECT")]
    pub args: Vec<String>,
    /// On what: bucket/NAME and the like, as in the spec, or a full resource name
    #[arg(long, value_name = "RESOURCE", help_heading = "What is asked")]
    pub to: Option<String>,
    /// Which permission, such as storage.objects.get
    #[arg(
        long,
        value_name = "PERMISSION",
        requires = "to",
        help_heading = "What is asked"
    )]
    pub permission: Option<String>,
    /// A client's or a server's message: say which link it means (@FILE: from a file; -: standard input)
    #[arg(long, value_name = "TEXT", help_heading = "What is asked")]
    pub error: Option<String>,
    /// Evaluate conditions as of this time (default: now)
    #[arg(long, value_name = "TIME", help_heading = "What is asked")]
    pub at: Option<Timestamp>,
    /// This cluster alone: the spec's name, or GKE's with --project
    #[arg(long, value_name = "NAME", help_heading = "What is asked")]
    pub cluster: Option<String>,
    /// Without a spec: the project of the clusters
    #[arg(long, value_name = "ID", help_heading = "What is asked")]
    pub project: Option<ProjectId>,
    /// Exit with 2 where a link is broken
    #[arg(long, help_heading = heading::OUTPUT)]
    pub detailed_exitcode: bool,
    /// Print JSON
    #[arg(long, help_heading = heading::OUTPUT)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// The longest message that is read, in bytes.
const LONGEST: u64 = messages::LONGEST as u64;

pub(super) fn run(args: ExplainArgs) -> Result<Success, Failure> {
    let message = match &args.error {
        Some(error) => Some(messages::read(&text(error)?)),
        None => None,
    };
    let (paths, subject) = paths_and_subject(&args)?;
    let Some(subject) = subject else {
        let message = message.ok_or_else(|| {
            Failure::Message("say whose access is asked for: NAMESPACE/SERVICEACCOUNT, pod/NAMESPACE/NAME, gsa/NAME …, or --error TEXT".to_owned())
        })?;
        return show(&args, &paths, Some(&message), &[]);
    };
    let query = query(&args, subject, message.as_ref());
    let chains = connect::runtime()?.block_on(chains(&args, &paths, &query))?;
    show(&args, &paths, message.as_ref(), &chains)
}

async fn chains(
    args: &ExplainArgs,
    paths: &[PathBuf],
    query: &Query,
) -> Result<Vec<Chain>, Failure> {
    // Without a spec the live state can be asked all the same.
    let no_spec = crate::engine::load(paths)
        .is_err_and(|errors| errors.mistakes().iter().all(|m| m.code == "no_spec"));
    let input = match no_spec {
        true => None,
        false => Some(Input::load(paths, None)?),
    };
    let declared = || match &input {
        Some(input) => input.declared(),
        None => Desired::default(),
    };
    let session = Session::open(&args.connect, paths, declared).await?;
    let found = match input {
        Some(input) => Some(input.on_all_clusters(&session.http).await?),
        None => None,
    };
    let now = Timestamp::now() - session.http.clock_ahead().unwrap_or_default();
    let query = Query {
        at: query.at.or(Some(now)),
        ..query.clone()
    };
    let chains = explain::explain(&session.http, found, &query).await;
    session.close().await?;
    Ok(chains?)
}

/// The last argument is the subject; with a message there may be none.
fn paths_and_subject(args: &ExplainArgs) -> Result<(Vec<PathBuf>, Option<Subject>), Failure> {
    let mut rest = args.args.clone();
    let subject = match rest.last() {
        None => None,
        Some(last) if args.error.is_some() && PathBuf::from(last).exists() => None,
        Some(last) => Some(Subject::parse(last)?),
    };
    if subject.is_some() {
        rest.pop();
    }
    if rest.is_empty() {
        rest.push(".".to_owned());
    }
    Ok((rest.into_iter().map(PathBuf::from).collect(), subject))
}

/// What is not said is taken from the message.
fn query(args: &ExplainArgs, subject: Subject, message: Option<&Message>) -> Query {
    let of_message = message.filter(|_| args.to.is_none());
    // What denies tokens of an account is a link of its own, and not asked for.
    let permission = of_message
        .and_then(|m| m.permission.clone())
        .filter(|p| !p.starts_with("iam.serviceAccounts.get"));
    let to = of_message
        .and_then(|m| m.resource.clone())
        .filter(|_| permission.is_some());
    Query {
        subject,
        permission: args
            .permission
            .clone()
            .or(permission.filter(|_| to.is_some())),
        to: args.to.clone().or(to),
        at: args.at,
        cluster: args.cluster.clone(),
        project: args.project.clone(),
    }
}

fn text(error: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    match error.strip_prefix('@') {
        Some(file) => {
            let opened = std::fs::File::open(file);
            let read = opened.and_then(|f| f.take(LONGEST).read_to_end(&mut bytes));
            read.map_err(|e| Failure::Message(format!("cannot read {file}: {e}")))?;
        }
        None if error == "-" => {
            let read = std::io::stdin().take(LONGEST).read_to_end(&mut bytes);
            read.map_err(|e| Failure::Message(format!("cannot read standard input: {e}")))?;
        }
        None => return Ok(error.to_owned()),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn show(
    args: &ExplainArgs,
    paths: &[PathBuf],
    message: Option<&Message>,
    chains: &[Chain],
) -> Result<Success, Failure> {
    let hints = again::hints(paths, &args.connect);
    if args.json {
        print::data(&view::explain::json(message, chains, &hints))?;
    } else {
        print::data(&view::explain::text(
            message,
            chains,
            &hints,
            print::width(),
        ))?;
    }
    let broken = chains.iter().any(|c| c.ladder.first().is_some());
    let unknown = chains.iter().any(|c| c.ladder.verdict == Verdict::Unknown);
    let unread = message.is_some_and(|m| m.signature.is_none());
    match (broken, unknown || unread) {
        (true, _) if args.detailed_exitcode => Ok(Success::Changes),
        (true, _) => Ok(Success::Ok),
        (false, true) => Err(Failure::Said),
        (false, false) => Ok(Success::Ok),
    }
}
