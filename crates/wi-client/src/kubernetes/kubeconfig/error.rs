//! Why a kubeconfig does not lead to a cluster.

use super::ALLOW_PLUGINS;
use crate::http::ClientError;
use crate::kubernetes::CaError;

/// For the user. Never quotes the file, which holds secrets; names in it are shown as they are safe on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// The file cannot be read.
    #[error("the kubeconfig {file} cannot be read: {why}")]
    Unreadable {
        /// As the spec has it, `~` expanded.
        file: String,
        /// Of the system.
        why: String,
    },
    /// It is not UTF-8.
    #[error("{0} is not text")]
    NotText(String),
    /// It is not YAML, or not of a kubeconfig's shape.
    #[error("{file} is not a kubeconfig{}", line.map(|l| format!(" (line {l})")).unwrap_or_default())]
    NotAKubeconfig {
        /// As above.
        file: String,
        /// From 1, where that is known.
        line: Option<u64>,
    },
    /// Something is wrong with the file.
    #[error("the kubeconfig {file} {fault}")]
    File {
        /// As above.
        file: String,
        /// What.
        fault: Fault,
    },
    /// Something is wrong with the context, or with its cluster.
    #[error("context {context} of {file} {fault}")]
    Context {
        /// Its name.
        context: String,
        /// As above.
        file: String,
        /// What.
        fault: Fault,
    },
    /// Something is wrong with the context's user.
    #[error("user {user} of {file} {fault}")]
    User {
        /// Its name.
        user: String,
        /// As above.
        file: String,
        /// What.
        fault: Fault,
    },
}

/// What else than a user name or a password there is.
const WHAT_ELSE: &str = "Use a token, a client certificate or a plugin (`exec`)";

/// What is wrong with a part of a kubeconfig: the rest of a sentence that begins with the part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No context was named, by the spec or by the file.
    #[error("has no `current-context`: say which one is meant by `context: NAME`")]
    NoCurrentContext,
    /// An entry that is named is not there.
    #[error("has no {what} `{name}`; {}", it_has(there))]
    Missing {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The entries that there are.
        there: Vec<String>,
    },
    /// An entry is there twice: kubectl refuses the whole file.
    #[error("has more than one {what} `{name}`")]
    Twice {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A certificate or a key is none.
    #[error("has data that is not base64")]
    NotBase64,
    /// A file that it names cannot be read.
    #[error("names {path}, which cannot be read: {why}")]
    Names {
        /// Relative to the kubeconfig.
        path: String,
        /// Of the system.
        why: String,
    },
    /// `insecure-skip-tls-verify`.
    #[error("skips the check of the server's certificate; wi does not")]
    Unchecked,
    /// The server's URL holds a secret.
    #[error("has a user or a password in its server's address")]
    SecretInAddress,
    /// The server is not at https.
    #[error("has a server without TLS: {0}")]
    WithoutTls(String),
    /// The server's URL is none.
    #[error("has a server that is no URL: {0}")]
    NoUrl(String),
    /// The proxy's URL is none, which is not quoted: it may hold a password.
    #[error("has a `proxy-url` that is none: it begins with http://, https:// or socks5://")]
    NoProxy,
    /// `tls-server-name` is not a DNS name.
    #[error("has the `tls-server-name` {0}, and wi checks certificates by DNS names only")]
    NoDnsName(String),
    /// `tls-server-name` behind a proxy.
    #[error(
        "has the `tls-server-name` {name}, which wi cannot check through a proxy: use a server address that is on the certificate, or go without the proxy (no `proxy-url`, NO_PROXY={host})"
    )]
    NameBehindProxy {
        /// The name.
        name: String,
        /// The server's host.
        host: String,
    },
    /// No client can be made of it.
    #[error("cannot be used: {0}")]
    Unusable(ClientError),
    /// GKE's own certificate of the cluster, which the context needs.
    #[error("{0}")]
    ClustersCa(#[from] CaError),
    /// `username` and `password`.
    #[error(
        "has a `username` or a `password`, which API servers have not taken since Kubernetes 1.19. {WHAT_ELSE}"
    )]
    Password,
    /// `auth-provider`.
    #[error(
        "logs in by the `auth-provider` {0}, and wi by none. {WHAT_ELSE}: `gcloud container clusters get-credentials`, kubelogin"
    )]
    AuthProvider(String),
    /// `tokenFile`, which nobody has allowed.
    #[error(
        "sends the content of the file {0} to the server. If that is meant: export {ALLOW_PLUGINS}=1"
    )]
    SendsFile(String),
    /// `exec`, which nobody has allowed.
    #[error("has the program `{0}` run. If it is one of yours, allow it: export {ALLOW_PLUGINS}=1")]
    Runs(String),
    /// `exec` of a form that is not known.
    #[error("{0}")]
    Plugin(String),
    /// Nothing to log in by.
    #[error("has neither token nor client certificate")]
    NoLogin,
    /// A client certificate alone.
    #[error("has a client certificate without its key")]
    WithoutKey,
    /// Impersonation of nobody.
    #[error("has `as-uid`, `as-groups` or `as-user-extra` without `as`")]
    ActsAsNobody,
    /// What no HTTP header can have in it.
    #[error("has an `{0}` that no header can carry")]
    NoHeader(&'static str),
}

fn it_has(there: &[String]) -> String {
    match there {
        [] => "it has none".to_owned(),
        names => format!("it has: {}", names.join(", ")),
    }
}
