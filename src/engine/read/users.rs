//! Pods that say whether somebody uses a right to act as an account of the spec: asked for last, since only the
//! policies of accounts say who may.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tracing::{Instrument, info_span};
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::live::{Live, to_connect};
use wi_core::names::ClusterPath;
use wi_core::plan::pods_to_read;
use wi_core::read_set::ReadSet;
use wi_core::reason::Reason;
use wi_core::spec::model::Access;
use wi_core::wire::pods::Pod;

/// By cluster and namespace; an error says why they could not be read.
type Pods = BTreeMap<(ClusterPath, String), Result<Vec<Pod>, Reason>>;

pub(super) async fn read(http: &Http, set: &ReadSet, live: &Live) -> Pods {
    let now = jiff::Timestamp::now() - http.clock_ahead().unwrap_or_default();
    let wanted = pods_to_read(set, live, now).into_iter();
    let per_cluster = join_all(wanted.map(async |(path, namespaces)| {
        let kube = connect(http, set, live, &path);
        let span = info_span!("cluster", name = path.name);
        let pods = of_cluster(kube, namespaces).instrument(span);
        let pods = pods.await.into_iter();
        let pods = pods.map(move |(namespace, pods)| ((path.clone(), namespace), pods));
        pods.collect::<Vec<_>>()
    }));
    per_cluster.await.into_iter().flatten().collect()
}

async fn of_cluster(
    kube: Result<Kube, Reason>,
    namespaces: BTreeSet<String>,
) -> Vec<(String, Result<Vec<Pod>, Reason>)> {
    let kube = match &kube {
        Ok(kube) => kube,
        Err(why) => {
            let each = namespaces.into_iter().map(|ns| (ns, Err(why.clone())));
            return each.collect();
        }
    };
    join_all(namespaces.into_iter().map(async |namespace| {
        let pods = kube.list_pods_of(&namespace).await;
        (namespace, pods.map_err(|e| e.reason()))
    }))
    .await
}

fn connect(http: &Http, set: &ReadSet, live: &Live, path: &ClusterPath) -> Result<Kube, Reason> {
    let of_spec = set.clusters.iter().find(|(_, c)| c.wanted.path == *path);
    if let Some((name, asked)) = of_spec {
        let wanted = &asked.wanted;
        let cluster = live.clusters.get(name).and_then(|c| to_connect(wanted, c));
        let cluster = cluster.ok_or("the cluster itself could not be read")?;
        return Ok(Kube::connect(http, &cluster, &wanted.access)?);
    }
    let outside = live.outside.iter().find(|o| o.path == *path);
    let outside = outside.ok_or("the cluster itself could not be read")?;
    Ok(Kube::connect(http, &outside.cluster, &Access::Offered)?)
}
