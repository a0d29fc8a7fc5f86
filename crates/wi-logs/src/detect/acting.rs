//! Who acts as whom: L1, L5, L9, L16.

use std::collections::BTreeMap;

use super::{Context, Detector, Severity, numbers};
use crate::facts::{Kind, Name, Stat};
use crate::name;
use crate::when::{self, MINUTE, Micros};

/// Drivers that fetch tokens for pods themselves.
const DRIVERS: [&str; 2] = ["gcsfuse", "secrets-store"];

/// So long after an account was disabled a token may still be made: changes take their time.
const PROPAGATION: Micros = 10 * MINUTE;

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    // By minter and account: agents and places together.
    let mut mints: BTreeMap<(Name, String), Stat> = BTreeMap::new();
    let mut outside: BTreeMap<(Name, Name), (Stat, Vec<Name>)> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Mint) {
        let account = facts.email(&row.a).to_owned();
        let minter: Name = facts.email(&row.who).into();
        mints
            .entry((minter, account))
            .and_modify(|s| s.add(*stat))
            .or_insert(*stat);
        let agent = &*row.b;
        let is_outside = agent != name::METADATA_SERVER
            && !DRIVERS.contains(&agent)
            && (!agent.is_empty() || name::is_public(&row.c));
        if name::is_ksa(&row.who) && is_outside {
            let (known, places) = outside
                .entry((row.who.clone(), row.b.clone()))
                .or_insert((*stat, Vec::new()));
            if !places.is_empty() {
                known.add(*stat);
            }
            places.push(row.c.clone());
        }
    }
    for ((who, agent), (stat, places)) in outside {
        let from: Vec<String> = places.iter().map(|p| context.place(p)).collect();
        let program = if agent.is_empty() { "no name" } else { &agent };
        let what = format!(
            "{} made tokens with {program}, and not through the metadata server",
            context.shown(&who)
        );
        let evidence = vec![numbers(&stat), format!("from {}", from.join(", "))];
        let rule = (Detector::L1, Severity::High);
        context.find(rule, &who, &agent, what, evidence, Some(stat.first));
    }
    minters(context, &mints);
    gone(context, &mints);
}

/// Whoever acts as an account that is declared, and is not named by the spec.
fn minters(context: &mut Context<'_>, mints: &BTreeMap<(Name, String), Stat>) {
    let facts = context.facts;
    let mut by_token: Vec<(Name, String)> = Vec::new();
    for ((minter, account), stat) in mints {
        let Some(identity) = context.expected.identity(account) else {
            continue;
        };
        // Of an entry without a name all is denied: the burst of it is told.
        let is_known = minter.is_empty() || **minter == *account || identity.may_be_used_by(minter);
        if is_known {
            continue;
        }
        let what = format!(
            "{} made tokens of {}, and the spec does not name it",
            context.shown(minter),
            context.shown(account)
        );
        let evidence = vec![numbers(stat), named(&identity.users)];
        by_token.push((minter.clone(), account.clone()));
        let rule = (Detector::L5, Severity::High);
        context.find(rule, account, minter, what, evidence, Some(stat.first));
    }
    for (row, stat) in facts.of(Kind::Via) {
        let account = facts.email(&row.who).to_owned();
        let Some(identity) = context.expected.identity(&account) else {
            continue;
        };
        let via: Name = facts.email(&row.a).into();
        if !identity.has_workloads || *via == *account || identity.may_be_used_by(&via) {
            continue;
        }
        // Entries of tokens are off by default: what was done with one shows the same.
        let is_pod = name::is_ksa(&via);
        if is_pod && by_token.contains(&(via.clone(), account.clone())) {
            continue;
        }
        let detector = if is_pod { Detector::L5 } else { Detector::L9 };
        let what = format!(
            "{} acted as {}, which is for pods",
            context.shown(&via),
            context.shown(&account)
        );
        let evidence = vec![numbers(stat), named(&identity.users)];
        let rule = (detector, Severity::High);
        context.find(rule, &account, &via, what, evidence, Some(stat.first));
    }
}

fn named(users: &[String]) -> String {
    match users {
        [] => "the spec names nobody who may act as it".to_owned(),
        users => format!("the spec names {}", users.join(", ")),
    }
}

/// Accounts that are acted as, or act, after they were disabled or deleted.
fn gone(context: &mut Context<'_>, mints: &BTreeMap<(Name, String), Stat>) {
    let facts = context.facts;
    let mut events: BTreeMap<String, Vec<(Micros, &str)>> = BTreeMap::new();
    for (row, _) in facts.of(Kind::State) {
        let of = events.entry(facts.email(&row.who).to_owned()).or_default();
        of.push((row.n, &row.a));
    }
    for events in events.values_mut() {
        events.sort_unstable();
    }
    // The state of an account at a moment, and since when.
    let state = |account: &str, at: Micros| {
        let before = events
            .get(account)?
            .iter()
            .rfind(|(since, _)| *since <= at)?;
        (before.1 != "there").then_some((before.0, before.1))
    };
    for ((minter, account), stat) in mints {
        let gone = |who: &str| state(who, stat.last - PROPAGATION).map(|g| (who.to_owned(), g));
        let by_name = || {
            let is_deleted = minter.contains("?uid=");
            is_deleted.then(|| (minter.to_string(), (stat.first, "deleted")))
        };
        let Some((who, (since, state))) = gone(account).or_else(|| gone(minter)).or_else(by_name)
        else {
            continue;
        };
        let (other, what) = match who == *account {
            true => (
                minter.to_string(),
                format!(
                    "{} asked for tokens of {}, which is {state}",
                    context.shown(minter),
                    context.shown(account)
                ),
            ),
            false => (
                account.clone(),
                format!(
                    "{}, which is {state}, asked for tokens of {}",
                    context.shown(minter),
                    context.shown(account)
                ),
            ),
        };
        let evidence = vec![
            numbers(stat),
            format!("{state} since {}", when::shown(since)),
        ];
        let rule = (Detector::L16, Severity::High);
        context.find(rule, &who, &other, what, evidence, Some(stat.first));
    }
}
