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
use super::issued::{Holder, Pool, Workload};
use super::kube::{NodeServer, PodState};
use super::request::Request;
use super::restrictions;
use super::roles;
use super::state::{State, email};
use super::world::{Binding, Condition, Policy};

const GSA_ANNOTATION: &str = "iam.gke.io/gcp-service-account";
const GET_TOKEN: &str = "iam.serviceAccounts.getAccessToken";

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
            Err(why) => Token::Refused(why.of(&account)),
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
fn may_be(state: &State, cluster: &Cluster, pod: &PodState, pool: &str, account: &str) -> Decision {
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
    fn of(self, account: &str) -> String {
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

fn principal(state: &State, project: &str, pool: &str, namespace: &str, ksa: &str) -> String {
    format!(
        "principal://iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{pool}/subject/ns/{namespace}/sa/{ksa}",
        state.number(project)
    )
}

/// The namespace and the name of a pod's Kubernetes service account.
fn who(pod: &PodState) -> (&str, &str) {
    (&pod.namespace, &pod.service_account_name)
}

/// The spellings of members that mean the holder of this token.
fn members(
    state: &State,
    cluster: &Cluster,
    (namespace, ksa): (&str, &str),
    token: &Token,
) -> BTreeSet<String> {
    let mut members = BTreeSet::new();
    match token {
        Token::Refused(_) => return members,
        Token::Node(email) | Token::Account(email) => return members_of_account(state, email),
        Token::Federated(principal) => {
            let set = principal.trim_start_matches("principal://");
            let (set, _) = set.split_once("/subject/").unwrap_or((set, ""));
            let (_, pool) = set.rsplit_once('/').unwrap_or(("", set));
            members.insert(principal.clone());
            members.insert(format!("serviceAccount:{pool}[{namespace}/{ksa}]"));
            members.insert(format!("principalSet://{set}/*"));
            members.insert(format!("principalSet://{set}/namespace/{namespace}"));
            // How a fleet's pool names the set of one of its clusters is not known.
            if pool == state.workload_pool(&cluster.project) {
                members.insert(format!(
                "principalSet://{set}/kubernetes.cluster/https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
                cluster.project, cluster.location, cluster.name
            ));
            }
            let running = state.kubes.get(&cluster.key());
            let account = running.and_then(|r| r.kube.account(namespace, ksa));
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
    with_everybody(state, members)
}

/// All that name a Google service account in a policy.
fn members_of_account(state: &State, email: &str) -> BTreeSet<String> {
    let mut members = BTreeSet::from([format!("serviceAccount:{email}")]);
    if let Some((project, _)) = state.find_account(email) {
        members.insert(format!(
            "principalSet://cloudresourcemanager.googleapis.com/projects/{}/type/ServiceAccount",
            state.number(&project)
        ));
    }
    with_everybody(state, members)
}

fn with_everybody(state: &State, mut members: BTreeSet<String>) -> BTreeSet<String> {
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
    granted(state, &members(state, cluster, who(pod), token))
}

/// All roles of these members, on all resources.
fn granted(state: &State, members: &BTreeSet<String>) -> BTreeSet<Granted> {
    policies(state)
        .flat_map(|(resource, policy)| in_policy(state, policy, &resource, members))
        .collect()
}

/// The roles of these members that hold on a resource: by its own policy, and by those of all that it is in.
fn granted_on(state: &State, members: &BTreeSet<String>, resource: &str) -> BTreeSet<Granted> {
    let above = above(state, resource);
    policies(state)
        .filter(|(name, _)| name == resource || above.contains(name) || is_in(resource, name))
        .flat_map(|(name, policy)| in_policy(state, policy, &name, members))
        .collect()
}

/// Whether a resource is in another, by their names: a table in its dataset, a folder in its bucket.
fn is_in(resource: &str, container: &str) -> bool {
    let container = match container.strip_prefix("bucket/") {
        Some(bucket) => format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
        None => container.to_owned(),
    };
    let rest = resource.strip_prefix(&container);
    container.starts_with("//") && rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The project of a resource, its folders and organization, by the names of their policies.
fn above(state: &State, resource: &str) -> BTreeSet<String> {
    let project = match resource.strip_prefix("project/") {
        Some(project) => Some(project.to_owned()),
        None => state.project_of(resource),
    };
    let mut above: BTreeSet<String> = BTreeSet::new();
    if let Some(project) = project {
        let ancestors = state.world.projects.get(&project).map(|p| &p.ancestors);
        above.extend(ancestors.into_iter().flatten().map(|a| full_name(a)));
        above.insert(format!("project/{project}"));
    }
    above
}

/// `//cloudresourcemanager.googleapis.com/folders/N` of `folder/N`.
fn full_name(container: &str) -> String {
    format!(
        "//cloudresourcemanager.googleapis.com/{}",
        container.replacen('/', "s/", 1)
    )
}

/// Whether one call would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `None`: it depends on what is not simulated.
    pub allowed: Option<bool>,
    /// What decides: `grant`, `role`, `condition`, `deny` or `boundary`; what keeps the pod from its
    /// identity otherwise.
    pub link: &'static str,
    /// In words.
    pub why: String,
}

/// Whether whoever goes by these members may do this.
/// `cluster`: where the caller comes from, unless it is an account.
fn decide(
    state: &State,
    cluster: Option<&Cluster>,
    members: &BTreeSet<String>,
    permission: &str,
    resource: &str,
) -> Decision {
    let told = |allowed, link, why: String| Decision { allowed, link, why };
    let containers = above(state, resource);
    let short = |name: &String| match name.strip_prefix("//cloudresourcemanager.googleapis.com/") {
        Some(container) => container.replacen("s/", "/", 1),
        None => name.clone(),
    };
    let attached: BTreeSet<String> = containers.iter().map(short).collect();
    let denied = restrictions::is_denied(state, &denied_as(members), &attached, permission);
    if denied == Some(true) {
        return told(
            Some(false),
            "deny",
            format!("a deny policy denies {permission}"),
        );
    }
    let full: BTreeSet<String> = attached.iter().map(|c| full_name(c)).collect();
    let sets = boundary_sets(state, cluster, members);
    let bounded = restrictions::is_bounded(state, &sets, &full, permission);
    if bounded == Some(true) {
        let why = "a principal access boundary does not let it reach the resource".to_owned();
        return told(Some(false), "boundary", why);
    }
    let roles = granted_on(state, members, resource);
    let permits = |g: &&Granted| roles::permits(&state.world, &g.role, permission);
    let sure = roles
        .iter()
        .find(|g| g.only_if.is_none() && permits(g) == Some(true));
    if let Some(by) = sure {
        let certain = denied == Some(false) && bounded == Some(false);
        let why = format!("{} on {}", by.role, by.resource);
        return told(certain.then_some(true), "grant", why);
    }
    if let Some(perhaps) = roles.iter().find(|g| permits(g) != Some(false)) {
        let why = format!("{} on {}, perhaps", perhaps.role, perhaps.resource);
        return told(None, "grant", why);
    }
    // Those whose conditions no longer hold.
    let ever = granted_ever(state, members, resource);
    if let Some(ended) = ever.iter().find(|g| permits(g) == Some(true)) {
        let why = format!(
            "the condition of {} on {} does not hold",
            ended.role, ended.resource
        );
        return told(Some(false), "condition", why);
    }
    let who = "it";
    let link = if ever.is_empty() { "grant" } else { "role" };
    let has: Vec<&str> = ever.iter().map(|g| g.role.as_str()).collect();
    let has = match has.is_empty() {
        true => "no role".to_owned(),
        false => format!("only {}", has.join(", ")),
    };
    let why = format!("{who} has {has} on {resource}, and none permits {permission}");
    told(Some(false), link, why)
}

/// As [`granted_on`], whatever conditions say.
fn granted_ever(state: &State, members: &BTreeSet<String>, resource: &str) -> BTreeSet<Granted> {
    let above = above(state, resource);
    policies(state)
        .filter(|(name, _)| name == resource || above.contains(name) || is_in(resource, name))
        .flat_map(|(name, policy)| {
            let held = policy.bindings.iter();
            let held = held.filter(|b| b.members.iter().any(|m| members.contains(m)));
            let held = held.filter(|b| !only_as_authenticated(b, members));
            held.map(move |b| Granted {
                resource: name.clone(),
                role: b.role.clone(),
                only_if: None,
            })
        })
        .collect()
}

/// The spellings of deny policies.
fn denied_as(members: &BTreeSet<String>) -> BTreeSet<String> {
    let mut who = members.clone();
    who.insert("principalSet://goog/public:all".to_owned());
    let emails = members
        .iter()
        .filter_map(|m| m.strip_prefix("serviceAccount:"));
    let accounts: Vec<String> = emails
        .filter(|email| !email.contains('['))
        .map(|email| format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{email}"))
        .collect();
    who.extend(accounts);
    who
}

/// The sets of principals of boundaries that a caller is in.
fn boundary_sets(
    state: &State,
    cluster: Option<&Cluster>,
    members: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut sets = BTreeSet::new();
    let account = members.iter().find_map(|m| {
        let email = m.strip_prefix("serviceAccount:")?;
        (!email.contains('[')).then_some(email)
    });
    let home = match account {
        Some(email) => state.find_account(email).map(|(project, _)| project),
        None => cluster.map(|cluster| {
            sets.insert(format!(
                "//iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/{}",
                state.number(&cluster.project),
                state.workload_pool(&cluster.project)
            ));
            cluster.project.clone()
        }),
    };
    if let Some(home) = home {
        let ancestors = state.world.projects.get(&home).map(|p| &p.ancestors);
        sets.extend(ancestors.into_iter().flatten().map(|a| full_name(a)));
        sets.insert(full_name(&format!("project/{home}")));
    }
    sets
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
            let held = match &binding.condition {
                None => Some(true),
                Some(condition) => holds(state, condition),
            };
            let only_if = match (held, &binding.condition) {
                (Some(false), _) => return None,
                (None, Some(condition)) => Some(condition.expression.clone()),
                _ => only_as_authenticated(binding, members).then(|| AUTHENTICATED.to_owned()),
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
