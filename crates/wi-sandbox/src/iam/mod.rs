//! `iam.googleapis.com` v1: Google service accounts and their policies.

mod accounts;
mod keys;

use serde_json::{Value, json};

use super::crm;
use super::errors::ApiError;
use super::policy;
use super::predefined;
use super::request::Request;
use super::roles as known_roles;
use super::set_policy;
use super::state::{State, email};
use super::tokens;
use super::world::{CustomRole, ServiceAccount, World};

/// Answers `v1/projects/P/serviceAccounts...`; `path` is what follows `serviceAccounts`.
pub fn handle(
    state: &mut State,
    project: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    state.expire_deleted();
    let method = request.method.as_str();
    let scope = if project == "-" {
        None
    } else {
        state.project(project)
    };
    if project != "-" && scope.is_none() {
        return Err(ApiError::permission(
            "iam.serviceAccounts.list",
            &format!("projects/{project}"),
        ));
    }
    let Some((name, rest)) = path.split_first() else {
        let project = scope.ok_or_else(|| request.not_simulated())?;
        return match method {
            "GET" => accounts::list(state, &project, request),
            "POST" => accounts::create(state, &project, &request.body),
            _ => Err(request.not_simulated()),
        };
    };
    let (name, verb) = name.rsplit_once(':').unwrap_or((name, ""));
    if (method, verb) == ("POST", "undelete") {
        return accounts::undelete(state, name);
    }
    state.keep_default_account(name);
    if (method, verb, rest) == ("POST", "generateAccessToken", &[]) {
        return tokens::generate(state, request.holder.as_ref(), name, &request.body);
    }
    let (owner, id) = find(state, scope.as_deref(), name)?;
    match (method, verb, rest) {
        ("GET", "", []) => Ok(accounts::show(&owner, &id, account(state, &owner, &id))),
        ("PUT", "", []) => accounts::update(state, &owner, &id, &request.body),
        ("PATCH", "", []) => accounts::patch(state, &owner, &id, &request.body),
        ("DELETE", "", []) => Ok(accounts::delete(state, &owner, &id)),
        ("POST", "disable" | "enable", []) => Ok(accounts::set_disabled(
            state,
            &owner,
            &id,
            verb == "disable",
        )),
        (_, "", ["keys", rest @ ..]) => keys::handle(state, &owner, &id, rest, request),
        ("POST", "getIamPolicy", []) => {
            let version =
                policy::requested_version(request.query("options.requestedPolicyVersion"))?;
            Ok(policy::show(&account(state, &owner, &id).policy, version))
        }
        ("POST", "setIamPolicy", []) => set_policy(state, &owner, &id, &request.body),
        ("POST", "testIamPermissions", []) => {
            let resource = format!("serviceaccount/{}", email(&owner, &id));
            crm::test_permissions(state, request, &resource)
        }
        _ => Err(request.not_simulated()),
    }
}

/// Answers `[{projects|organizations}/X/]roles[/ID]`.
pub fn roles(state: &State, path: &[&str], request: &Request) -> Result<Value, ApiError> {
    let above = path
        .split(|part| *part == "roles")
        .next()
        .unwrap_or_default();
    let base = match above {
        [] => String::new(),
        above => format!("{}/", above.join("/")),
    };
    match (request.method.as_str(), &path[above.len()..]) {
        ("GET", ["roles"]) => list_roles(state, &base, request),
        ("GET", ["roles", id]) => role(state, &format!("{base}roles/{id}")),
        _ => Err(request.not_simulated()),
    }
}

/// The custom roles of a project or an organization, or the predefined ones that the sandbox knows by name.
fn list_roles(state: &State, base: &str, request: &Request) -> Result<Value, ApiError> {
    let world = &state.world;
    let parent = match request.query("parent").filter(|parent| !parent.is_empty()) {
        Some(parent) => format!("{parent}/"),
        None => base.to_owned(),
    };
    let mut names: Vec<&str> = if parent.is_empty() {
        let gone = |name: &str| world.unknown_roles.iter().any(|r| r == name);
        predefined::names().filter(|name| !gone(name)).collect()
    } else {
        let own = world.custom_roles.iter().map(|role| role.name());
        own.filter(|name| name.starts_with(&parent)).collect()
    };
    names.sort_unstable();
    let (page, next) = request.page(names.into_iter(), (300, 1000))?;
    let whole = request.query("view") == Some("FULL");
    let shown: Vec<Value> = page
        .iter()
        .map(|name| show_role(world, name, whole))
        .collect();
    let mut answer = json!({});
    if !shown.is_empty() {
        answer["roles"] = shown.into();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// `roles.get`.
fn role(state: &State, name: &str) -> Result<Value, ApiError> {
    let world = &state.world;
    let there = if name.starts_with("roles/") {
        !world.unknown_roles.iter().any(|r| r == name) && predefined::misspelt(name).is_none()
    } else {
        known_roles::custom(world, name).is_some()
    };
    if there {
        Ok(show_role(world, name, true))
    } else {
        Err(ApiError::not_found(format!(
            "The role named {name} was not found."
        )))
    }
}

fn show_role(world: &World, name: &str, whole: bool) -> Value {
    let mut shown = json!({"name": name, "title": name, "stage": "GA", "etag": "AA=="});
    let mut permissions: Vec<&str> = known_roles::permissions(name).collect();
    if let Some(CustomRole::Role(role)) = known_roles::custom(world, name) {
        shown["stage"] = role.stage.as_str().into();
        if role.deleted {
            shown["deleted"] = true.into();
        }
        permissions = role.permissions.iter().map(String::as_str).collect();
    }
    if whole && !permissions.is_empty() {
        shown["includedPermissions"] = json!(permissions);
    }
    shown
}

/// `projects.locations.global.workloadIdentityPools.get` of GKE's own pool.
pub fn workload_pool(
    state: &State,
    project: &str,
    pool: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    let id = state.project(project);
    let own = id.filter(|id| state.workload_pool(id) == pool && state.pool_exists(pool));
    match (request.method.as_str(), own) {
        ("GET", Some(id)) => Ok(json!({
            "name": format!("projects/{}/locations/global/workloadIdentityPools/{pool}", state.number(&id)),
            "state": "ACTIVE",
            "mode": "SYSTEM_TRUST_DOMAIN",
        })),
        ("GET", None) => Err(ApiError::not_found("Requested entity was not found.")),
        _ => Err(request.not_simulated()),
    }
}

fn set_policy(state: &mut State, owner: &str, id: &str, body: &Value) -> Result<Value, ApiError> {
    let (new, mask) = crm::wrapped_policy(body)?;
    let stored = account(state, owner, id).policy.clone();
    let written = set_policy::write(
        state,
        &format!(
            "//iam.googleapis.com/projects/{owner}/serviceAccounts/{}",
            email(owner, id)
        ),
        &stored,
        new,
        mask,
    )?;
    let shown = policy::show(&written, 3);
    account_mut(state, owner, id).policy = written;
    Ok(shown)
}

/// Finds a visible account; `scope` is the project of the URL, none for `-`.
fn find(state: &State, scope: Option<&str>, name: &str) -> Result<(String, String), ApiError> {
    let found = state.find_account(name).filter(|(owner, id)| {
        scope.is_none_or(|scope| scope == owner) && state.visible(account(state, owner, id))
    });
    found.ok_or_else(|| match scope {
        Some(_) => ApiError::not_found("Unknown service account"),
        // With the wildcard, IAM does not tell what is missing from what is forbidden.
        None => ApiError::permission(
            "iam.serviceAccounts.get",
            &format!("projects/-/serviceAccounts/{name}"),
        ),
    })
}

/// An account that [`find`] found.
fn account<'a>(state: &'a State, project: &str, id: &str) -> &'a ServiceAccount {
    &state.world.projects[project].service_accounts[id]
}

/// An account that [`find`] found.
fn account_mut<'a>(state: &'a mut State, project: &str, id: &str) -> &'a mut ServiceAccount {
    let project = state
        .world
        .projects
        .get_mut(project)
        .expect("found under this project");
    project
        .service_accounts
        .get_mut(id)
        .expect("found under this id")
}
