//! kill -9 of the real binary at random moments, over generated fleets, and run again: it converges,
//! nothing is done twice, nothing of others is lost, and no pod loses access on the way.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use wi::sandbox::{self, Sandbox, World};

#[path = "fleets/check.rs"]
mod check;
#[path = "fleets/generate.rs"]
mod generate;

use check::{check_end, check_samples};
use generate::{Fleet, fleet};

const KILLED: usize = 200;
/// In one fleet.
const KILLS: usize = 6;
/// Milliseconds; an undisturbed apply of most fleets takes longer.
const LONGEST: u64 = 250;

struct Run {
    directory: tempfile::TempDir,
    endpoint: String,
    token: String,
}

impl Run {
    fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_wi"));
        command
            .args(args)
            .args(["wi.yaml", "--allow-mass-removal"])
            .current_dir(self.directory.path())
            .env_clear()
            .env("WI_ENDPOINT", &self.endpoint)
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", &self.token)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// An apply that is killed; whether it had ended by itself.
    async fn killed_after(&self, delay: Duration) -> bool {
        let mut child = self
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
}

/// How many of the applies were killed before their end.
async fn survives(fleet: &Fleet, delays: &[u64]) -> usize {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    sandbox.record_access();
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("wi.yaml"), fleet.spec()).expect("written");
    let run = Run {
        directory,
        endpoint: sandbox.endpoint(),
        token: sandbox.token(),
    };
    let mut killed = 0;
    for delay in delays {
        killed += usize::from(!run.killed_after(Duration::from_millis(*delay)).await);
    }
    for round in 0.. {
        let apply = run.command(&["apply", "--auto-approve"]).output();
        let apply = apply.await.expect("wi runs");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&apply.stdout),
            String::from_utf8_lossy(&apply.stderr)
        );
        assert!(apply.status.success(), "{text}");
        if text.contains("No changes") {
            break;
        }
        assert!(round < 3, "not at rest: {text}");
    }
    sandbox.settle().await;
    let operations = sandbox.snapshot().operations;
    let different: BTreeSet<_> = operations
        .iter()
        .map(|o| (&o.operation_type, &o.project, &o.cluster, &o.node_pool))
        .collect();
    assert_eq!(different.len(), operations.len(), "{operations:#?}");
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
