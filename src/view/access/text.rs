//! Who reaches what, for a terminal.

use std::fmt::Write;

use wi_audit::reach::{Edge, Node};
use wi_core::access::Grant;
use wi_core::words::safe;

use super::super::style::{BOLD, DIM, YELLOW, paint};
use super::super::wrap::wrap;
use crate::audit::reach::{Beyond, Of, Reached, RoleOn, To};

/// What these reach; those that reach the same are told together.
pub fn of(answers: &[Of], rows: usize, width: usize) -> String {
    let mut out = String::new();
    let mut told: Vec<(String, Vec<&Of>)> = Vec::new();
    for answer in answers {
        let body = body(answer, rows, width);
        match told.iter_mut().find(|(known, _)| *known == body) {
            Some((_, same)) => same.push(answer),
            None => told.push((body, vec![answer])),
        }
    }
    for (body, same) in told {
        let names: Vec<String> = same.iter().map(|a| a.subject.to_string()).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", paint(BOLD, names.join(", ")));
        out.push_str(&body);
    }
    out
}

fn body(answer: &Of, rows: usize, width: usize) -> String {
    let mut out = String::new();
    let own = answer.reached.iter().filter(|r| r.steps.is_empty());
    for reached in own {
        roles(&reached.roles, 2, width, &mut out);
    }
    let others: Vec<&Reached> = answer
        .reached
        .iter()
        .filter(|r| !r.steps.is_empty())
        .collect();
    if !others.is_empty() {
        out.push_str("  Can become\n");
    }
    for reached in others.iter().take(rows) {
        let perhaps = if reached.sure {
            ""
        } else {
            " (perhaps: see below)"
        };
        let _ = writeln!(
            out,
            "    {}{}",
            paint(BOLD, &reached.node),
            paint(YELLOW, perhaps)
        );
        for (at, (from, edge)) in reached.steps.iter().enumerate() {
            let from = if at == 0 { None } else { Some(from) };
            step(from, edge, width, &mut out);
        }
        roles(&reached.roles, 6, width, &mut out);
    }
    if others.len() > rows {
        let _ = writeln!(out, "    … and {} more (--rows)", others.len() - rows);
    }
    let mut resources: Vec<&Grant> = answer
        .reached
        .iter()
        .flat_map(|r| &r.roles)
        .map(|r| &r.grant)
        .collect();
    resources.sort_by(|a, b| a.on.cmp(&b.on));
    resources.dedup_by(|a, b| a.on == b.on);
    let undeclared = answer
        .reached
        .iter()
        .flat_map(|r| &r.roles)
        .filter(|r| r.place.is_none());
    let _ = writeln!(
        out,
        "Reach: {} beside itself, roles on {}, {} of the roles not in the spec.",
        count(others.len(), "identity", "identities"),
        count(resources.len(), "resource", "resources"),
        undeclared.count()
    );
    end(&answer.beyond, width, &mut out);
    out
}

/// Who reaches something.
pub fn to(answer: &To, rows: usize, width: usize) -> String {
    let mut out = String::new();
    let what = match &answer.permission {
        Some(permission) => format!("{permission} on {}", answer.resource),
        None => format!("some role on {}, or above it", answer.resource),
    };
    let _ = writeln!(out, "{}", paint(BOLD, safe(&what)));
    let mut all: Vec<_> = answer.who.nodes.iter().collect();
    all.sort_by_key(|(node, h)| (h.steps.len(), !h.because.is_empty(), (*node).clone()));
    for (node, holder) in all.iter().take(rows) {
        let perhaps = if holder.because.is_empty() {
            ""
        } else {
            " (perhaps: see below)"
        };
        let _ = writeln!(out, "  {node}{}", paint(YELLOW, perhaps));
        for (at, (from, edge)) in holder.steps.iter().enumerate() {
            let from = if at == 0 { None } else { Some(from) };
            step(from, edge, width, &mut out);
        }
        for grant in holder.by.iter().filter(|_| holder.steps.is_empty()) {
            line(&format!("by {}", binding(grant)), 6, width, &mut out);
        }
    }
    if all.len() > rows {
        let _ = writeln!(out, "  … and {} more (--rows)", all.len() - rows);
    }
    for (member, grants) in answer.who.people.iter().take(rows) {
        let _ = writeln!(out, "  {}", safe(member));
        for (grant, sure) in grants {
            let perhaps = if *sure == Some(true) {
                ""
            } else {
                " (perhaps)"
            };
            line(
                &format!("by {}{perhaps}", binding(grant)),
                6,
                width,
                &mut out,
            );
        }
    }
    if answer.who.people.len() > rows {
        let _ = writeln!(
            out,
            "  … and {} more (--rows)",
            answer.who.people.len() - rows
        );
    }
    let sure = all.iter().filter(|(_, h)| h.because.is_empty()).count();
    let _ = writeln!(
        out,
        "{}, {} more perhaps; {}.",
        count(sure, "identity", "identities"),
        all.len() - sure,
        count(
            answer.who.people.len(),
            "person, group or other",
            "people, groups and others"
        ),
    );
    end(&answer.beyond, width, &mut out);
    out
}

fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn binding(grant: &Grant) -> String {
    format!("{grant} for {}", grant.member)
}

fn step(from: Option<&Node>, edge: &Edge, width: usize, out: &mut String) {
    let from = from.map(|f| format!("{f} ")).unwrap_or_default();
    let by: Vec<String> = edge.by.iter().map(binding).collect();
    let by = match by.is_empty() {
        true => String::new(),
        false => format!(", by {}", by.join(" and ")),
    };
    line(
        &format!("{from}{} {}{by}", edge.how.words(), edge.to),
        6,
        width,
        out,
    );
}

fn line(text: &str, indent: usize, width: usize, out: &mut String) {
    let lines = wrap(&safe(text), width.saturating_sub(indent + 2));
    for (at, line) in lines.iter().enumerate() {
        let blank = " ".repeat(if at == 0 { indent } else { indent + 2 });
        let _ = writeln!(out, "{blank}{}", paint(DIM, line));
    }
}

fn roles(roles: &[RoleOn], indent: usize, width: usize, out: &mut String) {
    for role in roles {
        let place = match &role.place {
            Some(place) => format!("  # {place}"),
            None => "  # not in the spec".to_owned(),
        };
        let perhaps = if role.holds.is_none() {
            " (perhaps)"
        } else {
            ""
        };
        let text = format!("{:<12} {}{perhaps}{place}", role.class, role.grant);
        let lines = wrap(&safe(&text), width.saturating_sub(indent + 2));
        for (at, line) in lines.iter().enumerate() {
            let blank = " ".repeat(if at == 0 { indent } else { indent + 2 });
            let _ = writeln!(out, "{blank}{line}");
        }
    }
}

fn end(beyond: &Beyond, width: usize, out: &mut String) {
    if !beyond.unread.is_empty() {
        out.push_str("Could not be read, so that there may be more:\n");
    }
    for text in &beyond.unread {
        let lines = wrap(&safe(&format!("- {text}")), width.saturating_sub(2));
        let _ = writeln!(out, "  {}", lines.join("\n  "));
    }
    let text = format!("Not evaluated: {}.", beyond.not_evaluated.join("; "));
    let _ = writeln!(out, "{}\n", wrap(&safe(&text), width).join("\n"));
}
