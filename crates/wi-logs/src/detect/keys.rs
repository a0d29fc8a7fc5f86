//! Keys after their time: L6.

use super::{Context, Detector, Severity, calls};
use crate::facts::Kind;
use crate::name;
use crate::when::{self, Micros};

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    let accounts: Vec<String> = context
        .expected
        .identities
        .iter()
        .filter(|(_, i)| i.has_workloads)
        .map(|(who, _)| who.clone())
        .collect();
    for account in accounts {
        let Some((since, how)) = migrated(context, &account) else {
            continue;
        };
        let mut keys: Vec<(String, u64, Micros, Micros)> = Vec::new();
        for (row, stat) in facts.about(Kind::Key, &account) {
            if stat.last <= since {
                continue;
            }
            let first = stat.first.max(since);
            match keys.iter_mut().find(|(key, ..)| **key == *row.a) {
                Some((_, calls, from, to)) => {
                    *calls += stat.calls;
                    *from = first.min(*from);
                    *to = stat.last.max(*to);
                }
                None => keys.push((row.a.to_string(), stat.calls, first, stat.last)),
            }
        }
        for (key, count, first, last) in keys {
            let what = format!(
                "a key of {} is used, and it went off keys",
                context.shown(&account)
            );
            let evidence = vec![
                format!(
                    "key {key} (a digest of its id): {} on days after that, last {}",
                    calls(count),
                    when::shown(last)
                ),
                format!("{how} {}", when::shown(since)),
            ];
            let rule = (Detector::L6, Severity::High);
            context.find(rule, &account, &key, what, evidence, Some(first));
        }
    }
}

/// When an account went off keys, and how that is known: as it was told, or by the first token of a pod.
fn migrated(context: &Context<'_>, account: &str) -> Option<(Micros, &'static str)> {
    let expected = context.expected;
    if let Some(at) = expected
        .migrated
        .get(account)
        .or(expected.migrated_all.as_ref())
    {
        return Some((*at, "off keys, as you told, since"));
    }
    let identity = expected.identity(account)?;
    let tokens = context.facts.of(Kind::Mint).filter(|(row, stat)| {
        context.facts.email(&row.a) == account
            && name::is_ksa(&row.who)
            && identity.may_be_used_by(&row.who)
            && stat.denied < stat.calls
    });
    let seen = tokens.map(|(_, stat)| stat.first).min();
    let before = context.base(account).and_then(|h| h.first_token);
    let first = match (seen, before) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    Some((first, "its pods' first token that was seen is of"))
}
