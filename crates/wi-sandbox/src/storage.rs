//! Storage's JSON API: buckets and their policies.

use serde_json::{Value, json};

use super::errors::ApiError;
use super::policies::missing;
use super::policy;
use super::request::Request;
use super::set_policy;
use super::state::State;
use super::tokens;
use super::world::{Bucket, Policy};

/// Answers `storage/v1/b...`; `path` is what follows `b`.
pub fn handle(state: &mut State, path: &[&str], request: &Request) -> Result<Value, ApiError> {
    answer(state, path, request).map_err(ApiError::for_storage)
}

fn answer(state: &mut State, path: &[&str], request: &Request) -> Result<Value, ApiError> {
    let Some((name, rest)) = path.split_first() else {
        return match request.method.as_str() {
            "GET" => list(state, request),
            _ => Err(request.not_simulated()),
        };
    };
    if let ["managedFolders", path @ ..] = rest {
        return managed_folder(state, name, path, request);
    }
    let (bucket, stored) = state
        .bucket(name)
        .ok_or_else(|| ApiError::not_found("The specified bucket does not exist."))?;
    match (request.method.as_str(), rest) {
        ("GET", []) => Ok(show(state, name, bucket, stored)),
        ("GET", ["iam"]) => {
            let version =
                policy::requested_version(request.query("optionsRequestedPolicyVersion"))?;
            Ok(show_policy(name, stored, version))
        }
        ("PUT", ["iam"]) => set_policy(state, name, &request.body),
        ("GET", ["iam", "testPermissions"]) => {
            test_permissions(state, request, &format!("bucket/{name}"))
        }
        _ => Err(request.not_simulated()),
    }
}

fn test_permissions(state: &State, request: &Request, resource: &str) -> Result<Value, ApiError> {
    let held = tokens::tested(state, request, resource, request.queries("permissions"))?;
    Ok(json!({"kind": "storage#testIamPermissionsResponse", "permissions": held}))
}

/// Storage answers 412 where other services answer 409.
fn stale(error: ApiError) -> ApiError {
    if error.code == 409 {
        return ApiError::new(
            412,
            "At least one of the pre-conditions you specified did not hold.",
        );
    }
    error
}

fn managed_folder(
    state: &mut State,
    bucket: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let below = format!("//storage.googleapis.com/projects/_/buckets/{bucket}/managedFolders/");
    let show = |folder: &str| {
        json!({
            "kind": "storage#managedFolder",
            "id": format!("{bucket}/{folder}/"),
            "name": format!("{folder}/"),
            "bucket": bucket,
            "metageneration": "1",
        })
    };
    // A folder's name has slashes of its own, and ends in one that the world file leaves out.
    let (folder, rest) = match path {
        [] if request.method == "GET" => {
            let names = state.world.resources.keys();
            let names = names.filter_map(|name| name.strip_prefix(&below));
            let (page, next) = request.page(names, (1000, 1000))?;
            let items: Vec<Value> = page.into_iter().map(show).collect();
            let mut answer = json!({ "kind": "storage#managedFolders", "items": items });
            if let Some(next) = next {
                answer["nextPageToken"] = next.into();
            }
            return Ok(answer);
        }
        [folder @ .., "iam", "testPermissions"] => (folder, "testPermissions"),
        [folder @ .., "iam"] => (folder, "iam"),
        folder => (folder, ""),
    };
    let folder = folder.join("/");
    let name = format!("{below}{}", folder.trim_end_matches('/'));
    let found = state.world.resources.get(&name);
    let stored = found.ok_or_else(|| missing(&name))?.policy.clone();
    match (request.method.as_str(), rest) {
        ("GET", "") => Ok(show(folder.trim_end_matches('/'))),
        ("GET", "testPermissions") => test_permissions(state, request, &name),
        ("GET", "iam") => {
            let version =
                policy::requested_version(request.query("optionsRequestedPolicyVersion"))?;
            Ok(policy::show(&stored, version))
        }
        ("PUT", "iam") => {
            let written =
                set_policy::write(state, &name, &stored, &request.body, None).map_err(stale)?;
            let shown = policy::show(&written, 3);
            if let Some(resource) = state.world.resources.get_mut(&name) {
                resource.policy = written;
            }
            Ok(shown)
        }
        _ => Err(request.not_simulated()),
    }
}

fn list(state: &State, request: &Request) -> Result<Value, ApiError> {
    let project = request
        .query("project")
        .ok_or_else(|| ApiError::invalid("Required parameter: project"))?;
    let project = state
        .project(project)
        .ok_or_else(|| ApiError::not_found("Unknown project id."))?;
    let buckets = state
        .world
        .buckets
        .iter()
        .filter(|(_, bucket)| bucket.project == project);
    let items: Vec<Value> = buckets
        .filter_map(|(name, bucket)| Some(show(state, name, bucket, bucket.policy.as_ref()?)))
        .collect();
    Ok(json!({"kind": "storage#buckets", "items": items}))
}

fn show(state: &State, name: &str, bucket: &Bucket, policy: &Policy) -> Value {
    json!({
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "projectNumber": state.number(&bucket.project).to_string(),
        "location": bucket.location,
        "storageClass": "STANDARD",
        "etag": policy.etag,
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": bucket.uniform_bucket_level_access},
            "publicAccessPrevention": "inherited",
        },
    })
}

fn show_policy(name: &str, policy: &Policy, version: i64) -> Value {
    let mut shown = policy::show(policy, version);
    shown["kind"] = "storage#policy".into();
    shown["resourceId"] = format!("projects/_/buckets/{name}").into();
    if shown.get("version").is_none() {
        shown["version"] = 1.into();
    }
    shown
}

fn set_policy(state: &mut State, name: &str, body: &Value) -> Result<Value, ApiError> {
    let Some((bucket, stored)) = state.bucket(name) else {
        return Err(ApiError::not_found("The specified bucket does not exist."));
    };
    let (uniform, stored) = (bucket.uniform_bucket_level_access, stored.clone());
    let bindings = body["bindings"].as_array().cloned().unwrap_or_default();
    if !uniform
        && bindings
            .iter()
            .any(|binding| binding.get("condition").is_some())
    {
        return Err(ApiError::invalid(
            "The bucket must have uniform bucket-level access enabled for conditions to be set.",
        ));
    }
    let subject = format!("//storage.googleapis.com/projects/_/buckets/{name}");
    let mut written = set_policy::write(state, &subject, &stored, body, None).map_err(stale)?;
    written.etag = state.next_bucket_etag();
    let shown = show_policy(name, &written, 3);
    if let Some(bucket) = state.world.buckets.get_mut(name) {
        bucket.policy = Some(written);
    }
    Ok(shown)
}
