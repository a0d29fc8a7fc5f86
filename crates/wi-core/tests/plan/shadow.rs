//! Shadows: a second Deployment beside one that has a key, made where nothing takes its pod for its own, and taken away
//! again at each rung.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::live::around::Around;
use wi_core::live::shadows::ShadowSeen;
use wi_core::live::templates::{TemplateSeen, Whole};
use wi_core::migrate::shadow::decide::{self, Act, Why};
use wi_core::migrate::shadow::{LABEL, MARK, Stage, object};
use wi_core::names::Email;
use wi_core::plan::{self, Edit, Plan, Shadow};
use wi_core::wire::network::NetworkPolicy;

use crate::applied::json_patch;
use crate::off_keys::{held, key, passes};
use crate::support::*;
use crate::templates::{free, pod, state, web, workload};

const ADDRESS: &str = "shadow.main/shop/deployment/web";
const TEMPLATE: &str = "template.main/shop/deployment/web";

fn labelled(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec})
}

fn service(name: &str, selector: Value) -> Value {
    labelled(name, json!({ "selector": selector }))
}

/// What goes by labels around the original: its Service, and itself.
pub fn around() -> Around {
    let mut around = Around::default();
    around.services(&[service("web", json!({"app": "web"}))]);
    around.takers("Deployment", &[web(pod())]);
    around
}

pub fn original() -> Value {
    let mut web = web(pod());
    web["spec"]["template"]["metadata"]["labels"] =
        json!({"app": "web", "team": "pay", "tier": "front"});
    web
}

pub fn seen(object: Value, around: Around) -> TemplateSeen {
    TemplateSeen {
        around: Some(Ok(around)),
        ..workload(object)
    }
}

fn now() -> Timestamp {
    options().now.expect("a time")
}

/// As the server has it, whose pod is ready since so many seconds.
fn there(object: &Value, seconds: i64) -> ShadowSeen {
    let mut object = object.clone();
    object["metadata"]["uid"] = json!("s1");
    object["metadata"]["resourceVersion"] = json!("9");
    let fields = json!({"f:metadata": {"f:annotations": {format!("f:{MARK}"): {}}}});
    object["metadata"]["managedFields"] =
        json!([{"manager": "wi", "operation": "Update", "fieldsV1": fields}]);
    object["status"] = json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    let since = now() - SignedDuration::from_secs(seconds);
    let pod = json!({
        "metadata": {"name": "web-wi-1"},
        "status": {
            "phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 0}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since.to_string()}],
        },
    });
    ShadowSeen {
        cluster: "main".to_owned(),
        object: Whole(object),
        pods: Ok(vec![Whole(pod)]),
        now: now(),
    }
}

/// What a spec that asks for a shadow makes of this.
fn wanted(until: &str, seen: &TemplateSeen, shadow: Option<&ShadowSeen>) -> decide::Decision {
    let (desired, _) = world(until, seen.clone(), None);
    let email = Email::parse(CHECKOUT).expect("an email");
    let migration = &desired.migrations["checkout"];
    decide::next(migration, &desired.owner, &email, seen, shadow, false)
}

/// A dark one beside this original, ready for an hour.
fn dark(seen: &TemplateSeen) -> ShadowSeen {
    let next = wanted("until: shadow", seen, None).next.expect("a shadow");
    there(&next.object.expect("an object"), 3600)
}

pub fn canary(seen: &TemplateSeen) -> ShadowSeen {
    let dark = dark(seen);
    let next = wanted("until: canary", seen, Some(&dark)).next;
    there(&next.and_then(|n| n.object).expect("an object"), 3600)
}

pub fn world(migration: &str, seen: TemplateSeen, shadow: Option<ShadowSeen>) -> (Desired, Live) {
    let (desired, mut live) = state(migration, &settled(), vec![key()], seen);
    let shadows = Ok(shadow.into_iter().collect());
    live.shadows = BTreeMap::from([("main".to_owned(), shadows)]);
    (desired, live)
}

fn planned(migration: &str, seen: TemplateSeen, shadow: Option<ShadowSeen>) -> Plan {
    let (desired, live) = world(migration, seen, shadow);
    plan::plan(&desired, &live, &options())
}

fn edit(plan: &Plan) -> &Shadow {
    match plan.changes.get(ADDRESS).map(|c| &c.edit) {
        Some(Edit::Shadow(shadow)) => shadow,
        other => panic!("{other:?}: {} {:?}", held(plan), plan.warnings),
    }
}

fn act(plan: &Plan) -> Act {
    edit(plan).act
}

fn addresses(plan: &Plan) -> Vec<&str> {
    plan.changes.keys().map(|address| &**address).collect()
}

fn is_quiet(plan: &Plan) -> bool {
    plan.is_empty() && plan.held_back.is_empty() && plan.warnings.is_empty()
}

#[test]
fn shadow_is_one_pod_without_the_key_that_nothing_takes_for_its_own() {
    let seen = seen(original(), around());
    let plan = planned("until: shadow", seen.clone(), None);
    assert_eq!(addresses(&plan), [ADDRESS]);
    assert_eq!((act(&plan), edit(&plan).stage), (Act::Make, Stage::Dark));
    assert_eq!(edit(&plan).name, "web-wi");
    // The label alone by which it would be taken.
    let dropped: Vec<&String> = edit(&plan).dropped.keys().collect();
    assert_eq!(dropped, ["app"]);
    assert!(notes(&plan, ADDRESS).contains("to which nothing is sent"));
    // Its own template stays as it is.
    let next = wanted("until: shadow", &seen, None).next.expect("a shadow");
    let made = next.object.expect("an object");
    assert!(!made.to_string().contains("/k/key.json"), "{made}");
    assert_eq!(made["spec"]["replicas"], 1);
    assert_eq!(
        made["spec"]["selector"],
        json!({"matchLabels": {LABEL: "web"}})
    );
    let labels = json!({"team": "pay", "tier": "front", LABEL: "web"});
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(
        made["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"],
        0
    );
    let meta = made["metadata"].as_object().expect("metadata");
    let fields: Vec<&String> = meta.keys().collect();
    assert_eq!(fields, ["annotations", "labels", "name", "namespace"]);
    // And no more, once it is there.
    for until in ["shadow", "canary"] {
        let there = match until {
            "shadow" => dark(&seen),
            _ => canary(&seen),
        };
        let plan = planned(&format!("until: {until}"), seen.clone(), Some(there));
        assert!(
            is_quiet(&plan),
            "{until}: {:?} {}",
            changes(&plan),
            held(&plan)
        );
    }
}

#[test]
fn values_of_variables_are_in_no_plan() {
    let plan = planned("until: shadow", seen(original(), around()), None);
    let text = serde_json::to_string(&plan).expect("JSON");
    assert!(
        text.contains("web-wi") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn labels_of_foreign_services_and_of_others_are_dropped_and_those_of_policies_are_kept() {
    let mut others = around();
    others.services(&[
        service("front", json!({"tier": "front"})),
        service("pay", json!({"team": "pay", "app": "till"})),
        // Whose pods others say.
        labelled("external", json!({})),
    ]);
    let plan = planned("until: shadow", seen(original(), others), None);
    let dropped: Vec<&String> = edit(&plan).dropped.keys().collect();
    assert_eq!(dropped, ["app", "tier"]);

    let policy = |spec: Value, namespace: &str| -> NetworkPolicy {
        let meta = json!({"name": "p", "namespace": namespace});
        serde_json::from_value(json!({"metadata": meta, "spec": spec})).expect("a policy")
    };
    let by = |labels: Value| json!({"matchLabels": labels});
    let let_in = |labels: Value| {
        let from = json!([{"podSelector": by(labels), "namespaceSelector": {}}]);
        json!({"podSelector": {}, "ingress": [{ "from": from }]})
    };
    for (policy, may) in [
        (
            policy(json!({"podSelector": by(json!({"team": "pay"}))}), "shop"),
            true,
        ),
        (
            policy(json!({"podSelector": by(json!({"app": "web"}))}), "shop"),
            false,
        ),
        // A database of another namespace lets it in by that label.
        (policy(let_in(json!({"app": "web"})), "data"), false),
        (policy(let_in(json!({"app": "till"})), "data"), true),
        (
            policy(json!({"podSelector": by(json!({"app": "web"}))}), "data"),
            true,
        ),
    ] {
        let mut around = around();
        around.policies("shop", std::slice::from_ref(&policy));
        let plan = planned("until: shadow", seen(original(), around), None);
        let told = plan.warnings.join("\n");
        assert_eq!(
            plan.changes.contains_key(ADDRESS),
            may,
            "{policy:?}: {told}"
        );
        assert_eq!(
            told.contains("by which NetworkPolicies let it through"),
            !may
        );
    }
}

/// A change of the original and of what is around it.
type Trap = fn(&mut Value, &mut Around);

const TRAPS: [(Trap, &str); 12] = [
    (
        |o, _| {
            o["spec"]["template"]["spec"]["volumes"] = json!([{"name": "k", "secret": {"secretName": "key"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]);
        },
        "volume d is a claim",
    ),
    (
        |o, _| {
            o["spec"]["template"]["spec"]["containers"][0]["ports"] =
                json!([{"containerPort": 80, "hostPort": 8080}]);
        },
        "port 8080 of its node",
    ),
    (
        |o, _| o["spec"]["strategy"] = json!({"type": "Recreate"}),
        "Recreate",
    ),
    (|o, _| o["spec"]["replicas"] = json!(0), "no pod of it runs"),
    (
        |_, a| a.services.clear(),
        "no Service sends it requests: what takes its work from elsewhere",
    ),
    (
        |o, _| {
            o["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--leader-elect=true"]);
        },
        "elects a leader (--leader-elect)",
    ),
    (
        |_, a| {
            a.deployments.insert("web-wi".to_owned());
        },
        "there is a Deployment web-wi that is somebody else's",
    ),
    (
        |_, a| {
            let budget = json!({"metadata": {"name": "all"}, "spec": {"selector": {}}});
            a.budgets(vec![serde_json::from_value(budget).expect("a budget")]);
        },
        "PodDisruptionBudget all would take its pod whatever labels it had",
    ),
    (
        |_, a| {
            let by = json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["till"]}]});
            a.takers(
                "PodMonitoring",
                &[labelled("rest", json!({"selector": by}))],
            );
        },
        "PodMonitoring rest would take its pod",
    ),
    (
        |_, a| {
            let by = json!({"selector": {}});
            a.takers("ReplicaSet", &[labelled("orphan", by)]);
        },
        "ReplicaSet orphan would take its pod",
    ),
    (
        |o, a| {
            let many = (0..13).map(|n| (format!("l{n}"), json!("x")));
            let many: Value = many.collect();
            o["spec"]["template"]["metadata"]["labels"] = many.clone();
            a.services.clear();
            a.services(&[service("many", many)]);
        },
        "others go by 13 of its labels",
    ),
    (
        |o, _| {
            o["spec"]["template"]["spec"]["containers"][0]["env"]
                .as_array_mut()
                .expect("variables")
                .push(json!({"name": "LEADER_ELECTION", "value": "hunter2"}));
        },
        "elects a leader (LEADER_ELECTION)",
    ),
];

#[test]
fn each_trap_of_a_second_deployment_is_told_and_its_own_pods_are_replaced_instead() {
    for (change, told) in TRAPS {
        let (mut object, mut around) = (original(), around());
        change(&mut object, &mut around);
        let seen = seen(object, around);
        let plan = planned("until: shadow", seen.clone(), None);
        assert!(plan.is_empty() && plan.held_back.is_empty(), "{told}");
        let warned = plan.warnings.join("\n");
        assert!(warned.contains(told), "{told}: {warned}");
        assert!(warned.contains("(strategy rolling)"), "{warned}");
        assert!(!warned.contains("hunter2"), "{warned}");
        // Who asks for one all the same is told that it is not to be had.
        let asked = "until: shadow, strategy: { shop/Deployment/web: shadow }";
        let plan = planned(asked, seen.clone(), None);
        assert!(
            plan.is_empty() && held(&plan).contains(told),
            "{told}: {}",
            held(&plan)
        );
        assert!(!passes(&plan), "{told}");
        // And one that stands there goes, when the trap comes.
        let there = dark(&self::seen(original(), crate::shadow::around()));
        if !told.contains("somebody else's") {
            let plan = planned("until: shadow", seen, Some(there));
            assert_eq!(act(&plan), Act::Remove(Why::Trapped), "{told}");
        }
    }
    let of_kind = |kind| TemplateSeen {
        kind,
        ..seen(original(), around())
    };
    for kind in ["StatefulSet", "DaemonSet", "CronJob"] {
        let plan = planned("until: shadow", of_kind(kind), None);
        let warned = plan.warnings.join("\n");
        assert!(plan.is_empty() && warned.contains(kind), "{kind}: {warned}");
    }
}

#[test]
fn what_may_work_twice_is_vouched_for() {
    let works = "until: shadow, accept: [works-twice]";
    let mut object = original();
    object["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--leader-elect"]);
    let mut alone = around();
    alone.services.clear();
    let plan = planned(works, seen(object, alone), None);
    assert_eq!(act(&plan), Act::Make);
    // That no leader is elected is no trap.
    let mut object = original();
    object["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--leader-elect=false"]);
    let plan = planned("until: shadow", seen(object, around()), None);
    assert_eq!(act(&plan), Act::Make);
}

#[test]
fn what_holds_a_template_holds_its_shadow() {
    type Change = fn(&mut TemplateSeen);
    fn object(seen: &mut TemplateSeen) -> &mut Value {
        &mut seen.object.as_mut().expect("an object").0
    }
    let cases: [(Change, &str, bool); 7] = [
        (
            |s| object(s)["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"}),
            "it is kept by Helm",
            true,
        ),
        (
            |s| object(s)["status"]["updatedReplicas"] = json!(1),
            "a rollout of it goes on",
            true,
        ),
        (
            |s| object(s)["spec"]["template"]["spec"]["hostNetwork"] = json!(true),
            "host's network",
            false,
        ),
        (
            |s| object(s)["spec"]["template"]["spec"]["serviceAccountName"] = json!("default"),
            "`default`",
            false,
        ),
        (
            |s| s.kept_from = Ok(Some("NetworkPolicy deny".to_owned())),
            "NetworkPolicy deny",
            false,
        ),
        (
            |s| s.around = Some(Err("services is forbidden".to_owned())),
            "what else goes by its labels could not be read: services is forbidden",
            false,
        ),
        (|s| s.around = None, "was not looked at", false),
    ];
    for (change, told, with_time) in cases {
        let mut seen = seen(original(), around());
        change(&mut seen);
        let plan = planned("until: shadow", seen, None);
        assert!(plan.is_empty(), "{told}: {:?}", changes(&plan));
        assert!(held(&plan).contains(told), "{told}: {}", held(&plan));
        assert_eq!(passes(&plan), with_time, "{told}");
    }
}

#[test]
fn shadow_waits_for_the_identity_that_its_pod_lives_on() {
    let absent = json!({"kubernetes": {"main": {"ServiceAccount": {"shop/checkout": null}}}});
    let seen = seen(original(), around());
    let (desired, mut live) = state("until: shadow", &with(settled(), absent), vec![key()], seen);
    live.shadows = BTreeMap::from([("main".to_owned(), Ok(Vec::new()))]);
    let plan = plan::plan(&desired, &live, &options());
    let waits = needs(&plan, ADDRESS);
    assert!(waits.contains(&"ksa.main/shop/checkout"), "{waits:?}");
}

#[test]
fn shadow_gets_a_share_once_it_has_soaked_and_goes_back_into_the_dark() {
    let seen = seen(original(), around());
    let young = there(&dark(&seen).object.0, 30);
    let canary_after = "until: canary, soak: { canary: 10m }";
    let plan = planned(canary_after, seen.clone(), Some(young));
    assert!(plan.is_empty() && passes(&plan), "{:?}", changes(&plan));
    assert!(held(&plan).contains("soaks for 10 min"), "{}", held(&plan));

    let plan = planned(canary_after, seen.clone(), Some(dark(&seen)));
    assert_eq!(
        (act(&plan), edit(&plan).stage),
        (Act::Change, Stage::Canary)
    );
    assert!(edit(&plan).services.contains("web"));
    assert!(
        notes(&plan, ADDRESS).contains("1 of 4 pods"),
        "{}",
        notes(&plan, ADDRESS)
    );
    let canary = canary(&seen);
    let labels = json!({"app": "web", "team": "pay", "tier": "front", LABEL: "web"});
    assert_eq!(
        canary.object.0["spec"]["template"]["metadata"]["labels"],
        labels
    );
    // The first run makes it in the dark, whatever the spec asks for.
    let plan = planned("until: canary", seen.clone(), None);
    assert_eq!((act(&plan), edit(&plan).stage), (Act::Make, Stage::Dark));
    // Lowered, and by one write that changes nothing else.
    let plan = planned("until: shadow", seen.clone(), Some(canary.clone()));
    assert_eq!((act(&plan), edit(&plan).stage), (Act::Change, Stage::Dark));
    let next = wanted("until: shadow", &seen, Some(&canary)).next;
    let back = next.and_then(|n| n.object).expect("an object");
    let mut live = canary.object.0.clone();
    json_patch(&mut live, &object::patch(&canary.object.0, &back));
    assert_eq!(live["spec"], dark(&seen).object.0["spec"]);
    assert_eq!(
        live["metadata"]["annotations"],
        back["metadata"]["annotations"]
    );
}

#[test]
fn what_stands_against_a_share_of_the_requests_leaves_it_in_the_dark() {
    let scaler = |kind: &str, name: &str| {
        labelled(
            "cpu",
            json!({"scaleTargetRef": {"kind": kind, "name": name}}),
        )
    };
    let budget = |name: &str| {
        let selector = json!({"matchLabels": {"app": "web"}});
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"selector": selector}}))
            .expect("a budget")
    };
    type Change<'a> = Box<dyn Fn(&mut Around) + 'a>;
    let cases: [(Change<'_>, &str); 4] = [
        (
            Box::new(|a| a.autoscalers(&[scaler("Deployment", "web")])),
            "HorizontalPodAutoscaler cpu",
        ),
        (
            // That of another one whose selector means its pod, too.
            Box::new(|a| {
                let by = json!({"selector": {"matchLabels": {"tier": "front"}}});
                a.takers("StatefulSet", &[labelled("other", by)]);
                a.autoscalers(&[scaler("StatefulSet", "other")]);
            }),
            "HorizontalPodAutoscaler cpu",
        ),
        (
            Box::new(|a| a.budgets(vec![budget("one"), budget("two")])),
            "two PodDisruptionBudgets cannot be evicted: one, two",
        ),
        (
            Box::new(|a| {
                let spec = json!({"selector": {"app": "web"}, "publishNotReadyAddresses": true});
                a.services(&[labelled("peers", spec)]);
            }),
            "Service peers sends requests to pods before they are ready",
        ),
    ];
    for (change, told) in cases {
        let plain = seen(original(), around());
        let mut trapped = around();
        change(&mut trapped);
        let trapped = seen(original(), trapped);
        // In the dark it may stand.
        let made = planned("until: canary", trapped.clone(), None);
        assert_eq!(act(&made), Act::Make, "{told}");
        let plan = planned("until: canary", trapped.clone(), Some(dark(&trapped)));
        assert!(plan.is_empty(), "{told}: {:?}", changes(&plan));
        let warned = plan.warnings.join("\n");
        assert!(warned.contains(told), "{told}: {warned}");
        // And goes back there when that comes while it has its share.
        let plan = planned("until: canary", trapped, Some(canary(&plain)));
        assert_eq!(
            (act(&plan), edit(&plan).stage),
            (Act::Change, Stage::Dark),
            "{told}"
        );
    }
    // One budget for both, and an autoscaler of another Deployment, are none.
    let mut around = around();
    around.budgets(vec![budget("one")]);
    around.takers(
        "Deployment",
        &[labelled(
            "till",
            json!({"selector": {"matchLabels": {"app": "till"}}}),
        )],
    );
    around.autoscalers(&[scaler("Deployment", "till")]);
    let seen = seen(original(), around);
    let plan = planned("until: canary", seen.clone(), Some(dark(&seen)));
    assert_eq!(edit(&plan).stage, Stage::Canary);
}

#[test]
fn template_waits_for_its_shadow_and_the_shadow_for_the_template() {
    let seen = seen(original(), around());
    let cutover = "until: cutover, soak: { canary: 10m }";
    for there in [dark(&seen), canary(&seen)] {
        let young = there_since(&there, 60);
        let plan = planned(cutover, seen.clone(), Some(young));
        assert!(plan.is_empty() && passes(&plan), "{:?}", changes(&plan));
        let why = held(&plan);
        assert!(
            why.contains(&format!("{TEMPLATE}: its shadow is ready since")),
            "{why}"
        );
        assert!(
            why.contains(&format!("{ADDRESS}: the shadow stays")),
            "{why}"
        );

        let plan = planned(cutover, seen.clone(), Some(there));
        assert_eq!(addresses(&plan), [ADDRESS, TEMPLATE]);
        assert_eq!(act(&plan), Act::Remove(Why::CutOver));
        assert_eq!(needs(&plan, ADDRESS), [TEMPLATE]);
    }
    // One that ends without the key holds it, and does not pass.
    let mut fails = dark(&seen);
    let pods = fails.pods.as_mut().expect("pods");
    pods[0].0["status"]["containerStatuses"][0]["restartCount"] = json!(1);
    let plan = planned(cutover, seen.clone(), Some(fails));
    assert!(
        held(&plan).contains("does not work without the key"),
        "{}",
        held(&plan)
    );
    assert!(plan.is_empty() && !passes(&plan));
    let mut blind = dark(&seen);
    blind.pods = Err("forbidden".to_owned());
    let plan = planned(cutover, seen, Some(blind));
    assert!(
        held(&plan).contains("could not be read: forbidden"),
        "{}",
        held(&plan)
    );
}

fn there_since(shadow: &ShadowSeen, seconds: i64) -> ShadowSeen {
    there(&shadow.object.0, seconds)
}

#[test]
fn shadow_goes_only_when_its_original_is_wholly_without_the_key() {
    let there = dark(&seen(original(), around()));
    // Its template is, and a pod of before runs still.
    let mut rolling = web(free());
    rolling["status"]["replicas"] = json!(4);
    let plan = planned(
        "until: cutover",
        seen(rolling, around()),
        Some(there.clone()),
    );
    assert!(plan.is_empty() && passes(&plan), "{:?}", changes(&plan));
    assert!(held(&plan).contains("the shadow stays"), "{}", held(&plan));
    let plan = planned(
        "until: cutover",
        seen(web(free()), around()),
        Some(there.clone()),
    );
    assert_eq!(act(&plan), Act::Remove(Why::CutOver));
    // Whoever took the key out: there is nothing to show any more.
    let plan = planned("until: shadow", seen(web(free()), around()), Some(there));
    assert_eq!(act(&plan), Act::Remove(Why::CutOver));
}

#[test]
fn lowering_takes_it_away_from_each_rung_and_so_does_leaving_the_spec() {
    let seen = seen(original(), around());
    for there in [dark(&seen), canary(&seen)] {
        for lowered in [
            "until: bound",
            "until: canary, exclude: [shop/Deployment/web]",
            "until: canary, strategy: { shop/*: shadow, shop/web: rolling }",
        ] {
            let plan = planned(lowered, seen.clone(), Some(there.clone()));
            assert_eq!(act(&plan), Act::Remove(Why::Lowered), "{lowered}");
            assert_eq!(addresses(&plan), [ADDRESS], "{lowered}");
        }
        // Without a Secret opened, and without any migration.
        let (mut desired, mut live) = world("until: bound", seen.clone(), Some(there));
        live.off_keys.clear();
        let plan = plan::plan(&desired, &live, &options());
        assert_eq!(act(&plan), Act::Remove(Why::Lowered));
        desired.migrations.clear();
        let plan = plan::plan(&desired, &live, &options());
        assert_eq!(act(&plan), Act::Remove(Why::Lowered));
    }
    // What is to stay is not taken away blindly.
    let (desired, mut live) = world("until: shadow", seen.clone(), Some(dark(&seen)));
    live.off_keys.clear();
    let plan = plan::plan(&desired, &live, &options());
    assert!(plan.is_empty() && held(&plan).contains("--read-secrets referenced"));
}

#[test]
fn only_what_this_spec_has_made_is_taken_away() {
    let seen = seen(original(), around());
    let mut copied = dark(&seen);
    copied.object.0["metadata"]["managedFields"][0]["manager"] = json!("kubectl");
    let mut anothers = dark(&seen);
    anothers.object.0["metadata"]["annotations"]["wi/owner"] = json!("billing");
    for others in [copied, anothers] {
        let plan = planned("until: bound", seen.clone(), Some(others));
        assert!(is_quiet(&plan), "{:?}", changes(&plan));
    }
}

#[test]
fn shadow_of_an_original_that_is_gone_or_another_one_goes() {
    let there = dark(&seen(original(), around()));
    let mut anew = original();
    anew["metadata"]["uid"] = json!("u2");
    let plan = planned("until: shadow", seen(anew, around()), Some(there.clone()));
    assert_eq!(act(&plan), Act::Remove(Why::Alone));
    let (desired, mut live) = world("until: shadow", seen(original(), around()), Some(there));
    let of = live.off_keys.get_mut("checkout").expect("looked at");
    of.templates = Some(Vec::new());
    let plan = plan::plan(&desired, &live, &options());
    assert_eq!(act(&plan), Act::Remove(Why::Alone));
    // Not seen is not gone.
    let of = live.off_keys.get_mut("checkout").expect("looked at");
    of.unseen
        .insert("Deployments of cluster.main: refused".to_owned());
    let plan = plan::plan(&desired, &live, &options());
    assert!(plan.changes.is_empty() && held(&plan).contains("refused"));
}

#[test]
fn shadow_is_what_it_is_to_be_by_what_is_live() {
    let seen = seen(original(), around());
    // A run that was killed before its pod was ready.
    let mut begun = dark(&seen);
    begun.object.0["status"] = json!({});
    let plan = planned("until: shadow", seen.clone(), Some(begun));
    assert_eq!(act(&plan), Act::Prove);
    // Somebody has scaled it, or has given it a label by which requests come.
    let mut scaled = dark(&seen);
    scaled.object.0["spec"]["replicas"] = json!(3);
    let mut lit = dark(&seen);
    lit.object.0["spec"]["template"]["metadata"]["labels"]["app"] = json!("web");
    // Its original has another template by now.
    let mut newer = original();
    newer["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("5");
    let newer = self::seen(newer, around());
    // A Service has come that takes its pod.
    let mut more = around();
    more.services(&[service("front", json!({"tier": "front"}))]);
    let more = self::seen(original(), more);
    for (seen, there) in [
        (&seen, scaled),
        (&seen, lit),
        (&newer, dark(&seen)),
        (&more, dark(&seen)),
    ] {
        let plan = planned("until: shadow", seen.clone(), Some(there));
        assert_eq!((act(&plan), edit(&plan).stage), (Act::Change, Stage::Dark));
    }
    // Its pod is not even made.
    let mut refused = dark(&seen);
    refused.object.0["status"]["conditions"] = json!([
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods"},
    ]);
    let plan = planned("until: cutover", seen, Some(refused));
    assert!(held(&plan).contains("exceeded quota"), "{}", held(&plan));
}

#[test]
fn lowered_from_the_cutover_the_template_gets_its_key_back_as_at_the_lowest_rung() {
    for until in ["shadow", "canary"] {
        let mut object = web(free());
        object["metadata"]["annotations"]["wi/off-key"] =
            json!(json!({"account": CHECKOUT, "revision": "4"}).to_string());
        let former = json!({
            "metadata": {"annotations": {"deployment.kubernetes.io/revision": "4"}},
            "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pod()}},
        });
        let seen = TemplateSeen {
            former: Some(Ok(Whole(former))),
            ..seen(object, around())
        };
        let plan = planned(&format!("until: {until}"), seen, None);
        assert_eq!(addresses(&plan), [TEMPLATE], "{until}: {}", held(&plan));
    }
}
