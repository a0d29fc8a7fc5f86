//! Why no HTTP client can be made.

/// For the user; quotes nothing that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The authorities that a variable of the environment names.
    #[error("the authorities in {file}, named by {variable}: {why}")]
    Authorities {
        /// The file.
        file: String,
        /// The variable.
        variable: &'static str,
        /// Of the system, or what is in the file instead.
        why: String,
    },
    /// The server's CA is not PEM.
    #[error("{0}")]
    Ca(String),
    /// The server's CA is empty.
    #[error("its CA holds no certificate")]
    NoCa,
    /// The library's error could quote what it could not read, a private key.
    #[error("the client certificate or its key cannot be read")]
    Identity,
    /// Certificate and key, or the client with them.
    #[error("the client certificate and its key do not fit each other, or cannot be used")]
    IdentityUnfit,
    /// A proxy's URL may hold a password.
    #[error("its proxy cannot be used")]
    Proxy,
    /// Whatever else the TLS library says.
    #[error("{0}")]
    Library(String),
}
