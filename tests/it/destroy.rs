//! `wi destroy`: all that a spec owns goes, in order, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wi_sandbox::World;

use crate::support::inside::Inside;
use crate::support::pty::answered;
use crate::support::{Place, flat};

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
googleServiceAccounts:
  checkout: { grants: [roles/cloudsql.client] }
  keeper: { onRemove: keep, grants: [roles/pubsub.viewer] }
  others: { email: others@acme-prod.iam.gserviceaccount.com, grants: [roles/pubsub.viewer] }
namespaces:
  shop:
    serviceAccounts:
      web: { impersonates: checkout }
      direct: { grants: [{ role: roles/storage.objectViewer, resource: bucket/receipts }] }
      later: { existing: true, grants: [{ role: roles/storage.objectUser, resource: bucket/receipts }] }
";

/// With an account, a service account of Kubernetes and grants of somebody else, and a pod of the spec's.
const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    number: 123456789012
    serviceAccounts: { others: {}, foreign: {} }
    policy: { bindings: [
      { role: roles/cloudsql.client, members: ['serviceAccount:foreign@acme-prod.iam.gserviceaccount.com'] },
      { role: roles/logging.logWriter, members: ['serviceAccount:others@acme-prod.iam.gserviceaccount.com'] } ] }
buckets: { receipts: { project: acme-prod } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    autopilot: true
    namespaces: { shop: { serviceAccounts: { later: {}, theirs: {} } } }
    pods: [{ name: web-0, namespace: shop, serviceAccountName: web, owner: { kind: StatefulSet, name: web } }]
";

/// Each member of each policy, as `PATH ROLE MEMBER`.
fn members(world: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk("", world, &mut |path, value| {
        for binding in value["bindings"].as_array().into_iter().flatten() {
            for member in binding["members"].as_array().into_iter().flatten() {
                found.insert(format!("{path} {} {member}", binding["role"]));
            }
        }
    });
    found
}

/// Each Kubernetes service account of the namespace, and its marks and annotations.
fn service_accounts(world: &Value) -> BTreeMap<String, String> {
    let accounts = &world["clusters"][0]["namespaces"]["shop"]["serviceAccounts"];
    let accounts = accounts.as_object().expect("service accounts");
    let marks = |a: &Value| format!("{} {}", a["annotations"], a["labels"]);
    accounts
        .iter()
        .map(|(n, a)| (n.clone(), marks(a)))
        .collect()
}

fn walk(path: &str, value: &Value, see: &mut dyn FnMut(&str, &Value)) {
    see(path, value);
    for (key, below) in value.as_object().into_iter().flatten() {
        walk(&format!("{path}/{key}"), below, see);
    }
}

#[tokio::test]
async fn all_that_a_spec_owns_goes_and_nothing_else() {
    let world = World::parse(WORLD, "world.yaml").expect("a world");
    let inside = Inside::start(SPEC, world).await;
    let before = inside.world();
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    let plan = inside.wi(&["plan", "--destroy"]).await.ok();
    let said = flat(&plan.out);
    assert!(
        said.contains("as which these act: StatefulSet shop/web"),
        "{}",
        plan.out
    );
    assert!(
        plan.err
            .contains("Clusters and node pools keep Workload Identity"),
        "{}",
        plan.err
    );
    // Without a question, the brake has to be let go by its flag.
    let ran = inside.wi(&["destroy", "--auto-approve"]).await.fails();
    assert!(ran.out.contains("--allow-mass-removal"), "{}", ran.out);
    let saved = ["plan", "--destroy", "--out", "d.plan"];
    inside.wi(&saved).await.fails();

    let gone = ["destroy", "--auto-approve", "--allow-mass-removal"];
    let ran = inside.wi(&gone).await.ok();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    let after = inside.world();
    let (stays, new) = (members(&before), members(&after));
    assert!(stays.is_subset(&new), "{stays:#?}\n{new:#?}");
    let new: Vec<&String> = new.difference(&stays).collect();
    let others = ["keeper@", "others@"].map(|a| new.iter().filter(|m| m.contains(a)).count());
    assert!(new.len() == 2 && others == [1, 1], "{new:#?}");
    assert_eq!(service_accounts(&before), service_accounts(&after));
    let account = |name: &str| &after["projects"]["acme-prod"]["serviceAccounts"][name];
    assert_eq!(account("checkout")["disabled"], true, "{after:#}");
    assert_ne!(account("keeper")["disabled"], true, "{after:#}");
    assert_eq!(
        after["clusters"][0]["workloadPool"],
        "acme-prod.svc.id.goog"
    );
    let again = inside.wi(&gone).await.ok();
    assert!(again.out.contains("No changes."), "{}", again.out);
    // What stays is told each time, and nothing else.
    again.says(&[
        "keeper@acme-prod.iam.gserviceaccount.com keeps what the spec gave it",
        "others@acme-prod.iam.gserviceaccount.com keeps what the spec gave it",
        "roles/pubsub.viewer on project/acme-prod",
    ]);
    assert_eq!(again.out.matches("Warning").count(), 2, "{}", again.out);
}

/// On a terminal the name of the spec is the answer, and nothing else is.
#[test]
fn the_name_of_the_spec_is_asked_for() {
    let place = Place::new(SPEC, WORLD);
    place.wi(&["apply", "--auto-approve"]).ok();
    let destroy = |answer| {
        let mut command = place.command(&["destroy", "--sandbox"]);
        answered(&mut command, 80, answer)
    };
    let shown = destroy("yes\n");
    assert!(shown.contains("Apply cancelled."), "{shown}");
    let shown = destroy("shop\n");
    assert!(
        shown.contains("all that the spec 'shop' owns?") && shown.contains("Apply complete!"),
        "{shown}"
    );
    // As Terraform's users type it.
    place.wi(&["plan", "-destroy"]).ok().says(&["No changes."]);
}

/// What was there before the spec is given back whole: its annotation stays, since others own it, and so does what that
/// relies on. By the oracle its pod has what it had.
#[tokio::test]
async fn what_was_only_adopted_is_given_back_whole() {
    const GSA: &str = "backend@acme-prod.iam.gserviceaccount.com";
    let world = World::parse(
        &format!(
            "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    number: 123456789012
    policy: {{ bindings: [{{ role: roles/pubsub.publisher, members: ['serviceAccount:{GSA}'] }}] }}
    serviceAccounts:
      backend:
        policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: ['serviceAccount:acme-prod.svc.id.goog[shop/web]'] }}] }}
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }}]
    namespaces: {{ shop: {{ serviceAccounts: {{ web: {{ annotations: {{ iam.gke.io/gcp-service-account: {GSA} }} }} }} }} }}
    pods: [{{ name: web-0, namespace: shop, serviceAccountName: web, owner: {{ kind: StatefulSet, name: web }} }}]
"
        ),
        "world.yaml",
    )
    .expect("a world");
    let spec = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts: { backend: { grants: [roles/pubsub.publisher] } }
namespaces: { shop: { serviceAccounts: { web: { impersonates: backend } } } }
";
    let inside = Inside::start(spec, world).await;
    let publishes = || {
        let pods = inside.sandbox.access();
        let mut roles = pods.iter().flat_map(|pod| &pod.roles);
        roles.any(|r| r.role == "roles/pubsub.publisher")
    };
    assert!(publishes());
    inside.wi(&["apply", "--auto-approve"]).await.ok();
    let gone = ["destroy", "--auto-approve", "--allow-mass-removal"];
    let ran = inside.wi(&gone).await.ok();
    assert!(
        flat(&ran.out).contains("owns it, too, and so does what it relies on"),
        "{}",
        ran.out
    );
    assert!(publishes(), "{}", ran.out);
    let world = inside.world();
    assert!(!world.to_string().contains("[wi:shop]"), "{world:#}");
    inside.wi(&gone).await.ok().says(&["No changes."]);
}
