//! Saved plans on disk.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use wi_client::files::{self, Unread};
use wi_core::digest::sha256;
use wi_core::plan::saved::PlanFile;

use super::Failure;
use crate::view::print;

/// The largest file that is read, in bytes: one that changes everything on 200 clusters has 4 MiB.
const LARGEST: u64 = 64 << 20;

/// The most that is read of the spec's files, in bytes, all together.
const SPEC: u64 = 256 << 20;

/// Writes a plan file: whole or not at all, readable for nobody else.
pub(super) fn write(path: &Path, file: &PlanFile) -> Result<(), Failure> {
    let bytes = file.encode();
    let bytes = bytes.map_err(|e| Failure::Message(format!("the plan cannot be packed: {e}")))?;
    if path.as_os_str() == "-" {
        return Ok(print::bytes(&bytes)?);
    }
    // A device or a pipe that the user names is written to, not replaced.
    let special = std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
    let written = match special {
        true => std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut f| f.write_all(&bytes)),
        false => files::write_private(path, &bytes),
    };
    written
        .map_err(|e| Failure::Message(format!("cannot write the plan to {}: {e}", path.display())))
}

/// Whether a plan may be saved there: in place of nothing, or of another plan. Whatever else is there was not
/// meant to go; above all not the spec.
pub(super) fn may_write(path: &Path) -> Result<(), Failure> {
    let is_kept = path.as_os_str() != "-"
        && std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0)
        && !starts_as_one(path);
    match is_kept {
        true => Err(Failure::Message(format!(
            "--out {0}: {0} is there, and no saved plan: name another file, or remove it",
            path.display()
        ))),
        false => Ok(()),
    }
}

fn starts_as_one(path: &Path) -> bool {
    let mut start = [0; 8];
    std::fs::File::open(path)
        .and_then(|mut f| f.read_exact(&mut start))
        .is_ok_and(|()| PlanFile::is_one(&start))
}

/// Reads a plan file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<PlanFile, Failure> {
    let (name, read) = if path.as_os_str() == "-" {
        let stdin = std::io::stdin().lock();
        let read = files::read_at_most(stdin, LARGEST);
        ("the plan on standard input".to_owned(), read)
    } else {
        // Whatever the user names, a pipe too.
        let read = std::fs::File::open(path)
            .map_err(Unread::from)
            .and_then(|f| files::read_at_most(f, LARGEST));
        (format!("the plan {}", path.display()), read)
    };
    let bytes = read.map_err(|e| match e {
        Unread::TooLarge(_) => Failure::Message(format!("{name} is {e}")),
        e => Failure::Message(format!("cannot read {name}: {e}")),
    })?;
    PlanFile::decode(&bytes).map_err(|e| Failure::Message(format!("{name} cannot be used: {e}")))
}

/// Whether the paths of a command are one plan file, and not a spec.
pub(super) fn is_one(paths: &[PathBuf]) -> Result<bool, Failure> {
    // `wi plan --out wi.plan` writes one: whoever names it before means no spec.
    if let [path] = paths
        && path.extension().is_some_and(|e| e == "plan")
        && !path.exists()
    {
        return Err(Failure::Message(format!(
            "there is no plan {0}: save one by `wi plan --out {0}`",
            path.display()
        )));
    }
    let is_plan = |path: &PathBuf| path.is_file() && starts_as_one(path);
    match paths.iter().find(|p| is_plan(p)) {
        Some(plan) if paths.len() > 1 => Err(Failure::Message(format!(
            "{} is a saved plan: name it alone",
            plan.display()
        ))),
        found => Ok(found.is_some()),
    }
}

/// Files of the spec that are not what the plan was made of. Where none of them is there, the plan
/// is carried out elsewhere, and says enough by itself.
///
/// Their names come from the plan file: what is named there may be no file, or a huge one.
pub(super) fn changed_spec(file: &PlanFile) -> Vec<String> {
    let mut left = SPEC;
    let files: Vec<_> = file
        .spec_digests
        .iter()
        .filter(|(name, _)| *name != "-")
        .map(|(name, digest)| {
            let bytes = files::read(Path::new(name), left);
            left -= bytes.as_ref().map_or(0, |b| b.len() as u64);
            (name, bytes.map(|b| sha256(&b) == *digest))
        })
        .collect();
    let is_missing = |read: &Result<bool, Unread>| matches!(read, Err(Unread::Io(_)));
    if files.iter().all(|(_, read)| is_missing(read)) {
        return Vec::new();
    }
    files
        .into_iter()
        .filter_map(|(name, read)| match read {
            Ok(true) => None,
            Ok(false) => Some(format!("{name} has changed")),
            Err(Unread::Io(_)) => Some(format!("{name} cannot be read any more")),
            Err(why) => Some(format!("{name} is {why}")),
        })
        .collect()
}
