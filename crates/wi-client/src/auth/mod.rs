//! Access tokens: where they come from, and how they are kept fresh.
//!
//! All of it is spoken on a client that follows no redirect and whose errors quote nothing that was
//! sent: see docs/threat-model.md.

mod adc;
mod error;
mod exec;
mod external_account;
mod gcloud;
mod impersonate;
mod metadata;
mod oauth;
mod service_account_key;
mod subprocess;
mod token_endpoint;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{Mutex, OnceCell};
use zeroize::Zeroizing;

pub use error::{AuthError, TokenError};
pub use exec::ExecPlugin;
pub(crate) use exec::nullable;

use crate::http::Secrets;
pub use adc::{universe_domain, well_known_file};

/// `cloud-platform` for the Google APIs; the email so that Kubernetes RBAC knows users by name.
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
];

/// A token is replaced so long before it ends, so that no call starts with one that is about to.
const SLACK: Duration = Duration::from_secs(240);

/// No token is believed to last longer, whatever its giver says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long a token from a file is used before the file is read again.
const FILE_FRESH: Duration = Duration::from_secs(60);

/// The project that calls are counted and billed to.
const QUOTA_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// A source of bearer tokens. Nothing that it holds is ever printed.
pub struct TokenSource {
    source: Source,
    quota_project: Option<String>,
    /// Held while a token is fetched: whoever comes meanwhile waits for the same one.
    cached: Mutex<Option<Cached>>,
}

enum Source {
    None,
    /// A token, and the variable that it is from.
    Fixed(Zeroizing<String>, Option<&'static str>),
    /// A token in a file, and the one to use while the file cannot be read.
    File(PathBuf, Option<String>),
    Exec(Box<ExecPlugin>),
    /// Found when the first token is needed.
    ApplicationDefault(OnceCell<Found>),
    Impersonated(Box<impersonate::Impersonated>),
}

/// Credentials that were found, and where.
#[derive(Debug)]
struct Found {
    credentials: Credentials,
    quota_project: Option<String>,
    /// For the user.
    place: String,
}

/// Credentials that can fetch tokens.
enum Credentials {
    User(oauth::User),
    Key(service_account_key::Key),
    Metadata(metadata::Server),
    External(Box<external_account::External>),
    Workforce(oauth::Workforce),
    Impersonated(Box<impersonate::Impersonated>),
    Gcloud,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// What authenticates a call. Not `Debug`: it is all secrets.
#[derive(Clone, Default)]
pub(crate) struct Login {
    /// Marked as sensitive.
    pub headers: HeaderMap,
    /// A client certificate and its key, PEM in one text, where a plugin gives one.
    pub certificate: Option<Arc<[u8]>>,
    /// What of the headers is to be seen in no answer.
    pub secrets: Arc<Secrets>,
}

impl Login {
    fn new(headers: HeaderMap, certificate: Option<Arc<[u8]>>) -> Self {
        Self {
            secrets: Arc::new(Secrets::in_headers(&headers)),
            headers,
            certificate,
        }
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.headers == other.headers && self.certificate == other.certificate
    }
}

struct Cached {
    login: Login,
    /// When it is to be replaced; `None`: not before it is refused.
    renew: Option<Instant>,
    /// When it ends.
    ends: Option<Instant>,
}

/// A token, and how long it lasts from now; `None` where that is not known.
struct Token {
    token: String,
    lasts: Option<Duration>,
}

/// Whose token it is, as far as the credentials themselves say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What kind of credentials they are.
    pub kind: String,
    /// Where they are from.
    pub place: String,
    /// The project that calls are counted on, if one is set.
    pub quota_project: Option<String>,
    /// Whether they are a service account key.
    pub is_key: bool,
    /// The service account that they are of, where they name it.
    pub account: Option<String>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::None => "TokenSource::none()",
            Source::Fixed(..) => "TokenSource::fixed([redacted])",
            Source::File { .. } => "TokenSource::file(…)",
            Source::Exec(_) => "TokenSource::exec(…)",
            Source::ApplicationDefault(_) => "TokenSource::application_default()",
            Source::Impersonated(_) => "TokenSource::impersonated(…)",
        })
    }
}

impl TokenSource {
    fn of(source: Source) -> Self {
        let variable = std::env::var("GOOGLE_CLOUD_QUOTA_PROJECT");
        Self {
            source,
            quota_project: variable.ok().filter(|v| !v.is_empty()),
            cached: Mutex::new(None),
        }
    }

    /// No token: the server knows its clients in another way.
    pub fn none() -> Self {
        Self {
            quota_project: None,
            ..Self::of(Source::None)
        }
    }

    /// This token, which nobody refreshes.
    pub fn fixed(token: String) -> Self {
        Self::of(Source::Fixed(Zeroizing::new(token), None))
    }

    /// A token of a workload's: no project of the caller's is counted on for it.
    pub(crate) fn workload(token: String) -> Self {
        Self {
            quota_project: None,
            ..Self::of(Source::Fixed(Zeroizing::new(token), None))
        }
    }

    /// The token in an environment variable, if it has one.
    pub fn of_variable(name: &'static str) -> Option<Self> {
        let token = std::env::var(name).ok().filter(|t| !t.is_empty())?;
        Some(Self::of(Source::Fixed(Zeroizing::new(token), Some(name))))
    }

    /// The token in a file that somebody else keeps fresh.
    pub fn file(path: PathBuf) -> Self {
        Self::of(Source::File(path, None))
    }

    /// The token of a kubeconfig, or the one in its file; as kubectl does it, the file wins where it
    /// can be read. No project of Google's is counted on for it.
    pub(crate) fn of_kubeconfig(token: Option<String>, file: Option<PathBuf>) -> Self {
        let source = match (token, file) {
            (token, Some(file)) => Source::File(file, token),
            (Some(token), None) => Source::Fixed(Zeroizing::new(token), None),
            (None, None) => Source::None,
        };
        Self {
            quota_project: None,
            ..Self::of(source)
        }
    }

    /// What a kubeconfig's plugin says.
    pub fn exec(plugin: ExecPlugin) -> Self {
        Self {
            quota_project: None,
            ..Self::of(Source::Exec(Box::new(plugin)))
        }
    }

    /// Application default credentials: the file in `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's
    /// well-known file, the metadata server, or gcloud's own login. Found when the first token is
    /// needed.
    pub fn application_default() -> Self {
        Self::of(Source::ApplicationDefault(OnceCell::new()))
    }

    /// Tokens of the last of these accounts, each of which may create tokens of the next; the first
    /// one's are created by `source`. `iam_credentials` is the API's base URL.
    pub fn impersonating(source: Self, chain: &[String], iam_credentials: &str) -> Self {
        let quota_project = source.quota_project.clone();
        let impersonated = impersonate::Impersonated::chain(source, chain, iam_credentials);
        Self {
            quota_project,
            ..Self::of(Source::Impersonated(Box::new(impersonated)))
        }
    }

    /// The headers of [`TokenSource::login`].
    pub(crate) async fn headers(&self) -> Result<HeaderMap, AuthError> {
        Ok(self.login(None).await?.headers)
    }

    /// What authenticates a call. `rejected` is what a server has just refused: another is fetched,
    /// unless somebody else has done so.
    ///
    /// The error is for the user, and quotes no secret.
    pub(crate) async fn login(&self, rejected: Option<&Login>) -> Result<Login, AuthError> {
        if matches!(self.source, Source::None) {
            return Ok(Login::default());
        }
        let mut cached = self.cached.lock().await;
        let now = Instant::now();
        if let Some(cached) = cached.as_ref()
            && rejected.is_none_or(|r| *r != cached.login)
            && cached.renew.is_none_or(|renew| now < renew)
        {
            return Ok(cached.login.clone());
        }
        match self.fetch().await {
            Ok((login, lasts)) => {
                let lasts = lasts.map(|l| l.min(LONGEST_LIFE));
                *cached = Some(Cached {
                    login: login.clone(),
                    // Metadata servers hand out tokens until shortly before their end.
                    renew: lasts.map(|l| now + l - SLACK.min(l / 4)),
                    ends: lasts.map(|l| now + l),
                });
                Ok(login)
            }
            Err(e) => match cached.as_ref() {
                // Still good for a while: the next call tries again.
                Some(cached) if rejected.is_none() && cached.ends.is_some_and(|end| now < end) => {
                    tracing::warn!("the access token could not be renewed yet: {e}");
                    Ok(cached.login.clone())
                }
                _ => Err(e),
            },
        }
    }

    /// A new login, and how long it lasts from now; `None` where that is not known.
    async fn fetch(&self) -> Result<(Login, Option<Duration>), AuthError> {
        if let Source::Exec(plugin) = &self.source {
            return plugin.login().await;
        }
        let token = self.fetch_token().await?;
        let headers = self.headers_of(&token.token)?;
        Ok((Login::new(headers, None), token.lasts))
    }

    async fn fetch_token(&self) -> Result<Token, AuthError> {
        match &self.source {
            Source::None | Source::Exec(_) => Err(AuthError::Unusable("there is no token")),
            Source::Fixed(token, _) => Ok(Token {
                token: token.to_string(),
                lasts: None,
            }),
            Source::File(path, otherwise) => {
                let token = match (std::fs::read_to_string(path), otherwise) {
                    (Ok(token), _) => token,
                    (Err(_), Some(token)) => token.clone(),
                    (Err(e), None) => {
                        let path = path.display();
                        let why = format!("cannot read the access token file {path}: {e}");
                        return Err(AuthError::Unreadable(why));
                    }
                };
                Ok(Token {
                    token: token.trim().to_owned(),
                    lasts: Some(FILE_FRESH),
                })
            }
            Source::ApplicationDefault(cell) => {
                let found = cell.get_or_try_init(adc::find).await?;
                let token = found.credentials.fetch().await;
                token.map_err(|why| match why {
                    AuthError::LoggedOut => adc::nowhere(", which has no active account"),
                    why => AuthError::Of {
                        kind: found.credentials.kind(),
                        place: found.place.clone(),
                        why: Box::new(why),
                    },
                })
            }
            Source::Impersonated(impersonated) => Box::pin(impersonated.fetch()).await,
        }
    }

    fn headers_of(&self, token: &str) -> Result<HeaderMap, AuthError> {
        let found = match &self.source {
            Source::ApplicationDefault(cell) => cell.get(),
            _ => None,
        };
        let quota = self.quota_project.as_deref();
        headers(token, quota.or_else(|| found?.quota_project.as_deref()))
    }

    /// What the credentials are, found first if need be.
    pub(crate) async fn identity(&self) -> Result<Identity, AuthError> {
        let plain = |kind: &str, place: String| Identity {
            kind: kind.to_owned(),
            place,
            quota_project: self.quota_project.clone(),
            is_key: false,
            account: None,
        };
        Ok(match &self.source {
            Source::None => plain("no token", String::new()),
            Source::Fixed(_, name) => plain("an access token", name.unwrap_or_default().to_owned()),
            Source::File(path, _) => plain("an access token", path.display().to_string()),
            Source::Exec(plugin) => plain("a kubeconfig's plugin", plugin.command.clone()),
            Source::ApplicationDefault(cell) => {
                let found = cell.get_or_try_init(adc::find).await?;
                let quota = self.quota_project.clone();
                Identity {
                    kind: found.credentials.kind().to_owned(),
                    place: found.place.clone(),
                    quota_project: quota.or_else(|| found.quota_project.clone()),
                    is_key: found.credentials.is_key(),
                    account: found.credentials.account(),
                }
            }
            Source::Impersonated(impersonated) => {
                let source = Box::pin(impersonated.source_identity()).await?;
                Identity {
                    kind: format!("{}, by {}", impersonated.target(), source.kind),
                    account: Some(impersonated.target().to_owned()),
                    quota_project: self.quota_project.clone(),
                    ..source
                }
            }
        })
    }
}

impl Credentials {
    fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user credentials",
            Self::Key(_) => "a service account key",
            Self::Metadata(_) => "the metadata server",
            Self::External(_) => "workload identity federation",
            Self::Workforce(_) => "workforce identity federation",
            Self::Impersonated(_) => "an impersonated service account",
            Self::Gcloud => "gcloud's own login",
        }
    }

    fn is_key(&self) -> bool {
        match self {
            Self::Key(_) => true,
            Self::Impersonated(i) => i.source_is_key(),
            _ => false,
        }
    }

    fn account(&self) -> Option<String> {
        match self {
            Self::Key(key) => Some(key.account().to_owned()),
            Self::Impersonated(i) => Some(i.target().to_owned()),
            _ => None,
        }
    }

    /// A token; the error is for the user.
    async fn fetch(&self) -> Result<Token, AuthError> {
        match self {
            Self::User(user) => user.fetch().await,
            Self::Key(key) => key.fetch().await,
            Self::Metadata(server) => server.fetch().await,
            Self::External(external) => external.fetch().await,
            Self::Workforce(workforce) => workforce.fetch().await,
            Self::Impersonated(impersonated) => Box::pin(impersonated.fetch()).await,
            Self::Gcloud => gcloud::fetch().await,
        }
    }
}

/// The headers that go with a call, marked as sensitive.
fn headers(token: &str, quota_project: Option<&str>) -> Result<HeaderMap, AuthError> {
    let mut headers = HeaderMap::from_iter([(AUTHORIZATION, bearer(token)?)]);
    if let Some(project) = quota_project {
        let value = HeaderValue::from_str(project)
            .map_err(|_| AuthError::Unusable("the quota project is not the id of a project"))?;
        headers.insert(QUOTA_PROJECT, value);
    }
    Ok(headers)
}

fn bearer(token: &str) -> Result<HeaderValue, AuthError> {
    if token.is_empty() {
        return Err(AuthError::Unusable("the access token is empty"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| AuthError::Unusable("the access token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}
