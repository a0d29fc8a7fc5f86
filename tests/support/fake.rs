//! A small server that answers as a test says, and remembers what it was asked.

use std::sync::{Arc, Condvar, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode};

use super::HANGS;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub uri: String,
    pub headers: HeaderMap,
    pub body: String,
    /// How many came before.
    pub n: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The fields of a form, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        reqwest::Url::parse(&format!("http://x/?{}", self.body))
            .expect("a form")
            .query_pairs()
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect()
    }

    pub fn field(&self, name: &str) -> String {
        let form = self.form();
        let found = form.into_iter().find(|(k, _)| k == name);
        found.map(|(_, v)| v).unwrap_or_default()
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(status: u16, body: serde_json::Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

pub struct Fake {
    /// With a slash at its end.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    more: Arc<Condvar>,
    _runtime: tokio::runtime::Runtime,
}

impl Fake {
    pub fn new(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let more: Arc<Condvar> = Arc::default();
        let (remembered, answer) = (Arc::clone(&seen), Arc::new(answer));
        let coming = Arc::clone(&more);
        let app = Router::new().fallback(move |request: Request| {
            let (remembered, answer) = (Arc::clone(&remembered), Arc::clone(&answer));
            let more = Arc::clone(&coming);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let one = {
                    let mut all = remembered.lock().expect("lock");
                    let one = Seen {
                        method: parts.method.to_string(),
                        uri: parts.uri.to_string(),
                        headers: parts.headers,
                        body: String::from_utf8_lossy(&body).into_owned(),
                        n: all.len(),
                    };
                    all.push(one.clone());
                    more.notify_all();
                    one
                };
                let answer = answer(&one);
                let mut response = Response::new(Body::from(answer.body));
                *response.status_mut() = StatusCode::from_u16(answer.status).expect("a status");
                for (name, value) in &answer.headers {
                    let name: axum::http::HeaderName = name.parse().expect("a header");
                    response
                        .headers_mut()
                        .insert(name, value.parse().expect("a header"));
                }
                response
            }
        });
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let url = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            let url = format!("http://{}/", listener.local_addr().expect("an address"));
            tokio::spawn(async move { axum::serve(listener, app).await });
            url
        });
        Self {
            url,
            seen,
            more,
            _runtime: runtime,
        }
    }

    /// What it was asked, when that are so many requests at least.
    pub fn wait_for(&self, count: usize) -> Vec<Seen> {
        let seen = self.seen.lock().expect("lock");
        let few = |seen: &mut Vec<Seen>| seen.len() < count;
        let waited = self.more.wait_timeout_while(seen, HANGS, few);
        waited.expect("lock").0.clone()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }
}
