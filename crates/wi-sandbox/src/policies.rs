//! Resources that have a policy and nothing else here: folders, secrets, topics, keys, tables ...
//! Each API has its own way to ask for a policy and to write it.

use serde_json::{Value, json};

use super::crm;
use super::errors::{ApiError, known_fields};
use super::policy;
use super::request::Request;
use super::set_policy;
use super::state::State;

/// How an API wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// `GET …:getIamPolicy?options.requestedPolicyVersion=3`.
    Get,
    /// `POST …:getIamPolicy` with the version in the body.
    Post,
}

/// Path of an API, service of the full resource name, how a policy is read, and whether a write may
/// have an `updateMask`. `*` stands for any name.
const APIS: [(&str, &str, Ask, bool); 22] = [
    ("v3/folders/*", "cloudresourcemanager", Ask::Post, true),
    (
        "v3/organizations/*",
        "cloudresourcemanager",
        Ask::Post,
        true,
    ),
    ("v1/projects/*/secrets/*", "secretmanager", Ask::Get, true),
    (
        "v1/projects/*/locations/*/secrets/*",
        "secretmanager",
        Ask::Get,
        true,
    ),
    ("v1/projects/*/topics/*", "pubsub", Ask::Get, false),
    ("v1/projects/*/subscriptions/*", "pubsub", Ask::Get, false),
    ("v1/projects/*/snapshots/*", "pubsub", Ask::Get, false),
    ("v1/projects/*/schemas/*", "pubsub", Ask::Get, false),
    (
        "bigquery/v2/projects/*/datasets/*/tables/*",
        "bigquery",
        Ask::Post,
        true,
    ),
    (
        "v1/projects/*/locations/*/keyRings/*",
        "cloudkms",
        Ask::Get,
        true,
    ),
    (
        "v1/projects/*/locations/*/keyRings/*/cryptoKeys/*",
        "cloudkms",
        Ask::Get,
        true,
    ),
    ("v1/projects/*/instances/*", "spanner", Ask::Post, false),
    (
        "v1/projects/*/instances/*/databases/*",
        "spanner",
        Ask::Post,
        false,
    ),
    (
        "v1/projects/*/locations/*/repositories/*",
        "artifactregistry",
        Ask::Get,
        false,
    ),
    (
        "v2/projects/*/locations/*/services/*",
        "run",
        Ask::Get,
        true,
    ),
    ("v2/projects/*/locations/*/jobs/*", "run", Ask::Get, true),
    (
        "v2/projects/*/locations/*/queues/*",
        "cloudtasks",
        Ask::Post,
        false,
    ),
    (
        "v2/projects/*/locations/*/functions/*",
        "cloudfunctions",
        Ask::Get,
        true,
    ),
    ("v2/projects/*/instances/*", "bigtable", Ask::Post, true),
    (
        "v2/projects/*/instances/*/tables/*",
        "bigtable",
        Ask::Post,
        true,
    ),
    (
        "storage/v1/b/*/managedFolders/*",
        "storage",
        Ask::Get,
        false,
    ),
    (
        "bigquery/v2/projects/*/datasets/*",
        "bigquery",
        Ask::Get,
        false,
    ),
];

/// Answers a request if its path is one of these APIs'.
pub fn handle(state: &mut State, request: &Request) -> Option<Result<Value, ApiError>> {
    let path = request.path.trim_start_matches('/');
    let dataset = "bigquery/v2/projects/*/datasets/*";
    if fits(dataset, path) {
        return Some(dataset_access(state, path, request));
    }
    if let Some(folder) = path.strip_suffix("/iam")
        && fits("storage/v1/b/*/managedFolders/*", folder)
    {
        return Some(managed_folder(state, folder, request).map_err(ApiError::for_storage));
    }
    let (path, verb) = path.rsplit_once(':')?;
    let (_, service, ask, mask) = APIS.into_iter().find(|(pattern, ..)| fits(pattern, path))?;
    let name = full_name(service, path);
    Some(answer(state, &name, verb, request, ask, mask))
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(&path)
            .all(|(p, s)| *p == "*" && !s.is_empty() || p == s)
}

/// The resource name of a path: without the API's version.
fn full_name(service: &str, path: &str) -> String {
    let rest = path
        .trim_start_matches("bigquery/")
        .split_once('/')
        .map_or(path, |(_version, rest)| rest);
    format!("//{service}.googleapis.com/{rest}")
}

fn missing(name: &str) -> ApiError {
    ApiError::not_found(format!("Resource not found: {name}."))
}

fn answer(
    state: &mut State,
    name: &str,
    verb: &str,
    request: &Request,
    ask: Ask,
    mask: bool,
) -> Result<Value, ApiError> {
    let stored = state
        .world
        .resources
        .get(name)
        .ok_or_else(|| missing(name))?
        .policy
        .clone();
    match (request.method.as_str(), verb) {
        ("GET", "getIamPolicy") if ask == Ask::Get => {
            let version =
                policy::requested_version(request.query("options.requestedPolicyVersion"))?;
            Ok(policy::show(&stored, version))
        }
        ("POST", "getIamPolicy") if ask == Ask::Post => {
            known_fields(&request.body, &["options"], "")?;
            let wanted = request.body["options"]
                .get("requestedPolicyVersion")
                .map(Value::to_string);
            let version = policy::requested_version(wanted.as_deref())?;
            Ok(policy::show(&stored, version))
        }
        ("POST", "setIamPolicy") => {
            let (new, given_mask) = crm::wrapped_policy(&request.body)?;
            if given_mask.is_some() && !mask {
                return Err(ApiError::invalid(
                    "Invalid JSON payload received. Unknown name \"updateMask\": Cannot find field.",
                ));
            }
            let written = set_policy::write(state, &stored, new, given_mask)?;
            let shown = policy::show(&written, 3);
            if let Some(resource) = state.world.resources.get_mut(name) {
                resource.policy = written;
            }
            Ok(shown)
        }
        ("POST", "testIamPermissions") => Ok(crm::test_permissions(state, &request.body)),
        _ => Err(request.no_such_method()),
    }
}

fn managed_folder(state: &mut State, path: &str, request: &Request) -> Result<Value, ApiError> {
    let names: Vec<&str> = path.split('/').collect();
    let name = format!(
        "//storage.googleapis.com/projects/_/buckets/{}/managedFolders/{}",
        names[3], names[5]
    );
    let stored = state
        .world
        .resources
        .get(&name)
        .ok_or_else(|| missing(&name))?
        .policy
        .clone();
    match request.method.as_str() {
        "GET" => {
            let version =
                policy::requested_version(request.query("optionsRequestedPolicyVersion"))?;
            Ok(policy::show(&stored, version))
        }
        "PUT" => {
            let written =
                set_policy::write(state, &stored, &request.body, None).map_err(|error| {
                    if error.code == 409 {
                        return ApiError::new(
                            412,
                            "At least one of the pre-conditions you specified did not hold.",
                        );
                    }
                    error
                })?;
            let shown = policy::show(&written, 3);
            if let Some(resource) = state.world.resources.get_mut(&name) {
                resource.policy = written;
            }
            Ok(shown)
        }
        _ => Err(request.no_such_method()),
    }
}

/// Roles that BigQuery shows under their old names.
const LEGACY: [(&str, &str); 3] = [
    ("roles/bigquery.dataOwner", "OWNER"),
    ("roles/bigquery.dataEditor", "WRITER"),
    ("roles/bigquery.dataViewer", "READER"),
];

/// A dataset has no policy but an access list.
fn dataset_access(state: &mut State, path: &str, request: &Request) -> Result<Value, ApiError> {
    let name = full_name("bigquery", path);
    let stored = state
        .world
        .resources
        .get(&name)
        .ok_or_else(|| missing(&name))?
        .clone();
    let conditions_asked = request.query("accessPolicyVersion") == Some("3");
    let etag = if stored.policy.etag.is_empty() {
        "W/0".to_owned()
    } else {
        stored.policy.etag.clone()
    };
    match request.method.as_str() {
        "GET" => {}
        "PATCH" => {
            if request
                .if_match
                .as_ref()
                .is_some_and(|given| *given != etag)
            {
                return Err(ApiError::new(412, "Precondition check failed."));
            }
            let entries = request.body["access"]
                .as_array()
                .ok_or_else(|| ApiError::invalid("Required field: access"))?;
            let conditional = entries.iter().any(|e| !e["condition"].is_null());
            if conditional && !conditions_asked {
                return Err(ApiError::invalid(
                    "accessPolicyVersion must be 3 for entries with conditions.",
                ));
            }
            let (bindings, others) = from_access(entries);
            let body = json!({"bindings": bindings, "version": 3});
            let mut written = set_policy::write(state, &stored.policy, &body, None)?;
            written.etag = format!("W/{}", state.next_revision());
            if let Some(resource) = state.world.resources.get_mut(&name) {
                resource.policy = written;
                resource.other_access = others;
            }
        }
        _ => return Err(request.no_such_method()),
    }
    let stored = &state.world.resources[&name];
    let names: Vec<&str> = path.split('/').collect();
    let etag = if stored.policy.etag.is_empty() {
        "W/0"
    } else {
        &stored.policy.etag
    };
    Ok(json!({
        "kind": "bigquery#dataset",
        "etag": etag,
        "datasetReference": {"projectId": names[3], "datasetId": names[5]},
        "access": to_access(state, &name),
    }))
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
