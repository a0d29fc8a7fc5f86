//! The dependency graph as dot and mermaid. Arrows point from what is needed to what needs it.

use std::collections::HashMap;
use std::fmt::Write;

use wi_core::graph::Graph;

fn quoted(text: &str) -> String {
    super::safe(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// For Graphviz: `wi graph | dot -Tsvg`.
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph wi {\n  rankdir = LR;\n  node [shape = box];\n");
    let rows = graph.rows();
    for (address, _) in &rows {
        let _ = writeln!(out, "  \"{}\";", quoted(address));
    }
    for (address, needs) in &rows {
        for needed in needs {
            let _ = writeln!(out, "  \"{}\" -> \"{}\";", quoted(needed), quoted(address));
        }
    }
    out.push_str("}\n");
    out
}

/// For Markdown: GitHub and GitLab draw it in a `mermaid` fence.
pub fn mermaid(graph: &Graph) -> String {
    let rows = graph.rows();
    let numbers: HashMap<&str, usize> = rows
        .iter()
        .enumerate()
        .map(|(number, (address, _))| (*address, number))
        .collect();
    let mut out = String::from("flowchart LR\n");
    for (number, (address, _)) in rows.iter().enumerate() {
        let label = super::safe(address).replace('"', "#quot;");
        let _ = writeln!(out, "  n{number}[\"{label}\"]");
    }
    for (number, (_, needs)) in rows.iter().enumerate() {
        for needed in needs {
            // Whatever is needed has a row of its own.
            let _ = writeln!(out, "  n{} --> n{number}", numbers[needed]);
        }
    }
    out
}
