//! From selectors to clusters, once all clusters are known.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{ClusterSpec, SourceLine, Spec};
use super::waves;
use crate::names::{ClusterPath, KubeName};

/// A cluster that was found where the spec says to look.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// Where GKE has it.
    pub path: ClusterPath,
    /// The entry of [`Spec::discover`] that found it.
    pub by: usize,
}

/// Something of the spec that does not fit the clusters that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where it stands.
    pub place: SourceLine,
    /// What is wrong.
    pub message: String,
}

impl Spec {
    /// Takes in clusters that were found, and resolves all selectors again.
    pub fn take_in(&mut self, found: Vec<Discovered>) -> Vec<Misfit> {
        let known: BTreeSet<ClusterPath> = self.clusters.values().map(|c| c.path.clone()).collect();
        let mut new: BTreeMap<ClusterPath, usize> = BTreeMap::new();
        for cluster in found {
            if !known.contains(&cluster.path) {
                new.entry(cluster.path).or_insert(cluster.by);
            }
        }
        // Of two with the same name neither has it: names do not depend on an order.
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for path in new.keys() {
            for name in short_names(path) {
                *taken.entry(name).or_default() += 1;
            }
        }
        for name in self.clusters.keys() {
            *taken.entry(name.clone()).or_default() += 1;
        }
        let names: Vec<String> = new
            .keys()
            .map(|path| {
                short_names(path)
                    .into_iter()
                    .find(|name| taken[name] == 1 && KubeName::label(name).is_ok())
                    .unwrap_or_else(|| long_name(path))
            })
            .collect();
        for (name, (path, by)) in names.into_iter().zip(&new) {
            let entry = &self.discover[*by];
            self.clusters.insert(
                name,
                ClusterSpec {
                    path: path.clone(),
                    labels: entry.labels.clone(),
                    manage: None,
                    node_pools: None,
                    accept_loss: self.accept_loss.clone(),
                    access: None,
                    place: entry.place.clone(),
                },
            );
        }
        self.settle()
    }

    /// Resolves what selects clusters, for the clusters that there are.
    pub(super) fn settle(&mut self) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        for (name, cluster) in &mut self.clusters {
            for wanted in self
                .overrides
                .iter()
                .filter(|o| o.clusters.selects(name, &cluster.labels))
            {
                cluster.manage = cluster.manage.or(wanted.manage);
                if cluster.node_pools.is_none() {
                    cluster.node_pools.clone_from(&wanted.node_pools);
                }
                if cluster.access.is_none() {
                    cluster.access.clone_from(&wanted.access);
                }
                for pattern in &wanted.accept_loss {
                    if !cluster.accept_loss.contains(pattern) {
                        cluster.accept_loss.push(pattern.clone());
                    }
                }
            }
        }
        for (name, namespace) in &mut self.namespaces {
            namespace.clusters = self
                .clusters
                .iter()
                .filter(|(c, cluster)| namespace.selector.selects(c, &cluster.labels))
                .map(|(c, _)| c.clone())
                .collect();
            if namespace.clusters.is_empty() {
                misfits.push(Misfit {
                    place: namespace.place.clone(),
                    message: format!("the namespace `{name}` is on no cluster that was found"),
                });
            }
            if let super::model::Selector::Names(names) = &namespace.selector {
                for missing in names.iter().filter(|n| !self.clusters.contains_key(*n)) {
                    misfits.push(Misfit {
                        place: namespace.place.clone(),
                        message: format!(
                            "the namespace `{name}` is to be on the cluster `{missing}`, which was not found"
                        ),
                    });
                }
            }
        }
        if let Some(rollout) = &self.rollout {
            let clusters = self.clusters.iter().map(|(n, c)| (n.as_str(), &c.labels));
            let doubts = waves::Doubts {
                more: true,
                ..waves::Doubts::default()
            };
            let assigned = waves::assign(rollout, clusters, &doubts);
            misfits.extend(assigned.broken.into_iter().map(|broken| {
                let place = broken
                    .wave
                    .map_or(&rollout.place, |wave| &rollout.waves[wave].place);
                Misfit {
                    place: place.clone(),
                    message: broken.message,
                }
            }));
            self.wave_of = assigned.wave_of;
        }
        misfits
    }
}

/// Its name in GKE, and that with its location.
fn short_names(path: &ClusterPath) -> [String; 2] {
    [
        path.name.clone(),
        format!("{}-{}", path.name, path.location),
    ]
}

/// A name that no other cluster can have.
fn long_name(path: &ClusterPath) -> String {
    let project = path.project.as_str().replace([':', '.'], "-");
    format!("{}-{}-{project}", path.name, path.location)
}
