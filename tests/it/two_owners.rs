//! What two specs would take from each other for ever is an error that names both.

use crate::support::Place;

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod: { number: 123456789012, workloadPoolSince: 2026-01-01T00:00:00Z, serviceAccounts: { theirs: { description: \"[wi:pay]\" } } }
clusters:
  - { project: acme-prod, location: europe-west1, name: main, autopilot: true }
  - { project: acme-prod, location: us-central1, name: edge, autopilot: true }
";

fn spec(owner: &str, cluster: &str, location: &str, ksa: &str) -> String {
    format!(
        "apiVersion: wi/v1\nname: {owner}\nproject: acme-prod\nclusters: {{ {cluster}: {{ location: {location} }} }}\nnamespaces: {{ shop: {{ serviceAccounts: {{ web: {ksa} }} }} }}\n"
    )
}

const LOGS: &str = "{ grants: [roles/logging.logWriter] }";
const TOPICS: &str = "{ grants: [roles/pubsub.publisher] }";

/// The same namespace and service account in another cluster of the project.
#[test]
fn one_identity_with_two_owners_is_an_error_that_names_both() {
    let shop = spec("shop", "main", "europe-west1", LOGS);
    for theirs in [TOPICS, "{}"] {
        let pay = spec("pay", "edge", "us-central1", theirs);
        let place = Place::new(&shop, WORLD);
        place.wi(&["apply", "--auto-approve"]).ok();
        let before = place.state()["revision"].clone();
        place.write("wi.yaml", &pay);
        let apply = place.wi(&["apply", "--auto-approve"]).fails();
        apply.says(&[
                "acme-prod/shop/web is one identity in all clusters of its project and has two owners: this spec, `pay`",
                "the spec named `shop` has marked it in projects/acme-prod/locations/europe-west1/clusters/main",
                "--adopt-from shop",
            ],
        );
        assert_eq!(place.state()["revision"], before, "nothing is written");
        place.write("wi.yaml", &shop);
        assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
    }
}

/// Where neither has grants, nothing is taken from anybody.
#[test]
fn one_identity_without_grants_is_no_error() {
    let place = Place::new(&spec("shop", "main", "europe-west1", "{}"), WORLD);
    place.wi(&["apply", "--auto-approve"]).ok();
    let pay = spec("pay", "edge", "us-central1", "{}");
    place.write("wi.yaml", &pay);
    place.wi(&["apply", "--auto-approve"]).ok();
    assert_eq!(place.wi(&["plan", "--detailed-exitcode"]).code, Some(0));
}

/// `existing: true` uses what another spec owns, and leaves its roles to that.
#[test]
fn what_is_only_referred_to_is_granted_to_by_its_owner() {
    let place = Place::new(&spec("shop", "main", "europe-west1", LOGS), WORLD);
    place.wi(&["apply", "--auto-approve"]).ok();
    let existing = "{ existing: true, grants: [roles/pubsub.publisher] }";
    place.write("wi.yaml", &spec("pay", "main", "europe-west1", existing));
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    apply.says(&["has two owners", "has marked it in cluster.main"]);
}

#[test]
fn a_role_for_an_account_of_another_spec_is_granted_by_that() {
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { theirs: { email: theirs@acme-prod.iam.gserviceaccount.com, grants: [{ role: roles/logging.logWriter, resource: project/acme-prod }] } }\n";
    let place = Place::new(spec, WORLD);
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    apply.says(&[
            "theirs@acme-prod.iam.gserviceaccount.com belongs to the spec named `pay`, which decides about its roles on project/acme-prod and would take this one away",
        ],
    );
    // Let go, or nobody's, it is anybody's to grant to.
    let free = WORLD.replace("[wi:pay]", "[wi:pay released]");
    Place::new(spec, &free)
        .wi(&["apply", "--auto-approve"])
        .ok();
}

/// On whatever is in the account's project, its owner looks; elsewhere it may.
#[test]
fn a_role_for_an_account_of_another_spec_in_its_project_is_granted_by_that() {
    let world = format!(
        "{WORLD}resources:
  //pubsub.googleapis.com/projects/acme-prod/topics/events: {{}}
  //pubsub.googleapis.com/projects/acme-jobs/topics/events: {{}}
"
    )
    .replace("projects:\n", "projects:\n  acme-jobs: {}\n");
    let spec = |topic: &str| {
        format!(
            "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: {{ main: {{ location: europe-west1 }} }}
googleServiceAccounts: {{ theirs: {{ email: theirs@acme-prod.iam.gserviceaccount.com, grants: [{{ role: roles/pubsub.publisher, resource: {topic} }}] }} }}
"
        )
    };
    let pay = "apiVersion: wi/v1
name: pay
project: acme-prod
clusters: { edge: { location: us-central1 } }
googleServiceAccounts: { theirs: {}, other-sa: { grants: [{ role: roles/pubsub.publisher, resource: topic/events }] } }
";
    let place = Place::new(&spec("topic/acme-prod/events"), &world);
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    apply.says(&["`pay`, which decides about its roles on topic/acme-prod/events"]);
    place.write("wi.yaml", &spec("topic/acme-jobs/events"));
    let apply = place.wi(&["apply", "--auto-approve"]).ok();
    apply.says(&["Where it names topic/acme-jobs/events, have the role granted there"]);
    // The other team's runs take nothing of it.
    place.write("wi.yaml", pay);
    place.wi(&["apply", "--auto-approve"]).ok();
    place.write("wi.yaml", &spec("topic/acme-jobs/events"));
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}", plan.out);
}
