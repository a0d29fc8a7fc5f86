//! Where what left the spec could not be looked for, and what was found and cannot be taken away.

use std::collections::{BTreeSet, HashSet};

use crate::address::BindingKey;
use crate::desired::Desired;
use crate::live::Live;
use crate::names::{KsaIdentity, Member};
use crate::plan::{Left, Plan, left};
use crate::resource::Resource;
use crate::wire::policy::Binding;

/// Says so.
pub(in crate::plan) fn warn(desired: &Desired, live: &Live, left: &Left, plan: &mut Plan) {
    let unseen = &live.leftovers_unseen;
    if !unseen.accounts.is_empty() {
        let projects = unseen.accounts.keys().map(|p| format!("project/{p}"));
        plan.warnings.push(format!(
            "accounts that left this spec are not looked for in {}, where it declares none: {}",
            list(projects),
            reasons(unseen.accounts.values())
        ));
    }
    let by_former = desired.leftovers.as_ref().is_some_and(|l| l.by_former);
    if !unseen.policies.is_empty() {
        let (what, otherwise) = match by_former {
            true => (
                "grants on resources that neither this spec names nor the former one",
                "found",
            ),
            false => (
                "grants on resources that the spec no longer names",
                "found by --base GIT_REF (the former spec), and",
            ),
        };
        plan.warnings.push(format!(
            "{what} cannot be seen in {}: {}. Otherwise they are {otherwise} on resources that are listed under `removed:`",
            list(unseen.policies.keys().map(ToString::to_string)),
            reasons(unseen.policies.values())
        ));
    }
    for (resource, (has, why)) in &unseen.out_of_reach {
        plan.warnings.push(format!(
            "the spec does not ask for this, and wi cannot take it away: on {resource}, {}. {why}",
            list(has.iter().cloned())
        ));
    }
    strangers(desired, live, plan);
    of_nobody(desired, live, left, plan);
}

/// So many are named.
const NAMED: usize = 3;

/// What identities of the spec's own pools have that it does not name, and on which no spec's mark was seen: they may
/// have left it, since nothing marks what is only referred to.
fn of_nobody(desired: &Desired, live: &Live, left: &Left, plan: &mut Plan) {
    if desired.leftovers.is_none() {
        return;
    }
    let mut has = live.leftovers_unseen.of_strangers.clone();
    for (resource, policy) in &live.policies {
        if matches!(resource, Resource::ServiceAccount(_)) {
            continue; // whoever may act as an account is told of with it
        }
        for binding in policy.found().iter().flat_map(|p| &p.bindings) {
            for member in &binding.members {
                if let Member::Ksa(ksa) = Member::parse(member)
                    && desired.pools.contains_key(&ksa.pool)
                    && !is_told(desired, resource, binding, member, plan)
                {
                    let what = (resource.to_string(), binding.role.clone());
                    has.entry(ksa).or_default().insert(what);
                }
            }
        }
    }
    if has.is_empty() {
        return;
    }
    let named: HashSet<&KsaIdentity> = desired.ksas.values().map(|k| &k.identity).collect();
    let marked = left::marked(desired, live);
    has.retain(|ksa, _| !named.contains(ksa) && !left.has(ksa) && !marked.contains(ksa));
    if has.is_empty() {
        return;
    }
    let more = |n: usize| match n {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let left_out = more(has.len().saturating_sub(NAMED));
    let told = has.into_iter().take(NAMED).map(|(ksa, has)| {
        let others = more(has.len().saturating_sub(1));
        let role = has.into_iter().next();
        let role = role.map(|(on, role)| format!("{role} on {on}"));
        format!("{ksa} ({}{others})", role.unwrap_or_default())
    });
    plan.notes.push(format!(
        "no mark that was seen tells whose these are, and they keep their roles: {}{left_out}. If one left this spec: --base GIT_REF, or name it again and what it is on under `removed:`",
        list(told)
    ));
}

/// What a service account of the spec has by the workload pool of a project in which the spec has no cluster:
/// whose that is cannot be seen.
fn strangers(desired: &Desired, live: &Live, plan: &mut Plan) {
    if desired.leftovers.is_none() {
        return;
    }
    let named: BTreeSet<(&str, &str)> = desired
        .ksas
        .values()
        .map(|k| (k.identity.namespace.as_str(), k.identity.name.as_str()))
        .collect();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let mut pools: BTreeSet<String> = BTreeSet::new();
    for (resource, policy) in &live.policies {
        for binding in policy.found().iter().flat_map(|p| &p.bindings) {
            for member in &binding.members {
                if let Member::Ksa(ksa) = Member::parse(member)
                    && !desired.pools.contains_key(&ksa.pool)
                    && !desired.former_ksas.contains(&ksa)
                    && named.contains(&(ksa.namespace.as_str(), ksa.name.as_str()))
                    && !is_told(desired, resource, binding, member, plan)
                {
                    kept.insert(format!("{ksa} has {} on {resource}", binding.role));
                    pools.insert(ksa.pool);
                }
            }
        }
    }
    if !kept.is_empty() {
        plan.warnings.push(format!(
            "kept, since the spec has no cluster with the workload pool {}, so that nobody can see who uses it: {}. If a cluster left the spec, plan with --base GIT_REF (the former spec)",
            list(pools.into_iter()),
            list(kept.into_iter())
        ));
    }
}

/// Whether the plan says what becomes of it.
fn is_told(
    desired: &Desired,
    resource: &Resource,
    binding: &Binding,
    member: &str,
    plan: &Plan,
) -> bool {
    let key = BindingKey::read(resource, binding, member);
    key.is_some_and(|key| plan.tells_of(&desired.binding_address(&key)))
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Each once.
fn reasons<'a>(why: impl Iterator<Item = &'a String>) -> String {
    let once: BTreeSet<&str> = why.map(String::as_str).collect();
    once.into_iter().collect::<Vec<_>>().join("; ")
}
