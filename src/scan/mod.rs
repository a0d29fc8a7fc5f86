//! Static keys: where they lie, and who uses them.
//!
//! Files are looked through by [`files`], Git's history by [`history`]; what is found is put together by
//! [`report`]; [`live`] adds who uses what. No byte of a key leaves `wi_keys`, which answers with names alone.

pub mod files;
pub mod history;
pub mod live;
pub mod manifests;
pub mod report;

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::{Zeroize, Zeroizing};

pub use report::{KeyReport, Report};

/// A credential at a place.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Where.
    pub spot: Spot,
    /// What.
    pub found: wi_keys::Found,
}

/// Where a credential was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// In a file.
    File {
        /// As it is shown, with `/`.
        path: String,
        /// From 1 on.
        line: u32,
    },
    /// In a blob of Git's history.
    Blob {
        /// The blob.
        object: String,
        /// From 1 on.
        line: u32,
    },
}

/// How far a scan has come; shared with whoever shows that.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files or blobs.
    pub files: AtomicU64,
    /// Bytes.
    pub bytes: AtomicU64,
}

impl Progress {
    fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What is read at once, and how much of it is looked at again with what follows, so that a key on the
/// border is whole.
const BLOCK: usize = 16 << 20;
const OVERLAP: usize = 1 << 20;

/// Memory that files are read into, one after another. It is zeroed when it held a key, when it grows,
/// and at its end.
#[derive(Default)]
struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// Reads up to `length` bytes and scans them, in blocks if they are many. Answers with what was found,
    /// with lines, and whether all was looked at.
    fn scan(
        &mut self,
        mut from: impl Read,
        length: u64,
        mut found: impl FnMut(u32, wi_keys::Found),
    ) -> io::Result<Scanned> {
        let mut scanned = Scanned::default();
        let mut lines_before = 0;
        let mut kept = 0;
        self.0.clear();
        loop {
            let left = length.saturating_sub(scanned.bytes);
            let wanted = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            self.room(kept + wanted + 1);
            // One byte more than is told, since files grow.
            let most = (wanted as u64).max(1);
            let read = (&mut from).take(most).read_to_end(&mut self.0)?;
            scanned.bytes += read as u64;
            let is_last = read < wanted || scanned.bytes >= length;
            let result = wi_keys::scan(&self.0);
            scanned.is_partial |= result.is_partial;
            let has_keys = !result.found.is_empty();
            for hit in result.found {
                // The overlap is looked at twice.
                if hit.offset >= kept || kept == 0 || hit.offset + OVERLAP / 2 >= kept {
                    let line = lines_before + lines(&self.0[..hit.offset.min(self.0.len())]) + 1;
                    found(line, hit);
                }
            }
            scanned.has_keys |= has_keys;
            if is_last {
                break;
            }
            let start = self.0.len() - OVERLAP.min(self.0.len());
            lines_before += lines(&self.0[..start]);
            self.0.copy_within(start.., 0);
            kept = OVERLAP.min(self.0.len());
            self.0.truncate(kept);
        }
        if scanned.has_keys {
            self.0.zeroize();
        }
        Ok(scanned)
    }

    /// What was read last, if it was read at once.
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn room(&mut self, bytes: usize) {
        if self.0.capacity() < bytes {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.next_power_of_two()));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}

/// What became of one file.
#[derive(Debug, Default, Clone, Copy)]
struct Scanned {
    bytes: u64,
    is_partial: bool,
    has_keys: bool,
}

/// How many lines end in it.
fn lines(text: &[u8]) -> u32 {
    let ends = text.iter().filter(|b| **b == b'\n').count();
    u32::try_from(ends).unwrap_or(u32::MAX)
}
