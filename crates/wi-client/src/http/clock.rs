//! What time it is by the servers' clocks: this machine's own may be wrong.

use std::sync::atomic::{AtomicI64, Ordering};

use http::HeaderMap;
use http::header::DATE;
use jiff::{SignedDuration, Timestamp};

/// The time of an answer by the server that gave it, from its `Date` header.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let value = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(value).ok()?.timestamp())
}

/// How far this machine's clock is ahead of the last server's that told the time, in seconds.
#[derive(Debug)]
pub(super) struct Comparison(AtomicI64);

/// Nobody has told it yet.
const UNKNOWN: i64 = i64::MIN;

impl Default for Comparison {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl Comparison {
    /// Takes note of an answer that has just come.
    pub fn see(&self, headers: &HeaderMap) {
        if let Some(theirs) = server_time(headers) {
            let ahead = Timestamp::now().duration_since(theirs).as_secs();
            self.0.store(ahead, Ordering::Relaxed);
        }
    }

    pub fn ahead(&self) -> Option<SignedDuration> {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => None,
            seconds => Some(SignedDuration::from_secs(seconds)),
        }
    }
}
