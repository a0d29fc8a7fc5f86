//! GKE's operations: one at a time on each cluster.

use std::collections::BTreeMap;

use crate::check::check_begun_once;
use crate::generate::{Fleet, fleet};
use crate::run::Run;
use crate::support::inside::runtime;
use crate::third::Third;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use wi::sandbox::{self, Operation, Sandbox, World};

const FLEETS: usize = 8;

/// Whether two operations ran at the same time.
fn overlap(one: &Operation, other: &Operation) -> bool {
    let end = |op: &Operation| op.end_time.clone().expect("it has ended");
    one.start_time < end(other) && other.start_time < end(one)
}

/// `wi` applies while somebody else keeps the clusters busy; whether clusters were changed at the same time.
async fn busy(fleet: Fleet) -> bool {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let run = Run::of(&fleet, &sandbox);
    let third = Third::of(&sandbox);
    let apply = async {
        let apply = run.command(&["apply", "--auto-approve"]).output().await;
        third.end();
        apply.expect("wi runs")
    };
    let others = join_all((0..fleet.clusters.len()).map(|c| third.keep_busy(&fleet, c)));
    let (apply, others) = tokio::join!(apply, others);
    let text = String::from_utf8_lossy(&apply.stderr);
    assert!(apply.status.success(), "{text}");
    sandbox.settle().await;

    check_begun_once(&sandbox);
    let calls = sandbox.calls();
    let of_wi = |call: &&Value| {
        let body = &call["body"];
        let settings = [
            &body["update"]["desiredWorkloadIdentityConfig"],
            &body["workloadMetadataConfig"],
        ];
        settings.iter().any(|s| s.is_object())
    };
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let calls = calls["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .filter(of_wi);
    for call in calls.filter(|call| call["status"] != 200) {
        *refused.entry(call["path"].to_string()).or_default() += 1;
    }
    // It looks first. Only an operation that began since can be in its way.
    for (path, refused) in refused {
        let most = others.iter().max().expect("a cluster");
        assert!(
            refused <= *most,
            "{path}: refused {refused} times, at {most} operations"
        );
    }
    let operations = sandbox.snapshot().operations;
    let mut parallel = false;
    for (i, one) in operations.iter().enumerate() {
        for other in &operations[i + 1..] {
            let same = (&one.project, &one.cluster) == (&other.project, &other.cluster);
            assert!(!same || !overlap(one, other), "{one:?} and {other:?}");
            parallel |= !same && overlap(one, other);
        }
    }
    sandbox.stop().await;
    parallel
}

#[test]
fn one_gke_operation_per_cluster_at_a_time() {
    let mut runner = TestRunner::deterministic();
    let fleets: Vec<Fleet> = (0..FLEETS)
        .map(|_| fleet().new_tree(&mut runner).expect("a fleet").current())
        .collect();
    let runs = stream::iter(fleets).map(busy).buffer_unordered(4);
    let parallel: Vec<bool> = runtime().block_on(runs.collect());
    assert!(
        parallel.contains(&true),
        "clusters are changed at the same time"
    );
}
