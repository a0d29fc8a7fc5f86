//! What stops a plan that is well-formed but does too much: guards, mass removal, limits of IAM.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{IMPERSONATION, has_ended};
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
    check_removals(desired, options, plan);
    missing_roles(live, plan);
    sizes(live, plan);
    what_direct_principals_cannot_do(live, plan);
    whole_projects(desired, live, options, plan);
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

/// Counts what a plan removes, as it is now: a part of it may have been chosen, or something held back since
/// it was counted last. One removal is none to stop for; more than a fifth of what the spec owns is.
pub fn check_removals(desired: &Desired, options: &Options, plan: &mut Plan) {
    plan.errors.retain(|e| e.subject != Subject::Removals);
    // Members that are dead already give nobody anything.
    let dead = plan.changes.values().filter(|c| {
        matches!(&c.edit, Edit::Binding(b) if matches!(b.key.member, Member::DeletedServiceAccount { .. }))
    });
    let annotations = plan.untold_losses();
    let removed = plan.counts().destroy + annotations - dead.count();
    let of_these = match annotations {
        0 => String::new(),
        1 => " (one of these is the identity of a service account's pods)".to_owned(),
        n => format!(" ({n} of these are the identities of service accounts' pods)"),
    };
    if let Some((most, place)) = &desired.guard.max_removals
        && removed > *most
    {
        let message = format!("it removes {removed}{of_these}, and the guard allows {most}");
        plan.error(Subject::Removals, Some(place), message);
    }
    if removed > 1 && removed * 5 > plan.owned && !options.allow_mass_removal {
        let message = format!(
            "it removes {removed} of the {} things that this spec owns{of_these}, which is more than a fifth. If that is meant, pass --allow-mass-removal",
            plan.owned
        );
        plan.error(Subject::Removals, None, message);
    }
    plan.errors.sort();
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

/// The right to act as every account of a project, or of all projects below: of workloads, and of accounts of
/// the spec. What this plan gives counts as what is there.
fn whole_projects(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let there = live
        .policies_of_all()
        .filter(|(resource, _)| resource.is_of_hierarchy());
    let there = there.flat_map(|(resource, policy)| {
        let bindings = policy.found().into_iter().flat_map(|p| &p.bindings);
        let acting = bindings.filter(|b| {
            let condition = b.condition.as_ref();
            IMPERSONATION.contains(&b.role.as_str())
                && !condition.is_some_and(|c| has_ended(&c.expression, options.now))
        });
        acting.flat_map(move |b| {
            b.members
                .iter()
                .map(move |m| (resource, &*b.role, Member::parse(m)))
        })
    });
    let there = there.filter(|(resource, role, member)| {
        !plan.changes.values().any(|c| {
            matches!(&c.edit, Edit::Binding(b) if !b.adds() && b.key.member == *member
                && b.key.resource == **resource && b.key.role.as_str() == *role)
        })
    });
    let new = plan.changes.iter().filter_map(|(address, change)| {
        let Binding { key, .. } = added(change)?;
        let acts = key.resource.is_of_hierarchy()
            && IMPERSONATION.contains(&key.role.as_str())
            && !plan.ended.contains(address);
        acts.then(|| (&key.resource, key.role.as_str(), key.member.clone()))
    });
    let is_ours = |member: &Member| match member {
        Member::ServiceAccount(email) => desired.account_name(email).is_some(),
        member => member.is_gke_pool_member(),
    };
    let all: BTreeSet<String> = there
        .chain(new)
        .filter(|(_, _, member)| is_ours(member))
        .map(|(resource, role, member)| {
            format!(
                "{member} has {role} on {resource}: it can act as every Google service account there, not only as one"
            )
        })
        .collect();
    plan.warnings.extend(all);
}

#[cfg(test)]
mod tests {
    use super::check_removals;
    use crate::plan::fixture::{Case, HEAD, marked};
    use crate::plan::{Edit, Subject, restrict_to};

    #[test]
    fn what_is_left_out_or_held_back_later_does_not_count_as_removed() {
        let mut case = Case::of(HEAD);
        for name in ["a", "b", "c"] {
            case.ksa("main", "apps", name, marked(None, false));
        }
        let is_braked =
            |plan: &crate::plan::Plan| plan.errors.iter().any(|e| e.subject == Subject::Removals);
        let mut plan = case.plan();
        assert!(is_braked(&plan));
        restrict_to(&mut plan, &case.live, &["ksa.main/apps/a".to_owned()]);
        check_removals(&case.desired, &case.options, &mut plan);
        assert_eq!(plan.counts().destroy, 1);
        assert!(!is_braked(&plan), "{:?}", plan.errors);

        let mut plan = case.plan();
        plan.changes
            .retain(|_, c| matches!(&c.edit, Edit::Ksa(k) if k.key.name.as_str() != "a"));
        check_removals(&case.desired, &case.options, &mut plan);
        assert!(is_braked(&plan), "two are more than one");
        assert_eq!(plan.errors.len(), 1, "told once: {:?}", plan.errors);
    }

    #[test]
    fn a_guard_counts_annotations_that_go() {
        let spec = format!("{HEAD}guard: {{ maxRemovals: 0 }}\n");
        let mut case = Case::of(&spec);
        case.ksa("main", "apps", "a", marked(Some("backend"), true));
        case.workloads("main");
        let plan = case.plan();
        let message = &plan.errors.first().expect("an error").message;
        assert_eq!(
            message,
            "it removes 1 (one of these is the identity of a service account's pods), and the guard allows 0"
        );
    }

    const CREATOR: &str = "roles/iam.serviceAccountTokenCreator";

    fn warnings(case: &Case) -> Vec<String> {
        let all = case.plan().warnings.into_iter();
        all.filter(|w| w.contains("can act as every")).collect()
    }

    #[test]
    fn the_right_to_act_as_all_accounts_of_a_project_is_told_with_the_plan_that_gives_it() {
        let spec = format!(
            "{HEAD}googleServiceAccounts: {{ deployer: {{ grants: [{CREATOR}] }} }}\nnamespaces: {{ ci: {{ serviceAccounts: {{ runner: {{ grants: [roles/iam.workloadIdentityUser] }} }} }} }}\n"
        );
        let mut case = Case::of(&spec);
        let told = warnings(&case);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().any(|w| w.starts_with("deployer@acme-prod")),
            "{told:?}"
        );
        // The same once it is there; accounts of others are theirs, and what goes is gone.
        let deployer = "serviceAccount:deployer@acme-prod.iam.gserviceaccount.com";
        case.grant("project/acme-prod", CREATOR, deployer);
        case.grant(
            "project/acme-prod",
            CREATOR,
            "serviceAccount:x@other-one.iam.gserviceaccount.com",
        );
        assert_eq!(warnings(&case).len(), 2);
        let mut without = case.under(&spec.replace(&format!("grants: [{CREATOR}]"), ""));
        without.account(
            "deployer",
            serde_json::json!({ "description": "[wi:shop]" }),
        );
        let told = warnings(&without);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("ci/runner"), "{told:?}");
    }

    #[test]
    fn a_grant_that_has_ended_gives_nothing() {
        let spec = format!(
            "{HEAD}googleServiceAccounts: {{ deployer: {{ grants: [{{ role: {CREATOR}, resource: project/acme-prod, expires: 2026-01-01 }}] }} }}\n"
        );
        let mut case = Case::of(&spec);
        assert_eq!(case.plan().access().len(), 1, "the time is not known");
        case.options.now = "2026-11-30T00:00:00Z".parse().ok();
        let plan = case.plan();
        assert!(plan.access().is_empty(), "{:?}", plan.access());
        assert!(warnings(&case).is_empty());
        let note = plan.changes.values().flat_map(|c| &c.notes);
        assert!(note.into_iter().any(|n| n.contains("it gives nothing")));
    }
}
