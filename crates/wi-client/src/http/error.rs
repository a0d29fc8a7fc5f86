//! What an API answers when it refuses, in one shape.

use serde_json::Value;

use super::Secrets;
use super::secrets::start_of;
use wi_core::live::Seen;
use wi_core::names::ProjectId;
use wi_core::words::shell_word;

/// An API call that failed: what was tried, what came back.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {url}: {message}")]
pub struct ApiError {
    /// The HTTP method.
    pub method: String,
    /// The URL, which never holds a secret.
    pub url: String,
    /// HTTP status; 0 if no answer came.
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
    pub help: Option<String>,
}

/// What a read says of the thing that was to be read: not seen is not absent.
pub fn seen<T>(result: Result<T, ApiError>) -> Seen<T> {
    match result {
        Ok(value) => Seen::Found(value),
        Err(e) if e.is_not_found() => Seen::Absent,
        Err(e) => Seen::Unknown(e.for_user()),
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

/// The most causes that are kept.
const MOST_CAUSES: usize = 50;

/// The longest text of a server's that is kept, in characters: it is shown, and saved in plans.
const LONGEST: usize = 1000;

fn text(value: &Value) -> String {
    shown(value.as_str().unwrap_or_default())
}

/// A server's text, safe to show and of a length that somebody reads.
fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(LONGEST).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    wi_core::words::safe(&start)
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
            help: None,
        }
    }

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
        error.help = help(&error, info);
        error
    }

    /// The command that turns the API on, where it is off.
    pub fn command(&self) -> Option<String> {
        let help = self.help.as_deref()?;
        help.strip_prefix("Run `")?
            .strip_suffix('`')
            .map(str::to_owned)
    }

    /// The message with what was tried and what to do next.
    pub fn for_user(&self) -> String {
        let code = match self.code {
            0 => String::new(),
            code => format!(" (HTTP {code})"),
        };
        let help = self
            .help
            .as_ref()
            .map(|h| format!(". {h}"))
            .unwrap_or_default();
        format!(
            "{} {}: {}{code}{help}",
            self.method,
            self.url,
            self.message.trim_end_matches('.')
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

    /// GKE: another operation holds the cluster. It is said in two ways, 400 and 429.
    pub fn is_operation_running(&self) -> bool {
        let says_so = self.reason == "CLUSTER_ALREADY_HAS_OPERATION"
            || self.message.contains("incompatible operation")
            || self.message.contains("currently operating on cluster")
            || self.message.contains("operation is already");
        matches!(self.code, 400 | 409 | 429) && says_so
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

fn help(error: &ApiError, info: Option<&Value>) -> Option<String> {
    let metadata = info.map(|i| &i["metadata"]);
    match (error.code, error.reason.as_str()) {
        (_, "SERVICE_DISABLED") => {
            let told = |field: &str| metadata.map(|m| text(&m[field])).filter(|t| !t.is_empty());
            let service = told("service").or_else(|| service_of(&error.url))?;
            let project = told("consumer").or_else(|| project_of(&error.url))?;
            let project = project.strip_prefix("projects/").unwrap_or(&project);
            let (service, project) = (shell_word(&service), shell_word(project));
            Some(format!("Run `gcloud services enable {service} --project {project}`"))
        }
        (401, _) => Some("The access token is missing, expired or refused: run `gcloud auth application-default login`".to_owned()),
        (403, "USER_PROJECT_DENIED") => Some("The quota project must be one in which you have serviceusage.services.use".to_owned()),
        (403, _) if !error.is_quota() => {
            let permission = metadata.map(|m| text(&m["permission"])).filter(|p| !p.is_empty());
            Some(match permission {
                Some(permission) => format!("The permission {permission} is missing; see docs/real-projects.md"),
                None => "See docs/real-projects.md for the permissions that wi needs".to_owned(),
            })
        }
        _ => None,
    }
}

/// The service whose host was called, be it that of a location; `None` at a host of others.
fn service_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let name = url.host_str()?.strip_suffix(".googleapis.com")?;
    let name = name.split('.').next()?; // NAME.LOCATION.rep
    let name = name.rsplit('-').next()?; // LOCATION-NAME
    Some(format!("{name}.googleapis.com"))
}

/// The project in the path that was called.
fn project_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let name = url
        .path_segments()?
        .skip_while(|s| *s != "projects")
        .nth(1)?;
    let bare = name.rsplit_once(':').map_or(name, |(bare, _)| bare); // :testIamPermissions
    [name, bare]
        .into_iter()
        .find(|id| ProjectId::parse(id).is_ok())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(code: u16, body: &Value) -> ApiError {
        ApiError::from_answer("GET", "https://x/", code, body.to_string().as_bytes())
    }

    #[test]
    fn a_disabled_api_comes_with_the_command_that_enables_it() {
        let error = parse(
            403,
            &serde_json::json!({"error": {"code": 403, "message": "off", "status": "PERMISSION_DENIED",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
                "metadata": {"service": "container.googleapis.com", "consumer": "projects/acme-prod"}}]}}),
        );
        assert!(error.for_user().ends_with(
            "Run `gcloud services enable container.googleapis.com --project acme-prod`"
        ));
        assert!(error.is_denied());
    }

    #[test]
    fn a_disabled_api_that_is_not_named_is_the_one_that_was_called() {
        let body = serde_json::json!({"error": {"code": 403, "message": "off", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]}});
        let command = |url: &str| {
            ApiError::from_answer("GET", url, 403, body.to_string().as_bytes()).command()
        };
        for (url, wanted) in [
            (
                "https://container.googleapis.com/v1/projects/acme-us/locations/-/clusters",
                "container.googleapis.com --project acme-us",
            ),
            (
                "https://cloudresourcemanager.googleapis.com/v3/projects/acme-us:testIamPermissions",
                "cloudresourcemanager.googleapis.com --project acme-us",
            ),
            (
                "https://secretmanager.europe-west1.rep.googleapis.com/v1/projects/acme-us/secrets",
                "secretmanager.googleapis.com --project acme-us",
            ),
            (
                "https://europe-west1-connectgateway.googleapis.com/v1/projects/acme-us/x",
                "connectgateway.googleapis.com --project acme-us",
            ),
        ] {
            let wanted = format!("gcloud services enable {wanted}");
            assert_eq!(command(url), Some(wanted), "{url}");
        }
        for url in [
            "https://storage.googleapis.com/storage/v1/b/x/iam",
            "http://127.0.0.1:1/v1/projects/acme-us/locations/-/clusters",
        ] {
            assert_eq!(command(url), None, "{url}");
        }
    }

    #[test]
    fn quota_in_a_403_is_no_denial() {
        let error = parse(
            403,
            &serde_json::json!({"error": {"code": 403, "message": "Quota exceeded for quota metric"}}),
        );
        assert!(error.is_quota() && !error.is_denied());
    }

    #[test]
    fn kubernetes_conflicts_name_the_manager() {
        let error = parse(
            409,
            &serde_json::json!({"kind": "Status", "reason": "Conflict", "message": "Apply failed",
            "details": {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"x\"", "field": ".a"}]}}),
        );
        assert!(error.is_conflict());
        assert_eq!(error.causes[0].reason, "FieldManagerConflict");
    }

    #[test]
    fn html_of_a_proxy_is_told_as_such() {
        let error = ApiError::from_answer(
            "GET",
            "https://x/",
            502,
            b"<html>\x1b[31m bad gateway</html>",
        );
        assert!(error.message.contains("not from the API") && !error.message.contains('\u{1b}'));
    }
}
