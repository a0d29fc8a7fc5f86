//! A tree with every kind of credential in every spelling, in files of all sorts: each is found where it lies, in the
//! work tree and in the history, and nothing of one is told in any form.

use std::collections::BTreeMap;

use super::made::kinds;
use super::made::spellings::spellings;
use super::{empty, git, json, put, scan};
use crate::support::Place;

/// Where credentials lie, and what stands before them there.
const FILES: [(&str, &str); 7] = [
    ("notes.txt", "see below\n"),
    (".env", "PORT=80\n"),
    (
        "k8s/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: x }\n---\n",
    ),
    (".github/workflows/ci.yml", "on: push\n"),
    ("Dockerfile", "FROM scratch\n"),
    ("values.yaml", "image: shop\n"),
    ("terraform.tfstate", "\n"),
];

/// The tree: paths, with what each credential is called and what of it nobody may see.
fn plant(place: &Place) -> BTreeMap<String, kinds::Made> {
    let mut planted = BTreeMap::new();
    for spelling in 0..spellings("").len() {
        for (kind, made) in kinds::all(spelling as u64 + 40).into_iter().enumerate() {
            let (what, text) = spellings(&made.text).swap_remove(spelling);
            let (file, before) = FILES[(kind + spelling) % FILES.len()];
            // What is packed or wide is a file of its own.
            let text = match text.starts_with(&[0x1f]) || text.starts_with(&[0xff]) {
                true => text,
                false => [before.as_bytes(), &text].concat(),
            };
            let directory = format!("{kind}-{}", what.replace([' ', ',', '\\'], "-"));
            let path = format!("{directory}/{file}");
            put(place, &path, text);
            planted.insert(path, made);
        }
    }
    planted
}

#[test]
fn every_kind_in_every_spelling_is_found_where_it_lies_and_nothing_of_it_is_told() {
    let place = empty();
    let planted = plant(&place);
    // For a comparison with other scanners: the tree is written there, too.
    if let Some(kept) = std::env::var_os("WI_TEST_PLANTED") {
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .args([place.path("").into_os_string(), kept])
            .status();
        assert!(copied.is_ok_and(|s| s.success()));
    }
    let canaries: Vec<&String> = planted.values().flat_map(|m| &m.canaries).collect();
    let clean = |text: &str, what: &str| {
        for canary in &canaries {
            assert!(!text.contains(canary.as_str()), "{what} tells {canary}");
        }
    };
    let found = json(&place, &[]);
    let mut by_path: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in found["findings"].as_array().expect("findings") {
        let path = finding["place"]["path"].as_str().expect("a path");
        let subject = finding["subject"].as_str().expect("a subject");
        by_path.entry(path).or_default().push(subject);
    }
    for (path, made) in &planted {
        let subjects = by_path.remove(path.as_str()).unwrap_or_default();
        let is_it = subjects.len() == 1 && subjects[0].contains(&made.name);
        let of_path = |f: &&serde_json::Value| f["place"]["path"] == path.as_str();
        let told = || {
            found["findings"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(of_path)
                .collect::<Vec<_>>()
        };
        assert!(is_it, "{} in {path}: {:#?}", made.what, told());
    }
    assert!(by_path.is_empty(), "nothing else is found: {by_path:?}");

    for form in [
        &["--format", "text", "-vv"][..],
        &["--format", "json"],
        &["--format", "sarif"],
        &["--format", "markdown"],
        &["--format", "junit"],
        &["--graph", "dot"],
        &["--graph", "mermaid", "--write-baseline", "draft.yaml"],
    ] {
        let ran = scan(&place, form);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        clean(&ran.out, &form.join(" "));
        clean(&ran.err, &form.join(" "));
    }
    let draft = std::fs::read_to_string(place.path("draft.yaml")).expect("a draft");
    clean(&draft, "the draft of accepted findings");
    std::fs::remove_file(place.path("draft.yaml")).expect("removed");

    // What was committed and deleted is in the history.
    let directory = place.path("");
    git(&directory, &["init", "-q"]);
    git(&directory, &["add", "-f", "."]);
    git(&directory, &["commit", "-q", "-m", "all"]);
    git(&directory, &["rm", "-q", "-r", "."]);
    git(&directory, &["commit", "-q", "-m", "none"]);
    let ran = scan(&place, &["--history", "--format", "json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    clean(&ran.out, "the history");
    for (path, made) in &planted {
        assert!(ran.out.contains(path.as_str()), "{} in {path}", made.what);
    }
}
