//! What `wi doctor` found.

use std::fmt::Write;

use wi_core::words::safe;

use super::style::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::wrap::wrap;
use crate::doctor::{Report, State};

/// The report as text for a terminal of this width, each thing that stands in the way with what fixes
/// it. Commands stay on one line, to be copied.
pub fn report(report: &Report, width: usize) -> String {
    let mut out = String::new();
    for section in &report.0 {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", paint(BOLD, safe(&section.title)));
        for check in &section.checks {
            let mark = match check.state {
                State::Fine => paint(GREEN, "✓"),
                State::Doubtful => paint(YELLOW, "!"),
                State::Unseen => paint(YELLOW, "?"),
                State::Failed => paint(RED, "✗"),
            };
            let lines = wrap(&safe(&check.what), width.saturating_sub(4));
            let _ = writeln!(out, "  {mark} {}", lines.join("\n    "));
            if let Some(fix) = &check.fix {
                let _ = writeln!(out, "      {}", safe(fix));
            }
        }
        out.push('\n');
    }
    let (failures, unseen) = (report.failures(), report.unseen());
    let end = match failures {
        0 if unseen > 0 => None,
        0 => Some(paint(GREEN, "Nothing stands in the way.")),
        1 => Some(paint(RED, "One thing stands in the way; see ✗ above.")),
        n => Some(paint(
            RED,
            format!("{n} things stand in the way; see ✗ above."),
        )),
    };
    let not_seen = match unseen {
        0 => None,
        1 => Some(paint(RED, "One thing could not be looked at; see ? above.")),
        n => Some(paint(
            RED,
            format!("{n} things could not be looked at; see ? above."),
        )),
    };
    for line in end.into_iter().chain(not_seen) {
        let _ = writeln!(out, "{line}");
    }
    if out.contains("--member=MEMBER") {
        let _ = writeln!(
            out,
            "{}",
            paint(
                DIM,
                "MEMBER stands for whoever runs wi: principal://… for a federated identity."
            )
        );
    }
    out
}
