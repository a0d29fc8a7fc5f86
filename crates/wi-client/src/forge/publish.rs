//! How a comment comes to be there: the same on each forge.

use std::collections::BTreeSet;
use std::time::Duration;

use super::client::{Client, Failed};
use super::github::PullRequest;
use super::gitlab::MergeRequest;
use super::request::{Existing, Request};
use crate::http::ClientError;

use super::{Comment, Kind, Label, Marker, Posted, Report, Target, Token};

/// How often a comment whose answer was lost is looked for and sent again.
const TRIES: usize = 3;

/// Why there is no comment. For the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client can be made: authorities that cannot be read.
    #[error("cannot make an HTTP client: {0}")]
    Client(ClientError),
    /// GitLab lets jobs write nothing.
    #[error(
        "a job token may not write notes on {0}: set GITLAB_TOKEN to a project access token with the scope `api`"
    )]
    JobToken(Target),
    /// The forge refused, with this status and what to do about it.
    #[error("{target}: {message}{way_out}")]
    Refused {
        /// Where.
        target: Target,
        /// Of HTTP.
        status: u16,
        /// In the forge's words.
        message: String,
        /// A sentence that goes on from the message, or none.
        way_out: &'static str,
    },
    /// No answer came.
    #[error("{target}: {message}")]
    Lost {
        /// Where.
        target: Target,
        /// Of the connection.
        message: String,
    },
}

/// Posts or updates the comment, and sets the labels (`None`: leaves labels alone). `patience`
/// bounds the time spent on retries and rate limits.
pub async fn publish(
    target: &Target,
    token: &Token,
    comment: &Comment,
    labels: Option<&BTreeSet<Label>>,
    patience: Duration,
) -> Result<Report, Error> {
    let client = Client::new(target, token, patience).map_err(Error::Client)?;
    match target.kind {
        Kind::GitHub => publish_on::<PullRequest>(client, target, comment, labels).await,
        Kind::GitLab if token.is_job => Err(Error::JobToken(target.clone())),
        Kind::GitLab => publish_on::<MergeRequest>(client, target, comment, labels).await,
    }
}

async fn publish_on<R: Request>(
    client: Client,
    target: &Target,
    comment: &Comment,
    labels: Option<&BTreeSet<Label>>,
) -> Result<Report, Error> {
    let told = |failed: Failed| error::<R>(target, failed);
    let request = R::open(client, target).await.map_err(told)?;
    let (head, ours) = (request.head(), &comment.marker.sha);
    if head != ours {
        return Ok(outdated(format!(
            "the head of {target} is {head}, and not {ours}"
        )));
    }
    let mut warnings = Vec::new();
    let mut tries = 0;
    let posted = loop {
        tries += 1;
        let comments = request.comments().await.map_err(told)?;
        let own = match own(comments, request.login(), comment) {
            Ok(own) => own,
            Err(newer) => {
                return Ok(outdated(format!(
                    "a newer run has commented: {}",
                    newer.url
                )));
            }
        };
        match write(&request, comment, own.last()).await {
            Ok(posted) => {
                warnings.extend(put_behind_all_but_last(&request, &own).await);
                break posted;
            }
            Err(e) if e.is_forbidden() => break Posted::ReadOnly(told(e).to_string()),
            // It may be there: look before it is sent again.
            Err(Failed::Lost(_)) if tries < TRIES => {}
            Err(e) => return Err(told(e)),
        }
    };
    if let Some(labels) = labels
        && !matches!(posted, Posted::ReadOnly(_))
        && let Err(e) = request.set_labels(labels).await
    {
        warnings.push(format!("the labels could not be set: {}", told(e)));
    }
    Ok(Report { posted, warnings })
}

fn outdated(why: String) -> Report {
    Report {
        posted: Posted::Outdated(why),
        warnings: Vec::new(),
    }
}

fn error<R: Request>(target: &Target, failed: Failed) -> Error {
    let target = target.clone();
    let is_forbidden = failed.is_forbidden();
    match failed {
        Failed::Refused { status, message } => Error::Refused {
            target,
            status,
            message,
            way_out: match status {
                401 => R::way_out(true),
                _ if is_forbidden => R::way_out(false),
                _ => "",
            },
        },
        Failed::Lost(message) => Error::Lost { target, message },
    }
}

/// Ours of the same spec, oldest first, by author and hidden marker; or one of a newer run, by which this one is
/// outdated.
fn own(
    comments: Vec<(String, Existing)>,
    login: &str,
    comment: &Comment,
) -> Result<Vec<Existing>, Existing> {
    let mut own = Vec::new();
    for (author, existing) in comments {
        let marker = existing.body.lines().next().and_then(Marker::parse);
        let Some(marker) = marker.filter(|m| author == login && m.root == comment.marker.root)
        else {
            continue;
        };
        if marker.run > comment.marker.run {
            return Err(existing);
        }
        own.push(existing);
    }
    own.sort_by_key(|c| c.id);
    Ok(own)
}

/// Into the newest of ours, or a new one; the short text where the whole is too long.
async fn write<R: Request>(
    request: &R,
    comment: &Comment,
    newest: Option<&Existing>,
) -> Result<Posted, Failed> {
    for body in [&comment.body, &comment.short] {
        let text = comment.text(body);
        let rewritten = match newest {
            // Forges give line breaks back as they like.
            Some(old) if old.body.replace("\r\n", "\n").trim_end() == text.trim_end() => {
                return Ok(Posted::Unchanged(old.url.clone()));
            }
            Some(old) => match request.rewrite(old, &text).await {
                Ok(()) => Some(Ok(Posted::Updated(old.url.clone()))),
                // Somebody has deleted it meanwhile.
                Err(e) if e.is_gone() => None,
                Err(e) => Some(Err(e)),
            },
            None => None,
        };
        let written = match rewritten {
            Some(rewritten) => rewritten,
            None => request.create(&text).await.map(Posted::Created),
        };
        match written {
            Err(e) if e.is_unprocessable() => {}
            written => return written,
        }
    }
    Ok(Posted::TooLong)
}

/// Those of two jobs at once.
async fn put_behind_all_but_last<R: Request>(request: &R, own: &[Existing]) -> Vec<String> {
    let Some((newest, older)) = own.split_last() else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    for old in older {
        if let Err(why) = request.put_behind(old, newest).await {
            warnings.push(format!("{} stays as it is: {}", old.url, why.message()));
        }
    }
    warnings
}
