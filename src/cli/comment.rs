//! `wi comment`: a plan, or its failure, on a pull request.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use wi_client::forge::{self, Comment, Here, Kind, Label, Marker, Posted};
use wi_core::plan::Plan;
use wi_core::words::safe;

use super::{Failure, Success, again, connect, plan_file};
use crate::view::{markdown, print};

#[derive(Debug, Args)]
pub(super) struct CommentArgs {
    /// A plan that `wi plan --out` saved; `-` is standard input
    #[arg(
        value_name = "PLAN",
        required_unless_present = "failed",
        conflicts_with = "failed"
    )]
    pub plan: Option<PathBuf>,
    /// The plan failed, and this is what it printed
    #[arg(long, value_name = "LOG")]
    pub failed: Option<PathBuf>,
    /// Which of the repository's specs it is: there is one comment for each
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: String,
    /// The forge (default: that of the CI job)
    #[arg(long, value_enum)]
    pub forge: Option<Forge>,
    /// OWNER/NAME, or GitLab's project id (default: that of the CI job)
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,
    /// The pull request (default: that of the CI job)
    #[arg(long, value_name = "N")]
    pub number: Option<u64>,
    /// The commit that was planned: the head of the pull request (default: that of the CI job)
    #[arg(long, value_name = "COMMIT")]
    pub sha: Option<String>,
    /// Leave the labels of the pull request alone
    #[arg(long)]
    pub no_labels: bool,
    /// Print the comment instead of posting it
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Forge {
    /// github.com or GitHub Enterprise Server (GITHUB_TOKEN, GITHUB_API_URL)
    Github,
    /// gitlab.com or self-managed GitLab (GITLAB_TOKEN, CI_API_V4_URL)
    Gitlab,
}

/// How long rate limits and failures of the forge are waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much of a failed plan's log is read, in bytes; its end says what went wrong.
const LOG: u64 = 16 << 20;

/// A comment that every forge takes.
const SHORT: u32 = 4000;

pub(super) fn run(args: CommentArgs) -> Result<Success, Failure> {
    let mut apply = None;
    let subject = match (&args.plan, &args.failed) {
        (_, Some(log)) => Subject::Failed(read_log(log)?),
        (Some(plan), None) => {
            let file = plan_file::read(plan)?;
            let hash = file.hash();
            apply = Some(again::saved(&file));
            Subject::Plan(Box::new(file.plan), hash)
        }
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let here = here(&args);
    let about = markdown::About {
        root: Some(args.root.clone()),
        sha: here.sha.clone(),
        run_url: here.run_url.clone(),
        apply,
    };
    let comment = Comment {
        marker: Marker {
            root: args.root.clone(),
            sha: here.sha.clone().unwrap_or_default(),
            plan: subject.hash(),
            run: here.run,
        },
        body: subject.markdown(&about, markdown::COMMENT),
        short: subject.markdown(&about, SHORT),
    };
    if args.dry_run {
        print::data(&format!("{}\n{}", comment.marker, comment.body))?;
        return Ok(Success::Ok);
    }
    if let Some(summary) = &here.summary {
        append(
            Path::new(summary),
            &subject.markdown(&about, markdown::SUMMARY),
        )?;
    }
    let target = here.target()?;
    let Some(token) = &here.token else {
        return Err(Failure::Message(match target.kind {
            Kind::GitHub => {
                "there is no token to post with: set GITHUB_TOKEN (in Actions: ${{ github.token }})"
                    .to_owned()
            }
            Kind::GitLab => {
                "there is no token to post with: set GITLAB_TOKEN to one with the scope `api`"
                    .to_owned()
            }
        }));
    };
    if comment.marker.sha.is_empty() {
        return Err(Failure::Message(
            "which commit was planned is not known: pass --sha, the head of the pull request"
                .to_owned(),
        ));
    }
    let labels = (!args.no_labels).then(|| subject.labels());
    let report = connect::runtime()?
        .block_on(forge::publish(
            &target,
            token,
            &comment,
            labels.as_ref(),
            PATIENCE,
        ))
        .map_err(|e| Failure::Message(e.to_string()))?;
    for warning in &report.warnings {
        print::note(&format!("Warning: {}", safe(warning)));
    }
    let elsewhere = if here.summary.is_some() {
        " It is in the summary of this step."
    } else {
        ""
    };
    // In the forge's words, which job logs take for commands where they are not made safe.
    match report.posted {
        Posted::Created(url) => print::data(&format!("Posted {}\n", safe(&url)))?,
        Posted::Updated(url) => print::data(&format!("Updated {}\n", safe(&url)))?,
        Posted::Unchanged(url) => print::data(&format!("Unchanged: {}\n", safe(&url)))?,
        Posted::Outdated(why) => print::note(&format!(
            "Not posted, this run is not the newest: {}",
            safe(&why)
        )),
        // Nobody who opens a pull request from a fork can help it.
        Posted::ReadOnly(why) => print::note(&format!(
            "Not posted, the token may not write: {}.{elsewhere}",
            safe(&why)
        )),
        Posted::TooLong => print::note(&format!(
            "Not posted: the forge refuses even the short comment.{elsewhere}"
        )),
    }
    Ok(Success::Ok)
}

/// What is commented on.
enum Subject {
    /// With its hash.
    Plan(Box<Plan>, String),
    Failed(String),
}

impl Subject {
    fn hash(&self) -> String {
        match self {
            Self::Plan(_, hash) => hash.clone(),
            Self::Failed(_) => String::new(),
        }
    }

    fn markdown(&self, about: &markdown::About, max: u32) -> String {
        match self {
            Self::Plan(plan, hash) => markdown::plan(plan, hash, about, max),
            Self::Failed(log) => markdown::failure(log, about, max),
        }
    }

    fn labels(&self) -> BTreeSet<Label> {
        let Self::Plan(plan, _) = self else {
            return [Label::Error].into();
        };
        let mut labels = BTreeSet::new();
        if !plan.errors.is_empty() || !plan.unseen.is_empty() {
            labels.insert(Label::Error);
        }
        if plan.counts().destroy > 0 {
            labels.insert(Label::Destroy);
        } else if !plan.is_empty() {
            labels.insert(Label::Update);
        } else if labels.is_empty() {
            labels.insert(Label::NoChanges);
        }
        if !plan.risks().increases.is_empty() {
            labels.insert(Label::PrivilegeIncrease);
        }
        labels
    }
}

/// What the CI says, and the arguments over it.
fn here(args: &CommentArgs) -> Here {
    let forge = args.forge;
    let get = |name: &str| {
        // Asked for one forge, the variables of the other do not matter.
        let other = match forge {
            Some(Forge::Github) => &["GITLAB_CI", "GITLAB_TOKEN"][..],
            Some(Forge::Gitlab) => &["GITHUB_ACTIONS", "GITHUB_TOKEN", "GH_TOKEN"][..],
            None => &[][..],
        };
        std::env::var(name).ok().filter(|_| !other.contains(&name))
    };
    let mut here = Here::new(&get, &|path| std::fs::read_to_string(path).ok());
    here.kind = match forge {
        Some(Forge::Github) => Some(Kind::GitHub),
        Some(Forge::Gitlab) => Some(Kind::GitLab),
        None => here.kind,
    };
    here.repository = args.repository.clone().or(here.repository);
    here.number = args.number.or(here.number);
    here.sha = args.sha.clone().or(here.sha);
    here
}

fn read_log(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|f| f.take(LOG).read_to_end(&mut bytes))
        .map_err(|e| Failure::Message(format!("cannot read {}: {e}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn append(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| Failure::Message(format!("cannot write {}: {e}", path.display())))
}
