//! Policies: read, merge our own edits, write under the etag; on conflict the whole cycle again.

use std::collections::{BTreeMap, BTreeSet};

use wi_client::google::policies;
use wi_client::http::ApiError;
use wi_core::address::{Address, BindingKey};
use wi_core::names::Member;
use wi_core::plan::Edit;
use wi_core::reason::Reason;
use wi_core::resource::{Resource, Write};
use wi_core::wire::policy::{Binding, Policy};

use super::ksa;
use super::writes::{Planned, Writes};
use crate::apply::wait::CONFLICTS;
use crate::apply::{Context, SkipReason, Status};

/// Why a policy was not written.
enum Unwritten {
    /// It was refused, or something failed.
    Refused(ApiError),
    /// The user wants to stop, and IAM had not taken it yet.
    Interrupted,
}

impl Unwritten {
    /// Whether one member of several is bad.
    fn is_of_a_member(&self) -> bool {
        matches!(self, Self::Refused(e) if e.code == 400)
    }
}

impl From<ApiError> for Unwritten {
    fn from(e: ApiError) -> Self {
        Self::Refused(e)
    }
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
                    needs: &change.needs,
                }),
                _ => None,
            }
        })
        .collect();
    let _alone = match context.one_write.get(resource) {
        Some(policy) => Some(policy.lock().await),
        None => None,
    };
    let (edits, mut ended) = give_back(context, edits).await;
    let mut writes = Writes::of(edits);
    while let Some(part) = writes.next() {
        let written = write(context, resource, &part).await;
        let is_refused = matches!(&written, Err(e) if e.is_of_a_member());
        let status = status(context, &part, written);
        writes.settle(part, is_refused, &status);
    }
    ended.extend(writes.into_ended());
    ended
}

/// Whose annotation is given back by a release that comes after, acts so before any of what it had goes. Answers
/// with what may be written, and how the rest ended.
async fn give_back<'a>(
    context: &Context,
    edits: Vec<Planned<'a>>,
) -> (Vec<Planned<'a>>, Vec<(Address, Status)>) {
    let mut failed: BTreeMap<&Address, Reason> = BTreeMap::new();
    for (address, ksa) in &context.giving_back {
        let needs = &context.plan.changes[address].needs;
        let mut waiting = edits
            .iter()
            .filter(|e| !e.adds && needs.contains(e.address));
        if waiting.next().is_none() {
            continue;
        }
        // Another policy's removals may wait for it, too.
        let ksa = ksa.lock().await;
        let given = match context.objects_of(&ksa.key.cluster) {
            Ok(target) => ksa::give_back(&target, &ksa).await.map_err(Reason::from),
            Err(why) => Err(why),
        };
        if let Err(why) = given {
            let why = why.within(&format!(
                "nothing is taken from {address} before it acts as it did before this spec again, and that could not be written: "
            ));
            let waiting = edits
                .iter()
                .filter(|e| !e.adds && needs.contains(e.address));
            failed.extend(waiting.map(|e| (e.address, why.clone())));
        }
    }
    let (held, free): (Vec<_>, Vec<_>) = edits
        .into_iter()
        .partition(|e| failed.contains_key(e.address));
    let held = held.into_iter().map(|e| {
        let why = failed[e.address].clone();
        (e.address.clone(), Status::Failed(why))
    });
    (free, held.collect())
}

/// How these edits of one write have ended.
fn status(context: &Context, edits: &[Planned<'_>], result: Result<(), Unwritten>) -> Status {
    match result {
        Ok(()) => Status::Done,
        Err(Unwritten::Interrupted) => Status::NotStarted(SkipReason::Interrupted),
        Err(Unwritten::Refused(e)) => Status::Failed(match (edits, unknown_pool(&e)) {
            ([only], Some(pool)) if !context.pools.contains(pool) => {
                let project = pool.trim_end_matches(POOL);
                e.reason().with(&format!(
                    ". No cluster of the project {project} ever had a workload pool, so that {} is nobody: is the project's id right?",
                    only.key.member
                ))
            }
            _ => e.reason(),
        }),
    }
}

async fn write(
    context: &Context,
    resource: &Resource,
    edits: &[Planned<'_>],
) -> Result<(), Unwritten> {
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
                    return Err(unwritten(context, e));
                }
            }
            Err(e) if is_not_visible_yet(context, resource, &e) => {
                for edit in edits {
                    context
                        .observer
                        .still(edit.address, "waiting until IAM accepts the new principal");
                }
                if !wait.again().await {
                    return Err(unwritten(context, e));
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// IAM is eventually consistent: what others are to rely on must be there when it is read.
async fn reads_back(
    context: &Context,
    resource: &Resource,
    edits: &[Planned<'_>],
) -> Result<(), Unwritten> {
    let mut wait = context.propagation_wait();
    loop {
        let mut policy = policies::read(&context.http, resource).await?;
        if !merge(&mut policy, edits) {
            return Ok(());
        }
        if !wait.again().await {
            let seconds = context.limits.propagation.as_secs();
            let message = match context.stop.is_cancelled() {
                true => format!(
                    "the policy of {resource} was written, and wi was interrupted before it read back so. Plan again"
                ),
                false => format!(
                    "the policy of {resource} was written, but does not read back so after {seconds} s: somebody else may have undone it. Plan again"
                ),
            };
            let e = ApiError::without_answer("GET", &resource.full_name(), message);
            return Err(e.into());
        }
    }
}

/// What came back last, when it is not tried again.
fn unwritten(context: &Context, e: ApiError) -> Unwritten {
    match context.stop.is_cancelled() {
        true => Unwritten::Interrupted,
        false => Unwritten::Refused(e),
    }
}

/// What all pools of projects end in.
const POOL: &str = ".svc.id.goog";

/// The pool that IAM says is none: `Identity Pool does not exist (acme-prod.svc.id.goog).`
fn unknown_pool(e: &ApiError) -> Option<&str> {
    if e.code != 400 || !e.message.contains("does not exist") {
        return None;
    }
    let is_of_a_pool = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    e.message
        .split(|c| !is_of_a_pool(c))
        .map(|word| word.trim_end_matches('.'))
        .find(|word| word.len() > POOL.len() && word.ends_with(POOL))
}

/// IAM refuses members that it does not know: an account or a pool made a moment ago among them.
fn is_not_visible_yet(context: &Context, resource: &Resource, e: &ApiError) -> bool {
    // A pool that no cluster has will not come by waiting.
    if let Some(pool) = unknown_pool(e) {
        return context.pools.contains(pool);
    }
    if !context.makes_principals {
        return false;
    }
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
