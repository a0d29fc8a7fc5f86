//! The table of exit codes in docs/cli.md, row by row.

use std::collections::BTreeMap;

use crate::support::{Place, Ran};

/// Runs that end with each code.
fn runs() -> BTreeMap<i32, Vec<Ran>> {
    let place = Place::example("quickstart");
    let mut runs: BTreeMap<i32, Vec<Ran>> = BTreeMap::new();
    let mut ran = |code: i32, ran: Ran| runs.entry(code).or_default().push(ran);
    ran(0, place.wi(&["plan"]));
    ran(
        2,
        place.wi(&["plan", "--detailed-exitcode", "--out", "p.plan"]),
    );
    ran(0, place.wi(&["show", "p.plan"]));
    ran(1, place.wi(&["apply"])); // nobody to ask
    ran(
        4,
        place.wi(&["apply", "--expect-plan-hash", "000000000000"]),
    );
    ran(0, place.wi(&["apply", "p.plan"]));
    ran(4, place.wi(&["apply", "p.plan"]));
    ran(0, place.wi(&["plan", "--detailed-exitcode"]));
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    let gated = "rollout: { waves: [{ name: canary, clusters: [main], gate: { manual: true } }, { name: rest, clusters: [edge] }] }\n";
    let edge = "clusters:\n  edge: { location: europe-west1 }\n";
    place.write("wi.yaml", &(spec.replace("clusters:\n", edge) + gated));
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world");
    let edge = "  - { project: acme-prod, location: europe-west1, name: edge, autopilot: true }\n";
    place.write("world.yaml", &(world + edge));
    std::fs::remove_dir_all(place.path(".wi-sandbox")).expect("removed");
    ran(3, place.wi(&["apply", "--auto-approve"]));
    place.write(
        "wi.yaml",
        "apiVersion: wi/v1\nname: shop\nclusters: [oops]\n",
    );
    ran(1, place.wi(&["validate"]));
    ran(1, place.wi(&["plan", "--detailed-exitcode"]));
    ran(1, place.wi(&["no-such-command"]));
    runs
}

#[test]
fn the_table_says_what_happens() {
    let documented: Vec<i32> = include_str!("../../docs/cli.md")
        .lines()
        .skip_while(|l| *l != "## Exit codes")
        .skip(1)
        .take_while(|l| !l.starts_with("## "))
        .filter_map(|l| l.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    let runs = runs();
    assert_eq!(documented, runs.keys().copied().collect::<Vec<_>>());
    for (code, runs) in runs {
        for ran in runs {
            assert_eq!(ran.code, Some(code), "{ran:?}");
        }
    }
}
