//! Who has what, by principal, of all policies that were read.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use crate::access::IMPERSONATION;
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

impl Given {
    /// Whether it lets whoever has it act as every account of a project.
    pub fn is_wide(&self) -> bool {
        self.resource.is_of_hierarchy() && self.role == Role::workload_identity_user()
    }
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
    /// Their other rights to make tokens of accounts, by what these are on.
    otherwise: BTreeMap<Resource, Vec<BindingKey>>,
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
                if IMPERSONATION.contains(&key.role.as_str()) {
                    let on = self.otherwise.entry(key.resource.clone()).or_default();
                    on.push(key.clone());
                }
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

    /// Rights of Kubernetes service accounts to make tokens of an account, but for that on it that a spec gives.
    pub fn otherwise(&self, account: &Email) -> impl Iterator<Item = &BindingKey> {
        let places = [
            Some(Resource::ServiceAccount(account.clone())),
            account.project().map(Resource::Project),
        ];
        let places = places.into_iter().flatten();
        places.flat_map(|place| self.otherwise.get(&place).into_iter().flatten())
    }

    /// Those of one of them.
    pub fn otherwise_of(
        &self,
        ksa: &KsaIdentity,
        account: &Email,
    ) -> impl Iterator<Item = &BindingKey> {
        let project = account.project().map(Resource::Project);
        self.own(ksa).filter(move |key| {
            let is_there = match &key.resource {
                Resource::ServiceAccount(of) => of == account,
                // Whether a folder is above is not known: it is no right that a spec gives, anyhow.
                on => {
                    project.as_ref() == Some(on)
                        || (on.is_of_hierarchy() && !matches!(on, Resource::Project(_)))
                }
            };
            is_there && IMPERSONATION.contains(&key.role.as_str())
        })
    }
}
