//! Answers: a status, JSON or YAML, warnings, gzip.

use std::io::Write;

use axum::body::Body;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::watching::Watch;

/// Bodies from this size on are compressed when the client accepts gzip.
const GZIP_FROM: usize = 1024;

const TEXT: &str = "text/plain";

/// A status code and a JSON body, with the content type where it is not plain JSON.
pub struct Answer {
    pub code: StatusCode,
    pub body: Value,
    /// In place of that: what is no JSON.
    pub bytes: Option<Vec<u8>>,
    pub content_type: &'static str,
    /// `Warning` headers, which kubectl prints.
    pub warnings: Vec<String>,
    /// In place of a body: what changes, from now on.
    pub watch: Option<(Watch, Option<u64>)>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self {
            code: StatusCode::OK,
            body,
            bytes: None,
            content_type: "application/json",
            warnings: Vec::new(),
            watch: None,
        }
    }

    /// Text, such as a log.
    pub fn text(text: String) -> Self {
        Self {
            content_type: TEXT,
            code: if text.is_empty() {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::OK
            },
            ..Self::ok(Value::String(text))
        }
    }

    /// A body that is no JSON.
    pub fn bytes(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            bytes: Some(bytes),
            content_type,
            ..Self::ok(Value::Null)
        }
    }

    /// A watch, and its `timeoutSeconds`.
    pub fn watch(watch: Watch, timeout: Option<u64>) -> Self {
        Self {
            watch: Some((watch, timeout)),
            ..Self::ok(Value::Null)
        }
    }

    pub fn warning(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    pub fn created(body: Value) -> Self {
        Self {
            code: StatusCode::CREATED,
            ..Self::ok(body)
        }
    }
}

/// Text, as it is answered beside the API itself.
pub fn plain(code: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// What a client takes of how answers are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takes {
    pub gzip: bool,
    /// `application/yaml`, before JSON.
    pub yaml: bool,
}

impl Takes {
    pub fn of(headers: &HeaderMap) -> Self {
        let all = |name: header::HeaderName| {
            let values = headers.get_all(name).iter();
            let texts = values.filter_map(|value| value.to_str().ok());
            texts.map(str::to_owned).collect::<Vec<_>>().join(",")
        };
        let accept = all(header::ACCEPT);
        let ranges = accept.split(',').map(|r| r.split(';').next().unwrap_or(r));
        let written = [
            "application/json",
            "application/yaml",
            "application/*",
            "*/*",
        ];
        let first = ranges.map(str::trim).find(|range| written.contains(range));
        Self {
            gzip: all(header::ACCEPT_ENCODING).contains("gzip"),
            yaml: first == Some("application/yaml"),
        }
    }
}

/// The answer over the wire.
pub fn respond(answer: &Answer, takes: Takes) -> Response {
    let json = "application/json";
    let yaml = (takes.yaml && answer.content_type == json)
        .then(|| serde_saphyr::to_string(&answer.body).ok())
        .flatten();
    let content_type = match yaml {
        Some(_) => "application/yaml",
        None => answer.content_type,
    };
    let gzip = takes.gzip;
    let body = yaml.unwrap_or_else(|| match &answer.body {
        Value::String(text) if answer.content_type == TEXT => text.clone(),
        body => body.to_string(),
    });
    let body = answer.bytes.clone().unwrap_or_else(|| body.into_bytes());
    let compressed = (gzip && body.len() >= GZIP_FROM)
        .then(|| compress(&body))
        .flatten();
    let mut response = Response::builder()
        .status(answer.code)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-cache, private");
    for warning in &answer.warnings {
        let value = format!("299 - {warning:?}");
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            response = response.header(header::WARNING, value);
        }
    }
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
