//! The HTTP side: one port for all Google APIs, told apart by path.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State as Shared;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::calls::Call;
use super::errors::{ApiError, BUG};
use super::faults::{self, Fault, Verdict};
use super::request::{self, Request, decode};
use super::shared::Core;
use super::state::State;
use super::{
    assets, crm, datasets, evidence, gateway, gke, hub, iam, logging, oracle, policies, requests,
    restrictions, samples, services, serving, storage, timeline, tokens,
};

/// Larger bodies than any policy.
const MAX_BODY: usize = 4 << 20;
/// Smaller answers are not worth compressing.
const MIN_GZIP: usize = 512;

/// The routes: there is one, and [`route`] tells the APIs apart.
pub fn router(core: Arc<Core>) -> Router {
    Router::new().fallback(serve).with_state(core)
}

async fn serve(Shared(core): Shared<Arc<Core>>, request: http::Request<Body>) -> Response<Body> {
    let behind = gateway::target(&core.state(), &request);
    let (parts, body) = request.into_parts();
    if let Some((api, uri)) = behind
        && authorized(&parts.headers, &core.token)
    {
        let verdict = judge(&core, &parts);
        let refuse = |error: ApiError| response(Err(error), &parts.headers, core.time());
        let request = {
            let mut there = parts.clone();
            there.uri = uri;
            http::Request::from_parts(there, body)
        };
        return verdict.carry_out(refuse, api.answer(request)).await;
    }
    let path = parts.uri.path();
    let ours = path.starts_with("/sandbox/");
    let verdict = if ours {
        Verdict::default()
    } else {
        judge(&core, &parts)
    };
    let body = to_bytes(body, MAX_BODY).await;
    let respond = |answer: Result<Value, ApiError>| {
        let status = answer.as_ref().map_or_else(|error| error.code, |_| 200);
        if !ours {
            let (method, query) = (parts.method.as_str(), parts.uri.query().unwrap_or_default());
            // A form can hold a token, and so does what is exchanged; other JSON bodies of these APIs do not.
            let body = body.as_deref().unwrap_or_default();
            let body = if path == "/v1/token" { &[] } else { body };
            let agent = parts.headers.get(USER_AGENT).and_then(|a| a.to_str().ok());
            core.record(&Call {
                method,
                path,
                query,
                body,
                status,
                agent: agent.unwrap_or_default(),
            });
        }
        response(answer, &parts.headers, core.time())
    };
    let refuse = |error: ApiError| {
        let storage = path.starts_with("/storage/");
        respond(Err(if storage { error.for_storage() } else { error }))
    };
    let ordinary = async {
        respond(match &body {
            Ok(body) => whole(&parts, || answer(&core, &parts, body)),
            Err(_) => Err(ApiError::new(413, "The request is too large.")),
        })
    };
    verdict.carry_out(refuse, ordinary).await
}

/// What is answered, or 500 in place of a panic: a mistake of the sandbox closes no connection.
fn whole(
    parts: &http::request::Parts,
    answer: impl FnOnce() -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        let message = format!("{BUG}: {} {}", parts.method, parts.uri.path());
        Err(ApiError::new(500, message))
    })
}

fn answer(core: &Arc<Core>, parts: &http::request::Parts, body: &Bytes) -> Result<Value, ApiError> {
    let storage = parts.uri.path().starts_with("/storage/");
    if (parts.method.as_str(), parts.uri.path()) == ("POST", "/v1/token") {
        // What is exchanged is all the credentials that it takes.
        let request = request::read(parts, body)?;
        let answer = tokens::exchange(&mut core.state(), &request)?;
        core.check(&request, &answer);
        return Ok(answer);
    }
    let holder = match authorized(&parts.headers, &core.token) {
        true => None,
        false => bearer(&parts.headers).and_then(|token| core.state().tokens.holder(token)),
    };
    if holder.is_none() && !authorized(&parts.headers, &core.token) {
        let error = ApiError::new(
            401,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential.",
        );
        return Err(if storage {
            error.for_storage()
        } else {
            error.with_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", "googleapis.com", json!({}))
        });
    }
    if parts.uri.path() == "/tokeninfo" {
        return token_info(core, body);
    }
    let mut request = request::read(parts, body)?;
    if holder.is_some() && !tokens::is_answered(&request) {
        return Err(request.not_simulated());
    }
    request.holder = holder;
    if request.path.starts_with("/sandbox/") {
        return debug(core, &request);
    }
    let answer = {
        let mut state = core.state();
        timeline::advance(&mut state);
        let answer = route(&mut state, &request)?;
        if request.method != "GET" {
            let delay = i64::from(state.world.propagation_seconds.policy_search) * 1000;
            assets::take_in(&mut state, delay);
            samples::take(&mut state, &format!("{} {}", request.method, request.path));
        }
        answer
    };
    if request.method != "GET" {
        // A cluster may have come.
        serving::serve_clusters(core).map_err(|e| ApiError::new(500, e.to_string()))?;
        core.moved.notify_one();
        core.changed.notify_one();
    }
    core.check(&request, &answer);
    let answer = match request.query("fields") {
        Some(fields) => only(answer, fields),
        None => answer,
    };
    let numbers = request
        .query("$alt")
        .is_some_and(|alt| alt.contains("enum-encoding=int"));
    Ok(match request.calls {
        Some(method) if numbers => method.with_numbers(answer),
        _ => answer,
    })
}

/// `oauth2.googleapis.com/tokeninfo`: a form with the token, in and out of the body.
fn token_info(core: &Core, body: &Bytes) -> Result<Value, ApiError> {
    let form = String::from_utf8_lossy(body);
    let token = form
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="))
        .map(decode);
    if token.as_deref() != Some(&core.token) {
        return Err(ApiError::invalid("Invalid Value"));
    }
    let caller = core.state().world.caller.clone();
    Ok(json!({
        "email": caller,
        "email_verified": "true",
        "expires_in": "3599",
        "scope": "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email",
    }))
}

fn judge(core: &Core, parts: &http::request::Parts) -> Verdict {
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    core.judge(&format!("{} {target}", parts.method))
}

fn authorized(headers: &HeaderMap, token: &str) -> bool {
    bearer(headers) == Some(token)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
    given.strip_prefix("Bearer ")
}

/// Finds the API by the path.
fn route(state: &mut State, request: &Request) -> Result<Value, ApiError> {
    let segments: Vec<&str> = request
        .path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    if let Some(answer) = policies::handle(state, request) {
        return answer;
    }
    match segments.as_slice() {
        ["storage", "v1", "b", rest @ ..] => storage::handle(state, rest, request),
        ["bigquery", "v2", "projects", project, "datasets", rest @ ..] => {
            datasets::handle(state, project, rest, request)
        }
        ["v1", "roles", ..] | ["v1", "projects" | "organizations", _, "roles", ..] => {
            iam::roles(state, &segments[1..], request)
        }
        ["v1", "projects", project, "serviceAccounts", rest @ ..] => {
            iam::handle(state, project, rest, request)
        }
        ["v3", "projects", project, "timeSeries"] => evidence::time_series(state, project, request),
        [
            "v1",
            "projects",
            project,
            "locations",
            "global",
            "activityTypes",
            kind,
            "activities:query",
        ] => evidence::activities(state, project, kind, request),
        ["v2", "entries:list"] => logging::entries(state, request),
        [
            "v1",
            "projects",
            project,
            "locations",
            "global",
            "workloadIdentityPools",
            pool,
        ] => iam::workload_pool(state, project, pool, request),
        [
            "v2",
            "policies",
            "cloudresourcemanager.googleapis.com",
            collection,
            container,
            "denypolicies",
            rest @ ..,
        ] => restrictions::deny_policies(state, (collection, container), rest, request),
        [
            "v3",
            collection @ ("projects" | "folders" | "organizations"),
            container,
            "locations",
            "global",
            "policyBindings:searchTargetPolicyBindings",
        ] => restrictions::search_bindings(state, (collection, container), request),
        [
            "v3",
            "organizations",
            organization,
            "locations",
            "global",
            "principalAccessBoundaryPolicies",
            id,
        ] => restrictions::boundary(state, organization, id, request),
        ["v1", "projects", project, rest @ ..] if hub::is_asked(rest) => {
            hub::handle(state, project, rest, request)
        }
        ["v1", "projects", project, "locations" | "zones", ..] => {
            gke::handle(state, project, &segments[3..], request)
        }
        ["v1", "projects", project, "aggregated", "usableSubnetworks"] => {
            gke::usable_subnetworks(state, project, request)
        }
        ["compute", "v1", "projects", project, rest @ ..] => {
            gke::instance_groups(state, project, rest, request)
        }
        [
            "v1",
            kind @ ("projects" | "folders" | "organizations"),
            name,
        ] if name.ends_with(":searchAllIamPolicies") => {
            let name = name.trim_end_matches(":searchAllIamPolicies");
            assets::search(state, kind, name, request)
        }
        [
            "v1",
            "projects",
            project,
            rest @ ("services:batchGet" | "services"),
            names @ ..,
        ] => services::handle(state, project, rest, names, request),
        [version @ ("v1" | "v3"), "projects"] | [version @ "v3", "projects:search"] => {
            crm::list(state, version, request)
        }
        ["v1", "projects", project, "billingInfo"] => crm::billing(state, project, request),
        [version @ ("v1" | "v3"), "projects", name] => crm::handle(state, version, name, request),
        _ => Err(request.not_simulated()),
    }
}

/// What tests ask the sandbox itself.
fn debug(core: &Core, request: &Request) -> Result<Value, ApiError> {
    if (request.method.as_str(), request.path.as_str()) == ("DELETE", "/sandbox/v1/faults") {
        core.heal();
        return Ok(json!({}));
    }
    let mut state = core.state();
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/sandbox/v1/calls") => Ok(state.calls.show()),
        ("DELETE", "/sandbox/v1/calls") => {
            state.calls = super::calls::Calls::default();
            Ok(json!({}))
        }
        ("GET", "/sandbox/v1/world") => {
            timeline::advance(&mut state);
            Ok(json!(state.snapshot()))
        }
        ("GET", "/sandbox/v1/access") => {
            timeline::advance(&mut state);
            oracle::answer(&state, request)
        }
        ("GET", "/sandbox/v1/requests") => {
            timeline::advance(&mut state);
            Ok(requests::answer(&mut state))
        }
        ("DELETE", "/sandbox/v1/requests") => {
            timeline::advance(&mut state);
            requests::start_recording(&mut state);
            Ok(json!({}))
        }
        ("POST", "/sandbox/v1/clock") => {
            let seconds = request.body["passSeconds"].as_i64().filter(|s| *s >= 0);
            let seconds = seconds.ok_or_else(|| ApiError::invalid("`passSeconds` is a number"))?;
            timeline::pass(&mut state, seconds.saturating_mul(1000));
            core.moved.notify_one();
            core.changed.notify_one();
            Ok(json!({ "clock": super::clock::text(state.clock.now()) }))
        }
        ("POST", "/sandbox/v1/faults") => {
            let list = if request.body.is_array() {
                request.body.clone()
            } else {
                json!([request.body])
            };
            let faults: Vec<Fault> = serde_json::from_value(list).map_err(|e| {
                ApiError::invalid(format!("not a fault, nor a list of faults: {e}"))
            })?;
            state.world.faults.extend(faults);
            Ok(json!({"faults": state.world.faults}))
        }
        _ => Err(request.not_simulated()),
    }
}

/// A partial answer: the fields of the first level that `fields` names, with all below them.
fn only(answer: Value, fields: &str) -> Value {
    let mut depth = 0_usize;
    let mut names = vec![String::new()];
    for c in fields.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().into_iter().for_each(|name| name.push(c)),
            _ => {}
        }
    }
    let wanted = |key: &String| {
        names
            .iter()
            .any(|name| name == "*" || name.split('/').next() == Some(key.as_str()))
    };
    match answer {
        Value::Object(map) => map.into_iter().filter(|(key, _)| wanted(key)).collect(),
        other => other,
    }
}

fn response(
    answer: Result<Value, ApiError>,
    asked: &HeaderMap,
    now: jiff::Timestamp,
) -> Response<Body> {
    let (status, body, error) = match answer {
        Ok(body) => (200, body, None),
        Err(error) => (error.code, error.body(), Some(error)),
    };
    let mut bytes = body.to_string().into_bytes();
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(CONTENT_TYPE, "application/json; charset=UTF-8");
    if let Some(headers) = response.headers_mut() {
        faults::set_date(now, headers);
        if let Some(error) = error {
            faults::set_retry_after(&error, now, headers);
        }
    }
    let encodings = asked
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if encodings.contains("gzip") && bytes.len() >= MIN_GZIP {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        if let Ok(packed) = packed {
            bytes = packed;
            response = response.header(CONTENT_ENCODING, "gzip");
        }
    }
    response.body(Body::from(bytes)).unwrap_or_default()
}
