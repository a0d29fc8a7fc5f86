//! git, run in a repository that may be a stranger's.
//!
//! What lies beside the spec is its author's, who may be a stranger (a pull request): a directory that
//! looks like a bare repository brings a configuration along, and git runs what that names. So the
//! repository is found once, by the `.git` of the work tree, which no commit can hold; git is told it,
//! looks for no other, and neither fetches nor runs anything.
//!
//! Messages begin with what was asked for, as the user wrote it: `--base main`.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    pub fn check(&self, asked: &str) -> Result<(), String> {
        let mut ask = bare_git(&self.top);
        if let Some(above) = self.top.parent() {
            ask.env("GIT_CEILING_DIRECTORIES", above);
        }
        ask.args(["rev-parse", "--is-inside-work-tree"]);
        match output(ask, asked)?.trim() {
            "true" => Ok(()),
            _ => Err(failed(asked, "this is no git work tree")),
        }
    }

    /// The commit that a name means now.
    pub fn commit(&self, reference: &str, asked: &str) -> Result<String, String> {
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

pub(super) fn canonical(directory: &Path, asked: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(directory)
        .map_err(|e| failed(asked, &format!("{}: {e}", directory.display())))
}

pub(super) fn failed(asked: &str, why: &str) -> String {
    format!("{}: {why}", wi_core::words::safe(asked))
}

/// What git prints. The error is for the user.
pub fn output(mut command: Command, asked: &str) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|e| failed(asked, &format!("git cannot be run: {e}")))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = wi_core::words::safe(why.trim().lines().next_back().unwrap_or_default());
        return Err(failed(asked, &format!("git says: {why}")));
    }
    String::from_utf8(output.stdout).map_err(|_| failed(asked, "a file there is not text"))
}
