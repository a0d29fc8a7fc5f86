//! Which identity a program in a container has at Google's APIs, and why.
//!
//! [`containers`] answers for every container of a pod, or of a template that would make one. It takes
//! two things that are found out apart: what the metadata server would give the pod's Kubernetes service
//! account ([`by_metadata_server`]), and what the container brings along ([`Credential`]). Where neither
//! yes nor no can be told, the answer says so, with what cannot be seen.

mod answer;
mod conditions;
mod credential;
mod environment;
mod facts;
mod gke_own;
mod ksa;
pub mod ladder;
mod members;
mod mounts;
mod needs;
mod principal;
mod programs;
pub mod proof;
mod question;
mod restrictions;
mod secret_uses;
mod subject;
mod variables;

pub use answer::{Answer, Grant, Question, Reason};
pub use conditions::{has_ended, holds};
pub use credential::{Credential, Doubt, Own};
pub use environment::config_maps_asked;
pub use facts::{Chain, Facts, Unseen};
pub use gke_own::is_gke_own;
pub use ksa::{Given, IMPERSONATION, WhyNot, by_metadata_server, is_usable};
pub use ladder::{cut_off, kept_from};
pub use members::{Ksa, covers};
pub use mounts::FileIn;
pub use needs::{Need, Topic, needs};
pub use principal::{KsaPrincipal, Membership, Principal};
pub use question::{ask, held, roles_held};
pub use restrictions::{boundary_sets, has_denies};
pub use secret_uses::{
    SecretUse, Way, config_maps_of, credential_variables, literals, secret_uses,
};
pub use subject::{NoSubject, Subject, Whose};

use std::sync::LazyLock;

use crate::live::ConfigMaps;
use crate::names::{Email, KsaIdentity};
use crate::wire::pods::{Container, PodSpec};

/// What kind of container it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerKind {
    /// Of `containers`.
    Main,
    /// Runs to its end before the main ones start.
    Init,
    /// An init container that stays: `restartPolicy: Always`.
    Sidecar,
    /// Added to a running pod, to debug it.
    Ephemeral,
}

/// The answer for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerIdentity<'a> {
    /// Its name.
    pub name: &'a str,
    /// What kind of container it is.
    pub kind: ContainerKind,
    /// What it brings along.
    pub credential: Credential,
    /// As whom it calls Google's APIs.
    pub identity: Identity,
}

/// As whom a program calls Google's APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// As whoever the credential that it brings along is of.
    Own(Own),
    /// As the node's service account: the pod is on the host's network, or its node does not run the
    /// GKE metadata server.
    Node,
    /// As the Google service account that its Kubernetes one is annotated with.
    Account(Email),
    /// As its Kubernetes service account itself.
    Principal(KsaIdentity),
    /// As nobody.
    Nobody(WhyNot),
    /// As what it brings along, if that is one; otherwise as this.
    Unclear(Doubt, Box<Identity>),
    /// What the metadata server gives could not be found out.
    Unseen(WhyNot),
}

/// Who answers at the metadata address on the pod's node.
#[derive(Debug, Clone, Copy)]
pub enum MetadataServer<'a> {
    /// Compute Engine's: everybody is the node's service account.
    ComputeEngine,
    /// GKE's: every pod is what its Kubernetes service account is given, but for those on the host's
    /// network.
    Gke(&'a Given),
}

/// The identity of every container of a pod, in the order in which they are declared, init containers
/// first.
///
/// `config_maps` holds those of the pod's namespace that were read ([`config_maps_asked`]).
pub fn containers<'a>(
    pod: &'a PodSpec,
    namespace: &str,
    config_maps: &ConfigMaps,
    server: MetadataServer<'_>,
) -> Vec<ContainerIdentity<'a>> {
    let given = match server {
        MetadataServer::Gke(given) if !pod.host_network => match given {
            Given::Account(email) => Identity::Account(email.clone()),
            Given::Principal(ksa) => Identity::Principal(ksa.clone()),
            Given::Nobody(why) => Identity::Nobody(why.clone()),
            Given::Unseen(why) => Identity::Unseen(why.clone()),
        },
        _ => Identity::Node,
    };
    all_of(pod)
        .map(|(kind, container)| {
            let credential = credential::of(pod, container, namespace, config_maps);
            let identity = match &credential {
                Credential::Own(own) => Identity::Own(own.clone()),
                Credential::Unclear(doubt) => {
                    Identity::Unclear(doubt.clone(), Box::new(given.clone()))
                }
                Credential::None | Credential::Ignored { .. } => given.clone(),
            };
            ContainerIdentity {
                name: &container.name,
                kind,
                credential,
                identity,
            }
        })
        .collect()
}

/// Stands for the container of a pod of which none is known.
static UNKNOWN: LazyLock<Container> = LazyLock::new(Container::default);

/// Every container of a pod.
fn all_of(pod: &PodSpec) -> impl Iterator<Item = (ContainerKind, &Container)> {
    let init = pod.init_containers.iter().map(|c| {
        let kind = match c.restart_policy.as_str() {
            "Always" => ContainerKind::Sidecar,
            _ => ContainerKind::Init,
        };
        (kind, c)
    });
    let none = pod.containers.is_empty() && pod.init_containers.is_empty();
    let main = pod.containers.iter().chain(none.then(|| &*UNKNOWN));
    let main = main.map(|c| (ContainerKind::Main, c));
    let ephemeral = pod.ephemeral_containers.iter();
    init.chain(main)
        .chain(ephemeral.map(|c| (ContainerKind::Ephemeral, c)))
}
