//! The rules of waves over generated fleets, whatever fails in them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wi::apply::gates::Gates;
use wi::apply::rollout::{Ended, Pause, roll_out};
use wi::apply::{SkipReason, Status};
use wi_core::plan::{Action, Edit, Plan};
use wi_sandbox::{Sandbox, World};

use crate::support::client::{Client, options};
use crate::support::{HANGS, size};

/// A fleet, its waves, and the clusters whose operations fail.
#[derive(Debug, Clone)]
struct Case {
    /// The wave of each cluster.
    wave_of: Vec<usize>,
    /// `maxParallel` of each wave.
    parallel: Vec<usize>,
    max_failures: usize,
    continues: bool,
    failing: BTreeSet<usize>,
    /// Nodes of each cluster, which make its operations long or short.
    nodes: Vec<u32>,
}

fn cases() -> impl Strategy<Value = Case> {
    (2_usize..4, 3_usize..8).prop_flat_map(|(waves, clusters)| {
        (
            prop::collection::vec(0..waves, clusters),
            prop::collection::vec(1_usize..4, waves),
            0_usize..3,
            prop::bool::weighted(0.2),
            prop::collection::btree_set(0..clusters, 0..3),
            prop::collection::vec(1_u32..4, clusters),
        )
            .prop_map(
                |(wave_of, parallel, max_failures, continues, failing, nodes)| Case {
                    wave_of,
                    parallel,
                    max_failures,
                    continues,
                    failing,
                    nodes,
                },
            )
    })
}

impl Case {
    fn spec(&self) -> String {
        let mut spec =
            String::from("apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n");
        for (i, wave) in self.wave_of.iter().enumerate() {
            let project = if i % 2 == 0 { "acme-prod" } else { "acme-two" };
            let _ = writeln!(
                spec,
                "  c{i}: {{ project: {project}, location: europe-west1, labels: {{ wave: \"{wave}\" }} }}"
            );
        }
        spec.push_str("googleServiceAccounts:\n  checkout: { grants: [roles/viewer] }\nnamespaces:\n  shop: { serviceAccounts: { checkout: { impersonates: checkout }, direct: { grants: [{ role: roles/browser, resource: project/acme-prod }] } } }\n");
        let on = if self.continues {
            "\n  onFailure: continue"
        } else {
            ""
        };
        let _ = writeln!(
            spec,
            "rollout:\n  maxFailures: {}{on}\n  waves:",
            self.max_failures
        );
        for (wave, parallel) in self.parallel.iter().enumerate() {
            if self.wave_of.contains(&wave) {
                let _ = writeln!(
                    spec,
                    "    - {{ name: w{wave}, clusters: {{ wave: \"{wave}\" }}, maxParallel: {parallel} }}"
                );
            }
        }
        spec
    }

    fn world(&self) -> String {
        let mut world = String::from(
            "apiVersion: wi.sandbox/v1\ntimeScale: 3000\noperationSeconds: { pending: 1, updateCluster: 60, nodeRecreate: 40 }\nprojects:\n  acme-prod: { policy: { bindings: [{ role: roles/editor, members: [\"serviceAccount:checkout@acme-prod.iam.gserviceaccount.com\"] }] }, serviceAccounts: { checkout: {} } }\n  acme-two: {}\nfaults:\n  - { percent: 20, latencyMs: 4 }\n",
        );
        for i in &self.failing {
            let _ = writeln!(
                world,
                "  - {{ operation: \"clusters/c{i}/nodePools\", error: \"no room\" }}"
            );
        }
        world.push_str("clusters:\n");
        for (i, nodes) in self.nodes.iter().enumerate() {
            let project = if i % 2 == 0 { "acme-prod" } else { "acme-two" };
            let _ = writeln!(
                world,
                "  - {{ project: {project}, location: europe-west1, name: c{i}, nodePools: [{{ name: p, nodes: {nodes} }}] }}"
            );
        }
        world
    }

    /// The wave of a cluster among those that have any.
    fn wave(&self, cluster: &str) -> usize {
        let i: usize = cluster[1..].parse().expect("a number");
        self.wave_of[i]
    }
}

async fn run(case: &Case) -> Result<(), TestCaseError> {
    let world = World::parse(&case.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let client = Client::of(&case.spec(), &sandbox);
    let (plan, live) = client.plan().await;
    prop_assert!(plan.errors.is_empty(), "{:?}", plan.errors);
    in_order(&plan)?;
    let context = Arc::new(client.context(&plan, &live));
    let gates = Gates {
        ready: HANGS,
        ..Gates::default()
    };
    let stop = CancellationToken::new();
    let (outcome, ended) =
        roll_out(&context, &client.desired, &live, &options(), &gates, &stop).await;
    prop_assert_eq!(outcome.len(), plan.changes.len());
    let operations = sandbox.snapshot().operations;

    // Never more clusters at a time than the wave admits.
    for operation in &operations {
        let at = &operation.start_time;
        let with: BTreeSet<&str> = operations
            .iter()
            .filter(|o| o.start_time <= *at && o.end_time.as_ref().is_none_or(|end| end > at))
            .map(|o| o.cluster.as_str())
            .collect();
        let wave = case.wave(&operation.cluster);
        prop_assert!(
            with.len() <= case.parallel[wave],
            "{with:?} at the same time in the wave {wave}"
        );
        // No wave before the former one is through.
        for other in &operations {
            if case.wave(&other.cluster) < wave {
                let end = other.end_time.as_ref();
                prop_assert!(
                    end.is_some_and(|end| end <= at),
                    "{} of an earlier wave overlaps {}",
                    other.cluster,
                    operation.cluster
                );
            }
        }
    }

    // Edit failed is bounded, or stops all waves after it.
    let failed: BTreeSet<&str> = outcome
        .iter()
        .filter(|(_, end)| matches!(end, Status::Failed(_)))
        .filter_map(|(address, _)| plan.changes[address].cluster())
        .collect();
    for cluster in &failed {
        let i: usize = cluster[1..].parse().expect("a number");
        prop_assert!(case.failing.contains(&i), "{cluster} failed by itself");
    }
    let paused = matches!(
        ended,
        Ended::Paused {
            by: Pause::Failures,
            ..
        }
    );
    prop_assert_eq!(
        paused,
        !case.continues && failed.len() > case.max_failures,
        "{:?} failed",
        failed
    );
    if paused {
        let last = failed.iter().map(|c| case.wave(c)).max().unwrap_or(0);
        for operation in &operations {
            prop_assert!(case.wave(&operation.cluster) <= last);
        }
    }

    // Edit clusters share goes last: while it stays, or once all others are done.
    let editor = |sandbox: &Sandbox| {
        sandbox.snapshot().projects["acme-prod"]
            .policy
            .bindings
            .iter()
            .any(|b| b.role == "roles/editor")
    };
    let removed = outcome.iter().any(|(address, end)| {
        *end == Status::Done && plan.changes[address].action() == Action::Delete
    });
    prop_assert_eq!(removed, !editor(&sandbox));
    let unfinished = outcome.iter().any(|(address, end)| {
        matches!(end, Status::NotStarted(SkipReason::Paused(_)))
            && matches!(plan.changes[address].edit, Edit::Ksa(_))
    });
    prop_assert!(!(removed && unfinished), "taken away before all were done");

    Ok(())
}

/// No change is in an earlier wave than what it needs.
fn in_order(plan: &Plan) -> Result<(), TestCaseError> {
    for (address, change) in &plan.changes {
        for need in &change.needs {
            if let Some(needed) = plan.changes.get(need) {
                prop_assert!(
                    needed.wave <= change.wave,
                    "{address} is in the wave {}, and {need} in {}",
                    change.wave,
                    needed.wave
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size(24) as u32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn waves_keep_their_rules_whatever_fails_and_whenever_it_ends(case in cases()) {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(run(&case))?;
    }
}
