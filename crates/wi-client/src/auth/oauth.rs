//! Refresh tokens: of users (`authorized_user`) and of workforce pools
//! (`external_account_authorized_user`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Deserialize;

use super::token_endpoint::{Body, TokenRequest, safe_url};
use super::{AuthError, Token};

/// What a token endpoint answers.
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    access_token: String,
    expires_in: Option<u64>,
}

impl TokenResponse {
    pub fn token(self) -> Token {
        Token {
            token: self.access_token,
            // Endpoints that do not say give an hour.
            lasts: Some(Duration::from_secs(self.expires_in.unwrap_or(3600))),
        }
    }
}

/// `authorized_user`.
#[derive(Deserialize)]
pub(super) struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    #[serde(default)]
    token_uri: Option<String>,
}

impl User {
    pub async fn fetch(&self) -> Result<Token, AuthError> {
        let own = "https://oauth2.googleapis.com/token";
        let url = safe_url(self.token_uri.as_deref().unwrap_or(own), "token_uri")?;
        let form = Body::Form(vec![
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", self.client_id.clone()),
            ("client_secret", self.client_secret.clone()),
            ("refresh_token", self.refresh_token.clone()),
        ]);
        let mut ask = TokenRequest::post(&url, form);
        ask.secrets = vec![&self.client_secret, &self.refresh_token];
        let answer = ask.json::<TokenResponse>().await.map_err(|e| {
            e.hint(
                &["invalid_grant", "invalid_rapt"],
                "Log in again: gcloud auth application-default login",
            )
        })?;
        Ok(answer.token())
    }
}

/// `external_account_authorized_user`.
#[derive(Deserialize)]
pub(super) struct Workforce {
    token_url: String,
    refresh_token: String,
    client_id: String,
    client_secret: String,
}

impl Workforce {
    pub async fn fetch(&self) -> Result<Token, AuthError> {
        let url = safe_url(&self.token_url, "token_url")?;
        let form = Body::Form(vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", self.refresh_token.clone()),
        ]);
        let mut ask = TokenRequest::post(&url, form);
        ask.headers
            .insert(AUTHORIZATION, basic(&self.client_id, &self.client_secret)?);
        ask.secrets = vec![&self.client_secret, &self.refresh_token];
        let answer = ask.json::<TokenResponse>().await.map_err(|e| {
            e.hint(
                &["invalid_grant"],
                "Log in again: gcloud auth application-default login --login-config=FILE",
            )
        })?;
        Ok(answer.token())
    }
}

/// HTTP basic authentication.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, AuthError> {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|_| {
        AuthError::Unusable("the client's id or secret has characters that none has")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
