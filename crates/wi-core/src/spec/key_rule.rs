//! Which user-managed keys an account may have, as the spec has it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::model::SourceLine;

/// What `keys` of an account says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRule {
    /// Which keys.
    pub keys: Keys,
    /// Where it is declared.
    pub place: SourceLine,
}

/// Keys that an account may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keys {
    /// Any, whatever the guard says.
    Keep,
    /// None.
    None,
    /// These, for some time.
    Allow {
        /// Their ids.
        ids: BTreeSet<String>,
        /// The last day, UTC.
        until: Date,
        /// Why.
        reason: String,
    },
}

impl Keys {
    /// Whether a key may be there. Without a time nothing has ended.
    pub fn allow(&self, id: &str, now: Option<Timestamp>) -> bool {
        match self {
            Self::Keep => true,
            Self::None => false,
            Self::Allow { ids, until, .. } => {
                let today = now.map(|now| now.to_zoned(TimeZone::UTC).date());
                ids.contains(id) && today.is_none_or(|today| today <= *until)
            }
        }
    }
}
