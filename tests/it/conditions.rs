//! Grants under conditions, from outside: a condition counts by all of it, not by its title, and no pod
//! loses access when it changes. The sandbox's access oracle says what a pod can do after each write.

use crate::support::inside::Inside;
use wi_sandbox::{Sample, World};

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

/// A spec with these grants of the account that the pod acts as.
fn spec(grants: &[&str]) -> String {
    let none = if grants.is_empty() { " []" } else { "" };
    let grants: String = grants
        .iter()
        .map(|g| format!("      - {{ role: roles/storage.objectViewer, resource: bucket/receipts, condition: {{ {g} }} }}\n"))
        .collect();
    format!(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: {{ location: europe-west1 }}\n\
         googleServiceAccounts:\n  checkout:\n    grants:{none}\n{grants}\
         namespaces:\n  shop:\n    serviceAccounts:\n      web: {{ impersonates: checkout }}\n"
    )
}

fn until(year: u32) -> String {
    format!("title: until, expression: 'request.time < timestamp(\"{year}-01-01T00:00:00Z\")'")
}

async fn applied(grants: &[&str]) -> Inside {
    let world = World::parse(WORLD, "world.yaml").expect("a world");
    let inside = Inside::start(&spec(grants), world).await;
    inside
        .wi(&["apply", "--auto-approve", "--accept-loss"])
        .await
        .ok();
    inside
}

fn reads_receipts(sample: &Sample) -> bool {
    let mut roles = sample.pods.iter().flat_map(|pod| &pod.roles);
    roles.any(|r| r.resource == "bucket/receipts" && r.only_if.is_none())
}

/// Applies `grants` in place of those of before; what the pod could do after each write.
async fn changed_to(inside: &Inside, grants: &[&str]) -> Vec<Sample> {
    inside.place.write("wi.yaml", &spec(grants));
    inside.sandbox.record_access();
    let before = inside.sandbox.writes();
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    assert!(inside.sandbox.writes() > before, "nothing was written");
    inside.sandbox.recorded_access()
}

async fn is_at_rest(inside: &Inside) {
    let again = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(again.code, Some(0), "{}", again.out);
}

#[tokio::test]
async fn condition_whose_expression_changes_under_its_title_is_added_and_the_former_removed() {
    let inside = applied(&[&until(2090)]).await;
    inside.place.write("wi.yaml", &spec(&[&until(2091)]));
    let plan = inside.wi(&["plan"]).await.ok();
    assert!(
        plan.out
            .contains("Plan: 1 to add, 0 to change, 1 to destroy."),
        "{}",
        plan.out
    );
    let samples = changed_to(&inside, &[&until(2091)]).await;
    for sample in &samples {
        assert!(
            reads_receipts(sample),
            "after {}: {:#?}",
            sample.after,
            sample.pods
        );
    }
    is_at_rest(&inside).await;
}

#[tokio::test]
async fn condition_whose_description_changes_keeps_its_access() {
    let described = |text: &str| format!("{}, description: {text}", until(2090));
    let inside = applied(&[&described("first")]).await;
    let samples = changed_to(&inside, &[&described("second")]).await;
    assert!(samples.iter().all(reads_receipts), "{samples:#?}");
    is_at_rest(&inside).await;
}

#[tokio::test]
async fn conditions_of_one_title_are_two_grants() {
    let inside = applied(&[]).await;
    let grants = [until(2090), until(2091)];
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    inside.place.write("wi.yaml", &spec(&grants));
    let address = "grant.checkout:roles/storage.objectViewer@bucket/receipts?until";
    // All of one title, or just one.
    let both = inside.wi(&["plan", "--target", address]).await.ok();
    assert!(both.out.contains("Plan: 2 to add"), "{}", both.out);
    let exact = both
        .out
        .lines()
        .find_map(|l| l.trim().strip_prefix("+ ")?.strip_prefix(address));
    let exact = format!("{address}{}", exact.expect("an address"));
    let one = inside.wi(&["plan", "--target", &exact]).await.ok();
    assert!(one.out.contains("Plan: 1 to add"), "{}", one.out);
    assert_eq!(
        one.out.matches(&exact).count(),
        2,
        "it is the same as before: {}",
        one.out
    );
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    is_at_rest(&inside).await;
    let bindings = inside.world()["buckets"]["receipts"]["policy"]["bindings"].clone();
    let count = bindings
        .as_array()
        .expect("bindings")
        .iter()
        .filter(|b| b["condition"]["title"] == "until")
        .count();
    assert_eq!(count, 2, "{bindings}");
}
