//! Smaller roles: a patch, with the reasons as remarks before it.

use std::fmt::Write;

use wi_audit::least::{Advice, DAYS_TO_REMOVE, Needless, Smaller, Suggestion};
use wi_core::words::{counted, safe};

use super::wrap::wrap;
use crate::audit::suggest::Suggested;

/// So wide are remarks.
const WIDTH: usize = 98;
/// So many permissions are named as evidence.
const MOST: usize = 6;

/// All of it: `patch -p1` takes the whole, and passes over the remarks.
pub fn text(suggested: &Suggested) -> String {
    let mut out = String::new();
    let days: Vec<String> = suggested
        .days
        .iter()
        .map(|(p, days)| format!("project/{p} {days} days"))
        .collect();
    match days.is_empty() {
        true => remark(
            "There is no audit entry of a project in the logs.",
            &mut out,
        ),
        false => remark(&format!("Logs: {}.", days.join(", ")), &mut out),
    }
    if suggested.unreadable > 0 {
        remark(
            &format!("{} lines of them could not be read.", suggested.unreadable),
            &mut out,
        );
    }
    remark(
        "What is in no audit log is not seen: use by signed URLs, by keys elsewhere under another name, in projects whose logs are not here. Logs that were filtered show less.",
        &mut out,
    );
    let (kept, proposed): (Vec<&Suggestion>, Vec<_>) = suggested
        .all
        .iter()
        .partition(|s| matches!(s.advice, Advice::Keep(_)));
    for suggestion in &proposed {
        out.push_str("#\n");
        proposal(suggestion, suggested, &mut out);
    }
    if !kept.is_empty() {
        out.push_str("#\n");
    }
    for suggestion in &kept {
        if let Advice::Keep(why) = &suggestion.advice {
            remark(&format!("keep {}: {why}", grant(suggestion)), &mut out);
        }
    }
    out.push_str("#\n");
    let by_hand = match suggested.by_hand.len() {
        0 => String::new(),
        n => format!(", {n} of them to be written by hand"),
    };
    remark(
        &format!(
            "{}{by_hand}, {} kept.",
            counted(proposed.len(), "proposal"),
            kept.len()
        ),
        &mut out,
    );
    if !suggested.patches.is_empty() {
        remark(
            "To carry it out: patch -p1 < FILE, read wi plan, apply, and watch what is denied (wi logs scan). To go back: patch -R -p1 < FILE.",
            &mut out,
        );
    }
    for patch in &suggested.patches {
        out.push_str(patch);
    }
    out
}

/// What was taken out of the spec, and what has to be by hand.
pub fn fixed(all: &[(Needless, bool)], patches: &[String]) -> String {
    let mut out = String::new();
    for (one, is_made) in all {
        let key = &one.grant;
        let by_hand = if *is_made {
            ""
        } else {
            "; by hand: the line is not changed by itself"
        };
        let text = format!(
            "{} on {} for {} # {}",
            key.role, key.resource, key.member, one.place
        );
        remark(&format!("needless: {text}"), &mut out);
        remark(&format!("  {}{by_hand}", one.why), &mut out);
    }
    if all.is_empty() {
        remark(
            "No grant of the spec is needless, by what was seen.",
            &mut out,
        );
    }
    for patch in patches {
        out.push_str(patch);
    }
    out
}

fn proposal(suggestion: &Suggestion, suggested: &Suggested, out: &mut String) {
    let on = |resource: &Option<wi_core::resource::Resource>| match resource {
        Some(on) => format!(" on {on}"),
        None => String::new(),
    };
    let what = match &suggestion.advice {
        Advice::Smaller(Smaller::Roles(roles), narrower) => {
            format!("use {}{}", roles.join(" and "), on(narrower))
        }
        Advice::Smaller(Smaller::Custom(permissions), narrower) => format!(
            "no role of Google fits: make a custom one (gcloud iam roles create) with {}{}",
            permissions.join(","),
            on(narrower)
        ),
        Advice::Remove => {
            format!("take it away: nothing of it was used in {DAYS_TO_REMOVE} days or more")
        }
        Advice::Keep(why) => why.clone(),
    };
    remark(&format!("in place of {}:", grant(suggestion)), out);
    remark(&format!("  {what}"), out);
    if suggested.by_hand.contains(&suggestion.grant) {
        remark("  by hand: the line is not changed by itself", out);
    }
    let shown = suggestion.used.iter().take(MOST);
    for (permission, used) in shown {
        let places: Vec<&str> = used.on.iter().map(String::as_str).take(3).collect();
        let more = if used.is_more || used.on.len() > 3 {
            " and more"
        } else {
            ""
        };
        let calls = counted(usize::try_from(used.calls).unwrap_or(usize::MAX), "call");
        remark(
            &format!(
                "  used: {permission}, {calls}, on {}{more}",
                places.join(", ")
            ),
            out,
        );
    }
    if suggestion.used.len() > MOST {
        remark(
            &format!("  used: {} more permissions", suggestion.used.len() - MOST),
            out,
        );
    }
    if !suggestion.unseen.is_empty() {
        let services: Vec<&str> = suggestion.unseen.iter().map(String::as_str).collect();
        remark(
            &format!(
                "  kept, since its use is not logged: {}",
                services.join(", ")
            ),
            out,
        );
    }
}

fn grant(suggestion: &Suggestion) -> String {
    let key = &suggestion.grant;
    format!(
        "{} on {} for {} # {}",
        key.role, key.resource, key.member, suggestion.place
    )
}

fn remark(text: &str, out: &mut String) {
    let indent = text.chars().take_while(|c| *c == ' ').count();
    for line in wrap(&safe(text.trim_start()), WIDTH - indent) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# {:indent$}{line}", "");
    }
}
