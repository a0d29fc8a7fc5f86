//! What waits for what: pods have their access at every moment, and the graph has no circles.

use serde_json::{Value, json};
use wi_core::plan::Plan;

use crate::support::*;

const GRANT: &str = "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders";
const ACTS_AS: &str = "binding.checkout/acme-prod/shop/checkout";
const DIRECT: &str = "grant.acme-prod/shop/worker:roles/storage.objectViewer@bucket/acme-receipts";
const OLD: &str = "old@acme-prod.iam.gserviceaccount.com";

/// Nothing done yet, not even the pool of the cluster, with a node pool to move and no pods.
fn from_nothing() -> Value {
    let cluster =
        json!({ "workloadIdentityConfig": null, "nodePools": { "p1": pool("GCE_METADATA") } });
    with(
        bare(),
        json!({
            "clusters": { "main": cluster },
            "kubernetes": { "main": { "Namespace": null, "Node": { "n1": node("p1") } } },
        }),
    )
}

#[test]
fn what_gives_access_comes_before_what_relies_on_it() {
    let plan = plan(SPEC, from_nothing());
    assert_eq!(needs(&plan, "cluster.main"), Vec::<&str>::new());
    assert_eq!(needs(&plan, "gsa.checkout"), Vec::<&str>::new());
    assert_eq!(needs(&plan, GRANT), ["gsa.checkout"]);
    assert_eq!(needs(&plan, ACTS_AS), ["cluster.main", "gsa.checkout"]);
    assert_eq!(needs(&plan, DIRECT), ["cluster.main"]);
    assert_eq!(needs(&plan, "namespace.main/shop"), ["cluster.main"]);
    assert_eq!(
        needs(&plan, "ksa.main/shop/checkout"),
        [ACTS_AS, GRANT, "namespace.main/shop"]
    );
    assert_eq!(
        needs(&plan, "ksa.main/shop/worker"),
        [DIRECT, "namespace.main/shop"]
    );
    assert_eq!(
        needs(&plan, "nodepool.main/p1"),
        [
            "cluster.main",
            "ksa.main/shop/checkout",
            "ksa.main/shop/worker"
        ]
    );
}

#[test]
fn what_is_done_is_looked_through() {
    let world = with(
        from_nothing(),
        json!({
            "clusters": { "main": { "workloadIdentityConfig": { "workloadPool": POOL } } },
            "kubernetes": { "main": { "Namespace": { "shop": {} }, "ServiceAccount": { "=shop/checkout": ours(Some(CHECKOUT)), "=shop/worker": ours(None) } } },
        }),
    );
    let plan = plan(SPEC, world);
    assert_eq!(needs(&plan, "nodepool.main/p1"), [ACTS_AS, DIRECT, GRANT]);
}

/// The spec of [`SPEC`], where `shop/checkout` acted as `old` before, which the spec had made.
fn switched() -> Value {
    with(
        bare(),
        json!({
            "accounts": { "acme-prod": { "old": { "uniqueId": "2", "description": "[wi:shop delete]" } } },
            "policies": {
                "topic/acme-prod/orders": { "roles/pubsub.publisher": [format!("serviceAccount:{OLD}")] },
                (format!("serviceaccount/{OLD}")): { "roles/iam.workloadIdentityUser": [member("shop", "checkout")] },
                "project/acme-prod": { "roles/browser": [principal("shop", "checkout")] },
            },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": ours(Some(OLD)), "=shop/worker": ours(None) } } },
        }),
    )
}

#[test]
fn what_is_taken_waits_for_who_stops_using_it() {
    let plan = plan(SPEC, switched());
    let old = "grant.old:roles/pubsub.publisher@topic/acme-prod/orders";
    assert_eq!(needs(&plan, old), ["ksa.main/shop/checkout"]);
    assert_eq!(
        needs(&plan, "binding.old/acme-prod/shop/checkout"),
        [ACTS_AS, "ksa.main/shop/checkout"]
    );
    assert_eq!(
        needs(
            &plan,
            "grant.acme-prod/shop/checkout:roles/browser@project/acme-prod"
        ),
        [ACTS_AS, "ksa.main/shop/checkout"]
    );
    // Deleted first, its members would be dead ones.
    assert_eq!(
        needs(&plan, "gsa.old"),
        [
            "binding.old/acme-prod/shop/checkout",
            old,
            "ksa.main/shop/checkout"
        ]
    );
    // Disabled and let go first, the next plan would not know that they are to go.
    let disabled = with(
        switched(),
        json!({ "accounts": { "acme-prod": { "old": { "description": "[wi:shop]" } } } }),
    );
    assert_eq!(
        needs(&crate::support::plan(SPEC, disabled), "gsa.old"),
        needs(&plan, "gsa.old")
    );
}

#[test]
fn role_is_added_before_its_principal_loses_another() {
    let world = with(
        settled(),
        json!({ "policies": {
        "topic/acme-prod/orders": { "roles/pubsub.publisher": null, "roles/pubsub.editor": [format!("serviceAccount:{CHECKOUT}")] },
        "project/acme-prod": { "roles/viewer": [principal("shop", "worker")] },
    } }),
    );
    let plan = plan(SPEC, world);
    assert_eq!(
        needs(
            &plan,
            "grant.checkout:roles/pubsub.editor@topic/acme-prod/orders"
        ),
        [GRANT]
    );
    assert_eq!(
        needs(
            &plan,
            "grant.acme-prod/shop/worker:roles/viewer@project/acme-prod"
        ),
        Vec::<&str>::new()
    );
}

#[test]
fn what_a_node_pool_runs_as_is_taken_after_it_has_moved() {
    let nodes = "nodes-sa@acme-prod.iam.gserviceaccount.com";
    let runs_as = |account: &str| {
        let config = json!({ "config": { "serviceAccount": account } });
        with(pool("GCE_METADATA"), config)
    };
    let world = with(
        settled(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": runs_as(nodes), "p2": runs_as("default") } } },
            "accounts": { "acme-prod": { "nodes-sa": { "uniqueId": "3", "description": "[wi:shop]" } } },
            "policies": { "project/acme-prod": { "roles/viewer": [format!("serviceAccount:{nodes}")] } },
            "kubernetes": { "main": { "Node": { "n1": node("p1") } } },
        }),
    );
    let declared = SPEC.replace(
        "googleServiceAccounts:\n",
        "googleServiceAccounts:\n  nodes-sa: {}\n",
    );
    let grant = "grant.nodes-sa:roles/viewer@project/acme-prod";
    let taken = plan(&declared, world.clone());
    assert_eq!(needs(&taken, grant), ["nodepool.main/p1"]);
    // One that leaves the spec is the nodes' own still, whatever their pods are.
    let left = plan(SPEC, world.clone());
    assert!(changes(&left).iter().all(|c| !c.contains("nodes")));
    says(&held(&left), &["gsa.nodes-sa", "nodes run as it"]);
    let accepted = accepting(SPEC, world);
    assert_eq!(
        needs(&accepted, "gsa.nodes-sa"),
        [grant, "nodepool.main/p1"]
    );
}

#[test]
fn account_is_removed_after_what_takes_its_place() {
    let world = with(
        bare(),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/former": ours(None) } } } }),
    );
    let plan = plan(SPEC, world);
    assert_eq!(
        needs(&plan, "ksa.main/shop/former"),
        ["ksa.main/shop/checkout", "ksa.main/shop/worker"]
    );
    // What is released at the same time is none that takes its place.
    let world = with(
        bare(),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/former": ours(None), "=shop/adopted": adopted(None, "wi") } } } }),
    );
    let plan = crate::support::plan(SPEC, world);
    assert_eq!(
        needs(&plan, "ksa.main/shop/former"),
        ["ksa.main/shop/checkout", "ksa.main/shop/worker"]
    );
    assert_eq!(
        needs(&plan, "ksa.main/shop/adopted"),
        ["ksa.main/shop/checkout", "ksa.main/shop/worker"]
    );
}

#[test]
fn accounts_that_change_places_wait_in_no_circle() {
    let spec = SPEC
        .replace(
            "googleServiceAccounts:\n",
            "googleServiceAccounts:\n  billing: {}\n",
        )
        .replace(
            "impersonates: checkout }",
            "impersonates: billing }\n      pay: { impersonates: checkout }",
        );
    let billing = "billing@acme-prod.iam.gserviceaccount.com";
    let world = with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "billing": { "description": "[wi:shop]" } } },
            "policies": { (format!("serviceaccount/{billing}")): { "roles/iam.workloadIdentityUser": [member("shop", "pay")] } },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/pay": ours(Some(billing)) } } },
        }),
    );
    let plan = plan(&spec, world);
    let mut done: Vec<&str> = Vec::new();
    while done.len() < plan.changes.len() {
        let next = plan
            .changes
            .iter()
            .find(|(a, c)| !done.contains(&&***a) && c.needs.iter().all(|n| done.contains(&&**n)));
        done.push(next.expect("a circle").0);
    }
    let at = |address: &str| done.iter().position(|a| *a == address).expect("a change");
    assert!(at("binding.billing/acme-prod/shop/checkout") < at("ksa.main/shop/checkout"));
    assert!(at("ksa.main/shop/checkout") < at("binding.checkout/acme-prod/shop/checkout"));
    assert!(at("ksa.main/shop/pay") < at("binding.billing/acme-prod/shop/pay"));
}

#[test]
fn removal_is_late_where_it_waits_for_more_than_its_own_policys_write() {
    let late =
        |plan: &Plan, address: &str, apart: bool| plan.is_late(&plan.changes[address], apart);
    // For an addition on the same policy: one write does both.
    let same = plan(
        SPEC,
        with(
            settled(),
            json!({ "policies": {
        "topic/acme-prod/orders": { "roles/pubsub.publisher": null, "roles/pubsub.editor": [format!("serviceAccount:{CHECKOUT}")] },
    } }),
        ),
    );
    assert!(!late(
        &same,
        "grant.checkout:roles/pubsub.editor@topic/acme-prod/orders",
        false
    ));
    // On another one: it is there first.
    let other = plan(
        SPEC,
        with(
            settled(),
            json!({ "policies": {
        "topic/acme-prod/orders": { "roles/pubsub.publisher": null },
        "project/acme-prod": { "roles/viewer": [format!("serviceAccount:{CHECKOUT}")] },
    } }),
        ),
    );
    assert!(late(
        &other,
        "grant.checkout:roles/viewer@project/acme-prod",
        false
    ));
    // For a Kubernetes service account.
    let switched = plan(SPEC, switched());
    assert!(late(
        &switched,
        "binding.old/acme-prod/shop/checkout",
        false
    ));
    assert!(
        !late(&switched, "gsa.old", false),
        "it is no member of a policy"
    );
    // For an account and a pool alone: those are there before.
    let all = plan(SPEC, from_nothing());
    for address in [GRANT, ACTS_AS, DIRECT] {
        assert!(
            !late(&all, address, false) && !late(&all, address, true),
            "{address}"
        );
    }
    // What waits for an addition that waits for a pool itself, where clusters are changed one by one.
    let world = with(
        from_nothing(),
        json!({ "policies": { "bucket/acme-receipts": { "roles/storage.admin": [principal("shop", "worker")] } } }),
    );
    let pools = plan(SPEC, world);
    let removal = "grant.acme-prod/shop/worker:roles/storage.admin@bucket/acme-receipts";
    assert_eq!(needs(&pools, removal), [DIRECT, "ksa.main/shop/worker"]);
}

#[test]
fn whoever_acts_as_an_account_by_whatever_member_is_waited_for() {
    let other = format!("serviceaccount/{CHECKOUT}");
    let set = format!(
        "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/{POOL}/namespace/shop"
    );
    let world = with(
        switched(),
        json!({ "policies": {
        (format!("serviceaccount/{OLD}")): { "roles/iam.workloadIdentityUser": [set] },
        (other.clone()): { "roles/iam.serviceAccountTokenCreator": [format!("serviceAccount:{OLD}")] },
    } }),
    );
    let plan = accepting(SPEC, world);
    let of_set = plan
        .changes
        .keys()
        .find(|a| a.contains("principalSet"))
        .expect("a removal")
        .to_string();
    assert_eq!(needs(&plan, &of_set), ["ksa.main/shop/checkout"]);
    let creator = format!("grant.old:roles/iam.serviceAccountTokenCreator@{other}");
    assert_eq!(
        needs(&plan, &creator),
        ["ksa.main/shop/checkout"],
        "what it may do, it may until nobody is it"
    );
}

#[test]
fn removal_is_late_where_clusters_are_changed_one_by_one_and_its_addition_waits_for_a_pool() {
    let world = with(
        settled(),
        json!({
            "clusters": { "main": { "workloadIdentityConfig": null } },
            "policies": { "=bucket/acme-receipts": { "roles/storage.admin": [principal("shop", "worker")] } },
        }),
    );
    let plan = plan(SPEC, world.clone());
    let removal = "grant.acme-prod/shop/worker:roles/storage.admin@bucket/acme-receipts";
    assert_eq!(
        (needs(&plan, removal), needs(&plan, DIRECT)),
        (vec![DIRECT], vec!["cluster.main"])
    );
    let late = |plan: &Plan, apart| plan.is_late(&plan.changes[removal], apart);
    assert_eq!((late(&plan, false), late(&plan, true)), (false, true));
    let with_pool = with(
        world,
        json!({ "clusters": { "main": { "workloadIdentityConfig": { "workloadPool": POOL } } } }),
    );
    let plan = crate::support::plan(SPEC, with_pool);
    assert!(!late(&plan, true), "its addition waits for nothing");
}
