//! The API of one cluster, and how its state is written.

use std::fmt;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::super::faults::{BrokenTls, Verdict};
use super::super::issued::Claims;
use super::KubeCluster;
use super::status::Status;
use super::store::Store;

/// The API of one cluster. Clones share it.
#[derive(Clone)]
pub struct Api {
    pub cluster: KubeCluster,
    pub accept_token: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    pub on_change: Arc<dyn Fn() + Send + Sync>,
    pub judge: Judge,
    /// Whether the next TLS handshake goes wrong, and how.
    pub handshake: Arc<dyn Fn() -> Option<BrokenTls> + Send + Sync>,
    /// Is told of each request and its answer.
    pub on_call: OnCall,
    /// Makes a token of a service account.
    pub issue: Issue,
    /// How far the server's clock is ahead of this machine's.
    pub ahead: jiff::SignedDuration,
}

/// A token of these claims.
pub type Issue = Arc<dyn Fn(&Claims) -> String + Send + Sync>;

/// What the faults make of a request, `METHOD /path?query`.
pub type Judge = Arc<dyn Fn(&str) -> Verdict + Send + Sync>;

/// A request, its body, and the status of the answer.
pub type OnCall = Arc<dyn Fn(&Method, &http::Uri, &[u8], u16) + Send + Sync>;

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// Runs a write, and tells the owner when the state has changed.
pub(super) fn change<T>(
    api: &Api,
    dry_run: bool,
    write: impl FnOnce(&mut Store) -> Result<T, Status>,
) -> Result<T, Status> {
    let mut store = api.cluster.lock();
    let before = store.revision;
    let result = store.attempt(dry_run, write)?;
    let changed = store.revision != before;
    drop(store);
    if changed {
        (api.on_change)();
    }
    Ok(result)
}

/// A body as JSON.
///
/// # Errors
/// 400 for one that is none.
pub(super) fn decode(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("error decoding the body: {error}")))
}
