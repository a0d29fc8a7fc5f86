//! Finds and reads the spec's files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wi_client::files::{self, Unread};
use wi_core::spec::{Diagnostic, Source};

/// The largest file that is read: a spec of many thousand accounts is a tenth of it.
const LARGEST: u64 = 16 << 20;

fn unreadable(path: &Path, why: &str, help: Option<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic {
        code: "unreadable",
        message: format!("{}: {why}", path.display()),
        help,
        label: None,
        other: None,
    })
}

/// Reads files, directories (recursively, hidden ones left out), and `-` for standard input.
pub fn read(paths: &[PathBuf], mistakes: &mut Vec<Diagnostic>) -> Vec<Source> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        if path.as_os_str() != "-" && path.is_dir() {
            walk(path, &mut files, &mut seen, mistakes);
        } else {
            files.push(path.clone());
        }
    }
    let mut known = BTreeSet::new();
    files
        .into_iter()
        // A file that is named twice, or by its directory too, is one file.
        .filter(|f| known.insert(std::fs::canonicalize(f).unwrap_or_else(|_| f.clone())))
        .filter_map(|file| match read_file(&file) {
            Ok(text) => Some(Source::new(file.display().to_string(), text)),
            Err(mistake) => {
                mistakes.push(*mistake);
                None
            }
        })
        .collect()
}

fn walk(
    directory: &Path,
    files: &mut Vec<PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
    mistakes: &mut Vec<Diagnostic>,
) {
    // A link back up would go round for ever.
    if !seen.insert(std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned())) {
        return;
    }
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) => {
            mistakes.push(*unreadable(directory, &e.to_string(), None));
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, files, seen, mistakes);
        } else if yaml {
            // `./wi.yaml` is `wi.yaml` to a reader.
            files.push(
                path.strip_prefix(".")
                    .map_or_else(|_| path.clone(), Path::to_owned),
            );
        }
    }
}

fn read_file(path: &Path) -> Result<String, Box<Diagnostic>> {
    let read = match path.as_os_str() == "-" {
        true => files::read_at_most(std::io::stdin().lock(), LARGEST),
        false => files::read(path, LARGEST),
    };
    let bytes = read.map_err(|e| {
        let help = match &e {
            Unread::TooLarge(_) => {
                Some("Split it, or take what is not a spec out of the directory.")
            }
            Unread::Io(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Some("Name a spec file, or a directory with spec files.")
            }
            _ => None,
        };
        unreadable(path, &e.to_string(), help.map(str::to_owned))
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        unreadable(
            path,
            &format!("line {line} is not UTF-8"),
            Some("Save the file as UTF-8.".to_owned()),
        )
    })?;
    if let Some(at) = text.find('\0') {
        let line = text[..at].matches('\n').count() + 1;
        return Err(unreadable(
            path,
            &format!("line {line} has a NUL character"),
            Some("Take it out: YAML is text.".to_owned()),
        ));
    }
    Ok(text)
}
