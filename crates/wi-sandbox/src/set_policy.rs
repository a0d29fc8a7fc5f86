//! Writes of allow policies: what IAM checks, tidies and refuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::constraints;
use super::errors::ApiError;
use super::members;
use super::policy::EMPTY_ETAG;
use super::predefined;
use super::state::State;
use super::world::{Binding, Condition, Policy};

const MAX_MEMBERS: usize = 1500;
const BASIC_ROLES: [&str; 3] = ["roles/owner", "roles/editor", "roles/viewer"];

/// The message of a stale etag.
pub const CONFLICT: &str = "There were concurrent policy changes. Please retry the whole \
read-modify-write with exponential backoff.";

/// Carries out a `setIamPolicy`: the policy to store, with its new etag.
///
/// `resource` is its full name; `body` is the wire form; `mask` is the request's `updateMask`, by default
/// `bindings,etag`.
///
/// # Errors
/// 409 for a stale etag, 400 for what IAM refuses: unknown members, roles that do not suit, conditions below version 3.
pub fn write(
    state: &mut State,
    resource: &str,
    stored: &Policy,
    body: &Value,
    mask: Option<&str>,
) -> Result<Policy, ApiError> {
    let etag = body["etag"].as_str().unwrap_or_default();
    let current = if stored.etag.is_empty() {
        EMPTY_ETAG
    } else {
        &stored.etag
    };
    if !etag.is_empty() && etag != current {
        return Err(ApiError::aborted(CONFLICT));
    }
    let version = body["version"].as_i64().unwrap_or(0);
    if ![0, 1, 3].contains(&version) {
        return Err(ApiError::invalid(format!(
            "Policy version {version} is not supported."
        )));
    }
    let bindings: Vec<Binding> = match body.get("bindings") {
        None | Some(Value::Null) => Vec::new(),
        Some(bindings) => serde_json::from_value(bindings.clone()).map_err(|e| {
            ApiError::invalid(format!(
                "Invalid JSON payload received. policy.bindings: {e}"
            ))
        })?,
    };
    let fields: Vec<&str> = mask
        .unwrap_or("bindings,etag")
        .split(',')
        .map(str::trim)
        .collect();
    let all = fields == ["*"];
    let has = |field: &str| all || fields.contains(&field);
    let audit_configs = match body.get("auditConfigs").and_then(Value::as_array) {
        Some(configs) if has("auditConfigs") => configs.clone(),
        None if has("auditConfigs") => Vec::new(),
        _ => stored.audit_configs.clone(),
    };
    let bindings = if has("bindings") {
        check_bindings(state, resource, stored, bindings, version)?
    } else {
        stored.bindings.clone()
    };
    Ok(Policy {
        etag: state.next_policy_etag(),
        bindings,
        audit_configs,
    })
}

/// Checks and tidies bindings as IAM does: duplicates merged, empty ones dropped. What the policy has
/// already is taken back.
fn check_bindings(
    state: &State,
    resource: &str,
    stored: &Policy,
    bindings: Vec<Binding>,
    version: i64,
) -> Result<Vec<Binding>, ApiError> {
    let held: BTreeSet<&str> = stored
        .bindings
        .iter()
        .flat_map(|b| b.members.iter().map(String::as_str))
        .collect();
    let mut merged: BTreeMap<(String, Option<Condition>), Vec<String>> = BTreeMap::new();
    for binding in bindings {
        if !stored.bindings.iter().any(|b| b.role == binding.role) {
            check_role(state, &binding.role, resource)?;
        }
        if let Some(condition) = &binding.condition {
            let of_stored = stored.bindings.iter().filter_map(|b| b.condition.as_ref());
            let is_held = of_stored.into_iter().any(|held| held == condition);
            check_condition(&binding, condition, version, is_held)?;
        }
        let members = merged.entry((binding.role, binding.condition)).or_default();
        for member in &binding.members {
            let member = match held.contains(member.as_str()) && members::is_foreign(state, member)
            {
                true => member.clone(),
                false => members::check(state, member)?,
            };
            if !members.contains(&member) {
                members.push(member);
            }
        }
    }
    let all = || merged.values().flatten().map(String::as_str);
    members::check_consistent(all())?;
    if let Some(project) = state.project_of(resource) {
        let new = all().filter(|member| !held.contains(member));
        constraints::check_members(&state.world.organization_policies, &project, new)?;
    }
    let total: usize = merged.values().map(Vec::len).sum();
    if total > MAX_MEMBERS {
        return Err(ApiError::invalid(format!(
            "The number of members in the policy ({total}) is larger than the maximum allowed size {MAX_MEMBERS}."
        )));
    }
    Ok(merged
        .into_iter()
        .filter(|(_, members)| !members.is_empty())
        .map(|((role, condition), members)| Binding {
            role,
            members,
            condition,
        })
        .collect())
}

fn check_role(state: &State, role: &str, resource: &str) -> Result<(), ApiError> {
    let id = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
    };
    let parts: Vec<&str> = role.split('/').collect();
    let ok = match parts.as_slice() {
        ["roles", name] | ["projects" | "organizations", _, "roles", name] => id(name),
        _ => false,
    };
    let gone = state
        .world
        .unknown_roles
        .iter()
        .any(|unknown| unknown == role);
    let fits = predefined::misspelt(role).is_none() && predefined::suits(role, resource) && !gone;
    if !ok || !fits || role.contains("_withcond_") {
        return Err(ApiError::invalid(format!(
            "Role {role} is not supported for this resource."
        )));
    }
    Ok(())
}

/// What the policy has already needs neither a title nor an expression: it was there before they were asked for.
fn check_condition(
    binding: &Binding,
    condition: &Condition,
    version: i64,
    is_held: bool,
) -> Result<(), ApiError> {
    if version != 3 {
        return Err(ApiError::invalid(
            "Policies with conditions must have version 3 (specified policy version: \
             lower). Set the policy's `version` to 3.",
        ));
    }
    if !is_held && (condition.expression.is_empty() || condition.title.is_empty()) {
        return Err(ApiError::invalid(
            "A condition must have a title and an expression.",
        ));
    }
    let everyone = |m: &String| m == "allUsers" || m == "allAuthenticatedUsers";
    if BASIC_ROLES.contains(&binding.role.as_str()) || binding.members.iter().any(everyone) {
        return Err(ApiError::invalid(format!(
            "Conditions can't be set on basic roles or for public members (role {}).",
            binding.role
        )));
    }
    Ok(())
}
