//! Saved plans on disk.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::digest::sha256;
use crate::plan::file::PlanFile;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// Writes a plan file: whole or not at all, readable for nobody else.
pub(super) fn write(path: &Path, file: &PlanFile) -> Result<(), Failure> {
    let bytes = file.encode().map_err(Failure::Message)?;
    if path.as_os_str() == "-" {
        std::io::stdout().lock().write_all(&bytes)?;
        return Ok(());
    }
    let failed = |e: std::io::Error| {
        Failure::Message(format!("cannot write the plan to {}: {e}", path.display()))
    };
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    let written = write_new(&draft, &bytes).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written.map_err(failed)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a plan file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<PlanFile, Failure> {
    let mut bytes = Vec::new();
    let stdin = path.as_os_str() == "-";
    let read = if stdin {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|f| f.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    let name = if stdin {
        "the plan on standard input".to_owned()
    } else {
        format!("the plan {}", path.display())
    };
    read.map_err(|e| Failure::Message(format!("cannot read {name}: {e}")))?;
    if bytes.len() as u64 > LARGEST {
        let limit = LARGEST >> 20;
        return Err(Failure::Message(format!(
            "{name} is larger than {limit} MiB"
        )));
    }
    PlanFile::decode(&bytes).map_err(|e| Failure::Message(format!("{name} cannot be used: {e}")))
}

/// Whether the paths of a command are one plan file, and not a spec.
pub(super) fn is_one(paths: &[PathBuf]) -> Result<bool, Failure> {
    let is_plan = |path: &PathBuf| {
        let mut start = [0; 8];
        path.is_file()
            && std::fs::File::open(path)
                .and_then(|mut f| f.read_exact(&mut start))
                .is_ok_and(|()| PlanFile::is_one(&start))
    };
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
pub(super) fn changed_spec(file: &PlanFile) -> Vec<String> {
    let files: Vec<_> = file
        .spec_digests
        .iter()
        .filter(|(name, _)| *name != "-")
        .map(|(name, digest)| (name, digest, std::fs::read(name)))
        .collect();
    if files.iter().all(|(_, _, bytes)| bytes.is_err()) {
        return Vec::new();
    }
    files
        .into_iter()
        .filter_map(|(name, digest, bytes)| match bytes {
            Ok(bytes) if sha256(&bytes) == *digest => None,
            Ok(_) => Some(format!("{name} has changed")),
            Err(_) => Some(format!("{name} cannot be read any more")),
        })
        .collect()
}
