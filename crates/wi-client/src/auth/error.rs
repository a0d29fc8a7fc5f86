//! Why there is no login.

/// Why there is no login: for the user, and without any secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// The environment offers no credentials.
    #[error("{0}")]
    Nowhere(String),
    /// gcloud is there, and nobody is logged in.
    #[error("gcloud has no active account")]
    LoggedOut,
    /// A file of credentials, or what it names, cannot be read or is not what it has to be.
    #[error("{0}")]
    Unreadable(String),
    /// The credentials have a program run, which nobody has allowed.
    #[error("{0}")]
    NotAllowed(String),
    /// A program that hands out credentials gave none, or cannot be run by `wi`.
    #[error("{0}")]
    Program(String),
    /// A token endpoint gave no token.
    #[error(transparent)]
    Endpoint(#[from] TokenError),
    /// What was found is nothing that can be sent.
    #[error("{0}")]
    Unusable(&'static str),
    /// One of these, with whose credentials they are and from where.
    #[error("{kind} ({place}): {why}")]
    Of {
        /// Such as `a service account key`.
        kind: &'static str,
        /// A file, or what names it.
        place: String,
        /// What went wrong.
        why: Box<AuthError>,
    },
}

/// Why a token endpoint gave no token.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TokenError {
    /// HTTP status; 0 if no answer came.
    pub status: u16,
    /// `error` of OAuth (`invalid_grant`), or `error.status` of Google; empty where nothing of that came.
    pub code: String,
    /// For the user.
    pub message: String,
}

impl TokenError {
    /// With what to do about it, where it is one of these.
    pub(super) fn hint(mut self, codes: &[&str], what_to_do: &str) -> Self {
        if codes.contains(&self.code.as_str()) {
            self.message = format!("{}. {what_to_do}", self.message.trim_end_matches('.'));
        }
        self
    }
}
