//! From selectors to clusters, once all clusters are known.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{ClusterSpec, SourceLine, Spec};
use super::waves;
use crate::digest::sha256;
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
        let declared: BTreeSet<String> = self.clusters.keys().cloned().collect();
        for (path, name) in names_of_found(new.keys(), &declared) {
            let entry = &self.discover[new[&path]];
            self.clusters.insert(
                name,
                ClusterSpec {
                    path,
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
            let what = format!("the namespace `{name}`");
            let ksas = namespace.service_accounts.iter().map(|(ksa, of)| {
                let what = format!("the service account `{name}/{ksa}`");
                (what, &of.selector, &of.place)
            });
            let all = [(what, &namespace.selector, &namespace.place)];
            for (what, selector, place) in all.into_iter().chain(ksas) {
                let super::model::Selector::Names(names) = selector else {
                    continue;
                };
                for missing in names.iter().filter(|n| !self.clusters.contains_key(*n)) {
                    misfits.push(Misfit {
                        place: place.clone(),
                        message: format!(
                            "{what} is to be on the cluster `{missing}`, which was not found"
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

/// What clusters are called that are found beside some that are declared under these names.
pub fn names_of_found<'a>(
    found: impl Iterator<Item = &'a ClusterPath>,
    declared: &BTreeSet<String>,
) -> BTreeMap<ClusterPath, String> {
    let found: BTreeSet<&ClusterPath> = found.collect();
    // Of two with the same name neither has it: names do not depend on an order.
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let names = found.iter().flat_map(|path| names_of(path));
    for name in names.chain(declared.iter().cloned()) {
        *taken.entry(name).or_default() += 1;
    }
    let own = |path: &ClusterPath| {
        names_of(path)
            .into_iter()
            .find(|name| taken[name] == 1 && KubeName::label(name).is_ok())
            .unwrap_or_else(|| name_of_none_other(path, &taken))
    };
    found
        .into_iter()
        .map(|path| (path.clone(), own(path)))
        .collect()
}

/// Its name in GKE, that with its location, and that with its project.
fn names_of(path: &ClusterPath) -> [String; 3] {
    let ClusterPath {
        project,
        location,
        name,
    } = path;
    let project = project.as_str().replace([':', '.'], "-");
    [
        name.clone(),
        format!("{name}-{location}"),
        format!("{name}-{location}-{project}"),
    ]
}

/// A name that no other cluster has, where each of [`names_of`] is another's, too, or too long: by a digest
/// of where it is, so that it does not depend on which others there are.
fn name_of_none_other(path: &ClusterPath, taken: &BTreeMap<String, usize>) -> String {
    let digest = sha256(path.to_string().as_bytes());
    let lengths = 8..=digest.len();
    lengths
        .map(|length| format!("{}-{}", path.name, &digest[..length]))
        .find(|name| !taken.contains_key(name))
        .unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Discovered;
    use crate::names::{ClusterPath, ProjectId};
    use crate::spec::{Source, load_sources};

    /// The names that clusters have which are found at `PROJECT LOCATION NAME`.
    fn names(declared: &str, found: &[&str]) -> BTreeSet<String> {
        let text = format!(
            "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: {{ {declared} }}\ndiscover: [{{ folder: \"1\" }}]\n"
        );
        let source = Source::new("wi.yaml".to_owned(), text);
        let mut spec = load_sources(vec![source]).expect("a valid spec");
        let found = found.iter().map(|text| {
            let parts: Vec<&str> = text.split(' ').collect();
            let path = ClusterPath {
                project: ProjectId::parse(parts[0]).expect("a project"),
                location: parts[1].to_owned(),
                name: parts[2].to_owned(),
            };
            Discovered { path, by: 0 }
        });
        let found: Vec<Discovered> = found.collect();
        let paths: BTreeSet<ClusterPath> = found.iter().map(|f| f.path.clone()).collect();
        let before = spec.clusters.len();
        spec.take_in(found);
        assert_eq!(spec.clusters.len(), before + paths.len(), "one was lost");
        spec.clusters.into_keys().collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn a_cluster_that_is_found_has_the_shortest_name_that_is_its_own() {
        assert_eq!(names("", &["acme-a us-east1 main"]), set(&["main"]));
        assert_eq!(
            names("", &["acme-a us-east1 main", "acme-a us-west1 main"]),
            set(&["main-us-east1", "main-us-west1"])
        );
        assert_eq!(
            names("", &["acme-a us-east1 main", "acme-b us-east1 main"]),
            set(&["main-us-east1-acme-a", "main-us-east1-acme-b"])
        );
    }

    #[test]
    fn no_two_clusters_come_to_have_one_name() {
        // The same once what no name may hold is replaced, and two of them declared under such names.
        let found = [
            "acme.com:prod-1 us-east1 main",
            "acme-com-prod-1 us-east1 main",
            "acme-com-prod-1 us-east1 main-us-east1",
            "acme-com-prod-1 us-east1 main-us-east1-acme-com-prod-1",
        ];
        let names = names(
            "main-us-east1-acme-com-prod-1: { location: us-west1, name: other }",
            &found,
        );
        assert_eq!(names.len(), 5, "{names:?}");
        let long =
            "acme-with-a-name-of-thirty-let us-east1 a-cluster-with-a-name-of-forty-letters-in-it";
        let other = long.replace("thirty", "eleven");
        assert_eq!(super::tests::names("", &[long, &other]).len(), 2);
    }
}
