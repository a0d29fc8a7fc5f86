//! Proofs as JUnit XML, which most CI servers show: a service account of a cluster is a suite, a step a case.

use std::fmt::Write;

use super::Report;
use crate::verify::{Outcome, Step};
use crate::view::xml::text as xml;

/// One document. What could not be tried is an error.
pub fn proofs(report: &Report) -> String {
    let count = |outcome| report.count(outcome);
    let steps: usize = report.proofs.iter().map(|p| p.steps.len()).sum();
    let all = steps + report.not_seen.len();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"wi verify\" tests=\"{all}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        count(Outcome::Broken),
        count(Outcome::Untried),
        count(Outcome::Skipped)
    );
    for proof in &report.proofs {
        let key = &proof.key;
        let name = xml(&format!("{}/{}/{}", key.cluster, key.namespace, key.name));
        let count = |outcome| proof.steps.iter().filter(|s| s.outcome == outcome).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
            proof.steps.len(),
            count(Outcome::Broken),
            count(Outcome::Untried),
            count(Outcome::Skipped)
        );
        for step in &proof.steps {
            let more = match step.outcome {
                Outcome::Broken => report.explain(proof, step),
                _ => String::new(),
            };
            case(&name, step, &more, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    for (what, why) in &report.not_seen {
        let (what, why) = (xml(what), xml(why));
        let _ = writeln!(
            out,
            "  <testsuite name=\"not-seen\" tests=\"1\" errors=\"1\"><testcase name=\"{what}\"><error message=\"{why}\"/></testcase></testsuite>"
        );
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(class: &str, step: &Step, more: &str, out: &mut String) {
    let (name, why) = (xml(&step.title), xml(&step.why));
    let start = format!("    <testcase classname=\"{class}\" name=\"{name}\">");
    let id = step.link.id();
    let _ = match step.outcome {
        Outcome::Holds => writeln!(out, "{start}</testcase>"),
        Outcome::Skipped => writeln!(out, "{start}<skipped message=\"{why}\"/></testcase>"),
        Outcome::Untried => writeln!(
            out,
            "{start}<error type=\"{id}\" message=\"{why}\"/></testcase>"
        ),
        Outcome::Broken => writeln!(
            out,
            "{start}<failure type=\"{id}\" message=\"{why}\">{}</failure></testcase>",
            xml(more)
        ),
    };
}
