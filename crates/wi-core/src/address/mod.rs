//! The address of a change: the name under which a plan shows it, `--target` chooses it, and others wait for it.
//!
//! Two things never have one address: what could be mistaken for a separator is escaped as in URLs, and a
//! condition counts by all of it. Addresses sort by their text, which is the order in which plans show them.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

mod keys;
#[cfg(test)]
mod tests;

pub use keys::{AccountName, BindingKey, KsaKey, NamespaceKey, SecretKey, WorkloadKey};

use crate::digest::sha256;
use crate::names::{Condition, Email, KubeName, Member, NameError};
use crate::resource::Resource;

/// What begins an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cluster,
    NodePool,
    Account,
    Grant,
    Binding,
    Namespace,
    Ksa,
    Key,
    Secret,
    Template,
    Shadow,
}

const KINDS: [(&str, Kind); 11] = [
    ("cluster", Kind::Cluster),
    ("nodepool", Kind::NodePool),
    ("gsa", Kind::Account),
    ("grant", Kind::Grant),
    ("binding", Kind::Binding),
    ("namespace", Kind::Namespace),
    ("ksa", Kind::Ksa),
    ("key", Kind::Key),
    ("secret", Kind::Secret),
    ("template", Kind::Template),
    ("shadow", Kind::Shadow),
];

/// Separators, escaped in a name.
const NAME: &[char] = &['/', ':', '?', '#', '@'];
/// Separators, escaped in a resource or in a member as IAM writes it.
const TEXT: &[char] = &['?', '#'];

/// The address of a change, such as `gsa.checkout` or `ksa.main/shop/checkout`; docs/concepts.md lists the forms.
///
/// It is its text wherever a `&str` is wanted. Copies share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// Reads an address: one of the kinds, with as many names as it has.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let names = |rest: &str, n: usize| {
            rest.split('/').count() == n && rest.split('/').all(|name| !name.is_empty())
        };
        let good = match kind_and_name(text) {
            Some((Kind::Cluster | Kind::Account, rest)) => names(rest, 1),
            Some((Kind::NodePool | Kind::Namespace | Kind::Key, rest)) => names(rest, 2),
            Some((Kind::Ksa | Kind::Secret, rest)) => names(rest, 3),
            Some((Kind::Template | Kind::Shadow, rest)) => names(rest, 4),
            Some((Kind::Binding, rest)) => rest
                .split_once('/')
                .is_some_and(|(a, w)| !a.is_empty() && !w.is_empty()),
            Some((Kind::Grant, rest)) => rest
                .split_once(':')
                .is_some_and(|(who, on)| !who.is_empty() && on.contains('@')),
            None => false,
        };
        if good {
            return Ok(Self(text.into()));
        }
        let rule =
            "an address, such as gsa.NAME, ksa.CLUSTER/NAMESPACE/NAME or grant.WHO:ROLE@RESOURCE";
        Err(NameError::not(text, rule))
    }

    fn of(text: String) -> Self {
        Self(text.into())
    }

    /// `cluster.NAME`: a cluster's workload pool.
    pub fn cluster_pool(cluster: &str) -> Self {
        Self::of(format!("cluster.{}", escaped(cluster, NAME)))
    }

    /// `nodepool.CLUSTER/POOL`.
    pub fn node_pool(cluster: &str, pool: &str) -> Self {
        let pool = escaped(pool, NAME);
        Self::of(format!("nodepool.{}/{pool}", escaped(cluster, NAME)))
    }

    /// `gsa.NAME`.
    pub fn account(name: &AccountName) -> Self {
        Self::of(format!("gsa.{}", name.as_str()))
    }

    /// `namespace.CLUSTER/NAMESPACE`.
    pub fn namespace(cluster: &str, namespace: &KubeName) -> Self {
        Self::of(format!("namespace.{}/{namespace}", escaped(cluster, NAME)))
    }

    /// `ksa.CLUSTER/NAMESPACE/NAME`.
    pub fn ksa(cluster: &str, namespace: &KubeName, name: &KubeName) -> Self {
        Self::of(format!("ksa.{}/{namespace}/{name}", escaped(cluster, NAME)))
    }

    /// `key.ACCOUNT/ID`: a static key of a Google service account.
    pub fn key(account: &AccountName, id: &str) -> Self {
        Self::of(format!("key.{}/{}", account.as_str(), escaped(id, NAME)))
    }

    /// `secret.CLUSTER/NAMESPACE/NAME`.
    pub fn secret(cluster: &str, namespace: &KubeName, name: &KubeName) -> Self {
        Self::of(format!(
            "secret.{}/{namespace}/{name}",
            escaped(cluster, NAME)
        ))
    }

    /// `template.CLUSTER/NAMESPACE/KIND/NAME`: the pod template of a workload, such as a `deployment`.
    pub fn template(cluster: &str, namespace: &KubeName, kind: &str, name: &KubeName) -> Self {
        Self::of_workload("template", cluster, namespace, kind, name)
    }

    /// `shadow.CLUSTER/NAMESPACE/KIND/NAME`: what stands beside a workload of this name.
    pub fn shadow(cluster: &str, namespace: &KubeName, kind: &str, name: &KubeName) -> Self {
        Self::of_workload("shadow", cluster, namespace, kind, name)
    }

    fn of_workload(
        what: &str,
        cluster: &str,
        namespace: &KubeName,
        kind: &str,
        name: &KubeName,
    ) -> Self {
        let kind = kind.to_lowercase();
        Self::of(format!(
            "{what}.{}/{namespace}/{}/{name}",
            escaped(cluster, NAME),
            escaped(&kind, NAME)
        ))
    }

    /// `binding.ACCOUNT/WHO` for impersonation, `grant.WHO:ROLE@RESOURCE` for the rest; under a condition
    /// with `?TITLE#DIGEST` at its end. `name` says by which name an account goes.
    pub fn binding<'a>(key: &BindingKey, name: impl Fn(&Email) -> Cow<'a, AccountName>) -> Self {
        let member = match &key.member {
            Member::ServiceAccount(email) => name(email).as_str().to_owned(),
            member => who(member),
        };
        let mut text = match &key.resource {
            Resource::ServiceAccount(email) if key.is_impersonation() => {
                format!("binding.{}/{member}", name(email).as_str())
            }
            resource => {
                let resource = resource.to_string();
                format!("grant.{member}:{}@{}", key.role, escaped(&resource, TEXT))
            }
        };
        if let Some(condition) = &key.condition {
            text.push_str(&format!("?{}#{}", condition.title, digest(condition)));
        }
        Self::of(text)
    }

    /// The spec's name of the cluster that it is in; `None` for what clusters share.
    pub fn cluster(&self) -> Option<&str> {
        match kind_and_name(&self.0)? {
            (Kind::Cluster, name) => Some(name),
            (
                Kind::NodePool
                | Kind::Namespace
                | Kind::Ksa
                | Kind::Secret
                | Kind::Template
                | Kind::Shadow,
                rest,
            ) => rest.split('/').next(),
            (Kind::Account | Kind::Grant | Kind::Binding | Kind::Key, _) => None,
        }
    }

    /// The same in another cluster, or in `*`; itself for what clusters share.
    pub fn in_cluster(&self, other: &str) -> Self {
        let Some(cluster) = self.cluster() else {
            return self.clone();
        };
        let before = self.0.len() - self.name().len();
        let after = &self.0[before + cluster.len()..];
        Self::of(format!("{}{other}{after}", &self.0[..before]))
    }

    /// What follows the kind: `main/shop/checkout` of `ksa.main/shop/checkout`.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(_, name)| name)
    }

    /// Whether it is `target` or below it: `ksa.main/shop` has all accounts of that namespace below it,
    /// `grant.WHO:ROLE@RESOURCE?TITLE` all of these under a condition of this title.
    pub fn is_in(&self, target: &str) -> bool {
        match self.0.strip_prefix(target) {
            // A dot ends the kind alone: in a name it is a letter like others.
            Some(rest) => {
                rest.is_empty()
                    || rest.starts_with(['/', ':', '@', '?', '#'])
                    || (rest.starts_with('.') && !target.contains('.'))
            }
            None => false,
        }
    }
}

fn kind_and_name(text: &str) -> Option<(Kind, &str)> {
    let (word, name) = text.split_once('.')?;
    let (_, kind) = KINDS.iter().find(|(w, _)| *w == word)?;
    (!name.is_empty()).then_some((*kind, name))
}

/// A member that is no Google service account of today. A pool that is not GKE's is written as IAM does.
fn who(member: &Member) -> String {
    let name = |text| escaped(text, NAME);
    match member {
        Member::Ksa(ksa) => {
            let (namespace, account) = (name(&ksa.namespace), name(&ksa.name));
            match ksa.pool.strip_suffix(".svc.id.goog") {
                Some(pool) => format!("{}/{namespace}/{account}", name(pool)),
                None => format!("serviceAccount:{}[{namespace}/{account}]", name(&ksa.pool)),
            }
        }
        Member::DeletedServiceAccount { email, uid } => {
            let email = escaped(email, &['/', ':', '?', '#']);
            format!("deleted:{email}:{}", name(uid))
        }
        other => escaped(&other.to_string(), TEXT).into_owned(),
    }
}

/// Eight hexadecimal digits of all that a condition is.
fn digest(condition: &Condition) -> String {
    let Condition {
        title,
        description,
        expression,
        rest,
    } = condition;
    // Lengths say where one ends and the next begins.
    let mut whole = format!(
        "{} {} {title}{description}{expression}",
        title.len(),
        description.len()
    );
    if !rest.is_empty() {
        whole.push_str(&format!("\n{} {rest}", expression.len()));
    }
    sha256(whole.as_bytes())[..8].to_owned()
}

/// A text in which these characters, and `%`, are written `%XX`.
fn escaped<'a>(text: &'a str, reserved: &[char]) -> Cow<'a, str> {
    let is_reserved = |c: char| c == '%' || reserved.contains(&c);
    if !text.contains(is_reserved) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_reserved(c) {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for Address {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Address {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Address {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
