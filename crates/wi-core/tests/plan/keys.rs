//! User-managed keys that the spec does not want: drift that is told, and an error where the guard says so.

use serde_json::{Value, json};
use wi_core::plan::Plan;
use wi_core::read_set::ReadSet;

use crate::support::*;

const ID: &str = "1f0c9e0011223344556677889900aabbccddeeff";

fn spec(keys: &str, guard: &str) -> String {
    let account = SPEC.replace(
        "checkout: { grants:",
        &format!("checkout: {{ {keys} grants:"),
    );
    format!("{account}{guard}")
}

fn key(more: &Value) -> Value {
    let mut key = json!({
        "name": format!("projects/acme-prod/serviceAccounts/{CHECKOUT}/keys/{ID}"),
        "validAfterTime": "2023-02-11T09:00:00Z", "validBeforeTime": "9999-12-31T23:59:59Z",
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        key[field] = value.clone();
    }
    key
}

fn planned(keys: &str, guard: &str, seen: Value) -> Plan {
    plan(
        &spec(keys, guard),
        with(settled(), json!({"keys": {CHECKOUT: seen}})),
    )
}

fn warned(plan: &Plan) -> Vec<&str> {
    let about = |w: &&String| w.starts_with("key.");
    plan.warnings
        .iter()
        .filter(about)
        .map(String::as_str)
        .collect()
}

fn errors(plan: &Plan) -> Vec<&str> {
    plan.errors
        .iter()
        .map(|e| e.message.as_str())
        .filter(|m| m.starts_with("key."))
        .collect()
}

#[test]
fn unwanted_keys_are_told_and_never_a_change() {
    let plan = planned("keys: none,", "", json!([key(&json!({}))]));
    let expected = format!(
        "key.checkout/{ID} is there, made 2023-02-11, and the spec wants none (wi.yaml:6). No apply touches it. `wi scan --live` says who uses it, `wi migrate` leads off it"
    );
    assert_eq!(warned(&plan), [expected.as_str()]);
    assert!(errors(&plan).is_empty());
    assert_eq!(changes(&plan), Vec::<String>::new());
    let disabled = planned("keys: none,", "", json!([key(&json!({"disabled": true}))]));
    assert!(warned(&disabled)[0].contains(", disabled, and"));
    let ended = planned(
        "keys: none,",
        "",
        json!([key(&json!({"validBeforeTime": "2026-11-30T11:59:59Z"}))]),
    );
    assert!(warned(&ended).is_empty());
    for nothing in [json!([]), json!("absent")] {
        let plan = planned("keys: none,", "", nothing);
        assert!(
            warned(&plan).is_empty() && plan.unseen.iter().all(|u| !u.what.contains("keys of"))
        );
    }
}

#[test]
fn allowed_keys_are_allowed_for_their_time_alone() {
    for (allow, until, is_told) in [
        (ID, "2026-11-30", false),
        (ID, "2026-11-29", true),
        ("00000000aa", "2027-01-01", true),
    ] {
        let keys = format!("keys: {{ allow: [\"{allow}\"], until: \"{until}\", reason: r }},");
        let plan = planned(&keys, "", json!([key(&json!({}))]));
        assert_eq!(warned(&plan).len(), usize::from(is_told), "{allow} {until}");
    }
}

#[test]
fn guard_makes_enabled_keys_an_error_unless_the_account_keeps_them() {
    let guard = "guard: { forbidKeys: true }\n";
    let plan = planned("", guard, json!([key(&json!({}))]));
    assert!(
        errors(&plan)[0].contains("the guard forbids keys (wi.yaml:"),
        "{:?}",
        plan.errors
    );
    let plan = planned("", guard, json!([key(&json!({"disabled": true}))]));
    assert!(errors(&plan).is_empty() && warned(&plan).len() == 1);
    let keys = format!("keys: {{ allow: [\"{ID}\"], until: \"2026-12-31\", reason: r }},");
    assert!(errors(&planned(&keys, guard, json!([key(&json!({}))]))).is_empty());
    assert!(errors(&planned("keys: keep,", guard, json!([key(&json!({}))]))).is_empty());
}

#[test]
fn keys_that_cannot_be_listed_make_the_plan_incomplete() {
    let plan = planned("keys: none,", "", json!("403: refused"));
    let expected = format!("the keys of {CHECKOUT}");
    assert!(
        plan.unseen.iter().any(|u| u.what == expected),
        "{:?}",
        plan.unseen
    );
}

#[test]
fn keys_are_read_only_where_the_spec_says_something_of_them() {
    let read = |keys: &str, guard: &str| ReadSet::of(&desired(&spec(keys, guard))).keys.len();
    let guard = "guard: { forbidKeys: true }\n";
    assert_eq!(
        [
            read("", ""),
            read("keys: keep,", guard),
            read("keys: none,", ""),
            read("", guard)
        ],
        [0, 0, 1, 1]
    );
    // Whose account it is looks after that: a list of its keys may be refused.
    let others =
        "googleServiceAccounts: { other: { email: x@other-project.iam.gserviceaccount.com } }\n";
    let text = format!("apiVersion: wi/v1\nname: shop\nproject: acme-prod\n{others}{guard}");
    assert_eq!(ReadSet::of(&desired(&text)).keys.len(), 0);
}

#[test]
fn hash_of_a_plan_is_the_same_whatever_is_said_of_keys() {
    let hash = |keys: &str, guard: &str| {
        let text = spec(keys, guard);
        let plan = plan(
            &text,
            with(settled(), json!({"keys": {CHECKOUT: [key(&json!({}))]}})),
        );
        plan.hash(&desired(&text), &options())
    };
    let migrate = "migrate: { checkout: { until: cutover } }\n";
    assert_eq!(hash("", ""), hash("keys: none,", migrate));
}
