//! Rollouts in waves, from outside: what is started when, and what is not.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::Path;

use crate::support::served::Served;
use crate::support::{Place, Ran, flat, line_with, spawn};
use serde_json::{Value, json};

fn fleet() -> Served {
    Served::of(Place::example("fleet"))
}

/// Clusters of which GKE was asked to change something.
fn touched(served: &Served) -> BTreeSet<String> {
    served
        .writes()
        .iter()
        .filter_map(|(call, _)| {
            let rest = call.split_once("/clusters/")?.1;
            Some(rest.split(['/', ':']).next()?.to_owned())
        })
        .collect()
}

#[test]
fn the_example_has_30_clusters_in_60_lines() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet");
    let spec = std::fs::read_to_string(directory.join("wi.yaml")).expect("spec");
    assert!(spec.lines().count() <= 60);
    let served = fleet();
    let plan = served.wi(&["plan"]).ok();
    assert!(plan.err.contains("Read 30 clusters"), "{}", plan.err);
    insta::assert_snapshot!("fleet_plan", plan.out);
    let expanded = served.wi(&["plan", "--expand"]).ok();
    assert_eq!(expanded.out.matches("# namespace.").count(), 50);
    assert_eq!(plan.out.matches("# namespace.").count(), 2);
    let summary = |text: &str| text.lines().last().expect("a line").to_owned();
    assert_eq!(summary(&expanded.out), summary(&plan.out));
}

#[test]
fn a_canary_that_fails_stops_the_rollout_which_is_mended_resumes_and_finishes() {
    let served = fleet();
    served.inject(&json!({ "operation": "clusters/dev-1/nodePools", "error": "no quota" }));
    let ran = served.wi(&["apply", "--auto-approve"]).fails();
    assert!(
        ran.err.contains(
            "The rollout is paused after the wave canary: 1 cluster failed (dev-1), and 0 may"
        ),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("no quota"), "{}", ran.out);
    assert!(
        touched(&served).iter().all(|c| c.starts_with("dev-")),
        "{:?}",
        touched(&served)
    );

    served.sandbox.heal();
    let ran = served.wi(&["apply", "--auto-approve"]).ok();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    let waves: Vec<&str> = ran.err.lines().filter(|l| l.starts_with("Wave ")).collect();
    assert_eq!(waves.len(), 9, "{waves:#?}");
    assert!(
        waves
            .iter()
            .any(|w| w.starts_with("Wave canary: soaking for")),
        "{waves:#?}"
    );
    let again = served.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);
    assert_eq!(touched(&served).len(), 30);
}

const THREE: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  a: { location: europe-west1, labels: { ring: \"1\" } }
  b: { location: europe-west1, labels: { ring: \"2\" } }
  c: { location: europe-west1, labels: { ring: \"3\" } }
googleServiceAccounts:
  checkout: { grants: [roles/viewer] }
  legacy-c: { grants: [roles/browser] }
namespaces:
  shop: { serviceAccounts: { checkout: { impersonates: checkout } } }
  only-c: { clusters: [c], serviceAccounts: { legacy: { impersonates: legacy-c } } }
";

fn three(rollout: &str, extra: &str) -> Served {
    let clusters: String = ["a", "b", "c"]
        .iter()
        .map(|name| format!("  - {{ project: acme-prod, location: europe-west1, name: {name}, nodePools: [{{ name: p, nodes: 1 }}]{} }}\n", if *name == extra { ", unreachable: true" } else { "" }))
        .collect();
    let world = format!(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: {{ acme-prod: {{}} }}\nclusters:\n{clusters}"
    );
    Served::of(Place::new(&format!("{THREE}{rollout}"), &world))
}

const MANUAL: &str = "\
rollout:
  waves:
    - { name: canary, clusters: { ring: \"1\" }, gate: { manual: true } }
    - { name: rest, clusters: remaining }
";

#[test]
fn a_manual_gate_waits_for_somebody_and_the_exit_code_says_so() {
    let served = three(MANUAL, "");
    let ran = served.wi(&["apply", "--auto-approve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    ran.says(&["Run `wi apply --approve canary` to go on: what is done is not done again."]);
    assert_eq!(touched(&served), ["a".to_owned()].into());
    let ran = served.wi(&["apply", "--auto-approve"]);
    assert_eq!(ran.code, Some(3), "it waits on");
    assert!(!ran.out.contains("fixed"), "nothing is: {}", ran.out);
    assert!(!ran.err.contains("again to go on"), "{}", ran.err);
    let ran = served
        .wi(&["apply", "--auto-approve", "--approve", "nope"])
        .fails();
    assert!(ran.err.contains("there are canary, rest"), "{}", ran.err);
    served
        .wi(&["apply", "--auto-approve", "--approve", "canary"])
        .ok();
    assert_eq!(touched(&served).len(), 3);
}

/// It rests on what it has changed itself: what goes on is a new plan of the rest, by the words of the last line.
#[test]
fn a_saved_plan_that_pauses_at_a_gate_is_used_up_and_says_what_goes_on() {
    let served = three(MANUAL, "");
    served.wi(&["plan", "--out", "p.plan"]).ok();
    let ran = served.wi(&["apply", "p.plan"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    ran.says(&[
        "it wants to be approved",
        "This saved plan is used up: it rests on what it has changed by now.",
        "plan what is left by `wi plan --out p.plan`, look at it, and run `wi apply p.plan --approve canary`.",
    ]);
    // As it says.
    assert_eq!(
        served.wi(&["apply", "p.plan", "--approve", "canary"]).code,
        Some(4)
    );
    served.wi(&["plan", "--out", "p.plan"]).ok();
    served.wi(&["apply", "p.plan", "--approve", "canary"]).ok();
    assert_eq!(touched(&served).len(), 3);
}

#[test]
fn a_soak_goes_on_where_it_was_and_without_the_run_file_it_begins_anew() {
    let rollout = "rollout:\n  waves:\n    - { name: canary, clusters: [a], soak: 1h, gate: { manual: true } }\n    - { name: rest, clusters: remaining }\n";
    let served = three(rollout, "");
    let soaks = |args: &[&str]| {
        let mut child = spawn(&mut served.command(args));
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
        line_with(&mut stderr, "soaking for");
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert_eq!(touched(&served), ["a".to_owned()].into());
    };
    soaks(&["apply", "--auto-approve"]);
    let run_file = served.place.path(".wi-rollout/shop.json");
    let text = std::fs::read_to_string(&run_file).expect("it is kept");
    assert!(text.contains("verified_at"), "{text}");

    // An hour later.
    let an_hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let text = json!({ "waves": { "canary": { "verified_at": an_hour_ago } } });
    std::fs::write(&run_file, text.to_string()).expect("written");
    let ran = served.wi(&["apply", "--auto-approve"]);
    assert_eq!(ran.code, Some(3), "soaked, and to be approved: {}", ran.err);
    assert!(!ran.err.contains("soaking"), "{}", ran.err);

    std::fs::remove_file(&run_file).expect("lost");
    soaks(&["apply", "--auto-approve", "--approve", "canary"]);
}

/// Applies while somebody does something, as soon as the node pool of the first wave moves.
fn apply_while(args: &[&str], somebody_does: impl FnOnce(&Served)) -> Ran {
    let served = three(MANUAL, "");
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    // The account and its role are there before, the rest is made by the waves.
    let (head, rest) = spec.split_once("clusters:\n").expect("clusters");
    let accounts = rest
        .lines()
        .skip_while(|line| !line.starts_with("googleServiceAccounts"))
        .take_while(|line| !line.starts_with("namespaces"));
    let accounts: Vec<&str> = accounts.collect();
    served
        .place
        .write("wi.yaml", &format!("{head}{}\n", accounts.join("\n")));
    served.wi(&["apply", "--auto-approve"]).ok();
    served.place.write("wi.yaml", &spec);
    served.wi(&["plan", "--out", "p.plan"]).ok();

    served.inject(&json!({"match": "PUT *nodePools/p", "hold": "answer"}));
    let mut child = spawn(&mut served.command(args));
    served.stands_still(&mut child);
    served.inject(&json!({"operation": "nodePools/p", "stuck": true}));
    served.sandbox.go_on();
    somebody_does(&served);
    served.sandbox.heal();
    let ran = Ran::from(child.wait_with_output().expect("it ends")).fails();
    assert_eq!(touched(&served), ["a".to_owned()].into(), "{}", ran.out);
    ran
}

fn take(served: &Served, resource: &str, role: &str) {
    let mut policy = served.request("POST", &format!("{resource}:getIamPolicy"), "{}");
    let bindings = policy["bindings"].as_array_mut().expect("bindings");
    let before = bindings.len();
    bindings.retain(|b| b["role"] != role);
    assert_eq!(bindings.len(), before - 1, "it was there");
    let body = json!({ "policy": policy }).to_string();
    served.request("POST", &format!("{resource}:setIamPolicy"), &body);
}

#[test]
fn a_link_that_is_taken_away_meanwhile_fails_the_wave_of_a_saved_plan_too() {
    const PROJECT: &str = "/v3/projects/acme-prod";
    const ACCOUNT: &str =
        "/v1/projects/acme-prod/serviceAccounts/checkout@acme-prod.iam.gserviceaccount.com";
    for args in [&["apply", "--auto-approve"], &["apply", "p.plan"]] {
        let says = |ran: Ran, part: &str| assert!(flat(&ran.out).contains(part), "{}", ran.out);
        let ran = apply_while(args, |s| take(s, ACCOUNT, "roles/iam.workloadIdentityUser"));
        says(ran, "it is not there when it is read back");
        let ran = apply_while(args, |s| take(s, PROJECT, "roles/viewer"));
        says(
            ran,
            "✗ ksa.a/shop/checkout (wi.yaml:12) grant.checkout:roles/viewer@project/acme-prod, which it needs, is not there",
        );
        let ran = apply_while(args, |s| {
            s.request("POST", &format!("{ACCOUNT}:disable"), "{}");
        });
        says(
            ran,
            "✗ ksa.a/shop/checkout (wi.yaml:12) gsa.checkout, which it needs, is not as it has to be",
        );
    }
}

#[test]
fn a_cluster_that_was_begun_when_another_failed_is_not_told_as_failed() {
    let one =
        "rollout:\n  waves:\n    - { name: all, clusters: remaining, gate: { verify: true } }\n";
    let served = three(one, "");
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    // By its own grants, which it shares with the one that fails, and which are there in time.
    let direct = "{ grants: [{ role: roles/browser, resource: project/acme-prod }] }";
    let with = format!("{{ serviceAccounts: {{ direct: {direct}, checkout:");
    served.place.write(
        "wi.yaml",
        &spec.replace("{ serviceAccounts: { checkout:", &with),
    );
    served.inject(&json!({ "operation": "clusters/a/nodePools", "error": "no quota" }));
    served.inject(&json!({ "operation": "clusters/b", "stuck": true }));
    let mut child = spawn(&mut served.command(&["apply", "--auto-approve"]));
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    line_with(&mut stderr, "nodepool.a/p: failed");
    served.sandbox.heal();
    line_with(&mut stderr, "1 cluster failed (a)");
    let ran = Ran::from(child.wait_with_output().expect("it ends")).fails();
    assert!(ran.out.contains("· ksa.b/shop/direct"), "{}", ran.out);
    assert!(!ran.out.contains("does not hold"), "{}", ran.out);
    assert_eq!(ran.out.matches('✗').count(), 1, "{}", ran.out);
}

#[test]
fn waves_can_be_applied_one_by_one() {
    let served = three(MANUAL, "");
    let ran = served.wi(&["plan", "--wave", "rest"]).fails();
    assert!(ran.err.contains("--until-wave rest"), "{}", ran.err);
    let ran = served.wi(&["plan", "--wave", "nope"]).fails();
    assert!(ran.err.contains("canary, rest"), "{}", ran.err);
    // Who gains what by these waves, and by no other.
    let ran = served.wi(&["plan", "--until-wave", "canary"]).ok();
    assert!(ran.out.contains("+ gains roles/viewer"), "{}", ran.out);
    assert!(!ran.out.contains("roles/browser"), "{}", ran.out);
    let text = flat(&ran.out);
    assert!(text.contains("--until-wave leaves out"), "{}", ran.out);
    assert!(text.contains("2. rest: not in this plan"), "{}", ran.out);
    served
        .wi(&["apply", "--auto-approve", "--until-wave", "canary"])
        .ok();
    assert_eq!(touched(&served), ["a".to_owned()].into());
    let run_file = std::fs::read_to_string(served.place.path(".wi-rollout/shop.json"));
    let run: Value = serde_json::from_str(&run_file.expect("a run file")).expect("JSON");
    let verified_at = &run["waves"]["canary"]["verified_at"];
    assert!(verified_at.is_string(), "the soak has begun: {run}");
    let ran = served.wi(&["plan", "--wave", "canary"]).ok();
    assert!(flat(&ran.out).contains("--wave leaves out"), "{}", ran.out);
    let last = ran.out.lines().last().expect("a line");
    assert!(
        last.starts_with("No changes to what was chosen; "),
        "{last}"
    );
    let ran = served.wi(&["plan", "--wave", "canary", "--markdown"]).ok();
    assert!(
        ran.out.contains("⚠️ no changes to what was chosen"),
        "{}",
        ran.out
    );
    served
        .wi(&["apply", "--auto-approve", "--wave", "rest"])
        .ok();
    assert_eq!(touched(&served).len(), 3);
    let again = served.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.out);
}

#[test]
fn a_deadline_pauses_before_the_wave_that_is_not_begun() {
    let rollout = "rollout:\n  deadline: 1s\n  waves:\n    - { name: canary, clusters: [a], soak: 2s }\n    - { name: rest, clusters: remaining }\n";
    let served = three(rollout, "");
    let ran = served.wi(&["apply", "--auto-approve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    let says = "paused before the wave rest: the deadline";
    assert!(ran.err.contains(says), "{}", ran.err);
    assert!(ran.err.contains("again to go on"), "{}", ran.err);
    assert!(!ran.out.contains("fixed"), "{}", ran.out);
}

#[test]
fn what_only_a_later_wave_needs_is_made_with_it() {
    let served = three(MANUAL, "");
    let ran = served.wi(&["plan", "--json"]).ok();
    let plan: Value = serde_json::from_str(&ran.out).expect("JSON");
    let wave = |address: &str| {
        plan["resource_changes"]
            .as_array()
            .expect("changes")
            .iter()
            .find(|c| c["address"] == address)
            .unwrap_or_else(|| panic!("{address}"))["wi"]["wave"]
            .clone()
    };
    assert_eq!(wave("gsa.checkout"), "canary");
    assert_eq!(
        wave("grant.checkout:roles/viewer@project/acme-prod"),
        "canary"
    );
    assert_eq!(wave("gsa.legacy-c"), "rest");
    assert_eq!(
        wave("grant.legacy-c:roles/browser@project/acme-prod"),
        "rest"
    );
    assert_eq!(wave("ksa.b/shop/checkout"), "rest");
}

#[test]
fn what_clusters_share_is_taken_away_with_the_last_of_them() {
    let served = three(MANUAL, "");
    served
        .wi(&["apply", "--auto-approve", "--approve", "canary"])
        .ok();
    let spec = format!("{THREE}{MANUAL}")
        .replace("{ grants: [roles/viewer] }", "{ grants: [roles/browser] }");
    served.place.write("wi.yaml", &spec);
    let ran = served.wi(&["plan", "--json"]).ok();
    let plan: Value = serde_json::from_str(&ran.out).expect("JSON");
    let waves: BTreeMap<&str, &str> = plan["resource_changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|c| {
            Some((
                c["change"]["actions"][0].as_str()?,
                c["wi"]["wave"].as_str()?,
            ))
        })
        .collect();
    assert_eq!(
        waves,
        BTreeMap::from([("create", "canary"), ("delete", "rest")])
    );
}

#[test]
fn a_cluster_that_cannot_be_reached_has_failed() {
    let served = three(MANUAL, "a");
    let ran = served
        .wi(&[
            "apply",
            "--auto-approve",
            "--allow-incomplete",
            "--approve",
            "canary",
        ])
        .fails();
    assert!(ran.err.contains("1 cluster failed (a)"), "{}", ran.err);
    assert!(!touched(&served).contains("b"), "{:?}", touched(&served));
}

#[test]
fn failures_up_to_the_limit_are_borne_and_continue_bears_all() {
    let rollout = |settings: &str| {
        format!(
            "rollout:\n{settings}  waves:\n    - {{ name: canary, clusters: [a, b], maxParallel: 1 }}\n    - {{ name: rest, clusters: remaining }}\n"
        )
    };
    for (settings, reached) in [
        ("  maxFailures: 0\n", false),
        ("  maxFailures: 1\n", true),
        ("  onFailure: continue\n", true),
    ] {
        let served = three(&rollout(settings), "");
        served.inject(&json!({ "operation": "clusters/a/nodePools", "error": "no" }));
        served.wi(&["apply", "--auto-approve"]).fails();
        assert_eq!(touched(&served).contains("c"), reached, "{settings}");
    }
}

#[test]
fn discovered_clusters_are_named_and_a_spec_that_does_not_fit_them_is_an_error() {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\ndiscover:\n  - { folder: \"77\", labels: { env: dev } }\n  - { project: acme-prod, location: europe-west1, labels: { env: prod } }\ngoogleServiceAccounts: { checkout: {} }\nnamespaces:\n  shop: { clusters: [dev-1], serviceAccounts: { checkout: { impersonates: checkout } } }\n",
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {}, acme-dev: { ancestors: [folder/77] }, acme-other: { ancestors: [folder/78] } }\nclusters:\n  - { project: acme-dev, location: europe-west1, name: main, autopilot: true }\n  - { project: acme-prod, location: europe-west1, name: main, autopilot: true }\n  - { project: acme-prod, location: us-central1, name: far, autopilot: true }\n  - { project: acme-other, location: europe-west1, name: other, autopilot: true }\n",
    );
    let ran = place.wi(&["plan"]).fails();
    assert!(
        ran.err.contains(
            "wi.yaml:9: the namespace `shop` is to be on the cluster `dev-1`, which was not found"
        ),
        "{}",
        ran.err
    );
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    place.write("wi.yaml", &spec.replace("[dev-1]", "all"));
    let plan = place.wi(&["plan", "--expand"]).ok();
    for address in [
        "ksa.main-europe-west1-acme-dev/shop/checkout",
        "ksa.main-europe-west1-acme-prod/shop/checkout",
    ] {
        assert!(plan.out.contains(address), "{address}: {}", plan.out);
    }
    for other in ["far", "other"] {
        assert!(!plan.out.contains(&format!("ksa.{other}")), "{}", plan.out);
    }
    place.wi(&["validate"]).ok();
    place.wi(&["graph"]).ok();
}
