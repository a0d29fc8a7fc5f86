//! `container.googleapis.com` v1: clusters, node pools, operations.

pub mod cluster;
pub mod operation;
pub mod operations;
pub mod pool;
mod upgrade;

mod clusters;
mod node_pools;
mod rollout;

use serde_json::{Value, json};

use super::errors::ApiError;
use super::request::Request;
use super::state::State;

/// Answers `v1/projects/P/{locations|zones}/L/...`; `path` is what follows `projects/P`.
pub fn handle(
    state: &mut State,
    project: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let Some(project) = state.project(project) else {
        return Err(ApiError::denied(format!(
            "Permission denied on resource project {project} (or it may not exist)."
        )));
    };
    let method = request.method.as_str();
    match (method, path) {
        ("GET", [_, location, "clusters"]) => Ok(clusters::list(state, &project, location)),
        ("GET", [_, location, "operations"]) => Ok(list_operations(state, &project, location)),
        ("GET", [_, location, "operations", name]) => {
            get_operation(state, &project, location, name)
        }
        ("POST", [_, location, "operations", name]) if name.ends_with(":cancel") => {
            get_operation(state, &project, location, name.trim_end_matches(":cancel"))?;
            Err(ApiError::invalid("This operation cannot be cancelled."))
        }
        ("GET", [_, _, "serverConfig"]) => Ok(json!({"channels": []})),
        (_, [_, location, "clusters", rest @ ..]) => {
            let (name, verb) = rest[0].split_once(':').unwrap_or((rest[0], ""));
            let key = (project, (*location).to_owned(), name.to_owned());
            match (method, verb, &rest[1..]) {
                ("GET", "", []) => clusters::get(state, &key),
                ("PUT", "", []) => clusters::update(state, &key, &request.body),
                ("POST", "setResourceLabels", []) => {
                    clusters::set_labels(state, &key, &request.body)
                }
                ("GET", "", ["nodePools"]) => node_pools::list(state, &key),
                ("GET", "", ["nodePools", pool]) => node_pools::get(state, &key, pool),
                ("PUT", "", ["nodePools", pool]) => {
                    node_pools::update(state, &key, pool, &request.body)
                }
                _ => Err(request.no_such_method()),
            }
        }
        _ => Err(request.no_such_method()),
    }
}

/// The zones that a fault declares missing.
fn missing_zones(state: &State) -> Vec<String> {
    state
        .world
        .faults
        .iter()
        .flat_map(|fault| fault.missing_zones.clone())
        .collect()
}

fn list_operations(state: &State, project: &str, location: &str) -> Value {
    let missing = missing_zones(state);
    let number = state.number(project);
    let operations = state.world.operations.iter().filter(|op| {
        op.project == project
            && (location == "-" || op.location == location)
            && !missing.contains(&op.location)
    });
    let operations: Vec<Value> = operations.map(|op| op.show(number)).collect();
    list("operations", operations, missing)
}

fn get_operation(
    state: &State,
    project: &str,
    location: &str,
    name: &str,
) -> Result<Value, ApiError> {
    let mut operations = state.world.operations.iter();
    let found =
        operations.find(|op| op.project == project && op.location == location && op.name == name);
    let op = found.ok_or_else(|| {
        ApiError::not_found(format!(
            "Not found: projects/{project}/locations/{location}/operations/{name}."
        ))
    })?;
    Ok(op.show(state.number(project)))
}

/// Empty lists are left out, as everywhere in these APIs.
fn list(name: &str, items: Vec<Value>, missing: Vec<String>) -> Value {
    let mut answer = json!({});
    if !items.is_empty() {
        answer[name] = items.into();
    }
    if !missing.is_empty() {
        answer["missingZones"] = missing.into();
    }
    answer
}
