//! Cloud Audit Logs: what keys and pods do is in the logs of the projects that have them on, as the services
//! write it. What pods are allowed is the oracle's answer.

use serde_json::{Value, json};

use super::access::Token;
use super::clock::{Millis, parse, text};
use super::errors::ApiError;
use super::evidence::{in_project, keys, uses};
use super::gke::cluster::Cluster;
use super::kube::PodState;
use super::log_filter::Filter;
use super::oracle;
use super::request::Request;
use super::state::{State, email};
use super::world::{AccountKey, KeyUse, PodCall};

/// Data Access logs are kept for thirty days, Admin Activity logs for 400.
const KEPT: Millis = 30 * 24 * 3_600_000;
const ACTIVITY_KEPT: Millis = 400 * 24 * 3_600_000;

/// A page has so many, and at most so many.
const USUAL: usize = 50;
const MOST: usize = 1000;

/// How the metadata server calls itself.
const METADATA_SERVER: &str = "google-api-go-client/0.5 gke-metadata-server,gzip(gfe)";

/// `logging.googleapis.com/v2/entries:list`.
pub fn entries(state: &State, request: &Request) -> Result<Value, ApiError> {
    let names = request.body["resourceNames"].as_array();
    let names = names.ok_or_else(|| ApiError::invalid("resourceNames is required."))?;
    let filter = request.body["filter"].as_str().unwrap_or_default();
    if filter.chars().count() > 20_000 {
        return Err(ApiError::invalid("filter: more than 20000 characters."));
    }
    let filter = Filter::parse(filter)?;
    let size = match request.body["pageSize"].as_u64() {
        None | Some(0) => USUAL,
        Some(size) => usize::try_from(size).unwrap_or(MOST).min(MOST),
    };
    let now = state.clock.now();
    let mut found: Vec<(Millis, Value)> = Vec::new();
    for name in names {
        let project = name.as_str().and_then(|n| n.strip_prefix("projects/"));
        let project = project
            .ok_or_else(|| ApiError::invalid("resourceNames: only projects are simulated."))?;
        let project = in_project(state, project, "logging.privateLogEntries.list")?;
        found.extend(of_keys(state, &project));
        found.extend(of_pods(state, &project));
        let start = format!("projects/{project}/logs/");
        let written = state.world.log_entries.iter().filter(|entry| {
            let log = entry["logName"].as_str();
            log.is_some_and(|log| log.starts_with(&start))
        });
        found.extend(written.filter_map(|entry| {
            let at = parse(entry["timestamp"].as_str()?)?;
            Some((at, entry.clone()))
        }));
    }
    found.retain(|(at, entry)| (now - kept(entry)..=now).contains(at) && filter.admits(entry));
    found.sort_by_key(|(at, _)| *at);
    match request.body["orderBy"].as_str() {
        Some("timestamp desc") => found.reverse(),
        Some("timestamp asc") | None | Some("") => {}
        Some(_) => {
            return Err(ApiError::invalid(
                "orderBy: timestamp asc or timestamp desc.",
            ));
        }
    }
    page(state, request, found, size)
}

fn kept(entry: &Value) -> Millis {
    let log = entry["logName"].as_str().unwrap_or_default();
    if log.ends_with("%2Factivity") {
        ACTIVITY_KEPT
    } else {
        KEPT
    }
}

/// Writes a call of IAM into the Admin Activity log, which is always on.
pub(super) fn admin_activity(
    state: &mut State,
    project: &str,
    method: &str,
    resource: &str,
    request: &Request,
) {
    let now = state.clock.now();
    let mut entry = entry(project, "iam.googleapis.com", method, now);
    entry["logName"] =
        format!("projects/{project}/logs/cloudaudit.googleapis.com%2Factivity").into();
    let payload = &mut entry["protoPayload"];
    payload["resourceName"] = resource.into();
    payload["authenticationInfo"] = json!({ "principalEmail": state.world.caller });
    payload["requestMetadata"] = json!({
        "callerIp": "192.0.2.1", "callerSuppliedUserAgent": request.user_agent,
    });
    state.world.log_entries.push(entry);
}

/// A page from a token on: `N`, or `N.` where an empty page has been there.
fn page(
    state: &State,
    request: &Request,
    found: Vec<(Millis, Value)>,
    size: usize,
) -> Result<Value, ApiError> {
    let token = request.body["pageToken"].as_str().unwrap_or_default();
    let has_been_empty = token.ends_with('.');
    let start: usize = match token.trim_end_matches('.') {
        "" => 0,
        at => at
            .parse()
            .map_err(|_| ApiError::invalid("page_token is invalid."))?,
    };
    if state.world.evidence.empty_log_pages && !has_been_empty {
        return Ok(json!({ "nextPageToken": format!("{start}.") }));
    }
    let left = found.len().saturating_sub(start);
    let entries: Vec<Value> = found
        .into_iter()
        .skip(start)
        .take(size)
        .map(|(_, entry)| entry)
        .collect();
    let mut answer = json!({});
    if left > entries.len() {
        answer["nextPageToken"] = (start + entries.len()).to_string().into();
    }
    if !entries.is_empty() {
        answer["entries"] = entries.into();
    }
    Ok(answer)
}

/// Calls with keys.
fn of_keys(state: &State, project: &str) -> Vec<(Millis, Value)> {
    let mut found = Vec::new();
    if !is_logged(state, project, "storage.googleapis.com") {
        return found;
    }
    for owner in state.world.projects.keys() {
        for (_, account, key) in keys(state, owner) {
            for (at, used) in uses(key) {
                let resource = used.project.as_deref().unwrap_or(owner);
                if resource == project {
                    found.push((at, of_key(project, owner, account.as_str(), key, used, at)));
                }
            }
        }
    }
    found
}

fn of_key(
    project: &str,
    owner: &str,
    account: &str,
    key: &AccountKey,
    used: &KeyUse,
    at: Millis,
) -> Value {
    let method = used.method.as_deref().unwrap_or("storage.objects.get");
    let mut entry = entry(project, "storage.googleapis.com", method, at);
    entry["protoPayload"]["authenticationInfo"] = json!({
        "principalEmail": account,
        "serviceAccountKeyName":
            format!("//iam.googleapis.com/projects/{owner}/serviceAccounts/{account}/keys/{}", key.id),
    });
    let about = &mut entry["protoPayload"]["requestMetadata"];
    if let Some(ip) = &used.caller_ip {
        about["callerIp"] = ip.clone().into();
    }
    if let Some(agent) = &used.user_agent {
        about["callerSuppliedUserAgent"] = agent.clone().into();
    }
    entry
}

fn entry(project: &str, service: &str, method: &str, at: Millis) -> Value {
    json!({
        "logName": format!("projects/{project}/logs/cloudaudit.googleapis.com%2Fdata_access"),
        "timestamp": text(at),
        "resource": { "type": "audited_resource", "labels": { "project_id": project } },
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": service,
            "methodName": method,
            "authenticationInfo": {},
            "requestMetadata": {},
        },
    })
}

/// What pods do: the token that the metadata server makes, in the account's project, and the call itself, in the
/// resource's.
fn of_pods(state: &State, project: &str) -> Vec<(Millis, Value)> {
    let mut found = Vec::new();
    for (number, call) in state.world.pod_calls.iter().enumerate() {
        let Some(first) = parse(&call.at) else {
            continue;
        };
        let Some((cluster, pod)) = oracle::find_pod(state, call.cluster.as_deref(), &call.pod)
        else {
            continue;
        };
        let (token, decision) =
            oracle::of_call(state, cluster, &pod, &call.permission, &call.resource);
        let ksa = cluster.workload_pool.as_ref().map(|pool| {
            format!(
                "serviceAccount:{pool}[{}/{}]",
                pod.namespace, pod.service_account_name
            )
        });
        let of = match call.resource.strip_prefix("project/") {
            Some(project) => project.to_owned(),
            None => state.project_of(&call.resource).unwrap_or_default(),
        };
        for n in 0..call.count.unwrap_or(1) {
            let at = first + Millis::from(n) * 60_000;
            let id = format!("pod{number}x{n}");
            if let Some(entry) = token_entry(state, project, &token, ksa.as_deref(), at, &id) {
                found.push((at, entry));
            }
            if of == project && is_logged(state, project, &call.service) {
                let allowed = decision.allowed == Some(true);
                if let Some(entry) = call_entry(project, call, &token, ksa.as_deref(), allowed, at)
                {
                    let mut entry = entry;
                    entry["insertId"] = id.into();
                    found.push((at, entry));
                }
            }
        }
    }
    found
}

/// What one call of a program leaves in the logs of all projects: the token's entry, and its own.
pub fn of_call(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    token: &Token,
    call: &PodCall,
    allowed: bool,
    id: &str,
) -> Vec<Value> {
    let at = parse(&call.at).unwrap_or_default();
    let ksa = cluster.workload_pool.as_ref().map(|pool| {
        let (namespace, name) = (&pod.namespace, &pod.service_account_name);
        format!("serviceAccount:{pool}[{namespace}/{name}]")
    });
    let of = match call.resource.strip_prefix("project/") {
        Some(project) => project.to_owned(),
        None => state.project_of(&call.resource).unwrap_or_default(),
    };
    let mut found = Vec::new();
    for project in state.world.projects.keys() {
        found.extend(token_entry(state, project, token, ksa.as_deref(), at, id));
        if of == *project && is_logged(state, project, &call.service) {
            let entry = call_entry(project, call, token, ksa.as_deref(), allowed, at);
            found.extend(entry.map(|mut entry| {
                entry["insertId"] = id.into();
                entry
            }));
        }
    }
    found
}

fn token_entry(
    state: &State,
    project: &str,
    token: &Token,
    ksa: Option<&str>,
    at: Millis,
    id: &str,
) -> Option<Value> {
    let Token::Account(account) = token else {
        return None;
    };
    let (own, unique_id) = state.world.projects.iter().find_map(|(id, p)| {
        let mut accounts = p.service_accounts.iter();
        let (_, a) = accounts.find(|(a, _)| email(id, a) == *account)?;
        Some((id, &a.unique_id))
    })?;
    if own != project || !is_logged(state, project, "iam.googleapis.com") {
        return None;
    }
    let mut entry = entry(
        project,
        "iamcredentials.googleapis.com",
        "GenerateAccessToken",
        at,
    );
    entry["insertId"] = format!("{id}token").into();
    entry["resource"] = json!({ "type": "service_account", "labels": {
        "project_id": project, "email_id": account, "unique_id": unique_id,
    }});
    let payload = &mut entry["protoPayload"];
    payload["resourceName"] = format!("projects/-/serviceAccounts/{unique_id}").into();
    payload["authenticationInfo"] =
        json!({ "principalSubject": ksa?, "serviceAccountDelegationInfo": [{}] });
    payload["authorizationInfo"] =
        json!([{ "permission": "iam.serviceAccounts.getAccessToken", "granted": true }]);
    payload["metadata"] = json!({ "identityDelegationChain": [account] });
    payload["requestMetadata"] = json!({
        "callerIp": "gce-internal-ip", "callerSuppliedUserAgent": METADATA_SERVER,
    });
    Some(entry)
}

fn call_entry(
    project: &str,
    call: &PodCall,
    token: &Token,
    ksa: Option<&str>,
    allowed: bool,
    at: Millis,
) -> Option<Value> {
    let mut entry = entry(project, &call.service, &call.method, at);
    let payload = &mut entry["protoPayload"];
    payload["authenticationInfo"] = match token {
        Token::Account(account) => json!({
            "principalEmail": account,
            "principalSubject": format!("serviceAccount:{account}"),
            "serviceAccountDelegationInfo": [{ "principalSubject": ksa? }],
        }),
        Token::Node(account) => json!({ "principalEmail": account }),
        Token::Federated(_) => json!({ "principalSubject": ksa? }),
        // Without a token nothing is asked.
        Token::Refused(_) => return None,
    };
    let mut right = json!({ "permission": call.permission, "resource": call.resource });
    if allowed {
        right["granted"] = true.into();
    } else {
        payload["status"] = json!({ "code": 7, "message": "PERMISSION_DENIED" });
    }
    payload["authorizationInfo"] = json!([right]);
    payload["requestMetadata"] = json!({
        "callerIp": call.caller_ip.as_deref().unwrap_or("gce-internal-ip"),
        "callerSuppliedUserAgent": call.user_agent.as_deref().unwrap_or("gl-go/1.23"),
    });
    Some(entry)
}

/// Whether Data Access logs of a service are on in a project: those of BigQuery always are.
fn is_logged(state: &State, project: &str, service: &str) -> bool {
    let policy = &state.world.projects[project].policy;
    service == "bigquery.googleapis.com"
        || policy.audit_configs.iter().any(|config| {
            let of = config["service"].as_str().unwrap_or_default();
            of == "allServices" || of == service
        })
}
