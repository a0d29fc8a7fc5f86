//! Accepted findings: a file of the user's, with a reason and an end for each. It has no line numbers, no
//! commits, no times and no secrets in it, so that it neither rots nor leaks.

use std::fmt::Write;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Finding, Findings, Rule};
use crate::words::safe;

/// Whose file it is.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The `apiVersion` of the file.
    pub api_version: &'static str,
    /// The rules that it may name.
    pub rules: &'static [&'static Rule],
}

/// That of `wi scan`.
pub const SCAN: Form = Form {
    api_version: "wi.scan/v1",
    rules: super::rules::RULES,
};

/// Why a finding is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// In the words of the file.
    pub reason: String,
    /// The last day; `None`: it has no end.
    pub until: Option<Date>,
}

/// An entry of the file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The rule.
    finding: String,
    /// The subject, or another name of it.
    subject: String,
    /// Where, with `*` for anything but `/` and `**` for anything.
    place: String,
    acceptance: Acceptance,
    /// Its line in the file.
    line: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    api_version: String,
    #[serde(default)]
    accepted: Vec<Spanned<RawEntry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawEntry {
    #[serde(default)]
    finding: String,
    #[serde(default, alias = "key", alias = "publicKey")]
    subject: String,
    #[serde(default)]
    place: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    until: String,
}

/// Reads the file. All mistakes are told at once, each with the file's name and its line.
pub fn parse(text: &str, file: &str, today: Date, form: &Form) -> Result<Vec<Entry>, Vec<String>> {
    let raw: Raw = serde_saphyr::from_str(text)
        .map_err(|e| vec![format!("{file}: {}", safe(&e.to_string()))])?;
    if raw.api_version != form.api_version {
        let wanted = form.api_version;
        return Err(vec![format!("{file}: apiVersion must be {wanted}")]);
    }
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    for spanned in raw.accepted {
        let line = spanned.referenced.line();
        let mut wrong = |what: String| mistakes.push(format!("{file}:{line}: {what}"));
        let entry = spanned.value;
        for (name, value) in [
            ("finding", &entry.finding),
            ("key", &entry.subject),
            ("place", &entry.place),
        ] {
            if value.is_empty() {
                wrong(format!("an accepted finding needs a `{name}`"));
            }
        }
        match form.rules.iter().find(|r| r.id == entry.finding) {
            Some(rule) if !rule.can_be_accepted => {
                wrong(format!("{} cannot be accepted", rule.id));
            }
            None if !entry.finding.is_empty() => {
                wrong(format!("there is no rule `{}`", safe(&entry.finding)));
            }
            _ => {}
        }
        if entry.reason.trim().is_empty() {
            wrong("an accepted finding needs a `reason`".to_owned());
        }
        match entry.until.parse::<Date>() {
            Ok(until) if until > in_a_year(today) => {
                wrong(format!("`until: {until}` is more than a year from now"));
            }
            Ok(until) => entries.push(Entry {
                finding: entry.finding,
                subject: entry.subject,
                place: entry.place,
                acceptance: Acceptance {
                    reason: entry.reason,
                    until: Some(until),
                },
                line,
            }),
            Err(_) => wrong("an accepted finding needs an `until`, such as 2027-03-31".to_owned()),
        }
    }
    if mistakes.is_empty() {
        Ok(entries)
    } else {
        Err(mistakes)
    }
}

fn in_a_year(today: Date) -> Date {
    today.checked_add(1.year()).unwrap_or(Date::MAX)
}

/// An entry that does nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// Its line in the file.
    pub line: u64,
    /// The rule, the subject and the place that it names.
    pub names: [String; 3],
    /// When it ended; `None`: it fits no finding.
    pub ended: Option<Date>,
}

impl Stale {
    /// What is to be told of it.
    pub fn told(&self) -> String {
        match self.ended {
            Some(until) => format!("has ended on {until}: what it accepted counts again"),
            None => "fits no finding: it can go".to_owned(),
        }
    }
}

/// Marks what is accepted. Answers with the entries that have ended, or fit nothing.
pub fn accept(findings: &mut Findings, entries: &[Entry], today: Date) -> Vec<Stale> {
    let mut stale = Vec::new();
    for entry in entries {
        let fits = |f: &&mut Finding| {
            f.rule.can_be_accepted
                && f.rule.id == entry.finding
                && (f.subject == entry.subject || f.also.contains(&entry.subject))
                && matches(&entry.place, f.place.name())
        };
        let until = entry.acceptance.until.unwrap_or(Date::MAX);
        let has_ended = until < today;
        let mut count = 0;
        for finding in findings.all.iter_mut().filter(fits) {
            count += 1;
            if !has_ended {
                finding.accepted = Some(entry.acceptance.clone());
            }
        }
        if count == 0 || has_ended {
            stale.push(Stale {
                line: entry.line,
                names: [&entry.finding, &entry.subject, &entry.place].map(String::clone),
                ended: (count > 0).then_some(until),
            });
        }
    }
    stale
}

/// As [`accept`]; what does nothing any more is a warning.
pub fn accept_and_warn(findings: &mut Findings, entries: &[Entry], file: &str, today: Date) {
    for stale in accept(findings, entries, today) {
        let text = format!("{file}:{}: {}", stale.line, stale.told());
        findings.warnings.push(text);
    }
}

/// Whether a name fits a pattern: `*` stands for anything but `/`, `**` for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(star) = pattern.find('*') else {
        return pattern == name;
    };
    let (start, rest) = (&pattern[..star], &pattern[star + 1..]);
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let (rest, over_slashes) = match rest.strip_prefix('*') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    loop {
        if matches(rest, name) {
            return true;
        }
        let mut left = name.chars();
        match left.next() {
            Some('/') if !over_slashes => return false,
            Some(_) => name = left.as_str(),
            None => return false,
        }
    }
}

/// A file that accepts all open findings that can be, but for the reasons, which are for the user to
/// give.
pub fn draft(findings: &Findings, today: Date, form: &Form) -> String {
    let mut entries: Vec<[&str; 3]> = findings
        .all
        .iter()
        .filter(|f| f.rule.can_be_accepted && f.accepted.is_none())
        .map(|f| [f.rule.id, &f.subject, f.place.name()])
        .collect();
    entries.sort_unstable();
    entries.dedup();
    let until = today.checked_add(3.months()).unwrap_or(today);
    let mut text = format!("apiVersion: {}\naccepted:\n", form.api_version);
    for [rule, subject, place] in entries {
        let quoted = |t: &str| serde_json::Value::from(t).to_string();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "  - finding: {rule}\n    key: {}\n    place: {}\n    reason: \"\"\n    until: {until}\n",
            quoted(subject),
            quoted(place)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Place, rules};

    fn today() -> Date {
        Date::constant(2026, 11, 30)
    }

    fn findings() -> Findings {
        let place = Place::file("charts/shop/values.yaml", Some(41));
        let mut finding = Finding::new(&rules::KEY_IN_FILES, "a@p/1f0c9e77", "x", place);
        finding.also.push("sha256:00".to_owned());
        Findings {
            all: vec![finding],
            ..Findings::default()
        }
    }

    fn file(entry: &str) -> String {
        format!("apiVersion: wi.scan/v1\naccepted:\n  - {entry}\n")
    }

    #[test]
    fn finding_is_accepted_by_rule_subject_and_place_wherever_its_line_is() {
        for (key, place, fits) in [
            ("a@p/1f0c9e77", "charts/shop/values.yaml", true),
            ("sha256:00", "charts/*/values.yaml", true),
            ("a@p/1f0c9e77", "**.yaml", true),
            ("a@p/1f0c9e77", "*.yaml", false),
            ("a@p/other", "**", false),
        ] {
            let text = file(&format!(
                "{{ finding: key-in-files, key: \"{key}\", place: \"{place}\", reason: r, until: 2027-03-31 }}"
            ));
            let entries = parse(&text, "f", today(), &SCAN).expect("valid");
            let mut found = findings();
            accept_and_warn(&mut found, &entries, "f", today());
            assert_eq!(found.all[0].accepted.is_some(), fits, "{key} {place}");
            assert_eq!(found.warnings.is_empty(), fits);
        }
    }

    #[test]
    fn entry_that_has_ended_counts_no_more_and_says_so() {
        let text = file(
            "{ finding: key-in-files, key: sha256:00, place: '**', reason: r, until: 2026-11-29 }",
        );
        let entries = parse(&text, "wi-scan.yaml", today(), &SCAN).expect("valid");
        let mut found = findings();
        accept_and_warn(&mut found, &entries, "wi-scan.yaml", today());
        assert!(found.all[0].accepted.is_none());
        assert!(found.warnings[0].starts_with("wi-scan.yaml:3: has ended on 2026-11-29"));
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        for (entry, told) in [
            (
                "{ finding: key-in-files, key: a, place: b, until: 2027-01-01 }",
                "f:3: an accepted finding needs a `reason`",
            ),
            (
                "{ finding: key-in-files, key: a, place: b, reason: r }",
                "f:3: an accepted finding needs an `until`",
            ),
            (
                "{ finding: key-in-files, key: a, place: b, reason: r, until: 2029-01-01 }",
                "f:3: `until: 2029-01-01` is more than a year",
            ),
            (
                "{ finding: key-exposed, key: a, place: b, reason: r, until: 2027-01-01 }",
                "f:3: key-exposed cannot be accepted",
            ),
            (
                "{ finding: nothing, key: a, place: b, reason: r, until: 2027-01-01 }",
                "f:3: there is no rule `nothing`",
            ),
            (
                "{ finding: key-in-files, place: b, reason: r, until: 2027-01-01 }",
                "f:3: an accepted finding needs a `key`",
            ),
        ] {
            let mistakes = parse(&file(entry), "f", today(), &SCAN).expect_err("it is wrong");
            assert!(mistakes[0].starts_with(told), "{mistakes:?}");
        }
        assert!(parse("apiVersion: wi/v1\n", "f", today(), &SCAN).is_err());
    }

    #[test]
    fn draft_is_an_error_until_reasons_are_given() {
        let text = draft(&findings(), today(), &SCAN);
        let mistakes = parse(&text, "f", today(), &SCAN).expect_err("no reason yet");
        assert!(mistakes[0].contains("needs a `reason`"));
        let filled = text.replace("reason: \"\"", "reason: soon");
        let entries = parse(&filled, "f", today(), &SCAN).expect("valid");
        let mut found = findings();
        accept_and_warn(&mut found, &entries, "f", today());
        assert!(found.all[0].accepted.is_some());
    }
}
