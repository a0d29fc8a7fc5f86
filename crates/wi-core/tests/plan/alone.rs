//! Workloads that have nothing but their identity, since `wi` took their key out or made them without it: by whichever change
//! that identity goes, it goes after their key is back or they are gone, or not at all.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wi_core::live::templates::{TemplateSeen, Whole};
use wi_core::live::{Live, Template};
use wi_core::plan::{self, Plan};

use crate::off_keys::key;
use crate::shadow::{around, canary, original, seen, world};
use crate::support::*;
use crate::templates::{done, free, pod, set, state, web, workload};

const KSA: &str = "ksa.main/shop/checkout";
const RIGHT: &str = "binding.checkout/acme-prod/shop/checkout";
const TEMPLATE: &str = "template.main/shop/deployment/web";
const SHADOW: &str = "shadow.main/shop/deployment/web";

/// What else can be said of the Kubernetes service account, and ends that it acts as the account.
fn ended() -> [String; 4] {
    let says = |ksa: &str| SPEC.replace("{ impersonates: checkout }", ksa);
    let other = says("{ impersonates: other-one }").replace(
        "googleServiceAccounts:\n",
        "googleServiceAccounts:\n  other-one: {}\n",
    );
    let gone = SPEC.replace("      checkout: { impersonates: checkout }\n", "");
    let itself =
        says("{ grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }");
    [says("{}"), itself, other, gone]
}

fn mark() -> Value {
    json!({"account": CHECKOUT, "revision": "4"})
}

fn marked(mark: &Value) -> Template {
    let mut object = web(free());
    object["metadata"]["annotations"]["wi/off-key"] = json!(mark.to_string());
    let object = serde_json::from_value(object).expect("a Deployment");
    Template::of("Deployment", object).expect("a template")
}

/// Few things are owned here: any that goes is more than a fifth.
fn allowing() -> plan::Options {
    plan::Options {
        allow_mass_removal: true,
        ..options()
    }
}

/// As a plan of it is made: what lives there is asked for once an identity ends.
fn planned(spec: &str, live: &mut Live, there: Result<Vec<Template>, String>) -> Plan {
    let desired = desired(spec);
    let first = plan::plan(&desired, live, &allowing());
    for place in first.namespaces_of_ends(&desired, live, options().now) {
        live.alone.insert(place, there.clone());
    }
    plan::plan(&desired, live, &allowing())
}

fn ends(plan: &Plan) -> Vec<&str> {
    let ends = [KSA, RIGHT].into_iter();
    ends.filter(|a| plan.changes.contains_key(*a)).collect()
}

fn migrated(spec: &str, until: &str) -> String {
    format!("{spec}migrate: {{ checkout: {{ until: {until} }} }}\n")
}

fn settled_live(seen: TemplateSeen) -> Live {
    state("until: cutover", &settled(), vec![key()], seen).1
}

#[test]
fn identity_of_a_workload_without_its_key_does_not_go_by_any_change() {
    for spec in ended() {
        // As it was before the migration, and with it.
        for spec in [spec.clone(), migrated(&spec, "cutover")] {
            let mut live = settled_live(workload(done()));
            let plan = planned(&spec, &mut live, Ok(vec![marked(&mark())]));
            let told = errors(&plan);
            assert!(
                told.iter()
                    .any(|e| e.contains("Deployment shop/web in cluster.main would be nobody")),
                "{spec}: {told:?} {:?}",
                changes(&plan)
            );
            // Of another account, or of another one's pods, it is no matter.
            let others = json!({"account": "x@acme-prod.iam.gserviceaccount.com", "revision": "4"});
            let mut elsewhere = marked(&mark());
            elsewhere.pod.service_account_name = "worker".to_owned();
            for there in [marked(&others), elsewhere] {
                let mut live = settled_live(workload(done()));
                live.off_keys.clear();
                let plan = planned(&spec, &mut live, Ok(vec![there]));
                assert_eq!(errors(&plan), Vec::<String>::new(), "{spec}");
                assert!(!ends(&plan).is_empty(), "{spec}: {:?}", changes(&plan));
            }
        }
    }
}

#[test]
fn what_stays_or_is_put_in_order_ends_nothing() {
    let mut live = settled_live(workload(done()));
    let plan = plan::plan(&desired(SPEC), &live, &allowing());
    assert!(
        plan.namespaces_of_ends(&desired(SPEC), &live, None)
            .is_empty()
    );
    let roles = SPEC.replace("roles/pubsub.publisher", "roles/pubsub.viewer");
    let plan = planned(&roles, &mut live, Ok(vec![marked(&mark())]));
    assert!(!plan.changes.is_empty() && live.alone.is_empty());
}

#[test]
fn identity_goes_after_the_key_is_back_or_stays_with_the_template_that_is_held_back() {
    let former = |revision: Result<Value, String>| TemplateSeen {
        former: Some(revision.map(Whole)),
        ..workload(done())
    };
    for spec in ended() {
        let spec = migrated(&spec, "bound");
        let mut live = settled_live(former(Ok(set(pod(), "4"))));
        let plan = planned(&spec, &mut live, Ok(vec![marked(&mark())]));
        assert_eq!(errors(&plan), Vec::<String>::new(), "{spec}");
        assert_eq!(ends(&plan), [KSA, RIGHT], "{spec}: {:?}", changes(&plan));
        for end in ends(&plan) {
            assert!(needs(&plan, end).contains(&TEMPLATE), "{spec}: {end}");
        }
        let mut live = settled_live(former(Err("there is no revision 4 any more".to_owned())));
        let plan = planned(&spec, &mut live, Ok(vec![marked(&mark())]));
        assert_eq!(errors(&plan), Vec::<String>::new(), "{spec}");
        assert_eq!(
            ends(&plan),
            Vec::<&str>::new(),
            "{spec}: {:?}",
            changes(&plan)
        );
        assert!(
            plan.warnings
                .iter()
                .any(|w| w.contains(TEMPLATE) && w.starts_with(KSA)),
            "{:?}",
            plan.warnings
        );
        assert!(!plan.is_whole());
    }
}

#[test]
fn identity_goes_after_the_shadow_or_stays_with_it() {
    let original = seen(original(), around());
    let there = canary(&original);
    for spec in ended() {
        for migration in ["", "bound", "canary"] {
            let spec = match migration {
                "" => spec.clone(),
                until => migrated(&spec, until),
            };
            let (_, mut live) = world("until: canary", original.clone(), Some(there.clone()));
            let plan = planned(&spec, &mut live, Ok(Vec::new()));
            let goes = plan.changes.contains_key(SHADOW);
            assert_eq!(goes, migration != "canary", "{spec}: {:?}", changes(&plan));
            match goes {
                true => assert_eq!(ends(&plan), [KSA, RIGHT], "{spec}"),
                false => assert_eq!(ends(&plan), Vec::<&str>::new(), "{spec}"),
            }
            for end in ends(&plan) {
                assert!(needs(&plan, end).contains(&SHADOW), "{spec}: {end}");
            }
        }
        // That of another spec is seen among the workloads alone, and not taken away.
        let mut live = settled_live(workload(web(pod())));
        live.off_keys.clear();
        let object = serde_json::from_value(there.object.0.clone()).expect("a Deployment");
        let shadow = Template::of("Deployment", object).expect("a template");
        let plan = planned(&spec, &mut live, Ok(vec![shadow]));
        assert_eq!(ends(&plan), Vec::<&str>::new(), "{spec}");
        assert!(!plan.is_whole());
    }
}

#[test]
fn who_lives_on_an_identity_and_could_not_be_seen_keeps_it() {
    for spec in ended() {
        let mut live = settled_live(workload(web(pod())));
        live.off_keys.clear();
        let plan = planned(&spec, &mut live, Err("deployments is forbidden".to_owned()));
        assert_eq!(
            ends(&plan),
            Vec::<&str>::new(),
            "{spec}: {:?}",
            changes(&plan)
        );
        let told = unseen(&plan);
        assert!(
            told.iter()
                .any(|u| u.contains(KSA) && u.contains("forbidden")),
            "{spec}: {told:?}"
        );
        let accepting = plan::Options {
            accept_loss: true,
            ..allowing()
        };
        let plan = plan::plan(&desired(&spec), &live, &accepting);
        assert!(!ends(&plan).is_empty() && plan.unseen.is_empty(), "{spec}");
    }
}

#[test]
fn deployments_that_could_not_be_listed_make_a_plan_with_migrations_incomplete() {
    for until in ["bound", "shadow", "canary", "cutover"] {
        let mut live = settled_live(workload(web(pod())));
        let refused = || Err("deployments is forbidden".to_owned());
        live.shadows = BTreeMap::from([("main".to_owned(), refused())]);
        let plan = plan::plan(&desired(&migrated(SPEC, until)), &live, &allowing());
        let told = unseen(&plan);
        assert!(
            told.iter()
                .any(|u| u.contains("Deployments of cluster.main")),
            "{until}: {told:?}"
        );
        live.off_keys.clear();
        live.shadows.clear();
        live.half_way = BTreeMap::from([("main".to_owned(), Err("refused".to_owned()))]);
        let plan = plan::plan(&desired(&migrated(SPEC, until)), &live, &allowing());
        assert!(
            unseen(&plan).iter().any(|u| u.contains("half-way")),
            "{until}"
        );
    }
}
