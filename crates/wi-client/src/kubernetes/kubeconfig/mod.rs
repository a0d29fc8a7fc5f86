//! A cluster reached as a kubeconfig says: server, proxy, CA, and a token, a client certificate, a
//! plugin, or Google's own credentials where the context would have kubectl ask gke-gcloud-auth-plugin.
//!
//! What is in the file and not honoured here is an error that names it: to go on without it would be
//! to act as somebody else, or to trust another server.

mod endpoint;
mod error;
mod file;
mod impersonation;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wi_core::live::ReachedBy;
use wi_core::words::safe;

pub use self::error::{Fault, KubeconfigError};
use self::file::{Cluster, Config, User};
use super::{CaError, Kube};
use crate::auth::{ExecPlugin, TokenSource};
use crate::files;
use crate::http::{Http, Server};

/// The variable that lets plugins be run, and the files of tokens be read.
const ALLOW_PLUGINS: &str = "WI_ALLOW_EXEC_PLUGINS";

/// Of a kubeconfig and the files that it names, in bytes: hundreds of clusters with their CAs.
const LARGEST: u64 = 16 << 20;

/// Connects.
///
/// Google's token goes to `own` and to Google's hosts only, and only where those who vouch for them do,
/// whatever a kubeconfig says.
pub(super) fn connect(
    http: &Http,
    path: &str,
    context: Option<&str>,
    own: &Own<'_>,
) -> Result<Kube, KubeconfigError> {
    let path = &home_expanded(path);
    let file = path.display().to_string();
    // Whoever proposes a spec says which file it is.
    // Read once in a session: what another program makes of it meanwhile is not where the plan was made.
    let bytes = http
        .file(path, LARGEST)
        .map_err(|e| KubeconfigError::Unreadable {
            file: file.clone(),
            why: e.to_string(),
        })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KubeconfigError::NotText(file.clone()))?;
    let config: Config =
        serde_saphyr::from_str(text).map_err(|e| KubeconfigError::NotAKubeconfig {
            file: file.clone(),
            line: e.location().map(|l| l.line()),
        })?;
    let in_file = |fault| KubeconfigError::File {
        file: file.clone(),
        fault,
    };
    let context_name = context.unwrap_or(&config.current_context);
    if context_name.is_empty() {
        return Err(in_file(Fault::NoCurrentContext));
    }
    let context = file::entry(&config.contexts, "context", context_name).map_err(in_file)?;
    let cluster = file::entry(&config.clusters, "cluster", &context.cluster).map_err(in_file)?;
    let user = file::entry(&config.users, "user", &context.user).map_err(in_file)?;
    let shown_name = safe(context_name);
    let of_context = |fault| KubeconfigError::Context {
        context: shown_name.clone(),
        file: file.clone(),
        fault,
    };
    let of_user = |fault| KubeconfigError::User {
        user: safe(&context.user),
        file: file.clone(),
        fault,
    };

    let directory = path.parent().unwrap_or(Path::new("."));
    let mut server = Server {
        ca: pem(
            &cluster.certificate_authority_data,
            &cluster.certificate_authority,
            directory,
        )
        .map_err(of_context)?,
        identity: identity(user, directory).map_err(of_user)?,
        headers: impersonation::headers(user).map_err(of_user)?,
        ..endpoint::server(cluster).map_err(of_context)?
    };
    let login = login(user, cluster, directory, own).map_err(of_user)?;
    let plugins_ca = server.ca.as_deref().map(|ca| STANDARD.encode(ca));
    if let Login::Google(vouches) = &login {
        server.ca = match vouches {
            Vouches::Public => None,
            Vouches::Cluster => {
                let ca = own.ca.clone().map_err(Fault::from);
                Some(ca.map_err(of_context)?)
            }
        };
    }
    let is_proven = is_own(cluster, &server, own);
    let client = http
        .for_server(server)
        .map_err(|e| of_context(Fault::Unusable(e)))?;
    let user_name = who(user, &context.user, &file, &login);
    let client = match login {
        Login::Google(_) => client, // the plugin would give kubectl the very token that we have
        Login::Own(token) => client.with_token(*token),
        Login::Plugin(mut plugin) => {
            plugin.cluster = cluster_info(cluster, plugins_ca);
            // Run once for all who connect by this context.
            let key = format!("{file}\n{context_name}");
            client.sharing_token(key, || TokenSource::exec(*plugin))
        }
    };
    Ok(Kube {
        http: client,
        base: cluster.server.trim_end_matches('/').to_owned(),
        reached_by: ReachedBy::Context {
            name: context_name.to_owned(),
            file,
        },
        user: user_name,
        is_proven,
        dry_run: false,
    })
}

/// What GKE says of the cluster: its addresses, and its CA in PEM, or why there is none.
pub(super) struct Own<'a> {
    /// Of the DNS endpoint.
    pub name: &'a str,
    pub addresses: [&'a str; 2],
    pub ca: Result<Vec<u8>, CaError>,
    /// Where Connect Gateway has it.
    pub gateway: Option<String>,
}

/// Who the server is asked as, where that is not the caller that Google knows.
fn who(user: &User, name: &str, file: &str, login: &Login) -> Option<String> {
    let named = format!("user {} of {file}", safe(name));
    match (login, user.as_user.as_str()) {
        (Login::Google(_), "") => None,
        (_, "") => Some(named),
        (_, other) => Some(format!("{} ({named} acts as it)", safe(other))),
    }
}

/// Whether whoever vouches for the server says that it is the cluster: the CA of the cluster alone, which GKE makes for
/// each; or public authorities for its DNS endpoint, or for where Connect Gateway has it.
fn is_own(cluster: &Cluster, server: &Server, own: &Own<'_>) -> bool {
    match (&server.ca, &own.ca) {
        (Some(ca), Ok(own)) => {
            let (ca, own) = (certificates(ca), certificates(own));
            !own.is_empty() && ca == own
        }
        (Some(_), Err(_)) => false,
        (None, _) => {
            let base = cluster.server.trim_end_matches('/');
            server.certified_as.is_none()
                && (endpoint::is_at(base, own.name) || own.gateway.as_deref() == Some(base))
        }
    }
}

/// The certificates in PEM, each in base64.
fn certificates(pem: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(pem);
    let parts = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let parts = parts.filter_map(|part| part.split("-----END").next());
    parts
        .map(|part| part.split_whitespace().collect())
        .collect()
}

/// Who has to vouch for a server that gets Google's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vouches {
    /// Public authorities, for a host of Google's.
    Public,
    /// The cluster's CA, for an address of the cluster.
    Cluster,
}

/// Where a user's tokens come from; client certificates of the file itself aside.
enum Login {
    Google(Vouches),
    Own(Box<TokenSource>),
    Plugin(Box<ExecPlugin>),
}

impl Login {
    fn own(token: TokenSource) -> Self {
        Self::Own(Box::new(token))
    }
}

/// In the order in which kubectl takes them.
fn login(user: &User, cluster: &Cluster, directory: &Path, own: &Own<'_>) -> Result<Login, Fault> {
    if !user.username.is_empty() || user.password.is_some() {
        return Err(Fault::Password);
    }
    if let Some(provider) = &user.auth_provider {
        return Err(Fault::AuthProvider(safe(&provider.name)));
    }
    let token = Some(user.token.clone()).filter(|t| !t.is_empty());
    let file = Some(&user.token_file).filter(|f| !f.is_empty());
    if let Some(file) = file {
        let path = directory.join(file);
        if !allowed() {
            return Err(Fault::SendsFile(safe(&path.display().to_string())));
        }
        return Ok(Login::own(TokenSource::of_kubeconfig(token, Some(path))));
    }
    if token.is_some() {
        return Ok(Login::own(TokenSource::of_kubeconfig(token, None)));
    }
    let has_certificate =
        !(user.client_certificate_data.is_empty() && user.client_certificate.is_empty());
    if has_certificate {
        return Ok(Login::own(TokenSource::none()));
    }
    let Some(exec) = &user.exec else {
        return Err(Fault::NoLogin);
    };
    // Through a proxy or under a name that the file gives, Google's token could be anybody's: there the
    // plugin is one like others.
    let googles_plugin = Path::new(&exec.command)
        .file_stem()
        .is_some_and(|c| c == "gke-gcloud-auth-plugin");
    let direct = cluster.proxy_url.is_empty() && cluster.tls_server_name.is_empty();
    if googles_plugin
        && direct
        && let Some(vouches) = endpoint::is_googles(&cluster.server, own)
    {
        return Ok(Login::Google(vouches));
    }
    exec.check().map_err(|e| Fault::Plugin(e.to_string()))?;
    if !allowed() {
        return Err(Fault::Runs(safe(&exec.command)));
    }
    let mut plugin = exec.clone();
    plugin.resolve(directory);
    Ok(Login::Plugin(Box::new(plugin)))
}

/// Whoever can change a spec could have any program run, and any file sent to a server of theirs,
/// where plans are made of what others propose.
fn allowed() -> bool {
    std::env::var(ALLOW_PLUGINS).as_deref() == Ok("1")
}

/// The client certificate and its key, PEM in one text.
fn identity(user: &User, directory: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let certificate = pem(
        &user.client_certificate_data,
        &user.client_certificate,
        directory,
    )?;
    let key = pem(&user.client_key_data, &user.client_key, directory)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some([certificate, b"\n".to_vec(), key].concat())),
        (Some(_), None) => Err(Fault::WithoutKey),
        (None, _) => Ok(None),
    }
}

fn home_expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// `Cluster` of an `ExecCredential`.
fn cluster_info(cluster: &Cluster, ca: Option<String>) -> serde_json::Value {
    let mut info = json!({ "server": cluster.server });
    for (field, value) in [
        ("tls-server-name", &cluster.tls_server_name),
        ("proxy-url", &cluster.proxy_url),
        ("certificate-authority-data", &ca.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            info[field] = json!(value);
        }
    }
    let config = cluster
        .extensions
        .iter()
        .find(|e| e.name == "client.authentication.k8s.io/exec");
    if let Some(config) = config {
        info["config"] = config.extension.clone();
    }
    info
}

/// PEM that is given in base64, or in a file relative to the kubeconfig. Data wins, as in kubectl.
fn pem(data: &str, file: &str, directory: &Path) -> Result<Option<Vec<u8>>, Fault> {
    if !data.is_empty() {
        return STANDARD
            .decode(data)
            .map(Some)
            .map_err(|_| Fault::NotBase64);
    }
    if file.is_empty() {
        return Ok(None);
    }
    let path = directory.join(file);
    files::read(&path, LARGEST)
        .map(Some)
        .map_err(|e| Fault::Names {
            path: path.display().to_string(),
            why: e.to_string(),
        })
}
