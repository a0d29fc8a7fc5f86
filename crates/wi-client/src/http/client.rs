//! What all HTTP clients are made of, be they Google's, a cluster's, a token endpoint's or a forge's.

use std::time::Duration;

use reqwest::redirect::{Attempt, Policy};
use reqwest::{ClientBuilder, Response};

/// How long one try may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub whole: Duration,
    /// Between two parts of the answer.
    pub quiet: Duration,
}

impl Times {
    /// A server that is to answer within this.
    pub fn within(whole: Duration) -> Self {
        Self {
            whole,
            quiet: whole,
        }
    }
}

/// Whether a client goes where a server sends it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Redirects {
    /// Never: the token would go with it.
    Refused,
    /// To the same scheme, host and port, three times.
    SameHost,
}

/// A client that trusts nobody yet.
pub(crate) fn builder(times: Times, redirects: Redirects) -> ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .user_agent(concat!("wi/", env!("CARGO_PKG_VERSION")))
        .redirect(match redirects {
            Redirects::Refused => Policy::none(),
            Redirects::SameHost => Policy::custom(|attempt| match stays(&attempt) {
                true => attempt.follow(),
                false => attempt.stop(),
            }),
        })
        .connect_timeout(Duration::from_secs(10).min(times.whole))
        .read_timeout(times.quiet)
        .timeout(times.whole)
}

/// A header of tokens that is none of the usual is not taken off on the way elsewhere.
fn stays(attempt: &Attempt<'_>) -> bool {
    let place = |url: &reqwest::Url| {
        let host = url.host_str().map(str::to_owned);
        (url.scheme().to_owned(), host, url.port_or_known_default())
    };
    let from = attempt.previous().first();
    from.is_some_and(|from| place(from) == place(attempt.url())) && attempt.previous().len() <= 3
}

/// One TLS provider for the whole process; a second call changes nothing.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The body of an answer; `None`: it is larger than so many bytes, and was not read on.
pub(crate) async fn read_body(
    mut response: Response,
    largest: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > largest {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
