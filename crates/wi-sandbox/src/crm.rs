//! `cloudresourcemanager.googleapis.com`, v1 and v3: projects and their policies.

use serde_json::{Value, json};

use super::errors::{ApiError, known_fields};
use super::policy;
use super::request::Request;
use super::set_policy;
use super::state::State;

/// Answers `{v1|v3}/projects/P[:verb]`; `name` is `P[:verb]`.
pub fn handle(
    state: &mut State,
    version: &str,
    name: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    let method = request.method.as_str();
    // The id of a domain-scoped project (`example.com:acme`) has a colon of its own.
    let known = |verb: &str| {
        [
            "getIamPolicy",
            "setIamPolicy",
            "testIamPermissions",
            "getAncestry",
        ]
        .contains(&verb)
    };
    let (name, verb) = match name.rsplit_once(':') {
        Some((name, verb)) if known(verb) => (name, verb),
        _ => (name, ""),
    };
    let permission = match verb {
        "getIamPolicy" | "setIamPolicy" => verb,
        _ => "get",
    };
    let project = state.project(name).ok_or_else(|| {
        ApiError::permission(
            &format!("resourcemanager.projects.{permission}"),
            &format!("projects/{name}"),
        )
    })?;
    match (method, verb) {
        ("GET", "") => Ok(show(state, version, &project)),
        ("POST", "getIamPolicy") => {
            known_fields(&request.body, &["options"], "")?;
            let wanted = request.body["options"]
                .get("requestedPolicyVersion")
                .map(Value::to_string);
            let version = policy::requested_version(wanted.as_deref())?;
            Ok(policy::show(
                &state.world.projects[&project].policy,
                version,
            ))
        }
        ("POST", "setIamPolicy") => {
            let (new, mask) = wrapped_policy(&request.body)?;
            let stored = state.world.projects[&project].policy.clone();
            let written = set_policy::write(state, &stored, new, mask)?;
            let shown = policy::show(&written, 3);
            if let Some(project) = state.world.projects.get_mut(&project) {
                project.policy = written;
            }
            Ok(shown)
        }
        ("POST", "testIamPermissions") => Ok(test_permissions(state, &request.body)),
        ("POST", "getAncestry") if version == "v1" => {
            let above = state.world.projects[&project].ancestors.iter();
            let above = above.filter_map(|name| name.split_once('/'));
            let ancestors: Vec<Value> = std::iter::once(("project", project.as_str()))
                .chain(above)
                .map(|(kind, id)| json!({"resourceId": {"type": kind, "id": id}}))
                .collect();
            Ok(json!({ "ancestor": ancestors }))
        }
        _ => Err(request.no_such_method()),
    }
}

/// Answers `v3/projects?parent=folders/N`: those directly in it, in pages.
pub fn list(state: &State, request: &Request) -> Result<Value, ApiError> {
    if request.method != "GET" {
        return Err(request.no_such_method());
    }
    let query = |name: &str| request.query(name);
    let parent = query("parent").unwrap_or_default();
    let Some((kind, number)) = parent
        .split_once('/')
        .and_then(|(kind, n)| Some((kind.strip_suffix('s')?, n)))
    else {
        return Err(ApiError::invalid(
            "parent must be folders/N or organizations/N.",
        ));
    };
    let above = format!("{kind}/{number}");
    let size = query("pageSize").and_then(|s| s.parse::<usize>().ok());
    let size = size.filter(|s| *s > 0).unwrap_or(100).min(300);
    let after = query("pageToken").unwrap_or_default();
    let mut found = state
        .world
        .projects
        .iter()
        .filter(|(_, p)| p.ancestors.first() == Some(&above))
        .map(|(id, _)| id.as_str())
        .filter(|id| *id > after);
    let page: Vec<&str> = found.by_ref().take(size).collect();
    let shown: Vec<Value> = page.iter().map(|id| show(state, "v3", id)).collect();
    let mut answer = json!({ "projects": shown });
    if found.next().is_some() {
        answer["nextPageToken"] = page.last().copied().unwrap_or_default().into();
    }
    Ok(answer)
}

fn show(state: &State, version: &str, project: &str) -> Value {
    let number = state.number(project);
    if version == "v1" {
        // v1 gives the number as a string, as int64 fields are in JSON.
        return json!({
            "projectId": project, "projectNumber": number.to_string(), "name": project,
            "lifecycleState": "ACTIVE", "createTime": "2026-01-05T08:00:00.000Z",
        });
    }
    json!({
        "name": format!("projects/{number}"), "projectId": project, "displayName": project,
        "state": "ACTIVE", "createTime": "2026-01-05T08:00:00.000Z", "etag": "W/\"1\"",
    })
}

/// The policy and the mask of a `setIamPolicy` body.
pub fn wrapped_policy(body: &Value) -> Result<(&Value, Option<&str>), ApiError> {
    known_fields(body, &["policy", "updateMask", "resource"], "")?;
    let policy = body
        .get("policy")
        .ok_or_else(|| ApiError::invalid("The request must have a policy."))?;
    Ok((policy, body["updateMask"].as_str()))
}

/// The caller may do everything that `callerLacks` does not name.
pub fn test_permissions(state: &State, body: &Value) -> Value {
    let asked = body["permissions"].as_array().into_iter().flatten();
    let held: Vec<&Value> = asked
        .filter(|p| {
            p.as_str()
                .is_some_and(|p| !state.world.caller_lacks.iter().any(|lack| lack == p))
        })
        .collect();
    if held.is_empty() {
        json!({})
    } else {
        json!({ "permissions": held })
    }
}
