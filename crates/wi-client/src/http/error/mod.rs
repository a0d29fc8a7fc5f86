//! A call that failed, and what can be asked about it.

mod answer;
mod hint;
#[cfg(test)]
mod tests;
mod text;

use wi_core::live::Seen;
use wi_core::reason::Reason;

pub use hint::Hint;
use text::shown;

/// An API call that failed: what was tried, what came back.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {url}: {message}")]
pub struct ApiError {
    /// The HTTP method.
    pub method: String,
    /// The URL, which never holds a secret.
    pub url: String,
    /// HTTP status; 0 if no answer came, or one that is not used.
    pub code: u16,
    /// `status` of a Google error (`PERMISSION_DENIED`) or `reason` of a Kubernetes Status.
    pub status: String,
    /// In the server's words, control characters made visible.
    pub message: String,
    /// `ErrorInfo.reason`, or `error.errors[].reason` of the older APIs.
    pub reason: String,
    /// `details.causes` of a Kubernetes Status.
    pub causes: Vec<Cause>,
    /// What to do about it, where that is known.
    pub hint: Option<Hint>,
    /// What kind of failure it is.
    pub kind: ErrorKind,
}

/// What kind of failure a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No answer came: network, credentials, patience.
    Unanswered,
    /// A connection was made, and the TLS handshake failed.
    Tls,
    /// An answer came that is not what the API documents, or too large.
    Unreadable,
    /// The server refuses.
    Refused,
}

/// What a read says of the thing that was to be read: not seen is not absent.
pub fn seen<T>(result: Result<T, ApiError>) -> Seen<T> {
    match result {
        Ok(value) => Seen::Found(value),
        Err(e) if e.is_not_found() => Seen::Absent,
        Err(e) => Seen::Unknown(e.reason()),
    }
}

/// One cause of a Kubernetes Status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Such as `FieldManagerConflict`.
    pub reason: String,
    /// Names the other manager.
    pub message: String,
    /// The field.
    pub field: String,
}

impl ApiError {
    /// A failure without an answer: network, TLS, credentials, an answer that cannot be read.
    pub fn without_answer(method: &str, url: &str, message: String) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            code: 0,
            status: String::new(),
            message: shown(&message),
            reason: String::new(),
            causes: Vec::new(),
            hint: None,
            kind: ErrorKind::Unanswered,
        }
    }

    /// The command that turns the API on, where it is off.
    pub fn command(&self) -> Option<String> {
        match &self.hint {
            Some(Hint::Run(command)) => Some(command.clone()),
            _ => None,
        }
    }

    /// The message with what was tried and what to do next.
    pub fn reason(&self) -> Reason {
        let code = match self.code {
            0 => String::new(),
            code => format!(" (HTTP {code})"),
        };
        let help = self
            .hint
            .as_ref()
            .map(|h| format!(". {h}"))
            .unwrap_or_default();
        Reason::of_call(
            &format!("{} {}: ", self.method, self.url),
            &format!("{}{code}{help}", self.message.trim_end_matches('.')),
        )
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// 401 or 403, the quota forms of 403 not included.
    pub fn is_denied(&self) -> bool {
        matches!(self.code, 401 | 403) && !self.is_quota()
    }

    /// A stale etag or resourceVersion: 409 or 412. A create that met an object of that name
    /// is none.
    pub fn is_conflict(&self) -> bool {
        match self.code {
            412 => true,
            409 => !matches!(self.status.as_str(), "ALREADY_EXISTS" | "AlreadyExists"),
            _ => false,
        }
    }

    /// GKE: something else holds the cluster. It is said by 400 and 429, and in many words: `Cluster is
    /// running incompatible operation …`, `Operation … is currently upgrading cluster C. Please wait and
    /// try again once it is done.`, the same of creating and deleting a node pool.
    pub fn is_operation_running(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        let holds = [
            "operating",
            "upgrading",
            "updating",
            "creating",
            "deleting",
            "repairing",
        ];
        let says_so = self.reason == "CLUSTER_ALREADY_HAS_OPERATION"
            || message.contains("incompatible operation")
            || message.contains("operation is already")
            || message.contains("please wait and try again")
            || holds
                .iter()
                .any(|h| message.contains(&format!("is currently {h} ")));
        matches!(self.code, 400 | 409 | 429) && says_so
    }

    /// Kubernetes: an admission webhook has side effects, so that there is no dry run of what it is asked about
    /// (`NewDryRunUnsupportedErr` of apiserver's `pkg/admission/plugin/webhook/errors`).
    pub fn is_dry_run_unsupported(&self) -> bool {
        self.code == 400 && self.message.contains("does not support dry run")
    }

    /// Whether the API is not enabled in the project.
    pub fn is_api_off(&self) -> bool {
        self.reason == "SERVICE_DISABLED"
    }

    /// A quota was met: 429, or one of the forms of 403 that mean the same.
    pub fn is_quota(&self) -> bool {
        let forms = [
            "rateLimitExceeded",
            "userRateLimitExceeded",
            "RATE_LIMIT_EXCEEDED",
            "quotaExceeded",
        ];
        let message = self.message.to_ascii_lowercase();
        self.code == 429
            || (self.code == 403
                && (forms.contains(&self.reason.as_str())
                    || message.contains("quota exceeded")
                    || message.contains("exceeded rate limits")))
    }
}
