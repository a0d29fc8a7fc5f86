//! How an account gets off its static keys, as the spec has it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::model::{SourceLine, WorkloadPattern};

/// How far an account is to go off its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// Its workloads could do without: all that the spec asks for them is there.
    Bound,
    /// No workload has a key of it any more.
    Cutover,
}

impl Until {
    /// As the spec writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Cutover => "cutover",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bound, Self::Cutover]
            .into_iter()
            .find(|u| u.name() == text)
    }
}

/// Values of `until` that `wi` does not take yet, each with the way on.
pub const LATER: [(&str, &str); 5] = [
    ("shadow", BY_HAND),
    ("canary", BY_HAND),
    ("disabled", BY_COMMAND),
    ("deleted", BY_COMMAND),
    ("pruned", BY_COMMAND),
];

const BY_HAND: &str = "`until: cutover` waits for the templates to change; `wi migrate --emit DIR` writes the patches.";

const BY_COMMAND: &str = "wi touches no key yet. With `until: cutover`, `wi migrate` says when none of what it sees has the key, and how to disable it by hand.";

/// Fields of a migration that `wi` does not take yet, each with the way on.
pub fn later_field(name: &str) -> Option<&'static str> {
    match name {
        "to" => Some("Workloads come to act as the account that the key is of."),
        "strategy" => Some(BY_HAND),
        "soak" | "shares" | "prove" => Some(
            "wi changes no template and no key itself yet: how long you wait, and what proves it, is yours.",
        ),
        _ => None,
    }
}

/// What somebody may say about a workload that its template does not tell: `accept` in the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accept {
    /// What has the key and is not known to read it does without.
    UnknownReader,
    /// What mentions the path of the key does without.
    Mentions,
    /// What else may set a variable that is taken away leads to no other credential.
    SetElsewhere,
}

impl Accept {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::UnknownReader, Self::Mentions, Self::SetElsewhere];

    /// As the spec writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownReader => "unknown-reader",
            Self::Mentions => "mentions",
            Self::SetElsewhere => "set-elsewhere",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == text)
    }
}

/// An account on its way off its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// How far.
    pub until: Until,
    /// Workloads that keep their key.
    pub exclude: Vec<WorkloadPattern>,
    /// What somebody vouches for.
    pub accept: BTreeSet<Accept>,
    /// Where it is declared.
    pub place: SourceLine,
}
