//! Comments on pull requests (GitHub) and merge requests (GitLab): one of ours per spec, kept up to
//! date, never somebody else's, and never by an older run.

mod client;
mod environment;
mod github;
mod gitlab;
mod marker;
mod publish;
mod request;

use std::fmt;

pub use environment::{Here, NoTarget};
pub use marker::Marker;
pub use publish::{Error, publish};

/// Which forge's API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// github.com and GitHub Enterprise Server.
    GitHub,
    /// gitlab.com and self-managed GitLab.
    GitLab,
}

/// Where a comment goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Which API.
    pub kind: Kind,
    /// The API's base URL, such as `https://api.github.com`.
    pub api: String,
    /// `OWNER/NAME`; for GitLab the project's id or path.
    pub repository: String,
    /// The number of the pull request; for GitLab the `iid` of the merge request.
    pub number: u64,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            Kind::GitHub => '#',
            Kind::GitLab => '!',
        };
        write!(f, "{}{sign}{}", self.repository, self.number)
    }
}

/// A token of the forge. Never printed.
#[derive(Clone)]
pub struct Token {
    header: &'static str,
    value: String,
    is_job: bool,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}: [redacted])", self.header)
    }
}

impl Token {
    /// GitHub's, of a user or of an Actions job.
    pub fn github(token: &str) -> Self {
        Self {
            header: "authorization",
            value: format!("Bearer {token}"),
            is_job: false,
        }
    }

    /// GitLab's, of a user, a project or a group.
    pub fn gitlab(token: &str) -> Self {
        Self {
            header: "private-token",
            value: token.to_owned(),
            is_job: false,
        }
    }

    /// GitLab's, of a CI job: it may read little and write no notes.
    pub fn gitlab_job(token: &str) -> Self {
        Self {
            header: "job-token",
            value: token.to_owned(),
            is_job: true,
        }
    }
}

/// What is posted.
#[derive(Debug, Clone)]
pub struct Comment {
    /// The first line, hidden: what the comment is about.
    pub marker: Marker,
    /// The Markdown below it.
    pub body: String,
    /// A shorter one, for a forge that finds the first too long.
    pub short: String,
}

impl Comment {
    fn text(&self, body: &str) -> String {
        format!("{}\n{body}", self.marker)
    }
}

/// What a plan means, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Nothing to do.
    NoChanges,
    /// Adds or changes.
    Update,
    /// Takes something away.
    Destroy,
    /// Somebody gets a role by which it can get more.
    PrivilegeIncrease,
    /// The plan failed.
    Error,
}

impl Label {
    /// All of ours: those that do not hold are taken off.
    pub const ALL: [Self; 5] = [
        Self::NoChanges,
        Self::Update,
        Self::Destroy,
        Self::PrivilegeIncrease,
        Self::Error,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChanges => "wi/no-changes",
            Self::Update => "wi/update",
            Self::Destroy => "wi/destroy",
            Self::PrivilegeIncrease => "wi/privilege-increase",
            Self::Error => "wi/error",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::NoChanges => "c2e0c6",
            Self::Update => "1d76db",
            Self::Destroy => "d93f0b",
            Self::PrivilegeIncrease => "fbca04",
            Self::Error => "b60205",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::NoChanges => "wi plans no changes",
            Self::Update => "wi plans to add or change",
            Self::Destroy => "wi plans to take something away",
            Self::PrivilegeIncrease => "somebody gets a role by which it can get more",
            Self::Error => "wi cannot plan this",
        }
    }
}

/// How posting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// A new comment, at this URL.
    Created(String),
    /// An existing one has the new text.
    Updated(String),
    /// An existing one has this text already.
    Unchanged(String),
    /// A newer run has commented, or the pull request has another head: it was left alone.
    Outdated(String),
    /// The token may not write, as with pull requests from forks; what the forge said.
    ReadOnly(String),
    /// The forge found even the short text too long.
    TooLong,
}

/// How posting ended, and what went wrong beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Of the comment.
    pub posted: Posted,
    /// Of labels and old comments.
    pub warnings: Vec<String>,
}
