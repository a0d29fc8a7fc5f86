//! Accounts that get off their static keys: when a key ends, when it comes back, when a Secret goes, and what stands
//! against it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wi_core::live::keys::{Disabling, Holder, KeySeen, KeysOf, Last, SecretSeen};
use wi_core::names::Email;
use wi_core::plan::{self, HoldReason, Options, Plan};

use crate::support::*;

pub const ID: &str = "1f0c9e0011223344556677889900aabbccddeeff";
const OTHER: &str = "9b12d40011223344556677889900aabbccddeeff";

fn now() -> Timestamp {
    options().now.expect("a time")
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

pub fn spec(migration: &str) -> String {
    format!("{SPEC}migrate: {{ checkout: {{ {migration} }} }}\n")
}

/// A key that was made long ago and is silent since.
pub fn key() -> KeySeen {
    let silent = Last::NotIn(ago(42 * 24), now());
    KeySeen {
        id: ID.to_owned(),
        disabled: false,
        exposure: None,
        made: Some(ago(20_000)),
        events: silent.clone(),
        activity: silent,
        callers: Ok(Vec::new()),
        disabling: Disabling::Unknown("it is enabled".to_owned()),
    }
}

pub fn disabled(hours: i64, by_wi: bool) -> KeySeen {
    KeySeen {
        disabled: true,
        disabling: Disabling::At {
            at: ago(hours),
            by: "ann@example.com".to_owned(),
            by_wi,
        },
        ..key()
    }
}

fn secret() -> SecretSeen {
    SecretSeen {
        cluster: "main".to_owned(),
        namespace: "shop".to_owned(),
        name: "key".to_owned(),
        uid: "u1".to_owned(),
        version: "7".to_owned(),
        keys: Some(BTreeSet::from([ID.to_owned()])),
        others: BTreeSet::new(),
        users: BTreeSet::new(),
        revisions: BTreeSet::new(),
        made_by: None,
    }
}

pub fn seen(keys: Vec<KeySeen>) -> KeysOf {
    let email = Email::parse(CHECKOUT).expect("an email");
    KeysOf {
        project: email.project().expect("a project"),
        email,
        keys,
        holders: BTreeSet::new(),
        files: BTreeSet::new(),
        secrets: Vec::new(),
        templates: None,
        unseen: BTreeSet::new(),
        outside: BTreeSet::new(),
        all_secrets: true,
        now: now(),
    }
}

pub fn listed(keys: &[KeySeen]) -> Value {
    let keys = keys.iter().map(|k| {
        json!({
            "name": format!("projects/acme-prod/serviceAccounts/{CHECKOUT}/keys/{}", k.id),
            "disabled": k.disabled, "validBeforeTime": "9999-12-31T23:59:59Z",
        })
    });
    keys.collect()
}

/// The plan of a migration by what was seen.
fn planned(migration: &str, seen: KeysOf) -> Plan {
    planned_under(&spec(migration), seen)
}

fn planned_under(spec: &str, seen: KeysOf) -> Plan {
    let world = with(
        settled(),
        json!({
            "keys": {CHECKOUT: listed(&seen.keys)},
            "clusters": {"far": cluster("far", json!({"p1": pool("GKE_METADATA")}))},
            "kubernetes": {"far": {
                "Namespace": {"shop": {}},
                "ServiceAccount": {"shop/checkout": ours(Some(CHECKOUT)), "shop/worker": ours(None)},
            }},
        }),
    );
    let mut live = live(&world);
    live.off_keys.insert("checkout".to_owned(), seen);
    plan::plan(&desired(spec), &live, &options())
}

pub fn held(plan: &Plan) -> String {
    let lines = plan.held_back.iter().flat_map(|held| match &held.why {
        HoldReason::Keys { why, .. } => why
            .iter()
            .map(|w| format!("{}: {w}", held.address))
            .collect(),
        other => vec![format!("{other:?}")],
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether all that holds something passes with time.
pub fn passes(plan: &Plan) -> bool {
    let mut held = plan.held_back.iter();
    held.all(|h| matches!(h.why, HoldReason::Keys { passes: true, .. }))
}

fn address() -> String {
    format!("key.checkout/{ID}")
}

#[test]
fn silent_key_that_nobody_has_is_disabled_and_deleted_only_later() {
    for until in ["disabled", "deleted", "pruned"] {
        let plan = planned(&format!("until: {until}"), seen(vec![key()]));
        assert_eq!(changes(&plan), [format!("~ {}", address())], "{until}");
        let change = &plan.changes[address().as_str()];
        assert_eq!(change.edit.verb(), "will be disabled");
    }
    for until in ["bound", "cutover"] {
        let plan = planned(&format!("until: {until}"), seen(vec![key()]));
        assert!(plan.is_empty() && plan.held_back.is_empty(), "{until}");
    }
}

#[test]
fn disabled_key_is_deleted_only_after_the_soak_and_says_in_capitals_what_that_means() {
    let plan = planned("until: deleted", seen(vec![disabled(167, true)]));
    assert!(plan.is_empty() && passes(&plan), "{}", held(&plan));
    assert!(
        held(&plan).contains("soaks until 2026-11-30 13:00 UTC"),
        "{}",
        held(&plan)
    );
    let plan = planned("until: deleted", seen(vec![disabled(168, true)]));
    assert_eq!(changes(&plan), [format!("- {}", address())]);
    let change = &plan.changes[address().as_str()];
    assert_eq!(change.edit.verb(), "will be deleted: THERE IS NO WAY BACK");
    // By whomever it was disabled: since when is what counts.
    let plan = planned(
        "until: deleted, soak: { disabled: 2h }",
        seen(vec![disabled(3, false)]),
    );
    assert_eq!(changes(&plan), [format!("- {}", address())]);
    let unknown = KeySeen {
        disabling: Disabling::Unknown("not readable".to_owned()),
        ..disabled(0, true)
    };
    let plan = planned("until: deleted", seen(vec![unknown]));
    assert!(plan.is_empty() && !passes(&plan), "{}", held(&plan));
    let done = planned("until: disabled", seen(vec![disabled(1, true)]));
    assert!(done.is_empty() && done.held_back.is_empty());
}

#[test]
fn lowering_until_enables_what_wi_disabled_and_nothing_else() {
    for until in ["bound", "cutover"] {
        let until = format!("until: {until}");
        let plan = planned(&until, seen(vec![disabled(1, true)]));
        assert_eq!(changes(&plan), [format!("~ {}", address())]);
        let change = &plan.changes[address().as_str()];
        assert_eq!(change.edit.verb(), "will be enabled again");
        let exposed = KeySeen {
            exposure: Some("EXPOSED".to_owned()),
            ..disabled(1, true)
        };
        for theirs in [disabled(1, false), exposed] {
            let plan = planned(&until, seen(vec![theirs]));
            assert!(plan.is_empty() && plan.held_back.is_empty() && plan.warnings.is_empty());
        }
        let unknown = KeySeen {
            disabling: Disabling::Unknown("not readable".to_owned()),
            ..disabled(1, true)
        };
        let plan = planned(&until, seen(vec![unknown]));
        assert!(plan.is_empty());
        assert!(
            plan.warnings
                .iter()
                .any(|w| w.contains("Who did is not known"))
        );
    }
}

/// A key, or who has it, with one thing that stands against its end; the words by which that is told.
fn obstacles(key: &KeySeen) -> Vec<(KeysOf, &'static str)> {
    let with = |edit: &dyn Fn(&mut KeysOf)| {
        let mut seen = seen(vec![key.clone()]);
        edit(&mut seen);
        seen
    };
    let holder = |keys: &[&str]| Holder {
        what: "Deployment shop/web in cluster.main".to_owned(),
        keys: keys.iter().map(|k| (*k).to_owned()).collect(),
    };
    vec![
        (
            with(&|s| _ = s.holders.insert(holder(&[ID]))),
            "it is in use: Deployment shop/web",
        ),
        // Which key it is cannot be told.
        (
            with(&|s| _ = s.holders.insert(holder(&[]))),
            "it is in use: Deployment shop/web",
        ),
        (
            with(&|s| _ = s.unseen.insert("pods of cluster.main: refused".to_owned())),
            "pods of cluster.main",
        ),
        (
            with(&|s| _ = s.outside.insert("acme-prod/europe-west1/edge".to_owned())),
            "does not mention acme-prod/europe-west1/edge",
        ),
        (
            with(&|s| s.keys[0].callers = Ok(vec!["192.0.2.7".to_owned()])),
            "by the audit logs: 192.0.2.7",
        ),
        (
            with(&|s| s.keys[0].events = Last::Unknown("refused".to_owned())),
            "whether it is used is not known: refused",
        ),
    ]
}

#[test]
fn what_stands_against_ending_a_key_is_told_and_holds_it() {
    for (until, key) in [("disabled", key()), ("deleted", disabled(1000, true))] {
        for (seen, told) in obstacles(&key) {
            let plan = planned(&format!("until: {until}"), seen);
            assert!(plan.is_empty(), "{until}, {told}: {:?}", changes(&plan));
            assert!(
                held(&plan).contains(told),
                "{until}, {told}: {}",
                held(&plan)
            );
            assert!(!passes(&plan), "{until}, {told}");
            assert!(plan.errors.is_empty());
        }
        // Another key of the account is that of others.
        let mut with_other = seen(vec![key.clone()]);
        with_other.holders.insert(Holder {
            what: "Deployment shop/old in cluster.main".to_owned(),
            keys: BTreeSet::from([OTHER.to_owned()]),
        });
        let plan = planned(&format!("until: {until}"), with_other);
        assert_eq!(plan.changes.len(), 1, "{until}: {}", held(&plan));
    }
}

#[test]
fn use_holds_a_key_until_it_was_silent_for_the_soak_and_for_what_evidence_is_late() {
    let used = |events: Last, activity: Last| KeySeen {
        events,
        activity,
        ..key()
    };
    let silent = || key().events;
    for (seen, is_held) in [
        (used(Last::At(ago(168 + 4)), silent()), true),
        (used(Last::At(ago(168 + 5)), silent()), false),
        (used(silent(), Last::At(ago(168 + 23))), true),
        (used(silent(), Last::At(ago(168 + 24))), false),
        // The silence of the Analyzer is no reason for doubt, what it cannot tell neither.
        (used(silent(), Last::Unknown("off".to_owned())), false),
        // What was asked for is too little.
        (used(Last::NotIn(ago(168), now()), silent()), true),
        (
            KeySeen {
                made: Some(ago(170)),
                ..key()
            },
            true,
        ),
        (
            KeySeen {
                made: Some(ago(173)),
                ..key()
            },
            false,
        ),
    ] {
        let plan = planned("until: disabled", self::seen(vec![seen.clone()]));
        assert_eq!(plan.is_empty(), is_held, "{seen:?}: {}", held(&plan));
    }
    let waits = used(Last::At(ago(10)), silent());
    let plan = planned("until: disabled, soak: { quiet: 24h }", seen(vec![waits]));
    assert!(passes(&plan));
    assert!(
        held(&plan).contains("not before 2026-12-01 07:00 UTC"),
        "{}",
        held(&plan)
    );
}

#[test]
fn use_of_a_disabled_key_holds_its_end() {
    for (hours, is_held) in [(300, false), (197, true), (10, true)] {
        let tried = KeySeen {
            events: Last::At(ago(hours)),
            ..disabled(200, true)
        };
        let plan = planned("until: deleted", seen(vec![tried]));
        assert_eq!(plan.is_empty(), is_held, "{hours}: {}", held(&plan));
    }
}

#[test]
fn nobody_looked_is_no_leave_to_end_anything() {
    let world = with(settled(), json!({"keys": {CHECKOUT: listed(&[key()])}}));
    for (until, is_due) in [
        ("cutover", false),
        ("disabled", true),
        ("deleted", true),
        ("pruned", true),
    ] {
        let desired = desired(&spec(&format!("until: {until}")));
        let plan = plan::plan(&desired, &live(&world), &options());
        assert!(plan.is_empty(), "{until}");
        assert_eq!(held(&plan).contains("was not looked at"), is_due, "{until}");
    }
    let unread = with(settled(), json!({"keys": {CHECKOUT: "refused"}}));
    let plan = plan::plan(
        &desired(&spec("until: disabled")),
        &live(&unread),
        &options(),
    );
    assert!(plan.is_empty());
    assert!(
        plan.unseen
            .iter()
            .any(|u| u.what.contains("the keys of checkout@")),
        "{:?}",
        plan.unseen
    );
}

#[test]
fn keys_that_the_account_may_have_stay() {
    let allowed = SPEC.replace(
        "checkout: { grants:",
        &format!("checkout: {{ keys: {{ allow: [{ID}], until: 2027-01-01, reason: r }}, grants:"),
    );
    let spec = format!("{allowed}migrate: {{ checkout: {{ until: disabled }} }}\n");
    let other = KeySeen {
        id: OTHER.to_owned(),
        ..key()
    };
    let plan = planned_under(&spec, seen(vec![key(), other]));
    assert_eq!(changes(&plan), [format!("~ key.checkout/{OTHER}")]);
}

#[test]
fn secret_goes_last_and_only_when_nothing_needs_it_or_would_write_it_back() {
    let with = |edit: &dyn Fn(&mut SecretSeen)| {
        let mut secret = secret();
        edit(&mut secret);
        let mut seen = seen(Vec::new());
        seen.secrets.push(secret);
        seen
    };
    let plan = planned("until: pruned", with(&|_| ()));
    assert_eq!(changes(&plan), ["- secret.main/shop/key"]);
    for until in ["disabled", "deleted"] {
        let plan = planned(&format!("until: {until}"), with(&|_| ()));
        assert!(plan.is_empty() && plan.held_back.is_empty(), "{until}");
    }
    let named = || BTreeSet::from(["x".to_owned()]);
    let mut unseen = with(&|_| ());
    unseen.unseen.insert("pods of cluster.main".to_owned());
    let mut lives = with(&|_| ());
    lives.keys.push(disabled(1, true));
    for (seen, told) in [
        (with(&|s| s.users = named()), "it is in use: x"),
        (
            with(&|s| s.others = named()),
            "it has more in it than keys: x",
        ),
        (
            with(&|s| s.made_by = Some("ExternalSecret key".to_owned())),
            "ExternalSecret key would make it again",
        ),
        (with(&|s| s.keys = None), "cannot be told"),
        (unseen, "pods of cluster.main"),
        (lives, "keys that are live are in it"),
    ] {
        let plan = planned("until: pruned", seen);
        assert!(plan.is_empty(), "{told}: {:?}", changes(&plan));
        assert!(held(&plan).contains(told), "{told}: {}", held(&plan));
    }
    let plan = planned("until: pruned", with(&|s| s.revisions = named()));
    let change = &plan.changes["secret.main/shop/key"];
    assert!(change.notes[0].contains("an undo to old revisions would need it: x"));
}

#[test]
fn secret_of_a_key_that_ends_in_the_same_run_waits_for_that() {
    let mut of = seen(vec![disabled(1000, true)]);
    of.secrets.push(secret());
    let plan = planned("until: pruned", of);
    assert_eq!(
        changes(&plan),
        [
            format!("- {}", address()),
            "- secret.main/shop/key".to_owned()
        ]
    );
    assert_eq!(needs(&plan, "secret.main/shop/key"), [address()]);
}

#[test]
fn key_that_something_makes_is_not_deleted() {
    for (maker, is_held) in [("IAMServiceAccountKey checkout", true), ("Helm", false)] {
        let mut of = seen(vec![disabled(1000, true)]);
        of.secrets.push(SecretSeen {
            made_by: Some(maker.to_owned()),
            ..secret()
        });
        let plan = planned("until: deleted", of);
        assert_eq!(plan.is_empty(), is_held, "{maker}: {}", held(&plan));
    }
}

#[test]
fn keys_end_with_the_last_wave_and_come_back_with_the_first() {
    let two = "clusters: { main: { location: europe-west1, labels: { ring: \"1\" } }, far: { location: europe-west1, labels: { ring: \"2\" } } }";
    let spec = |until: &str| {
        let waves = "rollout: { waves: [{ name: a, clusters: { ring: \"1\" } }, { name: b, clusters: { ring: \"2\" } }] }";
        let spec = SPEC.replace("clusters: { main: { location: europe-west1 } }", two);
        format!("{spec}{waves}\nmigrate: {{ checkout: {{ until: {until} }} }}\n")
    };
    for (until, key, wave) in [
        ("disabled", key(), 1),
        ("deleted", disabled(1000, true), 1),
        ("cutover", disabled(1, true), 0),
    ] {
        let plan = planned_under(&spec(until), seen(vec![key]));
        assert_eq!(plan.changes[address().as_str()].wave, wave, "{until}");
    }
    let mut of = seen(Vec::new());
    of.secrets.push(secret());
    let plan = planned_under(&spec("pruned"), of);
    assert_eq!(plan.changes["secret.main/shop/key"].wave, 1);
}

#[test]
fn key_of_the_account_that_wi_runs_as_stays() {
    let mut plan = planned("until: disabled", seen(vec![key()]));
    let caller = plan::Caller {
        account: Some(CHECKOUT.to_owned()),
        ksa: None,
    };
    assert!(plan::takes_from_accounts(&plan));
    plan::protect(&mut plan, &caller);
    assert!(plan.is_empty());
    assert!(plan.warnings.iter().any(|w| w.contains(&address())));
}

#[test]
fn key_that_ends_is_told_once_and_the_guard_lets_it_end() {
    let guarded = format!("{}guard: {{ forbidKeys: true }}\n", spec("until: disabled"));
    let plan = planned_under(&guarded, seen(vec![key()]));
    assert!(plan.errors.is_empty(), "{:?}", plan.errors);
    assert_eq!(changes(&plan), [format!("~ {}", address())]);
    assert!(
        !plan
            .warnings
            .iter()
            .any(|w| w.contains("No apply touches it"))
    );
}

#[test]
fn who_acts_by_a_key_is_told_to_lose_it() {
    let plan = planned("until: deleted", seen(vec![disabled(1000, true)]));
    let access = plan.access();
    let row = access.first().expect("a row");
    assert!(!row.gains && row.right.what() == format!("key {ID}:"));
    let plan = planned("until: cutover", seen(vec![disabled(1, true)]));
    assert!(plan.access()[0].gains);
}

#[test]
fn longer_soaks_hold_longer() {
    let soak = Duration::from_secs(24 * 3600);
    assert!(wi_core::spec::migration::Soak::default().quiet > soak);
    let used = KeySeen {
        events: Last::At(ago(100)),
        ..key()
    };
    for (migration, is_held) in [
        ("until: disabled", true),
        ("until: disabled, soak: { quiet: 90h }", false),
        ("until: disabled, soak: { quiet: 4d }", true),
    ] {
        let plan = planned(migration, seen(vec![used.clone()]));
        assert_eq!(plan.is_empty(), is_held, "{migration}");
    }
}

#[test]
fn saved_plan_holds_what_it_takes_to_look_again_and_is_stale_when_the_key_is_in_use() {
    use wi_core::plan::saved::PlanFile;
    let spec = spec("until: disabled");
    let desired = desired(&spec);
    let world = with(settled(), json!({"keys": {CHECKOUT: listed(&[key()])}}));
    let mut live = live(&world);
    live.off_keys
        .insert("checkout".to_owned(), seen(vec![key()]));
    let options: Options = options();
    let plan = plan::plan(&desired, &live, &options);
    let file = PlanFile::new(&plan, &desired, &live, &options);
    let file = PlanFile::decode(&file.encode().expect("packed")).expect("read");
    let touched = file.touched();
    assert_eq!(touched.desired.migrations.len(), 1);
    assert!(touched.reads.keys.keys().any(|e| e.as_str() == CHECKOUT));
    assert!(touched.desired.clusters.contains_key("main"));
    let compared = file.compare(&touched, &live);
    assert!(
        compared.stale.is_empty() && compared.unread.is_empty(),
        "{compared:?}"
    );
    let mut used = seen(vec![key()]);
    used.holders.insert(Holder {
        what: "Deployment shop/new in cluster.main".to_owned(),
        keys: BTreeSet::new(),
    });
    live.off_keys.insert("checkout".to_owned(), used);
    let compared = file.compare(&touched, &live);
    assert_eq!(compared.stale.len(), 1, "{compared:?}");
    assert!(compared.stale[0].how[0].contains("Deployment shop/new"));
}

#[test]
fn forged_plan_ends_no_more_than_the_spec_asks_for() {
    use wi_core::plan::saved::PlanFile;
    let desired = desired(&spec("until: disabled"));
    let world = with(settled(), json!({"keys": {CHECKOUT: listed(&[key()])}}));
    let mut live = live(&world);
    live.off_keys
        .insert("checkout".to_owned(), seen(vec![key()]));
    let plan = plan::plan(&desired, &live, &options());
    let file = PlanFile::new(&plan, &desired, &live, &options());
    let text = serde_json::to_string(&file).expect("JSON");
    assert!(PlanFile::from_json(text.as_bytes()).is_ok());
    for (from, to, told) in [
        ("\"Disabled\"", "\"Deleted\"", "does what wi never does"),
        ("\"Disabled\"", "\"Enabled\"", "does what wi never does"),
        (ID, "x/../y", "is another object"),
        (
            "\"until\":\"disabled\"",
            "\"until\":\"cutover\"",
            "does what wi never does",
        ),
    ] {
        let forged = text.replace(from, to);
        assert_ne!(forged, text, "{from}");
        let why = PlanFile::from_json(forged.as_bytes());
        let why = why.expect_err(to).to_string();
        assert!(why.contains(told), "{to}: {why}");
    }
}

#[test]
fn part_of_the_clusters_ends_nothing_that_others_may_have() {
    let mut of = seen(vec![disabled(1000, true)]);
    of.secrets.push(secret());
    let spec = spec("until: pruned");
    let desired = desired(&spec);
    let world = with(settled(), json!({"keys": {CHECKOUT: listed(&of.keys)}}));
    let mut live = live(&world);
    live.off_keys.insert("checkout".to_owned(), of);
    let mut plan = plan::plan(&desired, &live, &options());
    assert_eq!(plan.changes.len(), 2);
    let main = BTreeSet::from(["main".to_owned()]);
    plan::restrict_to_clusters(&mut plan, &desired, &live, &main);
    assert!(plan.is_empty(), "{:?}", changes(&plan));
}

#[test]
fn key_in_a_file_stays_until_somebody_vouches_that_nothing_takes_it_from_there() {
    for (until, key) in [("disabled", key()), ("deleted", disabled(1000, true))] {
        for (id, accept, is_held) in [
            (ID, "", true),
            (OTHER, "", false),
            (ID, ", accept: [in-files]", false),
        ] {
            let mut of = seen(vec![key.clone()]);
            of.files.insert(Holder {
                what: "values.yaml:41".to_owned(),
                keys: BTreeSet::from([id.to_owned()]),
            });
            let plan = planned(&format!("until: {until}{accept}"), of);
            assert_eq!(
                plan.is_empty(),
                is_held,
                "{until}, {id}, {accept}: {}",
                held(&plan)
            );
            assert_eq!(
                held(&plan).contains("values.yaml:41 (accept: [in-files])"),
                is_held
            );
        }
    }
}

#[test]
fn keys_and_secrets_of_migrations_are_addresses_to_aim_at() {
    let mut of = seen(vec![disabled(1, true)]);
    of.secrets.push(secret());
    let desired = desired(&spec("until: pruned"));
    let world = with(settled(), json!({"keys": {CHECKOUT: listed(&of.keys)}}));
    let mut live = live(&world);
    live.off_keys.insert("checkout".to_owned(), of);
    let all = plan::addresses(&desired, &live);
    assert!(
        all.contains(address().as_str()) && all.contains("secret.main/shop/key"),
        "{all:?}"
    );
}
