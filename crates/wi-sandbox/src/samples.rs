//! What both oracles are asked after each mutation.

use super::oracle;
use super::requests;
use super::state::State;

/// Takes samples of all pods' access from now on, starting with how it is now.
pub fn start_access(state: &mut State) {
    state.recorder.samples = Some(Vec::new());
    take(state, "start");
}

/// Takes samples after something has happened, where anybody wants them.
pub fn take(state: &mut State, after: &str) {
    requests::record(state, after);
    oracle::record(state, after);
}
