//! `:completeUpgrade` and `:rollback`: a node pool's update that soaks is ended, one that failed is taken back.

use serde_json::{Value, json};

use super::clusters::running;
use super::node_pools::find_mutable;
use super::operation::Change;
use super::operations;
use super::upgrade::Strategy;
use crate::clock;
use crate::errors::ApiError;
use crate::ids::ClusterKey;
use crate::state::State;
use crate::timeline;

/// Ends the soak of a blue-green update; an empty answer, as the API documents it.
///
/// # Errors
/// 400 `FAILED_PRECONDITION` where nothing soaks.
pub fn complete(state: &mut State, key: &ClusterKey, name: &str) -> Result<Value, ApiError> {
    let (_, pool) = find_mutable(state, key, name)?;
    let blue_green = pool.upgrade.strategy == Strategy::BlueGreen;
    let soaks = running(state, key)
        .filter(|op| blue_green && op.soaking && op.node_pool.as_deref() == Some(name))
        .map(|op| op.name.clone());
    let Some(soaks) = soaks else {
        return Err(ApiError::precondition(format!(
            "Node pool {name} has no blue-green upgrade in its soak phase that could be completed."
        )));
    };
    let now = clock::text(state.clock.now());
    let mut operations = state.world.operations.iter_mut();
    if let Some(op) = operations.find(|op| op.name == soaks) {
        op.next_at = Some(now);
    }
    timeline::advance(state);
    Ok(json!({}))
}

/// Recreates the nodes that an update which failed had changed, as the node pool has them; changes nothing where
/// there are none ("no changes if the last upgrade successfully completed").
///
/// # Errors
/// 400 while an operation holds the cluster.
pub fn roll_back(
    state: &mut State,
    key: &ClusterKey,
    name: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    find_mutable(state, key, name)?;
    operations::ensure_idle(state, key)?;
    let respects_budgets = body["respectPdb"] == true;
    let change = Change::Rollback { respects_budgets };
    Ok(operations::start(state, key, Some(name), change))
}
