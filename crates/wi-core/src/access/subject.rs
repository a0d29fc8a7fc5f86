//! Whose access is asked for, as users write it.

use std::fmt;

use crate::wire::workloads::{WORKLOAD_KINDS, WorkloadKind};

/// Who, or a place where somebody may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of an identity, or of what runs as one.
    Subject(Subject),
    /// `nodepool/CLUSTER/POOL`: of whoever is root on a node of it.
    NodePool {
        /// The spec's name of the cluster, or `PROJECT/LOCATION/NAME`.
        cluster: String,
        /// Its name.
        pool: String,
    },
    /// `cluster/NAME`: of whoever is admin of it.
    Cluster(String),
}

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSubject {
    /// It is of no form.
    Form(String),
    /// It is a place, and nobody.
    Place(String),
}

impl fmt::Display for NoSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) => write!(
                f,
                "`{text}` is no subject. Write NAMESPACE/SERVICEACCOUNT, pod/NAMESPACE/NAME, deploy/NAMESPACE/NAME (or another workload), gsa/NAME or an email"
            ),
            Self::Place(text) => write!(
                f,
                "`{text}` is a place, and has no access itself: `wi access --of {text}` says what whoever controls it reaches"
            ),
        }
    }
}

impl std::error::Error for NoSubject {}

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

impl Whose {
    /// Reads whose access is meant: as people write it, or the address of a change.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, NoSubject> {
        let refused = || NoSubject::Form(crate::words::safe(text));
        if text.is_empty()
            || text.contains(char::is_whitespace)
            || text.split('/').any(str::is_empty)
        {
            return Err(refused());
        }
        if text.contains('@') && !text.contains('/') {
            return Ok(Self::Subject(Subject::Account(text.to_owned())));
        }
        // `gsa.web`, `gsa/web`.
        let (kind, rest) = text.split_once(['.', '/']).unwrap_or(("", text));
        let rest: Vec<&str> = rest.split('/').collect();
        let named = match (kind, rest.as_slice()) {
            ("cluster", [name]) => Some(Self::Cluster((*name).to_owned())),
            ("cluster", [_, _, _]) => Some(Self::Cluster(rest.join("/"))),
            ("nodepool", [cluster @ .., pool]) if matches!(cluster.len(), 1 | 3) => {
                Some(Self::NodePool {
                    cluster: cluster.join("/"),
                    pool: (*pool).to_owned(),
                })
            }
            ("gsa" | "serviceaccount", [name]) => {
                Some(Self::Subject(Subject::Account((*name).to_owned())))
            }
            ("pod" | "po" | "pods", [namespace, name]) => Some(Self::Subject(Subject::Pod {
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
            })),
            ("ksa", parts) => Some(Self::Subject(Subject::ksa(parts).ok_or_else(refused)?)),
            _ => None,
        };
        if let Some(named) = named {
            return Ok(named);
        }
        let parts: Vec<&str> = text.split('/').collect();
        if let [kind, namespace, name] = parts.as_slice()
            && let Some(kind) = workload_kind(kind)
        {
            return Ok(Self::Subject(Subject::Workload {
                kind,
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
            }));
        }
        Ok(Self::Subject(Subject::ksa(&parts).ok_or_else(refused)?))
    }
}

impl Subject {
    /// Reads a subject.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, NoSubject> {
        match Whose::parse(text)? {
            Whose::Subject(subject) => Ok(subject),
            Whose::NodePool { .. } | Whose::Cluster(_) => {
                Err(NoSubject::Place(crate::words::safe(text)))
            }
        }
    }

    /// `[CLUSTER/]NS/KSA`, with the spec's name of the cluster or `PROJECT/LOCATION/NAME`.
    fn ksa(parts: &[&str]) -> Option<Self> {
        let [cluster @ .., namespace, name] = parts else {
            return None;
        };
        matches!(cluster.len(), 0 | 1 | 3).then(|| Self::Ksa {
            cluster: (!cluster.is_empty()).then(|| cluster.join("/")),
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_is_read_in_every_form() {
        let ksa = |cluster: Option<&str>| Subject::Ksa {
            cluster: cluster.map(str::to_owned),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        };
        let read = |text: &str| Subject::parse(text).expect(text);
        for (text, cluster) in [
            ("shop/web", None),
            ("ksa/shop/web", None),
            ("main/shop/web", Some("main")),
            ("ksa.main/shop/web", Some("main")),
            (
                "ksa.p/europe-west1/main/shop/web",
                Some("p/europe-west1/main"),
            ),
            // A cluster may be called like a kind, and is none by its address.
            ("ksa.cluster/shop/web", Some("cluster")),
        ] {
            assert_eq!(read(text), ksa(cluster), "{text}");
        }
        for text in ["pod/shop/web-1", "pod.shop/web-1", "po/shop/web-1"] {
            assert!(matches!(read(text), Subject::Pod { .. }), "{text}");
        }
        for word in ["deploy", "deployment", "Deployments"] {
            let read = read(&format!("{word}/shop/web"));
            assert!(matches!(read, Subject::Workload { kind, .. } if kind.kind == "Deployment"));
        }
        let email = "cluster.web@acme-prod.iam.gserviceaccount.com";
        for (text, name) in [("gsa/web", "web"), ("gsa.web", "web"), (email, email)] {
            assert_eq!(read(text), Subject::Account(name.to_owned()));
        }
        for wrong in ["", "web", "shop/", "a/b/c/d", "ksa.web", "shop/we b", "//"] {
            let form = matches!(Subject::parse(wrong), Err(NoSubject::Form(_)));
            assert!(form, "{wrong}");
        }
    }

    #[test]
    fn places_are_read_and_have_no_access_themselves() {
        let pool = |cluster: &str| Whose::NodePool {
            cluster: cluster.to_owned(),
            pool: "general".to_owned(),
        };
        let cluster = |name: &str| Whose::Cluster(name.to_owned());
        for (text, whose) in [
            ("nodepool/main/general", pool("main")),
            ("nodepool.main/general", pool("main")),
            ("nodepool.p/l/main/general", pool("p/l/main")),
            ("cluster/main", cluster("main")),
            ("cluster.p/l/main", cluster("p/l/main")),
        ] {
            assert_eq!(Whose::parse(text), Ok(whose), "{text}");
            let refused = Subject::parse(text).expect_err(text).to_string();
            assert!(refused.contains("wi access --of"), "{refused}");
        }
    }
}
