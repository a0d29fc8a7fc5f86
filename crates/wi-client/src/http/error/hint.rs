//! What to do about a refusal, where that is known.

use std::fmt;

use serde_json::Value;
use wi_core::names::ProjectId;
use wi_core::words::shell_word;

use super::ApiError;
use super::text::{CONSTRAINT, shown, text};

/// What to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A command, to be copied.
    Run(String),
    /// Words.
    Say(String),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(command) => write!(f, "Run `{command}`"),
            Self::Say(words) => f.write_str(words),
        }
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

pub(super) fn hint(error: &ApiError, google: &Value, info: Option<&Value>) -> Option<Hint> {
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
