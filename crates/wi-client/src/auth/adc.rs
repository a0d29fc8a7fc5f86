//! Which credentials the environment offers, in the order in which Google's own libraries look.
//!
//! <https://cloud.google.com/docs/authentication/application-default-credentials>

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use wi_core::words::safe;

use super::{
    AuthError, Credentials, Found, external_account, gcloud, impersonate, metadata, oauth,
    service_account_key,
};

const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Fields that any kind of file may have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Common {
    quota_project_id: Option<String>,
    universe_domain: Option<String>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The file that `gcloud auth application-default login` writes.
pub fn well_known_file() -> Option<PathBuf> {
    const NAME: &str = "application_default_credentials.json";
    if let Some(config) = variable("CLOUDSDK_CONFIG") {
        return Some(Path::new(&config).join(NAME));
    }
    let home = if cfg!(windows) {
        PathBuf::from(variable("APPDATA")?)
    } else {
        PathBuf::from(variable("HOME")?).join(".config")
    };
    Some(home.join("gcloud").join(NAME))
}

/// The file of credentials that counts, and what names it.
fn file() -> Option<(PathBuf, String)> {
    if let Some(path) = variable(VARIABLE) {
        let place = format!("{path}, named by {VARIABLE}");
        return Some((PathBuf::from(path), place));
    }
    let path = well_known_file()?;
    path.is_file().then(|| {
        let place = path.display().to_string();
        (path, place)
    })
}

/// The universe that the environment is of, where it is not Google's own cloud.
pub fn universe_domain() -> Option<String> {
    let of_file = || {
        let text = std::fs::read_to_string(file()?.0).ok()?;
        serde_json::from_str::<Common>(&text).ok()?.universe_domain
    };
    variable("GOOGLE_CLOUD_UNIVERSE_DOMAIN")
        .or_else(of_file)
        .filter(|domain| domain != "googleapis.com")
}

/// The first that there is. The error is for the user, and names where was looked.
pub(super) async fn find() -> Result<Found, AuthError> {
    if let Some((path, place)) = file() {
        return read(&path, place);
    }
    let found = |credentials: Credentials, place: &str| {
        Ok(Found {
            credentials,
            quota_project: None,
            place: place.to_owned(),
        })
    };
    if variable("NO_GCE_CHECK").as_deref() != Some("true") {
        let server = metadata::Server::of_environment();
        if server.is_there().await {
            return found(Credentials::Metadata(server), "this machine's account");
        }
    }
    if gcloud::is_installed() {
        return found(Credentials::Gcloud, "gcloud auth login");
    }
    Err(nowhere(""))
}

/// There are none; `more` is what is to be said of gcloud.
pub(super) fn nowhere(more: &str) -> AuthError {
    let well_known = well_known_file().map_or_else(String::new, |p| format!("{}, ", p.display()));
    AuthError::Nowhere(format!(
        "there are no credentials: looked for {VARIABLE}, {well_known}a metadata server and gcloud{more}. Run `gcloud auth application-default login` or `gcloud auth login`, or see `wi help real-projects`"
    ))
}

fn read(path: &Path, place: String) -> Result<Found, AuthError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| AuthError::Unreadable(format!("the credentials in {place}: {e}")))?;
    // The parser's own message could quote the file.
    let json: Value = serde_json::from_str(&text).map_err(|e| {
        let line = e.line();
        AuthError::Unreadable(format!(
            "the credentials in {place} are not JSON (line {line})"
        ))
    })?;
    let common: Common = serde_json::from_value(json.clone()).unwrap_or_default();
    let credentials = credentials(json, "the file")
        .map_err(|e| AuthError::Unreadable(format!("the credentials in {place}: {e}")))?;
    Ok(Found {
        credentials,
        quota_project: common.quota_project_id,
        place,
    })
}

/// Credentials of any kind, as JSON.
pub(super) fn credentials(json: Value, what: &str) -> Result<Credentials, AuthError> {
    fn parsed<T: serde::de::DeserializeOwned>(json: Value, kind: &str) -> Result<T, AuthError> {
        serde_json::from_value(json).map_err(|e| {
            // Serde names the field that is missing, or the kind that is wrong, but may quote a value.
            let missing = e.to_string();
            let missing = missing.strip_prefix("missing field ").map(str::to_owned);
            AuthError::Unreadable(match missing {
                Some(field) => format!("`{kind}` without {field}"),
                None => format!("`{kind}` with a field of the wrong kind"),
            })
        })
    }
    let kind = json["type"].as_str().unwrap_or_default().to_owned();
    Ok(match kind.as_str() {
        "authorized_user" => Credentials::User(parsed::<oauth::User>(json, &kind)?),
        "service_account" => Credentials::Key(parsed::<service_account_key::Key>(json, &kind)?),
        "external_account" => external_account::of_file(parsed(json, &kind)?)?,
        "external_account_authorized_user" => {
            Credentials::Workforce(parsed::<oauth::Workforce>(json, &kind)?)
        }
        "impersonated_service_account" => {
            let file: impersonate::File = parsed(json, &kind)?;
            Credentials::Impersonated(Box::new(impersonate::Impersonated::of_file(file)?))
        }
        "" => return Err(AuthError::Unreadable(format!("{what} has no `type`"))),
        other => {
            return Err(AuthError::Unreadable(format!(
                "{what} is of a `type` that wi does not know: {}",
                safe(other)
            )));
        }
    })
}
