//! Clusters: which can be looked after, what they are called, how they are found.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, KsaName, Usable};
use super::ksas::ChosenKsa;
use super::selectors::{Labels, PROJECT};
use super::told::{LeftOut, LeftOutKind};
use crate::live::{Objects, Seen};
use crate::names::{ClusterPath, ProjectId};
use crate::spec::fleet::names_of_found;
use crate::spec::model::Access;
use crate::wire::container::Cluster;

/// So many clusters of a project are found by what they are, not listed.
const FLEET: usize = 4;

/// Clusters that can be in a spec.
pub(super) fn usable<'a>(facts: &'a Facts, left_out: &mut BTreeSet<LeftOut>) -> Usable<'a> {
    let mut usable = BTreeMap::new();
    for (path, found) in &facts.clusters {
        match objects(path, &found.cluster, &found.objects) {
            Ok(objects) => _ = usable.insert(path, objects),
            Err(why) => {
                left_out.insert(LeftOut {
                    kind: LeftOutKind::Cluster,
                    what: path.to_string(),
                    why,
                });
            }
        }
    }
    usable
}

fn objects<'a>(
    path: &ClusterPath,
    cluster: &Cluster,
    objects: &'a Seen<Objects>,
) -> Result<&'a Objects, String> {
    if !cluster.status.is_running() {
        return Err(format!("it is {}", cluster.status));
    }
    let pool = &cluster.workload_identity_config.workload_pool;
    if !pool.is_empty() && *pool != path.project.workload_pool() {
        return Err(format!(
            "its workload pool is {pool}, which is not its project's own"
        ));
    }
    match objects {
        Seen::Found(objects) => Ok(objects),
        Seen::Absent => Err("it is not there any more".to_owned()),
        Seen::Unknown(why) => Err(format!(
            "its Kubernetes API could not be read: {}. Run wi import where it can be, or say how it is reached: --access {}=connectGateway, or {}=FILE of a kubeconfig",
            why.to_string().trim_end_matches('.'),
            path.name,
            path.name
        )),
    }
}

/// What a plan may do with a cluster, so that it moves no node pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Settings {
    /// Everything on it is as a spec wants it.
    Plain,
    /// It has no workload pool.
    NotManaged,
    /// No node pool has the metadata server.
    NoPool,
    /// These do not have it.
    Without(BTreeSet<String>),
}

impl Settings {
    fn of(cluster: &Cluster) -> Self {
        if cluster.autopilot.enabled {
            return Self::Plain;
        }
        if cluster.workload_identity_config.workload_pool.is_empty() {
            return Self::NotManaged;
        }
        let pools = cluster.node_pools.iter();
        let without: BTreeSet<String> = pools
            .filter(|pool| cluster.has_node_identity(pool))
            .map(|pool| pool.name.clone())
            .collect();
        match without.len() {
            0 => Self::Plain,
            n if n == cluster.node_pools.len() => Self::NoPool,
            _ => Self::Without(without),
        }
    }
}

/// The clusters of the spec.
pub(super) struct Fleet {
    /// All of them, by what the spec calls them.
    pub clusters: BTreeMap<String, (ClusterPath, Settings)>,
    pub names: BTreeMap<ClusterPath, String>,
    /// Those that are found by looking for them; the others are listed.
    pub found: BTreeSet<String>,
    /// Labels by which they may be selected.
    pub labels: Labels,
    /// How those are reached that are not by what GKE offers.
    pub access: BTreeMap<String, Access>,
}

impl Fleet {
    pub fn of(
        facts: &Facts,
        usable: &Usable<'_>,
        ksas: &BTreeMap<KsaName, ChosenKsa>,
        left_out: &mut BTreeSet<LeftOut>,
    ) -> Self {
        let used: BTreeSet<&ClusterPath> = ksas.values().flat_map(|k| k.on.keys()).collect();
        let mut chosen: BTreeMap<ClusterPath, (Settings, BTreeMap<String, String>)> =
            BTreeMap::new();
        for path in usable.keys() {
            let cluster = &facts.clusters[*path].cluster;
            let settings = Settings::of(cluster);
            if settings != Settings::NotManaged || used.contains(path) {
                let mut labels = labels(cluster);
                labels.insert(PROJECT.to_owned(), path.project.to_string());
                chosen.insert((*path).clone(), (settings, labels));
            } else {
                left_out.insert(LeftOut {
                    kind: LeftOutKind::Cluster,
                    what: path.to_string(),
                    why: "it has no workload pool, and nothing on it has an identity".to_owned(),
                });
            }
        }
        let of_fleets: BTreeSet<&ProjectId> = facts
            .clusters
            .keys()
            .map(|path| &path.project)
            .filter(|project| {
                let all = facts
                    .clusters
                    .iter()
                    .filter(|(path, _)| path.project == **project);
                let mut meant = all.filter(|(_, c)| !c.cluster.status.comes_or_goes());
                let count = chosen
                    .keys()
                    .filter(|path| path.project == **project)
                    .count();
                count >= FLEET
                    && !facts.partial.contains(*project)
                    && meant
                        .all(|(path, c)| chosen.contains_key(path) && c.access == Access::Offered)
            })
            .collect();
        let is_found = |path: &ClusterPath| of_fleets.contains(&path.project);
        let all = names_of_found(chosen.keys(), &BTreeSet::new());
        let mut names: BTreeMap<ClusterPath, String> = all
            .into_iter()
            .filter(|(path, _)| !is_found(path))
            .collect();
        let declared: BTreeSet<String> = names.values().cloned().collect();
        let found = names_of_found(chosen.keys().filter(|p| is_found(p)), &declared);
        let found_names = found.values().cloned().collect();
        names.extend(found);
        let mut fleet = Self {
            clusters: BTreeMap::new(),
            names,
            found: found_names,
            labels: Labels::new(),
            access: BTreeMap::new(),
        };
        for (path, (settings, labels)) in chosen {
            let name = fleet.names[&path].clone();
            fleet.labels.insert(name.clone(), labels);
            let access = &facts.clusters[&path].access;
            if *access != Access::Offered {
                fleet.access.insert(name.clone(), access.clone());
            }
            fleet.clusters.insert(name, (path, settings));
        }
        fleet
    }

    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    pub fn all(&self) -> BTreeSet<String> {
        self.clusters.keys().cloned().collect()
    }
}

/// The labels that a spec can select by: not those that GKE and `wi` put there.
fn labels(cluster: &Cluster) -> BTreeMap<String, String> {
    let own = |key: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        !key.starts_with("goog-")
            && !key.starts_with("wi-")
            && key != PROJECT
            && key.chars().all(word)
    };
    let plain = |value: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !value.is_empty() && value.chars().all(word)
    };
    let all = cluster.resource_labels.iter();
    all.filter(|(key, value)| own(key) && plain(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
