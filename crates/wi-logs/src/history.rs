//! What is known of a principal's past.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, Kind};
use crate::name;
use crate::services::{self, Class};
use crate::when::{self, Micros};

/// When a thing was seen, and how often: days, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub first: i64,
    /// The last day.
    pub last: i64,
    /// Calls.
    pub calls: u64,
}

/// The past of a principal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Days on which it called.
    pub days: BTreeSet<i64>,
    /// How often.
    pub calls: u64,
    /// By service, then by class.
    pub services: BTreeMap<String, BTreeMap<Class, Span>>,
    /// Networks that it called from.
    pub places: BTreeSet<String>,
    /// Programs.
    pub agents: BTreeSet<String>,
    /// Regions.
    pub regions: BTreeSet<String>,
    /// Who made credentials of it, or acted as it.
    pub minters: BTreeSet<String>,
    /// Digests of ids of its keys.
    pub keys: BTreeSet<String>,
    /// Denials by day.
    pub denials: BTreeMap<i64, u64>,
    /// When pods first had a token of it.
    pub first_token: Option<Micros>,
}

impl History {
    /// Adds another's: in any order, the same comes of it.
    pub fn merge(&mut self, other: &Self) {
        self.days.extend(&other.days);
        self.calls += other.calls;
        for (service, classes) in &other.services {
            let own = self.services.entry(service.clone()).or_default();
            for (class, span) in classes {
                own.entry(*class)
                    .and_modify(|s| {
                        s.first = s.first.min(span.first);
                        s.last = s.last.max(span.last);
                        s.calls += span.calls;
                    })
                    .or_insert(*span);
            }
        }
        self.places.extend(other.places.iter().cloned());
        self.agents.extend(other.agents.iter().cloned());
        self.regions.extend(other.regions.iter().cloned());
        self.minters.extend(other.minters.iter().cloned());
        self.keys.extend(other.keys.iter().cloned());
        for (day, count) in &other.denials {
            *self.denials.entry(*day).or_default() += count;
        }
        self.first_token = match (self.first_token, other.first_token) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// How many days and calls lie before a day.
    pub fn before(&self, day: i64) -> (usize, u64) {
        let days = self.days.range(..day).count();
        // Calls are not kept by day: they are taken to be spread over the days.
        let calls = match self.days.len() {
            0 => 0,
            all => self.calls * days as u64 / all as u64,
        };
        (days, calls)
    }
}

/// The past of all principals that rows are about. People's are left out: they are no workloads.
pub fn of(facts: &Facts) -> BTreeMap<String, History> {
    let mut all: BTreeMap<String, History> = BTreeMap::new();
    for (row, stat) in &facts.rows {
        let account = facts.email(&row.a);
        let who = match row.kind {
            Kind::Mint => account,
            _ => &*row.who,
        };
        if who.is_empty() || !(name::is_ksa(who) || name::is_account(who)) {
            continue;
        }
        let mut with = |change: &mut dyn FnMut(&mut History)| {
            if !all.contains_key(who) {
                all.insert(who.to_owned(), History::default());
            }
            if let Some(history) = all.get_mut(who) {
                change(history);
            }
        };
        let text = row.a.to_string();
        match row.kind {
            Kind::Day => with(&mut |h| {
                h.days.insert(row.n);
                h.calls += stat.calls;
            }),
            Kind::Use => with(&mut |h| {
                let classes = h.services.entry(text.clone()).or_default();
                let span = Span {
                    first: when::day_of(stat.first),
                    last: when::day_of(stat.last),
                    calls: stat.calls,
                };
                classes
                    .entry(services::class(&row.b))
                    .and_modify(|s| {
                        s.first = s.first.min(span.first);
                        s.last = s.last.max(span.last);
                        s.calls += span.calls;
                    })
                    .or_insert(span);
            }),
            Kind::Place => with(&mut |h| _ = h.places.insert(text.clone())),
            Kind::Agent => with(&mut |h| _ = h.agents.insert(text.clone())),
            Kind::Region => with(&mut |h| _ = h.regions.insert(text.clone())),
            Kind::Via => with(&mut |h| _ = h.minters.insert(text.clone())),
            Kind::Key => with(&mut |h| _ = h.keys.insert(text.clone())),
            Kind::Denial => {
                with(&mut |h| *h.denials.entry(row.n / (24 * 60)).or_default() += stat.calls)
            }
            Kind::Mint if !row.who.is_empty() => with(&mut |h| {
                h.minters.insert(row.who.to_string());
                if name::is_ksa(&row.who) && stat.denied < stat.calls {
                    let first = h.first_token.unwrap_or(stat.first);
                    h.first_token = Some(first.min(stat.first));
                }
            }),
            _ => {}
        }
    }
    all
}
