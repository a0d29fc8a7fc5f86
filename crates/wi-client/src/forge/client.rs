//! Calls to a forge: patient with its rate limits, and never a token to another host.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use serde_json::Value;

use super::{Kind, Target, Token};
use crate::http::{
    ClientError, ListBudget, Redirects, Secrets, Times, builder, causes, pauses, read_body,
    server_time, with_own_authorities,
};

/// The largest answer that is read, in bytes: a page of a hundred comments is a tenth of it.
const LARGEST: usize = 64 << 20;

/// The most pages of a list, of a hundred comments or labels each.
const MOST_PAGES: usize = 1000;

/// How often a call is tried again that failed in passing.
const TRIES: usize = 4;

/// How a call ended, other than well.
#[derive(Debug)]
pub(super) enum Failed {
    /// The forge said no.
    Refused { status: u16, message: String },
    /// No answer came: whether it was done is not known.
    Lost(String),
}

impl Failed {
    /// Whether the token may not do this, or may not even know of it.
    pub fn is_forbidden(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 403 | 404,
                ..
            }
        )
    }

    /// Whether the text is not to the forge's liking: too long, more often than not.
    pub fn is_unprocessable(&self) -> bool {
        match self {
            Self::Refused { status, message } => {
                matches!(status, 413 | 422) || (*status == 400 && message.contains("too long"))
            }
            Self::Lost(_) => false,
        }
    }

    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 404 | 410,
                ..
            }
        )
    }

    pub fn message(&self) -> String {
        match self {
            Self::Refused { message, .. } | Self::Lost(message) => message.clone(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub headers: HeaderMap,
    pub body: Value,
}

/// A client of one forge.
pub(super) struct Client {
    http: reqwest::Client,
    api: String,
    token: Token,
    secrets: Secrets,
    accept: &'static str,
    deadline: Instant,
}

impl Client {
    pub fn new(target: &Target, token: &Token, patience: Duration) -> Result<Self, ClientError> {
        let builder = builder(Times::within(Duration::from_secs(30)), Redirects::SameHost);
        let http = with_own_authorities(builder)?
            .build()
            .map_err(|e| ClientError::Library(causes(&e)))?;
        Ok(Self {
            http,
            api: target.api.clone(),
            token: token.clone(),
            secrets: {
                let mut secrets = Secrets::default();
                secrets.add(token.value.trim_start_matches("Bearer ").trim());
                secrets
            },
            accept: match target.kind {
                Kind::GitHub => "application/vnd.github+json",
                Kind::GitLab => "application/json",
            },
            deadline: Instant::now() + patience,
        })
    }

    /// The base URL.
    pub fn api(&self) -> &str {
        &self.api
    }

    pub async fn get(&self, path: &str) -> Result<Response, Failed> {
        self.call(Method::GET, &format!("{}{path}", self.api), None, true)
            .await
    }

    /// A change that has the same end when it is made twice.
    pub async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, Failed> {
        self.call(method, &format!("{}{path}", self.api), body, true)
            .await
    }

    /// A change that must not be made twice: without an answer it is not tried again.
    pub async fn once(&self, path: &str, body: &Value) -> Result<Response, Failed> {
        self.call(
            Method::POST,
            &format!("{}{path}", self.api),
            Some(body),
            false,
        )
        .await
    }

    /// As [`Self::change`], by a whole URL of the same host.
    pub async fn change_at(&self, url: &str, body: &Value) -> Result<Response, Failed> {
        self.call(Method::POST, url, Some(body), true).await
    }

    /// All pages of a list, by the `Link` header that both forges send.
    pub async fn pages(&self, path: &str) -> Result<Vec<Value>, Failed> {
        let mut url = format!("{}{path}", self.api);
        let mut all = Vec::new();
        let mut budget = ListBudget::of_pages(MOST_PAGES);
        loop {
            let mut answer = self.call(Method::GET, &url, None, true).await?;
            let Value::Array(items) = answer.body.take() else {
                // Taken for an empty one, it would have the comment posted twice.
                let path = path.split('?').next().unwrap_or(path);
                return Err(Failed::Refused {
                    status: 0,
                    message: format!("GET {path}: the answer is no list"),
                });
            };
            let path = path.split('?').next().unwrap_or(path);
            let endless = |why: String| Failed::Refused {
                status: 0,
                message: format!("GET {path}: {why}"),
            };
            let taken = budget.take(items.len(), 0);
            taken.map_err(|why| endless(why.to_string()))?;
            if Instant::now() > self.deadline {
                return Err(endless("the list takes too long".to_owned()));
            }
            all.extend(items);
            let next = answer
                .headers
                .get(http::header::LINK)
                .and_then(|l| l.to_str().ok())
                .and_then(next_link);
            match next {
                // Only within the API: the token goes nowhere else.
                Some(next) if next.starts_with(&format!("{}/", self.api)) && next != url => {
                    url = next;
                }
                _ => return Ok(all),
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
        again: bool,
    ) -> Result<Response, Failed> {
        let path = url.strip_prefix(&self.api).unwrap_or(url);
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let mut pauses = pauses(Duration::from_millis(500), TRIES);
        loop {
            let (failed, pause) = match self.try_once(&method, url, body).await {
                Ok(answer) if answer.0 < 300 => {
                    return Ok(Response {
                        headers: answer.1,
                        body: answer.2,
                    });
                }
                Ok((status, headers, body)) => {
                    let message = message(&self.secrets, body);
                    let failed = Failed::Refused {
                        status,
                        message: format!("{what}: HTTP {status}{message}"),
                    };
                    match rate_limit(status, &headers, &message) {
                        // A limit refuses before anything is done.
                        Some(pause) => (failed, Some(pause)),
                        None if status >= 500 && again => (failed, Some(None)),
                        None if status >= 500 => (Failed::Lost(failed.message()), None),
                        None => return Err(failed),
                    }
                }
                Err(e) => {
                    let connected = !e.is_connect();
                    let failed = Failed::Lost(format!("{what}: {}", causes(&e.without_url())));
                    // What was never sent can be sent again.
                    (failed, (again || !connected).then_some(None))
                }
            };
            let Some(pause) = pause else {
                return Err(failed);
            };
            let Some(next) = pauses.next() else {
                return Err(failed);
            };
            let pause = pause.unwrap_or(next);
            let left = self.deadline.saturating_duration_since(Instant::now());
            if pause > left {
                return Err(failed);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(u16, HeaderMap, Value), reqwest::Error> {
        let mut request = self
            .http
            .request(method.clone(), url)
            .header("accept", self.accept)
            .header(self.token.header, sensitive(&self.token.value));
        if self.accept.contains("github") {
            request = request.header("x-github-api-version", "2022-11-28");
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        // One that is too large is no JSON any more, and so no comment of ours.
        let mut text = read_body(response, LARGEST).await?.unwrap_or_default();
        if status < 300 && self.secrets.are_in(&text) {
            text.clear(); // whatever it means by that, it is no answer of a forge
        }
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        Ok((status, headers, body))
    }
}

/// A header value that debug output does not show; one that is no header at all is refused there.
fn sensitive(value: &str) -> http::HeaderValue {
    let mut value = http::HeaderValue::from_str(value.trim())
        .unwrap_or_else(|_| http::HeaderValue::from_static("malformed"));
    value.set_sensitive(true);
    value
}

/// What the forge says, `: message (errors)`.
fn message(secrets: &Secrets, mut body: Value) -> String {
    secrets.cut_from(&mut body);
    let text = |v: &Value| match v {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    let said = text(&body["message"]).or_else(|| text(&body["error"]));
    let errors = text(&body["errors"]).map(|e| format!(" ({e})"));
    let mut out = said.map(|m| format!(": {m}")).unwrap_or_default();
    out.push_str(&errors.unwrap_or_default());
    out.chars().take(500).collect()
}

/// Whether a rate limit refused, and how long it asks to wait (`None`: it does not say).
fn rate_limit(status: u16, headers: &HeaderMap, message: &str) -> Option<Option<Duration>> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let retry_after = number("retry-after").map(Duration::from_secs);
    let exhausted = number("x-ratelimit-remaining") == Some(0);
    let limited = status == 429
        || (status == 403
            && (retry_after.is_some()
                || exhausted
                || message.to_ascii_lowercase().contains("rate limit")));
    if !limited {
        return None;
    }
    let reset = number("x-ratelimit-reset")
        .or_else(|| number("ratelimit-reset"))
        .filter(|_| exhausted || status == 429)
        .map(|at| {
            let now = server_time(headers).unwrap_or_else(jiff::Timestamp::now);
            let now = u64::try_from(now.as_second()).unwrap_or(0);
            Duration::from_secs(at.saturating_sub(now).saturating_add(1))
        });
    Some(retry_after.or(reset))
}

/// The URL of `rel="next"`.
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| url.to_owned())
    })
}
