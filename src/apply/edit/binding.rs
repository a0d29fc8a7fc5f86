//! Policies: read, merge our own edits, write under the etag; on conflict the whole cycle again.

use std::collections::BTreeSet;

use wi_client::google::policies;
use wi_client::http::ApiError;
use wi_core::address::{Address, BindingKey};
use wi_core::names::Member;
use wi_core::plan::Edit;
use wi_core::resource::{Resource, Write};
use wi_core::wire::policy::{Binding, Policy};

use crate::apply::wait::CONFLICTS;
use crate::apply::{Context, SkipReason, Status};

/// One member to add to or take from a policy.
#[derive(Clone, Copy)]
struct Planned<'a> {
    address: &'a Address,
    key: &'a BindingKey,
    members: &'a [String],
    adds: bool,
}

/// Carries out the edits of one policy, in one write unless one of them is refused.
pub(in crate::apply) async fn edit(
    context: &Context,
    resource: &Resource,
    addresses: &BTreeSet<Address>,
) -> Vec<(Address, Status)> {
    let edits: Vec<Planned> = addresses
        .iter()
        .filter_map(|address| {
            let change = &context.plan.changes[address];
            match &change.edit {
                Edit::Binding(binding) => Some(Planned {
                    address,
                    key: &binding.key,
                    members: binding.members(),
                    adds: binding.adds(),
                }),
                _ => None,
            }
        })
        .collect();
    let _alone = match context.one_write.get(resource) {
        Some(policy) => Some(policy.lock().await),
        None => None,
    };
    let (additions, removals): (Vec<Planned>, Vec<Planned>) = edits.iter().partition(|e| e.adds);
    if additions.is_empty() || removals.is_empty() {
        return halve(context, resource, &edits).await;
    }
    match write(context, resource, &edits).await {
        Err(e) if e.code == 400 => {}
        result => {
            let status = Status::from(result.map_err(|e| e.reason()));
            let all = edits.iter().map(|e| (e.address.clone(), status.clone()));
            return all.collect();
        }
    }
    // Nothing is removed unless what takes its place was added.
    let mut ended = halve(context, resource, &additions).await;
    let missing: BTreeSet<&Address> = ended
        .iter()
        .filter(|(_, status)| *status != Status::Done)
        .map(|(address, _)| address)
        .collect();
    let mut free = Vec::with_capacity(removals.len());
    let mut kept = Vec::new();
    for removal in removals {
        let mut needs = context.plan.changes[removal.address].needs.iter();
        match needs.find(|need| missing.contains(need)) {
            Some(need) => {
                let because = SkipReason::Need(need.clone());
                kept.push((removal.address.clone(), Status::NotStarted(because)));
            }
            None => free.push(removal),
        }
    }
    ended.extend(kept);
    if !free.is_empty() {
        ended.extend(halve(context, resource, &free).await);
    }
    ended
}

/// A refused write says that one member is bad, rarely which: it is halved until that is found.
async fn halve(
    context: &Context,
    resource: &Resource,
    edits: &[Planned<'_>],
) -> Vec<(Address, Status)> {
    let mut todo = vec![edits];
    let mut ended = Vec::with_capacity(edits.len());
    while let Some(part) = todo.pop() {
        match write(context, resource, part).await {
            Err(e) if e.code == 400 && part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                todo.push(second);
                todo.push(first);
            }
            result => {
                let status = Status::from(result.map_err(|e| e.reason()));
                ended.extend(part.iter().map(|e| (e.address.clone(), status.clone())));
            }
        }
    }
    ended
}

async fn write(
    context: &Context,
    resource: &Resource,
    edits: &[Planned<'_>],
) -> Result<(), ApiError> {
    let mut wait = context.propagation_wait();
    let mut conflicts = 0;
    let mut told = false;
    loop {
        let mut policy = policies::read(&context.http, resource).await?;
        if !merge(&mut policy, edits) {
            return Ok(()); // somebody, or an earlier run of ours, has done it
        }
        if !told {
            told = true;
            for member in policy.unwritable(resource.kind().write == Write::AccessList) {
                context.observer.notice(&format!(
                    "{member} goes from the policy of {resource}: it is dead, and the API does not take it back"
                ));
            }
        }
        match policies::write(&context.http, resource, &policy).await {
            Ok(_) => return reads_back(context, resource, edits).await,
            Err(e) if e.is_conflict() && conflicts < CONFLICTS => {
                conflicts += 1;
                if !wait.again().await {
                    return Err(e);
                }
            }
            Err(e) if context.makes_principals && is_not_visible_yet(context, resource, &e) => {
                for edit in edits {
                    context
                        .observer
                        .still(edit.address, "waiting until IAM accepts the new principal");
                }
                if !wait.again().await {
                    return Err(e);
                }
            }
            Err(e) => return Err(e),
        }
    }
}

/// IAM is eventually consistent: what others are to rely on must be there when it is read.
async fn reads_back(
    context: &Context,
    resource: &Resource,
    edits: &[Planned<'_>],
) -> Result<(), ApiError> {
    let mut wait = context.propagation_wait();
    loop {
        let mut policy = policies::read(&context.http, resource).await?;
        if !merge(&mut policy, edits) {
            return Ok(());
        }
        if !wait.again().await {
            let seconds = context.limits.propagation.as_secs();
            let message = format!(
                "the policy of {resource} was written, but does not read back so after {seconds} s: somebody else may have undone it. Plan again"
            );
            return Err(ApiError::without_answer(
                "GET",
                &resource.full_name(),
                message,
            ));
        }
    }
}

/// IAM refuses members that it does not know: an account or a pool made a moment ago among them.
fn is_not_visible_yet(context: &Context, resource: &Resource, e: &ApiError) -> bool {
    // Other resources were there when their policy was read a moment ago.
    let is_new =
        matches!(resource, Resource::ServiceAccount(own) if context.made().any(|m| m == own));
    // `Service account EMAIL does not exist.` of an account that nobody makes.
    let names_ours = context.made().any(|m| e.message.contains(m.as_str()));
    let names_another = e.message.contains(".gserviceaccount.com") && !names_ours;
    (e.is_not_found() && is_new)
        || (e.code == 400 && e.message.contains("does not exist") && !names_another)
}

/// Puts the edits into the policy; `false` if it has them all already. What is not ours stays as
/// it is, to the letter and in its place.
fn merge(policy: &mut Policy, edits: &[Planned<'_>]) -> bool {
    let mut changed = false;
    for edit in edits {
        changed |= if edit.adds {
            add(policy, edit)
        } else {
            remove(policy, edit)
        };
    }
    // IAM drops bindings without members; doing it ourselves keeps what we send honest.
    if changed {
        policy.bindings.retain(|b| !b.members.is_empty());
    }
    changed
}

fn is_binding_of(binding: &Binding, key: &BindingKey) -> bool {
    binding.role == key.role.as_str() && binding.condition == key.condition
}

fn add(policy: &mut Policy, edit: &Planned<'_>) -> bool {
    let there = policy
        .bindings
        .iter()
        .filter(|b| is_binding_of(b, edit.key))
        .any(|b| {
            b.members
                .iter()
                .any(|m| Member::parse(m) == edit.key.member)
        });
    if there {
        return false;
    }
    let members = edit.members.iter().cloned();
    match policy
        .bindings
        .iter_mut()
        .find(|b| is_binding_of(b, edit.key))
    {
        Some(binding) => binding.members.extend(members),
        None => policy.bindings.push(Binding {
            role: edit.key.role.to_string(),
            members: members.collect(),
            condition: edit.key.condition.clone(),
            rest: serde_json::Map::new(),
        }),
    }
    true
}

/// Takes out just the spellings that the plan showed.
fn remove(policy: &mut Policy, edit: &Planned<'_>) -> bool {
    let mut changed = false;
    for binding in policy
        .bindings
        .iter_mut()
        .filter(|b| is_binding_of(b, edit.key))
    {
        let before = binding.members.len();
        binding.members.retain(|m| !edit.members.contains(m));
        changed |= binding.members.len() != before;
    }
    changed
}
