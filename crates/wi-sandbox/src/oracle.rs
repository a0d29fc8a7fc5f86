//! The access oracle: which token a pod gets, and whether a call with it would be allowed.
//!
//! It answers from the servers' state alone, as Google's services would, and knows nothing of what
//! anybody plans. Recorded after every mutation, it shows whether a pod lost access on the way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::access::{Granted, PodAccess, Sample, Token};
use super::clock;
use super::errors::ApiError;
use super::gke::cluster::Cluster;
use super::gke::pool::NodePool;
use super::kube::{NodeServer, PodState};
use super::request::Request;
use super::roles;
use super::state::{State, email};
use super::world::{Binding, Condition, Policy};

const GSA_ANNOTATION: &str = "iam.gke.io/gcp-service-account";
const GET_TOKEN: &str = "iam.serviceAccounts.getAccessToken";

/// Takes samples from now on, starting with how it is now.
pub fn start_recording(state: &mut State) {
    state.recorder.samples = Some(Vec::new());
    record(state, "start");
}

/// Takes a sample after a mutation, if anybody wants it.
pub fn record(state: &mut State, after: &str) {
    if state.recorder.samples.is_none() {
        return;
    }
    let pods = of_pods(state);
    if let Some(samples) = &mut state.recorder.samples
        && samples.last().is_none_or(|last| last.pods != pods)
    {
        samples.push(Sample {
            after: after.to_owned(),
            pods,
        });
    }
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
                .or_insert_with(|| granted(state, &members(state, cluster, &pod, &token)))
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
            });
        }
    }
    all
}

pub(crate) fn cluster_name(cluster: &Cluster) -> String {
    format!("{}/{}/{}", cluster.project, cluster.location, cluster.name)
}

/// What the metadata address answers to this pod.
fn token(
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
            Err(why) => Token::Refused(why),
        };
    }
    own_token(state, cluster, pod)
}

/// What the GKE metadata server answers: the Kubernetes service account's token, exchanged.
fn own_token(state: &State, cluster: &Cluster, pod: &PodState) -> Token {
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
    let principal = principal(state, &cluster.project, pool, namespace, ksa);
    // The annotation decides: without the right to act as the account there is no token at all.
    let Some(account) = annotations.get(GSA_ANNOTATION).filter(|a| !a.is_empty()) else {
        return Token::Federated(principal);
    };
    if let Err(why) = usable(state, account) {
        return Token::Refused(why);
    }
    let federated = members(state, cluster, pod, &Token::Federated(principal));
    let may = granted_on(state, &federated, &format!("serviceaccount/{account}"))
        .iter()
        .any(|g| roles::permits(&g.role, GET_TOKEN));
    if may {
        Token::Account(account.clone())
    } else {
        Token::Refused(format!(
            "{namespace}/{ksa} is annotated with {account}, but may not act as it: {GET_TOKEN} denied"
        ))
    }
}

/// Whether tokens of an account can be made. Google's own accounts are not in the world.
fn usable(state: &State, account: &str) -> Result<(), String> {
    let Some((project, id)) = state.find_account(account) else {
        let googles = account.ends_with("@developer.gserviceaccount.com");
        return if googles {
            Ok(())
        } else {
            Err(format!("{account} does not exist"))
        };
    };
    let found = &state.world.projects[&project].service_accounts[&id];
    if found.disabled {
        return Err(format!("{account} is disabled"));
    }
    if !state.visible(found) {
        return Err(format!("{account} is not visible to IAM yet"));
    }
    Ok(())
}

fn principal(state: &State, project: &str, pool: &str, namespace: &str, ksa: &str) -> String {
    format!(
        "principal://iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{pool}/subject/ns/{namespace}/sa/{ksa}",
        state.number(project)
    )
}

/// The spellings of members that mean the holder of this token.
fn members(state: &State, cluster: &Cluster, pod: &PodState, token: &Token) -> BTreeSet<String> {
    let mut members = BTreeSet::new();
    match token {
        Token::Refused(_) => return members,
        Token::Node(email) | Token::Account(email) => {
            members.insert(format!("serviceAccount:{email}"));
            if let Some((project, _)) = state.find_account(email) {
                members.insert(format!(
                    "principalSet://cloudresourcemanager.googleapis.com/projects/{}/type/ServiceAccount",
                    state.number(&project)
                ));
            }
        }
        Token::Federated(principal) => {
            let pool = state.workload_pool(&cluster.project);
            let set = format!(
                "iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{pool}",
                state.number(&cluster.project)
            );
            members.insert(principal.clone());
            members.insert(format!(
                "serviceAccount:{pool}[{}/{}]",
                pod.namespace, pod.service_account_name
            ));
            members.insert(format!("principalSet://{set}/*"));
            members.insert(format!("principalSet://{set}/namespace/{}", pod.namespace));
            members.insert(format!(
                "principalSet://{set}/kubernetes.cluster/https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
                cluster.project, cluster.location, cluster.name
            ));
            let running = state.kubes.get(&cluster.key());
            let account =
                running.and_then(|r| r.kube.account(&pod.namespace, &pod.service_account_name));
            if let Some((_, uid)) = account {
                // Google's pages print it either way.
                for scheme in ["principal", "principalSet"] {
                    members.insert(format!(
                        "{scheme}://{set}/kubernetes.serviceaccount.uid/{uid}"
                    ));
                }
            }
        }
    }
    members.insert("allUsers".to_owned());
    members.insert("allAuthenticatedUsers".to_owned());
    let conveniences = conveniences(state, &members);
    members.extend(conveniences);
    members
}

/// `projectOwner:P`, `projectEditor:P` and `projectViewer:P`, for whoever has the basic role on the project.
fn conveniences(state: &State, members: &BTreeSet<String>) -> Vec<String> {
    let basic = [
        ("roles/owner", "projectOwner"),
        ("roles/editor", "projectEditor"),
        ("roles/viewer", "projectViewer"),
    ];
    let projects = state.world.projects.iter();
    projects
        .flat_map(|(id, project)| {
            let bindings = project.policy.bindings.iter();
            let held = bindings.filter(|b| b.members.iter().any(|m| members.contains(m)));
            held.filter_map(move |b| {
                let (_, word) = basic.iter().find(|(role, _)| *role == b.role)?;
                Some(format!("{word}:{id}"))
            })
        })
        .collect()
}

/// The roles that come with a token.
pub(crate) fn roles_of(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    token: &Token,
) -> BTreeSet<Granted> {
    granted(state, &members(state, cluster, pod, token))
}

/// All roles of these members, on all resources.
fn granted(state: &State, members: &BTreeSet<String>) -> BTreeSet<Granted> {
    policies(state)
        .flat_map(|(resource, policy)| in_policy(state, policy, &resource, members))
        .collect()
}

/// The roles of these members that hold on a resource: its own policy's and its project's.
fn granted_on(state: &State, members: &BTreeSet<String>, resource: &str) -> BTreeSet<Granted> {
    let project = match resource.strip_prefix("project/") {
        Some(project) => Some(project.to_owned()),
        None => state.project_of(resource),
    };
    let mut above: BTreeSet<String> = BTreeSet::new();
    if let Some(project) = project {
        let ancestors = state.world.projects.get(&project).map(|p| &p.ancestors);
        above.extend(ancestors.into_iter().flatten().map(|a| {
            format!(
                "//cloudresourcemanager.googleapis.com/{}",
                a.replacen('/', "s/", 1)
            )
        }));
        above.insert(format!("project/{project}"));
    }
    policies(state)
        .filter(|(name, _)| name == resource || above.contains(name))
        .flat_map(|(name, policy)| in_policy(state, policy, &name, members))
        .collect()
}

fn policies(state: &State) -> impl Iterator<Item = (String, &Policy)> {
    let projects = state.world.projects.iter().flat_map(|(id, project)| {
        let accounts = project
            .service_accounts
            .iter()
            .map(move |(account, a)| (format!("serviceaccount/{}", email(id, account)), &a.policy));
        accounts.chain(std::iter::once((format!("project/{id}"), &project.policy)))
    });
    let buckets = state.world.buckets.iter().filter_map(|(name, bucket)| {
        let policy = bucket.policy.as_ref()?;
        Some((format!("bucket/{name}"), policy))
    });
    let others = state.world.resources.iter();
    projects
        .chain(buckets)
        .chain(others.map(|(name, resource)| (name.clone(), &resource.policy)))
}

fn in_policy(
    state: &State,
    policy: &Policy,
    resource: &str,
    members: &BTreeSet<String>,
) -> Vec<Granted> {
    policy
        .bindings
        .iter()
        .filter(|binding| binding.members.iter().any(|m| members.contains(m)))
        .filter_map(|binding| {
            let only_if = match &binding.condition {
                None if only_as_authenticated(binding, members) => Some(AUTHENTICATED.to_owned()),
                None => None,
                Some(condition) => match holds(state, condition) {
                    Some(true) => None,
                    Some(false) => return None,
                    None => Some(condition.expression.clone()),
                },
            };
            Some(Granted {
                resource: resource.to_owned(),
                role: binding.role.clone(),
                only_if,
            })
        })
        .collect()
}

/// Google does not say whether a federated identity is among `allAuthenticatedUsers`.
const AUTHENTICATED: &str = "allAuthenticatedUsers has the federated identity in it";

fn only_as_authenticated(binding: &Binding, members: &BTreeSet<String>) -> bool {
    let is_federated = members.iter().any(|m| m.starts_with("principal://iam."));
    let mut by = binding.members.iter().filter(|m| members.contains(*m));
    is_federated && by.all(|m| m == "allAuthenticatedUsers")
}

/// Whether a condition holds now; `None` for all but a bound on the time.
fn holds(state: &State, condition: &Condition) -> Option<bool> {
    let rest = condition.expression.trim().strip_prefix("request.time")?;
    let rest = rest.trim_start();
    let (before, rest) = match rest.strip_prefix('<') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('>')?),
    };
    let bound = rest
        .trim_start_matches('=')
        .trim()
        .strip_prefix("timestamp(")?
        .strip_suffix(')')?
        .trim_matches(['"', '\'']);
    let bound = clock::parse(bound)?;
    Some(before == (state.clock.now() < bound))
}

/// `GET /sandbox/v1/access`: of all pods; or, with `cluster`, `pod`, `permission` and `resource`,
/// whether one call of one pod would be allowed, and why not.
pub fn answer(state: &State, request: &Request) -> Result<Value, ApiError> {
    let Some(pod) = request.query("pod") else {
        return Ok(json!({ "pods": of_pods(state) }));
    };
    let wanted = request.query("cluster");
    let (namespace, name) = pod
        .split_once('/')
        .ok_or_else(|| ApiError::invalid("`pod` is NAMESPACE/NAME"))?;
    let found = state.world.clusters.iter().find_map(|cluster| {
        if wanted.is_some_and(|w| w != cluster_name(cluster) && w != cluster.name) {
            return None;
        }
        let pods = state.kubes.get(&cluster.key())?.kube.pods();
        let pod = pods
            .into_iter()
            .find(|p| p.namespace == namespace && p.name == name)?;
        Some((cluster, pod))
    });
    let (cluster, pod) =
        found.ok_or_else(|| ApiError::not_found(format!("there is no pod {namespace}/{name}")))?;
    let nodes = state.kubes.get(&cluster.key());
    let nodes = nodes.map(|running| running.kube.node_servers());
    let token = token(state, cluster, &nodes.unwrap_or_default(), &pod);
    let mut shown = json!({"cluster": cluster_name(cluster), "token": token});
    let (Some(permission), Some(resource)) =
        (request.query("permission"), request.query("resource"))
    else {
        return Ok(shown);
    };
    if !roles::is_known(permission) {
        return Err(ApiError::invalid(format!(
            "the sandbox knows of no role with the permission {permission}; it knows of {}",
            roles::known().into_iter().collect::<Vec<_>>().join(", ")
        )));
    }
    let members = members(state, cluster, &pod, &token);
    let roles = granted_on(state, &members, resource);
    let by = roles.iter().find(|g| roles::permits(&g.role, permission));
    shown["allowed"] = by.is_some().into();
    shown["why"] = match (by, &token) {
        (Some(by), _) => format!("{} on {}", by.role, by.resource),
        (None, Token::Refused(why)) => why.clone(),
        (None, Token::Node(who) | Token::Account(who) | Token::Federated(who)) => {
            let has: Vec<&str> = roles.iter().map(|g| g.role.as_str()).collect();
            let has = if has.is_empty() {
                "no role".to_owned()
            } else {
                format!("only {}", has.join(", "))
            };
            format!("{who} has {has} on {resource}, and none permits {permission}")
        }
    }
    .into();
    if let Some(only_if) = by.and_then(|b| b.only_if.as_ref()) {
        shown["onlyIf"] = only_if.clone().into();
    }
    Ok(shown)
}
