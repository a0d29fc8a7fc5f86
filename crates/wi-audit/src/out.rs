//! Where a rule tells what it found, and what it could not see.

use wi_core::access::Unseen;
use wi_core::findings::{Finding, Place, Rule};
use wi_core::live::Seen;

/// Something that rules read: what it is called, and the permission that reading it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    /// Clusters and node pools.
    Clusters,
    /// Kubernetes service accounts of all namespaces.
    ServiceAccounts,
    /// Pods.
    Pods,
    /// Nodes.
    Nodes,
    /// Allow policies: of the spec's resources, of accounts, of projects, and of what is above them.
    Policies,
    /// The search of policies on what the spec does not name.
    Search,
    /// What roles permit.
    Roles,
    /// Google service accounts.
    Accounts,
    /// User-managed keys of accounts.
    Keys,
    /// Numbers of projects.
    Numbers,
    /// What a plan would change.
    Plan,
}

impl Read {
    /// The permission that it takes, or what else.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Clusters => "container.clusters.list",
            Self::ServiceAccounts => "container.serviceAccounts.list",
            Self::Pods => "container.pods.list",
            Self::Nodes => "container.nodes.list",
            Self::Policies => "getIamPolicy of the resource",
            Self::Search => "cloudasset.assets.searchAllIamPolicies",
            Self::Roles => "iam.roles.get",
            Self::Accounts => "iam.serviceAccounts.list",
            Self::Keys => "iam.serviceAccountKeys.list",
            Self::Numbers => "resourcemanager.projects.get",
            Self::Plan => "what a plan reads",
        }
    }
}

/// Something that a rule needed and that was not seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unchecked {
    /// What: `the policy of project/acme-prod`.
    pub what: String,
    /// Why it was not seen.
    pub why: String,
    /// What it takes to see it.
    pub takes: Read,
}

/// What one rule found, and what it could not look at.
#[derive(Debug)]
pub struct Out {
    rule: &'static Rule,
    pub(crate) findings: Vec<Finding>,
    pub(crate) unchecked: Vec<Unchecked>,
}

impl Out {
    /// Of a rule that has looked at nothing yet.
    pub fn new(rule: &'static Rule) -> Self {
        Self {
            rule,
            findings: Vec::new(),
            unchecked: Vec::new(),
        }
    }

    /// Tells of a finding, as bad as the rule says.
    pub fn found(&mut self, subject: &str, what: String, place: Place) -> &mut Finding {
        let finding = Finding::new(self.rule, subject, &what, place);
        self.findings.push(finding);
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// Tells what could not be looked at.
    pub fn unchecked(&mut self, what: impl Into<String>, why: impl Into<String>, takes: Read) {
        self.unchecked.push(Unchecked {
            what: what.into(),
            why: why.into(),
            takes,
        });
    }

    /// As [`Self::unchecked`], of what decides about an answer.
    pub fn unseen(&mut self, unseen: &Unseen, takes: Read) {
        let why = unseen.why().unwrap_or("it was not seen");
        self.unchecked(unseen.what(), why, takes);
    }

    /// What was found, or `None`; what was not seen is told.
    pub fn seen<'a, T>(&mut self, what: &str, seen: &'a Seen<T>, takes: Read) -> Option<&'a T> {
        match seen {
            Seen::Found(found) => Some(found),
            Seen::Absent => None,
            Seen::Unknown(why) => {
                self.unchecked(what, why.to_string(), takes);
                None
            }
        }
    }
}
