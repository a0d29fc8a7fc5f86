//! GKE's operations that do not end, and ones that end with an error.

use futures::future::join_all;
use serde_json::{Value, json};
use wi_sandbox::World;

use crate::support::flat;
use crate::support::inside::{Inside, runtime};
use crate::support::size;

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1-b }
";

/// One cluster; with Workload Identity or without.
fn world(enabled: bool) -> World {
    let pool = if enabled {
        "workloadPool: acme-prod.svc.id.goog,"
    } else {
        ""
    };
    let world = format!(
        "apiVersion: wi.sandbox/v1
timeScale: 2000
projects: {{ acme-prod: {{}} }}
clusters:
  - {{ project: acme-prod, location: europe-west1-b, name: main, {pool} labels: {{ team: shop }},
      nodePools: [{{ name: web, nodes: 2, maxSurge: 2, maxUnavailable: 1 }}] }}
"
    );
    World::parse(&world, "world.yaml").expect("a valid world")
}

/// An operation of an apply, as faults name it, and what it is begun by.
struct Kind {
    enabled: bool,
    args: &'static [&'static str],
    operation: &'static str,
    /// So many of the same name come before.
    after: u32,
    address: &'static str,
}

const SURGE: &[&str] = &["--max-surge", "3"];
const KINDS: [Kind; 7] = [
    // The cluster, the node pool.
    Kind {
        enabled: false,
        args: &[],
        operation: "clusters/main",
        after: 0,
        address: "cluster.main",
    },
    Kind {
        enabled: true,
        args: &[],
        operation: "nodePools/web",
        after: 0,
        address: "nodepool.main/web",
    },
    // With settings of one run: the label that keeps its own, those of the run, the move, and back.
    Kind {
        enabled: true,
        args: SURGE,
        operation: "SET_LABELS",
        after: 0,
        address: "nodepool.main/web",
    },
    Kind {
        enabled: true,
        args: SURGE,
        operation: "nodePools/web",
        after: 0,
        address: "nodepool.main/web",
    },
    Kind {
        enabled: true,
        args: SURGE,
        operation: "nodePools/web",
        after: 1,
        address: "nodepool.main/web",
    },
    Kind {
        enabled: true,
        args: SURGE,
        operation: "nodePools/web",
        after: 2,
        address: "nodepool.main/web",
    },
    Kind {
        enabled: true,
        args: SURGE,
        operation: "SET_LABELS",
        after: 1,
        address: "nodepool.main/web",
    },
];

/// A run that goes wrong, and what it says.
async fn goes_wrong(inside: &Inside, kind: &Kind, fault: &Value, more: &[&str]) -> String {
    inside.inject(fault);
    let args = [&["apply", "wi.yaml", "--auto-approve"], kind.args, more].concat();
    let ran = inside.wi(&args).await.fails();
    let out = flat(&ran.out);
    assert!(
        out.contains(&format!(
            "Failed: ✗ {} (wi.yaml:5) operation operation-",
            kind.address
        )),
        "{}",
        ran.out
    );
    assert!(
        out.contains("on projects/acme-prod/locations/europe-west1-b/clusters/main"),
        "{}",
        ran.out
    );
    out
}

/// The next run, which knows nothing of settings: all is done and put back.
async fn converges(inside: &Inside, what: &str) {
    inside.sandbox.heal();
    inside
        .wi(&["apply", "wi.yaml", "--auto-approve"])
        .await
        .ok();
    let plan = inside.wi(&["plan", "wi.yaml"]).await.ok();
    assert!(plan.out.contains("No changes."), "{what}: {}", plan.out);
    let cluster = &inside.world()["clusters"][0];
    assert_eq!(cluster["labels"], json!({"team": "shop"}), "{what}");
    let pool = &cluster["nodePools"][0];
    assert_eq!(pool["workloadMetadata"], "GKE_METADATA", "{what}");
    assert_eq!(
        (&pool["maxSurge"], &pool["maxUnavailable"]),
        (&json!(2), &json!(1)),
        "{what}"
    );
}

/// How often the nodes were to be moved.
fn moves(inside: &Inside) -> usize {
    let calls = inside.sandbox.calls();
    let calls = calls["calls"].as_array().expect("calls").iter();
    calls
        .filter(|c| c["body"]["workloadMetadataConfig"].is_object() && c["status"] == 200)
        .count()
}

#[test]
fn an_operation_that_ends_with_an_error_is_told_and_the_next_run_goes_on() {
    let cases = KINDS.iter().map(async |kind| {
        let inside = Inside::start(SPEC, world(kind.enabled)).await;
        let error = "Insufficient quota to satisfy the request: resource CPUS.";
        let fault =
            json!({"operation": kind.operation, "after": kind.after, "error": error, "times": 1});
        let out = goes_wrong(&inside, kind, &fault, &[]).await;
        assert!(out.contains(error), "GKE's own words: {out}");
        converges(&inside, &format!("{fault}")).await;
        let its_own =
            kind.operation == "nodePools/web" && kind.after == u32::from(!kind.args.is_empty());
        assert_eq!(moves(&inside), 1 + usize::from(its_own), "{fault}");
        inside.sandbox.stop().await;
    });
    runtime().block_on(join_all(cases));
}

#[test]
fn an_operation_that_never_ends_is_named_and_the_next_run_goes_on() {
    let first = KINDS.iter().filter(|kind| kind.after == 0);
    let cases = first.map(async |kind| {
        let inside = Inside::start(SPEC, world(kind.enabled)).await;
        let fault = json!({"operation": kind.operation, "stuck": true});
        let minutes = size(10) / 10;
        let limit = ["--operation-timeout", &minutes.to_string()];
        let out = goes_wrong(&inside, kind, &fault, &limit).await;
        let still_runs = format!(
            "still runs after {} s. It goes on at GKE; run apply again",
            minutes * 60
        );
        assert!(out.contains(&still_runs), "{out}");
        converges(&inside, &format!("{fault}")).await;
        assert_eq!(moves(&inside), 1, "{fault}");
        inside.sandbox.stop().await;
    });
    runtime().block_on(join_all(cases));
}
