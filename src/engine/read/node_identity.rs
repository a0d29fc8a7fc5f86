//! What the pods of node pools that are to be moved can do today: read after the clusters, since
//! only those say which accounts are meant, and only where a node pool is to be moved.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::{iam, projects};
use wi_client::http::{Http, seen};
use wi_core::desired::GSA_ANNOTATION;
use wi_core::live::{Live, Seen};
use wi_core::names::{Email, ProjectId};
use wi_core::read_set::{ReadCluster, ReadSet};
use wi_core::resource::Resource;
use wi_core::wire::container::NodePool;
use wi_core::wire::iam::ServiceAccount;
use wi_core::wire::policy::Policy;

use super::read_policies;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Background {
    pub policies: BTreeMap<Resource, Seen<Policy>>,
    pub default_accounts: BTreeMap<ProjectId, Email>,
    /// Accounts that pods act as by annotations of others.
    pub accounts: BTreeMap<Email, Seen<ServiceAccount>>,
}

pub(super) async fn read(http: &Http, set: &ReadSet, live: &Live) -> Background {
    let moving = clusters_that_move(set, live);
    let mut wanted: BTreeSet<Resource> = moving
        .values()
        .map(|(path, _)| Resource::Project((*path).clone()))
        .collect();
    let others: BTreeSet<Email> = moving
        .keys()
        .flat_map(|name| accounts_of_others(&set.clusters[name], live, name))
        .collect();
    wanted.extend(others.iter().cloned().map(Resource::ServiceAccount));
    wanted.retain(|r| !live.policies.contains_key(r));
    let unread = others.into_iter().filter(|e| live.account(e).is_none());
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
    let (policies, numbers, accounts): (_, Vec<(ProjectId, Option<u64>)>, _) = tokio::join!(
        read_policies(http, wanted),
        join_all(numbers),
        get_accounts(http, unread)
    );
    Background {
        policies,
        accounts,
        default_accounts: numbers
            .into_iter()
            .filter_map(|(project, number)| {
                let email = format!("{}-compute@developer.gserviceaccount.com", number?);
                Some((project, Email::parse(&email).ok()?))
            })
            .collect(),
    }
}

/// Accounts, one by one: of the projects of others no list is asked for.
pub(super) async fn get_accounts(
    http: &Http,
    emails: impl Iterator<Item = Email>,
) -> BTreeMap<Email, Seen<ServiceAccount>> {
    let with_project = emails.filter_map(|email| Some((email.project()?, email)));
    join_all(with_project.map(async |(project, email)| {
        let account = seen(iam::get_service_account(http, &project, &email).await);
        (email, account)
    }))
    .await
    .into_iter()
    .collect()
}

/// Whether a node pool runs as the Compute Engine default service account.
pub(super) fn runs_as_default(pool: &NodePool) -> bool {
    matches!(pool.config.service_account.as_str(), "" | "default")
}

type Moving<'a> = BTreeMap<String, (&'a ProjectId, Vec<&'a NodePool>)>;

fn clusters_that_move<'a>(set: &'a ReadSet, live: &'a Live) -> Moving<'a> {
    let moving = set.clusters.iter().filter_map(|(name, read)| {
        let cluster = live.clusters.get(name)?.found()?;
        let pools: Vec<&NodePool> = read.wanted.moving(cluster).collect();
        (!pools.is_empty()).then(|| (name.clone(), (&read.wanted.path.project, pools)))
    });
    moving.collect()
}

/// Accounts that pods act as by annotations which this spec does not manage.
fn accounts_of_others<'a>(
    asked: &'a ReadCluster,
    live: &'a Live,
    cluster: &str,
) -> impl Iterator<Item = Email> + use<'a> {
    let objects = live.kubernetes.get(cluster).and_then(Seen::found);
    let workloads = objects.and_then(|o| o.workloads.as_ref()?.as_ref().ok());
    let by_pods = workloads
        .into_iter()
        .flat_map(|w| &w.pods)
        .map(|p| (p.metadata.namespace.as_str(), p.service_account()));
    let by_templates = workloads
        .into_iter()
        .flat_map(|w| &w.templates)
        .map(|t| (t.metadata.namespace.as_str(), t.pod.service_account()));
    let used: BTreeSet<(&str, &str)> = by_pods.chain(by_templates).collect();
    objects
        .into_iter()
        .flat_map(|o| &o.service_accounts)
        .filter(move |((namespace, name), _)| used.contains(&(namespace.as_str(), name.as_str())))
        .filter_map(move |((namespace, name), meta)| {
            let acts_as = Email::parse(meta.annotations.get(GSA_ANNOTATION)?).ok()?;
            let wanted = asked.ksa(namespace, name).and_then(|k| k.account.as_ref());
            (wanted != Some(&acts_as)).then_some(acts_as)
        })
}
