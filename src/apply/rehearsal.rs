//! Before the first write of anything: each planned write of Kubernetes, as a dry run. The server tells what it would
//! refuse: fields of other managers, namespaces that are going, quotas, webhooks that deny or rewrite.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;
use tracing::{Instrument, info_span};
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::address::Address;
use wi_core::desired::Desired;
use wi_core::live::{Live, to_connect};
use wi_core::plan::{Change, Edit, Plan};
use wi_core::reason::Reason;

use super::Limits;
use super::edit::object::{Target, WriteError};
use super::edit::{ksa, namespace, template};

/// The writes that the servers would refuse, and why.
pub type Refused = BTreeMap<Address, Reason>;

/// Carries the writes of Kubernetes out as dry runs: the very calls that the apply makes. What cannot be asked is not
/// in the answer, and the write itself will tell: what is in a namespace that the plan makes, and where a webhook
/// takes no dry runs.
pub async fn check(http: &Http, plan: &Plan, desired: &Desired, live: &Live) -> Refused {
    let limits = Limits::default();
    let now = jiff::Timestamp::now() - http.clock_ahead().unwrap_or_default();
    let mut of_clusters: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in plan.changes.values() {
        let cluster = change.cluster().filter(|_| may_be_asked(plan, change));
        if let Some(cluster) = cluster {
            of_clusters.entry(cluster).or_default().push(change);
        }
    }
    let asked = of_clusters.into_iter().map(async |(cluster, changes)| {
        let Some(wanted) = desired.clusters.get(cluster) else {
            return Vec::new();
        };
        let found = live.clusters.get(cluster);
        let Some(found) = found.and_then(|c| to_connect(wanted, c)) else {
            return Vec::new();
        };
        let Ok(kube) = Kube::connect(http, &found, &wanted.access) else {
            return Vec::new();
        };
        let target = Target {
            kube: &kube.dry_run(),
            owner: &plan.owner,
            limits: &limits,
        };
        let refused = changes.into_iter().map(async |change| {
            let address = change.edit.address();
            let span = info_span!("change", address = &*address);
            let asked = refusal(&target, change, desired, live, now);
            let why = asked.instrument(span).await?;
            Some((address, why))
        });
        join_all(refused).await
    });
    let refused = join_all(asked).await.into_iter().flatten().flatten();
    refused.collect()
}

/// Whether it is a write of Kubernetes into what is there.
fn may_be_asked(plan: &Plan, change: &Change) -> bool {
    match &change.edit {
        Edit::Namespace(_) => true,
        Edit::Ksa(ksa) => {
            let namespace = plan.changes.get(&ksa.key.namespace_key().address());
            !namespace.is_some_and(|n| matches!(&n.edit, Edit::Namespace(n) if n.before.is_none()))
        }
        // What was begun is there.
        Edit::Template(template) => !template.goes_on,
        _ => false,
    }
}

async fn refusal(
    target: &Target<'_>,
    change: &Change,
    desired: &Desired,
    live: &Live,
    now: Timestamp,
) -> Option<Reason> {
    let tried = match &change.edit {
        Edit::Namespace(edit) => namespace::change(target, edit).await,
        Edit::Ksa(edit) => ksa::change(target, edit).await,
        Edit::Template(edit) => {
            let asked = template::rehearsal::ask(target.kube, edit, desired, live, now).await;
            asked.map_err(WriteError::Api)
        }
        _ => Ok(()),
    };
    match tried {
        Ok(()) => None,
        Err(WriteError::Api(e)) if e.is_dry_run_unsupported() => None,
        Err(e) => Some(e.into()),
    }
}

/// Whether the rollout goes on with so many clusters failed: then they fail as they would have, at their turn.
pub fn is_tolerated(plan: &Plan, refused: &Refused) -> bool {
    let clusters: BTreeSet<&str> = refused
        .keys()
        .filter_map(|address| plan.changes.get(address)?.cluster())
        .collect();
    plan.waves
        .as_ref()
        .is_some_and(|waves| waves.continues || clusters.len() <= waves.max_failures)
}
