//! Kubernetes service accounts that nobody took out of the spec, and that it does not name any more where
//! they are: what pods rely on stays until it is relied on no more, or that is accepted.

use serde_json::{Value, json};
use wi_core::plan::Plan;

use crate::support::*;

const OLD: &str = "old@acme-prod.iam.gserviceaccount.com";
const EDGE: &str = "projects/acme-prod/locations/us-east1/clusters/edge";
const READER: &str = "roles/storage.objectViewer";

/// `shop` is where `env` is `prod`: on `far`, of another project, and not on `main` any more.
pub fn by_label(access: &str) -> String {
    format!(
        "apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: {{ location: europe-west1, labels: {{ env: dev }} }}
  far: {{ project: acme-far, location: europe-west1, labels: {{ env: prod }} }}
googleServiceAccounts:
  checkout: {{ grants: [{{ role: roles/pubsub.publisher, resource: topic/orders }}] }}
namespaces:
  shop:
    clusters: {{ env: prod }}
    serviceAccounts: {{ worker: {{ {access} }} }}
"
    )
}

pub const DIRECT: &str =
    "grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }]";

/// `shop/worker`, which `wi` made, is on `main`, and this runs there.
pub fn world(account: Option<&str>, running: Value) -> Value {
    let world = with(
        settled(),
        json!({
            "clusters": { "far": cluster("far", json!({})) },
            "numbers": { "acme-far": 77 },
            "policies": {
                "project/acme-far": {},
                "topic/acme-prod/orders": { "roles/pubsub.publisher": [format!("serviceAccount:{CHECKOUT}")] },
                (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": null },
            },
            "kubernetes": {
                "main": { "=ServiceAccount": { "shop/worker": ours(account) } },
                "far": { "Namespace": { "shop": {} }, "ServiceAccount": {} },
            },
        }),
    );
    with(world, json!({ "kubernetes": { "main": running } }))
}

pub fn runs() -> Value {
    json!({ "Pod": { "shop/worker-0": pod("worker", "n", "worker") }, "Node": { "n": node("p1") } })
}

pub fn idle() -> Value {
    json!({ "Pod": {}, "Node": { "n": node("p1") } })
}

pub const KSA: &str = "ksa.main/shop/worker";
pub const GRANT: &str =
    "grant.acme-prod/shop/worker:roles/storage.objectViewer@bucket/acme-receipts";

fn goes(plan: &Plan) -> [bool; 2] {
    [KSA, GRANT].map(|address| changes(plan).contains(&format!("- {address}")))
}

#[test]
fn where_a_label_was_taken_away_what_pods_run_as_stays_with_what_it_has_and_is_named() {
    let plan = plan(&by_label(DIRECT), world(None, runs()));
    assert_eq!(goes(&plan), [false, false], "{:?}", changes(&plan));
    let held = held(&plan);
    says(
        &held,
        &[
            KSA,
            "the labels of cluster.main do not select the namespace shop any more",
            "StatefulSet shop/worker",
            "acceptLoss: [shop/ServiceAccount/worker]",
        ],
    );
    says(&held, &[GRANT, "cluster.main, where it is held back"]);
}

#[test]
fn what_nothing_runs_as_goes() {
    let plan = plan(&by_label(DIRECT), world(None, idle()));
    assert_eq!(goes(&plan), [true, true], "{:?}", held(&plan));
}

#[test]
fn what_makes_pods_counts_and_what_was_not_read_is_not_taken_for_nothing() {
    let cron = json!({ "CronJob": { "shop/nightly": { "spec": { "jobTemplate": { "spec": { "template": {
        "spec": { "serviceAccountName": "worker", "containers": [{ "name": "c" }] } } } } } } } });
    let refused = json!({ "CronJob": "cronjobs is forbidden" });
    let unread = json!({ "Pod": "pods is forbidden" });
    let not_listed = json!({ "Pod": false });
    for (running, words) in [
        (with(idle(), cron), "CronJob shop/nightly"),
        (with(idle(), refused), "the CronJobs could not be read"),
        (unread, "could not be read: pods is forbidden"),
        (not_listed, "they were not listed"),
    ] {
        let plan = plan(&by_label(DIRECT), world(None, running));
        assert_eq!(goes(&plan), [false, false], "{words}");
        says(&held(&plan), &[KSA, words]);
    }
}

#[test]
fn its_loss_is_accepted_by_name_by_workload_or_by_the_flag() {
    for pattern in [
        "shop/ServiceAccount/worker",
        "shop/StatefulSet/worker",
        "shop/*",
    ] {
        let spec = format!("{}acceptLoss: [{pattern}]\n", by_label(DIRECT));
        let plan = plan(&spec, world(None, runs()));
        assert!(goes(&plan)[0], "{pattern}: {:?}", held(&plan));
    }
    let other = format!(
        "{}acceptLoss: [shop/ServiceAccount/web]\n",
        by_label(DIRECT)
    );
    assert!(!goes(&plan(&other, world(None, runs())))[0]);
    assert_eq!(
        goes(&accepting(&by_label(DIRECT), world(None, runs()))),
        [true, true]
    );
}

#[test]
fn whoever_takes_a_cluster_out_of_a_list_means_it() {
    let spec = by_label(DIRECT).replace("clusters: { env: prod }", "clusters: [far]");
    assert_eq!(goes(&plan(&spec, world(None, runs()))), [true, true]);
}

/// The spec lets `worker` act otherwise where it is; on `main` it acts as `checkout` still.
#[test]
fn an_account_keeps_what_is_relied_on_where_the_spec_itself_has_gone_on_to_another() {
    let granted = |account: &str| {
        with(
            world(Some(account), runs()),
            json!({ "policies": { "bucket/acme-receipts": { READER: [format!("serviceAccount:{account}")] } } }),
        )
    };
    let grant = "grant.checkout:roles/storage.objectViewer@bucket/acme-receipts";
    let other = by_label(DIRECT);
    let left = plan(&other, granted(CHECKOUT));
    assert!(!left.changes.contains_key(grant), "{:?}", changes(&left));
    says(
        &left.warnings,
        &[grant, "stays", "ksa.main/shop/worker, which is held back"],
    );
    // What it takes from an account that it goes on with it takes from all.
    let same = by_label("impersonates: checkout");
    let meant = plan(&same, granted(CHECKOUT));
    assert!(meant.changes.contains_key(grant), "{:?}", changes(&meant));
    assert!(!goes(&meant)[0]);
}

fn successor(there: &Value) -> [bool; 2] {
    let spec = SPEC.replace(
        "      worker: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }\n",
        "  jobs:\n    serviceAccounts:\n      worker: { existing: true, grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }\n",
    );
    let world = with(
        settled(),
        json!({ "kubernetes": { "main": with(runs(), json!({
            "Namespace": { "jobs": {} }, "ServiceAccount": { "jobs/worker": there },
        })) } }),
    );
    let plan = plan(&spec, world);
    if there.is_null() {
        says(
            &held(&plan),
            &[KSA, "ksa.main/jobs/worker, which takes its place"],
        );
    }
    goes(&plan)
}

#[test]
fn one_that_moves_stays_until_others_have_made_the_new_one_as_it_is_to_be() {
    assert_eq!(successor(&Value::Null), [false, false]);
    assert_eq!(successor(&annotated(Some(OLD), "helm")), [false, false]);
    assert_eq!(successor(&annotated(None, "helm")), [true, true]);
}

/// `shop/worker` is on a cluster that the spec does not have.
fn outside(there: &Value, policies: Value) -> Value {
    let world = with(
        settled(),
        json!({ "outside": { EDGE: { "shop/worker": there } }, "policies": policies }),
    );
    with(
        world,
        json!({ "accounts": { "acme-prod": { "old": { "uniqueId": "2", "description": "[wi:shop]" } } } }),
    )
}

#[test]
fn identity_that_acts_as_itself_on_a_dropped_cluster_keeps_its_roles_once_the_spec_gives_it_an_account()
 {
    let spec = SPEC.replace(
        "worker: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }",
        "worker: { impersonates: checkout }",
    );
    let kept = plan(&spec, outside(&ours(None), json!({})));
    assert!(!kept.changes.contains_key(GRANT), "{:?}", changes(&kept));
    says(&kept.warnings, &[GRANT, "clusters/edge"]);
    // Others' is the same identity, and gets no annotation with that of the spec's.
    let world = outside(&annotated(None, "helm"), json!({}));
    let theirs = plan(&spec, world.clone());
    assert!(!theirs.changes.contains_key(GRANT));
    says(
        &theirs.warnings,
        &[GRANT, "clusters/edge", "not in the spec"],
    );
    let accepted = format!("{spec}acceptLoss: [shop/ServiceAccount/worker]\n");
    assert!(plan(&accepted, world).changes.contains_key(GRANT));
    // So it is in a cluster of the spec where that does not name it.
    let clusters = "clusters: { main: { location: europe-west1 }, far: { location: us-east1 } }";
    let two = spec
        .replace("clusters: { main: { location: europe-west1 } }", clusters)
        .replace("  shop:\n", "  shop:\n    clusters: [main]\n");
    let far = |there: Value| {
        let world = json!({
            "clusters": { "far": cluster("far", json!({})) },
            "kubernetes": { "far": { "Namespace": { "shop": {} }, "ServiceAccount": { "shop/worker": there } } },
        });
        plan(&two, with(settled(), world))
    };
    let unnamed = far(annotated(None, "helm"));
    assert!(!unnamed.changes.contains_key(GRANT));
    says(
        &unnamed.warnings,
        &[GRANT, "ksa.far/shop/worker", "does not name there"],
    );
    assert!(
        far(annotated(Some(CHECKOUT), "helm"))
            .changes
            .contains_key(GRANT)
    );
    // One that acts as an account does not live on it.
    let acting = plan(
        &spec,
        outside(&annotated(Some(CHECKOUT), "helm"), json!({})),
    );
    assert!(acting.changes.contains_key(GRANT));
}

#[test]
fn account_that_the_same_name_is_annotated_with_on_a_cluster_of_others_keeps_what_it_has() {
    let policies =
        json!({ "project/acme-prod": { "roles/viewer": [format!("serviceAccount:{OLD}")] } });
    let grant = "grant.old:roles/viewer@project/acme-prod";
    let kept = plan(
        SPEC,
        outside(&annotated(Some(OLD), "helm"), policies.clone()),
    );
    assert!(!kept.changes.contains_key(grant), "{:?}", changes(&kept));
    assert!(!kept.changes.contains_key("gsa.old"));
    let accepted = accepting(SPEC, outside(&annotated(Some(OLD), "helm"), policies));
    assert!(
        accepted.changes.contains_key(grant),
        "{:?}",
        changes(&accepted)
    );
}

#[test]
fn former_spec_says_where_clusters_were_that_are_looked_at() {
    let mut now = desired(SPEC);
    let former = SPEC.replace(
        "main: { location: europe-west1 }",
        "main: { location: europe-west1 }, far: { project: acme-far, location: europe-west1 }",
    );
    now.succeed(&desired(&former));
    let reads = wi_core::read_set::ReadSet::of(&now);
    let listed: Vec<String> = reads
        .former_clusters
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listed, ["acme-far", "acme-prod"]);
}

/// `shop` is on both clusters of the project, `worker` just where it says.
fn on(clusters: &str) -> String {
    format!(
        "apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: {{ location: europe-west1, labels: {{ env: dev }} }}
  far: {{ location: us-east1, labels: {{ env: prod }} }}
googleServiceAccounts:
  checkout: {{ grants: [{{ role: roles/pubsub.publisher, resource: topic/orders }}] }}
namespaces:
  shop:
    serviceAccounts:
      worker: {{ clusters: {clusters}, {DIRECT} }}
"
    )
}

/// `shop/worker`, which `wi` made, is on both, and this runs on `main`.
fn on_both(running: Value) -> Value {
    let far = with(cluster("far", json!({})), json!({ "location": "us-east1" }));
    let there =
        json!({ "Namespace": { "shop": {} }, "ServiceAccount": { "shop/worker": ours(None) } });
    with(
        world(None, running),
        json!({ "clusters": { "far": far }, "kubernetes": { "far": there } }),
    )
}

#[test]
fn service_account_is_on_those_of_its_namespaces_clusters_that_it_names() {
    let desired = desired(&on("[far]"));
    let keys: Vec<String> = desired.ksas.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["ksa.far/shop/worker"]);
    assert_eq!(desired.namespaces.len(), 2);
    // Out of one by its name it goes there, and what the identity has stays for the other.
    let plan = plan(&on("[far]"), on_both(runs()));
    assert_eq!(goes(&plan), [true, false], "{:?}", held(&plan));
}

#[test]
fn service_account_whose_cluster_lost_the_label_stays_while_pods_run_as_it() {
    let spec = on("{ env: prod }");
    let plan = plan(&spec, on_both(runs()));
    assert_eq!(goes(&plan), [false, false], "{:?}", changes(&plan));
    says(
        &held(&plan),
        &[
            KSA,
            "the labels of cluster.main do not select shop/worker any more",
            "StatefulSet shop/worker",
        ],
    );
    let plan = crate::support::plan(&spec, on_both(idle()));
    assert_eq!(goes(&plan), [true, false], "{:?}", held(&plan));
}

/// What `wi` deletes takes its mark along: while something of what it has is held back, the last one stays.
#[test]
fn last_service_account_with_the_mark_stays_while_what_it_has_is_held_back() {
    let spec = SPEC.replace(
        "      worker: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }\n",
        "removed: [bucket/acme-receipts]\n",
    );
    let two = spec.replace(
        "clusters: { main: { location: europe-west1 } }",
        "clusters: { main: { location: europe-west1 }, second: { location: europe-west1 } }",
    );
    let edge = |there: Value| with(settled(), json!({ "outside": { EDGE: there } }));
    let elsewhere = edge(json!({ "shop/worker": annotated(None, "helm") }));
    let gone = |plan: &Plan| -> Vec<String> {
        let gone = changes(plan).into_iter();
        gone.filter(|c| c.starts_with('-')).collect()
    };
    let held_back = plan(&spec, elsewhere.clone());
    assert_eq!(gone(&held_back), [""; 0], "{:?}", held(&held_back));
    says(&held(&held_back), &[KSA, "its mark tells whose", READER]);
    // On two clusters one mark is enough.
    let second = json!({
        "clusters": { "second": cluster("second", json!({})) },
        "kubernetes": { "second": { "Namespace": { "shop": {} }, "ServiceAccount": { "shop/worker": ours(None) } } },
    });
    let both = plan(&two, with(elsewhere.clone(), second));
    assert_eq!(gone(&both), [format!("- {KSA}")], "{:?}", held(&both));
    says(
        &held(&both),
        &["ksa.second/shop/worker", "its mark tells whose"],
    );
    // With its grant it goes.
    for plan in [plan(&spec, edge(json!({}))), accepting(&spec, elsewhere)] {
        assert_eq!(gone(&plan).len(), 2, "{:?}", held(&plan));
    }
}
