//! Authorities of one's own, as companies have them whose proxies look into TLS.

use std::path::Path;

use reqwest::Certificate;

use super::ClientError;

/// Variables that name a bundle of certificates: of OpenSSL and most of what is linked to it, and of
/// gcloud (`core/custom_ca_certs_file`).
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"];

/// Lets a client trust them besides the system's, on every platform. The error is for the user.
pub(crate) fn with_own_authorities(
    mut builder: reqwest::ClientBuilder,
) -> Result<reqwest::ClientBuilder, ClientError> {
    for variable in VARIABLES {
        if let Some(path) = std::env::var_os(variable).filter(|p| !p.is_empty()) {
            let certificates = read(Path::new(&path)).map_err(|why| {
                let file = Path::new(&path).display().to_string();
                ClientError::Authorities {
                    file,
                    variable,
                    why,
                }
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
    }
    Ok(builder)
}

fn read(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).map_err(|e| e.to_string())?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|_| "not certificates in PEM".to_owned())?;
    if certificates.is_empty() {
        return Err("no certificate in PEM".to_owned());
    }
    Ok(certificates)
}
