//! How an account gets off its static keys, as the spec has it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{SourceLine, WorkloadPattern};

/// How far an account is to go off its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// Its workloads could do without: all that the spec asks for them is there.
    Bound,
    /// Those that may have one have a second Deployment beside them, without the key, that nothing is sent to.
    Shadow,
    /// It gets a share of their requests.
    Canary,
    /// No workload has a key of it any more.
    Cutover,
    /// Its keys are disabled: nobody can authenticate with one.
    Disabled,
    /// Its keys are gone, for good.
    Deleted,
    /// So are the Secrets that held nothing but them.
    Pruned,
}

impl Until {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Bound,
        Self::Shadow,
        Self::Canary,
        Self::Cutover,
        Self::Disabled,
        Self::Deleted,
        Self::Pruned,
    ];

    /// As the spec writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Cutover => "cutover",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Pruned => "pruned",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|u| u.name() == text)
    }

    /// Whether keys are to end.
    pub fn ends_keys(self) -> bool {
        self >= Self::Disabled
    }
}

/// How long to wait before the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Soak {
    /// How long a key has to be silent before it is disabled.
    pub quiet: Duration,
    /// How long it has to be disabled before it is deleted.
    pub disabled: Duration,
    /// How long the first new pod of a workload has to be ready before the others follow; and that of a shadow before
    /// the next rung.
    pub canary: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Soak {
    fn default() -> Self {
        Self {
            quiet: DAY * 7,
            disabled: DAY * 7,
            canary: Duration::from_secs(60),
        }
    }
}

impl Soak {
    /// What each may be, from and to: Cloud Monitoring keeps six weeks, and tokens that were made with a key outlive it
    /// by an hour.
    pub const QUIET: (Duration, Duration) = (DAY, Duration::from_secs(40 * 24 * 3600));
    /// As above.
    pub const DISABLED: (Duration, Duration) = (
        Duration::from_secs(75 * 60),
        Duration::from_secs(365 * 24 * 3600),
    );
    /// As above.
    pub const CANARY: (Duration, Duration) = (Duration::ZERO, DAY);
}

/// Fields of a migration that `wi` does not take yet, each with the way on.
pub fn later_field(name: &str) -> Option<&'static str> {
    match name {
        "to" => Some("Workloads come to act as the account that the key is of."),
        "shares" | "prove" => Some(
            "One new pod comes first: it is proven by its chain, by a token of its own, and by being ready.",
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
    /// Nothing takes the key from the files that it lies in.
    InFiles,
    /// Whoever put the key back into a template, from which `wi` had taken it, does not do so again.
    PutBack,
    /// That Google gives a pod the account is not tried before its key goes.
    Unproven,
    /// A workload that no Service sends requests to may do its work once more in a pod beside its own.
    WorksTwice,
    /// The only pod of a StatefulSet ends before the new one is there.
    Gap,
}

impl Accept {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::UnknownReader,
        Self::Mentions,
        Self::SetElsewhere,
        Self::InFiles,
        Self::PutBack,
        Self::Unproven,
        Self::WorksTwice,
        Self::Gap,
    ];

    /// As the spec writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownReader => "unknown-reader",
            Self::Mentions => "mentions",
            Self::SetElsewhere => "set-elsewhere",
            Self::InFiles => "in-files",
            Self::PutBack => "put-back",
            Self::Unproven => "unproven",
            Self::WorksTwice => "works-twice",
            Self::Gap => "gap",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == text)
    }
}

/// How a workload goes off its key: `strategy` in the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A second Deployment stands beside it first.
    Shadow,
    /// Its own pods are replaced, one of them first.
    Rolling,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Shadow, Self::Rolling];

    /// As the spec writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Rolling => "rolling",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == text)
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
    /// How workloads go, where somebody says so; the last one that means a workload counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<(WorkloadPattern, Strategy)>,
    /// How long to wait before each step.
    pub soak: Soak,
    /// Where it is declared.
    pub place: SourceLine,
}

impl Migration {
    /// How the spec says that a workload goes; `None`: it does not.
    pub fn strategy(&self, namespace: &str, kind: &str, name: &str) -> Option<Strategy> {
        let mut all = self.strategies.iter().rev();
        let found = all.find(|(pattern, _)| pattern.matches(namespace, kind, name));
        found.map(|(_, strategy)| *strategy)
    }

    /// Whether a workload keeps its key.
    pub fn excludes(&self, namespace: &str, kind: &str, name: &str) -> bool {
        let mut all = self.exclude.iter();
        all.any(|pattern| pattern.matches(namespace, kind, name))
    }
}
