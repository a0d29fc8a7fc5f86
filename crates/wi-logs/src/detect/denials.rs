//! Bursts of denials: L7.

use std::collections::BTreeMap;

use super::{Context, Detector, Severity, thousands};
use crate::facts::Kind;
use crate::when::{self, DAY, MINUTE, Micros};

/// So many within [`WINDOW`] are a burst.
const BURST: u64 = 10;
/// In minutes.
const WINDOW: i64 = 10;
/// A burst is so many times the mean of the days before.
const TIMES: u64 = 3;
/// In days.
const BEFORE: i64 = 7;

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    // While wi carries out a plan, refusals are its own business.
    let own: Vec<(&str, Micros, Micros)> = facts
        .of(Kind::OwnChange)
        .filter(|(row, _)| context.is_wi(&row.who, true))
        .map(|(row, stat)| {
            (
                &*row.who,
                stat.first - WINDOW * MINUTE,
                stat.last + WINDOW * MINUTE,
            )
        })
        .collect();
    let mut by_who: BTreeMap<(&str, bool), BTreeMap<i64, u64>> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Denial) {
        let at = row.n * MINUTE;
        let is_own = own
            .iter()
            .any(|(who, from, to)| **who == *row.who && (*from..=*to).contains(&at));
        if !is_own && !row.who.is_empty() {
            let key = (&*row.who, row.a.is_empty());
            *by_who.entry(key).or_default().entry(row.n).or_default() += stat.calls;
        }
    }
    for ((who, is_named), minutes) in by_who {
        let Some((start, count, mean)) = worst(context, who, &minutes) else {
            continue;
        };
        let at = start * MINUTE;
        let who = facts.email(who);
        // Entries of denials often have no principal: then it is the account that was asked for.
        let what = match is_named {
            true => format!(
                "{} is denied much more often than before",
                context.shown(who)
            ),
            false => format!(
                "Somebody whose name the entries do not have is denied at {}: principal unknown",
                context.shown(who)
            ),
        };
        let evidence = vec![
            format!(
                "{} denials in {WINDOW} minutes from {}",
                thousands(count),
                when::shown(at)
            ),
            format!("in the {BEFORE} days before, {mean} in {WINDOW} minutes on average"),
        ];
        let rule = (Detector::L7, Severity::Medium);
        let about = if is_named { "" } else { "principal unknown" };
        context.find(rule, who, about, what, evidence, Some(at));
    }
}

/// The largest burst: its first minute, its denials, and the mean before it as text.
fn worst(
    context: &Context<'_>,
    who: &str,
    minutes: &BTreeMap<i64, u64>,
) -> Option<(i64, u64, String)> {
    let all: Vec<(i64, u64)> = minutes.iter().map(|(m, n)| (*m, *n)).collect();
    let (mut start, mut sum) = (0, 0);
    let mut worst: Option<(i64, u64, String)> = None;
    for (minute, count) in &all {
        sum += count;
        while all[start].0 + WINDOW <= *minute {
            sum -= all[start].1;
            start += 1;
        }
        if sum < BURST || worst.as_ref().is_some_and(|(_, most, _)| sum <= *most) {
            continue;
        }
        let first = all[start].0;
        let per_day = DAY / MINUTE;
        let in_rows: u64 = minutes
            .range(first - BEFORE * per_day..first)
            .map(|(_, n)| n)
            .sum();
        let day = first.div_euclid(per_day);
        let seen_from = context
            .facts
            .span
            .map_or(day, |(from, _)| when::day_of(from));
        let in_baseline: u64 = context
            .base(who)
            .map(|h| {
                h.denials
                    .range(day - BEFORE..day.min(seen_from))
                    .map(|(_, n)| n)
                    .sum()
            })
            .unwrap_or_default();
        let before = in_rows + in_baseline;
        let windows = (BEFORE * per_day / WINDOW) as u64;
        if sum * windows >= TIMES * before {
            let mean = format!("{:.2}", before as f64 / windows as f64);
            worst = Some((first, sum, mean));
        }
    }
    worst
}
