//! How an apply ended.

use std::collections::BTreeMap;
use std::fmt::Write;

use wi_core::address::Address;
use wi_core::plan::{Action, Plan, StaleObject};
use wi_core::reason::Reason;
use wi_core::words::{counted, safe, shell_word};

use super::cause::together;
use super::style::{BOLD, GREEN, RED, YELLOW, paint};
use super::wrap::wrap;
use crate::apply::preflight::Missing;
use crate::apply::rehearsal::Refused;
use crate::apply::rollout::Pause;
use crate::apply::{Outcome, SkipReason, Status};

/// How to go on where something is left.
#[derive(Debug, Clone)]
pub enum GoOn {
    /// By this command, which plans again.
    Again(String),
    /// By a new plan: the saved one rests on what it has changed itself.
    Anew {
        /// Makes the new plan.
        plan: String,
        /// Carries it out.
        apply: String,
    },
}

const FIXED: &str = "once this is fixed";
const GO_ON: &str = "to go on";

impl GoOn {
    /// Where nothing was begun: a saved plan holds still.
    #[must_use]
    pub fn unbegun(self) -> Self {
        match self {
            Self::Anew { apply, .. } => Self::Again(apply),
            again => again,
        }
    }

    /// With these flags for whatever carries out the rest.
    #[must_use]
    pub fn with(mut self, flags: impl IntoIterator<Item = String>) -> Self {
        let (Self::Again(command) | Self::Anew { apply: command, .. }) = &mut self;
        for flag in flags {
            command.push(' ');
            command.push_str(&flag);
        }
        self
    }

    /// `when`: `once this is fixed`, or `to go on`; `what` is what the command makes of the rest.
    fn again(&self, when: &str, what: &str) -> String {
        match self {
            Self::Again(command) => format!("Run `{command}` again {when}: {what}."),
            Self::Anew { .. } => self.given("", when, what),
        }
    }

    /// With one more flag.
    fn given(&self, flag: &str, when: &str, what: &str) -> String {
        match self {
            Self::Again(command) => format!("Run `{command}{flag}` {when}: {what}."),
            Self::Anew { plan, apply } => format!(
                "This saved plan is used up: it rests on what it has changed by now. {}, plan what is left by `{plan}`, look at it, and run `{apply}{flag}`.",
                match when {
                    GO_ON => "To go on",
                    _ => "Once this is fixed",
                }
            ),
        }
    }
}

/// What is done, what failed, what was not started and because of what.
///
/// `width` is the terminal's, in columns; `waits` is whether a rollout waits for somebody or for time,
/// with nothing broken.
/// `again` is how to go on.
pub fn text(plan: &Plan, outcome: &Outcome, width: usize, waits: bool, again: &GoOn) -> String {
    let count = |action: Action| {
        outcome
            .iter()
            .filter(|(address, end)| {
                **end == Status::Done
                    && plan
                        .changes
                        .get(*address)
                        .is_some_and(|c| c.action() == action)
            })
            .count()
    };
    let counts = format!(
        "Resources: {} added, {} changed, {} destroyed.",
        count(Action::Create),
        count(Action::Update),
        count(Action::Delete)
    );
    let mut out = String::from("\n");
    let mut failed = Vec::new();
    let mut waiting: BTreeMap<&SkipReason, Vec<&str>> = BTreeMap::new();
    for (address, end) in outcome {
        match end {
            Status::Done => {}
            Status::Failed(why) => failed.push((address, why)),
            Status::NotStarted(because) => waiting.entry(because).or_default().push(address),
        }
    }
    if failed.is_empty() && waiting.is_empty() {
        let _ = writeln!(
            out,
            "{}",
            paint(GREEN, paint(BOLD, format!("Apply complete! {counts}")))
        );
        out.push_str(&left(plan));
        return out;
    }
    let _ = writeln!(out, "{}", paint(RED, format!("Apply incomplete. {counts}")));
    let has_failed = !failed.is_empty();
    if has_failed {
        let _ = writeln!(out, "\n{}", paint(BOLD, "Failed:"));
        out.push_str(&listed(plan, failed, &paint(RED, "✗"), width));
    }
    let interrupted = waiting.contains_key(&SkipReason::Interrupted);
    let broken = has_failed || !waits && waiting.keys().any(|b| **b != SkipReason::Interrupted);
    for (because, addresses) in waiting {
        let why = self::because(because);
        let _ = writeln!(
            out,
            "\n{}",
            paint(BOLD, format!("Not started, {}:", safe(&why)))
        );
        for address in addresses {
            let _ = writeln!(out, "  {} {}", paint(YELLOW, "·"), safe(address));
        }
    }
    // At a gate or a deadline, what goes on is said by [`paused`].
    if broken {
        let next = again.again(FIXED, "it finds what is left to do");
        let _ = writeln!(out, "\n{next}");
    } else if interrupted {
        let next = again.again(GO_ON, "it finds what is left to do");
        let _ = writeln!(out, "\n{next}");
    }
    out
}

/// Changes with why they fail or would, each reason once. A mark in colour is none for an error's text.
fn listed<'a>(
    plan: &Plan,
    failed: impl IntoIterator<Item = (&'a Address, &'a Reason)>,
    mark: &str,
    width: usize,
) -> String {
    let mut out = String::new();
    for group in together(failed, |(_, why)| why.cause()) {
        for (address, _) in &group {
            let place = plan
                .changes
                .get(*address)
                .and_then(|c| c.place.as_ref())
                .map(|p| format!(" ({})", safe(&p.to_string())))
                .unwrap_or_default();
            let mut sign = format!("  {mark} ");
            for line in wrap(
                &format!("{}{place}", safe(address)),
                width.saturating_sub(4),
            ) {
                let _ = writeln!(out, "{sign}{line}");
                "    ".clone_into(&mut sign);
            }
        }
        let why = group[0].1.lines();
        for line in why.flat_map(|l| wrap(&safe(l), width.saturating_sub(4))) {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// What a complete apply has not done: it is complete in what it was to do.
fn left(plan: &Plan) -> String {
    let mut out = String::new();
    if plan.left_out > 0 {
        let by: Vec<&str> = plan.left_out_by.iter().map(String::as_str).collect();
        let _ = writeln!(
            out,
            "{} left out by {}.",
            counted_are(plan.left_out, "other change"),
            by.join(" and ")
        );
    }
    if plan.waiting() > 0 {
        let _ = writeln!(
            out,
            "{} held back; the plan above says why, and what lets it go on.",
            counted_are(plan.waiting(), "change")
        );
    }
    if !plan.unseen.is_empty() {
        out.push_str("What could not be read, above, was not planned.\n");
    }
    out
}

/// `1 change is`, `2 changes are`.
fn counted_are(n: usize, noun: &str) -> String {
    format!("{} {}", counted(n, noun), if n == 1 { "is" } else { "are" })
}

/// A rollout that does not go on by itself.
pub fn paused(wave: &str, why: &str, by: Pause, again: &GoOn) -> String {
    let done = "what is done is not done again";
    let (when, next) = match by {
        Pause::Gate => {
            let flag = format!(" --approve {}", shell_word(wave));
            ("after", again.given(&flag, GO_ON, done))
        }
        Pause::Deadline => ("before", again.again(GO_ON, done)),
        Pause::Failures => ("after", again.again(FIXED, done)),
    };
    format!(
        "\n{} {when} the wave {}: {}.\n{next}",
        paint(YELLOW, "The rollout is paused"),
        safe(wave),
        safe(why)
    )
}

/// Why a change was not started.
pub fn because(because: &SkipReason) -> String {
    match because {
        SkipReason::Need(need) => format!("because of {need}"),
        SkipReason::Interrupted => "interrupted".to_owned(),
        SkipReason::Paused(why) => format!("paused: {why}"),
    }
}

/// What the caller may not do, before anything is written.
pub fn missing(missing: &[Missing]) -> String {
    let mut out =
        String::from("nothing was written: the plan takes permissions that you do not have.\n");
    for m in missing {
        let _ = write!(
            out,
            "\n- {} on {} ({})",
            safe(&m.permission),
            safe(&m.on),
            m.given_by
        );
    }
    out
}

/// What the servers would refuse, before anything is written.
pub fn refused(plan: &Plan, refused: &Refused, width: usize) -> String {
    format!(
        "nothing was written: in a dry run the servers refuse a part of the plan.\n\nRefused:\n{}",
        listed(plan, refused, "✗", width)
    )
}

/// What the servers would refuse, where the rollout bears that.
pub fn will_be_refused(plan: &Plan, refused: &Refused, width: usize) -> String {
    format!(
        "In a dry run the servers refuse a part of the plan. The rollout's maxFailures bears that, so that it goes on without.\n\nRefused:\n{}",
        listed(plan, refused, "✗", width)
    )
}

/// GKE operations that go on without us.
pub fn operations(operations: &BTreeMap<String, String>) -> String {
    if operations.is_empty() {
        return "No GKE operation was under way. Run `wi apply` again to go on.".to_owned();
    }
    let mut out = String::from("These GKE operations go on; the next `wi apply` waits for them:");
    for (address, name) in operations {
        let _ = write!(out, "\n  {}: {}", safe(address), safe(name));
    }
    out
}

/// Objects that are not as a saved plan saw them.
pub fn stale(moved: &[StaleObject]) -> String {
    let mut out = String::from(
        "nothing was written: the plan is stale. Since it was made, these have changed:\n",
    );
    for object in moved {
        let _ = write!(out, "\n- {}", safe(&object.object));
        for line in &object.how {
            let _ = write!(out, "\n    {}", safe(line));
        }
    }
    out.push_str("\n\nPlan again, and look at it again.");
    out
}

/// Files of the spec that are not what a saved plan was made of.
pub fn stale_spec(files: &[String]) -> String {
    let files: Vec<String> = files.iter().map(|f| safe(f)).collect();
    format!(
        "nothing was written: the plan is stale. Since it was made, {}. Plan again, and look at it again.",
        files.join(", and ")
    )
}

/// What could not be read again, before a saved plan is carried out.
pub fn unread(unread: &[(String, String)], caller: Option<&str>) -> String {
    let mut out = String::from(
        "nothing was written: whether the plan still holds is not known, since these could not be read again.\n",
    );
    for (object, why) in unread {
        let _ = write!(out, "\n- {}: {}", safe(object), safe(why));
    }
    match caller {
        Some(caller) => {
            let _ = write!(
                out,
                "\n\nYou are {}: is that who is to apply this plan?",
                safe(caller)
            );
        }
        None => out.push_str("\n\nAre these the credentials that are to apply this plan?"),
    }
    out
}
