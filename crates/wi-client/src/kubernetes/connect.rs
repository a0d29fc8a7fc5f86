//! Which endpoint of a cluster is used, and what vouches for it.

use base64::Engine;
use wi_core::live::ReachedBy;
use wi_core::names::is_location;
use wi_core::reason::Reason;
use wi_core::spec::model::{Access, Endpoint};
use wi_core::wire::container::Cluster;

use super::ca_error::CaError;
use super::kubeconfig::KubeconfigError;
use super::{Kube, kubeconfig};
use crate::http::{Api, Http};

/// Why a cluster cannot be reached as the spec says. For the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// It does not have the endpoint that the spec names.
    #[error("the cluster has no {0}")]
    NoEndpoint(&'static str),
    /// Its DNS endpoint is all that it has.
    #[error(
        "the cluster has only its DNS endpoint, and that takes no outside traffic (gcloud container clusters update --enable-dns-access)"
    )]
    Closed,
    /// It has no endpoint.
    #[error("the cluster offers no endpoint")]
    NothingOffered,
    /// Connect Gateway reaches members of fleets.
    #[error(
        "the cluster is in no fleet, so Connect Gateway does not know it (gcloud container clusters update --enable-fleet)"
    )]
    NoFleet,
    /// As GKE tells it, safe on a terminal.
    #[error("the cluster's fleet membership is `{0}`, which is not in the form that is documented")]
    UnknownMembership(String),
    /// What vouches for its addresses.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The kubeconfig that the spec names.
    #[error(transparent)]
    Kubeconfig(Box<KubeconfigError>),
}

impl From<KubeconfigError> for ConnectError {
    fn from(e: KubeconfigError) -> Self {
        Self::Kubeconfig(Box::new(e))
    }
}

impl From<ConnectError> for Reason {
    fn from(e: ConnectError) -> Self {
        e.to_string().into()
    }
}

impl Kube {
    /// Connects as the spec says, or else by the best endpoint that the cluster offers: the DNS
    /// endpoint if it takes traffic from outside, a public address, a private one. The DNS endpoint
    /// is trusted by public authorities, an address by the cluster's own CA alone.
    ///
    /// # Errors
    /// Where no such endpoint is offered, or a CA or a kubeconfig cannot be used.
    pub fn connect(http: &Http, cluster: &Cluster, access: &Access) -> Result<Self, ConnectError> {
        let endpoint = match access {
            Access::Kubeconfig { path, context } => {
                let own = kubeconfig::Own {
                    name: address(cluster, Endpoint::Dns),
                    addresses: [Endpoint::Public, Endpoint::Private].map(|e| address(cluster, e)),
                    ca: own_ca(cluster),
                    gateway: gateway(http, cluster).map(|kube| kube.base).ok(),
                };
                return Ok(kubeconfig::connect(http, path, context.as_deref(), &own)?);
            }
            Access::ConnectGateway => return gateway(http, cluster),
            Access::Endpoint(endpoint) => *endpoint,
            Access::Offered => offered(cluster)?,
        };
        let address = address(cluster, endpoint);
        let reached_by = ReachedBy::Endpoint(endpoint, address.to_owned());
        if address.is_empty() {
            return Err(ConnectError::NoEndpoint(reached_by.kind()));
        }
        let http = if endpoint == Endpoint::Dns {
            http.clone()
        } else {
            let ca = own_ca(cluster)?;
            http.trusting_only(&ca).map_err(CaError::Unusable)?
        };
        Ok(Self {
            http,
            base: format!("https://{address}"),
            reached_by,
            user: None,
            is_proven: true,
            dry_run: false,
        })
    }
}

/// The CA that vouches for the cluster's addresses, PEM.
fn own_ca(cluster: &Cluster) -> Result<Vec<u8>, CaError> {
    base64::engine::general_purpose::STANDARD
        .decode(&cluster.master_auth.cluster_ca_certificate)
        .map_err(CaError::NotBase64)
}

/// By Google's gateway to the clusters of a fleet, which needs no way to the cluster's network. The
/// paths of registered GKE clusters have `gkeMemberships` in them, as gcloud's kubeconfigs do.
///
/// <https://cloud.google.com/kubernetes-engine/enterprise/multicluster-management/gateway>
fn gateway(http: &Http, cluster: &Cluster) -> Result<Kube, ConnectError> {
    let membership = &cluster.fleet.membership;
    if membership.is_empty() {
        return Err(ConnectError::NoFleet);
    }
    let undocumented = || ConnectError::UnknownMembership(wi_core::words::safe(membership));
    let parts: Vec<&str> = membership.trim_start_matches('/').split('/').collect();
    let [
        _,
        "projects",
        project,
        "locations",
        location,
        "memberships",
        member,
    ] = parts.as_slice()
    else {
        return Err(undocumented());
    };
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    if !is_location(location) || !plain(project) || !plain(member) {
        return Err(undocumented());
    }
    let base = match *location {
        "global" => http.url(Api::ConnectGateway, ""),
        location => http.located_base(Api::ConnectGateway, location),
    };
    Ok(Kube {
        http: http.clone(),
        base: format!("{base}v1/projects/{project}/locations/{location}/gkeMemberships/{member}"),
        reached_by: ReachedBy::Gateway {
            location: (*location).to_owned(),
            membership: (*member).to_owned(),
        },
        user: None,
        is_proven: true,
        dry_run: false,
    })
}

fn offered(cluster: &Cluster) -> Result<Endpoint, ConnectError> {
    let config = &cluster.control_plane_endpoints_config;
    if config.dns_endpoint_config.allow_external_traffic
        && !config.dns_endpoint_config.endpoint.is_empty()
    {
        return Ok(Endpoint::Dns);
    }
    [Endpoint::Public, Endpoint::Private]
        .into_iter()
        .find(|e| !address(cluster, *e).is_empty())
        .ok_or(match config.ip_endpoints_config.enabled {
            Some(false) => ConnectError::Closed,
            _ => ConnectError::NothingOffered,
        })
}

/// The address of an endpoint, empty where the cluster does not have it.
fn address(cluster: &Cluster, endpoint: Endpoint) -> &str {
    let config = &cluster.control_plane_endpoints_config;
    let ip = &config.ip_endpoints_config;
    if endpoint == Endpoint::Dns {
        return &config.dns_endpoint_config.endpoint;
    }
    if ip.enabled == Some(false) {
        return "";
    }
    // `endpoint` is the older field: the public address, or the private one if there is no public.
    let private = [
        &ip.private_endpoint,
        &cluster.private_cluster_config.private_endpoint,
    ]
    .into_iter()
    .find(|a| !a.is_empty());
    match endpoint {
        Endpoint::Private => private.map_or("", String::as_str),
        _ if !ip.public_endpoint.is_empty() => &ip.public_endpoint,
        _ if Some(&cluster.endpoint) == private => "",
        _ => &cluster.endpoint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(json: serde_json::Value) -> Cluster {
        serde_json::from_value(json).expect("a cluster")
    }

    #[test]
    fn the_best_endpoint_that_is_offered() {
        let dns = serde_json::json!({"endpoint": "gke-1.europe-west1.gke.goog", "allowExternalTraffic": true});
        let both = cluster(
            serde_json::json!({"endpoint": "34.1.2.3", "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": dns,
                "ipEndpointsConfig": {"enabled": true, "publicEndpoint": "34.1.2.3", "privateEndpoint": "10.0.0.2"},
            }}),
        );
        assert_eq!(offered(&both), Ok(Endpoint::Dns));
        assert_eq!(address(&both, Endpoint::Private), "10.0.0.2");
        assert_eq!(address(&both, Endpoint::Public), "34.1.2.3");

        let old = cluster(serde_json::json!({"endpoint": "34.1.2.3"}));
        assert_eq!(offered(&old), Ok(Endpoint::Public));

        let private = cluster(serde_json::json!({"endpoint": "10.0.0.2",
            "privateClusterConfig": {"privateEndpoint": "10.0.0.2"}}));
        assert_eq!(offered(&private), Ok(Endpoint::Private));
        assert_eq!(address(&private, Endpoint::Public), "");

        let closed = cluster(
            serde_json::json!({"endpoint": "10.0.0.2", "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": {"endpoint": "gke-1.europe-west1.gke.goog"},
                "ipEndpointsConfig": {"enabled": false},
            }}),
        );
        assert_eq!(offered(&closed), Err(ConnectError::Closed));
    }
}
