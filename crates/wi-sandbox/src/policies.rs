//! Resources that have a policy and nothing else here: folders, secrets, topics, keys, tables ...
//! Each API has its own way to ask for a policy and to write it.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::assets;
use super::crm;
use super::errors::ApiError;
use super::policy;
use super::request::Request;
use super::set_policy;
use super::state::State;
use super::wire::fits;

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
const APIS: &[(&str, &str, Ask, bool)] = &[
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
    ("dns/v1/projects/*/managedZones/*", "dns", Ask::Post, true),
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
        "v1/projects/*/locations/*/services/*",
        "run",
        Ask::Get,
        true,
    ),
    ("v1/projects/*/locations/*/jobs/*", "run", Ask::Get, true),
    (
        "v1/projects/*/locations/*/functions/*",
        "cloudfunctions",
        Ask::Get,
        true,
    ),
    (
        "bigquery/v2/projects/*/datasets/*/routines/*",
        "bigquery",
        Ask::Post,
        true,
    ),
    (
        "v1/projects/*/locations/*/keyRings/*/importJobs/*",
        "cloudkms",
        Ask::Get,
        true,
    ),
    (
        "v1/projects/*/instances/*/backups/*",
        "spanner",
        Ask::Post,
        false,
    ),
    (
        "v2/projects/*/locations/*/workerPools/*",
        "run",
        Ask::Get,
        true,
    ),
    (
        "v2/projects/*/instances/*/clusters/*/backups/*",
        "bigtable",
        Ask::Post,
        true,
    ),
    (
        "v2/projects/*/instances/*/tables/*/authorizedViews/*",
        "bigtable",
        Ask::Post,
        true,
    ),
    (
        "v2/projects/*/instances/*/logicalViews/*",
        "bigtable",
        Ask::Post,
        true,
    ),
    (
        "v2/projects/*/instances/*/materializedViews/*",
        "bigtable",
        Ask::Post,
        true,
    ),
    (
        "v1/projects/*/iap_web/compute/services/*",
        "iap",
        Ask::Post,
        false,
    ),
];

/// Answers a request if its path is one of these APIs'.
pub fn handle(state: &mut State, request: &Request) -> Option<Result<Value, ApiError>> {
    let path = &by_names(state, request.path.trim_start_matches('/'));
    if request.method == "GET"
        && let Some(answer) = plain(state, path, request)
    {
        return Some(answer);
    }
    let (path, verb) = path.rsplit_once(':')?;
    let &(_, service, ask, mask) = APIS.iter().find(|(pattern, ..)| fits(pattern, path))?;
    let name = full_name(service, path);
    Some(answer(state, &name, verb, request, ask, mask))
}

/// A path with names in place of the numbers by which all APIs take projects, and Cloud DNS its zones.
fn by_names<'a>(state: &State, path: &'a str) -> Cow<'a, str> {
    let named = path.split_once("projects/").and_then(|(before, rest)| {
        let (number, after) = rest.split_once('/')?;
        number.parse::<u64>().ok()?;
        let id = state.project(number)?;
        Some(format!("{before}projects/{id}/{after}"))
    });
    let path = named.map_or(Cow::Borrowed(path), Cow::Owned);
    let (rest, verb) = match path.rsplit_once(':') {
        Some((rest, verb)) => (rest, format!(":{verb}")),
        None => (&*path, String::new()),
    };
    let number = rest.rsplit('/').next().and_then(|n| n.parse::<u64>().ok());
    let Some(number) = number.filter(|_| fits("dns/v1/projects/*/managedZones/*", rest)) else {
        return path;
    };
    let mut zones = state.world.resources.keys().filter_map(|name| {
        let zone = name.strip_prefix("//dns.googleapis.com/")?;
        (assets::zone_number(name) == number).then_some(zone)
    });
    match zones.next() {
        Some(zone) => Cow::Owned(format!("dns/v1/{zone}{verb}")),
        None => path,
    }
}

/// Resources that clients look at before they ask for their policies: one, or those of a project.
const PLAIN: [(&str, &str, &str); 5] = [
    ("dns/v1/projects/*/managedZones", "dns", "managedZones"),
    ("v1/projects/*/secrets", "secretmanager", "secrets"),
    (
        "v1/projects/*/locations/*/secrets",
        "secretmanager",
        "secrets",
    ),
    ("v1/projects/*/topics", "pubsub", "topics"),
    ("v1/projects/*/subscriptions", "pubsub", "subscriptions"),
];

fn plain(state: &State, path: &str, request: &Request) -> Option<Result<Value, ApiError>> {
    let one = PLAIN
        .into_iter()
        .find(|(pattern, ..)| fits(&format!("{pattern}/*"), path) && !path.contains(':'));
    if let Some((_, service, kind)) = one {
        let name = full_name(service, path);
        let there = state.world.resources.contains_key(&name);
        return Some(if there {
            Ok(show(state, &name, kind))
        } else {
            Err(missing(&name))
        });
    }
    let (_, service, kind) = PLAIN
        .into_iter()
        .find(|(pattern, ..)| fits(pattern, path))?;
    let below = format!("{}/", full_name(service, path));
    let names = state.world.resources.keys().map(String::as_str);
    let names = names.filter(|name| name.strip_prefix(&below).is_some_and(|n| !n.contains('/')));
    Some(request.page(names, (100, 1000)).map(|(page, next)| {
        let mut answer = json!({});
        if !page.is_empty() {
            answer[kind] = page.iter().map(|name| show(state, name, kind)).collect();
        }
        if let Some(next) = next {
            answer["nextPageToken"] = next.into();
        }
        answer
    }))
}

/// What is known of a secret, a topic, a subscription or a zone: that it is there.
fn show(state: &State, name: &str, kind: &str) -> Value {
    let rest = name.trim_start_matches("//");
    let rest = rest.split_once('/').map_or(rest, |(_, rest)| rest);
    match kind {
        "secrets" => {
            // Secret Manager shows the project by its number.
            let mut parts: Vec<&str> = rest.split('/').collect();
            let number = parts.get(1).and_then(|id| state.project(id));
            let number = number.map(|id| state.number(&id).to_string());
            if let (Some(number), Some(part)) = (&number, parts.get_mut(1)) {
                *part = number;
            }
            json!({
                "name": parts.join("/"),
                "replication": { "automatic": {} },
                "createTime": "2026-01-05T08:00:00.000000Z",
                "etag": "\"16\"",
            })
        }
        "managedZones" => json!({
            "kind": "dns#managedZone",
            "id": assets::zone_number(name).to_string(),
            "name": rest.rsplit('/').next(),
            "visibility": "public",
        }),
        "subscriptions" => json!({ "name": rest, "topic": "_deleted-topic_", "state": "ACTIVE" }),
        _ => json!({ "name": rest, "state": "ACTIVE" }),
    }
}

/// The resource name of a path: without the API's version.
pub fn full_name(service: &str, path: &str) -> String {
    let rest = path
        .trim_start_matches("bigquery/")
        .trim_start_matches("dns/")
        .split_once('/')
        .map_or(path, |(_version, rest)| rest);
    format!("//{service}.googleapis.com/{rest}")
}

/// 404.
pub fn missing(name: &str) -> ApiError {
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
            let written = set_policy::write(state, name, &stored, new, given_mask)?;
            let shown = policy::show(&written, 3);
            if let Some(resource) = state.world.resources.get_mut(name) {
                resource.policy = written;
            }
            Ok(shown)
        }
        ("POST", "testIamPermissions") => crm::test_permissions(state, request, name),
        _ => Err(request.not_simulated()),
    }
}
