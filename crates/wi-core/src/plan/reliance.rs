//! What live annotations rely on that this spec does not write: those of Kubernetes service accounts that are
//! only referred to (`existing: true`), until they read as they are to be; and those on clusters that have
//! dropped out of the spec.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::checks::unmanaged_clusters::marked;
use crate::address::{BindingKey, KsaKey};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::names::{ClusterPath, Email, KsaIdentity, Member};
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;

/// Whose annotation relies on something.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// One that others write.
    Existing(&'a KsaKey),
    /// One on a cluster that is not in the spec any more.
    Dropped(&'a ClusterPath, &'a ObjectMeta),
}

/// Who relies on what.
#[derive(Debug, Default)]
pub(super) struct Reliance<'a> {
    /// Accounts that are still in an annotation, and those identities.
    accounts: BTreeMap<Email, BTreeMap<KsaIdentity, By<'a>>>,
    /// Identities that still act as themselves.
    themselves: BTreeMap<&'a KsaIdentity, By<'a>>,
    /// Accounts that the spec has: what it takes from them is taken from whoever acts as them.
    declared: BTreeSet<&'a Email>,
}

impl<'a> Reliance<'a> {
    pub(super) fn of(desired: &'a Desired, live: &'a Live) -> Self {
        let mut reliance = Self {
            declared: desired.accounts.values().map(|a| &a.email).collect(),
            ..Self::default()
        };
        reliance.add_dropped(desired, live);
        for (key, ksa) in desired.ksas.iter().filter(|(_, ksa)| ksa.existing) {
            let objects = live.kubernetes.get(&key.cluster).and_then(Seen::found);
            let name = (key.namespace.to_string(), key.name.to_string());
            let Some(there) = objects.and_then(|o| o.service_accounts.get(&name)) else {
                continue;
            };
            let now = there.annotations.get(GSA_ANNOTATION).map(String::as_str);
            let wanted = ksa.account.as_ref().map(Email::as_str);
            let by = By::Existing(key);
            match now.filter(|now| !now.is_empty()) {
                now if now == wanted => {}
                None => {
                    reliance.themselves.insert(&ksa.identity, by);
                }
                Some(now) => {
                    if let Ok(account) = Email::parse(now) {
                        let users = reliance.accounts.entry(account).or_default();
                        users.insert(ksa.identity.clone(), by);
                    }
                }
            }
        }
        reliance
    }

    fn add_dropped(&mut self, desired: &Desired, live: &'a Live) {
        for outside in &live.outside {
            for meta in marked(outside, &desired.owner) {
                let account = meta.annotations.get(GSA_ANNOTATION);
                let Some(account) = account.and_then(|a| Email::parse(a).ok()) else {
                    continue; // it acts as itself, and what it has stays where its identity is elsewhere
                };
                let identity = KsaIdentity {
                    pool: outside.path.project.workload_pool(),
                    namespace: meta.namespace.clone(),
                    name: meta.name.clone(),
                };
                let by = By::Dropped(&outside.path, meta);
                self.accounts
                    .entry(account)
                    .or_default()
                    .insert(identity, by);
            }
        }
    }

    /// Who relies on an account.
    pub(super) fn on_account(&self, email: &Email) -> Option<By<'a>> {
        let users = self.accounts.get(email)?.values().copied();
        let is_declared = self.declared.contains(email);
        let mut users = users.filter(|by| !is_declared || matches!(by, By::Existing(_)));
        users.next()
    }

    /// Who relies on a member of a policy.
    pub(super) fn on_binding(&self, key: &BindingKey) -> Option<By<'a>> {
        match (&key.member, &key.resource) {
            (Member::ServiceAccount(email), _) => self.on_account(email),
            (Member::Ksa(ksa), Resource::ServiceAccount(email)) if key.is_impersonation() => {
                self.accounts.get(email)?.get(ksa).copied()
            }
            (Member::Ksa(ksa), _) => self.themselves.get(ksa).copied(),
            _ => None,
        }
    }
}

/// What is said of what stays.
pub(super) fn is_kept(what: &str, by: By<'_>) -> String {
    let (relies, once) = match by {
        By::Existing(ksa) => (
            format!("the annotation of {ksa}, which others write (`existing: true`), relies on it"),
            "that reads as it is to be",
        ),
        By::Dropped(cluster, ksa) => (
            format!(
                "the service account {}/{} on {cluster}, which is not in the spec any more, relies on it",
                ksa.namespace, ksa.name
            ),
            "it is gone or released",
        ),
    };
    kept(what, relies, once)
}

fn kept(what: &str, relies: impl fmt::Display, once: &str) -> String {
    format!(
        "{what} stays, though the spec does not ask for it: {relies}. Once {once}, plan again: then it is removed"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::live::{Outside, Seen};
    use crate::names::ClusterPath;
    use crate::plan::Plan;
    use crate::plan::fixture::{Case, HEAD, marked};

    const WEB: &str = "serviceAccount:acme-prod.svc.id.goog[apps/web]";
    const BACKEND: &str = "serviceaccount/backend@acme-prod.iam.gserviceaccount.com";
    const USER: &str = "roles/iam.workloadIdentityUser";
    const LOGS: &str = "roles/logging.logWriter";

    /// `apps/web` on a cluster that has dropped out, annotated with this account.
    fn case(spec: &str, account: Option<&str>) -> Case {
        let mut case = Case::of(&format!("{HEAD}{spec}"));
        case.account("backend", json!({ "description": "[wi:shop]" }));
        case.grant(BACKEND, USER, WEB);
        case.ksa("main", "apps", "web", marked(account, true));
        let path = case.desired.clusters["main"].path.clone();
        // The same object, on another cluster.
        let Some(Seen::Found(objects)) = case.live.kubernetes.get_mut("main") else {
            panic!("it was read");
        };
        let there = std::mem::take(&mut objects.service_accounts);
        case.live.outside.push(Outside {
            cluster: crate::wire::container::Cluster::default(),
            path: ClusterPath {
                name: "edge".to_owned(),
                ..path
            },
            service_accounts: Seen::Found(there.into_values().collect()),
        });
        case
    }

    fn told<'a>(plan: &'a Plan, words: &str) -> Vec<&'a String> {
        plan.warnings.iter().filter(|w| w.contains(words)).collect()
    }

    #[test]
    fn what_pods_on_a_cluster_that_dropped_out_rely_on_stays_and_is_told() {
        // The account is in the spec, and nobody on its clusters acts as it.
        let plan = case("googleServiceAccounts: { backend: {} }\n", Some("backend")).plan();
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
        let dropped = told(&plan, "was in this spec and is not any more");
        assert_eq!(dropped.len(), 1, "{:?}", plan.warnings);
        assert!(dropped[0].contains("edge") && dropped[0].contains("apps/web as backend@"));
        assert_eq!(
            told(&plan, "stays, though the spec does not ask for it").len(),
            1
        );
        // Nor is the account itself ended.
        let plan = case("", Some("backend")).plan();
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
    }

    #[test]
    fn what_the_spec_takes_from_an_account_that_it_has_is_taken_from_all() {
        let spec = "googleServiceAccounts: { backend: {} }\n";
        let mut case = case(spec, Some("backend"));
        let member = "serviceAccount:backend@acme-prod.iam.gserviceaccount.com";
        case.grant("project/acme-prod", LOGS, member);
        let plan = case.plan();
        assert_eq!(plan.counts().destroy, 1, "{:?}", plan.changes.keys());
    }
}
