//! What the annotations of others rely on stays until they read as they are to be.

use serde_json::{Value, json};

use crate::support::*;

const OLD: &str = "old@acme-prod.iam.gserviceaccount.com";

/// `shop/checkout` is annotated by others; the account `old` left the spec, which marked it.
fn case(annotation: Option<&str>, existing: bool) -> (String, Value) {
    let spec = match existing {
        true => SPEC.replace(
            "impersonates: checkout",
            "impersonates: checkout, existing: true",
        ),
        false => SPEC.to_owned(),
    };
    let world = with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "old": { "uniqueId": "2", "description": "[wi:shop]" } } },
            "policies": {
                "project/acme-prod": {
                    "roles/viewer": [format!("serviceAccount:{OLD}")],
                    "roles/browser": [principal("shop", "checkout")],
                },
                (format!("serviceaccount/{OLD}")): {
                    "roles/iam.workloadIdentityUser": [member("shop", "checkout"), member("shop", "stranger")],
                },
            },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": annotated(annotation, "helm") } } },
        }),
    );
    (spec, world)
}

fn removed(annotation: Option<&str>, existing: bool) -> Vec<String> {
    let (spec, world) = case(annotation, existing);
    let plan = plan_with(
        &spec,
        world,
        &wi_core::plan::Options {
            force_conflicts: true,
            ..options()
        },
    );
    changes(&plan)
        .into_iter()
        .filter(|c| c.starts_with('-'))
        .collect()
}

const ALL: [&str; 5] = [
    "- binding.old/acme-prod/shop/checkout",
    "- binding.old/acme-prod/shop/stranger",
    "- grant.acme-prod/shop/checkout:roles/browser@project/acme-prod",
    "- grant.old:roles/viewer@project/acme-prod",
    "- gsa.old",
];

#[test]
fn nothing_is_kept_for_annotations_that_are_right_or_wis_own() {
    assert_eq!(removed(Some(CHECKOUT), true), ALL);
    assert_eq!(
        removed(Some(OLD), false),
        ALL,
        "the change waits for the annotation instead"
    );
}

#[test]
fn account_in_an_annotation_of_others_stays_with_all_that_it_has() {
    assert_eq!(
        removed(Some(OLD), true),
        [ALL[1], ALL[2]],
        "strangers and the identity itself lose theirs"
    );
    let (spec, world) = case(Some(OLD), true);
    let plan = plan(&spec, world);
    for kept in [
        "gsa.old",
        "grant.old:roles/viewer@project/acme-prod",
        "binding.old/acme-prod/shop/checkout",
    ] {
        says(
            &plan.warnings,
            &[
                &format!("{kept} stays, though the spec does not ask for it"),
                "the annotation of ksa.main/shop/checkout",
            ],
        );
    }
}

#[test]
fn roles_of_an_identity_that_still_acts_as_itself_stay() {
    for none in [None, Some("")] {
        assert_eq!(
            removed(none, true),
            [ALL[0], ALL[1], ALL[3], ALL[4]],
            "{none:?}"
        );
    }
    assert_eq!(
        removed(Some("no account"), true),
        ALL,
        "nobody relies on what is none"
    );
}

#[test]
fn account_that_is_not_there_or_not_read_relies_on_nothing() {
    let (spec, world) = case(None, true);
    let absent = with(
        world,
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": null } } } }),
    );
    let plan = plan(&spec, absent);
    assert!(plan.changes.contains_key("gsa.old"), "{:?}", changes(&plan));
}
