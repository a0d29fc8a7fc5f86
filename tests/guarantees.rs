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
        let file = file.replace("::", "/"); // a module of a test lies in the folder of its name
        let path = root.join("tests").join(format!("{file}.rs"));
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{word}: {e}"));
        // A case of a generated table is written as a name, not as a function.
        assert!(
            source.contains(&format!("fn {test}(")) || source.contains(&format!("    {test}:")),
            "{word} does not exist"
        );
        named += 1;
    }
    assert!(named >= 40, "only {named} tests are named");
    for number in 1..=10 {
        assert!(
            text.contains(&format!("\n| {number} | **")),
            "invariant {number}"
        );
    }
}
