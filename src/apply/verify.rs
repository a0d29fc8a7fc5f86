//! Whether a wave did what it was to do: all that it wrote is read back, with the whole chain of each
//! changed identity, and the pods of changed node pools are ready again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};
use wi_core::address::Address;
use wi_core::desired::Desired;
use wi_core::live::{Live, Seen};
use wi_core::plan::{self, Action, Edit, Options, Plan, Workload};
use wi_core::reason::Reason;
use wi_core::wire::pods::Pod;

use super::proof::Access;
use super::wait::Wait;
use super::{Context, Outcome, Status};
use crate::engine::read;

/// What of the done changes among `addresses` does not hold, and why.
#[allow(clippy::too_many_arguments, reason = "all of a rollout's own")]
pub(super) async fn wave(
    context: &Arc<Context>,
    desired: &Desired,
    before: &Live,
    options: &Options,
    addresses: &BTreeSet<Address>,
    outcome: &Outcome,
    ready: Duration,
    stop: &CancellationToken,
) -> BTreeMap<Address, Reason> {
    let done: BTreeSet<&Address> = addresses
        .iter()
        .filter(|a| outcome.get(*a) == Some(&Status::Done))
        .collect();
    if done.is_empty() {
        return BTreeMap::new();
    }
    let mut part = Plan::default();
    for address in &done {
        let change = context.plan.changes[*address].clone();
        part.changes.insert((*address).clone(), change);
    }
    let wanted = plan::with_chains(desired, &part);
    let live = read::read(&context.http, &wanted.reads).await;
    let fresh = plan::plan(&wanted.desired, &live, options);
    let mut failed = BTreeMap::new();
    for address in &done {
        if let Some(still) = fresh.changes.get(*address) {
            let what = match still.action() {
                Action::Create => "it is not there when it is read back",
                Action::Update => "it reads back other than it was written",
                Action::Delete => continue,
            };
            failed.insert((*address).clone(), what.into());
        }
    }
    // A link of the chain that is missing is a failure of the accounts that need it.
    let access = Access::of(&fresh.changes);
    for (key, ksa) in &wanted.desired.ksas {
        let own = key.address();
        if let Some(address) = access.first(key, ksa)
            && done.contains(&own)
        {
            let how = match fresh.changes[address].action() {
                Action::Create => "there",
                Action::Update | Action::Delete => "as it has to be",
            };
            failed
                .entry(own)
                .or_insert_with(|| format!("{address}, which it needs, is not {how}").into());
        }
    }
    failed.extend(pods(context, before, &done, ready, stop).await);
    failed
}

/// Waits until the workloads of clusters whose node pools moved are as ready as they were.
async fn pods(
    context: &Arc<Context>,
    before: &Live,
    done: &BTreeSet<&Address>,
    ready: Duration,
    stop: &CancellationToken,
) -> BTreeMap<Address, Reason> {
    let mut moved: BTreeMap<&str, &Address> = BTreeMap::new();
    for address in done {
        if let Edit::NodePool(pool) = &context.plan.changes[*address].edit {
            moved.entry(&pool.cluster).or_insert(address);
        }
    }
    let waits = moved.into_iter().map(async |(cluster, address)| {
        let was = before
            .kubernetes
            .get(cluster)
            .and_then(Seen::found)
            .and_then(|o| o.workloads.as_ref()?.as_ref().ok())
            .map(|w| unready(&w.pods))
            .unwrap_or_default();
        let mut wait = Wait::up_to(ready, context.limits.poll);
        loop {
            let kube = match context.kube(cluster) {
                Ok(kube) => kube,
                Err(why) => return Some((address.clone(), why)),
            };
            let pods = kube.list_pods();
            let pods = pods.instrument(info_span!("cluster", name = cluster));
            let why = match pods.await {
                Ok(pods) => {
                    let new: Vec<String> = unready(&pods)
                        .difference(&was)
                        .map(ToString::to_string)
                        .collect();
                    if new.is_empty() {
                        return None;
                    }
                    format!(
                        "its nodes are recreated, but not ready again: {}",
                        new.join(", ")
                    )
                    .into()
                }
                Err(e) => e.reason(),
            };
            if stop.is_cancelled() || !wait.again().await {
                return Some((address.clone(), why));
            }
        }
    });
    join_all(waits).await.into_iter().flatten().collect()
}

/// Workloads with pods that should run and are not ready.
fn unready(pods: &[Pod]) -> BTreeSet<Workload> {
    pods.iter()
        .filter(|p| !p.is_ready() && !p.has_ended())
        .map(Workload::of)
        .collect()
}
