//! `container.googleapis.com` v1: clusters, node pools, operations.

pub mod cluster;
pub mod operation;
pub mod operations;
pub mod pool;
mod upgrade;

mod clusters;
mod completion;
mod create;
mod node_pools;
mod rollout;
mod show;
mod unfinished;

use serde_json::{Value, json};

use super::errors::ApiError;
use super::request::Request;
use super::state::State;

/// Answers `v1/projects/P/{locations|zones}/L/...`; `path` is what follows `projects/P`.
pub fn handle(
    state: &mut State,
    project: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let Some(project) = state.project(project) else {
        return Err(ApiError::denied(format!(
            "Permission denied on resource project {project} (or it may not exist)."
        )));
    };
    let method = request.method.as_str();
    let body = &request.body;
    match (method, path) {
        ("GET", [_, location, "operations"]) => Ok(list_operations(state, &project, location)),
        ("GET", [_, location, "operations", name]) => {
            get_operation(state, &project, location, name)
        }
        ("POST", [_, location, "operations", name]) if name.ends_with(":cancel") => {
            get_operation(state, &project, location, name.trim_end_matches(":cancel"))?;
            Err(ApiError::invalid("This operation cannot be cancelled."))
        }
        ("GET", [_, _, "serverConfig" | "serverconfig"]) => Ok(server_config()),
        ("GET", [_, location, "clusters"]) => Ok(clusters::list(state, &project, location)),
        ("POST", [_, location, "clusters"]) => create::cluster(state, &project, location, body),
        (_, [_, location, "clusters", name, rest @ ..]) => {
            let (name, verb) = name.split_once(':').unwrap_or((name, ""));
            let key = (project, (*location).to_owned(), name.to_owned());
            match (method, verb, rest) {
                ("GET", "", []) => clusters::get(state, &key),
                ("PUT", "", []) => clusters::update(state, &key, body),
                ("DELETE", "", []) => create::delete_cluster(state, &key),
                ("POST", "setResourceLabels", []) | ("POST", "", ["resourceLabels"]) => {
                    clusters::set_labels(state, &key, body)
                }
                ("GET", "", ["nodePools"]) => node_pools::list(state, &key),
                ("POST", "", ["nodePools"]) => create::node_pool(state, &key, body),
                ("GET", "", ["nodePools", pool]) => node_pools::get(state, &key, pool),
                ("DELETE", "", ["nodePools", pool]) => create::delete_node_pool(state, &key, pool),
                ("POST", "", ["nodePools", pool]) if pool.contains(':') => {
                    let (pool, verb) = pool.split_once(':').unwrap_or((pool, ""));
                    match verb {
                        "completeUpgrade" if path[0] == "locations" => {
                            unfinished::complete(state, &key, pool)
                        }
                        "rollback" => unfinished::roll_back(state, &key, pool, body),
                        verb => node_pools::set(state, &key, pool, verb, body)
                            .unwrap_or_else(|| Err(request.not_simulated())),
                    }
                }
                // The older paths, by zone.
                ("POST", "", ["nodePools", pool, "autoscaling"]) if path[0] == "zones" => {
                    node_pools::set(state, &key, pool, "setAutoscaling", body)
                        .unwrap_or_else(|| Err(request.not_simulated()))
                }
                ("POST", "", ["nodePools", pool, verb @ ("setManagement" | "setSize")])
                    if path[0] == "zones" =>
                {
                    node_pools::set(state, &key, pool, verb, body)
                        .unwrap_or_else(|| Err(request.not_simulated()))
                }
                ("POST", "", ["nodePools", pool, "update"]) if path[0] == "zones" => {
                    node_pools::update(state, &key, pool, body)
                }
                ("PUT", "", ["nodePools", pool]) if path[0] == "locations" => {
                    node_pools::update(state, &key, pool, body)
                }
                _ => Err(request.not_simulated()),
            }
        }
        _ => Err(request.not_simulated()),
    }
}

fn server_config() -> Value {
    let version = cluster::VERSION;
    let channel = |name: &str| json!({ "channel": name, "defaultVersion": version, "validVersions": [version] });
    let channels = ["RAPID", "REGULAR", "STABLE"].map(channel);
    json!({
        "channels": channels,
        "defaultClusterVersion": version,
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD", "WINDOWS_LTSC_CONTAINERD"],
        "validMasterVersions": [version],
        "validNodeVersions": [version],
    })
}

/// Answers `v1/projects/P/aggregated/usableSubnetworks`: the default network's, in each region that has a cluster.
pub fn usable_subnetworks(
    state: &State,
    project: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    let Some(project) = state.project(project) else {
        return Err(ApiError::denied(format!(
            "Permission denied on resource project {project} (or it may not exist)."
        )));
    };
    if request.method != "GET" {
        return Err(request.not_simulated());
    }
    let clusters = state.world.clusters.iter().filter(|c| c.project == project);
    let regions: std::collections::BTreeSet<&str> = clusters.map(|c| c.region()).collect();
    let subnetworks = regions.into_iter().enumerate();
    let subnetworks: Vec<Value> = subnetworks
        .map(|(at, region)| show::usable_subnetwork(&project, region, at))
        .collect();
    Ok(json!({ "subnetworks": subnetworks }))
}

/// Answers `compute/v1/projects/P/zones/Z/instanceGroupManagers/NAME`: the group of a node pool in a zone.
pub fn instance_groups(
    state: &State,
    project: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let ("GET", ["zones", zone, "instanceGroupManagers", name]) = (request.method.as_str(), path)
    else {
        return Err(request.not_simulated());
    };
    let project = state.project(project).unwrap_or_default();
    let clusters = state.world.clusters.iter().filter(|c| c.project == project);
    let found = clusters
        .flat_map(|c| c.node_pools.iter().map(move |pool| (c, pool)))
        .find(|(c, pool)| format!("{}-grp", pool.group(&c.name)) == **name);
    let zones = found.map(|(cluster, pool)| pool.zones(cluster.zones()));
    let at = zones
        .as_ref()
        .and_then(|z| z.iter().position(|z| z == zone));
    let (Some((_, pool)), Some(zones), Some(at)) = (found, zones, at) else {
        return Err(ApiError::not_found(format!(
            "The resource 'projects/{project}/zones/{zone}/instanceGroupManagers/{name}' was not found"
        )));
    };
    let (zones, at) = (zones.len(), at);
    let nodes = pool.nodes as usize;
    let size = nodes / zones + usize::from(at < nodes % zones);
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    Ok(show::instance_group_manager(&project, zone, name, size))
}

/// The zones that a fault declares missing.
fn missing_zones(state: &State) -> Vec<String> {
    state
        .world
        .faults
        .iter()
        .flat_map(|fault| fault.missing_zones.clone())
        .collect()
}

fn list_operations(state: &State, project: &str, location: &str) -> Value {
    let missing = missing_zones(state);
    let number = state.number(project);
    let operations = state.world.operations.iter().filter(|op| {
        op.project == project
            && (location == "-" || op.location == location)
            && !missing.contains(&op.location)
    });
    let operations: Vec<Value> = operations.map(|op| op.show(number)).collect();
    list("operations", operations, missing)
}

fn get_operation(
    state: &State,
    project: &str,
    location: &str,
    name: &str,
) -> Result<Value, ApiError> {
    let mut operations = state.world.operations.iter();
    let found =
        operations.find(|op| op.project == project && op.location == location && op.name == name);
    let missing = || show::not_found(project, location, &format!("operations/{name}"));
    let op = found.ok_or_else(missing)?;
    Ok(op.show(state.number(project)))
}

/// Empty lists are left out, as everywhere in these APIs.
fn list(name: &str, items: Vec<Value>, missing: Vec<String>) -> Value {
    let mut answer = json!({});
    if !items.is_empty() {
        answer[name] = items.into();
    }
    if !missing.is_empty() {
        answer["missingZones"] = missing.into();
    }
    answer
}
