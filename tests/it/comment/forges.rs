//! GitHub and GitLab, as far as comments and labels go: enough of both to answer wrongly.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::HEAD;

/// An answer that is given in place of the ordinary one.
#[derive(Clone)]
pub struct Instead {
    pub method: &'static str,
    pub path: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
    /// Do what was asked, and then answer so: the answer is lost.
    pub after: bool,
}

#[derive(Default)]
pub struct Forge {
    pub login: &'static str,
    pub head: String,
    pub comments: Vec<Value>,
    pub labels: Vec<String>,
    pub known_labels: BTreeMap<String, String>,
    pub minimised: Vec<String>,
    pub page: usize,
    pub longest: usize,
    pub instead: VecDeque<Instead>,
    pub calls: Vec<(String, String, Value)>,
    pub tokens: Vec<String>,
}

type Shared = Arc<Mutex<Forge>>;

pub struct Fake {
    pub forge: Shared,
    pub url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Fake {
    pub fn new(login: &'static str) -> Self {
        let forge = Arc::new(Mutex::new(Forge {
            login,
            head: HEAD.to_owned(),
            page: 2,
            longest: 65_536,
            ..Forge::default()
        }));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let url = runtime.block_on(serve(Arc::clone(&forge)));
        Self {
            forge,
            url,
            _runtime: runtime,
        }
    }

    pub fn edit<T>(&self, edit: impl FnOnce(&mut Forge) -> T) -> T {
        edit(&mut self.forge.lock().expect("the forge"))
    }

    /// A comment that is there already.
    pub fn comment(&self, id: u64, login: &str, body: &str) {
        self.edit(|f| f.comments.push(comment(id, login, body)));
    }

    pub fn bodies(&self) -> Vec<String> {
        self.edit(|f| {
            f.comments
                .iter()
                .map(|c| c["body"].as_str().unwrap_or_default().to_owned())
                .collect()
        })
    }

    pub fn instead(&self, method: &'static str, path: &'static str, status: u16) {
        self.instead_with(method, path, status, Vec::new(), json!({}), false);
    }

    pub fn instead_with(
        &self,
        method: &'static str,
        path: &'static str,
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Value,
        after: bool,
    ) {
        self.edit(|f| {
            f.instead.push_back(Instead {
                method,
                path,
                status,
                headers,
                body,
                after,
            });
        });
    }

    pub fn calls(&self, method: &str) -> Vec<(String, Value)> {
        self.edit(|f| {
            f.calls
                .iter()
                .filter(|(m, ..)| m == method)
                .map(|(_, path, body)| (path.clone(), body.clone()))
                .collect()
        })
    }
}

async fn serve(forge: Shared) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new()
        .fallback(answer)
        .with_state((forge, url.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

pub fn comment(id: u64, login: &str, body: &str) -> Value {
    json!({
        "id": id,
        "node_id": format!("IC_{id}"),
        "html_url": format!("https://github.test/acme/shop/pull/7#issuecomment-{id}"),
        "body": body,
        "user": { "login": login },
        "author": { "username": login },
    })
}

async fn answer(
    State((forge, url)): State<(Shared, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut forge = forge.lock().expect("the forge");
    let path = uri.path().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    forge
        .calls
        .push((method.to_string(), path.clone(), body.clone()));
    forge
        .tokens
        .extend(text("authorization").or(text("private-token")));
    let at = forge
        .instead
        .iter()
        .position(|i| i.method == method.as_str() && path.ends_with(i.path));
    let instead = at.and_then(|at| forge.instead.remove(at));
    if let Some(instead) = instead {
        if instead.after {
            let _ = ordinary(&mut forge, &method, &path, uri.query(), &body, &url);
        }
        let mut response = (
            StatusCode::from_u16(instead.status).expect("a status"),
            instead.body.to_string(),
        )
            .into_response();
        for (name, value) in instead.headers {
            response
                .headers_mut()
                .insert(name, value.parse().expect("a header"));
        }
        return response;
    }
    ordinary(&mut forge, &method, &path, uri.query(), &body, &url)
}

fn ordinary(
    forge: &mut Forge,
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: &Value,
    url: &str,
) -> Response {
    let ok = |value: Value| (StatusCode::OK, value.to_string()).into_response();
    let none = || {
        (
            StatusCode::NOT_FOUND,
            json!({ "message": "Not Found" }).to_string(),
        )
            .into_response()
    };
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let id = segments.last().and_then(|s| s.parse::<u64>().ok());
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["user"]) if forge.login == "github-actions[bot]" => (
            StatusCode::FORBIDDEN,
            json!({ "message": "Resource not accessible by integration" }).to_string(),
        )
            .into_response(),
        ("GET", ["user"]) => ok(json!({ "login": forge.login, "username": forge.login })),
        ("GET", ["repos", "acme", "shop", "pulls", "7"]) => {
            ok(json!({ "number": 7, "head": { "sha": forge.head } }))
        }
        ("GET", ["projects", "42", "merge_requests", "7"]) => ok(json!({
            "iid": 7,
            "sha": forge.head,
            "web_url": "https://gitlab.test/acme/shop/-/merge_requests/7",
            "labels": forge.labels,
        })),
        ("PUT", ["projects", "42", "merge_requests", "7"]) => {
            let names = |key: &str| -> Vec<String> {
                body[key]
                    .as_str()
                    .unwrap_or_default()
                    .split(',')
                    .filter(|n| !n.is_empty())
                    .map(str::to_owned)
                    .collect()
            };
            let removed = names("remove_labels");
            forge.labels.retain(|l| !removed.contains(l));
            forge.labels.extend(names("add_labels"));
            ok(json!({}))
        }
        ("GET", [.., "comments" | "notes"]) => {
            let page = query
                .unwrap_or_default()
                .split('&')
                .find_map(|p| p.strip_prefix("page=")?.parse::<usize>().ok())
                .unwrap_or(1);
            let all = forge.comments.chunks(forge.page).nth(page - 1).unwrap_or(&[]);
            let mut response = ok(json!(all));
            if forge.comments.len() > page * forge.page {
                let next = format!("<{url}{path}?per_page=100&page={}>; rel=\"next\", <{url}{path}?page=9>; rel=\"last\"", page + 1);
                response
                    .headers_mut()
                    .insert("link", next.parse().expect("a header"));
            }
            response
        }
        ("POST" | "PATCH" | "PUT", [.., "comments" | "notes"] | [.., "comments" | "notes", _])
            if body["body"].as_str().is_some_and(|b| b.len() > forge.longest) =>
        {
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({ "message": "Validation Failed", "errors": [{ "field": "body", "code": "too_long" }] }).to_string(),
            )
                .into_response()
        }
        ("POST", [.., "comments" | "notes"]) => {
            let id = 1000 + forge.comments.len() as u64;
            let made = comment(id, forge.login, body["body"].as_str().unwrap_or_default());
            forge.comments.push(made.clone());
            (StatusCode::CREATED, made.to_string()).into_response()
        }
        ("PATCH" | "PUT", [.., "comments" | "notes", _]) => {
            match forge.comments.iter_mut().find(|c| c["id"].as_u64() == id) {
                Some(found) => {
                    found["body"] = body["body"].clone();
                    ok(found.clone())
                }
                None => none(),
            }
        }
        ("POST", ["graphql"]) => {
            let id = body["variables"]["id"].as_str().unwrap_or_default();
            assert!(body["query"].as_str().is_some_and(|q| q.contains("minimizeComment") && q.contains("OUTDATED")));
            forge.minimised.push(id.to_owned());
            ok(json!({ "data": { "minimizeComment": { "minimizedComment": { "isMinimized": true } } } }))
        }
        ("GET", [.., "issues", "7", "labels"]) => ok(json!(
            forge.labels.iter().map(|l| json!({ "name": l })).collect::<Vec<_>>()
        )),
        ("POST", [.., "issues", "7", "labels"]) => {
            let names = body["labels"].as_array().cloned().unwrap_or_default();
            for name in names {
                forge.labels.push(name.as_str().expect("a name").to_owned());
            }
            ok(json!([]))
        }
        ("DELETE", [.., "issues", "7", "labels", name]) => {
            let name = name.replace("%2F", "/");
            forge.labels.retain(|l| *l != name);
            ok(json!([]))
        }
        ("GET", [.., "labels", name]) => {
            let name = name.replace("%2F", "/");
            match forge.known_labels.get(&name) {
                Some(colour) => ok(json!({ "name": name, "color": colour })),
                None => none(),
            }
        }
        ("POST", [.., "labels"]) => {
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            forge.known_labels.insert(text("name"), text("color"));
            (StatusCode::CREATED, body.to_string()).into_response()
        }
        _ => none(),
    }
}
