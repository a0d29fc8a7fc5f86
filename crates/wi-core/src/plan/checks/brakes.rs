//! What stops a plan that is well-formed but does too much: guards, mass removal, limits of IAM.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::Member;
use crate::plan::{Binding, Change, Edit, Options, Plan, Problem, Subject};
use crate::resource::{Resource, Write};
use crate::spec::glob;

/// Principals that a policy can have, each occurrence counted.
/// <https://cloud.google.com/iam/quotas>
const MAX_MEMBERS: usize = 1500;
/// From here on the plan says how much room is left.
const NEARLY_FULL: usize = 1350;

pub(in crate::plan) fn check(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    forbidden_members(desired, plan);
    removals(desired, options, plan);
    missing_roles(live, plan);
    sizes(live, plan);
    what_direct_principals_cannot_do(live, plan);
    whole_projects(live, plan);
}

/// The member that a change adds.
fn added(change: &Change) -> Option<&Binding> {
    match &change.edit {
        Edit::Binding(binding) if binding.adds() => Some(binding),
        _ => None,
    }
}

fn forbidden_members(desired: &Desired, plan: &mut Plan) {
    let mut problems = Vec::new();
    for (address, change) in &plan.changes {
        let Some(binding) = added(change) else {
            continue;
        };
        let members = binding.members();
        let rule = desired
            .guard
            .forbid_members
            .iter()
            .find(|(pattern, _)| members.iter().any(|m| glob(pattern, m)));
        if let Some((pattern, place)) = rule {
            problems.push(Problem {
                subject: address.clone().into(),
                message: format!(
                    "the guard forbids the member {} (`{pattern}` at {place})",
                    members.join(", ")
                ),
                place: change.place.clone(),
            });
        }
    }
    plan.errors.extend(problems);
}

/// One removal is none to stop for; more than a fifth of what the spec owns is.
fn removals(desired: &Desired, options: &Options, plan: &mut Plan) {
    // Members that are dead already give nobody anything.
    let dead = plan.changes.values().filter(|c| {
        matches!(&c.edit, Edit::Binding(b) if matches!(b.key.member, Member::DeletedServiceAccount { .. }))
    });
    let removed = plan.counts().destroy - dead.count();
    if let Some((most, place)) = &desired.guard.max_removals
        && removed > *most
    {
        let message = format!("it removes {removed}, and the guard allows {most}");
        plan.error(Subject::Whole, Some(place), message);
    }
    if removed > 1 && removed * 5 > plan.owned && !options.allow_mass_removal {
        let message = format!(
            "it removes {removed} of the {} things that this spec owns, which is more than a fifth. If that is meant, pass --allow-mass-removal",
            plan.owned
        );
        plan.error(Subject::Whole, None, message);
    }
}

/// Granted nevertheless, IAM would refuse the whole write.
fn missing_roles(live: &Live, plan: &mut Plan) {
    let mut problems = Vec::new();
    for (address, change) in &plan.changes {
        if let Some(Binding { key, .. }) = added(change)
            && let Some(Seen::Found(false)) = live.roles.get(&key.role)
        {
            let list = match key.role.as_str().strip_suffix(key.role.id()) {
                Some("roles/") => "gcloud iam roles list".to_owned(),
                _ => {
                    "gcloud iam roles list --project or --organization, for custom ones".to_owned()
                }
            };
            problems.push(Problem {
                subject: address.clone().into(),
                message: format!(
                    "there is no role {}. {list} has those that there are",
                    key.role
                ),
                place: change.place.clone(),
            });
        }
    }
    plan.errors.extend(problems);
}

/// What of one policy's members a plan changes.
struct Size<'a> {
    added: usize,
    removed: usize,
    /// Of those removed, the ones that wait: they are there still when all are added.
    late: usize,
    address: &'a Address,
}

fn sizes(live: &Live, plan: &mut Plan) {
    let mut changes: BTreeMap<&Resource, Size> = BTreeMap::new();
    for (address, change) in &plan.changes {
        let Edit::Binding(binding) = &change.edit else {
            continue;
        };
        let size = changes.entry(&binding.key.resource).or_insert(Size {
            added: 0,
            removed: 0,
            late: 0,
            address,
        });
        size.added += binding.after.len();
        size.removed += binding.before.len();
        if change.wave > 0 || plan.is_late(change, plan.waves.is_some()) {
            size.late += binding.before.len();
        }
    }
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for (resource, size) in changes {
        let Size {
            added,
            removed,
            late,
            address,
        } = size;
        let policy = live.policies.get(resource).and_then(Seen::found);
        let dead = policy.map_or_else(BTreeSet::new, |p| {
            p.unwritable(resource.kind().write == Write::AccessList)
        });
        if !dead.is_empty() {
            let dead: Vec<String> = dead.into_iter().collect();
            warnings.push(format!(
                "the policy of {resource} has members that are dead, and that its API does not take back: they go with the first write: {}",
                dead.join(", ")
            ));
        }
        let now: usize = policy.map_or(0, |p| p.bindings.iter().map(|b| b.members.len()).sum());
        let after = now + added - removed.min(now);
        if added > 0 && after > MAX_MEMBERS {
            errors.push(Problem {
                subject: address.clone().into(),
                message: format!(
                    "the policy of {resource} has {now} members and would have {after}; IAM allows {MAX_MEMBERS}. Grant to groups, or on resources below it"
                ),
                place: None,
            });
        } else if added > 0 && after + late > MAX_MEMBERS {
            errors.push(Problem {
                subject: address.clone().into(),
                message: format!(
                    "the policy of {resource} has {now} members and would have {} on the way to {after}, since what is added comes before what it replaces is removed, so that nobody is without; IAM allows {MAX_MEMBERS}. Make room on it first, or grant to groups, or on resources below it",
                    after + late
                ),
                place: None,
            });
        } else if added > 0 && after > NEARLY_FULL {
            warnings.push(format!(
                "the policy of {resource} will have {after} of the {MAX_MEMBERS} members that IAM allows"
            ));
        }
    }
    plan.errors.extend(errors);
    plan.warnings.extend(warnings);
}

/// Where a KSA without a Google service account has a role and still gets nowhere.
fn what_direct_principals_cannot_do(live: &Live, plan: &mut Plan) {
    let mut errors = Vec::new();
    let mut warnings = BTreeSet::new();
    for (address, change) in &plan.changes {
        let Some(Binding { key, .. }) = added(change) else {
            continue;
        };
        let direct = matches!(key.member, Member::Ksa(_)) && !key.is_impersonation();
        if let Some(bucket) = key.resource.bucket()
            && (direct || key.condition.is_some())
            && let Some(Seen::Found(false)) = live.uniform_access.get(bucket)
        {
            let what = if direct {
                "grants to a Kubernetes service account itself"
            } else {
                "conditions"
            };
            errors.push(Problem {
                subject: address.clone().into(),
                message: format!(
                    "{what} need uniform bucket-level access, which bucket/{bucket} does not have: gcloud storage buckets update gs://{bucket} --uniform-bucket-level-access (it turns the bucket's ACLs off), or grant to a Google service account without a condition"
                ),
                place: change.place.clone(),
            });
        }
        if !direct {
            continue;
        }
        let kind = key.resource.kind().short;
        let role = key.role.as_str();
        let why = if matches!(kind, "run" | "function") && role.ends_with("nvoker") {
            "is called with ID tokens of Google, which a Kubernetes service account alone cannot get"
        } else if role == "roles/cloudsql.instanceUser" {
            "logs in to databases, which know Google service accounts only"
        } else if role == "roles/iam.serviceAccountTokenCreator" {
            "signs in the name of an account; a Kubernetes service account has no key of its own to sign with"
        } else if kind == "repository" {
            warnings.insert(format!(
                "{address}: image pulls are the kubelet's, with the node's service account; this grant is for what runs in the pod"
            ));
            continue;
        } else {
            continue;
        };
        warnings.insert(format!(
            "{address}: {role} {why}. Give it a Google service account (`impersonates`) for that"
        ));
    }
    plan.errors.extend(errors);
    plan.warnings.extend(warnings);
}

/// The right to act as every account of a project, or of all projects below.
fn whole_projects(live: &Live, plan: &mut Plan) {
    let mut warnings = BTreeSet::new();
    for (resource, policy) in &live.policies {
        if !matches!(resource.kind().short, "project" | "folder" | "organization") {
            continue;
        }
        for binding in policy.found().iter().flat_map(|p| &p.bindings) {
            if !matches!(
                binding.role.as_str(),
                "roles/iam.workloadIdentityUser" | "roles/iam.serviceAccountTokenCreator"
            ) {
                continue;
            }
            for member in &binding.members {
                let member = Member::parse(member);
                let removed = plan.changes.values().any(|c| {
                    matches!(&c.edit, Edit::Binding(b) if !b.adds() && b.key.member == member && b.key.resource == *resource)
                });
                if member.is_gke_pool_member() && !removed {
                    warnings.insert(format!(
                        "{member} has {} on {resource}: it can act as every Google service account there, not only as one",
                        binding.role
                    ));
                }
            }
        }
    }
    plan.warnings.extend(warnings);
}
