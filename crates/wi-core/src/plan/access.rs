//! Who gains and who loses what: derived from a plan's changes.

use std::collections::BTreeSet;

use super::{IdentityLoss, Plan};
use crate::names::{Condition, Email, Member, Role};
use crate::resource::Resource;

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

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// All that a role has on a resource.
    Role {
        /// The role.
        role: Role,
        /// The resource.
        on: Resource,
        /// While this holds.
        condition: Option<Condition>,
    },
    /// Whatever a Google service account may do.
    ActAs {
        /// The account.
        account: Email,
        /// While this holds.
        condition: Option<Condition>,
    },
    /// Whatever the Google service account may do that its annotation names in one cluster: nothing takes
    /// its place.
    Identity {
        /// The spec's name of the cluster.
        cluster: String,
        /// The account.
        account: Email,
        /// Whose pods act as it, or why that is not known.
        workloads: Result<BTreeSet<String>, String>,
    },
    /// Whatever it had: nobody can act as it any more.
    All {
        /// Deleted, or else disabled.
        deleted: bool,
    },
}

impl Right {
    /// `ROLE`, `ROLE (CONDITION)`, `the right to act as`, `its identity in cluster.NAME:` or `everything:`.
    pub fn what(&self) -> String {
        let (what, condition) = match self {
            Self::Role {
                role, condition, ..
            } => (role.as_str(), condition),
            Self::ActAs { condition, .. } => ("the right to act as", condition),
            Self::Identity { cluster, .. } => return format!("its identity in cluster.{cluster}:"),
            Self::All { .. } => return "everything:".to_owned(),
        };
        match condition {
            Some(condition) => format!("{what} ({})", condition.name()),
            None => what.to_owned(),
        }
    }

    /// `on RESOURCE`, the account that it acts as (and whose pods do), or how it ends.
    pub fn on_what(&self) -> String {
        match self {
            Self::Role { on, .. } => format!("on {on}"),
            Self::ActAs { account, .. } => account.to_string(),
            Self::Identity {
                account, workloads, ..
            } => match workloads {
                Ok(names) if names.is_empty() => format!("{account}, as which no pod acts now"),
                Ok(names) => {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    format!("{account}, as which these act: {}", names.join(", "))
                }
                Err(why) => format!("{account}; whose pods act as that could not be read: {why}"),
            },
            Self::All { deleted: true } => "it is deleted".to_owned(),
            Self::All { deleted: false } => "it is disabled".to_owned(),
        }
    }
}

impl AccessChange {
    fn of_loss(loss: &IdentityLoss) -> Self {
        let names = loss.workloads.iter();
        let names = names.map(|w| format!("{} {}/{}", w.kind, w.namespace, w.name));
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
