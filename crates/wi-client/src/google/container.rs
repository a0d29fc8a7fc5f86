//! GKE: `container.googleapis.com/v1`.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wi_core::names::{ClusterPath, ProjectId};
use wi_core::wire::container::{Cluster, ClusterList, Operation, Subnetwork};
use wi_core::wire::upgrade::UpgradeSettings;

use crate::http::{Api, ApiError, Http, ListBudget, Request};

/// `projects.locations.clusters.list` over all locations; node pools are part of it.
pub async fn list_clusters(http: &Http, project: &ProjectId) -> Result<ClusterList, ApiError> {
    get(http, &format!("projects/{project}/locations/-/clusters")).await
}

/// `projects.aggregated.usableSubnetworks.list`: subnetworks that clusters of the project can be in, those of a
/// shared VPC too.
pub async fn usable_subnetworks(
    http: &Http,
    project: &ProjectId,
) -> Result<Vec<Subnetwork>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Page {
        subnetworks: Vec<Subnetwork>,
        next_page_token: String,
    }
    let mut all = Vec::new();
    let mut token = String::new();
    let mut budget = ListBudget::of_pages(super::MOST_PAGES);
    loop {
        let mut path = format!("v1/projects/{project}/aggregated/usableSubnetworks?pageSize=500");
        if !token.is_empty() {
            path.push_str(&format!("&pageToken={}", wi_core::percent::query(&token)));
        }
        let request = Request::new(Method::GET, http.url(Api::Container, &path));
        let page: Page = http
            .page(request, &mut budget, |p: &Page| p.subnetworks.len())
            .await?;
        all.extend(page.subnetworks);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(all);
        }
    }
}

/// `projects.locations.clusters.get`.
pub async fn get_cluster(http: &Http, cluster: &ClusterPath) -> Result<Cluster, ApiError> {
    get(http, &cluster.to_string()).await
}

/// `projects.locations.operations.list` of the cluster's location; it is not paged.
pub async fn list_operations(
    http: &Http,
    cluster: &ClusterPath,
) -> Result<Vec<Operation>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Operations {
        operations: Vec<Operation>,
    }
    let path = format!(
        "projects/{}/locations/{}/operations",
        cluster.project, cluster.location
    );
    Ok(get::<Operations>(http, &path).await?.operations)
}

/// `projects.locations.operations.get`.
pub async fn get_operation(
    http: &Http,
    cluster: &ClusterPath,
    name: &str,
) -> Result<Operation, ApiError> {
    let path = format!(
        "projects/{}/locations/{}/operations/{name}",
        cluster.project, cluster.location
    );
    get(http, &path).await
}

/// `projects.locations.clusters.update` of the workload pool, under the cluster's etag.
pub async fn set_workload_pool(
    http: &Http,
    cluster: &ClusterPath,
    pool: &str,
    etag: &str,
) -> Result<Operation, ApiError> {
    let mut update = json!({"desiredWorkloadIdentityConfig": {"workloadPool": pool}});
    if !etag.is_empty() {
        update["etag"] = etag.into();
    }
    put(http, &cluster.to_string(), json!({ "update": update })).await
}

/// `projects.locations.clusters.nodePools.update` of the metadata server alone, under the node
/// pool's etag. A version or image type in this call would start an upgrade; none is sent.
pub async fn set_node_pool_metadata_mode(
    http: &Http,
    cluster: &ClusterPath,
    node_pool: &str,
    mode: &str,
    etag: &str,
) -> Result<Operation, ApiError> {
    let mut body = json!({"workloadMetadataConfig": {"mode": mode}});
    if !etag.is_empty() {
        body["etag"] = etag.into();
    }
    put(http, &format!("{cluster}/nodePools/{node_pool}"), body).await
}

/// `projects.locations.clusters.nodePools.update` of how nodes are recreated; it recreates none.
pub async fn set_upgrade_settings(
    http: &Http,
    cluster: &ClusterPath,
    node_pool: &str,
    settings: &UpgradeSettings,
    etag: &str,
) -> Result<Operation, ApiError> {
    let mut body = json!({ "upgradeSettings": settings });
    if !etag.is_empty() {
        body["etag"] = etag.into();
    }
    put(http, &format!("{cluster}/nodePools/{node_pool}"), body).await
}

/// `projects.locations.clusters.setResourceLabels`: replaces all labels, under their fingerprint.
pub async fn set_labels(
    http: &Http,
    cluster: &ClusterPath,
    labels: &BTreeMap<String, String>,
    fingerprint: &str,
) -> Result<Operation, ApiError> {
    let url = http.url(Api::Container, &format!("v1/{cluster}:setResourceLabels"));
    let body = json!({"resourceLabels": labels, "labelFingerprint": fingerprint});
    http.json(Request::new(Method::POST, url).body(body)).await
}

async fn get<T: DeserializeOwned + Send + 'static>(http: &Http, path: &str) -> Result<T, ApiError> {
    let url = http.url(Api::Container, &format!("v1/{path}"));
    http.json(Request::new(Method::GET, url)).await
}

async fn put(http: &Http, path: &str, body: Value) -> Result<Operation, ApiError> {
    let url = http.url(Api::Container, &format!("v1/{path}"));
    http.json(Request::new(Method::PUT, url).body(body)).await
}
