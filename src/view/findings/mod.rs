//! Findings as text, JSON, SARIF, Markdown and JUnit.

pub mod json;
pub mod junit;
pub mod keys;
pub mod markdown;
pub mod sarif;
pub mod text;

use wi_core::findings::{Findings, Severity};

/// `3 critical, 2 high`; those that are accepted come last.
fn counts(findings: &Findings) -> String {
    let mut parts: Vec<String> = Severity::ALL
        .into_iter()
        .map(|severity| (severity, findings.count(severity)))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    let accepted = findings.all.len() - findings.open().count();
    match accepted {
        0 => parts.join(", "),
        n => format!("{}; {n} accepted", parts.join(", ")),
    }
}
