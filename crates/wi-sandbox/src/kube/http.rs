//! Requests to answers: authentication, routing, verbs, gzip.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

use super::super::errors::{ApiError, BUG};
use super::super::faults;
use super::api::{Api, change, decode};
use super::deletion::Preconditions;
use super::kind::{Kind, version_of};
use super::list::ListQuery;
use super::manifest;
use super::objects::Key;
use super::patch::PatchKind;
use super::representation::{Include, Representation};
use super::request::{APPLY, Call, PROTOBUF, query_of};
use super::response::{Answer, Takes, plain, respond};
use super::serve::Stop;
use super::status::{self, Status};
use super::watching::{self, Watch};
use super::{Served, custom, discovery, identity, openapi, protobuf, serve, subresources};

/// The largest body that is read, as by the API server.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

impl Api {
    /// Serves it over TLS on a free port of 127.0.0.1, with a CA of its own.
    ///
    /// # Errors
    /// When no certificate can be made or no port be had.
    pub fn serve(self) -> std::io::Result<Served> {
        let handshake = Arc::clone(&self.handshake);
        serve::serve(Router::new().fallback(handle).with_state(self), handshake)
    }

    /// Answers one request, which no fault is meant for.
    pub async fn answer(&self, request: Request) -> Response {
        ordinary(self, request).await
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let verdict = (api.judge)(&format!("{} {target}", request.method()));
    let now = jiff::Timestamp::now() + api.ahead;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let refuse = |error: ApiError| {
        (api.on_call)(&method, &uri, &[], error.code);
        let status = Status::injected(error.code, error.message.clone());
        let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond(
            &Answer {
                code,
                ..Answer::ok(status.body())
            },
            Takes::default(),
        );
        faults::set_retry_after(&error, now, response.headers_mut());
        response
    };
    let mut response = verdict.carry_out(refuse, ordinary(&api, request)).await;
    faults::set_date(now, response.headers_mut());
    response
}

async fn ordinary(api: &Api, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let query = query_of(parts.uri.query().unwrap_or_default());
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let mut sent = Vec::new();
    let takes = Takes::of(&parts.headers);
    let stop = parts.extensions.get::<Stop>().cloned();
    // Anybody may ask how it is, and still nobody with a wrong token.
    let anonymous = !parts.headers.contains_key(header::AUTHORIZATION);
    let known = anonymous || authenticated(api, &parts.headers);
    if known && matches!(path.as_str(), "/readyz" | "/livez" | "/healthz") {
        return plain(StatusCode::OK, "ok");
    }
    if authenticated(api, &parts.headers)
        && !is_api(&path)
        && !custom::has(&api.cluster.lock().custom, &path)
    {
        return plain(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    let result = match to_bytes(body, BODY_LIMIT).await {
        _ if !authenticated(api, &parts.headers) => Err(Status::unauthorized()),
        Err(_) => Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {BODY_LIMIT}"),
        )),
        Ok(body) => {
            let call = Call {
                method: parts.method,
                query,
                headers: parts.headers,
                body: body.into(),
            };
            // A mistake of the sandbox closes no connection.
            let routed = catch_unwind(AssertUnwindSafe(|| route(api, &path, &call)));
            let failed = |_| Err(Status::new(500, "InternalError", format!("{BUG}: {path}")));
            sent = call.body;
            routed.unwrap_or_else(failed)
        }
    };
    let answer = result.unwrap_or_else(|status| Answer {
        code: StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        ..Answer::ok(status.body())
    });
    let mut answer = answer;
    let watch = answer.watch.take().map(|watch| (watch, stop));
    let watch = match watch {
        Some((watch, Some(Stop(stop)))) => Some((watch, stop)),
        // Behind Connect Gateway requests are answered one after another, and that would be the last.
        Some((_, None)) => {
            let why = "the sandbox has no watch behind Connect Gateway";
            let status = Status::new(405, "MethodNotAllowed", why);
            answer = Answer {
                code: StatusCode::METHOD_NOT_ALLOWED,
                ..Answer::ok(status.body())
            };
            None
        }
        None => None,
    };
    (api.on_call)(&method, &uri, &sent, answer.code.as_u16());
    tracing::debug!(%method, path, code = answer.code.as_u16(), "sandbox: Kubernetes API");
    match watch {
        Some(((watch, timeout), stop)) => {
            watching::respond(api.cluster.clone(), watch, timeout, stop)
        }
        None => respond(&answer, takes),
    }
}

/// Whether a path is one of the API's own, which answers all it does not know by a Status; elsewhere
/// there is the text of a web server.
fn is_api(path: &str) -> bool {
    let below = |base: &str| path == base || path.starts_with(&format!("{base}/"));
    let of_group = |group: &str| below(&format!("/apis/{group}"));
    below("/api")
        || path.trim_end_matches('/') == "/apis"
        || matches!(path, "/version" | "/openapi/v2")
        || { discovery::GROUPS.into_iter().any(of_group) }
}

fn authenticated(api: &Api, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer") && (api.accept_token)(token.trim())
        })
}

fn route(api: &Api, path: &str, call: &Call) -> Result<Answer, Status> {
    let path = path.trim_end_matches('/');
    let custom = std::sync::Arc::clone(&api.cluster.lock().custom);
    if custom::has(&custom, path) {
        let path: Vec<&str> = path.split('/').skip(2).collect();
        let permits = |verb: &str, plural: &str| api.cluster.lock().permits(verb, plural, "");
        return custom::answer(&custom, call, &path, permits);
    }
    let accept = call.header(header::ACCEPT);
    let aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
    if call.method == Method::GET
        && let Some(document) = discovery::document(path, aggregated)
    {
        if path == "/openapi/v2" && openapi::is_binary(accept) {
            return Ok(Answer::bytes(openapi::PROTOBUF, openapi::binary()));
        }
        let mut document = document;
        if path == "/apis" {
            custom::extend(&custom, &mut document);
        }
        let mut answer = Answer::ok(document);
        if aggregated && matches!(path, "/api" | "/apis") {
            answer.content_type = discovery::AGGREGATED;
        }
        return Ok(answer);
    }
    if discovery::document(path, false).is_some() {
        return Err(Status::method_not_allowed());
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        [
            "apis",
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews",
        ] => match call.method {
            Method::POST => identity::review(api, call),
            _ => Err(Status::method_not_allowed()),
        },
        ["api", "v1", rest @ ..] => group(api, call, "", rest),
        ["apis", name, version, rest @ ..] if !name.is_empty() && *version == version_of(name) => {
            group(api, call, name, rest)
        }
        _ => Err(Status::no_such_path()),
    }
}

/// What is below the path of an API group.
fn group(api: &Api, call: &Call, group: &str, path: &[&str]) -> Result<Answer, Status> {
    match path {
        ["namespaces", namespace, "serviceaccounts", name, "token"] if group.is_empty() => {
            match call.method {
                Method::POST => identity::token_request(api, call, namespace, name),
                _ => Err(Status::method_not_allowed()),
            }
        }
        ["namespaces", namespace, plural, rest @ ..] => {
            let kind = Kind::from_plural(group, plural).filter(|kind| kind.namespaced());
            let kind = kind.ok_or_else(Status::no_such_path)?;
            resource(api, call, kind, Some(namespace), rest)
        }
        [plural, rest @ ..] => {
            let kind = Kind::from_plural(group, plural).ok_or_else(Status::no_such_path)?;
            // Across all namespaces there are only lists.
            if kind.namespaced() && !rest.is_empty() {
                return Err(Status::no_such_path());
            }
            resource(api, call, kind, None, rest)
        }
        [] => Err(Status::no_such_path()),
    }
}

fn resource(
    api: &Api,
    call: &Call,
    kind: Kind,
    namespace: Option<&str>,
    rest: &[&str],
) -> Result<Answer, Status> {
    let watches = call.method == Method::GET && rest.is_empty() && call.flag("watch");
    let deletes = call.method == Method::DELETE;
    // Of a watch each event has one object.
    let gets = matches!(call.method, Method::GET | Method::HEAD);
    let is_list = rest.is_empty() && (gets && !watches || deletes);
    let include = Include::of(call.parameter("includeObject"))?;
    let form = Representation::of(call.header(header::ACCEPT), kind, is_list, include)?;
    let verb = match (call.method.as_str(), rest) {
        ("GET", []) if watches => "watch",
        ("GET", []) => "list",
        ("DELETE", []) => "deletecollection",
        ("GET", _) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "delete",
    };
    let place = namespace.unwrap_or_default();
    if !api.cluster.lock().permits(verb, kind.plural(), place) {
        let name = rest.first().copied().unwrap_or_default();
        let why = format!("User cannot {verb} resource {:?}", kind.plural());
        return Err(Status::forbidden(kind, name, &why));
    }
    match (rest, call.method.as_str()) {
        ([], "GET") => {
            let query = list_query(call, namespace)?;
            if watches {
                let version = call.parameter("resourceVersion");
                let store = api.cluster.lock();
                let watch = Watch::begin(&store, kind, &query, version, form)?;
                let timeout = call.parameter("timeoutSeconds").parse().ok();
                return Ok(Answer::watch(watch, timeout));
            }
            let page = api.cluster.lock().list(kind, &query)?;
            Ok(Answer::ok(form.page(kind, &page)))
        }
        ([], "POST") if kind.namespaced() == namespace.is_some() => {
            let body = call.object(kind)?;
            let namespace = namespace.unwrap_or_default();
            let object = change(api, call.is_dry_run()?, |store| {
                let object = store.create(kind, namespace, body.value, &call.manager())?;
                if kind == Kind::Pod {
                    store.schedule();
                }
                Ok(store.shown(kind, &object))
            })?;
            Ok(Answer::created(form.object(kind, &object)).warning(body.warnings))
        }
        // In a namespace, as of kinds that are in one; namespaces themselves go one by one.
        ([], "DELETE") if kind.namespaced() == namespace.is_some() && kind != Kind::Namespace => {
            let query = list_query(call, namespace)?;
            let (preconditions, dry_run) = delete_options(call)?;
            let page = change(api, dry_run, |store| {
                let page = store.list(kind, &query)?;
                for object in &page.items {
                    let name = manifest::name_of(object);
                    let key = Key::new(kind, namespace.unwrap_or_default(), &name);
                    store.delete(&key, &preconditions)?;
                }
                Ok(page)
            })?;
            Ok(Answer::ok(form.page(kind, &page)))
        }
        ([name], verb) => {
            let key = Key::new(kind, namespace.unwrap_or_default(), name);
            item(api, call, form, &key, verb)
        }
        ([name, subresource], _) if namespace.is_some() => {
            let key = Key::new(kind, namespace.unwrap_or_default(), name);
            subresources::answer(api, call, &key, subresource)
        }
        ([], _) => Err(Status::method_not_allowed()),
        _ => Err(Status::no_such_path()),
    }
}

fn list_query(call: &Call, namespace: Option<&str>) -> Result<ListQuery, Status> {
    let limit = call.parameter("limit");
    let number: i64 = match limit {
        "" => 0,
        limit => limit.parse().map_err(|_| {
            Status::bad_request(format!(
                "strconv.ParseInt: parsing {limit:?}: invalid syntax"
            ))
        })?,
    };
    let (token, version) = (
        call.parameter("continue"),
        call.parameter("resourceVersion"),
    );
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
        )));
    }
    if !token.is_empty() && !matches!(version, "" | "0") {
        let message = "specifying resource version is not allowed when using continue";
        return Err(Status::bad_request(message));
    }
    Ok(ListQuery {
        namespace: namespace.map(str::to_owned),
        label_selector: call.parameter("labelSelector").to_owned(),
        field_selector: call.parameter("fieldSelector").to_owned(),
        // A negative one is none.
        limit: usize::try_from(number).unwrap_or(0),
        continue_token: token.to_owned(),
    })
}

fn item(
    api: &Api,
    call: &Call,
    form: Representation,
    key: &Key,
    verb: &str,
) -> Result<Answer, Status> {
    let kind = key.kind;
    let manager = call.manager();
    match verb {
        "GET" => {
            let store = api.cluster.lock();
            let object = store.shown(kind, &store.get(key)?);
            drop(store);
            Ok(Answer::ok(form.object(kind, &object)))
        }
        "PUT" => {
            let body = call.object(kind)?;
            let object = change(api, call.is_dry_run()?, |store| {
                let object = store.update(key, body.value, &manager)?;
                Ok(store.shown(kind, &object))
            })?;
            Ok(Answer::ok(form.object(kind, &object)).warning(body.warnings))
        }
        "PATCH" => {
            let patch_kind = match call.content_type() {
                APPLY => return apply(api, call, form, key),
                "application/merge-patch+json" => PatchKind::Merge,
                "application/strategic-merge-patch+json" => PatchKind::StrategicMerge,
                "application/json-patch+json" => PatchKind::Json,
                _ => return Err(Status::unsupported_patch()),
            };
            let patch = match patch_kind {
                PatchKind::Json => super::validation::Body {
                    value: decode(&call.body)?,
                    warnings: Vec::new(),
                },
                _ => call.patch(kind)?,
            };
            let object = change(api, call.is_dry_run()?, |store| {
                let object = store.patch(key, &patch.value, patch_kind, &manager)?;
                Ok(store.shown(kind, &object))
            })?;
            Ok(Answer::ok(form.object(kind, &object)).warning(patch.warnings))
        }
        "DELETE" => {
            let (mut preconditions, dry_run) = delete_options(call)?;
            let mut warnings = Vec::new();
            if kind == Kind::Job && preconditions.propagation.is_none() {
                // batch/v1 keeps the first Jobs' default.
                preconditions.propagation = Some("Orphan".to_owned());
                warnings.push("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning".to_owned());
            }
            let object = change(api, dry_run, |store| store.delete(key, &preconditions))?;
            let waits = !object["metadata"]["deletionTimestamp"].is_null();
            Ok(Answer::ok(match kind {
                kind if waits && kind.is_kept_as_written() => form.object(kind, &object),
                kind if kind.is_kept_as_written()
                    || matches!(kind, Kind::Node | Kind::PodDisruptionBudget) =>
                {
                    let mut details = status::details(kind, &key.name);
                    details["uid"] = object["metadata"]["uid"].clone();
                    json!({
                        "kind": "Status",
                        "apiVersion": "v1",
                        "metadata": {},
                        "status": "Success",
                        "details": details,
                    })
                }
                _ => form.object(kind, &deleted(kind, &object)),
            })
            .warning(warnings))
        }
        _ => Err(Status::method_not_allowed()),
    }
}

/// The object as the answer of a delete has it. A real namespace ends when all in it has; here that
/// is at once.
fn deleted(kind: Kind, object: &Arc<Value>) -> Arc<Value> {
    let mut object = Arc::clone(object);
    if kind == Kind::Namespace {
        let namespace = Arc::make_mut(&mut object);
        namespace["metadata"]["deletionTimestamp"] = json!(manifest::now());
        namespace["status"]["phase"] = json!("Terminating");
    }
    object
}

/// The preconditions of a delete, and whether it is a dry run. A body stands for all parameters of the
/// query; one that is no `DeleteOptions` is an error of the server's own.
fn delete_options(call: &Call) -> Result<(Preconditions, bool), Status> {
    let parameter = |name: &str| Some(call.parameter(name).to_owned()).filter(|p| !p.is_empty());
    if call.body.is_empty() {
        let preconditions = Preconditions {
            propagation: parameter("propagationPolicy"),
            grace_period_seconds: parameter("gracePeriodSeconds").and_then(|s| s.parse().ok()),
            ..Preconditions::default()
        };
        return Ok((preconditions, call.is_dry_run()?));
    }
    if call.content_type() == PROTOBUF {
        let options = protobuf::delete_options(&call.body).ok_or_else(Status::unsupported_body)?;
        let dry_run = options.dry_run || call.is_dry_run()?;
        let preconditions = Preconditions {
            uid: options.uid,
            resource_version: options.resource_version,
            propagation: options
                .propagation
                .or_else(|| parameter("propagationPolicy")),
            grace_period_seconds: options.grace_period_seconds,
        };
        return Ok((preconditions, dry_run));
    }
    let options: Value = serde_json::from_slice(&call.body).map_err(|error| {
        let message = format!("couldn't get version/kind; json parse error: {error}");
        Status::new(500, "", message)
    })?;
    if let Some(kind) = options["kind"].as_str().filter(|k| *k != "DeleteOptions") {
        let message = format!("no kind {kind:?} is registered for version \"v1\" in scheme");
        return Err(Status::new(500, "", message));
    }
    let preconditions = Preconditions {
        uid: manifest::text(&options, "/preconditions/uid"),
        resource_version: manifest::text(&options, "/preconditions/resourceVersion"),
        propagation: manifest::text(&options, "/propagationPolicy"),
        grace_period_seconds: options["gracePeriodSeconds"].as_i64(),
    };
    Ok((preconditions, options["dryRun"] == json!(["All"])))
}

/// Server-side apply.
fn apply(api: &Api, call: &Call, form: Representation, key: &Key) -> Result<Answer, Status> {
    if call.parameter("fieldManager").is_empty() {
        let why = "Required value: is required for apply patch";
        let (field, reason) = ("fieldManager", "FieldValueRequired");
        return Err(Status::options("PatchOptions", field, reason, why));
    }
    let body = call.applied(key.kind)?;
    if body.value.pointer("/metadata/managedFields").is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let applied = body.value;
    let manager = call.manager();
    let force = call.flag("force");
    let (object, created) = change(api, call.is_dry_run()?, |store| {
        let (object, created) = store.apply(key, &applied, &manager, force)?;
        Ok((store.shown(key.kind, &object), created))
    })?;
    let object = form.object(key.kind, &object);
    let answer = if created {
        Answer::created(object)
    } else {
        Answer::ok(object)
    };
    Ok(answer.warning(body.warnings))
}
