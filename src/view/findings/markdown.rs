//! Findings as Markdown, as for a comment or the summary of a job.

use std::fmt::Write;

use wi_core::findings::Findings;

use super::super::markdown::escape;

/// A table of what is open, the worst first.
pub fn findings(findings: &Findings) -> String {
    let mut out = format!(
        "**wi {}**: {}. {}\n\n",
        findings.command,
        super::counts(findings),
        if findings.is_complete() {
            "Complete."
        } else {
            "Incomplete."
        }
    );
    if findings.open().next().is_some() {
        out.push_str("| Severity | Rule | Where | What |\n|---|---|---|---|\n");
    }
    for finding in findings.open() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {}: {} |",
            finding.severity,
            finding.rule.id,
            escape::cell(&finding.place.to_string()),
            escape::cell(&finding.subject),
            escape::cell(&finding.what)
        );
    }
    for thing in &findings.not_seen {
        let _ = writeln!(
            out,
            "\nNot looked at: {}: {}",
            escape::cell(&thing.what),
            escape::cell(&thing.why)
        );
    }
    out
}
