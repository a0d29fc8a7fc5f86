//! Memberships that nobody asked this API for: of a world file, and of clusters that are made as a fleet's.

use super::fleet::{Membership, long_ago};
use crate::gke::cluster::Cluster;
use crate::ids::ClusterKey;
use crate::world::World;

/// What GKE does of a new cluster that names a fleet: a membership, which no issuer comes with.
pub fn register(world: &mut World, host: &str, cluster: &ClusterKey, now: &str) {
    let (project, location, name) = cluster;
    let cluster = format!("{project}/{location}/{name}");
    let of = world.clusters.iter();
    let mut of = of.filter(|c| c.path() == cluster);
    let mut membership = Membership {
        name: name.clone(),
        location: of.next().map_or("global", Cluster::region).to_owned(),
        cluster,
        create_time: now.to_owned(),
        update_time: now.to_owned(),
        ..Membership::default()
    };
    membership.unique_id = membership.made_id(host);
    let fleet = world.fleets.entry(host.to_owned()).or_default();
    fleet.memberships.push(membership);
}

/// What people leave out of a world file: locations, ids, the issuer that is meant; and `membership` of a cluster is one
/// in the fleet of its own project.
pub fn complete(world: &mut World) {
    let mut own: Vec<(String, Membership)> = Vec::new();
    for cluster in &mut world.clusters {
        if let Some(name) = cluster.membership.take() {
            let membership = Membership {
                name,
                cluster: cluster.path(),
                create_time: long_ago(),
                update_time: long_ago(),
                ..Membership::default()
            };
            own.push((cluster.project.clone(), membership));
        }
    }
    for (host, membership) in own {
        let fleet = world.fleets.entry(host).or_default();
        fleet.memberships.push(membership);
    }
    let clusters = &world.clusters;
    for (host, fleet) in &mut world.fleets {
        for membership in &mut fleet.memberships {
            let mut of = clusters.iter();
            let of = of.find(|c| c.path() == membership.cluster);
            if membership.location.is_empty() {
                membership.location = of.map_or("global", Cluster::region).to_owned();
            }
            if membership.unique_id.is_empty() {
                membership.unique_id = membership.made_id(host);
            }
            if std::mem::take(&mut membership.workload_identity) {
                let (issuer, cluster) = (&mut membership.issuer, &membership.cluster);
                issuer.get_or_insert_with(|| own_issuer(cluster));
            }
        }
    }
}

fn own_issuer(cluster: &str) -> String {
    let mut path = cluster.splitn(3, '/');
    let mut next = || path.next().unwrap_or_default();
    format!(
        "https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
        next(),
        next(),
        next()
    )
}
