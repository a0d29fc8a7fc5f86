//! Edits of a spec's lines, each tried: the spec has to ask for what it did but for what is meant, or the edit is not made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use wi_audit::least::edit::{Change, LineEdit, edit, edited, patch};
use wi_core::address::BindingKey;
use wi_core::desired::Desired;
use wi_core::names::Role;
use wi_core::spec::model::SourceLine;
use wi_core::spec::{Source, load_sources};

use crate::engine;

/// A spec's files, and edits of them.
#[derive(Debug)]
pub struct Edits {
    sources: Vec<Source>,
    by_file: BTreeMap<String, Vec<LineEdit>>,
    /// What the edited spec asks for.
    grants: BTreeSet<BindingKey>,
}

impl Edits {
    /// None of these files yet.
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut edits = Self {
            sources: engine::read_sources(paths),
            by_file: BTreeMap::new(),
            grants: BTreeSet::new(),
        };
        edits.grants = edits.asked(&edits.by_file).unwrap_or_default();
        edits
    }

    /// Changes grants that are one line of the spec; `false`: that cannot be done by changing the line alone.
    pub fn make(&mut self, place: &SourceLine, grants: &[&BindingKey], change: &Change) -> bool {
        let Some(role) = grants.first().map(|g| g.role.as_str()) else {
            return false;
        };
        let source = self.sources.iter().find(|s| s.name == place.file);
        let Some(made) = source.and_then(|s| edit(&s.text, place.line, role, change)) else {
            return false;
        };
        let mut wanted = self.grants.clone();
        for grant in grants {
            wanted.remove(*grant);
        }
        for (grant, role) in grants
            .iter()
            .flat_map(|g| change.roles.iter().map(move |r| (*g, r)))
        {
            let Ok(role) = Role::parse(role) else {
                return false;
            };
            wanted.insert(BindingKey {
                role,
                resource: change.on.clone().unwrap_or_else(|| grant.resource.clone()),
                ..grant.clone()
            });
        }
        let mut all = self.by_file.clone();
        all.entry(place.file.clone()).or_default().push(made);
        let is_meant = self.asked(&all).as_ref() == Some(&wanted);
        if is_meant {
            self.by_file = all;
            self.grants = wanted;
        }
        is_meant
    }

    /// A patch of each file.
    pub fn patches(&self) -> Vec<String> {
        self.by_file
            .iter()
            .map(|(file, edits)| patch(file, edits))
            .collect()
    }

    /// The files as they would be.
    pub fn files(&self) -> Vec<(&str, String)> {
        let changed = self.sources.iter().filter_map(|s| {
            let edits = self.by_file.get(&s.name)?;
            Some((s.name.as_str(), edited(&s.text, edits)))
        });
        changed.collect()
    }

    fn asked(&self, edits: &BTreeMap<String, Vec<LineEdit>>) -> Option<BTreeSet<BindingKey>> {
        let sources = self
            .sources
            .iter()
            .map(|source| match edits.get(&source.name) {
                Some(edits) => Source::new(source.name.clone(), edited(&source.text, edits)),
                None => Source::new(source.name.clone(), source.text.clone()),
            });
        let spec = load_sources(sources.collect()).ok()?;
        Some(Desired::of(&spec).bindings.into_keys().collect())
    }
}
