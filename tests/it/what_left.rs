//! What left the spec leaves with all that it had: service accounts of Kubernetes and their grants, accounts of
//! projects that keep none.

use serde_json::{Value, json};
use wi_sandbox::World;

use crate::support::inside::Inside;
use crate::support::{Place, flat};

const HEAD: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
";

const SPEC: &str = "\
googleServiceAccounts:
  checkout: {}
  partner: { email: partner@acme-old.iam.gserviceaccount.com }
namespaces:
  shop:
    serviceAccounts:
      web: { impersonates: checkout }
      billing: { impersonates: partner }
      report: { grants: [{ role: roles/storage.objectViewer, resource: bucket/receipts }] }
      stays: { grants: [{ role: roles/storage.objectViewer, resource: bucket/receipts }] }
";

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod: { number: 123456789012 }
  acme-old: { serviceAccounts: { partner: {} } }
buckets: { receipts: { project: acme-prod } }
clusters:
  - { project: acme-prod, location: europe-west1, name: main, autopilot: true, namespaces: { shop: {} } }
";

const PLAN: [&str; 2] = ["plan", "--allow-mass-removal"];
const APPLY: [&str; 3] = ["apply", "--auto-approve", "--allow-mass-removal"];

/// All members of all policies that have this text in them, as `RESOURCE ROLE MEMBER`.
fn members(world: &Value, part: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk("", world, &mut |path, policy| {
        for binding in policy["bindings"].as_array().into_iter().flatten() {
            let members = binding["members"].as_array().into_iter().flatten();
            for member in members
                .filter_map(Value::as_str)
                .filter(|m| m.contains(part))
            {
                found.push(format!(
                    "{path} {} {member}",
                    binding["role"].as_str().unwrap_or("")
                ));
            }
        }
    });
    found
}

fn walk(path: &str, value: &Value, see: &mut dyn FnMut(&str, &Value)) {
    if value["bindings"].is_array() {
        see(path, value);
    }
    for (key, below) in value.as_object().into_iter().flatten() {
        walk(&format!("{path}/{key}"), below, see);
    }
}

fn without(names: &[&str]) -> String {
    let kept = SPEC.lines().filter(|line| {
        !names
            .iter()
            .any(|n| line.trim_start().starts_with(&format!("{n}:")))
    });
    let kept: Vec<&str> = kept.collect();
    format!("{HEAD}{}\n", kept.join("\n"))
}

fn applied() -> Place {
    let place = Place::new(&format!("{HEAD}{SPEC}"), WORLD);
    place.wi(&APPLY).ok();
    place
}

#[track_caller]
fn nothing_is_left_to_do(place: &Place) {
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
}

#[test]
fn service_account_that_left_takes_its_grants_and_bindings_along() {
    let place = applied();
    for name in ["web", "billing", "report"] {
        assert!(!members(&place.state(), name).is_empty(), "{name}");
    }
    place.write("wi.yaml", &without(&["web", "billing", "report"]));
    let plan = place.wi(&PLAN).ok();
    for address in [
        "binding.checkout/acme-prod/shop/web",
        "binding.partner/acme-prod/shop/billing",
        "grant.acme-prod/shop/report:roles/storage.objectViewer@bucket/receipts",
        "ksa.main/shop/web",
    ] {
        let goes = ["destroyed", "removed"].map(|how| format!("# {address} will be {how}"));
        assert!(
            goes.iter().any(|g| plan.out.contains(g)),
            "{address}: {}",
            plan.out
        );
    }
    place.wi(&APPLY).ok();
    let state = place.state();
    for name in ["shop/web", "shop/billing", "sa/report"] {
        assert_eq!(members(&state, name), [""; 0], "{name}");
    }
    assert_eq!(members(&state, "sa/stays").len(), 1);
    let accounts = &state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"];
    assert_eq!(accounts["web"], Value::Null);
    nothing_is_left_to_do(&place);
}

#[test]
fn service_account_that_was_adopted_is_released_and_its_grants_go() {
    let world = WORLD.replace(
        "{ shop: {} }",
        "{ shop: { serviceAccounts: { report: {} } } }",
    );
    let place = Place::new(&format!("{HEAD}{SPEC}"), &world);
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &without(&["report"]));
    place.wi(&APPLY).ok();
    let state = place.state();
    assert_eq!(members(&state, "sa/report"), [""; 0]);
    assert_ne!(
        state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["report"],
        Value::Null
    );
    nothing_is_left_to_do(&place);
}

/// A second cluster of the project that the spec does not have, with these service accounts.
fn and_another(accounts: &str) -> String {
    format!(
        "{WORLD}  - {{ project: acme-prod, location: us-east1, name: other, autopilot: true, namespaces: {{ shop: {{ serviceAccounts: {{ {accounts} }} }} }} }}\n"
    )
}

#[test]
fn what_has_the_same_identity_in_another_cluster_keeps_it_and_the_cluster_is_named() {
    let place = Place::new(
        &format!("{HEAD}{SPEC}"),
        &and_another("report: {}, web: {}"),
    );
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &without(&["web", "report", "billing"]));
    let plan = place.wi(&PLAN).ok();
    let said = flat(&plan.out);
    for address in [
        "binding.checkout/acme-prod/shop/web",
        "grant.acme-prod/shop/report:roles/storage.objectViewer@bucket/receipts",
    ] {
        let why = format!(
            "{address} is held back: it stays as it is. The spec does not ask for it, but the same identity is in projects/acme-prod/locations/us-east1/clusters/other, which is not in the spec."
        );
        assert!(said.contains(&why), "{why}\n{said}");
    }
    let json: Value = serde_json::from_str(
        &place
            .wi(&["plan", "--json", "--allow-mass-removal"])
            .ok()
            .out,
    )
    .expect("JSON");
    assert_eq!(json["wi"]["held_back"][0]["reason"], "in_use");
    place.wi(&APPLY).ok();
    let state = place.state();
    assert_eq!(members(&state, "shop/web").len(), 1);
    assert_eq!(members(&state, "sa/report").len(), 1);
    assert_eq!(members(&state, "shop/billing"), [""; 0]);
    nothing_is_left_to_do(&place);
}

#[test]
fn account_of_a_held_back_service_account_is_not_disabled() {
    let place = Place::new(&format!("{HEAD}{SPEC}"), &and_another("web: {}"));
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &without(&["web", "checkout"]));
    let plan = place.wi(&PLAN).ok();
    assert!(
        flat(&plan.out).contains("gsa.checkout@acme-prod.iam.gserviceaccount.com is held back"),
        "{}",
        plan.out
    );
    place.wi(&APPLY).ok();
    let account = &place.state()["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
    assert_eq!(account["disabled"], Value::Null);
}

#[test]
fn what_may_run_in_a_cluster_that_cannot_be_read_keeps_what_it_has() {
    for hidden in ["unreachable: true", "denied: [list serviceaccounts]"] {
        let world = and_another("").replace("name: other,", &format!("name: other, {hidden},"));
        let place = Place::new(&format!("{HEAD}{SPEC}"), &world);
        place.wi(&APPLY).ok();
        place.write("wi.yaml", &without(&["report"]));
        let plan = place.wi(&PLAN).ok();
        let said = flat(&plan.out);
        assert!(
            said.contains(
                "clusters/other, perhaps, which is not in the spec and could not be read"
            ),
            "{hidden}: {said}"
        );
        place.wi(&APPLY).ok();
        assert_eq!(members(&place.state(), "sa/report").len(), 1, "{hidden}");
    }
}

#[tokio::test]
async fn an_apply_that_stops_half_way_finds_the_rest_again() {
    for after in 1..5 {
        let world = World::parse(WORLD, "world.yaml").expect("a world");
        let inside = Inside::start(&format!("{HEAD}{SPEC}"), world).await;
        inside.wi(&APPLY).await.ok();
        inside.place.write("wi.yaml", &without(&["web", "report"]));
        // Each write but the first of them fails.
        for (request, after) in [
            ("PUT ", after - 1),
            (
                "POST /v1/projects/acme-prod/serviceAccounts/.*:setIamPolicy",
                after - 1,
            ),
            ("DELETE ", after / 2),
        ] {
            inside.inject(&json!({ "match": request, "status": 403, "after": after }));
        }
        inside.wi(&APPLY).await;
        inside.sandbox.heal();
        inside.wi(&APPLY).await.ok();
        let world = serde_json::to_value(inside.sandbox.snapshot()).expect("JSON");
        for name in ["shop/web", "sa/report"] {
            assert_eq!(members(&world, name), [""; 0], "{name} after {after}");
        }
        let accounts = &world["clusters"][0]["namespaces"]["shop"]["serviceAccounts"];
        assert_eq!(accounts["web"], Value::Null, "{after}");
    }
}

#[test]
fn shared_identities_go_over_waves_and_the_last_cluster_knows_whose_they_were() {
    let spec = format!(
        "{}rollout: {{ waves: [{{ name: first, clusters: [main] }}, {{ name: rest, clusters: remaining }}] }}\n",
        format!("{HEAD}{SPEC}").replace(
            "europe-west1 }\n",
            "europe-west1 }\n  other: { location: us-east1 }\n"
        )
    );
    let world = and_another("");
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    let kept: Vec<&str> = spec.lines().filter(|l| !l.contains("report:")).collect();
    place.write("wi.yaml", &format!("{}\n", kept.join("\n")));
    // Both clusters' pods have it until the second wave.
    let first = [
        "apply",
        "--auto-approve",
        "--allow-mass-removal",
        "--wave",
        "first",
    ];
    place.wi(&first).ok();
    assert_eq!(members(&place.state(), "sa/report").len(), 1);
    place.wi(&APPLY).ok();
    assert_eq!(members(&place.state(), "sa/report"), [""; 0]);
    for cluster in 0..2 {
        let accounts = &place.state()["clusters"][cluster]["namespaces"]["shop"]["serviceAccounts"];
        assert_eq!(accounts["report"], Value::Null);
    }
    nothing_is_left_to_do(&place);
}

#[test]
fn last_account_of_a_project_is_disabled_with_what_it_had() {
    let spec = "  worker:
    project: acme-jobs
    grants: [{ role: roles/storage.objectViewer, resource: bucket/receipts }]
  others:
    grants:
      - { role: roles/secretmanager.secretAccessor, resource: secret/acme-jobs/key }
      - { role: roles/storage.objectViewer, resource: bucket/receipts }
";
    let world = WORLD.replace("  acme-old:", "  acme-jobs: {}\n  acme-old:");
    let world = format!(
        "{world}resources: {{ //secretmanager.googleapis.com/projects/acme-jobs/secrets/key: {{}} }}\n"
    );
    let place = Place::new(&format!("{HEAD}googleServiceAccounts:\n{spec}"), &world);
    place.wi(&APPLY).ok();
    let kept = spec.split_once("  others:\n").expect("two").1;
    place.write(
        "wi.yaml",
        &format!("{HEAD}googleServiceAccounts:\n  others:\n{kept}"),
    );
    place.wi(&APPLY).ok();
    let state = place.state();
    let worker = &state["projects"]["acme-jobs"]["serviceAccounts"]["worker"];
    assert_eq!(worker["disabled"], json!(true));
    assert_eq!(members(&state, "worker@"), [""; 0]);
    nothing_is_left_to_do(&place);
    // Where that project's accounts may not be listed, the rest is planned, and it is told.
    let place = Place::new(
        &format!("{HEAD}googleServiceAccounts:\n  others:\n{kept}"),
        &format!(
            "{world}faults: [{{ match: \"GET /v1/projects/acme-jobs/serviceAccounts\", denied: true }}]\n"
        ),
    );
    let apply = place.wi(&APPLY).ok();
    let said = flat(&apply.out);
    assert!(said.contains("project/acme-jobs"), "{said}");
}
