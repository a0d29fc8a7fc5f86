//! What goes wrong: refused and partial reads, failed operations, silent users of the node.

use crate::support::served::Served;
use crate::support::{Place, flat};
use serde_json::json;

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
  other: { location: europe-west2 }
googleServiceAccounts:
  checkout: { grants: [roles/cloudsql.client] }
namespaces:
  shop:
    serviceAccounts:
      checkout: { impersonates: checkout }
";

fn world(more: &str) -> String {
    format!(
        "apiVersion: wi.sandbox/v1
timeScale: 1000
projects: {{ acme-prod: {{}} }}
clusters:
  - {{ project: acme-prod, location: europe-west1, name: main }}
  - {{ project: acme-prod, location: europe-west2, name: other }}
{more}"
    )
}

#[test]
fn a_failed_operation_stops_what_needs_it_and_nothing_else() {
    let place = Place::new(
        SPEC,
        &world(
            "faults:\n  - { operation: clusters/other/nodePools/default-pool, error: Quota exceeded for CPUS }\n",
        ),
    );
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    assert!(
        apply.out.contains("nodepool.other/default-pool"),
        "{}",
        apply.out
    );
    assert!(
        flat(&apply.out).contains("Quota exceeded for CPUS"),
        "GKE's own words: {}",
        apply.out
    );
    assert!(
        apply
            .out
            .contains("Resources: 7 added, 3 changed, 0 destroyed."),
        "{}",
        apply.out
    );
}

/// HTTP 200, DONE, and no `error`: what went wrong is said elsewhere, as gcloud and Terraform know.
#[test]
fn an_operation_that_is_done_and_says_what_went_wrong_has_failed() {
    for said in [
        r#""statusMessage": "All cluster resources were brought up, but: only 0 nodes out of 3 have registered""#,
        r#""nodepoolConditions": [{"code": "GCE_STOCKOUT", "message": "only 0 nodes out of 3 have registered"}]"#,
    ] {
        let place = Place::new(
            SPEC,
            &world(&format!(
                "faults:\n  - match: \"GET /v1/projects/acme-prod/locations/europe-west2/operations/\"\n    body: '{{\"name\": \"operation-9\", \"status\": \"DONE\", {said}}}'\n"
            )),
        );
        let apply = place.wi(&["apply", "--auto-approve"]).fails();
        let text = flat(&apply.out);
        assert!(
            text.contains("only 0 nodes out of 3 have registered"),
            "{text}"
        );
        assert!(
            text.contains("failed: ") && !text.contains("reads back unchanged"),
            "{text}"
        );
    }
}

#[test]
fn a_cluster_that_cannot_be_changed_stops_its_own_resources_only() {
    let place = Place::new(
        SPEC,
        &world("faults:\n  - { operation: \"UPDATE_CLUSTER\", error: Internal error, times: 1 }\n"),
    );
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    assert!(
        apply.out.contains("Not started, because of cluster."),
        "{}",
        apply.out
    );
    // The fault is spent: a second run does the rest.
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[test]
fn a_refused_read_makes_the_plan_incomplete_and_is_no_absence() {
    let place = Place::new(
        SPEC,
        &world(
            "faults:\n  - { match: \"POST /v3/projects/acme-prod:getIamPolicy\", denied: true }\n",
        ),
    );
    let plan = place.wi(&["plan"]).fails();
    assert!(plan.out.contains("The plan is incomplete"), "{}", plan.out);
    assert!(
        plan.out.contains("the policy of project/acme-prod"),
        "{}",
        plan.out
    );
    assert!(
        !plan.out.contains("grant.checkout"),
        "nothing is planned there: {}",
        plan.out
    );
    assert!(plan.err.contains("--allow-incomplete"), "{}", plan.err);
    place.wi(&["plan", "--allow-incomplete"]).ok();
}

#[test]
fn zones_that_did_not_answer_are_unknown_not_absent() {
    let place = Place::new(
        SPEC,
        &world("faults:\n  - { missingZones: [europe-west2] }\n"),
    );
    let plan = place.wi(&["plan"]).fails();
    assert!(plan.out.contains("missingZones"), "{}", plan.out);
    assert!(!plan.out.contains("does not exist."), "{}", plan.out);
    assert!(
        plan.out.contains("~ cluster.main"),
        "the rest is planned: {}",
        plan.out
    );
}

#[test]
fn a_cluster_that_is_not_there_is_an_error_with_a_way_out() {
    let place = Place::new(&SPEC.replace("europe-west2", "europe-west3"), &world(""));
    let plan = place.wi(&["plan"]).fails();
    let unwrapped = plan.out.replace("\n│ ", " ");
    assert!(
        unwrapped.contains("does not exist. There is one of that name in europe-west2"),
        "{}",
        plan.out
    );
}

#[test]
fn passing_errors_of_the_servers_are_not_the_users() {
    let place = Place::new(
        SPEC,
        &world(
            "faults:\n  - { match: \".*\", status: 503, percent: 10 }\n  - { match: \".*\", status: 429, retryAfter: 0, percent: 5 }\n",
        ),
    );
    place.wi(&["apply", "--auto-approve"]).ok();
}

#[test]
fn a_node_pool_with_silent_users_is_held_back_and_named() {
    let world = world("").replace(
        "name: main }",
        "name: main, namespaces: { legacy: }, pods: [
      { name: web-5d4f-aaaaa, namespace: legacy, owner: { kind: ReplicaSet, name: web-5d4f } },
      { name: web-5d4f-bbbbb, namespace: legacy, owner: { kind: ReplicaSet, name: web-5d4f } },
      { name: agent, namespace: legacy, hostNetwork: true } ] }",
    );
    let place = Place::new(SPEC, &world);
    let apply = place.wi(&["apply", "--auto-approve"]).ok();
    assert!(
        apply
            .out
            .contains("nodepool.main/default-pool is held back"),
        "{}",
        apply.out
    );
    assert_eq!(
        apply.out.matches("Deployment legacy/web").count(),
        1,
        "by workload, once: {}",
        apply.out
    );
    assert!(
        !apply.out.contains("agent"),
        "host network is not affected: {}",
        apply.out
    );
    assert!(apply.out.contains("1 held back."), "{}", apply.out);
    let mode = |place: &Place, cluster: usize| {
        place.state()["clusters"][cluster]["nodePools"][0]["workloadMetadata"].clone()
    };
    assert_ne!(mode(&place, 0), "GKE_METADATA");
    assert_eq!(
        mode(&place, 1),
        "GKE_METADATA",
        "only that one is held back"
    );
    place.wi(&["apply", "--auto-approve", "--accept-loss"]).ok();
    assert_eq!(mode(&place, 0), "GKE_METADATA");
}

#[test]
fn target_takes_what_it_needs_and_says_that_it_is_not_all() {
    let place = Place::new(SPEC, &world(""));
    let plan = place.wi(&["plan", "--target", "ksa.main/shop"]).ok();
    assert!(
        plan.out.contains("+ ksa.main/shop/checkout"),
        "{}",
        plan.out
    );
    assert!(
        plan.out
            .contains("+ binding.checkout/acme-prod/shop/checkout"),
        "{}",
        plan.out
    );
    assert!(!plan.out.contains("ksa.other"), "{}", plan.out);
    assert!(!plan.out.contains("nodepool."), "{}", plan.out);
    assert!(plan.out.contains("--target leaves out"), "{}", plan.out);
}

#[test]
fn what_is_wrong_elsewhere_does_not_stop_a_target() {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\n  lost: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout: { grants: [roles/cloudsql.client] }\n",
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: { acme-prod: {} }\nclusters: [{ project: acme-prod, location: europe-west1, name: main }]\n",
    );
    place.wi(&["plan"]).fails();
    let plan = place.wi(&["plan", "--target", "cluster.main"]).ok();
    assert!(
        !plan.out.contains("gains"),
        "only of what is targeted:\n{}",
        plan.out
    );
    place
        .wi(&["apply", "--auto-approve", "--target", "cluster.main"])
        .ok();
    let lost = place.wi(&["plan", "--target", "cluster.lost"]).fails();
    assert!(lost.out.contains("does not exist"), "{}", lost.out);
}

/// A create must not happen twice, so that it is not simply tried again: `wi` looks first.
#[test]
fn a_create_that_fails_in_passing_is_tried_again_after_a_look() {
    let place = Place::new(
        SPEC,
        &world(
            "faults:\n  - { match: \"POST /v1/projects/acme-prod/serviceAccounts$\", status: 503, times: 2 }\n",
        ),
    );
    place.wi(&["apply", "--auto-approve"]).ok();
}

/// Kubernetes answers 403 to whoever makes something in it.
#[test]
fn a_namespace_that_is_being_deleted_takes_nothing_new_and_is_told_of() {
    let served = Served::of(Place::example("quickstart"));
    let going = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "items": [{"metadata": {"name": "shop", "uid": "u", "deletionTimestamp": "2026-11-25T08:00:00Z"}}]});
    let fault = json!({"match": "GET /api/v1/namespaces?", "body": going.to_string()});
    served.inject(&fault);
    let ran = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(
        ran.out
            .contains("namespace.main/shop and what is to be in it: it is"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("ksa.main/shop/checkout"), "{}", ran.out);
    assert!(
        ran.out.contains("gsa.checkout will be created"),
        "{}",
        ran.out
    );
    served.sandbox.heal();
    let ran = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(
        ran.out.contains("ksa.main/shop/checkout will be created"),
        "{}",
        ran.out
    );
}
