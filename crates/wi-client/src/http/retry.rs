//! When to try a call again, and how long to wait before.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::{ApiError, server_time};

/// The longest that a server may make us wait by `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Whether a second try may do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Reads, and writes that a version or etag guards.
    Always,
    /// A read of which one can ask less: a used up quota is told at once.
    UnlessQuota,
    /// A write that must not happen twice: tried again only if the server cannot have begun it.
    IfRefused,
}

/// The pauses between so many tries and the next: `first`, doubled each time, with jitter.
pub(crate) fn pauses(first: Duration, tries: usize) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(tries)
        .with_jitter()
        .build()
}

pub(super) fn may_retry(error: &ApiError, retry: Retry, connected: bool) -> bool {
    if error.is_operation_running() {
        return false; // whoever called knows how to wait for the operation
    }
    match error.code {
        429 => retry != Retry::UnlessQuota,
        403 => retry != Retry::UnlessQuota && error.is_quota(),
        500 | 502 | 503 | 504 => retry != Retry::IfRefused,
        0 => retry != Retry::IfRefused || !connected,
        _ => false,
    }
}

/// `Retry-After` in seconds, or as a date by the server's own clock.
pub(super) fn pause_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            let now = server_time(headers).unwrap_or_else(jiff::Timestamp::now);
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use http::header::DATE;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let asked = |value: &str| {
            // A day that this machine has long behind it.
            let date = "Tue, 24 Nov 2015 10:00:00 GMT";
            let headers = HeaderMap::from_iter([
                (DATE, date.parse().expect("a header")),
                (RETRY_AFTER, value.parse().expect("a header")),
            ]);
            pause_asked_for(&headers)
        };
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("99999"), Some(LONGEST_PAUSE));
        assert_eq!(
            asked("Tue, 24 Nov 2015 10:00:07 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(asked("Tue, 24 Nov 2015 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
