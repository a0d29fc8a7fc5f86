//! Clusters of the projects that the spec looks at, which it does not mention: a Kubernetes service account of
//! the same namespace and name there is the same identity, and one with this spec's mark is left over from a
//! time when the spec had the cluster.

use futures::future::join_all;
use tracing::{Instrument, info_span};
use wi_client::http::seen;
use wi_client::http::{ApiError, Http};
use wi_client::kubernetes::Kube;
use wi_core::live::{Outside, Seen};
use wi_core::names::{ClusterPath, ProjectId};
use wi_core::read_set::ReadSet;
use wi_core::spec::model::Access;
use wi_core::wire::container::{Cluster, ClusterList};

/// Reads the clusters of one project's list that share the workload pool.
pub(super) async fn read(
    http: &Http,
    set: &ReadSet,
    project: &ProjectId,
    list: &ClusterList,
) -> Vec<Outside> {
    let pool = project.workload_pool();
    // Where a plan is compared with what is there, that is asked where something goes that others may use.
    if !set.outside {
        return Vec::new();
    }
    let others = list.clusters.iter().filter(|c| {
        c.workload_identity_config.workload_pool == pool
            && c.status.is_running()
            && !set.clusters.values().map(|c| &c.wanted).any(|d| {
                d.path.project == *project && d.path.name == c.name && d.path.location == c.location
            })
    });
    let path = |location: &str, name: &str| ClusterPath {
        project: project.clone(),
        location: location.to_owned(),
        name: name.to_owned(),
    };
    let mut all = join_all(others.map(async |cluster| {
        let service_accounts = match Kube::connect(http, cluster, &Access::Offered) {
            Ok(kube) => {
                let span = info_span!("cluster", name = cluster.name);
                seen(kube.list_service_accounts().instrument(span).await)
            }
            Err(why) => Seen::Unknown(why.into()),
        };
        Outside {
            path: path(&cluster.location, &cluster.name),
            service_accounts,
            cluster: cluster.clone(),
        }
    }))
    .await;
    all.extend(list.missing_zones.iter().map(|zone| Outside {
        path: path(zone, "-"),
        service_accounts: Seen::Unknown("GKE did not hear from the zone".into()),
        cluster: Cluster::default(),
    }));
    all
}

/// What stands for all clusters of a project that could not be listed.
pub(super) fn unlisted(project: &ProjectId, why: &ApiError) -> Outside {
    Outside {
        path: ClusterPath {
            project: project.clone(),
            location: "-".to_owned(),
            name: "-".to_owned(),
        },
        service_accounts: Seen::Unknown(why.reason()),
        cluster: Cluster::default(),
    }
}
