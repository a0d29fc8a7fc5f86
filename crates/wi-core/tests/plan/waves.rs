//! Waves: clusters one after another; what they share goes with the first that needs it, or the last that uses it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wi_core::plan::{Plan, waves::restrict_to};

use crate::support::*;

const OLD: &str = "old@acme-prod.iam.gserviceaccount.com";

/// Two clusters of one project in two waves; `shop` is on both, `edge-only` on the second.
fn spec() -> String {
    SPEC.replace(
        "clusters: { main: { location: europe-west1 } }",
        "clusters: { main: { location: europe-west1, labels: { w: one } }, edge: { location: europe-west1, labels: { w: two } } }
rollout:
  waves:
    - { name: first, clusters: { w: one } }
    - { name: second, clusters: { w: two } }",
    ) + "  edge-only:
    clusters: { w: two }
    serviceAccounts:
      pay: { impersonates: billing }
"
}

fn with_billing() -> String {
    spec().replace("googleServiceAccounts:\n", "googleServiceAccounts:\n  billing: { grants: [{ role: roles/pubsub.viewer, resource: topic/orders }] }\n")
}

fn world() -> Value {
    with(
        bare(),
        json!({
            "clusters": { "edge": cluster("edge", json!({ "p1": pool("GKE_METADATA") })) },
            "kubernetes": { "edge": { "Namespace": { "shop": {} } } },
        }),
    )
}

fn wave(plan: &Plan, address: &str) -> usize {
    let change = plan.changes.get(address);
    change
        .unwrap_or_else(|| panic!("{address}: {:?}", changes(plan)))
        .wave
}

#[test]
fn what_is_in_a_cluster_goes_with_it_and_what_is_shared_with_the_first() {
    let plan = plan(&with_billing(), world());
    assert_eq!(errors(&plan), Vec::<String>::new());
    for first in [
        "gsa.checkout",
        "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders",
        "binding.checkout/acme-prod/shop/checkout",
        "grant.acme-prod/shop/worker:roles/storage.objectViewer@bucket/acme-receipts",
        "ksa.main/shop/checkout",
        "ksa.main/shop/worker",
    ] {
        assert_eq!(wave(&plan, first), 0, "{first}");
    }
    for second in [
        "gsa.billing",
        "grant.billing:roles/pubsub.viewer@topic/acme-prod/orders",
        "binding.billing/acme-prod/edge-only/pay",
        "namespace.edge/edge-only",
        "ksa.edge/edge-only/pay",
        "ksa.edge/shop/checkout",
    ] {
        assert_eq!(wave(&plan, second), 1, "{second}");
    }
    assert_eq!(plan.waves.as_ref().map(|w| w.waves.len()), Some(2));
    let without = crate::support::plan(SPEC, bare());
    assert!(without.waves.is_none() && without.changes.values().all(|c| c.wave == 0));
}

/// `shop/checkout` acts as `old` on both clusters, which the spec had made.
fn switched() -> Value {
    with(
        world(),
        json!({
            "accounts": { "acme-prod": { "old": { "uniqueId": "2", "description": "[wi:shop]" } } },
            "policies": {
                "topic/acme-prod/orders": { "roles/pubsub.publisher": [format!("serviceAccount:{OLD}")] },
                (format!("serviceaccount/{OLD}")): { "roles/iam.workloadIdentityUser": [member("shop", "checkout")] },
                "project/acme-prod": { "roles/browser": [principal("shop", "worker")] },
            },
            "kubernetes": {
                "main": { "ServiceAccount": { "=shop/checkout": ours(Some(OLD)) } },
                "edge": { "ServiceAccount": { "=shop/checkout": ours(Some(OLD)) } },
            },
        }),
    )
}

#[test]
fn what_is_taken_goes_with_the_last_cluster_that_uses_it() {
    let plan = plan(&with_billing(), switched());
    let removed = [
        "binding.old/acme-prod/shop/checkout",
        "grant.old:roles/pubsub.publisher@topic/acme-prod/orders",
        "gsa.old",
        "grant.acme-prod/shop/worker:roles/browser@project/acme-prod",
    ];
    for last in removed {
        assert_eq!(wave(&plan, last), 1, "{last}");
    }
    for waits in &removed[..3] {
        let needs = needs(&plan, waits);
        assert!(
            needs.contains(&"ksa.main/shop/checkout") && needs.contains(&"ksa.edge/shop/checkout"),
            "{waits}: {needs:?}"
        );
    }
}

#[test]
fn what_only_the_first_wave_uses_goes_with_it() {
    let only_main = with(
        switched(),
        json!({ "kubernetes": { "edge": { "ServiceAccount": null } } }),
    );
    let plan = plan(&with_billing(), only_main);
    assert_eq!(
        wave(
            &plan,
            "grant.old:roles/pubsub.publisher@topic/acme-prod/orders"
        ),
        0
    );
    // The identity is the same one in both, and the account ends after all that it has.
    assert_eq!(wave(&plan, "binding.old/acme-prod/shop/checkout"), 1);
    assert_eq!(wave(&plan, "gsa.old"), 1);
}

#[test]
fn what_nobody_uses_is_taken_last_and_made_first() {
    let spec = with_billing().replace("  billing: {", "  spare-one: {}\n  billing: {");
    let world = with(
        world(),
        json!({
            "accounts": { "acme-prod": { "idle": { "description": "[wi:shop]" } } },
            "policies": { "project/acme-prod": { "roles/viewer": ["serviceAccount:idle@acme-prod.iam.gserviceaccount.com"] } },
        }),
    );
    let plan = plan(&spec, world);
    assert_eq!(
        (wave(&plan, "gsa.spare-one"), wave(&plan, "gsa.idle")),
        (0, 1)
    );
    assert_eq!(wave(&plan, "grant.idle:roles/viewer@project/acme-prod"), 1);
}

#[test]
fn strangers_lose_an_account_with_its_last_user() {
    let spec = with_billing();
    let world = with(
        world(),
        json!({ "policies": {
        (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": [
            format!("principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/{POOL}/namespace/shop"),
        ] },
    }, "accounts": { "acme-prod": { "checkout": { "description": "[wi:shop]" } } } }),
    );
    let plan = accepting(&spec, world);
    let set = plan
        .changes
        .keys()
        .find(|a| a.contains("principalSet"))
        .expect("a removal")
        .to_string();
    assert_eq!(wave(&plan, &set), 1);
}

#[test]
fn part_of_the_waves_leaves_the_rest_out_and_says_what_it_needs() {
    let only = |waves: &[usize]| {
        let mut plan = plan(&with_billing(), world());
        let waves: BTreeSet<usize> = waves.iter().copied().collect();
        let open = restrict_to(&mut plan, &live(&world()), &waves, "--wave");
        (
            plan,
            open.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    let (first, open) = only(&[0]);
    assert!(open.is_empty() && first.changes.values().all(|c| c.wave == 0));
    assert!(first.left_out > 0 && first.left_out_by.contains("--wave"));
    assert_eq!(first.waves.and_then(|w| w.only), Some(BTreeSet::from([0])));
    let (second, open) = only(&[1]);
    assert!(second.changes.values().all(|c| c.wave == 1));
    assert!(
        open.contains(&"binding.checkout/acme-prod/shop/checkout".to_owned()),
        "{open:?}"
    );
    let (both, open) = only(&[0, 1]);
    assert!(open.is_empty() && both.left_out == 0 && both.left_out_by.is_empty());
}

#[test]
fn addition_of_an_earlier_wave_makes_a_later_removal_late() {
    let world = with(
        world(),
        json!({ "policies": { "topic/acme-prod/orders": { "roles/pubsub.admin": [format!("serviceAccount:{CHECKOUT}")] } },
        "accounts": { "acme-prod": { "checkout": { "description": "[wi:shop]" } } } }),
    );
    let plan = plan(&with_billing(), world);
    let removal = "grant.checkout:roles/pubsub.admin@topic/acme-prod/orders";
    assert_eq!(wave(&plan, removal), 1);
    assert!(plan.is_late(&plan.changes[removal], true));
}

#[test]
fn what_leads_to_a_cluster_goes_with_its_wave_and_what_is_there_is_looked_through() {
    // The second wave alone needs `billing`, whose policy is written for its sake; nothing of `main` is to change.
    let world = with(
        world(),
        json!({
            "kubernetes": { "main": { "ServiceAccount": { "shop/checkout": ours(Some(CHECKOUT)), "shop/worker": ours(None) } } },
        }),
    );
    let plan = plan(&with_billing(), world);
    for second in [
        "gsa.checkout",
        "binding.checkout/acme-prod/shop/checkout",
        "ksa.edge/shop/checkout",
    ] {
        let needed = needs(&plan, "ksa.edge/shop/checkout");
        assert_eq!(wave(&plan, second), 1, "{second}: {needed:?}");
    }
}

#[test]
fn removal_waits_for_every_user_that_is_still_to_change() {
    // `shop/checkout` keeps its account, and is adopted on `edge`; the account loses a role meanwhile.
    let world = with(
        settled(),
        json!({
            "clusters": { "edge": cluster("edge", json!({})) },
            "policies": { "project/acme-prod": { "roles/viewer": [format!("serviceAccount:{CHECKOUT}"), principal("shop", "worker")] } },
            "kubernetes": { "edge": { "Namespace": { "shop": {} }, "ServiceAccount": { "shop/checkout": annotated(Some(CHECKOUT), "wi"), "shop/worker": annotated(None, "wi") } } },
        }),
    );
    let plan = plan(&with_billing(), world);
    assert_eq!(
        needs(&plan, "grant.checkout:roles/viewer@project/acme-prod"),
        ["ksa.edge/shop/checkout"]
    );
    assert_eq!(
        needs(
            &plan,
            "grant.acme-prod/shop/worker:roles/viewer@project/acme-prod"
        ),
        ["ksa.edge/shop/worker"]
    );
    assert_eq!(
        wave(&plan, "grant.checkout:roles/viewer@project/acme-prod"),
        1
    );
}
