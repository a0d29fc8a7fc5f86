//! BigQuery's datasets, which have an access list in place of a policy.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::request::Request;
use super::set_policy;
use super::state::State;
use super::tokens;

/// Roles that BigQuery shows under their old names.
const LEGACY: [(&str, &str); 3] = [
    ("roles/bigquery.dataOwner", "OWNER"),
    ("roles/bigquery.dataEditor", "WRITER"),
    ("roles/bigquery.dataViewer", "READER"),
];

/// Answers `bigquery/v2/projects/P/datasets…`; `path` is what follows `datasets`.
pub fn handle(
    state: &mut State,
    project: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    match (request.method.as_str(), path) {
        ("GET", []) => list(state, project, request),
        ("GET" | "PATCH" | "PUT", [dataset]) => {
            let name = format!("//bigquery.googleapis.com/projects/{project}/datasets/{dataset}");
            if !state.world.resources.contains_key(&name) {
                return Err(ApiError::not_found(format!(
                    "Not found: Dataset {project}:{dataset}"
                )));
            }
            if let Some(holder) = &request.holder
                && !tokens::may(state, holder, "bigquery.datasets.get", &name)?
            {
                return Err(ApiError::denied(format!(
                    "Access Denied: Dataset {project}:{dataset}: Permission bigquery.datasets.get denied on dataset {project}:{dataset} (or it may not exist)."
                )));
            }
            if request.method != "GET" {
                write(state, &name, request)?;
            }
            let mut shown = show(state, project, dataset, &name);
            if request.query("datasetView") != Some("METADATA") {
                shown["access"] = to_access(state, &name).into();
            }
            Ok(shown)
        }
        _ => Err(request.not_simulated()),
    }
}

fn list(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    let below = format!("//bigquery.googleapis.com/projects/{project}/datasets/");
    let names = state.world.resources.keys();
    let names = names.filter_map(|name| name.strip_prefix(&below));
    let (page, next) = request.page(names.filter(|n| !n.contains('/')), (50, 1000))?;
    let shown = page.iter().map(|dataset| {
        json!({
            "kind": "bigquery#dataset",
            "id": format!("{project}:{dataset}"),
            "datasetReference": { "projectId": project, "datasetId": dataset },
            "location": "EU",
            "type": "DEFAULT",
        })
    });
    let mut answer =
        json!({ "kind": "bigquery#datasetList", "datasets": shown.collect::<Vec<_>>() });
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

fn etag(state: &State, name: &str) -> String {
    match state.world.resources.get(name) {
        Some(dataset) if !dataset.policy.etag.is_empty() => dataset.policy.etag.clone(),
        _ => "W/0".to_owned(),
    }
}

fn show(state: &State, project: &str, dataset: &str, name: &str) -> Value {
    json!({
        "kind": "bigquery#dataset",
        "etag": etag(state, name),
        "id": format!("{project}:{dataset}"),
        "selfLink": format!("https://bigquery.googleapis.com/bigquery/v2/projects/{project}/datasets/{dataset}"),
        "datasetReference": { "projectId": project, "datasetId": dataset },
        "location": "EU",
        "type": "DEFAULT",
    })
}

/// `PATCH` and `PUT`: the access list whole. A dataset has no policy beside it.
fn write(state: &mut State, name: &str, request: &Request) -> Result<(), ApiError> {
    let stored = state.world.resources.get(name).cloned().unwrap_or_default();
    let current = etag(state, name);
    let given = request.if_match.as_deref();
    if given.is_some_and(|given| given != current && given != "*") {
        return Err(ApiError::new(412, "Precondition check failed."));
    }
    let Some(entries) = request.body["access"].as_array() else {
        return match request.method.as_str() {
            // What a patch leaves out stays.
            "PATCH" if request.body.get("access").is_none() => Ok(()),
            _ => Err(ApiError::invalid("Required field: access")),
        };
    };
    let conditional = entries.iter().any(|e| !e["condition"].is_null());
    if conditional && request.query("accessPolicyVersion") != Some("3") {
        return Err(ApiError::invalid(
            "accessPolicyVersion must be 3 for entries with conditions.",
        ));
    }
    let dead = |e: &&Value| {
        e["iamMember"]
            .as_str()
            .is_some_and(|m| m.starts_with("deleted:"))
    };
    if let Some(entry) = entries.iter().find(dead) {
        return Err(ApiError::invalid(format!(
            "IAM setPolicy failed for Dataset: {} is a deleted member.",
            entry["iamMember"]
        )));
    }
    let (bindings, others) = from_access(entries);
    let body = json!({"bindings": bindings, "version": 3});
    let mut written = set_policy::write(state, name, &stored.policy, &body, None)?;
    written.etag = format!("W/{}", state.next_revision());
    if let Some(resource) = state.world.resources.get_mut(name) {
        resource.policy = written;
        resource.other_access = others;
    }
    Ok(())
}

fn to_access(state: &State, name: &str) -> Vec<Value> {
    let stored = &state.world.resources[name];
    let mut list = stored.other_access.clone();
    for binding in &stored.policy.bindings {
        let role = LEGACY
            .iter()
            .find(|(role, _)| *role == binding.role)
            .map_or(binding.role.as_str(), |(_, legacy)| legacy);
        for member in &binding.members {
            let (kind, value) = member.split_once(':').unwrap_or(("", member));
            let field = match kind {
                "user" => "userByEmail",
                "serviceAccount" if !value.contains('[') => "userByEmail",
                "group" => "groupByEmail",
                "domain" => "domain",
                _ => "iamMember",
            };
            let shown = if field == "iamMember" { member } else { value };
            let mut entry = json!({ "role": role });
            entry[field] = shown.into();
            if let Some(condition) = &binding.condition {
                entry["condition"] = json!(condition);
            }
            list.push(entry);
        }
    }
    list
}

/// Bindings, and the entries that are none: views, special groups.
fn from_access(entries: &[Value]) -> (Vec<Value>, Vec<Value>) {
    let mut bindings = Vec::new();
    let mut others = Vec::new();
    for entry in entries {
        let text = |field: &str| entry[field].as_str();
        let member = match (
            text("userByEmail"),
            text("groupByEmail"),
            text("domain"),
            text("iamMember"),
        ) {
            (Some(email), ..) if email.ends_with("gserviceaccount.com") => {
                format!("serviceAccount:{email}")
            }
            (Some(email), ..) => format!("user:{email}"),
            (_, Some(group), ..) => format!("group:{group}"),
            (_, _, Some(domain), _) => format!("domain:{domain}"),
            (.., Some(member)) => member.to_owned(),
            _ => {
                others.push(entry.clone());
                continue;
            }
        };
        let role = text("role").unwrap_or_default();
        let role = LEGACY
            .iter()
            .find(|(_, legacy)| *legacy == role)
            .map_or(role, |(role, _)| role);
        let mut binding = json!({"role": role, "members": [member]});
        if !entry["condition"].is_null() {
            binding["condition"] = entry["condition"].clone();
        }
        bindings.push(binding);
    }
    (bindings, others)
}
