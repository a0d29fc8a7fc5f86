//! How long a server may be silent, and who is told meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wi_core::words::{duration, safe};

/// Silence of this share of the patience is told: of two minutes, after five seconds.
const TELL_AFTER: u32 = 24;

/// Of a server that has just been given up this share is left for the next call: others of a plan need
/// not wait as long again, and one that is back is seen.
const ONCE_SILENT: u32 = 24;

type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Where what the user should hear of while it happens goes. Cheap to clone.
#[derive(Clone, Default)]
pub struct Notices(Arc<Mutex<Option<Sink>>>);

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices(…)")
    }
}

impl Notices {
    /// To be told to this one, until another is set.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let notices = Self::default();
        notices.set(sink);
        notices
    }

    /// From now on told to this one.
    pub fn set(&self, sink: impl Fn(&str) + Send + Sync + 'static) {
        *locked(&self.0) = Some(Arc::new(sink));
    }

    /// Tells a line; it may have a server's words in it.
    pub fn say(&self, text: &str) {
        let sink = locked(&self.0).clone();
        match sink {
            Some(sink) => sink(text),
            None => tracing::warn!("{text}"),
        }
    }
}

/// What is known of the silence of all servers.
#[derive(Debug)]
pub(crate) struct Patience {
    /// How long one server may be silent to one call, its second tries included.
    pub whole: Duration,
    pub notices: Notices,
    /// What it is changed by, as the end of a sentence.
    changed_by: &'static str,
    /// Servers that were given up, until they answer.
    silent: Mutex<BTreeSet<String>>,
    /// When silence was last told, by server.
    told: Mutex<BTreeMap<String, Instant>>,
}

/// What happened while a call was waited for.
pub(crate) enum Waited<T> {
    Answered(T),
    /// The patience is used up.
    Silent,
}

impl Patience {
    pub fn new(whole: Duration, notices: Notices, changed_by: &'static str) -> Self {
        Self {
            whole,
            notices,
            changed_by,
            silent: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// How long this server may be silent to a call that begins now.
    pub fn with(&self, server: &str) -> Duration {
        match locked(&self.silent).contains(server) {
            true => self.whole / ONCE_SILENT,
            false => self.whole,
        }
    }

    /// It has answered, one way or another.
    pub fn has_answered(&self, server: &str) {
        locked(&self.silent).remove(server);
    }

    /// It is given up.
    pub fn gives_up(&self, server: &str) {
        locked(&self.silent).insert(server.to_owned());
    }

    /// Waits for a server at most so long, and tells what for. `silent`: how long it has been already.
    pub async fn wait<T>(
        &self,
        (server, call): (&str, &str),
        silent: Duration,
        left: Duration,
        answer: impl Future<Output = T>,
    ) -> Waited<T> {
        tokio::pin!(answer);
        let tell_after = self.whole / TELL_AFTER;
        let started = Instant::now();
        let mut next = tell_after;
        loop {
            let waited = started.elapsed();
            if waited >= left {
                return Waited::Silent;
            }
            tokio::select! {
                biased;
                answer = &mut answer => return Waited::Answered(answer),
                () = tokio::time::sleep(next.min(left).saturating_sub(waited)) => {}
            }
            let waited = started.elapsed();
            if waited >= next && waited < left {
                next += tell_after;
                let text = format!(
                    "Waiting for {}: no answer to {} for {}. wi gives up after {}{}.",
                    safe(server),
                    safe(call),
                    duration(silent + waited),
                    duration(self.whole),
                    self.changed_by
                );
                self.tell(server, &text);
            }
        }
    }

    /// A server answers that it wants to be called again later, and says when.
    pub fn asks_to_wait(&self, server: &str, pause: Duration, why: &str) {
        if pause >= self.whole / TELL_AFTER {
            let (server, pause) = (safe(server), duration(pause));
            self.tell(&server, &format!("{server} asks to wait {pause}: {why}"));
        }
    }

    /// Of each server at most once in a while, however many calls wait.
    fn tell(&self, server: &str, text: &str) {
        let now = Instant::now();
        let mut told = locked(&self.told);
        let lately = |at: &Instant| now.duration_since(*at) < self.whole / TELL_AFTER * 3;
        if told.get(server).is_some_and(lately) {
            return;
        }
        told.insert(server.to_owned(), now);
        drop(told);
        self.notices.say(text);
    }

    /// Why it is given up, for the user.
    pub fn why(&self, silent: Duration) -> String {
        format!("no answer for {}{}", duration(silent), self.changed_by)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // All are edited by one call each, so that a poisoned one is still right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
