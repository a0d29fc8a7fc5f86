//! Namespaces and Kubernetes service accounts: made, adopted, annotated, released; whose they are.

use serde_json::{Value, json};
use wi_core::plan::{Edit, Ksa, KsaAfter, Options, Plan};

use crate::support::*;

const KSA: &str = "ksa.main/shop/checkout";
const OTHER: &str = "other@acme-prod.iam.gserviceaccount.com";

/// The settled world with another `shop/checkout`.
fn world(object: Value) -> Value {
    objects(json!({ "ServiceAccount": { "=shop/checkout": object } }))
}

fn objects(patch: Value) -> Value {
    with(settled(), json!({ "kubernetes": { "main": patch } }))
}

fn edit<'a>(plan: &'a Plan, address: &str) -> &'a Ksa {
    match &plan.changes[address].edit {
        Edit::Ksa(ksa) => ksa,
        other => panic!("{other:?}"),
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn namespaces_and_accounts_that_are_not_there_are_made() {
    let plan = plan(
        SPEC,
        with(
            bare(),
            json!({ "kubernetes": { "main": { "Namespace": null } } }),
        ),
    );
    let made: Vec<String> = changes(&plan)
        .into_iter()
        .filter(|c| c.contains("main/"))
        .collect();
    assert_eq!(
        made,
        [
            "+ ksa.main/shop/checkout",
            "+ ksa.main/shop/worker",
            "+ namespace.main/shop"
        ]
    );
    let ksa = edit(&plan, KSA);
    assert_eq!(ksa.account_after(), Some(CHECKOUT));
    assert!(!ksa.force && !ksa.drop_annotation);
    assert!(matches!(
        ksa.after,
        KsaAfter::Kept {
            adopted: false,
            labelled: true,
            ..
        }
    ));
    assert_eq!(edit(&plan, "ksa.main/shop/worker").account_after(), None);
}

#[test]
fn namespace_of_others_is_waited_for() {
    let spec = SPEC.replace("  shop:\n", "  shop:\n    create: false\n");
    let none = objects(json!({ "Namespace": null, "ServiceAccount": null }));
    let plan = plan(&spec, none.clone());
    assert_eq!(changes(&plan), nothing());
    says(
        &plan.warnings,
        &[
            "the namespace shop is not there yet in cluster.main",
            "then wi makes checkout, worker in it",
        ],
    );
    let empty = crate::support::plan(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\nnamespaces: { shop: { create: false } }\n",
        none,
    );
    assert!(
        empty
            .warnings
            .iter()
            .any(|w| w.contains("not there yet") && !w.contains("then wi makes")),
        "{:?}",
        empty.warnings
    );
    assert_eq!(
        changes(&crate::support::plan(&spec, settled())),
        nothing(),
        "it is there"
    );
}

#[test]
fn what_is_being_deleted_takes_nothing_new() {
    let going = json!({ "metadata": { "deletionTimestamp": "2026-11-30T00:00:00Z" } });
    let plan = plan(
        SPEC,
        with(
            bare(),
            json!({ "kubernetes": { "main": { "Namespace": { "shop": going } } } }),
        ),
    );
    assert!(
        plan.changes
            .keys()
            .all(|a| !a.starts_with("ksa.") && !a.starts_with("namespace.")),
        "{:?}",
        changes(&plan)
    );
    says(
        &unseen(&plan),
        &["namespace.main/shop and what is to be in it: it is being deleted"],
    );
    let mut account = annotated(Some(OTHER), "wi");
    account["metadata"]["deletionTimestamp"] = json!("2026-11-30T00:00:00Z");
    let plan = crate::support::plan(SPEC, world(account));
    assert_eq!(changes(&plan), nothing());
    says(
        &unseen(&plan),
        &["ksa.main/shop/checkout: it is being deleted"],
    );
}

#[test]
fn account_of_ours_is_put_right_whoever_changed_it() {
    let same = plan(SPEC, world(ours(Some(CHECKOUT))));
    assert_eq!(changes(&same), nothing());
    let changed = plan(SPEC, world(ours(Some(OTHER))));
    assert_eq!(changes(&changed), ["~ ksa.main/shop/checkout"]);
    assert!(edit(&changed, KSA).force && notes(&changed, KSA).is_empty());
    let plan_of = plan(SPEC, world(ours_annotated_by(Some(OTHER), "kubectl")));
    assert_eq!(notes(&plan_of, KSA), "changed outside wi, by kubectl");
    assert!(matches!(
        edit(&plan_of, KSA).after,
        KsaAfter::Kept { adopted: false, .. }
    ));
    let plan = plan(SPEC, world(adopted(Some(OTHER), "wi")));
    assert!(matches!(
        edit(&plan, KSA).after,
        KsaAfter::Kept { adopted: true, .. }
    ));
}

#[test]
fn account_of_nobody_is_adopted_unless_another_manager_has_set_it_otherwise() {
    let without = plan(SPEC, world(annotated(None, "kubectl")));
    assert!(matches!(
        edit(&without, KSA).after,
        KsaAfter::Kept { adopted: true, .. }
    ));
    assert!(notes(&without, KSA).contains("adopted") && !edit(&without, KSA).force);
    let right = plan(SPEC, world(annotated(Some(CHECKOUT), "kubectl")));
    assert_eq!(
        changes(&right),
        ["~ ksa.main/shop/checkout"],
        "the mark comes to it"
    );
    let conflict =
        |options: &Options| plan_with(SPEC, world(annotated(Some(OTHER), "kubectl")), options);
    let refused = conflict(&options());
    assert_eq!(changes(&refused), nothing());
    says(
        &errors(&refused),
        &[
            "ksa.main/shop/checkout: ",
            OTHER,
            "belongs to the field manager kubectl",
        ],
    );
    let forced = conflict(&Options {
        force_conflicts: true,
        ..options()
    });
    assert!(edit(&forced, KSA).force && forced.errors.is_empty());
    let by_wi = plan(SPEC, world(annotated(Some(OTHER), "wi")));
    assert_eq!(
        changes(&by_wi),
        ["~ ksa.main/shop/checkout"],
        "nobody else has set it"
    );
    // Nobody is named for what came before the first apply.
    let mut unnamed = annotated(Some(OTHER), "x");
    unnamed["metadata"]["managedFields"] = json!([]);
    says(
        &errors(&plan(SPEC, world(unnamed))),
        &["belongs to the field manager before-first-apply"],
    );
}

#[test]
fn annotation_goes_from_an_account_that_is_to_act_as_itself() {
    let worker = |object: Value| objects(json!({ "ServiceAccount": { "=shop/worker": object } }));
    let address = "ksa.main/shop/worker";
    let by_wi = plan(SPEC, worker(ours(Some(OTHER))));
    assert!(
        !edit(&by_wi, address).drop_annotation,
        "applied without, it goes"
    );
    assert!(
        edit(
            &plan(SPEC, worker(ours_annotated_by(Some(OTHER), "kubectl"))),
            address
        )
        .drop_annotation
    );
    says(
        &errors(&plan(SPEC, worker(annotated(Some(OTHER), "kubectl")))),
        &["ksa.main/shop/worker: "],
    );
    // An empty one is none.
    let empty = plan(SPEC, worker(annotated(Some(""), "kubectl")));
    assert_eq!(
        (changes(&empty), errors(&empty)),
        (vec![format!("~ {address}")], vec![])
    );
    assert!(edit(&empty, address).drop_annotation);
    says(
        &errors(&plan(SPEC, world(annotated(Some(""), "kubectl")))),
        &["ksa.main/shop/checkout: "],
    );
}

#[test]
fn account_of_another_spec_is_an_error_and_stays() {
    let plan = plan(SPEC, world(marked("other")));
    assert_eq!((changes(&plan), plan.owned), (nothing(), 5));
    says(
        &errors(&plan),
        &[
            "ksa.main/shop/checkout: it belongs to the spec named `other`",
            "--adopt-from other",
        ],
    );
}

#[test]
fn account_of_another_spec_is_taken_over_where_the_user_says_so() {
    let from = |names: &[&str]| Options {
        adopt_from: names.iter().map(|n| (*n).to_owned()).collect(),
        ..options()
    };
    let mut object = with(adopted(Some(OTHER), "kubectl"), marked("other"));
    object["metadata"]["managedFields"] = marked("other")["metadata"]["managedFields"].clone();
    let taken = plan_with(SPEC, world(object.clone()), &from(&["other"]));
    assert!(edit(&taken, KSA).force && taken.errors.is_empty());
    assert!(
        matches!(
            edit(&taken, KSA).after,
            KsaAfter::Kept { adopted: true, .. }
        ),
        "it stays so"
    );
    assert!(notes(&taken, KSA).contains("taken over from the spec named `other`"));
    let made = plan_with(SPEC, world(marked("other")), &from(&["other"]));
    assert!(matches!(
        edit(&made, KSA).after,
        KsaAfter::Kept { adopted: false, .. }
    ));
    says(
        &errors(&plan_with(SPEC, world(object), &from(&["third"]))),
        &["belongs to the spec named `other`"],
    );
}

#[test]
fn copied_mark_is_nobodys() {
    for owner in ["shop", "other"] {
        let mut copy = with(
            marked(owner),
            json!({ "metadata": { "managedFields": null } }),
        );
        let plan = plan(SPEC, world(copy.clone()));
        assert!(
            matches!(edit(&plan, KSA).after, KsaAfter::Kept { adopted: true, .. }),
            "{owner}"
        );
        assert!(edit(&plan, KSA).force, "the mark is written over");
        assert!(notes(&plan, KSA).contains(&format!(
            "it carries the mark of `{owner}`, which is a copy"
        )));
        copy["metadata"]["name"] = json!("copy");
        let left = crate::support::plan(
            SPEC,
            objects(
                json!({ "ServiceAccount": { "=shop/copy": copy }, "Namespace": { "copy": with(marked("shop"), json!({ "metadata": { "managedFields": null } })) } }),
            ),
        );
        assert_eq!((changes(&left), left.owned), (nothing(), 6));
    }
}

#[test]
fn the_account_that_every_namespace_has_is_never_wis_own() {
    let spec = SPEC.replace("checkout: { impersonates", "default: { impersonates");
    let world = objects(json!({ "ServiceAccount": { "=shop/checkout": null } }));
    let made = plan(&spec, world.clone());
    assert!(matches!(
        edit(&made, "ksa.main/shop/default").after,
        KsaAfter::Kept { adopted: true, .. }
    ));
    let left = plan(
        SPEC,
        with(
            settled(),
            json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/default": ours(None) } } } }),
        ),
    );
    assert!(matches!(
        edit(&left, "ksa.main/shop/default").after,
        KsaAfter::Released
    ));
    assert!(notes(&left, "ksa.main/shop/default").contains("each namespace has one by this name"));
}

#[test]
fn label_of_another_tool_stays() {
    let labelled = |tool: &str| {
        let mut object = annotated(None, "x");
        object["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": tool });
        let plan = plan(SPEC, world(object));
        let KsaAfter::Kept { labelled, .. } = edit(&plan, KSA).after else {
            panic!("it stays")
        };
        labelled
    };
    assert!(labelled("wi") && !labelled("Helm"));
}

#[test]
fn tools_that_say_that_an_object_is_theirs_are_named() {
    let annotation =
        |name: &str, value: &str| json!({ "metadata": { "annotations": { name: value } } });
    let tools = [
        (
            annotation("meta.helm.sh/release-name", "web"),
            "the Helm release web",
        ),
        (
            annotation(
                "argocd.argoproj.io/tracking-id",
                "web:v1/ServiceAccount:shop/x",
            ),
            "the Argo CD application web",
        ),
        (
            json!({ "metadata": { "labels": { "argocd.argoproj.io/instance": "web" } } }),
            "the Argo CD application web",
        ),
        (
            annotation("configmanagement.gke.io/managed", "enabled"),
            "Config Sync",
        ),
        (
            annotation("cnrm.cloud.google.com/blueprint", "x"),
            "Config Connector",
        ),
        (
            json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "kustomize" } } }),
            "kustomize (label",
        ),
    ];
    for (mark, tool) in tools {
        let object = with(annotated(None, "x"), mark);
        let changed = plan(SPEC, world(object.clone()));
        says(
            &changed.warnings,
            &[
                &format!("ksa.main/shop/checkout is managed by {tool}"),
                "which may undo",
            ],
        );
        let spec = SPEC.replace(
            "impersonates: checkout",
            "impersonates: checkout, existing: true",
        );
        says(
            &plan(&spec, world(object)).warnings,
            &["only referred to", &format!("in {tool}")],
        );
    }
    for nobody in [
        annotation("configmanagement.gke.io/managed", "disabled"),
        json!({}),
        json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "wi" } } }),
    ] {
        let plan = plan(SPEC, world(with(annotated(None, "x"), nobody)));
        assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    }
}

#[test]
fn account_that_is_only_referred_to_is_told_of_and_left() {
    let spec = SPEC.replace(
        "impersonates: checkout",
        "impersonates: checkout, existing: true",
    );
    let said = |object: Value| {
        let plan = plan(
            &spec,
            objects(json!({ "ServiceAccount": { "=shop/checkout": object } })),
        );
        assert_eq!((changes(&plan), errors(&plan)), (nothing(), nothing()));
        plan.warnings
    };
    assert_eq!(said(annotated(Some(CHECKOUT), "kubectl")), nothing());
    says(
        &said(annotated(None, "")),
        &[
            "is not set and has to become `checkout@",
            "where it is managed",
        ],
    );
    says(
        &said(annotated(Some(OTHER), "x")),
        &["is `other@", "has to become `checkout@"],
    );
    says(&said(annotated(Some(""), "x")), &["is set to nothing"]);
    says(
        &said(Value::Null),
        &[
            "is not there yet, and is made by others",
            &format!("with the annotation {GSA}: {CHECKOUT}"),
        ],
    );
    let direct = SPEC.replace("worker: { grants", "worker: { existing: true, grants");
    let plan = plan(
        &direct,
        objects(json!({ "ServiceAccount": { "=shop/worker": null } })),
    );
    says(
        &plan.warnings,
        &[
            "ksa.main/shop/worker is not there yet",
            "without the annotation",
        ],
    );
}

#[test]
fn account_that_left_the_spec_is_deleted_if_wi_made_it() {
    let left = |object: Value| {
        plan(
            SPEC,
            objects(json!({ "ServiceAccount": { "=shop/former": object } })),
        )
    };
    let address = "ksa.main/shop/former";
    let made = left(ours(Some(CHECKOUT)));
    assert_eq!(changes(&made), [format!("- {address}")]);
    assert_eq!(
        (edit(&made, address).account_after(), made.owned),
        (None, 7)
    );
    let released = left(adopted(Some(OTHER), "wi"));
    assert_eq!(changes(&released), [format!("~ {address}")]);
    assert_eq!(edit(&released, address).account_after(), None);
    assert!(!notes(&released, address).contains("owns it, too"));
    let shared = left(adopted(Some(OTHER), "kubectl"));
    assert_eq!(
        edit(&shared, address).account_after(),
        Some(OTHER),
        "it stays theirs"
    );
    assert!(notes(&shared, address).contains("kubectl owns it, too"));
    assert_eq!(
        changes(&left(annotated(Some(CHECKOUT), "wi"))),
        nothing(),
        "it has no mark"
    );
    let mut going = ours(None);
    going["metadata"]["deletionTimestamp"] = json!("2026-11-30T00:00:00Z");
    let going = left(going);
    assert_eq!(changes(&going), nothing());
    says(
        &going.warnings,
        &["ksa.main/shop/former left the spec and is being deleted already"],
    );
}

#[test]
fn namespace_that_left_the_spec_is_released_and_never_deleted() {
    let plan = plan(
        SPEC,
        objects(
            json!({ "Namespace": { "former": marked("shop"), "theirs": marked("other"), "by-hand": {}, "shop": marked("shop") } }),
        ),
    );
    assert_eq!(changes(&plan), ["~ namespace.main/former"]);
    assert!(notes(&plan, "namespace.main/former").contains("never deletes a namespace"));
}

#[test]
fn objects_that_could_not_be_read_are_told_once() {
    let of = |cluster: Value| {
        with(
            with(settled(), json!({ "kubernetes": { "main": "403" } })),
            json!({ "clusters": { "main": cluster } }),
        )
    };
    let told = |world: Value| {
        unseen(&plan(SPEC, world))
            .iter()
            .any(|u| u.starts_with("the Kubernetes objects of cluster.main: 403"))
    };
    assert!(told(of(json!({}))));
    for status in ["PROVISIONING", "STOPPING", "ERROR"] {
        assert!(!told(of(json!({ "status": status }))), "{status}");
    }
    assert!(!told(of(json!("403"))) && !told(of(json!("absent"))));
}
