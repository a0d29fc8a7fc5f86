//! What the documents say of the repository is so: files that they name exist, links lead somewhere, and
//! the table of policies in docs/dev/api-facts.md is that of the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wi_core::resource::{KINDS, Version, Write};

/// All Markdown at the top and below docs/.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for directory in ["", "docs", "docs/dev"] {
        let entries = std::fs::read_dir(root.join(directory)).expect(directory);
        let paths = entries.map(|e| e.expect("an entry").path());
        let mut documents: Vec<PathBuf> = paths
            .filter(|p| p.extension().is_some_and(|e| e == "md"))
            .collect();
        documents.sort();
        found.extend(documents.into_iter().map(|path| {
            let text = std::fs::read_to_string(&path).expect("a document");
            (path, text)
        }));
    }
    assert!(found.len() >= 15, "only {} documents", found.len());
    found
}

/// `crates/wi-core/src/plan/edit/NAME.rs` and `tests/*/main.rs` stand for many.
fn is_pattern(path: &str) -> bool {
    let in_capitals = |part: &str| {
        let bare = part.split('.').next().unwrap_or_default();
        bare.len() > 1 && bare.bytes().all(|b| b.is_ascii_uppercase())
    };
    path.contains(['*', '…', '{', '<']) || path.split('/').any(in_capitals)
}

#[test]
fn files_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tops = [
        "crates/",
        "src/",
        "tests/",
        "benches/",
        "examples/",
        "schemas/",
    ];
    let mut named = 0;
    for (document, text) in documents() {
        let words = text.split('`').skip(1).step_by(2);
        let paths = words.filter(|w| tops.iter().any(|t| w.starts_with(t)) && !w.contains(' '));
        for path in paths.filter(|p| !is_pattern(p)) {
            assert!(root.join(path).exists(), "{}: {path}", document.display());
            named += 1;
        }
    }
    assert!(named >= 100, "only {named} files are named");
}

/// The anchors of a document's headings, as both forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|l| l.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut followed = 0;
    for (document, text) in documents() {
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in links.filter(|l| !l.contains("://") && !l.contains(' ')) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => document.clone(),
                file => document.with_file_name(file),
            };
            assert!(path.exists(), "{}: {link}", document.display());
            if !anchor.is_empty() {
                let target = std::fs::read_to_string(&path).expect("a document");
                assert!(
                    anchors(&target).contains(anchor),
                    "{}: {link}",
                    document.display()
                );
            }
            followed += 1;
        }
    }
    assert!(followed >= 50, "only {followed} links");
}

#[test]
fn the_documented_policies_are_those_of_the_table_of_kinds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/dev/api-facts.md")).expect("the document");
    let documented: BTreeSet<(String, Vec<String>)> = text
        .lines()
        .skip_while(|line| !line.starts_with("| Kinds | Read |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| {
            let cells: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
            let kinds: Vec<String> = cells[1].split(", ").map(str::to_owned).collect();
            let how = vec![cells[2].clone(), cells[3].clone(), cells[4].clone()];
            kinds.into_iter().map(move |kind| (kind, how.clone()))
        })
        .collect();
    let names: BTreeSet<&str> = documented.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(names, KINDS.iter().map(|k| k.short).collect());
    assert_eq!(documented.len(), KINDS.len(), "a kind is in one row");
    for (short, how) in &documented {
        let kind = KINDS
            .iter()
            .find(|k| k.short == short)
            .expect("it is there");
        if kind.write == Write::AccessList {
            assert!(how[0].starts_with("no policy"), "{short}");
            continue;
        }
        let method = if kind.post { "`POST`" } else { "`GET`" };
        assert!(how[0].starts_with(method), "{short}: {}", how[0]);
        let place = match kind.version {
            Version::Body => "in the body",
            Version::Query => "`options.requestedPolicyVersion`",
            Version::CamelQuery => "`optionsRequestedPolicyVersion`",
        };
        assert!(how[1].contains(place), "{short}: {}", how[1]);
        let written = match kind.write {
            Write::Masked => "policy and mask",
            Write::Wrapped => "policy without a mask",
            Write::Bare | Write::AccessList => "`PUT` of the bare policy",
        };
        assert_eq!(how[2], written, "{short}");
    }
}
