//! The one HTTP layer: tokens, TLS, retries, bounded concurrency, endpoints, traces.

mod ca_roots;
mod call;
mod causes;
mod client;
mod client_error;
mod clock;
mod endpoints;
mod error;
mod list;
mod patience;
mod quota;
mod request;
mod retry;
mod secrets;
mod server;
mod traffic;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

pub(crate) use ca_roots::with_own_authorities;
pub(crate) use causes::causes;
pub(crate) use client::{Redirects, Times, builder, read_body};
pub use client_error::ClientError;
pub(crate) use clock::server_time;
pub use endpoints::{EndpointError, Endpoints};
pub(crate) use endpoints::{checked, is_loopback};
pub use error::{ApiError, Cause, ErrorKind, Hint, seen};
pub(crate) use list::ListBudget;
pub use patience::Notices;
pub(crate) use patience::{Patience, Waited};
pub(crate) use request::Request;
pub use retry::Retry;
pub(crate) use retry::pauses;
pub(crate) use secrets::Secrets;
pub(crate) use server::{CertifiedAs, Server};
pub use traffic::Traffic;
pub use wi_core::api::Api;

use crate::auth::{AuthError, TokenSource};
use crate::files::{self, Unread};

/// What a client is made of.
#[derive(Debug)]
pub struct HttpOptions {
    /// Where the Google APIs are.
    pub endpoints: Endpoints,
    /// Where tokens come from.
    pub token: TokenSource,
    /// Calls at the same time.
    pub parallelism: usize,
    /// How long one try of a call may take, its body included.
    pub timeout: Duration,
    /// How long a server may be silent to a call, its second tries included.
    pub patience: Duration,
    /// Who is told of what is waited for.
    pub notices: Notices,
    /// The largest answer that is read, in bytes.
    pub largest_body: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::default(),
            token: TokenSource::application_default(),
            parallelism: 32,
            timeout: Duration::from_secs(90),
            patience: Duration::from_secs(120),
            notices: Notices::default(),
            largest_body: 256 << 20,
        }
    }
}

/// A client of all APIs: it shares connections, tokens and limits. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    shared: Arc<Shared>,
    clients: Arc<server::Clients>,
    token: Arc<TokenSource>,
    /// What it calls itself, where that is not just `wi` and its version.
    agent: Option<Arc<str>>,
}

struct Shared {
    buckets: quota::Buckets,
    clock: clock::Comparison,
    endpoints: Endpoints,
    permits: Semaphore,
    times: Times,
    patience: Patience,
    traffic: Traffic,
    largest_body: usize,
    /// Clients of other servers than Google's, for as long as the session lasts.
    servers: server::Pool,
    /// Of servers that Google's token is not meant for.
    tokens: Mutex<BTreeMap<String, Arc<TokenSource>>>,
    /// Files that say where servers are, as they were when they were first read.
    files: Mutex<BTreeMap<PathBuf, Arc<[u8]>>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("endpoints", &self.shared.endpoints)
            .finish_non_exhaustive()
    }
}

impl Http {
    /// A client that trusts the system's certificate authorities.
    pub fn new(options: HttpOptions) -> Result<Self, ClientError> {
        let times = Times {
            whole: options.timeout,
            // A call whose answer is lost on the way has time for a second try.
            quiet: options.patience / 2,
        };
        let clients = server::Clients::of(Server::default(), times)?;
        Ok(Self {
            shared: Arc::new(Shared {
                buckets: quota::Buckets::new(options.endpoints.base(Api::Iam)),
                clock: clock::Comparison::default(),
                endpoints: options.endpoints,
                permits: Semaphore::new(options.parallelism.max(1)),
                times,
                patience: Patience::new(options.patience, options.notices, " (--request-timeout)"),
                traffic: Traffic::default(),
                largest_body: options.largest_body,
                servers: server::Pool::default(),
                tokens: Mutex::default(),
                files: Mutex::default(),
            }),
            clients: Arc::new(clients),
            token: Arc::new(options.token),
            agent: None,
        })
    }

    /// The same client for a server that only this CA vouches for.
    pub(crate) fn trusting_only(&self, ca_pem: &[u8]) -> Result<Self, ClientError> {
        self.for_server(Server {
            ca: Some(ca_pem.to_owned()),
            ..Server::default()
        })
    }

    /// The same client for another server, whose connections all share who reach it in the same way. The
    /// error is for the user, and quotes no key.
    pub(crate) fn for_server(&self, server: Server) -> Result<Self, ClientError> {
        Ok(Self {
            shared: Arc::clone(&self.shared),
            clients: self.shared.servers.clients(server, self.shared.times)?,
            token: Arc::clone(&self.token),
            agent: self.agent.clone(),
        })
    }

    /// The same client, whose calls say what they are for: `wi/VERSION (what)`, as audit logs show it.
    pub fn calling_for(&self, what: &str) -> Self {
        let agent = format!("wi/{} ({what})", env!("CARGO_PKG_VERSION"));
        Self {
            agent: Some(agent.into()),
            ..self.clone()
        }
    }

    /// The same client with another token: for a server that Google's is not meant for.
    pub(crate) fn with_token(mut self, token: TokenSource) -> Self {
        self.token = Arc::new(token);
        self
    }

    /// The same client with a token that all who give this key share.
    pub(crate) fn sharing_token(mut self, key: String, make: impl FnOnce() -> TokenSource) -> Self {
        let mut tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let token = tokens.entry(key).or_insert_with(|| Arc::new(make()));
        let token = Arc::clone(token);
        drop(tokens);
        self.token = token;
        self
    }

    /// A file of at most `most` bytes, which is read once in a session: later changes are not seen.
    pub(crate) fn file(&self, path: &Path, most: u64) -> Result<Arc<[u8]>, Unread> {
        let mut files = self
            .shared
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = files.get(path) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = files::read(path, most)?.into();
        files.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// What the credentials are, as far as they say themselves.
    pub async fn identity(&self) -> Result<crate::auth::Identity, AuthError> {
        self.token.identity().await
    }

    /// Who is told of what is waited for.
    pub fn notices(&self) -> &Notices {
        &self.shared.patience.notices
    }

    /// Which calls are under way.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// Gets a token, if there is none yet.
    pub async fn sign_in(&self) -> Result<(), AuthError> {
        self.token.headers().await.map(drop)
    }

    /// The access token, for the one question that is about it.
    pub(crate) async fn access_token(&self) -> Option<String> {
        let headers = self.token.headers().await.ok()?;
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        value.strip_prefix("Bearer ").map(str::to_owned)
    }

    /// A URL of a Google API.
    pub(crate) fn url(&self, api: Api, path: &str) -> String {
        format!("{}{path}", self.shared.endpoints.base(api))
    }

    /// A URL of a Google API in a location.
    pub(crate) fn regional_url(&self, api: Api, location: &str, path: &str) -> String {
        format!("{}{path}", self.shared.endpoints.regional(api, location))
    }

    /// How far this machine's clock is ahead of the servers'; `None` before one has said what time it
    /// is.
    pub fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        self.shared.clock.ahead()
    }

    /// The base URL of a Google API whose host begins with the location.
    pub(crate) fn located_base(&self, api: Api, location: &str) -> String {
        self.shared.endpoints.located(api, location)
    }
}
