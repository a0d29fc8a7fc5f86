//! git, run in a repository that may be a stranger's.
//!
//! What lies beside the spec is its author's, who may be a stranger (a pull request): a directory that
//! looks like a bare repository brings a configuration along, and git runs what that names. So the
//! repository is found once, by the `.git` of the work tree, which no commit can hold; git is told it,
//! looks for no other, and neither fetches nor runs anything.
//!
//! Errors begin with what was asked for, as the user wrote it: `--base main`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use wi_core::words::safe;

/// Variables that name another repository or other objects than those of the work tree
/// (`git rev-parse --local-env-vars`).
const LOCAL: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "GIT_EXTERNAL_DIFF",
];

/// Settings by which git would run a program, call a server, or take a directory for a repository.
const SETTINGS: [&str; 5] = [
    "safe.bareRepository=explicit",
    "protocol.allow=never",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
];

/// Why git did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", safe(asked))]
pub struct GitError {
    /// As the user wrote it.
    pub asked: String,
    /// What is in the way.
    #[source]
    pub why: Why,
}

/// What is in the way of git.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// There is none, or it may not be run.
    #[error("git cannot be run: {0}")]
    NotRun(std::io::Error),
    /// It ended with an error: the last line of what it said, escaped.
    #[error("git says: {0}")]
    Says(String),
    /// What it printed ends too early, or is not in its form.
    #[error("git's answer cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// A file that it has.
    #[error("a file there is not text")]
    NotText,
    /// A path that was given.
    #[error("{path}: {error}", path = safe(&.0.display().to_string()), error = .1)]
    Path(PathBuf, std::io::Error),
    /// A path that was given is in none.
    #[error("{} is in no git work tree", safe(&.0.display().to_string()))]
    InNoWorkTree(PathBuf),
    /// Where git itself finds none, though it looked like one.
    #[error("this is no git work tree")]
    NoWorkTree,
    /// A word that git would take for an option.
    #[error("this is not a commit, tag or branch")]
    NoReference,
    /// As [`Why::NoReference`].
    #[error("this is no range of commits")]
    NoRange,
}

impl Why {
    /// The error of what was asked for.
    pub fn of(self, asked: &str) -> GitError {
        GitError {
            asked: asked.to_owned(),
            why: self,
        }
    }
}

/// A work tree: the directory that `.git` lies in.
#[derive(Debug, Clone)]
pub struct WorkTree {
    /// The directory.
    pub top: PathBuf,
}

impl WorkTree {
    /// The one that a directory (canonical) is in.
    pub fn of(directory: &Path) -> Option<Self> {
        let top = directory.ancestors().find(|d| d.join(".git").exists())?;
        Some(Self {
            top: top.to_owned(),
        })
    }

    /// git in this repository, and in no other.
    pub fn git(&self) -> Command {
        let mut git = bare_git(&self.top);
        git.env("GIT_DIR", self.top.join(".git"));
        git.env("GIT_WORK_TREE", &self.top);
        git
    }

    /// Whether git itself finds the same there, and does not mind whose it is: told a repository, it
    /// does not ask (`safe.directory`).
    pub fn check(&self, asked: &str) -> Result<(), GitError> {
        let mut ask = bare_git(&self.top);
        if let Some(above) = self.top.parent() {
            ask.env("GIT_CEILING_DIRECTORIES", above);
        }
        ask.args(["rev-parse", "--is-inside-work-tree"]);
        match output(ask, asked)?.trim() {
            "true" => Ok(()),
            _ => Err(Why::NoWorkTree.of(asked)),
        }
    }

    /// The commit that a name means now.
    pub fn commit(&self, reference: &str, asked: &str) -> Result<String, GitError> {
        let mut parse = self.git();
        let name = format!("{reference}^{{commit}}");
        parse.args(["rev-parse", "--verify", "--end-of-options", &name]);
        // `--end-of-options` is told back by git 2.30 and older.
        let told = output(parse, asked)?;
        Ok(told.lines().next_back().unwrap_or_default().to_owned())
    }
}

/// git that runs no other program and fetches nothing.
fn bare_git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    for name in LOCAL {
        git.env_remove(name);
    }
    git.env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    git.arg("-C").arg(directory).arg("--no-pager");
    for setting in SETTINGS {
        git.args(["-c", setting]);
    }
    git
}

/// A path without links and `..`.
pub fn canonical(path: &Path, asked: &str) -> Result<PathBuf, GitError> {
    std::fs::canonicalize(path).map_err(|e| Why::Path(path.to_owned(), e).of(asked))
}

/// What git prints.
pub fn output(mut command: Command, asked: &str) -> Result<String, GitError> {
    let output = command.output().map_err(|e| Why::NotRun(e).of(asked))?;
    let printed = succeeded(output, asked)?;
    String::from_utf8(printed).map_err(|_| Why::NotText.of(asked))
}

/// What git printed, unless it ended with an error.
pub fn succeeded(output: Output, asked: &str) -> Result<Vec<u8>, GitError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().next_back().unwrap_or_default();
    Err(Why::Says(safe(last)).of(asked))
}
