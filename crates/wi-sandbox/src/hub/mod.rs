//! `gkehub.googleapis.com` v1: fleets, as far as their memberships and their identity pools go.

pub mod fleet;

mod operations;

use serde_json::{Value, json};

use super::clock;
use super::errors::ApiError;
use super::gke::cluster::Cluster;
use super::ids::ClusterKey;
use super::issued::Holder;
use super::oracle;
use super::request::Request;
use super::state::State;
use fleet::{Change, Fleet, Membership};
pub use operations::{advance_to, next_due};

const CLUSTERS: &str = "//container.googleapis.com/";

/// Whether a path is of this API, which has paths of the same form as GKE's.
pub fn is_asked(path: &[&str]) -> bool {
    match path {
        ["locations", _, collection, ..] => {
            collection.starts_with("memberships")
                || (*collection == "operations" && path.get(3).is_some_and(|o| o.ends_with("-hub")))
        }
        _ => false,
    }
}

/// Answers `v1/projects/F/locations/L/{memberships|operations}…`; `path` is what follows `projects/F`.
///
/// # Errors
/// Those of the API.
pub fn handle(
    state: &mut State,
    project: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let Some(host) = state.project(project) else {
        return Err(ApiError::denied(format!(
            "Permission denied on resource project {project} (or it may not exist)."
        )));
    };
    match (request.method.as_str(), path) {
        ("GET", [_, location, "memberships"]) => list(state, &host, location, request),
        ("POST", [_, location, "memberships"]) => create(state, &host, location, request),
        ("GET", [_, location, "memberships", name]) => {
            let found = find(state, &host, location, name)?;
            Ok(show(state, &host, found))
        }
        ("PATCH", [_, location, "memberships", name]) => {
            update(state, &host, (location, name), request)
        }
        ("DELETE", [_, location, "memberships", name]) => {
            find(state, &host, location, name)?;
            operations::start(state, &host, (location, name), Change::Delete)
        }
        ("GET", [_, location, "operations", name]) => operations::get(state, &host, location, name),
        _ => Err(request.not_simulated()),
    }
}

fn list(state: &State, host: &str, location: &str, request: &Request) -> Result<Value, ApiError> {
    let all = state.world.fleets.get(host);
    let all = all.into_iter().flat_map(|fleet| &fleet.memberships);
    let mut here: Vec<(String, &Membership)> = all
        .filter(|m| location == "-" || m.location == location)
        .map(|m| (resource(host, m), m))
        .collect();
    here.sort_by(|a, b| a.0.cmp(&b.0));
    let names = here.iter().map(|(name, _)| name.as_str());
    let (page, next) = request.page(names, (500, 1000))?;
    let shown = here
        .iter()
        .filter(|(name, _)| page.contains(&name.as_str()));
    let shown: Vec<Value> = shown.map(|(_, m)| show(state, host, m)).collect();
    let mut answer = json!({});
    if !shown.is_empty() {
        answer["resources"] = shown.into();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

fn create(
    state: &mut State,
    host: &str,
    location: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    let name = request.query("membershipId").unwrap_or_default().to_owned();
    if name.is_empty() || location == "-" {
        return Err(ApiError::invalid("membership_id must be specified."));
    }
    if find(state, host, location, &name).is_ok() {
        let resource = format!("projects/{host}/locations/{location}/memberships/{name}");
        return Err(ApiError::already_exists(format!(
            "Resource '{resource}' already exists"
        )));
    }
    let link = request.body["endpoint"]["gkeCluster"]["resourceLink"].as_str();
    let Some(link) = link else {
        return Err(request.not_simulated());
    };
    let cluster = cluster_of(state, link)?;
    let key = oracle::cluster_name(cluster);
    let of = cluster.project.clone();
    if let Some((other, m)) = of_cluster(state, &key) {
        return Err(ApiError::precondition(format!(
            "cluster {link:?} is registered already, as {}",
            resource(other, m)
        )));
    }
    check_agent(state, host, &of, link)?;
    let issuer = issuer(&request.body)?;
    let membership = Membership {
        unique_id: String::new(),
        name: name.clone(),
        location: location.to_owned(),
        cluster: key,
        issuer,
        ..Membership::default()
    };
    operations::start(state, host, (location, &name), Change::Create(membership))
}

/// `updateMask=authority`: an issuer is set where there is none, or cleared. There is no other way to another one.
fn update(
    state: &mut State,
    host: &str,
    (location, name): (&str, &str),
    request: &Request,
) -> Result<Value, ApiError> {
    let found = find(state, host, location, name)?;
    let mask = request.query("updateMask").unwrap_or_default();
    if !matches!(mask, "authority" | "authority.issuer") {
        return Err(request.not_simulated());
    }
    let issuer = issuer(&request.body)?;
    if let (Some(now), Some(wanted)) = (&found.issuer, &issuer)
        && now != wanted
    {
        return Err(ApiError::invalid(format!(
            "authority.issuer cannot be changed from {now:?} to {wanted:?}: it must be cleared first"
        )));
    }
    operations::start(state, host, (location, name), Change::Issuer(issuer))
}

fn issuer(body: &Value) -> Result<Option<String>, ApiError> {
    let issuer = body["authority"]["issuer"].as_str().unwrap_or_default();
    if issuer.is_empty() {
        return Ok(None);
    }
    if !issuer.starts_with("https://") || issuer.len() >= 2000 {
        return Err(ApiError::invalid(format!(
            "authority.issuer {issuer:?} must be an https URL of less than 2000 characters"
        )));
    }
    if issuer.contains("/zones/") {
        return Err(ApiError::invalid(format!(
            "invalid authority.issuer {issuer:?}: issuer for Gke Cluster should use 'locations'"
        )));
    }
    Ok(Some(issuer.to_owned()))
}

/// The cluster of `//container.googleapis.com/projects/P/locations/L/clusters/C`.
fn cluster_of<'a>(state: &'a State, link: &str) -> Result<&'a Cluster, ApiError> {
    let invalid = || {
        ApiError::invalid(format!(
            "invalid endpoint.gke_cluster.resource_link {link:?}"
        ))
    };
    let path: Vec<&str> = link
        .strip_prefix(CLUSTERS)
        .ok_or_else(invalid)?
        .split('/')
        .collect();
    let [
        "projects",
        project,
        "locations" | "zones",
        location,
        "clusters",
        name,
    ] = path.as_slice()
    else {
        return Err(invalid());
    };
    let project = state.project(project).ok_or_else(invalid)?;
    let mut clusters = state.world.clusters.iter();
    let found =
        clusters.find(|c| c.project == project && c.location == *location && c.name == *name);
    found.ok_or_else(|| ApiError::not_found(format!("GKE cluster {link:?} was not found")))
}

/// The fleet's agent reads clusters of other projects by a role that it is given there.
fn check_agent(state: &State, host: &str, project: &str, link: &str) -> Result<(), ApiError> {
    if host == project {
        return Ok(());
    }
    let number = state.number(host);
    let agent = format!("service-{number}@gcp-sa-gkehub.iam.gserviceaccount.com");
    let asked = format!("project/{project}");
    let read = "container.clusters.get";
    let decision = oracle::of_holder(state, &Holder::Account(agent), read, &asked);
    if decision.allowed == Some(false) {
        return Err(ApiError::denied(format!(
            "hub default service account does not have access to the GKE cluster project for {link:?}"
        )));
    }
    Ok(())
}

fn find<'a>(
    state: &'a State,
    host: &str,
    location: &str,
    name: &str,
) -> Result<&'a Membership, ApiError> {
    let fleet = state.world.fleets.get(host);
    let mut all = fleet.into_iter().flat_map(|fleet| &fleet.memberships);
    let found = all.find(|m| m.location == location && m.name == name);
    found.ok_or_else(|| {
        let resource = format!("projects/{host}/locations/{location}/memberships/{name}");
        ApiError::not_found(format!("Resource '{resource}' was not found"))
    })
}

/// The membership of a cluster (`PROJECT/LOCATION/NAME`), with the host project of its fleet.
pub fn of_cluster<'a>(state: &'a State, cluster: &str) -> Option<(&'a str, &'a Membership)> {
    state.world.fleets.iter().find_map(|(host, fleet)| {
        let mut all = fleet.memberships.iter();
        Some((host.as_str(), all.find(|m| m.cluster == cluster)?))
    })
}

/// The membership that a provider (`https://gkehub.googleapis.com/projects/F/…`) stands for.
pub fn of_provider<'a>(state: &'a State, provider: &str) -> Option<(&'a str, &'a Membership)> {
    state.world.fleets.iter().find_map(|(host, fleet)| {
        let mut all = fleet.memberships.iter();
        let found = all.find(|m| self::provider(host, m) == provider)?;
        Some((host.as_str(), found))
    })
}

/// The name of a fleet's identity pool.
pub fn pool(state: &State, host: &str) -> String {
    let fleet = state.world.fleets.get(host);
    let named = fleet.and_then(|fleet| fleet.workload_identity_pool.clone());
    named.unwrap_or_else(|| state.workload_pool(host))
}

/// Whether a fleet's pool takes tokens of any cluster.
pub fn has_pool(fleet: &Fleet) -> bool {
    fleet.memberships.iter().any(|m| m.issuer.is_some())
}

fn resource(host: &str, of: &Membership) -> String {
    format!(
        "projects/{host}/locations/{}/memberships/{}",
        of.location, of.name
    )
}

fn provider(host: &str, of: &Membership) -> String {
    format!("https://gkehub.googleapis.com/{}", resource(host, of))
}

/// A cluster's fleet as GKE shows it.
pub fn of_gke(state: &State, cluster: &Cluster) -> Option<Value> {
    let key = oracle::cluster_name(cluster);
    let (host, membership) = of_cluster(state, &key)?;
    Some(json!({
        "project": host,
        "membership": format!(
            "//gkehub.googleapis.com/projects/{}/locations/{}/memberships/{}",
            state.number(host), membership.location, membership.name
        ),
        "preRegistered": false,
    }))
}

fn show(state: &State, host: &str, of: &Membership) -> Value {
    let path: Vec<&str> = of.cluster.split('/').collect();
    let [project, location, name] = path.as_slice() else {
        return json!({});
    };
    let mut clusters = state.world.clusters.iter();
    let there = clusters.any(|c| oracle::cluster_name(c) == of.cluster);
    let link = format!("{CLUSTERS}projects/{project}/locations/{location}/clusters/{name}");
    let mut endpoint = json!({ "resourceLink": link });
    if !there {
        endpoint["clusterMissing"] = true.into();
    }
    let mut shown = json!({
        "name": resource(host, of),
        "endpoint": { "gkeCluster": endpoint },
        "state": { "code": "READY" },
        "createTime": of.create_time,
        "updateTime": of.update_time,
        "uniqueId": of.unique_id,
    });
    if let Some(issuer) = &of.issuer {
        shown["authority"] = json!({
            "issuer": issuer,
            "workloadIdentityPool": pool(state, host),
            "identityProvider": provider(host, of),
        });
    }
    shown
}

/// What GKE does of a new cluster that names a fleet: a membership, which no issuer comes with.
pub fn register(state: &mut State, host: &str, (project, location, name): &ClusterKey) {
    let cluster = format!("{project}/{location}/{name}");
    let now = clock::text(state.clock.now());
    let of = state.world.clusters.iter();
    let mut of = of.filter(|c| oracle::cluster_name(c) == cluster);
    let mut membership = Membership {
        name: name.clone(),
        location: of.next().map_or("global", Cluster::region).to_owned(),
        cluster,
        create_time: now.clone(),
        update_time: now,
        ..Membership::default()
    };
    membership.unique_id = unique_id(host, &membership);
    let fleet = state.world.fleets.entry(host.to_owned()).or_default();
    fleet.memberships.push(membership);
}

/// What people leave out of a world file: locations, ids, the issuer that is meant; and `membership` of a cluster is one
/// in the fleet of its own project.
pub fn complete(state: &mut State) {
    let mut own: Vec<(String, Membership)> = Vec::new();
    for cluster in &mut state.world.clusters {
        if let Some(name) = cluster.membership.take() {
            let membership = Membership {
                name,
                cluster: oracle::cluster_name(cluster),
                create_time: "2026-01-05T08:00:00Z".to_owned(),
                update_time: "2026-01-05T08:00:00Z".to_owned(),
                ..Membership::default()
            };
            own.push((cluster.project.clone(), membership));
        }
    }
    for (host, membership) in own {
        let fleet = state.world.fleets.entry(host).or_default();
        fleet.memberships.push(membership);
    }
    let clusters = &state.world.clusters;
    for (host, fleet) in &mut state.world.fleets {
        for membership in &mut fleet.memberships {
            let mut of = clusters.iter();
            let of = of.find(|c| oracle::cluster_name(c) == membership.cluster);
            if membership.location.is_empty() {
                membership.location = of.map_or("global", Cluster::region).to_owned();
            }
            if membership.unique_id.is_empty() {
                membership.unique_id = unique_id(host, membership);
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

fn unique_id(host: &str, of: &Membership) -> String {
    let id = crate::ids::hash(&(host, &of.location, &of.name, &of.cluster));
    let (a, b) = (id >> 32, id & 0xffff_ffff);
    format!(
        "{a:08x}-{:04x}-4{:03x}-8{:03x}-{a:08x}{:04x}",
        b >> 16,
        b & 0xfff,
        a & 0xfff,
        b & 0xffff
    )
}
