//! Annotations are access: Kubernetes service accounts that stop acting as a Google one, and get nothing in
//! its place, with the workloads that are nobody then.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::impact::left::Left;
use super::restarts::{is_unreached, uses_own_identity};
use super::{Action, Edit, Ksa, KsaAfter, Plan, Workload};
use crate::access::{self, Given};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::{Live, Seen, Workloads};
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;

/// A Kubernetes service account whose annotation goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityLoss {
    /// As IAM knows it.
    pub identity: KsaIdentity,
    /// The spec's name of the cluster.
    pub cluster: String,
    /// The Google service account that it acts as until then.
    pub account: Email,
    /// Whose pods act as that now.
    pub workloads: BTreeSet<Workload>,
    /// Why those are not known.
    pub unread: Option<String>,
}

/// What the changes of `plan` take from Kubernetes service accounts, by the addresses of those.
pub(super) fn find(
    desired: &Desired,
    live: &Live,
    now: Option<Timestamp>,
    plan: &Plan,
) -> BTreeMap<Address, IdentityLoss> {
    // What the plan leaves is made for those alone that are given back: most plans have none.
    let after = LazyCell::new(|| Left::by(plan, live));
    let edits = plan.changes.iter();
    edits
        .filter_map(|(address, change)| match &change.edit {
            Edit::Ksa(ksa) => {
                let is_given_back = matches!(ksa.gives_back(), Some(Some(_)));
                let is_nobody = || {
                    is_given_back && given_back_to_nobody(ksa, desired, live, after.live(live), now)
                };
                Some((address.clone(), loss(ksa, desired, live, is_nobody)?))
            }
            _ => None,
        })
        .collect()
}

/// Whether the account that one acted as before this spec does not let it act any more, or gives no token.
fn given_back_to_nobody(
    ksa: &Ksa,
    desired: &Desired,
    live: &Live,
    after: &Live,
    now: Option<Timestamp>,
) -> bool {
    let (Some(Some(account)), Some(was)) = (ksa.gives_back(), &ksa.before) else {
        return false;
    };
    let (Some(cluster), Ok(email)) = (
        desired.clusters.get(&ksa.key.cluster),
        Email::parse(account),
    ) else {
        return false;
    };
    let policy = after.policy(&Resource::ServiceAccount(email));
    if !matches!(policy, Some(Seen::Found(_) | Seen::Absent)) {
        return false; // nothing is claimed of what was not read
    }
    let project = &cluster.path.project;
    let there = access::Ksa {
        identity: &ksa.key.identity(project),
        cluster: &cluster.path,
        number: live.numbers.get(project).and_then(Seen::found).copied(),
        uid: &was.uid,
        annotation: Some(account),
    };
    matches!(
        access::by_metadata_server(after, &there, now),
        Given::Nobody(_)
    )
}

fn loss(
    ksa: &Ksa,
    desired: &Desired,
    live: &Live,
    is_nobody: impl FnOnce() -> bool,
) -> Option<IdentityLoss> {
    let account = ksa.account_before()?;
    if ksa.account_after().is_some_and(|after| !after.is_empty()) && !is_nobody() {
        return None;
    }
    let key = &ksa.key;
    let stays = matches!(ksa.after, KsaAfter::Kept { .. });
    if stays && desired.ksas.get(key).is_some_and(|k| k.has_direct_grants) {
        return None; // it acts as itself
    }
    let cluster = &desired.clusters.get(&key.cluster)?.path;
    let (workloads, unread) = match who_acts(ksa, live) {
        Ok(workloads) => (workloads, None),
        Err(why) => (BTreeSet::new(), Some(why)),
    };
    Some(IdentityLoss {
        identity: key.identity(&cluster.project),
        cluster: key.cluster.clone(),
        account,
        workloads,
        unread,
    })
}

/// Whose pods have the identity of a service account, or why that is not known.
pub(super) fn who_acts(ksa: &Ksa, live: &Live) -> Result<BTreeSet<Workload>, String> {
    let objects = live.kubernetes.get(&ksa.key.cluster);
    match objects
        .and_then(Seen::found)
        .and_then(|o| o.workloads.as_ref())
    {
        Some(Ok(workloads)) => Ok(acting(ksa, workloads, live)),
        Some(Err(why)) => Err(why.to_string()),
        None => Err("they were not listed".to_owned()),
    }
}

/// Whose pods the metadata server takes for the account.
fn acting(ksa: &Ksa, workloads: &Workloads, live: &Live) -> BTreeSet<Workload> {
    let (namespace, name) = (ksa.key.namespace.as_str(), ksa.key.name.as_str());
    let on_its_own = |node: &str| {
        let pool = workloads.pool_of_node.get(node);
        pool.is_none_or(|pool| uses_own_identity(&ksa.key.cluster, pool, live))
    };
    let pods = workloads.pods.iter().filter(|pod| {
        pod.metadata.namespace == namespace
            && pod.service_account() == name
            && !pod.has_ended()
            && on_its_own(&pod.spec.node_name)
            && is_unreached(&pod.spec, namespace, &workloads.config_maps).is_none()
    });
    let templates = workloads.templates.iter().filter(|t| {
        t.metadata.namespace == namespace
            && t.pod.service_account() == name
            && is_unreached(&t.pod, namespace, &workloads.config_maps).is_none()
    });
    let templates = templates.map(Workload::of_template);
    pods.map(Workload::of).chain(templates).collect()
}

impl Plan {
    /// What its changes take from Kubernetes service accounts.
    pub fn identity_losses(&self) -> impl Iterator<Item = &IdentityLoss> {
        let losses = self.losing_identity.iter();
        losses.filter_map(|(address, loss)| self.changes.contains_key(address).then_some(loss))
    }

    /// Of the identities that it takes, how many no removal says: those of service accounts that stay, where
    /// the right to act as the account stays, too.
    pub(super) fn untold_losses(&self) -> usize {
        let mut losses: BTreeMap<(&KsaIdentity, &Email), usize> = BTreeMap::new();
        for (address, loss) in &self.losing_identity {
            let change = self.changes.get(address);
            if change.is_some_and(|c| c.action() != Action::Delete) {
                *losses.entry((&loss.identity, &loss.account)).or_default() += 1;
            }
        }
        for change in self.changes.values() {
            if let Edit::Binding(binding) = &change.edit
                && let (Member::Ksa(identity), Resource::ServiceAccount(account)) =
                    (&binding.key.member, &binding.key.resource)
                && !binding.adds()
                && binding.key.is_impersonation()
                && let Some(count) = losses.get_mut(&(identity, account))
            {
                *count = count.saturating_sub(1);
            }
        }
        losses.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::fixture::{Case, HEAD, marked};
    use crate::plan::{Right, Subject};

    /// Ten service accounts that this spec has annotated, with a Deployment each.
    fn ten() -> Case {
        let mut case = Case::of(HEAD);
        case.node_pool("main", "p", "GKE_METADATA", json!({}));
        for n in 0..10 {
            let name = format!("web-{n}");
            case.ksa("main", "apps", &name, marked(Some("backend"), true));
            case.pod(
                "main",
                ["apps", "StatefulSet", &name],
                &name,
                "p",
                json!({}),
            );
        }
        case
    }

    #[test]
    fn identities_that_go_are_losses_that_name_workloads_and_count_in_the_brakes() {
        let plan = ten().plan();
        assert_eq!(plan.counts().change, 10, "they are released");
        let told: Vec<String> = plan.access().iter().map(|a| a.right.on_what()).collect();
        assert_eq!(told.len(), 10);
        assert_eq!(
            told[3],
            "backend@acme-prod.iam.gserviceaccount.com, as which these act: StatefulSet apps/web-3"
        );
        assert!(plan.restarts.is_empty(), "nothing is new for them");
        let brake = plan.errors.iter().find(|e| e.subject == Subject::Removals);
        let brake = &brake.expect("a brake").message;
        assert!(
            brake.starts_with(
                "it removes 10 of the 10 things that this spec owns (10 of these are the identities"
            ),
            "{brake}"
        );
    }

    #[test]
    fn one_identity_that_goes_is_told_and_stops_nothing() {
        let mut case = ten();
        let spec = format!(
            "{HEAD}googleServiceAccounts: {{ backend: {{ email: backend@acme-prod.iam.gserviceaccount.com }} }}\nnamespaces: {{ apps: {{ serviceAccounts: {{ {} }} }} }}\n",
            (1..10)
                .map(|n| format!("web-{n}: {{ impersonates: backend }}"))
                .chain(["web-0: {}".to_owned()])
                .collect::<Vec<_>>()
                .join(", ")
        );
        case = case.under(&spec);
        case.account("backend", json!({}));
        for n in 1..10 {
            let member = format!("serviceAccount:acme-prod.svc.id.goog[apps/web-{n}]");
            let account = "serviceaccount/backend@acme-prod.iam.gserviceaccount.com";
            case.grant(account, "roles/iam.workloadIdentityUser", &member);
        }
        let plan = case.plan();
        assert!(plan.errors.is_empty(), "{:?}", plan.errors);
        let losses: Vec<_> = plan.identity_losses().collect();
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert_eq!(losses[0].identity.name, "web-0");
    }

    #[test]
    fn whoever_acts_as_itself_or_another_afterwards_loses_no_identity() {
        let spec = format!(
            "{HEAD}googleServiceAccounts: {{ other-one: {{}} }}\nnamespaces: {{ apps: {{ serviceAccounts: {{ web-0: {{ grants: [roles/logging.logWriter] }}, web-1: {{ impersonates: other-one }} }} }} }}\n"
        );
        let mut case = Case::of(&spec);
        for name in ["web-0", "web-1"] {
            case.ksa("main", "apps", name, marked(Some("backend"), true));
        }
        let plan = case.plan();
        assert_eq!(plan.identity_losses().count(), 0, "{plan:?}");
    }

    #[test]
    fn pods_that_could_not_be_read_are_not_claimed_to_be_none() {
        let mut case = ten();
        case.pods_unread("main");
        let plan = case.plan();
        assert_eq!(plan.identity_losses().count(), 10);
        for row in plan.access() {
            let Right::Identity { workloads, .. } = &row.right else {
                panic!("{row:?}");
            };
            assert_eq!(workloads, &Err("pods is forbidden".to_owned()));
        }
    }

    #[test]
    fn a_pod_with_a_credential_of_its_own_loses_nothing() {
        let mut case = ten();
        let host = json!({ "hostNetwork": true, "containers": [{ "name": "main" }] });
        case.pod("main", ["apps", "DaemonSet", "agent"], "web-0", "p", host);
        let key = json!({ "containers": [{ "name": "main",
            "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/k.json" }],
            "volumeMounts": [{ "name": "keys", "mountPath": "/keys" }] }],
            "volumes": [{ "name": "keys", "secret": { "secretName": "keys" } }] });
        case.pod("main", ["apps", "StatefulSet", "keyed"], "web-0", "p", key);
        let plan = case.plan();
        let loss = plan.identity_losses().find(|l| l.identity.name == "web-0");
        let names: Vec<&str> = loss
            .iter()
            .flat_map(|l| &l.workloads)
            .map(|w| w.name.as_str())
            .collect();
        assert_eq!(names, ["web-0"]);
    }
}
