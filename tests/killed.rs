//! kill -9 of the real binary at random moments, over generated fleets, and run again: it converges,
//! nothing is done twice, nothing of others is lost, and no pod loses access on the way.

#![cfg(unix)]

use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use wi::sandbox::{self, Sandbox, World};

#[path = "fleets/check.rs"]
mod check;
#[path = "fleets/generate.rs"]
mod generate;
#[path = "fleets/run.rs"]
mod run;

use check::{check_end, check_operations, check_samples};
use generate::{Fleet, fleet};
use run::Run;

const KILLED: usize = 200;
/// In one fleet.
const KILLS: usize = 6;
/// Milliseconds; an undisturbed apply of most fleets takes longer.
const LONGEST: u64 = 250;

/// An apply that is killed; whether it had ended by itself.
async fn killed_after(run: &Run, delay: Duration) -> bool {
    let mut child = run
        .command(&["apply", "--auto-approve"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("wi starts");
    tokio::select! {
        ended = child.wait() => ended.is_ok(),
        () = tokio::time::sleep(delay) => {
            child.kill().await.expect("killed");
            false
        }
    }
}

/// How many of the applies were killed before their end.
async fn survives(fleet: &Fleet, delays: &[u64]) -> usize {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    sandbox.record_access();
    let run = Run::of(fleet, &sandbox);
    let mut killed = 0;
    for delay in delays {
        killed += usize::from(!killed_after(&run, Duration::from_millis(*delay)).await);
    }
    run.to_the_end().await;
    sandbox.settle().await;
    check_operations(&sandbox);
    check_samples(fleet, &sandbox.recorded_access(), &sandbox.access()).expect("access is kept");
    check_end(fleet, &sandbox.access()).expect("all is as declared");
    sandbox.stop().await;
    killed
}

#[test]
fn killed_two_hundred_times_it_converges_and_no_pod_loses_access() {
    let mut runner = TestRunner::deterministic();
    let cases = (fleet(), proptest::collection::vec(1..LONGEST, KILLS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut killed = 0;
    // An apply that ends before its time is none of the two hundred.
    while killed < KILLED {
        let case = cases.new_tree(&mut runner).expect("a fleet");
        let (fleet, delays) = case.current();
        killed += runtime.block_on(survives(&fleet, &delays));
    }
}
