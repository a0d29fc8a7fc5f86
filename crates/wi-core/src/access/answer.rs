//! What is asked about access, and what can be said.

use std::fmt;

use jiff::Timestamp;

use super::facts::Unseen;
use super::principal::Principal;
use crate::names::Condition;
use crate::resource::Resource;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// `storage.objects.get`
    pub permission: &'a str,
    /// On what.
    pub resource: &'a Resource,
    /// When; conditions are evaluated for then.
    pub at: Option<Timestamp>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Policies allow it.
    Allowed {
        /// By these.
        by: Vec<Grant>,
        /// Unless one of these takes it away: then it is no proof.
        unless: Vec<Unseen>,
    },
    /// It is not allowed.
    Denied {
        /// The first link that is broken.
        first: Reason,
        /// Others that are broken as well.
        also: Vec<Reason>,
    },
    /// It could not be told.
    Unknown {
        /// Because of this.
        because: Vec<Unseen>,
    },
}

impl Answer {
    /// Whether it is allowed for certain; `None`: it could not be told.
    pub fn is_allowed(&self) -> Option<bool> {
        match self {
            Self::Allowed { unless, .. } => unless.is_empty().then_some(true),
            Self::Denied { .. } => Some(false),
            Self::Unknown { .. } => None,
        }
    }
}

/// A role that a principal has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Whose policy has it.
    pub on: Resource,
    /// The role.
    pub role: String,
    /// The member by which the principal has it, as it is written.
    pub member: String,
    /// While this holds.
    pub condition: Option<Condition>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.role, self.on)?;
        match &self.condition {
            Some(condition) => write!(f, " if {}", condition.name()),
            None => Ok(()),
        }
    }
}

impl Grant {
    /// With the whole of its condition.
    pub fn with_condition(&self) -> String {
        let expression = self.condition.as_ref().map_or("", |c| &c.expression);
        format!("{self}: {expression}")
    }
}

/// Why something is not allowed, in the order of the links of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// What it is asked for does not exist.
    NoResource(Resource),
    /// It has no role there, nor above.
    NoGrant,
    /// It has these roles, none of which has the permission.
    RoleLacks(Vec<Grant>),
    /// It has the permission under conditions that do not hold.
    Condition(Vec<Grant>),
    /// A deny policy takes it away.
    Deny {
        /// Its name.
        policy: String,
        /// What it is attached to.
        at: Resource,
        /// The rule's description.
        rule: String,
    },
    /// Principal access boundaries do not let it reach the resource.
    Boundary {
        /// Their names.
        policies: Vec<String>,
    },
}
