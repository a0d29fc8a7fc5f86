//! Answers: a status, JSON, warnings, gzip.

use std::io::Write;

use axum::body::Body;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{StatusCode, header};
use serde_json::Value;

/// Bodies from this size on are compressed when the client accepts gzip.
const GZIP_FROM: usize = 1024;

/// A status code and a JSON body, with the content type where it is not plain JSON.
pub struct Answer {
    pub code: StatusCode,
    pub body: Value,
    pub content_type: &'static str,
    /// `Warning` headers, which kubectl prints.
    pub warnings: Vec<String>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self {
            code: StatusCode::OK,
            body,
            content_type: "application/json",
            warnings: Vec::new(),
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

/// The answer over the wire.
pub fn respond(answer: &Answer, gzip: bool) -> Response {
    let body = answer.body.to_string().into_bytes();
    let compressed = (gzip && body.len() >= GZIP_FROM)
        .then(|| compress(&body))
        .flatten();
    let mut response = Response::builder()
        .status(answer.code)
        .header(header::CONTENT_TYPE, answer.content_type)
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
