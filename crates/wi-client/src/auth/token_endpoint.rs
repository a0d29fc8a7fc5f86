//! One request to a token endpoint: no redirect is followed, little is read, and what comes back in
//! an error is cleaned of what was sent.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use wi_core::words::safe;

use super::error::{AuthError, TokenError};
use crate::http::{
    ClientError, Notices, Patience, Redirects, Secrets, Times, Waited, builder, causes,
    is_loopback, pauses, read_body, with_own_authorities,
};

/// Larger answers than any token.
const LARGEST: usize = 1 << 20;
/// The longest that is shown of an answer's own words.
const LONGEST_MESSAGE: usize = 300;
/// How often what is transient is tried again.
const TRIES: usize = 3;
/// How long an endpoint may be silent, and of that to one try.
const PATIENCE: Duration = Duration::from_secs(120);
const ONE_TRY: Duration = Duration::from_secs(30);
/// Fields of forms that are never shown, wherever they turn up.
const SECRET_FIELDS: [&str; 5] = [
    "assertion",
    "client_secret",
    "refresh_token",
    "subject_token",
    "actor_token",
];

/// What is sent.
pub(super) struct TokenRequest<'a> {
    pub method: Method,
    pub url: &'a str,
    pub headers: HeaderMap,
    pub body: Body,
    /// Never shown, wherever they turn up.
    pub secrets: Vec<&'a str>,
    /// Whether this server is on the machine's own network, and asked without a proxy.
    pub near: bool,
}

pub(super) enum Body {
    None,
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

impl<'a> TokenRequest<'a> {
    pub fn get(url: &'a str) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Body::None,
            secrets: Vec::new(),
            near: false,
        }
    }

    pub fn post(url: &'a str, body: Body) -> Self {
        Self {
            method: Method::POST,
            body,
            ..Self::get(url)
        }
    }

    /// The answer's body; what is transient is tried again.
    pub(crate) async fn send(self) -> Result<Vec<u8>, TokenError> {
        // Told by the log: this is before there is anybody else to tell.
        let patience = Patience::new(PATIENCE, Notices::default(), "");
        let mut pauses = pauses(Duration::from_millis(250), TRIES);
        let mut quiet = Duration::ZERO;
        loop {
            let started = Instant::now();
            let (refused, transient) = match self.once(&patience, quiet).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            quiet = match refused.status {
                0 => quiet + started.elapsed(),
                _ => Duration::ZERO,
            };
            match pauses.next().filter(|_| transient && quiet < PATIENCE) {
                Some(pause) => {
                    tracing::debug!(error = %refused.message, "asking for a token again");
                    tokio::time::sleep(pause).await;
                }
                None => return Err(refused),
            }
        }
    }

    /// As [`Self::send`], read as JSON.
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, TokenError> {
        let place = self.place();
        let body = self.send().await?;
        // The parser's own message could quote a token.
        serde_json::from_slice(&body).map_err(|_| TokenError {
            status: 0,
            code: String::new(),
            message: format!("{place} does not answer as documented"),
        })
    }

    /// The URL without its query, which may hold a secret.
    fn place(&self) -> String {
        safe(self.url.split('?').next().unwrap_or_default())
    }

    async fn once(
        &self,
        patience: &Patience,
        quiet: Duration,
    ) -> Result<Vec<u8>, (TokenError, bool)> {
        let place = self.place();
        let failed = |status: u16, what: &str| TokenError {
            status,
            code: String::new(),
            message: format!("{place} {what}"),
        };
        let mut client = builder(Times::within(ONE_TRY), Redirects::Refused);
        if self.near || reqwest::Url::parse(self.url).is_ok_and(|u| is_loopback(&u)) {
            client = client.no_proxy();
        }
        let client = with_own_authorities(client)
            .and_then(|client| {
                let built = client.build();
                built.map_err(|e| ClientError::Library(causes(&e)))
            })
            .map_err(|e| (failed(0, &e.to_string()), false))?;
        let mut call = client
            .request(self.method.clone(), self.url)
            .headers(self.headers.clone());
        call = match &self.body {
            Body::None => call,
            Body::Form(fields) => {
                let pairs: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={}", wi_core::percent::query(value)))
                    .collect();
                call.header(
                    http::header::CONTENT_TYPE,
                    "application/x-www-form-urlencoded",
                )
                .body(pairs.join("&"))
            }
            Body::Json(value) => call
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(value.to_string()),
        };
        let what = format!("{} {place}", self.method);
        let left = PATIENCE.saturating_sub(quiet);
        let sent = patience.wait((&place, &what), quiet, left, call.send());
        let response = match sent.await {
            Waited::Answered(sent) => sent.map_err(|e| {
                let why = self.clean(&causes(&e));
                (failed(0, &format!("was not reached: {why}")), true)
            })?,
            Waited::Silent => return Err((failed(0, "does not answer"), false)),
        };
        let status = response.status();
        let body = read_body(response, LARGEST).await.map_err(|e| {
            let why = self.clean(&causes(&e));
            (failed(0, &format!("broke off: {why}")), true)
        })?;
        let Some(body) = body else {
            return Err((failed(0, "answers with more than a token"), false));
        };
        if status.is_success() {
            return Ok(body);
        }
        if status.is_redirection() {
            let why = "sends us elsewhere, which is not followed: secrets would go with it";
            return Err((failed(status.as_u16(), why), false));
        }
        let transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let words = self.clean(&words(&body));
        let status = status.as_u16();
        let refused = TokenError {
            code: code(&body),
            ..failed(status, &format!("answered {status}: {words}"))
        };
        Err((refused, transient))
    }

    /// A server's words without what was sent to it.
    fn clean(&self, words: &str) -> String {
        let mut secrets = Secrets::in_headers(&self.headers);
        for secret in &self.secrets {
            secrets.add(secret);
        }
        if let Body::Form(fields) = &self.body {
            let is_secret = |name: &str| SECRET_FIELDS.contains(&name);
            for (_, value) in fields.iter().filter(|(name, _)| is_secret(name)) {
                secrets.add(value);
            }
        }
        safe(&secrets.cut(words))
            .chars()
            .take(LONGEST_MESSAGE)
            .collect()
    }
}

/// What kind of refusal it is, by its code.
fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body["error"].as_str().or(body["error"]["status"].as_str());
    code.unwrap_or_default().to_owned()
}

/// What a refusal says: of OAuth, of Google, or nothing. A body of another kind is not shown: it may
/// hold what it should not.
fn words(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return "not in the form of a token endpoint".to_owned();
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match &body["error"] {
        Value::String(code) => match text(&body["error_description"]) {
            description if description.is_empty() => code.clone(),
            description => format!("{code}: {}", description.trim_end_matches('.')),
        },
        error => {
            let (status, message) = (text(&error["status"]), text(&error["message"]));
            if status.is_empty() && message.is_empty() {
                "without saying why".to_owned()
            } else {
                format!("{status}: {}", message.trim_end_matches('.'))
            }
        }
    }
}

/// A URL that a secret may be sent to: https, or this very machine.
pub(super) fn safe_url(url: &str, what: &str) -> Result<String, AuthError> {
    crate::http::checked(url)
        .map(|_| url.to_owned())
        .map_err(|e| AuthError::Unreadable(format!("`{what}`: {}", safe(&e.to_string()))))
}
