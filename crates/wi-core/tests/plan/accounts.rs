//! Google service accounts: made, adopted, brought back, released, ended; never another spec's.

use serde_json::{Value, json};
use wi_core::plan::{AccountAfter, Edit, Options, Plan};

use crate::support::*;

const ADDRESS: &str = "gsa.checkout";

fn world(account: Value) -> Value {
    with(
        settled(),
        json!({ "accounts": { "acme-prod": { "checkout": account } } }),
    )
}

fn after<'a>(plan: &'a Plan, address: &str) -> &'a AccountAfter {
    match &plan.changes[address].edit {
        Edit::Account(account) => &account.after,
        other => panic!("{other:?}"),
    }
}

/// Of what stays: the names shown, the description, and whether it is disabled.
fn present<'a>(plan: &'a Plan, address: &str) -> (&'a str, &'a str, bool) {
    match after(plan, address) {
        AccountAfter::Present {
            display_name,
            description,
            disabled,
            ..
        } => (display_name, description, *disabled),
        other => panic!("{other:?}"),
    }
}

#[test]
fn settled_spec_has_no_changes() {
    let plan = plan(SPEC, settled());
    assert_eq!(changes(&plan), Vec::<String>::new());
    assert_eq!((errors(&plan), unseen(&plan)), (vec![], vec![]));
    assert!(
        plan.warnings.is_empty() && plan.held_back.is_empty(),
        "{:?}",
        plan.warnings
    );
    // The account, its role, who may act as it, a role of a KSA, and two KSAs.
    assert_eq!(plan.owned, 6);
}

#[test]
fn account_that_is_not_there_is_made_with_the_mark() {
    let spec = SPEC.replace(
        "checkout: { grants",
        "checkout: { displayName: Pays, onRemove: delete, grants",
    );
    let plan = plan(&spec, bare());
    assert_eq!(present(&plan, ADDRESS), ("Pays", "[wi:shop delete]", false));
    assert_eq!(notes(&plan, ADDRESS), "");
    assert_eq!(
        plan.changes[ADDRESS].place.as_ref().map(|p| p.line),
        Some(6)
    );
}

#[test]
fn account_of_nobody_is_adopted_and_keeps_what_is_its_own() {
    let plan = plan(
        SPEC,
        world(json!({ "displayName": "By hand", "description": "Pays", "disabled": true })),
    );
    assert_eq!(changes(&plan), ["~ gsa.checkout"]);
    assert_eq!(
        present(&plan, ADDRESS),
        ("By hand", "Pays [wi:shop adopted]", false)
    );
    assert!(notes(&plan, ADDRESS).contains("adopted"));
}

#[test]
fn account_is_changed_only_where_it_differs() {
    let same = plan(
        SPEC,
        world(json!({ "displayName": "By hand", "description": "Pays [wi:shop]  " })),
    );
    assert_eq!(changes(&same), Vec::<String>::new());
    let spec = SPEC.replace(
        "checkout: { grants",
        "checkout: { displayName: Pays, onRemove: keep, grants",
    );
    let told = SPEC.replace(
        "checkout: { grants",
        "checkout: { onRemove: disable, grants",
    );
    let adopted = plan(&told, world(json!({ "description": "" })));
    assert_eq!(present(&adopted, ADDRESS).1, "[wi:shop adopted disable]");
    let other = plan(
        &spec,
        world(json!({ "displayName": "Paid", "description": "Pays [wi:shop]" })),
    );
    assert_eq!(
        present(&other, ADDRESS),
        ("Pays", "Pays [wi:shop keep]", false)
    );
    assert_eq!(notes(&other, ADDRESS), "", "it is no adoption");
}

#[test]
fn account_of_another_spec_is_an_error_and_stays_unless_it_is_taken_over() {
    let theirs = || world(json!({ "description": "Pays [wi:other]", "disabled": true }));
    let refused = plan(SPEC, theirs());
    assert_eq!(changes(&refused), Vec::<String>::new());
    says(
        &errors(&refused),
        &[
            "gsa.checkout: ",
            "belongs to the spec named `other`",
            "--adopt-from other",
        ],
    );
    let from = |name: &str| Options {
        adopt_from: [name.to_owned()].into(),
        ..options()
    };
    says(
        &errors(&plan_with(SPEC, theirs(), &from("third"))),
        &["belongs to the spec named `other`"],
    );
    let taken = plan_with(SPEC, theirs(), &from("other"));
    assert_eq!(present(&taken, ADDRESS), ("", "Pays [wi:shop]", false));
    assert!(notes(&taken, ADDRESS).contains("taken over from the spec named `other`"));
    let adopted = plan_with(
        SPEC,
        world(json!({ "description": "[wi:other adopted]" })),
        &from("other"),
    );
    assert_eq!(
        present(&adopted, ADDRESS).1,
        "[wi:shop adopted]",
        "it was there before either"
    );
}

#[test]
fn account_that_a_spec_let_go_is_for_the_next_to_take() {
    let of = |mark: &str| {
        let plan = plan(
            SPEC,
            world(json!({ "description": mark, "disabled": true })),
        );
        (present(&plan, ADDRESS).1.to_owned(), notes(&plan, ADDRESS))
    };
    let (again, note) = of("[wi:shop released]");
    assert_eq!(again, "[wi:shop]");
    assert!(note.contains("taken back"), "{note}");
    assert_eq!(of("[wi:shop adopted released]").0, "[wi:shop adopted]");
    let (theirs, note) = of("[wi:other released]");
    assert_eq!(theirs, "[wi:shop adopted]");
    assert!(
        note.contains("the spec named `other` has let it go"),
        "{note}"
    );
}

#[test]
fn description_has_room_for_the_mark_or_is_an_error() {
    let mark = " [wi:shop adopted]".len();
    let fits = plan(
        SPEC,
        world(json!({ "description": "x".repeat(256 - mark) })),
    );
    assert_eq!(changes(&fits), ["~ gsa.checkout"]);
    let long = plan(
        SPEC,
        world(json!({ "description": "x".repeat(257 - mark) })),
    );
    assert_eq!(changes(&long), Vec::<String>::new());
    says(&errors(&long), &["leaves no room for the mark"]);
}

#[test]
fn account_is_undeleted_where_policies_tell_its_id_for_sure() {
    let dead = |uids: &[&str]| -> Value {
        let members = uids
            .iter()
            .map(|uid| format!("deleted:serviceAccount:{CHECKOUT}?uid={uid}"));
        json!({ "roles/viewer": members.collect::<Vec<_>>() })
    };
    let undelete = |plan: &Plan| match after(plan, ADDRESS) {
        AccountAfter::Present { undelete, .. } => undelete.clone(),
        _ => None,
    };
    for place in ["policies", "background"] {
        let one = plan(
            SPEC,
            with(
                bare(),
                json!({ place: { "project/acme-prod": dead(&["7"]) } }),
            ),
        );
        assert_eq!(undelete(&one).as_deref(), Some("7"), "{place}");
        assert!(notes(&one, ADDRESS).contains("unique id 7"));
        assert_eq!(
            changes(&one).iter().filter(|c| c.starts_with('-')).count(),
            0,
            "it comes back with its roles"
        );
        let two = plan(
            SPEC,
            with(
                bare(),
                json!({ place: { "project/acme-prod": dead(&["7", "8"]) } }),
            ),
        );
        assert_eq!(undelete(&two), None, "{place}");
    }
    let of_another = json!({ "roles/viewer": ["deleted:serviceAccount:other@acme-prod.iam.gserviceaccount.com?uid=7"] });
    let plan = plan(
        SPEC,
        with(
            bare(),
            json!({ "policies": { "project/acme-prod": of_another } }),
        ),
    );
    assert_eq!(undelete(&plan), None);
}

#[test]
fn accounts_that_were_not_read_are_told_and_left() {
    let plan = plan(
        SPEC,
        with(bare(), json!({ "accounts": { "acme-prod": "403" } })),
    );
    assert!(!plan.changes.contains_key(ADDRESS));
    says(
        &unseen(&plan),
        &["the service accounts of project/acme-prod: 403"],
    );
    let plan = crate::support::plan(
        SPEC,
        with(bare(), json!({ "accounts": { "acme-prod": "absent" } })),
    );
    assert!(!plan.changes.contains_key(ADDRESS));
    says(
        &errors(&plan),
        &["gsa.checkout: the project acme-prod does not exist"],
    );
}

#[test]
fn account_that_left_the_spec_ends_as_its_mark_says() {
    let left = |description: &str, disabled: bool| {
        let world = with(
            settled(),
            json!({ "accounts": { "acme-prod": { "former": { "description": description, "disabled": disabled } } } }),
        );
        plan(SPEC, world)
    };
    let ended = left("Old [wi:shop]", false);
    assert_eq!(changes(&ended), ["- gsa.former"]);
    assert!(
        matches!(after(&ended, "gsa.former"), AccountAfter::Disabled { description } if description == "Old [wi:shop released]")
    );
    assert_eq!(ended.owned, 7);
    let already = left("[wi:shop]", true);
    assert_eq!(changes(&already), ["~ gsa.former"]);
    assert_eq!(
        present(&already, "gsa.former"),
        ("", "[wi:shop released]", true),
        "disabled already"
    );
    let no_room = left(&format!("{} [wi:shop]", "x".repeat(245)), false);
    assert!(
        matches!(after(&no_room, "gsa.former"), AccountAfter::Disabled { description } if *description == "x".repeat(245))
    );
    let fits = left(
        &format!(
            "{} [wi:shop]",
            "x".repeat(256 - " [wi:shop released]".len())
        ),
        false,
    );
    assert!(
        matches!(after(&fits, "gsa.former"), AccountAfter::Disabled { description } if description.len() == 256)
    );
    for disabled in [false, true] {
        let plan = left("[wi:shop delete]", disabled);
        assert_eq!(after(&plan, "gsa.former"), &AccountAfter::Deleted);
        for (kept, why) in [
            ("Old [wi:shop keep]", "marked with `onRemove: keep`"),
            ("Old [wi:shop adopted]", "it was there before this spec"),
        ] {
            let plan = left(kept, disabled);
            assert_eq!(changes(&plan), ["~ gsa.former"]);
            assert_eq!(
                present(&plan, "gsa.former"),
                ("", "Old", disabled),
                "as it is, without the mark"
            );
            assert!(
                notes(&plan, "gsa.former").contains(why),
                "{}",
                notes(&plan, "gsa.former")
            );
        }
    }
    assert!(matches!(
        after(&left("[wi:shop adopted disable]", false), "gsa.former"),
        AccountAfter::Disabled { .. }
    ));
    for others in [
        "",
        "[wi:other]",
        "[wi:other delete]",
        "[wi:shop released]",
        "by hand",
    ] {
        let plan = left(others, false);
        assert_eq!((changes(&plan), plan.owned), (vec![], 6), "{others}");
    }
}

#[test]
fn account_that_is_referred_to_by_its_email_is_nobodys_to_change() {
    let spec = SPEC.replace(
        "checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }",
        &format!("checkout: {{ email: {CHECKOUT} }}"),
    );
    let of = |description: &str| {
        let account = json!({ "description": description, "disabled": true });
        // It keeps the role that a spec gave it.
        plan(&spec, world(account))
    };
    for others in ["[wi:other]", "by hand", ""] {
        let plan = of(others);
        assert_eq!(
            (changes(&plan), errors(&plan)),
            (vec![], vec![]),
            "{others}"
        );
    }
    // This spec's own mark goes, and nothing else.
    let ours = of("Pays [wi:shop]");
    assert_eq!(changes(&ours), ["~ gsa.checkout"]);
    assert_eq!(present(&ours, ADDRESS), ("", "Pays", true));
    let by_other_list = with(
        world(json!(null)),
        json!({ "others": { CHECKOUT: { "description": "[wi:shop]" } } }),
    );
    assert_eq!(changes(&plan(&spec, by_other_list)), ["~ gsa.checkout"]);
}
