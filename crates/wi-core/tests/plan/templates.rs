//! Templates of workloads on their way off static keys: what `wi` changes itself, in which order, and what it leaves to
//! whom.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::live::keys::KeySeen;
use wi_core::live::templates::{TemplateSeen, Whole};
use wi_core::live::{ConfigMaps, Live};
use wi_core::migrate::mark::Way;
use wi_core::migrate::rollout::{self, Health, Stage};
use wi_core::migrate::templates::Strategy;
use wi_core::names::Email;
use wi_core::plan::{self, Edit, Plan, Template};

use crate::applied::json_patch;
use crate::off_keys::{disabled, held, key, listed, passes, seen, spec};
use crate::support::*;

const ADDRESS: &str = "template.main/shop/deployment/web";

/// The value of a variable, which nothing may tell.
const CANARY: &str = "hunter2-in-a-variable";

pub fn pod() -> Value {
    json!({
        "serviceAccountName": "checkout",
        "containers": [{
            "name": "app", "image": "shop/app:1",
            "env": [{"name": "PASSWORD", "value": CANARY}, {"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/k/key.json"}],
            "volumeMounts": [{"name": "k", "mountPath": "/k"}],
        }],
        "volumes": [{"name": "k", "secret": {"secretName": "key"}}],
    })
}

pub fn free() -> Value {
    json!({
        "serviceAccountName": "checkout",
        "containers": [{"name": "app", "image": "shop/app:1", "env": [{"name": "PASSWORD", "value": CANARY}]}],
    })
}

/// A Deployment at rest.
pub fn web(pod: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "generation": 3,
            "annotations": {"deployment.kubernetes.io/revision": "4"},
        },
        "spec": {
            "replicas": 3, "minReadySeconds": 5, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
        },
        "status": {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3},
    })
}

/// Its ReplicaSet of a revision.
pub fn set(pod: Value, revision: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("web-{revision}"), "uid": format!("rs{revision}"),
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": "u1", "controller": true}],
        },
        "spec": {"template": {"metadata": {"labels": {"app": "web", "pod-template-hash": revision}}, "spec": pod}},
    })
}

pub fn workload(object: Value) -> TemplateSeen {
    let data = BTreeSet::from(["key.json".to_owned()]);
    TemplateSeen {
        cluster: "main".to_owned(),
        namespace: "shop".to_owned(),
        kind: "Deployment",
        name: "web".to_owned(),
        object: Ok(Whole(object)),
        former: None,
        keys: BTreeSet::from([("key".to_owned(), "key.json".to_owned())]),
        secrets: BTreeMap::from([("key".to_owned(), data)]),
        config_maps: ConfigMaps::new(),
        project: None,
        kept_from: Ok(None),
        around: None,
        mixed_nodes: false,
    }
}

pub fn state(
    migration: &str,
    world: &Value,
    keys: Vec<KeySeen>,
    workload: TemplateSeen,
) -> (Desired, Live) {
    let desired = desired(&spec(migration));
    let mut of = seen(keys);
    let world = with(world.clone(), json!({"keys": {CHECKOUT: listed(&of.keys)}}));
    let mut live = live(&world);
    of.templates = Some(vec![workload]);
    live.off_keys.insert("checkout".to_owned(), of);
    (desired, live)
}

pub(crate) fn planned_in(
    migration: &str,
    world: &Value,
    keys: Vec<KeySeen>,
    workload: TemplateSeen,
) -> Plan {
    let (desired, live) = state(migration, world, keys, workload);
    plan::plan(&desired, &live, &options())
}

pub(crate) fn planned(migration: &str, workload: TemplateSeen) -> Plan {
    planned_in(migration, &settled(), vec![key()], workload)
}

fn template(plan: &Plan) -> &Template {
    match &plan.changes[ADDRESS].edit {
        Edit::Template(template) => template,
        other => panic!("{other:?}"),
    }
}

/// What a patch makes of an object.
pub(crate) fn patched(object: &Value, operations: &[Value]) -> Value {
    let mut object = object.clone();
    json_patch(&mut object, operations);
    object
}

pub(crate) fn email() -> Email {
    Email::parse(CHECKOUT).expect("an email")
}

/// As the first write leaves it.
pub fn begun() -> Value {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": free()});
    let object = web(pod());
    patched(
        &object,
        &rollout::begin(&object, &template, Way::Out, &email(), "4"),
    )
}

/// As the last one does, and as the controller then has it.
pub fn done() -> Value {
    let object = begun();
    let object = patched(&object, &rollout::go_on(&object).expect("it goes on"));
    patched(&object, &rollout::settle(&object).expect("it goes on"))
}

#[test]
fn key_is_taken_out_of_a_template_that_nobody_else_keeps() {
    for until in ["cutover", "disabled", "pruned"] {
        let plan = planned(&format!("until: {until}"), workload(web(pod())));
        assert!(
            plan.changes.contains_key(ADDRESS),
            "{until}: {}",
            held(&plan)
        );
        assert_eq!(template(&plan).strategy, Strategy::Rolling);
        assert_eq!(template(&plan).way, Way::Out);
        assert!(notes(&plan, ADDRESS).contains("one new pod comes first"));
    }
    let mut idle = web(pod());
    idle["spec"]["replicas"] = json!(0);
    let plan = planned("until: cutover", workload(idle));
    assert_eq!(template(&plan).strategy, Strategy::AtOnce);
    for (until, object) in [("bound", web(pod())), ("cutover", web(free()))] {
        let plan = planned(&format!("until: {until}"), workload(object));
        assert!(
            plan.is_empty() && plan.held_back.is_empty(),
            "{until}: {}",
            held(&plan)
        );
    }
    let plan = planned(
        "until: cutover, exclude: [shop/Deployment/web]",
        workload(web(pod())),
    );
    assert!(
        plan.is_empty() && plan.held_back.is_empty(),
        "{}",
        held(&plan)
    );
}

#[test]
fn template_waits_for_all_that_its_pods_are_to_live_on_and_the_key_for_the_template() {
    let absent = json!({"kubernetes": {"main": {"ServiceAccount": {"shop/checkout": null}}}});
    let world = with(settled(), absent);
    let plan = planned_in("until: disabled", &world, vec![key()], workload(web(pod())));
    let waits = needs(&plan, ADDRESS);
    assert!(waits.contains(&"ksa.main/shop/checkout"), "{waits:?}");
    let ends = format!("key.checkout/{}", crate::off_keys::ID);
    // Whatever was seen of its silence.
    let waits = needs(&plan, &ends);
    assert!(waits.contains(&ADDRESS), "{waits:?}");
}

#[test]
fn what_stands_against_it_is_told_and_nothing_is_written() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str, bool); 8] = [
        (
            |o| o["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"}),
            "it is kept by Helm",
            true,
        ),
        (
            |o| o["metadata"]["ownerReferences"] = json!([{"kind": "Rollout", "name": "web"}]),
            "it is kept by Rollout web",
            true,
        ),
        (
            |o| o["spec"]["strategy"] = json!({"type": "Recreate"}),
            "its strategy is Recreate",
            false,
        ),
        (|o| o["spec"]["paused"] = json!(true), "it is paused", false),
        (
            |o| o["spec"]["revisionHistoryLimit"] = json!(0),
            "there would be no way back",
            false,
        ),
        (
            |o| o["status"]["updatedReplicas"] = json!(1),
            "a rollout of it goes on",
            true,
        ),
        (
            |o| o["spec"]["template"]["spec"]["hostNetwork"] = json!(true),
            "host's network",
            false,
        ),
        (
            |o| o["spec"]["template"]["spec"]["serviceAccountName"] = json!("default"),
            "`default`",
            false,
        ),
    ];
    for (change, told, with_time) in cases {
        let mut object = web(pod());
        change(&mut object);
        let plan = planned("until: cutover", workload(object));
        assert!(plan.is_empty(), "{told}: {:?}", changes(&plan));
        assert!(held(&plan).contains(told), "{told}: {}", held(&plan));
        assert_eq!(passes(&plan), with_time, "{told}");
    }
    let of_kind = |kind| TemplateSeen {
        kind,
        ..workload(web(pod()))
    };
    for kind in ["Job", "ReplicationController"] {
        let plan = planned("until: cutover", of_kind(kind));
        assert!(
            plan.is_empty() && held(&plan).contains(kind),
            "{kind}: {}",
            held(&plan)
        );
    }
    let unread = TemplateSeen {
        object: Err("refused".to_owned()),
        ..workload(web(pod()))
    };
    let plan = planned("until: cutover", unread);
    assert!(plan.is_empty() && held(&plan).contains("refused"));
    // Nobody looked.
    let (desired, mut live) = state(
        "until: cutover",
        &settled(),
        vec![key()],
        workload(web(pod())),
    );
    live.off_keys.clear();
    let plan = plan::plan(&desired, &live, &options());
    says(&plan.warnings, &["--read-secrets referenced", CHECKOUT]);
}

#[test]
fn what_somebody_vouches_for_is_no_hindrance() {
    let mut object = web(pod());
    object["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--from", "/k/key.json"]);
    let plan = planned("until: cutover", workload(object.clone()));
    assert!(
        plan.is_empty() && held(&plan).contains("accept: [mentions]"),
        "{}",
        held(&plan)
    );
    let plan = planned("until: cutover, accept: [mentions]", workload(object));
    assert_eq!(changes(&plan), [format!("~ {ADDRESS}")]);
}

#[test]
fn begun_change_goes_the_way_that_the_spec_says_now() {
    for (until, way, told) in [
        ("bound", Way::Back, "have its key again"),
        ("cutover", Way::Out, "do without the key"),
        ("disabled", Way::Out, "do without the key"),
    ] {
        let plan = planned(&format!("until: {until}"), workload(begun()));
        let template = template(&plan);
        assert!(template.goes_on && template.way == way && template.steps.is_empty());
        assert!(plan.changes[ADDRESS].edit.verb().contains(told), "{until}");
    }
    // Somebody put the key back meanwhile: what is left is how the rollout goes.
    let mut object = begun();
    object["spec"]["template"]["spec"] = pod();
    let plan = planned("until: cutover", workload(object));
    assert!(template(&plan).goes_on && template(&plan).way == Way::Back);
}

/// Whoever excludes what stands half-way gets it back as it was: no plan leaves it so without a word.
#[test]
fn begun_change_of_what_is_excluded_goes_back_and_that_of_another_account_is_told() {
    let excluded = "until: cutover, exclude: [shop/web]";
    let plan = planned(excluded, workload(begun()));
    assert_eq!(template(&plan).way, Way::Back);
    assert!(template(&plan).goes_on);
    let plan = planned(excluded, workload(done()));
    assert!(plan.is_empty() && held(&plan).is_empty(), "{}", held(&plan));
    let mut other = begun();
    let mark = &mut other["metadata"]["annotations"]["wi/off-key"];
    let text = mark.as_str().expect("a mark");
    *mark = json!(text.replace("checkout@", "other@"));
    let plan = planned(excluded, workload(other));
    assert!(
        held(&plan).contains("with `migrate` of the account whose key it is"),
        "{}",
        held(&plan)
    );
}

#[test]
fn key_that_somebody_put_back_is_not_taken_out_again_unasked() {
    let mut object = done();
    object["spec"]["template"]["spec"] = pod();
    object["metadata"]["generation"] = json!(3);
    let plan = planned("until: cutover", workload(object.clone()));
    assert!(
        plan.is_empty() && held(&plan).contains("somebody has put it back"),
        "{}",
        held(&plan)
    );
    let plan = planned("until: cutover, accept: [put-back]", workload(object));
    assert_eq!(changes(&plan), [format!("~ {ADDRESS}")]);
}

#[test]
fn key_comes_back_if_the_template_is_as_it_was_left_and_the_key_is_live() {
    let former = |revision: Result<Value, String>| TemplateSeen {
        former: Some(revision.map(Whole)),
        ..workload(done())
    };
    let whole = former(Ok(set(pod(), "4")));
    let plan = planned("until: bound", whole.clone());
    assert_eq!(changes(&plan), [format!("~ {ADDRESS}")], "{}", held(&plan));
    assert_eq!(template(&plan).way, Way::Back);
    let shown = plan.changes[ADDRESS].edit.attributes("shop");
    let variable = shown
        .iter()
        .find(|a| a.name == "app.env.GOOGLE_APPLICATION_CREDENTIALS");
    assert!(
        variable.is_some_and(|a| a.before.is_none() && a.after.is_some()),
        "{shown:?}"
    );

    let gone = former(Err("there is no revision 4 any more".to_owned()));
    let mut other = whole.clone();
    if let Ok(object) = &mut other.object {
        object.0["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/app:2");
    }
    for (seen, told) in [(gone, "no revision 4"), (other, "was changed since")] {
        let plan = planned("until: bound", seen);
        assert!(
            plan.is_empty() && held(&plan).contains(told),
            "{told}: {}",
            held(&plan)
        );
    }
    // The key: comes back before, or is somebody else's to enable.
    let plan = planned_in(
        "until: bound",
        &settled(),
        vec![disabled(1, true)],
        whole.clone(),
    );
    let back = format!("key.checkout/{}", crate::off_keys::ID);
    assert_eq!(needs(&plan, ADDRESS), [back]);
    let plan = planned_in("until: bound", &settled(), vec![disabled(1, false)], whole);
    assert!(!plan.changes.contains_key(ADDRESS), "{:?}", changes(&plan));
    assert!(held(&plan).contains("is disabled"), "{}", held(&plan));
}

#[test]
fn no_value_of_a_variable_is_in_a_plan() {
    let (desired, live) = state(
        "until: cutover",
        &settled(),
        vec![key()],
        workload(web(pod())),
    );
    let plan = plan::plan(&desired, &live, &options());
    let text = serde_json::to_string(&plan).expect("JSON");
    assert!(
        text.contains("GOOGLE_APPLICATION_CREDENTIALS") && !text.contains(CANARY),
        "{text}"
    );
    assert!(!format!("{live:?}").contains(CANARY));
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": free()});
    let operations = rollout::begin(&web(pod()), &template, Way::Out, &email(), "4");
    assert!(!Value::from(operations).to_string().contains(CANARY));
}

#[test]
fn rollout_stands_with_one_new_pod_and_leaves_the_settings_as_they_were() {
    let object = begun();
    assert_eq!(Stage::of(&object), Stage::Canary);
    let spec = &object["spec"];
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({"maxSurge": 1, "maxUnavailable": 0})
    );
    let (wait, deadline) = (&spec["minReadySeconds"], &spec["progressDeadlineSeconds"]);
    assert!(
        wait.as_i64() >= Some(24 * 3600) && deadline.as_i64() > wait.as_i64(),
        "{spec}"
    );
    let mut without = web(pod());
    without["spec"]["progressDeadlineSeconds"] = json!(i32::MAX);
    let template = &without["spec"]["template"];
    let begun = rollout::begin(&without, template, Way::Out, &email(), "4");
    let deadline = &patched(&without, &begun)["spec"]["progressDeadlineSeconds"];
    assert_eq!(*deadline, json!(i32::MAX));
    let next = patched(&object, &rollout::go_on(&object).expect("it goes on"));
    assert_eq!(Stage::of(&next), Stage::Rolling);
    let rolling = &next["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(*rolling, json!({"maxSurge": "25%", "maxUnavailable": 0}));
    let after = done();
    for field in ["strategy", "minReadySeconds", "progressDeadlineSeconds"] {
        assert_eq!(after["spec"][field], web(pod())["spec"][field], "{field}");
    }
    let mark = rollout::mark(&after).expect("a mark");
    assert_eq!((mark.revision.as_str(), mark.way()), ("4", None));
    // Undone, it is as it was, but for what is to come about yet.
    let former = rollout::template_of(&set(pod(), "4"));
    let undone = patched(
        &object,
        &rollout::undo(&object, &former).expect("it goes on"),
    );
    assert_eq!(undone["spec"]["template"], web(pod())["spec"]["template"]);
    assert_eq!(
        undone["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"],
        0
    );
    let settled = patched(&undone, &rollout::settle(&undone).expect("it goes on"));
    assert_eq!(settled["spec"], web(pod())["spec"]);
    assert_eq!(rollout::mark(&settled), None);
}

#[test]
fn new_pod_is_proven_by_what_it_is_and_not_by_others() {
    let sets = [set(pod(), "4"), set(free(), "5")];
    let mut object = begun();
    let new = rollout::current(&object, &sets).expect("the new one");
    assert_eq!(new["metadata"]["uid"], "rs5");
    assert_eq!(
        rollout::of_revision(&begun(), &sets, "4").expect("the old one")["metadata"]["uid"],
        "rs4"
    );
    let pod = |set: &str, ready: &str, restarts: u32| {
        json!({
            "metadata": {"name": "p", "ownerReferences": [{"uid": set}]},
            "status": {
                "phase": "Running", "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{"name": "app", "restartCount": restarts}],
            },
        })
    };
    assert_eq!(
        rollout::health(&object, new, &[pod("rs5", "True", 0)]),
        Health::Ready
    );
    assert!(matches!(
        rollout::health(&object, new, &[pod("rs4", "True", 0)]),
        Health::Waits(_)
    ));
    assert!(matches!(
        rollout::health(&object, new, &[pod("rs5", "False", 0)]),
        Health::Waits(_)
    ));
    assert!(matches!(
        rollout::health(&object, new, &[pod("rs5", "True", 1)]),
        Health::Fails(_)
    ));
    let mut going = pod("rs5", "True", 0);
    going["metadata"]["deletionTimestamp"] = json!("2026-11-30T12:00:00Z");
    assert!(matches!(
        rollout::health(&object, new, &[going]),
        Health::Waits(_)
    ));
    object["status"]["conditions"] = json!([
        {"type": "ReplicaFailure", "status": "True", "message": "pods \"web-5\" is forbidden: exceeded quota"},
    ]);
    let health = rollout::health(&object, new, &[]);
    assert!(
        matches!(&health, Health::Waits(why) if why.contains("exceeded quota")),
        "{health:?}"
    );
}

/// Whoever releases meanwhile has a template of their own, which is not `wi`'s to take back.
#[test]
fn template_that_somebody_brought_meanwhile_is_told_from_the_own_one() {
    let of = |revision: &str| {
        let mut object = begun();
        object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!(revision);
        rollout::is_anothers(&object, &[])
    };
    assert_eq!(["4", "5", "6", "7"].map(of), [false, false, true, true]);
    // Only while it goes on.
    let mut object = done();
    object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("9");
    assert!(!rollout::is_anothers(&object, &[]));
}

#[test]
fn pods_that_a_network_policy_keeps_from_the_metadata_server_keep_their_key() {
    for (kept_from, told) in [
        (
            Ok(Some("NetworkPolicy deny does not let it go".to_owned())),
            "NetworkPolicy deny",
        ),
        (Err("refused".to_owned()), "NetworkPolicies: refused"),
    ] {
        let kept = TemplateSeen {
            kept_from,
            ..workload(web(pod()))
        };
        let plan = planned("until: cutover", kept);
        assert!(plan.is_empty(), "{:?}", changes(&plan));
        assert!(held(&plan).contains(told), "{}", held(&plan));
    }
}

#[test]
fn deployment_that_was_left_half_way_is_told_whatever_is_asked() {
    let half_way = |until: &str| {
        let migration = format!("until: {until}");
        let (desired, mut live) = state(&migration, &settled(), vec![key()], workload(web(pod())));
        live.off_keys.clear();
        live.half_way = BTreeMap::from([("main".to_owned(), Ok(BTreeSet::from([template_key()])))]);
        (desired, live)
    };
    for until in ["bound", "cutover"] {
        let (desired, live) = half_way(until);
        let plan = plan::plan(&desired, &live, &options());
        assert!(
            held(&plan).contains("--read-secrets referenced"),
            "{}",
            held(&plan)
        );
        assert!(plan.waiting() > 0 && !plan.is_whole());
    }
    // Where nothing of the spec goes on with it, nothing else is done either.
    let (mut desired, live) = half_way("bound");
    desired.migrations.clear();
    let plan = plan::plan(&desired, &live, &options());
    let errors: Vec<&str> = plan.errors.iter().map(|e| e.message.as_str()).collect();
    assert!(
        errors.iter().any(|e| e.contains("did not come to its end")),
        "{errors:?}"
    );
}

fn template_key() -> wi_core::address::WorkloadKey {
    wi_core::address::WorkloadKey {
        cluster: "main".to_owned(),
        namespace: "shop".parse().expect("a name"),
        kind: "Deployment".to_owned(),
        name: "web".parse().expect("a name"),
    }
}

#[test]
fn what_could_not_be_seen_of_who_has_a_key_makes_a_plan_incomplete() {
    let (desired, mut live) = state(
        "until: cutover",
        &settled(),
        vec![key()],
        workload(web(free())),
    );
    let of = live.off_keys.get_mut("checkout").expect("looked at");
    of.unseen
        .insert("Secret shop/other of cluster.main was not opened".to_owned());
    let plan = plan::plan(&desired, &live, &options());
    assert!(
        plan.unseen
            .iter()
            .any(|u| u.why.to_string().contains("shop/other")),
        "{:?}",
        plan.unseen
    );
    assert!(!plan.is_whole());
}

/// Known wherever workloads are read, also by a spec that has lost `migrate:`, or all of it.
#[test]
fn workload_without_its_key_is_not_left_without_its_identity_unasked() {
    let gone = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\nnamespaces: { shop: {} }\n";
    let of = |mark: &Value, accept_loss: bool| {
        let mut object = web(free());
        object["metadata"]["annotations"] = json!({"wi/off-key": mark.to_string()});
        let workloads =
            json!({"Deployment": {"shop/web": object}, "Pod": {}, "Node": {"n1": node("p1")}});
        let world = with(settled(), json!({"kubernetes": {"main": workloads}}));
        let options = plan::Options {
            accept_loss,
            allow_mass_removal: true,
            ..options()
        };
        plan_with(gone, world, &options)
    };
    let texts = |plan: &Plan| -> String {
        let errors = plan.errors.iter().map(|e| e.message.clone());
        errors.collect::<Vec<_>>().join("\n")
    };
    let done = json!({"account": CHECKOUT, "revision": "4"});
    let plan = of(&done, false);
    assert!(
        texts(&plan).contains("Deployment shop/web in cluster.main would be nobody")
            && texts(&plan).contains("{ checkout: { until: bound } }"),
        "{:?}",
        plan.errors
    );
    let plan = of(&done, true);
    assert_eq!(texts(&plan), "");
    assert!(
        plan.warnings
            .iter()
            .any(|w| w.contains("kubectl annotate deployment/web -n shop wi/off-key-")),
        "{:?}",
        plan.warnings
    );
    let begun =
        json!({"account": CHECKOUT, "revision": "4", "underWay": {"way": "out", "was": {}}});
    let plan = of(&begun, true);
    assert!(
        texts(&plan).contains("did not come to its end"),
        "{:?}",
        plan.errors
    );
}

#[test]
fn template_of_another_account_is_no_matter_of_this_one_but_where_it_has_both_keys() {
    let marked = |pod: Value| {
        let mut object = web(pod);
        object["metadata"]["annotations"]["wi/off-key"] =
            json!(r#"{"account": "other@acme-prod.iam.gserviceaccount.com", "revision": "3"}"#);
        workload(object)
    };
    let plan = planned("until: cutover", marked(free()));
    assert_eq!(held(&plan), "");
    let plan = planned("until: cutover", marked(pod()));
    assert!(
        held(&plan).contains("is changed for other@"),
        "{}",
        held(&plan)
    );
}

/// It is told as what it has, and not to be restarted: its template is what changes.
#[test]
fn workload_that_leaves_its_key_is_not_told_that_the_key_wins() {
    let with_key = |kind: &str, name: &str| {
        let owner = json!([{"kind": kind, "name": name, "controller": true}]);
        let meta = json!({"labels": {"pod-template-hash": "abc"}, "ownerReferences": owner});
        let mut spec = pod();
        spec["nodeName"] = json!("n1");
        let owner = json!({"metadata": meta, "spec": spec, "status": {"phase": "Running"}});
        let absent = json!({"kubernetes": {"main": {
            "ServiceAccount": {"=shop/checkout": ours(Some("old@acme-prod.iam.gserviceaccount.com"))},
            "Pod": {"shop/web-0": owner}, "Node": {"n1": node("p1")},
        }}});
        planned_in(
            "until: cutover",
            &with(settled(), absent),
            vec![key()],
            workload(web(pod())),
        )
    };
    let wins = |plan: &Plan| plan.warnings.iter().any(|w| w.contains("wins over"));
    let plan = with_key("ReplicaSet", "web-abc");
    assert!(plan.changes.contains_key(ADDRESS), "{}", held(&plan));
    assert!(
        !wins(&plan) && plan.restarts.is_empty(),
        "{:?}",
        plan.warnings
    );
    assert!(wins(&with_key("StatefulSet", "web")));
}
