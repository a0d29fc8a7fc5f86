//! Who gains and who loses what: derived from a plan's changes.

use super::right::Right;
use super::{IdentityLoss, OtherAccount, Plan};
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

impl AccessChange {
    fn of_other(other: &OtherAccount) -> Self {
        Self {
            gains: other.loses.is_empty(),
            principal: Member::Ksa(other.identity.clone()),
            right: Right::OtherAccount(other.clone()),
            clusters: 0,
        }
    }
}

impl Plan {
    fn other_accounts(&self) -> impl Iterator<Item = &OtherAccount> {
        let others = self.other_accounts.iter();
        others.filter_map(|(address, other)| self.changes.contains_key(address).then_some(other))
    }

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
            .chain(self.other_accounts().map(AccessChange::of_other))
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
