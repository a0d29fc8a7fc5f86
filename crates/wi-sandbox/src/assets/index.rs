//! What a search of policies knows.

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::world::Policy;

/// What a search knows: each policy as it was a while ago.
#[derive(Debug, Default)]
pub struct Index(pub BTreeMap<String, Indexed>);

/// One policy.
#[derive(Debug, Default)]
pub struct Indexed {
    /// What is found.
    pub shown: Policy,
    /// What will be, and from when on.
    pub coming: Vec<(Millis, Policy)>,
}

impl Indexed {
    /// As it was last seen.
    pub fn last(&self) -> &Policy {
        self.coming.last().map_or(&self.shown, |(_, policy)| policy)
    }
}
