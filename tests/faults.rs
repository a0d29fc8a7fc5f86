//! Every call of an apply fails in every way, once and for good: each run ends well or with a clear
//! error, and the next one converges. Nothing of others is lost.

mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::served::Served;
use support::{Place, Ran};

const APPLY: [&str; 3] = ["apply", "wi.yaml", "--auto-approve"];

fn served() -> Served {
    let place = Place::example("shop");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    place.write("world.yaml", &format!("{world}timeScale: 2000\n"));
    Served::of(place)
}

/// What others have in the world, which must stay.
fn of_others(served: &Served) -> Vec<String> {
    let world = served.request("GET", "/sandbox/v1/world", "");
    let mut lines = Vec::new();
    collect(&world, &mut lines);
    lines.sort();
    lines
}

/// Members that are none of this spec's.
fn collect(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("group:") || text.contains("user:") => {
            lines.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, lines)),
        Value::Object(fields) => fields.values().for_each(|v| collect(v, lines)),
        _ => {}
    }
}

/// The calls of an undisturbed apply, each once: `METHOD /path` with what differs from run to run left
/// open, as a fault's `match`.
fn calls() -> Vec<String> {
    let served = served();
    served.wi(&APPLY).ok();
    let mut calls: BTreeSet<String> = served
        .calls()
        .keys()
        .filter(|call| !call.contains("/sandbox/"))
        .map(|call| match call.split_once("/operations/") {
            Some((before, _)) => format!("{before}/operations/"),
            None => call.clone(),
        })
        .collect();
    for kubernetes in [
        "GET /api/v1/namespaces",
        "GET /api/v1/serviceaccounts",
        "GET /api/v1/pods",
        "GET /api/v1/nodes",
        "GET /apis/policy/v1/poddisruptionbudgets",
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "PATCH /api/v1/namespaces/shop/serviceaccounts",
    ] {
        calls.insert(kubernetes.to_owned());
    }
    calls.into_iter().collect()
}

/// Runs `wi`; a panic, a hang or a silent failure is an error.
fn run(served: &Served, args: &[&str], what: &str) -> Ran {
    let started = Instant::now();
    let ran = served.wi(args);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(45), "{what}: took {took:?}");
    assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
    match ran.code {
        Some(0) => {}
        Some(1) => {
            let text = format!("{}{}", ran.out, ran.err);
            assert!(
                text.contains("Error") || text.contains("failed"),
                "{what}: {text}"
            );
            let names = [
                "project/",
                "projects/",
                "cluster.",
                "nodepool.",
                "gsa.",
                "binding.",
                "grant.",
                "ksa.",
                "namespace.",
                "serviceaccount/",
                "bucket/",
                "secret/",
                "dataset/",
            ];
            assert!(names.iter().any(|n| text.contains(n)), "{what}: {text}");
        }
        other => panic!("{what}: exit code {other:?}\n{}\n{}", ran.out, ran.err),
    }
    ran
}

/// One case: the fault, an apply under it, and an apply without.
fn case(call: &str, fault: &Value) {
    let what = format!("{fault} at {call}");
    let served = served();
    let before = of_others(&served);
    let mut fault = fault.clone();
    fault["match"] = json!(call);
    served.request("POST", "/sandbox/v1/faults", &fault.to_string());
    let first = run(&served, &APPLY, &what);
    if first.code == Some(0) {
        assert!(
            first.out.contains("Apply complete!") || first.out.contains("No changes."),
            "{what}: {}",
            first.out
        );
    }
    served.request("DELETE", "/sandbox/v1/faults", "");
    let again = run(&served, &APPLY, &what);
    assert_eq!(again.code, Some(0), "{what}: {}\n{}", again.out, again.err);
    let plan = run(&served, &["plan", "wi.yaml"], &what);
    assert!(plan.out.contains("No changes."), "{what}: {}", plan.out);
    assert_eq!(of_others(&served), before, "{what}");
}

/// What a new account may answer for a while is waited for, five minutes long.
fn is_waited_for(call: &str, fault: &Value) -> bool {
    let of_account = call.contains("/serviceAccounts/") && !call.contains(":get");
    let of_creation = call.ends_with("/serviceAccounts") && call.starts_with("POST");
    let hidden = fault["status"] == 404 || fault["status"] == 403 || fault["denied"] == true;
    (of_account && hidden && fault["times"].is_null()) || (of_creation && !fault["body"].is_null())
}

fn all_cases(faults: &[Value]) {
    let calls = calls();
    assert!(calls.len() >= 25, "{calls:?}");
    let cases: Vec<(String, Value)> = calls
        .iter()
        .flat_map(|call| faults.iter().map(move |f| (call.clone(), f.clone())))
        .filter(|(call, fault)| !is_waited_for(call, fault))
        .collect();
    let next = Mutex::new(cases.into_iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some((call, fault)) = next.lock().expect("lock").next() else {
                        return;
                    };
                    let result = std::panic::catch_unwind(|| case(&call, &fault));
                    if let Err(e) = result {
                        let text = e.downcast_ref::<String>().cloned();
                        failures
                            .lock()
                            .expect("lock")
                            .push(text.unwrap_or_default());
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("lock");
    assert!(
        failures.is_empty(),
        "{} cases failed:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn what_passes_is_survived_at_every_call() {
    all_cases(&[
        json!({"status": 429, "retryAfter": 1, "times": 1}),
        json!({"status": 500, "times": 1}),
        json!({"status": 502, "body": "<html>Bad Gateway</html>", "times": 1}),
        json!({"status": 503, "times": 2}),
        json!({"status": 409, "times": 1}),
        json!({"status": 412, "times": 1}),
        json!({"status": 401, "times": 1}),
        json!({"reset": true, "times": 1}),
        json!({"lost": true, "times": 1}),
        json!({"slowBodyMs": 100}),
    ]);
}

#[test]
fn what_stays_is_a_clear_error_at_every_call() {
    all_cases(&[
        json!({"status": 400, "message": "Precondition check failed."}),
        json!({"denied": true}),
        json!({"status": 404, "message": "Not found, or not for you."}),
        json!({"status": 200, "body": "{\"unexpected\": "}),
        json!({"status": 403, "body": "<html><h1>Blocked by the proxy</h1></html>"}),
    ]);
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
