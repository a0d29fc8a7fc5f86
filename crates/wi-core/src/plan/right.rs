//! What somebody may do, as a plan gives and takes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Workload;
use crate::names::{Condition, Email, KsaIdentity, Role};
use crate::resource::Resource;

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
    /// Whoever has this key of it acts as it.
    Key {
        /// The key's id.
        id: String,
        /// Whether it ends for good.
        deleted: bool,
    },
    /// What the identity of its pods in one cluster gives them, that is another one then.
    OtherAccount(OtherAccount),
    /// Whatever it had: nobody can act as it any more.
    All {
        /// Deleted, or else disabled.
        deleted: bool,
    },
    /// Whatever it has: it was disabled, and is not any more.
    Enabled,
}

/// A Kubernetes service account whose annotation comes to name another Google one, or comes, or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherAccount {
    /// As IAM knows it.
    pub identity: KsaIdentity,
    /// The spec's name of the cluster.
    pub cluster: String,
    /// As what it acts until then; `None`: as itself.
    pub before: Option<Email>,
    /// As what it acts then.
    pub after: Option<Email>,
    /// `ROLE on RESOURCE`: what its pods may do no more, of the policies that were read, and no other change says.
    pub loses: BTreeSet<String>,
    /// What they may do that they might not.
    pub gains: BTreeSet<String>,
    /// Whose pods act as that now, or why that is not known.
    pub workloads: Result<BTreeSet<Workload>, String>,
}

impl OtherAccount {
    /// From what to what, and whose pods.
    pub(super) fn in_words(&self) -> String {
        let name = |account: &Option<Email>| match account {
            Some(email) => email.to_string(),
            None => "itself".to_owned(),
        };
        let (before, after) = (name(&self.before), name(&self.after));
        let list = |roles: &BTreeSet<String>| {
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            roles.join(", ")
        };
        let pods = match &self.workloads {
            Ok(workloads) if workloads.is_empty() => "; no pod acts so now".to_owned(),
            Ok(workloads) => {
                let names: Vec<String> = workloads.iter().map(ToString::to_string).collect();
                format!(": {}", names.join(", "))
            }
            Err(why) => format!("; whose pods act so could not be read: {why}"),
        };
        match self.loses.is_empty() {
            true => format!(
                "{after} in place of {before}, with {}{pods}",
                list(&self.gains)
            ),
            false => format!(
                "{before}, with {}; it is {after} then{pods}",
                list(&self.loses)
            ),
        }
    }
}

impl Right {
    /// `ROLE`, `ROLE (CONDITION)`, `the right to act as`, `its identity in cluster.NAME:`, `everything:` and so on.
    pub fn what(&self) -> String {
        let (what, condition) = match self {
            Self::Role {
                role, condition, ..
            } => (role.as_str(), condition),
            Self::ActAs { condition, .. } => ("the right to act as", condition),
            Self::Identity { cluster, .. } => return format!("its identity in cluster.{cluster}:"),
            Self::Key { id, .. } => return format!("key {id}:"),
            Self::OtherAccount(OtherAccount { cluster, loses, .. }) => {
                let what = match loses.is_empty() {
                    true => "another account",
                    false => "its account",
                };
                return format!("{what} in cluster.{cluster}:");
            }
            Self::All { .. } => return "everything:".to_owned(),
            Self::Enabled => return "everything that it has:".to_owned(),
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
            Self::Key { deleted: true, .. } => {
                "whoever has it can never act as the account with it again".to_owned()
            }
            Self::Key { .. } => "with it whoever has it acts as the account".to_owned(),
            Self::OtherAccount(other) => other.in_words(),
            Self::Enabled => "it is enabled again".to_owned(),
            Self::All { deleted: true } => "it is deleted".to_owned(),
            Self::All { deleted: false } => "it is disabled".to_owned(),
        }
    }
}
