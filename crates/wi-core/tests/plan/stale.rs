//! Saved plans are carried out if all is as they saw it; what is not is named.

use serde_json::{Value, json};
use wi_core::plan::saved::PlanFile;
use wi_core::plan::{Compared, Options};

use crate::saved::{file, file_with, moving};
use crate::support::*;

/// What became of a plan of `before`, by the time of `after`.
fn compare_with(spec: &str, before: &Value, after: &Value, options: &Options) -> Compared {
    let file = file_with(spec, before, options);
    let read = PlanFile::decode(&file.encode().expect("bytes")).expect("as it was written");
    read.compare(&read.touched(), &live(after))
}

fn compare(before: &Value, after: &Value) -> Compared {
    compare_with(SPEC, before, after, &options())
}

/// Every object that is stale, and how.
fn stale(compared: &Compared) -> Vec<String> {
    assert!(compared.unread.is_empty(), "{:?}", compared.unread);
    let stale = compared.stale.iter();
    stale
        .map(|s| format!("{}: {}", s.object, s.how.join("; ")))
        .collect()
}

fn unread(compared: &Compared) -> Vec<String> {
    let unread = compared.unread.iter();
    unread.map(|(what, why)| format!("{what}: {why}")).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn nothing_is_stale_while_nothing_moves() {
    assert_eq!(stale(&compare(&moving(), &moving())), nothing());
    let removing = with(
        settled(),
        json!({ "policies": { "project/acme-prod": { "roles/viewer": [principal("shop", "worker")] } } }),
    );
    assert_eq!(stale(&compare(&removing, &removing)), nothing());
}

/// The account and the right to act as it go from a service account that others annotate.
#[test]
fn annotation_of_others_that_relies_on_what_goes_stops_it() {
    let spec = SPEC
        .replace(
            "googleServiceAccounts:\n  checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }\n",
            "removed: [topic/orders]\n",
        )
        .replace("impersonates: checkout", "existing: true");
    let options = Options {
        allow_mass_removal: true,
        ..options()
    };
    let world = |there: Value| {
        let more =
            json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": there } } } });
        with(settled(), more)
    };
    let before = world(annotated(None, "helm"));
    let file = file_with(&spec, &before, &options);
    assert!(
        file.plan
            .changes
            .values()
            .any(|c| c.edit.address().contains("checkout"))
    );
    let now = |there: Value| stale(&compare_with(&spec, &before, &world(there), &options));
    assert_eq!(now(annotated(None, "helm")), nothing());
    let other = annotated(Some("other@acme-prod.iam.gserviceaccount.com"), "helm");
    let relies = now(annotated(Some(CHECKOUT), "helm"));
    says(&relies, &["ksa.main/shop/checkout", CHECKOUT]);
    // What another account is, is of no account for this; whether it acts as itself is, where its own right goes.
    assert!(
        now(other)
            .iter()
            .all(|s| s.contains("ksa.main/shop/checkout"))
    );
}

#[test]
fn account_that_moved_is_named_with_what_is_other() {
    let before = with(
        settled(),
        json!({ "accounts": { "acme-prod": { "checkout": { "description": "by hand" } } } }),
    );
    let of = |account: Value| {
        stale(&compare(
            &before,
            &with(
                before.clone(),
                json!({ "accounts": { "acme-prod": { "checkout": account } } }),
            ),
        ))
    };
    assert_eq!(
        of(json!({ "description": "by others" })),
        ["gsa.checkout: description: by hand -> by others"]
    );
    assert_eq!(
        of(json!({ "uniqueId": "9" })),
        ["gsa.checkout: uniqueId: 1 -> 9"]
    );
    assert_eq!(
        of(json!({ "disabled": true })),
        ["gsa.checkout: disabled: false -> true"]
    );
    assert_eq!(
        of(json!({ "displayName": "X" })),
        ["gsa.checkout: displayName: none -> X"]
    );
    assert_eq!(of(json!(null)), ["gsa.checkout: it is gone"]);
    assert_eq!(
        stale(&compare(
            &bare(),
            &with(
                bare(),
                json!({ "accounts": { "acme-prod": { "checkout": {} } } })
            )
        )),
        ["gsa.checkout: it was not there, and is now"]
    );
    assert_eq!(
        unread(&compare(
            &before,
            &with(
                before.clone(),
                json!({ "accounts": { "acme-prod": "403" } })
            )
        )),
        ["gsa.checkout: 403"]
    );
    for gone in [json!("absent"), json!(null)] {
        assert_eq!(
            unread(&compare(
                &before,
                &with(before.clone(), json!({ "accounts": { "acme-prod": gone } }))
            )),
            ["gsa.checkout: its project's list was not read"]
        );
    }
}

#[test]
fn policy_that_moved_is_named_member_by_member() {
    let topic = |roles: Value| json!({ "policies": { "=topic/acme-prod/orders": roles } });
    let of = |before: Value, after: Value| {
        let before = with(bare(), topic(before));
        stale(&compare(&before, &with(before.clone(), topic(after))))
    };
    let ada = || json!({ "roles/viewer": ["user:ada@example.com"] });
    assert_eq!(
        of(json!({}), ada()),
        ["the policy of topic/acme-prod/orders: bindings.roles/viewer: + user:ada@example.com"]
    );
    assert_eq!(
        of(ada(), json!({})),
        ["the policy of topic/acme-prod/orders: bindings.roles/viewer: - user:ada@example.com"]
    );
    let order =
        |members: Value| json!({ "bindings": [{ "role": "roles/viewer", "members": members }] });
    assert_eq!(
        of(
            order(json!(["user:a@b.c", "user:d@e.f"])),
            order(json!(["user:d@e.f", "user:a@b.c"]))
        ),
        nothing(),
        "lists are sets"
    );
    let etag = |tag: &str, member: &str| json!({ "etag": tag, "bindings": [{ "role": "roles/viewer", "members": [member] }] });
    assert_eq!(
        of(etag("x", "user:a@b.c"), etag("y", "user:a@b.c")),
        nothing(),
        "another version can be the same"
    );
    assert_eq!(
        of(etag("x", "user:a@b.c"), etag("x", "user:d@e.f")),
        nothing(),
        "the same version is the same"
    );
    let condition = |title: &str| json!({ "bindings": [{ "role": "roles/viewer", "members": ["user:a@b.c"], "condition": { "title": title, "expression": "true" } }] });
    assert_eq!(of(condition("t"), condition("u")).len(), 1);
    let audit = |on: bool| json!({ "bindings": [], "auditConfigs": [{ "service": "allServices", "on": on }] });
    assert_eq!(of(audit(true), audit(false)).len(), 1);
    let unread_then = with(
        bare(),
        json!({ "policies": { "topic/acme-prod/orders": "403" } }),
    );
    assert_eq!(
        unread(&compare(&bare(), &unread_then)),
        ["the policy of topic/acme-prod/orders: 403"]
    );
}

#[test]
fn cluster_that_moved_is_named() {
    let before = with(
        bare(),
        json!({ "clusters": { "main": { "workloadIdentityConfig": null } } }),
    );
    let of = |patch: Value| {
        stale(&compare(
            &before,
            &with(before.clone(), json!({ "clusters": { "main": patch } })),
        ))
    };
    says(
        &of(json!({ "workloadIdentityConfig": { "workloadPool": POOL } })),
        &["cluster.main: workloadPool: none -> acme-prod.svc.id.goog"],
    );
    says(
        &of(json!({ "id": "another" })),
        &["cluster.main: id: id-of-main -> another"],
    );
    says(
        &of(json!({ "autopilot": { "enabled": true } })),
        &["autopilot: false -> true"],
    );
    says(
        &of(json!({ "autoscaling": { "enableNodeAutoprovisioning": true } })),
        &["nodeAutoprovisioning: false -> true"],
    );
    says(
        &of(json!({ "nodePools": { "p2": pool("GKE_METADATA") } })),
        &["nodePools: + p2"],
    );
    says(
        &of(json!({ "resourceLabels": { "wi-restore-p1": "surge-1-0" } })),
        &["resourceLabels.wi-restore-p1: none -> surge-1-0"],
    );
    assert_eq!(
        of(
            json!({ "resourceLabels": { "team": "a" }, "etag": "new", "currentMasterVersion": "1.34.0" })
        ),
        nothing()
    );
    let exclusion = json!({ "window": { "maintenanceExclusions": { "freeze": { "startTime": "2030-01-01T00:00:00Z", "endTime": "2030-02-01T00:00:00Z" } } } });
    says(
        &of(json!({ "maintenancePolicy": exclusion })),
        &["maintenanceExclusions.freeze: none -> 2030-01-01T00:00:00Z to 2030-02-01T00:00:00Z"],
    );
    assert_eq!(
        stale(&compare(
            &before,
            &with(
                before.clone(),
                json!({ "clusters": { "main": "absent" }, "kubernetes": { "main": {} } })
            )
        ))
        .len(),
        1
    );
    says(
        &unread(&compare(
            &before,
            &with(before.clone(), json!({ "clusters": { "main": "403" } })),
        )),
        &["cluster.main: 403"],
    );
    says(
        &unread(&compare(
            &before,
            &with(before.clone(), json!({ "kubernetes": { "main": "403" } })),
        )),
        &["cluster.main: 403"],
    );
}

#[test]
fn objects_of_a_cluster_that_was_made_anew_are_others() {
    let world = bare();
    let anew = with(
        world.clone(),
        json!({ "clusters": { "main": { "id": "another" } } }),
    );
    assert_eq!(
        stale(&compare(&world, &anew)),
        ["cluster.main: id: id-of-main -> another"]
    );
}

#[test]
fn kubernetes_objects_that_moved_are_named() {
    let before = with(
        bare(),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "shop/checkout": annotated(None, "x") } } } }),
    );
    let of = |object: Value| {
        stale(&compare(
            &before,
            &with(
                before.clone(),
                json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": object } } } }),
            ),
        ))
    };
    says(
        &of(annotated(Some(CHECKOUT), "kubectl")),
        &[
            "ksa.main/shop/checkout: ",
            &format!("annotations.{GSA}: none -> {CHECKOUT}"),
        ],
    );
    says(
        &of(with(
            annotated(None, "x"),
            json!({ "metadata": { "uid": "v" } }),
        )),
        &["uid: u -> v"],
    );
    says(
        &of(with(
            annotated(None, "x"),
            json!({ "metadata": { "deletionTimestamp": "2026-11-30T00:00:00Z" } }),
        )),
        &["beingDeleted: none -> true"],
    );
    says(&of(json!(null)), &["ksa.main/shop/checkout: it is gone"]);
    assert_eq!(
        of(with(
            annotated(None, "x"),
            json!({ "metadata": { "resourceVersion": "9" } })
        )),
        nothing()
    );
    // Values of others are secrets, perhaps.
    let secret = of(with(
        annotated(None, "x"),
        json!({ "metadata": { "annotations": { "token": "hunter2" } } }),
    ));
    assert!(
        secret.len() == 1 && !secret[0].contains("hunter2"),
        "{secret:?}"
    );
}

#[test]
fn namespace_counts_by_what_takes_objects() {
    let of = |object: Value| {
        stale(&compare(
            &bare(),
            &with(
                bare(),
                json!({ "kubernetes": { "main": { "Namespace": { "shop": object } } } }),
            ),
        ))
    };
    assert_eq!(
        of(json!({ "metadata": { "labels": { "team": "a" } } })),
        nothing()
    );
    assert_eq!(
        of(json!({ "metadata": { "uid": "new" } })),
        ["namespace.main/shop: uid: none -> new"]
    );
    says(
        &of(json!({ "metadata": { "deletionTimestamp": "2026-11-30T00:00:00Z" } })),
        &["beingDeleted: false -> true"],
    );
    // One that is to be made is told of once.
    let none = with(
        bare(),
        json!({ "kubernetes": { "main": { "Namespace": null } } }),
    );
    assert_eq!(
        stale(&compare(&none, &bare())),
        ["namespace.main/shop: it was not there, and is now"]
    );
}

#[test]
fn node_pool_that_moved_is_named() {
    let of = |p1: Value| {
        stale(&compare(
            &moving(),
            &with(
                moving(),
                json!({ "clusters": { "main": { "nodePools": { "p1": p1 } } } }),
            ),
        ))
    };
    says(
        &of(json!({ "config": { "serviceAccount": "other@acme-prod.iam.gserviceaccount.com" } })),
        &["nodepool.main/p1: serviceAccount: nodes@"],
    );
    says(
        &of(json!({ "upgradeSettings": { "maxSurge": 5 } })),
        &["nodepool.main/p1: upgradeSettings"],
    );
    assert!(
        of(json!({ "config": { "workloadMetadataConfig": { "mode": "EXPOSE" } } }))
            .iter()
            .any(|s| s.starts_with("nodepool.main/p1: mode: GCE_METADATA -> EXPOSE"))
    );
    assert_eq!(
        of(json!({ "initialNodeCount": 9, "etag": "new" })),
        nothing()
    );
    let gone = stale(&compare(
        &moving(),
        &with(
            moving(),
            json!({ "clusters": { "main": { "nodePools": { "p1": null, "p2": pool("GKE_METADATA") } } } }),
        ),
    ));
    says(&gone, &["nodepool.main/p1: it is gone"]);
}

#[test]
fn who_loses_the_nodes_identity_is_found_out_anew() {
    let loser =
        || json!({ "kubernetes": { "main": { "Pod": { "shop/b": pod("", "n1", "web") } } } });
    let new = compare(&moving(), &with(moving(), loser()));
    assert_eq!(
        stale(&new),
        ["the workloads on nodepool.main/p1: lose the node's identity: + StatefulSet shop/web"]
    );
    let same_kind =
        json!({ "kubernetes": { "main": { "Pod": { "shop/b": pod("worker", "n1", "jobs") } } } });
    assert_eq!(
        stale(&compare(&moving(), &with(moving(), same_kind))),
        nothing(),
        "replicas are no news"
    );
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    let accepted = with(moving(), loser());
    assert_eq!(
        stale(&compare_with(SPEC, &accepted, &accepted, &accepting)),
        nothing()
    );
    let fewer = compare_with(SPEC, &accepted, &moving(), &accepting);
    assert_eq!(
        stale(&fewer),
        ["the workloads on nodepool.main/p1: lose the node's identity: - StatefulSet shop/web"]
    );
}

#[test]
fn pods_that_cannot_be_read_any_more_stop_it() {
    let unreadable = with(
        moving(),
        json!({ "kubernetes": { "main": { "=Pod": "403" } } }),
    );
    assert_eq!(
        unread(&compare(&moving(), &unreadable)),
        ["the workloads on nodepool.main/p1: it was not read"]
    );
    // Those that could not be read then were accepted unseen.
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    assert_eq!(
        stale(&compare_with(SPEC, &unreadable, &unreadable, &accepting)),
        nothing()
    );
    assert_eq!(
        stale(&compare_with(SPEC, &unreadable, &moving(), &accepting)),
        nothing()
    );
}

#[test]
fn exclusion_that_has_begun_stops_it() {
    let excluded = |start: &str| {
        with(
            moving(),
            json!({ "clusters": { "main": { "maintenancePolicy": { "window": { "maintenanceExclusions": { "freeze": { "startTime": start, "endTime": "2099-01-01T00:00:00Z" } } } } } } }),
        )
    };
    // Planned before it began, and applied within it: the clock is today's.
    let before = excluded("2001-01-01T00:00:00Z");
    let early = Options {
        now: "2000-01-01T00:00:00Z".parse().ok(),
        ..options()
    };
    let stopped = compare_with(SPEC, &before, &before, &early);
    assert_eq!(
        stale(&stopped),
        ["nodepool.main/p1: the maintenance exclusion freeze holds until 2099-01-01T00:00:00Z"]
    );
    let ignoring = Options {
        ignore_exclusions: true,
        ..early
    };
    assert_eq!(
        stale(&compare_with(SPEC, &before, &before, &ignoring)),
        nothing()
    );
    let later = excluded("2098-01-01T00:00:00Z");
    assert_eq!(stale(&compare(&later, &later)), nothing());
}

#[test]
fn file_that_leaves_a_precondition_out_is_not_believed() {
    let file = file(SPEC, &moving());
    let mut json: Value = serde_json::to_value(&file).expect("JSON");
    json["preconditions"] = json!([]);
    let forged: PlanFile = serde_json::from_value(json).expect("a file");
    let compared = forged.compare(&forged.touched(), &live(&moving()));
    let all = stale(&compared);
    says(&all, &["cluster.main: the plan does not say what it was"]);
    says(
        &all,
        &["the policy of topic/acme-prod/orders: the plan does not say what it was"],
    );
}

#[test]
fn node_pool_that_is_held_back_is_no_precondition() {
    let held_back = with(
        moving(),
        json!({ "kubernetes": { "main": { "Pod": { "shop/b": pod("", "n1", "web") } } } }),
    );
    assert_eq!(stale(&compare(&held_back, &held_back)), nothing());
}

#[test]
fn namespace_that_is_released_is_the_one_that_was_marked() {
    let former = |uid: &str| {
        with(
            settled(),
            json!({ "kubernetes": { "main": { "Namespace": { "former": with(marked("shop"), json!({ "metadata": { "uid": uid } })) } } } }),
        )
    };
    assert_eq!(stale(&compare(&former("u"), &former("u"))), nothing());
    assert_eq!(
        stale(&compare(&former("u"), &former("v"))),
        ["namespace.main/former: uid: u -> v"]
    );
    let copied = with(
        former("u"),
        json!({ "kubernetes": { "main": { "Namespace": { "former": { "metadata": { "managedFields": null } } } } } }),
    );
    assert_eq!(
        stale(&compare(&former("u"), &copied)),
        ["namespace.main/former: markIsCopied: none -> true"]
    );
}

#[test]
fn settings_that_are_put_back_are_those_that_were_seen() {
    let left = |surge: u32| {
        with(
            settled(),
            json!({ "clusters": { "main": { "resourceLabels": { "wi-restore-p1": "surge-2-0" }, "nodePools": { "p1": { "upgradeSettings": { "maxSurge": surge } } } } } }),
        )
    };
    assert_eq!(stale(&compare(&left(9), &left(9))), nothing());
    says(
        &stale(&compare(&left(9), &left(8))),
        &["nodepool.main/p1: upgradeSettings.maxSurge: 9 -> 8"],
    );
}
