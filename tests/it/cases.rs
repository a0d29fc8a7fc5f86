//! One directory a case in tests/cases: a spec, a world, and the plan that they make, at 100
//! columns. After an apply of what can be applied, nothing is left to do.

use std::path::Path;

use crate::support::{Place, Ran};

fn case(name: &str) -> Place {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name);
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).expect(file);
    let place = Place::new(&read("wi.yaml"), &read("world.yaml"));
    let mut command = place.command(&["plan", "--allow-incomplete", "--sandbox"]);
    let plan = Ran::of(command.env("COLUMNS", "100"));
    let text = format!("exit code {}\n\n{}", plan.code.unwrap_or(-1), plan.out);
    insta::with_settings!({
        snapshot_path => directory,
        prepend_module_to_snapshot => false,
        omit_expression => true,
        filters => vec![(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT")],
    }, { insta::assert_snapshot!("plan", text) });
    place
}

/// What can be applied is; the next plan finds nothing more to do than this one left.
#[track_caller]
fn comes_to_rest(place: &Place) {
    place
        .wi(&["apply", "--auto-approve", "--allow-incomplete"])
        .ok();
    let again = place.wi(&["plan", "--allow-incomplete", "--detailed-exitcode"]);
    // What is held back is wanted still.
    let held = again.out.contains("is held back");
    assert_eq!(again.code, Some(if held { 2 } else { 0 }), "{}", again.out);
    assert!(again.out.contains("No changes"), "{}", again.out);
}

macro_rules! cases {
    ($($test:ident $directory:literal $applies:literal)*) => {
        $(#[test]
        fn $test() {
            let place = case($directory);
            if $applies {
                comes_to_rest(&place);
            }
        })*

        #[test]
        fn every_directory_is_a_case() {
            let mut listed = vec![$($directory.to_owned()),*];
            listed.sort();
            let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
            let mut there: Vec<String> = std::fs::read_dir(cases)
                .expect("cases")
                .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            there.sort();
            assert_eq!(listed, there);
        }
    };
}

/// What is accepted is named all the same.
#[test]
fn an_accepted_loss_is_shown_and_carried_out() {
    let place = case("impact");
    let mut command = place.command(&["plan", "--accept-loss", "--sandbox"]);
    let plan = Ran::of(command.env("COLUMNS", "80")).ok();
    let (_, pool) = plan
        .out
        .split_once("# nodepool.main")
        .expect("the node pool");
    let (pool, _) = pool.split_once("Who gains").expect("the access table");
    insta::assert_snapshot!(pool);
    place.wi(&["apply", "--auto-approve", "--accept-loss"]).ok();
    let again = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);
}

cases! {
    autopilot "autopilot" true
    budgets "budgets" true
    cluster_states "cluster-states" false
    exclusion "exclusion" true
    impact "impact" true
    missing_zones "missing-zones" true
    node_auto_provisioning "node-auto-provisioning" true
    private_unreachable "private-unreachable" true
    restarts "restarts" true
    selection "selection" false
    upgrade_settings "upgrade-settings" false
}
