//! Plugins of a kubeconfig: programs that say how to log in to a cluster.
//!
//! <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::process::Command;
use wi_core::words::safe;

use super::subprocess::{Failure, run};
use super::{AuthError, Login, bearer};

const PATIENCE: Duration = Duration::from_secs(60);

/// The versions of `ExecCredential` that client-go speaks.
const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

/// `ExecConfig`: what is run, and how. kubectl writes `null` for what is not set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecPlugin {
    #[serde(deserialize_with = "nullable")]
    pub command: String,
    #[serde(deserialize_with = "nullable")]
    pub args: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<Variable>,
    #[serde(deserialize_with = "nullable")]
    pub api_version: String,
    #[serde(deserialize_with = "nullable")]
    pub install_hint: String,
    #[serde(deserialize_with = "nullable")]
    pub interactive_mode: String,
    #[serde(deserialize_with = "nullable")]
    pub provide_cluster_info: bool,
    /// `Cluster` of an `ExecCredential`, for a plugin that asks for it.
    #[serde(skip)]
    pub cluster: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub value: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Credential {
    kind: String,
    api_version: String,
    status: Option<Status>,
}

/// What a plugin answers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "nullable")]
    token: String,
    #[serde(deserialize_with = "nullable")]
    expiration_timestamp: String,
    #[serde(deserialize_with = "nullable")]
    client_certificate_data: String,
    #[serde(deserialize_with = "nullable")]
    client_key_data: String,
}

/// `null` is what is not set.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl ExecPlugin {
    /// A relative path is one from the kubeconfig's directory, a bare name one of the path.
    pub fn resolve(&mut self, directory: &Path) {
        if self.command.contains('/') {
            self.command = directory.join(&self.command).display().to_string();
        }
    }

    /// Whether it can be run by us at all; the error is for the user.
    pub fn check(&self) -> Result<(), AuthError> {
        let name = safe(&self.command);
        if self.command.is_empty() {
            return Err(AuthError::Program(
                "it has an `exec` without a `command`".to_owned(),
            ));
        }
        if !VERSIONS.contains(&self.api_version.as_str()) {
            return Err(AuthError::Program(format!(
                "the plugin `{name}` is to be spoken to in {:?}, and wi speaks {}",
                safe(&self.api_version),
                VERSIONS.join(" and ")
            )));
        }
        if self.interactive_mode == "Always" {
            return Err(AuthError::Program(format!(
                "the plugin `{name}` needs a terminal to ask on (interactiveMode: Always), and wi lends it none. Log in by other means, and let it say `interactiveMode: IfAvailable`"
            )));
        }
        Ok(())
    }

    /// Runs it. The error is for the user, and quotes nothing of the output but its errors.
    async fn run(&self) -> Result<Status, AuthError> {
        let mut command = Command::new(&self.command);
        let mut spec = json!({"interactive": false});
        if self.provide_cluster_info {
            spec["cluster"] = self.cluster.clone();
        }
        let info = json!({"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec});
        command
            .args(&self.args)
            .envs(self.env.iter().map(|v| (&v.name, &v.value)))
            .env("KUBERNETES_EXEC_INFO", info.to_string());
        let name = safe(&self.command);
        let output = run(command, PATIENCE).await.map_err(|e| {
            let hint = match e {
                Failure::NotRun(_) => safe(self.install_hint.trim()),
                _ => String::new(),
            };
            let why = format!("the plugin `{name}` {e}. {hint}");
            AuthError::Program(why.trim_end_matches([' ', '.']).to_owned())
        })?;
        if !output.status.success() {
            let last = output.stderr.lines().rfind(|l| !l.trim().is_empty());
            let last: String = safe(last.unwrap_or("it failed"))
                .chars()
                .take(300)
                .collect();
            return Err(AuthError::Program(format!(
                "the plugin `{name}` says: {last}"
            )));
        }
        // The parser's own message could quote a token.
        let credential = read(&output.stdout)
            .filter(|c| c.kind == "ExecCredential")
            .ok_or_else(|| {
                AuthError::Program(format!(
                    "the plugin `{name}` answers with no ExecCredential"
                ))
            })?;
        if credential.api_version != self.api_version {
            return Err(AuthError::Program(format!(
                "the plugin `{name}` is asked for {} and answers in {:?}: the `apiVersion` of its `exec` is wrong, or the plugin is old",
                self.api_version,
                safe(&credential.api_version)
            )));
        }
        credential.status.ok_or_else(|| {
            AuthError::Program(format!("the plugin `{name}` answers without a `status`"))
        })
    }

    /// A token, a client certificate or both, and how long they last from now.
    pub(super) async fn login(&self) -> Result<(Login, Option<Duration>), AuthError> {
        let status = self.run().await?;
        let name = safe(&self.command);
        let certificate = match (&*status.client_certificate_data, &*status.client_key_data) {
            ("", "") => None,
            ("", _) | (_, "") => {
                return Err(AuthError::Program(format!(
                    "the plugin `{name}` gave a client certificate or its key, and not both"
                )));
            }
            (certificate, key) => Some(Arc::from(format!("{certificate}\n{key}").into_bytes())),
        };
        let headers = match &*status.token {
            "" if certificate.is_none() => {
                return Err(AuthError::Program(format!(
                    "the plugin `{name}` gave neither a token nor a client certificate"
                )));
            }
            "" => HeaderMap::new(),
            token => HeaderMap::from_iter([(AUTHORIZATION, bearer(token)?)]),
        };
        let lasts = match &*status.expiration_timestamp {
            "" => None,
            text => {
                let end: jiff::Timestamp = text.parse().map_err(|_| {
                    let why = "gave an expirationTimestamp that is no time";
                    AuthError::Program(format!("the plugin `{name}` {why}"))
                })?;
                let left = end.duration_since(jiff::Timestamp::now());
                Some(Duration::try_from(left).unwrap_or_default())
            }
        };
        Ok((Login::new(headers, certificate), lasts))
    }
}

/// JSON, or YAML, which kubectl takes as well.
fn read(answer: &[u8]) -> Option<Credential> {
    serde_json::from_slice(answer).ok().or_else(|| {
        let text = std::str::from_utf8(answer).ok()?;
        serde_saphyr::from_str(text).ok()
    })
}
