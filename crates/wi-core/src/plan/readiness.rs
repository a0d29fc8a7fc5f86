//! Whether all was seen that a change rests on. What rests on something unread is neither written, moved
//! nor removed: it is told, and left to the next plan.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::diff::bindings::policy_of;
use super::impact::{HeldBack, HoldReason};
use super::ownership::is_going;
use super::{Binding, Edit, Ksa, KsaAfter, Plan};
use crate::address::{Address, KsaKey, NamespaceKey};
use crate::desired::{Desired, DesiredKsa};
use crate::live::{Live, Objects, Seen, Unlisted};
use crate::names::{Email, KsaIdentity, Member, ProjectId};
use crate::resource::Resource;

/// Something that was not read, and that something else rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// A cluster of the spec: its workload pool and node pools.
    Cluster(String),
    /// The Kubernetes objects of a cluster of the spec.
    Objects(String),
    /// Clusters that were to be found.
    Clusters(Unlisted),
    /// What is in a namespace that is being deleted: it is not what will be there.
    Namespace(NamespaceKey),
    /// The Google service accounts of a project.
    Accounts(ProjectId),
    /// A resource's policy.
    Policy(Resource),
    /// The project number that members of a workload pool are written with.
    Number(String),
    /// The pods that run on it.
    Pods(Address),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(name) => write!(f, "cluster.{name}"),
            Self::Objects(name) => write!(f, "the Kubernetes objects of cluster.{name}"),
            Self::Clusters(unlisted) => unlisted.fmt(f),
            Self::Namespace(key) => write!(f, "what comes after {key}, which is being deleted"),
            Self::Accounts(project) => write!(f, "the service accounts of project/{project}"),
            Self::Policy(resource) => write!(f, "the policy of {resource}"),
            Self::Number(pool) => write!(f, "the project number behind {pool}"),
            Self::Pods(node_pool) => write!(f, "the pods on {node_pool}"),
        }
    }
}

/// Whether every link was seen that something rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// All of it.
    Ready,
    /// All but these; never empty.
    RestsOn(BTreeSet<Unread>),
}

impl Readiness {
    fn of(unread: BTreeSet<Unread>) -> Self {
        if unread.is_empty() {
            Self::Ready
        } else {
            Self::RestsOn(unread)
        }
    }

    fn unread(&self) -> impl Iterator<Item = &Unread> {
        let unread = match self {
            Self::Ready => None,
            Self::RestsOn(unread) => Some(unread),
        };
        unread.into_iter().flatten()
    }
}

/// What was not read, by what rests on it.
pub(super) struct Sight<'a> {
    desired: &'a Desired,
    live: &'a Live,
    /// Clusters of the spec, by its names.
    clusters: BTreeMap<&'a str, Unread>,
    /// Links of principals: policies that they are granted on, the account, the number in the name.
    principals: HashMap<Cow<'a, Member>, BTreeSet<Unread>>,
    /// Kubernetes service accounts of the spec that are not ready.
    ksas: BTreeMap<&'a KsaKey, BTreeSet<Unread>>,
}

impl<'a> Sight<'a> {
    pub(super) fn of(desired: &'a Desired, live: &'a Live) -> Self {
        let mut sight = Self {
            desired,
            live,
            clusters: BTreeMap::new(),
            principals: HashMap::new(),
            ksas: BTreeMap::new(),
        };
        for name in desired.clusters.keys() {
            let found = |seen: Option<bool>| seen == Some(true);
            let managed = desired.clusters[name].managed;
            if managed && !found(live.clusters.get(name).map(|c| c.found().is_some())) {
                sight.clusters.insert(name, Unread::Cluster(name.clone()));
            } else if !found(live.kubernetes.get(name).map(|k| k.found().is_some())) {
                sight.clusters.insert(name, Unread::Objects(name.clone()));
            }
        }
        sight.find_principals();
        for (key, ksa) in &desired.ksas {
            if let Readiness::RestsOn(unread) = sight.link_by_link(key, ksa) {
                sight.ksas.insert(key, unread);
            }
        }
        sight
    }

    /// Whether anything at all was not read that changes may rest on.
    pub(super) fn is_partial(&self) -> bool {
        let pods_unread = |objects: &Objects| matches!(objects.workloads, Some(Err(_)));
        let live = self.live;
        !self.clusters.is_empty()
            || !self.principals.is_empty()
            || !self.ksas.is_empty()
            || !live.unlisted.is_empty()
            || live
                .policies
                .values()
                .any(|p| matches!(p, Seen::Unknown(_)))
            || live
                .accounts
                .values()
                .any(|a| matches!(a, Seen::Unknown(_)))
            || live
                .kubernetes
                .values()
                .filter_map(Seen::found)
                .any(pods_unread)
    }

    fn find_principals(&mut self) {
        let (desired, live) = (self.desired, self.live);
        let unread_policies: BTreeSet<&Resource> = desired
            .bindings
            .keys()
            .map(|b| &b.resource)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|r| matches!(policy_of(r, desired, live), Seen::Unknown(_)))
            .collect();
        for key in desired.bindings.keys() {
            let mut rest = |unread| {
                let links = self.principals.entry(Cow::Borrowed(&key.member));
                links.or_default().insert(unread);
            };
            if unread_policies.contains(&key.resource) {
                rest(Unread::Policy(key.resource.clone()));
            }
            if let Member::Ksa(ksa) = &key.member
                && !key.is_impersonation()
            {
                let project = desired.pools.get(&ksa.pool);
                let number = project.and_then(|p| live.numbers.get(p));
                if number.is_none_or(|n| n.found().is_none()) {
                    rest(Unread::Number(ksa.pool.clone()));
                }
            }
        }
        for account in desired.accounts.values().filter(|a| a.managed) {
            if matches!(live.accounts.get(&account.project), Some(Seen::Unknown(_))) {
                let member = Member::ServiceAccount(account.email.clone());
                let links = self.principals.entry(Cow::Owned(member)).or_default();
                links.insert(Unread::Accounts(account.project.clone()));
            }
        }
    }

    /// The chain from a pod to what it may do: workload pool, Kubernetes objects, who may act as the
    /// account, the account, and every policy that it or its account is granted on.
    fn link_by_link(&self, key: &KsaKey, ksa: &DesiredKsa) -> Readiness {
        let mut unread: BTreeSet<Unread> = self
            .clusters
            .get(&*key.cluster)
            .cloned()
            .into_iter()
            .collect();
        let objects = self.live.kubernetes.get(&key.cluster).and_then(Seen::found);
        let namespace = objects.and_then(|o| o.namespaces.get(key.namespace.as_str()));
        if namespace.is_some_and(is_going) {
            unread.insert(Unread::Namespace(key.namespace_key()));
        }
        // No copies of names where nothing is unread: a fleet has many.
        if !self.principals.is_empty() {
            let account = ksa.account.clone().map(Member::ServiceAccount);
            for member in [Some(Member::Ksa(ksa.identity.clone())), account]
                .iter()
                .flatten()
            {
                unread.extend(self.principals.get(member).into_iter().flatten().cloned());
            }
        }
        Readiness::of(unread)
    }

    /// Whether this Kubernetes service account of the spec has, or gets, all that the spec gives it.
    fn ksa(&self, key: &KsaKey) -> Readiness {
        Readiness::of(self.ksas.get(key).cloned().unwrap_or_default())
    }

    /// Whether all clusters were seen whose pods may have an identity of this workload pool.
    fn pool(&self, pool: &str) -> impl Iterator<Item = Unread> + use<'_, 'a> {
        let pool = pool.to_owned();
        let clusters: Vec<&str> = self.desired.clusters_of_pool(&pool).collect();
        let unlisted = self
            .live
            .unlisted
            .keys()
            .filter(move |unlisted| match unlisted {
                Unlisted::ClustersOf(project) => project.workload_pool() == pool,
                Unlisted::ProjectsOf(_) => true,
            });
        clusters
            .into_iter()
            .filter_map(|name| self.clusters.get(name).cloned())
            .chain(unlisted.cloned().map(Unread::Clusters))
    }

    /// Whether all clusters were seen: pods of any of them may act as a Google service account.
    fn everywhere(&self) -> impl Iterator<Item = Unread> {
        let unlisted = self.live.unlisted.keys().cloned().map(Unread::Clusters);
        self.clusters.values().cloned().chain(unlisted)
    }

    /// What left the spec is let go with its last role: none may be unseen.
    fn account_end(&self) -> impl Iterator<Item = Unread> {
        let policies = self.live.policies.iter();
        let unread = policies.filter(|(_, policy)| matches!(policy, Seen::Unknown(_)));
        let unread = unread.map(|(resource, _)| Unread::Policy(resource.clone()));
        self.everywhere().chain(unread)
    }

    fn identity(&self, identity: &KsaIdentity) -> impl Iterator<Item = Unread> {
        self.ksas
            .iter()
            .filter(|(key, _)| self.desired.ksas[**key].identity == *identity)
            .flat_map(|(_, unread)| unread.clone())
    }

    /// Nothing is taken from a principal while what takes its place may be unseen, nor what pods may
    /// use that were not seen.
    fn removal(&self, binding: &Binding) -> BTreeSet<Unread> {
        let member = &binding.key.member;
        let mut unread: BTreeSet<Unread> = self
            .principals
            .get(member)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        match member {
            Member::Ksa(identity) => {
                unread.extend(self.pool(&identity.pool));
                unread.extend(self.identity(identity));
            }
            Member::ServiceAccount(_) => unread.extend(self.everywhere()),
            // Whether it is to be undeleted, and its members with it.
            Member::DeletedServiceAccount { email, .. } => {
                let project = Email::parse(email).ok().and_then(|e| e.project());
                unread.extend(
                    project
                        .filter(|p| matches!(self.live.accounts.get(p), Some(Seen::Unknown(_))))
                        .map(Unread::Accounts),
                );
            }
            Member::Set(set) => unread.extend(self.pool(&set.pool)),
            Member::Other(set) => {
                let in_pool = set.split_once("/workloadIdentityPools/");
                let pool = in_pool.and_then(|(_, rest)| rest.split('/').next());
                unread.extend(pool.into_iter().flat_map(|pool| self.pool(pool)));
            }
        }
        unread
    }

    fn ksa_edit(&self, ksa: &Ksa) -> BTreeSet<Unread> {
        let before = ksa.account_before();
        let takes_its_place = |key: &KsaKey| {
            let account = &self.desired.ksas[key].account;
            key.cluster == ksa.key.cluster
                && (key.name == ksa.key.name || (account.is_some() && *account == before))
        };
        match ksa.after {
            KsaAfter::Kept { .. } => self.ksa(&ksa.key).unread().cloned().collect(),
            KsaAfter::LetGo => BTreeSet::new(), // nothing is taken from anybody
            KsaAfter::Released | KsaAfter::Deleted => {
                let unready = self.ksas.iter().filter(|(key, _)| takes_its_place(key));
                unready.flat_map(|(_, unread)| unread.clone()).collect()
            }
        }
    }

    /// A node pool is moved where each of its pods that is to have an identity of its own has it for sure.
    fn node_pool(&self, cluster: &str, node_pool: &str) -> BTreeSet<Unread> {
        let objects = self.live.kubernetes.get(cluster).and_then(Seen::found);
        let workloads = objects.and_then(|o| o.workloads.as_ref()?.as_ref().ok());
        let Some(workloads) = workloads else {
            return BTreeSet::new(); // held back, or accepted, with the impact
        };
        let of_cluster = self.ksas.iter().filter(|(key, _)| key.cluster == cluster);
        of_cluster
            .filter(|(key, _)| {
                workloads.pods.iter().any(|pod| {
                    let pool = workloads.pool_of_node.get(&pod.spec.node_name);
                    pool.is_some_and(|p| p == node_pool)
                        && pod.metadata.namespace == key.namespace.as_str()
                        && pod.service_account() == key.name.as_str()
                })
            })
            .flat_map(|(_, unread)| unread.clone())
            .collect()
    }

    /// What an edit rests on.
    fn edit(&self, edit: &Edit) -> Readiness {
        Readiness::of(match edit {
            Edit::Binding(binding) if !binding.adds() => self.removal(binding),
            Edit::Account(account) if account.ends_it() => self.account_end().collect(),
            Edit::Ksa(ksa) => self.ksa_edit(ksa),
            Edit::NodePool(pool) => self.node_pool(&pool.cluster, &pool.node_pool),
            // Who has them was looked at by itself, and what of that was not seen holds them.
            Edit::Key(_) | Edit::Secret(_) | Edit::Template(_) | Edit::Shadow(_) => BTreeSet::new(),
            // They take nothing from anybody, whatever else there is.
            Edit::Binding(_)
            | Edit::Account(_)
            | Edit::Namespace(_)
            | Edit::ClusterPool(_)
            | Edit::RestoreSettings(_) => BTreeSet::new(),
        })
    }
}

/// Takes out what rests on something unread, and what waits for that. The needs of changes are known.
pub(super) fn hold(sight: &Sight, plan: &mut Plan) {
    let held = plan
        .changes
        .iter()
        .filter_map(|(address, change)| match sight.edit(&change.edit) {
            Readiness::Ready => None,
            Readiness::RestsOn(unread) => Some((address.clone(), unread)),
        });
    let held = held.collect();
    take_out(held, sight.desired, plan);
}

/// Takes out what waits for node pools whose pods were not read.
pub(super) fn hold_what_waits_for_pods(desired: &Desired, plan: &mut Plan) {
    let pools = plan
        .held_back
        .iter()
        .filter(|h| h.why == HoldReason::Unread);
    let held = pools.map(|h| {
        let pods = Unread::Pods(h.address.clone());
        (h.address.clone(), BTreeSet::from([pods]))
    });
    let held = held.collect();
    take_out(held, desired, plan);
}

/// Takes out what would be taken from the account of a node pool that is not moved: its pods live on that
/// until it is.
pub(super) fn keep_what_held_node_pools_live_on(desired: &Desired, plan: &mut Plan) {
    let pools = plan.held_back.iter().map(|h| &h.address);
    let held = pools.map(|address| (address.clone(), BTreeSet::from([address.clone()])));
    let held = with_what_waits(held.collect(), desired, plan);
    for (address, pools) in held {
        if plan.changes.remove(&address).is_some() {
            let names: Vec<&str> = pools.iter().map(|a| &**a).collect();
            let told = format!(
                "{address} stays, though the spec does not ask for it: the pods on {} live on the account of their nodes, and the node pool is not moved. Once it is, it is removed",
                names.join(", ")
            );
            plan.stays(&address, told);
        }
    }
}

/// What is held, and what waits for that, with the causes. The needs of changes are known.
pub(super) fn with_what_waits<T: Ord + Clone>(
    mut held: BTreeMap<Address, BTreeSet<T>>,
    desired: &Desired,
    plan: &Plan,
) -> BTreeMap<Address, BTreeSet<T>> {
    loop {
        let ksas = HeldKsas::of(held.keys(), desired, plan);
        let waiting: Vec<(Address, BTreeSet<T>)> = plan
            .changes
            .iter()
            .filter(|(address, _)| !held.contains_key(*address))
            .filter_map(|(address, change)| {
                let needs = change.needs.iter();
                let causes = needs.chain(ksas.relies_on(&change.edit));
                let causes = causes.filter_map(|need| held.get(need));
                let causes: BTreeSet<T> = causes.flatten().cloned().collect();
                (!causes.is_empty()).then(|| (address.clone(), causes))
            })
            .collect();
        if waiting.is_empty() {
            return held;
        }
        held.extend(waiting);
    }
}

/// Service accounts that stay as they are, by what they have: that goes with them, or not at all.
#[derive(Default)]
struct HeldKsas<'a> {
    identities: BTreeMap<KsaIdentity, BTreeSet<&'a Address>>,
    accounts: BTreeMap<Email, BTreeSet<&'a Address>>,
}

impl<'a> HeldKsas<'a> {
    fn of(held: impl Iterator<Item = &'a Address>, desired: &Desired, plan: &Plan) -> Self {
        let mut held_ksas = Self::default();
        for address in held {
            let Some(Edit::Ksa(ksa)) = plan.changes.get(address).map(|c| &c.edit) else {
                continue;
            };
            if let Some(cluster) = desired.clusters.get(&ksa.key.cluster) {
                let identity = ksa.key.identity(&cluster.path.project);
                held_ksas
                    .identities
                    .entry(identity)
                    .or_default()
                    .insert(address);
            }
            if let Some(account) = ksa.account_before() {
                held_ksas
                    .accounts
                    .entry(account)
                    .or_default()
                    .insert(address);
            }
        }
        held_ksas
    }

    /// Those that have it, of what is taken away.
    fn relies_on(&self, edit: &Edit) -> impl Iterator<Item = &'a Address> {
        let of_account = |email: &Email| self.accounts.get(email);
        let those = match edit {
            Edit::Binding(binding) if !binding.adds() => match &binding.key.member {
                Member::Ksa(identity) => self.identities.get(identity),
                Member::ServiceAccount(email) => of_account(email),
                _ => None,
            },
            Edit::Account(account) if account.ends_it() => of_account(&account.email),
            _ => None,
        };
        those.into_iter().flatten().copied()
    }
}

fn take_out(held: BTreeMap<Address, BTreeSet<Unread>>, desired: &Desired, plan: &mut Plan) {
    let held = with_what_waits(held, desired, plan);
    for (address, unread) in held {
        let Some(change) = plan.changes.remove(&address) else {
            continue;
        };
        let because = in_words(&unread);
        if matches!(change.edit, Edit::NodePool(_)) {
            let why = HoldReason::RestsOn(because);
            plan.held_back.push(HeldBack { address, why });
        } else {
            plan.unseen(address, format!("stays as it is: it rests on {because}"));
        }
    }
}

/// So many unread things are named.
const NAMED: usize = 3;

fn in_words(unread: &BTreeSet<Unread>) -> String {
    let mut names: Vec<String> = unread.iter().take(NAMED).map(Unread::to_string).collect();
    if unread.len() > NAMED {
        names.push(format!(
            "{} more that could not be read",
            unread.len() - NAMED
        ));
    } else if let Some(last) = names.last_mut() {
        last.push_str(", which could not be read");
    }
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::fixture::{Case, HEAD};
    use crate::plan::{HeldBack, HoldReason, Plan};

    const NODES: &str = "serviceAccount:nodes-sa@acme-prod.iam.gserviceaccount.com";

    /// The account of the nodes is the spec's, and has a role that the spec does not give it any more.
    fn case(spec: &str, account: &str, mode: &str) -> Case {
        let mut case = Case::of(&format!("{HEAD}{spec}"));
        case.account("nodes-sa", json!({ "description": "[wi:shop]" }));
        case.grant("project/acme-prod", "roles/pubsub.publisher", NODES);
        let config = json!({ "config": { "serviceAccount": account } });
        case.node_pool("main", "p", mode, config);
        case.pod(
            "main",
            ["apps", "StatefulSet", "web"],
            "default",
            "p",
            json!({}),
        );
        case
    }

    const DECLARED: &str = "googleServiceAccounts: { nodes-sa: {} }\n";
    const REMOVAL: &str = "grant.nodes-sa:roles/pubsub.publisher@project/acme-prod";

    fn is_held(plan: &Plan) -> bool {
        plan.held_back.iter().any(|h| h.why == HoldReason::Loss)
    }

    #[test]
    fn what_pods_of_a_held_node_pool_live_on_stays() {
        let case = case(
            DECLARED,
            "nodes-sa@acme-prod.iam.gserviceaccount.com",
            "GCE_METADATA",
        );
        let plan = case.plan();
        assert!(is_held(&plan));
        assert!(!plan.changes.contains_key(REMOVAL), "{:?}", plan.changes);
        let told = plan.warnings.iter().find(|w| w.starts_with(REMOVAL));
        let told = told.expect("a warning");
        assert!(
            told.contains("the pods on nodepool.main/p live on"),
            "{told}"
        );
    }

    #[test]
    fn nor_is_their_account_ended_or_what_that_waits_for() {
        let case = case(
            "",
            "nodes-sa@acme-prod.iam.gserviceaccount.com",
            "GCE_METADATA",
        );
        let plan = case.plan();
        assert!(is_held(&plan));
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
        let whole = |h: &HeldBack| matches!(&h.why, HoldReason::InUse(why) if why.contains("nodes run as it"));
        assert_eq!(plan.held_back.iter().filter(|h| whole(h)).count(), 1);
    }

    #[test]
    fn the_default_account_is_known_by_its_address() {
        let mut case = case(DECLARED, "default", "GCE_METADATA");
        let project = case.desired.clusters["main"].path.project.clone();
        let email = crate::plan::fixture::email("nodes-sa");
        case.live.default_accounts.insert(project, email);
        let plan = case.plan();
        assert!(is_held(&plan));
        assert!(!plan.changes.contains_key(REMOVAL));
    }

    #[test]
    fn a_node_pool_that_moves_is_waited_for_and_one_that_has_moved_is_not() {
        let account = "nodes-sa@acme-prod.iam.gserviceaccount.com";
        let mut moving = case(DECLARED, account, "GCE_METADATA");
        moving.options.accept_loss = true;
        let plan = moving.plan();
        let needs = &plan.changes[REMOVAL].needs;
        assert!(needs.iter().any(|n| &**n == "nodepool.main/p"), "{needs:?}");
        let plan = case(DECLARED, account, "GKE_METADATA").plan();
        assert!(plan.changes[REMOVAL].needs.is_empty());
    }
}
