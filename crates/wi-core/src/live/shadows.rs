//! Shadows that `wi` has made.

use jiff::Timestamp;

use super::templates::Whole;

/// A Deployment that stands beside another one, by its annotation.
#[derive(Debug, Clone)]
pub struct ShadowSeen {
    /// The spec's name of its cluster.
    pub cluster: String,
    /// The object.
    pub object: Whole,
    /// Its pods, or why they could not be read.
    pub pods: Result<Vec<Whole>, String>,
    /// When that was, by the servers' clock.
    pub now: Timestamp,
}
