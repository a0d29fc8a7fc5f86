//! What changes touch.

use std::collections::BTreeSet;

use crate::address::{BindingKey, NamespaceKey};
use crate::desired::{Desired, DesiredKsa};
use crate::names::{Email, KsaIdentity, Member, ProjectId};
use crate::resource::Resource;

/// What changes touch, as each edit says.
#[derive(Debug, Default)]
pub struct Scope {
    pub(super) clusters: BTreeSet<String>,
    /// Clusters of which all identities count.
    pub(super) whole: BTreeSet<String>,
    pub(super) namespaces: BTreeSet<NamespaceKey>,
    /// Those in which service accounts are to go: what runs as them is looked at again.
    pub(super) leaving: BTreeSet<NamespaceKey>,
    pub(super) accounts: BTreeSet<Email>,
    pub(super) projects: BTreeSet<ProjectId>,
    pub(super) policies: BTreeSet<Resource>,
    /// Rights to act as an account that are taken away: whether somebody uses them is looked at again, in all
    /// clusters of their pools.
    pub(super) users: BTreeSet<BindingKey>,
    /// Accounts whose keys end or come back: who has them is looked at again, in all clusters.
    pub(super) keys_of: BTreeSet<Email>,
    /// Accounts whose keys templates do without, or get back: they are looked at again, in their own clusters.
    pub(super) templates_of: BTreeSet<Email>,
    /// Whether shadows are looked at again.
    pub(super) shadows: bool,
    /// Accounts that end, and identities that something is taken from: who runs as them, and where else they are, is
    /// looked at again in all clusters.
    pub(super) ends: BTreeSet<Email>,
    pub(super) taken_from: BTreeSet<KsaIdentity>,
    /// Whether something is taken from accounts, or from whoever may act as one: annotations that others write
    /// may rely on it.
    pub(super) takes: bool,
}

impl Scope {
    pub(super) fn cluster(&mut self, cluster: &str) {
        self.clusters.insert(cluster.to_owned());
    }

    pub(super) fn whole_cluster(&mut self, cluster: &str) {
        self.cluster(cluster);
        self.whole.insert(cluster.to_owned());
    }

    pub(super) fn namespace(&mut self, key: &NamespaceKey) {
        self.cluster(&key.cluster);
        self.namespaces.insert(key.clone());
    }

    pub(super) fn leaving(&mut self, key: &NamespaceKey) {
        self.namespace(key);
        self.leaving.insert(key.clone());
    }

    pub(super) fn account(&mut self, email: &Email, project: &ProjectId) {
        self.accounts.insert(email.clone());
        self.projects.insert(project.clone());
    }

    pub(super) fn ends(&mut self, email: &Email) {
        self.policy(&Resource::ServiceAccount(email.clone()));
        self.ends.insert(email.clone());
    }

    pub(super) fn takes_from(&mut self, identity: &KsaIdentity) {
        self.taken_from.insert(identity.clone());
    }

    pub(super) fn takes(&mut self) {
        self.takes = true;
    }

    pub(super) fn users(&mut self, key: &BindingKey) {
        self.users.insert(key.clone());
    }

    pub(super) fn keys(&mut self, email: &Email) {
        self.accounts.insert(email.clone());
        self.keys_of.insert(email.clone());
    }

    pub(super) fn template(&mut self, email: &Email) {
        self.policies
            .insert(Resource::ServiceAccount(email.clone()));
        self.accounts.insert(email.clone());
        self.templates_of.insert(email.clone());
    }

    pub(super) fn shadows(&mut self) {
        self.shadows = true;
    }

    /// The workload pools of those whose right goes.
    pub(super) fn pools_of_users(&self) -> BTreeSet<&str> {
        let users = self.users.iter();
        users
            .filter_map(|key| match &key.member {
                Member::Ksa(ksa) => Some(ksa.pool.as_str()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn has_user(&self, ksa: &DesiredKsa) -> bool {
        let mut users = self.users.iter();
        users.any(|key| matches!(&key.member, Member::Ksa(identity) if *identity == ksa.identity))
    }

    pub(super) fn policy(&mut self, resource: &Resource) {
        self.policies.insert(resource.clone());
        if let Resource::ServiceAccount(email) = resource {
            self.accounts.insert(email.clone());
        }
    }

    /// The accounts that pods of clusters may act as whose node pools move.
    pub(super) fn accounts_of_whole_clusters(&mut self, desired: &Desired) {
        for (key, ksa) in &desired.ksas {
            if self.whole.contains(&key.cluster) {
                self.accounts.extend(ksa.account.clone());
            }
        }
        for account in desired.accounts.values().filter(|a| a.managed) {
            if self.accounts.contains(&account.email) {
                self.projects.insert(account.project.clone());
            }
        }
    }

    pub(super) fn holds(&self, key: &NamespaceKey) -> bool {
        self.whole.contains(&key.cluster) || self.namespaces.contains(key)
    }
}
