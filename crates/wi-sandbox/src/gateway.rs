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
    let fleet = state.world.fleets.get(&state.project(project)?)?;
    let mut members = fleet.memberships.iter();
    let member = members.find(|m| m.name == name && m.location == location)?;
    let mut clusters = state.world.clusters.iter();
    let cluster = clusters.find(|c| c.path() == member.cluster)?;
    let query = request.uri().query().map(|q| format!("?{q}"));
    let uri = format!("/{rest}{}", query.unwrap_or_default());
    let api = state.kubes.get(&cluster.key())?.api.clone();
    Some((api, uri.parse().ok()?))
}
