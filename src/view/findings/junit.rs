//! Findings as JUnit XML, which most CI servers show: a rule is a suite, a finding a case that fails.

use std::collections::BTreeMap;
use std::fmt::Write;

use wi_core::findings::{Finding, Findings};

use crate::view::xml::text as xml;

/// One document. What could not be looked at is an error of a suite of its own.
pub fn findings(findings: &Findings) -> String {
    let mut suites: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &findings.all {
        suites.entry(finding.rule.id).or_default().push(finding);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let open = findings.open().count();
    let (all, errors) = (
        findings.all.len() + findings.not_seen.len(),
        findings.not_seen.len(),
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"wi {}\" tests=\"{all}\" failures=\"{open}\" errors=\"{errors}\">",
        findings.command
    );
    for (rule, cases) in suites {
        let failures = cases.iter().filter(|f| f.accepted.is_none()).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{rule}\" tests=\"{}\" failures=\"{failures}\">",
            cases.len()
        );
        for case in cases {
            self::case(case, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    if errors > 0 {
        let _ = writeln!(
            out,
            "  <testsuite name=\"not-seen\" tests=\"{errors}\" errors=\"{errors}\">"
        );
        for thing in &findings.not_seen {
            let (what, why) = (xml(&thing.what), xml(&thing.why));
            let _ = writeln!(
                out,
                "    <testcase name=\"{what}\"><error message=\"{why}\"/></testcase>"
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(finding: &Finding, out: &mut String) {
    let name = xml(&format!("{} {}", finding.subject, finding.place.name()));
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{name}\">",
        finding.rule.id
    );
    match &finding.accepted {
        Some(accepted) => {
            let _ = write!(out, "<skipped message=\"{}\"/>", xml(&accepted.reason));
        }
        None => {
            let mut text = finding.evidence.join("\n");
            if let Some(fix) = &finding.fix {
                text.push_str(&format!("\n{fix}"));
            }
            let (what, kind) = (xml(&finding.what), finding.severity);
            let place = finding.place.to_string();
            let text = xml(&format!("{place}\n{text}"));
            let _ = write!(
                out,
                "<failure type=\"{kind}\" message=\"{what}\">{text}</failure>"
            );
        }
    }
    out.push_str("</testcase>\n");
}
