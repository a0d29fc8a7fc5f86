//! Waiting for the servers: intervals that grow with what has been waited, never a fixed sleep.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// How often a write that met another writer is tried again.
pub(super) const CONFLICTS: usize = 20;

/// The longest interval.
const LONGEST: Duration = Duration::from_secs(20);
/// An interval is this share of the time waited so far: what has ended is noticed within as much.
const SHARE: f64 = 0.03;

/// Polls of something that takes seconds to hours, up to a deadline.
#[derive(Debug)]
pub(super) struct Wait {
    started: Instant,
    limit: Duration,
    shortest: Duration,
    stop: CancellationToken,
}

impl Wait {
    /// Up to `limit`, at intervals of at least `shortest`.
    pub fn up_to(limit: Duration, shortest: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
            shortest,
            stop: CancellationToken::new(),
        }
    }

    /// No longer than until `stop` is cancelled: for what nothing is under way at any server.
    pub fn or_until(self, stop: &CancellationToken) -> Self {
        Self {
            stop: stop.clone(),
            ..self
        }
    }

    /// Sleeps until the next try; `false` when the time is up, or the user wants to stop.
    pub async fn again(&mut self) -> bool {
        let waited = self.started.elapsed();
        if waited >= self.limit {
            return false;
        }
        let interval = waited.mul_f64(SHARE).clamp(self.shortest, LONGEST);
        // Two thirds to all of the interval, so that many waiters spread out.
        let jittered = interval.mul_f64(0.67 + 0.33 * fraction());
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(jittered.min(self.limit - waited)) => true,
        }
    }
}

/// A number from 0 to 1 that differs from call to call; it need not be random.
fn fraction() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let hash = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (hash >> 11) as f64 / (1u64 << 53) as f64
}
