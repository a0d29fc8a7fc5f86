//! gcloud's own login, where there is nothing else: people have logged in to gcloud long before they
//! hear of application default credentials.

use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use wi_core::words::safe;

use super::{AuthError, Token, subprocess};

/// gcloud is slow to start, and may have to renew the token itself.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Config {
    credential: Credential,
}

#[derive(Deserialize)]
struct Credential {
    access_token: String,
    token_expiry: Option<String>,
}

/// Whether there is a gcloud on the path.
pub(super) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|d| d.join(PROGRAM).is_file())
}

const PROGRAM: &str = if cfg!(windows) {
    "gcloud.cmd"
} else {
    "gcloud"
};

pub(super) async fn fetch() -> Result<Token, AuthError> {
    let mut command = Command::new(PROGRAM);
    command.args([
        "config",
        "config-helper",
        "--format=json(credential)",
        "--quiet",
    ]);
    let output = subprocess::run(command, PATIENCE)
        .await
        .map_err(|e| AuthError::Program(format!("gcloud {e}")))?;
    if !output.status.success() {
        let said = output
            .stderr
            .lines()
            .find(|l| l.contains("ERROR"))
            .unwrap_or("it failed");
        if said.contains("active account") {
            return Err(AuthError::LoggedOut);
        }
        return Err(AuthError::Program(format!(
            "gcloud says: {}. Run: gcloud auth login",
            safe(said.trim_end_matches('.'))
        )));
    }
    // The parser's own message could quote the token.
    let config: Config = serde_json::from_slice(&output.stdout).map_err(|_| {
        let why = "gcloud config config-helper answered in an unknown form";
        AuthError::Program(why.to_owned())
    })?;
    // Both are by this machine's clock.
    let ends = config.credential.token_expiry;
    let ends = ends.and_then(|e| e.parse::<jiff::Timestamp>().ok());
    let left = ends.map(|e| e.duration_since(jiff::Timestamp::now()));
    Ok(Token {
        token: config.credential.access_token,
        lasts: Some(
            left.and_then(|l| Duration::try_from(l).ok())
                .unwrap_or(Duration::from_secs(300)),
        ),
    })
}
