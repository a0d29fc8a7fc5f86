//! Requests to answers: authentication, routing, verbs, gzip.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

use super::super::errors::ApiError;
use super::super::faults::Verdict;
use super::fields::Manager;
use super::form::Form;
use super::kind::Kind;
use super::list::ListQuery;
use super::manifest;
use super::patch::PatchKind;
use super::status::{self, Status};
use super::store::{Key, Preconditions, Store};
use super::{KubeCluster, Served, check, discovery, protobuf, serve};

/// The largest body that is read, as by the API server.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// Bodies from this size on are compressed when the client accepts gzip.
const GZIP_FROM: usize = 1024;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const APPLY: &str = "application/apply-patch+yaml";

/// The API of one cluster. Clones share it.
#[derive(Clone)]
pub struct Api {
    pub cluster: KubeCluster,
    pub accept_token: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    pub on_change: Arc<dyn Fn() + Send + Sync>,
    pub judge: Judge,
}

/// What the faults make of a request, `METHOD /path?query`.
pub type Judge = Arc<dyn Fn(&str) -> Verdict + Send + Sync>;

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Serves it over TLS on a free port of 127.0.0.1, with a CA of its own.
    ///
    /// # Errors
    /// When no certificate can be made or no port be had.
    pub async fn serve(self) -> std::io::Result<Served> {
        serve::serve(Router::new().fallback(handle).with_state(self)).await
    }

    /// Answers one request, which no fault is meant for.
    pub async fn answer(&self, request: Request) -> Response {
        ordinary(self, request).await
    }
}

/// A request, taken apart.
struct Call {
    method: Method,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    /// `fieldManager`, or the first word of the user agent.
    fn manager(&self) -> Manager {
        let named = self.parameter("fieldManager");
        if !named.is_empty() {
            return Manager(named.to_owned());
        }
        let agent = self.header(header::USER_AGENT);
        let word = agent.split(['/', ' ']).next().unwrap_or_default();
        Manager(if word.is_empty() { "unknown" } else { word }.to_owned())
    }

    /// The media type of the body, without parameters.
    fn content_type(&self) -> &str {
        let whole = self.header(header::CONTENT_TYPE);
        whole.split(';').next().unwrap_or_default().trim()
    }

    /// The body as an object of `kind`, in JSON or YAML.
    fn object(&self, kind: Kind) -> Result<Value, Status> {
        let mut object = match self.content_type() {
            "application/yaml" | APPLY => yaml(&self.body)?,
            PROTOBUF => protobuf::object(kind, &self.body).ok_or_else(|| unsupported(PROTOBUF))?,
            _ => decode(&self.body)?,
        };
        check::prune(
            kind,
            &mut object,
            self.parameter("fieldValidation") == "Strict",
            self.content_type() == APPLY,
        )?;
        Ok(object)
    }
}

/// A status code and a JSON body, with the content type where it is not plain JSON.
struct Answer {
    code: StatusCode,
    body: Value,
    content_type: &'static str,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self {
            code: StatusCode::OK,
            body,
            content_type: "application/json",
        }
    }

    fn created(body: Value) -> Self {
        Self {
            code: StatusCode::CREATED,
            ..Self::ok(body)
        }
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let verdict = (api.judge)(&format!("{} {target}", request.method()));
    let refuse = |error: ApiError| {
        let status = Status::injected(error.code, error.message);
        let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond(
            &Answer {
                code,
                ..Answer::ok(status.body())
            },
            false,
        );
        if let Some(seconds) = error.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    };
    verdict.carry_out(refuse, ordinary(&api, request)).await
}

async fn ordinary(api: &Api, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let query = query_of(parts.uri.query().unwrap_or_default());
    let method = parts.method.clone();
    let gzip = parts
        .headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    if matches!(path.as_str(), "/readyz" | "/livez" | "/healthz") {
        let mut response = Response::new(Body::from("ok"));
        let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        return response;
    }
    let result = match to_bytes(body, BODY_LIMIT).await {
        _ if !authenticated(api, &parts.headers) => Err(Status::unauthorized()),
        Err(_) => Err(Status::new(
            413,
            "RequestEntityTooLarge",
            "the request body is too large",
        )),
        Ok(body) => {
            let call = Call {
                method: parts.method,
                query,
                headers: parts.headers,
                body: body.into(),
            };
            route(api, &path, &call)
        }
    };
    let answer = result.unwrap_or_else(|status| Answer {
        code: StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        ..Answer::ok(status.body())
    });
    tracing::debug!(%method, path, code = answer.code.as_u16(), "sandbox: Kubernetes API");
    respond(&answer, gzip)
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
    let accept = call.header(header::ACCEPT);
    let aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
    if call.method == Method::GET
        && let Some(document) = discovery::document(path, aggregated)
    {
        let mut answer = Answer::ok(document);
        if aggregated && matches!(path, "/api" | "/apis") {
            answer.content_type = discovery::AGGREGATED;
        }
        return Ok(answer);
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        [
            "apis",
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews",
        ] if call.method == Method::POST => {
            // `kubectl auth can-i` writes protobuf, which is not decoded: it is told yes.
            let mut review = match call.content_type() {
                PROTOBUF => {
                    json!({ "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1" })
                }
                _ => decode(&call.body)?,
            };
            if !review.is_object() {
                return Err(Status::bad_request(
                    "the object provided is not a JSON object",
                ));
            }
            let text = |field: &str| {
                let asked = &review["spec"]["resourceAttributes"][field];
                asked.as_str().unwrap_or_default().to_owned()
            };
            let allowed = api.cluster.lock().permits(&text("verb"), &text("resource"));
            review["status"] = json!({ "allowed": allowed });
            Ok(Answer::created(review))
        }
        ["api", "v1", rest @ ..] => group(api, call, "", rest),
        ["apis", name, "v1", rest @ ..] if !name.is_empty() => group(api, call, name, rest),
        _ => Err(Status::no_such_path()),
    }
}

/// What is below the path of an API group.
fn group(api: &Api, call: &Call, group: &str, path: &[&str]) -> Result<Answer, Status> {
    match path {
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
    let accept = call.header(header::ACCEPT);
    let form = Form::of(accept).ok_or_else(|| {
        let message = "only the following media types are accepted: application/json";
        Status::new(406, "NotAcceptable", message)
    })?;
    let verb = match (call.method.as_str(), rest) {
        ("GET", []) => "list",
        ("GET", _) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "delete",
    };
    if !api.cluster.lock().permits(verb, kind.plural()) {
        let name = rest.first().copied().unwrap_or_default();
        let why = format!("User cannot {verb} resource {:?}", kind.plural());
        return Err(Status::forbidden(kind, name, &why));
    }
    match (rest, call.method.as_str()) {
        ([], "GET") => {
            if call.flag("watch") {
                return Err(method_not_allowed("watch is not supported by the sandbox"));
            }
            let limit = call.parameter("limit");
            let query = ListQuery {
                namespace: namespace.map(str::to_owned),
                label_selector: call.parameter("labelSelector").to_owned(),
                field_selector: call.parameter("fieldSelector").to_owned(),
                limit: if limit.is_empty() {
                    Some(0)
                } else {
                    limit.parse().ok()
                }
                .ok_or_else(|| Status::bad_request(format!("invalid limit {limit:?}")))?,
                continue_token: call.parameter("continue").to_owned(),
            };
            let page = api.cluster.lock().list(kind, &query)?;
            Ok(Answer::ok(form.page(kind, &page)))
        }
        ([], "POST") if kind.namespaced() == namespace.is_some() => {
            let body = call.object(kind)?;
            let namespace = namespace.unwrap_or_default();
            let object = change(api, call, |store| {
                let object = store.create(kind, namespace, body, &call.manager())?;
                if kind == Kind::Pod {
                    store.schedule();
                }
                Ok(store.shown(kind, &object))
            })?;
            Ok(Answer::created(form.object(kind, &object)))
        }
        ([name], verb) => {
            let key = Key::new(kind, namespace.unwrap_or_default(), name);
            item(api, call, form, &key, verb)
        }
        ([], _) => Err(method_not_allowed(
            "the server does not allow this method on the requested resource",
        )),
        _ => Err(Status::no_such_path()),
    }
}

fn item(api: &Api, call: &Call, form: Form, key: &Key, verb: &str) -> Result<Answer, Status> {
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
            let object = change(api, call, |store| {
                let object = store.update(key, body, &manager)?;
                Ok(store.shown(kind, &object))
            })?;
            Ok(Answer::ok(form.object(kind, &object)))
        }
        "PATCH" => {
            let patch_kind = match call.content_type() {
                APPLY => return apply(api, call, form, key),
                "application/merge-patch+json" => PatchKind::Merge,
                "application/strategic-merge-patch+json" => PatchKind::StrategicMerge,
                other => return Err(unsupported(other)),
            };
            let patch = call.object(kind)?;
            let object = change(api, call, |store| {
                let object = store.patch(key, &patch, patch_kind, &manager)?;
                Ok(store.shown(kind, &object))
            })?;
            Ok(Answer::ok(form.object(kind, &object)))
        }
        "DELETE" => {
            let options: Value = if call.body.is_empty() {
                json!({})
            } else {
                decode(&call.body)?
            };
            let preconditions = Preconditions {
                uid: manifest::text(&options, "/preconditions/uid"),
                resource_version: manifest::text(&options, "/preconditions/resourceVersion"),
            };
            let object = change(api, call, |store| store.delete(key, &preconditions))?;
            let mut details = status::details(kind, &key.name);
            details["uid"] = object["metadata"]["uid"].clone();
            Ok(Answer::ok(json!({
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            })))
        }
        _ => Err(method_not_allowed(
            "the server does not allow this method on the requested resource",
        )),
    }
}

/// Server-side apply.
fn apply(api: &Api, call: &Call, form: Form, key: &Key) -> Result<Answer, Status> {
    if call.parameter("fieldManager").is_empty() {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(Status::bad_request(message));
    }
    let applied = call.object(key.kind)?;
    if applied["apiVersion"].is_null() || applied["kind"].is_null() {
        return Err(Status::bad_request(
            "the apply configuration must have apiVersion and kind",
        ));
    }
    if applied.pointer("/metadata/managedFields").is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let manager = call.manager();
    let force = call.flag("force");
    let (object, created) = change(api, call, |store| {
        let (object, created) = store.apply(key, &applied, &manager, force)?;
        Ok((store.shown(key.kind, &object), created))
    })?;
    let body = form.object(key.kind, &object);
    Ok(if created {
        Answer::created(body)
    } else {
        Answer::ok(body)
    })
}

/// Runs a write, on a copy under `dryRun=All`, and tells the owner when the state has changed.
fn change<T>(
    api: &Api,
    call: &Call,
    write: impl FnOnce(&mut Store) -> Result<T, Status>,
) -> Result<T, Status> {
    let dry_run = match call.parameter("dryRun") {
        "" => false,
        "All" => true,
        other => {
            return Err(Status::bad_request(format!(
                "dryRun: Unsupported value: {other:?}"
            )));
        }
    };
    let mut store = api.cluster.lock();
    // A write that fails halfway leaves nothing behind either.
    let mut copy = store.clone();
    let result = write(&mut copy)?;
    let changed = !dry_run && copy.revision != store.revision;
    if changed {
        *store = copy;
    }
    drop(store);
    if changed {
        (api.on_change)();
    }
    Ok(result)
}

fn method_not_allowed(message: &str) -> Status {
    Status::new(405, "MethodNotAllowed", message)
}

fn unsupported(media_type: &str) -> Status {
    let message = format!(
        "the body of the request was in an unknown format {media_type:?} - accepted media types include: \
         application/json, application/yaml, application/merge-patch+json, \
         application/strategic-merge-patch+json, application/apply-patch+yaml"
    );
    Status::new(415, "UnsupportedMediaType", message)
}

fn decode(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("error decoding the body: {error}")))
}

fn yaml(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    serde_saphyr::from_str(text)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
}

fn respond(answer: &Answer, gzip: bool) -> Response {
    let body = answer.body.to_string().into_bytes();
    let compressed = (gzip && body.len() >= GZIP_FROM)
        .then(|| compress(&body))
        .flatten();
    let mut response = Response::builder()
        .status(answer.code)
        .header(header::CONTENT_TYPE, answer.content_type)
        .header(header::CACHE_CONTROL, "no-cache, private");
    if compressed.is_some() {
        response = response.header(header::CONTENT_ENCODING, "gzip");
    }
    response
        .body(Body::from(compressed.unwrap_or(body)))
        .expect("a status and constant headers make a response")
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// The parameters of a query string, percent-decoded; the last of a name counts.
fn query_of(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let bytes = text.as_bytes();
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut index = 0;
        while let Some(byte) = bytes.get(index) {
            let escaped = text
                .get(index + 1..index + 3)
                .filter(|_| *byte == b'%')
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            decoded.push(match (escaped, byte) {
                (Some(escaped), _) => escaped,
                (None, b'+') => b' ',
                (None, byte) => *byte,
            });
            index += if escaped.is_some() { 3 } else { 1 };
        }
        String::from_utf8_lossy(&decoded).into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}
