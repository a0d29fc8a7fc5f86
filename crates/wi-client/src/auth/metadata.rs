//! The metadata server of Compute Engine, GKE and Cloud Build.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::token_endpoint::TokenRequest;
use super::{AuthError, SCOPES, Token, oauth};
use crate::http::{Redirects, Times, builder};

const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
/// How long a machine that is no virtual one is kept waiting.
const PROBE: Duration = Duration::from_millis(1500);
/// The same where the environment says that there is one: it may be busy.
const PROBE_OF_NAMED: Duration = Duration::from_secs(15);

/// Where it is.
pub(super) struct Server {
    base: String,
    probe: Duration,
}

impl Server {
    /// The one of `GCE_METADATA_HOST`, or Google's.
    pub fn of_environment() -> Self {
        let host = std::env::var("GCE_METADATA_HOST").ok();
        let host = host.filter(|h| !h.is_empty());
        Self {
            base: format!("http://{}", host.as_deref().unwrap_or("169.254.169.254")),
            probe: match host {
                Some(_) => PROBE_OF_NAMED,
                None => PROBE,
            },
        }
    }

    /// Whether one answers here.
    pub async fn is_there(&self) -> bool {
        let client = builder(Times::within(self.probe), Redirects::Refused);
        let client = client.no_proxy().build();
        let Ok(client) = client else {
            return false;
        };
        let answer = client.get(&self.base).headers(headers()).send().await;
        answer.is_ok_and(|a| a.headers().get(FLAVOR) == Some(&google()))
    }

    pub async fn fetch(&self) -> Result<Token, AuthError> {
        let url = format!(
            "{}/computeMetadata/v1/instance/service-accounts/default/token?scopes={}",
            self.base,
            wi_core::percent::query(&SCOPES.join(","))
        );
        let mut ask = TokenRequest::get(&url);
        ask.headers = headers();
        ask.near = true;
        Ok(ask.json::<oauth::TokenResponse>().await?.token())
    }
}

fn google() -> HeaderValue {
    HeaderValue::from_static("Google")
}

/// Without this header it refuses: a page in a browser cannot set it.
fn headers() -> HeaderMap {
    HeaderMap::from_iter([(FLAVOR, google())])
}
