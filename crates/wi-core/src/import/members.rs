//! Who has what, by principal, of all policies that were read.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use crate::address::BindingKey;
use crate::live::Seen;
use crate::names::{Condition, Email, KsaIdentity, Member, Role};
use crate::resource::Resource;

/// A right to act as a Google service account.
pub(super) struct Acting {
    pub key: BindingKey,
    /// The member as the policy has it.
    pub spelling: String,
}

/// A role on a resource, whoever has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Given {
    pub role: Role,
    pub resource: Resource,
    pub condition: Option<Condition>,
}

impl From<&BindingKey> for Given {
    fn from(key: &BindingKey) -> Self {
        Self {
            role: key.role.clone(),
            resource: key.resource.clone(),
            condition: key.condition.clone(),
        }
    }
}

/// All bindings, by who has them.
#[derive(Default)]
pub(super) struct Members {
    /// What Kubernetes service accounts have, but for rights to act as a Google one.
    pub of_ksa: BTreeMap<KsaIdentity, BTreeSet<BindingKey>>,
    /// What Google service accounts have.
    pub of_account: BTreeMap<Email, BTreeSet<BindingKey>>,
    /// Which GKE workloads may act as a Google service account.
    pub acting: BTreeMap<Email, Vec<Acting>>,
    /// Emails of accounts that were deleted and that policies still name.
    pub dead: BTreeSet<Email>,
    /// All of them, each with its role and member as they are written.
    pub all: BTreeSet<BindingKey>,
}

impl Members {
    pub fn of(facts: &Facts) -> Self {
        let mut members = Self::default();
        for (resource, policy) in &facts.policies {
            let Seen::Found(policy) = policy else {
                continue;
            };
            for binding in &policy.bindings {
                for member in &binding.members {
                    if let Some(key) = BindingKey::read(resource, binding, member) {
                        members.add(key, member);
                    }
                }
            }
        }
        members
    }

    fn add(&mut self, key: BindingKey, spelling: &str) {
        self.all.insert(key.clone());
        if key.is_impersonation()
            && let Resource::ServiceAccount(email) = &key.resource
        {
            let spelling = spelling.to_owned();
            let acting = self.acting.entry(email.clone()).or_default();
            if acting.iter().all(|a| a.key != key) {
                acting.push(Acting { key, spelling });
            }
            return;
        }
        match &key.member {
            Member::Ksa(ksa) => {
                self.of_ksa.entry(ksa.clone()).or_default().insert(key);
            }
            Member::ServiceAccount(email) => {
                let of = self.of_account.entry(email.clone()).or_default();
                of.insert(key);
            }
            Member::DeletedServiceAccount { email, .. } => {
                self.dead.extend(Email::parse(email).ok());
            }
            Member::Set(_) | Member::Other(_) => {}
        }
    }

    /// What a Kubernetes service account has of its own.
    pub fn own(&self, ksa: &KsaIdentity) -> impl Iterator<Item = &BindingKey> {
        self.of_ksa.get(ksa).into_iter().flatten()
    }

    /// Its rights to act as an account.
    pub fn may_act(&self, ksa: &KsaIdentity, account: &Email) -> impl Iterator<Item = &BindingKey> {
        let acting = self.acting.get(account).into_iter().flatten();
        acting
            .map(|a| &a.key)
            .filter(move |key| matches!(&key.member, Member::Ksa(one) if one == ksa))
    }
}

/// Whether it lets its member act as all accounts of a project, a folder or an organization.
pub(super) fn is_wide(key: &BindingKey) -> bool {
    !matches!(key.resource, Resource::ServiceAccount(_))
        && key.role == Role::workload_identity_user()
}
