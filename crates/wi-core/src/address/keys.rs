//! By what the things are known that have an address.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Address, NAME, escaped};
use crate::names::{Condition, Email, KsaIdentity, KubeName, Member, ProjectId, Role};
use crate::resource::Resource;
use crate::wire::policy::{Binding, Policy};

/// A namespace in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NamespaceKey {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// The namespace.
    pub namespace: KubeName,
}

/// A Kubernetes service account in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KsaKey {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: KubeName,
    /// Its name.
    pub name: KubeName,
}

/// A Secret in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretKey {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: KubeName,
    /// Its name.
    pub name: KubeName,
}

impl SecretKey {
    /// `secret.CLUSTER/NAMESPACE/NAME`.
    pub fn address(&self) -> Address {
        Address::secret(&self.cluster, &self.namespace, &self.name)
    }
}

/// What makes pods, in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadKey {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: KubeName,
    /// `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: KubeName,
}

impl WorkloadKey {
    /// The namespace that it is in.
    pub fn namespace_key(&self) -> NamespaceKey {
        NamespaceKey {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
        }
    }

    /// `template.CLUSTER/NAMESPACE/KIND/NAME`.
    pub fn template(&self) -> Address {
        Address::template(&self.cluster, &self.namespace, &self.kind, &self.name)
    }

    /// `shadow.CLUSTER/NAMESPACE/KIND/NAME`.
    pub fn shadow(&self) -> Address {
        Address::shadow(&self.cluster, &self.namespace, &self.kind, &self.name)
    }
}

/// One member of one binding of one policy: the unit of adding and removing access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BindingKey {
    /// Whose policy.
    pub resource: Resource,
    /// The role.
    pub role: Role,
    /// The binding's condition.
    pub condition: Option<Condition>,
    /// Who has it.
    pub member: Member,
}

impl KsaKey {
    /// The namespace that it is in.
    pub fn namespace_key(&self) -> NamespaceKey {
        NamespaceKey {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
        }
    }

    /// As IAM knows it, in a cluster of this project.
    pub fn identity(&self, project: &ProjectId) -> KsaIdentity {
        let (namespace, name) = (self.namespace.as_str(), self.name.as_str());
        KsaIdentity::new(project.workload_pool(), namespace, name)
    }

    /// `ksa.CLUSTER/NAMESPACE/NAME`.
    pub fn address(&self) -> Address {
        Address::ksa(&self.cluster, &self.namespace, &self.name)
    }
}

impl NamespaceKey {
    /// `namespace.CLUSTER/NAMESPACE`.
    pub fn address(&self) -> Address {
        Address::namespace(&self.cluster, &self.namespace)
    }
}

impl fmt::Display for NamespaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

impl fmt::Display for KsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

impl BindingKey {
    /// A member of a binding of a policy; `None` where the role's form is not known.
    pub fn read(resource: &Resource, binding: &Binding, member: &str) -> Option<Self> {
        Some(Self {
            resource: resource.clone(),
            role: Role::parse(&binding.role).ok()?,
            condition: binding.condition.clone(),
            member: Member::parse(member),
        })
    }

    /// Every member of a policy as an identity, with the spellings under which it is there.
    pub fn of_policy(resource: &Resource, policy: &Policy) -> BTreeMap<Self, Vec<String>> {
        let mut found: BTreeMap<Self, Vec<String>> = BTreeMap::new();
        for binding in &policy.bindings {
            // A role whose form we do not know is carried over unread.
            for member in &binding.members {
                if let Some(key) = Self::read(resource, binding, member) {
                    found.entry(key).or_default().push(member.clone());
                }
            }
        }
        found
    }

    /// Whether it lets a GKE workload act as a Google service account.
    pub fn is_impersonation(&self) -> bool {
        matches!(self.resource, Resource::ServiceAccount(_))
            && self.role == Role::workload_identity_user()
            && self.member.is_gke_pool_member()
    }

    /// Whether it lets its member act as every Google service account of a project, a folder or an organization.
    pub fn is_wide(&self) -> bool {
        self.resource.is_of_hierarchy() && self.role == Role::workload_identity_user()
    }
}

/// The name by which a Google service account goes in addresses: the spec's, or else its id or email.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AccountName(String);

impl AccountName {
    /// The spec's name of it. An `@` is escaped: it is never another account's email.
    pub fn of_spec(name: &str) -> Self {
        Self(escaped(name, NAME).into_owned())
    }

    /// The first part of its email, where no other account that could be meant has the same.
    pub fn of_id(email: &Email) -> Self {
        Self::of_spec(email.account_id())
    }

    /// Its email.
    pub fn of_email(email: &Email) -> Self {
        Self(email.to_string())
    }

    /// As it is in addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.is_empty() || name.contains(['/', ':', '?', '#']) || name.contains(char::is_control)
        {
            return Err(D::Error::custom(format!("`{name}` is no account's name")));
        }
        Ok(Self(name))
    }
}
