//! Whose it is: what others may have granted to principals of the spec, and what it lets go of and takes over.

use serde_json::{Value, json};
use wi_core::plan::{Edit, KsaAfter, Options, Plan};

use crate::support::*;

const READER: &str = "roles/storage.objectViewer";
const FOUND: &str = "bucket/others";

/// Found by a search on a bucket that the spec does not name.
fn searched(account: &str, member: &str) -> Value {
    with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "checkout": { "description": account } } },
            "policies": { FOUND: { READER: [member] } },
            "found_by_search": [FOUND],
        }),
    )
}

fn removes(plan: &Plan, address: &str) -> bool {
    changes(plan).contains(&format!("- {address}"))
}

const OF_ACCOUNT: &str = "grant.checkout:roles/storage.objectViewer@bucket/others";
const OF_KSA: &str = "grant.acme-prod/shop/worker:roles/storage.objectViewer@bucket/others";

#[test]
fn search_takes_nothing_from_an_account_that_was_there_before() {
    let member = format!("serviceAccount:{CHECKOUT}");
    for mark in ["", "by hand", "[wi:shop adopted]", "[wi:pay released]"] {
        let kept = plan(SPEC, searched(mark, &member));
        assert!(!removes(&kept, OF_ACCOUNT), "{mark}");
        says(
            &kept.warnings,
            &["was there before this spec", FOUND, "`removed:`"],
        );
    }
    assert!(removes(
        &plan(SPEC, searched("[wi:shop]", &member)),
        OF_ACCOUNT
    ));
    let listed = format!("{SPEC}removed: [bucket/others]\n");
    let of_old = plan(&listed, searched("[wi:shop adopted]", &member));
    assert!(removes(&of_old, OF_ACCOUNT), "{:?}", of_old.warnings);
}

#[test]
fn nor_from_a_service_account_of_kubernetes_that_was_there_before() {
    let world = |worker: Value| {
        with(
            searched("[wi:shop]", &principal("shop", "worker")),
            json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/worker": worker } } } }),
        )
    };
    assert!(removes(&plan(SPEC, world(ours(None))), OF_KSA));
    let kept = plan(SPEC, world(adopted(None, "wi")));
    assert!(!removes(&kept, OF_KSA));
    says(
        &kept.warnings,
        &["was there before this spec", "shop/worker", FOUND],
    );
    assert!(removes(
        &accepting(SPEC, world(adopted(None, "wi"))),
        OF_KSA
    ));
}

/// `shop/worker` is only referred to, and has a role that this spec does not give it.
fn referred(more: Value) -> Plan {
    let spec = SPEC.replace("worker: { grants", "worker: { existing: true, grants");
    let world = with(
        settled(),
        json!({
            "policies": { "project/acme-prod": { "roles/browser": [principal("shop", "worker")] } },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/worker": annotated(None, "helm") } } },
        }),
    );
    plan(&spec, with(world, more))
}

const BROWSER: &str = "grant.acme-prod/shop/worker:roles/browser@project/acme-prod";

#[test]
fn what_another_spec_may_refer_to_as_well_keeps_what_that_may_have_granted() {
    let beside = [
        json!({ "accounts": { "acme-prod": { "pay": { "description": "[wi:pay]" } } } }),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "pay/web": marked("pay") } } } }),
        json!({ "outside": { "projects/acme-prod/locations/us-east1/clusters/far": { "pay/web": marked("pay") } } }),
    ];
    for other in beside {
        let kept = referred(other.clone());
        assert!(!removes(&kept, BROWSER), "{other}");
        says(
            &kept.warnings,
            &[
                "another spec (`pay`) may refer to it, too",
                "--base GIT_REF",
                "roles/browser",
            ],
        );
    }
    assert!(
        removes(&referred(json!({})), BROWSER),
        "no other spec was seen"
    );
}

fn after<'a>(plan: &'a Plan, address: &str) -> &'a KsaAfter {
    match &plan.changes[address].edit {
        Edit::Ksa(ksa) => &ksa.after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_that_becomes_others_loses_the_marks_and_keeps_the_annotation() {
    let spec = SPEC.replace(
        "impersonates: checkout",
        "impersonates: checkout, existing: true",
    );
    let address = "ksa.main/shop/checkout";
    for there in [
        ours(Some(CHECKOUT)),
        adopted(Some(CHECKOUT), "wi"),
        ours_annotated_by(Some(CHECKOUT), "helm"),
    ] {
        let world =
            json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": there } } } });
        let plan = plan(&spec, with(settled(), world));
        assert_eq!(changes(&plan), [format!("~ {address}")]);
        assert_eq!(after(&plan, address), &KsaAfter::LetGo);
        let Edit::Ksa(ksa) = &plan.changes[address].edit else {
            panic!("{plan:?}");
        };
        assert_eq!(ksa.account_after(), Some(CHECKOUT));
        let kept = &ksa.configuration("shop").expect("an object")["metadata"]["annotations"];
        let ours = ksa
            .before
            .as_ref()
            .is_some_and(|was| was.annotation_managers.is_empty());
        let applied = if ours {
            json!({ GSA: CHECKOUT })
        } else {
            Value::Null
        };
        assert_eq!(
            kept, &applied,
            "what wi alone owns goes with what it applies"
        );
        assert_eq!(plan.identity_losses().count(), 0);
    }
    let theirs = json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": annotated(Some(CHECKOUT), "helm") } } } });
    assert_eq!(changes(&plan(&spec, with(settled(), theirs))), [""; 0]);
}

#[test]
fn mark_of_a_namespace_is_taken_over_where_its_spec_is_adopted_from() {
    let world = with(
        settled(),
        json!({ "kubernetes": { "main": { "Namespace": { "shop": marked("pay") } } } }),
    );
    let adopting = |from: &str, spec: &str| {
        let options = Options {
            adopt_from: [from.to_owned()].into(),
            ..options()
        };
        plan_with(spec, world.clone(), &options)
    };
    let taken = adopting("pay", SPEC);
    assert_eq!(changes(&taken), ["~ namespace.main/shop"]);
    assert!(notes(&taken, "namespace.main/shop").contains("taken over from the spec named `pay`"));
    let Edit::Namespace(edit) = &taken.changes["namespace.main/shop"].edit else {
        panic!("{taken:?}");
    };
    let marks = &edit.configuration("shop")["metadata"]["annotations"];
    assert_eq!(marks["wi/owner"], "shop");
    assert!(!edit.is_released());
    assert_eq!(changes(&adopting("other", SPEC)), [""; 0]);
    assert_eq!(changes(&plan(SPEC, world.clone())), [""; 0]);
    let referred = SPEC.replace("  shop:\n", "  shop:\n    create: false\n");
    assert_eq!(changes(&adopting("pay", &referred)), [""; 0]);
}
