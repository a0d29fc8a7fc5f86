//! Off static keys: what it takes to run a workload without its key, and how far that has come.
//!
//! [`edit`] takes a key out of a pod template, whoever then makes the change; [`patch`] writes that down
//! for those who keep the template elsewhere; [`owners`] tells who does; [`templates`] decides what `wi` does with a
//! template itself, and [`rollout`] how, write by write, each of them a [`json_patch`]; [`state`] says how far an account
//! has come, from what is live and from nothing else; [`keys`] decides when a key may end, and a Secret;
//! [`shadow`] is a second Deployment beside one.

pub mod edit;
pub mod json_patch;
pub mod keys;
pub mod mark;
pub mod owners;
pub mod patch;
pub mod pieces;
pub mod rollout;
pub mod shadow;
pub mod state;
pub mod templates;
mod traps;
mod volumes;

pub use traps::Trap;

pub use crate::spec::migration::Accept;

/// A key of a Secret's data.
pub type DataKey = (String, String);
