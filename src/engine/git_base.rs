//! A former version of the spec, as git has it: read with `git ls-tree` and `git cat-file`, so that no
//! work tree is touched.
//!
//! What lies beside the spec is its author's, who may be a stranger (a pull request): a directory that
//! looks like a bare repository brings a configuration along, and git runs what that names. So the
//! repository is found once, by the `.git` of the work tree, which no commit can hold; git is told it,
//! looks for no other, and neither fetches nor runs anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use wi_core::spec::Source;

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

/// The spec files below `paths` at a commit, a tag or a branch.
///
/// The error is for the user: git is missing, the reference is, or a file is no text.
pub fn sources(reference: &str, paths: &[PathBuf]) -> Result<Vec<Source>, String> {
    if reference.is_empty() || reference.starts_with('-') {
        return Err(format!(
            "--base {reference}: this is not a commit, tag or branch"
        ));
    }
    let here = std::env::current_dir().map_err(|e| failed(reference, &e.to_string()))?;
    let here = WorkTree::of(&canonical(&here, reference)?);
    let mut all = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            return Err("--base needs files: standard input has no former version".to_owned());
        }
        let (directory, file) = if path.is_dir() {
            (path.as_path(), None)
        } else {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")), path.file_name())
        };
        let whole = canonical(directory, reference)?;
        // The repository that one is in, not one that lies in it.
        let nearest = || WorkTree::of(&whole);
        let tree = here.clone().filter(|tree| whole.starts_with(&tree.top));
        let tree = tree.or_else(nearest).ok_or_else(|| {
            let directory = directory.display().to_string();
            failed(
                reference,
                &format!(
                    "{} is in no git work tree",
                    wi_core::words::safe(&directory)
                ),
            )
        })?;
        tree.check(reference)?;
        let commit = tree.commit(reference)?;
        let below = whole.strip_prefix(&tree.top).unwrap_or(Path::new(""));
        let mut list = tree.git();
        list.args(["ls-tree", "-r", "-z", "--full-tree", &commit, "--"]);
        match file {
            Some(file) => list.arg(below.join(file)),
            None if below.as_os_str().is_empty() => &mut list,
            None => list.arg(below),
        };
        for entry in output(list, reference)?.split('\0') {
            // `100644 blob OBJECT<tab>PATH`
            let Some((about, name)) = entry.split_once('\t') else {
                continue;
            };
            let Ok(name) = Path::new(name).strip_prefix(below) else {
                continue;
            };
            let object = about.rsplit(' ').next().unwrap_or_default();
            if !is_spec_file(name) {
                continue;
            }
            let mut show = tree.git();
            show.args(["cat-file", "blob", object]);
            let text = output(show, reference)?;
            let shown = directory.join(name);
            all.push(Source::new(
                format!("{reference}:{}", shown.display()),
                text,
            ));
        }
    }
    Ok(all)
}

/// A work tree: the directory that `.git` lies in.
#[derive(Debug, Clone)]
struct WorkTree {
    top: PathBuf,
}

impl WorkTree {
    /// The one that a directory (canonical) is in.
    fn of(directory: &Path) -> Option<Self> {
        let top = directory.ancestors().find(|d| d.join(".git").exists())?;
        Some(Self {
            top: top.to_owned(),
        })
    }

    /// git in this repository, and in no other.
    fn git(&self) -> Command {
        let mut git = bare_git(&self.top);
        git.env("GIT_DIR", self.top.join(".git"));
        git.env("GIT_WORK_TREE", &self.top);
        git
    }

    /// Whether git itself finds the same there, and does not mind whose it is: told a repository, it
    /// does not ask (`safe.directory`).
    fn check(&self, reference: &str) -> Result<(), String> {
        let mut ask = bare_git(&self.top);
        if let Some(above) = self.top.parent() {
            ask.env("GIT_CEILING_DIRECTORIES", above);
        }
        ask.args(["rev-parse", "--is-inside-work-tree"]);
        match output(ask, reference)?.trim() {
            "true" => Ok(()),
            _ => Err(failed(reference, "the spec is in no git work tree")),
        }
    }

    /// The commit that a name means now.
    fn commit(&self, reference: &str) -> Result<String, String> {
        let mut parse = self.git();
        let name = format!("{reference}^{{commit}}");
        parse.args(["rev-parse", "--verify", "--end-of-options", &name]);
        // `--end-of-options` is told back by git 2.30 and older.
        let told = output(parse, reference)?;
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

fn canonical(directory: &Path, reference: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(directory)
        .map_err(|e| failed(reference, &format!("{}: {e}", directory.display())))
}

fn failed(reference: &str, why: &str) -> String {
    format!("--base {}: {why}", wi_core::words::safe(reference))
}

fn output(mut command: Command, reference: &str) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|e| failed(reference, &format!("git cannot be run: {e}")))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = wi_core::words::safe(why.trim().lines().next_back().unwrap_or_default());
        return Err(failed(reference, &format!("git says: {why}")));
    }
    String::from_utf8(output.stdout).map_err(|_| failed(reference, "a spec file there is not text"))
}

/// As in the work tree: YAML, and nothing hidden.
fn is_spec_file(name: &Path) -> bool {
    let is_hidden = name
        .iter()
        .any(|part| part.as_encoded_bytes().starts_with(b"."));
    !is_hidden && name.extension().is_some_and(|e| e == "yaml" || e == "yml")
}
