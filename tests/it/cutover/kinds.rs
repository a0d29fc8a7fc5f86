//! StatefulSets, DaemonSets and CronJobs.

use serde_json::{Value, json};

use super::{OPEN, begin, has_key, serving, until, web};
use crate::migrate::{Stage, code, pod_spec};
use crate::scan::made::Account;
use crate::support::flat;

fn of_kind(kind: &str, replicas: u32) -> Value {
    let mut object = web(&pod_spec(), replicas);
    object["kind"] = json!(kind);
    match kind {
        "StatefulSet" => object["spec"]["serviceName"] = json!("web"),
        _ => {
            _ = object["spec"]
                .as_object_mut()
                .expect("a map")
                .remove("replicas")
        }
    }
    object
}

/// A cluster with nodes that one can count.
pub(super) fn on_nodes(mut world: Value) -> Value {
    let cluster = &mut world["clusters"][0];
    cluster["autopilot"] = json!(false);
    cluster["workloadPool"] = json!("acme-prod.svc.id.goog");
    cluster["nodePools"] = json!([{"name": "p1", "nodes": 3, "workloadMetadata": "GKE_METADATA"}]);
    world
}

fn apply(stage: &Stage) {
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
}

fn is_done(stage: &Stage) {
    let ran = stage.go(&["plan", "--detailed-exitcode"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
}

#[test]
fn pods_of_a_stateful_set_and_of_a_daemon_set_do_without_the_key_and_get_it_back() {
    for (n, kind, accept, told) in [
        (530, "StatefulSet", "", "the last pod comes anew first"),
        (
            531,
            "DaemonSet",
            ", accept: [gap]",
            "the pod of one node ends and comes anew first",
        ),
    ] {
        let account = Account::new(n);
        let world = on_nodes(serving(&account, &[of_kind(kind, 3)]));
        let stage = begin(&until(&account, "cutover", accept), &world);
        let before = stage.object(kind, "web")["spec"].clone();
        let ran = stage.go(&["plan"]).ok();
        assert!(flat(&ran.out).contains(told), "{}", ran.out);
        apply(&stage);
        let after = stage.object(kind, "web");
        assert!(!has_key(&after), "{after}");
        assert_eq!(after["spec"]["updateStrategy"], before["updateStrategy"]);
        let by = stage.served_by();
        assert!(
            by.contains("Metadata") && !by.contains("Key"),
            "{kind}: {by}"
        );
        assert_eq!(stage.lost(), [""; 0], "{kind}");
        is_done(&stage);
        assert_eq!(code(&stage.migrate(&[])), 0, "{kind}");

        let stage = stage.under_now(&until(&account, "bound", accept));
        let ran = stage.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
        assert_eq!(
            stage.object(kind, "web")["spec"],
            before,
            "{kind}: {}",
            ran.out
        );
        let by = stage.served_by();
        assert!(!by.contains("Metadata"), "{kind}: {by}");
        assert_eq!(stage.lost(), [""; 0], "{kind}");
        is_done(&stage);
    }
}

/// Its controller would wait for the broken pod for ever, also once the template of before is back.
#[test]
fn pod_of_a_stateful_set_or_a_daemon_set_that_does_not_work_without_the_key_is_undone() {
    for (n, kind, accept) in [
        (532, "StatefulSet", ""),
        (533, "DaemonSet", ", accept: [gap]"),
    ] {
        let account = Account::new(n);
        let mut world = on_nodes(serving(&account, &[of_kind(kind, 3)]));
        // It reads the file by itself, whatever its variables say.
        world["apps"][0]["file"] = json!("/k/key.json");
        let stage = begin(&until(&account, "cutover", accept), &world);
        let before = stage.object(kind, "web")["spec"].clone();
        let ran = stage.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
        let said = flat(&format!("{}{}", ran.out, ran.err));
        assert!(
            said.contains("it has its former template again"),
            "{kind}: {said}"
        );
        stage.settle();
        assert_eq!(stage.object(kind, "web")["spec"], before, "{kind}");
        assert_eq!(stage.lost(), [""; 0], "{kind}");
    }
}

#[test]
fn apply_that_ends_at_any_write_of_a_stateful_set_or_a_daemon_set_is_gone_on_with() {
    for (n, kind, plural, accept) in [
        (534, "StatefulSet", "statefulsets", ""),
        (535, "DaemonSet", "daemonsets", ", accept: [gap]"),
    ] {
        for after in 0..3 {
            let account = Account::new(n);
            let world = on_nodes(serving(&account, &[of_kind(kind, 2)]));
            let stage = begin(&until(&account, "cutover", accept), &world);
            let spec = stage.object(kind, "web")["spec"].clone();
            stage.inside.inject(&json!({
                "match": format!("PATCH *{plural}/web*Strict$"), "after": after, "times": 1, "denied": true,
            }));
            stage.go(&["apply", "--auto-approve"]);
            let blind = stage.wi(&["plan"]);
            let is_begun = flat(&blind.out).contains("did not come to its end");
            assert_eq!(is_begun, after > 0, "{kind} {after}: {}", blind.out);
            apply(&stage);
            let object = stage.object(kind, "web");
            assert!(!has_key(&object), "{kind} {after}");
            assert_eq!(object["spec"]["updateStrategy"], spec["updateStrategy"]);
            assert_eq!(stage.lost(), [""; 0], "{kind} {after}");
            is_done(&stage);
        }
    }
}

#[test]
fn cron_job_does_without_the_key_from_its_next_run_on() {
    let account = Account::new(536);
    let mut pod = pod_spec();
    pod["restartPolicy"] = json!("Never");
    let cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"schedule": "0 3 * * 0", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    });
    let stage = begin(
        &until(&account, "cutover", ""),
        &serving(&account, &[web(&super::without_key(), 1), cron]),
    );
    let before = stage.object("CronJob", "web")["spec"].clone();
    apply(&stage);
    let after = stage.object("CronJob", "web");
    assert!(
        !after["spec"].to_string().contains("/k/key.json"),
        "{after}"
    );
    is_done(&stage);
    // Its key waits for the next run.
    let stage = stage.under_now(&until(&account, "disabled", ""));
    let ran = stage.wi(&[&["plan"], &OPEN[..]].concat()).ok();
    assert!(
        flat(&ran.out).contains("have not run to their end without it yet: CronJob shop/web"),
        "{}",
        ran.out
    );
    let stage = stage.under_now(&until(&account, "bound", ""));
    apply(&stage);
    assert_eq!(stage.object("CronJob", "web")["spec"], before);
    assert_eq!(
        stage.object("CronJob", "web")["metadata"]["annotations"]["wi/off-key"],
        Value::Null
    );
}
