//! Live keys: when each was made, when it was used, and by whom.

use std::fmt::Write;

use wi_core::words::safe;

use super::super::style::{BOLD, DIM, RED, YELLOW, paint};
use super::super::wrap::wrap;
use crate::scan::KeyReport;

/// All keys that are live, for a terminal of this width; nothing, if accounts were not looked at.
pub fn text(keys: &[KeyReport], width: usize) -> String {
    let mut out = String::new();
    for report in keys {
        let Some(live) = &report.live else { continue };
        let key = &report.key;
        let email = key.email.as_deref().unwrap_or("?");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", paint(BOLD, safe(email)));
        let id = safe(key.id.as_deref().unwrap_or("?"));
        let _ = writeln!(out, "  key {id}");
        let style = match live.verdict.as_str() {
            "exposed" | "in use by somebody unseen" => RED,
            "disabled" | "expired" => DIM,
            _ => YELLOW,
        };
        let mut lines = |text: &str, style| {
            let lines = wrap(&safe(text), width.saturating_sub(6));
            for (at, line) in lines.iter().enumerate() {
                let indent = if at == 0 { "    " } else { "      " };
                let _ = writeln!(out, "{indent}{}", paint(style, line));
            }
        };
        lines(&live.verdict, style);
        lines(&format!("made {}", live.made), DIM);
        for source in &live.last_use {
            lines(source, DIM);
        }
        for user in &report.users {
            lines(&format!("had by {user}"), anstyle::Style::new());
        }
        for place in &report.places {
            lines(&format!("lies in {}", place.place), anstyle::Style::new());
        }
        out.push('\n');
    }
    out
}

/// The languages of graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

/// Who has which key and where it lies, as a graph.
pub fn graph(keys: &[KeyReport], language: Language) -> String {
    let mut nodes: Vec<String> = Vec::new();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let mut node = |text: String| match nodes.iter().position(|n| *n == text) {
        Some(at) => at,
        None => {
            nodes.push(text);
            nodes.len() - 1
        }
    };
    for report in keys {
        let key = node(report.key.name());
        for user in &report.users {
            edges.push((node(user.clone()), key));
        }
        for place in &report.places {
            edges.push((node(place.place.to_string()), key));
        }
    }
    edges.sort_unstable();
    edges.dedup();
    let mut out = String::new();
    // A label with neither quotes nor what a renderer takes for markup.
    let label = |text: &str| {
        let safe = safe(text);
        safe.replace(['"', '<', '>', '#', ';', '\\'], " ")
    };
    match language {
        Language::Dot => {
            out.push_str("digraph keys {\n  rankdir=LR;\n  node [shape=box];\n");
            for (at, text) in nodes.iter().enumerate() {
                let _ = writeln!(out, "  n{at} [label=\"{}\"];", label(text));
            }
            for (from, to) in edges {
                let _ = writeln!(out, "  n{from} -> n{to};");
            }
            out.push_str("}\n");
        }
        Language::Mermaid => {
            out.push_str("graph LR\n");
            for (at, text) in nodes.iter().enumerate() {
                let _ = writeln!(out, "  n{at}[\"{}\"]", label(text));
            }
            for (from, to) in edges {
                let _ = writeln!(out, "  n{from} --> n{to}");
            }
        }
    }
    out
}
