//! Members of policies: added in the right spelling, removed from principals of the spec alone.

use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::plan::{Edit, Plan};

use crate::support::*;

const GRANT: &str = "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders";
const DIRECT: &str = "grant.acme-prod/shop/worker:roles/storage.objectViewer@bucket/acme-receipts";
const ACTS_AS: &str = "binding.checkout/acme-prod/shop/checkout";

fn gsa() -> String {
    format!("serviceAccount:{CHECKOUT}")
}

fn on_account() -> String {
    format!("serviceaccount/{CHECKOUT}")
}

/// The settled world with a policy more, or other members of one.
fn world(resource: &str, roles: Value) -> Value {
    with(settled(), json!({ "policies": { resource: roles } }))
}

fn members<'a>(plan: &'a Plan, address: &str) -> &'a [String] {
    match &plan.changes[address].edit {
        Edit::Binding(binding) => binding.members(),
        other => panic!("{other:?}"),
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn members_are_added_in_the_spelling_of_their_policy() {
    let plan = plan(SPEC, bare());
    assert_eq!(members(&plan, GRANT), [gsa()]);
    assert_eq!(members(&plan, ACTS_AS), [member("shop", "checkout")]);
    assert_eq!(members(&plan, DIRECT), [principal("shop", "worker")]);
}

#[test]
fn members_in_any_spelling_are_there() {
    let plan = plan(
        SPEC,
        with(
            world(
                &on_account(),
                json!({ "roles/iam.workloadIdentityUser": [principal("shop", "checkout")] }),
            ),
            json!({ "policies": { "bucket/acme-receipts": { "roles/storage.objectViewer": [member("shop", "worker")] } } }),
        ),
    );
    assert_eq!(changes(&plan), nothing());
}

#[test]
fn every_spelling_of_a_removed_member_goes_in_one_change() {
    let both = json!({ "roles/viewer": [principal("shop", "worker"), member("shop", "worker")] });
    let plan = plan(SPEC, world("project/acme-prod", both));
    assert_eq!(
        changes(&plan),
        ["- grant.acme-prod/shop/worker:roles/viewer@project/acme-prod"]
    );
    assert_eq!(
        members(
            &plan,
            "grant.acme-prod/shop/worker:roles/viewer@project/acme-prod"
        )
        .len(),
        2
    );
}

#[test]
fn principals_of_the_spec_lose_what_it_does_not_give() {
    let plan = plan(
        SPEC,
        world(
            "project/acme-prod",
            json!({ "roles/viewer": [gsa()], "roles/browser": [principal("shop", "checkout")] }),
        ),
    );
    assert_eq!(
        changes(&plan),
        [
            "- grant.acme-prod/shop/checkout:roles/browser@project/acme-prod",
            "- grant.checkout:roles/viewer@project/acme-prod",
        ]
    );
    assert!(
        notes(&plan, "grant.checkout:roles/viewer@project/acme-prod")
            .contains("is managed by this spec")
    );
    assert_eq!(plan.owned, 8);
}

#[test]
fn principals_of_others_keep_what_they_have() {
    let strangers = [
        "user:ada@example.com".to_owned(),
        "group:all@example.com".to_owned(),
        "serviceAccount:other@acme-prod.iam.gserviceaccount.com".to_owned(),
        "deleted:serviceAccount:other@acme-prod.iam.gserviceaccount.com?uid=1".to_owned(),
        format!(
            "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/{POOL}/namespace/shop"
        ),
        member("shop", "stranger"),
        member("other", "worker"),
        "serviceAccount:other-prod.svc.id.goog[shop/worker]".to_owned(),
    ];
    for resource in [
        "project/acme-prod",
        "bucket/acme-receipts",
        "topic/acme-prod/orders",
    ] {
        let plan = plan(
            SPEC,
            world(resource, json!({ "roles/viewer": strangers.clone() })),
        );
        assert_eq!((changes(&plan), plan.owned), (nothing(), 6), "{resource}");
    }
}

#[test]
fn only_the_specs_workloads_may_act_as_its_accounts() {
    let in_pool = |kind: &str, rest: &str| {
        format!(
            "{kind}://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/{POOL}/{rest}"
        )
    };
    let users = json!([
        member("shop", "checkout"),
        member("shop", "stranger"),
        in_pool("principalSet", "namespace/shop"),
        "user:ada@example.com",
        "serviceAccount:other@acme-prod.iam.gserviceaccount.com",
    ]);
    let others = json!([
        "user:ada@example.com",
        member("shop", "stranger"),
        in_pool("principalSet", "*")
    ]);
    let world = world(
        &on_account(),
        json!({ "roles/iam.workloadIdentityUser": users, "roles/iam.serviceAccountTokenCreator": others }),
    );
    // Who is in a set cannot be seen; nobody has the other.
    let careful = plan(SPEC, world.clone());
    assert_eq!(
        changes(&careful),
        ["- binding.checkout/acme-prod/shop/stranger"]
    );
    assert_eq!(careful.held_back.len(), 1, "{:?}", careful.held_back);
    let plan = accepting(SPEC, world);
    let removed: Vec<String> = changes(&plan);
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(
        removed.contains(&"- binding.checkout/acme-prod/shop/stranger".to_owned()),
        "{removed:?}"
    );
    says(
        &removed,
        &["- binding.checkout/principalSet:", "/namespace/shop"],
    );
    let set = plan
        .changes
        .keys()
        .find(|a| a.contains("principalSet"))
        .expect("the set");
    assert!(notes(&plan, set).contains("its loss is accepted, unseen whether it is used"));
}

#[test]
fn accounts_of_others_keep_who_may_act_as_them() {
    let other = "serviceaccount/other@acme-prod.iam.gserviceaccount.com";
    let plan = plan(
        SPEC,
        world(
            other,
            json!({ "roles/iam.workloadIdentityUser": [member("shop", "checkout")] }),
        ),
    );
    assert_eq!(changes(&plan), nothing());
}

#[test]
fn roles_of_a_form_that_is_not_known_are_left() {
    let plan = plan(
        SPEC,
        world("project/acme-prod", json!({ "unheard/of": [gsa()] })),
    );
    assert_eq!(changes(&plan), nothing());
}

#[test]
fn dead_members_of_the_specs_accounts_go() {
    let dead = format!("deleted:serviceAccount:{CHECKOUT}?uid=0");
    let plan = plan(
        SPEC,
        world("project/acme-prod", json!({ "roles/viewer": [dead] })),
    );
    says(&changes(&plan), &["- grant.deleted:", "roles/viewer"]);
    let address = plan.changes.keys().next().expect("a change").to_string();
    assert!(notes(&plan, &address).starts_with("dead: "));
}

#[test]
fn accounts_that_leave_the_spec_lose_all_unless_they_are_kept() {
    let left = |mark: &str| {
        let world = with(
            world(
                "project/acme-prod",
                json!({ "roles/viewer": ["serviceAccount:former@acme-prod.iam.gserviceaccount.com"] }),
            ),
            json!({ "accounts": { "acme-prod": { "former": { "description": mark } } } }),
        );
        changes(&plan(SPEC, world))
    };
    let grant = "- grant.former:roles/viewer@project/acme-prod".to_owned();
    assert_eq!(
        left("[wi:shop]"),
        [grant.clone(), "- gsa.former".to_owned()]
    );
    assert_eq!(left("[wi:shop delete]"), [grant, "- gsa.former".to_owned()]);
    assert_eq!(left("[wi:shop keep]"), ["~ gsa.former"]);
    assert_eq!(left("[wi:shop adopted]"), ["~ gsa.former"]);
    assert_eq!(left("[wi:shop released]"), nothing());
    assert_eq!(left("[wi:other]"), nothing());
}

#[test]
fn identities_of_a_former_spec_lose_what_they_had() {
    let spec = SPEC.replace("      worker: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }\n", "");
    let world = with(
        settled(),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/worker": null } } } }),
    );
    let alone = wi_core::plan::plan(&desired(&spec), &live(&world), &options());
    assert_eq!(changes(&alone), nothing(), "nobody knows of it");
    let mut wanted: Desired = desired(&spec);
    wanted.succeed(&desired(SPEC));
    let plan = wi_core::plan::plan(&wanted, &live(&world), &options());
    assert_eq!(changes(&plan), [format!("- {DIRECT}")]);
    let mut of_another: Desired = desired(&spec);
    of_another.succeed(&desired(&SPEC.replace("name: shop", "name: other")));
    let plan = wi_core::plan::plan(&of_another, &live(&world), &options());
    assert_eq!(changes(&plan), nothing());
}

#[test]
fn conditions_tell_bindings_apart() {
    let policy = json!({ "bindings": [{
        "role": "roles/pubsub.publisher", "members": [gsa()], "condition": { "title": "t", "expression": "true" },
    }] });
    let plan = plan(
        SPEC,
        with(
            with(
                settled(),
                json!({ "policies": { "topic/acme-prod/orders": null } }),
            ),
            json!({ "policies": { "topic/acme-prod/orders": policy } }),
        ),
    );
    let all = changes(&plan);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all.contains(&format!("+ {GRANT}")));
    says(&all, &[&format!("- {GRANT}?t#")]);
}

#[test]
fn resource_that_is_not_there_is_an_error() {
    let plan = plan(
        SPEC,
        with(
            settled(),
            json!({ "policies": { "topic/acme-prod/orders": "absent", "bucket/of-nobody": "absent" } }),
        ),
    );
    assert_eq!(
        errors(&plan),
        [format!("{GRANT}: topic/acme-prod/orders does not exist")]
    );
    assert_eq!(changes(&plan), nothing());
}

#[test]
fn policy_that_was_not_read_is_told_and_left() {
    for (unread, why) in [(json!("403"), "403"), (json!(null), "it was not read")] {
        let plan = plan(
            SPEC,
            with(
                settled(),
                json!({ "policies": { "topic/acme-prod/orders": unread } }),
            ),
        );
        assert_eq!(changes(&plan), nothing());
        says(
            &unseen(&plan),
            &["the policy of topic/acme-prod/orders: ", why],
        );
    }
}

#[test]
fn policy_of_an_account_that_is_yet_to_be_made_is_empty() {
    assert!(plan(SPEC, bare()).changes.contains_key(ACTS_AS));
    let unread = |accounts: Value| {
        plan(
            SPEC,
            with(bare(), json!({ "accounts": { "acme-prod": accounts } })),
        )
    };
    let plan = unread(json!("403"));
    assert!(!plan.changes.contains_key(ACTS_AS));
    says(
        &unseen(&plan),
        &["the policy of serviceaccount/checkout", "403"],
    );
    let plan = unread(json!("absent"));
    assert!(!plan.changes.contains_key(ACTS_AS));
    says(
        &unseen(&plan),
        &[
            "the policy of serviceaccount/checkout",
            "its project could not be read",
        ],
    );
    // It is there, and its policy was not read.
    let plan = unread(json!({ "checkout": { "description": "[wi:shop]" } }));
    assert!(!plan.changes.contains_key(ACTS_AS));
    says(&unseen(&plan), &["the policy of serviceaccount/checkout"]);
}

#[test]
fn direct_member_takes_the_number_of_its_project() {
    for (number, why) in [
        (json!("403"), "403"),
        (json!("absent"), "the project was not found"),
        (json!(null), "the project was not found"),
    ] {
        let plan = plan(
            SPEC,
            with(bare(), json!({ "numbers": { "acme-prod": number } })),
        );
        assert!(!plan.changes.contains_key(DIRECT));
        says(
            &unseen(&plan),
            &["the project number behind acme-prod.svc.id.goog", why],
        );
    }
}

#[test]
fn inherited_roles_are_noted() {
    let spec = SPEC.replace(
        "{ role: roles/pubsub.publisher, resource: topic/orders }",
        "roles/viewer",
    );
    let above = |members: Value, condition: Value| {
        let mut binding = json!({ "role": "roles/viewer", "members": members });
        if !condition.is_null() {
            binding["condition"] = condition;
        }
        with(
            with(
                settled(),
                json!({ "policies": { "topic/acme-prod/orders": null } }),
            ),
            json!({
                "ancestors": { "acme-prod": ["folder/12"] },
                "background": { "folder/12": { "bindings": [binding] } },
            }),
        )
    };
    let address = "grant.checkout:roles/viewer@project/acme-prod";
    let note = |world: Value| notes(&plan(&spec, world), address);
    assert!(
        note(above(json!([gsa()]), Value::Null))
            .contains("also granted by folder/12: adding it here changes nothing")
    );
    assert_eq!(
        note(above(json!(["user:ada@example.com"]), Value::Null)),
        ""
    );
    assert_eq!(
        note(above(
            json!([gsa()]),
            json!({ "title": "t", "expression": "true" })
        )),
        ""
    );
    let other_role = with(
        above(json!([gsa()]), Value::Null),
        json!({ "background": { "folder/12": { "bindings": [{ "role": "roles/browser", "members": [gsa()] }] } } }),
    );
    assert_eq!(note(other_role), "");
    // And where it is removed.
    let removed = with(
        above(json!([gsa()]), Value::Null),
        json!({ "policies": { "project/acme-prod": { "roles/viewer": [gsa()] }, "topic/acme-prod/orders": { "roles/pubsub.publisher": [gsa()] } } }),
    );
    assert!(notes(&plan(SPEC, removed), address).contains("the role stays, by inheritance"));
}

#[test]
fn grant_that_has_ended_is_not_added_and_one_that_is_there_is_no_mistake() {
    let role = "role: roles/pubsub.publisher, resource: topic/orders";
    let until = |day: &str| {
        assert!(SPEC.contains(role), "{SPEC}");
        SPEC.replace(role, &format!("{role}, expires: {day}"))
    };
    let late = plan(&until("2026-11-30"), bare());
    assert_eq!(late.errors.len(), 1, "{:?}", late.errors);
    assert!(late.errors[0].place.is_some() && late.errors[0].message.contains("later time"));
    assert!(plan(&until("2026-12-01"), bare()).errors.is_empty());
    // It was in time when it was made: every plan after that day would fail.
    let condition = json!({
        "title": "until-2026-11-30",
        "expression": "request.time < timestamp(\"2026-11-30T00:00:00Z\")",
    });
    let there = json!({ "bindings": [
        { "role": "roles/pubsub.publisher", "members": [gsa()], "condition": condition },
    ] });
    let mut live = settled();
    live["policies"]["topic/acme-prod/orders"] = there;
    let was = plan(&until("2026-11-30"), live);
    assert_eq!((was.errors.len(), changes(&was)), (0, nothing()));
}
