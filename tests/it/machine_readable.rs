//! Plans and applies for programs: the shape that Terraform's tools expect, the same bytes each time.

use crate::support::{Place, Ran};
use serde_json::{Value, json};

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON document")
}

/// The plan of a directory as JSON, which fits the schema.
#[track_caller]
fn plan(place: &Place) -> (Ran, Value) {
    let ran = place.wi(&["plan", "--json", "--allow-incomplete"]);
    let value = ran.json(include_str!("../../schemas/wi-plan.v1.schema.json"));
    (ran, value)
}

fn change<'a>(plan: &'a Value, address: &str) -> &'a Value {
    plan["resource_changes"]
        .as_array()
        .expect("changes")
        .iter()
        .find(|c| c["address"] == address)
        .unwrap_or_else(|| panic!("{address} is not in {plan:#}"))
}

#[test]
fn the_schema_in_the_repository_is_the_one_that_wi_prints() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["schema", "plan"]).ok();
    assert_eq!(
        ran.out,
        include_str!("../../schemas/wi-plan.v1.schema.json"),
        "run: cargo run -q -- schema plan > schemas/wi-plan.v1.schema.json"
    );
}

#[test]
fn changes_look_like_those_of_terraforms_providers() {
    let place = Place::example("shop");
    let (ran, plan) = plan(&place);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(plan["format_version"], "1.3");
    assert_eq!(plan["applyable"], true);
    assert_eq!(plan["complete"], true);
    assert_eq!(plan["errored"], false);

    let account = change(&plan, "gsa.checkout");
    assert_eq!(account["type"], "google_service_account");
    assert_eq!(account["mode"], "managed");
    assert_eq!(account["name"], "checkout");
    assert_eq!(account["change"]["actions"], json!(["create"]));
    assert_eq!(account["change"]["before"], Value::Null);
    assert_eq!(account["change"]["after"]["account_id"], "checkout");
    assert_eq!(account["change"]["after"]["display_name"], "Checkout");
    assert_eq!(account["wi"]["source"]["file"], "wi.yaml");

    let grant = change(
        &plan,
        "grant.checkout:roles/cloudsql.client@project/acme-prod",
    );
    assert_eq!(grant["type"], "google_project_iam_member");
    assert_eq!(
        grant["change"]["after"],
        json!({
            "project": "acme-prod",
            "role": "roles/cloudsql.client",
            "member": "serviceAccount:checkout@acme-prod.iam.gserviceaccount.com",
        })
    );
    assert_eq!(grant["wi"]["depends_on"], json!(["gsa.checkout"]));

    let conditional = change(
        &plan,
        "grant.checkout:roles/storage.objectUser@bucket/acme-inbox?until-2027-01-01#ff8b844e",
    );
    assert_eq!(conditional["type"], "google_storage_bucket_iam_member");
    assert_eq!(conditional["change"]["after"]["bucket"], "acme-inbox");
    assert_eq!(
        conditional["change"]["after"]["condition"][0]["title"],
        "until-2027-01-01"
    );

    let pool = change(&plan, "nodepool.prod-eu/default-pool");
    assert_eq!(pool["type"], "google_container_node_pool");
    assert_eq!(pool["change"]["actions"], json!(["update"]));
    let mode = |side: &str| {
        pool["change"][side]["node_config"][0]["workload_metadata_config"][0]["mode"].clone()
    };
    assert_eq!(mode("before"), "GCE_METADATA");
    assert_eq!(mode("after"), "GKE_METADATA");
    assert_eq!(pool["wi"]["cluster"], "prod-eu");

    let ksa = change(&plan, "ksa.prod-eu/shop/checkout");
    assert_eq!(ksa["type"], "kubernetes_service_account_v1");
    let metadata = &ksa["change"]["after"]["metadata"][0];
    assert_eq!(metadata["namespace"], "shop");
    assert_eq!(
        metadata["annotations"]["iam.gke.io/gcp-service-account"],
        "checkout@acme-prod.iam.gserviceaccount.com"
    );

    let addresses: Vec<&str> = plan["resource_changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|c| c["address"].as_str().expect("an address"))
        .collect();
    assert!(addresses.is_sorted(), "{addresses:?}");
}

/// A policy of a policy engine, in the words that such policies are written in for Terraform.
#[test]
fn a_policy_for_terraform_finds_what_it_forbids() {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { checkout: { grants: [roles/storage.admin] } }\n",
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\nclusters: [{ project: acme-prod, location: europe-west1, name: main, autopilot: true }]\n",
    );
    let (_, plan) = plan(&place);
    let denied: Vec<&str> = plan["resource_changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|rc| {
            rc["type"]
                .as_str()
                .is_some_and(|t| t.ends_with("_iam_member"))
                && rc["change"]["actions"][0] == "create"
                && rc["change"]["after"]["role"]
                    .as_str()
                    .is_some_and(|r| r.ends_with(".admin"))
        })
        .filter_map(|rc| rc["address"].as_str())
        .collect();
    assert_eq!(
        denied,
        ["grant.checkout:roles/storage.admin@project/acme-prod"]
    );
    assert_eq!(plan["wi"]["access"][0]["privilege_increase"], true);
}

#[test]
fn two_plans_of_the_same_are_the_same_bytes_and_so_is_the_saved_one() {
    let place = Place::example("brownfield");
    let first = place.wi(&["plan", "--json"]).ok();
    let second = place.wi(&["plan", "--json", "--out", "p.plan"]).ok();
    assert_eq!(first.out, second.out);
    let shown = place.wi(&["show", "p.plan", "--json"]).ok();
    assert_eq!(first.out, shown.out);
}

#[test]
fn what_stops_an_apply_is_in_the_json() {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\n  gone: { location: europe-west1 }\ngoogleServiceAccounts: { checkout: {} }\n",
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\nclusters:\n  - project: acme-prod\n    location: europe-west1\n    name: main\n    unreachable: true\n",
    );
    let (ran, plan) = plan(&place);
    assert_eq!(ran.code, Some(1));
    assert_eq!(plan["errored"], true);
    assert_eq!(plan["applyable"], false);
    assert_eq!(plan["complete"], false);
    assert_eq!(plan["wi"]["errors"][0]["address"], "cluster.gone");
    assert_eq!(plan["wi"]["errors"][0]["source"]["line"], 6);
    assert_eq!(
        plan["wi"]["unread"][0]["object"],
        "the Kubernetes objects of cluster.main"
    );
    assert_eq!(plan["wi"]["held_back"][0]["reason"], "unread");
}

#[test]
fn removals_have_no_after_and_say_why() {
    let place = Place::example("shop");
    place.wi(&["apply", "--auto-approve"]).ok();
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    let without: String = spec
        .lines()
        .filter(|l| !l.contains("roles/cloudsql.client"))
        .map(|l| format!("{l}\n"))
        .collect();
    place.write("wi.yaml", &without);
    let (_, plan) = plan(&place);
    let grant = change(
        &plan,
        "grant.checkout:roles/cloudsql.client@project/acme-prod",
    );
    assert_eq!(grant["change"]["actions"], json!(["delete"]));
    assert_eq!(grant["change"]["after"], Value::Null);
    assert_eq!(grant["action_reason"], "delete_because_no_resource_config");
    assert_eq!(grant["change"]["before"]["role"], "roles/cloudsql.client");
}

#[test]
fn an_apply_streams_one_object_a_line() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["apply", "--json", "--auto-approve"]).ok();
    let lines: Vec<Value> = ran.out.lines().map(parse).collect();
    for line in &lines {
        for field in ["@level", "@message", "@module", "@timestamp", "type"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
    let of = |kind: &str| -> Vec<&Value> { lines.iter().filter(|l| l["type"] == kind).collect() };
    assert_eq!(lines[0]["type"], "version");
    assert_eq!(of("planned_change").len(), 7);
    assert_eq!(of("apply_start").len(), 7);
    assert_eq!(of("apply_complete").len(), 7);
    let summaries = of("change_summary");
    assert_eq!(summaries[0]["changes"]["operation"], "plan");
    assert_eq!(
        summaries[1]["changes"],
        json!({ "add": 5, "change": 2, "import": 0, "remove": 0, "operation": "apply" })
    );
    let done = of("apply_complete")[0];
    assert!(done["hook"]["elapsed_seconds"].is_u64());
    assert!(done["hook"]["resource"]["resource_type"].is_string());
}

#[test]
fn a_failed_apply_streams_diagnostics() {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { checkout: { grants: [roles/viewer] } }\n",
        "apiVersion: wi.sandbox/v1\nfaults: [{ match: POST /v1/projects/acme-prod/serviceAccounts$, status: 400, message: no room }]\nprojects: { acme-prod: {} }\nclusters: [{ project: acme-prod, location: europe-west1, name: main, autopilot: true }]\n",
    );
    let ran = place.wi(&["apply", "--json", "--auto-approve"]).fails();
    let lines: Vec<Value> = ran.out.lines().map(parse).collect();
    let errors: Vec<&Value> = lines
        .iter()
        .filter(|l| l["type"] == "diagnostic" && l["@level"] == "error")
        .collect();
    assert_eq!(errors.len(), 2, "{}", ran.out);
    let failed = errors
        .iter()
        .find(|e| e["diagnostic"]["address"] == "gsa.checkout")
        .expect("the failure");
    assert!(
        failed["diagnostic"]["detail"]
            .as_str()
            .is_some_and(|d| d.contains("no room"))
    );
    assert_eq!(failed["diagnostic"]["range"]["filename"], "wi.yaml");
    assert!(lines.iter().any(|l| l["type"] == "apply_errored"));
    let waiting = errors.iter().any(|e| {
        e["diagnostic"]["summary"] == "Not started"
            && e["diagnostic"]["detail"] == "because of gsa.checkout"
    });
    assert!(waiting, "{}", ran.out);
}

#[test]
fn json_leaves_no_place_for_a_question() {
    let place = Place::example("quickstart");
    let ran = place.wi(&["apply", "--json"]).fails();
    assert!(ran.err.contains("--auto-approve"), "{}", ran.err);
    let lines: Vec<Value> = ran.out.lines().map(parse).collect();
    assert_eq!(lines[0]["type"], "diagnostic", "{}", ran.out);
}
