//! A token bucket for each API whose quota is known, so that a large apply waits its turn instead of
//! being refused. A bucket holds a minute's worth: small runs never wait.
//!
//! <https://cloud.google.com/iam/quotas>

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::Method;

/// Calls a minute per quota project, of which a client has one.
const IAM_READS: NonZeroU32 = NonZeroU32::new(6000).expect("not zero");
const IAM_WRITES: NonZeroU32 = NonZeroU32::new(600).expect("not zero");

/// The buckets of one client.
#[derive(Debug)]
pub(super) struct Buckets {
    iam: String,
    iam_reads: DefaultDirectRateLimiter,
    iam_writes: DefaultDirectRateLimiter,
}

impl Buckets {
    /// `iam` is the base URL of the IAM API.
    pub fn new(iam: String) -> Self {
        Self {
            iam: format!("{iam}v1/projects/"),
            iam_reads: RateLimiter::direct(Quota::per_minute(IAM_READS)),
            iam_writes: RateLimiter::direct(Quota::per_minute(IAM_WRITES)),
        }
    }

    /// Waits until a call may be made.
    pub async fn turn(&self, method: &Method, url: &str) {
        if let Some(bucket) = self.of(method, url) {
            bucket.until_ready().await;
        }
    }

    fn of(&self, method: &Method, url: &str) -> Option<&DefaultDirectRateLimiter> {
        let path = url.strip_prefix(&self.iam)?;
        if !path.contains("/serviceAccounts") {
            return None;
        }
        let reads = method == Method::GET || path.contains(":getIamPolicy");
        Some(if reads {
            &self.iam_reads
        } else {
            &self.iam_writes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_have_buckets_of_their_own() {
        let buckets = Buckets::new("https://iam.googleapis.com/".to_owned());
        let account = "https://iam.googleapis.com/v1/projects/p/serviceAccounts/a@b";
        let empties = |method: Method, verb: &str| {
            let url = format!("{account}{verb}");
            let bucket = buckets.of(&method, &url).expect("a bucket");
            (0..10_000).take_while(|_| bucket.check().is_ok()).count()
        };
        let writes = empties(Method::POST, ":setIamPolicy");
        assert!((600..660).contains(&writes), "{writes}");
        let reads = empties(Method::POST, ":getIamPolicy");
        assert!((6000..7000).contains(&reads), "{reads}");
        let other = "https://storage.googleapis.com/storage/v1/b/x/iam";
        assert!(buckets.of(&Method::GET, other).is_none());
    }
}
