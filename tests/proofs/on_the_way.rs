//! Generated fleets, half-migrated in every way: at every mutation of an apply the sandbox's
//! access oracle is asked, and no pod may have lost what it had before and is to have afterwards.

use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wi::apply::Status;
use wi_core::plan::Edit;
use wi_sandbox::{Sandbox, World};

use crate::check::{check_end, check_samples};
use crate::generate::{Fleet, fleet};
use crate::support::client::Client;
use crate::support::inside::runtime;
use crate::support::size;

/// Applies once or, stopped in between, several times, until nothing is left to do.
async fn migrate(fleet: &Fleet, stop_after: Option<Duration>) -> Result<(), TestCaseError> {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    sandbox.record_access();
    let client = Client::of(&fleet.spec(), &sandbox);
    let mut pools = 0;
    let mut moves = 0;
    for run in 0.. {
        let (plan, live) = client.plan().await;
        prop_assert!(plan.errors.is_empty(), "{:?}", plan.errors);
        prop_assert!(plan.unseen.is_empty(), "{:?}", plan.unseen);
        if plan.is_empty() {
            break;
        }
        prop_assert!(run < 4, "not at rest after four runs: {:#?}", plan.changes);
        if run == 0 {
            let count = |f: fn(&Edit) -> bool| plan.changes.values().filter(|c| f(&c.edit)).count();
            pools = count(|w| matches!(w, Edit::ClusterPool(_)));
            moves = count(|w| matches!(w, Edit::NodePool(_)));
        }
        let stop = CancellationToken::new();
        let stopping = async {
            match stop_after.filter(|_| run == 0) {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = client.apply(&plan, &live, stop.clone()) => outcome,
            () = stopping => unreachable!("it never ends"),
        };
        if stop_after.is_none() {
            for (address, end) in &outcome {
                prop_assert_eq!(end, &Status::Done, "{}", address);
            }
        }
    }
    sandbox.settle().await;
    let operations = sandbox.snapshot().operations.len();
    prop_assert_eq!(
        operations,
        pools + moves,
        "as few operations as there are settings to change"
    );
    check_samples(fleet, &sandbox.recorded_access(), &sandbox.access())?;
    check_end(fleet, &sandbox.access())?;
    sandbox.stop().await;
    Ok(())
}

fn run(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    runtime().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size(48) as u32, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pod_loses_access_on_the_way(fleet in fleet()) {
        run(migrate(&fleet, None))?;
    }

    #[test]
    fn nor_when_an_apply_is_interrupted_and_run_again(fleet in fleet(), after in 1..400_u64) {
        run(migrate(&fleet, Some(Duration::from_millis(after))))?;
    }
}
