//! Thin typed clients of the Google Cloud APIs that `wi` uses, over the one HTTP layer.

pub mod assets;
pub mod buckets;
pub mod container;
mod datasets;
pub mod dns;
pub mod evidence;
pub mod iam;
pub mod keys;
pub mod logging;
pub mod policies;
mod policy_url;
pub mod projects;
pub mod restrictions;
pub mod services;
pub mod workload;

/// The most pages of one list: a hundred thousand accounts, twice as many projects.
const MOST_PAGES: usize = 1000;
