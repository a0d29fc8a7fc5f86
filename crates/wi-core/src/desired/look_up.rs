//! What is asked of it: who an account is, what is where.

use std::borrow::Cow;

use super::{Desired, DesiredKsa};
use crate::address::{AccountName, Address, BindingKey, KsaKey};
use crate::names::{Email, KubeName, ProjectId};

impl Desired {
    /// A Kubernetes service account of the spec.
    pub fn ksa(&self, cluster: &str, namespace: &str, name: &str) -> Option<&DesiredKsa> {
        let key = KsaKey {
            cluster: cluster.to_owned(),
            namespace: KubeName::parse(namespace).ok()?,
            name: KubeName::parse(name).ok()?,
        };
        self.ksas.get(&key)
    }

    /// The spec's name of the account with this email.
    pub fn account_name(&self, email: &Email) -> Option<&str> {
        let names = self.account_names.get_or_init(|| {
            let names = self.accounts.iter().rev();
            names
                .map(|(name, a)| (a.email.clone(), name.clone()))
                .collect()
        });
        let (name, account) = self.accounts.get_key_value(names.get(email)?)?;
        (account.email == *email).then_some(name)
    }

    /// Whether the spec manages the account with this email.
    pub fn manages(&self, email: &Email) -> bool {
        self.account_name(email)
            .is_some_and(|name| self.accounts[name].managed)
    }

    /// The Kubernetes service accounts of one cluster.
    pub fn ksas_of<'a>(
        &'a self,
        cluster: &'a str,
    ) -> impl Iterator<Item = (&'a KsaKey, &'a DesiredKsa)> {
        let first = KsaKey {
            cluster: cluster.to_owned(),
            namespace: KubeName::least(),
            name: KubeName::least(),
        };
        self.ksas
            .range(first..)
            .take_while(move |(key, _)| key.cluster == cluster)
    }

    /// `gsa.NAME`: by the spec's name; for one that left the spec the email's first part, or all of it
    /// where the spec has accounts in other projects.
    pub fn account_address(&self, email: &Email) -> Address {
        Address::account(&self.account_label(email))
    }

    /// The name by which an account goes in addresses.
    pub fn account_label(&self, email: &Email) -> AccountName {
        if let Some(name) = self.account_name(email) {
            return AccountName::of_spec(name);
        }
        // Two projects can have an account of the same id: only where there is one is it a name.
        let mut projects = self
            .accounts
            .values()
            .filter_map(|a| a.managed.then_some(&a.project));
        let first = projects.next();
        let only = |p: ProjectId| first == Some(&p) && projects.all(|other| *other == p);
        if email.project().is_some_and(only) && !self.accounts.contains_key(email.account_id()) {
            AccountName::of_id(email)
        } else {
            AccountName::of_email(email)
        }
    }

    /// `binding.ACCOUNT/PROJECT/NS/KSA` for impersonation, `grant.WHO:ROLE@RESOURCE` for the rest.
    pub fn binding_address(&self, key: &BindingKey) -> Address {
        Address::binding(key, |email| Cow::Owned(self.account_label(email)))
    }

    /// The wave of a cluster; all are in the first where there are none.
    pub fn wave_of(&self, cluster: &str) -> usize {
        self.waves
            .as_ref()
            .and_then(|w| w.wave_of.get(cluster).copied())
            .unwrap_or(0)
    }

    /// Clusters of the spec in which this identity is the same one: all of the pool's project.
    pub fn clusters_of_pool(&self, pool: &str) -> impl Iterator<Item = &str> {
        self.clusters
            .iter()
            .filter(move |(_, c)| c.path.project.workload_pool() == pool)
            .map(|(name, _)| name.as_str())
    }
}
