//! kill -9 of the real binary at random moments, over generated fleets, and run again: it converges,
//! nothing is done twice, nothing of others is lost, and no pod loses access on the way.

use std::collections::BTreeMap;
use std::process::Stdio;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wi_sandbox::{Hold, Sandbox};

use crate::check::{check_end, check_of_others, check_operations, check_samples, of_others};
use crate::faults::shop::pattern;
use crate::generate::{Fleet, fleet};
use crate::run::{APPLY, open, to_the_end};
use crate::support::inside::{Inside, runtime};
use crate::support::size;

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

/// When to kill: in this phase, so far into what an undisturbed apply does in it, and whether what is asked
/// for then is done before.
type Moment = (Phase, f64, Hold);

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let phases = LEAST.map(|(phase, _)| phase).to_vec();
    let moment = (
        proptest::sample::select(phases),
        0.0..1.0,
        proptest::sample::select(vec![Hold::Request, Hold::Answer]),
    );
    proptest::collection::vec(moment, KILLS)
}

/// Operations last some tenths of a second: one runs at many moments.
async fn start(fleet: &Fleet) -> Inside {
    open(fleet, |world| world.time_scale = 400.0).await
}

/// What an undisturbed apply asks for, as faults name it, by the phase that begins with it.
struct Undisturbed {
    calls: BTreeMap<Phase, Vec<String>>,
    /// Calls that begin an operation: once they are answered, one runs for sure. How far one is when it is
    /// asked about depends on how busy the machine is.
    begin_operations: Vec<String>,
    writes: usize,
}

impl Undisturbed {
    async fn of(fleet: &Fleet) -> Self {
        let inside = start(fleet).await;
        to_the_end(&inside).await;
        let mut calls: BTreeMap<Phase, Vec<String>> = BTreeMap::new();
        let mut begin_operations = Vec::new();
        let mut written = false;
        for call in inside.sandbox.calls()["calls"].as_array().expect("calls") {
            let path = call["path"].as_str().expect("a path");
            written |= changes(call);
            let phase = match path {
                _ if !written => Phase::BeforeTheFirstWrite,
                _ if path.contains("/operations/") => Phase::WhileAnOperationRuns,
                _ if !changes(call) => continue,
                _ if path.starts_with("/kubernetes/") => Phase::BetweenKubernetesObjects,
                _ if path.contains("/clusters/") => {
                    begin_operations.push(pattern(call));
                    Phase::WhileAnOperationRuns
                }
                _ => Phase::BetweenWritesToIam,
            };
            calls.entry(phase).or_default().push(pattern(call));
        }
        let writes = inside.sandbox.writes();
        inside.sandbox.stop().await;
        Self {
            calls,
            begin_operations,
            writes,
        }
    }
}

fn changes(call: &Value) -> bool {
    let path = call["path"].as_str().unwrap_or_default();
    let asks = [
        ":getIamPolicy",
        ":testIamPermissions",
        ":getAncestry",
        "reviews",
    ];
    call["method"] != "GET" && !asks.iter().any(|end| path.ends_with(end))
}

/// An apply that is killed while the sandbox stands still; when, or `None` if it had ended by itself.
async fn killed(inside: &Inside, apply: &Undisturbed, moment: &Moment) -> Option<Phase> {
    let sandbox = &inside.sandbox;
    let before = sandbox.writes();
    let (wanted, share, hold) = moment;
    let calls = match (wanted, hold) {
        (Phase::WhileAnOperationRuns, Hold::Answer) if !apply.begin_operations.is_empty() => {
            Some(&apply.begin_operations)
        }
        _ => apply.calls.get(wanted),
    };
    match calls {
        Some(calls) => {
            let at = (share * calls.len() as f64) as usize;
            inside.inject(&json!({"match": calls[at], "hold": hold}));
        }
        None => sandbox.hold_after(apply.writes),
    }
    let mut child = inside
        .command(&APPLY)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("wi starts");
    let phase = tokio::select! {
        _ended = child.wait() => None,
        () = sandbox.stands_still() => {
            child.kill().await.expect("killed");
            Some(phase(sandbox, before, apply.writes))
        }
    };
    sandbox.heal();
    phase
}

/// What the sandbox has seen since there were `before` writes, of `all` that there are to be.
fn phase(sandbox: &Sandbox, before: usize, all: usize) -> Phase {
    let done = sandbox.writes();
    if sandbox.snapshot().operations.iter().any(|o| o.is_running()) {
        return Phase::WhileAnOperationRuns;
    }
    if done == before {
        return Phase::BeforeTheFirstWrite;
    }
    if done >= all {
        return Phase::AfterTheLastWrite;
    }
    let calls = sandbox.calls();
    let calls = calls["calls"].as_array().expect("calls");
    let last = calls.iter().rev().find(|call| changes(call));
    let path = last.and_then(|call| call["path"].as_str());
    match path.expect("a write") {
        path if path.starts_with("/kubernetes/") => Phase::BetweenKubernetesObjects,
        path if path.contains("/clusters/") => Phase::AfterAnOperation,
        _ => Phase::BetweenWritesToIam,
    }
}

/// When the applies were killed that did not end before.
async fn survives(fleet: Fleet, moments: Vec<Moment>) -> Vec<Phase> {
    let apply = Undisturbed::of(&fleet).await;
    let inside = start(&fleet).await;
    let sandbox = &inside.sandbox;
    sandbox.record_access();
    let others = of_others(sandbox);
    let mut phases = Vec::new();
    for moment in &moments {
        if sandbox.writes() >= apply.writes {
            break; // there is nothing left to be killed at
        }
        phases.extend(killed(&inside, &apply, moment).await);
        check_of_others(&others, sandbox);
    }
    to_the_end(&inside).await;
    sandbox.settle().await;
    check_operations(sandbox);
    check_of_others(&others, sandbox);
    check_samples(&fleet, &sandbox.recorded_access(), &sandbox.access()).expect("access is kept");
    // What somebody may use by a token of before goes later: a run that was killed has changed identities just now.
    let world = inside.later();
    inside.sandbox.stop().await;
    let later = Inside::start(&fleet.spec(), world).await;
    to_the_end(&later).await;
    later.sandbox.settle().await;
    check_of_others(&others, &later.sandbox);
    check_end(&fleet, &later.sandbox.access()).expect("all is as declared");
    later.sandbox.stop().await;
    phases
}

#[test]
fn the_live_state_is_the_state() {
    let mut runner = TestRunner::deterministic();
    let cases = (fleet(), moments());
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
                .all(|(phase, least)| kills(count, phase) >= size(*least));
            // Four times as many, and some phase is out of reach.
            all >= 4 * size(KILLED) || (all >= size(KILLED) && spread)
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
        assert!(kills >= size(least), "{phase:?}: {count:?}");
    }
}
