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

/// What prints, in each of its forms.
#[cfg(target_os = "linux")]
const PRINTS: [&[&str]; 16] = [
    &["plan", "--sandbox"],
    &["plan", "--sandbox", "--json"],
    &["plan", "--sandbox", "--markdown"],
    &["plan", "--sandbox", "--out", "-"],
    &["apply", "--sandbox", "--auto-approve"],
    &["apply", "--sandbox", "--auto-approve", "--json"],
    &["show", "p.plan"],
    &["show", "p.plan", "--json"],
    &["show", "p.plan", "--markdown"],
    &["validate"],
    &["graph"],
    &["schema"],
    &["doctor", "--sandbox"],
    &["--help"],
    &["apply", "--help"],
    &["--version"],
];

/// The disk is full: half a plan is no plan, and nothing is carried out that was not shown.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::example("quickstart");
    place.wi(&["plan", "--out", "p.plan"]).ok();
    let revision = |place: &Place| place.state()["revision"].clone();
    let before = revision(&place);
    for args in PRINTS {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let full = full.expect("Linux has it");
        let ran = Ran::of(place.command(args).stdout(full));
        assert_eq!(ran.code, Some(1), "{args:?}: {}", ran.err);
        let why = "cannot write to standard output: No space left";
        assert!(ran.err.contains(why), "{args:?}: {}", ran.err);
    }
    assert_eq!(revision(&place), before);
}

/// A reader that went away has read what it wanted, and a log that cannot be written stops nothing.
#[cfg(target_os = "linux")]
#[test]
fn readers_that_went_away_stop_nothing() {
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        std::process::Stdio::from(writer)
    };
    let full = || {
        let full = std::fs::File::options().write(true).open("/dev/full");
        std::process::Stdio::from(full.expect("Linux has it"))
    };
    let place = Place::example("quickstart");
    place.wi(&["plan", "--out", "p.plan"]).ok();
    for args in PRINTS.iter().filter(|args| args[0] != "apply") {
        let ran = Ran::of(place.command(args).stdout(closed()));
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        assert!(
            !ran.err.contains("standard output"),
            "{args:?}: {}",
            ran.err
        );
    }
    for json in [false, true] {
        for log in [closed, full] {
            let place = Place::example("quickstart");
            let mut args = vec!["apply", "-vv", "--sandbox", "--auto-approve"];
            args.extend(json.then_some("--json"));
            let mut apply = place.command(&args);
            let status = apply.stdout(closed()).stderr(log()).status();
            assert_eq!(status.expect("wi runs").code(), Some(0), "{args:?}");
            let again = place.wi(&["plan"]).ok();
            assert!(again.out.contains("No changes"), "{}", again.out);
        }
    }
}
