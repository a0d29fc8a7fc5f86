//! Whose access is asked for, as users write it.

use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind};

/// Whose access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// `[CLUSTER/]NS/KSA`
    Ksa {
        /// The spec's name of the cluster.
        cluster: Option<String>,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// `pod/NS/NAME`
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// `deploy/NS/NAME`, and the other kinds that make pods.
    Workload {
        /// Which.
        kind: &'static WorkloadKind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// `gsa/NAME`, or an email.
    Account(String),
}

/// A text that names nobody, safe on a terminal. For the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no subject. Write NAMESPACE/SERVICEACCOUNT, pod/NAMESPACE/NAME, deploy/NAMESPACE/NAME (or another workload), gsa/NAME or an email"
)]
pub struct NoSubject(String);

/// What users of kubectl write for a kind.
const SHORT: [(&str, &str); 7] = [
    ("deploy", "Deployment"),
    ("sts", "StatefulSet"),
    ("ds", "DaemonSet"),
    ("rs", "ReplicaSet"),
    ("job", "Job"),
    ("cj", "CronJob"),
    ("rc", "ReplicationController"),
];

impl Subject {
    /// Reads a subject.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, NoSubject> {
        if let Some(rest) = text.strip_prefix("ksa.") {
            return match rest.split('/').collect::<Vec<_>>().as_slice() {
                [cluster, namespace, name] => Ok(Self::ksa(Some(cluster), namespace, name)),
                _ => Err(refused(text)),
            };
        }
        if let Some(name) = text.strip_prefix("gsa.").filter(|n| !n.contains('/')) {
            return Ok(Self::Account(name.to_owned()));
        }
        let parts: Vec<&str> = text.split('/').collect();
        if parts
            .iter()
            .any(|p| p.is_empty() || p.contains(char::is_whitespace))
        {
            return Err(refused(text));
        }
        match parts.as_slice() {
            [email] if email.contains('@') => Ok(Self::Account((*email).to_owned())),
            ["gsa" | "serviceaccount", name] => Ok(Self::Account((*name).to_owned())),
            [namespace, name] => Ok(Self::ksa(None, namespace, name)),
            ["pod" | "po" | "pods", namespace, name] => Ok(Self::Pod {
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
            }),
            [kind, namespace, name] => Ok(match workload_kind(kind) {
                Some(kind) => Self::Workload {
                    kind,
                    namespace: (*namespace).to_owned(),
                    name: (*name).to_owned(),
                },
                None => Self::ksa(Some(kind), namespace, name),
            }),
            _ => Err(refused(text)),
        }
    }

    fn ksa(cluster: Option<&str>, namespace: &str, name: &str) -> Self {
        Self::Ksa {
            cluster: cluster.map(str::to_owned),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// `deploy`, `deployment`, `deployments`, in any case.
fn workload_kind(word: &str) -> Option<&'static WorkloadKind> {
    let word = word.to_ascii_lowercase();
    let short = SHORT.iter().find(|(short, _)| *short == word);
    let is_meant = |kind: &&WorkloadKind| match short {
        Some((_, name)) => kind.kind == *name,
        None => {
            let name = kind.kind.to_ascii_lowercase();
            word == name || word == format!("{name}s")
        }
    };
    static KINDS: &[WorkloadKind] = &WORKLOAD_KINDS;
    KINDS.iter().find(is_meant)
}

fn refused(text: &str) -> NoSubject {
    NoSubject(wi_core::words::safe(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_is_read_in_every_form() {
        let ksa = |cluster: Option<&str>| Subject::ksa(cluster, "shop", "web");
        let read = |text: &str| Subject::parse(text).expect(text);
        assert_eq!(read("shop/web"), ksa(None));
        assert_eq!(read("main/shop/web"), ksa(Some("main")));
        assert_eq!(read("ksa.main/shop/web"), ksa(Some("main")));
        assert!(matches!(read("pod/shop/web-1"), Subject::Pod { .. }));
        for word in ["deploy", "deployment", "Deployments"] {
            let read = read(&format!("{word}/shop/web"));
            assert!(matches!(read, Subject::Workload { kind, .. } if kind.kind == "Deployment"));
        }
        let email = "web@acme-prod.iam.gserviceaccount.com";
        for (text, name) in [("gsa/web", "web"), ("gsa.web", "web"), (email, email)] {
            assert_eq!(read(text), Subject::Account(name.to_owned()));
        }
        for wrong in ["", "web", "shop/", "a/b/c/d", "ksa.main/web", "shop/we b"] {
            assert!(Subject::parse(wrong).is_err(), "{wrong}");
        }
    }
}
