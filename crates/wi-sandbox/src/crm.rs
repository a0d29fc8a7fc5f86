//! `cloudresourcemanager.googleapis.com`, v1 and v3: projects and their policies.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::policy;
use super::request::Request;
use super::set_policy;
use super::state::State;
use super::tokens;

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
            let written = set_policy::write(
                state,
                &format!("//cloudresourcemanager.googleapis.com/projects/{project}"),
                &stored,
                new,
                mask,
            )?;
            let shown = policy::show(&written, 3);
            if let Some(project) = state.world.projects.get_mut(&project) {
                project.policy = written;
            }
            Ok(shown)
        }
        ("POST", "testIamPermissions") => {
            test_permissions(state, request, &format!("project/{project}"))
        }
        ("POST", "getAncestry") if version == "v1" => {
            let above = state.world.projects[&project].ancestors.iter();
            let above = above.filter_map(|name| name.split_once('/'));
            let ancestors: Vec<Value> = std::iter::once(("project", project.as_str()))
                .chain(above)
                .map(|(kind, id)| json!({"resourceId": {"type": kind, "id": id}}))
                .collect();
            Ok(json!({ "ancestor": ancestors }))
        }
        _ => Err(request.not_simulated()),
    }
}

/// Answers `{v1|v3}/projects` and `v3/projects:search`, in pages.
///
/// v3 lists those that are directly in `parent`; the others take `id:ID`, `projectId:ID`, their beginnings (`id:acme-*`)
/// and `parent:folders/N` for a filter or query, and give all projects otherwise.
pub fn list(state: &State, version: &str, request: &Request) -> Result<Value, ApiError> {
    if request.method != "GET" {
        return Err(request.not_simulated());
    }
    let above = |parent: &str| {
        let (kind, number) = parent.split_once('/')?;
        Some(format!("{}/{number}", kind.strip_suffix('s')?))
    };
    let of_parent = request.path.ends_with("projects") && version == "v3";
    let filter = request.query("filter").or_else(|| request.query("query"));
    let filter = filter.unwrap_or_default();
    let parent = if of_parent {
        let parent = request.query("parent").unwrap_or_default();
        Some(
            above(parent)
                .ok_or_else(|| ApiError::invalid("parent must be folders/N or organizations/N."))?,
        )
    } else {
        filter.strip_prefix("parent:").and_then(above)
    };
    let id = ["id:", "projectId:", "id=", "projectId="]
        .iter()
        .find_map(|start| filter.strip_prefix(start));
    let id = id.map(|id| id.trim_matches('"').to_lowercase());
    let has_id = |name: &str| match id.as_deref().map(|id| id.strip_suffix('*').ok_or(id)) {
        None => true,
        Some(Ok(start)) => name.starts_with(start),
        Some(Err(id)) => name == id,
    };
    let names = state
        .world
        .projects
        .iter()
        .filter(|(_, p)| parent.is_none() || p.ancestors.first() == parent.as_ref())
        .map(|(name, _)| name.as_str())
        .filter(|name| has_id(name));
    let (page, next) = request.page(names, (100, 300))?;
    let shown: Vec<Value> = page.iter().map(|id| show(state, version, id)).collect();
    let mut answer = json!({ "projects": shown });
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// Answers `v1/projects/P/billingInfo` of Cloud Billing: it is on.
pub fn billing(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    if request.method != "GET" {
        return Err(request.not_simulated());
    }
    let id = state.project(project).ok_or_else(|| {
        ApiError::permission(
            "resourcemanager.projects.get",
            &format!("projects/{project}"),
        )
    })?;
    Ok(json!({
        "name": format!("projects/{id}/billingInfo"),
        "projectId": id,
        "billingAccountName": "billingAccounts/000000-000000-000000",
        "billingEnabled": true,
    }))
}

fn show(state: &State, version: &str, project: &str) -> Value {
    let number = state.number(project);
    let parent = state.world.projects.get(project);
    let parent = parent.and_then(|p| p.ancestors.first()?.split_once('/'));
    if version == "v1" {
        // v1 gives the number as a string, as int64 fields are in JSON.
        let mut shown = json!({
            "projectId": project, "projectNumber": number.to_string(), "name": project,
            "lifecycleState": "ACTIVE", "createTime": "2026-01-05T08:00:00.000Z",
        });
        if let Some((kind, id)) = parent {
            shown["parent"] = json!({ "type": kind, "id": id });
        }
        return shown;
    }
    let mut shown = json!({
        "name": format!("projects/{number}"), "projectId": project, "displayName": project,
        "state": "ACTIVE", "createTime": "2026-01-05T08:00:00.000Z", "etag": "W/\"1\"",
    });
    if let Some((kind, id)) = parent {
        shown["parent"] = format!("{kind}s/{id}").into();
    }
    shown
}

/// The policy and the mask of a `setIamPolicy` body.
pub fn wrapped_policy(body: &Value) -> Result<(&Value, Option<&str>), ApiError> {
    let policy = body
        .get("policy")
        .ok_or_else(|| ApiError::invalid("The request must have a policy."))?;
    Ok((policy, body["updateMask"].as_str()))
}

/// Answers `testIamPermissions`.
pub fn test_permissions(
    state: &State,
    request: &Request,
    resource: &str,
) -> Result<Value, ApiError> {
    let asked = request.body["permissions"].as_array().into_iter().flatten();
    let asked = asked.filter_map(Value::as_str);
    let held = tokens::tested(state, request, resource, asked)?;
    Ok(match held.is_empty() {
        true => json!({}),
        false => json!({ "permissions": held }),
    })
}
