//! What an API answers when it refuses, in one shape.

use serde_json::Value;
use wi_core::percent;

use super::super::Secrets;
use super::super::secrets::start_of;
use super::hint::hint;
use super::text::{CONSTRAINT, shown, text};
use super::{ApiError, Cause, ErrorKind};

/// The most causes that are kept.
const MOST_CAUSES: usize = 50;

impl ApiError {
    /// Reads the answer of a refusing server: Google's shape, the older one of Storage, a
    /// Kubernetes Status, or whatever a proxy says.
    pub fn from_answer(method: &str, url: &str, code: u16, body: &[u8]) -> Self {
        Self::from_answer_without(&Secrets::default(), method, url, code, body)
    }

    /// As [`Self::from_answer`], to a call with these secrets, which are cut out wherever they are quoted.
    pub(crate) fn from_answer_without(
        secrets: &Secrets,
        method: &str,
        url: &str,
        code: u16,
        body: &[u8],
    ) -> Self {
        let mut error = Self::without_answer(method, url, String::new());
        error.code = code;
        error.kind = ErrorKind::Refused;
        let Ok(mut body) = serde_json::from_slice::<Value>(body) else {
            let text = String::from_utf8_lossy(&body[..body.len().min(40_000)]);
            let words: Vec<&str> = text.split_whitespace().collect();
            let start = secrets.cut(start_of(&words.join(" ")));
            let start: String = wi_core::words::safe(&start).chars().take(200).collect();
            error.message = format!("HTTP {code}, and not from the API: {start}");
            return error;
        };
        secrets.cut_from(&mut body);
        if body["kind"] == "Status" {
            error.status = text(&body["reason"]);
            error.message = text(&body["message"]);
            error.causes = body["details"]["causes"]
                .as_array()
                .into_iter()
                .flatten()
                .take(MOST_CAUSES)
                .map(|c| Cause {
                    reason: text(&c["reason"]),
                    message: text(&c["message"]),
                    field: text(&c["field"]),
                })
                .collect();
            return error;
        }
        // As token endpoints answer: RFC 6749, section 5.2.
        if let Some(oauth) = body["error"].as_str() {
            error.status = shown(oauth);
            error.message = match text(&body["error_description"]) {
                why if why.is_empty() => error.status.clone(),
                why => why,
            };
            return error;
        }
        let google = &body["error"];
        error.status = text(&google["status"]);
        error.message = text(&google["message"]);
        let info = google["details"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|d| {
                d["@type"]
                    .as_str()
                    .is_some_and(|t| t.ends_with("google.rpc.ErrorInfo"))
            });
        error.reason = match info {
            Some(info) => text(&info["reason"]),
            None => text(&google["errors"][0]["reason"]),
        };
        if error.message.is_empty() {
            error.message = format!("HTTP {code} without a reason");
        }
        for more in violations(google) {
            if error.message.contains(&more) {
                continue;
            }
            let message = error.message.trim_end_matches('.');
            error.message = format!("{message}; {more}");
        }
        error.hint = hint(&error, google, info);
        error
    }
}

/// The most violations of rules that are told.
const MOST_VIOLATIONS: usize = 5;

/// Which rule is broken, and by what: `PreconditionFailure`, `QuotaFailure` and `BadRequest` of
/// `google.rpc` (error_details.proto).
fn violations(google: &Value) -> Vec<String> {
    let all = google["details"].as_array().into_iter().flatten();
    let each = all.flat_map(|detail| {
        let of = |name: &str| detail[name].as_array().into_iter().flatten();
        of("violations").chain(of("fieldViolations"))
    });
    each.take(MOST_VIOLATIONS).filter_map(violation).collect()
}

fn violation(violation: &Value) -> Option<String> {
    let (kind, description) = (text(&violation["type"]), text(&violation["description"]));
    let subject = match violation["subject"].as_str() {
        Some(subject) => subject,
        None => violation["field"].as_str().unwrap_or_default(),
    };
    if kind.starts_with("VPC_SERVICE_CONTROLS") {
        return None; // the hint says it
    }
    // Of an organization policy: `orgpolicy:projects/acme-prod?configvalue=user%3Aann%40example.com`
    let refused = subject.split_once("configvalue=").map(|(_, value)| {
        let value = value.split('&').next().unwrap_or_default();
        shown(&percent::decoded(value).unwrap_or_else(|| value.to_owned()))
    });
    let said = match (kind.strip_prefix(CONSTRAINT), refused) {
        (Some(_), Some(member)) => format!("the organization policy {kind} refuses {member}"),
        (Some(_), None) => format!("the organization policy {kind} refuses it"),
        (None, Some(member)) => format!("{kind} refuses {member}"),
        (None, None) => [kind, shown(subject)].join(" ").trim().to_owned(),
    };
    let description = description.trim_end_matches('.');
    match (said.is_empty(), description.is_empty()) {
        (true, true) => None,
        (false, true) => Some(said),
        (true, false) => Some(description.to_owned()),
        (false, false) => Some(format!("{said}: {description}")),
    }
}
