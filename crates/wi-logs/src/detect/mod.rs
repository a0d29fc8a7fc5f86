//! The detectors. Each is a test of sets or of a rate that a person can repeat, told with its numbers; there
//! are no scores. What is declared is expected on its first day; of all else the past decides, and there is
//! enough of it after [`LEARNED_DAYS`] and [`LEARNED_CALLS`].

mod acting;
mod changes;
mod denials;
mod keys;
mod places;
mod silence;
mod uses;

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::Baseline;
pub use crate::detector::Detector;
use crate::expected::{Expected, Identity};
use crate::facts::{Facts, Kind, Stat};
use crate::history::History;
use crate::name;
use crate::when::{self, Micros};

/// So many days of a principal are enough to judge by.
pub const LEARNED_DAYS: usize = 7;
/// So many calls are.
pub const LEARNED_CALLS: u64 = 50;
/// What was not seen for so many days is new again.
pub const FORGOTTEN_DAYS: i64 = 90;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// To be looked at some day.
    Medium,
    /// To be looked at soon.
    High,
}

/// Something unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// By which detector.
    pub detector: Detector,
    /// How bad it is.
    pub severity: Severity,
    /// Whom it is about, as [`name::principal`] spells it.
    pub who: String,
    /// What of it: a service, a minter, a network.
    pub about: String,
    /// In one sentence.
    pub what: String,
    /// The numbers.
    pub evidence: Vec<String>,
    /// The entry of `audit.expect` that accepts it.
    pub expect: String,
    /// Why it is accepted, if it is.
    pub accepted: Option<String>,
    /// When it was first seen; nothing for what did not happen.
    pub first: Option<Micros>,
}

/// Somebody of whom too little is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learning {
    /// Who.
    pub who: String,
    /// On how many days it was seen.
    pub days: usize,
    /// How often it called.
    pub calls: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Of whom nothing can be said by their past.
    pub learning: Vec<Learning>,
    /// What is worth telling and no finding.
    pub notes: Vec<String>,
}

/// What detectors look at.
struct Context<'a> {
    facts: &'a Facts,
    baseline: &'a Baseline,
    expected: &'a Expected,
    found: Vec<Finding>,
    notes: BTreeSet<String>,
    learning: BTreeMap<String, (usize, u64)>,
}

/// Looks for everything, by all detectors or some of them. `today` ends what is accepted for a time.
pub fn detect(
    facts: &Facts,
    baseline: &Baseline,
    expected: &Expected,
    only: &[Detector],
    today: i64,
) -> Report {
    let mut context = Context {
        facts,
        baseline,
        expected,
        found: Vec::new(),
        notes: BTreeSet::new(),
        learning: BTreeMap::new(),
    };
    context.told_who_learns();
    acting::look(&mut context);
    uses::look(&mut context);
    keys::look(&mut context);
    denials::look(&mut context);
    places::look(&mut context);
    changes::look(&mut context);
    silence::look(&mut context);
    let mut report = Report {
        findings: context.found,
        learning: context
            .learning
            .into_iter()
            .map(|(who, (days, calls))| Learning { who, days, calls })
            .collect(),
        notes: context.notes.into_iter().collect(),
    };
    report
        .findings
        .retain(|f| only.is_empty() || only.contains(&f.detector));
    report.findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.detector);
        (key(a), &a.who, &a.about).cmp(&(key(b), &b.who, &b.about))
    });
    report
        .findings
        .dedup_by(|a, b| (a.detector, &a.who, &a.about) == (b.detector, &b.who, &b.about));
    accept(&mut report, expected, today);
    report
}

/// Marks what `audit.expect` accepts, and tells which of its lines accept nothing any more.
fn accept(report: &mut Report, expected: &Expected, today: i64) {
    for line in &expected.accepted {
        let has_ended = line.until.is_some_and(|until| until < today);
        let mut fits = 0;
        for finding in &mut report.findings {
            let of_service = line.service.as_ref().is_none_or(|service| {
                use Detector::{L2, L3, L4};
                *service == finding.about.split(' ').next().unwrap_or_default()
                    && matches!(finding.detector, L2 | L3 | L4)
            });
            let is_it = line.who.iter().any(|who| name::glob(who, &finding.who))
                && of_service
                && line.detector.is_none_or(|d| d == finding.detector)
                && line
                    .about
                    .as_ref()
                    .is_none_or(|a| name::glob(a, &finding.about));
            if is_it {
                fits += 1;
                if !has_ended {
                    finding.accepted = Some(line.reason.clone());
                }
            }
        }
        if has_ended && fits > 0 {
            let text = format!("{}: has ended: what it accepted counts again", line.place);
            report.notes.push(text);
        }
    }
}

/// What is known of somebody before a day.
struct Past {
    days: usize,
    calls: u64,
}

impl Past {
    fn is_enough(&self) -> bool {
        self.days >= LEARNED_DAYS && self.calls >= LEARNED_CALLS
    }

    /// `31 days and 4,411 calls before`.
    fn words(&self) -> String {
        format!("{} days and {} before it", self.days, calls(self.calls))
    }
}

impl<'a> Context<'a> {
    fn base(&self, who: &str) -> Option<&'a History> {
        self.baseline.principals.get(who)
    }

    /// The past of somebody before a day: of the baseline and of the rows.
    fn past(&self, who: &str, day: i64) -> Past {
        let base = self.base(who);
        let mut days: BTreeSet<i64> = base
            .map(|h| h.days.range(..day).copied().collect())
            .unwrap_or_default();
        let mut calls = base.map_or(0, |h| h.before(day).1);
        for (row, stat) in self.facts.about(Kind::Day, who).filter(|(r, _)| r.n < day) {
            days.insert(row.n);
            calls += stat.calls;
        }
        Past {
            days: days.len(),
            calls,
        }
    }

    /// Whether enough is known of somebody before a moment.
    fn knows(&self, who: &str, at: Micros) -> bool {
        self.past(who, when::day_of(at)).is_enough()
    }

    /// Workloads' principals: declared ones, and others that are none of people and none of Google's.
    fn is_workload(&self, who: &str) -> bool {
        self.expected.identity(who).is_some() || name::is_ksa(who) || name::is_account(who)
    }

    fn told_who_learns(&mut self) {
        let end = self.facts.span.map_or(0, |(_, to)| when::day_of(to)) + 1;
        for who in self.facts.principals() {
            if self.is_workload(who) {
                let past = self.past(who, end);
                if !past.is_enough() {
                    self.learning
                        .insert(who.to_owned(), (past.days, past.calls));
                }
            }
        }
    }

    /// Whether this is `wi` itself: by who it is, where that is told, and else by its agent.
    fn is_wi(&self, who: &str, has_its_agent: bool) -> bool {
        match &self.expected.wi {
            Some(wi) => wi == who,
            None => has_its_agent,
        }
    }

    /// `web@acme-prod (shop/web on prod-eu)`.
    fn shown(&self, who: &str) -> String {
        if who.is_empty() {
            return "somebody whose name the entry does not have".to_owned();
        }
        match self.expected.identity(who) {
            Some(identity) if !identity.used_by.is_empty() => {
                format!("{who} ({})", identity.used_by)
            }
            _ => who.to_owned(),
        }
    }

    fn find(
        &mut self,
        (detector, severity): (Detector, Severity),
        who: &str,
        about: &str,
        what: String,
        evidence: Vec<String>,
        first: Option<Micros>,
    ) {
        let key = match self.expected.identity(who) {
            Some(Identity { key, .. }) => key.clone(),
            None => format!("principal: {}", quoted(who)),
        };
        use Detector::{L2, L3};
        let of = match detector {
            L2 | L3 => format!("service: {about}"),
            _ if about.is_empty() => format!("finding: {detector}"),
            _ => format!("finding: {detector}, about: {}", quoted(about)),
        };
        self.found.push(Finding {
            detector,
            severity,
            who: who.to_owned(),
            about: about.to_owned(),
            what,
            evidence,
            expect: format!("{{ {key}, {of}, reason: \"…\" }}"),
            accepted: None,
            first,
        });
    }
}

/// As a text of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `1,204 calls`.
fn calls(count: u64) -> String {
    match count {
        1 => "1 call".to_owned(),
        _ => format!("{} calls", thousands(count)),
    }
}

/// `1,204`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `14 calls, 3 of them denied, from 2026-11-05 03:12 UTC to 2026-11-05 09:40 UTC`.
fn numbers(stat: &Stat) -> String {
    let mut text = calls(stat.calls);
    if stat.denied == stat.calls {
        text.push_str(", all denied");
    } else if stat.denied > 0 {
        text.push_str(&format!(", {} of them denied", thousands(stat.denied)));
    }
    let (first, last) = (when::shown(stat.first), when::shown(stat.last));
    match first == last {
        true => text.push_str(&format!(", {first}")),
        false => text.push_str(&format!(", from {first} to {last}")),
    }
    text
}
