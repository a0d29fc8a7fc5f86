//! Where access tokens come from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use google_cloud_auth::credentials::{Builder, CacheableResource, Credentials};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use tokio::sync::OnceCell;

/// `cloud-platform` for the Google APIs; the email so that Kubernetes RBAC knows users by name.
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
];

/// How long a token from a file is used before the file is read again.
const FILE_FRESH: Duration = Duration::from_secs(60);

/// A source of bearer tokens. Nothing that it holds is ever printed.
pub struct TokenSource(Source);

enum Source {
    None,
    Fixed(String),
    File {
        path: PathBuf,
        read: Mutex<Option<(String, Instant)>>,
    },
    ApplicationDefault(OnceCell<Credentials>),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::None => "TokenSource::none()",
            Source::Fixed(_) => "TokenSource::fixed([redacted])",
            Source::File { .. } => "TokenSource::file(…)",
            Source::ApplicationDefault(_) => "TokenSource::application_default()",
        })
    }
}

impl TokenSource {
    /// No token: the server knows its clients in another way.
    pub fn none() -> Self {
        Self(Source::None)
    }

    /// This token, which nobody refreshes.
    pub fn fixed(token: String) -> Self {
        Self(Source::Fixed(token))
    }

    /// The token in a file that somebody else keeps fresh.
    pub fn file(path: PathBuf) -> Self {
        Self(Source::File {
            path,
            read: Mutex::new(None),
        })
    }

    /// Application default credentials: the file in `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's
    /// well-known file, or the metadata server. Found when the first token is needed.
    pub fn application_default() -> Self {
        Self(Source::ApplicationDefault(OnceCell::new()))
    }

    /// The headers that authenticate a call, marked as sensitive. `fresh` distrusts what is cached.
    pub(crate) async fn headers(&self, fresh: bool) -> Result<HeaderMap, String> {
        match &self.0 {
            Source::None => Ok(HeaderMap::new()),
            Source::Fixed(token) => bearer(token),
            Source::File { path, read } => {
                let mut read = read
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let usable = read
                    .as_ref()
                    .filter(|(_, at)| !fresh && at.elapsed() < FILE_FRESH);
                if let Some((token, _)) = usable {
                    return bearer(token);
                }
                let token = std::fs::read_to_string(path).map_err(|e| {
                    format!("cannot read the access token file {}: {e}", path.display())
                })?;
                let headers = bearer(token.trim())?;
                *read = Some((token.trim().to_owned(), Instant::now()));
                Ok(headers)
            }
            Source::ApplicationDefault(cell) => {
                let credentials = cell
                    .get_or_try_init(async || {
                        Builder::default()
                            .with_scopes(SCOPES)
                            .build()
                            .map_err(|e| no_credentials(&e))
                    })
                    .await?;
                match credentials.headers(http::Extensions::new()).await {
                    Ok(CacheableResource::New { data, .. }) => Ok(data),
                    Ok(CacheableResource::NotModified) => {
                        Err("the credentials gave no token".to_owned())
                    }
                    Err(e) => Err(no_credentials(&e)),
                }
            }
        }
    }
}

fn no_credentials(e: &dyn std::error::Error) -> String {
    let mut why = e.to_string();
    let mut source = e.source();
    while let Some(inner) = source {
        why = format!("{why}: {inner}");
        source = inner.source();
    }
    format!(
        "no usable credentials: {why}. Run `gcloud auth application-default login`, or see docs/real-projects.md"
    )
}

fn bearer(token: &str) -> Result<HeaderMap, String> {
    if token.is_empty() {
        return Err("the access token is empty".to_owned());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "the access token has characters that no token has".to_owned())?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}
