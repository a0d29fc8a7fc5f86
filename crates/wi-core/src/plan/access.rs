//! Who gains and who loses what: derived from a plan's changes.

use super::right::Right;
use super::{IdentityLoss, Plan};
use crate::names::Member;

/// A principal that gains or loses a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// Whether it gains.
    pub gains: bool,
    /// Who.
    pub principal: Member,
    /// What.
    pub right: Right,
    /// In how many clusters of the spec the principal is this same one; 0 where it does not apply.
    pub clusters: usize,
}

impl AccessChange {
    fn of_loss(loss: &IdentityLoss) -> Self {
        let names = loss.workloads.iter();
        let names = names.map(ToString::to_string);
        Self {
            gains: false,
            principal: Member::Ksa(loss.identity.clone()),
            right: Right::Identity {
                cluster: loss.cluster.clone(),
                account: loss.account.clone(),
                workloads: match &loss.unread {
                    None => Ok(names.collect()),
                    Some(why) => Err(why.clone()),
                },
            },
            clusters: 0,
        }
    }
}

impl Plan {
    /// What its changes give and take: losses first, then by principal, right and resource.
    pub fn access(&self) -> Vec<AccessChange> {
        let mut rows: Vec<AccessChange> = self
            .changes
            .iter()
            .filter(|(address, _)| !self.ended.contains(*address))
            .filter_map(|(_, change)| {
                let (gains, principal, right) = change.edit.access()?;
                let clusters = match &principal {
                    Member::Ksa(ksa) => self.sharing.get(&ksa.pool).copied().unwrap_or(0),
                    _ => 0,
                };
                Some(AccessChange {
                    gains,
                    principal,
                    right,
                    clusters,
                })
            })
            .chain(self.identity_losses().map(AccessChange::of_loss))
            .collect();
        rows.sort_by_cached_key(|a| {
            let right = &a.right;
            (
                a.gains,
                a.principal.to_string(),
                right.what(),
                right.on_what(),
            )
        });
        rows
    }
}
