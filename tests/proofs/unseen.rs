//! Every read of a plan is refused in turn, and every list cut short, over generated fleets: the plan has
//! nothing in it that a plan which sees all does not have, and says what it has not seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wi::apply;
use wi_core::plan::{Action, Plan};
use wi_sandbox::{Fault, PodAccess, Sandbox, World};

use crate::check::{check_end, check_samples};
use crate::generate::{Fleet, fleet};
use crate::support::client::Client;
use crate::support::inside::{calls_as_matches, runtime};
use crate::support::size;

const FLEETS: usize = 8;

/// A refusal, and an answer that is cut off; of a list also one that says there is more, which is refused.
fn faults(read: &str) -> Vec<Vec<Value>> {
    let mut faults = vec![
        vec![json!({"match": read, "denied": true})],
        vec![json!({"match": read, "status": 200, "body": "{\"items\": [{\"na"})],
    ];
    let more = read.trim_end_matches('$');
    let first_page = match read {
        _ if read.contains("limit=500") => json!({"metadata": {"continue": "more"}, "items": []}),
        _ if read.contains("pageSize=") => json!({"nextPageToken": "more"}),
        _ => return faults,
    };
    faults.push(vec![
        json!({"match": read, "body": first_page.to_string()}),
        json!({"match": format!("{more}&"), "denied": true}),
    ]);
    faults
}

fn changes(plan: &Plan) -> BTreeMap<&str, Action> {
    let changes = plan.changes.iter();
    changes.map(|(a, c)| (&**a, c.action())).collect()
}

async fn every_read_of(fleet: &Fleet) -> usize {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let client = Client::of(&fleet.spec(), &sandbox);
    let (whole, _) = client.plan().await;
    let mut faults: Vec<Vec<Value>> = calls_as_matches(&sandbox, true)
        .iter()
        .flat_map(|r| faults(r))
        .collect();
    faults.push(vec![json!({"missingZones": ["europe-west1"]})]);
    let mut incomplete = 0;
    for fault in faults {
        let parsed: Vec<Fault> = serde_json::from_value(json!(fault)).expect("faults");
        sandbox.inject(parsed);
        let (plan, _) = client.plan().await;
        sandbox.heal();
        let (now, all) = (changes(&plan), changes(&whole));
        for (address, action) in &now {
            assert_eq!(all.get(address), Some(action), "{fault:?}: {address}");
        }
        let says = plan.unseen.len() + plan.errors.len() + plan.held_back.len();
        let said = whole.unseen.len() + whole.errors.len() + whole.held_back.len();
        assert!(
            now == all || says > said,
            "{fault:?}: nothing is said of what is left out"
        );
        incomplete += usize::from(!plan.unseen.is_empty());
    }
    sandbox.stop().await;
    incomplete
}

/// Plans with one read refused, carries that out, and the rest once all is seen.
async fn one_read_refused(fleet: &Fleet, read: &str, end: &[PodAccess]) -> usize {
    let (sandbox, client) = start(fleet).await;
    sandbox.record_access();
    let fault: Fault =
        serde_json::from_value(json!({"match": read, "denied": true})).expect("a fault");
    sandbox.inject([fault]);
    let (plan, live) = client.plan().await;
    sandbox.heal();
    let mut held = 0;
    if plan.errors.is_empty() {
        held = plan.unseen.len();
        // Members of a pool whose cluster was not read are refused for good in this plan.
        let context = client.context_within(&plan, &live, Duration::from_secs(3));
        apply::apply(Arc::new(context), CancellationToken::new()).await;
    }
    to_rest(&sandbox, &client).await;
    let kept = check_samples(fleet, &sandbox.recorded_access(), end)
        .and_then(|()| check_end(fleet, &sandbox.access()));
    if let Err(e) = kept {
        panic!("{read}: {e}\n{:#?}\n{}", plan.unseen, fleet.spec());
    }
    sandbox.stop().await;
    held
}

async fn start(fleet: &Fleet) -> (Sandbox, Client) {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let client = Client::of(&fleet.spec(), &sandbox);
    (sandbox, client)
}

async fn to_rest(sandbox: &Sandbox, client: &Client) {
    for _ in 0..4 {
        let (plan, live) = client.plan().await;
        if plan.is_empty() {
            break;
        }
        client.apply(&plan, &live, CancellationToken::new()).await;
    }
    sandbox.settle().await;
}

async fn any_read_refused(fleet: &Fleet) -> usize {
    let (sandbox, client) = start(fleet).await;
    client.plan().await;
    let reads = calls_as_matches(&sandbox, true);
    to_rest(&sandbox, &client).await;
    let end = sandbox.access();
    sandbox.stop().await;
    let mut held = 0;
    for read in &reads {
        held += one_read_refused(fleet, read, &end).await;
    }
    held
}

/// What a plan of a part does takes access from no pod that is to have it when all is done.
#[test]
fn a_plan_of_what_could_be_read_takes_access_from_no_pod() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    for _ in 0..size(FLEETS) {
        let fleet = fleet().new_tree(&mut runner).expect("a fleet").current();
        let held = runtime.block_on(any_read_refused(&fleet));
        assert!(held >= 10, "only {held} things were held");
    }
}

#[test]
fn not_seen_is_not_absent() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    for _ in 0..size(FLEETS) {
        let fleet = fleet().new_tree(&mut runner).expect("a fleet").current();
        let incomplete = runtime.block_on(every_read_of(&fleet));
        assert!(incomplete >= 10, "only {incomplete} plans were incomplete");
    }
}
