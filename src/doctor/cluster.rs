//! Clusters: whether each one's Kubernetes API is reached, and what is allowed there.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use tracing::{Instrument, info_span};
use wi_client::http::{ApiError, ErrorKind, Http};
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::names::{ClusterPath, ProjectId};
use wi_core::plan::meant_cluster;
use wi_core::spec::model::Access;
use wi_core::wire::container::{Cluster, ClusterList};

use super::needs::KUBERNETES;
use super::{Caller, Section, State, remedy};
use crate::engine::read::own_cluster::{self, Doubt};

pub(super) async fn of_clusters(
    http: &Http,
    desired: &Desired,
    lists: &BTreeMap<ProjectId, ClusterList>,
    caller: &Caller,
) -> Vec<Section> {
    join_all(desired.clusters.iter().map(async |(name, wanted)| {
        let mut section = Section::new(format!("Cluster {name}"));
        let path = &wanted.path;
        let unlisted = (ClusterList::default(), Cluster::default());
        let own = matches!(wanted.access, Access::Kubeconfig { .. });
        let (list, found) = match lists.get(&path.project) {
            Some(list) => {
                let at = |c: &&Cluster| c.name == path.name && c.location == path.location;
                (list, list.clusters.iter().find(at))
            }
            // Reached by a kubeconfig, one that is others' need not be listed.
            None if !wanted.managed && own => (&unlisted.0, Some(&unlisted.1)),
            None => {
                let what = "not looked at: the project's clusters could not be listed".to_owned();
                let mend = "Reach it by a kubeconfig: access: { kubeconfig: ~/.kube/config, context: NAME }";
                let mend = Some(mend.to_owned()).filter(|_| !wanted.managed);
                section.add(State::Failed, what, mend);
                return section;
            }
        };
        let Some(found) = found else {
            if list.lacks(&path.location) {
                let zones = list.missing_zones.join(", ");
                let what = format!("not looked at: GKE did not hear from {zones}");
                section.add(State::Failed, what, Some("Try again later".to_owned()));
                return section;
            }
            let there = list.clusters.iter().map(|c| ClusterPath {
                project: path.project.clone(),
                location: c.location.clone(),
                name: c.name.clone(),
            });
            let mend = meant_cluster(path, &there.collect()).unwrap_or_else(|| {
                format!("gcloud container clusters list --project={}", path.project)
            });
            section.add(State::Failed, format!("there is no {path}"), Some(mend));
            return section;
        };
        let kube = match Kube::connect(http, found, &wanted.access) {
            Ok(kube) => kube,
            Err(e) => {
                let fix = way_in(path, &wanted.access);
                section.add(State::Failed, e.to_string(), Some(fix));
                return section;
            }
        };
        // The rest is for node pools that move.
        let for_ksas = ["namespaces", "serviceaccounts", "pods"];
        let asked = join_all(
            KUBERNETES
                .iter()
                .filter(|(.., resource, _)| wanted.managed || for_ksas.contains(resource))
                .map(async |(verb, group, resource, to_apply)| {
                    (
                        verb,
                        resource,
                        *to_apply,
                        may(&kube, desired, name, (verb, group, resource), *to_apply)
                            .instrument(info_span!("cluster", name))
                            .await,
                    )
                }),
        )
        .await;
        if let Some(Err(e)) = asked.iter().map(|(.., may)| may).find(|may| may.is_err()) {
            let (by, why) = (kube.reached_by(), e.reason());
            let what = match e.code {
                0 => format!("not reached by its {by}: {why}"),
                401 => format!("not let in by its {by}: {why}"), // or without a token to try it with
                _ => format!("reached by its {by}, which answered: {why}"),
            };
            let fix = match e.code {
                0 if !own && e.kind == ErrorKind::Tls => Some(
                    "Look at this machine's clock, and at what is between it and the cluster: proxies, firewalls".to_owned(),
                ),
                0 => Some(way_in(path, &wanted.access)),
                // What authenticates is the kubeconfig's, and not Google's to grant.
                401 | 403 if kube.user().is_some() => kube.user().map(|user| {
                    format!(
                        "Renew the credentials of {user}, or have it allowed by RBAC (`wi help real-projects` has the rules)"
                    )
                }),
                _ => {
                    let role = role_to_connect(&wanted.access);
                    remedy(e, Some(caller.grant(&path.project, role)))
                }
            };
            section.add(State::Failed, what, fix);
            return section;
        }
        if let Err(Doubt::Other(why)) = own_cluster::check(&kube, found, path).await {
            let what = format!("the {} {why}", kube.reached_by());
            section.add(State::Failed, what, None);
            return section;
        }
        let what = format!("reached by its {}", kube.reached_by());
        section.add(State::Fine, what, None);
        for (to_apply, command, role) in [
            (false, "wi plan", "roles/container.viewer"),
            (true, "wi apply", "roles/container.developer"),
        ] {
            let missing: Vec<String> = asked
                .iter()
                .filter(|(_, _, a, may)| *a == to_apply && matches!(may, Ok(false)))
                .map(|(verb, resource, ..)| format!("{verb} {resource}"))
                .collect();
            if missing.is_empty() {
                let what = format!("{command}: all that it does in Kubernetes is allowed");
                section.add(State::Fine, what, None);
            } else {
                let what = format!("{command}: may not {}", missing.join(", "));
                let fix = match kube.user() {
                    Some(user) => {
                        format!("Have {user} allowed to by RBAC (`wi help real-projects` has the rules)")
                    }
                    None => caller.grant(&path.project, role),
                };
                section.add(State::Failed, what, Some(fix));
            }
        }
        section
    }))
    .await
}

/// Whether it is allowed in all namespaces, or, of what an apply writes, in each that the spec names there: by
/// RoleBindings.
async fn may(
    kube: &Kube,
    desired: &Desired,
    cluster: &str,
    (verb, group, resource): (&str, &str, &str),
    to_apply: bool,
) -> Result<bool, ApiError> {
    let everywhere = kube.may(verb, group, resource, "").await?;
    if everywhere || !to_apply || resource == "namespaces" {
        return Ok(everywhere);
    }
    let namespaces: BTreeSet<&str> = desired
        .ksas_of(cluster)
        .map(|(key, _)| key.namespace.as_str())
        .collect();
    let asked = namespaces
        .iter()
        .map(|n| kube.may(verb, group, resource, n));
    let allowed = try_join_all(asked).await?;
    Ok(!allowed.is_empty() && allowed.into_iter().all(|allowed| allowed))
}

/// What lets somebody outside of the cluster's network in.
fn way_in(path: &ClusterPath, access: &Access) -> String {
    let flag = match access {
        Access::Kubeconfig { .. } => {
            return "Correct the kubeconfig, or `access` of the cluster in the spec".to_owned();
        }
        Access::ConnectGateway => "--enable-fleet",
        Access::Offered | Access::Endpoint(_) => "--enable-dns-access",
    };
    format!(
        "gcloud container clusters update {} --location={} --project={} {flag}",
        path.name, path.location, path.project
    )
}

/// The smallest role that lets somebody through to the Kubernetes API.
fn role_to_connect(access: &Access) -> &'static str {
    match access {
        Access::ConnectGateway => "roles/gkehub.gatewayEditor",
        _ => "roles/container.viewer", // has container.clusters.connect
    }
}
