//! What is to be read of the live state: made from what a spec asks for, and for a plan's changes from the
//! part of it that they touch.
//!
//! The reader does as it is told here, and finds out one thing only while it reads: which node pools move.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::BindingKey;
use crate::desired::{Desired, DesiredCluster};
use crate::names::{Email, KsaIdentity, KubeName, Member, ProjectId, Role};
use crate::resource::Resource;
use crate::spec::model::AccountSpec;

/// All that one reading asks for.
#[derive(Debug, Clone, Default)]
pub struct ReadSet {
    /// The spec's name, where it is looked for service accounts that carry its mark and that it does not name:
    /// those that have left it, with their pods, and those on clusters that have. `None` where a part is read.
    pub owner: Option<String>,
    /// Whether clusters that the spec does not mention are read, too: a plan of a whole spec does so (`owner`).
    pub outside: bool,
    /// Clusters with their Kubernetes objects, by the spec's names.
    pub clusters: BTreeMap<String, ReadCluster>,
    /// Projects whose Google service accounts are listed.
    pub accounts: BTreeSet<ProjectId>,
    /// Projects whose accounts are listed for those that left the spec: a refusal is told, and nothing else
    /// rests on it.
    pub former_accounts: BTreeSet<ProjectId>,
    /// Projects whose clusters are listed, whether the spec has one there or not: it had once.
    pub former_clusters: BTreeSet<ProjectId>,
    /// The spec's name: accounts with its mark that it does not name have their policies read, too.
    pub marked_by: Option<String>,
    /// Google service accounts whose policies are read where those lists have them.
    pub managed: BTreeSet<Email>,
    /// Google service accounts that are read one by one: of projects of others no list is asked for.
    pub accounts_of_others: BTreeSet<Email>,
    /// Google service accounts whose user-managed keys are read, and the project of each.
    pub keys: BTreeMap<Email, ProjectId>,
    /// Policies that are read whatever else there is; none of `managed`.
    pub policies: BTreeSet<Resource>,
    /// Roles of which it is asked whether they exist, unless a policy that was read has them.
    pub roles: BTreeSet<Role>,
    /// Projects whose numbers members are written with.
    pub numbers: BTreeSet<ProjectId>,
    /// Buckets of which it is asked whether they have uniform bucket-level access.
    pub buckets: BTreeSet<String>,
    /// Projects whose folders and organization are read.
    pub ancestors_of: BTreeSet<ProjectId>,
    /// Rights to act as accounts that the spec gives.
    pub users: BTreeSet<BindingKey>,
    /// Those of which alone it is asked whether somebody uses them; `None`: all that the spec does not give.
    pub only_users: Option<BTreeSet<BindingKey>>,
}

/// What is read of one cluster.
#[derive(Debug, Clone)]
pub struct ReadCluster {
    /// Where it is, how it is reached, and which of its node pools move: where one does, all pods are read,
    /// and all that makes pods.
    pub wanted: DesiredCluster,
    /// The namespaces that the spec names in it.
    pub namespaces: Vec<KubeName>,
    /// The Kubernetes service accounts that the spec names in it, by namespace and name.
    pub ksas: Vec<ReadKsa>,
    /// Namespaces whose pods are read, and what makes them, since service accounts of them are to go.
    pub pods_of: BTreeSet<String>,
}

/// A Kubernetes service account that the spec names.
#[derive(Debug, Clone)]
pub struct ReadKsa {
    /// As IAM knows it.
    pub identity: KsaIdentity,
    /// The Google service account that its annotation is to name. Where it names another, pods of the
    /// namespace are read.
    pub account: Option<Email>,
    /// Whether it is annotated elsewhere, and only referred to.
    pub existing: bool,
}

impl ReadSet {
    /// All that `desired` asks for, and where grants of before are most likely.
    pub fn of(desired: &Desired) -> Self {
        let mut set = Self {
            owner: desired.leftovers.is_some().then(|| desired.owner.clone()),
            outside: desired.leftovers.is_some(),
            ..Self::default()
        };
        for account in desired.accounts.values().filter(|a| a.managed) {
            set.managed.insert(account.email.clone());
            set.accounts.insert(account.project.clone());
            // Former grants are most likely on the project of the account.
            set.policy(Resource::Project(account.project.clone()));
        }
        set.former_clusters.clone_from(&desired.former_clusters);
        for project in &desired.former_projects {
            set.accounts.insert(project.clone());
            set.policy(Resource::Project(project.clone()));
        }
        for (name, wanted) in &desired.clusters {
            if wanted.managed {
                // And direct ones on the project of the pool.
                set.policy(Resource::Project(wanted.path.project.clone()));
            }
            let ksas = desired.ksas_of(name).map(|(_, ksa)| ReadKsa {
                identity: ksa.identity.clone(),
                account: ksa.account.clone(),
                existing: ksa.existing,
            });
            let cluster = ReadCluster {
                wanted: wanted.clone(),
                namespaces: Vec::new(),
                ksas: ksas.collect(),
                pods_of: BTreeSet::new(),
            };
            set.clusters.insert(name.clone(), cluster);
        }
        for key in desired.namespaces.keys() {
            if let Some(cluster) = set.clusters.get_mut(&key.cluster) {
                cluster.namespaces.push(key.namespace.clone());
            }
        }
        for former in &desired.former_ksas {
            let of_pool = |c: &&mut ReadCluster| {
                c.wanted.path.project.workload_pool() == former.pool
                    && c.ksa(&former.namespace, &former.name).is_none()
            };
            for cluster in set.clusters.values_mut().filter(of_pool) {
                cluster.pods_of.insert(former.namespace.clone());
            }
        }
        let acted_as = desired.ksas.values().filter_map(|k| k.account.as_ref());
        for email in acted_as.filter(|e| !set.managed.contains(*e)) {
            set.accounts_of_others.insert(email.clone());
        }
        // Whose others are, their descriptions say.
        let others = desired.accounts.values().filter(|a| !a.managed);
        for email in others.map(|a| &a.email) {
            let is_listed = email.project().is_some_and(|p| set.accounts.contains(&p));
            if !is_listed {
                set.accounts_of_others.insert(email.clone());
            }
        }
        let is_asked = |(name, account): &(&String, &AccountSpec)| {
            desired.restricts_keys(account) || desired.migrations.contains_key(*name)
        };
        for (_, account) in desired.accounts.iter().filter(is_asked) {
            let (email, project) = (account.email.clone(), account.project.clone());
            set.keys.insert(email, project);
        }
        for resource in desired.removed.iter().chain(&desired.looked_at) {
            set.policy(resource.clone());
        }
        set.grants(desired);
        if let Some(leftovers) = &desired.leftovers {
            set.former_accounts.clone_from(&leftovers.projects);
            set.marked_by = Some(desired.owner.clone());
        }
        set
    }

    /// The policies that are granted on, and what granting takes.
    fn grants(&mut self, desired: &Desired) {
        for key in desired.bindings.keys() {
            if !self.policies.contains(&key.resource) {
                self.policy(key.resource.clone());
            }
            if !self.roles.contains(&key.role) && key.role != Role::workload_identity_user() {
                self.roles.insert(key.role.clone());
            }
            if let Resource::Project(project) = &key.resource {
                self.ancestors_of.insert(project.clone());
            }
            if key.is_impersonation() {
                self.users.insert(key.clone());
            }
            let direct = match &key.member {
                Member::Ksa(ksa) => Some(&ksa.pool),
                _ => None,
            };
            // Only conditions and direct grants ask for uniform bucket-level access.
            if let Some(bucket) = key.resource.bucket()
                && (key.condition.is_some() || direct.is_some())
            {
                self.buckets.insert(bucket.to_owned());
            }
            // Only direct grants and sets are written with the project number.
            let by_number = match &key.member {
                Member::Ksa(ksa) if !key.is_impersonation() => Some(&ksa.pool),
                Member::Set(set) => Some(&set.pool),
                _ => None,
            };
            let unsaid = by_number.filter(|pool| !desired.numbers.contains_key(*pool));
            let project = unsaid.and_then(|pool| desired.pools.get(pool));
            self.numbers.extend(project.cloned());
        }
    }

    /// Has a policy read, too. Those of managed accounts are with the accounts.
    pub fn policy(&mut self, resource: Resource) {
        let with_its_account =
            matches!(&resource, Resource::ServiceAccount(email) if self.managed.contains(email));
        if !with_its_account {
            self.policies.insert(resource);
        }
    }
}

impl ReadCluster {
    /// A Kubernetes service account that the spec names.
    pub fn ksa(&self, namespace: &str, name: &str) -> Option<&ReadKsa> {
        let place = |ksa: &ReadKsa| {
            let KsaIdentity {
                namespace: of,
                name: called,
                ..
            } = &ksa.identity;
            (of.as_str(), called.as_str()).cmp(&(namespace, name))
        };
        self.ksas
            .binary_search_by(place)
            .ok()
            .map(|at| &self.ksas[at])
    }
}
