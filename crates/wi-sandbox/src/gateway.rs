//! Connect Gateway: the Kubernetes APIs of a fleet's clusters, behind one host of Google's.
//!
//! `connectgateway.googleapis.com/v1/projects/NUMBER/locations/LOCATION/gkeMemberships/NAME/…`

use axum::body::Body;
use http::{Request, Uri};

use super::kube::Api;
use super::state::State;

/// The cluster's API that a request is for, and the request as that one sees it; `None`: it is not for
/// the gateway, or for a cluster that is in no fleet.
pub fn target(state: &State, request: &Request<Body>) -> Option<(Api, Uri)> {
    let path = request.uri().path().strip_prefix("/v1/projects/")?;
    let mut parts = path.splitn(6, '/');
    let project = parts.next()?;
    let ("locations", location, "gkeMemberships", name, rest) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    ) else {
        return None;
    };
    let cluster = state.world.clusters.iter().find(|cluster| {
        cluster.membership.as_deref() == Some(name)
            && cluster.region() == location
            && state.number(&cluster.project).to_string() == project
    })?;
    let query = request.uri().query().map(|q| format!("?{q}"));
    let uri = format!("/{rest}{}", query.unwrap_or_default());
    let api = state.kubes.get(&cluster.key())?.api.clone();
    Some((api, uri.parse().ok()?))
}
