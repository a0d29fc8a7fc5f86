//! The HTTP layer: tokens, TLS, retries, concurrency, endpoints, traces.

/// An API call that failed: what was tried, what came back.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {url}: {message}")]
pub struct ApiError {
    pub method: String,
    /// Without query secrets.
    pub url: String,
    /// HTTP status; 0 if no answer came.
    pub code: u16,
    /// `status` of a Google error (`PERMISSION_DENIED`) or `reason` of a Kubernetes Status.
    pub status: String,
    pub message: String,
    /// ErrorInfo.reason or error.errors[].reason, or a Kubernetes cause's reason.
    pub reason: String,
}

impl ApiError {
    pub fn is_not_found(&self) -> bool {
        unimplemented!()
    }
    /// 401 or 403, quota forms of 403 not included.
    pub fn is_denied(&self) -> bool {
        unimplemented!()
    }
    /// A stale etag or resourceVersion: 409 ABORTED or 412.
    pub fn is_conflict(&self) -> bool {
        unimplemented!()
    }
    /// GKE: another operation holds the cluster (FAILED_PRECONDITION, or 429 of that kind).
    pub fn is_operation_running(&self) -> bool {
        unimplemented!()
    }
}

/// One client for all Google APIs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http;
