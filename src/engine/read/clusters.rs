//! Clusters: one list per project, then each one's Kubernetes objects.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tracing::{Instrument, info_span};
use wi_client::google::container;
use wi_client::http::{ApiError, Http};
use wi_core::live::{Objects, Outside, ReachedBy, Seen};
use wi_core::names::{ClusterPath, ProjectId};
use wi_core::read_set::ReadSet;
use wi_core::wire::container::{Cluster, ClusterList};

use super::{Lists, objects, unmanaged_clusters};

/// What was read of the clusters, all by the spec's names.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub clusters: BTreeMap<String, Seen<Cluster>>,
    pub kubernetes: BTreeMap<String, Seen<Objects>>,
    pub reached_by: BTreeMap<String, ReachedBy>,
    pub outside: Vec<Outside>,
    /// All clusters of the projects in which one of the spec is not there.
    pub clusters_of: BTreeMap<ProjectId, BTreeSet<ClusterPath>>,
}

pub(super) async fn read(http: &Http, set: &ReadSet, mut lists: Lists) -> Read {
    let mut by_project: BTreeMap<&ProjectId, Vec<&str>> = BTreeMap::new();
    for (name, cluster) in &set.clusters {
        by_project
            .entry(&cluster.wanted.path.project)
            .or_default()
            .push(name);
    }
    // Where it was looked for clusters and none was found, too: one may have been there once.
    let looked_at: Vec<ProjectId> = lists.keys().cloned().collect();
    for project in looked_at.iter().chain(&set.former_clusters) {
        by_project.entry(project).or_default();
    }
    let with_lists: Vec<_> = by_project
        .into_iter()
        .map(|(project, names)| (project, names, lists.remove(project)))
        .collect();
    let per_project = join_all(with_lists.into_iter().map(async |(project, names, list)| {
        let list = match list {
            Some(list) => list,
            None => container::list_clusters(http, project).await,
        };
        let ours = join_all(names.into_iter().map(async |name| {
            let asked = &set.clusters[name];
            let cluster = find(&list, &asked.wanted.path);
            let read = objects::read(http, asked, set.owner.as_deref(), &cluster);
            let (objects, reached_by) = read.instrument(info_span!("cluster", name)).await;
            (name.to_owned(), cluster, objects, reached_by)
        }));
        let outside = async {
            match &list {
                Ok(list) => unmanaged_clusters::read(http, set, project, list).await,
                Err(e) if set.former_clusters.contains(project) => {
                    vec![unmanaged_clusters::unlisted(project, e)]
                }
                Err(_) => Vec::new(),
            }
        };
        let (ours, outside) = tokio::join!(ours, outside);
        let absent = ours
            .iter()
            .any(|(_, cluster, ..)| matches!(cluster, Seen::Absent));
        let there = list.ok().filter(|_| absent);
        (
            ours,
            outside,
            there.map(|l| (project.clone(), paths(project, &l))),
        )
    }))
    .await;
    let mut read = Read::default();
    let mut clusters = Vec::new();
    for (ours, outside, there) in per_project {
        clusters.extend(ours);
        read.outside.extend(outside);
        read.clusters_of.extend(there);
    }
    for (name, cluster, objects, reached_by) in clusters {
        read.clusters.insert(name.clone(), cluster);
        read.kubernetes.insert(name.clone(), objects);
        if let Some(reached_by) = reached_by {
            read.reached_by.insert(name, reached_by);
        }
    }
    read
}

fn paths(project: &ProjectId, list: &ClusterList) -> BTreeSet<ClusterPath> {
    let path = |cluster: &Cluster| ClusterPath {
        project: project.clone(),
        location: cluster.location.clone(),
        name: cluster.name.clone(),
    };
    list.clusters.iter().map(path).collect()
}

fn find(list: &Result<ClusterList, ApiError>, path: &ClusterPath) -> Seen<Cluster> {
    let list = match list {
        Ok(list) => list,
        // A project that is not there has no clusters, but more likely is a typing error.
        Err(e) => return Seen::Unknown(e.reason()),
    };
    let found = list
        .clusters
        .iter()
        .find(|c| c.name == path.name && c.location == path.location);
    match found {
        Some(cluster) => Seen::Found(cluster.clone()),
        None if list.lacks(&path.location) => Seen::Unknown(
            format!(
                "GKE did not hear from {} (missingZones), so {path} may or may not exist",
                list.missing_zones.join(", ")
            )
            .into(),
        ),
        None => Seen::Absent,
    }
}
