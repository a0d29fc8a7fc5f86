//! Workloads other than Deployments on their way off static keys: StatefulSets, DaemonSets and CronJobs.

use serde_json::{Value, json};
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::mark::Way;
use wi_core::migrate::rollout::{self, Stage};
use wi_core::migrate::templates::Strategy;
use wi_core::migrate::{mark, pieces};
use wi_core::plan::{Edit, Plan, Template};

use crate::off_keys::{held, key};
use crate::support::*;
use crate::templates::{email, free, patched, planned, planned_in, pod, workload};

fn template_of(plan: &Plan) -> &Template {
    let mut all = plan.changes.values();
    let found = all.find_map(|c| match &c.edit {
        Edit::Template(template) => Some(template),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no template: {}", held(plan)))
}

/// At rest, with three pods or three nodes.
fn object(kind: &str, pod: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "generation": 3},
        "spec": {
            "replicas": 3, "revisionHistoryLimit": 10, "minReadySeconds": 5,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
        },
        "status": {
            "observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
            "currentRevision": "web-1", "updateRevision": "web-1",
            "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3,
        },
    })
}

fn of_kind(kind: &'static str, object: Value) -> TemplateSeen {
    TemplateSeen {
        kind,
        ..workload(object)
    }
}

/// An entry of its history, as an older server writes it.
fn revision(pod: Value, number: u64) -> Value {
    json!({
        "metadata": {
            "name": format!("web-{number}"), "uid": format!("cr{number}"),
            "labels": {"controller-revision-hash": number.to_string()},
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "u1", "controller": true}],
        },
        "data": {"spec": {"template": {
            "$patch": "replace", "metadata": {"creationTimestamp": null, "labels": {"app": "web"}}, "spec": pod,
        }}},
        "revision": number,
    })
}

fn with_revision(name: &str, label: &str, ready: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "uid": name, "labels": {"controller-revision-hash": label},
            "ownerReferences": [{"uid": "u1", "controller": true}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

#[test]
fn each_kind_has_its_strategy_and_what_stands_against_it() {
    for (kind, migration, strategy, why) in [
        (
            "StatefulSet",
            "until: cutover",
            Strategy::Ordered,
            "the last pod comes anew first",
        ),
        (
            "DaemonSet",
            "until: cutover, accept: [gap]",
            Strategy::OnNodes,
            "the pod of one node",
        ),
    ] {
        let plan = planned(migration, of_kind(kind, object(kind, pod())));
        assert_eq!(template_of(&plan).strategy, strategy);
        assert_eq!(template_of(&plan).way, Way::Out);
        let address = plan.changes.keys().find(|a| a.starts_with("template."));
        let address = address.expect("a template");
        assert!(
            notes(&plan, address).contains(why),
            "{}",
            notes(&plan, address)
        );
    }
    type Change = fn(&mut Value);
    let cases: [(&'static str, &str, Change, &str); 7] = [
        (
            "DaemonSet",
            "",
            |_| {},
            "ends before the new one comes there",
        ),
        (
            "StatefulSet",
            "",
            |o| o["spec"]["replicas"] = json!(1),
            "its only pod ends",
        ),
        (
            "StatefulSet",
            "",
            |o| o["spec"]["updateStrategy"]["type"] = json!("OnDelete"),
            "is OnDelete",
        ),
        (
            "StatefulSet",
            "",
            |o| o["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(2),
            "pods below 2 keep their template",
        ),
        (
            "StatefulSet",
            "",
            |o| o["status"]["updateRevision"] = json!("web-2"),
            "a rollout of it goes on",
        ),
        (
            "DaemonSet",
            ", accept: [gap]",
            |o| o["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([{"hostPort": 80}]),
            "a port of their node",
        ),
        (
            "DaemonSet",
            ", accept: [gap]",
            |o| o["status"]["numberAvailable"] = json!(2),
            "a rollout of it goes on",
        ),
    ];
    for (kind, accept, change, told) in cases {
        let mut object = object(kind, pod());
        change(&mut object);
        let plan = planned(&format!("until: cutover{accept}"), of_kind(kind, object));
        assert!(
            plan.is_empty() && held(&plan).contains(told),
            "{told}: {}",
            held(&plan)
        );
    }
    let mixed = TemplateSeen {
        mixed_nodes: true,
        ..of_kind("DaemonSet", object("DaemonSet", pod()))
    };
    let plan = planned("until: cutover, accept: [gap]", mixed);
    assert!(
        held(&plan).contains("there it would be the node"),
        "{}",
        held(&plan)
    );
    let mut one = object("StatefulSet", pod());
    one["spec"]["replicas"] = json!(1);
    let plan = planned(
        "until: cutover, accept: [gap]",
        of_kind("StatefulSet", one.clone()),
    );
    assert_eq!(template_of(&plan).strategy, Strategy::Ordered);
    one["spec"]["replicas"] = json!(0);
    let plan = planned("until: cutover", of_kind("StatefulSet", one));
    assert_eq!(template_of(&plan).strategy, Strategy::AtOnce);
}

#[test]
fn one_pod_is_replaced_and_no_other_and_the_settings_come_back() {
    let to = json!({"metadata": {"labels": {"app": "web"}}, "spec": free()});
    for (kind, first, then) in [
        (
            "StatefulSet",
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}),
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ),
        (
            "DaemonSet",
            json!({"type": "OnDelete"}),
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        ),
    ] {
        let before = object(kind, pod());
        let begun = rollout::begin(&before, &to, Way::Out, &email(), "web-1");
        let begun = patched(&before, &begun);
        assert_eq!(begun["spec"]["template"], to);
        assert_eq!(begun["spec"]["updateStrategy"], first);
        assert_eq!(
            begun["spec"]["minReadySeconds"], 5,
            "its controller judges all pods by it"
        );
        assert_eq!(Stage::of(&begun), Stage::Canary);
        assert!(rollout::stands(&begun).is_some());
        let rolling = patched(&begun, &rollout::go_on(&begun).expect("it goes on"));
        assert_eq!(rolling["spec"]["updateStrategy"], then);
        assert_eq!(Stage::of(&rolling), Stage::Rolling);
        let settled = patched(&rolling, &rollout::settle(&rolling).expect("it goes on"));
        assert_eq!(
            settled["spec"]["updateStrategy"],
            before["spec"]["updateStrategy"]
        );
        let mark = rollout::mark(&settled).expect("a mark");
        assert_eq!((mark.revision.as_str(), mark.way()), ("web-1", None));
        // Instead of going on.
        let former = rollout::template_of(&revision(pod(), 1));
        let undone = patched(&begun, &rollout::undo(&begun, &former).expect("it goes on"));
        assert_eq!(Stage::of(&undone), Stage::Rolling);
        let undone = patched(&undone, &rollout::settle(&undone).expect("it goes on"));
        assert_eq!(rollout::mark(&undone), None);
        assert_eq!(undone["spec"]["template"]["spec"], pod());
    }
}

#[test]
fn templates_of_before_are_found_among_controller_revisions() {
    let history = [revision(pod(), 1), revision(free(), 2)];
    let before = object("StatefulSet", pod());
    assert_eq!(
        rollout::revision(&before, &history).as_deref(),
        Some("web-1")
    );
    let after = object("StatefulSet", free());
    let current = rollout::current(&after, &history).expect("the new one");
    assert_eq!(current["metadata"]["name"], "web-2");
    let former = rollout::of_revision(&after, &history, "web-1").expect("the old one");
    assert_eq!(rollout::template_of(former)["spec"], pod());
    // A StatefulSet's pods name all of it, a DaemonSet's the end.
    for label in ["web-2", "2"] {
        let pods = [
            with_revision("web-0", "web-1", "True"),
            with_revision("web-2", label, "True"),
        ];
        let new = rollout::pods_of(current, &pods);
        assert_eq!(new.len(), 1, "{label}");
        assert_eq!(new[0]["metadata"]["name"], "web-2");
    }
    let mut begun = after.clone();
    begun["metadata"]["annotations"] = json!({"wi/off-key": json!({
        "account": CHECKOUT, "revision": "web-1", "underWay": {"way": "out", "was": {}},
    }).to_string()});
    assert!(!rollout::is_anothers(&begun, &history));
    let history = [revision(pod(), 1), revision(free(), 3)];
    assert!(rollout::is_anothers(&begun, &history), "one came between");
}

/// A StatefulSet's controller waits for them for ever; a DaemonSet's replaces none by itself while it stands.
#[test]
fn pods_that_no_controller_replaces_are_those_and_no_others() {
    let former = revision(pod(), 1);
    let object = |kind: &str, spec: Value| {
        let mut object = object(kind, spec);
        object["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
        object
    };
    let pods = [
        with_revision("web-0", "web-1", "False"),
        with_revision("web-1", "web-1", "True"),
        with_revision("web-2", "web-2", "False"),
    ];
    let names = |pods: Vec<&Value>| -> Vec<String> {
        let names = pods
            .iter()
            .map(|p| p["metadata"]["name"].as_str().unwrap_or_default());
        names.map(str::to_owned).collect()
    };
    let set = object("StatefulSet", pod());
    assert_eq!(names(rollout::stuck(&set, &former, &pods)), ["web-2"]);
    let deployment = object("Deployment", pod());
    assert!(rollout::stuck(&deployment, &former, &pods).is_empty());

    let new = revision(free(), 2);
    let daemons = object("DaemonSet", free());
    let of_before = ["b", "a", "c"].map(|name| with_revision(name, "1", "True"));
    let first = |pods: &[Value]| {
        let pod = rollout::to_replace(&daemons, &new, pods);
        pod.map(|p| p["metadata"]["name"].clone())
    };
    assert_eq!(first(&of_before), Some(json!("a")));
    assert_eq!(first(&of_before[..2]), None, "a node has none just now");
    let mut going = of_before.clone();
    going[2]["metadata"]["deletionTimestamp"] = json!("2026-11-30T12:00:00Z");
    assert_eq!(first(&going), None);
    let mut begun = of_before.clone();
    begun[0] = with_revision("d", "2", "False");
    assert_eq!(first(&begun), None, "one is new");
    let set = object("StatefulSet", free());
    assert_eq!(rollout::to_replace(&set, &new, &of_before), None);
}

fn cron(pod: Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    })
}

/// As the write leaves it.
fn cron_without() -> Value {
    let plan = planned("until: cutover", of_kind("CronJob", cron(pod())));
    let edit = template_of(&plan);
    assert_eq!(edit.strategy, Strategy::NextRun);
    let before = json!({"spec": pod()});
    let mark = mark::Mark {
        account: email(),
        revision: String::new(),
        pieces: Some(pieces::taken(&before, &edit.steps).expect("no secret")),
        at: Some("2026-11-30T11:00:00Z".parse().expect("a time")),
        under_way: None,
    };
    assert!(!mark.text().contains("hunter2"), "{}", mark.text());
    let object = cron(pod());
    let operations = rollout::at_once(&object, &json!({"spec": free()}), Some(&mark));
    patched(&object, &operations)
}

#[test]
fn cron_job_does_without_from_its_next_run_on_and_gets_back_just_what_was_taken() {
    let after = cron_without();
    assert_eq!(
        after["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        free()
    );
    let plan = planned("until: cutover", of_kind("CronJob", after.clone()));
    assert!(plan.is_empty() && held(&plan).is_empty(), "{}", held(&plan));
    let plan = planned("until: bound", of_kind("CronJob", after.clone()));
    assert_eq!(template_of(&plan).way, Way::Back);
    let mark = rollout::mark(&after).expect("a mark");
    let template = json!({"spec": free()});
    let back = pieces::put_back(&template, &mark.pieces.expect("pieces")).expect("all is there");
    assert_eq!(back, json!({"spec": pod()}), "in the same order");
    // By these alone the Secret is found that the way back leads to.
    let mark = rollout::mark(&after).expect("a mark");
    let alone = pieces::alone(&mark.pieces.expect("pieces"));
    let alone = serde_json::from_value(alone).expect("a pod");
    let uses = wi_core::access::secret_uses(&alone, "shop", &Default::default());
    assert!(uses.iter().any(|used| used.secret == "key"), "{uses:?}");
    // Whatever somebody changed since stays; what cannot be brought together is left.
    let mut other = after;
    other["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["name"] =
        json!("main");
    let plan = planned("until: bound", of_kind("CronJob", other));
    assert!(
        plan.is_empty() && held(&plan).contains("by hand"),
        "{}",
        held(&plan)
    );
}

#[test]
fn key_does_not_end_before_a_cron_job_has_run_without_it() {
    for (last, accept, ends) in [
        (Value::Null, "", false),
        (json!("2026-11-30T10:59:00Z"), "", false),
        (json!("2026-11-30T11:30:00Z"), "", true),
        (Value::Null, ", accept: [unproven]", true),
    ] {
        let mut after = cron_without();
        after["status"] = json!({"lastSuccessfulTime": last});
        let seen = of_kind("CronJob", after);
        let plan = planned_in(
            &format!("until: disabled{accept}"),
            &settled(),
            vec![key()],
            seen,
        );
        let told = held(&plan).contains("CronJob shop/web in cluster.main");
        assert_eq!(!told, ends, "{last}{accept}: {}", held(&plan));
    }
}

#[test]
fn value_that_may_be_a_secret_is_kept_nowhere() {
    let template = json!({"spec": {"containers": [
        {"name": "app", "env": [{"name": "GOOGLE_CREDENTIALS", "value": "hunter2"}]},
    ]}});
    let step = wi_core::migrate::edit::Step::RemoveVariable {
        list: wi_core::migrate::edit::List::Main,
        container: "app".to_owned(),
        name: "GOOGLE_CREDENTIALS".to_owned(),
    };
    assert_eq!(pieces::taken(&template, &[step]), None);
}
