//! The smallest role that covers what was used: of those that people expect first, then of all of the same services.

use std::collections::{BTreeMap, BTreeSet};

use wi_core::names::Role;
use wi_core::wire::iam::RoleDefinition;

use crate::reach::makes_one_somebody_else;

/// What to write in place of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Smaller {
    /// One predefined role, or two.
    Roles(Vec<String>),
    /// No role fits: a custom one with these permissions.
    Custom(Vec<String>),
}

/// The roles that people expect. Shorter of name than of effect is none of them: no basic role, and no admin's.
const LADDER: [&str; 54] = [
    "roles/aiplatform.user",
    "roles/aiplatform.viewer",
    "roles/artifactregistry.reader",
    "roles/artifactregistry.writer",
    "roles/bigquery.dataEditor",
    "roles/bigquery.dataViewer",
    "roles/bigquery.jobUser",
    "roles/bigquery.readSessionUser",
    "roles/bigquery.user",
    "roles/bigtable.reader",
    "roles/bigtable.user",
    "roles/cloudfunctions.invoker",
    "roles/cloudkms.cryptoKeyDecrypter",
    "roles/cloudkms.cryptoKeyEncrypter",
    "roles/cloudkms.cryptoKeyEncrypterDecrypter",
    "roles/cloudkms.signerVerifier",
    "roles/cloudprofiler.agent",
    "roles/cloudsql.client",
    "roles/cloudsql.instanceUser",
    "roles/cloudsql.viewer",
    "roles/cloudtasks.enqueuer",
    "roles/cloudtasks.viewer",
    "roles/cloudtrace.agent",
    "roles/compute.networkViewer",
    "roles/compute.viewer",
    "roles/container.clusterViewer",
    "roles/container.viewer",
    "roles/dataflow.viewer",
    "roles/dataflow.worker",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/dns.reader",
    "roles/errorreporting.writer",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/logging.logWriter",
    "roles/logging.viewer",
    "roles/monitoring.metricWriter",
    "roles/monitoring.viewer",
    "roles/pubsub.editor",
    "roles/pubsub.publisher",
    "roles/pubsub.subscriber",
    "roles/pubsub.viewer",
    "roles/run.invoker",
    "roles/run.viewer",
    "roles/secretmanager.secretAccessor",
    "roles/secretmanager.secretVersionAdder",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/spanner.databaseReader",
    "roles/spanner.databaseUser",
    "roles/storage.objectCreator",
    "roles/storage.objectUser",
    "roles/storage.objectViewer",
    "roles/workflows.invoker",
];

/// Roles that are not for workloads: Google's own agents', and those of former times.
const NOT_FOR_WORKLOADS: [&str; 5] = [
    "serviceAgent",
    "ServiceAgent",
    "legacy",
    "expressMode",
    "builder",
];

/// How much a permission lets one do: what makes one somebody else or gives rights away 50, what reads 1, the rest 5.
pub fn weight_of(permission: &str) -> u32 {
    let verb = permission.rsplit('.').next().unwrap_or_default();
    match verb {
        _ if makes_one_somebody_else(permission) || verb == "setIamPolicy" => 50,
        _ if verb.starts_with("get") || verb.starts_with("list") => 1,
        _ => 5,
    }
}

/// How much a role lets one do.
pub fn weight<'a>(permissions: impl IntoIterator<Item = &'a String>) -> u32 {
    permissions.into_iter().map(|p| weight_of(p)).sum()
}

/// `storage`: what a permission is of.
pub fn service(permission: &str) -> &str {
    permission.split('.').next().unwrap_or_default()
}

/// What covers the needed permissions and weighs at most half of what the present role does.
pub fn choose(
    needed: &BTreeSet<String>,
    present: &RoleDefinition,
    catalogue: &BTreeMap<String, RoleDefinition>,
) -> Option<Smaller> {
    let most = weight(&present.included_permissions) / 2;
    let services: BTreeSet<&str> = needed.iter().map(|p| service(p)).collect();
    let is_related =
        |role: &RoleDefinition| role.included_permissions.iter().any(|p| needed.contains(p));
    let usable = |role: &&RoleDefinition| {
        role.is_in_force() && role.name != present.name && is_related(role)
    };
    let ladder: Vec<&RoleDefinition> = LADDER
        .iter()
        .filter_map(|name| catalogue.get(*name))
        .filter(usable)
        .collect();
    let of_services: Vec<&RoleDefinition> = catalogue
        .values()
        .filter(usable)
        .filter(|role| {
            let is_basic = Role::parse(&role.name).is_ok_and(|r| r.is_basic());
            !is_basic
                && !NOT_FOR_WORKLOADS
                    .iter()
                    .any(|word| role.name.contains(word))
        })
        .filter(|role| {
            let starts = role.name.strip_prefix("roles/").map(service);
            starts.is_some_and(|s| services.contains(s))
        })
        .collect();
    for candidates in [&ladder, &of_services] {
        if let Some(one) = one(needed, candidates).filter(|(weight, _)| *weight <= most) {
            return Some(Smaller::Roles(one.1));
        }
    }
    for candidates in [&ladder, &of_services] {
        if let Some(two) = two(needed, candidates).filter(|(weight, _)| *weight <= most) {
            return Some(Smaller::Roles(two.1));
        }
    }
    let custom = weight(needed) <= most;
    custom.then(|| Smaller::Custom(needed.iter().cloned().collect()))
}

/// The lightest role that covers all; of equal ones the first by name.
fn one(needed: &BTreeSet<String>, candidates: &[&RoleDefinition]) -> Option<(u32, Vec<String>)> {
    let covering = candidates
        .iter()
        .filter(|r| needed.is_subset(&r.included_permissions));
    let best = covering.min_by_key(|r| (weight(&r.included_permissions), r.name.clone()))?;
    Some((weight(&best.included_permissions), vec![best.name.clone()]))
}

/// The lightest two that do together.
fn two(needed: &BTreeSet<String>, candidates: &[&RoleDefinition]) -> Option<(u32, Vec<String>)> {
    let mut best: Option<(u32, Vec<String>)> = None;
    for first in candidates {
        let rest: BTreeSet<String> = needed
            .difference(&first.included_permissions)
            .cloned()
            .collect();
        let Some((second, name)) = one(&rest, candidates) else {
            continue;
        };
        let both = weight(&first.included_permissions) + second;
        let mut names = vec![first.name.clone()];
        names.extend(name);
        names.sort();
        if best
            .as_ref()
            .is_none_or(|known| (both, &names) < (known.0, &known.1))
        {
            best = Some((both, names));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, permissions: &[&str]) -> RoleDefinition {
        RoleDefinition {
            name: name.to_owned(),
            stage: "GA".to_owned(),
            included_permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            ..RoleDefinition::default()
        }
    }

    fn catalogue(roles: Vec<RoleDefinition>) -> BTreeMap<String, RoleDefinition> {
        roles.into_iter().map(|r| (r.name.clone(), r)).collect()
    }

    fn needed(permissions: &[&str]) -> BTreeSet<String> {
        permissions.iter().map(|p| (*p).to_owned()).collect()
    }

    #[test]
    fn the_expected_role_comes_before_a_lighter_one_and_two_before_a_custom_one() {
        let admin = role(
            "roles/storage.admin",
            &[
                "storage.objects.get",
                "storage.objects.list",
                "storage.objects.delete",
                "storage.buckets.setIamPolicy",
            ],
        );
        let viewer = role(
            "roles/storage.objectViewer",
            &["storage.objects.get", "storage.objects.list"],
        );
        let tiny = role("roles/storage.tiny", &["storage.objects.get"]);
        let agent = role("roles/storage.serviceAgent", &["storage.objects.delete"]);
        let deleter = role("roles/storage.deleter", &["storage.objects.delete"]);
        let far = role(
            "roles/migration.all",
            &["storage.objects.get", "storage.objects.delete"],
        );
        let mut all = catalogue(vec![admin.clone(), viewer, tiny, agent, far]);
        let chosen = |all: &BTreeMap<String, RoleDefinition>, used: &[&str]| {
            choose(&needed(used), &admin, all)
        };
        let roles = |names: &[&str]| {
            Some(Smaller::Roles(
                names.iter().map(|n| (*n).to_owned()).collect(),
            ))
        };
        assert_eq!(
            chosen(&all, &["storage.objects.get"]),
            roles(&["roles/storage.objectViewer"])
        );
        // Neither Google's agent nor a role of another service is one for a workload.
        let both = ["storage.objects.get", "storage.objects.delete"];
        let custom = Smaller::Custom(vec![
            "storage.objects.delete".to_owned(),
            "storage.objects.get".to_owned(),
        ]);
        assert_eq!(chosen(&all, &both), Some(custom));
        all.insert(deleter.name.clone(), deleter);
        assert_eq!(
            chosen(&all, &both),
            roles(&["roles/storage.deleter", "roles/storage.tiny"])
        );
        // What is used weighs more than half: there is nothing smaller.
        assert_eq!(chosen(&all, &["storage.buckets.setIamPolicy"]), None);
    }

    #[test]
    fn what_makes_one_somebody_else_weighs_most() {
        assert_eq!(weight_of("iam.serviceAccounts.getAccessToken"), 50);
        assert_eq!(weight_of("iam.serviceAccounts.actAs"), 50);
        assert_eq!(weight_of("resourcemanager.projects.setIamPolicy"), 50);
        assert_eq!(weight_of("storage.objects.delete"), 5);
        assert_eq!(weight_of("storage.objects.getIamPolicy"), 1);
    }
}
