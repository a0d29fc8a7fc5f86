//! The access oracle: which token a pod gets, and whether a call with it would be allowed.
//!
//! It answers from the servers' state alone, as Google's services would, and knows nothing of what
//! anybody plans. Recorded after every mutation, it shows whether a pod lost access on the way.

mod containers;
mod decision;
mod members;
mod token;

pub use decision::Decision;
pub(crate) use decision::roles_of;
pub(crate) use token::{Unusable, token_on, usable};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::access::{Granted, PodAccess, Sample, Token};
use super::clock;
use super::errors::ApiError;
use super::gke::cluster::Cluster;
use super::issued::{Holder, Pool, Workload};
use super::kube::PodState;
use super::request::Request;
use super::state::State;

use decision::{decide, granted};
use members::{members, members_of_account, principal, who};
use token::{GSA_ANNOTATION, may_be, token};

/// Takes a sample after a mutation, if anybody wants them.
pub fn record(state: &mut State, after: &str) {
    if state.recorder.samples.is_none() {
        return;
    }
    let mut pods = of_pods(state);
    add_former(state, &mut pods);
    if let Some(samples) = &mut state.recorder.samples
        && samples.last().is_none_or(|last| last.pods != pods)
    {
        samples.push(Sample {
            after: after.to_owned(),
            pods,
        });
    }
}

/// How long a token lives.
const TOKEN_LIVES: clock::Millis = 3_600_000;

/// Adds what pods can do by tokens that they were given before.
fn add_former(state: &mut State, pods: &mut [PodAccess]) {
    let now = state.clock.now();
    let mut given = std::mem::take(&mut state.recorder.given);
    for access in pods {
        let mut clusters = state.world.clusters.iter();
        let Some(cluster) = clusters.find(|c| cluster_name(c) == access.cluster) else {
            continue;
        };
        let pod = state.kubes.get(&cluster.key()).and_then(|running| {
            let mut all = running.kube.pods().into_iter();
            all.find(|p| p.namespace == access.namespace && p.name == access.pod)
        });
        let Some(pod) = pod else {
            continue;
        };
        let uid = pod.uid.clone().unwrap_or_default();
        let key = [&access.cluster, &access.namespace, &access.pod, &uid].map(Clone::clone);
        let tokens = given.entry(key).or_default();
        tokens.retain(|_, at| *at + TOKEN_LIVES > now);
        tokens.insert(access.token.clone(), now);
        let former = tokens.keys().filter(|token| **token != access.token);
        let former = former.filter_map(|token| {
            let (name, roles) = match token {
                Token::Refused(_) => return None,
                Token::Node(account) | Token::Account(account) => {
                    let members = members(state, cluster, who(&pod), token);
                    let roles = usable(state, account).map(|()| granted(state, &members));
                    (account, roles.unwrap_or_default())
                }
                Token::Federated(principal) => {
                    let members = members(state, cluster, who(&pod), token);
                    (principal, granted(state, &members))
                }
            };
            Some((name.clone(), roles))
        });
        access.former = former.collect();
    }
    state.recorder.given = given;
}

/// The access of all pods that run.
pub fn of_pods(state: &State) -> Vec<PodAccess> {
    let mut roles_of: BTreeMap<(String, Token), BTreeSet<Granted>> = BTreeMap::new();
    let mut all = Vec::new();
    for cluster in &state.world.clusters {
        let Some(running) = state.kubes.get(&cluster.key()) else {
            continue;
        };
        let name = cluster_name(cluster);
        let nodes = running.kube.node_servers();
        for pod in running.kube.pods() {
            if pod.node.is_none() || pod.phase.as_deref() != Some("Running") {
                continue;
            }
            let token = token(state, cluster, &nodes, &pod);
            let roles = roles_of
                .entry((name.clone(), token.clone()))
                .or_insert_with(|| granted(state, &members(state, cluster, who(&pod), &token)))
                .clone();
            all.push(PodAccess {
                cluster: name.clone(),
                workload: match &pod.owner {
                    Some(owner) => format!("{}/{}", owner.kind, owner.name),
                    None => format!("Pod/{}", pod.name),
                },
                namespace: pod.namespace,
                pod: pod.name,
                service_account: pod.service_account_name,
                token,
                roles,
                former: BTreeMap::new(),
            });
        }
    }
    all
}

pub(crate) fn cluster_name(cluster: &Cluster) -> String {
    cluster.path()
}

/// A pod by `NAMESPACE/NAME`, in a cluster by `PROJECT/LOCATION/NAME` or its name, or in any.
pub fn find_pod<'s>(
    state: &'s State,
    wanted: Option<&str>,
    pod: &str,
) -> Option<(&'s Cluster, PodState)> {
    let (namespace, name) = pod.split_once('/')?;
    state.world.clusters.iter().find_map(|cluster| {
        if wanted.is_some_and(|w| w != cluster_name(cluster) && w != cluster.name) {
            return None;
        }
        let mut pods = state.kubes.get(&cluster.key())?.kube.pods().into_iter();
        let pod = pods.find(|p| p.namespace == namespace && p.name == name)?;
        Some((cluster, pod))
    })
}

/// Whether one call of a pod would be allowed, or what keeps it from its identity.
pub fn of_call(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    permission: &str,
    resource: &str,
) -> (Token, Decision) {
    let nodes = state.kubes.get(&cluster.key());
    let nodes = nodes.map(|running| running.kube.node_servers());
    let token = token(state, cluster, &nodes.unwrap_or_default(), pod);
    if let Token::Refused(why) = &token {
        let decision = Decision {
            allowed: Some(false),
            link: refused_at(state, cluster, pod),
            why: why.clone(),
        };
        return (token, decision);
    }
    let members = members(state, cluster, who(pod), &token);
    let mut decision = decide(state, Some(cluster), &members, permission, resource);
    if matches!(token, Token::Node(_)) && decision.allowed != Some(false) {
        bound_by_scopes(state, cluster, pod, permission, &mut decision);
    }
    // What hangs on whether there is a token at all is not certain, either.
    if let (Token::Account(account), Some(pool)) = (&token, &cluster.workload_pool)
        && decision.allowed == Some(true)
    {
        let right = may_be(state, cluster, pod, pool, account);
        if right.allowed.is_none() {
            decision = right;
        }
    }
    (token, decision)
}

/// What the metadata address answers to a pod, wherever it is.
pub fn token_of(state: &State, cluster: &Cluster, pod: &PodState) -> Token {
    let nodes = state.kubes.get(&cluster.key());
    let nodes = nodes.map(|running| running.kube.node_servers());
    token(state, cluster, &nodes.unwrap_or_default(), pod)
}

/// Whether a call would be allowed by a token that a pod has from elsewhere.
pub fn of_token(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    token: &Token,
    permission: &str,
    resource: &str,
) -> Decision {
    let members = members(state, cluster, who(pod), token);
    decide(state, Some(cluster), &members, permission, resource)
}

/// Tokens of a node have its scopes, and are good for nothing else.
fn bound_by_scopes(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    permission: &str,
    decision: &mut Decision,
) {
    let server = state.kubes.get(&cluster.key()).and_then(|running| {
        let mut servers = running.kube.node_servers();
        servers.remove(pod.node.as_ref()?)
    });
    let pool = server.and_then(|s| cluster.node_pools.iter().find(|pool| pool.name == s.pool));
    let scopes = pool.and_then(|pool| pool.extra.get("config")?["oauthScopes"].as_array());
    let Some(scopes) = scopes else { return };
    let has = |name: &str| {
        let url = format!("https://www.googleapis.com/auth/{name}");
        scopes.iter().any(|scope| *scope == url)
    };
    if has("cloud-platform") {
        return;
    }
    decision.allowed = match permission {
        "storage.objects.get" | "storage.objects.list" if has("devstorage.read_only") => return,
        _ if permission.starts_with("storage.") => None,
        _ if permission.starts_with("secretmanager.") => Some(false),
        _ => None,
    };
    decision.link = "scopes";
    decision.why = format!("the node's scopes do not cover {permission}");
}

/// Whether the holder of a token may do this.
pub fn of_holder(state: &State, holder: &Holder, permission: &str, resource: &str) -> Decision {
    let workload = match holder {
        Holder::Workload(workload) => workload,
        Holder::Account(email) => {
            let members = members_of_account(state, email);
            return decide(state, None, &members, permission, resource);
        }
    };
    let Workload {
        cluster,
        namespace,
        ksa,
        pool,
    } = workload;
    let cluster = state.world.clusters.iter().find(|c| c.key() == *cluster);
    let Some(cluster) = cluster else {
        return Decision {
            allowed: Some(false),
            link: "pool",
            why: "its cluster is gone".to_owned(),
        };
    };
    let (project, pool) = match pool {
        Pool::OfProject => (&cluster.project, state.workload_pool(&cluster.project)),
        Pool::OfFleet(host) => (host, state.fleet_pool(host)),
    };
    let token = Token::Federated(principal(state, project, &pool, namespace, ksa));
    let members = members(state, cluster, (namespace, ksa), &token);
    decide(state, Some(cluster), &members, permission, resource)
}

/// The first thing that keeps a pod from a token.
fn refused_at(state: &State, cluster: &Cluster, pod: &PodState) -> &'static str {
    let running = state.kubes.get(&cluster.key());
    let account = running.and_then(|r| r.kube.account(&pod.namespace, &pod.service_account_name));
    let Some((annotations, _)) = account else {
        return "serviceAccount";
    };
    if cluster.workload_pool.is_none() {
        return "pool";
    }
    match annotations.get(GSA_ANNOTATION) {
        Some(account) if usable(state, account).is_err() => "account",
        _ => "binding",
    }
}

/// `GET /sandbox/v1/access`: of all pods; or, with `cluster`, `pod`, `permission` and `resource`,
/// whether one call of one pod would be allowed, and why not.
pub fn answer(state: &State, request: &Request) -> Result<Value, ApiError> {
    let Some(pod) = request.query("pod") else {
        return Ok(json!({ "pods": of_pods(state) }));
    };
    if !pod.contains('/') {
        return Err(ApiError::invalid("`pod` is NAMESPACE/NAME"));
    }
    let found = find_pod(state, request.query("cluster"), pod);
    let (cluster, pod) =
        found.ok_or_else(|| ApiError::not_found(format!("there is no pod {pod}")))?;
    let (Some(permission), Some(resource)) =
        (request.query("permission"), request.query("resource"))
    else {
        let nodes = state.kubes.get(&cluster.key());
        let nodes = nodes.map(|running| running.kube.node_servers());
        let token = token(state, cluster, &nodes.unwrap_or_default(), &pod);
        return Ok(json!({"cluster": cluster_name(cluster), "token": token}));
    };
    let (token, decision) = of_call(state, cluster, &pod, permission, resource);
    let mut shown = json!({
        "cluster": cluster_name(cluster),
        "token": token,
        "allowed": decision.allowed.unwrap_or(true),
        "link": decision.link,
        "why": decision.why,
    });
    if decision.allowed.is_none() {
        shown["onlyIf"] = "something holds that the sandbox does not simulate".into();
    }
    Ok(shown)
}
