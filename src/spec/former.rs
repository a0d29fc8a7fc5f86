//! A former version of the spec, as git has it: read with `git ls-tree` and `git show`, so that no
//! work tree is touched.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Source;

/// The spec files below `paths` at a commit, a tag or a branch.
///
/// The error is for the user: git is missing, the reference is, or a file is no text.
pub fn sources(reference: &str, paths: &[PathBuf]) -> Result<Vec<Source>, String> {
    if reference.is_empty() || reference.starts_with('-') {
        return Err(format!(
            "--base {reference}: this is not a commit, tag or branch"
        ));
    }
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
        let mut list = git(directory);
        list.args(["ls-tree", "-r", "--name-only", "-z", reference, "--"]);
        list.arg(file.unwrap_or(".".as_ref()));
        let names = output(list, reference)?;
        for name in names.split('\0').filter(|n| is_spec_file(n)) {
            let mut show = git(directory);
            show.args(["show", &format!("{reference}:./{name}")]);
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

fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory);
    git
}

fn output(mut command: Command, reference: &str) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|e| format!("--base {reference}: git cannot be run: {e}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = crate::render::safe(why.trim().lines().next_back().unwrap_or_default());
        return Err(format!("--base {reference}: git says: {why}"));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("--base {reference}: a spec file there is not text"))
}

/// As in the work tree: YAML, and nothing hidden.
fn is_spec_file(name: &str) -> bool {
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    !hidden && (name.ends_with(".yaml") || name.ends_with(".yml"))
}
