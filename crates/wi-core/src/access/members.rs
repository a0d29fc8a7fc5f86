//! Which members of policies mean a Kubernetes service account.

use crate::names::{ClusterPath, KsaIdentity, Member};

/// A Kubernetes service account of one cluster, as it is.
#[derive(Debug, Clone, Copy)]
pub struct Ksa<'a> {
    /// Whom IAM takes it for.
    pub identity: &'a KsaIdentity,
    /// Its cluster.
    pub cluster: &'a ClusterPath,
    /// The number of the cluster's project, where it is known.
    pub number: Option<u64>,
    /// Its uid; empty where there is no such account.
    pub uid: &'a str,
    /// `iam.gke.io/gcp-service-account`. An empty one is none, as to the metadata server.
    pub annotation: Option<&'a str>,
}

/// Whether a member is this Kubernetes service account, or a set that it is in.
///
/// The sets of GKE's own pool: of the whole pool, of a namespace, of one cluster, and the account by its
/// uid. <https://cloud.google.com/iam/docs/principal-identifiers>
pub fn covers(member: &str, ksa: &Ksa<'_>) -> bool {
    let KsaIdentity {
        pool, namespace, ..
    } = ksa.identity;
    match Member::parse(member) {
        // The number of another project makes it nobody, in this spelling, too.
        Member::Ksa(other) => {
            let number = member
                .strip_prefix("principal://iam.googleapis.com/projects/")
                .and_then(|rest| rest.split('/').next());
            let is_other = |n: u64| number.is_some_and(|given| given != n.to_string());
            other == *ksa.identity && !ksa.number.is_some_and(is_other)
        }
        Member::Set(_) | Member::Other(_) => {
            let Some((kind, rest)) = member.split_once("://iam.googleapis.com/projects/") else {
                return false;
            };
            let in_pool = format!("/locations/global/workloadIdentityPools/{pool}/");
            let Some((number, set)) = rest.split_once(in_pool.as_str()) else {
                return false;
            };
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            // A number of another project makes it nobody.
            if !is_number || ksa.number.is_some_and(|n| n.to_string() != number) {
                return false;
            }
            // Documentation writes the account by its uid either way.
            let is_uid = set
                .strip_prefix("kubernetes.serviceaccount.uid/")
                .is_some_and(|uid| !uid.is_empty() && uid == ksa.uid);
            match kind {
                "principal" => is_uid,
                "principalSet" => {
                    is_uid
                        || set == "*"
                        || set.strip_prefix("namespace/") == Some(namespace)
                        || set.strip_prefix("kubernetes.cluster/")
                            == Some(&cluster_url(ksa.cluster))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// A cluster as IAM calls it.
pub(super) fn cluster_url(c: &ClusterPath) -> String {
    format!(
        "https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
        c.project, c.location, c.name
    )
}

#[cfg(test)]
mod tests {
    use super::{Ksa, covers};
    use crate::names::{ClusterPath, KsaIdentity, ProjectId};

    const POOL: &str = "acme-prod.svc.id.goog";

    fn covered(member: &str) -> bool {
        let cluster = ClusterPath {
            project: ProjectId::parse("acme-prod").expect("an id"),
            location: "europe-west1".to_owned(),
            name: "main".to_owned(),
        };
        let ksa = Ksa {
            identity: &KsaIdentity::new(POOL, "apps", "web"),
            cluster: &cluster,
            number: Some(123),
            uid: "uid-1",
            annotation: None,
        };
        covers(member, &ksa)
    }

    #[test]
    fn a_service_account_is_itself_in_each_spelling_and_in_the_sets_that_it_is_in() {
        let of = |kind: &str, number: u32, pool: &str, who: &str| {
            format!(
                "{kind}://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{pool}/{who}"
            )
        };
        let url = |name: &str| {
            format!(
                "kubernetes.cluster/https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters/{name}"
            )
        };
        for (kind, who, is_covered) in [
            ("principal", "subject/ns/apps/sa/web", true),
            ("principal", "subject/ns/apps/sa/db", false),
            ("principal", "kubernetes.serviceaccount.uid/uid-1", true),
            ("principalSet", "kubernetes.serviceaccount.uid/uid-1", true),
            ("principal", "kubernetes.serviceaccount.uid/uid-2", false),
            ("principal", "kubernetes.serviceaccount.uid/", false),
            ("principal", "namespace/apps", false),
            ("principalSet", "namespace/apps", true),
            ("principalSet", "namespace/app", false),
            ("principalSet", "*", true),
            ("principalSet", &url("main"), true),
            ("principalSet", &url("far"), false),
        ] {
            assert_eq!(
                covered(&of(kind, 123, POOL, who)),
                is_covered,
                "{kind} {who}"
            );
            assert!(
                !covered(&of(kind, 124, POOL, who)),
                "of another project: {who}"
            );
            let other = "other-1.svc.id.goog";
            assert!(
                !covered(&of(kind, 123, other, who)),
                "of another pool: {who}"
            );
        }
        assert!(covered("serviceAccount:acme-prod.svc.id.goog[apps/web]"));
        assert!(!covered("serviceAccount:acme-prod.svc.id.goog[apps/db]"));
        assert!(!covered(
            "serviceAccount:web@acme-prod.iam.gserviceaccount.com"
        ));
    }
}
