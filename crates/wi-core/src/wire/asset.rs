//! What Cloud Asset answers.

use serde::Deserialize;

use super::policy::Policy;

/// A policy that a search found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FoundPolicy {
    /// The full name of what it is of, as Cloud Asset has it: `//storage.googleapis.com/NAME` for a bucket.
    pub resource: String,
    /// Just the bindings that match, without an etag, of a while ago: nothing to plan by.
    pub policy: Policy,
}
