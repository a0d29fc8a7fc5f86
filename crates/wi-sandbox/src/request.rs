//! A request of a Google API as the services see it.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::issued::Holder;
use super::wire::{self, Method};

/// A request as the services see it.
#[derive(Debug)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, decoded.
    pub path: String,
    /// The JSON body in its canonical form; an empty object when there is none.
    pub body: Value,
    /// The method that it calls, where the tables have it.
    pub calls: Option<&'static Method>,
    /// The workload whose token it comes with; `None`: the world's caller.
    pub holder: Option<Holder>,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// What the program calls itself.
    pub user_agent: String,
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

    /// `pageSize` and `pageToken` applied to names in their order: the page, and the token of the next.
    ///
    /// # Errors
    /// 400 for a size that is no number.
    pub fn page<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        (usual, most): (usize, usize),
    ) -> Result<(Vec<&'a str>, Option<String>), ApiError> {
        let asked = self.query("pageSize").or_else(|| self.query("maxResults"));
        let size = match asked.map(str::parse::<usize>) {
            None | Some(Ok(0)) => usual,
            Some(Ok(size)) => size.min(most),
            Some(Err(_)) => return Err(ApiError::invalid("Invalid value for pageSize.")),
        };
        let after = self.query("pageToken").unwrap_or_default();
        let after = match URL_SAFE_NO_PAD.decode(after).map(String::from_utf8) {
            Ok(Ok(after)) => after,
            _ => return Err(ApiError::invalid("Invalid page token.")),
        };
        let mut rest = names.filter(|name| after.is_empty() || *name > after.as_str());
        let page: Vec<&str> = rest.by_ref().take(size).collect();
        let next = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => Some(URL_SAFE_NO_PAD.encode(last)),
            _ => None,
        };
        Ok((page, next))
    }

    /// 501 for a path or method that is not simulated.
    pub fn not_simulated(&self) -> ApiError {
        ApiError::new(
            501,
            format!(
                "The sandbox does not simulate {} {}.",
                self.method, self.path
            ),
        )
    }
}

/// Takes a request apart.
///
/// # Errors
/// 400 for a body that is no JSON, or not of the method's message type.
pub fn read(parts: &http::request::Parts, body: &Bytes) -> Result<Request, ApiError> {
    let raw = with_one_version(parts.uri.path());
    let path = attachment_decoded(decode(raw));
    let verb = parts.method.as_str();
    // A slash in a name is one of the name, but where a name is made of several.
    let calls = wire::method(verb, raw).or_else(|| wire::method(verb, &path));
    let body = if parts.method == http::Method::GET || body.iter().all(u8::is_ascii_whitespace) {
        json!({})
    } else if path == "/v1/token" && is_form(parts) {
        // As OAuth has it; clients of Google's post either.
        let form = String::from_utf8_lossy(body);
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (decode(key), json!(decode(&value.replace('+', " ")))))
            .collect()
    } else {
        serde_json::from_slice(body)
            .map_err(|e| ApiError::invalid(format!("Invalid JSON payload received. {e}")))?
    };
    let body = match calls {
        Some(method) => method.read(body)?,
        None => body,
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
        path,
        body,
        calls,
        holder: None,
        if_match: parts
            .headers
            .get(http::header::IF_MATCH)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        user_agent: parts
            .headers
            .get(http::header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        query: pairs.collect(),
    })
}

fn is_form(parts: &http::request::Parts) -> bool {
    let kind = parts.headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// `/v1/v1/projects` is `/v1/projects`: Terraform's provider has the version in its setting of an API, and its client
/// libraries put it in front once more where the endpoint is no `https://`.
fn with_one_version(path: &str) -> &str {
    let mut parts = path.splitn(4, '/').skip(1);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let is_version = matches!(first, "v1" | "v2" | "v3");
    match is_version && second == Some(first) {
        true => &path[first.len() + 1..],
        false => path,
    }
}

/// What a deny policy is attached to is a name of several parts in one, encoded by some clients (gcloud) once more.
fn attachment_decoded(path: String) -> String {
    match path.strip_prefix("/v2/policies/") {
        Some(rest) if rest.contains("%2F") => format!("/v2/policies/{}", decode(rest)),
        _ => path,
    }
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
