//! Off static keys: what it takes to run a workload without its key, and how far that has come.
//!
//! [`edit`] takes a key out of a pod template, whoever then makes the change; [`patch`] writes that down
//! for those who keep the template elsewhere; [`owners`] tells who does; [`state`] says how far an account
//! has come, from what is live and from nothing else; [`keys`] decides when a key may end, and a Secret.

pub mod edit;
pub mod keys;
pub mod owners;
pub mod patch;
pub mod state;
mod traps;
mod volumes;

pub use traps::Trap;

pub use crate::spec::migration::Accept;

/// A key of a Secret's data.
pub type DataKey = (String, String);
