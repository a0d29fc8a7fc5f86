//! How long an apply takes, against the longest chain of operations that cannot be avoided.
//!
//! `cargo bench --bench critical_path`: a fleet on the sandbox, with operations of realistic length
//! at `SCALE` times their speed. Per cluster one operation turns the pool on, and one moves each
//! node pool, in rounds of nodes; clusters go side by side. The chain is that of the slowest
//! cluster, computed here from the world and not by `wi`. Fails above `LIMIT` times the chain.

#[path = "../tests/support/client.rs"]
#[allow(dead_code, reason = "it plans with other options")]
mod client;

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wi::apply::{self, Context, Limits, Status};
use wi_core::plan::{self, Options};
use wi_core::read_set::ReadSet;
use wi_sandbox::{Sandbox, World};

use client::Client;

const SCALE: f64 = 30.0;
const LIMIT: f64 = 1.05;

const PENDING: u32 = 2;
const UPDATE_CLUSTER: u32 = 240;
const NODE: u32 = 90;
/// From the end of the first cluster's operation until IAM accepts members of the pool.
const POOL_SEEN: u32 = 5;

/// Whether the pool is on, and the nodes and surge of each node pool.
const CLUSTERS: [(bool, &[(u32, u32)]); 6] = [
    (false, &[(3, 1)]),
    (true, &[(6, 2), (3, 1)]),
    (false, &[(2, 1), (4, 4), (3, 3)]),
    (true, &[(9, 3)]),
    (false, &[(1, 1)]),
    (false, &[(5, 1), (2, 2)]),
];

fn chain(enabled: bool, pools: &[(u32, u32)]) -> u32 {
    let pool_on = if enabled {
        0
    } else {
        PENDING + UPDATE_CLUSTER + POOL_SEEN
    };
    let moves = pools
        .iter()
        .map(|(nodes, surge)| PENDING + nodes.div_ceil(*surge) * NODE);
    pool_on + moves.sum::<u32>()
}

fn spec_and_world() -> (String, String) {
    let mut spec = String::from("apiVersion: wi/v1\nname: bench\nproject: acme-prod\nclusters:\n");
    let mut world = format!(
        "apiVersion: wi.sandbox/v1\ntimeScale: {SCALE}\nprojects: {{ acme-prod: {{}} }}\n\
         operationSeconds: {{ pending: {PENDING}, updateCluster: {UPDATE_CLUSTER}, nodeRecreate: {NODE} }}\n\
         propagationSeconds: {{ workloadPool: {POOL_SEEN} }}\nclusters:\n"
    );
    for (i, (enabled, pools)) in CLUSTERS.iter().enumerate() {
        let _ = writeln!(spec, "  c{i}: {{ location: europe-west1 }}");
        let _ = writeln!(
            world,
            "  - project: acme-prod\n    location: europe-west1\n    name: c{i}"
        );
        if *enabled {
            world.push_str("    workloadPool: acme-prod.svc.id.goog\n");
        }
        world.push_str("    nodePools:\n");
        for (p, (nodes, surge)) in pools.iter().enumerate() {
            let _ = writeln!(
                world,
                "      - {{ name: p{p}, nodes: {nodes}, maxSurge: {surge}, maxUnavailable: 0 }}"
            );
        }
    }
    spec.push_str("googleServiceAccounts:\n");
    for i in 0..20 {
        let _ = writeln!(spec, "  account{i}: {{ grants: [roles/cloudsql.client] }}");
    }
    spec.push_str("namespaces:\n  shop:\n    serviceAccounts:\n");
    for i in 0..20 {
        let _ = writeln!(spec, "      ksa{i}: {{ impersonates: account{i} }}");
    }
    (spec, world)
}

async fn measure() -> (f64, f64) {
    let (spec, world) = spec_and_world();
    let world = World::parse(&world, "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let Client { http, desired } = Client::of(&spec, &sandbox);
    let live = wi::engine::read::read(&http, &ReadSet::of(&desired)).await;
    let plan = plan::plan(&desired, &live, &Options::default());
    assert!(
        plan.errors.is_empty() && plan.held_back.is_empty(),
        "{plan:?}"
    );

    let started = Instant::now();
    let context = Context::new(
        http,
        plan,
        &desired,
        &live,
        &Options::default(),
        Arc::new(wi::apply::Unobserved),
        Limits::default(),
    );
    let outcome = apply::apply(Arc::new(context), CancellationToken::new()).await;
    let took = started.elapsed();
    assert!(
        outcome.values().all(|end| *end == Status::Done),
        "{outcome:?}"
    );
    sandbox.stop().await;
    let longest = CLUSTERS
        .iter()
        .map(|(enabled, pools)| chain(*enabled, pools))
        .max()
        .unwrap_or(0);
    let chain = Duration::from_secs(u64::from(longest)).as_secs_f64() / SCALE;
    (took.as_secs_f64(), chain)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut worst: f64 = 0.0;
    for _ in 0..3 {
        let (took, chain) = runtime.block_on(measure());
        println!(
            "apply {took:.2} s, longest chain {chain:.2} s, ratio {:.3}",
            took / chain
        );
        worst = worst.max(took / chain);
    }
    println!("worst ratio {worst:.3}, at most {LIMIT}");
    if worst > LIMIT {
        std::process::exit(1);
    }
}
