//! `v1.Config` as it is written: the fields that `wi` reads, and those that it must not overlook.
//!
//! <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>. What is not set may be left out,
//! or `null`: kubectl and cloud tools write both.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Fault;
use crate::auth::{ExecPlugin, nullable};

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Config {
    #[serde(deserialize_with = "nullable")]
    pub clusters: Vec<Named<Cluster>>,
    #[serde(deserialize_with = "nullable")]
    pub contexts: Vec<Named<Context>>,
    #[serde(deserialize_with = "nullable")]
    pub users: Vec<Named<User>>,
    #[serde(deserialize_with = "nullable")]
    pub current_context: String,
}

/// An entry: its name, and its content under a key that the list gives.
#[derive(Deserialize)]
pub(super) struct Named<T: Default> {
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    #[serde(
        default,
        alias = "cluster",
        alias = "context",
        alias = "user",
        deserialize_with = "nullable",
        bound(deserialize = "T: Deserialize<'de>")
    )]
    entry: T,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Cluster {
    #[serde(deserialize_with = "nullable")]
    pub server: String,
    #[serde(deserialize_with = "nullable")]
    pub tls_server_name: String,
    #[serde(deserialize_with = "nullable")]
    pub proxy_url: String,
    #[serde(deserialize_with = "nullable")]
    pub certificate_authority_data: String,
    #[serde(deserialize_with = "nullable")]
    pub certificate_authority: String,
    #[serde(deserialize_with = "nullable")]
    pub insecure_skip_tls_verify: bool,
    #[serde(deserialize_with = "nullable")]
    pub extensions: Vec<Extension>,
}

/// Data of others; plugins are handed theirs.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Extension {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    pub extension: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    #[serde(deserialize_with = "nullable")]
    pub cluster: String,
    #[serde(deserialize_with = "nullable")]
    pub user: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct User {
    #[serde(deserialize_with = "nullable")]
    pub token: String,
    #[serde(rename = "tokenFile", deserialize_with = "nullable")]
    pub token_file: String,
    #[serde(deserialize_with = "nullable")]
    pub client_certificate_data: String,
    #[serde(deserialize_with = "nullable")]
    pub client_certificate: String,
    #[serde(deserialize_with = "nullable")]
    pub client_key_data: String,
    #[serde(deserialize_with = "nullable")]
    pub client_key: String,
    pub exec: Option<ExecPlugin>,
    #[serde(rename = "as", deserialize_with = "nullable")]
    pub as_user: String,
    #[serde(deserialize_with = "nullable")]
    pub as_uid: String,
    #[serde(deserialize_with = "nullable")]
    pub as_groups: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub as_user_extra: BTreeMap<String, Option<Vec<String>>>,
    #[serde(deserialize_with = "nullable")]
    pub username: String,
    pub password: Option<IgnoredAny>,
    pub auth_provider: Option<AuthProvider>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthProvider {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
}

/// The entry of this name; the error says what is wrong, without the file.
pub(super) fn entry<'a, T: Default>(
    entries: &'a [Named<T>],
    what: &'static str,
    name: &str,
) -> Result<&'a T, Fault> {
    let shown = wi_core::words::safe;
    let mut found = entries.iter().filter(|e| e.name == name);
    let Some(first) = found.next() else {
        return Err(Fault::Missing {
            what,
            name: shown(name),
            there: entries.iter().map(|e| shown(&e.name)).collect(),
        });
    };
    match found.next() {
        Some(_) => Err(Fault::Twice {
            what,
            name: shown(name),
        }),
        None => Ok(&first.entry),
    }
}
