//! What holds of every sample of the access oracle, and of the end.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wi::sandbox::{Granted, PodAccess, Sample, Sandbox, Token};

use crate::generate::{Fleet, email, grants};

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
            .map(|g| (g.role.as_str(), g.resource.as_str()))
            .filter(|(_, resource)| looked_at.contains(resource))
            .collect();
        prop_assert_eq!(has, declared, "{:?}", pod);
    }
    Ok(())
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
