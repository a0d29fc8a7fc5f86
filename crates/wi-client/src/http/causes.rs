//! Why a call failed, in the words of all that caused it.

use rustls::CertificateError;

/// An error with all that caused it: reqwest's own text alone rarely says what went wrong.
pub(crate) fn causes(e: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(e);
    if next.is_none() {
        // Not with its URL: that of a credential source may hold a secret.
        let whole = e.to_string();
        text = whole
            .split(" for url (")
            .next()
            .unwrap_or_default()
            .to_owned();
    }
    while let Some(source) = next {
        let message = source.to_string();
        if !text.contains(&message) {
            text = if text.is_empty() {
                message
            } else {
                format!("{text}: {message}")
            };
        }
        next = source.source();
    }
    match of_certificate(e) {
        Some(CertificateError::UnknownIssuer) => {
            text = "the server's certificate is from an authority that is not trusted here (UnknownIssuer). Where a proxy looks into TLS, name its authorities by SSL_CERT_FILE".to_owned();
        }
        // Certificates are for a time, and most that are not good at this one are good.
        Some(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => text.push_str(". Is this machine's clock right?"),
        _ => {}
    }
    wi_core::words::safe(&text)
}

/// All that caused an error, errors within I/O errors too, which name none as their source.
fn chain(e: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first = std::error::Error::source(e);
    std::iter::successors(first, |error| {
        let within = error.downcast_ref::<std::io::Error>();
        let within = within.and_then(std::io::Error::get_ref);
        within.map_or_else(|| error.source(), |within| Some(within))
    })
}

fn of_certificate(e: &reqwest::Error) -> Option<&CertificateError> {
    chain(e).find_map(|error| match error.downcast_ref()? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    })
}

/// Whether a connection was made, and the server broke off or failed in the TLS handshake.
pub(super) fn is_of_tls(e: &reqwest::Error) -> bool {
    let breaks_off = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    let of_tls = |error: &(dyn std::error::Error + 'static)| {
        error.is::<rustls::Error>() || error.downcast_ref().is_some_and(breaks_off)
    };
    e.is_connect() && chain(e).any(of_tls)
}
