//! The baseline: what was learned from logs, as a file that is kept with the spec. A line a principal, in
//! order; heaps of it merge in any order to the same bytes. No machine's address is in it, no key's id, and
//! nothing of what was asked for or answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::history::{self, History, Span};
use crate::services::Class;
use crate::when;

/// The name of the format.
pub const FORMAT: &str = "wi.baseline/v1";

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 8 << 20;

/// What was learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// By the digest of what was read.
    pub sources: BTreeMap<String, Source>,
    /// By principal.
    pub principals: BTreeMap<String, History>,
}

/// Something that was learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// How many entries.
    pub entries: u64,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    sources: BTreeMap<String, Source>,
}

#[derive(Serialize, Deserialize)]
struct SpanLine {
    first: String,
    last: String,
    calls: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    principal: String,
    /// `2026-11-01/2026-11-07`.
    days: Vec<String>,
    calls: u64,
    services: BTreeMap<String, BTreeMap<String, SpanLine>>,
    networks: BTreeSet<String>,
    agents: BTreeSet<String>,
    regions: BTreeSet<String>,
    minters: BTreeSet<String>,
    keys: BTreeSet<String>,
    denials: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_token: Option<String>,
}

impl Baseline {
    /// What rows say, read from sources of these digests.
    pub fn of(facts: &Facts, digests: &[String]) -> Self {
        let (from, to) = facts.span.unwrap_or((0, 0));
        let date = |at| when::date(when::day_of(at));
        let source = Source {
            entries: facts.counts.entries,
            from: date(from),
            to: date(to),
        };
        Self {
            sources: digests
                .iter()
                .map(|d| (d.clone(), source.clone()))
                .collect(),
            principals: history::of(facts),
        }
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        for (digest, source) in &other.sources {
            self.sources
                .entry(digest.clone())
                .or_insert_with(|| source.clone());
        }
        for (principal, history) in &other.principals {
            self.principals
                .entry(principal.clone())
                .or_default()
                .merge(history);
        }
    }

    /// The file.
    pub fn text(&self) -> String {
        let head = Head {
            format: FORMAT.to_owned(),
            sources: self.sources.clone(),
        };
        // Maps with text as keys and nothing that fails.
        let mut text = serde_json::to_string(&head).unwrap_or_default();
        text.push('\n');
        for (principal, history) in &self.principals {
            let line = Line::of(principal, history);
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// Reads the file. The error is for the user, and begins with the line's number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate();
        let head = lines.next().map(|(_, line)| line).unwrap_or_default();
        let head: Head = serde_json::from_str(head)
            .map_err(|_| format!("1: not a baseline: the first line has no `format` ({FORMAT})"))?;
        if head.format != FORMAT {
            return Err(format!("1: the format is not {FORMAT}"));
        }
        let mut baseline = Self {
            sources: head.sources,
            principals: BTreeMap::new(),
        };
        for (at, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
            let at = at + 1;
            let line: Line = serde_json::from_str(line).map_err(|e| format!("{at}: {e}"))?;
            let (principal, history) = line
                .history()
                .ok_or_else(|| format!("{at}: a date or a class is none"))?;
            // Two lines of one principal are what a merge in Git leaves.
            baseline
                .principals
                .entry(principal)
                .or_default()
                .merge(&history);
        }
        Ok(baseline)
    }
}

impl Line {
    fn of(principal: &str, history: &History) -> Self {
        let span = |s: &Span| SpanLine {
            first: when::date(s.first),
            last: when::date(s.last),
            calls: s.calls,
        };
        let classes = |classes: &BTreeMap<Class, Span>| {
            let of = |(c, s): (&Class, &Span)| (c.letter().to_string(), span(s));
            classes.iter().map(of).collect()
        };
        let services = history.services.iter();
        Self {
            principal: principal.to_owned(),
            days: ranges(&history.days),
            calls: history.calls,
            services: services.map(|(s, c)| (s.clone(), classes(c))).collect(),
            networks: history.places.clone(),
            agents: history.agents.clone(),
            regions: history.regions.clone(),
            minters: history.minters.clone(),
            keys: history.keys.clone(),
            denials: history
                .denials
                .iter()
                .map(|(d, n)| (when::date(*d), *n))
                .collect(),
            first_token: history.first_token.map(when::rfc3339),
        }
    }

    fn history(self) -> Option<(String, History)> {
        let mut history = History {
            calls: self.calls,
            places: self.networks,
            agents: self.agents,
            regions: self.regions,
            minters: self.minters,
            keys: self.keys,
            ..History::default()
        };
        for range in &self.days {
            let (from, to) = range.split_once('/').unwrap_or((range, range));
            let (from, to) = (when::day_from(from)?, when::day_from(to)?);
            // Ten years are more than any log has.
            history.days.extend(from..=to.min(from + 3660));
        }
        for (service, classes) in self.services {
            let own = history.services.entry(service).or_default();
            for (class, span) in classes {
                let span = Span {
                    first: when::day_from(&span.first)?,
                    last: when::day_from(&span.last)?,
                    calls: span.calls,
                };
                own.insert(Class::from_letter(&class)?, span);
            }
        }
        for (day, count) in self.denials {
            history.denials.insert(when::day_from(&day)?, count);
        }
        if let Some(at) = self.first_token {
            history.first_token = Some(when::parse(&at)?);
        }
        Some((self.principal, history))
    }
}

/// `2026-11-01/2026-11-07`, or one day.
fn ranges(days: &BTreeSet<i64>) -> Vec<String> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for day in days {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *day => *last = *day,
            _ => ranges.push((*day, *day)),
        }
    }
    let shown = |(from, to): (i64, i64)| match from == to {
        true => when::date(from),
        false => format!("{}/{}", when::date(from), when::date(to)),
    };
    ranges.into_iter().map(shown).collect()
}
