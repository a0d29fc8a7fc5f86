//! `gkehub.googleapis.com` v1: fleets, as far as their memberships and their identity pools go.

pub mod complete;
pub mod fleet;
pub mod operations;
pub mod show;

use serde_json::{Value, json};

use super::errors::ApiError;
use super::gke::cluster::Cluster;
use super::issued::Holder;
use super::oracle;
use super::request::Request;
use super::state::State;
use fleet::{Change, Membership, of_cluster};

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
            Ok(show::membership(state, &host, found))
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
        .map(|m| (m.resource(host), m))
        .collect();
    here.sort_by(|a, b| a.0.cmp(&b.0));
    let names = here.iter().map(|(name, _)| name.as_str());
    let (page, next) = request.page(names, (500, 1000))?;
    let shown = here
        .iter()
        .filter(|(name, _)| page.contains(&name.as_str()));
    let shown: Vec<Value> = shown
        .map(|(_, m)| show::membership(state, host, m))
        .collect();
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
        let other = request.body["endpoint"].as_object();
        return Err(match other.is_some_and(|endpoint| !endpoint.is_empty()) {
            true => request.not_simulated(),
            false => ApiError::invalid("membership.endpoint must be specified."),
        });
    };
    let cluster = cluster_of(state, link)?;
    let key = oracle::cluster_name(cluster);
    let of = cluster.project.clone();
    if let Some((other, m)) = of_cluster(&state.world.fleets, &key) {
        return Err(ApiError::precondition(format!(
            "cluster {link:?} is registered already, as {}",
            m.resource(other)
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
    if mask.is_empty() {
        return Err(ApiError::invalid("update_mask must be specified."));
    }
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

/// What follows this server's own address: gcloud takes the host that its setting for GKE names for GKE's.
fn here<'a>(scheme: &str, url: &'a str) -> Option<&'a str> {
    let rest = url.strip_prefix(scheme)?.strip_prefix("127.0.0.1:")?;
    Some(rest.split_once('/')?.1)
}

fn issuer(body: &Value) -> Result<Option<String>, ApiError> {
    let issuer = body["authority"]["issuer"].as_str().unwrap_or_default();
    if issuer.is_empty() {
        return Ok(None);
    }
    let issuer = match here("http://", issuer) {
        Some(path) => format!("https:{CLUSTERS}{path}"),
        None => issuer.to_owned(),
    };
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
    Ok(Some(issuer))
}

/// The cluster of `//container.googleapis.com/projects/P/locations/L/clusters/C`.
fn cluster_of<'a>(state: &'a State, link: &str) -> Result<&'a Cluster, ApiError> {
    let invalid = || {
        ApiError::invalid(format!(
            "invalid endpoint.gke_cluster.resource_link {link:?}"
        ))
    };
    let path = link.strip_prefix(CLUSTERS);
    let path = path.or(here("//", link)).ok_or_else(invalid)?;
    let path: Vec<&str> = path.split('/').collect();
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
