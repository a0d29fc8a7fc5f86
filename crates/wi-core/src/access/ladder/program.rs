//! What the program in the container takes in place of it, and whether it may reach it.

use super::network::{Reach, reach};
use super::{Fix, Link, Rung, Situation, State, WorkloadObject, ksa_principal};
use crate::access::credential::Credential;
use crate::access::{ContainerKind, Given, MetadataServer, containers};
use crate::live::Seen;

/// Variables that change where client libraries look for the metadata server.
const METADATA: [&str; 4] = [
    "GCE_METADATA_HOST",
    "GCE_METADATA_IP",
    "GCE_METADATA_ROOT",
    "NO_GCE_CHECK",
];

/// 28.
pub(super) fn program_link(s: &Situation<'_>, object: &WorkloadObject) -> Vec<Link> {
    let given = Given::Principal(ksa_principal(s).identity);
    let server = MetadataServer::Gke(&given);
    let all = containers(&object.spec, &s.read.namespace, &s.read.config_maps, server);
    let main = || all.iter().filter(|c| c.kind == ContainerKind::Main);
    let mut links = Vec::new();
    let owns = main()
        .filter(|c| matches!(c.credential, Credential::Own(_)))
        .count();
    for container in &all {
        let name = container.name;
        match &container.credential {
            Credential::Own(own) => {
                // Beside others that have none it may be meant so.
                let state = match container.kind {
                    ContainerKind::Main if owns == main().count() => State::Broken,
                    _ => State::Doubtful,
                };
                links.push(
                    Link::new(
                        Rung::Program,
                        state,
                        format!("container {name} has a credential of its own ({own}): Workload Identity is not used"),
                    )
                    .fix(Fix::Say(format!("take {} out of the container, and the file with it", own.by))),
                );
            }
            Credential::Unclear(doubt) => links.push(Link::new(
                Rung::Program,
                State::Unseen,
                format!("container {name} may have a credential of its own: {doubt}"),
            )),
            Credential::None | Credential::Ignored { .. } => {}
        }
    }
    for name in METADATA {
        for container in object
            .spec
            .containers
            .iter()
            .filter(|c| c.env.iter().any(|e| e.name == name))
        {
            links.push(Link::new(
                Rung::Program,
                State::Doubtful,
                format!("container {} sets {name}, which sends its program elsewhere than to the metadata server", container.name),
            ));
        }
    }
    if links.is_empty() {
        let title = "no container has a credential of its own";
        links.push(Link::new(Rung::Program, State::Holds, title));
    }
    links
}

/// 26.
pub(super) fn network_link(s: &Situation<'_>, object: &WorkloadObject) -> Option<Link> {
    let Seen::Found(cluster) = &s.read.cluster else {
        return None;
    };
    Some(match s.read.network.as_ref()? {
        Seen::Found(policies) => match reach(cluster, policies, &object.metadata.labels) {
            Reach::NotEnforced => {
                let title = "NetworkPolicies are not enforced in this cluster";
                Link::new(Rung::Network, State::Irrelevant, title)
            }
            Reach::Open => Link::new(
                Rung::Network,
                State::Holds,
                "no NetworkPolicy keeps it from the metadata server",
            ),
            Reach::Closed {
                policies,
                to: (address, ports),
            } => {
                let title = format!(
                    "NetworkPolicy {} keeps it from the metadata server, {address}",
                    policies.join(", ")
                );
                let [one, other] = ports;
                Link::new(Rung::Network, State::Broken, title).fix(Fix::Say(format!(
                    "add to the policy's egress: {{to: [{{ipBlock: {{cidr: {address}/32}}}}], ports: [{{protocol: TCP, port: {one}}}, {{protocol: TCP, port: {other}}}]}}"
                )))
            }
        },
        Seen::Absent => return None,
        Seen::Unknown(why) => Link::unseen(Rung::Network, "NetworkPolicies", why),
    })
}
