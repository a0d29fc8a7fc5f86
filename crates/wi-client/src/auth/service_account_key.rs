//! Service account keys, `service_account`: what this tool is there to abolish.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use super::token_endpoint::{Body, TokenRequest, safe_url};
use super::{AuthError, SCOPES, Token, oauth};

/// The longest that Google lets an assertion last.
const HOUR: u64 = 3600;
/// A clock that is a little ahead must not make an assertion from the future.
const AHEAD: u64 = 10;

/// A key file.
#[derive(Deserialize)]
pub(super) struct Key {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    token_uri: Option<String>,
}

impl Key {
    /// Whose key it is.
    pub fn account(&self) -> &str {
        &self.client_email
    }

    /// By a signed assertion (RFC 7523). A self-signed token would do for Google's APIs, but not for
    /// Kubernetes API servers.
    pub async fn fetch(&self) -> Result<Token, AuthError> {
        let own = "https://oauth2.googleapis.com/token";
        let url = self.token_uri.as_deref().unwrap_or(own);
        let url = safe_url(url, "token_uri")?;
        let assertion = self.assertion(&url)?;
        let mut ask = TokenRequest::post(
            &url,
            Body::Form(vec![
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned(),
                ),
                ("assertion", assertion.clone()),
            ]),
        );
        ask.secrets = vec![&assertion];
        let gone = format!(
            "The key of {} may have been deleted or disabled, or this machine's clock is wrong",
            self.client_email
        );
        let answer = ask.json::<oauth::TokenResponse>().await;
        let answer = answer.map_err(|e| e.hint(&["invalid_grant"], &gone))?;
        Ok(answer.token())
    }

    fn assertion(&self, audience: &str) -> Result<String, AuthError> {
        // None of the libraries' own messages: they could quote the key.
        let unreadable = |()| {
            let email = &self.client_email;
            AuthError::Unreadable(format!("the private key of {email} cannot be read"))
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|_| unreadable(()))?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unreadable(()))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        let issued = now.saturating_sub(AHEAD);
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPES.join(" "),
            "aud": audience,
            "iat": issued,
            "exp": issued + HOUR,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .map_err(|_| unreadable(()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
