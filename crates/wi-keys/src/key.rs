//! What a credential is called. Nothing here is secret.

use std::fmt;

/// What kind of credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The private key of a service account, whole or cut down.
    ServiceAccountKey,
    /// An RSA private key without anything beside it that says whose it is.
    PrivateKey,
    /// A PKCS#12 file, which is not opened.
    Pkcs12,
    /// A person's login: a refresh token (`authorized_user`).
    UserCredentials,
    /// A key of Google Distributed Cloud (`gdch_service_account`).
    DistributedCloudKey,
    /// An HMAC key of Cloud Storage.
    HmacKey,
    /// An API key.
    ApiKey,
    /// The secret of an OAuth client.
    ClientSecret,
}

/// The names of a credential.
///
/// Two of them are the same one if they have the same digest of their public half; those that have no
/// public half go by their kind and [`Key::name`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What kind of credential it is.
    pub kind: Kind,
    /// The account's email, as what stands beside the key says.
    pub email: Option<String>,
    /// The id of the key (8 to 64 hex digits), as what stands beside it says. It can be wrong.
    pub id: Option<String>,
    /// `sha256:` and hex digits, of the SubjectPublicKeyInfo that belongs to the private key.
    pub public_key: Option<String>,
    /// The project, as what stands beside the key says.
    pub project: Option<String>,
    /// The id of an OAuth client or of a service account (a number).
    pub client_id: Option<String>,
    /// An HMAC key's access id; the first and last four characters of an API key.
    pub hint: Option<String>,
}

impl Key {
    pub(crate) fn of(kind: Kind) -> Self {
        Self {
            kind,
            email: None,
            id: None,
            public_key: None,
            project: None,
            client_id: None,
            hint: None,
        }
    }

    /// Its name for people: `EMAIL/ID`, as much of it as is known, or a digest.
    pub fn name(&self) -> String {
        let or = |name: &Option<String>, other: &str| name.as_deref().unwrap_or(other).to_owned();
        match self.kind {
            Kind::ServiceAccountKey | Kind::PrivateKey | Kind::DistributedCloudKey => {
                match (&self.email, &self.id) {
                    (Some(email), Some(id)) => format!("{email}/{id}"),
                    (Some(email), None) => format!("{email}/{}", or(&self.public_key, "?")),
                    (None, Some(id)) => id.clone(),
                    (None, None) => or(&self.public_key, "a key of Distributed Cloud"),
                }
            }
            Kind::Pkcs12 => "a PKCS#12 file".to_owned(),
            Kind::UserCredentials => match &self.email {
                Some(email) => email.clone(),
                None => format!("OAuth client {}", or(&self.client_id, "not told")),
            },
            Kind::HmacKey | Kind::ApiKey | Kind::ClientSecret => or(&self.hint, "?"),
        }
    }
}

/// A spelling that was undone on the way to a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Base64 of either alphabet.
    Base64,
    /// gzip.
    Gzip,
    /// A string in JSON, YAML or a shell.
    Escaped,
    /// Percent-encoding.
    Percent,
    /// UTF-16.
    Utf16,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "base64",
            Self::Gzip => "gzip",
            Self::Escaped => "escaped",
            Self::Percent => "percent-encoded",
            Self::Utf16 => "UTF-16",
        })
    }
}

/// A credential at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where it begins in the bytes that were scanned.
    pub offset: usize,
    /// Which it is.
    pub key: Key,
    /// The spellings that it is in, the outermost first.
    pub layers: Vec<Layer>,
    /// Whether it is the password of a login at an image registry.
    pub is_registry_login: bool,
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Ordered by their offsets.
    pub found: Vec<Found>,
    /// Whether something was too deep, too large or too much to be looked at.
    pub is_partial: bool,
}
