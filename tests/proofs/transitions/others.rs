//! All that is others' in such a world, a line each.

use std::collections::{BTreeMap, BTreeSet};

use wi_sandbox::Sandbox;
use wi_sandbox::world::Policy;

use super::Transition;
use super::edits::TEAMS;
use super::model::Spec;
use super::scenery::GSA;
use crate::check::of_policy;

/// Whether a member is a principal of one of the specs.
fn is_managed(member: &str) -> bool {
    TEAMS.iter().any(|(team, namespaces)| {
        member.starts_with(&format!("serviceAccount:{team}-"))
            || member.starts_with(&format!("deleted:serviceAccount:{team}-"))
            || namespaces.iter().any(|ns| {
                member.contains(&format!(".svc.id.goog[{ns}/"))
                    || member.contains(&format!("/subject/ns/{ns}/sa/"))
            })
    })
}

pub fn of_others(of: &Transition, sandbox: &Sandbox) -> BTreeSet<String> {
    let world = sandbox.snapshot();
    let mut lines = BTreeSet::new();
    let mut policy = |resource: &str, policy: &Policy| {
        lines.extend(of_policy(resource, policy, is_managed));
    };
    for (project, held) in &world.projects {
        policy(project, &held.policy);
        for (account, held) in &held.service_accounts {
            // With an account that its spec has deleted, its policy goes.
            let may_go = TEAMS.iter().any(|(team, _)| account.starts_with(team));
            if !may_go || is_kept(of, account) {
                policy(&format!("{project}/{account}"), &held.policy);
            }
        }
    }
    for (bucket, held) in &world.buckets {
        policy(bucket, held.policy.as_ref().expect("a policy"));
    }
    for (resource, held) in &world.resources {
        policy(resource, &held.policy);
    }
    for (project, held) in &world.projects {
        for (account, held) in &held.service_accounts {
            if !TEAMS.iter().any(|(team, _)| account.starts_with(team)) {
                lines.insert(format!(
                    "{project}/{account}: {:?} {:?} {}",
                    held.display_name, held.description, held.disabled
                ));
            }
        }
    }
    for cluster in &world.clusters {
        let name = &cluster.name;
        for (key, value) in &cluster.labels {
            lines.insert(format!("{name}: label {key}={value}"));
        }
        for pool in &cluster.node_pools {
            lines.insert(format!("{name}: {} {:?}", pool.name, pool.upgrade));
        }
        for (namespace, held) in &cluster.namespaces {
            let is_theirs = !TEAMS
                .iter()
                .any(|(_, all)| all.contains(&namespace.as_str()));
            let mut object = |what: &str,
                              others_write: bool,
                              whole: bool,
                              texts: [&BTreeMap<String, String>; 2]| {
                if whole {
                    lines.insert(what.to_owned());
                }
                for (key, value) in texts.into_iter().flatten() {
                    let ours = ["wi/", "app.kubernetes.io/managed-by"];
                    let is_ours = ours.iter().any(|o| key.starts_with(o)) || key == GSA;
                    if others_write || !is_ours {
                        lines.insert(format!("{what}: {key}={value}"));
                    }
                }
            };
            let of_namespace = format!("{name}/{namespace}");
            object(
                &of_namespace,
                is_theirs,
                true,
                [&held.labels, &held.annotations],
            );
            for (account, held) in &held.service_accounts {
                let of_account = format!("{of_namespace}/{account}");
                let existing = |s: &Spec| s.ksa(namespace, account).is_none_or(|k| k.existing);
                let others_write = is_theirs || of.before.iter().chain(&of.after).all(existing);
                object(
                    &of_account,
                    others_write,
                    others_write,
                    [&held.labels, &held.annotations],
                );
            }
        }
    }
    lines
}

fn is_kept(of: &Transition, id: &str) -> bool {
    let email = format!("{id}@acme-one.iam.gserviceaccount.com");
    let owns = |s: &Spec| s.own(&email).is_some();
    let deletes = |s: &Spec| s.own(&email).is_some_and(|a| a.on_remove == Some("delete"));
    of.after.iter().any(owns) || !of.before.iter().any(deletes)
}

/// Nothing that others had is gone.
pub fn check(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<(), String> {
    let lost: Vec<&String> = before.difference(after).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let new: Vec<&String> = after.difference(before).collect();
    Err(format!("OTHERS' is gone: {lost:#?}\nnew: {new:#?}"))
}
