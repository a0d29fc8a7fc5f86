//! What somebody becomes at once, by the access engine.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use jiff::Timestamp;
use wi_core::access::{self, Answer, Grant, KsaPrincipal, Membership, Principal, Question, Unseen};
use wi_core::live::Seen;
use wi_core::names::{Email, KsaIdentity, Member, ProjectId};
use wi_core::resource::Resource;

use super::index::{Entry, Index};
use super::step::{Edge, Edges, How, Node, Power};
use crate::world::{Cluster, Live, World};

/// Permissions on an account by which one becomes it.
const BECOMES: [(&str, How); 5] = [
    ("iam.serviceAccounts.getAccessToken", How::Token),
    ("iam.serviceAccounts.signBlob", How::Sign),
    ("iam.serviceAccounts.signJwt", How::Sign),
    ("iam.serviceAccountKeys.create", How::Key),
    ("iam.serviceAccounts.setIamPolicy", How::AccountPolicy),
];

/// The permission to run something as an account, and those to run something.
const ACT_AS: &str = "iam.serviceAccounts.actAs";
const RUNS: [&str; 12] = [
    "compute.instances.create",
    "compute.instances.setServiceAccount",
    "run.services.create",
    "run.jobs.create",
    "cloudfunctions.functions.create",
    "cloudscheduler.jobs.create",
    "dataflow.jobs.create",
    "composer.environments.create",
    "dataproc.clusters.create",
    "workflows.workflows.create",
    "batch.jobs.create",
    "aiplatform.customJobs.create",
];

/// Permissions on containers that are about all in them.
const POWERS: [(&str, How); 14] = [
    ("resourcemanager.projects.setIamPolicy", How::Policy),
    ("resourcemanager.folders.setIamPolicy", How::Policy),
    ("resourcemanager.organizations.setIamPolicy", How::Policy),
    ("iam.roles.update", How::RoleEdit),
    ("cloudbuild.builds.create", How::Build),
    ("container.serviceAccounts.createToken", How::KsaToken),
    ("container.pods.create", How::RunPods),
    ("container.deployments.create", How::RunPods),
    ("container.daemonSets.create", How::RunPods),
    ("container.jobs.create", How::RunPods),
    ("container.cronJobs.create", How::RunPods),
    ("container.pods.exec", How::RunPods),
    ("container.clusterRoles.escalate", How::ClusterAdmin),
    ("container.clusterRoles.bind", How::ClusterAdmin),
];

/// A workload pool, and the members that mean somebody of it.
type Class = (String, Vec<usize>);

/// What a graph knows without being asked, and what it was asked for.
#[derive(Debug)]
pub struct Graph<'w> {
    pub(super) world: &'w World,
    pub(super) live: &'w Live,
    pub(super) at: Option<Timestamp>,
    pub(super) index: Index<'w>,
    /// All accounts that are known, with what is above each.
    accounts: BTreeMap<Email, Vec<Resource>>,
    projects: BTreeMap<ProjectId, Vec<Resource>>,
    /// Kubernetes service accounts that may have an edge of their own by where their pods run.
    on_nodes: HashMap<(String, String, String), BTreeSet<(String, bool)>>,
    /// Whether who is denied differs from one to another.
    has_denies: bool,
    known: RefCell<HashMap<Node, Rc<Edges>>>,
    classes: RefCell<HashMap<Class, Rc<Edges>>>,
}

/// What the engine says of one permission.
pub(super) enum Says {
    Yes(Vec<Grant>, Vec<Unseen>),
    Perhaps(Vec<Unseen>),
    No,
}

impl<'w> Graph<'w> {
    /// Of what was read; `at`: conditions are evaluated for then.
    pub fn of(world: &'w World, live: &'w Live, at: Option<Timestamp>) -> Self {
        let index = Index::of(&live.iam);
        let mut accounts = BTreeMap::new();
        let listed = live
            .accounts
            .values()
            .filter_map(Seen::found)
            .flat_map(BTreeMap::keys);
        let with_policy = live.iam.policies.keys().filter_map(|r| match r {
            Resource::ServiceAccount(email) => Some(email),
            _ => None,
        });
        for email in listed.chain(with_policy) {
            accounts.entry(email.clone()).or_insert_with(|| {
                let own = Resource::ServiceAccount(email.clone());
                live.iam.chain(&own).resources
            });
        }
        let mut projects = BTreeMap::new();
        let of_clusters = live.clusters.values().map(|c| &c.path.project);
        let with_policy = live.iam.policies.keys().filter_map(|r| match r {
            Resource::Project(project) => Some(project),
            _ => None,
        });
        for project in of_clusters.chain(with_policy) {
            projects.entry(project.clone()).or_insert_with(|| {
                live.iam
                    .chain(&Resource::Project(project.clone()))
                    .resources
            });
        }
        let has_denies = live
            .iam
            .denies
            .values()
            .any(|d| d.found().is_some_and(|d| !d.is_empty()));
        Self {
            world,
            live,
            at,
            index,
            accounts,
            projects,
            on_nodes: on_nodes(live),
            has_denies,
            known: RefCell::default(),
            classes: RefCell::default(),
        }
    }

    /// All Google service accounts that are known.
    pub fn accounts(&self) -> impl Iterator<Item = &Email> {
        self.accounts.keys()
    }

    /// What somebody becomes at once.
    pub fn edges(&self, node: &Node) -> Rc<Edges> {
        if let Some(edges) = self.known.borrow().get(node) {
            return Rc::clone(edges);
        }
        let edges = match node {
            Node::Account(email) => {
                let at = self
                    .index
                    .exactly(&Member::ServiceAccount(email.clone()))
                    .to_vec();
                Rc::new(self.of_principal(&Principal::Account(email.clone()), &at, node))
            }
            Node::Ksa {
                cluster,
                namespace,
                name,
            } => self.of_ksa(cluster, namespace, name),
            Node::NodePool { cluster, pool } => Rc::new(self.of_pool(cluster, pool)),
            Node::Cluster(name) => Rc::new(self.of_cluster(name)),
        };
        self.known
            .borrow_mut()
            .insert(node.clone(), Rc::clone(&edges));
        edges
    }

    /// A node as the access engine takes it; `None`: it is a place, and nobody itself.
    pub fn principal(&self, node: &Node) -> Option<Principal> {
        match node {
            Node::Account(email) => Some(Principal::Account(email.clone())),
            Node::Ksa {
                cluster,
                namespace,
                name,
            } => {
                let on = self.live.clusters.get(cluster)?;
                Some(Principal::Ksa(ksa_principal(on, namespace, name)))
            }
            Node::NodePool { .. } | Node::Cluster(_) => None,
        }
    }

    /// The entries that mean a Kubernetes service account: by itself, and by sets of its pool.
    pub(super) fn entries_of_ksa(
        &self,
        on: &Cluster,
        identity: &KsaIdentity,
        uid: &str,
    ) -> Vec<usize> {
        let ksa = access::Ksa {
            identity,
            cluster: &on.path,
            number: None,
            uid,
            annotation: None,
        };
        let mut at = self.index.exactly(&Member::Ksa(identity.clone())).to_vec();
        let sets = self.index.sets_of(&identity.pool).iter();
        at.extend(sets.filter(|at| access::covers(self.index.entries[**at].member, &ksa)));
        at
    }

    fn of_ksa(&self, cluster: &str, namespace: &str, name: &str) -> Rc<Edges> {
        let Some(on) = self.live.clusters.get(cluster) else {
            return Rc::default();
        };
        let principal = ksa_principal(on, namespace, name);
        let uid = principal
            .uid
            .found()
            .map(String::as_str)
            .unwrap_or_default();
        let at = self.entries_of_ksa(on, &principal.identity, uid);
        let node = Node::Ksa {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        // Those that the same members mean become the same: a fleet has many, and few members.
        let class = (principal.identity.pool.clone(), at.clone());
        let alike = match self.has_denies {
            true => None,
            false => self.classes.borrow().get(&class).cloned(),
        };
        let edges = alike.unwrap_or_else(|| {
            let edges = Rc::new(self.of_principal(&Principal::Ksa(principal), &at, &node));
            self.classes.borrow_mut().insert(class, Rc::clone(&edges));
            edges
        });
        let key = (cluster.to_owned(), namespace.to_owned(), name.to_owned());
        let Some(pools) = self.on_nodes.get(&key) else {
            return edges;
        };
        let mut own = (*edges).clone();
        for (pool, has_identity) in pools {
            if *has_identity && let Some(email) = self.node_account(cluster, pool) {
                own.to.push(plain(Node::Account(email), How::NodeIdentity));
            }
        }
        Rc::new(own)
    }

    fn node_account(&self, cluster: &str, pool: &str) -> Option<Email> {
        let on = self.live.clusters.get(cluster)?;
        let pools = &on.gke.found()?.node_pools;
        let pool = pools.iter().find(|p| p.name == pool)?;
        match self.world.node_account(&on.path.project, pool) {
            Ok(email) => Some(email),
            Err(email) => email,
        }
    }

    fn of_pool(&self, cluster: &str, pool: &str) -> Edges {
        let mut edges = Edges::default();
        if let Some(email) = self.node_account(cluster, pool) {
            edges.to.push(plain(Node::Account(email), How::NodeAccount));
        }
        let mut ksas: Vec<&(String, String, String)> = self
            .on_nodes
            .iter()
            .filter(|((on, ..), pools)| on == cluster && pools.iter().any(|(p, _)| p == pool))
            .map(|(key, _)| key)
            .collect();
        ksas.sort();
        let pods = ksas
            .into_iter()
            .map(|(cluster, namespace, name)| Node::Ksa {
                cluster: cluster.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
            });
        edges
            .to
            .extend(pods.map(|node| plain(node, How::PodOnNode)));
        edges
    }

    /// Whoever is admin of a cluster is all that is in it, and all that IAM takes for the same.
    fn of_cluster(&self, name: &str) -> Edges {
        let mut edges = Edges::default();
        let Some(on) = self.live.clusters.get(name) else {
            return edges;
        };
        let node = |namespace: &str, called: &str| Node::Ksa {
            cluster: name.to_owned(),
            namespace: namespace.to_owned(),
            name: called.to_owned(),
        };
        let mut there = HashSet::new();
        for (namespace, called) in on.ksas.found().into_iter().flat_map(BTreeMap::keys) {
            there.insert((namespace.as_str(), called.as_str()));
            edges
                .to
                .push(plain(node(namespace, called), How::InCluster));
        }
        let pool = on.path.project.workload_pool();
        let mut named: Vec<(&str, &str)> = self.index.named_of(&pool).collect();
        named.retain(|key| !there.contains(key));
        named.sort_unstable();
        let made = named
            .into_iter()
            .map(|(ns, called)| plain(node(ns, called), How::SamePool));
        edges.to.extend(made);
        for pool in on.gke.found().into_iter().flat_map(|c| &c.node_pools) {
            let pool = Node::NodePool {
                cluster: name.to_owned(),
                pool: pool.name.clone(),
            };
            edges.to.push(plain(pool, How::InCluster));
        }
        edges
    }

    pub(super) fn ask(&self, principal: &Principal, permission: &str, on: &Resource) -> Says {
        let question = Question {
            principal,
            permission,
            resource: on,
            at: self.at,
        };
        match access::ask(&self.live.iam, &question) {
            Answer::Allowed { by, unless } => Says::Yes(by, unless),
            Answer::Denied { .. } => Says::No,
            // Of groups and other sets that nobody lists nothing is followed: each would be everybody. What is above a
            // folder is not read, and gives by its own policy what it gives.
            Answer::Unknown { because } => {
                let above = |u: &Unseen| matches!(u, Unseen::Policy(r, _) if r == on && r.kind().short == "folder");
                let rest: Vec<Unseen> = because
                    .into_iter()
                    .filter(|u| !matches!(u, Unseen::Members(_)) && !above(u))
                    .collect();
                match rest.is_empty() {
                    true => Says::No,
                    false => Says::Perhaps(rest),
                }
            }
        }
    }

    /// What is to be asked about: by the members that mean somebody, and by those that may.
    fn candidates(&self, principal: &Principal, exact: &[usize]) -> Vec<Entry<'w>> {
        let mut all: Vec<Entry<'w>> = exact.iter().map(|at| self.index.entries[*at]).collect();
        let wide = self.index.wide().iter().map(|at| self.index.entries[*at]);
        let unlisted = |m: &Membership| matches!(m, Membership::Unknown(Unseen::Members(_)));
        all.extend(wide.filter(|entry| {
            let is = principal.is(entry.member, &self.live.iam);
            is != Membership::No && !unlisted(&is)
        }));
        all
    }

    /// Whether a role may give a permission.
    fn may_give(&self, role: &str, permission: &str) -> bool {
        match self.live.iam.roles.get(role) {
            Some(Seen::Found(found)) => found.gives(permission),
            Some(Seen::Absent) => false,
            Some(Seen::Unknown(_)) | None => true,
        }
    }

    fn of_principal(&self, principal: &Principal, exact: &[usize], node: &Node) -> Edges {
        let mut edges = Edges::default();
        let candidates = self.candidates(principal, exact);
        // What is not read of the policy of an account could name anybody: asked where something above does, or it.
        let mut asked: BTreeSet<(&Email, &str)> = BTreeSet::new();
        for entry in &candidates {
            let permissions = BECOMES.iter().map(|(p, _)| *p).chain([ACT_AS]);
            let given: Vec<&'static str> = permissions
                .filter(|p| self.may_give(&entry.binding.role, p))
                .collect();
            if given.is_empty() {
                continue;
            }
            for (email, chain) in &self.accounts {
                if chain.contains(entry.on) {
                    asked.extend(given.iter().map(|p| (email, *p)));
                }
            }
        }
        let runs = self.runs(principal, &candidates);
        for (email, permission) in asked {
            if *node == Node::Account(email.clone()) {
                continue;
            }
            let on = Resource::ServiceAccount(email.clone());
            let how = BECOMES
                .iter()
                .find(|(p, _)| *p == permission)
                .map(|(_, how)| *how);
            let (by, mut because, unless) = match self.ask(principal, permission, &on) {
                Says::Yes(by, unless) => (by, Vec::new(), unless),
                Says::Perhaps(because) => (Vec::new(), because, Vec::new()),
                Says::No => continue,
            };
            let (how, by) = match (how, &runs) {
                (Some(how), _) => (how, by),
                (None, Some((more, unsure))) => {
                    because.extend(unsure.iter().cloned());
                    let mut by = by;
                    by.extend(more.iter().cloned());
                    (How::RunAs, by)
                }
                (None, None) => continue,
            };
            let to = Node::Account(email.clone());
            edges.to.push(Edge {
                to,
                how,
                by,
                because,
                unless,
            });
        }
        self.powers(principal, &candidates, &mut edges);
        self.by_powers(node, &mut edges);
        edges.to.sort_by(|a, b| {
            let key = |e: &Edge| (e.to.clone(), !e.because.is_empty(), e.how);
            key(a).cmp(&key(b))
        });
        edges.to.dedup_by(|b, a| a.to == b.to && a.how == b.how);
        edges
    }

    /// Whether somebody may run something somewhere, to run it as an account; with what was not seen.
    fn runs(
        &self,
        principal: &Principal,
        candidates: &[Entry<'_>],
    ) -> Option<(Vec<Grant>, Vec<Unseen>)> {
        let mut perhaps = None;
        for entry in candidates {
            for permission in RUNS
                .iter()
                .filter(|p| self.may_give(&entry.binding.role, p))
            {
                for (project, _) in self
                    .projects
                    .iter()
                    .filter(|(_, chain)| chain.contains(entry.on))
                {
                    let on = Resource::Project(project.clone());
                    match self.ask(principal, permission, &on) {
                        Says::Yes(by, _) => return Some((by, Vec::new())),
                        Says::Perhaps(because) => perhaps = Some((Vec::new(), because)),
                        Says::No => {}
                    }
                }
            }
        }
        perhaps
    }

    fn powers(&self, principal: &Principal, candidates: &[Entry<'_>], edges: &mut Edges) {
        let mut asked: BTreeSet<(Resource, &'static str)> = BTreeSet::new();
        for entry in candidates {
            let given = POWERS
                .iter()
                .filter(|(p, _)| self.may_give(&entry.binding.role, p));
            for (permission, _) in given {
                match permission.split('.').nth(1) {
                    Some("folders") if entry.on.kind().short == "folder" => {
                        _ = asked.insert((entry.on.clone(), permission))
                    }
                    Some("organizations") if entry.on.kind().short == "organization" => {
                        _ = asked.insert((entry.on.clone(), permission))
                    }
                    Some("folders" | "organizations") => {}
                    _ => {
                        let below = self
                            .projects
                            .iter()
                            .filter(|(_, chain)| chain.contains(entry.on));
                        asked.extend(
                            below.map(|(project, _)| {
                                (Resource::Project(project.clone()), *permission)
                            }),
                        );
                    }
                }
            }
        }
        for (on, permission) in asked {
            let how = POWERS
                .iter()
                .find(|(p, _)| *p == permission)
                .map_or(How::Policy, |(_, how)| *how);
            if how == How::RoleEdit && !self.has_custom_role(candidates, &on) {
                continue;
            }
            let (by, because, unless) = match self.ask(principal, permission, &on) {
                Says::Yes(by, unless) => (by, Vec::new(), unless),
                Says::Perhaps(because) => (Vec::new(), because, Vec::new()),
                Says::No => continue,
            };
            if edges.powers.iter().any(|p| {
                p.how == how && p.on == on && (p.because.is_empty() || !because.is_empty())
            }) {
                continue;
            }
            edges.powers.push(Power {
                how,
                on,
                permission,
                by,
                because,
                unless,
            });
        }
    }

    /// Whether one has a custom role of a project, which one could make permit more.
    fn has_custom_role(&self, candidates: &[Entry<'_>], project: &Resource) -> bool {
        let Resource::Project(project) = project else {
            return false;
        };
        let start = format!("projects/{project}/roles/");
        candidates
            .iter()
            .any(|e| e.binding.role.starts_with(&start))
    }

    /// Whom rights on whole containers make one.
    fn by_powers(&self, node: &Node, edges: &mut Edges) {
        let powers = edges.powers.clone();
        for power in powers {
            let edge = |to: Node, how: How| Edge {
                to,
                how,
                by: power.by.clone(),
                because: power.because.clone(),
                unless: power.unless.clone(),
            };
            match power.how {
                How::Policy => {
                    let below = self
                        .accounts
                        .iter()
                        .filter(|(_, chain)| chain.contains(&power.on));
                    let others = below
                        .map(|(email, _)| Node::Account(email.clone()))
                        .filter(|to| to != node);
                    edges.to.extend(others.map(|to| edge(to, How::Policy)));
                }
                How::KsaToken | How::RunPods | How::ClusterAdmin => {
                    let of_project =
                        |c: &Cluster| Resource::Project(c.path.project.clone()) == power.on;
                    let clusters = self.live.clusters.iter().filter(|(_, c)| of_project(c));
                    edges.to.extend(
                        clusters.map(|(name, _)| edge(Node::Cluster(name.clone()), power.how)),
                    );
                }
                _ => {}
            }
        }
    }
}

/// A step that needs no binding.
fn plain(to: Node, how: How) -> Edge {
    Edge {
        to,
        how,
        by: Vec::new(),
        because: Vec::new(),
        unless: Vec::new(),
    }
}

pub(super) fn ksa_principal(on: &Cluster, namespace: &str, name: &str) -> KsaPrincipal {
    let key = (namespace.to_owned(), name.to_owned());
    let uid = match &on.ksas {
        Seen::Found(ksas) => match ksas.get(&key) {
            Some(meta) => Seen::Found(meta.uid.clone()),
            None => Seen::Absent,
        },
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why.clone()),
    };
    KsaPrincipal {
        identity: World::identity(on, namespace, name),
        project: on.path.project.clone(),
        cluster: on.path.clone(),
        uid,
    }
}

const POOL_LABEL: &str = "cloud.google.com/gke-nodepool";

/// On which node pools pods of each Kubernetes service account run, and whether one of them there has the node's identity.
fn on_nodes(live: &Live) -> HashMap<(String, String, String), BTreeSet<(String, bool)>> {
    let mut all: HashMap<_, BTreeSet<(String, bool)>> = HashMap::new();
    for (name, cluster) in &live.clusters {
        let (Some(gke), Some(nodes), Some(pods)) = (
            cluster.gke.found(),
            cluster.nodes.found(),
            cluster.pods.found(),
        ) else {
            continue;
        };
        let pool_of: HashMap<&str, &String> = nodes
            .iter()
            .filter_map(|n| Some((n.name.as_str(), n.labels.get(POOL_LABEL)?)))
            .collect();
        for pod in pods.iter().filter(|p| !p.has_ended()) {
            let Some(pool) = pool_of.get(pod.spec.node_name.as_str()) else {
                continue;
            };
            let known = gke.node_pools.iter().find(|p| p.name == **pool);
            let has_identity =
                pod.spec.host_network || known.is_some_and(|p| gke.has_node_identity(p));
            let key = (
                name.clone(),
                pod.metadata.namespace.clone(),
                pod.service_account().to_owned(),
            );
            all.entry(key)
                .or_default()
                .insert(((*pool).clone(), has_identity));
        }
    }
    all
}
