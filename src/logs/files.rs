//! Files of logs: in order of their names, directories with all that is in them, `-` for standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wi_logs::digest::Digests;
use wi_logs::read::Input;

/// The files that paths name. The error is for the user.
pub fn named(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push(path.clone());
            continue;
        }
        walk(path, &mut files).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    }
    Ok(files)
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.metadata()?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inner: Vec<PathBuf> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<io::Result<_>>()?;
    inner.sort();
    for path in inner {
        let is_hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        // A link may lead round in a circle.
        if !is_hidden && !path.is_symlink() {
            walk(&path, files)?;
        }
    }
    Ok(())
}

/// Opens files when their turn comes. With `digests`, the digest of each is put there at its end.
pub fn inputs(
    files: Vec<PathBuf>,
    digests: Option<Digests>,
) -> impl Iterator<Item = Input<'static>> {
    files.into_iter().map(move |file| {
        let digests = digests.clone();
        Input {
            name: file.display().to_string(),
            open: Box::new(move || {
                let from: Box<dyn Read> = match file.as_os_str() == "-" {
                    true => Box::new(io::stdin()),
                    false => Box::new(File::open(&file)?),
                };
                Ok(match digests {
                    None => from,
                    Some(digests) => digests.of(from),
                })
            }),
        }
    })
}
