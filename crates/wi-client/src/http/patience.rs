//! How long a server may be silent, and who is told meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wi_core::words::{duration, safe};

/// Silence of this share of the patience is told: of two minutes, after five seconds.
const TELL_AFTER: u32 = 24;

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
    /// How long servers that were given up may be silent to the next call, until they answer.
    silent: Mutex<BTreeMap<String, Duration>>,
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
        let allowed = locked(&self.silent).get(server).copied();
        allowed.unwrap_or(self.whole)
    }

    /// It has answered, one way or another.
    pub fn has_answered(&self, server: &str) {
        locked(&self.silent).remove(server);
    }

    /// It is given up by a call to which it was allowed to be silent for so long. The next one waits half as long, and
    /// so on: calls after each other wait less than twice the patience together, and one that a healthy server takes
    /// its time for is not given up because of another. (Of two minutes a minute is left, which is the longest that an
    /// API server takes for a request, its webhooks included.)
    pub fn gives_up(&self, server: &str, allowed: Duration) {
        let mut silent = locked(&self.silent);
        let next = silent.entry(server.to_owned()).or_insert(self.whole);
        *next = (*next).min(allowed / 2);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silence_leaves_a_slow_answer_its_time_and_many_take_twice_as_long_at_most() {
        let whole = Duration::from_secs(120);
        let patience = Patience::new(whole, Notices::default(), "");
        // Calls side by side are one silence.
        for _ in 0..50 {
            patience.gives_up("a", whole);
        }
        assert_eq!(patience.with("a"), whole / 2);
        assert_eq!(patience.with("b"), whole);
        let mut waited = whole;
        for _ in 0..100 {
            let allowed = patience.with("a");
            waited += allowed;
            patience.gives_up("a", allowed);
        }
        assert!(waited <= 2 * whole, "{waited:?}");
        patience.has_answered("a");
        assert_eq!(patience.with("a"), whole);
    }
}
