//! A request of a Google API as the services see it.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::errors::ApiError;

/// A request as the services see it.
#[derive(Debug)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, decoded.
    pub path: String,
    /// The JSON body; an empty object when there is none.
    pub body: Value,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    query: Vec<(String, String)>,
}

impl Request {
    /// A query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a repeated query parameter.
    pub fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// 404 for a path or method that is not simulated.
    pub fn no_such_method(&self) -> ApiError {
        ApiError::not_found(format!(
            "The requested URL was not found on this server, or the sandbox does not simulate it: {} {}",
            self.method, self.path
        ))
    }
}

/// Takes a request apart.
///
/// # Errors
/// 400 for a body that is no JSON.
pub fn read(parts: &http::request::Parts, body: &Bytes) -> Result<Request, ApiError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) {
        json!({})
    } else {
        serde_json::from_slice(body)
            .map_err(|e| ApiError::invalid(format!("Invalid JSON payload received. {e}")))?
    };
    let query = parts.uri.query().unwrap_or_default();
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(&key.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        });
    Ok(Request {
        method: parts.method.as_str().to_owned(),
        path: decode(parts.uri.path()),
        body,
        if_match: parts
            .headers
            .get(http::header::IF_MATCH)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        query: pairs.collect(),
    })
}

/// Undoes percent-encoding.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
