//! A cluster reached as a kubeconfig says: server, CA, and a token, a client certificate, or Google's
//! own credentials where the context would have kubectl ask gke-gcloud-auth-plugin.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Kube;
use crate::auth::{ExecPlugin, TokenSource};
use crate::http::Http;

/// The variable that lets plugins be run.
const ALLOW_PLUGINS: &str = "WI_ALLOW_EXEC_PLUGINS";

/// `v1.Config`, the fields that `wi` reads.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Config {
    clusters: Vec<Named<ClusterEntry>>,
    contexts: Vec<Named<ContextEntry>>,
    users: Vec<Named<UserEntry>>,
    current_context: String,
}

/// An entry: its name, and its content under a key that the list gives.
#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    entry: T,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct ClusterEntry {
    server: String,
    certificate_authority_data: String,
    certificate_authority: String,
    insecure_skip_tls_verify: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextEntry {
    cluster: String,
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UserEntry {
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: String,
    client_certificate_data: String,
    client_certificate: String,
    client_key_data: String,
    client_key: String,
    exec: Option<ExecPlugin>,
}

/// Connects; the error is for the user, and never quotes the file, which holds secrets.
///
/// `own` are the cluster's addresses as GKE knows them: Google's token goes to these and to Google's
/// hosts only, whatever a kubeconfig says.
pub(super) fn connect(
    http: &Http,
    path: &Path,
    context: Option<&str>,
    own: &[&str],
) -> Result<Kube, String> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("the kubeconfig {file} cannot be read: {e}"))?;
    let config: Config = serde_saphyr::from_str(&text).map_err(|e| {
        let place = e
            .location()
            .map(|l| format!(" (line {})", l.line()))
            .unwrap_or_default();
        format!("{file} is not a kubeconfig{place}")
    })?;
    let context_name = context.unwrap_or(&config.current_context);
    let find = |what: &str, name: &str| format!("the kubeconfig {file} has no {what} `{name}`");
    let context = entry(&config.contexts, context_name).ok_or_else(|| {
        let there: Vec<&str> = config.contexts.iter().map(|c| c.name.as_str()).collect();
        format!(
            "{}; it has: {}",
            find("context", context_name),
            there.join(", ")
        )
    })?;
    let cluster = entry(&config.clusters, &context.cluster)
        .ok_or_else(|| find("cluster", &context.cluster))?;
    let user = entry(&config.users, &context.user).ok_or_else(|| find("user", &context.user))?;
    if cluster.insecure_skip_tls_verify {
        return Err(format!(
            "context {context_name} of {file} skips the check of the server's certificate; wi does not"
        ));
    }
    if !cluster.server.starts_with("https://") {
        return Err(format!(
            "context {context_name} of {file} has a server without TLS: {}",
            crate::render::safe(&cluster.server)
        ));
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let ca = pem(
        &cluster.certificate_authority_data,
        &cluster.certificate_authority,
        directory,
    )?;
    let certificate = pem(
        &user.client_certificate_data,
        &user.client_certificate,
        directory,
    )?;
    let key = pem(&user.client_key_data, &user.client_key, directory)?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
        _ => None,
    };
    let client = http
        .for_server(ca.as_deref(), identity.as_deref())
        .map_err(|e| format!("context {context_name} of {file} cannot be used: {e}"))?;
    let google = user.exec.as_ref().is_some_and(|e| {
        Path::new(&e.command)
            .file_stem()
            .is_some_and(|c| c == "gke-gcloud-auth-plugin")
    }) && is_googles(&cluster.server, own);
    let client = if !user.token.is_empty() {
        client.with_token(TokenSource::fixed(user.token.clone()))
    } else if !user.token_file.is_empty() {
        client.with_token(TokenSource::file(directory.join(&user.token_file)))
    } else if identity.is_some() {
        client.with_token(TokenSource::none())
    } else if google {
        client // the plugin would give kubectl the very token that we have
    } else {
        let Some(exec) = &user.exec else {
            return Err(format!(
                "user {} of {file} has neither token nor client certificate",
                context.user
            ));
        };
        // Whoever can change a spec could have any program run, where plans are made of what others
        // propose.
        if std::env::var(ALLOW_PLUGINS).as_deref() != Ok("1") {
            return Err(format!(
                "user {} of {file} has the program `{}` run. If it is one of yours, allow it: export {ALLOW_PLUGINS}=1",
                context.user,
                crate::render::safe(&exec.command)
            ));
        }
        let mut plugin = exec.clone();
        plugin.resolve(directory);
        plugin.cluster = serde_json::json!({
            "server": cluster.server,
            "certificate-authority-data": cluster.certificate_authority_data,
        });
        client.with_token(TokenSource::exec(plugin))
    };
    Ok(Kube {
        http: client,
        base: cluster.server.trim_end_matches('/').to_owned(),
        reached_by: format!("context {context_name} of {file}"),
    })
}

/// Whether a server is the cluster itself, or a host of Google's in front of it.
fn is_googles(server: &str, own: &[&str]) -> bool {
    let Ok(url) = reqwest::Url::parse(server) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let of_google = [".googleapis.com", ".gke.goog"];
    own.iter().any(|o| !o.is_empty() && *o == authority)
        || of_google.iter().any(|domain| host.ends_with(domain))
}

fn entry<'a, T>(entries: &'a [Named<T>], name: &str) -> Option<&'a T> {
    entries.iter().find(|e| e.name == name).map(|e| &e.entry)
}

/// PEM that is given in base64, or in a file relative to the kubeconfig.
fn pem(data: &str, file: &str, directory: &Path) -> Result<Option<Vec<u8>>, String> {
    if !data.is_empty() {
        return STANDARD
            .decode(data)
            .map(Some)
            .map_err(|_| "the kubeconfig has data that is not base64".to_owned());
    }
    if file.is_empty() {
        return Ok(None);
    }
    let path = directory.join(file);
    std::fs::read(&path).map(Some).map_err(|e| {
        format!(
            "{}, named by the kubeconfig, cannot be read: {e}",
            path.display()
        )
    })
}
