//! One call.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::{Retry, Secrets};

/// One call. Not `Debug`: a form may hold a token.
#[derive(Clone)]
pub(crate) struct Request {
    pub method: Method,
    pub url: String,
    pub body: Option<Value>,
    /// A form, in place of a body; never logged.
    pub form: Option<String>,
    pub content_type: &'static str,
    pub accept: &'static str,
    pub retry: Retry,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// How long to go on trying to connect; `None`: as long as there are tries.
    pub connect_within: Option<Duration>,
    /// What of the body nobody is to see, in place of what is in the headers.
    pub secrets: Option<Arc<Secrets>>,
}

impl Request {
    pub fn new(method: Method, url: String) -> Self {
        Self {
            method,
            url,
            body: None,
            form: None,
            content_type: "application/json",
            accept: "application/json",
            retry: Retry::Always,
            if_match: None,
            connect_within: None,
            secrets: None,
        }
    }

    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}
