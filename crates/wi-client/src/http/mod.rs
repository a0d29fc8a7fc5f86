//! The one HTTP layer: tokens, TLS, retries, bounded concurrency, endpoints, traces.

mod ca_roots;
mod client;
mod clock;
mod endpoints;
mod error;
mod list;
mod patience;
mod quota;
mod retry;
mod secrets;
mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

pub(crate) use ca_roots::with_own_authorities;
pub(crate) use client::{Redirects, Times, builder, read_body};
pub(crate) use clock::server_time;
pub use endpoints::Endpoints;
pub(crate) use endpoints::{checked, is_loopback};
pub use error::{ApiError, Cause, ErrorKind, Hint, seen};
pub(crate) use list::ListBudget;
pub use patience::Notices;
pub(crate) use patience::{Patience, Waited};
pub(crate) use retry::{Retry, pauses};
pub(crate) use secrets::Secrets;
pub(crate) use server::{CertifiedAs, Server};
pub use wi_core::api::Api;

use crate::auth::{Login, TokenSource};
use crate::files::{self, Unread};

/// What a client is made of.
#[derive(Debug)]
pub struct HttpOptions {
    /// Where the Google APIs are.
    pub endpoints: Endpoints,
    /// Where tokens come from.
    pub token: TokenSource,
    /// Calls at the same time.
    pub parallelism: usize,
    /// How long one try of a call may take, its body included.
    pub timeout: Duration,
    /// How long a server may be silent to a call, its second tries included.
    pub patience: Duration,
    /// Who is told of what is waited for.
    pub notices: Notices,
    /// The largest answer that is read, in bytes.
    pub largest_body: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::default(),
            token: TokenSource::application_default(),
            parallelism: 32,
            timeout: Duration::from_secs(90),
            patience: Duration::from_secs(120),
            notices: Notices::default(),
            largest_body: 256 << 20,
        }
    }
}

/// The most values that one answer may have: some six times a page of large pods, or the list of a
/// project with a thousand node pools.
const MOST_VALUES: usize = 4_000_000;

/// What is read of a refusal, in bytes.
const LARGEST_REFUSAL: usize = 1 << 20;

/// A client of all APIs: it shares connections, tokens and limits. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    shared: Arc<Shared>,
    clients: Arc<server::Clients>,
    token: Arc<TokenSource>,
}

struct Shared {
    buckets: quota::Buckets,
    clock: clock::Comparison,
    endpoints: Endpoints,
    permits: Semaphore,
    times: Times,
    patience: Patience,
    largest_body: usize,
    /// Clients of other servers than Google's, for as long as the session lasts.
    servers: server::Pool,
    /// Of servers that Google's token is not meant for.
    tokens: Mutex<BTreeMap<String, Arc<TokenSource>>>,
    /// Files that say where servers are, as they were when they were first read.
    files: Mutex<BTreeMap<PathBuf, Arc<[u8]>>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("endpoints", &self.shared.endpoints)
            .finish_non_exhaustive()
    }
}

/// One call. Not `Debug`: a form may hold a token.
#[derive(Clone)]
pub(crate) struct Request {
    pub method: Method,
    pub url: String,
    pub body: Option<Value>,
    /// A form, in place of a body; never logged.
    pub form: Option<String>,
    pub content_type: &'static str,
    pub accept: &'static str,
    pub retry: Retry,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// How long to go on trying to connect; `None`: as long as there are tries.
    pub connect_within: Option<Duration>,
}

impl Request {
    pub fn new(method: Method, url: String) -> Self {
        Self {
            method,
            url,
            body: None,
            form: None,
            content_type: "application/json",
            accept: "application/json",
            retry: Retry::Always,
            if_match: None,
            connect_within: None,
        }
    }

    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

/// A try that failed, and what it says about the next.
struct Failed {
    error: ApiError,
    connected: bool,
    pause: Option<Duration>,
    /// How long the server was silent before.
    quiet: Duration,
}

impl Http {
    /// A client that trusts the system's certificate authorities.
    pub fn new(options: HttpOptions) -> Result<Self, String> {
        let times = Times {
            whole: options.timeout,
            // A call whose answer is lost on the way has time for a second try.
            quiet: options.patience / 2,
        };
        let clients = server::Clients::of(Server::default(), times)
            .map_err(|e| format!("cannot make an HTTP client: {e}"))?;
        Ok(Self {
            shared: Arc::new(Shared {
                buckets: quota::Buckets::new(options.endpoints.base(Api::Iam)),
                clock: clock::Comparison::default(),
                endpoints: options.endpoints,
                permits: Semaphore::new(options.parallelism.max(1)),
                times,
                patience: Patience::new(options.patience, options.notices, " (--request-timeout)"),
                largest_body: options.largest_body,
                servers: server::Pool::default(),
                tokens: Mutex::default(),
                files: Mutex::default(),
            }),
            clients: Arc::new(clients),
            token: Arc::new(options.token),
        })
    }

    /// The same client for a server that only this CA vouches for.
    pub(crate) fn trusting_only(&self, ca_pem: &[u8]) -> Result<Self, String> {
        self.for_server(Server {
            ca: Some(ca_pem.to_owned()),
            ..Server::default()
        })
    }

    /// The same client for another server, whose connections all share who reach it in the same way. The
    /// error is for the user, and quotes no key.
    pub(crate) fn for_server(&self, server: Server) -> Result<Self, String> {
        Ok(Self {
            shared: Arc::clone(&self.shared),
            clients: self.shared.servers.clients(server, self.shared.times)?,
            token: Arc::clone(&self.token),
        })
    }

    /// The same client with another token: for a server that Google's is not meant for.
    pub(crate) fn with_token(mut self, token: TokenSource) -> Self {
        self.token = Arc::new(token);
        self
    }

    /// The same client with a token that all who give this key share.
    pub(crate) fn sharing_token(mut self, key: String, make: impl FnOnce() -> TokenSource) -> Self {
        let mut tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let token = tokens.entry(key).or_insert_with(|| Arc::new(make()));
        let token = Arc::clone(token);
        drop(tokens);
        self.token = token;
        self
    }

    /// A file of at most `most` bytes, which is read once in a session: later changes are not seen.
    pub(crate) fn file(&self, path: &Path, most: u64) -> Result<Arc<[u8]>, Unread> {
        let mut files = self
            .shared
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = files.get(path) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = files::read(path, most)?.into();
        files.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// What the credentials are, as far as they say themselves.
    pub async fn identity(&self) -> Result<crate::auth::Identity, String> {
        self.token.identity().await
    }

    /// Who is told of what is waited for.
    pub fn notices(&self) -> &Notices {
        &self.shared.patience.notices
    }

    /// Gets a token, if there is none yet.
    pub async fn sign_in(&self) -> Result<(), String> {
        self.token.headers().await.map(drop)
    }

    /// The access token, for the one question that is about it.
    pub(crate) async fn access_token(&self) -> Option<String> {
        let headers = self.token.headers().await.ok()?;
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        value.strip_prefix("Bearer ").map(str::to_owned)
    }

    /// A URL of a Google API.
    pub(crate) fn url(&self, api: Api, path: &str) -> String {
        format!("{}{path}", self.shared.endpoints.base(api))
    }

    /// A URL of a Google API in a location.
    pub(crate) fn regional_url(&self, api: Api, location: &str, path: &str) -> String {
        format!("{}{path}", self.shared.endpoints.regional(api, location))
    }

    /// How far this machine's clock is ahead of the servers'; `None` before one has said what time it
    /// is.
    pub fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        self.shared.clock.ahead()
    }

    /// The base URL of a Google API whose host begins with the location.
    pub(crate) fn located_base(&self, api: Api, location: &str) -> String {
        self.shared.endpoints.located(api, location)
    }

    /// Calls, and reads the answer.
    pub(crate) async fn json<T>(&self, request: Request) -> Result<T, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        Ok(self.whole_json(request).await?.0)
    }

    /// As [`Self::json`], and whether the server made something (201).
    pub(crate) async fn json_made<T>(&self, request: Request) -> Result<(T, bool), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (answer, status, _) = self.whole_json(request).await?;
        Ok((answer, status == StatusCode::CREATED))
    }

    /// As [`Self::json`], a page of a list with so many `items`, which takes from the list's budget.
    pub(crate) async fn page<T>(
        &self,
        request: Request,
        budget: &mut ListBudget,
        items: impl Fn(&T) -> usize,
    ) -> Result<T, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (method, url) = (request.method.clone(), request.url.clone());
        let (page, _, bytes) = self.whole_json(request).await?;
        budget
            .take(items(&page), bytes)
            .map_err(|why| ApiError::without_answer(method.as_str(), &url, why))?;
        Ok(page)
    }

    /// The answer, its status, and its length in bytes.
    async fn whole_json<T>(&self, request: Request) -> Result<(T, StatusCode, usize), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let http = self.clone();
        // A task of its own: answers of many clusters are decrypted and read on all cores.
        let task = async move {
            let (status, body) = http.answer(&request).await?;
            let unreadable = |why: String| {
                let message = format!("the answer is not what the API documents: {why}");
                let (method, url) = (request.method.as_str(), request.url.as_str());
                ApiError {
                    kind: ErrorKind::Unreadable,
                    ..ApiError::without_answer(method, url, message)
                }
            };
            // What is three bytes on its way can take a hundred times as much in memory.
            let values = body
                .iter()
                .filter(|b| matches!(b, b'{' | b'[' | b','))
                .count();
            if values > MOST_VALUES {
                return Err(unreadable(format!("it has more than {MOST_VALUES} values")));
            }
            let answer = serde_json::from_slice(&body).map_err(|e| unreadable(e.to_string()))?;
            Ok((answer, status, body.len()))
        };
        // Whose call it is goes with it.
        let task = tokio::spawn(task.instrument(tracing::Span::current()));
        match AbortOnDropHandle::new(task).await {
            Ok(answer) => answer,
            Err(e) => std::panic::resume_unwind(e.into_panic()), // nobody else can abort it
        }
    }

    /// Calls until it succeeds, is refused for good, or the tries are used up.
    pub(crate) async fn send(&self, request: &Request) -> Result<Vec<u8>, ApiError> {
        self.answer(request).await.map(|(_, body)| body)
    }

    async fn answer(&self, request: &Request) -> Result<(StatusCode, Vec<u8>), ApiError> {
        let mut pauses = retry::pauses(Duration::from_millis(250), 7);
        let mut rejected: Option<Login> = None;
        let started = Instant::now();
        let patience = &self.shared.patience;
        let server = server_of(&request.url);
        let allowed = patience.with(server);
        let mut quiet = Duration::ZERO;
        loop {
            let unanswered = |e| ApiError::without_answer(request.method.as_str(), &request.url, e);
            let login = self.token.login(rejected.as_ref()).await;
            let login = login.map_err(|e| ApiError {
                code: 401,
                ..unanswered(e)
            })?;
            let call = self.clients.call(&request.method, &request.url, &login);
            let call = call.map_err(unanswered)?;
            let left = allowed.saturating_sub(quiet);
            let tried = self.attempt(request, call, &login.secrets, (quiet, left));
            let failed = match tried.await {
                Ok((_, body)) if login.secrets.are_in(&body) => {
                    let why = "the answer has the access token of the call in it, and is not used";
                    return Err(ApiError {
                        kind: ErrorKind::Unreadable,
                        ..unanswered(why.to_owned())
                    });
                }
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failed.error.code == 401 && rejected.is_none() {
                rejected = Some(login); // it may just have expired
                continue;
            }
            if !retry::may_retry(&failed.error, request.retry, failed.connected) {
                return Err(failed.error);
            }
            let out_of_reach = !failed.connected
                && request
                    .connect_within
                    .is_some_and(|limit| started.elapsed() >= limit);
            if out_of_reach {
                return Err(failed.error);
            }
            let Some(pause) = pauses.next() else {
                return Err(failed.error);
            };
            let pause = failed.pause.map_or(pause, |asked| asked.max(pause / 4));
            quiet = match failed.error.code {
                0 => quiet + failed.quiet + pause,
                _ => Duration::ZERO,
            };
            if quiet >= allowed {
                patience.gives_up(server, allowed);
                return Err(failed.error);
            }
            if failed.pause.is_some() {
                patience.asks_to_wait(server, pause, &failed.error.message);
            }
            tracing::debug!(url = request.url, error = %failed.error.message, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// One try; in what fails nothing of what was sent is quoted.
    async fn attempt(
        &self,
        request: &Request,
        call: RequestBuilder,
        secrets: &Secrets,
        (quiet, left): (Duration, Duration),
    ) -> Result<(StatusCode, Vec<u8>), Failed> {
        let (method, url) = (request.method.as_str(), request.url.as_str());
        let failed = |message: String, connected: bool| Failed {
            error: ApiError::without_answer(method, url, secrets.cut(&message)),
            connected,
            pause: None,
            quiet: Duration::ZERO,
        };
        let patience = &self.shared.patience;
        let server = server_of(url);
        let what = format!("{method} {}", path_of(url));
        self.shared.buckets.turn(&request.method, url).await;
        // Held while the call is under way, not during pauses.
        let _permit = self
            .shared
            .permits
            .acquire()
            .await
            .map_err(|e| failed(e.to_string(), false))?;
        let mut call = call.header(http::header::ACCEPT, request.accept);
        if let Some(etag) = &request.if_match {
            call = call.header(http::header::IF_MATCH, etag);
        }
        if let Some(form) = &request.form {
            call = call
                .header(
                    http::header::CONTENT_TYPE,
                    "application/x-www-form-urlencoded",
                )
                .body(form.clone());
        } else if let Some(body) = &request.body {
            call = call
                .header(http::header::CONTENT_TYPE, request.content_type)
                .body(body.to_string());
        } else if request.method == Method::POST {
            call = call.header(http::header::CONTENT_LENGTH, 0);
        }
        let started = Instant::now();
        let silent = |connected: bool| Failed {
            quiet: left,
            ..failed(patience.why(quiet + left), connected)
        };
        let sent = patience.wait((server, &what), quiet, left, call.send());
        let mut response = match sent.await {
            Waited::Answered(sent) => sent.map_err(|e| Failed {
                quiet: started.elapsed(),
                ..failed(causes(&e), !e.is_connect())
            })?,
            Waited::Silent => return Err(silent(true)),
        };
        patience.has_answered(server);
        let (status, answer_headers) = (response.status(), response.headers().clone());
        self.shared.clock.see(&answer_headers);
        let refuses = !status.is_success();
        let mut body = Vec::new();
        loop {
            let before = Instant::now();
            let chunk = patience.wait((server, &what), quiet, left, response.chunk());
            let chunk = match chunk.await {
                Waited::Answered(chunk) => chunk.map_err(|e| Failed {
                    quiet: before.elapsed(),
                    ..failed(causes(&e), true)
                })?,
                Waited::Silent => return Err(silent(true)),
            };
            let Some(chunk) = chunk else { break };
            if refuses && body.len() + chunk.len() > LARGEST_REFUSAL {
                break; // whatever that is, it is no reason
            }
            if body.len() + chunk.len() > self.shared.largest_body {
                let limit = self.shared.largest_body;
                let mut too_large =
                    failed(format!("the answer is larger than {limit} bytes"), true);
                too_large.error.code = status.as_u16();
                too_large.error.kind = ErrorKind::Unreadable;
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(method, url, status = status.as_u16(), bytes = body.len(), elapsed = ?started.elapsed(), "call");
        if status.is_success() {
            return Ok((status, body));
        }
        Err(Failed {
            error: refusal(method, url, status, &answer_headers, &body, secrets),
            connected: true,
            pause: retry::pause_asked_for(&answer_headers),
            quiet: Duration::ZERO,
        })
    }
}

fn refusal(
    method: &str,
    url: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &Secrets,
) -> ApiError {
    if status.is_redirection() {
        let to = headers
            .get(http::header::LOCATION)
            .and_then(|l| l.to_str().ok())
            .unwrap_or("elsewhere");
        let to = wi_core::words::safe(&secrets.cut(to));
        let mut error = ApiError::without_answer(
            method,
            url,
            format!(
                "the server sends us to {to}, which is not followed: the access token would go with it"
            ),
        );
        error.code = status.as_u16();
        error.kind = ErrorKind::Refused;
        return error;
    }
    ApiError::from_answer_without(secrets, method, url, status.as_u16(), body)
}

/// Host and port of a URL.
fn server_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The path of a URL, without its query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split('?').next().unwrap_or(path)
}

/// An error with all that caused it: reqwest's own text alone rarely says what went wrong.
pub(crate) fn causes(e: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(e);
    if next.is_none() {
        // Not with its URL: that of a credential source may hold a secret.
        let whole = e.to_string();
        text = whole
            .split(" for url (")
            .next()
            .unwrap_or_default()
            .to_owned();
    }
    while let Some(source) = next {
        let message = source.to_string();
        if !text.contains(&message) {
            text = if text.is_empty() {
                message
            } else {
                format!("{text}: {message}")
            };
        }
        next = source.source();
    }
    // In the words of rustls.
    if text.contains("UnknownIssuer") {
        text = "the server's certificate is from an authority that is not trusted here (UnknownIssuer). Where a proxy looks into TLS, name its authorities by SSL_CERT_FILE".to_owned();
    }
    // Certificates are for a time, and most that are not good at this one are good.
    if text.contains("certificate expired") || text.contains("certificate not valid yet") {
        text.push_str(". Is this machine's clock right?");
    }
    wi_core::words::safe(&text)
}
