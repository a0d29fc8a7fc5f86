//! What the pods of node pools that are to be moved can do today: read after the clusters, since
//! only those say which accounts are meant, and only where a node pool is to be moved.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::projects;
use wi_client::http::Http;
use wi_core::desired::{Desired, GKE_METADATA, GSA_ANNOTATION};
use wi_core::live::{Live, Seen};
use wi_core::names::{Email, ProjectId};
use wi_core::resource::Resource;
use wi_core::wire::container::{Cluster, NodePool};
use wi_core::wire::policy::Policy;

use super::read_policies;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Background {
    pub policies: BTreeMap<Resource, Seen<Policy>>,
    pub default_accounts: BTreeMap<ProjectId, Email>,
}

pub(super) async fn read(http: &Http, desired: &Desired, live: &Live) -> Background {
    let moving = clusters_that_move(desired, live);
    let mut wanted: BTreeSet<Resource> = moving
        .values()
        .map(|(path, _)| Resource::Project((*path).clone()))
        .collect();
    for name in moving.keys() {
        wanted.extend(accounts_of_others(desired, live, name).map(Resource::ServiceAccount));
    }
    wanted.retain(|r| !live.policies.contains_key(r));
    let with_default: BTreeSet<ProjectId> = moving
        .values()
        .filter(|(_, pools)| pools.iter().any(|p| runs_as_default(p)))
        .map(|(project, _)| (*project).clone())
        .collect();
    let numbers = with_default.into_iter().map(async |project| {
        let number = match live.numbers.get(&project) {
            Some(asked) => asked.found().copied(),
            None => projects::project_number(http, &project).await.ok(),
        };
        (project, number)
    });
    let (policies, numbers): (_, Vec<(ProjectId, Option<u64>)>) =
        tokio::join!(read_policies(http, wanted), join_all(numbers));
    Background {
        policies,
        default_accounts: numbers
            .into_iter()
            .filter_map(|(project, number)| {
                let email = format!("{}-compute@developer.gserviceaccount.com", number?);
                Some((project, Email::parse(&email).ok()?))
            })
            .collect(),
    }
}

/// Whether a node pool runs as the Compute Engine default service account.
pub(super) fn runs_as_default(pool: &NodePool) -> bool {
    matches!(pool.config.service_account.as_str(), "" | "default")
}

type Moving<'a> = BTreeMap<String, (&'a ProjectId, Vec<&'a NodePool>)>;

fn clusters_that_move<'a>(desired: &'a Desired, live: &'a Live) -> Moving<'a> {
    let pools = |name: &str, cluster: &'a Cluster| -> Vec<&'a NodePool> {
        cluster
            .node_pools
            .iter()
            .filter(|p| {
                !cluster.autopilot.enabled
                    && !p.autopilot_config.enabled
                    && desired.clusters[name].node_pools.select(&p.name)
            })
            .filter(|p| p.config.workload_metadata_config.mode != GKE_METADATA)
            .collect()
    };
    desired
        .clusters
        .iter()
        .filter_map(|(name, wanted)| {
            let pools = pools(name, live.clusters.get(name)?.found()?);
            (!pools.is_empty()).then(|| (name.clone(), (&wanted.path.project, pools)))
        })
        .collect()
}

/// Accounts that pods act as by annotations which this spec does not manage.
fn accounts_of_others<'a>(
    desired: &'a Desired,
    live: &'a Live,
    cluster: &'a str,
) -> impl Iterator<Item = Email> + use<'a> {
    let objects = live.kubernetes.get(cluster).and_then(Seen::found);
    let workloads = objects.and_then(|o| o.workloads.as_ref()?.as_ref().ok());
    let used: BTreeSet<(&str, &str)> = workloads
        .into_iter()
        .flat_map(|w| &w.pods)
        .map(|p| (p.metadata.namespace.as_str(), p.service_account()))
        .collect();
    objects
        .into_iter()
        .flat_map(|o| &o.service_accounts)
        .filter(move |((namespace, name), _)| used.contains(&(namespace.as_str(), name.as_str())))
        .filter(move |((namespace, name), _)| desired.ksa(cluster, namespace, name).is_none())
        .filter_map(|(_, meta)| Email::parse(meta.annotations.get(GSA_ANNOTATION)?).ok())
}
