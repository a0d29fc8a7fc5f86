//! Members of policies: who has a role.
//!
//! Their forms come from <https://cloud.google.com/iam/docs/principal-identifiers>. The two spellings of a
//! Kubernetes service account are one [`Member::Ksa`], so that comparing two members compares identities.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ClusterPath, Email, KubeName};

/// A Kubernetes service account as IAM knows it: the same in every cluster of the pool's project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KsaIdentity {
    /// The workload pool, `PROJECT.svc.id.goog`.
    pub pool: String,
    /// The namespace.
    pub namespace: String,
    /// The service account's name.
    pub name: String,
}

impl KsaIdentity {
    /// `pool` is the workload pool, `PROJECT.svc.id.goog`.
    pub fn new(
        pool: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            pool: pool.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// `serviceAccount:POOL[NS/KSA]`, the spelling used on a Google service account's own policy.
    pub fn legacy_member(&self) -> String {
        format!(
            "serviceAccount:{}[{}/{}]",
            self.pool, self.namespace, self.name
        )
    }

    /// `principal://…/subject/ns/NS/sa/KSA`, the spelling used for direct grants.
    ///
    /// `number` is the project number of the pool's project.
    pub fn principal(&self, number: u64) -> String {
        format!(
            "principal://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{}/subject/ns/{}/sa/{}",
            self.pool, self.namespace, self.name
        )
    }
}

impl fmt::Display for KsaIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = self.pool.strip_suffix(".svc.id.goog").unwrap_or(&self.pool);
        write!(f, "{pool}/{}/{}", self.namespace, self.name)
    }
}

/// Many Kubernetes service accounts of one GKE workload pool, as one member of a policy. It is the same one by
/// whatever number its project is written with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KsaSet {
    /// The workload pool, `PROJECT.svc.id.goog`.
    pub pool: String,
    /// `*`, `namespace/NS`, `kubernetes.cluster/URL`, or `kubernetes.serviceaccount.uid/UID`, which is one account.
    pub set: String,
}

/// What a cluster's URL begins with in a set.
const CLUSTER_SET: &str = "kubernetes.cluster/https://container.googleapis.com/v1/";
const UID_SET: &str = "kubernetes.serviceaccount.uid/";

impl KsaSet {
    /// All of a pool.
    pub fn of_pool(pool: String) -> Self {
        let set = "*".to_owned();
        Self { pool, set }
    }

    /// All of a namespace.
    pub fn of_namespace(pool: String, namespace: &KubeName) -> Self {
        let set = format!("namespace/{namespace}");
        Self { pool, set }
    }

    /// All of a cluster.
    pub fn of_cluster(cluster: &ClusterPath) -> Self {
        Self {
            pool: cluster.project.workload_pool(),
            set: format!("{CLUSTER_SET}{cluster}"),
        }
    }

    /// The namespace, where it is the set of one.
    pub fn namespace(&self) -> Option<&str> {
        self.set.strip_prefix("namespace/")
    }

    /// As IAM has it; `number` is the project number of the pool's project.
    pub fn member(&self, number: u64) -> String {
        let kind = match self.set.starts_with(UID_SET) {
            true => "principal",
            false => "principalSet",
        };
        format!(
            "{kind}://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{}/{}",
            self.pool, self.set
        )
    }

    /// As the spec has it among the `users` of an account, where it has a word for it.
    pub fn as_user(&self) -> Option<String> {
        let project = self.pool.strip_suffix(".svc.id.goog")?;
        if let Some(path) = self.set.strip_prefix(CLUSTER_SET) {
            let mut parts = path.split('/');
            let mut named = |what: &str| parts.next().filter(|p| *p == what).and(parts.next());
            let (project, location) = (named("projects")?, named("locations")?);
            return Some(format!(
                "cluster/{project}/{location}/{}",
                named("clusters")?
            ));
        }
        match self.namespace() {
            Some(namespace) => Some(format!("{project}/{namespace}/*")),
            None => (self.set == "*").then(|| format!("{project}/*/*")),
        }
    }
}

impl fmt::Display for KsaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "principalSet:{}/{}", self.pool, self.set)
    }
}

/// A member of a policy binding, as an identity: two spellings of one identity compare equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Member {
    /// A Google service account.
    ServiceAccount(Email),
    /// A Kubernetes service account, in either spelling.
    Ksa(KsaIdentity),
    /// Many Kubernetes service accounts of one workload pool.
    Set(KsaSet),
    /// `deleted:serviceAccount:EMAIL?uid=ID`.
    DeletedServiceAccount {
        /// The email that the account had.
        email: String,
        /// Its unique id.
        uid: String,
    },
    /// Anything else, as it is written (`user:`, `group:`, `principalSet://` of other pools …).
    Other(String),
}

impl Member {
    /// Reads any member string; what is not recognised is kept as [`Member::Other`].
    pub fn parse(s: &str) -> Self {
        if let Some(rest) = s.strip_prefix("serviceAccount:") {
            if let Some((pool, subject)) = rest.strip_suffix(']').and_then(|r| r.split_once('['))
                && let Some((ns, name)) = subject.split_once('/')
            {
                return Self::Ksa(KsaIdentity {
                    pool: pool.to_owned(),
                    namespace: ns.to_owned(),
                    name: name.to_owned(),
                });
            }
            return match Email::parse(rest) {
                Ok(email) => Self::ServiceAccount(email),
                Err(_) => Self::Other(s.to_owned()),
            };
        }
        if let Some(rest) = s.strip_prefix("deleted:serviceAccount:")
            && let Some((email, uid)) = rest.split_once("?uid=")
        {
            return Self::DeletedServiceAccount {
                email: email.to_ascii_lowercase(),
                uid: uid.to_owned(),
            };
        }
        Self::parse_principal(s).unwrap_or_else(|| Self::Other(s.to_owned()))
    }

    fn parse_principal(s: &str) -> Option<Self> {
        let (kind, rest) = s.split_once("://iam.googleapis.com/projects/")?;
        let (number, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("locations/global/workloadIdentityPools/")?;
        let (pool, rest) = rest.split_once('/')?;
        if !pool.ends_with(".svc.id.goog") {
            return None;
        }
        let is_set = match kind {
            "principal" => rest.starts_with(UID_SET),
            "principalSet" => number.bytes().all(|b| b.is_ascii_digit()),
            _ => return None,
        };
        if is_set {
            let (pool, set) = (pool.to_owned(), rest.to_owned());
            return Some(Self::Set(KsaSet { pool, set }));
        }
        if kind == "principalSet" {
            return None;
        }
        let (ns, name) = rest.strip_prefix("subject/ns/")?.split_once("/sa/")?;
        Some(Self::Ksa(KsaIdentity {
            pool: pool.to_owned(),
            namespace: ns.to_owned(),
            name: name.to_owned(),
        }))
    }

    /// The project number in a member of a workload pool, as it is written.
    pub fn number_in(s: &str) -> Option<u64> {
        let (_, rest) = s.split_once("://iam.googleapis.com/projects/")?;
        rest.split('/').next()?.parse().ok()
    }

    /// Whether a GKE workload pool is behind this member: one account, a namespace, a cluster or all.
    pub fn is_gke_pool_member(&self) -> bool {
        match self {
            Self::Ksa(_) | Self::Set(_) => true,
            Self::Other(s) => {
                (s.starts_with("principalSet://iam.googleapis.com/")
                    || s.starts_with("principal://iam.googleapis.com/"))
                    && s.contains(".svc.id.goog/")
            }
            _ => false,
        }
    }
}

impl fmt::Display for Member {
    /// Short, for people: not the spelling that the API takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount(email) => write!(f, "{email}"),
            Self::Ksa(ksa) => write!(f, "{ksa}"),
            Self::Set(set) => write!(f, "{set}"),
            Self::DeletedServiceAccount { email, uid } => write!(f, "deleted {email} ({uid})"),
            Self::Other(s) => f.write_str(s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ProjectId;

    #[test]
    fn both_spellings_of_a_ksa_are_one_identity() {
        let ksa = KsaIdentity {
            pool: "acme-prod.svc.id.goog".into(),
            namespace: "shop".into(),
            name: "checkout".into(),
        };
        assert_eq!(
            Member::parse(&ksa.legacy_member()),
            Member::Ksa(ksa.clone())
        );
        assert_eq!(Member::parse(&ksa.principal(42)), Member::Ksa(ksa));
    }

    #[test]
    fn other_members_are_told_apart() {
        assert!(matches!(
            Member::parse("serviceAccount:A@p-12345.iam.gserviceaccount.com"),
            Member::ServiceAccount(e) if e.as_str() == "a@p-12345.iam.gserviceaccount.com"
        ));
        assert!(matches!(
            Member::parse("deleted:serviceAccount:a@b.c?uid=12"),
            Member::DeletedServiceAccount { .. }
        ));
        let set = Member::parse(
            "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog/namespace/x",
        );
        assert!(set.is_gke_pool_member());
        assert!(!Member::parse("user:a@b.c").is_gke_pool_member());
    }

    #[test]
    fn sets_of_a_pool_are_the_same_by_any_number_and_have_a_short_word() {
        let pool = "acme-prod.svc.id.goog";
        let cluster = ClusterPath {
            project: ProjectId::parse("acme-prod").expect("a project"),
            location: "europe-west1".to_owned(),
            name: "main".to_owned(),
        };
        let namespace = KubeName::label("tools").expect("a name");
        for (set, word) in [
            (KsaSet::of_pool(pool.to_owned()), Some("acme-prod/*/*")),
            (
                KsaSet::of_namespace(pool.to_owned(), &namespace),
                Some("acme-prod/tools/*"),
            ),
            (
                KsaSet::of_cluster(&cluster),
                Some("cluster/acme-prod/europe-west1/main"),
            ),
            (
                KsaSet {
                    pool: pool.to_owned(),
                    set: "kubernetes.serviceaccount.uid/12-34".to_owned(),
                },
                None,
            ),
        ] {
            assert_eq!(set.as_user().as_deref(), word);
            for number in [1, 2] {
                let member = Member::parse(&set.member(number));
                assert!(member.is_gke_pool_member());
                assert_eq!(member, Member::Set(set.clone()));
            }
        }
        let other = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/*";
        assert_eq!(Member::parse(other), Member::Other(other.to_owned()));
    }
}
