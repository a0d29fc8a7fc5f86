//! From selectors to clusters, once all clusters are known.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{ClusterSpec, Place, Spec};
use super::waves;
use crate::identity::{ClusterPath, KubeName};

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
    pub place: Place,
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
        let mut same_name: BTreeMap<&str, usize> = BTreeMap::new();
        for path in new.keys() {
            *same_name.entry(&path.name).or_default() += 1;
        }
        let names: Vec<String> = new
            .keys()
            .map(|path| {
                let alone = same_name[path.name.as_str()] == 1;
                self.name_for(path, alone)
            })
            .collect();
        for (name, (path, by)) in names.into_iter().zip(&new) {
            let entry = &self.discover[*by];
            self.clusters.insert(
                name,
                ClusterSpec {
                    path: path.clone(),
                    labels: entry.labels.clone(),
                    node_pools: None,
                    accept_loss: self.accept_loss.clone(),
                    access: None,
                    place: entry.place.clone(),
                },
            );
        }
        self.settle()
    }

    /// Its name in GKE, where no other cluster has it; otherwise with location and project.
    fn name_for(&self, path: &ClusterPath, alone: bool) -> String {
        let project = path.project.as_str().replace([':', '.'], "-");
        let long = format!("{}-{}-{project}", path.name, path.location);
        let candidates = [
            path.name.clone(),
            format!("{}-{}", path.name, path.location),
        ];
        let skip = usize::from(!alone);
        candidates
            .into_iter()
            .skip(skip)
            .find(|name| !self.clusters.contains_key(name) && KubeName::label(name).is_ok())
            .unwrap_or(long)
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
            let assigned = waves::assign(rollout, &self.clusters, true);
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
