//! Fleets as the APIs show them.

use serde_json::{Value, json};

use super::fleet::{Membership, of_cluster};
use crate::gke::cluster::Cluster;
use crate::state::State;

/// A cluster's fleet as GKE shows it.
pub fn of_gke(state: &State, cluster: &Cluster) -> Option<Value> {
    let (host, membership) = of_cluster(&state.world.fleets, &cluster.path())?;
    Some(json!({
        "project": host,
        "membership": format!(
            "//gkehub.googleapis.com/projects/{}/locations/{}/memberships/{}",
            state.number(host), membership.location, membership.name
        ),
        "preRegistered": false,
    }))
}

/// A membership as the API shows it.
pub fn membership(state: &State, host: &str, of: &Membership) -> Value {
    let path: Vec<&str> = of.cluster.split('/').collect();
    let [project, location, name] = path.as_slice() else {
        return json!({});
    };
    let mut clusters = state.world.clusters.iter();
    let there = clusters.any(|c| c.path() == of.cluster);
    let link = format!(
        "//container.googleapis.com/projects/{project}/locations/{location}/clusters/{name}"
    );
    let mut endpoint = json!({ "resourceLink": link });
    if !there {
        endpoint["clusterMissing"] = true.into();
    }
    let mut shown = json!({
        "name": of.resource(host),
        "endpoint": { "gkeCluster": endpoint },
        "state": { "code": "READY" },
        "createTime": of.create_time,
        "updateTime": of.update_time,
        "uniqueId": of.unique_id,
    });
    if let Some(issuer) = &of.issuer {
        shown["authority"] = json!({
            "issuer": issuer,
            "workloadIdentityPool": state.fleet_pool(host),
            "identityProvider": of.provider(host),
        });
    }
    shown
}
