//! Deny policies (`iam.googleapis.com/v2`) and principal access boundaries (`v3`): what takes rights away,
//! as clients read it, and for the oracle.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::errors::ApiError;
use super::request::Request;
use super::state::State;
use super::world::{AccessBoundary, DenyPolicy, DenyRule};

/// Answers `v2/policies/ATTACHMENT/denypolicies[/ID]`; `rest` is what follows `denypolicies`.
pub fn deny_policies(
    state: &State,
    (collection, container): (&str, &str),
    rest: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let container = match collection {
        "projects" => state.project(container).ok_or_else(|| {
            ApiError::permission("iam.denypolicies.list", &format!("projects/{container}"))
        })?,
        _ => container.to_owned(),
    };
    let at = format!("{}/{container}", collection.trim_end_matches('s'));
    let here = state.world.deny_policies.iter().filter(|p| p.at == at);
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let shown: Vec<Value> = here.map(|p| show_deny(p, collection, false)).collect();
            Ok(if shown.is_empty() {
                json!({})
            } else {
                json!({ "policies": shown })
            })
        }
        ("GET", [id]) => here
            .into_iter()
            .find(|p| p.id == *id)
            .map(|p| show_deny(p, collection, true))
            .ok_or_else(|| ApiError::not_found(format!("Policy {id} was not found."))),
        _ => Err(request.not_simulated()),
    }
}

/// A list has no rules.
fn show_deny(policy: &DenyPolicy, collection: &str, whole: bool) -> Value {
    let container = policy.at.split_once('/').map_or("", |(_, name)| name);
    let name = format!(
        "policies/cloudresourcemanager.googleapis.com%2F{collection}%2F{container}/denypolicies/{}",
        policy.id
    );
    let mut shown = json!({
        "name": name, "uid": policy.id, "kind": "DenyPolicy", "displayName": policy.id, "etag": "AA==",
    });
    if whole {
        shown["rules"] = policy.rules.iter().map(show_rule).collect();
    }
    shown
}

fn show_rule(rule: &DenyRule) -> Value {
    let mut deny = json!({
        "deniedPrincipals": rule.denied_principals,
        "exceptionPrincipals": rule.exception_principals,
        "deniedPermissions": rule.denied_permissions,
        "exceptionPermissions": rule.exception_permissions,
    });
    if let Some(condition) = &rule.denial_condition {
        deny["denialCondition"] = json!(condition);
    }
    json!({ "description": rule.description, "denyRule": deny })
}

/// Answers `v3/{projects|folders|organizations}/X/locations/global/policyBindings:searchTargetPolicyBindings`:
/// the bindings there to the set of principals that `target` names.
pub fn search_bindings(
    state: &State,
    (collection, container): (&str, &str),
    request: &Request,
) -> Result<Value, ApiError> {
    if request.method != "GET" {
        return Err(request.not_simulated());
    }
    let target = request.query("target").unwrap_or_default();
    let parent = parent_of(state, target)
        .ok_or_else(|| ApiError::invalid("target: is no set of principals"))?;
    let here = match collection {
        "projects" => format!("projects/{}", state.project(container).unwrap_or_default()),
        _ => format!("{collection}/{container}"),
    };
    let bound = state.world.access_boundaries.iter();
    let shown: Vec<Value> = bound
        .filter(|b| parent == here && b.bound_to.iter().any(|set| set == target))
        .map(|b| {
            json!({
                "name": format!("{here}/locations/global/policyBindings/{}", b.id),
                "target": { "principalSet": target },
                "policyKind": "PRINCIPAL_ACCESS_BOUNDARY",
                "policy": b.name(),
            })
        })
        .collect();
    Ok(if shown.is_empty() {
        json!({})
    } else {
        json!({ "policyBindings": shown })
    })
}

/// Where bindings to a set of principals are: in the project of a pool, in the container itself.
fn parent_of(state: &State, target: &str) -> Option<String> {
    if let Some(container) = target.strip_prefix("//cloudresourcemanager.googleapis.com/") {
        return Some(container.to_owned());
    }
    let rest = target.strip_prefix("//iam.googleapis.com/projects/")?;
    let project = state.project(rest.split('/').next()?)?;
    Some(format!("projects/{project}"))
}

/// Answers `v3/organizations/N/locations/global/principalAccessBoundaryPolicies/ID`.
pub fn boundary(
    state: &State,
    organization: &str,
    id: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    if request.method != "GET" {
        return Err(request.not_simulated());
    }
    let found = state
        .world
        .access_boundaries
        .iter()
        .find(|b| b.organization == organization && b.id == id)
        .ok_or_else(|| ApiError::not_found(format!("Policy {id} was not found.")))?;
    Ok(json!({
        "name": found.name(),
        "details": {
            "rules": [{ "resources": found.resources, "effect": "ALLOW" }],
            "enforcementVersion": found.enforcement_version,
        },
    }))
}

/// Whether a deny policy at one of `above` (`project/ID` …) denies this; `None`: it depends on what is not
/// simulated. `who` has the spellings of the caller.
pub fn is_denied(
    state: &State,
    who: &BTreeSet<String>,
    above: &BTreeSet<String>,
    permission: &str,
) -> Option<bool> {
    let (service, rest) = permission.split_once('.').unwrap_or((permission, ""));
    let host = match service {
        "resourcemanager" => "cloudresourcemanager",
        "bigtable" => "bigtableadmin",
        other => other,
    };
    let matches = |pattern: &String| {
        let Some((of, pattern)) = pattern.split_once(".googleapis.com/") else {
            return false;
        };
        let mut parts = pattern.split('.').zip(rest.split('.'));
        of == host && (pattern == "*" || parts.all(|(p, own)| p == "*" || p == own))
    };
    let mut unclear = false;
    let rules = state
        .world
        .deny_policies
        .iter()
        .filter(|policy| above.contains(&policy.at))
        .flat_map(|policy| &policy.rules);
    for rule in rules {
        let is_meant = rule.denied_permissions.iter().any(matches)
            && !rule.exception_permissions.iter().any(matches);
        let excepted = rule.exception_principals.iter().any(|p| who.contains(p));
        if !is_meant || excepted {
            continue;
        }
        let group = |p: &String| p.starts_with("principalSet://goog/group/");
        let named = rule.denied_principals.iter().any(|p| who.contains(p));
        let perhaps = rule.denied_principals.iter().any(group);
        let doubt = rule.denial_condition.is_some() || rule.exception_principals.iter().any(group);
        match (named, doubt) {
            (true, false) => return Some(true),
            (true, true) => unclear = true,
            (false, _) if perhaps => unclear = true,
            _ => {}
        }
    }
    (!unclear).then_some(false)
}

/// Since which version boundaries can block permissions that begin so.
const SINCE: [(&str, u32); 7] = [
    ("storage.buckets.", 2),
    ("storage.objects.", 2),
    ("bigquery.tables.", 2),
    ("pubsub.topics.", 3),
    ("spanner.databases.", 3),
    ("secretmanager.versions.", 4),
    ("cloudkms.cryptoKeyVersions.", 4),
];

/// Whether boundaries keep the caller, who is in `sets`, from what is below `above` (full names); `None`: it
/// depends on what is not simulated.
pub fn is_bounded(
    state: &State,
    sets: &BTreeSet<String>,
    above: &BTreeSet<String>,
    permission: &str,
) -> Option<bool> {
    let all = state.world.access_boundaries.iter();
    let bound: Vec<&AccessBoundary> = all
        .filter(|b| b.bound_to.iter().any(|set| sets.contains(set)))
        .collect();
    if bound.is_empty() {
        return Some(false);
    }
    let since = SINCE
        .iter()
        .find(|(start, _)| permission.starts_with(start));
    let enforced = |b: &AccessBoundary| {
        let version: u32 = b.enforcement_version.parse().ok()?;
        let (_, since) = since?;
        Some(version >= *since)
    };
    let allows = |b: &AccessBoundary| b.resources.iter().any(|r| above.contains(r));
    let states: Vec<(Option<bool>, bool)> =
        bound.iter().map(|b| (enforced(b), allows(b))).collect();
    if states.contains(&(Some(true), true)) {
        return Some(false);
    }
    if states.iter().all(|(enforced, _)| *enforced == Some(true)) {
        return Some(true);
    }
    // Below a version that knows the permission nothing is blocked, but for some reads.
    let verb = permission.rsplit('.').next().unwrap_or_default();
    let is_read = verb.starts_with("get") || verb.starts_with("list");
    let blocks_nothing = states.iter().all(|(enforced, _)| *enforced == Some(false));
    (blocks_nothing && !is_read).then_some(false)
}
