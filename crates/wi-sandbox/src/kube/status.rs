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
        Self::generic(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// What a real server does and this one does not.
    pub fn not_simulated(what: &str) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("the sandbox does not simulate {what}"),
        )
    }

    /// In words.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn method_not_allowed() -> Self {
        Self::generic(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// The body of a create or an update is of no type that the API reads.
    pub fn unsupported_body() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json, application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn unsupported_patch() -> Self {
        Self::generic(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    }

    /// About no object in particular, which the API says by empty details.
    pub fn generic(code: u16, reason: &'static str, message: &str) -> Self {
        let mut status = Self::new(code, reason, message);
        status.details = json!({});
        status
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

    /// A precondition of a delete did not hold; the API calls the object by its kind here.
    pub fn precondition(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified(kind.name())
        );
        let mut status = Self::new(409, "Conflict", message);
        status.details = details_of(kind, name, kind.name());
        status
    }

    /// Server-side apply met fields of other managers. `causes` as `metav1.StatusCause`.
    pub fn apply_conflict(message: String, causes: &[Value]) -> Self {
        let mut status = Self::new(409, "Conflict", message);
        status.details = json!({ "causes": causes });
        status
    }

    /// A field has a value that the API refuses.
    pub fn invalid(kind: Kind, name: &str, field: &str, why: &str) -> Self {
        Self::invalid_as(kind, name, field, "FieldValueInvalid", why)
    }

    /// The same, where the value is not just wrong: `FieldValueRequired`, `FieldValueTooLong`.
    pub fn invalid_as(kind: Kind, name: &str, field: &str, reason: &str, why: &str) -> Self {
        let message = format!(
            "{} {name:?} is invalid: {field}: {why}",
            kind.qualified(kind.name())
        );
        let mut status = Self::new(422, "Invalid", message);
        status.details = details_of(kind, name, kind.name());
        status.details["causes"] = json!([{ "reason": reason, "message": why, "field": field }]);
        status
    }

    /// A parameter of a request has a value that the API refuses.
    pub fn options(options: &str, field: &str, reason: &str, why: &str) -> Self {
        let message = format!("{options}.meta.k8s.io \"\" is invalid: {field}: {why}");
        let mut status = Self::new(422, "Invalid", message);
        status.details = json!({
            "group": "meta.k8s.io",
            "kind": options,
            "causes": [{ "reason": reason, "message": why, "field": field }],
        });
        status
    }

    /// What a merge patch would make is no object of the kind.
    pub fn refused_patch(why: &str) -> Self {
        let mut status = Self::new(422, "Invalid", format!(" \"\" is invalid: patch: {why}"));
        status.details = json!({
            "causes": [{ "reason": "FieldValueInvalid", "message": why, "field": "patch" }],
        });
        status
    }

    /// The snapshot behind a continue token is gone; `fresh` goes on in the current state.
    pub fn expired(fresh: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. \
                       You can start a new list without the continue parameter, or use the continue token \
                       in this response to retrieve the remainder of the results. Continuing with the \
                       provided token results in an inconsistent list - objects that were created, modified, \
                       or deleted between the time the first chunk was returned and now may show up in the \
                       list.";
        let mut status = Self::new(410, "Expired", message);
        status.continue_token = Some(fresh);
        status
    }

    /// With causes, as `metav1.StatusCause`.
    pub fn because(mut self, causes: Value) -> Self {
        self.details["causes"] = causes;
        self
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
            "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
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
    let mut details = json!({ "kind": called });
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !kind.group().is_empty() {
        details["group"] = json!(kind.group());
    }
    details
}
