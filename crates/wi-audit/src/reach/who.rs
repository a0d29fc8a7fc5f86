//! Who can do something to a resource: at once, or by becoming somebody who can.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wi_core::access::{self, Grant, Unseen};
use wi_core::live::Seen;
use wi_core::resource::Resource;

use super::edges::{Graph, Says, ksa_principal};
use super::step::{Edge, Node};
use crate::world::{NOT_READ, World};

/// Somebody who can.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The bindings by which the last of the path can.
    pub by: Vec<Grant>,
    /// By becoming whom, step by step; none: himself.
    pub steps: Vec<(Node, Edge)>,
    /// What was not seen and decides; none: he can.
    pub because: Vec<Unseen>,
    /// What was not seen and could take it away.
    pub unless: Vec<Unseen>,
}

/// All who can.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// Service accounts.
    pub nodes: BTreeMap<Node, Holder>,
    /// People, groups and identities of elsewhere, as policies write them, with what they have at once, or on whom.
    pub people: BTreeMap<String, Vec<(Grant, Option<bool>)>>,
    /// What was not seen and may hide more.
    pub unseen: BTreeSet<Unseen>,
}

/// Permissions by which somebody whom the engine does not know becomes an account.
const BECOMES: [&str; 5] = [
    "iam.serviceAccounts.getAccessToken",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccountKeys.create",
    "iam.serviceAccounts.setIamPolicy",
];

impl Graph<'_> {
    /// Who has a permission on a resource (`None`: some role, on it or above), or can become somebody who has.
    pub fn who_can(&self, permission: Option<&str>, on: &Resource, depth: usize) -> Who {
        let mut who = Who::default();
        let chain = self.live.iam.chain(on);
        who.unseen.extend(chain.unseen.clone());
        for resource in &chain.resources {
            match self.live.iam.policies.get(resource) {
                Some(Seen::Unknown(why)) => {
                    _ = who
                        .unseen
                        .insert(Unseen::Policy(resource.clone(), why.to_string()))
                }
                None => {
                    let unread = Unseen::Policy(resource.clone(), NOT_READ.to_owned());
                    _ = who.unseen.insert(unread);
                }
                Some(_) => {}
            }
        }
        self.directly(permission, on, &mut who);
        self.by_becoming(depth, &mut who);
        // Who else may act as one that can is in its own policy.
        let accounts = who.nodes.keys().filter_map(|node| match node {
            Node::Account(email) => Some(Resource::ServiceAccount(email.clone())),
            _ => None,
        });
        for account in accounts {
            let why = match self.live.iam.policies.get(&account) {
                Some(Seen::Found(_) | Seen::Absent) => continue,
                Some(Seen::Unknown(why)) => why.to_string(),
                None => NOT_READ.to_owned(),
            };
            who.unseen.insert(Unseen::Policy(account, why));
        }
        self.people(permission, &chain.resources, &mut who);
        who
    }

    fn directly(&self, permission: Option<&str>, on: &Resource, who: &mut Who) {
        let holder = |says: Says| match says {
            Says::Yes(by, unless) => Some(Holder {
                by,
                steps: Vec::new(),
                because: Vec::new(),
                unless,
            }),
            Says::Perhaps(because) => Some(Holder {
                by: Vec::new(),
                steps: Vec::new(),
                because,
                unless: Vec::new(),
            }),
            Says::No => None,
        };
        // Those that are not named in a policy that was not seen are many, and known by that policy: they are not told.
        let hidden = |holder: &Holder| {
            !holder.because.is_empty()
                && holder.because.iter().all(|u| {
                    matches!(
                        u,
                        Unseen::Policy(..) | Unseen::Home(..) | Unseen::Ancestors(..)
                    )
                })
        };
        for email in self.accounts() {
            let node = Node::Account(email.clone());
            if let Some(principal) = self.principal(&node)
                && let Some(holder) = holder(self.may(&principal, permission, on))
                && !hidden(&holder)
            {
                who.nodes.insert(node, holder);
            }
        }
        // Those whom the same members mean can do the same.
        let mut classes: HashMap<(&str, Vec<usize>), Option<Holder>> = HashMap::new();
        let has_denies = self
            .live
            .iam
            .denies
            .values()
            .any(|d| d.found().is_some_and(|d| !d.is_empty()));
        let pools: Vec<(String, &String)> = self
            .live
            .clusters
            .iter()
            .map(|(n, c)| (c.path.project.workload_pool(), n))
            .collect();
        for (pool, name) in &pools {
            let cluster = &self.live.clusters[*name];
            for (namespace, called) in cluster.ksas.found().into_iter().flat_map(BTreeMap::keys) {
                let identity = World::identity(cluster, namespace, called);
                let principal = ksa_principal(cluster, namespace, called);
                let uid = principal
                    .uid
                    .found()
                    .map(String::as_str)
                    .unwrap_or_default();
                let class = (pool.as_str(), self.entries_of_ksa(cluster, &identity, uid));
                let principal = access::Principal::Ksa(principal);
                let found = match has_denies {
                    true => holder(self.may(&principal, permission, on)),
                    false => classes
                        .entry(class)
                        .or_insert_with(|| holder(self.may(&principal, permission, on)))
                        .clone(),
                };
                if let Some(found) = found.filter(|h| !hidden(h)) {
                    let node = Node::Ksa {
                        cluster: (*name).clone(),
                        namespace: namespace.clone(),
                        name: called.clone(),
                    };
                    who.nodes.insert(node, found);
                }
            }
        }
    }

    /// Whether somebody has a permission, or some role.
    fn may(&self, principal: &access::Principal, permission: Option<&str>, on: &Resource) -> Says {
        let Some(permission) = permission else {
            let (grants, _) = access::held(&self.live.iam, principal, on, self.at);
            let of = |wanted: Option<bool>| {
                let fits = grants.iter().filter(|(_, holds)| *holds == wanted);
                fits.map(|(grant, _)| grant.clone()).collect::<Vec<Grant>>()
            };
            let (held, perhaps) = (of(Some(true)), of(None));
            return match (held.is_empty(), perhaps.is_empty()) {
                (false, _) => Says::Yes(held, Vec::new()),
                (true, true) => Says::No,
                (true, false) => Says::Perhaps(
                    perhaps
                        .into_iter()
                        .filter_map(|g| g.condition)
                        .map(|c| {
                            Unseen::Condition(
                                c.expression,
                                "it depends on more than the time".to_owned(),
                            )
                        })
                        .collect(),
                ),
            };
        };
        self.ask(principal, permission, on)
    }

    /// Backwards over the edges of all: certain ones first, so that what is certain is told so.
    fn by_becoming(&self, depth: usize, who: &mut Who) {
        let mut from: HashMap<Node, Vec<(Node, Edge)>> = HashMap::new();
        for node in self.all() {
            for edge in &self.edges(&node).to {
                from.entry(edge.to.clone())
                    .or_default()
                    .push((node.clone(), edge.clone()));
            }
        }
        for sure in [true, false] {
            let is_sure = |h: &Holder| h.because.is_empty();
            let mut next: Vec<Node> = who
                .nodes
                .iter()
                .filter(|(_, h)| !sure || is_sure(h))
                .map(|(n, _)| n.clone())
                .collect();
            next.sort_by_key(|node| who.nodes[node].steps.len());
            let mut next: std::collections::VecDeque<Node> = next.into();
            while let Some(node) = next.pop_front() {
                let holder = who.nodes[&node].clone();
                if holder.steps.len() >= depth {
                    continue;
                }
                for (before, edge) in from.get(&node).into_iter().flatten() {
                    let step_is_sure = edge.because.is_empty();
                    let known = who.nodes.get(before);
                    // What was only possible becomes certain.
                    let better = known.is_none_or(|k| sure && !is_sure(k));
                    if (sure && !step_is_sure) || !better {
                        continue;
                    }
                    let mut steps = vec![(before.clone(), edge.clone())];
                    steps.extend(holder.steps.iter().cloned());
                    let mut because = holder.because.clone();
                    because.extend(edge.because.iter().cloned());
                    let mut unless = holder.unless.clone();
                    unless.extend(edge.unless.iter().cloned());
                    let found = Holder {
                        by: holder.by.clone(),
                        steps,
                        because,
                        unless,
                    };
                    who.nodes.insert(before.clone(), found);
                    next.push_back(before.clone());
                }
            }
        }
    }

    /// All who may become somebody: accounts, clusters, node pools, and Kubernetes service accounts.
    fn all(&self) -> Vec<Node> {
        let mut all: Vec<Node> = self.accounts().cloned().map(Node::Account).collect();
        for (name, cluster) in &self.live.clusters {
            all.push(Node::Cluster(name.clone()));
            let pools = cluster.gke.found().into_iter().flat_map(|c| &c.node_pools);
            all.extend(pools.map(|p| Node::NodePool {
                cluster: name.clone(),
                pool: p.name.clone(),
            }));
            let ksas = cluster.ksas.found().into_iter().flat_map(BTreeMap::keys);
            all.extend(ksas.map(|(namespace, called)| Node::Ksa {
                cluster: name.clone(),
                namespace: namespace.clone(),
                name: called.clone(),
            }));
        }
        all
    }

    /// People and groups: what roles give them; the engine does not know who they are.
    fn people(&self, permission: Option<&str>, chain: &[Resource], who: &mut Who) {
        let becomes: Vec<Vec<Resource>> = who
            .nodes
            .iter()
            .filter(|(_, h)| h.because.is_empty())
            .filter_map(|(node, _)| match node {
                Node::Account(email) => Some(
                    self.live
                        .iam
                        .chain(&Resource::ServiceAccount(email.clone()))
                        .resources,
                ),
                _ => None,
            })
            .collect();
        for (member, at) in self.index.people() {
            for at in at {
                let entry = self.index.entries[*at];
                let gives = |p: &str| match self.live.iam.roles.get(&entry.binding.role) {
                    Some(Seen::Found(role)) => Some(role.gives(p)),
                    Some(Seen::Absent) => Some(false),
                    _ => None,
                };
                let direct = match (chain.contains(entry.on), permission) {
                    (false, _) => Some(false),
                    (true, None) => Some(true),
                    (true, Some(permission)) => gives(permission),
                };
                let becomes = match becomes.iter().any(|chain| chain.contains(entry.on)) {
                    true if BECOMES.iter().any(|p| gives(p) == Some(true)) => Some(true),
                    true if gives(BECOMES[0]).is_none() => None,
                    _ => Some(false),
                };
                let given = match (direct, becomes) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => continue,
                    _ => None,
                };
                let holds = match &entry.binding.condition {
                    None => Some(true),
                    Some(c) => access::holds(&c.expression, self.at),
                };
                if holds == Some(false) {
                    continue;
                }
                let grant = Grant {
                    on: entry.on.clone(),
                    role: entry.binding.role.clone(),
                    member: member.to_owned(),
                    condition: entry.binding.condition.clone(),
                };
                let sure = (given == Some(true) && holds == Some(true)).then_some(true);
                who.people
                    .entry(member.to_owned())
                    .or_default()
                    .push((grant, sure));
            }
        }
        for grants in who.people.values_mut() {
            grants.sort();
            grants.dedup();
        }
    }

    /// The roles that somebody has, wherever, with whether their conditions hold.
    pub fn roles_of(&self, node: &Node) -> Vec<(Grant, Option<bool>)> {
        let entries = match node {
            Node::Account(email) => self
                .index
                .exactly(&wi_core::names::Member::ServiceAccount(email.clone()))
                .to_vec(),
            Node::Ksa {
                cluster,
                namespace,
                name,
            } => match self.live.clusters.get(cluster) {
                Some(on) => {
                    let principal = ksa_principal(on, namespace, name);
                    let uid = principal
                        .uid
                        .found()
                        .map(String::as_str)
                        .unwrap_or_default();
                    self.entries_of_ksa(on, &principal.identity, uid)
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        let mut all: Vec<(Grant, Option<bool>)> = entries
            .into_iter()
            .map(|at| {
                let entry = self.index.entries[at];
                let holds = match &entry.binding.condition {
                    None => Some(true),
                    Some(c) => access::holds(&c.expression, self.at),
                };
                let grant = Grant {
                    on: entry.on.clone(),
                    role: entry.binding.role.clone(),
                    member: entry.member.to_owned(),
                    condition: entry.binding.condition.clone(),
                };
                (grant, holds)
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }
}
