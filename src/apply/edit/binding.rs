//! Policies: read, merge our own edits, write under the etag; on conflict the whole cycle again.

use std::collections::BTreeSet;

use wi_client::google::policies;
use wi_client::http::ApiError;
use wi_core::address::{Address, BindingKey};
use wi_core::names::Member;
use wi_core::plan::Edit;
use wi_core::resource::{Resource, Write};
use wi_core::wire::policy::{Binding, Policy};

use crate::apply::Context;
use crate::apply::wait::CONFLICTS;

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
) -> Vec<(Address, Result<(), String>)> {
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
    // A refused write says that one member is bad, rarely which: halve until it is found.
    let mut todo: Vec<&[Planned]> = vec![&edits];
    let mut results = Vec::with_capacity(edits.len());
    while let Some(part) = todo.pop() {
        match write(context, resource, part).await {
            Ok(()) => results.extend(part.iter().map(|e| (e.address.clone(), Ok(())))),
            Err(e) if e.code == 400 && part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                todo.push(second);
                todo.push(first);
            }
            Err(e) => {
                let why = e.for_user();
                results.extend(part.iter().map(|e| (e.address.clone(), Err(why.clone()))));
            }
        }
    }
    results
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
