//! Before a node pool is moved, it is looked at again who is on it and what they have: hours may have passed
//! since the plan was made, and others are at work.

use wi_client::http::Http;
use wi_core::address::Address;
use wi_core::desired::Desired;
use wi_core::plan::{self, Change, Edit, HoldReason, Options, Plan};

use crate::engine::read;

/// What it takes to look again.
#[derive(Debug)]
pub(super) struct Recheck {
    /// Of the spec what is on the clusters whose node pools move.
    desired: Desired,
    options: Options,
}

impl Recheck {
    pub(super) fn of(plan: &Plan, desired: &Desired, options: &Options) -> Self {
        let moves = |change: &Change| matches!(change.edit, Edit::NodePool(_));
        Self {
            desired: plan::touched(desired, &only(plan, |_, change| moves(change))).desired,
            options: options.clone(),
        }
    }

    /// # Errors
    /// Who would silently lose the node's identity now, or why that is not known.
    pub(super) async fn node_pool(
        &self,
        http: &Http,
        plan: &Plan,
        address: &Address,
        now: jiff::Timestamp,
    ) -> Result<(), String> {
        if self.options.accept_loss {
            return Ok(());
        }
        let part = plan::touched(&self.desired, &only(plan, |a, _| a == address));
        let live = read::read(http, &part.reads).await;
        let options = Options {
            now: Some(now),
            ..self.options.clone()
        };
        let fresh = plan::plan(&part.desired, &live, &options);
        let mut held = fresh.held_back.iter().filter(|h| h.address == *address);
        match held.next().map(|h| &h.why) {
            Some(HoldReason::Loss) => {
                let impact = fresh.impact.get(address);
                let losers = impact.iter().flat_map(|i| i.losers());
                let names: Vec<String> = losers.map(ToString::to_string).collect();
                Err(format!(
                    "it is not moved: since it was planned, there are workloads on it that would silently lose the node's identity: {}. Plan again",
                    names.join(", ")
                ))
            }
            Some(HoldReason::Unread | HoldReason::RestsOn(_)) => {
                let unseen = fresh.unseen.iter();
                let unseen: Vec<String> =
                    unseen.map(|u| format!("{}: {}", u.what, u.why)).collect();
                Err(format!(
                    "it is not moved: whether workloads on it would lose the node's identity now could not be read again ({})",
                    unseen.join("; ")
                ))
            }
            // What GKE takes, and when, is seen as it is written.
            _ => Ok(()),
        }
    }
}

/// A plan of these changes alone.
fn only(plan: &Plan, keep: impl Fn(&Address, &Change) -> bool) -> Plan {
    let changes = plan.changes.iter().filter(|(a, c)| keep(a, c));
    Plan {
        changes: changes.map(|(a, c)| (a.clone(), c.clone())).collect(),
        ..Plan::default()
    }
}
