//! The workloads of namespaces in which an identity is to end: some may have nothing else.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tracing::{Instrument, info_span};
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::live::{Live, Template, to_connect};
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind};

/// The kinds out of which `wi` takes keys.
const CHANGED: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "CronJob"];

/// By the spec's name of the cluster and by namespace; or why they are not known.
pub(crate) async fn read(
    http: &Http,
    desired: &Desired,
    live: &Live,
    namespaces: BTreeSet<(String, String)>,
) -> BTreeMap<(String, String), Result<Vec<Template>, String>> {
    let each = namespaces.into_iter().map(async |(cluster, namespace)| {
        let span = info_span!("cluster", name = cluster);
        let seen = of_namespace(http, desired, live, &cluster, &namespace);
        let seen = seen.instrument(span).await;
        ((cluster, namespace), seen)
    });
    join_all(each).await.into_iter().collect()
}

async fn of_namespace(
    http: &Http,
    desired: &Desired,
    live: &Live,
    cluster: &str,
    namespace: &str,
) -> Result<Vec<Template>, String> {
    let wanted = desired.clusters.get(cluster);
    let wanted = wanted.ok_or("its cluster is not in the spec")?;
    let there = live.clusters.get(cluster);
    let there = there.and_then(|seen| to_connect(wanted, seen));
    let there = there.ok_or("the cluster was not read")?;
    let kube = Kube::connect(http, &there, &wanted.access).map_err(|e| e.to_string())?;
    let kinds: Vec<&WorkloadKind> = WORKLOAD_KINDS
        .iter()
        .filter(|k| CHANGED.contains(&k.kind))
        .collect();
    let lists = kinds
        .iter()
        .map(|kind| kube.list_workloads_of(kind, namespace));
    let lists = join_all(lists).await;
    let mut all = Vec::new();
    for (kind, list) in kinds.iter().zip(lists) {
        let list = list.map_err(|e| e.reason().to_string())?;
        all.extend(list.into_iter().filter_map(|o| Template::of(kind.kind, o)));
    }
    Ok(all)
}
