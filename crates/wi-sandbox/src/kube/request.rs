//! A request, taken apart: its query, and its body as an object.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, header};
use serde_json::Value;

use super::decode::{self, Decoded};
use super::fields::Manager;
use super::kind::Kind;
use super::protobuf;
use super::status::Status;
use super::validation::{self, Body, Validation};

pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub const APPLY: &str = "application/apply-patch+yaml";

pub struct Call {
    pub method: Method,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Call {
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    /// `fieldManager`, or the first word of the user agent.
    pub fn manager(&self) -> Manager {
        let named = self.parameter("fieldManager");
        if !named.is_empty() {
            return Manager(named.to_owned());
        }
        let agent = self.header(header::USER_AGENT);
        let word = agent.split(['/', ' ']).next().unwrap_or_default();
        Manager(if word.is_empty() { "unknown" } else { word }.to_owned())
    }

    /// The media type of the body, without parameters.
    pub fn content_type(&self) -> &str {
        let whole = self.header(header::CONTENT_TYPE);
        whole.split(';').next().unwrap_or_default().trim()
    }

    /// What the options of a write are called in messages.
    fn options(&self) -> &'static str {
        match self.method.as_str() {
            "POST" => "CreateOptions",
            "PUT" => "UpdateOptions",
            "PATCH" => "PatchOptions",
            _ => "DeleteOptions",
        }
    }

    /// `dryRun`.
    pub fn is_dry_run(&self) -> Result<bool, Status> {
        match self.parameter("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => {
                let why = format!("Unsupported value: [{other:?}]: supported values: \"All\"");
                let reason = "FieldValueNotSupported";
                Err(Status::options(self.options(), "dryRun", reason, &why))
            }
        }
    }

    fn validation(&self) -> Result<Validation, Status> {
        match self.parameter("fieldValidation") {
            "" | "Warn" => Ok(Validation::Warn),
            "Ignore" => Ok(Validation::Ignore),
            "Strict" => Ok(Validation::Strict),
            other => {
                let why = format!(
                    "Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
                );
                let reason = "FieldValueNotSupported";
                Err(Status::options(
                    self.options(),
                    "fieldValidation",
                    reason,
                    &why,
                ))
            }
        }
    }

    /// The body of a create or an update, as an object of `kind`.
    pub fn object(&self, kind: Kind) -> Result<Body, Status> {
        let validation = self.validation()?;
        let decoded = match self.content_type() {
            "" | "application/json" => json(&self.body, kind)?,
            "application/yaml" => Decoded {
                value: yaml(&self.body)?,
                ..Decoded::default()
            },
            PROTOBUF => Decoded {
                value: protobuf::object(kind, &self.body).ok_or_else(Status::unsupported_body)?,
                ..Decoded::default()
            },
            _ => return Err(Status::unsupported_body()),
        };
        let told = told_twice(decoded.twice);
        validation::fields(kind, decoded.value, told, validation)
    }

    /// The body of a merge patch of either kind.
    pub fn patch(&self, kind: Kind) -> Result<Body, Status> {
        let decoded = json(&self.body, kind)?;
        validation::patch(kind, decoded.value, self.validation()?)
    }

    /// The body of an apply: YAML, of which JSON is a part.
    pub fn applied(&self, kind: Kind) -> Result<Body, Status> {
        let decoded = match decode::json(&self.body) {
            Ok(decoded) => decoded,
            Err(_) => Decoded {
                value: yaml(&self.body)?,
                ..Decoded::default()
            },
        };
        let lines = decoded.twice.iter().map(|path| {
            let key = path.rsplit('.').next().unwrap_or(path);
            format!("line 1: key {key:?} already set in map")
        });
        let told: Vec<String> = lines.collect();
        let validation = self.validation()?;
        if let (Validation::Strict, [first, ..]) = (validation, told.as_slice()) {
            return Err(Status::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {first}"
            )));
        }
        validation::applied(kind, &decoded.value)?;
        Ok(Body {
            value: decoded.value,
            warnings: validation.warnings(told),
        })
    }
}

fn told_twice(twice: Vec<String>) -> Vec<String> {
    let told = twice.into_iter();
    told.map(|path| format!("duplicate field {path:?}"))
        .collect()
}

fn json(body: &[u8], kind: Kind) -> Result<Decoded, Status> {
    decode::json(body).map_err(|error| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
            kind.name()
        ))
    })
}

fn yaml(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str(text)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
}

/// The parameters of a query string, percent-decoded; the last of a name counts.
pub fn query_of(query: &str) -> BTreeMap<String, String> {
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
