//! Findings for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use wi_core::findings::{Finding, Findings, Severity};
use wi_core::words::safe;

use super::super::style::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::super::wrap::wrap;

/// The findings, those about one thing together, the worst first; what they have in common is said
/// once. Accepted ones are counted.
pub fn findings(findings: &Findings, looked_at: &[String], width: usize) -> String {
    let mut out = String::new();
    let mut by_subject: BTreeMap<(usize, &str), Vec<&Finding>> = BTreeMap::new();
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings.open() {
        let next = order.len();
        let at = *order.entry(&finding.subject).or_insert(next);
        by_subject
            .entry((at, &finding.subject))
            .or_default()
            .push(finding);
    }
    for ((_, name), found) in &by_subject {
        subject(name, found, width, &mut out);
    }
    end(findings, looked_at, width, &mut out);
    out
}

fn subject(name: &str, found: &[&Finding], width: usize, out: &mut String) {
    let name = safe(name);
    // `EMAIL/KEY` is longer than most terminals.
    let lines = match name.split_once('/') {
        Some((email, id)) if name.chars().count() > width => {
            vec![format!("{email}/"), format!("  {id}")]
        }
        _ => vec![name.clone()],
    };
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", paint(BOLD, line));
    }
    let mut last = None;
    for finding in found {
        let head = (finding.severity, finding.rule.id, &finding.what);
        if last != Some(head) {
            let mark = severity(finding.severity);
            let what = format!("{} [{}]", safe(&finding.what), finding.rule.id);
            let lines = wrap(&what, width.saturating_sub(11));
            let _ = writeln!(out, "  {mark} {}", lines.join("\n           "));
            last = Some(head);
        }
        let _ = writeln!(out, "           {}", safe(&finding.place.to_string()));
        for evidence in &finding.evidence {
            let lines = wrap(&safe(evidence), width.saturating_sub(13));
            let text = paint(DIM, lines.join("\n             "));
            let _ = writeln!(out, "             {text}");
        }
    }
    let mut fixes: Vec<&String> = found.iter().filter_map(|f| f.fix.as_ref()).collect();
    fixes.dedup();
    for fix in fixes {
        // Commands stay on one line, to be copied.
        let fix = safe(fix);
        match fix.split_once(": gcloud ") {
            Some((why, command)) => {
                let _ = writeln!(out, "  {why}:\n    gcloud {command}");
            }
            None if ["wi apply ", "gcloud "].iter().any(|c| fix.starts_with(c)) => {
                let _ = writeln!(out, "  {fix}");
            }
            None => {
                let _ = writeln!(
                    out,
                    "  {}",
                    wrap(&fix, width.saturating_sub(2)).join("\n  ")
                );
            }
        }
    }
    out.push('\n');
}

/// In its colour, in eight columns.
fn severity(severity: Severity) -> String {
    let style = match severity {
        Severity::Critical | Severity::High => RED,
        Severity::Medium => YELLOW,
        Severity::Low => DIM,
    };
    paint(style, format!("{:<8}", severity.word()))
}

fn end(findings: &Findings, looked_at: &[String], width: usize, out: &mut String) {
    let mut paragraph = |text: &str| {
        let _ = writeln!(out, "{}", wrap(&safe(text), width).join("\n"));
    };
    for warning in &findings.warnings {
        paragraph(&format!("Warning: {warning}"));
    }
    if !looked_at.is_empty() {
        paragraph(&format!("Looked at: {}.", looked_at.join("; ")));
    }
    if !findings.out_of_reach.is_empty() {
        paragraph(&format!(
            "Not looked at: {}.",
            findings.out_of_reach.join(", ")
        ));
    }
    if !findings.not_seen.is_empty() {
        paragraph("Could not be looked at, so that nothing is said about it:");
        for thing in &findings.not_seen {
            let text = format!("- {}: {}", thing.what, thing.why);
            let lines = wrap(&safe(&text), width.saturating_sub(2));
            let _ = writeln!(out, "  {}", lines.join("\n  "));
        }
    }
    let complete = match findings.is_complete() {
        true => paint(GREEN, "Complete."),
        false => paint(RED, "Incomplete."),
    };
    let _ = writeln!(out, "Findings: {}. {complete}", super::counts(findings));
}
