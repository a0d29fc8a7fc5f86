//! Node pools: which move, how their nodes are recreated, and what an interrupted run left.

use serde_json::{Value, json};
use wi_core::plan::{Edit, NodePool, Options, Plan, UpgradeOverride};

use crate::support::*;

const P1: &str = "nodepool.main/p1";

/// With no pods on it.
fn world(p1: Value) -> Value {
    let p1 = with(pool("GCE_METADATA"), p1);
    with(
        settled(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": p1 } } },
            "kubernetes": { "main": { "Node": { "n1": node("p1") } } },
        }),
    )
}

fn edit(plan: &Plan) -> &NodePool {
    match &plan.changes[P1].edit {
        Edit::NodePool(edit) => edit,
        other => panic!("{other:?}"),
    }
}

fn upgrade(
    strategy: Option<&str>,
    max_surge: Option<u32>,
    max_unavailable: Option<u32>,
) -> Options {
    Options {
        upgrade: UpgradeOverride {
            strategy: strategy.map(str::to_owned),
            max_surge,
            max_unavailable,
        },
        ..options()
    }
}

#[test]
fn node_pool_moves_unless_it_has_the_metadata_server() {
    for mode in ["", "GCE_METADATA", "EXPOSE", "SECURE"] {
        let plan = plan(
            SPEC,
            world(json!({ "config": { "workloadMetadataConfig": { "mode": mode } } })),
        );
        assert_eq!(changes(&plan), ["~ nodepool.main/p1"], "{mode}");
        assert_eq!(edit(&plan).before, mode);
        assert_eq!(
            notes(&plan, P1).contains("the old name of GCE_METADATA"),
            mode == "EXPOSE"
        );
        assert_eq!(
            notes(&plan, P1).contains("metadata concealment"),
            mode == "SECURE"
        );
    }
    let plan = plan(
        SPEC,
        world(json!({ "config": { "workloadMetadataConfig": { "mode": "GKE_METADATA" } } })),
    );
    assert_eq!(changes(&plan), Vec::<String>::new());
    let autopilot = crate::support::plan(
        SPEC,
        world(json!({ "autopilotConfig": { "enabled": true } })),
    );
    assert_eq!(changes(&autopilot), Vec::<String>::new());
}

#[test]
fn node_pool_moves_if_it_is_selected() {
    let of = |selected: &str| {
        SPEC.replace(
            "location: europe-west1",
            &format!("location: europe-west1, nodePools: {selected}"),
        )
    };
    assert_eq!(
        changes(&plan(&of("[p1]"), world(json!({})))),
        ["~ nodepool.main/p1"]
    );
    assert_eq!(
        changes(&plan(&of("{ exclude: [p1] }"), world(json!({})))),
        Vec::<String>::new()
    );
    let plan_of = plan(&of("[p2]"), world(json!({})));
    assert_eq!(changes(&plan_of), Vec::<String>::new());
    says(
        &errors(&plan_of),
        &["nodepool.main/p2: ", "has no node pool `p2`; it has: p1"],
    );
    let plan_of = plan(&of("{ exclude: [p2, p3] }"), world(json!({})));
    assert_eq!(changes(&plan_of), ["~ nodepool.main/p1"]);
    says(
        &plan_of.warnings,
        &["excludes the node pool `p2`, which is not there; it has: p1"],
    );
    let empty = plan(
        &of("[p1]"),
        with(
            settled(),
            json!({ "clusters": { "main": { "nodePools": null } } }),
        ),
    );
    says(&errors(&empty), &["has no node pool `p1`; it has none"]);
    let all_there = plan(&of("{ exclude: [p1] }"), world(json!({})));
    assert!(all_there.warnings.is_empty() && all_there.errors.is_empty());
}

#[test]
fn node_pool_in_a_bad_state_is_left_or_told() {
    let of = |status: &str| plan(SPEC, world(json!({ "status": status })));
    let stopping = of("STOPPING");
    assert_eq!(changes(&stopping), Vec::<String>::new());
    says(&stopping.warnings, &["nodepool.main/p1 is being deleted"]);
    let broken = of("ERROR");
    assert_eq!(changes(&broken), Vec::<String>::new());
    says(
        &errors(&broken),
        &["nodepool.main/p1: the node pool is in state ERROR"],
    );
    let limping = of("RUNNING_WITH_ERROR");
    assert_eq!(changes(&limping), ["~ nodepool.main/p1"]);
    says(&limping.warnings, &["is RUNNING_WITH_ERROR"]);
    assert!(of("RUNNING").warnings.is_empty());
}

#[test]
fn settings_of_a_run_are_put_beside_the_pools_own() {
    let own = json!({ "upgradeSettings": { "strategy": "SURGE", "maxSurge": 2 } });
    let during = |options: &Options| {
        let plan = plan_with(SPEC, world(own.clone()), options);
        let settings = edit(&plan).settings.clone();
        settings.map(|s| (s.own.max_surge, s.during))
    };
    assert_eq!(during(&options()), None);
    assert_eq!(
        during(&upgrade(Some("SURGE"), Some(2), None)),
        None,
        "it has them already"
    );
    let (own_surge, more) = during(&upgrade(None, Some(5), Some(3))).expect("others");
    assert_eq!((own_surge, more.max_surge, more.max_unavailable), (2, 5, 3));
    let (_, one) = during(&upgrade(None, None, Some(1))).expect("others");
    assert_eq!((one.max_surge, one.max_unavailable), (2, 1));
    let (_, blue) = during(&upgrade(Some("BLUE_GREEN"), Some(5), Some(5))).expect("others");
    assert_eq!(
        (blue.strategy.as_str(), blue.max_surge, blue.max_unavailable),
        ("BLUE_GREEN", 0, 0)
    );
    let green = json!({ "upgradeSettings": { "strategy": "BLUE_GREEN" } });
    let plan = plan_with(SPEC, world(green), &upgrade(Some("SURGE"), None, None));
    let settings = edit(&plan).settings.as_ref().expect("others");
    assert_eq!(
        (settings.during.strategy.as_str(), settings.during.max_surge),
        ("SURGE", 1),
        "GKE's default"
    );
}

#[test]
fn settings_by_which_no_node_moves_are_an_error() {
    let frozen = json!({ "upgradeSettings": { "strategy": "SURGE" } });
    let plan = plan(SPEC, world(frozen.clone()));
    assert_eq!(changes(&plan), Vec::<String>::new());
    says(
        &errors(&plan),
        &["nodepool.main/p1: maxSurge and maxUnavailable are both 0"],
    );
    let thawed = plan_with(SPEC, world(frozen), &upgrade(None, Some(1), None));
    assert_eq!(changes(&thawed), ["~ nodepool.main/p1"]);
}

#[test]
fn settings_that_could_not_be_put_back_are_not_replaced() {
    let odd =
        json!({ "upgradeSettings": { "strategy": "SURGE", "maxSurge": 1, "unheardOf": true } });
    let kept = plan(SPEC, world(odd.clone()));
    assert_eq!(
        changes(&kept),
        ["~ nodepool.main/p1"],
        "nothing is replaced"
    );
    let plan = plan_with(SPEC, world(odd), &upgrade(None, Some(4), None));
    assert_eq!(changes(&plan), Vec::<String>::new());
    says(
        &errors(&plan),
        &["nodepool.main/p1: its upgrade settings have parts that wi could not put back"],
    );
}

#[test]
fn what_an_interrupted_run_left_is_put_back() {
    let label = |value: &str| json!({ "clusters": { "main": { "resourceLabels": { "wi-restore-p1": value, "wi-restore-p2": "surge-1-0" } } } });
    // Moved already: only its settings are another's.
    let moved = json!({ "config": { "workloadMetadataConfig": { "mode": "GKE_METADATA" } }, "upgradeSettings": { "maxSurge": 9 } });
    let plan = plan(SPEC, with(world(moved), label("surge-2-1")));
    match &plan.changes[P1].edit {
        Edit::RestoreSettings(edit) => assert_eq!(
            (
                edit.before.max_surge,
                edit.after.max_surge,
                edit.after.max_unavailable
            ),
            (9, 2, 1)
        ),
        other => panic!("{other:?}"),
    }
    // Not moved yet: the label has what it gets back.
    let plan = crate::support::plan(
        SPEC,
        with(
            world(json!({ "upgradeSettings": { "strategy": "SURGE", "maxSurge": 9 } })),
            label("surge-2-1"),
        ),
    );
    let settings = edit(&plan).settings.as_ref().expect("settings");
    assert_eq!((settings.own.max_surge, settings.during.max_surge), (2, 2));
    let plan = crate::support::plan(SPEC, with(world(json!({})), label("by-hand")));
    assert_eq!(edit(&plan).settings, None);
    says(
        &plan.warnings,
        &["has the label wi-restore-p1=by-hand, which wi writes otherwise"],
    );
}

#[test]
fn notes_tell_how_nodes_are_recreated() {
    let note = |p1: Value, patch: Value| notes(&plan(SPEC, with(world(p1), patch)), P1);
    let none = json!({});
    assert_eq!(
        note(json!({}), none.clone()),
        "surge: 1 node recreated in 1 round, with at most 1 more and 0 fewer than now at any time"
    );
    // Kubernetes counts; where it was not asked, the size at the beginning.
    let nodes = json!({ "kubernetes": { "main": { "Node": { "n2": node("p1"), "n3": node("p1"), "other": node("p2") } } } });
    let three = note(
        json!({ "upgradeSettings": { "strategy": "SURGE", "maxSurge": 1, "maxUnavailable": 1 } }),
        nodes,
    );
    assert_eq!(
        three,
        "surge: 3 nodes recreated in 2 rounds, with at most 1 more and 1 fewer than now at any time"
    );
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    let uncounted = |locations: Value| {
        let p1 = json!({ "initialNodeCount": 2, "locations": locations });
        let world = with(
            world(p1),
            json!({ "kubernetes": { "main": { "Pod": "403" } } }),
        );
        edit(&plan_with(SPEC, world, &accepting)).nodes
    };
    assert_eq!(
        (uncounted(json!(["a", "b", "c"])), uncounted(json!([]))),
        (6, 2)
    );
    let blue = |settings: Value| {
        note(
            json!({ "upgradeSettings": { "strategy": "BLUE_GREEN", "blueGreenSettings": settings } }),
            none.clone(),
        )
    };
    assert!(
        blue(json!({})).ends_with("in 1 batch and go 1 h later"),
        "{}",
        blue(json!({}))
    );
    assert!(blue(json!({ "nodePoolSoakDuration": "7200s" })).ends_with("go 2 h later"));
    assert!(blue(json!({ "nodePoolSoakDuration": "600s" })).ends_with("go 10 min later"));
    assert!(blue(json!({ "nodePoolSoakDuration": "0s" })).ends_with("go 0 min later"));
    assert!(blue(json!({ "nodePoolSoakDuration": "90s" })).ends_with("go 90s later"));
    let two = json!({ "kubernetes": { "main": { "Node": { "n2": node("p1") } } } });
    let p1 = json!({ "upgradeSettings": { "strategy": "BLUE_GREEN", "blueGreenSettings": { "standardRolloutPolicy": { "batchNodeCount": 1 } } } });
    assert!(
        note(p1, two).contains(
            "2 new nodes come beside the 2 that there are, which are drained in 2 batches"
        )
    );
    assert!(
        note(json!({ "autoscaling": { "autoprovisioned": true } }), none)
            .contains("made by node auto-provisioning")
    );
}
