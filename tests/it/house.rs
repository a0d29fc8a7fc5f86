//! The order inside of the crates: which module may use which. Cargo.toml and deny.toml hold the order of the
//! crates themselves.

mod circles;

use std::collections::BTreeSet;
use std::path::Path;

/// Each module uses those of the lines above its own, and no other of its own line.
const CORE: &[&[&str]] = &[
    &[
        "words",
        "cel",
        "digest",
        "serde_pairs",
        "percent",
        "api",
        "reason",
    ],
    &["names"],
    &["resource", "wire"],
    &["address", "spec"],
    &["desired"],
    &["graph", "live", "read_set"],
    &["access"],
    &["migrate"],
    &["plan", "findings"],
    &["import", "export"],
];

/// A command is a line's part: none uses another.
const PROGRAM: &[&[&str]] = &[
    &["engine"],
    &["scan"],
    &["verify"],
    &["apply"],
    &["doctor", "explain", "logs", "import"],
    &["audit"],
    &["migrate"],
    &["view"],
    &["cli"],
];

#[test]
fn modules_of_wi_core_use_those_above_alone() {
    in_order("crates/wi-core/src", CORE);
}

#[test]
fn modules_of_the_program_use_those_above_alone() {
    in_order("src", PROGRAM);
}

/// The files that use each other in a circle: no other may, and none of these without being here.
const CIRCLES: &[(&str, &[&str])] = &[("crates/wi-client/src", CREDENTIALS)];

/// Credentials are made of credentials.
const CREDENTIALS: &[&str] = &["auth/adc", "auth/external_account", "auth/impersonate"];

#[test]
fn files_use_each_other_in_no_circle() {
    let crates = [
        "wi-audit",
        "wi-client",
        "wi-core",
        "wi-keys",
        "wi-logs",
        "wi-sandbox",
    ];
    let crates = crates.map(|name| format!("crates/{name}/src"));
    for root in crates.iter().map(String::as_str).chain(["src"]) {
        let found = circles::of(&sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root)));
        let admitted = CIRCLES.iter().filter(|(of, _)| *of == root);
        let admitted: BTreeSet<Vec<String>> = admitted
            .map(|(_, circle)| circle.iter().map(|f| (*f).to_owned()).collect())
            .collect();
        assert_eq!(found, admitted, "{root}");
    }
}

fn in_order(root: &str, order: &[&[&str]]) {
    let line = |module: &str| order.iter().position(|line| line.contains(&module));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut looked_at = BTreeSet::new();
    for (file, text) in sources(&root) {
        let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
        if matches!(parts[0], "lib" | "main") {
            continue;
        }
        let own = line(parts[0]);
        let own = own.unwrap_or_else(|| panic!("{file} is of no line: where does it belong?"));
        looked_at.insert(parts[0].to_owned());
        // A `mod.rs` is its folder's module: `super` leads one further up.
        let depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
        for used in used(&text, depth) {
            let Some(other) = line(&used) else { continue };
            assert!(
                used == parts[0] || other < own,
                "{file} uses {used}, which is not above {}",
                parts[0]
            );
        }
    }
    assert!(looked_at.len() > 3, "{looked_at:?}");
}

/// The modules of the crate that a file names, by `crate::` or by as many `super::` as lead to its root.
fn used(text: &str, depth: usize) -> BTreeSet<String> {
    let up = "super::".repeat(depth);
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut used = BTreeSet::new();
    for start in ["crate::", up.as_str()] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            // `{a, b::c}`: the first name of each at this level.
            let group = rest.strip_prefix('{').and_then(|r| r.split_once('}'));
            let names = match group {
                Some((inside, _)) => inside.split(',').collect(),
                None => vec![rest],
            };
            for name in names {
                let name = name.trim_start();
                let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
                used.insert(name[..end.unwrap_or(name.len())].to_owned());
            }
        }
    }
    used
}

/// All files below, by their paths from there.
fn sources(root: &Path) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let name = path.strip_prefix(root).expect("below").display();
                found.push((name.to_string(), text));
            }
        }
    }
    found
}

#[test]
fn what_a_file_uses_is_found_however_it_is_written() {
    let text = "use crate::plan::{Plan, Why};\nuse crate::{live, desired::Desired};\n// crate::spec\nfn f() -> super::super::names::Email { crate::words::safe() }";
    let found: Vec<String> = used(text, 2).into_iter().collect();
    assert_eq!(found, ["desired", "live", "names", "plan", "words"]);
}

/// What JSON leaves as it is misleads terminals: one place knows what is to be escaped.
#[test]
fn one_place_writes_json_for_people() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for folder in ["view", "cli"] {
        for (file, text) in sources(&root.join(folder)) {
            let is_the_place = folder == "view" && file == "json/mod.rs";
            for call in ["serde_json::to_string", "serde_json::to_vec", ":#}\\n"] {
                let is_a_file = folder == "cli" && file == "init.rs";
                assert!(
                    is_the_place || is_a_file || !text.contains(call),
                    "src/{folder}/{file} writes JSON by {call}: view::json does"
                );
            }
        }
    }
}
