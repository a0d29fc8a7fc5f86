//! Two `wi apply` of the same fleet and a third writer of its policies at once: nothing of the third is
//! lost, nothing is done twice, no pod loses access, and afterwards all is as declared.

use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
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

const FLEETS: usize = 12;
const PROJECT: &str = "v3/projects/acme-one";

/// Adds a member to a project's policy again and again, as careful as any client is.
async fn third(endpoint: &str, token: &str, members: usize) {
    // Only the first caller in the process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let call = async |verb: &str, body: Value| -> (u16, Value) {
        let request = client
            .post(format!("{endpoint}{PROJECT}:{verb}"))
            .bearer_auth(token)
            .body(body.to_string());
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("JSON"))
    };
    for n in 0..members {
        loop {
            let options = json!({"options": {"requestedPolicyVersion": 3}});
            let (_, mut policy) = call("getIamPolicy", options).await;
            policy["version"] = json!(3);
            let binding = json!({"role": "roles/browser", "members": [member(n)]});
            match policy["bindings"].as_array_mut() {
                Some(bindings) => bindings.push(binding),
                None => policy["bindings"] = json!([binding]),
            }
            match call("setIamPolicy", json!({ "policy": policy })).await.0 {
                200 => break,
                409 => {}
                other => panic!("the third writer got {other}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn member(n: usize) -> String {
    format!("user:third{n}@example.com")
}

async fn race(fleet: &Fleet) {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    sandbox.record_access();
    let run = Run::of(fleet, &sandbox);
    let apply = async || {
        let apply = run.command(&["apply", "--auto-approve"]).output().await;
        let apply = apply.expect("wi runs");
        let text = String::from_utf8_lossy(&apply.stderr).into_owned();
        assert!(!text.contains("panicked"), "{text}");
        apply.status.code()
    };
    let (endpoint, token) = (sandbox.endpoint(), sandbox.token());
    let (one, two, ()) = tokio::join!(apply(), apply(), third(&endpoint, &token, 30));
    // One of them may find that the other has done it, or is in its way, and say so.
    assert!(
        matches!((one, two), (Some(0 | 1), Some(0 | 1))),
        "{one:?} {two:?}"
    );
    run.to_the_end().await;
    sandbox.settle().await;
    let policy = json!(sandbox.snapshot().projects["acme-one"].policy).to_string();
    for n in 0..30 {
        assert!(policy.contains(&member(n)), "{} is lost", member(n));
    }
    check_operations(&sandbox);
    check_samples(fleet, &sandbox.recorded_access(), &sandbox.access()).expect("access is kept");
    check_end(fleet, &sandbox.access()).expect("all is as declared");
    sandbox.stop().await;
}

#[test]
fn two_applies_and_a_third_writer() {
    let mut runner = TestRunner::deterministic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for _ in 0..FLEETS {
        let case = fleet().new_tree(&mut runner).expect("a fleet");
        runtime.block_on(race(&case.current()));
    }
}
