//! Bounds on work: the time that this thread was on a processor, which what else the machine has to do does
//! not add to.

use std::time::Duration;

pub struct CpuTime(Option<Duration>);

impl CpuTime {
    pub fn now() -> Self {
        Self(of_this_thread())
    }

    /// Fails when this thread has worked for so many seconds since. Not measured but on Unix.
    #[track_caller]
    pub fn is_less_than(&self, seconds: u64) {
        if let (Some(from), Some(to)) = (self.0, of_this_thread()) {
            assert!(to - from < Duration::from_secs(seconds), "{:?}", to - from);
        }
    }
}

#[cfg(unix)]
fn of_this_thread() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(unix))]
fn of_this_thread() -> Option<Duration> {
    None
}
