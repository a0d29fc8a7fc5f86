//! Files of others are read within bounds; files of ours are written whole or not at all, and for
//! their owner alone.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A directory, a device or a pipe: reading it may have no end, or wait for ever.
    #[error("not a file")]
    NotAFile,
    /// It has more bytes than this.
    #[error("larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

/// The bytes of a regular file that has at most `most` of them.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    // Looked at before it is opened, since opening a pipe waits for who writes to it; and after, since
    // another file may have its name by then.
    regular(&std::fs::metadata(path)?, most)?;
    let file = File::open(path)?;
    regular(&file.metadata()?, most)?;
    read_at_most(file, most)
}

fn regular(metadata: &std::fs::Metadata, most: u64) -> Result<(), Unread> {
    if !metadata.is_file() {
        return Err(Unread::NotAFile);
    }
    if metadata.len() > most {
        return Err(Unread::TooLarge(most));
    }
    Ok(())
}

/// All that there is to read, if that is at most `most` bytes.
pub fn read_at_most(from: impl Read, most: u64) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Unread::TooLarge(most));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all, for its owner alone (0600), whatever there was under its name:
/// first under a name that nobody can have prepared, in the same directory.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_of(path);
    let written = create_private(&draft)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

/// Writes a file whole or not at all, with the rights of the one that is there or those that new files have. A link is
/// followed; what is no file (a terminal, a pipe) is written to as it is.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let there = std::fs::metadata(path).ok();
    if there.as_ref().is_some_and(|m| !m.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let path = match &there {
        Some(_) => &std::fs::canonicalize(path)?,
        None => path,
    };
    let draft = draft_of(path);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&draft)
        .and_then(|mut file| {
            if let Some(there) = &there {
                file.set_permissions(there.permissions())?;
            }
            file.write_all(bytes)
        })
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

/// A new file for its owner alone (0600). One that is there, a link too, is an error.
pub fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// 16 digits that nobody can guess.
pub fn unguessable() -> String {
    // The keys of a RandomState come from the system's random numbers.
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// `.NAME.RANDOM.draft`, beside the file.
fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.draft", unguessable()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("f");
        std::fs::write(&file, "12345").expect("written");
        assert_eq!(read(&file, 5).expect("read"), b"12345");
        assert!(matches!(read(&file, 4), Err(Unread::TooLarge(4))));
        assert!(matches!(read(directory.path(), 9), Err(Unread::NotAFile)));
        #[cfg(unix)]
        assert!(matches!(
            read(Path::new("/dev/zero"), 9),
            Err(Unread::NotAFile)
        ));
        assert!(matches!(
            read(&directory.path().join("none"), 9),
            Err(Unread::Io(_))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_report_is_the_old_one_or_the_new_one_and_keeps_links_rights_and_pipes() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("f"), directory.path().join("link"));
        write_whole(&file, b"new").expect("written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        // Whoever has the old one open reads it to its end.
        let mut open = File::open(&file).expect("open");
        write_whole(&link, b"newer").expect("written");
        let mut old = String::new();
        open.read_to_string(&mut old).expect("read");
        assert_eq!(
            (old.as_str(), std::fs::read(&file).expect("read")),
            ("new", b"newer".to_vec())
        );
        assert!(link.is_symlink());
        let mode = std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
        write_whole(Path::new("/dev/null"), b"x").expect("written");
        assert!(write_whole(&directory.path().join("none/f"), b"x").is_err());
        assert_eq!(
            std::fs::read_dir(directory.path()).expect("read").count(),
            2
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_written_is_private_and_follows_no_link() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let (victim, file) = (directory.path().join("victim"), directory.path().join("f"));
        std::fs::write(&victim, "theirs").expect("written");
        std::os::unix::fs::symlink(&victim, &file).expect("a link");
        assert!(create_private(&file).is_err());
        write_private(&file, b"ours").expect("written");
        assert_eq!(std::fs::read(&victim).expect("read"), b"theirs");
        assert_eq!(std::fs::read(&file).expect("read"), b"ours");
        let mode = || {
            std::fs::metadata(&file)
                .expect("there")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("set");
        write_private(&file, b"again").expect("written");
        assert_eq!(mode(), 0o600);
        write_private(&directory.path().join("no/f"), b"x").expect_err("no directory");
        let left = std::fs::read_dir(directory.path()).expect("read").count();
        assert_eq!(left, 2, "no draft is left");
    }
}
