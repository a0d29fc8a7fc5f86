//! Every call of an apply fails in every way, once and for good: each run ends well or with one clear
//! error, and the next one converges. Nothing of others is lost.

mod clock;
mod diagnostic;
mod library;
mod operations;
mod run;
pub mod shop;

use crate::support::inside::Inside;
use crate::support::served::Served;
use crate::support::size;
use crate::support::{HANGS, Place, Ran};
use run::Work;
use serde_json::{Value, json};
use shop::{APPLY, Calls, Shop, inject, of_others};
use std::sync::Arc;

/// Runs `wi`; a panic, a hang or a silent failure is an error.
async fn run_wi(inside: &Inside, args: &[&str], what: &str) -> Ran {
    let ran = inside.wi(args).await;
    assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
    let (out, err) = (&ran.out, &ran.err);
    match ran.code {
        Some(0) => {}
        Some(1) => assert!(
            err.contains("Error: ") || out.contains("Apply incomplete."),
            "{what}: {out}\n{err}"
        ),
        other => panic!("{what}: exit code {other:?}\n{out}\n{err}"),
    }
    ran
}

/// Without faults, whatever there was before: all is done, and nothing of others is lost.
async fn converges(inside: &Inside, before: &[String], what: &str) {
    let again = run_wi(inside, &APPLY, what).await;
    assert_eq!(again.code, Some(0), "{what}: {}\n{}", again.out, again.err);
    let plan = run_wi(inside, &["plan", "wi.yaml"], what).await;
    assert!(plan.out.contains("No changes."), "{what}: {}", plan.out);
    assert_eq!(of_others(inside), before, "{what}");
}

/// One case: a fault, an apply under it, and an apply without.
async fn case(mut work: Work, shop: Arc<Shop>, calls: Calls, fault: Value) {
    let what = format!("{fault} at {calls:?}");
    let inside = shop.open().await;
    let before = of_others(&inside);
    inject(&inside, &calls, &fault);
    let first = work.wait_for(run_wi(&inside, &APPLY, &what)).await;
    if first.code == Some(0) {
        assert!(
            first.out.contains("Apply complete!"),
            "{what}: {}",
            first.out
        );
    } else {
        // A conflict is not tried again as it is: what was read is read anew, where there is something.
        let passes = !fault["times"].is_null() && fault["status"] != 409 && fault["status"] != 412;
        assert!(!passes, "{what}: it passes.\n{}\n{}", first.out, first.err);
        diagnostic::check(&first, &calls, &fault, &what);
    }
    inside.sandbox.heal();
    converges(&inside, &before, &what).await;
    inside.sandbox.stop().await;
}

/// What IAM answers of an account that it does not know yet is waited for, five minutes long: see
/// `what_a_new_account_answers_is_waited_for_until_the_limit`.
fn is_waited_for(calls: &[String], fault: &Value) -> bool {
    let of_account = |call: &String| call.contains("/serviceAccounts/checkout@");
    let hidden = fault["status"] == 404 || fault["denied"] == true;
    hidden && calls.iter().any(of_account)
}

/// All cases, or every tenth.
fn sample<T>(cases: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    cases.into_iter().step_by(10 / size(10))
}

fn all_cases(faults: &[Value]) {
    let shop = Arc::new(Shop::load());
    let calls = shop.calls();
    assert!(calls.len() >= 25, "{calls:#?}");
    let cases = faults.iter().flat_map(|fault| {
        let calls = calls.iter().filter(|calls| !is_waited_for(calls, fault));
        calls.map(|calls| (shop.clone(), calls.clone(), fault.clone()))
    });
    run::all(sample(cases).map(|(shop, calls, fault)| move |work| case(work, shop, calls, fault)));
}

#[test]
fn what_passes_is_survived_at_every_call() {
    all_cases(&[
        json!({"status": 429, "retryAfter": 1, "times": 1}),
        json!({"status": 429, "retryAfter": 1, "retryAfterIsDate": true, "times": 1}),
        json!({"status": 500, "times": 1}),
        json!({"status": 502, "body": "<html>Bad Gateway</html>", "times": 1}),
        json!({"status": 503, "times": 2}),
        json!({"status": 409, "times": 1}),
        json!({"status": 412, "times": 1}),
        json!({"status": 401, "times": 1}),
        json!({"reset": true, "times": 2}),
        json!({"lost": true, "times": 2}),
        json!({"slowBodyMs": 100, "times": 3}),
    ]);
}

/// What is tried again stays away for about a minute, which is spent asleep: they come first, and the
/// others run meanwhile.
#[test]
fn what_stays_is_a_clear_error_at_every_call() {
    all_cases(&[
        json!({"status": 429}),
        json!({"status": 429, "retryAfter": 2}),
        json!({"status": 500}),
        json!({"status": 502, "body": "<html>Bad Gateway</html>"}),
        json!({"status": 503}),
        json!({"reset": true}),
        json!({"lost": true}),
        json!({"failedPrecondition": true}),
        json!({"denied": true}),
        json!({"status": 401}),
        json!({"status": 404}),
        json!({"status": 409}),
        json!({"status": 412}),
        json!({"status": 200, "body": "{\"unexpected\": "}),
        json!({"status": 403, "body": "<html><h1>Blocked by the proxy</h1></html>"}),
    ]);
}

/// A case of the library, on a simulated clock, and an apply of the binary without the fault.
async fn library_case(mut work: Work, (shop, calls, fault): (Arc<Shop>, Calls, Value)) {
    let what = format!("{fault} at {calls:?}");
    let inside = shop.open_at_once().await;
    let before = of_others(&inside);
    inject(&inside, &calls, &fault);
    let silent = match fault["slowBodyMs"].is_null() {
        true => Vec::new(),
        false => calls.clone(),
    };
    let applied = library::Work::on(&inside, &shop.spec);
    let first = clock::simulated(
        move |call| silent.iter().any(|pattern| shop::is_meant(pattern, call)),
        || library::apply(applied),
    );
    let first = work.wait_for(tokio::time::timeout(HANGS, first)).await;
    let first = first.unwrap_or_else(|_| panic!("{what}: it does not end"));
    if first.code != Some(0) {
        diagnostic::check(&first, &calls, &fault, &what);
    }
    inside.sandbox.heal();
    converges(&inside, &before, &what).await;
    inside.sandbox.stop().await;
}

#[test]
fn an_answer_slower_than_the_timeout_is_a_clear_error_at_every_call() {
    let shop = Arc::new(Shop::load());
    let slow = json!({"slowBodyMs": 3_600_000});
    run::all(shop.calls().into_iter().map(|calls| {
        let case = (shop.clone(), calls, slow.clone());
        move |work| library_case(work, case)
    }));
}

#[test]
fn what_a_new_account_answers_is_waited_for_until_the_limit() {
    let shop = Arc::new(Shop::load());
    let faults = [json!({"denied": true}), json!({"status": 404})];
    let cases = faults.iter().flat_map(|fault| {
        let calls = shop.calls().into_iter();
        let waited_for = calls.filter(|calls| is_waited_for(calls, fault));
        waited_for.map(|calls| (shop.clone(), calls, fault.clone()))
    });
    let cases: Vec<_> = cases.collect();
    assert!(cases.len() >= 4);
    let case = |case| move |work| library_case(work, case);
    run::all(cases.into_iter().map(case));
}

/// The connection to a cluster breaks in the middle of an apply: the plan was read by one, and the apply
/// makes another.
#[test]
fn a_handshake_that_fails_in_the_middle_of_an_apply_is_a_clear_error() {
    let cases = [
        ("cutOff", "handshake eof"),
        ("otherAuthority", "certificate"),
        ("expired", "expired"),
    ];
    run::all(cases.map(|(tls, cause)| move |work| handshake(work, tls, cause)));
}

async fn handshake(mut work: Work, tls: &str, cause: &str) {
    let shop = Shop::load();
    let inside = shop.open().await;
    let before = of_others(&inside);
    let cluster = "TLS acme-prod/europe-west1/prod-eu";
    // One connection serves reads and writes: it breaks at the first write, and the next one is refused. Both
    // clusters' writes look alike, and the other one makes a new connection.
    // Dry runs are none of them: their queries go on.
    let writes = "PATCH /api/v1/namespaces/*fieldValidation=Strict$";
    inside.inject(&json!({"reset": true, "match": writes, "times": 2}));
    inside.inject(&json!({"tls": tls, "match": cluster, "after": 1}));
    let first = work.wait_for(run_wi(&inside, &APPLY, tls)).await;
    assert_eq!(first.code, Some(1), "{tls}: {}", first.out);
    assert!(
        first.out.contains("Apply incomplete."),
        "{tls}: {}",
        first.out
    );
    let said = diagnostic::diagnostic(&first.out).join("\n");
    // Which one meets the broken connection is left to chance.
    for named in ["ksa.prod-eu/shop/", cause] {
        assert!(said.contains(named), "{tls}: no {named}: {}", first.out);
    }
    // Once; but for this one, in which rustls tells the seconds of each look.
    let told = said.matches(cause).count();
    assert!(told == 1 || tls == "expired", "{tls}: once: {}", first.out);
    // The other cluster goes on.
    assert!(!said.contains("prod-us"), "{tls}: {}", first.out);
    inside.sandbox.heal();
    converges(&inside, &before, tls).await;
}

/// A list of Kubernetes whose `continue` token has expired half-way is begun anew, once.
#[test]
fn a_list_that_expires_half_way_is_begun_anew() {
    let accounts: String = (0..620)
        .map(|n| format!("          other-{n:03}: {{}}\n"))
        .collect();
    let world = format!(
        "apiVersion: wi.sandbox/v1\nprojects: {{ acme-prod: {{}} }}\nclusters:\n  - project: acme-prod\n    location: europe-west1\n    name: main\n    workloadPool: acme-prod.svc.id.goog\n    nodePools: [{{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }}]\n    namespaces:\n      shop:\n        serviceAccounts:\n{accounts}          last: {{}}\n"
    );
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\nnamespaces: { shop: { serviceAccounts: { other-619: { existing: true }, last: { existing: true } } } }\n";
    let served = Served::of(Place::new(spec, &world));
    served.wi(&["plan", "wi.yaml"]).ok();
    let fault = |times: &str| {
        let pattern = "GET /api/v1/serviceaccounts?limit=500&continue";
        let body = format!("{{\"match\": \"{pattern}\", \"status\": 410{times}}}");
        served.request("POST", "/sandbox/v1/faults", &body);
    };
    fault(", \"times\": 1");
    // All of them are seen: otherwise the last one would be missing.
    let ran = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(ran.out.contains("No changes"), "{}", ran.out);
    fault("");
    let ran = served.wi(&["plan", "wi.yaml"]).fails();
    assert!(ran.out.contains("cluster.main"), "{}", ran.out);
    assert!(ran.out.contains("410"), "{}", ran.out);
}
