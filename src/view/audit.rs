//! The rules of an audit, for a terminal.

use std::fmt::Write;

use wi_audit::{Audit, Audited, Live};

use super::style::{BOLD, paint};
use super::wrap::wrap;

/// A line each: id, severity, title, and whether it says something of a spec alone.
pub fn listed(rules: &[&'static Audited]) -> String {
    let mut out = String::new();
    for rule in rules {
        let alone = if rule.offline { " (offline, too)" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{} {:<8} {}{alone}",
            rule.id(),
            rule.rule.severity.word(),
            rule.rule.title
        );
    }
    out
}

/// All that a rule's row says.
pub fn explained(rule: &Audited, width: usize) -> String {
    let head = format!("{} {}", rule.id(), rule.rule.title);
    let mut out = format!("{}\n", paint(BOLD, head));
    let mut paragraph = |name: &str, text: &str| {
        let lines = wrap(text, width.saturating_sub(12));
        for (at, line) in lines.iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            let _ = writeln!(out, "{name:<11} {line}");
        }
    };
    paragraph("Severity", rule.rule.severity.word());
    paragraph("Why", rule.rule.help);
    paragraph("Decided by", rule.decides);
    let mut takes: Vec<&str> = rule.reads.iter().map(|r| r.permission()).collect();
    if takes.is_empty() {
        takes.push("nothing but the spec");
    }
    paragraph("Takes", &takes.join(", "));
    let alone = if rule.offline {
        "yes"
    } else {
        "no: only with what is live"
    };
    paragraph("Offline", alone);
    let accepted = if rule.rule.can_be_accepted {
        "yes, in wi-audit.yaml"
    } else {
        "no"
    };
    paragraph("Acceptable", accepted);
    paragraph("References", &rule.references.join("; "));
    out
}

/// How many rules looked at all that they wanted to, and where policies were searched.
pub fn looked_at(audited: &Audit, rules: usize, live: Option<&Live>) -> Vec<String> {
    let mut all = vec![format!(
        "{rules} rules, {} of them checked",
        audited.checked
    )];
    if !audited.unchecked.is_empty() {
        let ids: Vec<&str> = audited.unchecked.iter().copied().collect();
        all.push(format!(
            "not checked, or not everywhere: {}",
            ids.join(", ")
        ));
    }
    if let Some(live) = live.filter(|l| !l.searched.is_empty()) {
        let searched: Vec<String> = live.searched.iter().map(ToString::to_string).collect();
        all.push(format!(
            "roles on resources that the spec does not name: in {}, and nowhere else",
            searched.join(", ")
        ));
    }
    all
}
