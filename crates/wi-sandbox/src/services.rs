//! `serviceusage.googleapis.com/v1`: which APIs are on.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::request::Request;
use super::state::State;

/// Answers `projects/P/services:batchGet?names=projects/P/services/S&…`, 30 names at most.
pub fn batch_get(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    let id = state.project(project).ok_or_else(|| {
        ApiError::permission("serviceusage.services.get", &format!("projects/{project}"))
    })?;
    let number = state.number(&id);
    let names: Vec<&str> = request.queries("names").collect();
    if names.is_empty() || names.len() > 30 {
        return Err(ApiError::invalid("names: 1 to 30 are taken"));
    }
    let off = &state.world.projects[&id].disabled_services;
    let services = names.iter().map(|name| {
        let parts: Vec<&str> = name.split('/').collect();
        let ["projects", _, "services", service] = parts.as_slice() else {
            return Err(ApiError::invalid(format!("names: {name:?} is no service")));
        };
        let state = if off.iter().any(|o| o == service) {
            "DISABLED"
        } else {
            "ENABLED"
        };
        Ok(json!({
            "name": format!("projects/{number}/services/{service}"),
            "parent": format!("projects/{number}"),
            "state": state,
        }))
    });
    Ok(json!({ "services": services.collect::<Result<Vec<_>, _>>()? }))
}
