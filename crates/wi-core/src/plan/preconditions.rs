//! What a plan rests on: the objects that its changes write, as they were when they were read. A
//! saved plan is carried out if they still are so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::observe::{Observation, Precondition, Reader};
use super::{Edit, IdentityEffect, Impact, Options, Plan};
use crate::desired::Desired;
use crate::live::Live;
use crate::names::{Email, KsaIdentity, Member};
use crate::resource::Resource;

/// What a plan rests on beside what its edits hold themselves: clusters, node pools and policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preconditions(#[serde(with = "crate::serde_pairs")] BTreeMap<Precondition, Observation>);

/// An object that is not as the plan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleObject {
    /// The object.
    pub object: String,
    /// What is other than it was, a line each.
    pub how: Vec<String>,
}

/// What became of a plan's preconditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects that are not as they were.
    pub stale: Vec<StaleObject>,
    /// Objects that could not be read, and why.
    pub unread: Vec<(String, String)>,
}

impl Preconditions {
    /// What `plan` rests on beside its edits, as it is in `live`.
    pub(super) fn of(plan: &Plan, desired: &Desired, live: &Live) -> Self {
        let mut all = observed(plan, desired, live).observed;
        let told = told_by(plan);
        all.retain(|basis, _| !told.contains_key(basis));
        Self(all)
    }
}

/// What a plan's edits, and its workloads, say themselves of what it rests on.
fn told_by(plan: &Plan) -> BTreeMap<Precondition, Observation> {
    let told = |state| Observation {
        version: String::new(),
        state,
    };
    let of_edits = plan.changes.iter().filter_map(|(address, change)| {
        let state = change.edit.seen()?;
        Some((Precondition::Resource(address.clone()), told(state)))
    });
    let moved = plan
        .impact
        .iter()
        .filter(|(a, _)| plan.changes.contains_key(*a));
    let of_workloads = moved.map(|(address, impact)| {
        let workloads = Precondition::Workloads(address.clone());
        (workloads, told(losers(impact)))
    });
    of_edits.chain(of_workloads).collect()
}

/// What is other than it was. What `before` does not tell of is, too: a file that leaves something out is
/// not believed.
fn stale(
    before: &BTreeMap<Precondition, Observation>,
    now: &BTreeMap<Precondition, Observation>,
) -> Vec<StaleObject> {
    let stale = now.iter().filter_map(|(basis, after)| {
        if let Precondition::Namespace(namespace) = basis
            && now.contains_key(&Precondition::Resource(namespace.clone()))
        {
            return None; // told of with all that it is
        }
        let how = match before.get(basis) {
            None => vec!["the plan does not say what it was".to_owned()],
            Some(before) => {
                let same_version = !before.version.is_empty() && before.version == after.version;
                if same_version || before.state == after.state {
                    return None;
                }
                let mut how = Vec::new();
                differences("", &before.state, &after.state, &mut how);
                how
            }
        };
        let object = basis.to_string();
        Some(StaleObject { object, how })
    });
    stale.collect()
}

/// Whether `plan`, which rests on `recorded` and what its edits hold, is what would be done now: `live` was
/// read anew for `desired`, the part of it that the changes touch ([`super::scope::touched`]).
pub(super) fn compare(
    plan: &Plan,
    recorded: &Preconditions,
    desired: &Desired,
    live: &Live,
    options: &Options,
) -> Compared {
    // Who loses the node's identity is for the planner to say, by what runs on the node pools now.
    let fresh = super::plan(desired, live, options);
    let now = Plan {
        changes: plan.changes.clone(),
        impact: fresh.impact,
        ..Plan::default()
    };
    let mut before = recorded.0.clone();
    before.extend(told_by(plan));
    let Reader {
        observed: mut now,
        unread,
        ..
    } = observed(&now, desired, live);
    if options.accept_loss {
        // Pods that could not be read then are accepted unseen.
        now.retain(|basis, _| {
            before.contains_key(basis) || !matches!(basis, Precondition::Workloads(_))
        });
    }
    let mut stale = stale(&before, &now);
    for held in fresh.held_back {
        let how = held.why.what_stands_against_it();
        if how.is_empty() {
            continue;
        }
        if plan.changes.contains_key(&held.address) {
            let object = held.address.to_string();
            stale.push(StaleObject { object, how });
        }
    }
    for (address, why) in super::left::appeared(plan, desired, live, options) {
        let object = address.to_string();
        stale.push(StaleObject {
            object,
            how: vec![why],
        });
    }
    let mut unread: Vec<(String, String)> = unread
        .into_iter()
        .map(|(b, why)| (b.to_string(), why))
        .collect();
    if stale.is_empty() && unread.is_empty() {
        // Pods of a node pool that could be read then, and cannot be now.
        let gone = before.keys().filter(|b| !now.contains_key(*b));
        unread.extend(gone.map(|basis| (basis.to_string(), "it was not read".to_owned())));
    }
    Compared { stale, unread }
}

/// All that `plan` rests on.
fn observed<'a>(plan: &Plan, desired: &Desired, live: &'a Live) -> Reader<'a> {
    let mut reader = Reader::of(live);
    for change in plan.changes.values() {
        change.edit.observe(&mut reader);
    }
    annotations_of_others(plan, desired, &mut reader);
    for (address, impact) in &plan.impact {
        if plan.changes.contains_key(address) {
            reader.seen(Precondition::Workloads(address.clone()), "", losers(impact));
        }
    }
    reader
}

/// As what those act whose annotation others write: nothing is taken that they rely on, and they may by now.
fn annotations_of_others(plan: &Plan, desired: &Desired, reader: &mut Reader<'_>) {
    let mut accounts: BTreeSet<&Email> = BTreeSet::new();
    let mut identities: BTreeSet<&KsaIdentity> = BTreeSet::new();
    for change in plan.changes.values() {
        match &change.edit {
            Edit::Account(account) if account.ends_it() => _ = accounts.insert(&account.email),
            Edit::Binding(binding) if !binding.adds() => {
                match &binding.key.member {
                    Member::ServiceAccount(email) => _ = accounts.insert(email),
                    Member::Ksa(ksa) => _ = identities.insert(ksa),
                    _ => {}
                }
                if let Resource::ServiceAccount(email) = &binding.key.resource {
                    accounts.insert(email);
                }
            }
            _ => {}
        }
    }
    if accounts.is_empty() && identities.is_empty() {
        return;
    }
    let existing = desired.ksas.iter().filter(|(_, ksa)| ksa.existing);
    for (key, ksa) in existing.filter(|(key, _)| !plan.changes.contains_key(&key.address())) {
        let of_identity = identities.contains(&ksa.identity);
        reader.annotation_of_others(key, |account| {
            of_identity || account.is_some_and(|a| accounts.iter().any(|e| e.as_str() == a))
        });
    }
}

/// What moving a node pool takes from whom: new replicas of a workload are no news.
fn losers(impact: &Impact) -> Value {
    let mut losers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (fate, workloads) in &impact.workloads {
        let fate = match fate {
            IdentityEffect::Loses(_) | IdentityEffect::LosesAccepted => "lose the node's identity",
            IdentityEffect::Gets(_) | IdentityEffect::Keeps(_) => continue,
        };
        let names = workloads.iter().map(ToString::to_string);
        losers.entry(fate).or_default().extend(names);
    }
    json!(losers)
}

/// What is other than it was, a line each: `labels.team: "a" -> "b"`, `bindings.ROLE: + MEMBER`.
fn differences(at: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    let below = |key: &str| {
        if at.is_empty() {
            key.to_owned()
        } else {
            format!("{at}.{key}")
        }
    };
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            let keys: BTreeSet<&String> = b.keys().chain(a.keys()).collect();
            for key in keys {
                let (b, a) = (b.get(key), a.get(key));
                if b != a {
                    let none = Value::Null;
                    differences(&below(key), b.unwrap_or(&none), a.unwrap_or(&none), out);
                }
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null)
            if before.is_array() || after.is_array() =>
        {
            let empty = Vec::new();
            let (b, a) = (
                before.as_array().unwrap_or(&empty),
                after.as_array().unwrap_or(&empty),
            );
            for gone in b.iter().filter(|v| !a.contains(v)) {
                out.push(format!("{at}: - {}", short(gone)));
            }
            for new in a.iter().filter(|v| !b.contains(v)) {
                out.push(format!("{at}: + {}", short(new)));
            }
        }
        (Value::Null, _) if at.is_empty() => {
            out.push("it was not there, and is now".to_owned());
        }
        (_, Value::Null) if at.is_empty() => out.push("it is gone".to_owned()),
        _ => out.push(format!("{at}: {} -> {}", short(before), short(after))),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
