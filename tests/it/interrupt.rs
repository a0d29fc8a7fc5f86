//! Stopped half-way: by ^C, which finishes what is under way, and by kill -9. The next run goes on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::support::Place;
use crate::support::served::Served;

/// The quickstart, whose operations take a second or two.
fn slow() -> Served {
    let place = Place::example("quickstart");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("world");
    place.write(
        "world.yaml",
        &world.replace("timeScale: 2000", "timeScale: 120"),
    );
    Served::of(place)
}

/// An apply that has begun to change the cluster.
fn begun(served: &Served) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = served
        .command(&["apply", "wi.yaml", "--auto-approve"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wi starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    let mut line = String::new();
    while !line.contains("grant.checkout") {
        line.clear();
        assert_ne!(
            stderr.read_line(&mut line).expect("a line"),
            0,
            "it ended early"
        );
    }
    (child, stderr)
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
    let served = slow();
    let (mut child, mut stderr) = begun(&served);
    signal(&child, "-INT");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(1));
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .expect("stdout")
        .read_to_string(&mut out)
        .expect("read");
    stderr.read_to_string(&mut err).expect("read");
    assert!(err.contains("Interrupt received"), "{err}");
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
    let served = slow();
    let (mut child, mut stderr) = begun(&served);
    signal(&child, "-INT");
    let mut line = String::new();
    while !line.contains("Interrupt received") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("a line"), 0);
    }
    signal(&child, "-INT");
    let mut err = String::new();
    stderr.read_to_string(&mut err).expect("read");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(
        err.contains("cluster.main: operation-"),
        "the operation is named: {err}"
    );
    goes_on(&served);
}

#[test]
fn after_a_kill_the_next_run_attaches_to_the_operation_that_runs() {
    let served = slow();
    let (mut child, _stderr) = begun(&served);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    goes_on(&served);
}
