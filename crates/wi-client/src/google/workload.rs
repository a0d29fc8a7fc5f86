//! Tokens of workloads' own identities, as their pods get them: to find out what those may do.
//!
//! A Kubernetes service account's token ([`crate::kubernetes::Kube::create_token`]) is exchanged for an access token of the
//! same identity, and that for one of the Google service account that it may be. It is what GKE's metadata server does for
//! a pod.

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use wi_core::api::Api;
use wi_core::names::Email;
use zeroize::Zeroizing;

use crate::auth::TokenSource;
use crate::http::{ApiError, Http, Request, Secrets};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long a token of an account lasts: as long as the calls with it take.
const LIFETIME: &str = "300s";

/// A token of a workload's. It is in memory alone: it has no `Debug`, nothing prints it, and it is zeroed in the end.
/// What TLS and its buffers keep of it on the way is out of reach.
#[allow(
    missing_debug_implementations,
    reason = "a token that can be formatted is one that is printed some day"
)]
pub struct Token(Zeroizing<String>);

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|token| Self(Zeroizing::new(token)))
    }
}

impl Http {
    /// The same client as whoever this token is of.
    pub fn as_workload(&self, token: &Token) -> Self {
        self.clone()
            .with_token(TokenSource::workload(token.0.to_string()))
    }
}

/// `sts.googleapis.com/v1/token`: an access token of the same identity. `audience` is
/// `identitynamespace:POOL:https://container.googleapis.com/v1/projects/P/locations/L/clusters/C`, as Google's own
/// clients on GKE send it; the token is all the credentials that it takes.
///
/// # Errors
/// Those of OAuth: `invalid_target` for a pool or cluster that it does not know, `invalid_grant` for a token that it does
/// not take.
pub async fn exchange(http: &Http, token: &Token, audience: &str) -> Result<Token, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Token,
    }
    let kind = "urn:ietf:params:oauth:token-type";
    let body = json!({
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subjectTokenType": format!("{kind}:jwt"),
        "requestedTokenType": format!("{kind}:access_token"),
        "subjectToken": *token.0,
        "audience": audience,
        "scope": SCOPE,
    });
    let mut secrets = Secrets::default();
    secrets.add(&token.0);
    let url = http.url(Api::Sts, "v1/token");
    let mut request = Request::new(Method::POST, url).body(body);
    request.secrets = Some(Arc::new(secrets));
    let nobody = http.clone().with_token(TokenSource::none());
    Ok(nobody.secret::<Answer>(request).await?.access_token)
}

/// `generateAccessToken`: a token of an account, asked for by `http`, which is [`Http::as_workload`].
///
/// # Errors
/// 403 without the right to be it, 404 if it is not there.
pub async fn token_of(http: &Http, email: &Email) -> Result<Token, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        access_token: Token,
    }
    let path = format!("v1/projects/-/serviceAccounts/{email}:generateAccessToken");
    let body = json!({"scope": [SCOPE], "lifetime": LIFETIME});
    let request = Request::new(Method::POST, http.url(Api::IamCredentials, &path)).body(body);
    Ok(http.secret::<Answer>(request).await?.access_token)
}
