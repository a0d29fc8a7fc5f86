//! Members of policies: who has a role.
//!
//! Their forms come from <https://cloud.google.com/iam/docs/principal-identifiers>. The two spellings of a
//! Kubernetes service account are one [`Member::Ksa`], so that comparing two members compares identities.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Email;

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

/// A member of a policy binding, as an identity: two spellings of one identity compare equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Member {
    /// A Google service account.
    ServiceAccount(Email),
    /// A Kubernetes service account, in either spelling.
    Ksa(KsaIdentity),
    /// `deleted:serviceAccount:EMAIL?uid=ID`.
    DeletedServiceAccount {
        /// The email that the account had.
        email: String,
        /// Its unique id.
        uid: String,
    },
    /// Anything else, as it is written (`user:`, `group:`, `principalSet://` …).
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
        let rest = s.strip_prefix("principal://iam.googleapis.com/projects/")?;
        let (_number, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("locations/global/workloadIdentityPools/")?;
        let (pool, rest) = rest.split_once('/')?;
        if !pool.ends_with(".svc.id.goog") {
            return None;
        }
        let (ns, name) = rest.strip_prefix("subject/ns/")?.split_once("/sa/")?;
        Some(Self::Ksa(KsaIdentity {
            pool: pool.to_owned(),
            namespace: ns.to_owned(),
            name: name.to_owned(),
        }))
    }

    /// Whether a GKE workload pool is behind this member: one account, a namespace, a cluster or all.
    pub fn is_gke_pool_member(&self) -> bool {
        match self {
            Self::Ksa(_) => true,
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
            Self::DeletedServiceAccount { email, uid } => write!(f, "deleted {email} ({uid})"),
            Self::Other(s) => f.write_str(s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
