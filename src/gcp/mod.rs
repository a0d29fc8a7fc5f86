//! Thin typed clients of the Google Cloud APIs that `wi` uses, over the one HTTP layer.

pub mod container;
pub mod iam;
pub mod policies;
pub mod projects;
