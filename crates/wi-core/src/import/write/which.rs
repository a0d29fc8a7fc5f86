//! How clusters are selected, each time that they are.

use std::collections::{BTreeMap, BTreeSet};

use super::super::choice::Choice;
use super::super::clusters::Settings;
use super::super::ksas::{Acts, ChosenKsa, ChosenNamespace};
use super::super::selectors::{Which, select};

/// How clusters are selected, each time that they are.
pub(super) struct Whiches<'a> {
    choice: &'a Choice,
    /// The keys of labels that selectors go by.
    pub labels: BTreeSet<String>,
}

impl<'a> Whiches<'a> {
    pub fn of(choice: &'a Choice) -> Self {
        let mut whiches = Self {
            choice,
            labels: BTreeSet::new(),
        };
        let mut labels = BTreeSet::new();
        for namespace in choice.namespaces.values() {
            let mut all = vec![whiches.namespace(namespace)];
            for ksa in namespace.ksas.values() {
                all.push(whiches.ksa(namespace, ksa));
                let groups = whiches.groups(ksa);
                all.extend(groups.iter().map(|g| whiches.of_ksa(ksa, &g.1)));
            }
            labels.extend(all.iter().filter_map(|w| w.label().map(str::to_owned)));
        }
        let settings = whiches.settings();
        labels.extend(
            settings
                .iter()
                .filter_map(|(w, _)| w.label().map(str::to_owned)),
        );
        whiches.labels = labels;
        whiches
    }

    fn on(&self, ksa: &ChosenKsa) -> BTreeSet<String> {
        let names = &self.choice.fleet.names;
        ksa.on.keys().map(|path| names[path].clone()).collect()
    }

    fn on_any(&self, namespace: &ChosenNamespace) -> BTreeSet<String> {
        namespace.ksas.values().flat_map(|k| self.on(k)).collect()
    }

    pub fn namespace(&self, namespace: &ChosenNamespace) -> Which {
        let fleet = &self.choice.fleet;
        select(&self.on_any(namespace), &fleet.all(), &fleet.labels)
    }

    pub fn ksa(&self, namespace: &ChosenNamespace, ksa: &ChosenKsa) -> Which {
        let all = self.on_any(namespace);
        select(&self.on(ksa), &all, &self.choice.fleet.labels)
    }

    /// What it is on which clusters: what it is on most of them first.
    pub fn groups<'k>(&self, ksa: &'k ChosenKsa) -> Vec<(&'k Acts, BTreeSet<String>)> {
        let mut groups: BTreeMap<&Acts, BTreeSet<String>> = BTreeMap::new();
        for (path, acts) in &ksa.on {
            let name = self.choice.fleet.names[path].clone();
            groups.entry(acts).or_default().insert(name);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, on)| std::cmp::Reverse(on.len()));
        groups
    }

    pub fn of_ksa(&self, ksa: &ChosenKsa, on: &BTreeSet<String>) -> Which {
        select(on, &self.on(ksa), &self.choice.fleet.labels)
    }

    /// What is to be said of clusters that are not listed.
    pub fn settings(&self) -> Vec<(Which, &'a Settings)> {
        let fleet = &self.choice.fleet;
        let mut groups: BTreeMap<&Settings, BTreeSet<String>> = BTreeMap::new();
        for name in &fleet.found {
            let (_, settings) = &fleet.clusters[name];
            if *settings != Settings::Plain {
                groups.entry(settings).or_default().insert(name.clone());
            }
        }
        let all = fleet.all();
        let groups = groups.into_iter();
        groups
            .map(|(settings, on)| (select(&on, &all, &fleet.labels), settings))
            .collect()
    }
}
