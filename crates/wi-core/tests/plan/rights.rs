//! Rights that are not just a service account's own at all times: under a condition, on a whole project; and roles of
//! its own that sleep.

use serde_json::{Value, json};
use wi_core::spec::{Source, load_sources};

use crate::impact::{fates, pods, world};
use crate::support::*;

const USER: &str = "roles/iam.workloadIdentityUser";
const OWN: &str = "ownGrants: [{ role: roles/storage.objectUser, resource: bucket/acme-inbox }]";

/// [`SPEC`], in which `shop/checkout` is this.
fn spec(checkout: &str) -> String {
    SPEC.replace("{ impersonates: checkout }", checkout)
}

/// [`settled`] with this policy in place of the account's own.
fn acting(bindings: Value) -> Value {
    let of = format!("=serviceaccount/{CHECKOUT}");
    with(
        settled(),
        json!({ "policies": { of: { "bindings": bindings } } }),
    )
}

fn until(day: &str) -> Value {
    json!({ "title": format!("until-{day}"), "expression": format!("request.time < timestamp(\"{day}T00:00:00Z\")") })
}

fn under(condition: Value) -> Value {
    json!([{ "role": USER, "members": [member("shop", "checkout")], "condition": condition }])
}

/// [`settled`] where the right is on the project alone.
fn wide() -> Value {
    with(
        acting(json!([])),
        json!({ "policies": { "project/acme-prod": { USER: [member("shop", "checkout")] } } }),
    )
}

#[test]
fn own_roles_of_one_that_acts_as_an_account_are_kept_and_said_to_sleep() {
    let spec = spec(&format!("{{ impersonates: checkout, {OWN} }}"));
    let inbox = |members: Value| {
        let inbox = json!({ "bucket/acme-inbox": { "roles/storage.objectUser": members } });
        json!({ "policies": inbox, "uniform": { "acme-inbox": true } })
    };
    let there = inbox(json!([principal("shop", "checkout")]));
    let kept = plan(&spec, with(settled(), there));
    assert_eq!(changes(&kept), [""; 0]);
    says(
        &kept.warnings,
        &[
            "acme-prod/shop/checkout acts as checkout@",
            "its own roles do nothing (`ownGrants`): roles/storage.objectUser on bucket/acme-inbox",
        ],
    );
    // They are given before it is annotated, and said to give nothing then.
    let grant = "grant.acme-prod/shop/checkout:roles/storage.objectUser@bucket/acme-inbox";
    let made = plan(&spec, with(bare(), inbox(json!([]))));
    assert!(notes(&made, grant).contains("it does nothing while"));
    assert!(needs(&made, "ksa.main/shop/checkout").contains(&grant));
    // Where it acts as itself on another cluster of the project they do not sleep.
    let two = spec
        .replace("europe-west1 }", "europe-west1 }, far: { location: us-east1 }")
        .replace(OWN, "overrides: [{ clusters: [far], grants: [{ role: roles/storage.objectUser, resource: bucket/acme-inbox }] }]");
    let far = with(
        cluster("far", json!({ "p1": pool("GKE_METADATA") })),
        json!({ "location": "us-east1" }),
    );
    let there = json!({ "clusters": { "far": far }, "kubernetes": { "far": {} } });
    let awake = plan(&two, with(with(settled(), inbox(json!([]))), there));
    assert!(!notes(&awake, grant).contains("does nothing"));
    assert!(!awake.warnings.iter().any(|w| w.contains("do nothing")));
}

#[test]
fn a_right_to_make_tokens_of_accounts_does_not_sleep() {
    let own = "ownGrants: [{ role: roles/iam.workloadIdentityUser, resource: project/acme-prod }]";
    let spec = spec(&format!("{{ impersonates: checkout, {own} }}"));
    let both = with(
        settled(),
        json!({ "policies": { "project/acme-prod": { USER: [member("shop", "checkout")] } } }),
    );
    let plan = plan(&spec, both);
    assert_eq!(changes(&plan), [""; 0]);
    assert!(!plan.warnings.iter().any(|w| w.contains("do nothing")));
    says(
        &plan.warnings,
        &["it can act as every Google service account there"],
    );
}

#[test]
fn a_right_under_a_condition_is_what_the_spec_says() {
    let ends = spec("{ impersonates: { account: checkout, expires: 2027-01-01 } }");
    let there = plan(&ends, acting(under(until("2027-01-01"))));
    assert_eq!(changes(&there), [""; 0]);
    // The one takes the place of the other, and is there before.
    let (free, ended) = (
        "binding.checkout/acme-prod/shop/checkout",
        "binding.checkout/acme-prod/shop/checkout?until-2027-01-01#",
    );
    let moved = plan(&ends, settled());
    let all = changes(&moved);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all.contains(&format!("- {free}")));
    assert!(all.iter().any(|c| c.starts_with(&format!("+ {ended}"))));
    assert!(needs(&moved, free)[0].starts_with(ended));
    // What has ended already gives nothing.
    let past = spec("{ impersonates: { account: checkout, expires: 2020-01-01 } }");
    says(
        &errors(&plan(&past, acting(json!([])))),
        &["its condition holds at no time any more"],
    );
    let in_words = spec(
        "{ impersonates: { account: checkout, condition: { title: office, expression: 'request.time.getHours() >= 9' } } }",
    );
    let office = json!({ "title": "office", "expression": "request.time.getHours() >= 9" });
    assert_eq!(changes(&plan(&in_words, acting(under(office)))), [""; 0]);
}

#[test]
fn a_right_on_the_whole_project_stays_as_it_is_and_is_told_as_what_it_is() {
    let through = spec("{ impersonates: { account: checkout, through: project/acme-prod } }");
    let there = plan(&through, wide());
    assert_eq!(changes(&there), [""; 0]);
    says(
        &there.warnings,
        &[
            "acme-prod/shop/checkout has roles/iam.workloadIdentityUser",
            "can act as every Google service account there",
        ],
    );
    // A spec that wants it on the account alone gives that first.
    let narrowed = plan(SPEC, wide());
    let (own, wide) = (
        "binding.checkout/acme-prod/shop/checkout",
        "grant.acme-prod/shop/checkout:roles/iam.workloadIdentityUser@project/acme-prod",
    );
    assert_eq!(
        changes(&narrowed),
        [format!("+ {own}"), format!("- {wide}")]
    );
    assert_eq!(needs(&narrowed, wide), [own]);
    // And what is annotated waits for it where it is to come.
    let made = plan(&through, bare());
    assert!(needs(&made, "ksa.main/shop/checkout").contains(&wide));
    assert!(!changes(&made).contains(&format!("+ {own}")));
}

#[test]
fn pods_have_their_account_by_either_right_when_a_node_pool_moves() {
    let fate = |checkout: &str, policies: Value| {
        let pod = json!({ "shop/a": pod("checkout", "n1", "web") });
        let bare =
            json!({ "policies": { (format!("=serviceaccount/{CHECKOUT}")): { "bindings": [] } } });
        let world = with(
            with(world(bare), pods(pod)),
            json!({ "policies": policies }),
        );
        fates(&plan(&spec(checkout), world))
    };
    let account = format!("StatefulSet shop/web gets {CHECKOUT}");
    for checkout in [
        "{ impersonates: { account: checkout, through: project/acme-prod } }",
        "{ impersonates: { account: checkout, expires: 2030-01-01 } }",
    ] {
        assert_eq!(
            fate(checkout, json!({})),
            std::slice::from_ref(&account),
            "{checkout}"
        );
    }
    let sometimes = "{ impersonates: { account: checkout, condition: { title: t, expression: 'request.time.getHours() < 18' } } }";
    says(&fate(sometimes, json!({})), &["loses: "]);
}

#[test]
fn nobody_comes_to_live_on_a_right_that_does_not_surely_hold() {
    let limited = |expression: &str, more: &str| {
        let right = format!(
            "{{ impersonates: {{ account: checkout, condition: {{ title: t, expression: '{expression}' }} }} }}"
        );
        format!("{}{more}", spec(&right))
    };
    let later = "request.time > timestamp(\"2028-01-01T00:00:00Z\")";
    let office = "request.time.getHours() < 18";
    let now = "request.time < timestamp(\"2028-01-01T00:00:00Z\")";
    // Whoever is there acts as itself, or as the account by a right without a condition.
    let itself =
        json!({ "kubernetes": { "main": { "ServiceAccount": { "shop/checkout": ours(None) } } } });
    let itself = with(
        with(
            acting(json!([])),
            json!({ "kubernetes": { "main": { "ServiceAccount": { "shop/checkout": null } } } }),
        ),
        itself,
    );
    for (expression, says_so) in [
        (later, "does not hold now"),
        (office, "not hold at all times"),
    ] {
        for world in [itself.clone(), settled()] {
            let stopped = plan(&limited(expression, ""), world.clone());
            says(
                &errors(&stopped),
                &["pods of acme-prod/shop/checkout live on", says_so],
            );
            let accepted = limited(expression, "acceptLoss: [shop/ServiceAccount/checkout]\n");
            let accepted = plan(&accepted, world);
            assert_eq!(errors(&accepted), [""; 0]);
            says(&accepted.warnings, &["is accepted", says_so]);
        }
        // Nobody loses where all is as it was.
        let there = acting(under(json!({ "title": "t", "expression": expression })));
        assert_eq!(errors(&plan(&limited(expression, ""), there)), [""; 0]);
    }
    for world in [itself, settled()] {
        assert_eq!(errors(&plan(&limited(now, ""), world)), [""; 0]);
    }
    let ended = acting(under(json!({ "title": "t", "expression": later })));
    let told = plan(&limited(later, ""), ended).warnings;
    says(
        &told,
        &[
            "acme-prod/shop/checkout may not act as checkout@",
            "does not hold now (t)",
        ],
    );
}

#[test]
fn users_may_act_under_conditions() {
    let spec = SPEC.replace(
        "checkout: { grants:",
        "checkout: { users: [batch/a, { user: batch/b, expires: 2027-01-01 }], grants:",
    );
    let bindings = json!([
        { "role": USER, "members": [member("shop", "checkout"), member("batch", "a")] },
        { "role": USER, "members": [member("batch", "b")], "condition": until("2027-01-01") },
    ]);
    assert_eq!(changes(&plan(&spec, acting(bindings))), [""; 0]);
    let made = plan(&spec, settled());
    assert!(
        changes(&made)[1].starts_with("+ binding.checkout/acme-prod/batch/b?until-2027-01-01#")
    );
}

#[test]
fn what_cannot_be_meant_is_a_mistake() {
    let mistakes = |checkout: &str, more: &str| {
        let text = format!("{}{more}", spec(checkout));
        let source = Source::new("wi.yaml".to_owned(), text);
        match load_sources(vec![source]) {
            Ok(_) => panic!("{checkout}"),
            Err(e) => e.render(200, false),
        }
    };
    for (checkout, says) in [
        (format!("{{ {OWN} }}"), "its roles are its `grants`"),
        ("{ impersonates: checkout, grants: [{ role: roles/viewer, resource: project/acme-prod }] }".to_owned(), "they are its `ownGrants`"),
        ("{ impersonates: { account: checkot } }".to_owned(), "checkout"),
        ("{ impersonates: { expires: 2027-01-01 } }".to_owned(), "account"),
        ("{ impersonates: { account: checkout, expires: soon } }".to_owned(), "not a day or a time"),
        ("{ impersonates: { account: checkout, condition: { title: t, expression: 'what is' } } }".to_owned(), "the condition cannot be read"),
        ("{ impersonates: { account: checkout, through: project/acme-other } }".to_owned(), "of another project"),
        ("{ impersonates: { account: checkout, through: bucket/acme-inbox } }".to_owned(), "is no project"),
        ("{ impersonates: { account: checkout, true: project/acme-prod } }".to_owned(), "true"),
    ] {
        let told = mistakes(&checkout, "");
        assert!(told.contains(says), "{checkout}:\n{told}");
    }
    let forbidden = "guard: { forbidRoles: [roles/iam.workloadIdentityUser] }\n";
    let told = mistakes(
        "{ impersonates: { account: checkout, through: project/acme-prod } }",
        forbidden,
    );
    assert!(told.contains("the guard forbids"), "{told}");
}
