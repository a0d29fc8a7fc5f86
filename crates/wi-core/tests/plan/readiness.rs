//! What rests on something unread stays as it is, and so does what waits for that.

use serde_json::{Value, json};
use wi_core::plan::Plan;

use crate::support::*;

const GRANT: &str = "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders";
const ACTS_AS: &str = "binding.checkout/acme-prod/shop/checkout";
const TOPIC: &str = "topic/acme-prod/orders";
const KSA: &str = "ksa.main/shop/checkout";

fn gsa() -> String {
    format!("serviceAccount:{CHECKOUT}")
}

fn policy(resource: &str, roles: Value) -> Value {
    json!({ "policies": { resource: roles } })
}

fn has(plan: &Plan, address: &str) -> bool {
    plan.changes.contains_key(address)
}

/// That a change is not in the plan, and why is said.
#[track_caller]
fn rests(plan: &Plan, address: &str, on: &str) {
    assert!(!has(plan, address), "{address}: {:?}", changes(plan));
    says(
        &unseen(plan),
        &[&format!("{address}: stays as it is: it rests on {on}")],
    );
}

#[test]
fn plan_that_has_seen_all_holds_nothing() {
    let plan = plan(SPEC, bare());
    assert_eq!((unseen(&plan), held(&plan)), (vec![], vec![]));
    assert_eq!(plan.changes.len(), 6);
}

#[test]
fn annotation_waits_for_every_link_of_its_chain() {
    for (patch, on) in [
        (
            policy(TOPIC, json!("403")),
            "the policy of topic/acme-prod/orders",
        ),
        (
            policy(&format!("serviceaccount/{CHECKOUT}"), json!("403")),
            "the policy of serviceaccount/checkout@",
        ),
        (
            json!({ "accounts": { "acme-prod": "403" } }),
            "the service accounts of project/acme-prod",
        ),
        (json!({ "clusters": { "main": "403" } }), "cluster.main"),
    ] {
        let plan = plan(SPEC, with(bare(), patch));
        rests(&plan, KSA, on);
        assert!(
            has(&plan, "ksa.main/shop/worker") != on.starts_with("cluster"),
            "{on}: the other one is another's"
        );
    }
    let number = plan(
        SPEC,
        with(bare(), json!({ "numbers": { "acme-prod": "403" } })),
    );
    rests(
        &number,
        "ksa.main/shop/worker",
        "the project number behind acme-prod.svc.id.goog, which could not be read",
    );
    assert!(has(&number, KSA), "it takes no number");
    let bucket = plan(
        SPEC,
        with(bare(), policy("bucket/acme-receipts", json!("403"))),
    );
    rests(
        &bucket,
        "ksa.main/shop/worker",
        "the policy of bucket/acme-receipts",
    );
}

#[test]
fn additions_take_nothing_and_wait_for_nothing_else() {
    let plan = plan(
        SPEC,
        with(
            bare(),
            json!({ "kubernetes": { "main": "403" }, "unlisted": { "project/acme-prod": "403" } }),
        ),
    );
    for address in ["gsa.checkout", GRANT, ACTS_AS] {
        assert!(has(&plan, address), "{address}");
    }
}

#[test]
fn removal_of_a_ksas_role_waits_for_its_own_readiness() {
    // Its new role is by an account whose policy was not read; nothing else of it is unread.
    let removed = "grant.acme-prod/shop/checkout:roles/browser@project/acme-prod";
    let world = with(
        settled(),
        policy(
            "project/acme-prod",
            json!({ "roles/browser": [principal("shop", "checkout")] }),
        ),
    );
    assert!(has(&plan(SPEC, world.clone()), removed));
    let unread = with(world.clone(), policy(TOPIC, json!("403")));
    rests(
        &plan(SPEC, unread),
        removed,
        "the policy of topic/acme-prod/orders",
    );
    // What is unread of another identity is not waited for.
    let others = with(world, policy("bucket/acme-receipts", json!("403")));
    assert!(has(&plan(SPEC, others), removed));
}

#[test]
fn removal_of_a_ksas_role_waits_for_its_namespace() {
    let removed = "grant.acme-prod/shop/checkout:roles/browser@project/acme-prod";
    let going = json!({ "metadata": { "deletionTimestamp": "2026-11-30T00:00:00Z" } });
    let world = with(
        settled(),
        policy(
            "project/acme-prod",
            json!({ "roles/browser": [principal("shop", "checkout")] }),
        ),
    );
    let plan = plan(
        SPEC,
        with(
            world,
            json!({ "kubernetes": { "main": { "Namespace": { "shop": going } } } }),
        ),
    );
    rests(
        &plan,
        removed,
        "what comes after namespace.main/shop, which is being deleted",
    );
}

#[test]
fn removal_of_a_ksas_role_waits_for_every_cluster_of_its_pool() {
    let spec = SPEC.replace("clusters: {", "clusters: { edge: { location: europe-west1 }, far: { location: europe-west1, project: other-prod },")
        .replace("  shop:\n", "  shop:\n    clusters: [main]\n");
    let stranger = "binding.checkout/acme-prod/shop/stranger";
    let world = |edge: Value, far: Value| {
        with(
            settled(),
            json!({
                "clusters": { "edge": edge, "far": far },
                "kubernetes": { "edge": {}, "far": {} },
                "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": [member("shop", "checkout"), member("shop", "stranger")] }, "project/other-prod": {} },
            }),
        )
    };
    let good = || cluster("x", json!({}));
    let far = || {
        with(
            cluster("far", json!({})),
            json!({ "workloadIdentityConfig": { "workloadPool": "other-prod.svc.id.goog" } }),
        )
    };
    assert!(has(&accepting(&spec, world(good(), far())), stranger));
    rests(
        &accepting(&spec, world(json!("403"), far())),
        stranger,
        "cluster.edge",
    );
    assert!(
        has(&accepting(&spec, world(good(), json!("403"))), stranger),
        "of another project"
    );
    let objects = with(
        world(good(), far()),
        json!({ "kubernetes": { "edge": "403" } }),
    );
    rests(
        &accepting(&spec, objects),
        stranger,
        "the Kubernetes objects of cluster.edge",
    );
    let unlisted = |place: &str| {
        accepting(
            &spec,
            with(
                world(good(), far()),
                json!({ "unlisted": { place: "403" } }),
            ),
        )
    };
    rests(
        &unlisted("project/acme-prod"),
        stranger,
        "the clusters of project/acme-prod",
    );
    rests(
        &unlisted("folder/12"),
        stranger,
        "the projects of folder/12",
    );
    assert!(has(&unlisted("project/other-prod"), stranger));
}

#[test]
fn removal_of_a_set_waits_for_the_clusters_of_its_pool() {
    let set = format!(
        "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/{POOL}/namespace/shop"
    );
    let world = with(
        settled(),
        policy(
            &format!("serviceaccount/{CHECKOUT}"),
            json!({ "roles/iam.workloadIdentityUser": [member("shop", "checkout"), set] }),
        ),
    );
    let removal = |plan: &Plan| plan.changes.keys().any(|a| a.contains("principalSet"));
    assert!(removal(&accepting(SPEC, world.clone())));
    assert!(!removal(&accepting(
        SPEC,
        with(world.clone(), json!({ "kubernetes": { "main": "403" } }))
    )));
    assert!(!removal(&accepting(
        SPEC,
        with(
            world.clone(),
            json!({ "unlisted": { "project/acme-prod": "403" } })
        )
    )));
    assert!(removal(&accepting(
        SPEC,
        with(
            world,
            json!({ "unlisted": { "project/other-prod": "403" } })
        )
    )));
}

#[test]
fn removal_from_an_account_waits_for_all_clusters_and_its_own_links() {
    let removed = "grant.checkout:roles/viewer@project/acme-prod";
    let world = with(
        settled(),
        policy("project/acme-prod", json!({ "roles/viewer": [gsa()] })),
    );
    assert!(has(&plan(SPEC, world.clone()), removed));
    for (patch, on) in [
        (
            policy(TOPIC, json!("403")),
            "the policy of topic/acme-prod/orders",
        ),
        (
            json!({ "kubernetes": { "main": "403" } }),
            "the Kubernetes objects of cluster.main",
        ),
        (
            json!({ "unlisted": { "project/other-prod": "403" } }),
            "the clusters of project/other-prod",
        ),
    ] {
        rests(&plan(SPEC, with(world.clone(), patch)), removed, on);
    }
    let others = plan(
        SPEC,
        with(world, policy("bucket/acme-receipts", json!("403"))),
    );
    assert!(has(&others, removed), "it is not granted there");
}

#[test]
fn end_of_an_account_waits_for_all_clusters() {
    let world = with(
        settled(),
        json!({ "accounts": { "acme-prod": { "former": { "description": "[wi:shop]" } } } }),
    );
    assert!(has(&plan(SPEC, world.clone()), "gsa.former"));
    rests(
        &plan(
            SPEC,
            with(world.clone(), json!({ "clusters": { "main": "403" } })),
        ),
        "gsa.former",
        "cluster.main",
    );
    rests(
        &plan(
            SPEC,
            with(world.clone(), json!({ "unlisted": { "folder/12": "403" } })),
        ),
        "gsa.former",
        "the projects of folder/12",
    );
    // It is let go with its last role, and may have one there.
    rests(
        &plan(SPEC, with(world, policy(TOPIC, json!("403")))),
        "gsa.former",
        "the policy of topic/acme-prod/orders",
    );
}

#[test]
fn dead_members_wait_for_the_accounts_of_their_project() {
    let dead = |project: &str| {
        format!("deleted:serviceAccount:checkout@{project}.iam.gserviceaccount.com?uid=7")
    };
    let world = with(
        settled(),
        policy(
            "project/acme-prod",
            json!({ "roles/viewer": [dead("acme-prod")] }),
        ),
    );
    let removal = |plan: &Plan| plan.changes.keys().any(|a| a.contains("deleted:"));
    assert!(removal(&plan(SPEC, world.clone())));
    assert!(
        !removal(&plan(
            SPEC,
            with(world.clone(), json!({ "accounts": { "acme-prod": "403" } }))
        )),
        "it may be undeleted"
    );
    let elsewhere = json!({ "accounts": { "other-prod": "403" }, "kubernetes": { "main": "403" } });
    assert!(
        removal(&plan(SPEC, with(world, elsewhere))),
        "it gives nobody anything"
    );
}

#[test]
fn account_that_left_stays_while_what_takes_its_place_is_not_ready() {
    let former = |namespace: &str, name: &str, account: Option<&str>| {
        let key = format!("{namespace}/{name}");
        with(
            settled(),
            json!({ "kubernetes": { "main": { "Namespace": { "old": {} }, "ServiceAccount": { key: ours(account) } } } }),
        )
    };
    let unread = |world: Value| plan(SPEC, with(world, policy(TOPIC, json!("403"))));
    // Of the same name in another namespace, or with the same account.
    rests(
        &unread(former("old", "checkout", None)),
        "ksa.main/old/checkout",
        "the policy of topic/acme-prod/orders",
    );
    rests(
        &unread(former("old", "pay", Some(CHECKOUT))),
        "ksa.main/old/pay",
        "the policy of topic/acme-prod/orders",
    );
    assert!(has(&unread(former("old", "pay", None)), "ksa.main/old/pay"));
    assert!(
        has(
            &unread(former("old", "worker", None)),
            "ksa.main/old/worker"
        ),
        "that one is ready"
    );
    assert!(has(
        &plan(SPEC, former("old", "checkout", None)),
        "ksa.main/old/checkout"
    ));
}

/// The node pool of `main` is to move; one pod runs on it.
fn moving(pod: Value) -> Value {
    with(
        settled(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } },
            "kubernetes": { "main": { "Node": { "n1": node("p1"), "n2": node("p2") }, "Pod": { "shop/a": pod } } },
        }),
    )
}

#[test]
fn node_pool_waits_for_the_chains_of_its_pods() {
    // The account of the pod is annotated and right, so that no change of it is held: the pool must be.
    let held_back = |pod: Value, patch: Value| {
        let plan = plan(SPEC, with(moving(pod), patch));
        assert!(!has(&plan, KSA) && !has(&plan, "ksa.main/shop/worker"));
        held(&plan)
    };
    let here = || pod("checkout", "n1", "web");
    assert_eq!(held_back(here(), json!({})), Vec::<String>::new());
    says(
        &held_back(here(), policy(TOPIC, json!("403"))),
        &[
            "nodepool.main/p1: RestsOn(\"the policy of topic/acme-prod/orders, which could not be read\")",
        ],
    );
    says(
        &held_back(
            here(),
            policy(&format!("serviceaccount/{CHECKOUT}"), json!("403")),
        ),
        &["nodepool.main/p1: RestsOn"],
    );
    // Nobody on it uses what was not read.
    for elsewhere in [pod("worker", "n1", "jobs"), pod("checkout", "n2", "web")] {
        assert_eq!(
            held_back(elsewhere, policy(TOPIC, json!("403"))),
            Vec::<String>::new()
        );
    }
    let other_namespace = with(
        moving(here()),
        json!({ "kubernetes": { "main": { "Pod": { "shop/a": null, "other/a": with(here(), json!({ "spec": { "hostNetwork": true } })) } } } }),
    );
    assert_eq!(
        held(&plan(
            SPEC,
            with(other_namespace, policy(TOPIC, json!("403")))
        )),
        Vec::<String>::new()
    );
}

#[test]
fn node_pool_waits_for_accounts_that_wait() {
    let world = with(
        moving(pod("worker", "n1", "jobs")),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": ours(None) } } } }),
    );
    assert_eq!(held(&plan(SPEC, world.clone())), Vec::<String>::new());
    let plan = plan(SPEC, with(world, policy(TOPIC, json!("403"))));
    rests(&plan, KSA, "the policy of topic/acme-prod/orders");
    says(&held(&plan), &["nodepool.main/p1: RestsOn"]);
}

#[test]
fn removals_wait_for_node_pools_whose_pods_were_not_read() {
    let nodes = "nodes-sa@acme-prod.iam.gserviceaccount.com";
    let world = with(
        moving(json!({})),
        json!({
            "clusters": { "main": { "nodePools": { "p1": { "config": { "serviceAccount": nodes } } } } },
            "accounts": { "acme-prod": { "nodes-sa": { "description": "[wi:shop]" } } },
            "policies": { "project/acme-prod": { "roles/viewer": [format!("serviceAccount:{nodes}")] } },
            "kubernetes": { "main": { "Pod": "403" } },
        }),
    );
    let spec = SPEC.replace(
        "googleServiceAccounts:\n",
        "googleServiceAccounts:\n  nodes-sa: {}\n",
    );
    let plan = plan(&spec, world);
    assert_eq!(held(&plan), ["nodepool.main/p1: Unread"]);
    rests(
        &plan,
        "grant.nodes-sa:roles/viewer@project/acme-prod",
        "the pods on nodepool.main/p1",
    );
}

#[test]
fn three_unread_things_are_named() {
    let topics = |n: usize| {
        let grants: Vec<String> = (0..n)
            .map(|i| format!("{{ role: roles/pubsub.viewer, resource: topic/t{i} }}"))
            .collect();
        let spec = SPEC.replace(
            "[{ role: roles/pubsub.publisher, resource: topic/orders }]",
            &format!("[{}]", grants.join(", ")),
        );
        let unread: serde_json::Map<String, Value> = (0..n)
            .map(|i| (format!("topic/acme-prod/t{i}"), json!("403")))
            .collect();
        let plan = plan(&spec, with(bare(), json!({ "policies": unread })));
        let all = unseen(&plan);
        all.into_iter().find(|u| u.starts_with(KSA)).expect("held")
    };
    assert!(
        topics(1)
            .ends_with("it rests on the policy of topic/acme-prod/t0, which could not be read")
    );
    assert!(topics(3).ends_with("t0 and the policy of topic/acme-prod/t1 and the policy of topic/acme-prod/t2, which could not be read"));
    assert!(topics(5).ends_with("topic/acme-prod/t2 and 2 more that could not be read"));
}

#[test]
fn cluster_of_others_counts_by_its_objects() {
    let spec = SPEC.replace(
        "location: europe-west1",
        "location: europe-west1, manage: false",
    );
    let stranger = "binding.checkout/acme-prod/shop/stranger";
    let world = with(
        settled(),
        policy(
            &format!("serviceaccount/{CHECKOUT}"),
            json!({ "roles/iam.workloadIdentityUser": [member("shop", "checkout"), member("shop", "stranger")] }),
        ),
    );
    assert!(has(
        &accepting(
            &spec,
            with(world.clone(), json!({ "clusters": { "main": "403" } }))
        ),
        stranger
    ));
    rests(
        &accepting(
            &spec,
            with(world, json!({ "kubernetes": { "main": "403" } })),
        ),
        stranger,
        "the Kubernetes objects of cluster.main",
    );
}
