//! What the spec asks for, as the resources of four systems, each with an address.

mod leftovers;
mod look_up;
mod waves;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::names::{ClusterPath, Email, KsaIdentity, KubeName, Member, ProjectId, Role};
use crate::resource::Resource;
use crate::spec::key_rule::Keys;
use crate::spec::migration::Migration;
use crate::spec::model::{
    Access, AccountSpec, Grant, Guard, KsaAccess, NodePools, Selector, SourceLine, Spec, UserSpec,
    WorkloadPattern,
};
use crate::wire::container::{Cluster, NodePool};

pub use self::leftovers::Leftovers;
pub use self::waves::{WaveSettings, Waves};
pub use crate::address::{Address, BindingKey, KsaKey, NamespaceKey};

/// The annotation that makes a Kubernetes service account act as a Google one.
pub const GSA_ANNOTATION: &str = "iam.gke.io/gcp-service-account";

/// Everything that the spec asks for. Pure values; nothing of the live state.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Desired {
    /// The name on the marks.
    #[serde(deserialize_with = "crate::names::label")]
    pub owner: String,
    /// By the spec's name.
    pub clusters: BTreeMap<String, DesiredCluster>,
    /// By the spec's name.
    pub accounts: BTreeMap<String, AccountSpec>,
    /// By cluster and namespace.
    #[serde(with = "crate::serde_pairs")]
    pub namespaces: BTreeMap<NamespaceKey, DesiredNamespace>,
    /// By cluster, namespace and account.
    #[serde(with = "crate::serde_pairs")]
    pub ksas: BTreeMap<KsaKey, DesiredKsa>,
    /// Members that policies are to have.
    #[serde(with = "crate::serde_pairs")]
    pub bindings: BTreeMap<BindingKey, SourceLine>,
    /// The project of each workload pool in use.
    pub pools: BTreeMap<String, ProjectId>,
    /// Project numbers of workload pools that the spec itself says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, u64>,
    /// Workloads that may lose what they have, wherever they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_loss: Vec<WorkloadPattern>,
    /// Resources on which a former spec granted.
    pub removed: BTreeSet<Resource>,
    /// Of a part of a spec: all resources but accounts on which the whole one has been looked at, where they say
    /// what pods have whose node pool moves.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub looked_at: BTreeSet<Resource>,
    /// Of a part of a spec: accounts that the whole one manages, so that they have not left it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub of_the_whole: BTreeSet<Email>,
    /// Kubernetes service accounts that a former spec named.
    pub former_ksas: BTreeSet<KsaIdentity>,
    /// Members that a former spec asked for.
    #[serde(skip)]
    pub former_bindings: BTreeSet<BindingKey>,
    /// Projects in which a former spec had accounts.
    pub former_projects: BTreeSet<ProjectId>,
    /// Projects in which a former spec had clusters: pods there may have what it granted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub former_clusters: BTreeSet<ProjectId>,
    /// Whether it, or a former spec, has templates changed: a run may have left one half-way.
    #[serde(skip)]
    pub changes_templates: bool,
    /// The Kubernetes service accounts of each namespace whose clusters, or the namespace's, labels select: on the
    /// others one may be left over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_labels: BTreeMap<KubeName, BTreeSet<KubeName>>,
    /// Of a part of a spec: whether it has all of its clusters, since somebody in any may rely on what is taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_all_clusters: bool,
    /// Where what left the spec is looked for; `None`: it is not, since this is a part of a spec.
    #[serde(skip)]
    pub leftovers: Option<Leftovers>,
    /// What a plan must not do.
    pub guard: Guard,
    /// Accounts that get off their static keys, by the spec's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub migrations: BTreeMap<String, Migration>,
    /// The spec's files, and the SHA-256 of each.
    pub files: BTreeMap<String, String>,
    /// In which order clusters are changed; `None`: all at once.
    #[serde(default)]
    pub waves: Option<Waves>,
    /// The accounts' names by email, made when first asked for. May know more than there are.
    #[serde(skip)]
    account_names: OnceLock<HashMap<Email, String>>,
}

/// A cluster that is to have its project's workload pool, on the selected node pools.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredCluster {
    /// Where GKE has it.
    pub path: ClusterPath,
    /// Whether it and its node pools are this spec's to change: otherwise they are neither planned nor
    /// asked for, only what is in it and in IAM.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub managed: bool,
    /// The node pools that are to run the GKE metadata server.
    pub node_pools: NodePools,
    /// Workloads that may lose the node's identity.
    pub accept_loss: Vec<WorkloadPattern>,
    /// How its Kubernetes API is reached.
    pub access: Access,
    /// Where it is declared.
    pub place: SourceLine,
}

/// A namespace that is to be there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredNamespace {
    /// Whether it is created when it is not there.
    pub create: bool,
    /// Where it is declared.
    pub place: SourceLine,
}

/// A Kubernetes service account that is to be there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredKsa {
    /// The Google service account in its annotation; `None`: it acts as itself.
    pub account: Option<Email>,
    /// Whether it has roles of its own.
    pub has_direct_grants: bool,
    /// Whether it is made and annotated elsewhere, and only referred to here.
    pub existing: bool,
    /// As IAM knows it.
    pub identity: KsaIdentity,
    /// Where it is declared.
    pub place: SourceLine,
}

fn by_labels(spec: &Spec) -> BTreeMap<KubeName, BTreeSet<KubeName>> {
    let by_labels = |selector: &Selector| matches!(selector, Selector::Labels(_));
    let namespaces = spec.namespaces.iter().map(|(name, of)| {
        let ksas = of.service_accounts.iter();
        let ksas = ksas.filter(|(_, ksa)| by_labels(&of.selector) || by_labels(&ksa.selector));
        (name.clone(), ksas.map(|(ksa, _)| ksa.clone()).collect())
    });
    namespaces
        .filter(|(_, ksas): &(_, BTreeSet<_>)| !ksas.is_empty())
        .collect()
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_true(value: &bool) -> bool {
    *value
}

impl DesiredCluster {
    /// Whether a node pool moves: it is selected, is this spec's to change, and its pods have the node's
    /// identity. A plan moves it, or says why not.
    pub fn moves(&self, cluster: &Cluster, pool: &NodePool) -> bool {
        let known = cluster.has_node_identity(pool) && pool.has_known_mode();
        self.managed && known && self.node_pools.select(&pool.name)
    }

    /// The node pools that move.
    pub fn moving<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = &'a NodePool> {
        let pools = cluster.node_pools.iter();
        pools.filter(|pool| self.moves(cluster, pool))
    }
}

impl Desired {
    /// Spreads the spec over its clusters.
    pub fn of(spec: &Spec) -> Self {
        let mut desired = Self {
            owner: spec.name.clone(),
            clusters: BTreeMap::new(),
            accounts: spec.accounts.clone(),
            namespaces: BTreeMap::new(),
            ksas: BTreeMap::new(),
            bindings: BTreeMap::new(),
            pools: BTreeMap::new(),
            numbers: BTreeMap::new(),
            accept_loss: spec.accept_loss.clone(),
            removed: spec.removed.keys().cloned().collect(),
            looked_at: BTreeSet::new(),
            of_the_whole: BTreeSet::new(),
            former_ksas: BTreeSet::new(),
            former_bindings: BTreeSet::new(),
            former_projects: BTreeSet::new(),
            former_clusters: BTreeSet::new(),
            changes_templates: !spec.migrations.is_empty(),
            by_labels: by_labels(spec),
            has_all_clusters: false,
            leftovers: None,
            guard: spec.guard.clone(),
            migrations: spec.migrations.clone(),
            files: spec.files.clone(),
            waves: Waves::of(spec),
            account_names: OnceLock::new(),
        };
        for (name, cluster) in &spec.clusters {
            let project = cluster.path.project.clone();
            desired.pools.insert(project.workload_pool(), project);
            desired.clusters.insert(
                name.clone(),
                DesiredCluster {
                    path: cluster.path.clone(),
                    managed: cluster.manage.unwrap_or(true),
                    node_pools: cluster.node_pools.clone().unwrap_or_default(),
                    accept_loss: cluster.accept_loss.clone(),
                    access: cluster.access.clone().unwrap_or_default(),
                    place: cluster.place.clone(),
                },
            );
        }
        for account in spec.accounts.values() {
            desired.grant(
                Member::ServiceAccount(account.email.clone()),
                &account.grants,
            );
            for user in &account.users {
                desired.let_act(&account.email, user);
            }
        }
        let mut bound = HashSet::new();
        // In the order of their keys, so that the maps are built in one go: a fleet has many.
        let (mut namespaces, mut ksas) = (Vec::new(), Vec::new());
        for (cluster, on) in &spec.clusters {
            let path = &on.path;
            let pool = path.project.workload_pool();
            for (namespace, declared) in &spec.namespaces {
                if !declared.clusters.contains(cluster) {
                    continue;
                }
                let key = NamespaceKey {
                    cluster: cluster.clone(),
                    namespace: namespace.clone(),
                };
                let here = declared.service_accounts.iter();
                for (name, ksa) in here.filter(|(_, ksa)| ksa.is_on(cluster, on)) {
                    let identity = KsaIdentity {
                        pool: pool.clone(),
                        namespace: namespace.to_string(),
                        name: name.to_string(),
                    };
                    let access = ksa.on(cluster, on);
                    // The same identity in another cluster of the project has the same bindings.
                    let new = bound.insert((&path.project, std::ptr::from_ref(access)));
                    let (acts_as, grants) = match access {
                        KsaAccess::Impersonates(by) => (Some(by), &by.own_grants),
                        KsaAccess::Direct(grants) => (None, grants),
                    };
                    if new {
                        desired.grant(Member::Ksa(identity.clone()), grants);
                    }
                    let acts_as =
                        acts_as.and_then(|by| Some((by, spec.accounts.get(&by.account)?)));
                    if let Some((by, account)) = acts_as
                        && new
                    {
                        let on_itself = || Resource::ServiceAccount(account.email.clone());
                        desired.bindings.insert(
                            BindingKey {
                                resource: by.through.clone().unwrap_or_else(on_itself),
                                role: Role::workload_identity_user(),
                                condition: by.condition.clone(),
                                member: Member::Ksa(identity.clone()),
                            },
                            ksa.place.clone(),
                        );
                    }
                    let account = acts_as.map(|(_, account)| account);
                    ksas.push((
                        KsaKey {
                            cluster: cluster.clone(),
                            namespace: namespace.clone(),
                            name: name.clone(),
                        },
                        DesiredKsa {
                            account: account.map(|a| a.email.clone()),
                            has_direct_grants: matches!(access, KsaAccess::Direct(g) if !g.is_empty()),
                            existing: ksa.existing,
                            identity,
                            place: ksa.place.clone(),
                        },
                    ));
                }
                namespaces.push((
                    key,
                    DesiredNamespace {
                        create: declared.create,
                        place: declared.place.clone(),
                    },
                ));
            }
        }
        desired.namespaces = namespaces.into_iter().collect();
        desired.ksas = ksas.into_iter().collect();
        desired.leftovers = Some(Leftovers {
            projects: desired.projects(spec.project.as_ref()),
            scopes: spec.search.keys().cloned().collect(),
            by_former: false,
        });
        desired
    }

    /// The same spec, asking for nothing yet: name, guard, waves and files.
    pub fn empty(&self) -> Self {
        Self {
            owner: self.owner.clone(),
            clusters: BTreeMap::new(),
            accounts: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            ksas: BTreeMap::new(),
            bindings: BTreeMap::new(),
            pools: BTreeMap::new(),
            numbers: self.numbers.clone(),
            accept_loss: self.accept_loss.clone(),
            removed: BTreeSet::new(),
            looked_at: BTreeSet::new(),
            of_the_whole: BTreeSet::new(),
            former_ksas: BTreeSet::new(),
            former_bindings: BTreeSet::new(),
            former_projects: BTreeSet::new(),
            former_clusters: BTreeSet::new(),
            changes_templates: false,
            by_labels: self.by_labels.clone(),
            has_all_clusters: false,
            leftovers: None,
            guard: self.guard.clone(),
            migrations: BTreeMap::new(),
            files: self.files.clone(),
            waves: self.waves.clone(),
            account_names: OnceLock::new(),
        }
    }

    /// Whether some user-managed keys of an account are not wanted.
    pub fn restricts_keys(&self, account: &AccountSpec) -> bool {
        match &account.keys {
            Some(rule) => rule.keys != Keys::Keep,
            None => account.managed && self.guard.forbid_keys.is_some(),
        }
    }

    /// All projects that the spec names, but for those of clusters and accounts that are others'.
    fn projects(&self, default: Option<&ProjectId>) -> BTreeSet<ProjectId> {
        let clusters = self.clusters.values().filter(|c| c.managed);
        let accounts = self.accounts.values().filter(|a| a.managed);
        let resources = self.bindings.keys().map(|b| &b.resource);
        let granted_on = resources.filter_map(|r| match r {
            Resource::Project(project) => Some(project.clone()),
            Resource::ServiceAccount(_) => None,
            Resource::Named(_) => r.project(),
        });
        default
            .cloned()
            .into_iter()
            .chain(clusters.map(|c| c.path.project.clone()))
            .chain(accounts.map(|a| a.project.clone()))
            .chain(granted_on)
            .collect()
    }

    /// The numbers that resources name their projects by.
    pub fn project_numbers(&self) -> BTreeSet<u64> {
        let granted = self.bindings.keys().map(|b| &b.resource);
        let searched = self.leftovers.iter().flat_map(|l| &l.scopes);
        let named = granted.chain(&self.removed).chain(searched);
        named.filter_map(Resource::project_number).collect()
    }

    /// Names resources by the ids of their projects, so that one resource has one name.
    pub fn name_projects(&mut self, ids: &BTreeMap<u64, ProjectId>) {
        let by_id = |resource: &Resource| {
            let id = ids.get(&resource.project_number()?)?;
            Some(resource.in_project(id))
        };
        let bindings = std::mem::take(&mut self.bindings);
        for (mut key, place) in bindings {
            if let Some(resource) = by_id(&key.resource) {
                key.resource = resource;
            }
            self.bindings.entry(key).or_insert(place);
        }
        let former = std::mem::take(&mut self.former_bindings).into_iter();
        self.former_bindings = former
            .map(|mut key| {
                key.resource = by_id(&key.resource).unwrap_or(key.resource);
                key
            })
            .collect();
        let of_resources = |named: &mut BTreeSet<Resource>| {
            let all = std::mem::take(named).into_iter();
            *named = all.map(|r| by_id(&r).unwrap_or(r)).collect();
        };
        let of_projects = |named: &mut BTreeSet<ProjectId>| {
            let id = |p: ProjectId| p.number().and_then(|n| ids.get(&n)).cloned().unwrap_or(p);
            *named = std::mem::take(named).into_iter().map(id).collect();
        };
        of_resources(&mut self.removed);
        of_projects(&mut self.former_projects);
        of_projects(&mut self.former_clusters);
        if let Some(leftovers) = &mut self.leftovers {
            of_projects(&mut leftovers.projects);
            of_resources(&mut leftovers.scopes);
        }
    }

    /// Takes over what a former version of this spec granted, and to whom: looked at again, so that it
    /// is removed where this one does not ask for it. A spec of another name is none of ours.
    pub fn succeed(&mut self, former: &Self) {
        if former.owner != self.owner {
            return;
        }
        self.removed
            .extend(former.bindings.keys().map(|b| b.resource.clone()));
        self.former_bindings.extend(former.bindings.keys().cloned());
        if let Some(leftovers) = &mut self.leftovers {
            leftovers.by_former = true;
        }
        self.former_ksas
            .extend(former.ksas.values().map(|k| k.identity.clone()));
        let clusters = former.clusters.values();
        self.former_clusters
            .extend(clusters.map(|c| c.path.project.clone()));
        self.changes_templates |= former.changes_templates;
        let accounts = former.accounts.values().filter(|a| a.managed);
        self.former_projects
            .extend(accounts.map(|a| a.project.clone()));
    }

    fn grant(&mut self, member: Member, grants: &[Grant]) {
        for grant in grants {
            self.bindings
                .entry(BindingKey {
                    resource: grant.resource.clone(),
                    role: grant.role.clone(),
                    condition: grant.condition.clone(),
                    member: member.clone(),
                })
                .or_insert_with(|| grant.place.clone());
        }
    }

    /// Lets somebody of no namespace of the spec act as an account.
    fn let_act(&mut self, account: &Email, user: &UserSpec) {
        if let Member::Set(set) = &user.member {
            let project = user.project.clone().map(|p| (set.pool.clone(), p));
            self.pools.extend(project);
            let number = user.number.map(|n| (set.pool.clone(), n));
            self.numbers.extend(number);
        }
        let key = BindingKey {
            resource: Resource::ServiceAccount(account.clone()),
            role: Role::workload_identity_user(),
            condition: user.condition.clone(),
            member: user.member.clone(),
        };
        self.bindings
            .entry(key)
            .or_insert_with(|| user.place.clone());
    }
}
