//! Proofs of `wi verify`, for people. Service accounts of which the same is so on several clusters are one.

pub mod json;
mod junit;

use std::collections::BTreeMap;
use std::fmt::Write;

pub use junit::proofs as junit;
use wi_core::access::ladder::Link;
use wi_core::desired::KsaKey;
use wi_core::words::{counted, safe, shell_word};

use super::explain::{Hints, fix_lines};
use super::style::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::wrap::wrap;
use crate::verify::{Outcome, Proof, Step};

/// What comes before a line that belongs to a step.
const INDENT: &str = "      ";

/// What a run of `wi verify` found.
#[derive(Debug)]
pub struct Report {
    /// What the calls of the run were marked with.
    pub run: String,
    /// In the order of their clusters and names.
    pub proofs: Vec<Proof>,
    /// Where clusters could not be looked for, and why: nothing of those was tried.
    pub not_seen: Vec<(String, String)>,
    /// The first broken link of what does not hold, as `wi explain` finds it.
    pub because: BTreeMap<KsaKey, Link>,
    /// The image of the Jobs that tried it from pods, too.
    pub jobs: Option<String>,
    /// What says more, and what mends.
    pub hints: Hints,
}

impl Report {
    /// How many steps came out so.
    pub fn count(&self, outcome: Outcome) -> usize {
        let steps = self.proofs.iter().flat_map(|p| &p.steps);
        let not_seen = match outcome {
            Outcome::Untried => self.not_seen.len(),
            _ => 0,
        };
        steps.filter(|s| s.outcome == outcome).count() + not_seen
    }

    /// The command that says more about a step.
    fn explain(&self, proof: &Proof, step: &Step) -> String {
        let Hints { explain, end, .. } = &self.hints;
        let key = &proof.key;
        let subject = format!("{}/{}/{}", key.cluster, key.namespace, key.name);
        let mut command = format!("{explain} {}", shell_word(&subject));
        if let Some((permission, resource)) = &step.asked {
            let to = resource.to_string();
            command.push_str(&format!(
                " --to {} --permission {}",
                shell_word(&to),
                shell_word(permission)
            ));
        }
        command.push_str(end);
        command
    }
}

/// All of it, for a terminal of this width. Commands stay on one line, to be copied.
pub fn text(report: &Report, width: usize) -> String {
    let mut out = String::new();
    // The same of several clusters.
    let mut folded: Vec<(&Proof, Vec<&str>)> = Vec::new();
    for proof in &report.proofs {
        let same = folded.iter_mut().find(|(first, _)| {
            let names = |p: &Proof| (p.key.namespace.clone(), p.key.name.clone());
            names(first) == names(proof)
                && (&first.account, &first.steps) == (&proof.account, &proof.steps)
        });
        match same {
            Some((_, clusters)) => clusters.push(&proof.key.cluster),
            None => folded.push((proof, vec![&proof.key.cluster])),
        }
    }
    for (proof, clusters) in folded {
        of_proof(&mut out, report, proof, &clusters, width);
    }
    for (place, why) in &report.not_seen {
        let line = safe(&format!("{place}: {why}"));
        let lines = wrap(&line, width.saturating_sub(2));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} {}", mark(Outcome::Untried), lines.join("\n  "));
    }
    let [broken, untried, skipped, held] = [
        Outcome::Broken,
        Outcome::Untried,
        Outcome::Skipped,
        Outcome::Holds,
    ]
    .map(|outcome| report.count(outcome));
    let all = held + broken + untried;
    let mut end = format!(
        "{held} of {} {}",
        counted(all, "check"),
        if all == 1 { "holds" } else { "hold" }
    );
    for (count, what) in [
        (broken, "broken"),
        (untried, "could not be tried"),
        (skipped, "skipped"),
    ] {
        if count > 0 {
            end.push_str(&format!(", {count} {what}"));
        }
    }
    let colour = match (broken, untried) {
        (0, 0) => GREEN,
        (0, _) => YELLOW,
        _ => RED,
    };
    let _ = writeln!(out, "\n{}", paint(colour, paint(BOLD, format!("{end}."))));
    let remark = match &report.jobs {
        None => "Simulated from here: node pools, their metadata servers and the pods' network were not tried (--mode job does).".to_owned(),
        Some(image) => format!(
            "Tried from here, and from a pod of {} for each. Other pods may be on other nodes.",
            safe(image)
        ),
    };
    for line in wrap(&remark, width) {
        let _ = writeln!(out, "{}", paint(DIM, line));
    }
    out
}

fn mark(outcome: Outcome) -> String {
    match outcome {
        Outcome::Holds => paint(GREEN, "✓").to_string(),
        Outcome::Broken => paint(RED, "✗").to_string(),
        Outcome::Untried => paint(YELLOW, "?").to_string(),
        Outcome::Skipped => paint(DIM, "·").to_string(),
    }
}

fn of_proof(out: &mut String, report: &Report, proof: &Proof, clusters: &[&str], width: usize) {
    let key = &proof.key;
    let account = match &proof.account {
        Some(email) => format!(" → {email}"),
        None => String::new(),
    };
    let head = format!(
        "{}/{} on {}{account}",
        key.namespace,
        key.name,
        clusters.join(", ")
    );
    let outcome = proof.outcome();
    let grants = proof.steps.iter().filter(|s| s.asked.is_some()).count();
    if outcome == Outcome::Holds && proof.steps.iter().all(|s| s.why.is_empty()) {
        let grants = match grants {
            0 => String::new(),
            n => format!(": {}", counted(n, "grant")),
        };
        let _ = writeln!(
            out,
            "{} {}{grants}",
            mark(outcome),
            paint(BOLD, safe(&head))
        );
        return;
    }
    let _ = writeln!(out, "{} {}", mark(outcome), paint(BOLD, safe(&head)));
    let mut told = false;
    for step in &proof.steps {
        let source = match (&step.source, step.outcome) {
            (Some(source), Outcome::Broken) => format!("  # {source}"),
            _ => String::new(),
        };
        let why = match step.why.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        let line = safe(&format!("{}{why}{source}", step.title));
        let lines = wrap(&line, width.saturating_sub(4));
        let _ = writeln!(out, "  {} {}", mark(step.outcome), lines.join("\n    "));
        if step.outcome == Outcome::Broken {
            if let Some(link) = report.because.get(key).filter(|_| !told) {
                of_link(out, link, &report.hints, width);
            }
            told = true;
            let _ = writeln!(out, "{INDENT}{}", safe(&report.explain(proof, step)));
        }
    }
}

/// The link that `wi explain` names.
fn of_link(out: &mut String, link: &Link, hints: &Hints, width: usize) {
    let first = format!("first broken link: {} ({})", link.title, link.rung.id());
    let lines = std::iter::once(first).chain(link.detail.iter().cloned());
    for text in lines {
        for line in wrap(&safe(&text), width.saturating_sub(INDENT.len())) {
            let _ = writeln!(out, "{INDENT}{line}");
        }
    }
    for near in &link.near {
        super::explain::of_near(out, near);
    }
    for line in link.fix.iter().flat_map(|fix| fix_lines(fix, hints)) {
        let _ = writeln!(out, "{INDENT}{}", safe(&line));
    }
}
