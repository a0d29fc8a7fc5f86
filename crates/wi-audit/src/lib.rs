//! What was read of a fleet in; over-privilege, drift and reach out. Values only: no network, no files, no clock.
//!
//! A [`World`] is what a spec asks for, and what was seen of what is there. Each file of [`rules`] is one rule: a
//! row that says what it reads and how it decides, and the function that does. [`reach`] says who can become whom.

#[cfg(test)]
mod fixture;
pub mod least;
mod out;
pub mod reach;
mod report;
mod rule;
pub mod rules;
mod world;

pub use out::{Out, Read};
pub use report::{Audit, audit};
pub use rule::Audited;
pub use rules::ALL;
pub use world::{Cluster, Drift, Live, NOT_READ, Stale, World, annotation};
