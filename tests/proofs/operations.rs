//! GKE's operations: one at a time on each cluster.

use std::collections::BTreeMap;

use crate::check::check_begun_once;
use crate::generate::{Fleet, fleet};
use crate::run::{APPLY, open};
use crate::support::inside::{Inside, runtime};
use crate::support::size;
use crate::third::Third;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use wi_sandbox::{Operation, Sandbox};

const FLEETS: usize = 8;

/// Whether two operations ran at the same time.
fn overlap(one: &Operation, other: &Operation) -> bool {
    let end = |op: &Operation| op.end_time.clone().expect("it has ended");
    one.start_time < end(other) && other.start_time < end(one)
}

/// How often `wi` tried to begin an operation and was refused, by path.
fn refused(sandbox: &Sandbox) -> BTreeMap<String, usize> {
    let calls = sandbox.calls();
    let of_wi = |call: &&Value| {
        let body = &call["body"];
        let pool = &body["update"]["desiredWorkloadIdentityConfig"];
        pool.is_object() || body["workloadMetadataConfig"].is_object()
    };
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let calls = calls["calls"].as_array().expect("calls").iter();
    for call in calls.filter(of_wi).filter(|call| call["status"] != 200) {
        *refused.entry(call["path"].to_string()).or_default() += 1;
    }
    refused
}

async fn start(fleet: &Fleet, seconds: u32) -> (Inside, Third) {
    let inside = open(fleet, |world| {
        world.operation_seconds.set_labels = seconds;
        // As long as it takes `wi` to ask again: those of two clusters run at the same time.
        world.operation_seconds.update_cluster = 1600;
    })
    .await;
    let third = Third::of(&inside.sandbox);
    (inside, third)
}

/// No two ran at once on a cluster; whether two ran on different clusters.
fn check_one_at_a_time(sandbox: &Sandbox) -> bool {
    check_begun_once(sandbox);
    let operations = sandbox.snapshot().operations;
    let mut parallel = false;
    for (i, one) in operations.iter().enumerate() {
        for other in &operations[i + 1..] {
            let same = (&one.project, &one.cluster) == (&other.project, &other.cluster);
            assert!(!same || !overlap(one, other), "{one:?} and {other:?}");
            parallel |= !same && overlap(one, other);
        }
    }
    parallel
}

/// `wi` applies while somebody else keeps the clusters busy; whether clusters were changed at the same time.
async fn busy(fleet: Fleet) -> bool {
    let (inside, third) = start(&fleet, 20).await;
    let sandbox = &inside.sandbox;
    let apply = async {
        inside.wi(&APPLY).await.ok();
        third.end();
    };
    let others = join_all((0..fleet.clusters.len()).map(|c| third.keep_busy(&fleet, c)));
    let ((), others) = tokio::join!(apply, others);
    sandbox.settle().await;
    // It looks first. Only an operation that began since can be in its way.
    let most = *others.iter().max().expect("a cluster");
    let refused = refused(sandbox);
    assert!(
        refused.values().all(|n| *n <= most),
        "{refused:?}, at {most} operations"
    );
    let parallel = check_one_at_a_time(sandbox);
    inside.sandbox.stop().await;
    parallel
}

/// Somebody's operations run when `wi` begins, and do not end before it has asked for one of them; whether it
/// had to, since it changes one of these clusters.
async fn held(fleet: Fleet) -> bool {
    let (inside, third) = start(&fleet, 60).await;
    let sandbox = &inside.sandbox;
    inside.inject(&json!({"operation": "SET_LABELS", "stuck": true}));
    join_all((0..fleet.clusters.len()).map(|c| third.hold(&fleet, c))).await;
    let polls = "GET /v1/projects/*/operations/operation-";
    inside.inject(&json!({"match": polls, "hold": "request"}));
    let asks = async {
        sandbox.stands_still().await;
        sandbox.heal();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ran = inside.wi(&APPLY) => ran.ok(),
        () = asks => unreachable!("it never ends"),
    };
    let asked = sandbox.snapshot().faults.is_empty();
    sandbox.heal();
    sandbox.settle().await;
    let refused = refused(sandbox);
    assert!(
        refused.is_empty(),
        "they are waited for, not fought: {refused:?}"
    );
    check_one_at_a_time(sandbox);
    inside.sandbox.stop().await;
    asked
}

#[test]
fn one_gke_operation_per_cluster_at_a_time() {
    let mut runner = TestRunner::deterministic();
    let mut fleets = || -> Vec<Fleet> {
        (0..size(FLEETS).max(3))
            .map(|_| fleet().new_tree(&mut runner).expect("a fleet").current())
            .collect()
    };
    let runs = stream::iter(fleets()).map(busy).buffer_unordered(4);
    let parallel: Vec<bool> = runtime().block_on(runs.collect());
    assert!(
        parallel.contains(&true),
        "clusters are changed at the same time"
    );
    let runs = stream::iter(fleets()).map(held).buffer_unordered(4);
    let asked: Vec<bool> = runtime().block_on(runs.collect());
    assert!(asked.contains(&true), "somebody's operation is waited for");
}
