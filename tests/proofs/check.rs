//! What holds of every sample of the access oracle, and of the end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;
use wi_sandbox::world::Policy;
use wi_sandbox::{Granted, PodAccess, Sample, Sandbox, Token};

use crate::generate::{Fleet, email, grants, in_short};

/// A workload in a cluster.
type WorkloadKey = (String, String, String);

fn key(pod: &PodAccess) -> WorkloadKey {
    (
        pod.cluster.clone(),
        pod.namespace.clone(),
        pod.workload.clone(),
    )
}

/// What all pods of each workload can do; `None` where one of them gets no token.
fn by_workload(pods: &[PodAccess]) -> BTreeMap<WorkloadKey, Option<BTreeSet<Granted>>> {
    let mut all: BTreeMap<WorkloadKey, Option<BTreeSet<Granted>>> = BTreeMap::new();
    for pod in pods {
        let roles = (!matches!(pod.token, Token::Refused(_))).then(|| pod.roles.clone());
        all.entry(key(pod))
            .and_modify(|known| {
                *known = match (known.take(), &roles) {
                    (Some(a), Some(b)) => Some(&a & b),
                    _ => None,
                };
            })
            .or_insert(roles);
    }
    all
}

/// No workload that has something at the start and at the end lacks it in between.
pub fn check_samples(
    fleet: &Fleet,
    samples: &[Sample],
    end: &[PodAccess],
) -> Result<(), TestCaseError> {
    let start = by_workload(&samples[0].pods);
    let end = by_workload(end);
    for sample in samples {
        for (workload, now) in by_workload(&sample.pods) {
            let (Some(start), Some(end)) = (&start[&workload], &end[&workload]) else {
                continue; // it had no token before, or is to have none
            };
            let kept = start & end;
            let Some(now) = now else {
                return Err(TestCaseError::fail(format!(
                    "after {}: {workload:?} gets no token\n{:#?}",
                    sample.after, sample.pods
                )));
            };
            let lost: Vec<&Granted> = kept.difference(&now).collect();
            prop_assert!(
                lost.is_empty(),
                "after {}: {:?} lost {:?}\n{:#?}",
                sample.after,
                workload,
                lost,
                sample.pods
            );
        }
    }
    // Whom the spec does not know keeps all, unless it was said that it need not.
    for (workload, before) in &start {
        let (_, namespace, name) = workload;
        if namespace != "other" {
            continue;
        }
        let accepted = (0..fleet.bystanders.len())
            .any(|i| fleet.bystanders[i].accepted && *name == format!("ReplicaSet/by{i}-66d9c"));
        // The oracle does not see the credentials file that the third kind has.
        let own_file = (0..fleet.bystanders.len())
            .any(|i| fleet.bystanders[i].kind == 3 && *name == format!("ReplicaSet/by{i}-66d9c"));
        if let (Some(before), false, false) = (before, accepted, own_file) {
            let after = end[workload].clone().unwrap_or_default();
            prop_assert!(
                before.is_subset(&after),
                "{:?} had {:?} and has {:?}",
                workload,
                before,
                after
            );
        }
    }
    Ok(())
}

/// On the GKE metadata server every declared access works, and nothing else does.
pub fn check_end(fleet: &Fleet, end: &[PodAccess]) -> Result<(), TestCaseError> {
    // A spec speaks of the resources that it grants on, and of its accounts' own projects.
    let wanted = fleet.accounts.iter().map(|a| a.wants);
    let direct = fleet.ksas.iter().filter_map(|k| k.wants.err());
    let looked_at: BTreeSet<&str> = wanted
        .chain(direct)
        .flat_map(grants)
        .map(|(_, resource)| resource)
        .chain(["project/acme-one"])
        .collect();
    for pod in end {
        let Some(k) = pod.service_account.strip_prefix("ksa") else {
            continue;
        };
        let ksa = &fleet.ksas[k.parse::<usize>().expect("its number")];
        let (mask, is_own) = match ksa.wants {
            Ok(account) => (
                fleet.accounts[account].wants,
                pod.token == Token::Account(email(account)),
            ),
            Err(mask) => (mask, matches!(pod.token, Token::Federated(_))),
        };
        if matches!(pod.token, Token::Node(_)) {
            continue; // its node pool is held back
        }
        prop_assert!(is_own, "{:?}", pod);
        let declared: BTreeSet<(&str, &str)> = grants(mask).collect();
        let has: BTreeSet<(&str, &str)> = pod
            .roles
            .iter()
            .map(|g| (g.role.as_str(), in_short(&g.resource)))
            .filter(|(_, resource)| looked_at.contains(resource))
            .collect();
        prop_assert_eq!(has, declared, "{:?}", pod);
    }
    Ok(())
}

/// All that belongs to others: members and conditions, audit settings, labels and annotations, whole
/// Kubernetes service accounts; a line each.
pub fn of_others(sandbox: &Sandbox) -> BTreeSet<String> {
    let world = sandbox.snapshot();
    let mut lines = BTreeSet::new();
    let mut policy = |resource: &str, policy: &Policy| {
        lines.extend(of_policy(resource, policy, is_managed));
    };
    for (project, held) in &world.projects {
        policy(project, &held.policy);
        for (account, held) in &held.service_accounts {
            policy(&format!("{project}/{account}"), &held.policy);
        }
    }
    for (bucket, held) in &world.buckets {
        policy(bucket, held.policy.as_ref().expect("a policy"));
    }
    for (resource, held) in &world.resources {
        policy(resource, &held.policy);
    }
    for cluster in &world.clusters {
        let name = &cluster.name;
        for (key, value) in &cluster.labels {
            lines.insert(format!("{name}: label {key}={value}"));
        }
        for pool in &cluster.node_pools {
            let surge = pool.upgrade.max_surge;
            lines.insert(format!("{name}: {} maxSurge {surge}", pool.name));
        }
        for (namespace, held) in &cluster.namespaces {
            let mut object = |what: String, texts: [&BTreeMap<String, String>; 2]| {
                for (key, value) in texts.into_iter().flatten() {
                    let ours = ["wi/", "iam.gke.io/", "app.kubernetes.io/managed-by"];
                    if what.ends_with("/theirs") || !ours.iter().any(|o| key.starts_with(o)) {
                        lines.insert(format!("{what}: {key}={value}"));
                    }
                }
                lines.insert(what);
            };
            let of_namespace = format!("{name}/{namespace}");
            object(of_namespace.clone(), [&held.labels, &held.annotations]);
            for (account, held) in &held.service_accounts {
                let of_account = format!("{of_namespace}/{account}");
                object(of_account, [&held.labels, &held.annotations]);
            }
        }
    }
    lines
}

/// Whether a member is a principal of the generated spec.
/// What of a policy is others': each member with its role and condition, and the audit settings; a line each.
pub fn of_policy(
    resource: &str,
    policy: &Policy,
    is_managed: impl Fn(&str) -> bool,
) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for binding in &policy.bindings {
        for member in binding.members.iter().filter(|m| !is_managed(m)) {
            let condition = binding.condition.as_ref();
            lines.insert(format!(
                "{resource}: {} to {member} if {condition:?}",
                binding.role
            ));
        }
    }
    for audit in &policy.audit_configs {
        lines.insert(format!("{resource}: {audit}"));
    }
    lines
}

fn is_managed(member: &str) -> bool {
    member.starts_with("serviceAccount:account")
        || member.contains(".svc.id.goog[")
        || member.starts_with("principal://")
}

/// Nothing that others had before is gone.
pub fn check_of_others(before: &BTreeSet<String>, sandbox: &Sandbox) {
    let after = of_others(sandbox);
    let lost: Vec<&String> = before.difference(&after).collect();
    assert!(lost.is_empty(), "lost: {lost:#?}");
}

/// No operation was begun twice.
pub fn check_operations(sandbox: &Sandbox) {
    let operations = sandbox.snapshot().operations;
    let different: BTreeSet<_> = operations
        .iter()
        .map(|o| (&o.operation_type, &o.project, &o.cluster, &o.node_pool))
        .collect();
    assert_eq!(different.len(), operations.len(), "{operations:#?}");
}

/// As [`check_operations`], where others begin operations too: those of `wi`, by what they change.
pub fn check_begun_once(sandbox: &Sandbox) {
    let calls = sandbox.calls();
    let mut begun: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for call in calls["calls"].as_array().expect("calls") {
        let body = &call["body"];
        let setting = match (
            &body["update"]["desiredWorkloadIdentityConfig"],
            &body["workloadMetadataConfig"],
        ) {
            (Value::Object(_), _) => "workload pool",
            (_, Value::Object(_)) => "metadata server",
            _ => continue,
        };
        if call["status"] == 200 {
            *begun
                .entry((call["path"].to_string(), setting))
                .or_default() += 1;
        }
    }
    assert!(begun.values().all(|n| *n == 1), "{begun:#?}");
}
