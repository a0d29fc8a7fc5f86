//! The first minutes of a new user, on the real binary: plan, apply, plan again, and drift.

use crate::support::Place;

#[test]
fn the_quickstart_plans_applies_and_has_nothing_left_to_do() {
    let place = Place::example("quickstart");
    let lines = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    let lines = lines.lines().filter(|l| !l.starts_with('#')).count();
    assert!(lines <= 13, "the smallest spec has {lines} lines");

    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{plan:?}");
    insta::assert_snapshot!("quickstart_plan", plan.out);

    let apply = place.wi(&["apply", "--auto-approve"]).ok();
    assert!(
        apply
            .out
            .contains("Apply complete! Resources: 5 added, 2 changed, 0 destroyed."),
        "{}",
        apply.out
    );

    let again = place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(
        again.out,
        "No changes. Your infrastructure matches the configuration.\n"
    );
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
}

#[test]
fn without_a_terminal_apply_asks_for_auto_approve_at_once() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["apply"]).fails();
    assert!(ran.err.contains("--auto-approve"), "{}", ran.err);
    assert!(
        !place.path(".wi-sandbox").exists(),
        "nothing was read or written"
    );
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let place = Place::example("quickstart");
    assert!(!place.wi(&["plan"]).ok().out.contains('\u{1b}'));
    let output = place
        .command(&["plan", "--sandbox"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .expect("wi runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\u{1b}[32m+"));
    let output = place
        .command(&["plan", "--sandbox", "-no-color"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .expect("wi runs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains('\u{1b}'));
}

/// To draw it again: `WI_DRAW=1 cargo test --test it picture`.
#[test]
fn the_picture_of_the_readme_is_what_is_printed() {
    let place = Place::example("quickstart");
    let output = place
        .command(&["plan", "--sandbox"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .expect("wi runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let drawn = anstyle_svg::Term::new().render_svg(&format!(
        "$ wi plan examples/quickstart --sandbox\n\n{text}"
    ));
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/quickstart.svg");
    if std::env::var_os("WI_DRAW").is_some() {
        std::fs::write(&file, &drawn).expect("drawn");
    }
    let kept = std::fs::read_to_string(&file).expect("the picture");
    assert!(
        kept == drawn,
        "docs/quickstart.svg is not what `wi plan examples/quickstart --sandbox` prints: WI_DRAW=1 draws it again"
    );
}
