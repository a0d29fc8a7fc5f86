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

use crate::digest::sha256;
use crate::names::{Condition, Email, KubeName, Member, NameError, Role};
use crate::resource::Resource;

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
    /// Whether it lets a GKE workload act as a Google service account.
    pub fn is_impersonation(&self) -> bool {
        matches!(self.resource, Resource::ServiceAccount(_))
            && self.role == Role::workload_identity_user()
            && self.member.is_gke_pool_member()
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
}

const KINDS: [(&str, Kind); 7] = [
    ("cluster", Kind::Cluster),
    ("nodepool", Kind::NodePool),
    ("gsa", Kind::Account),
    ("grant", Kind::Grant),
    ("binding", Kind::Binding),
    ("namespace", Kind::Namespace),
    ("ksa", Kind::Ksa),
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
            Some((Kind::NodePool | Kind::Namespace, rest)) => names(rest, 2),
            Some((Kind::Ksa, rest)) => names(rest, 3),
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
            (Kind::NodePool | Kind::Namespace | Kind::Ksa, rest) => rest.split('/').next(),
            (Kind::Account | Kind::Grant | Kind::Binding, _) => None,
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
            Some(rest) => rest.is_empty() || rest.starts_with(['/', ':', '@', '.', '?', '#']),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::names::{KsaIdentity, ProjectId};

    fn condition(title: &str, description: &str, expression: &str) -> Option<Condition> {
        Some(Condition {
            title: title.to_owned(),
            description: description.to_owned(),
            expression: expression.to_owned(),
            rest: String::new(),
        })
    }

    fn ksa(pool: &str, namespace: &str, name: &str) -> Member {
        Member::Ksa(KsaIdentity {
            pool: pool.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Account, member, resource and condition in all combinations, with names that imitate separators.
    #[test]
    fn address_tells_every_two_bindings_apart() {
        let email = |text: &str| Email::parse(text).expect("an email");
        let names = BTreeMap::from([
            (
                email("a@p-12345.iam.gserviceaccount.com"),
                AccountName::of_spec("a"),
            ),
            (
                email("b@p-12345.iam.gserviceaccount.com"),
                AccountName::of_spec("p/ns/x"),
            ),
            (
                email("c@p-12345.iam.gserviceaccount.com"),
                AccountName::of_spec("d@p-12345.iam.gserviceaccount.com"),
            ),
            (
                email("e@p-12345.iam.gserviceaccount.com"),
                AccountName::of_spec("deleted"),
            ),
        ]);
        let mut members: Vec<Member> = names.keys().cloned().map(Member::ServiceAccount).collect();
        members.push(Member::ServiceAccount(email(
            "d@p-12345.iam.gserviceaccount.com",
        )));
        for pool in [
            "p.svc.id.goog",
            "p",
            "p.hub.id.goog",
            "p.hub.id.goog.svc.id.goog",
        ] {
            members.extend([
                ksa(pool, "ns", "x"),
                ksa(pool, "ns/x", "x"),
                ksa(pool, "ns", "x/x"),
                ksa(pool, "ns", "x?t"),
            ]);
        }
        for (e, uid) in [
            ("a@b.c", "1"),
            ("a@b.c:1", "1"),
            ("a@b.c", "1:1"),
            ("a", "b:roles/viewer"),
        ] {
            members.push(Member::DeletedServiceAccount {
                email: e.to_owned(),
                uid: uid.to_owned(),
            });
        }
        members.extend(
            [
                "principalSet://iam.googleapis.com/p.svc.id.goog/namespace/ns",
                "user:a@b.c",
            ]
            .map(Member::parse),
        );
        let resource = |text: &str| Resource::parse(text, None).expect("a resource");
        let resources = [
            resource("serviceaccount/a@p-12345.iam.gserviceaccount.com"),
            resource("serviceaccount/b@p-12345.iam.gserviceaccount.com"),
            resource("project/acme-prod"),
            resource("topic/acme-prod/x"),
            resource("topic/acme-prod/x?until"),
            resource("topic/acme-prod/x%3Funtil"),
        ];
        let conditions = [
            None,
            condition("until", "", "a"),
            condition("until", "", "b"),
            condition("until", "b", "a"),
            condition("until", "a", "a"),
            condition("until#1", "", "a"),
            condition("", "", "a"),
        ];
        let roles = [
            "roles/viewer",
            "roles/iam.workloadIdentityUser",
            "projects/eu0:acme-prod/roles/x",
        ];
        let mut seen: BTreeMap<Address, BindingKey> = BTreeMap::new();
        for role in roles.map(|r| Role::parse(r).expect("a role")) {
            for member in &members {
                for resource in &resources {
                    for condition in &conditions {
                        let key = BindingKey {
                            resource: resource.clone(),
                            role: role.clone(),
                            condition: condition.clone(),
                            member: member.clone(),
                        };
                        let name = |e: &Email| {
                            Cow::Owned(
                                names
                                    .get(e)
                                    .cloned()
                                    .unwrap_or_else(|| AccountName::of_email(e)),
                            )
                        };
                        let address = Address::binding(&key, name);
                        assert_eq!(Address::parse(&address).as_ref(), Ok(&address));
                        assert_eq!(address.cluster(), None);
                        let other = seen.insert(address, key.clone());
                        assert!(other.is_none(), "{key:?} and {other:?}");
                    }
                }
            }
        }
        assert!(seen.len() > 2_000);
    }

    #[test]
    fn address_knows_its_cluster_and_what_it_is_in() {
        let name = |text: &str| KubeName::parse(text).expect("a name");
        let address = Address::ksa("main", &name("shop"), &name("checkout"));
        assert_eq!(&*address, "ksa.main/shop/checkout");
        assert_eq!(address.cluster(), Some("main"));
        assert_eq!(&*address.in_cluster("*"), "ksa.*/shop/checkout");
        assert_eq!(
            &*Address::cluster_pool("main").in_cluster("edge"),
            "cluster.edge"
        );
        for target in ["ksa", "ksa.main", "ksa.main/shop", "ksa.main/shop/checkout"] {
            assert!(address.is_in(target), "{target}");
        }
        for target in [
            "ksa.mai",
            "ksa.main/shop/check",
            "gsa",
            "ksa.main/shop/checkout/x",
        ] {
            assert!(!address.is_in(target), "{target}");
        }
        let project = ProjectId::parse("acme-prod").expect("a project");
        let key = BindingKey {
            resource: Resource::Project(project),
            role: Role::parse("roles/viewer").expect("a role"),
            condition: condition("until-2027", "", "false"),
            member: ksa("acme-prod.svc.id.goog", "shop", "web"),
        };
        let address = Address::binding(&key, |_| unreachable!("no account"));
        let text = "grant.acme-prod/shop/web:roles/viewer@project/acme-prod?until-2027";
        assert!(address.is_in(text) && address.is_in("grant.acme-prod/shop/web"));
        assert!(address.starts_with(&format!("{text}#")) && address.len() == text.len() + 9);
    }

    #[test]
    fn address_is_read_only_in_its_form() {
        for bad in [
            "",
            "gsa",
            "gsa.",
            "gsa.a/b",
            "ksa.main/shop",
            "ksa.main//x",
            "vault.x",
            "grant.x",
            "the plan as a whole",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
