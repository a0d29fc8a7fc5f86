//! Watches: what changes of a kind, as it does.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use http::header;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use super::KubeCluster;
use super::kind::Kind;
use super::list::ListQuery;
use super::objects::Key;
use super::representation::Representation;
use super::selector::{self, Requirement};
use super::status::Status;
use super::store::Store;

/// As long as no `timeoutSeconds` says otherwise. The API server's `--min-request-timeout`.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// What one client watches.
#[derive(Debug)]
pub struct Watch {
    kind: Kind,
    namespace: Option<String>,
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
    form: Representation,
    /// What has been told.
    told: u64,
    /// Objects that are there already are told first.
    initial: bool,
}

impl Watch {
    /// # Errors
    /// 400 for selectors that cannot be read; 410 where `version` is older than what is remembered.
    pub fn begin(
        store: &Store,
        kind: Kind,
        query: &ListQuery,
        version: &str,
        form: Representation,
    ) -> Result<Self, Status> {
        let version = version.parse().unwrap_or(0);
        if version != 0 && version < store.changes.complete_from {
            let oldest = store.changes.complete_from;
            let why = format!("too old resource version: {version} ({oldest})");
            return Err(Status::new(410, "Expired", why));
        }
        Ok(Self {
            kind,
            namespace: query.namespace.clone(),
            labels: selector::by_labels(&query.label_selector)?,
            fields: selector::by_fields(kind, &query.field_selector)?,
            form,
            told: version,
            initial: version == 0,
        })
    }

    fn admits(&self, key: &Key, object: &Value) -> bool {
        let here = self.namespace.as_ref().is_none_or(|n| *n == key.namespace);
        key.kind == self.kind
            && here
            && self.labels.iter().all(|rule| rule.admits(object))
            && self.fields.iter().all(|rule| rule.admits(object))
    }

    /// What has happened since the last time.
    fn news(&mut self, store: &Store) -> Vec<Value> {
        let event = |what: &str, object: &Arc<Value>| {
            let shown = store.shown(self.kind, object);
            json!({ "type": what, "object": self.form.object(self.kind, &shown) })
        };
        let mut news = Vec::new();
        if self.initial {
            let there = store.of_kind(self.kind);
            let there = there.filter(|(key, object)| self.admits(key, object));
            news.extend(there.map(|(_, object)| event("ADDED", object)));
        } else {
            let later = store.changes.latest.iter();
            for change in later.filter(|change| change.revision > self.told) {
                let seen = |object: &Option<Arc<Value>>| {
                    let object = object.as_ref()?;
                    self.admits(&change.key, object).then(|| Arc::clone(object))
                };
                news.extend(match (seen(&change.before), seen(&change.after)) {
                    (None, Some(now)) => Some(event("ADDED", &now)),
                    (Some(_), Some(now)) => Some(event("MODIFIED", &now)),
                    (Some(was), None) => {
                        let mut was = was;
                        let version = change.revision.to_string();
                        Arc::make_mut(&mut was)["metadata"]["resourceVersion"] = json!(version);
                        Some(event("DELETED", &was))
                    }
                    (None, None) => None,
                });
            }
        }
        self.initial = false;
        self.told = store.revision;
        news
    }
}

/// The events, one a line, until the time is up or the server stops.
pub fn respond(
    cluster: KubeCluster,
    watch: Watch,
    timeout: Option<u64>,
    stop: CancellationToken,
) -> Response {
    let timeout = timeout.map_or(TIMEOUT, Duration::from_secs);
    let changes = cluster.changes();
    let ends = Box::pin(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(timeout) => {}
        }
    });
    let open = Open {
        cluster,
        watch,
        changes,
        ends,
    };
    let lines = stream::unfold(open, |mut open| async move {
        let lines = open.next().await?;
        Some((Ok::<_, std::convert::Infallible>(lines), open))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-cache, private")
        .body(Body::from_stream(lines))
        .expect("constant headers make a response")
}

struct Open {
    cluster: KubeCluster,
    watch: Watch,
    changes: Receiver<u64>,
    ends: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Open {
    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.changes.mark_unchanged();
            let news = self.watch.news(&self.cluster.lock());
            if !news.is_empty() {
                let lines = news.iter().map(|event| format!("{event}\n"));
                return Some(lines.collect::<String>().into());
            }
            tokio::select! {
                () = &mut self.ends => return None,
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }
}
