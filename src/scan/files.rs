//! All files below paths, on all cores. Nothing is left out because Git ignores it: that is where keys lie.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use wi_core::findings::NotSeen;

use super::manifests::{self, Manifests};
use super::{Buffer, Hit, Progress, Spot};

/// What was found below the paths.
#[derive(Debug, Default)]
pub struct Walked {
    /// The credentials.
    pub hits: Vec<Hit>,
    /// What manifests say of keys that are elsewhere.
    pub manifests: Manifests,
    /// What could not be read.
    pub not_seen: Vec<NotSeen>,
    /// How many files there were.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many symbolic links were not followed.
    pub links: u64,
}

/// Files that wait for a free core, at most.
const QUEUE: usize = 1024;

/// Directories in each other, at most.
const DEEPEST: usize = 256;

/// Looks through everything below the paths. Symbolic links are not followed, but for those that are
/// named themselves; `.git` is left to [`super::history`].
pub fn scan(paths: &[PathBuf], progress: &Progress) -> Walked {
    let here = std::env::current_dir().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let (send, receive) = sync_channel::<PathBuf>(QUEUE);
    let receive = Mutex::new(receive);
    let mut walked = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| scope.spawn(|| work(&receive, &here, progress)))
            .collect();
        let mut walked = Walked::default();
        for path in paths {
            match std::fs::metadata(path) {
                Ok(about) if about.is_dir() => walk(path, DEEPEST, &send, &mut walked),
                Ok(_) => give(&send, path.clone()),
                Err(e) => walked.unread(path, &e.to_string()),
            }
        }
        drop(send);
        for worker in workers {
            match worker.join() {
                Ok(part) => walked.take(part),
                Err(_) => walked.not_seen.push(NotSeen {
                    what: "some of the files".to_owned(),
                    why: "a fault of wi".to_owned(),
                }),
            }
        }
        walked
    });
    walked
        .hits
        .sort_by(|a, b| (&a.spot, &a.found).cmp(&(&b.spot, &b.found)));
    walked.manifests.sort();
    walked
}

impl Walked {
    fn unread(&mut self, path: &Path, why: &str) {
        self.not_seen.push(NotSeen {
            what: path.display().to_string(),
            why: why.to_owned(),
        });
    }

    fn take(&mut self, other: Self) {
        self.hits.extend(other.hits);
        self.manifests.take(other.manifests);
        self.not_seen.extend(other.not_seen);
        self.files += other.files;
        self.bytes += other.bytes;
        self.links += other.links;
    }
}

fn give(send: &SyncSender<PathBuf>, path: PathBuf) {
    // The workers end after the last path: there is always somebody who takes it.
    let _ = send.send(path);
}

fn walk(directory: &Path, deepest: usize, send: &SyncSender<PathBuf>, walked: &mut Walked) {
    if deepest == 0 {
        return walked.unread(directory, "too deep");
    }
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) => return walked.unread(directory, &e.to_string()),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                walked.unread(directory, &e.to_string());
                continue;
            }
        };
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if entry.file_name() != ".git" {
                    walk(&path, deepest - 1, send, walked);
                }
            }
            Ok(kind) if kind.is_file() => give(send, path),
            Ok(kind) if kind.is_symlink() => walked.links += 1,
            // Pipes, devices and sockets hold no files.
            Ok(_) => {}
            Err(e) => walked.unread(&path, &e.to_string()),
        }
    }
}

fn work(receive: &Mutex<Receiver<PathBuf>>, here: &Path, progress: &Progress) -> Walked {
    let mut walked = Walked::default();
    let mut buffer = Buffer::default();
    loop {
        let next = receive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(path) = next else {
            return walked;
        };
        if let Err(e) = one(&path, here, &mut buffer, progress, &mut walked) {
            walked.unread(&path, &e.to_string());
        }
    }
}

fn one(
    path: &Path,
    here: &Path,
    buffer: &mut Buffer,
    progress: &Progress,
    walked: &mut Walked,
) -> std::io::Result<()> {
    let shown = shown(path, here);
    // A pipe that is named would wait for whoever writes to it.
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        walked.unread(path, "not a file");
        return Ok(());
    }
    let file = File::open(path)?;
    let hits = &mut walked.hits;
    let scanned = buffer.scan(file, about.len(), |line, found| {
        let path = shown.clone();
        hits.push(Hit {
            spot: Spot::File { path, line },
            found,
        });
    })?;
    walked.files += 1;
    walked.bytes += scanned.bytes;
    progress.add(scanned.bytes);
    if scanned.is_partial {
        walked.unread(
            path,
            "what is packed or encoded in it is more than is looked at",
        );
    }
    manifests::read(&shown, buffer.bytes(), &mut walked.manifests);
    Ok(())
}

/// The path from here, with `/`.
fn shown(path: &Path, here: &Path) -> String {
    let path = path.strip_prefix(here).unwrap_or(path);
    let text = path.to_string_lossy().replace('\\', "/");
    text.trim_start_matches("./").to_owned()
}
