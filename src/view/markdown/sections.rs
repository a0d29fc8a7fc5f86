//! The sections of a comment, one for each thing that a reviewer looks for.

use std::collections::BTreeMap;
use std::fmt::Write;

use wi_core::address::Address;
use wi_core::plan::{
    AccessChange, Action, Change, Edit, HoldReason, IdentityEffect, Impact, Plan, Right, Workload,
};
use wi_core::spec::model::SourceLine;
use wi_core::words::safe;

use super::escape::{cell, code, fence, html};
use super::fit::{Block, Section};
use super::{About, count};
use crate::view::impact;

/// So many workloads of a node pool are named in its row.
const NAMED: usize = 20;

/// `… 3 more grants left out: see the run`, on a line of its own.
fn left_out(about: &About, what: &'static str) -> impl Fn(usize) -> String + 'static {
    let see = about.see();
    move |n| format!("\n… {} left out{see}\n\n", count(n, what))
}

/// The same as a row of a table.
fn row_left_out(about: &About, what: &'static str) -> impl Fn(usize) -> String + 'static {
    let see = about.see();
    move |n| format!("| … {} left out{see} |\n", count(n, what))
}

/// Rows in a fence.
fn fenced(title: &str, rows: Vec<String>) -> Block {
    let fence = fence(rows.iter().map(String::as_str));
    Block {
        head: format!("{title}\n\n{fence}text\n"),
        rows,
        foot: format!("{fence}\n\n"),
    }
}

fn line_left_out(what: &'static str) -> impl Fn(usize) -> String + 'static {
    move |n| format!("… {} left out\n", count(n, what))
}

pub(super) fn errors(plan: &Plan) -> Section {
    let rows = plan.errors.iter().map(|e| {
        let place = e
            .place
            .as_ref()
            .map(|p| format!(" ({p})"))
            .unwrap_or_default();
        let head = safe(&format!("{}{place}", e.subject));
        let mut row = format!("{head}\n");
        for line in e.message.lines() {
            let _ = writeln!(row, "  {}", safe(line));
        }
        row
    });
    let block = fenced("**To be fixed before anything is applied**", rows.collect());
    Section::of(1, block, line_left_out("error"))
}

/// The name of a group of changes: a cluster, or what clusters share.
fn group(change: &Change) -> Option<&str> {
    change.cluster()
}

pub(super) fn by_cluster(plan: &Plan, about: &About) -> Section {
    #[derive(Default)]
    struct Of {
        counts: [usize; 3],
        notes: Vec<String>,
    }
    let mut groups: BTreeMap<Option<&str>, Of> = BTreeMap::new();
    for change in plan.changes.values() {
        let of = groups.entry(group(change)).or_default();
        of.counts[match change.action() {
            Action::Create => 0,
            Action::Update => 1,
            Action::Delete => 2,
        }] += 1;
        if let Edit::NodePool(pool) = &change.edit {
            of.notes.push(format!(
                "rolls {} ({})",
                cell(&pool.node_pool),
                count(usize::try_from(pool.nodes).unwrap_or(usize::MAX), "node")
            ));
        }
    }
    let mut rows: Vec<_> = groups.into_iter().collect();
    // What is cut is at the end; clusters in which nothing rolls or goes are the least missed.
    rows.sort_by_key(|(name, of)| (name.is_some(), of.counts[2] == 0 && of.notes.is_empty()));
    let wave_of = |name: Option<&str>| -> Option<(usize, String)> {
        let waves = plan.waves.as_ref()?;
        let index = *waves.wave_of.get(name?)?;
        let wave = waves.waves.get(index)?;
        Some((index, format!("{} {}", index + 1, cell(&wave.name))))
    };
    if plan.waves.is_some() {
        rows.sort_by_key(|(name, _)| wave_of(*name).map(|(index, _)| index));
    }
    // Clusters of one wave that are changed alike are one row.
    let mut alike: Vec<(String, Vec<String>, String)> = Vec::new();
    for (name, of) in rows {
        let wave = match &plan.waves {
            Some(_) => format!("| {} ", wave_of(name).map_or(String::new(), |(_, w)| w)),
            None => String::new(),
        };
        let [add, change, destroy] = of.counts;
        let rest = format!(
            "| {add} | {change} | {destroy} | {} |\n",
            of.notes.join(", ")
        );
        let shown = name.map_or("shared by clusters".to_owned(), cell);
        let same = |row: &&mut (String, Vec<String>, String)| row.0 == wave && row.2 == rest;
        match alike.iter_mut().find(same).filter(|_| name.is_some()) {
            Some((_, names, _)) => names.push(shown),
            None => alike.push((wave, vec![shown], rest)),
        }
    }
    let rows = alike.into_iter().map(|(wave, names, rest)| {
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let first: Vec<String> = names.into_iter().take(NAMED).collect();
        format!("{wave}| {}{more} {rest}", first.join(", "))
    });
    let block = Block {
        head: if plan.waves.is_some() {
            "| Wave | Cluster | add | change | destroy | |\n|---|---|--:|--:|--:|---|\n"
        } else {
            "| Cluster | add | change | destroy | |\n|---|--:|--:|--:|---|\n"
        }
        .to_owned(),
        rows: rows.collect(),
        foot: "\n".to_owned(),
    };
    Section::of(4, block, row_left_out(about, "cluster"))
}

/// Node pools that move, those whose workloads lose something first.
pub(super) fn node_pools(plan: &Plan, about: &About) -> Section {
    let mut rows: Vec<(usize, String)> = plan
        .risks()
        .rolls
        .into_iter()
        .map(|(address, nodes)| {
            let losers: Vec<String> = plan
                .impact
                .get(address)
                .into_iter()
                .flat_map(losers)
                .collect();
            let mut named = losers
                .iter()
                .take(NAMED)
                .map(|name| cell(name))
                .collect::<Vec<_>>()
                .join(", ");
            if losers.len() > NAMED {
                let _ = write!(named, " and {} more", losers.len() - NAMED);
            }
            let row = format!("| {} | {nodes} | {named} |\n", cell(address));
            (losers.len(), row)
        })
        .collect();
    rows.sort_by_key(|(losers, _)| std::cmp::Reverse(*losers));
    let block = Block {
        head: "**Nodes that are recreated**\n\n| Node pool | nodes | lose the node's identity |\n|---|--:|---|\n".to_owned(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        foot: "\n".to_owned(),
    };
    Section::of(3, block, row_left_out(about, "node pool"))
}

fn losers(impact: &Impact) -> impl Iterator<Item = String> {
    let named = |w: &Workload, more: &str| format!("{}/{} ({}{more})", w.namespace, w.name, w.kind);
    let without = impact
        .workloads
        .iter()
        .filter_map(|(fate, all)| match fate {
            IdentityEffect::Gets(account) if impact.without_roles.contains(account) => {
                Some((account, all))
            }
            _ => None,
        });
    let without = without.flat_map(move |(account, all)| {
        let more = format!(", as {account}, which holds no role");
        all.iter().map(move |w| named(w, &more))
    });
    impact.losers().map(move |w| named(w, "")).chain(without)
}

/// A resource without `on`, in a column of its own.
fn on_what(right: &Right) -> String {
    match right {
        Right::Role { on, .. } => on.to_string(),
        right => right.on_what(),
    }
}

/// Losses and privilege increases come first and are cut last; other gains go on in the same table.
pub(super) fn access(plan: &Plan, about: &About) -> [Section; 2] {
    let row = |a: &AccessChange| {
        let (sign, words) = match (a.gains, a.is_increase()) {
            (false, _) => ("➖", "loses"),
            (true, true) => ("⚠️", "gains, can raise itself"),
            (true, false) => ("➕", "gains"),
        };
        let clusters = match a.clusters {
            0 | 1 => String::new(),
            n => format!(" (in {n} clusters at once)"),
        };
        format!(
            "| {sign} {words} | {}{clusters} | {} | {} |\n",
            cell(&a.principal.to_string()),
            cell(&a.right.what()),
            cell(&on_what(&a.right))
        )
    };
    let risky = |a: &&AccessChange| !a.gains || a.is_increase();
    let rows = plan.access();
    let mut first: Vec<&AccessChange> = rows.iter().filter(risky).collect();
    first.sort_by_key(|a| a.gains);
    let first: Vec<String> = first.into_iter().map(row).collect();
    let rest: Vec<String> = rows.iter().filter(|a| !risky(a)).map(row).collect();
    let head = "**Who gains and who loses access**\n\n| | Principal | Role | Resource |\n|---|---|---|---|\n".to_owned();
    let blank = "\n".to_owned();
    let none = String::new;
    let (heads, feet) = match (first.is_empty(), rest.is_empty()) {
        (true, _) => ([none(), head], [none(), blank]),
        (false, true) => ([head, none()], [blank, none()]),
        (false, false) => ([head, none()], [none(), blank]),
    };
    let [head_first, head_rest] = heads;
    let [foot_first, foot_rest] = feet;
    [
        Section::of(
            2,
            Block {
                head: head_first,
                rows: first,
                foot: foot_first,
            },
            row_left_out(about, "loss or increase"),
        ),
        Section::of(
            6,
            Block {
                head: head_rest,
                rows: rest,
                foot: foot_rest,
            },
            row_left_out(about, "gain"),
        ),
    ]
}

pub(super) fn held_back(plan: &Plan, about: &About) -> Section {
    let rows = plan.held_back.iter().map(|held| {
        let why = match &held.why {
            HoldReason::Unread => "its pods could not be read".to_owned(),
            HoldReason::RestsOn(unread) => {
                format!("what its pods are to have rests on {}", code(unread))
            }
            HoldReason::Exclusion { name, until } => {
                format!("maintenance exclusion {} until {}", code(name), code(until))
            }
            HoldReason::InUse(by) => format!("the spec does not ask for it, but {}", code(by)),
            HoldReason::Users(users) => {
                let lines: Vec<String> = users.in_words().iter().map(|l| code(l)).collect();
                let account = code(users.account.as_str());
                format!("others may act as {account}: {}", lines.join(", "))
            }
            HoldReason::Keys { why, .. } => {
                let lines: Vec<String> = why.iter().map(|l| code(l)).collect();
                lines.join(", ")
            }
            HoldReason::Loss => {
                let losers: Vec<String> = plan
                    .impact
                    .get(&held.address)
                    .into_iter()
                    .flat_map(losers)
                    .collect();
                let named: Vec<String> = losers.iter().take(NAMED).map(|l| code(l)).collect();
                let more = match losers.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                format!("would lose the node's identity: {}{more}", named.join(", "))
            }
        };
        format!("- {}: {why}\n", code(&held.address))
    });
    let block = Block {
        head: "**Held back**\n\n".to_owned(),
        rows: rows.collect(),
        foot: "\n".to_owned(),
    };
    Section::of(3, block, left_out(about, "node pool"))
}

pub(super) fn unread(plan: &Plan) -> Section {
    let rows = plan
        .unseen
        .iter()
        .map(|u| safe(&format!("{}: {}", u.what, u.why)) + "\n");
    let block = fenced(
        "**Could not be read; nothing is removed there**",
        rows.collect(),
    );
    Section::of(3, block, line_left_out("object"))
}

/// All changes, folded by cluster.
pub(super) fn details(plan: &Plan, about: &About) -> Section {
    let mut groups: BTreeMap<Option<&str>, Vec<(&Address, &Change)>> = BTreeMap::new();
    for (address, change) in &plan.changes {
        groups
            .entry(group(change))
            .or_default()
            .push((address, change));
    }
    // Clusters with the same changes are one block.
    let mut same: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    let mut rows_of: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for (name, mut changes) in groups {
        // Removals first: the last rows are the first to go.
        changes.sort_by_key(|(_, c)| std::cmp::Reverse(c.action()));
        let rows: Vec<String> = changes
            .iter()
            .map(|(a, c)| diff(a, c, c.place.as_ref(), &plan.owner))
            .collect();
        let Some(cluster) = name else {
            rows_of.push((None, rows));
            continue;
        };
        let key: Vec<String> = changes
            .iter()
            .map(|(a, c)| diff(&a.in_cluster("*"), c, None, &plan.owner))
            .collect();
        let clusters = same.entry(key).or_default();
        if clusters.is_empty() {
            rows_of.push((name, rows));
        }
        clusters.push(cluster);
    }
    let others: BTreeMap<&str, Vec<&str>> = same
        .into_values()
        .map(|clusters| (clusters[0], clusters))
        .collect();
    let blocks = rows_of.into_iter().map(|(name, rows)| {
        let all = name
            .and_then(|n| others.get(n))
            .map_or(&[][..], Vec::as_slice);
        let title = match (name, all.len()) {
            (None, _) => "Shared by clusters".to_owned(),
            (Some(name), 0 | 1) => html(name),
            (Some(name), n) => {
                let some: Vec<String> = all.iter().take(8).map(|c| html(c)).collect();
                match n - some.len() {
                    0 => some.join(", "),
                    more => format!("{} and {more} more like {}", some.join(", "), html(name)),
                }
            }
        };
        let each = if all.len() > 1 { " each" } else { "" };
        let counted = count(rows.len(), "change");
        let fence = fence(rows.iter().map(String::as_str));
        Block {
            head: format!("<details><summary>{title} ({counted}{each})</summary>\n\n{fence}diff\n"),
            rows,
            foot: format!("{fence}\n\n</details>\n\n"),
        }
    });
    Section {
        priority: 7,
        blocks: blocks.collect(),
        rows_left_out: Box::new(line_left_out("change")),
        blocks_left_out: Box::new(left_out(about, "change")),
    }
}

/// One change as lines of a diff: GitHub colours them by their first character.
fn diff(address: &str, change: &Change, place: Option<&SourceLine>, owner: &str) -> String {
    let sign = match change.action() {
        Action::Create => '+',
        Action::Update => '!',
        Action::Delete => '-',
    };
    let place = match place {
        Some(place) => format!("  # {}", safe(&place.to_string())),
        None => String::new(),
    };
    let mut out = format!("{sign} {} {}{place}\n", safe(address), change.edit.verb());
    for note in &change.notes {
        let _ = writeln!(out, "{sign}     # {}", safe(note));
    }
    for attribute in change.edit.attributes(owner) {
        let value = match (&attribute.before, &attribute.after) {
            (Some(b), Some(a)) if b == a => safe(a),
            (Some(b), Some(a)) => format!("{} -> {}", safe(b), safe(a)),
            (None, Some(a)) => safe(a),
            (Some(b), None) => safe(b),
            (None, None) => continue,
        };
        let _ = writeln!(out, "{sign}     {} = {value}", safe(&attribute.name));
    }
    out
}

fn fold(summary: &str, rows: Vec<String>) -> Block {
    let fence = fence(rows.iter().map(String::as_str));
    Block {
        head: format!(
            "<details><summary>{summary} ({})</summary>\n\n{fence}text\n",
            rows.len()
        ),
        rows,
        foot: format!("{fence}\n\n</details>\n\n"),
    }
}

pub(super) fn warnings(plan: &Plan) -> Section {
    let rows = plan.warnings.iter().chain(&plan.notes);
    let rows = rows.map(|w| format!("- {}\n", safe(w)));
    Section::of(
        5,
        fold("Warnings", rows.collect()),
        line_left_out("warning"),
    )
}

pub(super) fn restarts(plan: &Plan) -> Section {
    let rows = plan.restarts.iter().map(|r| {
        format!(
            "cluster.{}: {}\n",
            safe(&r.cluster),
            impact::workload(&r.workload)
        )
    });
    Section::of(
        6,
        fold(
            "To restart afterwards, for their new identity",
            rows.collect(),
        ),
        line_left_out("workload"),
    )
}
