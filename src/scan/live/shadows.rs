//! Shadows that `wi` has made, and what goes by labels around the originals: read where a migration may have one.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;
use tracing::{Instrument, info_span};
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::live::around::Around;
use wi_core::live::shadows::ShadowSeen;
use wi_core::live::templates::Whole;
use wi_core::live::{Live as PlanLive, Seen, to_connect};
use wi_core::migrate::shadow::{LABEL, MARK};
use wi_core::wire::kubernetes::MANAGED_BY;
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind};

use super::{Workload, read};

fn deployments() -> Option<&'static WorkloadKind> {
    WORKLOAD_KINDS.iter().find(|k| k.kind == "Deployment")
}

/// Shadows, by cluster, with their pods; or why they are not known. `must`: what could not be
/// looked at is told.
pub async fn find(
    http: &Http,
    desired: &Desired,
    live: &PlanLive,
    must: bool,
) -> BTreeMap<String, Result<Vec<ShadowSeen>, String>> {
    let Some(kind) = deployments() else {
        return BTreeMap::new();
    };
    let each = desired.clusters.iter().map(async |(name, cluster)| {
        let there = live.clusters.get(name);
        let there = there.and_then(|seen| to_connect(cluster, seen));
        let found = async {
            // That it could not be reached is told as that.
            let there = match live.kubernetes.get(name) {
                Some(Seen::Unknown(_)) => None,
                _ => there,
            };
            let there = there.ok_or("the cluster was not read")?;
            let kube = Kube::connect(http, &there, &cluster.access).map_err(|e| e.to_string())?;
            let all = kube.list_labelled(kind, MANAGED_BY, "wi").await;
            let all = all.map_err(|e| e.reason().to_string())?;
            let marked = all
                .into_iter()
                .filter(|o| o["metadata"]["annotations"][MARK].is_string());
            let seen = marked.map(async |object| seen(http, &kube, name, object).await);
            Ok::<_, String>(join_all(seen).await)
        };
        let span = info_span!("cluster", name);
        let found = found.instrument(span).await;
        if found.is_err() && !must {
            return None;
        }
        Some((name.clone(), found))
    });
    join_all(each).await.into_iter().flatten().collect()
}

async fn seen(http: &Http, kube: &Kube, cluster: &str, object: Value) -> ShadowSeen {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = text(&object["metadata"]["namespace"]);
    let label = text(&object["metadata"]["labels"][LABEL]);
    let pods = kube.list_pods_labelled(&namespace, LABEL, &label).await;
    ShadowSeen {
        cluster: cluster.to_owned(),
        object: Whole(object),
        pods: pods
            .map(|pods| pods.into_iter().map(Whole).collect())
            .map_err(|e| e.reason().into()),
        now: read::now(http),
    }
}

/// What goes by labels in the namespace of a workload.
///
/// # Errors
/// Why that is not known.
pub async fn around(
    kubes: &BTreeMap<String, Kube>,
    planned: &PlanLive,
    workload: &Workload,
) -> Result<Around, String> {
    let cluster = planned.clusters.get(&workload.cluster);
    let cluster = cluster.and_then(Seen::found);
    let cluster = cluster.ok_or("its cluster could not be read")?;
    let kube = kubes.get(&workload.cluster);
    let kube = kube.ok_or("its cluster cannot be reached any more")?;
    let by_policies = cluster.enforces_network_policies();
    let around = kube.around(&workload.namespace, by_policies).await;
    around.map_err(|e| e.reason().into())
}
