//! docs/guarantees.md names tests that exist, and speaks of every invariant.

use std::path::Path;

#[test]
fn every_test_that_the_guarantees_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/guarantees.md")).expect("the document");
    let mut named = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let Some((file, test)) = word.rsplit_once("::") else {
            continue;
        };
        // PROGRAM::MODULE::TEST: a module lies in the folder of its program.
        let file = file.replace("::", "/");
        let path = root.join("tests").join(format!("{file}.rs"));
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{word}: {e}"));
        // A case of a generated table is written as a name, not as a function.
        assert!(
            source.contains(&format!("fn {test}(")) || source.contains(&format!("    {test}:")),
            "{word} does not exist"
        );
        named += 1;
    }
    assert!(named >= 60, "only {named} tests are named");
}

/// The first test of each invariant is named after it.
#[test]
fn every_invariant_has_a_test_of_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/guarantees.md")).expect("the document");
    for number in 1..=10 {
        let start = format!("| {number} | **");
        let row = text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("invariant {number}"));
        let (title, rest) = row[start.len()..].split_once("**").expect("a title");
        let tests = rest.rsplit(" | ").next().expect("tests");
        let first = tests.split('`').nth(1).expect("a test");
        let (_, test) = first.rsplit_once("::").expect("MODULE::TEST");
        assert_eq!(test, slug(title), "invariant {number}");
    }
}

/// `Not seen is not absent.` as `not_seen_is_not_absent`.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("_")
}
