//! `serviceusage.googleapis.com/v1`: which APIs are on.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::request::Request;
use super::state::State;

/// APIs that a project has on unless the world says otherwise, and that a list shows.
const LISTED: [&str; 12] = [
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "pubsub.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
];

/// Answers `projects/P/{services|services:batchGet}…`; `names` is what follows.
pub fn handle(
    state: &mut State,
    project: &str,
    collection: &str,
    names: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let id = state.project(project).ok_or_else(|| {
        ApiError::permission("serviceusage.services.get", &format!("projects/{project}"))
    })?;
    match (request.method.as_str(), collection, names) {
        ("GET", "services:batchGet", []) => batch_get(state, &id, request),
        ("GET", "services", []) => list(state, &id, request),
        ("GET", "services", [service]) => Ok(show(state, &id, service)),
        ("POST", "services", [service]) => match service.strip_suffix(":enable") {
            Some(service) => Ok(enable(state, &id, service)),
            None => Err(request.not_simulated()),
        },
        _ => Err(request.not_simulated()),
    }
}

/// `services:batchGet?names=projects/P/services/S&…`, 30 names at most.
fn batch_get(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    let names: Vec<&str> = request.queries("names").collect();
    if names.is_empty() || names.len() > 30 {
        return Err(ApiError::invalid("names: 1 to 30 are taken"));
    }
    let services = names.iter().map(|name| {
        let parts: Vec<&str> = name.split('/').collect();
        let ["projects", _, "services", service] = parts.as_slice() else {
            return Err(ApiError::invalid(format!("names: {name:?} is no service")));
        };
        Ok(show(state, project, service))
    });
    Ok(json!({ "services": services.collect::<Result<Vec<_>, _>>()? }))
}

/// Those that are on, or off; `filter` is `state:ENABLED` or `state:DISABLED`.
fn list(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    let off = &state.world.projects[project].disabled_services;
    let is_off = |name: &str| off.iter().any(|o| o == name);
    let mut names: Vec<&str> = LISTED.to_vec();
    names.extend(off.iter().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let names = names
        .into_iter()
        .filter(|name| match request.query("filter") {
            Some("state:ENABLED") => !is_off(name),
            Some("state:DISABLED") => is_off(name),
            _ => true,
        });
    let (page, next) = request.page(names, (50, 200))?;
    let shown: Vec<Value> = page.iter().map(|s| show(state, project, s)).collect();
    let mut answer = json!({ "services": shown });
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// An operation that has ended at once.
fn enable(state: &mut State, project: &str, service: &str) -> Value {
    if let Some(project) = state.world.projects.get_mut(project) {
        project.disabled_services.retain(|off| off != service);
    }
    json!({
        "name": "operations/noop.DONE_OPERATION",
        "done": true,
        "response": {
            "@type": "type.googleapis.com/google.api.serviceusage.v1.EnableServiceResponse",
            "service": show(state, project, service),
        },
    })
}

fn show(state: &State, project: &str, service: &str) -> Value {
    let off = &state.world.projects[project].disabled_services;
    let number = state.number(project);
    let is_off = off.iter().any(|o| o == service);
    json!({
        "name": format!("projects/{number}/services/{service}"),
        "parent": format!("projects/{number}"),
        "config": { "name": service },
        "state": if is_off { "DISABLED" } else { "ENABLED" },
    })
}
