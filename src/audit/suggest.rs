//! Smaller roles for what was used: reads the logs and the roles, and makes a patch of the spec of what is proposed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use wi_audit::World;
use wi_audit::least::edit::Change;
use wi_audit::least::{self, Advice, Needless, Smaller, Suggestion, Usage, Use};
use wi_client::google::iam;
use wi_client::http::{ApiError, Http};
use wi_core::address::BindingKey;
use wi_core::names::{Member, ProjectId};
use wi_core::wire::iam::RoleDefinition;
use wi_core::words::safe;
use wi_logs::collect::Seen;
use wi_logs::each::EachUsed;

use super::patch::Edits;
use crate::logs::{self, files};

/// What is proposed for a spec.
#[derive(Debug)]
pub struct Suggested {
    /// For each grant, in the order of the spec.
    pub all: Vec<Suggestion>,
    /// Days between the first and the last entry of each project.
    pub days: BTreeMap<String, u32>,
    /// Lines of logs that could not be read.
    pub unreadable: u64,
    /// Files of logs that could not be read to their end, and why.
    pub broken: Vec<String>,
    /// What carries the proposals out, by file; each was tried on the spec.
    pub patches: Vec<String>,
    /// Proposals that are to be written by hand: the patch does not have them.
    pub by_hand: BTreeSet<BindingKey>,
}

/// All predefined roles, by name.
pub async fn catalogue(http: &Http) -> Result<BTreeMap<String, RoleDefinition>, ApiError> {
    let all = iam::predefined_roles(http).await?;
    Ok(all.into_iter().map(|r| (r.name.clone(), r)).collect())
}

/// What is proposed, by these logs. The error is for the user.
pub fn suggest(
    world: &World,
    catalogue: &BTreeMap<String, RoleDefinition>,
    paths: &[PathBuf],
    logs: &[PathBuf],
) -> Result<Suggested, String> {
    let grants = world
        .desired
        .bindings
        .keys()
        .filter(|key| !key.is_impersonation());
    let members: BTreeMap<String, Member> = grants
        .filter_map(|key| Some((principal(&key.member)?, key.member.clone())))
        .collect();
    let seen = Arc::new(Seen::default());
    let make = || EachUsed::of(members.keys().cloned(), &seen);
    let outcome = logs::gather(files::inputs(files::named(logs)?, None), make);
    let mut used = make();
    for part in outcome.parts {
        used.merge(part);
    }
    let usage = used
        .by
        .iter()
        .map(|(who, of)| (members[who].clone(), usage(of)))
        .collect();
    let days = used.days();
    let by_project = days
        .iter()
        .filter_map(|(p, days)| Some((ProjectId::parse(p).ok()?, *days)));
    let all = least::suggest(world, catalogue, &usage, &by_project.collect());
    let broken = outcome.broken.iter();
    let broken = broken
        .map(|(file, why)| format!("{} could not be read to its end: {}", safe(file), safe(why)));
    let (patches, by_hand) = patches(paths, &all);
    Ok(Suggested {
        all,
        days,
        unreadable: used.unreadable(),
        broken: broken.collect(),
        patches,
        by_hand,
    })
}

/// As entries have it.
fn principal(member: &Member) -> Option<String> {
    match member {
        Member::ServiceAccount(email) => Some(email.as_str().to_ascii_lowercase()),
        Member::Ksa(ksa) => Some(format!("{}[{}/{}]", ksa.pool, ksa.namespace, ksa.name)),
        _ => None,
    }
}

/// What was granted; what was denied is no use of a role.
fn usage(of: &wi_logs::summary::Permissions) -> Usage {
    let granted = of.used.iter().filter(|(_, p)| p.stat.calls > p.stat.denied);
    let used = granted.map(|(name, p)| {
        let used = Use {
            calls: p.stat.calls - p.stat.denied,
            on: p.resources.clone(),
            is_more: p.is_more,
        };
        (name.clone(), used)
    });
    let read = of.services.iter().filter(|(_, reads)| **reads);
    let read = read.map(|(service, _)| service.trim_end_matches(".googleapis.com").to_owned());
    Usage {
        used: used.collect(),
        read: read.collect(),
    }
}

/// Patches of the files, and proposals that they do not have: those are left to people.
fn patches(paths: &[PathBuf], all: &[Suggestion]) -> (Vec<String>, BTreeSet<BindingKey>) {
    let mut edits = Edits::of(paths);
    let mut by_hand = BTreeSet::new();
    let mut done = BTreeSet::new();
    for suggestion in all {
        let Some(change) = change(&suggestion.advice) else {
            continue;
        };
        let role = &suggestion.grant.role;
        if !done.insert((&suggestion.place.file, suggestion.place.line, role)) {
            continue;
        }
        let same = all
            .iter()
            .filter(|s| s.place == suggestion.place && s.grant.role == *role);
        let same: Vec<&BindingKey> = same.map(|s| &s.grant).collect();
        if !edits.make(&suggestion.place, &same, &change) {
            by_hand.extend(same.into_iter().cloned());
        }
    }
    (edits.patches(), by_hand)
}

/// What is to be written; `None`: nothing, or what is no predefined role.
fn change(advice: &Advice) -> Option<Change> {
    match advice {
        Advice::Smaller(Smaller::Roles(roles), on) => Some(Change {
            roles: roles.clone(),
            on: on.clone(),
        }),
        Advice::Remove => Some(Change {
            roles: Vec::new(),
            on: None,
        }),
        Advice::Smaller(Smaller::Custom(_), _) | Advice::Keep(_) => None,
    }
}

/// Grants of the spec that nobody loses by, taken out of its lines as far as that can be; those that cannot are given back.
pub fn needless(world: &World, paths: &[PathBuf]) -> (Edits, Vec<(Needless, bool)>) {
    let mut edits = Edits::of(paths);
    let all = least::needless(world);
    let nothing = Change {
        roles: Vec::new(),
        on: None,
    };
    let told = all.iter().map(|one| {
        // A line may be several grants, of which each has to be needless.
        let of_line = world
            .desired
            .bindings
            .iter()
            .filter(|(key, place)| **place == one.place && key.role == one.grant.role);
        let of_line: Vec<&BindingKey> = of_line.map(|(key, _)| key).collect();
        let is_alone = of_line
            .iter()
            .all(|key| all.iter().any(|n| n.grant == **key));
        let first = of_line.first().is_some_and(|key| **key == one.grant);
        is_alone && (!first || edits.make(&one.place, &of_line, &nothing))
    });
    let made: Vec<bool> = told.collect();
    (edits, all.iter().cloned().zip(made).collect())
}
