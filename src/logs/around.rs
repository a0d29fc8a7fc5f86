//! What clusters and roles say of identities before any log is read: networks that pods call from, and what roles
//! permit. What cannot be seen of it is told, and then the past decides.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::{container, iam};
use wi_client::http::Http;
use wi_core::names::{ProjectId, Role};
use wi_core::spec::model::{Discover, Scope, Spec};
use wi_core::wire::container::Cluster;
use wi_core::words::safe;
use wi_logs::expected::Expected;
use wi_logs::name::{self, Cidr};

/// Projects whose clusters the spec is about: their identities are shared by all clusters of the project.
fn projects(spec: &Spec) -> BTreeSet<ProjectId> {
    let named = spec.clusters.values().map(|c| c.path.project.clone());
    let found = spec.discover.iter().filter_map(|d| match &d.scope {
        Scope::Project(project) => Some(project.clone()),
        _ => None,
    });
    named.chain(found).collect()
}

/// Adds what is there to what is expected; the sentences are for the user.
pub async fn look(http: &Http, spec: &Spec, expected: &mut Expected) -> Vec<String> {
    let projects = projects(spec);
    let roles: Vec<Role> = expected
        .roles()
        .into_iter()
        .filter_map(|r| Role::parse(r).ok())
        .collect();
    let (networks, roles) = tokio::join!(
        join_all(projects.iter().map(|project| of_project(http, project))),
        join_all(roles.iter().map(async |role| {
            let read = iam::get_role(http, role).await;
            (role.to_string(), read)
        })),
    );
    let mut told = Vec::new();
    // Of a folder, which projects it has is seen by their clusters alone.
    let is_all = |d: &Discover| matches!(d.scope, Scope::Project(_));
    expected.networks_are_all = !networks.is_empty() && spec.discover.iter().all(is_all);
    for found in networks {
        expected.networks.extend(found.networks);
        expected.vpcs.extend(found.vpcs);
        if let Some(why) = found.unseen {
            expected.networks_are_all = false;
            told.push(why);
        }
    }
    if !expected.networks_are_all {
        // Those of other projects may be in VPCs that were not seen.
        expected.vpcs.clear();
    }
    let mut known = BTreeMap::new();
    for (role, read) in roles {
        match read {
            Ok(definition) if definition.deleted || definition.stage == "DISABLED" => {
                known.insert(role, Vec::new());
            }
            Ok(definition) => {
                let permissions = definition.included_permissions.into_iter();
                known.insert(role, permissions.collect());
            }
            Err(e) => told.push(format!(
                "What {} permits is not known ({e}): its name or the past decides what it explains.",
                safe(&role)
            )),
        }
    }
    expected.knows_roles(&known);
    told
}

/// Networks of a project's clusters.
#[derive(Default)]
struct Networks {
    networks: Vec<(Cidr, String)>,
    vpcs: BTreeSet<String>,
    /// Why those are not all, in a sentence.
    unseen: Option<String>,
}

async fn of_project(http: &Http, project: &ProjectId) -> Networks {
    let (clusters, subnetworks) = tokio::join!(
        container::list_clusters(http, project),
        container::usable_subnetworks(http, project),
    );
    let mut why = Vec::new();
    let clusters = match clusters {
        Ok(list) => {
            if !list.missing_zones.is_empty() {
                let zones = safe(&list.missing_zones.join(", "));
                why.push(format!("zones did not answer: {zones}"));
            }
            list.clusters
        }
        Err(e) => {
            why.push(e.to_string());
            Vec::new()
        }
    };
    let subnetworks = subnetworks.unwrap_or_else(|e| {
        why.push(e.to_string());
        Vec::new()
    });
    let vpcs: BTreeSet<&str> = clusters
        .iter()
        .map(|c| c.network_config.network.as_str())
        .collect();
    let is_shown = |vpc: &str| subnetworks.iter().any(|s| s.network == vpc);
    if why.is_empty() {
        let hidden = vpcs.iter().filter(|vpc| !is_shown(vpc));
        why.extend(hidden.map(|vpc| format!("no subnetwork of {} is shown", safe(vpc))));
    }
    let mut all = Networks::default();
    if !why.is_empty() {
        all.unseen = Some(format!(
            "Networks of clusters of project {project} are not all known ({}): of addresses and VPCs the past alone decides.",
            why.join("; ")
        ));
    }
    for cluster in &clusters {
        all.networks.extend(of_cluster(cluster));
    }
    for subnetwork in subnetworks
        .iter()
        .filter(|s| vpcs.contains(s.network.as_str()))
    {
        let name = subnetwork.subnetwork.rsplit('/').next().unwrap_or_default();
        let secondary = subnetwork.secondary_ip_ranges.iter();
        let own = [("nodes", &subnetwork.ip_cidr_range)];
        for (what, range) in own
            .into_iter()
            .chain(secondary.map(|s| (s.range_name.as_str(), &s.ip_cidr_range)))
        {
            let label = format!("{} of subnetwork {}", safe(what), safe(name));
            all.networks
                .extend(Cidr::parse(range).map(|cidr| (cidr, label)));
        }
    }
    let named = vpcs.into_iter().map(name::vpc).filter(|v| !v.is_empty());
    all.vpcs = named.collect();
    all
}

/// A cluster's own ranges, with what they are.
fn of_cluster(cluster: &Cluster) -> Vec<(Cidr, String)> {
    let own = [
        ("pods", &cluster.cluster_ipv4_cidr),
        ("services", &cluster.services_ipv4_cidr),
        (
            "control plane",
            &cluster.private_cluster_config.master_ipv4_cidr_block,
        ),
    ];
    let ranges = own.into_iter();
    ranges
        .filter_map(|(what, range)| {
            let label = format!("{what} of {}", safe(&cluster.name));
            Some((Cidr::parse(range)?, label))
        })
        .collect()
}
