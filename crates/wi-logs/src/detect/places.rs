//! From where identities call: L8. What is known of clusters' networks is expected on the first day.

use std::collections::BTreeMap;

use super::{Context, Detector, Severity, numbers};
use crate::facts::{Kind, Stat};
use crate::name;
use crate::when::{self, MINUTE, Micros};

/// Who changes its addresses is at the new ones at about the time at which it leaves the old ones.
const MOVE: Micros = 60 * MINUTE;

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    let mut places: BTreeMap<&str, BTreeMap<&str, Stat>> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Place) {
        if context.is_workload(&row.who) {
            places.entry(&row.who).or_default().insert(&row.a, *stat);
        }
    }
    let mut nats: BTreeMap<&str, Micros> = BTreeMap::new();
    for (who, own) in &places {
        for (place, stat) in own {
            if context.base(who).is_some_and(|h| h.places.contains(*place)) {
                continue;
            }
            let Some(why) = odd(context, who, own, place, stat) else {
                continue;
            };
            let is_public = name::is_public(place);
            if is_public && moved(context, &places, who, place, stat) {
                let since = nats.entry(place).or_insert(stat.first);
                *since = stat.first.min(*since);
                continue;
            }
            let what = format!(
                "{} called from {place}, {}",
                context.shown(who),
                why.words()
            );
            let others: Vec<String> = own
                .keys()
                .filter(|p| *p != place)
                .map(|p| context.place(p))
                .collect();
            let mut evidence = vec![numbers(stat)];
            if !others.is_empty() {
                evidence.push(format!("otherwise it called from {}", others.join(", ")));
            }
            if why == Odd::New {
                evidence.push(context.past(who, when::day_of(stat.first)).words());
            }
            let rule = (Detector::L8, Severity::High);
            context.find(rule, who, place, what, evidence, Some(stat.first));
        }
    }
    for (place, since) in nats {
        context.notes.insert(format!(
            "Calls come from {place} since {}, as those of others do, or instead of where they came from: addresses of a NAT have changed.",
            when::shown(since)
        ));
    }
}

/// What is odd about a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// No cluster is there.
    Foreign,
    /// Nobody expects it, and the past does not know it.
    New,
}

impl Odd {
    fn words(self) -> &'static str {
        match self {
            Self::Foreign => "where no cluster of the spec's projects is",
            Self::New => "where it never called from",
        }
    }
}

/// Pods call from networks of their clusters, which is known on the first day where the clusters were seen. Of all else,
/// and of addresses of the internet, the past decides: a NAT has such.
fn odd(
    context: &Context<'_>,
    who: &str,
    own: &BTreeMap<&str, Stat>,
    place: &str,
    stat: &Stat,
) -> Option<Odd> {
    let expected = context.expected;
    let is_of_pods = expected
        .identity(who)
        .is_some_and(|i| i.has_workloads || name::is_ksa(who));
    if name::is_vpc(place) {
        if expected.vpcs.contains(place) {
            return None;
        }
        if is_of_pods && !expected.vpcs.is_empty() {
            return Some(Odd::Foreign);
        }
        // Not all entries tell a VPC: it is new to those who were seen in others.
        let base = context.base(who).into_iter().flat_map(|h| &h.places);
        let mut base = base.filter(|p| name::is_vpc(p));
        let mut rows = own.iter().filter(|(p, _)| name::is_vpc(p));
        let has_others = base.next().is_some() || rows.any(|(_, s)| s.first < stat.first);
        return (has_others && context.knows(who, stat.first)).then_some(Odd::New);
    }
    if !place.contains('/') || expected.network(place).is_some() {
        return None;
    }
    let is_private = !name::is_public(place);
    if is_private && expected.networks_are_all && is_of_pods {
        return Some(Odd::Foreign);
    }
    let is_judged = !is_private || !expected.networks.is_empty();
    (is_judged && context.knows(who, stat.first)).then_some(Odd::New)
}

/// The workloads that share a way out: those of a pool, or of a project.
fn group(who: &str) -> &str {
    let pool = name::pool_of(who).and_then(|p| p.strip_suffix(".svc.id.goog"));
    let project = who
        .split_once('@')
        .and_then(|(_, d)| d.strip_suffix(".iam.gserviceaccount.com"));
    pool.or(project).unwrap_or("")
}

/// So many who share a way out are at a place before it is taken for one.
const SHARED: usize = 3;

/// Whether a new place is a new address of a NAT: whoever is there went through one before, and has left where
/// it was; or at least half of those who share the way out, and some of them, are there, too. Somebody who has
/// tokens of two of them does not make a NAT.
fn moved(
    context: &Context<'_>,
    places: &BTreeMap<&str, BTreeMap<&str, Stat>>,
    who: &str,
    place: &str,
    stat: &Stat,
) -> bool {
    let went_out = |who: &str, of: &BTreeMap<&str, Stat>| {
        let base = context.base(who).into_iter().flat_map(|h| &h.places);
        let all = of.keys().copied().chain(base.map(String::as_str));
        all.into_iter().any(|p| p != place && name::is_public(p))
    };
    let Some(of) = places.get(who).filter(|of| went_out(who, of)) else {
        return false;
    };
    let mut before = of
        .iter()
        .filter(|(p, _)| **p != place && name::is_public(p));
    if before.all(|(_, s)| s.last <= stat.first + MOVE) {
        return true;
    }
    let own = group(who);
    let (mut all, mut there) = (0, 0);
    for (other, of) in places {
        if group(other) == own && went_out(other, of) {
            all += 1;
            there += usize::from(of.contains_key(place));
        }
    }
    there >= SHARED && there * 2 >= all
}

impl Context<'_> {
    /// A network as it is shown, with what it is.
    pub(super) fn place(&self, place: &str) -> String {
        match place {
            "" => "an address that is not told".to_owned(),
            "google" => "inside of Google".to_owned(),
            "unknown" => "what is no address".to_owned(),
            place => match self.expected.network(place) {
                Some(label) => format!("{place} ({label})"),
                None if name::is_public(place) => format!("{place} (the internet)"),
                None => place.to_owned(),
            },
        }
    }
}
