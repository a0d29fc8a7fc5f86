//! Who loses what when a node pool moves, and what holds it back.

use serde_json::{Value, json};
use wi_core::plan::{IdentityEffect, Impact, NodeRoles, Options, Plan};

use crate::support::*;

const P1: &str = "nodepool.main/p1";
const NODES: &str = "serviceAccount:nodes@acme-prod.iam.gserviceaccount.com";

/// The settled world with a node pool to move, one node, and what else is in its cluster.
pub fn world(objects: Value) -> Value {
    let objects = with(
        json!({ "Node": { "n1": node("p1"), "n2": node("p2") } }),
        objects,
    );
    with(
        settled(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } },
            "kubernetes": { "main": objects },
        }),
    )
}

pub fn pods(pods: Value) -> Value {
    world(json!({ "Pod": pods }))
}

fn impact(plan: &Plan) -> &Impact {
    &plan.impact[P1]
}

/// Every workload of the node pool, with what becomes of it.
pub fn fates(plan: &Plan) -> Vec<String> {
    let all = impact(plan).workloads.iter();
    let mut fates: Vec<String> = all
        .flat_map(|(fate, workloads)| {
            let fate = match fate {
                IdentityEffect::Loses(why) => format!("loses: {why}"),
                IdentityEffect::LosesAccepted => "accepted".to_owned(),
                IdentityEffect::Gets(what) => format!("gets {what}"),
                IdentityEffect::Keeps(why) => format!("keeps {why}"),
            };
            workloads
                .iter()
                .map(move |w| format!("{} {}/{} {fate}", w.kind, w.namespace, w.name))
        })
        .collect();
    fates.sort();
    fates
}

fn nothing() -> Vec<String> {
    Vec::new()
}

pub fn moves(plan: &Plan) -> bool {
    plan.changes.contains_key(P1)
}

#[test]
fn pods_get_what_the_spec_gives_them_and_the_rest_hold_the_pool_back() {
    let good = plan(
        SPEC,
        pods(
            json!({ "shop/a": pod("checkout", "n1", "web"), "shop/b": pod("worker", "n1", "jobs") }),
        ),
    );
    assert_eq!(
        fates(&good),
        [
            "StatefulSet shop/jobs gets acme-prod/shop/worker",
            "StatefulSet shop/web gets checkout@acme-prod.iam.gserviceaccount.com",
        ]
    );
    assert!(moves(&good) && good.held_back.is_empty());
    let bad = plan(SPEC, pods(json!({ "shop/a": pod("", "n1", "web") })));
    assert_eq!(fates(&bad), ["StatefulSet shop/web loses: "]);
    assert!(!moves(&bad));
    assert_eq!(held(&bad), ["nodepool.main/p1: Loss"]);
}

#[test]
fn loss_is_accepted_by_the_spec_or_for_one_run() {
    let world = pods(json!({ "shop/a": pod("", "n1", "web") }));
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    let run = plan_with(SPEC, world.clone(), &accepting);
    assert_eq!(fates(&run), ["StatefulSet shop/web accepted"]);
    assert!(moves(&run));
    let of = |pattern: &str| {
        SPEC.replace(
            "location: europe-west1",
            &format!("location: europe-west1, acceptLoss: [\"{pattern}\"]"),
        )
    };
    for good in ["shop/*", "shop/web", "shop/StatefulSet/web"] {
        assert!(moves(&plan(&of(good), world.clone())), "{good}");
    }
    for other in ["other/*", "shop/other", "shop/Deployment/web"] {
        assert!(!moves(&plan(&of(other), world.clone())), "{other}");
    }
}

#[test]
fn pods_that_are_not_here_nor_may_come_do_not_count() {
    let here = |pod: Value| fates(&plan(SPEC, pods(json!({ "shop/a": pod }))));
    assert_eq!(
        here(pod("", "n2", "web")),
        nothing(),
        "on another node pool"
    );
    assert_eq!(
        here(pod("", "n9", "web")),
        nothing(),
        "on a node that is not listed"
    );
    assert_eq!(
        here(with(
            pod("", "n1", "web"),
            json!({ "status": { "phase": "Failed" } })
        )),
        nothing()
    );
    let cron = json!({ "metadata": { "ownerReferences": [{ "kind": "Job", "name": "sweep-29012345", "controller": true }] }, "status": { "phase": "Succeeded" } });
    assert_eq!(
        here(with(pod("", "n1", ""), cron)),
        ["CronJob shop/sweep loses: "],
        "it runs again"
    );
    let waiting = |spec: Value| {
        here(with(
            pod("", "", "web"),
            json!({ "spec": spec, "status": { "phase": "Pending" } }),
        ))
    };
    assert_eq!(waiting(json!({})).len(), 1);
    assert_eq!(
        waiting(json!({ "nodeSelector": { "cloud.google.com/gke-nodepool": "p2" } })),
        nothing()
    );
    let own = |namespace: &str, of: Value| {
        let key = format!("{namespace}/a");
        fates(&plan(
            SPEC,
            pods(json!({ (key): with(pod("", "n1", "web"), of) })),
        ))
    };
    assert_eq!(own("gke-managed-system", json!({})), nothing(), "GKE's own");
    assert_eq!(own("shop", json!({})).len(), 1);
}

#[test]
fn workloads_are_named_by_what_the_user_made() {
    let owned = |kind: &str, name: &str, labels: Value| {
        let metadata = json!({ "metadata": { "labels": labels, "ownerReferences": [{ "kind": kind, "name": name, "controller": true }] } });
        fates(&plan(
            SPEC,
            pods(json!({ "shop/a": with(pod("", "n1", ""), metadata) })),
        ))
    };
    let none = json!({});
    assert_eq!(
        owned("ReplicaSet", "web-66d9c", none.clone()),
        ["Deployment shop/web loses: "]
    );
    assert_eq!(
        owned("ReplicaSet", "web-x", json!({ "pod-template-hash": "x" })),
        ["Deployment shop/web loses: "]
    );
    assert_eq!(
        owned(
            "ReplicaSet",
            "web-66d9c",
            json!({ "pod-template-hash": "other" })
        ),
        ["ReplicaSet shop/web-66d9c loses: "]
    );
    assert_eq!(
        owned("ReplicaSet", "web-66d", none.clone()),
        ["ReplicaSet shop/web-66d loses: "]
    );
    assert_eq!(
        owned("ReplicaSet", "web-66d.c", none.clone()),
        ["ReplicaSet shop/web-66d.c loses: "]
    );
    assert_eq!(
        owned("Job", "sweep-29012345", none.clone()),
        ["CronJob shop/sweep loses: "]
    );
    assert_eq!(
        owned("Job", "sweep-2901234", none.clone()),
        ["Job shop/sweep-2901234 loses: "]
    );
    assert_eq!(
        owned("Job", "sweep-2901234x", none.clone()),
        ["Job shop/sweep-2901234x loses: "]
    );
    let mut alone = pod("", "n1", "");
    alone["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(
        fates(&plan(SPEC, pods(json!({ "shop/a": alone })))),
        ["Pod shop/a loses: "]
    );
}

#[test]
fn templates_count_where_their_pods_may_come() {
    let template = |spec: Value| json!({ "spec": { "template": { "spec": with(json!({ "containers": [{ "name": "app" }] }), spec) } } });
    let of = |kind: &str, object: Value, pods: Value| {
        fates(&plan(
            SPEC,
            world(json!({ kind: { "shop/web": object }, "Pod": pods })),
        ))
    };
    let none = json!({});
    assert_eq!(
        of("Deployment", template(json!({})), none.clone()),
        ["Deployment shop/web loses: "]
    );
    let elsewhere = template(json!({ "nodeSelector": { "cloud.google.com/gke-nodepool": "p2" } }));
    assert_eq!(of("Deployment", elsewhere, none.clone()), nothing());
    // Where its pods are now does not tell where they come to be when they are made anew.
    let on = |kind: &str, node: &str| json!({ "shop/web-0": with(pod("", node, "web"), json!({ "metadata": { "ownerReferences": [{ "kind": kind, "name": "web", "controller": true }] } })) });
    assert_eq!(
        of("StatefulSet", template(json!({})), on("StatefulSet", "n2")),
        ["StatefulSet shop/web loses: its pods are on p2 now, and may come here"]
    );
    assert_eq!(
        of("StatefulSet", template(json!({})), on("StatefulSet", "n1")).len(),
        1
    );
    for kind in ["DaemonSet", "Job"] {
        assert_eq!(
            of(kind, template(json!({})), on(kind, "n2")).len(),
            1,
            "{kind}"
        );
    }
    let cron = json!({ "spec": { "jobTemplate": template(json!({})) } });
    assert_eq!(
        of("CronJob", cron, none.clone()),
        ["CronJob shop/web loses: "]
    );
    // A pod that waits, or has ended, tells of no place.
    for gone in [
        json!({ "spec": { "nodeName": "" }, "status": { "phase": "Pending" } }),
        json!({ "status": { "phase": "Succeeded" } }),
    ] {
        let pods =
            json!({ "shop/web-0": with(on("StatefulSet", "n2")["shop/web-0"].clone(), gone) });
        assert_eq!(
            of("StatefulSet", template(json!({})), pods),
            ["StatefulSet shop/web loses: "]
        );
    }
    let behind = json!({ "shop/web-0": with(pod("", "n2", ""), json!({ "metadata": { "ownerReferences": [{ "kind": "ReplicaSet", "name": "web-66d9c", "controller": true }] } })) });
    assert_eq!(
        of("Deployment", template(json!({})), behind),
        ["Deployment shop/web loses: its pods are on p2 now, and may come here"],
        "of its ReplicaSet"
    );
    let owned = with(
        template(json!({})),
        json!({ "metadata": { "ownerReferences": [{ "kind": "Rollout", "name": "canary", "controller": true }] } }),
    );
    assert_eq!(
        of("ReplicaSet", owned, none.clone()),
        ["Rollout shop/canary loses: "]
    );
    let named = |namespace: &str| {
        fates(&plan(
            SPEC,
            world(
                json!({ "Deployment": { (format!("{namespace}/x")): template(json!({})) }, "Pod": {} }),
            ),
        ))
    };
    assert_eq!(named("gke-managed-system"), nothing());
}

#[test]
fn budgets_that_admit_no_eviction_are_told() {
    let budget = |expected: u32, healthy: u32, app: &str| {
        json!({
            "spec": { "minAvailable": 2, "selector": { "matchLabels": { "app": app } } },
            "status": { "expectedPods": expected, "desiredHealthy": healthy },
        })
    };
    let labelled = with(
        pod("worker", "n1", "web"),
        json!({ "metadata": { "labels": { "app": "web" } } }),
    );
    let of = |budget: Value, pod: Value| {
        let plan = plan(
            SPEC,
            world(
                json!({ "PodDisruptionBudget": { "shop/keep": budget }, "Pod": { "shop/a": pod } }),
            ),
        );
        impact(&plan).budgets.clone()
    };
    assert_eq!(
        of(budget(2, 2, "web"), labelled.clone()),
        ["shop/keep (minAvailable: 2, of 2 pods)"]
    );
    assert_eq!(of(budget(3, 2, "web"), labelled.clone()), nothing());
    assert_eq!(of(budget(2, 2, "other"), labelled.clone()), nothing());
    assert_eq!(
        of(
            json!({ "status": { "expectedPods": 2, "desiredHealthy": 2 } }),
            labelled.clone()
        ),
        nothing(),
        "it selects nothing"
    );
    assert_eq!(
        of(
            budget(2, 2, "web"),
            with(labelled.clone(), json!({ "spec": { "nodeName": "n2" } }))
        ),
        nothing()
    );
    let elsewhere = plan(
        SPEC,
        world(
            json!({ "PodDisruptionBudget": { "other/keep": budget(2, 2, "web") }, "Pod": { "shop/a": labelled } }),
        ),
    );
    assert_eq!(impact(&elsewhere).budgets, nothing());
    let unread = with(
        world(json!({ "PodDisruptionBudget": "403" })),
        json!({ "clusters": { "main": { "nodePools": { "p2": pool("GCE_METADATA") } } } }),
    );
    let plan = plan(SPEC, unread);
    assert!(moves(&plan));
    let told = plan
        .warnings
        .iter()
        .filter(|w| w.contains("PodDisruptionBudgets keep nodes of cluster.main"));
    assert_eq!(told.count(), 1, "{:?}", plan.warnings);
}

#[test]
fn roles_of_the_node_are_told_where_all_was_read() {
    let viewer = json!({ "policies": { "project/acme-prod": { "roles/viewer": [NODES], "roles/logging.logWriter": [NODES, "user:ada@example.com"], "roles/browser": ["user:ada@example.com"] } } });
    let world = with(pods(json!({ "shop/a": pod("", "n1", "web") })), viewer);
    let known = plan(
        SPEC,
        with(
            world.clone(),
            json!({ "background": { "folder/12": { "roles/editor": [NODES] } } }),
        ),
    );
    let NodeRoles::Known(held) = &impact(&known).node_roles else {
        panic!("known")
    };
    let held: Vec<String> = held
        .iter()
        .map(|(role, on)| format!("{role} {on}"))
        .collect();
    assert_eq!(
        held,
        [
            "roles/editor folder/12",
            "roles/logging.logWriter project/acme-prod",
            "roles/viewer project/acme-prod"
        ]
    );
    assert_eq!(
        impact(&known).node_account,
        "nodes@acme-prod.iam.gserviceaccount.com"
    );
    assert_eq!(
        impact(&known).give_identity,
        "namespaces:\n  shop:\n    serviceAccounts:\n      default:\n        grants: [roles/logging.logWriter]  # as the node has; take out what it does not need\n"
    );
    assert_eq!(
        impact(&known).accept_loss,
        "clusters:\n  main:\n    acceptLoss:\n      - shop/StatefulSet/web\n"
    );
    let why = |patch: Value| match &impact(&plan(SPEC, with(world.clone(), patch))).node_roles {
        NodeRoles::Unknown(why) => why.clone(),
        NodeRoles::Known(held) => format!("{held:?}"),
    };
    assert_eq!(
        why(json!({ "policies": { "project/acme-prod": "403" } })),
        "403"
    );
    assert_eq!(
        why(json!({ "policies": { "project/acme-prod": null } })),
        "the policy of project/acme-prod was not read"
    );
    assert_eq!(
        why(json!({ "policies": { "bucket/acme-receipts": "403" } })),
        "the policy of bucket/acme-receipts could not be read: 403"
    );
    let default = |account: Value| {
        with(
            json!({ "clusters": { "main": { "nodePools": { "p1": { "config": { "serviceAccount": account } } } } } }),
            json!({}),
        )
    };
    assert_eq!(
        why(default(json!("default"))),
        "the project's number could not be read"
    );
    assert_eq!(
        why(default(json!(""))),
        "the project's number could not be read"
    );
    let compute = "42-compute@developer.gserviceaccount.com";
    let found = plan(
        SPEC,
        with(
            with(world.clone(), default(json!("default"))),
            json!({ "default_accounts": { "acme-prod": compute } }),
        ),
    );
    assert_eq!(impact(&found).node_account, compute);
    let unknown = plan(SPEC, with(world, default(json!("default"))));
    assert_eq!(
        impact(&unknown).node_account,
        "the Compute Engine default service account"
    );
    assert!(
        impact(&unknown)
            .give_identity
            .contains("grants: [ROLE]  # the roles that it needs")
    );
}

#[test]
fn nothing_is_suggested_that_the_spec_has_or_refuses() {
    // Nobody has annotated it yet: `grants` beside `impersonates` would be an error.
    let existing = SPEC.replace(
        "impersonates: checkout",
        "impersonates: checkout, existing: true",
    );
    let bare = json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": {} } } } });
    let lines = |more: Value| {
        let all = with(json!({ "shop/a": pod("checkout", "n1", "web") }), more);
        let plan = plan(&existing, with(pods(all), bare.clone()));
        assert!(!moves(&plan));
        impact(&plan).give_identity.clone()
    };
    assert_eq!(lines(json!({})), "");
    // Another one beside it is told of.
    let both = lines(json!({ "shop/b": pod("", "n1", "jobs") }));
    assert!(
        both.contains("      default:\n") && !both.contains("checkout:"),
        "{both}"
    );
}

#[test]
fn suggested_lines_are_for_the_cluster_where_there_are_several() {
    let spec = SPEC.replace(
        "clusters: {",
        "clusters: { edge: { location: europe-west1 },",
    );
    let world = with(
        pods(json!({ "shop/a": pod("", "n1", "web"), "new/a": pod("", "n1", "web") })),
        json!({
            "clusters": { "edge": cluster("edge", json!({})) },
            "kubernetes": { "edge": { "Namespace": { "shop": {} }, "ServiceAccount": { "=shop/checkout": ours(Some(CHECKOUT)), "=shop/worker": ours(None) } } },
        }),
    );
    let plan = plan(&spec, world);
    let lines = &impact(&plan).give_identity;
    assert!(
        lines.contains("  new:\n    clusters: [main]\n")
            && lines.contains("  shop:\n    serviceAccounts:"),
        "{lines}"
    );
}

#[test]
fn pods_of_a_replica_set_tell_where_it_is() {
    let behind = with(
        pod("", "n2", ""),
        json!({ "metadata": { "ownerReferences": [{ "kind": "ReplicaSet", "name": "web-66d9c", "controller": true }] } }),
    );
    let template =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app" }] } } } });
    let of = |pods: Value| {
        fates(&plan(
            SPEC,
            world(json!({ "ReplicaSet": { "shop/web-66d9c": template }, "Pod": pods })),
        ))
    };
    assert_eq!(of(json!({})), ["ReplicaSet shop/web-66d9c loses: "]);
    assert_eq!(
        of(json!({ "shop/a": behind })),
        ["ReplicaSet shop/web-66d9c loses: its pods are on p2 now, and may come here"]
    );
}

/// One that the spec had made is there with an identity when the plan is made, and gone when the pod comes
/// to a node with the GKE metadata server.
#[test]
fn pods_of_a_service_account_that_leaves_with_the_plan_hold_the_pool_back() {
    let without = SPEC.replace("      checkout: { impersonates: checkout }\n", "");
    let plan = plan_with(
        &without,
        pods(json!({ "shop/a": pod("checkout", "n1", "web") })),
        &Options {
            allow_mass_removal: true,
            ..options()
        },
    );
    assert!(plan.changes.contains_key("ksa.main/shop/checkout"));
    assert_eq!(
        fates(&plan),
        ["StatefulSet shop/web loses: its service account leaves the spec and is deleted"]
    );
    assert!(!moves(&plan));
}

/// A pod that gets an account without any role loses what the node's has, and that is told of.
#[test]
fn an_account_without_any_role_is_told_of_where_the_nodes_has_some() {
    let bare = SPEC.replace(
        "checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }",
        "checkout: {}",
    );
    let to = |project: Value| {
        with(
            pods(json!({ "shop/a": pod("checkout", "n1", "web") })),
            json!({ "policies": { "topic/acme-prod/orders": { "roles/pubsub.publisher": null }, "project/acme-prod": project } }),
        )
    };
    let logs = || json!({ "roles/logging.logWriter": [NODES] });
    let without = |spec: &str, world: Value| -> Vec<String> {
        let plan = plan(spec, world);
        assert!(moves(&plan), "{:?}", held(&plan));
        impact(&plan).without_roles.iter().cloned().collect()
    };
    assert_eq!(without(&bare, to(logs())), [CHECKOUT]);
    // By the spec, by somebody above the project, or under a condition that may hold, it has some.
    assert_eq!(without(SPEC, to(logs())), [""; 0]);
    let account = format!("serviceAccount:{CHECKOUT}");
    let above = json!({ "background": { "folder/12": { "roles/viewer": [account] } } });
    assert_eq!(without(&bare, with(to(logs()), above)), [""; 0]);
    let until = |time: &str| {
        let grant = format!(
            "{{ role: roles/run.viewer, condition: {{ title: t, expression: 'request.time < timestamp(\"{time}\")' }} }}"
        );
        bare.replace(
            "checkout: {}",
            &format!("checkout: {{ grants: [{grant}] }}"),
        )
    };
    assert_eq!(without(&until("2030-01-01T00:00:00Z"), to(logs())), [""; 0]);
    // What the plan takes away, it has not.
    let taken = json!({ "roles/logging.logWriter": [NODES], "roles/viewer": [account] });
    assert_eq!(without(&bare, to(taken)), [CHECKOUT]);
    // Nothing is lost where the node's account has nothing; and nothing is claimed where something was not read.
    assert_eq!(without(&bare, to(json!({}))), [""; 0]);
    let unread = json!({ "policies": { "bucket/acme-receipts": "403" } });
    assert_eq!(without(&bare, with(to(logs()), unread)), [""; 0]);
}
