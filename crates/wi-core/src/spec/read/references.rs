//! What names and selectors may point at, and how far that is known: what could not be read may be what
//! is meant.

use std::collections::{BTreeMap, BTreeSet};

use super::{CLUSTER, Entry, Reader, SourceSpan, texts};
use crate::names::{Email, ProjectId};
use crate::spec::Document;
use crate::spec::model::{AccountSpec, Discover, Scope, Selector};
use crate::spec::suggest::nearest;
use crate::spec::tree::Value;

/// What there is to point at.
pub(super) struct Context<'a> {
    /// The projects of the declared clusters, as far as they could be read.
    pub projects: &'a BTreeMap<String, ProjectId>,
    pub discover: &'a [Discover],
    pub clusters: Clusters<'a>,
    /// The accounts that could be read as a whole.
    pub read_accounts: &'a BTreeMap<String, AccountSpec>,
    pub accounts: Names<'a>,
}

impl<'a> Context<'a> {
    /// The projects that these clusters, and those that may be found, are in; `None` if that is not
    /// known of each. In a folder there may be any: then there are several.
    pub fn projects(&self, clusters: &BTreeSet<&str>) -> Option<Vec<&'a ProjectId>> {
        let mut projects: BTreeSet<&ProjectId> = clusters
            .iter()
            .filter_map(|name| self.projects.get(*name))
            .collect();
        let all_read = clusters
            .iter()
            .all(|name| self.projects.contains_key(*name));
        for found in self.discover {
            match &found.scope {
                Scope::Project(project) => _ = projects.insert(project),
                Scope::Folder(_) => return Some(Vec::new()),
            }
        }
        let known = all_read && (self.clusters.names.are_all || !self.discover.is_empty());
        match projects.len() {
            0 => None,
            1 if !known => None,
            _ => Some(projects.into_iter().collect()),
        }
    }

    /// How to name the account of an address.
    pub fn account_of(&self, email: &Email) -> String {
        let declared = self.read_accounts.iter().find(|(_, a)| a.email == *email);
        match declared {
            Some((name, _)) => format!("Write its name in the spec: {name}"),
            None => format!(
                "Declare it under `googleServiceAccounts`, and write its name: {}: {{ email: {email} }}",
                email.account_id()
            ),
        }
    }
}

/// Names that are declared, rightly or not.
pub(super) struct Names<'a> {
    /// What they are names of.
    what: &'static str,
    pub declared: BTreeSet<&'a str>,
    /// Whether there are no others.
    pub are_all: bool,
}

impl<'a> Names<'a> {
    pub fn new(
        what: &'static str,
        documents: &[Document],
        field: &str,
        entries: &[Entry<'a>],
        is_whole: bool,
    ) -> Self {
        let sections = documents.iter().filter_map(|d| d.root.get(field));
        let (mut are_all, mut is_there) = (is_whole, false);
        for section in sections {
            is_there = true;
            are_all &= !matches!(section.value, Value::Unread);
        }
        // Where there is no such section, one that is not known may be it.
        are_all &= is_there || documents.iter().all(|d| d.root.is_clear(field));
        Self {
            what,
            declared: entries.iter().map(|e| e.name).collect(),
            are_all,
        }
    }

    /// The name that is most likely meant by one that is not declared.
    pub fn meant(&self, name: &str) -> Option<&'a str> {
        let names = self.declared.iter().copied();
        (!self.declared.contains(name)).then(|| nearest(name, names))?
    }
}

/// The declared clusters, and what selectors see of them.
pub(super) struct Clusters<'a> {
    pub names: Names<'a>,
    /// By name; those whose labels could not be read are left out.
    pub labels: BTreeMap<&'a str, BTreeMap<String, String>>,
}

impl<'a> Clusters<'a> {
    pub fn new(documents: &[Document], entries: &[Entry<'a>], is_whole: bool) -> Self {
        let mut names = Names::new(CLUSTER, documents, "clusters", entries, is_whole);
        names.are_all &= documents.iter().all(|d| match d.root.get("discover") {
            None => true,
            Some(node) => match &node.value {
                Value::Null => true,
                Value::List(items) => items.is_empty(),
                _ => false,
            },
        });
        let labels = entries
            .iter()
            .filter(|e| e.node.is_clear("labels"))
            .map(|e| {
                let labels = e.node.get("labels").map(texts);
                (e.name, labels.unwrap_or_default())
            })
            .collect();
        Self { names, labels }
    }

    /// The names of those that are selected, as far as that is known.
    pub fn selected(&self, selector: &Selector) -> BTreeSet<&'a str> {
        self.labels
            .iter()
            .filter(|(name, labels)| selector.selects(name, labels))
            .map(|(name, _)| *name)
            .collect()
    }

    /// Whether what a selector does not select is not there.
    pub fn are_all(&self) -> bool {
        self.names.are_all && self.labels.len() == self.names.declared.len()
    }

    /// Says which labels there are.
    pub fn labels_in_words(&self) -> String {
        let labels: BTreeSet<String> = self
            .labels
            .values()
            .flat_map(|l| l.iter().map(|(k, v)| format!("{k}: {v}")))
            .collect();
        if labels.is_empty() {
            return "No cluster of the spec has labels.".to_owned();
        }
        let some: Vec<String> = labels.into_iter().take(12).collect();
        format!("Labels of the spec's clusters: {}.", some.join(", "))
    }
}

impl Reader<'_> {
    /// Tells a name that is not declared, unless it may be.
    pub(super) fn refer(
        &mut self,
        at: &SourceSpan,
        name: &str,
        names: &Names<'_>,
        help: Option<String>,
    ) {
        if names.declared.contains(name) || !names.are_all {
            return;
        }
        let near = names.meant(name);
        // Its key was refused: once that is fixed, the name will be right, or told.
        if near.is_some_and(|n| self.refused.contains(&(names.what, n.to_owned()))) {
            return;
        }
        let label = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not declared".to_owned(),
        };
        let help = help.unwrap_or_else(|| match names.declared.len() {
            0 => format!("The spec declares no {}.", names.what),
            n => {
                let some: Vec<&str> = names.declared.iter().copied().take(12).collect();
                let end = if n > 12 { " …" } else { "." };
                format!("Declared: {}{end}", some.join(", "))
            }
        });
        self.tell(
            "unknown_name",
            at,
            format!("there is no {} `{name}`", names.what),
            &label,
            Some(help),
        );
    }
}
