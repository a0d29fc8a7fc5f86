//! What moving a node pool to the GKE metadata server means for the workloads on it. A pool is
//! held back while workloads on it would silently lose the node's service account.

mod fate;
pub(in crate::plan) mod left;
mod others;
mod placement;
mod suggest;
mod workloads;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Edit, Options, Plan};
use crate::access::{self, Given, Ksa, MetadataServer, WhyNot, is_gke_own};
use crate::address::{Address, BindingKey, KsaKey};
use crate::desired::{Desired, DesiredKsa, GSA_ANNOTATION};
use crate::live::{Live, Objects, Seen, Workloads};
use crate::names::{Email, KsaIdentity, Member};
use crate::reason::Reason;
use crate::resource::Resource;
use crate::wire::container::NodePool;
use crate::wire::pods::{Pod, PodSpec};
use crate::wire::policy::Binding;
use crate::wire::workloads::WORKLOAD_KINDS;

pub use workloads::Workload;

use super::acting::may_act;
use super::users::Users;

use left::Left;
use placement::Place;

/// What moving one node pool means.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Impact {
    /// The node's service account, for the reader.
    pub node_account: String,
    /// What that account may do, and with it every pod that leans on it today.
    pub node_roles: NodeRoles,
    /// Each workload under what becomes of it; one with pods of different fates is there twice.
    #[serde(with = "crate::serde_pairs")]
    pub workloads: BTreeMap<IdentityEffect, BTreeSet<Workload>>,
    /// The accounts, of those that workloads get, that hold no role where it was looked, while the node's account holds
    /// some: such a workload loses these.
    #[serde(default)]
    pub without_roles: BTreeSet<String>,
    /// PodDisruptionBudgets that admit no eviction of pods on it.
    pub budgets: Vec<String>,
    /// Spec lines that give those that lose the node's identity one of their own.
    pub give_identity: String,
    /// Spec lines that accept their loss instead.
    pub accept_loss: String,
}

impl Impact {
    /// The workloads that lose the node's identity, accepted or not.
    pub fn losers(&self) -> impl Iterator<Item = &Workload> {
        let loses = |fate: &IdentityEffect| {
            matches!(
                fate,
                IdentityEffect::Loses(_) | IdentityEffect::LosesAccepted
            )
        };
        self.workloads
            .iter()
            .filter(move |(fate, _)| loses(fate))
            .flat_map(|(_, all)| all)
    }
}

/// The roles that a node's service account holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRoles {
    /// Role and resource, on what was looked at: the project, and what the spec grants on.
    Known(BTreeSet<(String, Resource)>),
    /// HoldReason they are not known.
    Unknown(String),
}

/// What becomes of a pod's identity, in the order in which it is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum IdentityEffect {
    /// It loses the node's, or may; why, where it is not simply that it has no other.
    Loses(String),
    /// So it does, and somebody said that it may.
    LosesAccepted,
    /// It gets this one.
    Gets(String),
    /// It goes on as before, and why.
    Keeps(Cow<'static, str>),
}

/// A node pool that is not moved, or something that is not taken away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldBack {
    /// Its address.
    pub address: Address,
    /// Because of what.
    pub why: HoldReason,
}

/// Because of what something is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldReason {
    /// Workloads on it would lose the node's identity; [`Plan::impact`] says which.
    Loss,
    /// Its pods could not be read; [`Plan::unseen`] says why.
    Unread,
    /// What its pods are to have rests on this, which could not be read.
    RestsOn(String),
    /// Its cluster is not to be maintained now.
    Exclusion {
        /// The exclusion's name.
        name: String,
        /// When it ends, RFC 3339.
        until: String,
    },
    /// Somebody uses it, whom this spec does not look after: who, for the reader.
    InUse(String),
    /// Others may act as an account by it, and use that, or may.
    Users(Box<Users>),
    /// A key that is to end, or a Secret that held one: what stands against it, for the reader.
    Keys {
        /// A line each.
        why: Vec<String>,
        /// Whether all of it passes with time.
        passes: bool,
    },
}

/// Says what moving each node pool means, and takes those out of the plan that must not be moved.
pub(super) fn hold_back(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    others::warn_of_unusable(desired, live, plan);
    let moving: Vec<(Address, String, String)> = plan
        .changes
        .iter()
        .filter_map(|(address, change)| match &change.edit {
            Edit::NodePool(pool) => Some((
                address.clone(),
                pool.cluster.clone(),
                pool.node_pool.clone(),
            )),
            _ => None,
        })
        .collect();
    if moving.is_empty() {
        return;
    }
    let left = Left::by(plan, live);
    let removed = plan.changes.values().filter_map(|c| match &c.edit {
        Edit::Binding(binding) if !binding.adds() => Some(binding.key.clone()),
        _ => None,
    });
    let removed: BTreeSet<BindingKey> = removed.collect();
    for (address, cluster, node_pool) in moving {
        let why = match live.kubernetes.get(&cluster).map(workloads_of) {
            Some(Ok((objects, workloads))) => {
                let pool = Pool {
                    desired,
                    live,
                    cluster: &cluster,
                    node_pool: &node_pool,
                    objects,
                    workloads,
                    left: &left,
                    removed: &removed,
                    now: options.now,
                };
                let impact = pool.impact(options);
                if let Some(why) = &workloads.budgets_unseen {
                    let warning = format!(
                        "whether PodDisruptionBudgets keep nodes of cluster.{cluster} from being drained is not known: {why}"
                    );
                    if !plan.warnings.contains(&warning) {
                        plan.warnings.push(warning);
                    }
                }
                let loses = impact
                    .workloads
                    .keys()
                    .any(|fate| matches!(fate, IdentityEffect::Loses(_)));
                plan.impact.insert(address.clone(), impact);
                let unseen = tell_unseen_templates(&address, &cluster, workloads, options, plan);
                if loses {
                    Some(HoldReason::Loss)
                } else {
                    unseen.then_some(HoldReason::Unread)
                }
            }
            Some(Err(why)) if options.accept_loss => {
                plan.warnings.push(format!(
                    "{address} is moved although its pods could not be read: {why}"
                ));
                None
            }
            Some(Err(why)) => {
                // A cluster of which nothing could be read is told of once.
                if live
                    .kubernetes
                    .get(&cluster)
                    .is_some_and(|k| k.found().is_some())
                {
                    plan.unseen(format!("the pods of cluster.{cluster}"), why);
                }
                Some(HoldReason::Unread)
            }
            None => None,
        };
        let why = why.or_else(|| exclusion(live, &cluster, &node_pool, options));
        if let Some(why) = why {
            plan.changes.remove(&address);
            plan.held_back.push(HeldBack { address, why });
        }
    }
}

/// Says which kinds of what makes pods could not be read: whose pods are not there just now is not
/// known then. Whether that holds the node pool back.
fn tell_unseen_templates(
    address: &Address,
    cluster: &str,
    workloads: &Workloads,
    options: &Options,
    plan: &mut Plan,
) -> bool {
    for (kinds, why) in &workloads.templates_unseen {
        if options.accept_loss {
            plan.warnings.push(format!(
                "{address} is moved although the {kinds} of its cluster could not be read: {why}"
            ));
            continue;
        }
        let what = format!("the {kinds} of cluster.{cluster}");
        if !plan.unseen.iter().any(|u| u.what == what) {
            plan.unseen(what, why.clone());
        }
    }
    !options.accept_loss && !workloads.templates_unseen.is_empty()
}

/// `None`: no name that Kubernetes takes.
pub(super) fn ksa_key(cluster: &str, namespace: &str, name: &str) -> Option<KsaKey> {
    Some(KsaKey {
        cluster: cluster.to_owned(),
        namespace: namespace.parse().ok()?,
        name: name.parse().ok()?,
    })
}

fn exclusion(live: &Live, cluster: &str, node_pool: &str, options: &Options) -> Option<HoldReason> {
    if options.ignore_exclusions {
        return None;
    }
    let (name, until) = live
        .clusters
        .get(cluster)?
        .found()?
        .exclusion_at(node_pool, options.now?)?;
    Some(HoldReason::Exclusion { name, until })
}

fn workloads_of(seen: &Seen<Objects>) -> Result<(&Objects, &Workloads), Reason> {
    match seen {
        Seen::Found(objects) => match &objects.workloads {
            Some(Ok(workloads)) => Ok((objects, workloads)),
            Some(Err(why)) => Err(why.clone()),
            None => Err("they were not listed".into()),
        },
        Seen::Unknown(why) => Err(why.clone()),
        Seen::Absent => Err("the cluster does not exist".into()),
    }
}

/// One node pool with all that its impact depends on.
struct Pool<'a> {
    desired: &'a Desired,
    live: &'a Live,
    cluster: &'a str,
    node_pool: &'a str,
    objects: &'a Objects,
    workloads: &'a Workloads,
    /// What the plan leaves to whom the spec does not name.
    left: &'a Left,
    /// What it takes from whom.
    removed: &'a BTreeSet<BindingKey>,
    now: Option<jiff::Timestamp>,
}

/// Pods that are on a node pool, or may come to be.
struct Tenant<'a> {
    workload: Workload,
    namespace: &'a str,
    /// The labels of its pods.
    labels: &'a BTreeMap<String, String>,
    pod: &'a PodSpec,
    /// The node pools that all of its pods are on just now; empty where some are here, or none is anywhere.
    elsewhere: BTreeSet<&'a str>,
}

impl Pool<'_> {
    fn impact(&self, options: &Options) -> Impact {
        let mut fates: BTreeMap<IdentityEffect, BTreeSet<Workload>> = BTreeMap::new();
        for Tenant {
            workload,
            namespace,
            labels,
            pod,
            elsewhere,
        } in self.tenants()
        {
            let mut fate = self.fate(namespace, pod);
            if matches!(fate, IdentityEffect::Gets(_))
                && let Some(why) = self.cut_off(namespace, labels)
            {
                fate = IdentityEffect::Loses(why);
            }
            if !elsewhere.is_empty() {
                // Whoever is elsewhere is of interest only if it could not come here any more.
                let IdentityEffect::Loses(why) = &mut fate else {
                    continue;
                };
                let separator = if why.is_empty() { "" } else { "; " };
                *why += &format!(
                    "{separator}its pods are on {} now, and may come here",
                    elsewhere.into_iter().collect::<Vec<_>>().join(", ")
                );
            }
            if matches!(fate, IdentityEffect::Loses(_))
                && (options.accept_loss || self.accepted(&workload))
            {
                fate = IdentityEffect::LosesAccepted;
            }
            fates.entry(fate).or_default().insert(workload);
        }
        let node_roles = self.node_roles();
        let losing: BTreeSet<&Workload> = fates
            .iter()
            .filter(|(fate, _)| matches!(fate, IdentityEffect::Loses(_)))
            .flat_map(|(_, workloads)| workloads)
            .collect();
        let (give_identity, accept_loss) =
            suggest::lines(self.desired, self.cluster, &losing, &node_roles);
        let without_roles = match &node_roles {
            NodeRoles::Known(held) if !held.is_empty() => {
                let gets = fates.keys().filter_map(|fate| match fate {
                    IdentityEffect::Gets(identity) => Email::parse(identity).ok(),
                    _ => None,
                });
                let without = gets.filter(|email| !self.has_some_role(email));
                without.map(|email| email.to_string()).collect()
            }
            _ => BTreeSet::new(),
        };
        Impact {
            without_roles,
            node_account: self.node_account_in_words(),
            node_roles,
            workloads: fates,
            budgets: self.budgets(),
            give_identity,
            accept_loss,
        }
    }

    /// Whose identity is the user's concern: pods on its nodes, those that wait for a node, and those
    /// that are made only later, where they may come to be here.
    fn tenants(&self) -> Vec<Tenant<'_>> {
        let place = self.found().map(|pool| Place {
            pool,
            labels: self.workloads.labels_of_pool.get(self.node_pool),
            pool_of_node: &self.workloads.pool_of_node,
        });
        let may_come = |pod: &PodSpec| place.as_ref().is_none_or(|p| p.admits(pod));
        let pods = self.workloads.pods.iter().filter(|pod| {
            let is_here = if pod.spec.node_name.is_empty() {
                may_come(&pod.spec)
            } else {
                self.is_here(pod)
            };
            let namespace = pod.metadata.namespace.as_str();
            is_here && workloads::is_live(pod) && !is_gke_own(namespace, [&pod.metadata])
        });
        let pods = pods.map(|pod| Tenant {
            workload: Workload::of(pod),
            namespace: &pod.metadata.namespace,
            labels: &pod.metadata.labels,
            pod: &pod.spec,
            elsewhere: BTreeSet::new(),
        });
        let placed = workloads::placed(&self.workloads.pods, &self.workloads.pool_of_node);
        let templates = self.workloads.templates.iter().filter_map(|t| {
            let namespace = t.metadata.namespace.as_str();
            if is_gke_own(namespace, [&t.metadata, &t.pod_metadata]) || !may_come(&t.pod) {
                return None;
            }
            // The pods of these come and go with time or nodes: where one is tells of no other.
            let moves = matches!(t.kind.as_str(), "DaemonSet" | "Job" | "CronJob");
            let key = (namespace, t.kind.clone(), t.metadata.name.clone());
            let elsewhere = match placed.get(&key).filter(|_| !moves) {
                Some(on) => self.elsewhere(on)?,
                None => BTreeSet::new(),
            };
            Some(Tenant {
                workload: Workload::of_template(t),
                namespace,
                labels: &t.pod_metadata.labels,
                pod: &t.pod,
                elsewhere,
            })
        });
        // What else makes pods (an operator's own kind) has no template that could be read but its pods.
        let of_operators = self.workloads.pods.iter().filter_map(|pod| {
            let kind = &pod.metadata.controller()?.kind;
            let listed = kind == "Node" || WORKLOAD_KINDS.iter().any(|k| k.kind == kind);
            let namespace = pod.metadata.namespace.as_str();
            let elsewhere = !listed
                && !pod.spec.node_name.is_empty()
                && !is_gke_own(namespace, [&pod.metadata])
                && place.as_ref().is_none_or(|p| p.may_take(&pod.spec));
            let workload = Workload::of(pod);
            let key = (namespace, workload.kind.clone(), workload.name.clone());
            Some(Tenant {
                elsewhere: self.elsewhere(placed.get(&key).filter(|_| elsewhere)?)?,
                workload,
                namespace,
                labels: &pod.metadata.labels,
                pod: &pod.spec,
            })
        });
        pods.chain(templates).chain(of_operators).collect()
    }

    /// The node pools that the pods of something are on which may come here one day, when they are made
    /// anew; `None` where they are here already, or live nowhere on a node's identity.
    fn elsewhere<'a>(&self, on: &BTreeSet<Option<&'a str>>) -> Option<BTreeSet<&'a str>> {
        let is_here = on.contains(&Some(self.node_pool));
        let has_own = |pool: &Option<&str>| pool.is_some_and(|pool| self.has_own_identities(pool));
        if is_here || on.iter().all(has_own) {
            return None;
        }
        let names = on
            .iter()
            .map(|pool| pool.unwrap_or("a node pool that is not known"));
        Some(names.collect())
    }

    /// Whether nobody on a node pool of this cluster lives on its nodes' identity.
    fn has_own_identities(&self, node_pool: &str) -> bool {
        let cluster = self.live.clusters.get(self.cluster).and_then(Seen::found);
        cluster.is_some_and(|cluster| {
            let pool = cluster.node_pools.iter().find(|p| p.name == node_pool);
            pool.is_some_and(|pool| !cluster.has_node_identity(pool))
        })
    }

    fn is_here(&self, pod: &Pod) -> bool {
        self.workloads
            .pool_of_node
            .get(&pod.spec.node_name)
            .is_some_and(|p| p == self.node_pool)
    }

    /// Why nothing of what it would get reaches it.
    fn cut_off(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Option<String> {
        let cluster = self.live.clusters.get(self.cluster)?.found()?;
        let policies = self.workloads.network_policies.iter();
        let own = policies.filter(|p| p.metadata.namespace == namespace);
        access::cut_off(cluster, own, labels)
    }

    fn accepted(&self, w: &Workload) -> bool {
        self.desired.clusters[self.cluster]
            .accept_loss
            .iter()
            .any(|p| p.matches(&w.namespace, &w.kind, &w.name))
    }

    fn fate(&self, namespace: &str, pod: &PodSpec) -> IdentityEffect {
        let (given, declared) = self.given(namespace, pod.service_account());
        let server = MetadataServer::Gke(&given);
        let config_maps = &self.workloads.config_maps;
        let containers = access::containers(pod, namespace, config_maps, server);
        fate::of(&containers, declared)
    }

    /// What the metadata server will give a Kubernetes service account, and whether the spec says so.
    fn given(&self, namespace: &str, name: &str) -> (Given, bool) {
        let declared = self.desired.ksa(self.cluster, namespace, name);
        // One that is only referred to has what it has, whatever the spec would like.
        if let Some(ksa) = declared.filter(|k| !k.existing || self.is_as_wanted(k, namespace, name))
        {
            return (self.given_by_spec(ksa), true);
        }
        let there = self
            .objects
            .service_accounts
            .get(&(namespace.to_owned(), name.to_owned()));
        let path = &self.desired.clusters[self.cluster].path;
        let identity = KsaIdentity::new(path.project.workload_pool(), namespace, name);
        let now = there
            .and_then(|m| m.annotations.get(GSA_ANNOTATION))
            .map(String::as_str);
        let annotation = match ksa_key(self.cluster, namespace, name) {
            Some(key) => self.left.annotation(&key, now),
            None => Ok(now),
        };
        let Ok(annotation) = annotation else {
            return (Given::Nobody(WhyNot::Leaves), false);
        };
        let ksa = Ksa {
            identity: &identity,
            cluster: path,
            number: self
                .live
                .numbers
                .get(&path.project)
                .and_then(|n| n.found().copied()),
            uid: there.map_or("", |m| &m.uid),
            annotation,
        };
        let live = self.left.live(self.live);
        (access::by_metadata_server(live, &ksa, self.now), false)
    }

    fn given_by_spec(&self, ksa: &DesiredKsa) -> Given {
        let Some(email) = &ksa.account else {
            return self.given_by_grants(&ksa.identity);
        };
        let ours = self.desired.accounts.values();
        let is_managed = ours.filter(|a| a.managed).any(|a| a.email == *email);
        match access::is_usable(self.live, email) {
            Err(given) if !is_managed => given,
            _ => match may_act(self.desired, &ksa.identity, email, self.now) {
                Some(true) => Given::Account(email.clone()),
                Some(false) => Given::Nobody(WhyNot::MayNotActAsAnyMore(email.clone())),
                None => Given::Unseen(WhyNot::MayPerhapsActAs(email.clone())),
            },
        }
    }

    /// By the roles that the spec gives it.
    fn given_by_grants(&self, ksa: &KsaIdentity) -> Given {
        let member = Member::Ksa(ksa.clone());
        // A right to act as an account is of no use to a program that just asks for a token.
        let grants = self.desired.bindings.keys();
        let held: Vec<Option<bool>> = grants
            .filter(|b| b.member == member && !b.is_impersonation() && !b.is_wide())
            .map(|b| match &b.condition {
                None => Some(true),
                Some(condition) => access::holds(&condition.expression, self.now),
            })
            .collect();
        if held.contains(&Some(true)) {
            Given::Principal(ksa.clone())
        } else if held.contains(&None) {
            Given::Unseen(WhyNot::RolesUnclear)
        } else if held.is_empty() {
            Given::Nobody(WhyNot::NoRoles)
        } else {
            Given::Nobody(WhyNot::RolesEnded)
        }
    }

    fn is_as_wanted(&self, ksa: &DesiredKsa, namespace: &str, name: &str) -> bool {
        self.objects
            .service_accounts
            .get(&(namespace.to_owned(), name.to_owned()))
            .is_some_and(|m| {
                // An empty one is none, as to the metadata server.
                let annotation = m.annotations.get(GSA_ANNOTATION).map(String::as_str);
                annotation.filter(|a| !a.is_empty()) == ksa.account.as_ref().map(Email::as_str)
            })
    }

    fn found(&self) -> Option<&NodePool> {
        let cluster = self.live.clusters.get(self.cluster)?.found()?;
        cluster.node_pools.iter().find(|p| p.name == self.node_pool)
    }

    fn node_account(&self) -> Option<Email> {
        self.live
            .node_account(self.desired, self.cluster, self.node_pool)
    }

    fn node_account_in_words(&self) -> String {
        match self.node_account() {
            Some(email) => email.to_string(),
            None => "the Compute Engine default service account".to_owned(),
        }
    }

    fn node_roles(&self) -> NodeRoles {
        let project = Resource::Project(self.desired.clusters[self.cluster].path.project.clone());
        let Some(email) = self.node_account() else {
            return NodeRoles::Unknown("the project's number could not be read".to_owned());
        };
        match self.live.policy(&project) {
            Some(Seen::Found(_)) => {}
            Some(Seen::Unknown(why)) => return NodeRoles::Unknown(why.to_string()),
            _ => return NodeRoles::Unknown(format!("the policy of {project} was not read")),
        }
        let granted_on = self.live.policies.iter();
        for (resource, policy) in granted_on {
            if let Seen::Unknown(why) = policy {
                let why = format!("the policy of {resource} could not be read: {why}");
                return NodeRoles::Unknown(why);
            }
        }
        let member = Member::ServiceAccount(email);
        let mut held = BTreeSet::new();
        for (resource, policy) in self.live.policies_of_all() {
            let bindings = policy.found().map(|p| p.bindings.as_slice());
            for binding in bindings.unwrap_or_default() {
                if binding.members.iter().any(|m| Member::parse(m) == member) {
                    held.insert((binding.role.clone(), resource.clone()));
                }
            }
        }
        NodeRoles::Known(held)
    }

    /// Whether an account holds a role once the plan is carried out, where it was looked: by what is there and stays, or
    /// by the spec. One under a condition counts unless that holds no more.
    fn has_some_role(&self, email: &Email) -> bool {
        let member = Member::ServiceAccount(email.clone());
        let spelling = format!("serviceAccount:{email}");
        let counts = |key: &BindingKey| {
            let condition = key.condition.as_ref();
            key.member == member
                && condition.is_none_or(|c| access::holds(&c.expression, self.now) != Some(false))
        };
        self.desired.bindings.keys().any(counts)
            || self.live.policies_of_all().any(|(resource, policy)| {
                let Some(policy) = policy.found() else {
                    return false;
                };
                // A role whose form is not known is one all the same.
                let is_it = |m: &String| Member::parse(m) == member;
                let is_of = |b: &&Binding| b.members.iter().any(is_it);
                policy.bindings.iter().filter(is_of).any(|binding| {
                    let key = BindingKey::read(resource, binding, &spelling);
                    key.is_none_or(|key| counts(&key) && !self.removed.contains(&key))
                })
            })
    }

    fn budgets(&self) -> Vec<String> {
        self.workloads
            .budgets
            .iter()
            .filter(|b| b.admits_nothing())
            .filter(|b| {
                self.workloads.pods.iter().any(|p| {
                    p.metadata.namespace == b.metadata.namespace
                        && self.is_here(p)
                        && b.spec
                            .selector
                            .as_ref()
                            .is_some_and(|s| s.selects(&p.metadata.labels))
                })
            })
            .map(|b| {
                format!(
                    "{}/{} ({}, of {} pods)",
                    b.metadata.namespace,
                    b.metadata.name,
                    b.asks_for(),
                    b.status.expected_pods
                )
            })
            .collect()
    }
}
