//! The pod in which this program runs, if it runs in one.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::files;

/// Where Kubernetes mounts the token of a pod's service account.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// No token is longer, in bytes.
const LONGEST: u64 = 64 << 10;

/// Namespace and name of the service account whose token is in a directory such as [`SERVICE_ACCOUNT`]; `None`
/// where there is none. Just the subject is read: the token is neither checked nor kept.
pub fn service_account_in(directory: &Path) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let token = files::read(&directory.join("token"), LONGEST).ok()?;
    let token = String::from_utf8(token).ok()?;
    let claims = token.trim().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let subject = claims.sub.strip_prefix("system:serviceaccount:")?;
    let (namespace, name) = subject.split_once(':')?;
    Some((namespace.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_account_is_the_subject_of_the_pods_token() {
        let place = tempfile::tempdir().expect("a directory");
        assert_eq!(service_account_in(place.path()), None);
        for (payload, own) in [
            (
                r#"{"iss":"x","sub":"system:serviceaccount:ci:deployer"}"#,
                Some(("ci", "deployer")),
            ),
            (r#"{"sub":"somebody"}"#, None),
            ("no JSON", None),
        ] {
            let token = format!("e30.{}.sig\n", URL_SAFE_NO_PAD.encode(payload));
            std::fs::write(place.path().join("token"), token).expect("a token");
            let own = own.map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(service_account_in(place.path()), own, "{payload}");
        }
    }
}
