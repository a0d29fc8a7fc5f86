//! What the server's tasks share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::calls::Call;
use super::faults::{self, Hold, Verdict};
use super::ids::ClusterKey;
use super::kube::Served;
use super::request::Request;
use super::state::State;
use super::timeline;

/// The state, and who is told when it changes.
pub struct Core {
    state: Mutex<State>,
    /// The bearer token that is accepted.
    pub token: String,
    /// The listeners of the clusters' Kubernetes APIs.
    served: Mutex<Vec<(ClusterKey, Served)>>,
    /// Wakes the task that moves operations on.
    pub moved: Notify,
    /// Wakes the task that writes the state file.
    pub changed: Notify,
    /// Wakes who waits for the sandbox to stand still.
    pub stood: Notify,
    /// What was answered otherwise than documented, where that is looked at.
    pub misfits: Option<Misfits>,
}

/// Answers that are not as the API documents them.
#[derive(Debug, Clone, Default)]
pub struct Misfits(Arc<Mutex<BTreeSet<String>>>);

impl Misfits {
    /// Each with its place, in the order of their texts.
    pub fn list(&self) -> Vec<String> {
        let misfits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        misfits.iter().cloned().collect()
    }

    fn check(&self, request: &Request, answer: &Value) {
        let found = match request.calls {
            Some(method) => method.misfits(answer),
            None => vec![format!(
                "{} {} is in no table of methods",
                request.method, request.path
            )],
        };
        let mut misfits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        misfits.extend(found);
    }
}

impl Core {
    /// Around a state.
    pub fn new(state: State, token: String) -> Self {
        Self {
            state: Mutex::new(state),
            token,
            served: Mutex::new(Vec::new()),
            moved: Notify::new(),
            changed: Notify::new(),
            stood: Notify::new(),
            misfits: None,
        }
    }

    /// What the faults make of a request, `METHOD /path?query`.
    pub fn judge(&self, request: &str) -> Verdict {
        let mut state = self.state();
        if let Some(goes_on) = &state.stands_still {
            return Verdict {
                hold: Some((Hold::Request, goes_on.clone())),
                ..Verdict::default()
            };
        }
        let mut faults = std::mem::take(&mut state.world.faults);
        let verdict = faults::judge(&mut faults, request, || {
            // From the write count and the request: the same run draws the same numbers.
            let drawn = super::ids::hash(&(state.next_revision(), request));
            f64::from(u16::try_from(drawn % 10_000).unwrap_or_default()) / 100.0
        });
        state.world.faults = faults;
        if let Some((_, goes_on)) = &verdict.hold {
            self.stand_still(&mut state, goes_on.clone());
        }
        verdict
    }

    fn stand_still(&self, state: &mut State, goes_on: CancellationToken) {
        timeline::advance(state);
        state.clock.stop();
        state.stands_still = Some(goes_on);
        self.stood.notify_waiters();
    }

    /// Looks whether an answer is as its API documents it, where somebody asks that.
    pub fn check(&self, request: &Request, answer: &Value) {
        if let Some(misfits) = &self.misfits {
            misfits.check(request, answer);
        }
    }

    /// Remembers a request and how it was answered.
    pub fn record(&self, call: &Call<'_>) {
        let mut state = self.state();
        state.calls.record(call);
        let enough = state.hold_after.is_some_and(|n| state.calls.writes() >= n);
        if enough && state.stands_still.is_none() {
            self.stand_still(&mut state, CancellationToken::new());
        }
    }

    /// Removes all faults: what was stuck or stood still goes on.
    pub fn heal(&self) {
        self.state().world.faults.clear();
        self.go_on();
    }

    /// Stands still no longer; other faults stay.
    pub fn go_on(&self) {
        let mut state = self.state();
        state.world.faults.retain(|fault| fault.hold.is_none());
        state.hold_after = None;
        if let Some(goes_on) = state.stands_still.take() {
            state.clock.go_on();
            goes_on.cancel();
        }
        self.moved.notify_one();
    }

    /// What time it is at the servers. Simulated time runs faster; this is what a client compares with its
    /// own clock.
    pub fn time(&self) -> jiff::Timestamp {
        let ahead = self.state().world.clock_ahead_seconds;
        jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead)
    }

    /// Ends the listeners of clusters that are gone.
    pub fn drop_served(&self) {
        let mut served = self.served();
        let state = self.state();
        served.retain(|(key, _)| state.kubes.contains_key(key));
    }

    /// All listeners, to be stopped.
    pub fn take_served(&self) -> Vec<Served> {
        self.served().drain(..).map(|(_, served)| served).collect()
    }

    /// The listeners. Whoever holds the state's lock, too, takes this one first.
    pub fn served(&self) -> MutexGuard<'_, Vec<(ClusterKey, Served)>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state. A request that panicked does not take the others down.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
