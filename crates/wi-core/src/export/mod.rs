//! What a spec asks for, in the words of other tools: nobody is locked in.
//!
//! Accounts, roles, rights to act as accounts, and Kubernetes service accounts. Clusters and node pools are not in it:
//! they are whoever's they were before.

mod config_connector;
mod hcl;
mod names;
mod terraform;

pub use config_connector::config_connector;
pub use terraform::terraform;

use std::collections::BTreeSet;

use crate::address::Address;
use crate::desired::Desired;
use crate::names::Member;

/// What Terraform is to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imports {
    /// All that the spec asks for, as if it was applied.
    Declared,
    /// That, but for what is not there yet.
    Existing(BTreeSet<Address>),
    /// Nothing.
    None,
}

impl Imports {
    fn has(&self, address: &Address) -> bool {
        match self {
            Self::Declared => true,
            Self::Existing(missing) => !missing.contains(address),
            Self::None => false,
        }
    }
}

/// Workload pools whose projects' numbers are in members.
pub fn pools_by_number(desired: &Desired) -> BTreeSet<String> {
    let pools = desired.bindings.keys().filter_map(|key| match &key.member {
        Member::Ksa(ksa) if !key.is_impersonation() => Some(ksa.pool.clone()),
        Member::Set(set) => Some(set.pool.clone()),
        _ => None,
    });
    pools.collect()
}

/// The project of a workload pool, as its name says.
fn project_of(pool: &str) -> &str {
    pool.strip_suffix(".svc.id.goog").unwrap_or(pool)
}
