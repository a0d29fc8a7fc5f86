//! Clusters and node pools as the API shows them: with all that GKE always sends, since clients go by it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cluster::{Address, Cluster, ControlPlane, VERSION, location_kind};
use super::pool::NodePool;
use crate::ids::hash;

const POD_RANGE: &str = "10.0.0.0/14";
const SERVICE_RANGE: &str = "10.4.0.0/20";

/// A cluster; `busy_pool`: an operation runs, on that node pool if it is about one.
pub fn cluster(
    of: &Cluster,
    number: u64,
    fleet: Option<Value>,
    busy_pool: Option<Option<&str>>,
    address: Option<Address<'_>>,
) -> Value {
    let pools: Vec<Value> = of
        .node_pools
        .iter()
        .map(|pool| node_pool(pool, of, number, busy_pool == Some(Some(&pool.name))))
        .collect();
    let nodes: u32 = of.node_pools.iter().map(|p| p.nodes).sum();
    let mut shown = settings(of);
    let mut add = |fields: Value| {
        if let (Some(shown), Value::Object(fields)) = (shown.as_object_mut(), fields) {
            shown.extend(fields);
        }
    };
    let busy = busy_pool.is_some() && of.status == "RUNNING";
    add(json!({
        "name": of.name,
        "id": of.id(),
        "location": of.location,
        "zone": of.location,
        "locations": of.zones(),
        "selfLink": format!("https://container.googleapis.com/v1/{}/clusters/{}", of.parent(number), of.name),
        "status": if busy { "RECONCILING" } else { &of.status },
        "etag": of.etag,
        "labelFingerprint": of.label_fingerprint(),
        "currentMasterVersion": of.version,
        "currentNodeVersion": VERSION,
        "initialClusterVersion": VERSION,
        "createTime": "2026-01-05T08:00:00+00:00",
    }));
    if nodes > 0 {
        add(json!({ "currentNodeCount": nodes }));
    }
    if let Some(first) = pools.first() {
        add(json!({
            "nodeConfig": first["config"],
            "instanceGroupUrls": pools.iter().flat_map(|p| p["instanceGroupUrls"].as_array().into_iter().flatten()).collect::<Vec<_>>(),
        }));
        add(json!({ "nodePools": pools }));
    }
    if !of.labels.is_empty() {
        add(json!({ "resourceLabels": of.labels }));
    }
    if of.autopilot {
        add(json!({ "autopilot": { "enabled": true } }));
    }
    if let Some(pool) = &of.workload_pool {
        add(json!({ "workloadIdentityConfig": { "workloadPool": pool } }));
    }
    if let Some(fleet) = fleet {
        add(json!({ "fleet": fleet }));
    }
    if !of.conditions.is_empty() {
        let conditions = of.conditions.iter();
        let conditions: Value = conditions
            .map(|message| json!({ "canonicalCode": "UNKNOWN", "message": message }))
            .collect();
        add(json!({ "conditions": conditions }));
    }
    if of.node_auto_provisioning {
        add(json!({ "autoscaling": {
            "enableNodeAutoprovisioning": true, "autoscalingProfile": "BALANCED",
        }}));
    }
    if !of.maintenance_exclusions.is_empty() {
        add(json!({ "maintenancePolicy": { "window": {
            "maintenanceExclusions": exclusions(of),
        }}}));
    }
    if let Some(address) = address {
        add(control_plane(of, address));
    }
    overlay(&mut shown, &of.extra);
    shown
}

/// What GKE sends of every cluster beside what the world file says.
fn settings(of: &Cluster) -> Value {
    let region = of.region();
    json!({
        "addonsConfig": {
            "kubernetesDashboard": { "disabled": true },
            "networkPolicyConfig": { "disabled": true },
            "gcePersistentDiskCsiDriverConfig": { "enabled": true },
        },
        "autopilot": {},
        "autoscaling": { "autoscalingProfile": "BALANCED" },
        "clusterIpv4Cidr": POD_RANGE,
        "databaseEncryption": { "state": "DECRYPTED", "currentState": "CURRENT_STATE_DECRYPTED" },
        "defaultMaxPodsConstraint": { "maxPodsPerNode": "110" },
        "enterpriseConfig": { "clusterTier": "STANDARD" },
        "ipAllocationPolicy": {
            "useIpAliases": true,
            "clusterIpv4Cidr": POD_RANGE,
            "clusterIpv4CidrBlock": POD_RANGE,
            "clusterSecondaryRangeName": format!("gke-{}-pods", of.name),
            "servicesIpv4Cidr": SERVICE_RANGE,
            "servicesIpv4CidrBlock": SERVICE_RANGE,
            "stackType": "IPV4",
            "podCidrOverprovisionConfig": {},
        },
        "legacyAbac": {},
        "loggingConfig": { "componentConfig": { "enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"] } },
        "loggingService": "logging.googleapis.com/kubernetes",
        "masterAuth": { "clientCertificateConfig": {} },
        "masterAuthorizedNetworksConfig": {},
        "monitoringConfig": {
            "componentConfig": { "enableComponents": ["SYSTEM_COMPONENTS"] },
            "managedPrometheusConfig": { "enabled": true },
            "advancedDatapathObservabilityConfig": {},
        },
        "monitoringService": "monitoring.googleapis.com/kubernetes",
        "network": "default",
        "networkConfig": {
            "network": format!("projects/{}/global/networks/default", of.project),
            "subnetwork": format!("projects/{}/regions/{region}/subnetworks/default", of.project),
            "serviceExternalIpsConfig": {},
            "defaultSnatStatus": {},
        },
        "nodePoolDefaults": { "nodeConfigDefaults": {
            "loggingConfig": { "variantConfig": { "variant": "DEFAULT" } },
            "nodeKubeletConfig": { "insecureKubeletReadonlyPortEnabled": false },
        }},
        "notificationConfig": { "pubsub": {} },
        "privateClusterConfig": {},
        "rbacBindingConfig": {
            "enableInsecureBindingSystemAuthenticated": true,
            "enableInsecureBindingSystemUnauthenticated": true,
        },
        "releaseChannel": { "channel": "REGULAR" },
        "securityPostureConfig": { "mode": "BASIC", "vulnerabilityMode": "VULNERABILITY_DISABLED" },
        "servicesIpv4Cidr": SERVICE_RANGE,
        "shieldedNodes": { "enabled": true },
        "subnetwork": "default",
    })
}

/// A subnetwork of the default network, which is the one of this number.
pub fn usable_subnetwork(project: &str, region: &str, number: usize) -> Value {
    let secondary = |name: &str, range: &str| json!({ "rangeName": name, "ipCidrRange": range });
    json!({
        "network": format!("projects/{project}/global/networks/default"),
        "subnetwork": format!("projects/{project}/regions/{region}/subnetworks/default"),
        "ipCidrRange": format!("10.{}.0.0/20", 128 + number * 2 % 128),
        "secondaryIpRanges": [secondary("pods", POD_RANGE), secondary("services", SERVICE_RANGE)],
    })
}

fn exclusions(of: &Cluster) -> BTreeMap<&String, Value> {
    let exclusions = of.maintenance_exclusions.iter();
    exclusions
        .map(|(name, e)| {
            let shown = json!({
                "startTime": e.start_time,
                "endTime": e.end_time,
                "maintenanceExclusionOptions": { "scope": e.scope },
            });
            (name, shown)
        })
        .collect()
}

fn control_plane(of: &Cluster, address: Address<'_>) -> Value {
    // Port 9 (discard) is where nothing listens.
    let endpoint = if of.unreachable {
        "127.0.0.1:9"
    } else {
        address.endpoint
    };
    let mut shown = json!({
        "masterAuth": { "clusterCaCertificate": address.ca, "clientCertificateConfig": {} },
    });
    if of.control_plane != ControlPlane::Dns {
        shown["endpoint"] = endpoint.into();
    }
    shown["controlPlaneEndpointsConfig"] = match of.control_plane {
        ControlPlane::Public => json!({ "ipEndpointsConfig": {
            "enabled": true, "enablePublicEndpoint": true, "publicEndpoint": endpoint, "globalAccess": false,
        }}),
        ControlPlane::Private => json!({ "ipEndpointsConfig": {
            "enabled": true, "enablePublicEndpoint": false, "privateEndpoint": endpoint, "globalAccess": false,
        }}),
        ControlPlane::Dns => json!({
            "ipEndpointsConfig": { "enabled": false },
            "dnsEndpointConfig": { "endpoint": endpoint, "allowExternalTraffic": true },
        }),
    };
    shown
}

/// A node pool of a cluster; `busy`: an operation on it runs.
pub fn node_pool(of: &NodePool, cluster: &Cluster, number: u64, busy: bool) -> Value {
    let mut config = json!({
        "bootDisk": { "diskType": "pd-balanced", "sizeGb": "100" },
        "diskSizeGb": 100,
        "diskType": "pd-balanced",
        "effectiveCgroupMode": "EFFECTIVE_CGROUP_MODE_V2",
        "imageType": "COS_CONTAINERD",
        "kubeletConfig": { "insecureKubeletReadonlyPortEnabled": false },
        "machineType": "e2-medium",
        "metadata": { "disable-legacy-endpoints": "true" },
        "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
        "resourceLabels": { "goog-gke-node-pool-provisioning-model": "on-demand" },
        "serviceAccount": of.service_account,
        "shieldedInstanceConfig": { "enableIntegrityMonitoring": true },
        "windowsNodeConfig": {},
    });
    if !of.labels.is_empty() {
        config["labels"] = json!(of.labels);
    }
    if !of.taints.is_empty() {
        config["taints"] = json!(of.taints);
    }
    if let Some(mode) = of.workload_metadata {
        config["workloadMetadataConfig"] = json!({ "mode": mode });
    }
    let zones = of.zones(cluster.zones());
    let group = of.group(&cluster.name);
    let groups = zones.iter().map(|zone| {
        format!(
            "https://www.googleapis.com/compute/v1/projects/{}/zones/{zone}/instanceGroupManagers/{group}-grp",
            cluster.project
        )
    });
    let mut shown = json!({
        "name": of.name,
        "status": if busy && of.status == "RUNNING" { "RECONCILING" } else { &of.status },
        "etag": of.etag,
        "version": VERSION,
        "locations": zones,
        "instanceGroupUrls": groups.collect::<Vec<_>>(),
        "autoscaling": {},
        "config": config,
        "management": { "autoUpgrade": true, "autoRepair": true },
        "maxPodsConstraint": { "maxPodsPerNode": "110" },
        "networkConfig": {
            "podIpv4CidrBlock": POD_RANGE,
            "podRange": format!("gke-{}-pods", cluster.name),
            "enablePrivateNodes": false,
        },
        "podIpv4CidrSize": 24,
        "upgradeSettings": of.upgrade.show(),
        "selfLink": format!(
            "https://container.googleapis.com/v1/{}/clusters/{}/nodePools/{}",
            cluster.parent(number), cluster.name, of.name
        ),
    });
    let per_zone = of
        .nodes
        .div_ceil(u32::try_from(zones.len()).unwrap_or(1).max(1));
    if per_zone > 0 {
        shown["initialNodeCount"] = per_zone.into();
    }
    if of.autoprovisioned {
        shown["autoscaling"] = json!({ "enabled": true, "autoprovisioned": true });
    }
    overlay(&mut shown, &of.extra);
    shown
}

/// An instance group manager as Compute Engine shows it: clients count nodes by its `targetSize`.
pub fn instance_group_manager(project: &str, zone: &str, name: &str, size: u32) -> Value {
    let base = format!("https://www.googleapis.com/compute/v1/projects/{project}/zones/{zone}");
    json!({
        "kind": "compute#instanceGroupManager",
        "id": hash(&(zone, name)).to_string(),
        "creationTimestamp": "2026-01-05T00:00:00.000-08:00",
        "name": name,
        "zone": base,
        "baseInstanceName": name.trim_end_matches("-grp"),
        "instanceGroup": format!("{base}/instanceGroups/{name}"),
        "selfLink": format!("{base}/instanceGroupManagers/{name}"),
        "targetSize": size,
        "currentActions": { "none": size },
        "status": { "isStable": true },
        "fingerprint": "42WmSpB8rSM=",
    })
}

/// Lays `extra` over an answer: objects are merged, everything else is replaced.
fn overlay(shown: &mut Value, extra: &Map<String, Value>) {
    for (name, value) in extra {
        merge(&mut shown[name.as_str()], value);
    }
}

/// As [`overlay`], one value over another.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// `zones` or `locations`, as names of the location's resources have it.
pub fn not_found(project: &str, location: &str, rest: &str) -> crate::errors::ApiError {
    crate::errors::ApiError::not_found(format!(
        "Not found: projects/{project}/{}/{location}/{rest}.",
        location_kind(location)
    ))
}
