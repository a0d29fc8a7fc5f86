//! From a request to its answer: tries, tokens, silence, bounds.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use zeroize::Zeroizing;

use super::causes::{causes, is_of_tls};
use super::{ApiError, ErrorKind, Http, ListBudget, Request, Secrets, Waited, retry};
use crate::auth::Login;

/// The most values that one answer may have: some six times a page of large pods, or the list of a
/// project with a thousand node pools.
const MOST_VALUES: usize = 4_000_000;

/// What is read of a refusal, in bytes.
const LARGEST_REFUSAL: usize = 1 << 20;

/// A try that failed, and what it says about the next.
struct Failed {
    error: ApiError,
    connected: bool,
    pause: Option<Duration>,
    /// How long the server was silent before.
    quiet: Duration,
}

impl Http {
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
            .map_err(|why| ApiError::without_answer(method.as_str(), &url, why.to_string()))?;
        Ok(page)
    }

    /// As [`Self::json`], an answer that has a secret in it: it is zeroed, and no error quotes it.
    pub(crate) async fn secret<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<T, ApiError> {
        let body = Zeroizing::new(self.send(&request).await?);
        // The parser's own message could quote a token.
        serde_json::from_slice(&body).map_err(|_| ApiError {
            kind: ErrorKind::Unreadable,
            ..ApiError::without_answer(
                request.method.as_str(),
                &request.url,
                "the answer is not what the API documents".to_owned(),
            )
        })
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
        let _under_way = self.shared.traffic.begin(server);
        let allowed = patience.with(server);
        let mut quiet = Duration::ZERO;
        loop {
            let unanswered = |e| ApiError::without_answer(request.method.as_str(), &request.url, e);
            let login = self.token.login(rejected.as_ref()).await;
            let login = login.map_err(|e| ApiError {
                code: 401,
                ..unanswered(e.to_string())
            })?;
            let call = self.clients.call(&request.method, &request.url, &login);
            let call = call.map_err(unanswered)?;
            let left = allowed.saturating_sub(quiet);
            let secrets = request.secrets.as_ref().unwrap_or(&login.secrets);
            let tried = self.attempt(request, call, secrets, (quiet, left));
            let failed = match tried.await {
                Ok((_, body)) if secrets.are_in(&body) => {
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
        if let Some(agent) = &self.agent {
            call = call.header(http::header::USER_AGENT, &**agent);
        }
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
        // As long as it is under way.
        let span = tracing::trace_span!("try", method, url);
        let silent = |connected: bool| Failed {
            quiet: left,
            ..failed(patience.why(quiet + left), connected)
        };
        let sent = patience.wait((server, &what), quiet, left, call.send());
        let mut response = match sent.await {
            Waited::Answered(sent) => sent.map_err(|e| {
                let mut failed = failed(causes(&e), !e.is_connect());
                failed.quiet = started.elapsed();
                if is_of_tls(&e) {
                    failed.error.kind = ErrorKind::Tls;
                }
                failed
            })?,
            Waited::Silent => return Err(silent(true)),
        };
        tracing::trace!(parent: &span, "the answer begins");
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
