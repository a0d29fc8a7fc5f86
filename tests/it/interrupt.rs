//! Stopped half-way: by ^C, which finishes what is under way, and by kill -9. The next run goes on.

use std::io::{BufReader, Read};
use std::process::{Child, ChildStderr, Command};

use serde_json::json;

use crate::support::served::Served;
use crate::support::{Place, line_with, spawn};

/// The quickstart, and an apply of it whose first operation, of the cluster, has begun and does not go on
/// before the sandbox heals.
fn begun() -> (Served, Child, BufReader<ChildStderr>) {
    let served = Served::of(Place::example("quickstart"));
    let asks = "GET /v1/projects/*/operations/operation-";
    served.inject(
        &json!([{"operation": "clusters/main", "stuck": true}, {"match": asks, "hold": "request"}]),
    );
    let mut child = spawn(&mut served.command(&["apply", "wi.yaml", "--auto-approve"]));
    served.stands_still(&mut child);
    served.sandbox.go_on();
    let stderr = BufReader::new(child.stderr.take().expect("stderr"));
    (served, child, stderr)
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &pid])
            .status()
            .expect("kill")
            .success()
    );
}

/// How a run ended, and all that it printed since.
fn ended(child: &mut Child, stderr: &mut BufReader<ChildStderr>) -> (Option<i32>, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_to_string(&mut out).expect("read");
    stderr.read_to_string(&mut err).expect("read");
    (child.wait().expect("it ends").code(), out, err)
}

/// Nothing was done twice, and nothing is left.
fn goes_on(served: &Served) {
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );
    let calls = served.calls();
    let cluster = "PUT /v1/projects/acme-prod/locations/europe-west1/clusters/main";
    assert_eq!(
        calls[cluster], 1,
        "one operation for the cluster: {calls:?}"
    );
    assert_eq!(
        calls[&format!("{cluster}/nodePools/default-pool")],
        1,
        "{calls:?}"
    );
    assert_eq!(
        calls["POST /v1/projects/acme-prod/serviceAccounts"], 1,
        "{calls:?}"
    );
}

#[test]
fn one_interrupt_finishes_what_is_under_way_and_starts_nothing_more() {
    let (served, mut child, mut stderr) = begun();
    signal(&child, "-INT");
    line_with(&mut stderr, "Interrupt received");
    served.sandbox.heal();
    let (code, out, err) = ended(&mut child, &mut stderr);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("cluster.main: Modifications complete"),
        "it is finished: {err}"
    );
    assert!(out.contains("Not started, interrupted:"), "{out}");
    assert!(out.contains("nodepool.main/default-pool"), "{out}");
    goes_on(&served);
}

#[test]
fn two_interrupts_stop_at_once_and_name_what_goes_on() {
    let (served, mut child, mut stderr) = begun();
    signal(&child, "-INT");
    line_with(&mut stderr, "Interrupt received");
    signal(&child, "-INT");
    let mut err = String::new();
    stderr.read_to_string(&mut err).expect("read");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(
        err.contains("cluster.main: operation-"),
        "the operation is named: {err}"
    );
    served.sandbox.heal();
    goes_on(&served);
}

#[test]
fn after_a_kill_the_next_run_attaches_to_the_operation_that_runs() {
    let (served, mut child, _stderr) = begun();
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    let apply = ["apply", "wi.yaml", "--auto-approve"];
    let next = served.wi_while_stuck("clusters/main", &apply).ok();
    assert!(
        next.err.contains("cluster.main: Waiting for "),
        "{}",
        next.err
    );
    goes_on(&served);
}

/// Nothing is under way at any server while IAM does not know a new account: a runner that sends SIGTERM, and
/// SIGKILL ten seconds later, gets its summary.
#[test]
fn one_interrupt_ends_waiting_for_iam() {
    let served = Served::of(Place::example("quickstart"));
    served.inject(&json!({
        "match": "POST /v3/projects/acme-prod:setIamPolicy",
        "status": 400,
        "message": "Service account checkout@acme-prod.iam.gserviceaccount.com does not exist.",
    }));
    let args = [
        "apply",
        "wi.yaml",
        "--auto-approve",
        "-v",
        "--target",
        "gsa.checkout",
        "--target",
        "grant.checkout",
    ];
    let mut child = spawn(&mut served.command(&args));
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    line_with(&mut stderr, "acme-prod:setIamPolicy");
    signal(&child, "-TERM");
    let (code, out, err) = ended(&mut child, &mut stderr);
    assert_eq!(code, Some(1));
    assert!(err.contains("Interrupt received"), "{err}");
    assert!(out.contains("Not started, interrupted:"), "{out}");
    assert!(!out.contains("Failed:"), "{out}");
    served.sandbox.heal();
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
}
