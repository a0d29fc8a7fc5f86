//! What happens with simulated time: operations of GKE move on, and so do the controllers of clusters, in the order in
//! which they are due.

use super::apps;
use super::clock::Millis;
use super::gke::operations;
use super::hub::operations as memberships;
use super::ids::ClusterKey;
use super::requests;
use super::samples;
use super::state::State;

/// When the next thing happens. `all`: what comes by schedules, too, which never end.
pub fn next_due(state: &State, all: bool) -> Option<Millis> {
    let clusters = cluster_due(state, all, state.clock.now()).map(|(due, _)| due);
    let operations = operations::next_due(state);
    let fleets = memberships::next_due(state);
    [operations, clusters, fleets].into_iter().flatten().min()
}

/// The cluster whose controllers are due first; at once is `at`.
fn cluster_due(state: &State, all: bool, at: Millis) -> Option<(Millis, ClusterKey)> {
    let due = state.kubes.iter().filter_map(|(key, running)| {
        let due = running.kube.next_due(all)?;
        Some((if due == 0 { at } else { due }, key.clone()))
    });
    due.min()
}

/// Does all that was due by now. Says if anything happened.
pub fn advance(state: &mut State) -> bool {
    let now = state.clock.now();
    state.clock.look_back(now);
    requests::begin(state);
    let mut any = false;
    // What has been written is seen to now, and what comes of an event when that is.
    let mut at = now;
    loop {
        let operation = operations::next_due(state);
        let cluster = cluster_due(state, true, at);
        let of_cluster = cluster.as_ref().map(|(due, _)| *due);
        let fleet = memberships::next_due(state);
        let event = [operation, of_cluster, fleet].into_iter().flatten().min();
        let event = event.filter(|due| *due <= now);
        // The minutes before it are counted as things were.
        let minute = requests::next_minute(state).filter(|minute| *minute <= now);
        if let Some(minute) = minute.filter(|minute| event.is_none_or(|event| *minute < event)) {
            state.clock.look_back(minute);
            requests::count_minutes(state, minute, event.unwrap_or(now + 1));
            state.clock.look_back(now);
            at = minute;
            any = true;
            continue;
        }
        let Some(due) = event else {
            state.clock.look_forward();
            return any;
        };
        state.clock.look_back(due);
        at = due;
        match cluster {
            Some((first, key)) if first == due => reconcile(state, &key, due),
            _ if fleet == Some(due) => memberships::advance_to(state, due),
            _ => operations::advance_to(state, due),
        }
        state.clock.look_back(now);
        any = true;
    }
}

/// Lets so much time pass at once, with all that is due in it.
pub fn pass(state: &mut State, millis: Millis) {
    advance(state);
    state.clock.pass(millis);
    advance(state);
}

fn reconcile(state: &mut State, key: &ClusterKey, now: Millis) {
    let healths = requests::healths(state, key);
    if let Some(running) = state.kubes.get(key) {
        let kube = running.kube.clone();
        kube.reconcile(now, healths);
        for (order, id) in kube.take_orders() {
            let lives = id.is_some_and(|id| apps::has_key(state, &order.account, &id));
            if !lives && let Some(file) = apps::make_key(state, &order.account) {
                kube.deliver(&order, &file);
            }
        }
        samples::take(state, &format!("the controllers of {}", key.2));
    }
}
