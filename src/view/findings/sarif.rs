//! Findings as SARIF 2.1.0, in the form that GitHub's code scanning takes: it refuses a whole file for one
//! result without a path and a line.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wi_core::findings::{Finding, Findings, Severity};
use wi_core::words::safe;

/// GitHub takes so many results of a run, and more than enough for people.
const MOST: usize = 5000;

/// The findings as one document with a line break at its end.
pub fn findings(findings: &Findings) -> String {
    let rules = findings.rules;
    let index: BTreeMap<&str, usize> = rules.iter().enumerate().map(|(i, r)| (r.id, i)).collect();
    let results: Vec<Value> = findings
        .all
        .iter()
        .take(MOST)
        .map(|f| result(f, index.get(f.rule.id).copied()))
        .collect();
    let mut notes: Vec<String> = findings
        .not_seen
        .iter()
        .map(|n| format!("{}: {}", n.what, n.why))
        .collect();
    let left_out = findings.all.len().saturating_sub(MOST);
    if left_out > 0 {
        notes.push(format!(
            "{left_out} more findings, none of them worse, were left out"
        ));
    }
    let notes: Vec<Value> = notes
        .iter()
        .map(|n| json!({"level": "warning", "message": {"text": plain(n)}}))
        .collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "wi",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|r| rule(r)).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": findings.is_complete(),
                "toolExecutionNotifications": notes,
            }],
            "results": results,
        }],
    });
    crate::view::json::document(&sarif)
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// What GitHub sorts by: above 9 is critical, above 7 high, above 4 medium.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn rule(rule: &wi_core::findings::Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.help},
        "help": {"text": rule.help, "markdown": rule.help},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": ["security"], "security-severity": score(rule.severity)},
    })
}

fn result(finding: &Finding, index: Option<usize>) -> Value {
    let place = &finding.place;
    let mut location = json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&place.path)},
        "region": {"startLine": place.line.unwrap_or(1).max(1)},
    }});
    if let Some(object) = &place.object {
        location["logicalLocations"] = json!([{"fullyQualifiedName": safe(object)}]);
    }
    let mut text = format!("{}: {}", finding.subject, finding.what);
    for evidence in &finding.evidence {
        text.push_str(&format!(" {evidence}."));
    }
    if let Some(fix) = &finding.fix {
        text.push_str(&format!(" {fix}"));
    }
    let mut result = json!({
        "ruleId": finding.rule.id,
        "level": level(finding.severity),
        "message": {"text": plain(&text)},
        "locations": [location],
        "partialFingerprints": {"primaryLocationLineHash": format!("{}:1", finding.fingerprint())},
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if let Some(accepted) = &finding.accepted {
        result["suppressions"] =
            json!([{"kind": "external", "justification": plain(&accepted.reason)}]);
    }
    result
}

/// Text in which nothing is a link.
fn plain(text: &str) -> String {
    safe(text).replace('[', "\\[")
}

/// A path as a relative URI reference, never empty.
fn uri(path: &str) -> String {
    let parts: Vec<String> = path.split('/').map(wi_core::percent::query).collect();
    parts.join("/")
}
