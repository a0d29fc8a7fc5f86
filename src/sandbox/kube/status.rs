//! `metav1.Status`, the body of every failure.

use serde_json::{Value, json};

use super::kind::Kind;

/// A failed request.
#[derive(Debug, Clone)]
pub struct Status {
    pub code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    continue_token: Option<String>,
}

impl Status {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            continue_token: None,
        }
    }

    /// What a fault answers.
    pub fn injected(code: u16, message: String) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "Unknown",
        };
        Self::new(code, reason, message)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "{} {name:?} is forbidden: {why}",
            kind.qualified(kind.plural())
        );
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    pub fn no_such_path() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub fn not_found(kind: Kind, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} {name:?} not found", kind.qualified(kind.plural())),
        )
        .about(kind, name)
    }

    pub fn already_exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified(kind.plural()));
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    /// The optimistic lock did not hold.
    pub fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified(kind.plural())
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// Server-side apply met fields of other managers. `causes` as `metav1.StatusCause`.
    pub fn apply_conflict(message: String, causes: &[Value]) -> Self {
        let mut status = Self::new(409, "Conflict", message);
        status.details = json!({ "causes": causes });
        status
    }

    /// A field has a value that the API refuses.
    pub fn invalid(kind: Kind, name: &str, field: &str, why: &str) -> Self {
        let message = format!(
            "{} {name:?} is invalid: {field}: {why}",
            kind.qualified(kind.name())
        );
        let mut status = Self::new(422, "Invalid", message);
        status.details = details_of(kind, name, kind.name());
        status.details["causes"] =
            json!([{ "reason": "FieldValueInvalid", "message": why, "field": field }]);
        status
    }

    /// The snapshot behind a continue token is gone; `fresh` goes on in the current state.
    pub fn expired(fresh: Option<String>) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. \
                       You can start a new list without the continue parameter, or use the continue token \
                       in this response to retrieve the remainder of the results.";
        let mut status = Self::new(410, "Expired", message);
        status.continue_token = fresh;
        status
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        self.details = details(kind, name);
        self
    }

    /// The response body.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(token) = &self.continue_token {
            body["metadata"]["continue"] = json!(token);
        }
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        body
    }
}

/// `metav1.StatusDetails` of one object; its `kind` is the resource.
pub fn details(kind: Kind, name: &str) -> Value {
    details_of(kind, name, kind.plural())
}

fn details_of(kind: Kind, name: &str, called: &str) -> Value {
    let mut details = json!({ "name": name, "kind": called });
    if !kind.group().is_empty() {
        details["group"] = json!(kind.group());
    }
    details
}
