//! What was seen of the static keys of an account that is on its way off them: all that a decision about one of
//! them rests on.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::templates::TemplateSeen;
use crate::names::{Email, ProjectId};

/// When something was last, by one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// Then.
    At(Timestamp),
    /// Not between these two.
    NotIn(Timestamp, Timestamp),
    /// That could not be read, or not all of it; why.
    Unknown(String),
}

/// What was seen of an account's keys.
#[derive(Debug, Clone)]
pub struct KeysOf {
    /// The account.
    pub email: Email,
    /// Its project.
    pub project: ProjectId,
    /// All of its user-managed keys.
    pub keys: Vec<KeySeen>,
    /// Who has one of them.
    pub holders: BTreeSet<Holder>,
    /// Files that one of them lies in.
    pub files: BTreeSet<Holder>,
    /// Secrets with a key of the account in them, live or not.
    pub secrets: Vec<SecretSeen>,
    /// Workloads whose templates may have to change; `None`: they were not looked at.
    pub templates: Option<Vec<TemplateSeen>>,
    /// What could not be looked at; why.
    pub unseen: BTreeSet<String>,
    /// Clusters of the same projects that the spec does not mention.
    pub outside: BTreeSet<String>,
    /// Whether Secrets were looked at that nothing names.
    pub all_secrets: bool,
    /// The time, by the servers' clock.
    pub now: Timestamp,
}

/// A live key.
#[derive(Debug, Clone)]
pub struct KeySeen {
    /// Its id.
    pub id: String,
    /// Whether nobody can authenticate with it.
    pub disabled: bool,
    /// What Google says of its exposure.
    pub exposure: Option<String>,
    /// When it was made.
    pub made: Option<Timestamp>,
    /// Its use by Cloud Monitoring: the end of the last hour with an event.
    pub events: Last,
    /// Its use by the Activity Analyzer: the last day.
    pub activity: Last,
    /// Who called with it of late, by the audit logs of its project.
    pub callers: Result<Vec<String>, String>,
    /// Who disabled it; nothing is asked of one that is enabled.
    pub disabling: Disabling,
}

/// Who disabled a key, by the audit logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disabling {
    /// That could not be read, or is not told; why.
    Unknown(String),
    /// Then.
    At {
        /// When.
        at: Timestamp,
        /// Whose call it was.
        by: String,
        /// Whether it was made by `wi`.
        by_wi: bool,
    },
}

/// Something that has a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// For the reader: `Deployment shop/web in cluster.main (…)`.
    pub what: String,
    /// Which keys; empty: that cannot be told, and it may be any.
    pub keys: BTreeSet<String>,
}

/// A Secret with a key in it.
#[derive(Debug, Clone)]
pub struct SecretSeen {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Another Secret of that name has another one.
    pub uid: String,
    /// Its resource version: what is in it was read of this one.
    pub version: String,
    /// The keys in it; `None`: there is one of which that cannot be told.
    pub keys: Option<BTreeSet<String>>,
    /// What else is in it, by the keys of its data.
    pub others: BTreeSet<String>,
    /// What refers to it.
    pub users: BTreeSet<String>,
    /// Old revisions that refer to it: an undo would need it.
    pub revisions: BTreeSet<String>,
    /// What would write it back.
    pub made_by: Option<String>,
}
