//! What is wrong with a cluster's own authority.

use crate::http::ClientError;

/// What is wrong with the certificate that vouches for a cluster's addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// As GKE sends it.
    #[error("the cluster's CA certificate is not base64: {0}")]
    NotBase64(base64::DecodeError),
    /// No client can be made that trusts it.
    #[error("the cluster's CA certificate cannot be used: {0}")]
    Unusable(ClientError),
}
