//! What is asked for, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use super::owners::{Owner, Owners};

/// How the spec is to be.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// Its name; otherwise that of the marks that are there already, or the project's.
    pub name: Option<String>,
    /// One file, not one for each namespace.
    pub single_file: bool,
    /// What other tools own, as their files say.
    pub owners: Owners,
    /// Whether what Terraform and Config Connector own is taken over from them; otherwise it is only referred to.
    pub take_over: bool,
    /// A remark for editors, above all else.
    pub heading: Option<String>,
    /// Whether to say in comments whose things are, and why they are as they are.
    pub comments: bool,
}

/// What is not in the spec.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// What kind of thing it is.
    pub kind: LeftOutKind,
    /// Which.
    pub what: String,
    /// Why, and what to do; empty where it is not `wi`'s to look after.
    pub why: String,
}

/// Kinds of things that are not in a spec, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOutKind {
    /// A cluster.
    Cluster,
    /// A Google service account.
    Account,
    /// A Kubernetes service account that has, or is to have, an identity.
    Ksa,
    /// A member of a binding of a policy.
    Member,
}

impl LeftOutKind {
    /// As it is counted.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Account => "Google service account",
            Self::Ksa => "Kubernetes service account",
            Self::Member => "grant",
        }
    }
}

/// A spec that was made of what is there.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// The name of a spec whose marks are there, and what has its mark and cannot be in this one as its own: this
    /// one has another name, and leaves to that one what is marked as its.
    pub instead_of: Option<(String, String)>,
    /// Its files, by name, ordered.
    pub files: BTreeMap<String, String>,
    /// How many clusters it is on.
    pub clusters: usize,
    /// How many Google service accounts it manages, and how many it only refers to.
    pub accounts: (usize, usize),
    /// How many Kubernetes service accounts it has, each counted once whatever clusters it is in.
    pub ksas: usize,
    /// How many roles of theirs it has.
    pub grants: usize,
    /// What other tools are to let go of, since the spec looks after it.
    pub to_release: BTreeSet<Owner>,
    /// What other tools decide about as a whole, with principals of the spec in it: they take away what it adds.
    pub whole: BTreeSet<Owner>,
    /// What is not in it.
    pub left_out: BTreeSet<LeftOut>,
    /// Kubernetes service accounts that have neither an annotation nor roles: nothing is to be said of them.
    pub plain: usize,
}

impl Imported {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.clusters == 0 && self.accounts == (0, 0)
    }
}
