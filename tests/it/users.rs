//! Others who may act as an account that the spec manages: what is used is held back and named, what cannot be
//! seen is kept and told, what nobody uses goes, and what is declared is kept and quiet.

use serde_json::{Value, json};
use wi_sandbox::World;

use crate::support::Place;
use crate::support::inside::{Inside, runtime};

const EMAIL: &str = "metrics-exporter@acme-prod.iam.gserviceaccount.com";
const GRAFANA: &str = "serviceAccount:acme-prod.svc.id.goog[grafana/grafana]";
const OURS: &str = "serviceAccount:acme-prod.svc.id.goog[mon/exporter]";
const FLEET: &str = "serviceAccount:acme-hub.svc.id.goog[sync/reconciler]";
const SET: &str = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/tools";

fn spec(account: &str, rest: &str) -> String {
    format!(
        "apiVersion: wi/v1
name: mon
project: acme-prod
clusters: {{ main: {{ location: europe-west1 }} }}
googleServiceAccounts: {{ exporter: {{ id: metrics-exporter, grants: [roles/monitoring.viewer]{account} }} }}
namespaces: {{ mon: {{ serviceAccounts: {{ exporter: {{ impersonates: exporter }} }} }} }}
{rest}"
    )
}

/// The account, as which `members` may act; the namespaces of the cluster `main`, and more clusters.
fn world(members: &[&str], namespaces: &str, pods: &str, clusters: &str) -> String {
    let members: Vec<String> = members.iter().map(|m| format!("\"{m}\"")).collect();
    format!(
        "apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-hub: {{ number: 333333333333, workloadPoolSince: 2026-01-01T00:00:00Z }}
  acme-prod:
    number: 123456789012
    workloadPoolSince: 2026-01-01T00:00:00Z
    policy: {{ bindings: [{{ role: roles/monitoring.viewer, members: [\"serviceAccount:{EMAIL}\"] }}] }}
    serviceAccounts:
      metrics-exporter: {{ policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [{}] }}] }} }}
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    autopilot: true
    namespaces: {{ {namespaces} }}
    pods: [{pods}]
{clusters}",
        members.join(", ")
    )
}

fn annotated(more: &str) -> String {
    format!(
        "grafana: {{ serviceAccounts: {{ grafana: {{ {more} annotations: {{ iam.gke.io/gcp-service-account: {EMAIL}{} }} }} }} }}",
        if more.is_empty() {
            ""
        } else {
            ", wi/owner: dashboards"
        }
    )
}

const POD: &str = "{ name: grafana-1, namespace: grafana, serviceAccountName: grafana, owner: { kind: ReplicaSet, name: grafana-66d9c } }";
const EDGE: &str = "  - { project: acme-prod, location: us-central1, name: edge, autopilot: true, namespaces: { NAMESPACES } }\n";

fn who_may_act(state: &Value) -> Vec<String> {
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["metrics-exporter"];
    let bindings = account["policy"]["bindings"].as_array();
    let members = bindings
        .into_iter()
        .flatten()
        .filter(|b| b["role"] == "roles/iam.workloadIdentityUser")
        .flat_map(|b| b["members"].as_array().cloned().unwrap_or_default());
    let mut members: Vec<String> = members
        .filter_map(|m| m.as_str().map(str::to_owned))
        .collect();
    members.sort();
    members
}

fn sorted(members: &[&str]) -> Vec<String> {
    let mut members: Vec<String> = members.iter().map(|m| (*m).to_owned()).collect();
    members.sort();
    members
}

#[track_caller]
fn is_quiet(place: &Place) {
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}", plan.out);
    assert!(plan.out.contains("No changes. Your"), "{}", plan.out);
}

#[test]
fn what_others_use_is_held_back_and_named_with_its_owner() {
    let place = Place::new(
        &spec("", ""),
        &world(&[GRAFANA], &annotated("appliedBy: wi,"), POD, ""),
    );
    let plan = place.wi(&["plan"]).ok();
    plan.says(&[
            "binding.exporter/acme-prod/grafana/grafana is held back",
            "used by grafana/grafana in cluster.main, annotated with it, of the spec named `dashboards`: Deployment grafana/grafana",
            "users: [grafana/grafana]",
            "acceptLoss: [grafana/ServiceAccount/grafana]",
            "1 held back",
        ],
    );
    assert!(!plan.out.contains("- loses"), "{}", plan.out);
    let json: Value = serde_json::from_str(&place.wi(&["plan", "--json"]).ok().out).expect("JSON");
    assert_eq!(json["wi"]["held_back"][0]["reason"], "in_use", "{json}");
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(who_may_act(&place.state()), sorted(&[GRAFANA, OURS]));
    let again = place.wi(&["plan"]).ok();
    again.says(&["No changes to what could be planned"]);

    // Declared, it is quiet.
    place.write("wi.yaml", &spec(", users: [grafana/grafana]", ""));
    is_quiet(&place);
    // Accepted, it goes, either way.
    let accepted = spec("", "acceptLoss: [grafana/ServiceAccount/grafana]\n");
    place.write("wi.yaml", &accepted);
    let plan = place.wi(&["plan"]).ok();
    plan.says(&["its loss is accepted, though it is used by"]);
    place.write("wi.yaml", &spec("", ""));
    place.wi(&["apply", "--auto-approve", "--accept-loss"]).ok();
    assert_eq!(who_may_act(&place.state()), sorted(&[OURS]));
}

/// It names the account in its own configuration, and is not annotated.
#[test]
fn a_pod_that_runs_as_it_is_a_user_too() {
    let bare = "grafana: { serviceAccounts: { grafana: {} } }";
    let place = Place::new(&spec("", ""), &world(&[GRAFANA], bare, POD, ""));
    let plan = place.wi(&["plan"]).ok();
    plan.says(&["used by grafana/grafana in cluster.main: Deployment grafana/grafana"]);
}

#[test]
fn what_nobody_uses_goes_for_the_true_reason() {
    let bare = "grafana: { serviceAccounts: { grafana: {} } }";
    let edge = EDGE.replace("NAMESPACES", "grafana: {}");
    for namespaces in [bare, "other: {}"] {
        let place = Place::new(&spec("", ""), &world(&[GRAFANA], namespaces, "", &edge));
        let plan = place.wi(&["plan"]).ok();
        plan.says(&["nobody uses this: in none of the 2 clusters of its pool"]);
        place.wi(&["apply", "--auto-approve"]).ok();
        assert_eq!(who_may_act(&place.state()), sorted(&[OURS]));
        is_quiet(&place);
    }
}

/// A cluster of the same project has the same identities, whether the spec has it or not.
#[test]
fn a_cluster_that_the_spec_does_not_have_is_looked_at() {
    let edge = EDGE.replace("NAMESPACES", &annotated(""));
    let world = world(&[GRAFANA], "other: {}", "", &edge);
    let place = Place::new(&spec("", ""), &world);
    let plan = place.wi(&["plan"]).ok();
    plan.says(&[
        "used by grafana/grafana in projects/acme-prod/locations/us-central1/clusters/edge",
    ]);
    // Not seen is not absent.
    runtime().block_on(async {
        let world = World::parse(&world.replace(&annotated(""), "grafana: {}"), "world.yaml");
        let inside = Inside::start(&spec("", ""), world.expect("a valid world")).await;
        inside.inject(&json!({"match": "TLS acme-prod/us-central1/edge", "tls": "cutOff"}));
        let plan = inside.wi(&["plan", "wi.yaml"]).await.ok();
        plan.says(&["whether it is used cannot be seen: projects/acme-prod/locations/us-central1/clusters/edge could not be read"]);
        inside.wi(&["apply", "wi.yaml", "--auto-approve"]).await.ok();
        assert_eq!(who_may_act(&inside.world()), sorted(&[GRAFANA, OURS]));
    });
}

#[test]
fn what_cannot_be_seen_is_kept_and_told_until_it_is_declared_or_accepted() {
    let place = Place::new(&spec("", ""), &world(&[FLEET, SET], "other: {}", "", ""));
    let plan = place.wi(&["plan"]).ok();
    plan.says(&[
        "binding.exporter/acme-hub/sync/reconciler is held back",
        "the spec has no cluster of the pool of acme-hub",
        "users: [acme-hub/sync/reconciler]",
        "is a set, and who is in it cannot be seen",
        "users: [acme-prod/tools/*]",
    ]);
    let json: Value = serde_json::from_str(&place.wi(&["plan", "--json"]).ok().out).expect("JSON");
    assert_eq!(json["wi"]["held_back"][0]["reason"], "use_unseen", "{json}");
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(who_may_act(&place.state()), sorted(&[FLEET, SET, OURS]));

    let users = ", users: [acme-hub/sync/reconciler, acme-prod/tools/*]";
    place.write("wi.yaml", &spec(users, ""));
    is_quiet(&place);
    place.write("wi.yaml", &spec("", ""));
    place
        .wi(&[
            "apply",
            "--auto-approve",
            "--accept-loss",
            "--allow-mass-removal",
        ])
        .ok();
    assert_eq!(who_may_act(&place.state()), sorted(&[OURS]));
}

/// Clusters of other projects that are in the fleet may have the pool.
#[test]
fn the_pool_of_a_fleet_is_not_seen_as_a_whole() {
    let world = world(&[GRAFANA], "other: {}", "", "");
    let in_fleet = world.replace(
        "    autopilot: true\n",
        "    autopilot: true\n    membership: main\n",
    );
    let plan = Place::new(&spec("", ""), &in_fleet).wi(&["plan"]).ok();
    plan.says(&["clusters of acme-prod are in a fleet, and clusters elsewhere may have its pool"]);
}

#[test]
fn users_that_are_declared_are_added_where_they_are_missing() {
    let by_iam = "\"principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/a/sa/b\"";
    let users = format!(
        ", users: [grafana/grafana, acme-hub/sync/reconciler, tools/*, cluster/acme-hub/europe-west1/hub, {by_iam}]"
    );
    let place = Place::new(&spec(&users, ""), &world(&[], "other: {}", "", ""));
    place.wi(&["apply", "--auto-approve"]).ok();
    let cluster = "principalSet://iam.googleapis.com/projects/333333333333/locations/global/workloadIdentityPools/acme-hub.svc.id.goog/kubernetes.cluster/https://container.googleapis.com/v1/projects/acme-hub/locations/europe-west1/clusters/hub";
    let by_name = "serviceAccount:acme-prod.svc.id.goog[a/b]";
    assert_eq!(
        who_may_act(&place.state()),
        sorted(&[OURS, GRAFANA, FLEET, SET, cluster, by_name])
    );
    is_quiet(&place);
}

#[test]
fn users_are_read_strictly() {
    for (users, said) in [
        ("users: [grafana]", "`grafana` is not a user of an account"),
        ("users: [\"*/grafana\"]", "is not a user of an account"),
        (
            "users: [\"user:ann@example.com\"]",
            "is not a user of an account",
        ),
        ("users: [grafana/Grafana]", "Write grafana."),
    ] {
        let place = Place::new(&spec(&format!(", {users}"), ""), "");
        place.wi(&["validate"]).fails().says(&[said]);
    }
    let external = format!(
        "apiVersion: wi/v1\nname: mon\nproject: acme-prod\ngoogleServiceAccounts: {{ exporter: {{ email: {EMAIL}, users: [a/b] }} }}\n"
    );
    let place = Place::new(&external, "");
    place
        .wi(&["validate"])
        .fails()
        .says(&["`users` would change it"]);
}

/// With the right to act as it they would lose all that it has.
#[test]
fn an_account_that_leaves_and_that_others_use_stays_whole() {
    let place = Place::new(
        &spec("", ""),
        &world(&[GRAFANA], &annotated(""), POD, "").replace(
            "metrics-exporter: {",
            "metrics-exporter: { description: \"[wi:mon]\",",
        ),
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    let without = "apiVersion: wi/v1\nname: mon\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { other-one: {} }\n";
    place.write("wi.yaml", without);
    let plan = place.wi(&["plan", "--allow-mass-removal"]).ok();
    plan.says(&[
        "gsa.metrics-exporter is held back",
        "left the spec, and others may act as it. It keeps what it has.",
        "used by grafana/grafana in cluster.main",
    ]);
    let all = ["apply", "--auto-approve", "--allow-mass-removal"];
    place.wi(&all).ok();
    let state = place.state();
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["metrics-exporter"];
    assert!(account["disabled"].is_null(), "{account}");
    assert!(who_may_act(&state).contains(&GRAFANA.to_owned()));
    let roles = &state["projects"]["acme-prod"]["policy"]["bindings"][0];
    assert_eq!(roles["members"], json!([format!("serviceAccount:{EMAIL}")]));
    place.wi(&[&all[..], &["--accept-loss"]].concat()).ok();
    let state = place.state();
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["metrics-exporter"];
    assert_eq!(account["disabled"], true, "{account}");
    assert_eq!(account["description"], "[wi:mon released]");
    assert_eq!(who_may_act(&state), Vec::<String>::new());
}

/// A saved plan rests on it that nobody uses what it takes away.
#[test]
fn a_saved_plan_is_stale_once_somebody_uses_what_it_takes_away() {
    let bare = "grafana: { serviceAccounts: { grafana: { annotations: { note: none } } } }";
    let place = Place::new(&spec("", ""), &world(&[GRAFANA], bare, "", ""));
    place.wi(&["plan", "wi.yaml", "--out", "p.plan"]).ok();
    place.edit_state(|state| {
        let used = format!("iam.gke.io/gcp-service-account: {EMAIL}");
        assert!(state.contains("note: none"), "{state}");
        state.replace("note: none", &used)
    });
    let apply = place.wi(&["apply", "p.plan"]);
    assert_eq!(apply.code, Some(4), "{apply:?}");
    apply.says(&["it is used by grafana/grafana in cluster.main, annotated with it"]);
    assert_eq!(who_may_act(&place.state()), sorted(&[GRAFANA]));
}

/// A project that never had a pool, by a typing error for instance: nobody makes it while the apply waits.
#[test]
fn a_user_of_a_project_without_a_pool_is_refused_at_once_in_own_words() {
    let plain = "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: { acme-prod: { number: 123456789012 }, acme-hub: { number: 333333333333 } }\nclusters: [{ project: acme-prod, location: europe-west1, name: main, autopilot: true }]\n";
    let users = ", users: [acme-hub/sync/reconciler]";
    runtime().block_on(async {
        let world = World::parse(plain, "world.yaml").expect("a valid world");
        let inside = Inside::start(&spec(users, ""), world).await;
        let apply = inside.wi(&["apply", "wi.yaml", "--auto-approve"]).await.fails();
        apply.says(&[
            "Identity Pool does not exist (acme-hub.svc.id.goog)",
            "No cluster of the project acme-hub ever had a workload pool, so that acme-hub/sync/reconciler is nobody",
        ]);
        assert!(!apply.err.contains("waiting until IAM"), "{}", apply.err);
        // What stands beside it is written.
        assert_eq!(who_may_act(&inside.world()), sorted(&[OURS]));
        let account = "POST /v1/projects/acme-prod/serviceAccounts/metrics-exporter@acme-prod.iam.gserviceaccount.com:setIamPolicy";
        let tries = inside.counts()[account].as_u64().expect("a count");
        assert!(tries <= 4, "it is not tried again: {tries}");
    });
}
