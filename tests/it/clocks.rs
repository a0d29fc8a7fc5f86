//! The servers' clocks are hours ahead of this machine's, or behind: nothing hangs, nothing is claimed by
//! the wrong clock.

use std::time::{Duration, Instant};

use crate::support::inside::{Inside, runtime};
use serde_json::json;
use wi_sandbox::World;

const APPLY: [&str; 3] = ["apply", "wi.yaml", "--auto-approve"];
/// Five hours, in seconds.
const SKEW: i64 = 5 * 3600;
const CLUSTER: &str = "/v1/projects/acme-prod/locations/europe-west1-b/clusters/main";

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1-b }
";

fn world(ahead: i64, rest: &str) -> World {
    let world = format!(
        "apiVersion: wi.sandbox/v1
clockAheadSeconds: {ahead}
timeScale: 600
projects: {{ acme-prod: {{}} }}
clusters:
  - project: acme-prod
    location: europe-west1-b
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{{ name: web, nodes: 2 }}]
{rest}
"
    );
    World::parse(&world, "world.yaml").expect("a valid world")
}

async fn on_a_fleet(ahead: i64) {
    let read = |file: &str| {
        let path = format!("{}/examples/shop/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect(file)
    };
    let world = format!(
        "{}timeScale: 2000\nclockAheadSeconds: {ahead}\n",
        read("world.yaml")
    );
    let world = World::parse(&world, "world.yaml").expect("a valid world");
    let inside = Inside::start(&read("wi.yaml"), world).await;
    // As a date by that clock, of a quota that is met once.
    let quota = json!({"status": 429, "retryAfter": 2, "retryAfterIsDate": true, "times": 1,
        "match": "POST /v3/projects/acme-prod:setIamPolicy"});
    inside.inject(&quota);
    let started = Instant::now();
    inside.wi(&APPLY).await.ok();
    let took = started.elapsed();
    assert!(
        took > Duration::from_secs(1),
        "Retry-After is honoured: {took:?}"
    );
    let plan = inside.wi(&["plan", "wi.yaml"]).await.ok();
    assert!(plan.out.contains("No changes."), "{}", plan.out);
}

#[test]
fn a_fleet_is_applied_whatever_the_clocks_say() {
    runtime().block_on(async {
        tokio::join!(on_a_fleet(SKEW), on_a_fleet(-SKEW));
    });
}

/// An operation of somebody else that has just begun does not run for hours.
async fn an_operation_has_just_begun(ahead: i64) {
    let inside = Inside::start(
        SPEC,
        world(ahead, "faults: [{ operation: SET_LABELS, stuck: true }]"),
    )
    .await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let url = |path: &str| format!("{}{}", inside.sandbox.endpoint(), &path[1..]);
    let token = inside.sandbox.token();
    let cluster = client.get(url(CLUSTER)).bearer_auth(&token).send();
    let cluster = cluster
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    let cluster: serde_json::Value = serde_json::from_str(&cluster).expect("JSON");
    let body =
        json!({"resourceLabels": {"team": "x"}, "labelFingerprint": cluster["labelFingerprint"]});
    let labels = client.post(url(&format!("{CLUSTER}:setResourceLabels")));
    let labels = labels
        .bearer_auth(&token)
        .body(body.to_string())
        .send()
        .await;
    assert!(labels.expect("an answer").status().is_success());
    inside.inject(&json!({"match": "GET /v1/projects/*/operations/operation-", "hold": "request"}));
    let asked = async {
        inside.sandbox.stands_still().await;
        inside.sandbox.heal();
    };
    let (apply, ()) = tokio::join!(inside.wi(&APPLY), asked);
    let apply = apply.ok();
    let line = apply
        .err
        .lines()
        .find(|l| l.contains("Waiting for SET_LABELS"));
    let line = line.unwrap_or_else(|| panic!("{}", apply.err));
    // Simulated time runs ahead of the clock that answers carry.
    assert!(line.ends_with(", which runs for 0 s"), "{line}");
}

#[test]
fn the_age_of_an_operation_is_told_by_the_servers_clock() {
    // Only the first caller in the process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime().block_on(async {
        tokio::join!(
            an_operation_has_just_begun(SKEW),
            an_operation_has_just_begun(-SKEW)
        );
    });
}

/// A maintenance exclusion from and to so many hours from now, by the server's clock.
async fn excluded(ahead: i64, from: i64, to: i64) -> (bool, bool) {
    let time = |hours: i64| {
        let seconds = ahead + hours * 3600;
        (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
    };
    let exclusion = format!(
        "    maintenanceExclusions: {{ freeze: {{ startTime: {}, endTime: {} }} }}",
        time(from),
        time(to)
    );
    let inside = Inside::start(SPEC, world(ahead, &exclusion)).await;
    let plan = inside.wi(&["plan", "wi.yaml"]).await.ok();
    let apply = inside.wi(&APPLY).await.ok();
    (
        plan.out.contains("held back"),
        apply.out.contains("held back"),
    )
}

#[test]
fn a_maintenance_exclusion_holds_by_the_servers_clock() {
    runtime().block_on(async {
        for ahead in [SKEW, -SKEW] {
            let holds = excluded(ahead, -1, 1);
            let is_over = excluded(ahead, -3, -1);
            let is_to_come = excluded(ahead, 1, 3);
            let (holds, is_over, is_to_come) = tokio::join!(holds, is_over, is_to_come);
            assert_eq!(holds, (true, true), "{ahead}");
            assert_eq!(is_over, (false, false), "{ahead}");
            assert_eq!(is_to_come, (false, false), "{ahead}");
        }
    });
}
