//! What somebody becomes at once, by the access engine.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use jiff::Timestamp;
use wi_core::access::{self, Answer, Grant, KsaPrincipal, Membership, Principal, Question, Unseen};
use wi_core::live::Seen;
use wi_core::names::{Email, KsaIdentity, Member, ProjectId};
use wi_core::resource::Resource;

use super::index::{Entry, Index};
use super::pods::on_nodes;
use super::step::{Edge, Edges, How, Node};
use crate::world::{Cluster, Live, NOT_READ, World, annotation};

/// Permissions on an account by which one becomes it.
pub(super) const BECOMES: [(&str, How); 5] = [
    ("iam.serviceAccounts.getAccessToken", How::Token),
    ("iam.serviceAccounts.signBlob", How::Sign),
    ("iam.serviceAccounts.signJwt", How::Sign),
    ("iam.serviceAccountKeys.create", How::Key),
    ("iam.serviceAccounts.setIamPolicy", How::AccountPolicy),
];

/// The permission to run something as an account, and those to run something.
pub(super) const ACT_AS: &str = "iam.serviceAccounts.actAs";
pub(super) const RUNS: [&str; 12] = [
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
    pub(super) accounts: BTreeMap<Email, Vec<Resource>>,
    pub(super) projects: BTreeMap<ProjectId, Vec<Resource>>,
    /// Kubernetes service accounts that may have an edge of their own by where their pods run.
    pub(super) on_nodes: HashMap<(String, String, String), BTreeSet<(String, bool)>>,
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
        // Those of other projects are known by what they have.
        for email in listed.chain(with_policy).chain(index.accounts()) {
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
        let mut more = self.by_annotation(on, namespace, name, &edges);
        let key = (cluster.to_owned(), namespace.to_owned(), name.to_owned());
        for (pool, has_identity) in self.on_nodes.get(&key).into_iter().flatten() {
            if *has_identity && let Some(email) = self.node_account(cluster, pool) {
                more.push(Edge::plain(Node::Account(email), How::NodeIdentity));
            }
        }
        if more.is_empty() {
            return edges;
        }
        let mut own = (*edges).clone();
        own.to.extend(more);
        Rc::new(own)
    }

    /// The account that it is annotated with, where nothing says that it may act as that: the policy that would is not seen.
    fn by_annotation(&self, on: &Cluster, namespace: &str, name: &str, known: &Edges) -> Vec<Edge> {
        let key = (namespace.to_owned(), name.to_owned());
        let meta = on.ksas.found().and_then(|ksas| ksas.get(&key));
        let Some(email) = meta
            .and_then(annotation)
            .and_then(|text| Email::parse(text).ok())
        else {
            return Vec::new();
        };
        let why = match self
            .live
            .iam
            .policies
            .get(&Resource::ServiceAccount(email.clone()))
        {
            Some(Seen::Found(_) | Seen::Absent) => return Vec::new(),
            Some(Seen::Unknown(why)) => why.to_string(),
            None => NOT_READ.to_owned(),
        };
        let to = Node::Account(email.clone());
        if known.to.iter().any(|e| e.to == to && e.how == How::Token) {
            return Vec::new();
        }
        let mut edge = Edge::plain(to, How::Token);
        edge.because = vec![Unseen::Policy(Resource::ServiceAccount(email), why)];
        vec![edge]
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
    pub(super) fn may_give(&self, role: &str, permission: &str) -> bool {
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
