//! What holds a node pool back beside who would lose by it.

use serde_json::{Value, json};
use wi_core::plan::Options;

use crate::impact::{moves, world};
use crate::support::*;

#[test]
fn pods_that_were_not_read_hold_the_pool_back() {
    let unread = world(json!({ "Pod": "403" }));
    let held_back = plan(SPEC, unread.clone());
    assert_eq!(held(&held_back), ["nodepool.main/p1: Unread"]);
    says(&unseen(&held_back), &["the pods of cluster.main: 403"]);
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    let accepted = plan_with(SPEC, unread, &accepting);
    assert!(moves(&accepted));
    says(
        &accepted.warnings,
        &["nodepool.main/p1 is moved although its pods could not be read: 403"],
    );
    let never = plan(
        SPEC,
        with(
            world(json!({})),
            json!({ "kubernetes": { "main": { "Node": null, "Pod": false } } }),
        ),
    );
    assert_eq!(held(&never), ["nodepool.main/p1: Unread"]);
    says(
        &unseen(&never),
        &["the pods of cluster.main: they were not listed"],
    );
}

#[test]
fn kinds_that_were_not_read_hold_the_pool_back() {
    let unread = world(json!({ "Deployment": "403", "CronJob": "404" }));
    let held_back = plan(SPEC, unread.clone());
    assert_eq!(held(&held_back), ["nodepool.main/p1: Unread"]);
    assert_eq!(
        unseen(&held_back),
        [
            "the CronJobs of cluster.main: 404",
            "the Deployments of cluster.main: 403"
        ]
    );
    let accepted = plan_with(
        SPEC,
        unread.clone(),
        &Options {
            accept_loss: true,
            ..options()
        },
    );
    assert!(moves(&accepted) && accepted.unseen.is_empty());
    says(
        &accepted.warnings,
        &[
            "nodepool.main/p1 is moved although the Deployments of its cluster could not be read: 403",
        ],
    );
    let two = with(
        unread,
        json!({ "clusters": { "main": { "nodePools": { "p2": pool("GCE_METADATA") } } } }),
    );
    assert_eq!(unseen(&plan(SPEC, two)).len(), 2, "told once");
}

#[test]
fn maintenance_exclusions_hold_the_pool_back() {
    let excluded = |exclusion: Value| {
        with(
            world(json!({})),
            json!({ "clusters": { "main": { "maintenancePolicy": { "window": { "maintenanceExclusions": { "freeze": exclusion } } } } } }),
        )
    };
    let now = json!({ "startTime": "2026-11-01T00:00:00Z", "endTime": "2026-12-31T00:00:00Z" });
    let held_back = plan(SPEC, excluded(now.clone()));
    says(
        &held(&held_back),
        &["nodepool.main/p1: Exclusion", "freeze", "2026-12-31"],
    );
    assert!(!moves(&held_back));
    assert!(moves(&plan_with(
        SPEC,
        excluded(now.clone()),
        &Options {
            ignore_exclusions: true,
            ..options()
        }
    )));
    assert!(moves(&plan(
        SPEC,
        excluded(json!({ "startTime": "2025-11-01T00:00:00Z", "endTime": "2025-12-31T00:00:00Z" }))
    )));
    assert!(
        moves(&plan_with(
            SPEC,
            excluded(now.clone()),
            &Options {
                now: None,
                ..options()
            }
        )),
        "without a clock"
    );
    // Whoever would lose is told before that.
    let both = with(
        excluded(now),
        json!({ "kubernetes": { "main": { "Pod": { "shop/a": pod("", "n1", "web") } } } }),
    );
    assert_eq!(held(&plan(SPEC, both)), ["nodepool.main/p1: Loss"]);
}
