//! Pods that have a token of their former identity, and keep it until it expires or they restart; and
//! those that a new identity does not reach.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::impact::Workload;
use super::{Edit, Ksa, KsaAfter, Plan};
use crate::access::{self, Credential, Given, MetadataServer, WhyNot};
use crate::address::{Address, WorkloadKey};
use crate::live::{ConfigMaps, Live, Seen};
use crate::wire::pods::PodSpec;

/// Workloads of one Kubernetes service account whose identity changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Restart {
    /// The spec's name of the cluster.
    pub cluster: String,
    /// What to restart.
    pub workload: Workload,
}

pub(super) fn list(live: &Live, plan: &mut Plan) {
    let mut restarts = BTreeSet::new();
    let mut unreached = BTreeSet::new();
    let mut unread: BTreeMap<(&str, &str), Vec<&Address>> = BTreeMap::new();
    for (address, change) in &plan.changes {
        let Edit::Ksa(ksa) = &change.edit else {
            continue;
        };
        let gets_another = gets_another(ksa, &plan.owner);
        if !(gets_another || is_adopted(ksa, &plan.owner))
            || plan.losing_identity.contains_key(address)
        {
            continue;
        }
        let key = &ksa.key;
        let objects = live.kubernetes.get(&key.cluster).and_then(Seen::found);
        let workloads = match objects.and_then(|o| o.workloads.as_ref()) {
            Some(Ok(workloads)) => workloads,
            Some(Err(why)) => {
                unread.entry((&key.cluster, why)).or_default().push(address);
                continue;
            }
            None => continue,
        };
        for pod in &workloads.pods {
            if pod.metadata.namespace != key.namespace.as_str()
                || pod.service_account() != key.name.as_str()
                || pod.status.phase != "Running"
            {
                continue;
            }
            let workload = Workload::of(pod);
            // It has a key, which its template is to lose by this plan, or by a later one.
            if leaves_its_key(plan, &key.cluster, &workload) {
                continue;
            }
            if let Some(why) =
                is_unreached(&pod.spec, &pod.metadata.namespace, &workloads.config_maps)
            {
                unreached.insert(format!(
                    "{} {}/{} in cluster.{} {why}",
                    workload.kind, workload.namespace, workload.name, key.cluster
                ));
                continue;
            }
            let pool = workloads.pool_of_node.get(&pod.spec.node_name);
            if gets_another
                && pool.is_none_or(|pool| uses_own_identity(&key.cluster, pool, live))
                && !pool.is_some_and(|pool| {
                    plan.changes
                        .contains_key(&Address::node_pool(&key.cluster, pool))
                })
            {
                restarts.insert(Restart {
                    cluster: key.cluster.clone(),
                    workload,
                });
            }
        }
    }
    let unread = unread.into_iter().map(|((cluster, why), ksas)| {
        let ksas: Vec<&str> = ksas.into_iter().map(|a| &**a).collect();
        // Each cause is told once.
        let told = plan.unseen.iter().any(|unseen| *unseen.why == *why);
        let why = if told { "its pods could not be read" } else { why };
        format!(
            "which pods in cluster.{cluster} have to be restarted for their new identity, and which it does not reach, is not known: {why}. It concerns {}",
            ksas.join(", ")
        )
    });
    let told: Vec<String> = unread.chain(unreached).collect();
    for warning in told {
        if !plan.warnings.contains(&warning) {
            plan.warnings.push(warning);
        }
    }
    // What runs to its end has its new identity the next time.
    restarts.retain(|r| !matches!(r.workload.kind.as_str(), "Job" | "CronJob"));
    plan.restarts = restarts.into_iter().collect();
}

/// Whether a workload is on its way off a key by this plan, or is held back on it.
fn leaves_its_key(plan: &Plan, cluster: &str, workload: &Workload) -> bool {
    let (Ok(namespace), Ok(name)) = (workload.namespace.parse(), workload.name.parse()) else {
        return false;
    };
    let template = WorkloadKey {
        cluster: cluster.to_owned(),
        namespace,
        kind: workload.kind.clone(),
        name,
    };
    let template = template.template();
    plan.changes.contains_key(&template) || plan.held_back.iter().any(|h| h.address == template)
}

/// Whether running pods may come to have another identity: none can run as an account that is not there, and
/// an account in other letters is no other one.
fn gets_another(ksa: &Ksa, owner: &str) -> bool {
    let lower = |account: Option<&str>| account.unwrap_or_default().to_ascii_lowercase();
    ksa.before.as_ref().is_some_and(|was| {
        ksa.changes_identity(owner) && lower(was.account()) != lower(ksa.account_after())
    })
}

/// Whether an account that others have made is given what the spec gives it: pods may run as it already.
fn is_adopted(ksa: &Ksa, owner: &str) -> bool {
    let stays = matches!(ksa.after, KsaAfter::Kept { .. });
    let was = ksa.before.as_ref();
    stays && was.is_some_and(|was| was.owner() != Some(owner))
}

/// Why the pod goes on as it does, whatever identity its service account is given.
pub(super) fn is_unreached(
    pod: &PodSpec,
    namespace: &str,
    config_maps: &ConfigMaps,
) -> Option<String> {
    if pod.host_network {
        return Some(
            "is on the host's network, where every pod is the node: the new identity of its service account is not for it"
                .to_owned(),
        );
    }
    let nobody = Given::Nobody(WhyNot::NoRoles);
    let containers = access::containers(pod, namespace, config_maps, MetadataServer::Gke(&nobody));
    let by = containers.iter().map(|c| match &c.credential {
        Credential::Own(own) => Some(own.to_string()),
        Credential::Unclear(doubt) => doubt.by().map(str::to_owned),
        Credential::None | Credential::Ignored { .. } => None,
    });
    let by: BTreeSet<String> = by.collect::<Option<_>>()?;
    (!by.is_empty()).then(|| {
        let by: Vec<String> = by.into_iter().collect();
        format!(
            "has a credentials file of its own, which wins over the metadata server ({}): it does not use the new identity of its service account until that is taken away",
            by.join("; ")
        )
    })
}

pub(super) fn uses_own_identity(cluster: &str, pool: &str, live: &Live) -> bool {
    let cluster = live.clusters.get(cluster).and_then(Seen::found);
    cluster.is_none_or(|cluster| {
        let found = cluster.node_pools.iter().find(|p| p.name == pool);
        found.is_none_or(|pool| !cluster.has_node_identity(pool))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::fixture::{Case, HEAD, email, marked};
    use crate::plan::restrict_to;

    fn case() -> Case {
        let spec = format!(
            "{HEAD}googleServiceAccounts: {{ backend: {{}} }}\nnamespaces: {{ apps: {{ serviceAccounts: {{ web: {{ impersonates: backend }} }} }} }}\n"
        );
        let mut case = Case::of(&spec);
        case.node_pool("main", "p", "GKE_METADATA", json!({}));
        case.ksa("main", "apps", "web", marked(None, false));
        case
    }

    #[test]
    fn pods_that_could_not_be_read_are_told_of_once() {
        let mut case = case();
        case.pods_unread("main");
        let mut plan = case.plan();
        restrict_to(&mut plan, &case.live, &["ksa.main/apps/web".to_owned()]);
        let told: Vec<&String> = plan
            .warnings
            .iter()
            .filter(|w| w.contains("have to be restarted"))
            .collect();
        assert_eq!(told.len(), 1, "{:?}", plan.warnings);
        assert!(
            told[0].contains("pods is forbidden. It concerns ksa.main/apps/web"),
            "{told:?}"
        );
    }

    #[test]
    fn an_account_in_other_letters_is_no_new_identity() {
        let mut case = case();
        let mut annotations = marked(None, false);
        annotations[crate::desired::GSA_ANNOTATION] = email("backend")
            .as_str()
            .replace("backend", "Backend")
            .into();
        case.ksa("main", "apps", "web", annotations);
        case.pod(
            "main",
            ["apps", "StatefulSet", "web"],
            "web",
            "p",
            json!({}),
        );
        let plan = case.plan();
        assert!(
            plan.changes.contains_key("ksa.main/apps/web"),
            "it is written as IAM has it"
        );
        assert!(plan.restarts.is_empty(), "{:?}", plan.restarts);
        case.ksa("main", "apps", "web", marked(Some("other-one"), false));
        assert_eq!(case.plan().restarts.len(), 1);
    }

    #[test]
    fn pods_that_what_the_spec_gives_does_not_reach_are_told_when_their_account_is_adopted() {
        let spec = format!(
            "{HEAD}namespaces: {{ apps: {{ serviceAccounts: {{ web: {{ grants: [roles/logging.logWriter] }} }} }} }}\n"
        );
        let mut case = Case::of(&spec);
        case.node_pool("main", "p", "GKE_METADATA", json!({}));
        case.ksa("main", "apps", "web", json!({}));
        let host = json!({ "hostNetwork": true, "containers": [{ "name": "main" }] });
        case.pod("main", ["apps", "DaemonSet", "agent"], "web", "p", host);
        case.pod(
            "main",
            ["apps", "StatefulSet", "web"],
            "web",
            "p",
            json!({}),
        );
        let plan = case.plan();
        let told: Vec<_> = plan
            .warnings
            .iter()
            .filter(|w| w.contains("the host's network"))
            .collect();
        assert_eq!(told.len(), 1, "{:?}", plan.warnings);
        assert!(told[0].starts_with("DaemonSet apps/agent"), "{told:?}");
        assert!(plan.restarts.is_empty(), "a role reaches a pod that runs");
        case.ksa("main", "apps", "web", marked(None, true));
        let told = case.plan().warnings;
        assert!(
            !told.iter().any(|w| w.contains("the host's network")),
            "told once: {told:?}"
        );
    }
}
