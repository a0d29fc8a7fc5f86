//! kill -9 of the real binary at random moments, over generated fleets, and run again: it converges,
//! nothing is done twice, nothing of others is lost, and no pod loses access on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tokio::task::JoinSet;
use wi_sandbox::{Sandbox, World};

use crate::check::{check_end, check_of_others, check_operations, check_samples, of_others};
use crate::generate::{Fleet, fleet};
use crate::run::Run;
use crate::support::inside::runtime;

const KILLED: usize = 200;
/// In one fleet.
const KILLS: usize = 6;
/// Fleets at a time: most of an apply is waiting.
const AT_ONCE: usize = 8;

/// What had happened when `wi` was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    BeforeTheFirstWrite,
    BetweenWritesToIam,
    WhileAnOperationRuns,
    AfterAnOperation,
    BetweenKubernetesObjects,
    AfterTheLastWrite,
}

/// At least so many of the kills are in each; it goes on until they are.
const LEAST: [(Phase, usize); 5] = [
    (Phase::BeforeTheFirstWrite, 15),
    (Phase::BetweenWritesToIam, 25),
    (Phase::WhileAnOperationRuns, 25),
    (Phase::BetweenKubernetesObjects, 25),
    (Phase::AfterTheLastWrite, 15),
];
/// More than these, and some phase is out of reach.
const MOST: usize = 2 * KILLED;

/// When to kill: after this share of the writes that are left (below zero: before the first), and so many
/// milliseconds later.
type Moment = (f64, u64);

async fn start(fleet: &Fleet) -> (Sandbox, Run) {
    let mut world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    // Operations that last some tenths of a second, so that one runs at many moments.
    world.time_scale = 400.0;
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let run = Run::of(fleet, &sandbox);
    (sandbox, run)
}

/// The writes of an undisturbed apply.
async fn writes(fleet: &Fleet) -> usize {
    let (sandbox, run) = start(fleet).await;
    run.to_the_end().await;
    let writes = sandbox.writes();
    sandbox.stop().await;
    writes
}

/// An apply that is killed; when, or `None` if it had ended by itself.
async fn killed(run: &Run, sandbox: &Sandbox, left: usize, moment: Moment) -> Option<Phase> {
    let before = sandbox.writes();
    let wanted = match moment.0 {
        share if share < 0.0 => before,
        share => before + 1 + (share * left as f64) as usize,
    };
    let mut child = run
        .command(&["apply", "--auto-approve"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("wi starts");
    let its_moment = async {
        while sandbox.writes() < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(moment.1)).await;
    };
    tokio::select! {
        _ended = child.wait() => None,
        () = its_moment => {
            child.kill().await.expect("killed");
            Some(phase(sandbox, before, left))
        }
    }
}

/// What the sandbox has seen since there were `before` writes, of `left` that there were to be.
fn phase(sandbox: &Sandbox, before: usize, left: usize) -> Phase {
    let done = sandbox.writes() - before;
    if sandbox.snapshot().operations.iter().any(|o| o.is_running()) {
        return Phase::WhileAnOperationRuns;
    }
    if done == 0 {
        return Phase::BeforeTheFirstWrite;
    }
    if done >= left {
        return Phase::AfterTheLastWrite;
    }
    let calls = sandbox.calls();
    let calls = calls["calls"].as_array().expect("calls");
    let path = |call: &Value| call["path"].as_str().unwrap_or_default().to_owned();
    let changes = |call: &&Value| {
        let path = path(call);
        let asks = [
            ":getIamPolicy",
            ":testIamPermissions",
            ":getAncestry",
            "reviews",
        ];
        call["method"] != "GET" && !asks.iter().any(|end| path.ends_with(end))
    };
    let last = calls.iter().rev().find(changes).map(path).expect("a write");
    match last {
        path if path.starts_with("/kubernetes/") => Phase::BetweenKubernetesObjects,
        path if path.contains("/clusters/") => Phase::AfterAnOperation,
        _ => Phase::BetweenWritesToIam,
    }
}

/// When the applies were killed that did not end before.
async fn survives(fleet: Fleet, moments: Vec<Moment>) -> Vec<Phase> {
    let all = writes(&fleet).await;
    let (sandbox, run) = start(&fleet).await;
    sandbox.record_access();
    let others = of_others(&sandbox);
    let mut phases = Vec::new();
    for moment in moments {
        let left = all.saturating_sub(sandbox.writes());
        if left == 0 {
            break; // and there is nothing to be killed at
        }
        phases.extend(killed(&run, &sandbox, left, moment).await);
        check_of_others(&others, &sandbox);
    }
    run.to_the_end().await;
    sandbox.settle().await;
    check_operations(&sandbox);
    check_of_others(&others, &sandbox);
    check_samples(&fleet, &sandbox.recorded_access(), &sandbox.access()).expect("access is kept");
    check_end(&fleet, &sandbox.access()).expect("all is as declared");
    sandbox.stop().await;
    phases
}

#[test]
fn the_live_state_is_the_state() {
    let mut runner = TestRunner::deterministic();
    let moments = proptest::collection::vec((-0.1..1.0, 0..40_u64), KILLS);
    let cases = (fleet(), moments);
    let runtime = runtime();
    let mut count: BTreeMap<Phase, usize> = BTreeMap::new();
    runtime.block_on(async {
        let mut running = JoinSet::new();
        let kills =
            |count: &BTreeMap<Phase, usize>, phase| count.get(phase).copied().unwrap_or_default();
        let enough = |count: &BTreeMap<Phase, usize>| {
            // An apply that ends before its time is none of the two hundred.
            let all: usize = count.values().sum();
            let spread = LEAST
                .iter()
                .all(|(phase, least)| kills(count, phase) >= *least);
            all >= MOST || (all >= KILLED && spread)
        };
        while !enough(&count) {
            while running.len() < AT_ONCE {
                let (fleet, moments) = cases.new_tree(&mut runner).expect("a fleet").current();
                running.spawn(survives(fleet, moments));
            }
            let phases = running.join_next().await.expect("one runs");
            for phase in phases.expect("it survives") {
                *count.entry(phase).or_default() += 1;
            }
        }
        while let Some(phases) = running.join_next().await {
            phases.expect("it survives");
        }
    });
    println!("killed: {count:?}");
    for (phase, least) in LEAST {
        let kills = count.get(&phase).copied().unwrap_or_default();
        assert!(kills >= least, "{phase:?}: {count:?}");
    }
}
