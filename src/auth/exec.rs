//! Plugins of a kubeconfig: programs that say how to log in to a cluster.
//!
//! <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::Token;
use crate::render::safe;

const PATIENCE: Duration = Duration::from_secs(60);

/// `ExecConfig`: what is run, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecPlugin {
    pub command: String,
    pub args: Vec<String>,
    pub env: Vec<Variable>,
    pub api_version: String,
    pub install_hint: String,
    pub provide_cluster_info: bool,
    /// The cluster, for a plugin that asks for it; and the kubeconfig's directory.
    #[serde(skip)]
    pub cluster: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

#[derive(Deserialize)]
struct Credential {
    #[serde(default)]
    status: Option<Status>,
}

/// What a plugin answers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    token: String,
    expiration_timestamp: String,
    client_certificate_data: String,
    client_key_data: String,
}

impl ExecPlugin {
    /// A relative path is one from the kubeconfig's directory, a bare name one of the path.
    pub fn resolve(&mut self, directory: &Path) {
        if self.command.contains('/') {
            self.command = directory.join(&self.command).display().to_string();
        }
    }

    /// Runs it. The error is for the user, and quotes nothing of the output but its errors.
    pub(crate) async fn run(&self) -> Result<Status, String> {
        let mut command = Command::new(&self.command);
        let mut spec = json!({"interactive": false});
        if self.provide_cluster_info {
            spec["cluster"] = self.cluster.clone();
        }
        let info = json!({"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec});
        command
            .args(&self.args)
            .envs(self.env.iter().map(|v| (&v.name, &v.value)))
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let name = safe(&self.command);
        let output = tokio::time::timeout(PATIENCE, command.output())
            .await
            .map_err(|_| format!("the plugin `{name}` did not answer within a minute"))?
            .map_err(|e| {
                let hint = safe(self.install_hint.trim());
                format!("the plugin `{name}` cannot be run: {e}. {hint}")
                    .trim_end()
                    .to_owned()
            })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|l| !l.trim().is_empty());
            let last: String = safe(last.unwrap_or("it failed"))
                .chars()
                .take(300)
                .collect();
            return Err(format!("the plugin `{name}` says: {last}"));
        }
        // The parser's own message could quote a token.
        let credential: Credential = serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("the plugin `{name}` answers with no ExecCredential"))?;
        credential
            .status
            .ok_or_else(|| format!("the plugin `{name}` answers without a `status`"))
    }

    pub(super) async fn token(&self) -> Result<Token, String> {
        let status = self.run().await?;
        if status.token.is_empty() {
            return Err(format!(
                "the plugin `{}` gave no token",
                safe(&self.command)
            ));
        }
        let ends = status.expiration_timestamp.parse::<jiff::Timestamp>().ok();
        let left = ends.map(|e| e.duration_since(jiff::Timestamp::now()));
        Ok(Token {
            token: status.token,
            lasts: left.map(|l| Duration::try_from(l).unwrap_or_default()),
        })
    }
}
