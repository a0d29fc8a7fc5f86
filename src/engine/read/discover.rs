//! Clusters that the spec only says where to look for.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::container;
use wi_client::google::projects;
use wi_client::http::{ApiError, Http};
use wi_core::live::Unlisted;
use wi_core::names::{ClusterPath, ProjectId};
use wi_core::reason::Reason;
use wi_core::spec::fleet::Discovered;
use wi_core::spec::model::{Discover, Scope};
use wi_core::wire::container::{Cluster, ClusterList};

/// The cluster lists of projects: one call each, whoever asks first.
pub type Lists = BTreeMap<ProjectId, Result<ClusterList, ApiError>>;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The clusters.
    pub clusters: Vec<Discovered>,
    /// The lists that they were found in.
    pub lists: Lists,
    /// Where could not be looked, and why.
    pub unlisted: BTreeMap<Unlisted, Reason>,
}

/// Looks where `entries` say, with one list a project.
pub async fn discover(http: &Http, entries: &[Discover]) -> Found {
    let mut found = Found::default();
    let folders: BTreeSet<&str> = entries
        .iter()
        .filter_map(|e| match &e.scope {
            Scope::Folder(number) => Some(number.as_str()),
            Scope::Project(_) => None,
        })
        .collect();
    let in_folders: BTreeMap<&str, Result<Vec<ProjectId>, ApiError>> =
        join_all(folders.into_iter().map(async |folder| {
            let projects = projects::in_folder(http, folder).await;
            (folder, projects)
        }))
        .await
        .into_iter()
        .collect();
    for (folder, projects) in &in_folders {
        if let Err(e) = projects {
            let what = Unlisted::ProjectsOf((*folder).to_owned());
            found.unlisted.insert(what, e.reason());
        }
    }
    let projects_of = |entry: &Discover| -> Vec<ProjectId> {
        match &entry.scope {
            Scope::Project(project) => vec![project.clone()],
            Scope::Folder(folder) => in_folders
                .get(folder.as_str())
                .and_then(|p| p.as_ref().ok().cloned())
                .unwrap_or_default(),
        }
    };
    let wanted: BTreeSet<ProjectId> = entries.iter().flat_map(&projects_of).collect();
    let named: BTreeSet<&ProjectId> = entries
        .iter()
        .filter_map(|e| match &e.scope {
            Scope::Project(project) => Some(project),
            Scope::Folder(_) => None,
        })
        .collect();
    found.lists = join_all(wanted.into_iter().map(async |project| {
        let list = container::list_clusters(http, &project).await;
        (project, list)
    }))
    .await
    .into_iter()
    .collect();
    for (project, list) in &found.lists {
        match list {
            // A project of a folder that has never had a cluster.
            Err(e) if e.is_api_off() && !named.contains(project) => {}
            Err(e) => {
                let what = Unlisted::ClustersOf(project.clone());
                found.unlisted.insert(what, e.reason());
            }
            Ok(list) if !list.missing_zones.is_empty() => {
                let what = Unlisted::ClustersOf(project.clone());
                let why = format!("GKE did not hear from {}", list.missing_zones.join(", "));
                found.unlisted.insert(what, why.into());
            }
            Ok(_) => {}
        }
    }
    for (by, entry) in entries.iter().enumerate() {
        for project in projects_of(entry) {
            let Some(Ok(list)) = found.lists.get(&project) else {
                continue;
            };
            let clusters = list.clusters.iter().filter(|c| is_meant(c, entry));
            found.clusters.extend(clusters.map(|c| Discovered {
                path: ClusterPath {
                    project: project.clone(),
                    location: c.location.clone(),
                    name: c.name.clone(),
                },
                by,
            }));
        }
    }
    found
}

/// Clusters that come or go are left alone: the next plan finds them, or does not.
fn is_meant(cluster: &Cluster, entry: &Discover) -> bool {
    !cluster.status.comes_or_goes()
        && entry
            .location
            .as_ref()
            .is_none_or(|l| *l == cluster.location)
        && entry
            .resource_labels
            .iter()
            .all(|(k, v)| cluster.resource_labels.get(k) == Some(v))
}
