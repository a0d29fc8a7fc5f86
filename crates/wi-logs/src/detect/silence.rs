//! Who no longer calls: L13.

use std::collections::BTreeSet;

use super::{Context, Detector, LEARNED_CALLS, LEARNED_DAYS, Severity, calls};
use crate::facts::Kind;
use crate::when;

/// So many days without a call are silence.
const SILENT: i64 = 7;
/// Who calls on fewer days of ten is not regular.
const REGULAR: usize = 8;

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    let Some((_, end)) = facts.span else { return };
    let end = when::day_of(end);
    // Without entries of anybody, a day tells nothing about anyone.
    let covered: BTreeSet<i64> = facts.of(Kind::Day).map(|(row, _)| row.n).collect();
    if !(end - SILENT + 1..=end).all(|day| covered.contains(&day)) {
        return;
    }
    let declared: Vec<String> = context.expected.identities.keys().cloned().collect();
    for who in declared {
        let mut days: BTreeSet<i64> = context
            .base(&who)
            .map(|h| h.days.clone())
            .unwrap_or_default();
        days.extend(facts.about(Kind::Day, &who).map(|(row, _)| row.n));
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            continue;
        };
        let past = context.past(&who, end + 1);
        let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let is_regular = days.len() >= LEARNED_DAYS
            && past.calls >= LEARNED_CALLS
            && days.len().saturating_mul(10) >= span.saturating_mul(REGULAR);
        if !is_regular || end - last < SILENT {
            continue;
        }
        let what = format!(
            "{} called on {} of {span} days, and not since {}",
            context.shown(&who),
            days.len(),
            when::date(*last)
        );
        let evidence = vec![format!(
            "{} in all; silent for {} days",
            calls(past.calls),
            end - last
        )];
        context.find(
            (Detector::L13, Severity::Low),
            &who,
            "",
            what,
            evidence,
            None,
        );
    }
}
