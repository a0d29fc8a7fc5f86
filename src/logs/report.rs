//! What detectors found, as findings of `wi`.

use wi_core::findings::accepted::Acceptance;
use wi_core::findings::rules::RULES;
use wi_core::findings::{Finding, Findings, NotSeen, Place, Rule, Severity};
use wi_logs::detect::{self, Detector, LEARNED_CALLS, LEARNED_DAYS, Report, thousands};
use wi_logs::expected::Expected;
use wi_logs::when;

use super::Read;

/// The rule of a detector.
fn rule(detector: Detector) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.id == detector.rule()).copied()
}

/// The findings of a report.
pub fn findings(report: &Report, read: &Read, expected: &Expected) -> Findings {
    let mut findings = Findings {
        command: "logs scan",
        rules: RULES,
        all: report
            .findings
            .iter()
            .filter_map(|f| finding(f, expected))
            .collect(),
        warnings: report.notes.clone(),
        ..Findings::default()
    };
    let broken = read.broken.iter().map(|(what, why)| NotSeen {
        what: what.clone(),
        why: why.clone(),
    });
    findings.not_seen.extend(broken);
    let overflowed = read.facts.counts.overflowed;
    if overflowed > 0 {
        findings.not_seen.push(NotSeen {
            what: format!("{} entries", thousands(overflowed)),
            why: "they have more different names than are kept: read fewer files at once"
                .to_owned(),
        });
    }
    if let Some(text) = learning(report) {
        findings.warnings.push(text);
    }
    findings.sort();
    findings
}

fn finding(found: &detect::Finding, expected: &Expected) -> Option<Finding> {
    let severity = match found.severity {
        detect::Severity::Low => Severity::Low,
        detect::Severity::Medium => Severity::Medium,
        detect::Severity::High => Severity::High,
    };
    let mut place = Place::live(&["logs", found.detector.id(), &found.who, &found.about]);
    let identity = expected.identity(&found.who);
    let mut evidence = found.evidence.clone();
    if let Some((file, line)) = identity.and_then(|i| i.place.as_ref()) {
        let declared = Place::file(file, Some(*line));
        evidence.push(format!("declared in {declared}"));
        place.path = declared.path;
        place.line = declared.line;
    }
    let what = format!("{}: {}", found.detector, found.what);
    let mut finding = Finding::new(rule(found.detector)?, &found.who, &what, place);
    finding.severity = severity;
    finding.evidence = evidence;
    finding.fix = Some(format!("expected? audit.expect: [{}]", found.expect));
    finding.accepted = found.accepted.as_ref().map(|reason| Acceptance {
        reason: reason.clone(),
        until: None,
    });
    Some(finding)
}

/// Of whom nothing is said by their past yet.
fn learning(report: &Report) -> Option<String> {
    let all = &report.learning;
    if all.is_empty() {
        return None;
    }
    let shown: Vec<String> = all
        .iter()
        .take(8)
        .map(|l| {
            format!(
                "{} ({} of {LEARNED_DAYS} days, {} of {LEARNED_CALLS} calls)",
                l.who,
                l.days.min(LEARNED_DAYS),
                thousands(l.calls.min(LEARNED_CALLS))
            )
        })
        .collect();
    let more = match all.len().saturating_sub(shown.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!(
        "Learning, so that the past decides nothing about them: {}{more}",
        shown.join(", ")
    ))
}

/// What was read, in words.
pub fn looked_at(read: &Read, files: usize, report: &Report) -> Vec<String> {
    let counts = &read.facts.counts;
    let mut all = vec![format!("{} audit entries", thousands(counts.entries))];
    if let Some((from, to)) = read.facts.span {
        let date = |at| when::date(when::day_of(at));
        all.push(format!("{} to {}", date(from), date(to)));
    }
    if files > 0 {
        all.push(wi_core::words::counted(files, "file"));
    }
    for (count, what) in [
        (counts.duplicates, "read twice and counted once"),
        (counts.others, "of other logs"),
        (counts.unreadable, "torn or no JSON, skipped"),
        (counts.giant, "larger than any entry is, skipped"),
        (counts.nested, "deeper than any entry is, skipped"),
        (counts.undated, "without a time, skipped"),
    ] {
        if count > 0 {
            all.push(format!("{} {what}", thousands(count)));
        }
    }
    if !report.learning.is_empty() {
        all.push(wi_core::words::counted(report.learning.len(), "principal") + " learning");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detector_has_its_rule() {
        for detector in Detector::ALL {
            let rule = rule(detector).expect("a row of the rules");
            assert_eq!(rule.title, detector.title());
        }
    }
}
