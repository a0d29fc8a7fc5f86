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
}

#[test]
fn what_is_only_referred_to_keeps_what_somebody_else_may_have_granted_who_marks_nothing() {
    let kept = referred(json!({}));
    assert!(!removes(&kept, BROWSER), "{:?}", changes(&kept));
    says(
        &kept.warnings,
        &[
            "kept",
            "whoever else refers to it may have granted this",
            "--base GIT_REF",
            "acceptLoss: [shop/ServiceAccount/worker]",
            "roles/browser",
        ],
    );
}

/// `shop/worker` is only referred to by both specs, of which this is the later one.
fn succeeding(former: &str, options: &Options) -> Plan {
    let spec = SPEC.replace("worker: { grants", "worker: { existing: true, grants");
    let world = with(
        settled(),
        json!({
            "policies": { "project/acme-prod": {
                "roles/browser": [principal("shop", "worker")],
                "roles/viewer": [principal("shop", "worker")],
            } },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/worker": annotated(None, "helm") } } },
        }),
    );
    let mut desired = desired(&spec);
    desired.succeed(&self::desired(
        &spec.replace("[{ role: roles/storage", former),
    ));
    wi_core::plan::plan(&desired, &live(&world), options)
}

#[test]
fn former_spec_tells_which_grants_of_what_is_only_referred_to_were_its_own() {
    let former = "[roles/browser, { role: roles/storage";
    let of_viewer = "grant.acme-prod/shop/worker:roles/viewer@project/acme-prod";
    let plan = succeeding(former, &options());
    assert!(removes(&plan, BROWSER), "{:?}", plan.warnings);
    assert!(!removes(&plan, of_viewer), "it granted no such thing");
    says(&plan.warnings, &["may have granted this", "roles/viewer"]);
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    let plan = succeeding(former, &accepting);
    assert!(removes(&plan, BROWSER) && removes(&plan, of_viewer));
}

const ENDS: &str = "gsa.checkout";

/// The account has left the spec, and is used as `more` says.
fn leaving(more: Value) -> Plan {
    let spec = SPEC
        .replace(
            "googleServiceAccounts:\n  checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }\n",
            "removed: [topic/orders]\n",
        )
        .replace("      checkout: { impersonates: checkout }\n", "");
    let world = with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "checkout": { "description": "[wi:shop]" } } },
            "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": null } },
            "kubernetes": { "main": { "ServiceAccount": { "shop/checkout": null } } },
        }),
    );
    let options = Options {
        allow_mass_removal: true,
        ..options()
    };
    plan_with(&spec, with(world, more), &options)
}

#[test]
fn account_that_leaves_and_is_used_by_another_right_than_its_own_stays_whole() {
    let idle = leaving(json!({}));
    assert!(
        changes(&idle).iter().any(|c| c.contains(ENDS)),
        "{:?} {:?}",
        changes(&idle),
        held(&idle)
    );
    let all = json!({ "policies": { "project/acme-prod": {
        "roles/iam.workloadIdentityUser": ["serviceAccount:acme-prod.svc.id.goog[other/o]"],
    } } });
    let there = json!({ "kubernetes": { "main": { "ServiceAccount": { "other/o": annotated(Some(CHECKOUT), "kubectl") } } } });
    // Annotated without any right to act as it, nobody is served by it.
    let dead = leaving(there.clone());
    assert!(changes(&dead).iter().any(|c| c.contains(ENDS)));
    let used = leaving(with(all, there));
    assert_eq!(changes(&used), [""; 0]);
    says(&held(&used), &[ENDS, "\"o\"", "other"]);
    let runs = json!({ "clusters": { "main": { "nodePools": {
        "p1": { "config": { "serviceAccount": CHECKOUT } },
    } } } });
    let nodes = leaving(runs);
    assert_eq!(changes(&nodes), [""; 0]);
    says(
        &held(&nodes),
        &[ENDS, "nodepool.main/p1", "nodes run as it"],
    );
    let makers = json!({ "policies": { (format!("serviceaccount/{CHECKOUT}")): {
        "roles/iam.serviceAccountTokenCreator": ["user:jo@acme.example"],
    } } });
    let told = leaving(makers);
    let address = told.changes.keys().find(|a| a.contains(ENDS));
    let notes = notes(&told, address.expect("it ends"));
    assert!(notes.contains("user:jo@acme.example"), "{notes}");
}

/// A service account that a chart will make is to act as an account of another spec.
#[test]
fn right_on_an_account_of_another_spec_is_not_made_before_it_is_used() {
    let spec = SPEC
        .replace(
            "checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }",
            &format!("checkout: {{ email: {CHECKOUT} }}"),
        )
        .replace(
            "impersonates: checkout",
            "existing: true, impersonates: checkout",
        );
    let of = |owner: &str, worker: Value| {
        let world = json!({
            "accounts": { "acme-prod": { "checkout": { "description": format!("[wi:{owner}]") } } },
            "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": null } },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": worker } } },
        });
        plan(&spec, with(settled(), world))
    };
    let binding = "+ binding.checkout/acme-prod/shop/checkout".to_owned();
    let early = of("pay", annotated(None, "helm"));
    assert!(!changes(&early).contains(&binding));
    says(
        &early.warnings,
        &["belongs to the spec named `pay`", "users: [shop/checkout]"],
    );
    let acting = of("pay", annotated(Some(CHECKOUT), "helm"));
    assert!(changes(&acting).contains(&binding), "{:?}", acting.warnings);
    let own = of("pay released", annotated(None, "helm"));
    assert!(changes(&own).contains(&binding), "nobody's");
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

/// Nothing marks a service account that is only referred to: once it has left the spec, what it has is told of.
#[test]
fn what_identities_of_nobody_have_in_the_specs_own_pools_is_told_and_kept() {
    let world = |there: Value| {
        with(
            settled(),
            json!({
                "policies": { "project/acme-prod": { "roles/logging.logWriter": [principal("a", "x")] } },
                "kubernetes": { "main": { "ServiceAccount": { "=a/x": there } } },
            }),
        )
    };
    let told = |plan: &Plan| {
        assert!(plan.notes.len() <= 1, "{:?}", plan.notes);
        let of_it = |text: &&String| text.contains("acme-prod/a/x");
        assert_eq!(plan.warnings.iter().find(of_it), None, "it is no warning");
        plan.notes.iter().find(of_it).cloned()
    };
    let kept = plan(SPEC, world(annotated(None, "helm")));
    assert!(changes(&kept).is_empty(), "{:?}", changes(&kept));
    let line = told(&kept).expect("a line");
    assert!(line.len() < 300, "{line}");
    says(
        &[line],
        &[
            "roles/logging.logWriter on project/acme-prod",
            "--base GIT_REF",
            "`removed:`",
        ],
    );
    // Somebody's, it is theirs to tell of; in the spec, or with its mark, it is planned.
    assert_eq!(told(&plan(SPEC, world(marked("pay")))), None);
    let removed = plan(SPEC, world(marked("shop")));
    assert_eq!(told(&removed), None);
    assert!(!changes(&removed).is_empty());
    // Both ways out take it away.
    let named = format!(
        "{}  a: {{ serviceAccounts: {{ x: {{ existing: true }} }} }}\nremoved: [project/acme-prod]\n",
        SPEC
    );
    let named = plan(&named, world(annotated(None, "helm")));
    assert_eq!(told(&named), None);
    let address = "grant.acme-prod/a/x:roles/logging.logWriter@project/acme-prod";
    assert!(
        removes(&named, address),
        "{:?} {:?}",
        changes(&named),
        named.warnings
    );
    // Another project's pool is nobody's business here.
    let foreign = principal("a", "x").replace("acme-prod.svc", "other.svc");
    let elsewhere =
        json!({ "policies": { "project/acme-prod": { "roles/logging.logWriter": [foreign] } } });
    assert_eq!(told(&plan(SPEC, with(settled(), elsewhere))), None);
}
