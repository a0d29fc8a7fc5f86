//! Whose token the metadata server of a node hands to a pod.

use std::collections::HashMap;

use super::decision::{Decision, decide};
use super::members::{members, principal, who};
use crate::access::Token;
use crate::gke::cluster::Cluster;
use crate::gke::pool::NodePool;
use crate::kube::{NodeServer, PodState};
use crate::state::State;

pub(super) const GSA_ANNOTATION: &str = "iam.gke.io/gcp-service-account";
const GET_TOKEN: &str = "iam.serviceAccounts.getAccessToken";

/// What the metadata address answers to this pod.
pub(super) fn token(
    state: &State,
    cluster: &Cluster,
    nodes: &HashMap<String, NodeServer>,
    pod: &PodState,
) -> Token {
    let Some(node) = &pod.node else {
        return Token::Refused("the pod is on no node".to_owned());
    };
    let server = nodes.get(node);
    let pool = server.and_then(|server| {
        let mut pools = cluster.node_pools.iter();
        pools.find(|pool| pool.name == server.pool)
    });
    let (Some(server), Some(pool)) = (server, pool) else {
        return Token::Refused(format!("node {node} is in no node pool"));
    };
    token_on(state, cluster, pool, server.is_gkes, pod)
}

/// The same, were the pod on a node of this pool.
pub(crate) fn token_on(
    state: &State,
    cluster: &Cluster,
    pool: &NodePool,
    has_gke_server: bool,
    pod: &PodState,
) -> Token {
    if pod.host_network || !has_gke_server {
        let account = match pool.service_account.as_str() {
            "default" => format!(
                "{}-compute@developer.gserviceaccount.com",
                state.number(&cluster.project)
            ),
            email => email.to_owned(),
        };
        return match usable(state, &account) {
            Ok(()) => Token::Node(account),
            Err(why) => Token::Refused(why.of(&account)),
        };
    }
    own_token(state, cluster, pod)
}

/// What the GKE metadata server answers: the Kubernetes service account's token, exchanged.
pub(super) fn own_token(state: &State, cluster: &Cluster, pod: &PodState) -> Token {
    let ksa = &pod.service_account_name;
    let namespace = &pod.namespace;
    let account = state
        .kubes
        .get(&cluster.key())
        .and_then(|running| running.kube.account(namespace, ksa));
    let Some((annotations, _)) = account else {
        return Token::Refused(format!("there is no service account {namespace}/{ksa}"));
    };
    let Some(pool) = &cluster.workload_pool else {
        return Token::Refused("the cluster has no workload pool".to_owned());
    };
    // The annotation decides: without the right to act as the account there is no token at all.
    let Some(account) = annotations.get(GSA_ANNOTATION).filter(|a| !a.is_empty()) else {
        return Token::Federated(principal(state, &cluster.project, pool, namespace, ksa));
    };
    if let Err(why) = usable(state, account) {
        return Token::Refused(why.of(account));
    }
    let decision = may_be(state, cluster, pod, pool, account);
    if decision.allowed != Some(false) {
        Token::Account(account.clone())
    } else {
        Token::Refused(format!(
            "{namespace}/{ksa} is annotated with {account}, but may not act as it: {GET_TOKEN} denied ({})",
            decision.why
        ))
    }
}

/// Whether a pod's Kubernetes service account may act as an account.
pub(super) fn may_be(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    pool: &str,
    account: &str,
) -> Decision {
    let principal = principal(
        state,
        &cluster.project,
        pool,
        &pod.namespace,
        &pod.service_account_name,
    );
    let federated = members(state, cluster, who(pod), &Token::Federated(principal));
    let resource = format!("serviceaccount/{account}");
    decide(state, Some(cluster), &federated, GET_TOKEN, &resource)
}

/// Why there are no tokens of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It does not exist.
    Absent,
    /// It is disabled.
    Disabled,
    /// IAM does not see it yet.
    NotVisible,
}

impl Unusable {
    pub(super) fn of(self, account: &str) -> String {
        match self {
            Self::Absent => format!("{account} does not exist"),
            Self::Disabled => format!("{account} is disabled"),
            Self::NotVisible => format!("{account} is not visible to IAM yet"),
        }
    }
}

/// Whether tokens of an account can be made. Google's own accounts are not in the world.
pub(crate) fn usable(state: &State, account: &str) -> Result<(), Unusable> {
    let Some((project, id)) = state.find_account(account) else {
        let googles = account.ends_with("@developer.gserviceaccount.com");
        return if googles {
            Ok(())
        } else {
            Err(Unusable::Absent)
        };
    };
    let found = &state.world.projects[&project].service_accounts[&id];
    if found.disabled {
        return Err(Unusable::Disabled);
    }
    if !state.visible(found) {
        return Err(Unusable::NotVisible);
    }
    Ok(())
}
