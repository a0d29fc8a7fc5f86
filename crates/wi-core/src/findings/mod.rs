//! Findings: what is wrong somewhere, by which rule, and what to do about it. Commands that look for
//! things (`wi scan`) fill [`Findings`]; the views show them as text, JSON, SARIF, Markdown and JUnit.

pub mod accepted;
pub mod rules;

use std::fmt;

use accepted::Acceptance;
pub use rules::Rule;

use crate::digest::sha256;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// To be mended some day.
    Medium,
    /// To be mended soon.
    High,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// The worst first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// `critical`, `high`, `medium` or `low`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where something is: a file, or an object that is live.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// A path with `/`, relative, never empty. Of a live object one that stands for it, since code
    /// scanning has no other way to show it.
    pub path: String,
    /// The line, from 1 on.
    pub line: Option<u32>,
    /// The live object: `cluster.main/Secret/shop/key`.
    pub object: Option<String>,
}

impl Place {
    /// In a file.
    pub fn file(path: &str, line: Option<u32>) -> Self {
        let path = path.trim_start_matches("./").trim_start_matches('/');
        Self {
            path: if path.is_empty() { "." } else { path }.to_owned(),
            line,
            object: None,
        }
    }

    /// A live object, by its name from the widest part to the narrowest: `cluster.main`, `Secret`,
    /// `shop`, `key`.
    pub fn live(parts: &[&str]) -> Self {
        let name = parts.join("/");
        Self {
            path: format!("wi-live/{name}.yaml"),
            line: None,
            object: Some(name),
        }
    }

    /// Its name, which stays when lines move.
    pub fn name(&self) -> &str {
        self.object.as_deref().unwrap_or(&self.path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.object, self.line) {
            (Some(object), _) => f.write_str(object),
            (None, Some(line)) => write!(f, "{}:{line}", self.path),
            (None, None) => f.write_str(&self.path),
        }
    }
}

/// One thing that is wrong at one place.
#[derive(Debug, Clone)]
pub struct Finding {
    /// By which rule.
    pub rule: &'static Rule,
    /// How bad it is here.
    pub severity: Severity,
    /// What it is about, by its name: of several findings about one thing it is the same.
    pub subject: String,
    /// Other names of the subject, by which it may be accepted as well.
    pub also: Vec<String>,
    /// What is wrong, in one sentence.
    pub what: String,
    /// By what it is known, a sentence each.
    pub evidence: Vec<String>,
    /// What to do, a command where there is one.
    pub fix: Option<String>,
    /// Where it is.
    pub place: Place,
    /// Who accepted it, if somebody did.
    pub accepted: Option<Acceptance>,
}

impl Finding {
    /// By a rule, as bad as that one says.
    pub fn new(rule: &'static Rule, subject: &str, what: &str, place: Place) -> Self {
        Self {
            rule,
            severity: rule.severity,
            subject: subject.to_owned(),
            also: Vec::new(),
            what: what.to_owned(),
            evidence: Vec::new(),
            fix: None,
            place,
            accepted: None,
        }
    }

    /// 16 hex digits that stay the same while rule, subject and place do, wherever lines move.
    pub fn fingerprint(&self) -> String {
        let text = format!("{}|{}|{}", self.rule.id, self.subject, self.place.name());
        sha256(text.as_bytes())[..16].to_owned()
    }
}

/// Something that was to be looked at and could not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotSeen {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What a command found, and what it could not look at.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The command: `scan`.
    pub command: &'static str,
    /// The rules that it goes by.
    pub rules: &'static [&'static Rule],
    /// In the order in which they are shown.
    pub all: Vec<Finding>,
    /// What could not be looked at: nothing may be concluded about it.
    pub not_seen: Vec<NotSeen>,
    /// What is never looked at by this command.
    pub out_of_reach: Vec<String>,
    /// Remarks for the user.
    pub warnings: Vec<String>,
}

impl Findings {
    /// Puts them in order, the worst first, and drops what is there twice.
    pub fn sort(&mut self) {
        let key = |f: &Finding| (f.place.clone(), f.rule.id, f.what.clone());
        let by_severity = |f: &Finding| (std::cmp::Reverse(f.severity), f.subject.clone(), key(f));
        self.all.sort_by_cached_key(by_severity);
        self.all
            .dedup_by(|a, b| a.subject == b.subject && key(a) == key(b));
        self.not_seen.sort();
        self.not_seen.dedup();
    }

    /// Whether all was seen.
    pub fn is_complete(&self) -> bool {
        self.not_seen.is_empty()
    }

    /// Those that nobody accepted.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.all.iter().filter(|f| f.accepted.is_none())
    }

    /// How many of this severity are open.
    pub fn count(&self, severity: Severity) -> usize {
        self.open().filter(|f| f.severity == severity).count()
    }

    /// Whether one that is open is at least so bad.
    pub fn reaches(&self, severity: Severity) -> bool {
        self.open().any(|f| f.severity >= severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_stays_when_lines_move_and_not_when_the_subject_does() {
        let at = |subject: &str, line| {
            let place = Place::file("charts/values.yaml", Some(line));
            Finding::new(&rules::KEY_IN_FILES, subject, "x", place).fingerprint()
        };
        assert_eq!(at("a", 1), at("a", 9));
        assert_ne!(at("a", 1), at("b", 1));
    }

    #[test]
    fn a_place_always_has_a_path_that_is_relative() {
        assert_eq!(Place::file("./a/b", None).path, "a/b");
        assert_eq!(Place::file("/etc/x", None).path, "etc/x");
        assert_eq!(Place::file("", None).path, ".");
        let live = Place::live(&["cluster.main", "Secret", "shop", "key"]);
        assert_eq!(live.path, "wi-live/cluster.main/Secret/shop/key.yaml");
        assert_eq!(live.to_string(), "cluster.main/Secret/shop/key");
    }

    #[test]
    fn worst_comes_first_and_nothing_twice() {
        let of = |rule, place: &str| Finding::new(rule, "k", "x", Place::file(place, Some(1)));
        let mut findings = Findings {
            all: vec![
                of(&rules::API_KEY, "b"),
                of(&rules::KEY_IN_FILES, "c"),
                of(&rules::KEY_IN_FILES, "a"),
                of(&rules::KEY_IN_FILES, "c"),
            ],
            ..Findings::default()
        };
        findings.sort();
        let places: Vec<&str> = findings.all.iter().map(|f| f.place.path.as_str()).collect();
        assert_eq!(places, ["a", "c", "b"]);
        assert!(findings.reaches(Severity::High) && !findings.reaches(Severity::Critical));
    }
}
