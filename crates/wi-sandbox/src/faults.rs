//! Failures on demand: which requests and operations go wrong, how, and how often.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use futures::stream::{self, StreamExt};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::errors::ApiError;
use super::serde_help::is_default;

/// One failure to inject. The first fault whose conditions hold answers; latencies add up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fault {
    /// Which requests: `METHOD /path?query`, from the start; `*` (or `.*`) stands for anything, and
    /// what comes after the pattern does not matter unless it ends in `$`. Absent: all requests.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Answer with this HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The message of that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its `Retry-After` header, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Send that header as an HTTP date, by the server's clock.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_after_is_date: bool,
    /// Answer 400 `FAILED_PRECONDITION`.
    #[serde(skip_serializing_if = "is_default")]
    pub failed_precondition: bool,
    /// Answer 403 `PERMISSION_DENIED`.
    #[serde(skip_serializing_if = "is_default")]
    pub denied: bool,
    /// The `ErrorInfo.reason` of that answer, such as `SERVICE_DISABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Answer with this text in place of the API's own, as a proxy would; with `status`, or 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Close the connection in the middle of an answer.
    #[serde(skip_serializing_if = "is_default")]
    pub reset: bool,
    /// Do what was asked, and close the connection in the middle of the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub lost: bool,
    /// Do what was asked, and send the second half of the answer so many real milliseconds later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_body_ms: Option<u64>,
    /// Wait before answering, in real milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// From this request on the sandbox stands still: nothing is answered, and its clock stops, until the
    /// faults are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Break the TLS handshake with a cluster's Kubernetes API in this way. `match` is compared with
    /// `TLS PROJECT/LOCATION/CLUSTER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<BrokenTls>,
    /// How many matching requests or operations are let through before it hits one.
    #[serde(skip_serializing_if = "is_default")]
    pub after: u32,
    /// How many requests it hits before it is used up. Absent: no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many of 100 matching requests it hits. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent: Option<f64>,
    /// Cluster and operation lists say that they lack these zones; what is in them is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_zones: Vec<String>,
    /// Operations whose `TYPE targetLink` has this text in it end with `error`, or are `stuck`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The message of the failed operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The operation does not go on until the fault is removed.
    #[serde(skip_serializing_if = "is_default")]
    pub stuck: bool,
}

/// Which half of a request is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// What it asks for is not done before the sandbox goes on.
    Request,
    /// What it asks for is done, but not answered.
    Answer,
}

/// What is wrong with a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BrokenTls {
    /// The connection is closed when the client has said hello.
    CutOff,
    /// The certificate is signed by another authority.
    OtherAuthority,
    /// The certificate has expired.
    Expired,
}

/// What the faults make of one request.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Wait this long first.
    pub latency: Duration,
    /// Then answer with this, if anything.
    pub error: Option<ApiError>,
    /// Or with this status and text.
    pub raw: Option<(u16, String)>,
    /// Or close the connection.
    pub reset: bool,
    /// Close the connection in the middle of the ordinary answer.
    pub lost: bool,
    /// Pause in the middle of the ordinary answer.
    pub slow_body: Option<Duration>,
    /// Break the handshake so.
    pub tls: Option<BrokenTls>,
    /// Wait for this until the sandbox goes on, before or after the ordinary answer is made.
    pub hold: Option<(Hold, CancellationToken)>,
}

impl Verdict {
    /// Answers as the verdict says: with `refuse` of an error, or what `ordinary` answers.
    pub async fn carry_out(
        self,
        refuse: impl FnOnce(ApiError) -> Response<Body>,
        ordinary: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        let (before, after) = match self.hold {
            Some((Hold::Request, goes_on)) => (Some(goes_on), None),
            Some((Hold::Answer, goes_on)) => (None, Some(goes_on)),
            None => (None, None),
        };
        if let Some(goes_on) = before {
            goes_on.cancelled_owned().await;
        }
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        if self.reset {
            return broken_off(Response::new(()), Bytes::from_static(b"{"));
        }
        if let Some((status, text)) = self.raw {
            let mut response = Response::new(Body::from(text));
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return response;
        }
        if let Some(error) = self.error {
            return refuse(error);
        }
        let response = ordinary.await;
        if let Some(goes_on) = after {
            goes_on.cancelled_owned().await;
        }
        if !self.lost && self.slow_body.is_none() {
            return response;
        }
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
        let head = Response::from_parts(head, ());
        match self.slow_body {
            Some(pause) if !self.lost => {
                let second = async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, std::io::Error>(second)
                };
                let parts = stream::once(async { Ok(first) }).chain(stream::once(second));
                head.map(|()| Body::from_stream(parts))
            }
            _ => broken_off(head, first),
        }
    }
}

/// An answer whose connection is closed before its end.
fn broken_off(head: Response<()>, start: Bytes) -> Response<Body> {
    let end = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let mut broken = head.map(|()| Body::from_stream(stream::iter([Ok(start), Err(end)])));
    broken.extensions_mut().insert(BrokenOff);
    broken
}

/// Marks an answer whose connection is closed with it: over HTTP/2 only its stream would end.
#[derive(Debug, Clone, Copy)]
pub struct BrokenOff;

/// Decides about one request. `draw` gives numbers in 0..100; used-up faults are removed.
pub fn judge(faults: &mut Vec<Fault>, request: &str, mut draw: impl FnMut() -> f64) -> Verdict {
    let mut verdict = Verdict::default();
    for fault in faults.iter_mut() {
        let about_requests = fault.status.is_some()
            || fault.denied
            || fault.failed_precondition
            || fault.tls.is_some()
            || fault.body.is_some()
            || fault.reset
            || fault.lost
            || fault.slow_body_ms.is_some()
            || fault.latency_ms.is_some()
            || fault.hold.is_some();
        let hits = about_requests
            && fault.pattern.as_deref().is_none_or(|p| matches(p, request))
            && fault.percent.is_none_or(|percent| draw() < percent);
        if !hits {
            continue;
        }
        if fault.after > 0 {
            fault.after -= 1;
            continue;
        }
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
        }
        verdict.latency += Duration::from_millis(fault.latency_ms.unwrap_or(0));
        verdict.tls = verdict.tls.or(fault.tls);
        if let Some(hold) = fault.hold {
            let goes_on = CancellationToken::new();
            verdict.hold.get_or_insert((hold, goes_on));
        }
        verdict.reset |= fault.reset;
        verdict.lost |= fault.lost;
        let slow = fault.slow_body_ms.map(Duration::from_millis);
        verdict.slow_body = slow.or(verdict.slow_body);
        if let Some(text) = &fault.body {
            verdict.raw = Some((fault.status.unwrap_or(200), text.clone()));
            break;
        }
        if let Some(error) = fault.answer(request) {
            verdict.error = Some(error);
            break;
        }
    }
    faults.retain(|fault| fault.times != Some(0));
    verdict
}

/// The error that an operation ends with, if a fault is meant for it. `ends`: otherwise it ends well.
pub fn operation_error(faults: &mut Vec<Fault>, operation: &str, ends: bool) -> Option<String> {
    let fault = faults.iter_mut().find(|fault| {
        !fault.stuck
            && fault
                .operation
                .as_deref()
                .is_some_and(|wanted| operation.contains(wanted))
    })?;
    if fault.after > 0 {
        fault.after -= u32::from(ends);
        return None;
    }
    let error = fault
        .error
        .clone()
        .unwrap_or_else(|| "Internal error.".to_owned());
    if let Some(times) = &mut fault.times {
        *times = times.saturating_sub(1);
    }
    faults.retain(|fault| fault.times != Some(0));
    Some(error)
}

/// Whether an operation does not go on.
pub fn is_stuck(faults: &[Fault], operation: &str) -> bool {
    faults.iter().any(|fault| {
        let meant = fault.operation.as_deref();
        fault.stuck && meant.is_some_and(|wanted| operation.contains(wanted))
    })
}

/// The `Retry-After` header of an error, and the `Date` that it counts from.
pub fn set_retry_after(error: &ApiError, now: Timestamp, headers: &mut HeaderMap) {
    let Some(seconds) = error.retry_after else {
        return;
    };
    let value = if error.retry_after_is_date {
        let at = now + Duration::from_secs(seconds.into());
        http_date(at)
    } else {
        Some(seconds.into())
    };
    if let Some(value) = value {
        headers.insert(RETRY_AFTER, value);
    }
}

/// The `Date` header of a server whose clock says `now`.
pub fn set_date(now: Timestamp, headers: &mut HeaderMap) {
    if let Some(date) = http_date(now) {
        headers.insert(DATE, date);
    }
}

/// As in RFC 9110, whole seconds.
fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    HeaderValue::from_str(&printer.timestamp_to_rfc9110_string(&at).ok()?).ok()
}

impl Fault {
    fn answer(&self, request: &str) -> Option<ApiError> {
        let code = match self.status {
            _ if self.denied => 403,
            _ if self.failed_precondition => 400,
            status => status?,
        };
        let text = self.message.clone().unwrap_or_else(|| match code {
            403 => "The caller does not have permission".to_owned(),
            429 => "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'."
                .to_owned(),
            400 if self.failed_precondition => "Precondition check failed.".to_owned(),
            401 => "Request had invalid authentication credentials.".to_owned(),
            404 => "Requested entity was not found.".to_owned(),
            409 => "There were concurrent changes. Please retry the whole read-modify-write with \
                    exponential backoff."
                .to_owned(),
            412 => "At least one of the pre-conditions you specified did not hold.".to_owned(),
            503 => "The service is currently unavailable.".to_owned(),
            _ => "Internal error encountered.".to_owned(),
        });
        let mut error = if self.failed_precondition {
            ApiError::precondition(text)
        } else {
            ApiError::new(code, text)
        };
        if let Some(reason) = &self.reason {
            let metadata = match reason.as_str() {
                "SERVICE_DISABLED" => disabled(request),
                _ => json!({}),
            };
            error = error.with_info(reason, "googleapis.com", metadata);
        } else if code == 429 {
            error = error.with_info("RATE_LIMIT_EXCEEDED", "googleapis.com", json!({}));
        } else if code == 403 {
            error = error.with_info("IAM_PERMISSION_DENIED", "iam.googleapis.com", json!({}));
        }
        error.retry_after = self.retry_after;
        error.retry_after_is_date = self.retry_after_is_date;
        Some(error)
    }
}

/// The `service` that `METHOD /path?query` is of and the `consumer`, where the request tells them.
fn disabled(request: &str) -> Value {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let searched;
    let (project, service) = match segments.as_slice() {
        [_, "projects", project, "serviceAccounts", ..] => (project, "iam"),
        [_, "projects", project, "services:batchGet"] => (project, "serviceusage"),
        [_, "projects", name] if name.ends_with(":searchAllIamPolicies") => {
            searched = name.trim_end_matches(":searchAllIamPolicies");
            (&searched, "cloudasset")
        }
        [
            _,
            "projects",
            project,
            "locations" | "zones",
            _,
            "clusters" | "operations",
            ..,
        ] => (project, "container"),
        [_, "projects", project, "secrets", ..] => (project, "secretmanager"),
        [_, "projects", project, "topics" | "subscriptions", ..] => (project, "pubsub"),
        _ => return json!({}),
    };
    json!({
        "service": format!("{service}.googleapis.com"),
        "consumer": format!("projects/{project}"),
    })
}

/// Whether `pattern` fits `text` from its start; see [`Fault::pattern`].
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, to_the_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let pattern = pattern.trim_start_matches('^').replace(".*", "*");
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    for (i, piece) in pieces.iter().enumerate() {
        if to_the_end && i + 1 == pieces.len() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    !to_the_end || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let put = "PUT /v1/projects/p/locations/l/clusters/c/nodePools/n?alt=json";
        for pattern in [
            "PUT /v1/.*nodePools",
            "PUT",
            "*nodePools/n",
            "",
            "PUT *alt=json$",
        ] {
            assert!(matches(pattern, put), "{pattern}");
        }
        for pattern in [
            "GET",
            "PUT /v1/.*nodePools/n$",
            "/v1",
            "PUT *nodePools*clusters",
        ] {
            assert!(!matches(pattern, put), "{pattern}");
        }
    }

    #[test]
    fn used_up_after_its_times() {
        let mut faults = vec![Fault {
            status: Some(503),
            times: Some(2),
            ..Fault::default()
        }];
        let mut errors = 0;
        for _ in 0..4 {
            errors += usize::from(judge(&mut faults, "GET /", || 0.0).error.is_some());
        }
        assert_eq!((errors, faults.len()), (2, 0));
    }

    #[test]
    fn not_before_so_many_have_passed() {
        let mut faults = vec![Fault {
            status: Some(503),
            after: 2,
            ..Fault::default()
        }];
        let hit = |faults: &mut Vec<Fault>| judge(faults, "GET /", || 0.0).error.is_some();
        let hits: Vec<bool> = (0..4).map(|_| hit(&mut faults)).collect();
        assert_eq!(hits, [false, false, true, true]);
    }
}
