//! What an API answers when it refuses, in one shape.

use serde_json::Value;

use super::Secrets;
use super::secrets::start_of;
use wi_core::live::Seen;
use wi_core::names::ProjectId;
use wi_core::percent;
use wi_core::words::shell_word;

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
    /// No answer came: network, TLS, credentials, patience.
    Unanswered,
    /// An answer came that is not what the API documents, or too large.
    Unreadable,
    /// The server refuses.
    Refused,
}

/// What to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A command, to be copied.
    Run(String),
    /// Words.
    Say(String),
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(command) => write!(f, "Run `{command}`"),
            Self::Say(words) => f.write_str(words),
        }
    }
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
            hint: None,
            kind: ErrorKind::Unanswered,
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

    /// The command that turns the API on, where it is off.
    pub fn command(&self) -> Option<String> {
        match &self.hint {
            Some(Hint::Run(command)) => Some(command.clone()),
            _ => None,
        }
    }

    /// The message with what was tried and what to do next.
    pub fn for_user(&self) -> String {
        let code = match self.code {
            0 => String::new(),
            code => format!(" (HTTP {code})"),
        };
        let help = self
            .hint
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

/// The most violations of rules that are told.
const MOST_VIOLATIONS: usize = 5;

/// The prefix of an organization policy's constraint.
const CONSTRAINT: &str = "constraints/";

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

/// The constraint of an organization policy that refuses, without its prefix.
fn constraint(error: &ApiError, google: &Value) -> Option<String> {
    let details = google["details"].as_array().into_iter().flatten();
    let mut kinds = details
        .flat_map(|d| d["violations"].as_array().into_iter().flatten())
        .filter_map(|v| v["type"].as_str());
    let named = kinds.find_map(|kind| kind.strip_prefix(CONSTRAINT));
    let in_message = || {
        let (_, rest) = error.message.split_once(CONSTRAINT)?;
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
            .next()
    };
    let name = named.or_else(in_message)?.trim_end_matches('.');
    (!name.is_empty()).then(|| shown(name))
}

/// What VPC Service Controls know the refusal by, where it is theirs.
fn perimeter(error: &ApiError, google: &Value, metadata: Option<&Value>) -> Option<String> {
    const IN_MESSAGE: &str = "vpcServiceControlsUniqueIdentifier: ";
    let details = google["details"].as_array().into_iter().flatten();
    let violation = details
        .flat_map(|d| d["violations"].as_array().into_iter().flatten())
        .find(|v| {
            v["type"]
                .as_str()
                .is_some_and(|t| t.starts_with("VPC_SERVICE_CONTROLS"))
        });
    let in_message = error.message.split_once(IN_MESSAGE);
    let is_theirs =
        error.reason == "SECURITY_POLICY_VIOLATED" || violation.is_some() || in_message.is_some();
    let told = [
        metadata.map(|m| &m["uid"]),
        violation.map(|v| &v["description"]),
    ];
    let told = told.into_iter().flatten().map(text).find(|t| !t.is_empty());
    let in_message = || {
        let id = in_message?.1.split_whitespace().next()?;
        Some(id.trim_end_matches(['.', ',']).to_owned())
    };
    is_theirs.then(|| told.or_else(in_message).unwrap_or_default())
}

fn hint(error: &ApiError, google: &Value, info: Option<&Value>) -> Option<Hint> {
    let metadata = info.map(|i| &i["metadata"]);
    if let Some(id) = perimeter(error, google, metadata) {
        let by = match id.as_str() {
            "" => String::new(),
            id => format!(" by the identifier {id}"),
        };
        return Some(Hint::Say(format!(
            "VPC Service Controls refuse it, not IAM: whoever runs the perimeter finds out why{by} in their troubleshooter, and lets the caller in by an ingress rule"
        )));
    }
    if let Some(constraint) = constraint(error, google) {
        let of = project_of(&error.url)
            .map(|project| format!(" --project {}", shell_word(&project)))
            .unwrap_or_default();
        return Some(Hint::Say(format!(
            "An organization policy decides it, not IAM: gcloud org-policies describe {} --effective{of}",
            shell_word(&constraint)
        )));
    }
    let say = |words| Some(Hint::Say(words));
    match (error.code, error.reason.as_str()) {
        (_, "SERVICE_DISABLED") => {
            let told = |field: &str| metadata.map(|m| text(&m[field])).filter(|t| !t.is_empty());
            let service = told("service").or_else(|| service_of(&error.url))?;
            let project = told("consumer").or_else(|| project_of(&error.url))?;
            let project = project.strip_prefix("projects/").unwrap_or(&project);
            let (service, project) = (shell_word(&service), shell_word(project));
            Some(Hint::Run(format!("gcloud services enable {service} --project {project}")))
        }
        (401, _) => say("The access token is missing, expired or refused: run `gcloud auth application-default login`".to_owned()),
        (403, "USER_PROJECT_DENIED") => say("The quota project must be one in which you have serviceusage.services.use".to_owned()),
        (403, _) if !error.is_quota() => {
            let permission = metadata.map(|m| text(&m["permission"])).filter(|p| !p.is_empty());
            say(match permission {
                Some(permission) => format!("The permission {permission} is missing; see `wi help real-projects`"),
                None => "See `wi help real-projects` for the permissions that wi needs".to_owned(),
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
    fn a_busy_cluster_is_known_by_all_its_texts() {
        let busy = |code: u16, message: &str| {
            let body = serde_json::json!({"error": {"code": code, "status": "FAILED_PRECONDITION", "message": message}});
            parse(code, &body).is_operation_running()
        };
        for text in [
            "Cluster is running incompatible operation operation-1700000000000-12345678.",
            "Operation operation-1 is currently operating on cluster main. Please wait and try again once it's done.",
            "Operation operation-1 is currently upgrading cluster main. Please wait and try again once it is done.",
            "Operation operation-1 is currently creating a node pool in cluster main. Please wait and try again once it is done.",
            "Operation operation-1 is currently deleting a node pool from cluster main. Please wait and try again once it is done.",
        ] {
            assert!(busy(400, text) && busy(429, text), "{text}");
            assert!(!busy(403, text));
        }
        assert!(!busy(
            400,
            "The cluster is not in a state in which this can be done."
        ));
    }

    #[test]
    fn an_organization_policy_is_named_with_what_it_refuses() {
        let body = serde_json::json!({"error": {"code": 400, "status": "FAILED_PRECONDITION",
        "message": "One or more users named in the policy do not belong to a permitted customer.",
        "details": [{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [
            {"type": "constraints/iam.allowedPolicyMemberDomains",
             "subject": "orgpolicy:projects/acme-prod?configvalue=serviceAccount%3Aci%40other-1.iam.gserviceaccount.com",
             "description": "User ci@other-1.iam.gserviceaccount.com is not in permitted organization."}]}]}});
        let url = "https://cloudresourcemanager.googleapis.com/v3/projects/acme-prod:setIamPolicy";
        let error = ApiError::from_answer("POST", url, 400, body.to_string().as_bytes());
        for said in [
            "do not belong to a permitted customer; the organization policy constraints/iam.allowedPolicyMemberDomains refuses serviceAccount:ci@other-1.iam.gserviceaccount.com",
            "gcloud org-policies describe iam.allowedPolicyMemberDomains --effective --project acme-prod",
        ] {
            assert!(error.for_user().contains(said), "{}", error.for_user());
        }
        let body = serde_json::json!({"error": {"code": 400, "message": "Precondition check failed.",
        "status": "FAILED_PRECONDITION", "details": [
            {"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [
                {"type": "constraints/iam.disableServiceAccountCreation", "subject": "projects/acme-prod"}]},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [
                {"field": "policy.bindings[0].role", "description": "no such role"}]}]}});
        let error = ApiError::from_answer("POST", url, 400, body.to_string().as_bytes());
        assert_eq!(
            error.message,
            "Precondition check failed; the organization policy constraints/iam.disableServiceAccountCreation refuses it; policy.bindings[0].role: no such role"
        );
    }

    #[test]
    fn vpc_service_controls_are_told_from_iam() {
        let told = serde_json::json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
        "message": "Request is prohibited by organization's policy.", "details": [
            {"@type": "type.googleapis.com/google.rpc.PreconditionFailure",
             "violations": [{"type": "VPC_SERVICE_CONTROLS", "description": "xXyY-12_z"}]},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SECURITY_POLICY_VIOLATED",
             "domain": "googleapis.com", "metadata": {"uid": "xXyY-12_z", "service": "storage.googleapis.com"}}]}});
        let in_words = serde_json::json!({"error": {"code": 403, "errors": [{"reason": "forbidden"}],
        "message": "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: xXyY-12_z."}});
        for body in [told, in_words] {
            let error = parse(403, &body);
            let said = error.for_user();
            assert!(
                said.contains("VPC Service Controls refuse it, not IAM"),
                "{said}"
            );
            assert!(said.contains("by the identifier xXyY-12_z in"), "{said}");
            assert!(!said.contains("wi help real-projects"), "{said}");
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
