//! Who reaches what, as a graph: dot, mermaid, and the generic form of BloodHound (OpenGraph).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use wi_core::words::safe;

use super::picture::Picture;

/// An arrow: from, to, what it says, whether it was seen to be so.
type Arrow = (String, String, String, bool);

/// All boxes, with what they are, and all arrows.
fn parts(picture: &Picture) -> (BTreeMap<String, &'static str>, BTreeSet<Arrow>) {
    let mut boxes: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut arrows = BTreeSet::new();
    for (id, drawn) in &picture.nodes {
        boxes.insert(id.clone(), drawn.kind);
        for (_, grant, certain, _) in &drawn.roles {
            let on = target(picture, &grant.on.to_string());
            boxes.entry(on.clone()).or_insert("resource");
            arrows.insert((id.clone(), on, grant.role.clone(), *certain));
        }
    }
    for ((from, to, how), step) in &picture.edges {
        let by = step.by.first().map(|g| g.role.clone());
        let text = by.unwrap_or_else(|| how.id().to_owned());
        boxes.entry(from.clone()).or_insert("other");
        boxes.entry(to.clone()).or_insert("other");
        arrows.insert((from.clone(), to.clone(), text, step.certain));
    }
    for (member, grants) in &picture.people {
        boxes.insert(member.clone(), "person");
        for (grant, certain) in grants {
            // A right on an account leads to it.
            let on = grant.on.to_string();
            let on = match on.strip_prefix("serviceaccount/") {
                Some(email) => email.to_owned(),
                None => target(picture, &on),
            };
            boxes.entry(on.clone()).or_insert("resource");
            arrows.insert((member.clone(), on, grant.role.clone(), *certain));
        }
    }
    (boxes, arrows)
}

/// What was asked for is one box, whether a role is on it or above.
fn target(picture: &Picture, on: &str) -> String {
    match &picture.resource {
        Some((resource, _)) => resource.clone(),
        None => on.to_owned(),
    }
}

/// For Graphviz. What may be is dashed.
pub fn dot(picture: &Picture) -> String {
    let quoted = |text: &str| safe(text).replace('\\', "\\\\").replace('"', "\\\"");
    let (boxes, arrows) = parts(picture);
    let mut out = String::from("digraph access {\n  rankdir = LR;\n  node [shape = box];\n");
    for (id, kind) in &boxes {
        let shape = if *kind == "resource" {
            ", shape = cylinder"
        } else {
            ""
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  \"{0}\" [label = \"{0}\"{shape}];", quoted(id));
    }
    for (from, to, text, certain) in &arrows {
        let style = if *certain { "" } else { ", style = dashed" };
        let _ = writeln!(
            out,
            "  \"{}\" -> \"{}\" [label = \"{}\"{style}];",
            quoted(from),
            quoted(to),
            quoted(text)
        );
    }
    out.push_str("}\n");
    out
}

/// For Markdown. What may be is dotted.
pub fn mermaid(picture: &Picture) -> String {
    // Neither quotes nor what a renderer takes for markup.
    let label = |text: &str| safe(text).replace(['"', '<', '>', '#', ';', '\\', '|', '`'], " ");
    let (boxes, arrows) = parts(picture);
    let numbers: BTreeMap<&String, usize> =
        boxes.keys().enumerate().map(|(n, id)| (id, n)).collect();
    let mut out = String::from("flowchart LR\n");
    for (number, (id, kind)) in boxes.iter().enumerate() {
        let (open, close) = if *kind == "resource" {
            ("[(", ")]")
        } else {
            ("[", "]")
        };
        let _ = writeln!(out, "  n{number}{open}\"{}\"{close}", label(id));
    }
    for (from, to, text, certain) in &arrows {
        let arrow = if *certain { "-->" } else { "-.->" };
        let _ = writeln!(
            out,
            "  n{} {arrow}|\"{}\"| n{}",
            numbers[from],
            label(text),
            numbers[to]
        );
    }
    out
}

/// The generic form of BloodHound's graphs.
pub fn opengraph(picture: &Picture) -> String {
    let (boxes, arrows) = parts(picture);
    let kind = |kind: &str| match kind {
        "kubernetes_service_account" => "WiKubernetesServiceAccount",
        "service_account" => "WiServiceAccount",
        "node_pool" => "WiNodePool",
        "cluster" => "WiCluster",
        "person" => "WiMember",
        "resource" => "WiResource",
        _ => "WiOther",
    };
    let nodes: Vec<Value> = boxes
        .iter()
        .map(|(id, of)| json!({ "id": safe(id), "kinds": [kind(of), "WiBase"], "properties": { "name": safe(id) } }))
        .collect();
    let edges: Vec<Value> = arrows
        .iter()
        .map(|(from, to, text, certain)| {
            let into = boxes.get(to).copied().unwrap_or_default();
            let kind = if into == "resource" {
                "WiHasRoleOn"
            } else {
                "WiCanBecome"
            };
            json!({
                "kind": kind,
                "start": { "value": safe(from), "match_by": "id" },
                "end": { "value": safe(to), "match_by": "id" },
                "properties": { "by": safe(text), "certain": certain },
            })
        })
        .collect();
    crate::view::json::document(&json!({
        "metadata": { "source_kind": "WiBase" },
        "graph": { "nodes": nodes, "edges": edges },
    }))
}
