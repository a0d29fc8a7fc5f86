//! A clock for one client in this process. It stands still while anything happens, and moves on by a second at a time
//! while the client waits for nothing but silent servers and its own pauses: what takes two minutes takes none, and
//! how busy the machine is makes no difference.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a client, which has to be made in there, on a thread and a clock of its own. `is_silent`: whether a call, as
/// `METHOD URL`, gets a beginning of an answer and never its end.
pub async fn simulated<T, F>(
    is_silent: impl Fn(&str) -> bool + Send + 'static,
    client: impl FnOnce() -> F + Send + 'static,
) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let on_its_thread = move || {
        let calls = Arc::new(Calls::default());
        let _of_this_thread = tracing::subscriber::set_default(Watch(Arc::clone(&calls)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            // While something blocks, tokio does not move a paused clock by itself.
            let (ended, end) = std::sync::mpsc::channel::<()>();
            let blocks = tokio::task::spawn_blocking(move || end.recv());
            let mut client = pin!(client());
            let result = loop {
                tokio::select! {
                    biased;
                    result = client.as_mut() => break result,
                    () = calls.are_all_silent(&is_silent) => tokio::time::advance(SECOND).await,
                }
            };
            drop(ended);
            let _ = blocks.await;
            result
        })
    };
    let result = tokio::task::spawn_blocking(on_its_thread).await;
    result.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
}

/// The calls that are under way.
#[derive(Debug, Default)]
struct Calls {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    made: u64,
    under_way: BTreeMap<u64, Call>,
}

#[derive(Debug, Default)]
struct Call {
    handles: usize,
    method: String,
    url: String,
    is_being_answered: bool,
}

impl Calls {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn are_all_silent(&self, is_silent: &impl Fn(&str) -> bool) {
        loop {
            let changed = self.changed.notified();
            let waits_in_vain = |call: &Call| {
                call.is_being_answered && is_silent(&format!("{} {}", call.method, call.url))
            };
            if self.known().under_way.values().all(waits_in_vain) {
                return;
            }
            changed.await;
        }
    }
}

/// Is told of the client's calls by its spans.
struct Watch(Arc<Calls>);

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "wi_client::http::call"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut call = Call {
            handles: 1,
            ..Call::default()
        };
        attributes.record(&mut call);
        let mut known = self.0.known();
        known.made += 1;
        let id = known.made;
        known.under_way.insert(id, call);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    /// Within its span a call tells one thing: that its answer begins.
    fn event(&self, event: &Event<'_>) {
        let Some(id) = event.parent() else { return };
        if let Some(call) = self.0.known().under_way.get_mut(&id.into_u64()) {
            call.is_being_answered = true;
        }
        self.0.changed.notify_one();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(call) = self.0.known().under_way.get_mut(&id.into_u64()) {
            call.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut known = self.0.known();
        let Some(call) = known.under_way.get_mut(&id.into_u64()) else {
            return false;
        };
        call.handles -= 1;
        let is_over = call.handles == 0;
        if is_over {
            known.under_way.remove(&id.into_u64());
            self.0.changed.notify_one();
        }
        is_over
    }
}

impl Visit for Call {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "method" => value.clone_into(&mut self.method),
            "url" => value.clone_into(&mut self.url),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
