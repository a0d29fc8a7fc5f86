//! Errors in the shapes that Google's JSON APIs send.

use serde_json::{Value, json};

/// What an answer says that only a mistake of the sandbox gives.
pub const BUG: &str = "The sandbox failed, which is a mistake in it";

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The canonical code, such as `NOT_FOUND`. Storage sends none.
    pub status: Option<&'static str>,
    /// For people.
    pub message: String,
    /// `errors[0].reason`, such as `notFound`.
    pub reason: &'static str,
    /// `details[]`, such as `ErrorInfo`.
    pub details: Vec<Value>,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u32>,
    /// Whether that header is written as a date.
    pub retry_after_is_date: bool,
    /// OAuth's own code, where the error is in the shape of RFC 6749.
    pub oauth: Option<&'static str>,
}

impl ApiError {
    /// An error with the given HTTP status, in the shape of all APIs but Storage.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        let (status, reason) = match code {
            400 => ("INVALID_ARGUMENT", "badRequest"),
            401 => ("UNAUTHENTICATED", "authError"),
            403 => ("PERMISSION_DENIED", "forbidden"),
            404 => ("NOT_FOUND", "notFound"),
            409 => ("ABORTED", "aborted"),
            412 => ("FAILED_PRECONDITION", "conditionNotMet"),
            429 => ("RESOURCE_EXHAUSTED", "rateLimitExceeded"),
            501 => ("UNIMPLEMENTED", "notImplemented"),
            503 => ("UNAVAILABLE", "backendError"),
            504 => ("DEADLINE_EXCEEDED", "deadlineExceeded"),
            _ => ("INTERNAL", "backendError"),
        };
        Self {
            code,
            status: Some(status),
            message: message.into(),
            reason,
            details: Vec::new(),
            retry_after: None,
            retry_after_is_date: false,
            oauth: None,
        }
    }

    /// 400 `INVALID_ARGUMENT`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 400 of a token endpoint: `{"error": …, "error_description": …}`.
    pub fn oauth(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            oauth: Some(error),
            ..Self::new(400, description)
        }
    }

    /// 400 `FAILED_PRECONDITION`.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self {
            status: Some("FAILED_PRECONDITION"),
            reason: "failedPrecondition",
            ..Self::new(400, message)
        }
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// 403.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, message)
    }

    /// 409 `ALREADY_EXISTS`.
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self {
            status: Some("ALREADY_EXISTS"),
            reason: "alreadyExists",
            ..Self::new(409, message)
        }
    }

    /// 409 `ABORTED`: the etag is not the current one.
    pub fn aborted(message: impl Into<String>) -> Self {
        Self::new(409, message)
    }

    /// 403 of IAM, which names the permission and hides whether the resource exists.
    pub fn permission(permission: &str, resource: &str) -> Self {
        Self::denied(format!(
            "Permission '{permission}' denied on resource (or it may not exist)."
        ))
        .with_info(
            "IAM_PERMISSION_DENIED",
            "iam.googleapis.com",
            json!({"permission": permission, "resource": resource}),
        )
    }

    /// Adds an `ErrorInfo`.
    #[must_use]
    pub fn with_info(mut self, reason: &str, domain: &str, metadata: Value) -> Self {
        let mut info = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": domain,
        });
        if metadata.as_object().is_some_and(|m| !m.is_empty()) {
            info["metadata"] = metadata;
        }
        self.details.push(info);
        self
    }

    /// The same error in Storage's older shape, without `status` and `details`.
    #[must_use]
    pub fn for_storage(mut self) -> Self {
        self.reason = match self.code {
            400 => "invalid",
            401 => "required",
            _ => self.reason,
        };
        self.status = None;
        self.details.clear();
        self
    }

    /// The body.
    pub fn body(&self) -> Value {
        if let Some(error) = self.oauth {
            return json!({"error": error, "error_description": self.message});
        }
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "errors": [{"message": self.message, "domain": "global", "reason": self.reason}],
        });
        if let Some(status) = self.status {
            error["status"] = status.into();
        }
        if !self.details.is_empty() {
            error["details"] = self.details.clone().into();
        }
        json!({"error": error})
    }
}
