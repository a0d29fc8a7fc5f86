//! Workload identity federation, `external_account`: a token of another issuer (GitHub Actions, GitLab,
//! a Kubernetes cluster) for one of Google's.
//!
//! <https://google.aip.dev/auth/4117>

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use wi_core::words::safe;

use super::impersonate::Impersonated;
use super::subprocess::run;
use super::token_endpoint::{Body, TokenRequest, safe_url};
use super::{AuthError, Credentials, Token, oauth};

const ALLOW_EXECUTABLES: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// A file of credentials.
#[derive(Deserialize)]
pub(super) struct File {
    audience: String,
    subject_token_type: String,
    token_url: String,
    #[serde(default)]
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    workforce_pool_user_project: Option<String>,
    credential_source: SourceFile,
}

#[derive(Default, Deserialize)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct SourceFile {
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    executable: Option<Executable>,
    #[serde(default)]
    environment_id: Option<String>,
    #[serde(default)]
    certificate: Option<Value>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Clone, Deserialize)]
struct Format {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    subject_token_field_name: String,
}

#[derive(Clone, Deserialize)]
struct Executable {
    command: String,
    #[serde(default)]
    timeout_millis: Option<u64>,
    #[serde(default)]
    output_file: Option<PathBuf>,
}

/// Where the other issuer's token is.
enum SubjectTokenSource {
    File(PathBuf, Format),
    Url(String, BTreeMap<String, String>, Format),
    Executable(Executable),
}

/// Federated credentials.
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    client: Option<(String, String)>,
    user_project: Option<String>,
    /// The account that is impersonated afterwards, for the executable to know.
    email: Option<String>,
    source: SubjectTokenSource,
}

/// The credentials of a file: those of an impersonated account, where it names one.
pub(super) fn of_file(file: File) -> Result<Credentials, AuthError> {
    let from = file.credential_source;
    let source = if let Some(path) = from.file {
        SubjectTokenSource::File(path, from.format)
    } else if let Some(executable) = from.executable {
        SubjectTokenSource::Executable(executable)
    } else if from.environment_id.is_some() {
        return Err(AuthError::Unreadable("credentials of AWS are not supported: let `gcloud auth print-access-token` write a token to a file, and name it by --access-token-file".to_owned()));
    } else if let Some(url) = from.url {
        SubjectTokenSource::Url(url, from.headers, from.format)
    } else if from.certificate.is_some() {
        return Err(AuthError::Unreadable(
            "X.509 credentials are not supported: name a token by --access-token-file".to_owned(),
        ));
    } else {
        return Err(AuthError::Unreadable(
            "`credential_source` has none of `file`, `url` and `executable`".to_owned(),
        ));
    };
    let url = file.service_account_impersonation_url;
    let email = url.as_deref().and_then(|url| {
        let name = url.rsplit('/').next()?;
        Some(name.split(':').next()?.to_owned())
    });
    let external = External {
        audience: file.audience,
        subject_token_type: file.subject_token_type,
        token_url: safe_url(&file.token_url, "token_url")?,
        client: file.client_id.zip(file.client_secret),
        user_project: file.workforce_pool_user_project,
        email,
        source,
    };
    let external = Credentials::External(Box::new(external));
    let Some(url) = url else {
        return Ok(external);
    };
    let seconds = file.service_account_impersonation.token_lifetime_seconds;
    let impersonated = Impersonated::at(external, None, &url, Vec::new(), seconds)?;
    Ok(Credentials::Impersonated(Box::new(impersonated)))
}

impl External {
    /// Exchanges the other issuer's token at the Security Token Service.
    pub async fn fetch(&self) -> Result<Token, AuthError> {
        let subject = self.subject_token().await?;
        let mut form = vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange".to_owned(),
            ),
            ("audience", self.audience.clone()),
            // Federated tokens know no other scope.
            ("scope", super::SCOPES[0].to_owned()),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token".to_owned(),
            ),
            ("subject_token", subject.clone()),
            ("subject_token_type", self.subject_token_type.clone()),
        ];
        if let (Some(project), None) = (&self.user_project, &self.client) {
            let options = json!({ "userProject": project });
            form.push(("options", options.to_string()));
        }
        let mut ask = TokenRequest::post(&self.token_url, Body::Form(form));
        if let Some((id, secret)) = &self.client {
            let value = oauth::basic(id, secret)?;
            ask.headers.insert(http::header::AUTHORIZATION, value);
            ask.secrets.push(secret);
        }
        ask.secrets.push(&subject);
        let answer = ask.json::<oauth::TokenResponse>().await.map_err(|e| {
            e.hint(
                &["invalid_grant", "invalid_target"],
                "Compare the provider's issuer, audience and attribute condition with this job's token: gcloud iam workload-identity-pools providers describe",
            )
        })?;
        Ok(answer.token())
    }

    async fn subject_token(&self) -> Result<String, AuthError> {
        match &self.source {
            SubjectTokenSource::File(path, format) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    let path = path.display();
                    AuthError::Unreadable(format!(
                        "the subject token in {path} cannot be read: {e}"
                    ))
                })?;
                format.token_in(&text, &path.display().to_string())
            }
            SubjectTokenSource::Url(url, headers, format) => {
                let mut ask = TokenRequest::get(url);
                for (name, value) in headers {
                    let bad = || {
                        let name = safe(name);
                        AuthError::Unreadable(format!("the header `{name}` of credential_source"))
                    };
                    let name: HeaderName = name.parse().map_err(|_| bad())?;
                    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
                    value.set_sensitive(true);
                    ask.headers.insert(name, value);
                }
                ask.secrets = headers.values().map(String::as_str).collect();
                ask.near = is_near(url);
                if !ask.near {
                    safe_url(url, "credential_source.url")?;
                }
                let body = ask.send().await?;
                let body = String::from_utf8_lossy(&body);
                format.token_in(&body, "the token's URL")
            }
            SubjectTokenSource::Executable(executable) => {
                executable
                    .token(
                        &self.audience,
                        &self.subject_token_type,
                        self.email.as_deref(),
                    )
                    .await
            }
        }
    }
}

/// Metadata servers of other clouds speak plain HTTP, on the machine's own link.
fn is_near(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok();
    let host = host.as_ref().and_then(|u| u.host_str());
    host.is_some_and(|h| {
        h == "169.254.169.254" || h == "127.0.0.1" || h == "[::1]" || h == "localhost"
    })
}

impl Format {
    /// The token in a text; the error does not quote it.
    fn token_in(&self, text: &str, place: &str) -> Result<String, AuthError> {
        if self.r#type != "json" {
            return Ok(text.trim().to_owned());
        }
        let field = &self.subject_token_field_name;
        let value: Value = serde_json::from_str(text)
            .map_err(|_| AuthError::Unreadable(format!("{} holds no JSON", safe(place))))?;
        let token = value[field.as_str()].as_str();
        token.map(str::to_owned).ok_or_else(|| {
            let (place, field) = (safe(place), safe(field));
            AuthError::Unreadable(format!(
                "{place} has no text in the field `{field}` (subject_token_field_name)"
            ))
        })
    }
}

/// What an executable answers, and what its output file holds.
#[derive(Deserialize)]
struct Said {
    success: bool,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    saml_response: Option<String>,
    #[serde(default)]
    expiration_time: Option<i64>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl Executable {
    async fn token(
        &self,
        audience: &str,
        token_type: &str,
        email: Option<&str>,
    ) -> Result<String, AuthError> {
        if std::env::var(ALLOW_EXECUTABLES).as_deref() != Ok("1") {
            return Err(AuthError::NotAllowed(format!(
                "the credentials run a program, `{}`. If it is one of yours, allow it: export {ALLOW_EXECUTABLES}=1",
                safe(&self.command)
            )));
        }
        if let Some(token) = self.kept() {
            return Ok(token);
        }
        let mut words = words(&self.command).into_iter();
        let program = words
            .next()
            .ok_or(AuthError::Unusable("the executable's command is empty"))?;
        let mut command = Command::new(&program);
        command
            .args(words)
            .env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", audience)
            .env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", token_type)
            .env("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0");
        if let Some(email) = email {
            command.env("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", email);
        }
        if let Some(file) = &self.output_file {
            command.env("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", file);
        }
        let patience = Duration::from_millis(self.timeout_millis.unwrap_or(30_000));
        let output = run(command, patience)
            .await
            .map_err(|e| AuthError::Program(format!("`{}` {e}", safe(&program))))?;
        // What it prints may be a token: nothing of it is shown but its own message.
        let said: Said = serde_json::from_slice(&output.stdout).map_err(|_| {
            let (name, status) = (safe(&program), output.status);
            AuthError::Program(format!("`{name}` did not answer as documented ({status})"))
        })?;
        if !said.success {
            return Err(AuthError::Program(format!(
                "`{}` says: {} {}",
                safe(&program),
                safe(&said.code.unwrap_or_default()),
                safe(&said.message.unwrap_or_default())
            )));
        }
        said.token().ok_or_else(|| {
            let name = safe(&program);
            AuthError::Program(format!("`{name}` gave no token that is still good"))
        })
    }

    /// The token that the program left from the last time.
    fn kept(&self) -> Option<String> {
        let text = std::fs::read(self.output_file.as_ref()?).ok()?;
        let said: Said = serde_json::from_slice(&text).ok()?;
        said.expiration_time?;
        said.token()
    }
}

impl Said {
    fn token(self) -> Option<String> {
        let now = jiff::Timestamp::now().as_second();
        if !self.success || self.expiration_time.is_some_and(|end| end <= now) {
            return None;
        }
        self.id_token.or(self.saml_response)
    }
}

/// The words of a command, which no shell sees; quotes hold words together.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_without_a_shell() {
        assert_eq!(
            words("/opt/my tool --name 'a b' \"c d\"e ''"),
            ["/opt/my", "tool", "--name", "a b", "c de", ""]
        );
        assert!(words("  ").is_empty());
    }
}
