//! Waiting for the servers: growing intervals with jitter, never a fixed sleep.

use std::time::{Duration, Instant};

/// Intervals from half a second to twenty, half as long again each time, up to a deadline.
#[derive(Debug)]
pub(super) struct Wait {
    deadline: Instant,
    next: Duration,
    longest: Duration,
}

impl Wait {
    /// Polls of something that takes seconds to hours.
    pub fn up_to(limit: Duration) -> Self {
        Self {
            deadline: Instant::now() + limit,
            next: Duration::from_millis(400),
            longest: Duration::from_secs(20),
        }
    }

    /// Sleeps until the next try; `false` when the time is up.
    pub async fn again(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        // Two thirds to all of the interval, so that many waiters spread out.
        let jitter = self.next.mul_f64(0.67 + 0.33 * fraction());
        tokio::time::sleep(jitter.min(self.deadline - now)).await;
        self.next = self.next.mul_f64(1.5).min(self.longest);
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
