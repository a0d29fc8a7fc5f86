//! Waiting for the servers: intervals that grow with what has been waited, never a fixed sleep.

use std::time::Duration;

use tokio::time::Instant;
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
    /// Whether the try that is under way began when the time was up.
    is_last: bool,
}

impl Wait {
    /// Up to `limit`, at intervals of at least `shortest`.
    pub fn up_to(limit: Duration, shortest: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
            shortest,
            stop: CancellationToken::new(),
            is_last: limit.is_zero(),
        }
    }

    /// No longer than until `stop` is cancelled: for what nothing is under way at any server.
    pub fn or_until(self, stop: &CancellationToken) -> Self {
        Self {
            stop: stop.clone(),
            ..self
        }
    }

    /// Sleeps until the next try; `false` when the time is up, or the user wants to stop. The last one begins when the
    /// time is up, however long those before it took: a slow answer is no reason not to look once more.
    pub async fn again(&mut self) -> bool {
        if self.is_last {
            return false;
        }
        let waited = self.started.elapsed();
        let interval = waited.mul_f64(SHARE).clamp(self.shortest, LONGEST);
        // Two thirds to all of the interval, so that many waiters spread out.
        let jittered = interval.mul_f64(0.67 + 0.33 * fraction());
        tokio::select! {
            () = self.stop.cancelled() => return false,
            () = tokio::time::sleep(jittered.min(self.limit.saturating_sub(waited))) => {}
        }
        self.is_last = self.started.elapsed() >= self.limit;
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_last_try_begins_when_the_time_is_up() {
        let mut wait = Wait::up_to(10 * SECOND, SECOND);
        while wait.again().await {}
        assert_eq!(wait.started.elapsed(), 10 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_outlasts_the_time_is_followed_by_one_more() {
        let mut wait = Wait::up_to(2 * SECOND, SECOND);
        tokio::time::sleep(5 * SECOND).await;
        assert!(wait.again().await, "what it saw is three seconds old");
        tokio::time::sleep(5 * SECOND).await;
        assert!(!wait.again().await);
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_is_one_try() {
        assert!(!Wait::up_to(Duration::ZERO, SECOND).again().await);
    }
}
