//! What is taken away is looked at again before that happens: what somebody has come to rely on since it was planned
//! stays, and all else goes.

use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::plan::saved::PlanFile;
use wi_core::plan::{self, Options, Plan};

use crate::left_behind::{DIRECT, GRANT, KSA, by_label, idle, runs, world};
use crate::saved::file_with;
use crate::support::*;

const EDGE: &str = "projects/acme-prod/locations/us-east1/clusters/edge";

fn removing() -> Options {
    Options {
        allow_mass_removal: true,
        ..options()
    }
}

/// What stays of a plan of `before`, and why, by the world of `after`.
fn stays(spec: &str, before: &Value, after: &Value) -> Vec<String> {
    let desired = desired(spec);
    let plan = plan::plan(&desired, &live(before), &removing());
    assert!(
        plan.changes.values().any(|c| c.edit.takes()),
        "{:?}",
        changes(&plan)
    );

    stays_of(&desired, &plan, after)
}

/// The same of a plan that was saved, which keeps just what its changes touch.
fn stays_of_file(spec: &str, before: &Value, after: &Value) -> Vec<String> {
    let file = file_with(spec, before, &removing());
    let read = PlanFile::decode(&file.encode().expect("bytes")).expect("as it was written");
    let stale = read.compare(&read.touched(), &live(after)).stale;
    let stays = stays_of(&read.desired, &read.plan, after);
    assert_eq!(stale.is_empty(), stays.is_empty(), "{stale:?} {stays:?}");
    stays
}

fn stays_of(desired: &Desired, plan: &Plan, after: &Value) -> Vec<String> {
    let part = plan::rests_on(desired, plan);
    let stays = plan::relied_on(plan, &part.desired, &live(after), &removing());
    stays
        .into_iter()
        .map(|(a, why)| format!("{a}: {why}"))
        .collect()
}

#[test]
fn right_of_others_stays_once_somebody_uses_it() {
    let world = |grafana: Value| {
        let act = json!([member("shop", "checkout"), member("grafana", "grafana")]);
        with(
            settled(),
            json!({
                "policies": {
                    (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": act },
                    "project/acme-prod": { "roles/browser": [format!("serviceAccount:{CHECKOUT}")] },
                },
                "kubernetes": { "main": {
                    "Namespace": { "grafana": {} },
                    "Pod": {},
                    "ServiceAccount": { "grafana/grafana": grafana },
                } },
            }),
        )
    };
    let before = world(annotated(None, "helm"));
    assert_eq!(stays(SPEC, &before, &before), [""; 0]);
    let stay = stays(SPEC, &before, &world(annotated(Some(CHECKOUT), "helm")));
    assert_eq!(stay.len(), 1, "the role on the project goes: {stay:?}");
    says(
        &stay,
        &[
            "grafana/grafana",
            "it is used by grafana/grafana in cluster.main",
        ],
    );
    // Somebody else has taken it away: there is nothing to keep.
    assert_eq!(stays(SPEC, &before, &settled()), [""; 0]);
}

#[test]
fn service_account_stays_with_what_it_has_once_pods_run_as_it() {
    let before = world(None, idle());
    assert_eq!(stays(&by_label(DIRECT), &before, &before), [""; 0]);
    let stay = stays(&by_label(DIRECT), &before, &world(None, runs()));
    says(&stay, &[KSA, "StatefulSet shop/worker"]);
    says(&stay, &[GRANT, "cluster.main, where it is held back"]);
    let refused = json!({ "Pod": "pods is forbidden" });
    let unread = stays(&by_label(DIRECT), &before, &world(None, refused));
    says(&unread, &[KSA, "pods is forbidden"]);
}

#[test]
fn account_and_what_it_has_stay_once_others_annotate_what_relies_on_them() {
    let spec = SPEC
        .replace(
            "googleServiceAccounts:\n  checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }\n",
            "removed: [topic/orders]\n",
        )
        .replace("impersonates: checkout", "existing: true");
    let world = |there: Value| {
        let more =
            json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": there } } } });
        with(settled(), more)
    };
    let before = world(annotated(None, "helm"));
    assert_eq!(stays(&spec, &before, &before), [""; 0]);
    let stay = stays(&spec, &before, &world(annotated(Some(CHECKOUT), "helm")));
    for what in [
        "gsa.checkout",
        "roles/pubsub.publisher@topic/acme-prod/orders",
        "binding.",
    ] {
        says(&stay, &[what, "ksa.main/shop/checkout"]);
    }
}

/// An account that left the spec, and that nodes come to run as.
#[test]
fn account_stays_with_what_it_has_once_nodes_run_as_it() {
    let head = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\nremoved: [topic/orders]\n";
    let world = |account: &str| {
        with(
            settled(),
            json!({
                "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": null } },
                "kubernetes": { "main": { "ServiceAccount": null } },
                "clusters": { "main": { "nodePools": { "p1": { "config": { "serviceAccount": account } } } } },
            }),
        )
    };
    let before = world("nodes@acme-prod.iam.gserviceaccount.com");
    assert_eq!(stays(head, &before, &before), [""; 0]);
    let stay = stays(head, &before, &world(CHECKOUT));
    says(
        &stay,
        &["gsa.checkout@", "nodes run as it", "nodepool.main/p1"],
    );
    says(
        &stay,
        &["grant.", "roles/pubsub.publisher", "nodes run as it"],
    );
    assert_eq!(stays_of_file(head, &before, &before), [""; 0]);
    assert_eq!(stays_of_file(head, &before, &world(CHECKOUT)), stay);
}

/// What a service account has that left the spec goes with it, but not where it is somebody else's by now.
#[test]
fn grants_of_what_left_stay_once_the_same_identity_is_elsewhere() {
    let spec = SPEC.replace(
        "      worker: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }\n",
        "removed: [bucket/acme-receipts]\n",
    );
    let world = |edge: Value| with(settled(), json!({ "outside": { EDGE: edge } }));
    let before = world(json!({}));
    assert_eq!(stays(&spec, &before, &before), [""; 0]);
    let stay = stays(
        &spec,
        &before,
        &world(json!({ "shop/worker": annotated(None, "helm") })),
    );
    says(
        &stay,
        &["roles/storage.objectViewer@bucket/acme-receipts", EDGE],
    );
    // Whose it is, its mark tells.
    says(&stay, &["ksa.main/shop/worker", "its mark tells whose"]);
    let of_file = |edge: Value| stays_of_file(&spec, &before, &world(edge));
    assert_eq!(of_file(json!({})), [""; 0]);
    let stay = of_file(json!({ "shop/worker": annotated(None, "helm") }));
    says(
        &stay,
        &["roles/storage.objectViewer@bucket/acme-receipts", EDGE],
    );
    assert_eq!(
        of_file(json!({ "shop/other": annotated(None, "helm") })),
        [""; 0]
    );
}

/// Who has come to act as an account that ends, in a cluster that no change is in.
#[test]
fn account_of_a_saved_plan_stays_once_somebody_far_away_acts_as_it() {
    let clusters = "clusters: { main: { location: europe-west1 }, far: { location: us-east1 } }";
    let spec = SPEC
        .replace("clusters: { main: { location: europe-west1 } }", clusters)
        .replace("  shop:\n", "  shop:\n    clusters: [main]\n")
        .replace(
            "googleServiceAccounts:\n  checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }\n",
            "removed: [topic/orders]\n",
        )
        .replace("      checkout: { impersonates: checkout }\n", "");
    let act = json!([member("shop", "checkout"), member("far", "web")]);
    let world = |there: Value| {
        with(
            settled(),
            json!({
                "clusters": { "far": cluster("far", json!({})) },
                "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": act } },
                "kubernetes": {
                    "main": { "ServiceAccount": { "shop/checkout": null } },
                    "far": { "Namespace": { "far": {} }, "ServiceAccount": { "far/web": there } },
                },
            }),
        )
    };
    let before = world(annotated(None, "helm"));
    assert_eq!(stays_of_file(&spec, &before, &before), [""; 0]);
    let stay = stays_of_file(&spec, &before, &world(annotated(Some(CHECKOUT), "helm")));
    says(&stay, &["gsa.checkout@", "far/web in cluster.far"]);
}
