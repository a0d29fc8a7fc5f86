//! Clusters: which states take changes, the workload pool, the version.

use serde_json::{Value, json};
use wi_core::plan::Edit;

use crate::support::*;

fn world(patch: Value) -> Value {
    with(settled(), json!({ "clusters": { "main": patch } }))
}

fn without_pool() -> Value {
    world(json!({ "workloadIdentityConfig": null }))
}

#[test]
fn cluster_gets_the_pool_of_its_project() {
    let plan = plan(SPEC, without_pool());
    assert_eq!(changes(&plan), ["~ cluster.main"]);
    assert!(
        matches!(&plan.changes["cluster.main"].edit, Edit::ClusterPool(edit) if edit.after == POOL && edit.before.is_empty())
    );
    assert!(!notes(&plan, "cluster.main").contains("auto-provisioning"));
    let auto = json!({ "autoscaling": { "enableNodeAutoprovisioning": true } });
    let plan = crate::support::plan(
        SPEC,
        with(without_pool(), json!({ "clusters": { "main": auto } })),
    );
    assert!(notes(&plan, "cluster.main").contains("auto-provisioning"));
}

#[test]
fn cluster_with_another_pool_is_an_error_and_its_node_pools_stay() {
    let other = json!({
        "workloadIdentityConfig": { "workloadPool": "other.svc.id.goog" },
        "nodePools": { "p1": pool("GCE_METADATA") },
    });
    let plan = plan(SPEC, world(other));
    assert_eq!(changes(&plan), Vec::<String>::new());
    says(
        &errors(&plan),
        &["cluster.main: ", "has the workload pool other.svc.id.goog"],
    );
}

#[test]
fn cluster_that_does_not_run_takes_no_changes() {
    for status in ["RUNNING", "RECONCILING", "DEGRADED"] {
        let plan = plan(
            SPEC,
            with(
                without_pool(),
                json!({ "clusters": { "main": { "status": status } } }),
            ),
        );
        assert_eq!(changes(&plan), ["~ cluster.main"], "{status}");
        let warned = plan.warnings.iter().any(|w| w.contains("is DEGRADED"));
        assert_eq!(warned, status == "DEGRADED");
    }
    for status in ["STOPPING", "ERROR", "UNHEARD_OF", ""] {
        let plan = plan(
            SPEC,
            with(
                without_pool(),
                json!({ "clusters": { "main": { "status": status } } }),
            ),
        );
        assert_eq!(changes(&plan), Vec::<String>::new(), "{status}");
        says(
            &errors(&plan),
            &[
                "cluster.main: ",
                &format!("is {status}; it takes no changes"),
            ],
        );
    }
    let plan = plan(
        SPEC,
        with(
            without_pool(),
            json!({ "clusters": { "main": { "status": "PROVISIONING" } } }),
        ),
    );
    assert_eq!((changes(&plan), errors(&plan)), (vec![], vec![]));
    says(&unseen(&plan), &["cluster.main: it is PROVISIONING"]);
}

#[test]
fn conditions_of_a_cluster_are_told_with_its_state() {
    let conditions =
        json!([{ "message": "No quota." }, { "message": "" }, { "message": "No room" }]);
    let state = |status: &str| world(json!({ "status": status, "conditions": conditions }));
    let plan = plan(SPEC, state("DEGRADED"));
    assert_eq!(
        plan.warnings,
        ["cluster.main is DEGRADED: No quota; No room"]
    );
    let plan = crate::support::plan(SPEC, state("ERROR"));
    says(
        &errors(&plan),
        &["is ERROR: No quota; No room; it takes no changes"],
    );
}

#[test]
fn cluster_that_is_absent_or_unread_is_told() {
    let plan = plan(
        SPEC,
        with(settled(), json!({ "clusters": { "main": "absent" } })),
    );
    says(
        &errors(&plan),
        &["cluster.main: projects/acme-prod/locations/europe-west1/clusters/main does not exist"],
    );
    let plan = crate::support::plan(
        SPEC,
        with(settled(), json!({ "clusters": { "main": "403" } })),
    );
    assert_eq!(errors(&plan), Vec::<String>::new());
    says(&unseen(&plan), &["cluster.main: 403"]);
}

#[test]
fn cluster_that_is_too_old_is_an_error() {
    let version = |text: &str| {
        plan(
            SPEC,
            with(
                without_pool(),
                json!({ "clusters": { "main": { "currentMasterVersion": text } } }),
            ),
        )
    };
    for good in ["1.12.0-gke.1", "1.33.5", "2.0.1", "", "latest"] {
        assert_eq!(changes(&version(good)), ["~ cluster.main"], "{good}");
    }
    let old = version("1.11.10-gke.4");
    assert_eq!(changes(&old), Vec::<String>::new());
    says(
        &errors(&old),
        &["runs Kubernetes 1.11.10-gke.4", "needs 1.12 or later"],
    );
}

#[test]
fn autopilot_has_all_of_it_already() {
    let autopilot = json!({ "autopilot": { "enabled": true }, "workloadIdentityConfig": null, "nodePools": { "p1": pool("") } });
    assert_eq!(changes(&plan(SPEC, world(autopilot))), Vec::<String>::new());
}

#[test]
fn places_that_could_not_be_listed_are_told() {
    let plan = plan(
        SPEC,
        with(
            settled(),
            json!({ "unlisted": { "folder/12": "403", "project/other-prod": "404" } }),
        ),
    );
    says(&unseen(&plan), &["the projects of folder/12: 403"]);
    says(&unseen(&plan), &["the clusters of project/other-prod: 404"]);
}

#[test]
fn cluster_of_others_without_a_pool_is_told_of() {
    let spec = SPEC.replace(
        "location: europe-west1",
        "location: europe-west1, manage: false",
    );
    let told = |patch: Value| plan(&spec, world(patch)).warnings;
    says(
        &told(json!({ "workloadIdentityConfig": null })),
        &["cluster.main has no workload pool, and is others' to manage"],
    );
    assert!(told(json!({})).is_empty());
    // Where the spec has nothing there, as when all goes, it says nothing of it.
    let nothing = spec.split("googleServiceAccounts").next().expect("a head");
    let gone = plan(
        nothing,
        with(
            world(json!({ "workloadIdentityConfig": null })),
            json!({ "kubernetes": { "main": { "ServiceAccount": null } }, "accounts": { "acme-prod": null } }),
        ),
    );
    assert!(
        !gone.warnings.iter().any(|w| w.contains("no workload pool")),
        "{:?}",
        gone.warnings
    );
    assert!(
        told(json!({ "workloadIdentityConfig": null, "autopilot": { "enabled": true } }))
            .is_empty()
    );
    assert_eq!(
        changes(&plan(
            &spec,
            world(
                json!({ "workloadIdentityConfig": null, "nodePools": { "p1": pool("GCE_METADATA") } })
            )
        )),
        Vec::<String>::new()
    );
}
