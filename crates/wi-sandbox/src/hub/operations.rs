//! Long-running operations of fleets: done after a while, and then what they change is there.

use serde_json::{Value, json};

use super::fleet::{Change, Operation};
use super::show;
use crate::clock::{self, Millis};
use crate::errors::ApiError;
use crate::faults;
use crate::ids::hash;
use crate::oracle;
use crate::state::State;

/// Starts one and gives it as the API shows it.
///
/// # Errors
/// 409 while another one changes the same membership.
pub fn start(
    state: &mut State,
    host: &str,
    (location, membership): (&str, &str),
    change: Change,
) -> Result<Value, ApiError> {
    let now = state.clock.now();
    let id = hash(&(state.next_revision(), host, membership));
    let ends = now + i64::from(state.world.operation_seconds.membership) * 1000;
    let fleet = state.world.fleets.entry(host.to_owned()).or_default();
    let busy = fleet
        .operations
        .iter()
        .find(|op| !op.done && op.location == location && op.membership == membership);
    if let Some(op) = busy {
        return Err(ApiError::aborted(format!(
            "operation {} is already in progress on the resource",
            op.name
        )));
    }
    let operation = Operation {
        name: format!("operation-{now}-{:08x}-{:04x}-hub", id >> 32, id & 0xffff),
        location: location.to_owned(),
        membership: membership.to_owned(),
        change,
        start_time: clock::text(now),
        end_time: clock::text(ends),
        done: false,
        error: None,
    };
    fleet.operations.push(operation.clone());
    Ok(shown(state, host, &operation))
}

/// Answers `GET …/operations/NAME`.
pub fn get(state: &State, host: &str, location: &str, name: &str) -> Result<Value, ApiError> {
    let fleet = state.world.fleets.get(host);
    let mut all = fleet.into_iter().flat_map(|fleet| &fleet.operations);
    let found = all.find(|op| op.location == location && op.name == name);
    let found = found.ok_or_else(|| {
        let resource = format!("projects/{host}/locations/{location}/operations/{name}");
        ApiError::not_found(format!("Resource '{resource}' was not found"))
    })?;
    Ok(shown(state, host, found))
}

fn shown(state: &State, host: &str, op: &Operation) -> Value {
    let parent = format!("projects/{host}/locations/{}", op.location);
    let mut shown = json!({
        "name": format!("{parent}/operations/{}", op.name),
        "metadata": {
            "@type": "type.googleapis.com/google.cloud.gkehub.v1.OperationMetadata",
            "createTime": op.start_time,
            "target": format!("{parent}/memberships/{}", op.membership),
            "verb": op.change.verb(),
            "apiVersion": "v1",
        },
        "done": op.done,
    });
    if !op.done {
        return shown;
    }
    shown["metadata"]["endTime"] = op.end_time.clone().into();
    if let Some(error) = &op.error {
        shown["error"] = json!({"code": 13, "message": error});
        return shown;
    }
    let fleet = state.world.fleets.get(host);
    let mut all = fleet.into_iter().flat_map(|fleet| &fleet.memberships);
    let found = all.find(|m| m.location == op.location && m.name == op.membership);
    let mut response = match (&op.change, found) {
        (Change::Create(_) | Change::Issuer(_), Some(membership)) => {
            show::membership(state, host, membership)
        }
        _ => json!({}),
    };
    response["@type"] = match op.change {
        Change::Delete => "type.googleapis.com/google.protobuf.Empty",
        _ => "type.googleapis.com/google.cloud.gkehub.v1.Membership",
    }
    .into();
    shown["response"] = response;
    shown
}

/// When the next one is done.
pub fn next_due(state: &State) -> Option<Millis> {
    let all = state.world.fleets.values().flat_map(|f| &f.operations);
    let running = all.filter(|op| !op.done && !faults::is_stuck(&state.world.faults, &about(op)));
    running.filter_map(|op| clock::parse(&op.end_time)).min()
}

/// What faults compare with: `VERB memberships/NAME`.
fn about(op: &Operation) -> String {
    format!("{} memberships/{}", op.change.verb(), op.membership)
}

/// Does all that was due by a time.
pub fn advance_to(state: &mut State, now: Millis) {
    while let Some(due) = next_due(state).filter(|due| *due <= now) {
        let found = state.world.fleets.iter().find_map(|(host, fleet)| {
            let at = fleet.operations.iter().position(|op| {
                !op.done
                    && clock::parse(&op.end_time) == Some(due)
                    && !faults::is_stuck(&state.world.faults, &about(op))
            })?;
            Some((host.clone(), at))
        });
        let Some((host, at)) = found else { return };
        let op = state.world.fleets[&host].operations[at].clone();
        let error = faults::operation_error(&mut state.world.faults, &about(&op), true);
        let Some(fleet) = state.world.fleets.get_mut(&host) else {
            return;
        };
        fleet.operations[at].done = true;
        fleet.operations[at].error.clone_from(&error);
        let is_it = |name: &str, location: &str| name == op.membership && location == op.location;
        match (&op.change, error) {
            (_, Some(_)) => {}
            (Change::Create(new), None) => {
                let mut new = new.clone();
                new.unique_id = new.made_id(&host);
                new.create_time.clone_from(&op.end_time);
                new.update_time.clone_from(&op.end_time);
                fleet.memberships.push(new);
            }
            (Change::Issuer(issuer), None) => {
                let mut all = fleet.memberships.iter_mut();
                if let Some(m) = all.find(|m| is_it(&m.name, &m.location)) {
                    m.issuer.clone_from(issuer);
                    m.update_time.clone_from(&op.end_time);
                }
            }
            (Change::Delete, None) => fleet.memberships.retain(|m| !is_it(&m.name, &m.location)),
        }
        oracle::record(state, &format!("{} of {}", op.name, op.membership));
    }
}
