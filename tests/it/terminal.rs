//! What somebody sees who types: on a terminal, and the answers to habits from elsewhere.

use crate::support::Place;
use crate::support::client::{Client, annotate};
use crate::support::pty::{answering, screen};
use crate::support::served::Served;

/// The fleet of the examples, on a clock that goes fast.
fn fleet() -> Place {
    Place::example("fleet")
}

/// The table of a wave: each cluster once, and how it ended stays in the scrollback.
#[test]
fn the_table_of_a_wave_is_drawn_whole_and_stays() {
    for columns in [80, 120] {
        let place = fleet();
        let mut command = place.command(&[
            "apply",
            "--sandbox",
            "--auto-approve",
            "--until-wave",
            "canary",
        ]);
        let shown = screen(&mut command, columns);
        let tables: Vec<&str> = shown.split("node pools\n").skip(1).collect();
        assert!(!tables.is_empty(), "{columns}: {shown}");
        for table in tables {
            let rows = table
                .lines()
                .take_while(|l| l.contains('✓') || l.contains('–') || l.ends_with("done"));
            let rows: Vec<&str> = rows.collect();
            let names = rows.iter().filter_map(|r| r.split_whitespace().next());
            let mut names: Vec<&str> = names.collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{columns}: a row twice in\n{shown}");
            assert!(
                !rows.is_empty() && !table.contains("waits"),
                "{columns}: stale:\n{shown}"
            );
        }
        for line in shown.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{line}");
        }
        let complete = shown
            .lines()
            .skip_while(|l| !l.starts_with("Apply complete!"));
        let rest = complete.collect::<Vec<_>>().join("\n");
        assert!(rest.contains("left out by --until-wave."), "{shown}");
    }
}

/// While the question stands, somebody else begins to use what is to be taken away: that stays, and the rest is done.
#[test]
fn what_comes_to_be_used_while_the_question_stands_stays_and_is_named() {
    let spec = "apiVersion: wi/v1\nname: mon\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { exporter: { grants: [roles/viewer] } }\nnamespaces: { mon: { serviceAccounts: { exporter: { impersonates: exporter } } } }\n";
    let world = "apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    serviceAccounts:
      exporter:
        policy: { bindings: [{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:acme-prod.svc.id.goog[other/q]\", \"serviceAccount:acme-prod.svc.id.goog[other/r]\"] }] }
clusters:
  - { project: acme-prod, location: europe-west1, name: main, autopilot: true, namespaces: { other: { serviceAccounts: { q: {}, r: {} } } } }
";
    let served = Served::of(Place::new(spec, world));
    let client = Client::of(spec, &served.sandbox);
    let email = "exporter@acme-prod.iam.gserviceaccount.com";
    let mut command = served.command(&["apply", "--allow-mass-removal"]);
    let shown = answering(&mut command, 120, "Enter a value: ", || {
        annotate(&client, "main", ("other", "q"), email);
        "yes\n".to_owned()
    });
    let told = crate::support::flat(&shown);
    assert!(
        told.contains("it is used by other/q in cluster.main, annotated with it")
            && told.contains("looked at again just now"),
        "{shown}"
    );
    let policy = format!("/v1/projects/acme-prod/serviceAccounts/{email}:getIamPolicy");
    let policy = served.request("POST", &policy, "{}").to_string();
    assert!(policy.contains("[other/q]"), "{policy}");
    assert!(
        !policy.contains("[other/r]") && policy.contains("[mon/exporter]"),
        "{policy}"
    );
}

#[test]
fn what_terraform_has_and_wi_has_not_is_answered_in_a_word() {
    let place = Place::example("quickstart");
    for (typed, answer) in [
        (["plan", "-refresh-only"], "every plan reads the live state"),
        (["apply", "-input=false"], "--auto-approve"),
        (["plan", "-var=a=b"], "specs have no variables"),
        (["apply", "-lock=false"], "there is no lock"),
        (["state", "list"], "there is no state"),
    ] {
        let ran = place.wi(&typed).fails();
        assert!(ran.err.contains(answer), "{typed:?}: {}", ran.err);
        assert!(ran.out.is_empty());
    }
    assert!(place.wi(&["-version"]).ok().out.starts_with("wi "));
}

#[test]
fn hints_repeat_what_was_chosen() {
    let place = Place::example("quickstart");
    let ran = place.wi(&[
        "plan",
        "wi.yaml",
        "--target",
        "gsa.checkout",
        "--accept-loss",
    ]);
    let hint =
        "Run `wi apply wi.yaml --target gsa.checkout --accept-loss --sandbox` to carry this out";
    assert!(ran.err.contains(hint), "{}", ran.err);
}

#[test]
fn a_target_that_nothing_has_is_an_error_and_one_that_is_done_is_not() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["plan", "--target", "gsa.chekout"]).fails();
    assert!(
        ran.err.contains("did you mean gsa.checkout?"),
        "{}",
        ran.err
    );
    let ran = place
        .wi(&["apply", "--auto-approve", "--target", "ksa.main/shp"])
        .fails();
    assert!(
        ran.err.contains("did you mean ksa.main/shop?"),
        "{}",
        ran.err
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    for done in [
        "gsa.checkout",
        "ksa.main/shop",
        "nodepool.main/default-pool",
    ] {
        let ran = place.wi(&["plan", "--target", done]).ok();
        assert!(ran.out.contains("matches no change"), "{done}: {}", ran.out);
    }
}

#[test]
fn one_cluster_is_planned_and_applied_with_what_its_workloads_are_given() {
    let place = Place::example("shop");
    let ran = place.wi(&["plan", "--cluster", "prod-uk"]).fails();
    assert!(ran.err.contains("did you mean prod-us?"), "{}", ran.err);
    let ran = place.wi(&["plan", "--cluster", "prod-us"]).ok();
    assert!(
        ran.out.contains("+ ksa.prod-us/shop/checkout"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("ksa.prod-eu"), "{}", ran.out);
    assert!(ran.out.contains("--cluster leaves out"), "{}", ran.out);
    assert!(
        ran.err.contains("wi apply --cluster prod-us --sandbox"),
        "{}",
        ran.err
    );
    place
        .wi(&["apply", "--auto-approve", "--cluster", "prod-us"])
        .ok();
    // The other one is as it was, and goes on from there.
    let rest = place.wi(&["plan"]).ok();
    assert!(!rest.out.contains("ksa.prod-us"), "{}", rest.out);
    assert!(
        rest.out.contains("+ ksa.prod-eu/shop/reporter"),
        "{}",
        rest.out
    );
}

#[test]
fn a_plan_that_is_not_there_is_said_to_be_missing() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["apply", "wi.plan"]).fails();
    assert!(ran.err.contains("there is no plan wi.plan"), "{}", ran.err);
}

#[test]
fn several_specs_under_one_root_are_one_mistake() {
    let place = Place::example("quickstart");
    let other = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    place.write("more/wi.yaml", &other.replace("name: shop", "name: other"));
    let ran = place.wi(&["validate"]).fails();
    assert!(
        ran.err.contains("these are 2 specs, not one"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("`other` (more/wi.yaml)") && ran.err.contains("1 mistake in the spec."),
        "{}",
        ran.err
    );
}

#[test]
fn a_graph_is_the_same_each_time_and_names_only_what_is_in_it() {
    let place = Place::example("shop");
    for format in ["dot", "mermaid"] {
        let first = place.wi(&["graph", "--format", format]).ok().out;
        for _ in 0..5 {
            assert_eq!(place.wi(&["graph", "--format", format]).ok().out, first);
        }
        if format == "mermaid" {
            let nodes = first.lines().filter(|l| l.contains('[')).count();
            for (from, to) in first.lines().filter_map(|l| l.split_once(" --> ")) {
                for id in [from, to] {
                    let number: usize =
                        id.trim().trim_start_matches('n').parse().expect("a number");
                    assert!(number < nodes, "{id}");
                }
            }
        }
    }
}

#[test]
fn a_choice_of_nothing_is_refused_by_its_flag() {
    let place = Place::example("quickstart");
    for flag in [
        "--adopt-from",
        "--cluster",
        "--target",
        "--base",
        "--wave",
        "--until-wave",
    ] {
        let ran = place.wi(&["plan", flag, ""]).fails();
        ran.says(&[flag]);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
}

/// Typed as it stands, it would go to the real project without.
#[test]
fn what_mends_a_link_is_typed_with_the_paths_and_the_sandbox_of_this_run() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["explain", "wi.yaml", "shop/checkout", "--sandbox"]);
    ran.says(&["wi apply wi.yaml --target ", " --sandbox"]);
    for line in ran.out.lines().filter(|l| l.contains("wi apply")) {
        assert!(line.trim_end().ends_with(" --sandbox"), "{line}");
    }
    let ran = place.wi(&["explain", "wi.yaml", "shop/checkout", "--json", "--sandbox"]);
    assert!(ran.out.contains("wi apply wi.yaml --target"), "{}", ran.out);
    let ran = place.wi(&["verify", "wi.yaml", "--sandbox"]);
    for line in ran.out.lines().filter(|l| l.contains("wi apply")) {
        assert!(line.trim_end().ends_with(" --sandbox"), "{line}");
    }
}

#[test]
fn remarks_are_as_wide_as_the_terminal() {
    let place = Place::example("quickstart");
    for args in [
        &["validate", "wi.yaml"][..],
        &["plan", "wi.yaml"],
        &["explain", "wi.yaml", "shop/checkout", "--sandbox"],
    ] {
        let ran = place.wi(args);
        for line in ran.out.lines().chain(ran.err.lines()) {
            let starts = ["Success!", "Sandbox", "First broken link"];
            let is_one = starts.iter().any(|s| line.starts_with(s));
            assert!(!is_one || line.chars().count() <= 80, "{line}");
        }
    }
    for line in place.wi(&["help"]).ok().out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
