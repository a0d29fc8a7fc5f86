//! What a rule is.

use wi_core::findings::Rule;

use crate::out::{Out, Read};
use crate::world::World;

/// A rule of the audit: a row, and what decides.
#[derive(Debug)]
pub struct Audited {
    /// Its id, how bad it is, what it finds, why that is bad and what to do.
    pub rule: Rule,
    /// What it reads of what is live. A rule that reads nothing, or is `offline`, says something of the spec alone.
    pub reads: &'static [Read],
    /// Whether it says something of the spec alone, too.
    pub offline: bool,
    /// How it is decided, in a sentence or two.
    pub decides: &'static str,
    /// What others call it: `CIS GKE 1.9.0: 5.2.2`.
    pub references: &'static [&'static str],
    /// Decides.
    pub check: fn(&World, &mut Out),
}

impl Audited {
    /// Its id: `WI101`.
    pub fn id(&self) -> &'static str {
        self.rule.id
    }
}
