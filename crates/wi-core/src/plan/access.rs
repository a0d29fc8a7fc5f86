//! Who gains and who loses what: derived from a plan's changes.

use super::Plan;
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
    /// Whatever it had: nobody can act as it any more.
    All {
        /// Deleted, or else disabled.
        deleted: bool,
    },
}

impl Right {
    /// `ROLE`, `ROLE (CONDITION)`, `the right to act as` or `everything:`.
    pub fn what(&self) -> String {
        let (what, condition) = match self {
            Self::Role {
                role, condition, ..
            } => (role.as_str(), condition),
            Self::ActAs { condition, .. } => ("the right to act as", condition),
            Self::All { .. } => return "everything:".to_owned(),
        };
        match condition {
            Some(condition) => format!("{what} ({})", condition.name()),
            None => what.to_owned(),
        }
    }

    /// `on RESOURCE`, the account that it acts as, or how it ends.
    pub fn on_what(&self) -> String {
        match self {
            Self::Role { on, .. } => format!("on {on}"),
            Self::ActAs { account, .. } => account.to_string(),
            Self::All { deleted: true } => "it is deleted".to_owned(),
            Self::All { deleted: false } => "it is disabled".to_owned(),
        }
    }
}

impl Plan {
    /// What its changes give and take: losses first, then by principal, right and resource.
    pub fn access(&self) -> Vec<AccessChange> {
        let mut rows: Vec<AccessChange> = self
            .changes
            .values()
            .filter_map(|change| {
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
