//! What projects inherit: the policies of the folders and the organization above them, where they may
//! be read. A reader without that right, as in most pull-request jobs, is told nothing of them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::projects;
use wi_client::http::Http;
use wi_core::live::Seen;
use wi_core::names::ProjectId;
use wi_core::read_set::ReadSet;
use wi_core::resource::Resource;
use wi_core::wire::policy::Policy;

use super::read_policies;

type Ancestors = BTreeMap<ProjectId, Vec<Resource>>;

pub(super) async fn read(
    http: &Http,
    set: &ReadSet,
) -> (Ancestors, BTreeMap<Resource, Seen<Policy>>) {
    let ancestors: Ancestors = join_all(set.ancestors_of.iter().map(async |project| {
        let above = projects::ancestors(http, project).await.unwrap_or_default();
        (project.clone(), above)
    }))
    .await
    .into_iter()
    .collect();
    let above: BTreeSet<Resource> = ancestors.values().flatten().cloned().collect();
    let mut policies = read_policies(http, above).await;
    policies.retain(|_, policy| policy.found().is_some());
    (ancestors, policies)
}
