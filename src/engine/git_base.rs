//! A former version of the spec, as git has it: read with `git ls-tree` and `git cat-file`, so that no
//! work tree is touched.

use std::path::{Path, PathBuf};

use wi_core::spec::{Source, SpecErrors};

use super::git::{GitError, Why, WorkTree, canonical, output};

/// Why there is no former version of a spec.
#[derive(Debug, thiserror::Error)]
pub enum FormerError {
    /// git does not give it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What is read from there is in no repository.
    #[error("--base needs files: standard input has no former version")]
    StandardInput,
    /// It is no spec; the mistakes as they are told, some lines.
    #[error("the spec at {reference} cannot be read as a spec:\n{}", errors.render(100, false))]
    Spec {
        /// As the user wrote it.
        reference: String,
        /// What is wrong with it.
        errors: SpecErrors,
    },
}

/// The spec files below `paths` at a commit, a tag or a branch.
pub fn sources(reference: &str, paths: &[PathBuf]) -> Result<Vec<Source>, FormerError> {
    let asked = format!("--base {reference}");
    let asked = asked.as_str();
    if reference.is_empty() || reference.starts_with('-') {
        return Err(Why::NoReference.of(asked).into());
    }
    let here = std::env::current_dir().map_err(|e| Why::Path(".".into(), e).of(asked))?;
    let here = WorkTree::of(&canonical(&here, asked)?);
    let mut all = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            return Err(FormerError::StandardInput);
        }
        let (directory, file) = if path.is_dir() {
            (path.as_path(), None)
        } else {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")), path.file_name())
        };
        let whole = canonical(directory, asked)?;
        // The repository that one is in, not one that lies in it.
        let nearest = || WorkTree::of(&whole);
        let tree = here.clone().filter(|tree| whole.starts_with(&tree.top));
        let tree = tree.or_else(nearest);
        let tree = tree.ok_or_else(|| Why::InNoWorkTree(directory.to_owned()).of(asked))?;
        tree.check(asked)?;
        let commit = tree.commit(reference, asked)?;
        let below = whole.strip_prefix(&tree.top).unwrap_or(Path::new(""));
        let mut list = tree.git();
        list.args(["ls-tree", "-r", "-z", "--full-tree", &commit, "--"]);
        match file {
            Some(file) => list.arg(below.join(file)),
            None if below.as_os_str().is_empty() => &mut list,
            None => list.arg(below),
        };
        for entry in output(list, asked)?.split('\0') {
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
            let text = output(show, asked)?;
            let shown = directory.join(name);
            all.push(Source::new(
                format!("{reference}:{}", shown.display()),
                text,
            ));
        }
    }
    Ok(all)
}

/// As in the work tree: YAML, and nothing hidden.
fn is_spec_file(name: &Path) -> bool {
    let is_hidden = name
        .iter()
        .any(|part| part.as_encoded_bytes().starts_with(b"."));
    !is_hidden && name.extension().is_some_and(|e| e == "yaml" || e == "yml")
}
