//! Smaller roles for what was used: reads the logs and the roles, and makes a patch of the spec of what is proposed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use wi_audit::World;
use wi_audit::least::edit::{Change, LineEdit, edit, edited, patch};
use wi_audit::least::{self, Advice, Smaller, Suggestion, Usage, Use};
use wi_client::google::iam;
use wi_client::http::{ApiError, Http};
use wi_core::address::BindingKey;
use wi_core::desired::Desired;
use wi_core::names::{Member, ProjectId, Role};
use wi_core::spec::{Source, load_sources};
use wi_core::wire::iam::RoleDefinition;
use wi_core::words::safe;
use wi_logs::collect::Seen;
use wi_logs::each::EachUsed;

use crate::engine;
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

/// Patches of the files, and proposals that they do not have. Each edit is tried: the spec must be what it was but for what is
/// proposed, or it is left to people.
fn patches(paths: &[PathBuf], all: &[Suggestion]) -> (Vec<String>, BTreeSet<BindingKey>) {
    let sources = engine::read_sources(paths);
    let mut edits: BTreeMap<String, Vec<LineEdit>> = BTreeMap::new();
    let mut by_hand = BTreeSet::new();
    let mut done = BTreeSet::new();
    for suggestion in all {
        let Some(change) = change(&suggestion.advice) else {
            continue;
        };
        let (file, line, role) = (
            &suggestion.place.file,
            suggestion.place.line,
            suggestion.grant.role.as_str(),
        );
        if !done.insert((file, line, role)) {
            continue;
        }
        let same: Vec<&BindingKey> = all
            .iter()
            .filter(|s| s.place == suggestion.place && s.grant.role.as_str() == role)
            .map(|s| &s.grant)
            .collect();
        let source = sources.iter().find(|s| s.name == *file);
        let made = source.and_then(|source| edit(&source.text, line, role, &change));
        match made.filter(|e| says(&sources, file, e, &same, &change)) {
            Some(edit) => edits.entry(file.clone()).or_default().push(edit),
            None => by_hand.extend(same.into_iter().cloned()),
        }
    }
    let patches = edits.iter().map(|(file, edits)| patch(file, edits));
    (patches.collect(), by_hand)
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

/// Whether the spec with an edit asks for what it did, with these grants changed, and for nothing else.
fn says(
    sources: &[Source],
    file: &str,
    made: &LineEdit,
    grants: &[&BindingKey],
    change: &Change,
) -> bool {
    let bindings = |sources: Vec<Source>| {
        let spec = load_sources(sources).ok()?;
        Some(
            Desired::of(&spec)
                .bindings
                .into_keys()
                .collect::<BTreeSet<BindingKey>>(),
        )
    };
    let after = sources.iter().map(|source| match source.name == file {
        true => Source::new(
            file.to_owned(),
            edited(&source.text, std::slice::from_ref(made)),
        ),
        false => Source::new(source.name.clone(), source.text.clone()),
    });
    let before = sources
        .iter()
        .map(|s| Source::new(s.name.clone(), s.text.clone()));
    let (Some(mut wanted), Some(after)) = (bindings(before.collect()), bindings(after.collect()))
    else {
        return false;
    };
    for grant in grants {
        wanted.remove(*grant);
    }
    for (grant, role) in grants
        .iter()
        .flat_map(|g| change.roles.iter().map(move |r| (*g, r)))
    {
        let Ok(role) = Role::parse(role) else {
            return false;
        };
        wanted.insert(BindingKey {
            role,
            resource: change.on.clone().unwrap_or_else(|| grant.resource.clone()),
            ..grant.clone()
        });
    }
    wanted == after
}
