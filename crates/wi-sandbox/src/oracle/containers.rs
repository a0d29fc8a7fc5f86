//! What resources are in: projects, folders, organizations.

use std::collections::BTreeSet;

use crate::state::State;

/// Whether a resource is in another, by their names: a table in its dataset, a folder in its bucket.
pub(super) fn is_in(resource: &str, container: &str) -> bool {
    let container = match container.strip_prefix("bucket/") {
        Some(bucket) => format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
        None => container.to_owned(),
    };
    let rest = resource.strip_prefix(&container);
    container.starts_with("//") && rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The project of a resource, its folders and organization, by the names of their policies.
pub(super) fn above(state: &State, resource: &str) -> BTreeSet<String> {
    let project = match resource.strip_prefix("project/") {
        Some(project) => Some(project.to_owned()),
        None => state.project_of(resource),
    };
    let mut above: BTreeSet<String> = BTreeSet::new();
    if let Some(project) = project {
        let ancestors = state.world.projects.get(&project).map(|p| &p.ancestors);
        above.extend(ancestors.into_iter().flatten().map(|a| full_name(a)));
        above.insert(format!("project/{project}"));
    }
    above
}

/// `//cloudresourcemanager.googleapis.com/folders/N` of `folder/N`.
pub(super) fn full_name(container: &str) -> String {
    format!(
        "//cloudresourcemanager.googleapis.com/{}",
        container.replacen('/', "s/", 1)
    )
}
