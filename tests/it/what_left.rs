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
    // Who may act as an account of ours is told of as long as it is so.
    let plan = place.wi(&PLAN).ok();
    assert!(
        plan.out
            .contains("binding.checkout/acme-prod/shop/web is held back")
            && plan.out.contains("No changes to what could be planned"),
        "{}",
        plan.out
    );
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
    for after in 0..3 {
        let world = World::parse(WORLD, "world.yaml").expect("a world");
        let inside = Inside::start(&format!("{HEAD}{SPEC}"), world).await;
        inside.wi(&APPLY).await.ok();
        inside.place.write("wi.yaml", &without(&["web", "report"]));
        // Policies are not written any more, at one time or another; service accounts go all the same.
        for request in [
            "PUT /storage/",
            "POST /v1/projects/acme-prod/serviceAccounts/.*:setIamPolicy",
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

const GRANTS: &str = "\
googleServiceAccounts:
  checkout:
    grants:
      - { role: roles/storage.objectViewer, resource: bucket/receipts }
      - { role: roles/secretmanager.secretAccessor, resource: secret/key }
      - { role: roles/pubsub.publisher, resource: topic/acme-jobs/events }
namespaces:
  shop:
    serviceAccounts:
      web: { impersonates: checkout }
      report:
        grants:
          - { role: roles/storage.objectViewer, resource: bucket/invoices }
";

const MORE: &str = "\
buckets: { receipts: { project: acme-prod }, invoices: { project: acme-prod } }
resources:
  //secretmanager.googleapis.com/projects/acme-prod/secrets/key: {}
  //pubsub.googleapis.com/projects/acme-jobs/topics/events: {}
";

fn granted(more: &str) -> (String, String) {
    let world = WORLD
        .replace("buckets: { receipts: { project: acme-prod } }\n", MORE)
        .replace(
            "  acme-old:",
            "  acme-jobs: { ancestors: [folder/5] }\n  acme-old:",
        );
    (format!("{HEAD}{GRANTS}"), format!("{world}{more}"))
}

/// Without the lines that have one of these in them.
fn cut(spec: &str, parts: &[&str]) -> String {
    let kept = spec
        .lines()
        .filter(|l| !parts.iter().any(|p| l.contains(p)));
    kept.map(|l| format!("{l}\n")).collect()
}

#[test]
fn grants_on_resources_that_the_spec_no_longer_names_are_found_and_removed() {
    let (spec, world) = granted("");
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &cut(&spec, &["secret/key", "grants:\n"]));
    let plan = place.wi(&PLAN).ok();
    let said = flat(&plan.out);
    assert!(said.contains("will be removed"), "{said}");
    assert!(
        said.contains("a search found it: the spec does not name secret/acme-prod/key"),
        "{said}"
    );
    place.wi(&APPLY).ok();
    let left = members(&place.state(), "checkout@acme-prod");
    assert!(!left.iter().any(|m| m.contains("secret")), "{left:?}");
    assert_eq!(left.len(), 2, "{left:?}");
    nothing_is_left_to_do(&place);
    // A direct grant, and the account that had the role leaves with it.
    place.write(
        "wi.yaml",
        &cut(
            &spec,
            &["secret/key", "bucket/invoices", "report", "          "],
        )
        .replace("        grants:\n", ""),
    );
    place.wi(&APPLY).ok();
    assert_eq!(members(&place.state(), "sa/report"), [""; 0]);
    nothing_is_left_to_do(&place);
}

/// Cloud Asset names secrets and repositories by the number of their project, and managed zones by their own.
#[test]
fn what_a_search_names_by_numbers_is_what_the_spec_names() {
    let (spec, world) = granted("");
    let resources = "resources:
  //artifactregistry.googleapis.com/projects/acme-prod/locations/europe-west1/repositories/images: {}
  //dns.googleapis.com/projects/acme-prod/managedZones/shop: {}
";
    let world = world.replace("resources:\n", resources);
    let more =
        "      - { role: roles/artifactregistry.reader, resource: repository/europe-west1/images }
      - { role: roles/dns.reader, resource: dns-zone/shop }
";
    let (before, after) = spec.split_once("namespaces:").expect("namespaces");
    let spec = format!("{before}{more}namespaces:{after}");
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    nothing_is_left_to_do(&place);
    let had = members(&place.state(), "checkout@acme-prod");
    place.wi(&APPLY).ok();
    assert_eq!(members(&place.state(), "checkout@acme-prod"), had);
    // And what the spec names no more goes, by whatever name it was found.
    place.write(
        "wi.yaml",
        &cut(&spec, &["secret/key", "images", "dns-zone"]),
    );
    let plan = place.wi(&PLAN).ok();
    for name in [
        "secret/acme-prod/key",
        "dns-zone/acme-prod/shop",
        "europe-west1/images",
    ] {
        assert!(flat(&plan.out).contains(name), "{name}: {}", plan.out);
    }
    place.wi(&APPLY).ok();
    assert_eq!(
        members(&place.state(), "checkout@acme-prod").len(),
        had.len() - 3
    );
    nothing_is_left_to_do(&place);
}

#[test]
fn wider_places_are_searched_where_the_spec_says_so() {
    let (spec, world) = granted("");
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    // Nothing else is in the topic's project: it is no longer named.
    let spec = cut(&spec, &["topic/acme-jobs"]);
    place.write("wi.yaml", &spec);
    nothing_is_left_to_do(&place);
    place.write("wi.yaml", &format!("{spec}search: [folder/5]\n"));
    place.wi(&APPLY).ok();
    let left = members(&place.state(), "checkout@acme-prod");
    assert!(!left.iter().any(|m| m.contains("topics")), "{left:?}");
    nothing_is_left_to_do(&place);
    place.write("wi.yaml", &format!("{spec}search: [bucket/receipts]\n"));
    let plan = place.wi(&PLAN).fails();
    assert!(
        flat(&plan.err).contains("`bucket/receipts` is no place to search in"),
        "{}",
        plan.err
    );
}

#[test]
fn where_no_search_is_allowed_the_plan_says_what_helps() {
    let search = "GET /v1/projects/acme-prod:searchAllIamPolicies";
    for (fault, says) in [
        (
            "status: 403, reason: SERVICE_DISABLED",
            "gcloud services enable cloudasset.googleapis.com",
        ),
        (
            "denied: true",
            "cloudasset.assets.searchAllIamPolicies is in roles/cloudasset.viewer",
        ),
    ] {
        let (spec, world) = granted("");
        let place = Place::new(&spec, &world);
        place.wi(&APPLY).ok();
        place.edit_state(|s| format!("{s}\nfaults: [{{ match: \"{search}\", {fault} }}]\n"));
        place.write("wi.yaml", &cut(&spec, &["secret/key"]));
        let plan = place.wi(&["plan", "--detailed-exitcode"]);
        let said = flat(&plan.out);
        assert_eq!(plan.code, Some(0), "{said}");
        assert!(
            said.contains("grants on resources that the spec no longer names cannot be seen in project/acme-prod:")
                && said.contains(says)
                && said.contains("--base GIT_REF")
                && said.contains("`removed:`"),
            "{said}"
        );
        // What it says helps.
        place.write(
            "wi.yaml",
            &format!("{}removed: [secret/key]\n", cut(&spec, &["secret/key"])),
        );
        place.wi(&APPLY).ok();
        let left = members(&place.state(), "checkout@acme-prod");
        assert!(!left.iter().any(|m| m.contains("secret")), "{left:?}");
    }
}

#[test]
fn what_is_found_and_cannot_be_written_is_told_and_holds_nothing_up() {
    let (spec, world) = granted("");
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    let member = "serviceAccount:checkout@acme-prod.iam.gserviceaccount.com";
    place.edit_state(|s| {
        let policy = format!("policy: {{ bindings: [{{ role: roles/compute.viewer, members: [\"{member}\"] }}] }}");
        let with = s.replacen(
            "resources:\n",
            &format!("resources:\n  //compute.googleapis.com/projects/acme-prod/zones/a/instances/vm: {{ {policy} }}\n"),
            1,
        );
        format!("{with}\nfaults: [{{ match: \"GET /v1/projects/acme-prod/secrets/key:getIamPolicy\", denied: true }}]\n")
    });
    place.write("wi.yaml", &cut(&spec, &["secret/key"]));
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    let said = flat(&plan.out);
    assert_eq!(plan.code, Some(0), "{said}");
    assert!(
        said.contains("on //compute.googleapis.com/projects/acme-prod/zones/a/instances/vm, roles/compute.viewer of"),
        "{said}"
    );
    assert!(
        said.contains("on secret/acme-prod/key, roles/secretmanager.secretAccessor of"),
        "{said}"
    );
}

#[tokio::test]
async fn what_the_search_says_of_before_is_not_believed() {
    let (spec, world) = granted("");
    // The index all but stands still, over the writes of the apply, too.
    let world = world.replace(
        "timeScale: 2000",
        "timeScale: 2000\npropagationSeconds: { policySearch: 4000000000 }",
    );
    let world = world.replace(
        "secrets/key: {}",
        "secrets/key: { policy: { bindings: [{ role: roles/viewer, members: [\"serviceAccount:checkout@acme-prod.iam.gserviceaccount.com\"] }] } }",
    );
    let world = world.replace(
        "  acme-prod: {",
        "  acme-prod: { serviceAccounts: { checkout: { description: \"[wi:shop]\" } },",
    );
    let world = World::parse(&world, "world.yaml").expect("a world");
    let inside = Inside::start(&cut(&spec, &["secret/key"]), world).await;
    inside.wi(&APPLY).await.ok();
    let now = serde_json::to_value(inside.sandbox.snapshot()).expect("JSON");
    assert!(
        !members(&now, "checkout@acme-prod")
            .iter()
            .any(|m| m.contains("secret"))
    );
    // The index has it still, the policy itself does not.
    let plan = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
}

#[test]
fn members_that_are_only_alike_are_nobodys() {
    let (spec, world) = granted("");
    let others = [
        "serviceAccount:checkout@my-acme-prod.iam.gserviceaccount.com",
        "serviceAccount:other@acme-prod.iam.gserviceaccount.com",
        "serviceAccount:acme-prod.svc.id.goog[shop/webs]",
        "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/shop",
    ];
    let bindings = serde_json::to_string(&others).expect("JSON");
    let world = world.replace(
        "secrets/key: {}",
        &format!("secrets/key: {{ policy: {{ bindings: [{{ role: roles/viewer, members: {bindings} }}] }} }}"),
    );
    let place = Place::new(&cut(&spec, &["secret/key"]), &world);
    place.wi(&APPLY).ok();
    let plan = place.wi(&PLAN).ok();
    plan.says(&["No changes. Your"]);
    // One of the spec's own pool may have left it: that is told.
    let told = "keep their roles: acme-prod/shop/webs (roles/viewer on secret/acme-prod/key)";
    plan.says(&[told, "--base GIT_REF"]);
    assert_eq!(
        flat(&plan.out).matches("secret/").count(),
        1,
        "{}",
        plan.out
    );
    let policy = &place.state()["resources"]["//secretmanager.googleapis.com/projects/acme-prod/secrets/key"]
        ["policy"];
    assert_eq!(
        policy["bindings"][0]["members"].as_array().map(Vec::len),
        Some(4)
    );
}

#[test]
fn what_a_cluster_that_left_had_is_told_and_the_former_spec_removes_it() {
    let spec = format!("{HEAD}{GRANTS}").replace(
        "europe-west1 }\n",
        "europe-west1 }\n  far: { project: acme-jobs, location: us-east1 }\n",
    );
    let (_, world) = granted(
        "  - { project: acme-jobs, location: us-east1, name: far, autopilot: true, namespaces: { shop: {} } }\n",
    );
    let world = world.replace("resources:\n", "RESOURCES");
    let (head, tail) = world.split_once("clusters:\n").expect("clusters");
    let (list, far) = tail.split_at(tail.find("  - { project: acme-jobs").expect("far"));
    let world = format!("{head}clusters:\n{list}{far}").replace("RESOURCES", "resources:\n");
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    place.write("wi.yaml", &cut(&spec, &["far:"]));
    let plan = place.wi(&PLAN);
    let said = flat(&plan.out);
    assert!(
        said.contains("acme-jobs/shop/report has roles/storage.objectViewer on bucket/invoices"),
        "{said}"
    );
}

#[test]
fn doctor_tells_of_the_search_as_optional() {
    use crate::support::served::Served;
    let (spec, world) = granted("");
    let world = world
        .replace(
            "timeScale: 2000",
            "timeScale: 2000\ncallerLacks: [cloudasset.assets.searchAllIamPolicies]",
        )
        .replace(
            "  acme-prod: {",
            "  acme-prod: { disabledServices: [cloudasset.googleapis.com],",
        );
    let served = Served::of(Place::new(&spec, &world));
    let doctor = served.wi(&["doctor"]).ok();
    let said = flat(&doctor.out);
    for part in [
        "cloudasset.googleapis.com is off (optional)",
        "gcloud services enable cloudasset.googleapis.com --project acme-prod",
        "cloudasset.assets.searchAllIamPolicies is missing (optional)",
        "--role=roles/cloudasset.viewer",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The right to act as an account that was there before goes with what the spec let act as it: while the account is
/// this spec's, and also once it was given back.
#[test]
fn right_to_act_as_an_account_that_was_released_goes_with_the_service_account() {
    let account = |name: &str| {
        format!(
            "googleServiceAccounts: {{ {name}: {{ grants: [roles/logging.logWriter] }} }}
namespaces: {{ shop: {{ serviceAccounts: {{ web: {{ impersonates: {name} }} }} }} }}
"
        )
    };
    let world = WORLD.replace("  acme-old:", "  acme-jobs: {}\n  acme-old:");
    let (head, rest) = world.split_once("acme-prod: {").expect("the project");
    let world = format!("{head}acme-prod: {{ serviceAccounts: {{ old-sa: {{}} }},{rest}");
    let acts = |place: &Place| {
        members(&place.state(), "shop/web")
            .iter()
            .any(|m| m.contains("old-sa"))
    };
    let place = Place::new(&format!("{HEAD}{}", account("old-sa")), &world);
    place.wi(&APPLY).ok();
    assert!(acts(&place), "{:?}", members(&place.state(), "shop/web"));
    place.write("wi.yaml", &format!("{HEAD}{}", account("new-sa")));
    place.wi(&APPLY).ok();
    assert!(!acts(&place), "{:?}", members(&place.state(), "shop/web"));
    nothing_is_left_to_do(&place);

    // All of it leaves in two steps: the account, then whoever acts as it.
    let place = Place::new(&format!("{HEAD}{}", account("old-sa")), &world);
    place.wi(&APPLY).ok();
    let by_email = account("old-sa").replace(
        "{ grants: [roles/logging.logWriter] }",
        "{ email: old-sa@acme-prod.iam.gserviceaccount.com }",
    );
    place.write("wi.yaml", &format!("{HEAD}{by_email}"));
    place.wi(&APPLY).ok();
    assert!(acts(&place), "it acts as it still");
    place.write("wi.yaml", &format!("{HEAD}{}", account("new-sa")));
    place.wi(&APPLY).ok();
    place.write("wi.yaml", HEAD);
    place.wi(&APPLY).ok();
    assert!(!acts(&place), "{:?}", members(&place.state(), "shop/web"));
}
