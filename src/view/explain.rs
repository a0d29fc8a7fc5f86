//! Chains from pods to what they may do, and what a message means.

use std::fmt::Write;

use serde_json::{Value, json};
use wi_core::access::ladder::{Caller, Fix, Ladder, Link, NearMiss, Rung, State, Verdict};
use wi_core::words::{safe, shell_word};

use super::style::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::wrap::wrap;
use crate::explain::Chain;
use crate::explain::changed::{Changed, Last};
use crate::explain::messages::{Message, redacted};

/// What comes before a line that belongs to a link.
const INDENT: &str = "      ";

/// Commands that go on from here, as they would be typed: with the paths and the sandbox of this run.
#[derive(Debug, Clone)]
pub struct Hints {
    /// `wi apply PATH...`.
    pub apply: String,
    /// `wi explain PATH...`.
    pub explain: String,
    /// What comes last in both: nothing, or ` --sandbox`.
    pub end: String,
}

/// All of it, for a terminal of this width. Commands stay on one line, to be copied.
pub fn text(message: Option<&Message>, chains: &[Chain], hints: &Hints, width: usize) -> String {
    let mut out = String::new();
    if let Some(message) = message {
        of_message(&mut out, message, width);
        if !chains.is_empty() {
            out.push('\n');
        }
    }
    for (i, chain) in chains.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        of_chain(&mut out, chain, hints, width);
        if let Some(message) = message {
            for line in wrap(&agreement(message, &chain.ladder), width) {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

fn of_message(out: &mut String, message: &Message, width: usize) {
    // Writing to a String cannot fail.
    let mut line = |text: &str| {
        for part in wrap(&safe(&redacted(text)), width) {
            let _ = writeln!(out, "{part}");
        }
    };
    match message.signature {
        Some(signature) => {
            line(&format!(
                "The message means link {}: {}.",
                signature.link, signature.means
            ));
        }
        None => {
            line("The message is none that is known. Those that are most like it:");
            for near in &message.nearest {
                line(&format!(
                    "- {} ({}): {}",
                    near.parts.join(" … "),
                    near.link,
                    near.means
                ));
            }
        }
    }
    if let Some(permission) = &message.permission {
        line(&format!("Permission: {permission}"));
    }
    if let Some(resource) = &message.resource {
        line(&format!("Resource: {resource}"));
    }
    if !message.accounts.is_empty() {
        line(&format!("It names {}", message.accounts.join(", ")));
    }
    if let Some(id) = &message.perimeter_id {
        line(&format!("In the audit log of VPC Service Controls: {id}"));
    }
}

fn of_chain(out: &mut String, chain: &Chain, hints: &Hints, width: usize) {
    let on = match chain.clusters.as_slice() {
        [] => String::new(),
        clusters => format!(" on {}", clusters.join(", ")),
    };
    let question = match &chain.question {
        Some(question) => format!(": {question}"),
        None => String::new(),
    };
    let head = format!("{}{on}{question}", chain.subject);
    let _ = writeln!(out, "{}", paint(BOLD, safe(&head)));
    for link in &chain.ladder.links {
        of_link(out, link, hints, width);
    }
    let ladder = &chain.ladder;
    let (style, end) = match (ladder.first(), ladder.verdict) {
        (Some(first), Verdict::Allowed) => (
            YELLOW,
            format!(
                "Allowed, and not as meant: {} ({})",
                first.title,
                first.rung.id()
            ),
        ),
        (Some(first), _) => (
            RED,
            format!("First broken link: {} ({})", first.title, first.rung.id()),
        ),
        (None, Verdict::Unknown) => (
            YELLOW,
            "No link is broken in what could be seen; see ? above.".to_owned(),
        ),
        (None, Verdict::Denied) => (RED, "Denied.".to_owned()),
        (None, Verdict::Allowed) if chain.question.is_some() => (GREEN, "Allowed.".to_owned()),
        (None, Verdict::Allowed) => (GREEN, "Every link holds.".to_owned()),
    };
    for line in wrap(&safe(&end), width) {
        let _ = writeln!(out, "{}", paint(style, line));
    }
    if let Some(Last::Changed(changed)) = &chain.changed {
        for line in wrap(&safe(&in_words(changed)), width) {
            let _ = writeln!(out, "{line}");
        }
    }
    let is_to_be_made = |l: &Link| {
        l.rung == Rung::ServiceAccount
            && matches!(l.state, State::Broken | State::Irrelevant)
            && l.source.is_some()
    };
    if ladder.links.iter().any(is_to_be_made) {
        let _ = writeln!(
            out,
            "The spec asks for it, and is not applied yet: {}{}",
            hints.apply, hints.end
        );
    }
    let mut not_evaluated = ladder.not_evaluated.clone();
    if let Some(Last::Unseen(why)) = &chain.changed {
        not_evaluated.push(format!("who changed it last ({why})"));
    }
    if !not_evaluated.is_empty() {
        let line = format!("Not evaluated: {}.", not_evaluated.join(", "));
        for line in wrap(&safe(&line), width) {
            let _ = writeln!(out, "{}", paint(DIM, line));
        }
    }
}

/// Who changed it last.
fn in_words(changed: &Changed) -> String {
    let took = match &changed.took {
        Some(took) => format!(", which took {took}"),
        None => String::new(),
    };
    format!(
        "Changed last by {} on {}: {}{took}",
        changed.by, changed.at, changed.method
    )
}

fn of_link(out: &mut String, link: &Link, hints: &Hints, width: usize) {
    let mark = match link.state {
        State::Holds => paint(GREEN, "✓"),
        State::Broken => paint(RED, "✗"),
        State::Doubtful => paint(YELLOW, "!"),
        State::Unseen => paint(YELLOW, "?"),
        State::Irrelevant => paint(DIM, "·"),
    };
    let source = match &link.source {
        Some(source) => format!("  # {source}"),
        None => String::new(),
    };
    let lines = wrap(
        &safe(&format!("{}{source}", link.title)),
        width.saturating_sub(4),
    );
    let _ = writeln!(out, "  {mark} {}", lines.join("\n    "));
    for detail in &link.detail {
        for line in wrap(&safe(detail), width.saturating_sub(INDENT.len())) {
            let _ = writeln!(out, "{INDENT}{line}");
        }
    }
    for near in &link.near {
        of_near(out, near);
    }
    match &link.fix {
        Some(Fix::Spec(lines)) => {
            for line in lines {
                let _ = writeln!(out, "{INDENT}{}", safe(line));
            }
        }
        Some(Fix::Say(words)) => {
            for line in wrap(&safe(words), width.saturating_sub(INDENT.len())) {
                let _ = writeln!(out, "{INDENT}{line}");
            }
        }
        Some(fix) => {
            let _ = writeln!(
                out,
                "{INDENT}{}",
                safe(&command(fix, hints).unwrap_or_default())
            );
        }
        None => {}
    }
}

/// The member, and below it what differs.
pub(super) fn of_near(out: &mut String, near: &NearMiss) {
    let (start, length) = near.differs;
    // As wide as what is shown, which may be escaped.
    let before: String = near.member.chars().take(start).collect();
    let marked: String = near.member.chars().skip(start).take(length).collect();
    let _ = writeln!(out, "{INDENT}{}", safe(&near.member));
    let _ = writeln!(
        out,
        "{INDENT}{}{} {}",
        " ".repeat(safe(&before).chars().count()),
        "^".repeat(safe(&marked).chars().count().max(1)),
        safe(&near.why)
    );
}

/// What is typed to mend a link, where that is a command.
fn command(fix: &Fix, hints: &Hints) -> Option<String> {
    match fix {
        Fix::Apply(addresses) => {
            let targets: Vec<String> = addresses
                .iter()
                .map(|a| format!("--target {}", shell_word(a)))
                .collect();
            Some(format!(
                "{} {}{}",
                hints.apply,
                targets.join(" "),
                hints.end
            ))
        }
        Fix::Run(command) => Some(command.clone()),
        Fix::Spec(_) | Fix::Say(_) => None,
    }
}

/// What mends a link, in lines: a command, lines of the spec, or words.
pub(super) fn fix_lines(fix: &Fix, hints: &Hints) -> Vec<String> {
    match fix {
        Fix::Spec(lines) => lines.clone(),
        Fix::Say(words) => vec![words.clone()],
        Fix::Apply(_) | Fix::Run(_) => command(fix, hints).into_iter().collect(),
    }
}

/// Whether the live state is as the message says.
fn agreement(message: &Message, ladder: &Ladder) -> String {
    let Some(signature) = message.signature else {
        return "Whether the message comes of it cannot be told.".to_owned();
    };
    let is_it = |l: &&Link| l.rung.id() == signature.link;
    let of_roles = [
        "18-grant",
        "19-role",
        "20-condition",
        "21-deny",
        "22-boundary",
    ];
    let alike = |l: &&Link| {
        is_it(l) || (of_roles.contains(&signature.link) && of_roles.contains(&l.rung.id()))
    };
    let has = |state| ladder.links.iter().filter(alike).any(|l| l.state == state);
    let first = ladder.first().map(|l| l.rung.id());
    if has(State::Broken) {
        return "The live state agrees with the message.".to_owned();
    }
    match first {
        Some(first) => format!(
            "The live state is broken at another link than the message means: {first}, not {}.",
            signature.link
        ),
        None if has(State::Unseen) => {
            "Whether the live state agrees with the message could not be seen.".to_owned()
        }
        None if has(State::Holds) => format!(
            "The live state does not agree with the message: {} holds now. The message is older, or the pod holds a token from before.",
            signature.link
        ),
        None => format!("The live state says nothing of link {}.", signature.link),
    }
}

/// All of it, for programs.
pub fn json(message: Option<&Message>, chains: &[Chain], hints: &Hints) -> String {
    let mut whole = json!({ "formatVersion": "1.0" });
    if let Some(message) = message {
        whole["message"] = json!({
            "id": message.signature.map(|s| s.id),
            "link": message.signature.map(|s| s.link),
            "means": message.signature.map(|s| s.means),
            "nearest": message.nearest.iter().map(|s| s.id).collect::<Vec<_>>(),
            "permission": message.permission,
            "resource": message.resource,
            "accounts": message.accounts,
            "perimeterId": message.perimeter_id,
        });
    }
    // The one that is worst off first: it is the answer where one is asked for.
    let mut ordered: Vec<&Chain> = chains.iter().collect();
    ordered.sort_by_key(|c| match c.ladder.verdict {
        Verdict::Denied => 0,
        Verdict::Unknown => 1,
        Verdict::Allowed => 2,
    });
    let mut shown = ordered
        .into_iter()
        .map(|c| of_chain_json(message, c, hints));
    if let Some(Value::Object(first)) = shown.next()
        && let Value::Object(whole) = &mut whole
    {
        whole.extend(first);
    }
    let others: Vec<Value> = shown.collect();
    if !others.is_empty() {
        whole["others"] = others.into();
    }
    super::json::document(&whole)
}

fn of_chain_json(message: Option<&Message>, chain: &Chain, hints: &Hints) -> Value {
    let link = |l: &Link| link(l, hints);
    let ladder = &chain.ladder;
    let mut shown = json!({
        "subject": chain.subject,
        "clusters": chain.clusters,
        "question": chain.question,
        "verdict": match ladder.verdict {
            Verdict::Allowed => "allowed",
            Verdict::Denied => "denied",
            Verdict::Unknown => "unknown",
        },
        "caller": caller(&ladder.caller),
        "first": ladder.first().map(&link),
        "links": ladder.links.iter().map(&link).collect::<Vec<_>>(),
        "notEvaluated": ladder.not_evaluated,
        "changed": match &chain.changed {
            Some(Last::Changed(c)) => json!({
                "by": c.by, "at": c.at, "method": c.method, "took": c.took,
            }),
            Some(Last::Unseen(why)) => json!({ "unseen": why }),
            Some(Last::Nobody) | None => Value::Null,
        },
    });
    if let Some(message) = message {
        shown["agreement"] = agreement(message, ladder).into();
    }
    shown
}

fn caller(caller: &Caller) -> Value {
    match caller {
        Caller::Account(email) => json!({ "account": email }),
        Caller::Ksa(ksa) => json!({ "kubernetesServiceAccount": ksa }),
        Caller::Node(email) => json!({ "node": email }),
        Caller::Own(what) => json!({ "own": what }),
        Caller::Nobody => json!("nobody"),
        Caller::Unknown => json!("unknown"),
    }
}

fn link(link: &Link, hints: &Hints) -> Value {
    let fix = link.fix.as_ref().map(|fix| match fix {
        Fix::Spec(lines) => json!({ "specEdit": lines }),
        Fix::Say(words) => json!({ "words": words }),
        fix => json!({ "command": command(fix, hints) }),
    });
    json!({
        "id": link.rung.id(),
        "state": match link.state {
            State::Holds => "holds",
            State::Broken => "broken",
            State::Doubtful => "doubtful",
            State::Unseen => "unseen",
            State::Irrelevant => "irrelevant",
        },
        "title": link.title,
        "detail": link.detail,
        "near": link.near.iter().map(|n| json!({
            "member": n.member, "differsAt": n.differs.0, "length": n.differs.1, "why": n.why,
        })).collect::<Vec<_>>(),
        "fix": fix,
        "source": link.source.as_ref().map(|s| json!({ "file": s.file, "line": s.line })),
    })
}
