//! Clusters of the spec's projects that the spec does not mention: a Kubernetes service account of the
//! same namespace and name there is the same identity.

use futures::future::join_all;
use wi_client::http::Http;
use wi_client::http::seen;
use wi_client::kubernetes::Kube;
use wi_core::live::{Outside, Seen};
use wi_core::names::{ClusterPath, KsaIdentity, ProjectId};
use wi_core::read_set::ReadSet;
use wi_core::spec::model::Access;
use wi_core::wire::container::ClusterList;

/// Reads the clusters of one project's list that share the workload pool.
pub(super) async fn read(
    http: &Http,
    set: &ReadSet,
    project: &ProjectId,
    list: &ClusterList,
) -> Vec<Outside> {
    let pool = project.workload_pool();
    let ours = set.identities_of(project);
    if ours.is_empty() {
        return Vec::new();
    }
    let ours = &ours;
    let others = list.clusters.iter().filter(|c| {
        c.workload_identity_config.workload_pool == pool
            && c.status.is_running()
            && !set.clusters.values().map(|c| &c.wanted).any(|d| {
                d.path.project == *project && d.path.name == c.name && d.path.location == c.location
            })
    });
    join_all(others.map(async |cluster| {
        let same = match Kube::connect(http, cluster, &Access::Offered) {
            Ok(kube) => seen(kube.list_service_accounts().await.map(|all| {
                all.into_iter()
                    .map(|meta| KsaIdentity {
                        pool: project.workload_pool(),
                        namespace: meta.namespace,
                        name: meta.name,
                    })
                    .filter(|k| ours.contains(k))
                    .collect()
            })),
            Err(why) => Seen::Unknown(why),
        };
        Outside {
            path: ClusterPath {
                project: project.clone(),
                location: cluster.location.clone(),
                name: cluster.name.clone(),
            },
            same,
        }
    }))
    .await
}
