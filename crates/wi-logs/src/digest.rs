//! What was read, by its digest: so that a baseline does not learn from the same file twice.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// Digests of all that was read, in order.
#[derive(Debug, Clone, Default)]
pub struct Digests(Arc<Mutex<Vec<String>>>);

impl Digests {
    /// As many as were read to their end or given up.
    pub fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A reader of the same bytes, whose digest is here once it is dropped.
    pub fn of<'a>(&self, from: Box<dyn Read + 'a>) -> Box<dyn Read + 'a> {
        Box::new(Digesting {
            from,
            digest: Sha256::new(),
            into: self.clone(),
        })
    }
}

struct Digesting<'a> {
    from: Box<dyn Read + 'a>,
    digest: Sha256,
    into: Digests,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

impl Drop for Digesting<'_> {
    fn drop(&mut self) {
        let digest = std::mem::take(&mut self.digest).finalize();
        let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        let mut into = self.into.0.lock().unwrap_or_else(PoisonError::into_inner);
        into.push(format!("sha256:{hex}"));
    }
}
