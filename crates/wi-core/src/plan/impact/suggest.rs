//! The spec lines that would give the workloads that lose an identity one of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{NodeRoles, Workload};
use crate::desired::{Desired, DesiredKsa};
use crate::names::{Member, Role};
use crate::resource::Resource;

/// YAML that gives each one an identity that the spec gives none (empty: it gives all one), and YAML that accepts the loss instead.
pub(super) fn lines(
    desired: &Desired,
    cluster: &str,
    losing: &BTreeSet<&Workload>,
    roles: &NodeRoles,
) -> (String, String) {
    let mut accounts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    // What the spec has an identity for needs no other one: what that one lacks is told elsewhere.
    let members: BTreeSet<&Member> = desired.bindings.keys().map(|b| &b.member).collect();
    let is_somebody = |ksa: &DesiredKsa| {
        ksa.account.is_some() || members.contains(&Member::Ksa(ksa.identity.clone()))
    };
    let declared: BTreeSet<(&str, &str)> = desired
        .ksas
        .iter()
        .filter(|(key, ksa)| key.cluster == cluster && is_somebody(ksa))
        .map(|(key, _)| (key.namespace.as_str(), key.name.as_str()))
        .collect();
    let has_one = |w: &&&Workload| declared.contains(&(&*w.namespace, &*w.service_account));
    for w in losing.iter().filter(|w| !has_one(w)) {
        accounts
            .entry(&w.namespace)
            .or_default()
            .insert(&w.service_account);
    }
    let (grants, remark) = grants(desired, cluster, roles);
    let mut identity = String::new();
    if !accounts.is_empty() {
        identity.push_str("namespaces:\n");
    }
    for (namespace, accounts) in accounts {
        let _ = writeln!(identity, "  {namespace}:");
        let declared = desired
            .namespaces
            .keys()
            .any(|k| k.namespace.as_str() == namespace);
        if desired.clusters.len() > 1 && !declared {
            let _ = writeln!(identity, "    clusters: [{cluster}]");
        }
        let _ = writeln!(identity, "    serviceAccounts:");
        for account in accounts {
            let _ = writeln!(identity, "      {account}:");
            let _ = writeln!(identity, "        grants: [{grants}]  # {remark}");
        }
    }
    let mut accept = format!("clusters:\n  {cluster}:\n    acceptLoss:\n");
    for w in losing {
        let _ = writeln!(accept, "      - {}/{}/{}", w.namespace, w.kind, w.name);
    }
    (identity, accept)
}

/// What the node's account holds on the cluster's project, without the basic roles.
fn grants(desired: &Desired, cluster: &str, roles: &NodeRoles) -> (String, &'static str) {
    let NodeRoles::Known(held) = roles else {
        return ("ROLE".to_owned(), "the roles that it needs");
    };
    let project = Resource::Project(desired.clusters[cluster].path.project.clone());
    let names: BTreeSet<&str> = held
        .iter()
        // Nobody should hand basic roles to a workload just because the node has them.
        .filter(|(role, resource)| *resource == project && !is_basic(role))
        .map(|(role, _)| role.as_str())
        .collect();
    let narrow: Vec<&str> = names.into_iter().collect();
    if narrow.is_empty() {
        ("ROLE".to_owned(), "the roles that it needs")
    } else {
        (
            narrow.join(", "),
            "as the node has; take out what it does not need",
        )
    }
}

fn is_basic(role: &str) -> bool {
    Role::parse(role).is_ok_and(|role| role.is_basic())
}
