//! Saved plans over generated fleets, and somebody who changes something between the plan and the apply: a
//! plan is carried out as it was shown, or refused before the first write.

use std::collections::BTreeSet;

use crate::generate::{Fleet, NAMESPACES, fleet};
use crate::support::inside::{Inside, runtime};
use crate::support::size;
use futures::stream::{self, StreamExt};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use wi_sandbox::World;

const FLEETS: usize = 10;

/// What somebody changes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Nothing,
    AMemberOfTheProject,
    AMemberOfTheBucket,
    ADescription,
    ALabelOfACluster,
    AnAnnotation,
}

const CHANGES: [Change; 6] = [
    Change::Nothing,
    Change::AMemberOfTheProject,
    Change::AMemberOfTheBucket,
    Change::ADescription,
    Change::ALabelOfACluster,
    Change::AnAnnotation,
];

/// Makes the change in a state of the sandbox, with another etag or version where there is one.
fn make(change: Change, state: &mut World, fleet: &Fleet) {
    let version = "moved".to_owned();
    let member = |state: &mut wi_sandbox::world::Policy| {
        state.bindings.push(wi_sandbox::world::Binding {
            role: "roles/browser".to_owned(),
            members: vec!["user:new@example.com".to_owned()],
            condition: None,
        });
        state.etag = "bW92ZWQ=".to_owned();
    };
    match change {
        Change::Nothing => {}
        Change::AMemberOfTheProject => {
            member(
                &mut state
                    .projects
                    .get_mut("acme-one")
                    .expect("a project")
                    .policy,
            );
        }
        Change::AMemberOfTheBucket => {
            let bucket = state.buckets.get_mut("receipts").expect("a bucket");
            member(bucket.policy.as_mut().expect("a policy"));
        }
        Change::ADescription => {
            let accounts = &mut state
                .projects
                .get_mut("acme-one")
                .expect("a project")
                .service_accounts;
            if let Some(account) = accounts.get_mut("account0") {
                account.description = "Somebody else's now".to_owned();
            }
        }
        Change::ALabelOfACluster => {
            let cluster = &mut state.clusters[0];
            cluster.labels.insert("moved".to_owned(), "x".to_owned());
            cluster.etag = version;
        }
        Change::AnAnnotation => {
            for (k, ksa) in fleet.ksas.iter().enumerate().filter(|(_, k)| k.exists) {
                let namespace = NAMESPACES[ksa.namespace];
                for cluster in &mut state.clusters {
                    let accounts = &mut cluster
                        .namespaces
                        .get_mut(namespace)
                        .expect("there")
                        .service_accounts;
                    let account = accounts.get_mut(&format!("ksa{k}")).expect("there");
                    let email = "elsewhere@acme-one.iam.gserviceaccount.com".to_owned();
                    account
                        .annotations
                        .insert("iam.gke.io/gcp-service-account".to_owned(), email);
                    cluster.resource_version += 1;
                    account.resource_version = Some(cluster.resource_version.to_string());
                }
            }
        }
    }
}

/// All that specs speak of, without what differs from run to run.
fn state(world: &World) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    flatten("", &serde_json::to_value(world).expect("JSON"), &mut lines);
    let volatile = [
        "etag",
        "uid",
        "esourceVersion",
        "managedFields",
        "revision",
        "uniqueId",
        "clock",
        "operations",
        "reationTimestamp",
        "workloadPoolSince",
        "visibleFrom",
        "/pods/",
        "/nodes/",
        "clusterId",
        "createTime",
    ];
    lines.retain(|line| !volatile.iter().any(|v| line.contains(v)));
    lines
}

/// `PATH=VALUE` of each leaf; members have no order.
fn flatten(path: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{path}/{key}"), value, lines);
            }
        }
        Value::Array(items) if path.ends_with("/bindings") => {
            for binding in items {
                for member in binding["members"].as_array().into_iter().flatten() {
                    let condition = &binding["condition"];
                    lines.insert(format!(
                        "{path}: {} to {member} if {condition}",
                        binding["role"]
                    ));
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                flatten(&format!("{path}/{i}"), item, lines);
            }
        }
        leaf => {
            lines.insert(format!("{path}={leaf}"));
        }
    }
}

/// The end of a saved plan that somebody's change came before: `true` if it was carried out.
async fn exactly(fleet: &Fleet, change: Change) -> bool {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let inside = Inside::start(&fleet.spec(), world).await;
    let plan = [
        "plan",
        "wi.yaml",
        "--out",
        "saved.wi",
        "--allow-mass-removal",
    ];
    inside.wi(&plan).await.ok();
    let mut moved = inside.sandbox.snapshot();
    inside.sandbox.stop().await;

    // The same world, some time later; and once more, where the plan is made after the change.
    make(change, &mut moved, fleet);
    let later = Inside::start("", moved.clone()).await;
    let anew = Inside::start(&fleet.spec(), moved.clone()).await;
    for file in ["saved.wi", "wi.yaml"] {
        let bytes = std::fs::read(inside.place.path(file)).expect(file);
        std::fs::write(later.place.path(file), bytes).expect(file);
    }
    let ran = later.wi(&["apply", "saved.wi"]).await;
    later.sandbox.settle().await;
    let said = format!("{change:?}: {}\n{}", ran.out, ran.err);
    let carried_out = match ran.code {
        Some(0) => {
            let mass = ["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"];
            anew.wi(&mass).await.ok();
            anew.sandbox.settle().await;
            let (ours, fresh) = (
                state(&later.sandbox.snapshot()),
                state(&anew.sandbox.snapshot()),
            );
            let differ: Vec<&String> = ours.symmetric_difference(&fresh).collect();
            assert!(differ.is_empty(), "{said}\n{differ:#?}");
            true
        }
        Some(4) => {
            assert!(ran.err.contains("the plan is stale"), "{said}");
            assert_ne!(change, Change::Nothing, "{said}");
            assert_eq!(later.sandbox.writes(), 0, "{said}");
            let (ours, before) = (state(&later.sandbox.snapshot()), state(&moved));
            assert_eq!(ours, before, "{said}");
            false
        }
        other => panic!("exit code {other:?}: {said}"),
    };
    later.sandbox.stop().await;
    anew.sandbox.stop().await;
    carried_out
}

#[test]
fn a_saved_plan_is_applied_exactly_or_not_at_all() {
    let mut runner = TestRunner::deterministic();
    let count = size(FLEETS).max(3);
    let fleets: Vec<Fleet> = (0..count)
        .map(|_| fleet().new_tree(&mut runner).expect("a fleet").current())
        .collect();
    let cases = fleets
        .iter()
        .flat_map(|fleet| CHANGES.map(|change| (fleet, change)));
    let runs = stream::iter(cases)
        .map(async |(fleet, change)| (change, exactly(fleet, change).await))
        .buffer_unordered(6);
    let ended: Vec<(Change, bool)> = runtime().block_on(runs.collect());
    let of = |change, carried_out| {
        ended
            .iter()
            .filter(|e| **e == (change, carried_out))
            .count()
    };
    assert_eq!(of(Change::Nothing, true), count);
    // What a plan rests on, in most of them.
    for change in [Change::AMemberOfTheProject, Change::AnAnnotation] {
        assert!(of(change, false) > count / 2, "{change:?}: {ended:?}");
    }
}
