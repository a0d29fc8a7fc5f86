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
        Some((email, id))
            if name.chars().count() > width && email.contains('@') && !email.contains(' ') =>
        {
            vec![format!("{email}/"), format!("  {id}")]
        }
        _ => wrap(&name, width.saturating_sub(2)),
    };
    let lines = lines.iter().enumerate();
    let lines = lines.map(|(at, line)| {
        if at == 0 {
            line.clone()
        } else {
            format!("  {}", line.trim_start())
        }
    });
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
    let ways = ways_out(found);
    // Of several nobody could tell whose each is.
    let is_clear = ways.len() == 1 && found.iter().all(|f| f.fix.is_some());
    for (fix, ids) in ways {
        let indent = if is_clear { "  " } else { "    " };
        if !is_clear {
            let _ = writeln!(out, "  To mend {}:", ids.join(", "));
        }
        // Commands stay on one line, to be copied.
        let fix = safe(fix);
        match fix.split_once(": gcloud ") {
            Some((why, command)) => {
                let lines = wrap(&format!("{why}:"), width.saturating_sub(4));
                let _ = writeln!(out, "{indent}{}", lines.join(&format!("\n{indent}")));
                let _ = writeln!(out, "{indent}  gcloud {command}");
            }
            None if ["wi apply", "gcloud ", "kubectl "]
                .iter()
                .any(|c| fix.starts_with(c)) =>
            {
                let _ = writeln!(out, "{indent}{fix}");
            }
            None => {
                let lines = wrap(&fix, width.saturating_sub(4));
                let _ = writeln!(out, "{indent}{}", lines.join(&format!("\n{indent}")));
            }
        }
    }
    out.push('\n');
}

/// Each way out once, with the rules whose findings it mends.
fn ways_out<'f>(found: &[&'f Finding]) -> Vec<(&'f str, Vec<&'f str>)> {
    let mut ways: Vec<(&str, Vec<&str>)> = Vec::new();
    for finding in found {
        let Some(fix) = &finding.fix else { continue };
        let id = finding.rule.id;
        match ways.iter_mut().find(|(known, _)| known == fix) {
            Some((_, ids)) if ids.contains(&id) => {}
            Some((_, ids)) => ids.push(id),
            None => ways.push((fix, vec![id])),
        }
    }
    ways
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

#[cfg(test)]
mod tests {
    use super::*;
    use wi_core::findings::Place;

    fn told(findings: &[(&str, &str, Option<&str>)]) -> String {
        let rules = wi_audit::rules::rows();
        let mut all = Findings {
            command: "audit",
            rules,
            ..Findings::default()
        };
        for (id, subject, fix) in findings {
            let rule = rules.iter().find(|r| r.id == *id).expect("a rule");
            let mut finding =
                Finding::new(rule, subject, "is wrong", Place::file("wi.yaml", Some(1)));
            finding.fix = fix.map(str::to_owned);
            all.all.push(finding);
        }
        let text = super::findings(&all, &[], 80);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn each_way_out_is_told_once_with_whose_it_is() {
        let apply = "wi apply spec --target nodepool.main/p --sandbox";
        let text = told(&[
            ("WI102", "nodepool.main/p", Some(apply)),
            ("WI104", "nodepool.main/p", Some("give it an account")),
            ("WI110", "nodepool.main/p", Some(apply)),
        ]);
        assert_eq!(text.matches(apply).count(), 1, "{text}");
        assert!(
            text.contains(&format!("  To mend WI102, WI110:\n    {apply}\n")),
            "{text}"
        );
        assert!(
            text.contains("  To mend WI104:\n    give it an account\n"),
            "{text}"
        );
        let alone = told(&[("WI102", "nodepool.main/p", Some(apply))]);
        assert!(
            !alone.contains("To mend") && alone.contains(&format!("\n  {apply}\n")),
            "{alone}"
        );
    }

    #[test]
    fn a_heading_is_not_torn_inside_a_name() {
        let subject = "roles/storage.admin on bucket/other for serviceAccount:checkout@acme-prod.iam.gserviceaccount.com";
        let text = told(&[("WI402", subject, None)]);
        assert!(
            text.starts_with("roles/storage.admin on bucket/other for\n  serviceAccount:checkout@"),
            "{text}"
        );
        let key = format!(
            "checkout@acme-prod.iam.gserviceaccount.com/{}",
            "0".repeat(40)
        );
        assert!(
            told(&[("WI501", &key, None)])
                .starts_with("checkout@acme-prod.iam.gserviceaccount.com/\n  0000")
        );
    }
}
