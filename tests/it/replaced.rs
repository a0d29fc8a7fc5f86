//! What is removed waits for what takes its place, from outside: where the server refuses an addition, where it
//! cannot be started, where a part is chosen, where a Kubernetes service account moves, and where others write
//! the annotation. The sandbox's access oracle says what the pod can do.

use serde_json::json;
use wi_sandbox::World;

use crate::support::inside::Inside;
use crate::support::{Place, flat};

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects: { acme-prod: { number: 123456789012 } }
buckets: { receipts: { project: acme-prod, uniformBucketLevelAccess: true } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    nodePools: [{ name: default-pool, nodes: 1 }]
    pods: [{ name: web-0, namespace: shop, serviceAccountName: web, owner: { kind: StatefulSet, name: web } }]
    namespaces: { shop: { serviceAccounts: { web: {} } } }
";

const HEAD: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
";

/// A spec in which the pod acts as `checkout`, which has this role on the bucket.
fn spec(role: &str, more: &str) -> String {
    format!(
        "{HEAD}googleServiceAccounts:\n  checkout: {{ {more} grants: [{{ role: {role}, resource: bucket/receipts }}] }}\n\
         namespaces:\n  shop:\n    serviceAccounts:\n      web: {{ impersonates: checkout }}\n"
    )
}

const VIEWER: &str = "roles/storage.objectViewer";
const USER: &str = "roles/storage.objectUser";

async fn applied(spec: &str) -> Inside {
    let world = World::parse(WORLD, "world.yaml").expect("a world");
    let inside = Inside::start(spec, world).await;
    let apply = ["apply", "--auto-approve", "--accept-loss"];
    inside.wi(&apply).await.ok();
    inside
}

/// The roles on the bucket that the pod's token has.
fn roles(inside: &Inside) -> Vec<String> {
    let pods = inside.sandbox.access();
    let roles = pods.iter().flat_map(|pod| &pod.roles);
    let on_bucket = roles.filter(|r| r.resource == "bucket/receipts");
    on_bucket.map(|r| r.role.clone()).collect()
}

const WRITE: &str = "PUT /storage/v1/b/receipts/iam";

#[tokio::test]
async fn removal_is_not_written_where_the_addition_in_its_place_is_refused() {
    let inside = applied(&spec(VIEWER, "")).await;
    inside.place.write("wi.yaml", &spec(USER, ""));
    // Both together, and then the addition alone; a removal alone would be taken.
    let message = "Role roles/storage.objectUser is not supported for this resource.";
    inside.inject(&json!({ "match": WRITE, "status": 400, "message": message, "times": 2 }));
    let before = inside
        .counts()
        .get(WRITE)
        .and_then(|n| n.as_u64())
        .unwrap_or(0);
    let ran = inside.wi(&["apply", "--auto-approve"]).await.fails();
    assert_eq!(roles(&inside), [VIEWER], "{}", ran.out);
    assert_eq!(inside.counts()[WRITE], before + 2, "{:?}", inside.counts());
    assert!(
        ran.out.contains("is not supported for this resource"),
        "{}",
        ran.out
    );
    let waits = "Not started, because of grant.checkout:roles/storage.objectUser@bucket/receipts:";
    assert!(ran.out.contains(waits), "{}", ran.out);
    // Once it is taken, both are one write, and nobody is without.
    inside.sandbox.record_access();
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    assert_eq!(roles(&inside), [USER]);
    assert_eq!(inside.counts()[WRITE], before + 3);
    for sample in inside.sandbox.recorded_access() {
        assert!(
            sample
                .pods
                .iter()
                .all(|p| p.roles.iter().any(|r| r.resource == "bucket/receipts"))
        );
    }
}

#[tokio::test]
async fn removal_is_not_started_where_the_addition_in_its_place_is_not() {
    let inside = applied(&spec(VIEWER, "")).await;
    inside
        .place
        .write("wi.yaml", &spec(USER, "displayName: Checkout,"));
    let account = "PATCH /v1/projects/acme-prod/serviceAccounts/*";
    inside.inject(&json!({ "match": account, "denied": true }));
    let ran = inside.wi(&["apply", "--auto-approve"]).await.fails();
    assert!(
        ran.out.contains("Not started, because of gsa.checkout"),
        "{}",
        ran.out
    );
    assert_eq!(roles(&inside), [VIEWER], "{}", ran.out);
    inside.sandbox.heal();
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    assert_eq!(roles(&inside), [USER]);
}

#[tokio::test]
async fn target_of_a_removal_takes_the_addition_in_its_place_along() {
    let inside = applied(&spec(VIEWER, "")).await;
    inside.place.write("wi.yaml", &spec(USER, ""));
    let removal = format!("grant.checkout:{VIEWER}@bucket/receipts");
    let ran = inside
        .wi(&["apply", "--auto-approve", "--target", &removal])
        .await
        .ok();
    assert!(
        ran.out.contains("1 added, 0 changed, 1 destroyed"),
        "{}",
        ran.out
    );
    assert_eq!(roles(&inside), [USER]);
}

#[tokio::test]
async fn service_account_that_moves_is_removed_after_the_new_one_is_there() {
    let inside = applied(&spec(VIEWER, "")).await;
    let moved = spec(VIEWER, "").replace("  shop:\n", "  store:\n");
    inside.place.write("wi.yaml", &moved);
    let all = "/kubernetes/acme-prod/europe-west1/main/api/v1/namespaces";
    let made = "PATCH /api/v1/namespaces/store/serviceaccounts/web";
    inside.inject(&json!({ "match": made, "status": 422, "message": "quota" }));
    let apply = ["apply", "--auto-approve", "--allow-mass-removal"];
    let ran = inside.wi(&apply).await.fails();
    assert_eq!(roles(&inside), [VIEWER], "{}", ran.out);
    let released = format!("PATCH {all}/shop/serviceaccounts/web");
    let so_far = inside.counts().get(&released).cloned();
    inside.sandbox.heal();
    inside.wi(&apply).await.ok();
    assert_ne!(
        inside.counts().get(&released).cloned(),
        so_far,
        "it is released in the end"
    );
    let again = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(again.code, Some(0), "{}", again.out);
}

const EMAIL: &str = "former-app@acme-prod.iam.gserviceaccount.com";

/// A spec in which others write the annotation of `web`, which is to act as this account.
fn referring(account: &str) -> String {
    format!(
        "{HEAD}googleServiceAccounts:\n  {account}: {{ grants: [{{ role: {VIEWER}, resource: bucket/receipts }}] }}\n\
         namespaces:\n  shop:\n    serviceAccounts:\n      web: {{ existing: true, impersonates: {account} }}\n"
    )
}

#[test]
fn removal_waits_for_an_annotation_that_others_write() {
    let annotated =
        format!("web: {{ annotations: {{ iam.gke.io/gcp-service-account: {EMAIL} }} }}");
    let place = Place::new(
        &referring("former-app"),
        &WORLD.replace("web: {}", &annotated),
    );
    let apply = [
        "apply",
        "--auto-approve",
        "--accept-loss",
        "--allow-mass-removal",
    ];
    place.wi(&apply).ok();
    place.write("wi.yaml", &referring("newer-app"));
    let ran = place.wi(&apply).ok();
    for stays in ["gsa.former-app", "grant.former-app:"] {
        assert!(
            ran.out.contains(&format!("Warning: {stays}")),
            "{stays}:\n{}",
            ran.out
        );
    }
    assert!(ran.out.contains("0 destroyed"), "{}", ran.out);
    let state = place.state().to_string();
    let account = &place.state()["projects"]["acme-prod"]["serviceAccounts"]["former-app"];
    assert_ne!(account["disabled"], true, "{account}");
    assert!(
        state.contains(&format!("serviceAccount:{EMAIL}")),
        "its role stays: {state}"
    );
    // The others write what is wanted: now nobody relies on it.
    let wanted = EMAIL.replace("former", "newer");
    let key = "iam.gke.io/gcp-service-account: ";
    place.edit_state(|s| s.replace(&format!("{key}{EMAIL}"), &format!("{key}{wanted}")));
    let plan = place.wi(&["plan", "--allow-mass-removal"]).ok();
    assert!(
        plan.out.contains("gsa.former-app will be disabled"),
        "{}",
        plan.out
    );
    assert!(plan.out.contains("3 to destroy"), "{}", plan.out);
    assert!(!plan.out.contains("stays, though"), "{}", plan.out);
}

#[test]
fn binding_waits_for_an_annotation_that_others_write() {
    let annotated =
        format!("web: {{ annotations: {{ iam.gke.io/gcp-service-account: {EMAIL} }} }}");
    let accounts = "googleServiceAccounts:\n  newer-app: {}\n";
    let both = |account: &str, other: &str| {
        let other = format!("googleServiceAccounts:\n  {other}: {{}}\n");
        referring(account).replace("googleServiceAccounts:\n", &other)
    };
    assert!(both("former-app", "newer-app").contains(accounts));
    let place = Place::new(
        &both("former-app", "newer-app"),
        &WORLD.replace("web: {}", &annotated),
    );
    let apply = [
        "apply",
        "--auto-approve",
        "--accept-loss",
        "--allow-mass-removal",
    ];
    place.wi(&apply).ok();
    place.write("wi.yaml", &both("newer-app", "former-app"));
    let ran = place.wi(&apply).ok();
    for stays in ["grant.former-app:", "binding.former-app/acme-prod/shop/web"] {
        let stays = format!("Warning: {stays}");
        assert!(ran.out.contains(&stays), "{stays}:\n{}", ran.out);
    }
    assert!(ran.out.contains("0 destroyed"), "{}", ran.out);
}

/// One binding on the project lets it act as all accounts there.
#[test]
fn right_to_act_as_all_accounts_waits_for_an_annotation_that_others_write() {
    let annotated =
        format!("web: {{ annotations: {{ iam.gke.io/gcp-service-account: {EMAIL} }} }}");
    let member = "serviceAccount:acme-prod.svc.id.goog[shop/web]";
    let project = format!(
        "acme-prod: {{ number: 123456789012, serviceAccounts: {{ former-app: {{}} }}, policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [\"{member}\"] }}] }} }}"
    );
    let world = WORLD
        .replace("web: {}", &annotated)
        .replace("acme-prod: { number: 123456789012 }", &project);
    let alone = format!(
        "{HEAD}namespaces: {{ shop: {{ serviceAccounts: {{ web: {{ existing: true }} }} }} }}\n"
    );
    for spec in [referring("newer-app"), alone] {
        let place = Place::new(&spec, &world);
        let apply = ["apply", "--auto-approve", "--allow-mass-removal"];
        let ran = place.wi(&apply).ok();
        let grant = "grant.acme-prod/shop/web:roles/iam.workloadIdentityUser@project/acme-prod";
        let stays = format!("{grant} stays, though");
        assert!(flat(&ran.out).contains(&stays), "{}", ran.out);
        let policy = &place.state()["projects"]["acme-prod"]["policy"];
        assert!(policy.to_string().contains(member), "{policy}");
    }
}

#[test]
fn direct_grant_waits_for_an_annotation_that_others_write() {
    let direct = format!(
        "{HEAD}namespaces:\n  shop:\n    serviceAccounts:\n      web: {{ existing: true, grants: [{{ role: {VIEWER}, resource: bucket/receipts }}] }}\n"
    );
    let place = Place::new(&direct, WORLD);
    let apply = [
        "apply",
        "--auto-approve",
        "--accept-loss",
        "--allow-mass-removal",
    ];
    place.wi(&apply).ok();
    place.write("wi.yaml", &referring("newer-app"));
    let ran = place.wi(&apply).ok();
    let stays = "Warning: grant.acme-prod/shop/web:roles/storage.objectViewer@bucket/receipts";
    assert!(ran.out.contains(stays), "{}", ran.out);
    assert!(place.state().to_string().contains("subject/ns/shop/sa/web"));
}
