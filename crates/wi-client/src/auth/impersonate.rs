//! Tokens of another service account, by `generateAccessToken`.

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use wi_core::words::safe;

use super::error::TokenError;
use super::token_endpoint::{Body, TokenRequest, safe_url};
use super::{AuthError, Credentials, Identity, SCOPES, Token, TokenSource, adc};

/// The longest that needs no organization policy.
const LIFETIME: Duration = Duration::from_secs(3600);

/// An account, and who may create tokens of it.
pub(super) struct Impersonated {
    source: SourceCredentials,
    url: String,
    delegates: Vec<String>,
    lifetime: Duration,
    account: String,
}

enum SourceCredentials {
    Tokens(Box<TokenSource>),
    /// With the project that its calls are counted on.
    Credentials {
        from: Credentials,
        quota: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    access_token: String,
}

/// `impersonated_service_account`, as gcloud writes it.
#[derive(Deserialize)]
pub(super) struct File {
    source_credentials: Value,
    service_account_impersonation_url: String,
    #[serde(default)]
    delegates: Vec<String>,
}

impl Impersonated {
    /// As `--impersonate-service-account` says.
    pub fn chain(source: TokenSource, chain: &[String], iam_credentials: &str) -> Self {
        let (account, delegates) = match chain.split_last() {
            Some((account, delegates)) => (account.clone(), delegates),
            None => (String::new(), &[][..]),
        };
        Self {
            source: SourceCredentials::Tokens(Box::new(source)),
            url: format!(
                "{iam_credentials}v1/projects/-/serviceAccounts/{account}:generateAccessToken"
            ),
            delegates: delegates
                .iter()
                .map(|email| format!("projects/-/serviceAccounts/{email}"))
                .collect(),
            lifetime: LIFETIME,
            account,
        }
    }

    /// As a file of credentials says.
    pub fn of_file(file: File) -> Result<Self, AuthError> {
        let quota = file.source_credentials["quota_project_id"].as_str();
        let quota = quota.map(str::to_owned);
        let source = adc::credentials(file.source_credentials, "source_credentials")?;
        Self::at(
            source,
            quota,
            &file.service_account_impersonation_url,
            file.delegates,
            None,
        )
    }

    pub fn at(
        from: Credentials,
        quota: Option<String>,
        url: &str,
        delegates: Vec<String>,
        seconds: Option<u64>,
    ) -> Result<Self, AuthError> {
        let account = url.rsplit('/').next().unwrap_or_default();
        Ok(Self {
            source: SourceCredentials::Credentials { from, quota },
            url: safe_url(url, "service_account_impersonation_url")?,
            delegates,
            lifetime: seconds.map_or(LIFETIME, Duration::from_secs),
            account: safe(account.split(':').next().unwrap_or_default()),
        })
    }

    /// Whose tokens they are.
    pub fn target(&self) -> &str {
        &self.account
    }

    pub async fn source_identity(&self) -> Result<Identity, AuthError> {
        match &self.source {
            SourceCredentials::Tokens(tokens) => tokens.identity().await,
            SourceCredentials::Credentials { from, .. } => Ok(Identity {
                kind: from.kind().to_owned(),
                place: String::new(),
                quota_project: None,
                is_key: from.is_key(),
                account: from.account(),
            }),
        }
    }

    pub fn source_is_key(&self) -> bool {
        matches!(&self.source, SourceCredentials::Credentials { from, .. } if from.is_key())
    }

    pub async fn fetch(&self) -> Result<Token, AuthError> {
        let answer = match &self.source {
            SourceCredentials::Tokens(tokens) => {
                let login = tokens.login(None).await?;
                match self.ask(login.headers.clone()).await {
                    // It may have ended while this machine slept, which its clock does not count.
                    Err(e) if e.status == 401 => {
                        self.ask(tokens.login(Some(&login)).await?.headers).await
                    }
                    answer => answer,
                }
            }
            SourceCredentials::Credentials { from, quota } => {
                let token = from.fetch().await?.token;
                self.ask(super::headers(&token, quota.as_deref())?).await
            }
        };
        let answer = answer.map_err(|e| {
            let grant = format!(
                "Let the caller create its tokens: gcloud iam service-accounts add-iam-policy-binding {} --member=user:YOU --role=roles/iam.serviceAccountTokenCreator",
                self.account
            );
            e.hint(&["PERMISSION_DENIED"], &grant)
        })?;
        Ok(Token {
            token: answer.access_token,
            // By what was asked for, not by `expireTime`: this machine's clock may be wrong.
            lasts: Some(self.lifetime),
        })
    }

    async fn ask(&self, headers: HeaderMap) -> Result<Answer, TokenError> {
        let body = json!({
            "scope": SCOPES,
            "delegates": self.delegates,
            "lifetime": format!("{}s", self.lifetime.as_secs()),
        });
        let mut ask = TokenRequest::post(&self.url, Body::Json(body));
        ask.headers = headers;
        ask.json().await
    }
}
