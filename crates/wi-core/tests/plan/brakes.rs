//! What stops a plan that is well-formed and does too much, and what is only told.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wi_core::plan::{Action, Caller, Options, Plan, protect, takes_from_accounts};

use crate::support::*;

const GRANT: &str = "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders";

fn gsa() -> String {
    format!("serviceAccount:{CHECKOUT}")
}

fn nothing() -> Vec<String> {
    Vec::new()
}

fn guarded(guard: &str) -> String {
    format!("{SPEC}guard: {{ {guard} }}\n")
}

#[test]
fn forbidden_members_get_nothing() {
    let stopped = plan(&guarded("forbidMembers: [\"*[shop/*]\"]"), bare());
    assert_eq!(errors(&stopped).len(), 1, "{:?}", errors(&stopped));
    says(
        &errors(&stopped),
        &[
            "binding.checkout/acme-prod/shop/checkout: the guard forbids the member",
            "`*[shop/*]` at wi.yaml:",
        ],
    );
    let other = plan(&guarded("forbidMembers: [\"*[other/*]\"]"), bare());
    assert_eq!(errors(&other), nothing());
    // What they have is not given by this plan.
    assert_eq!(
        errors(&plan(&guarded("forbidMembers: [\"*\"]"), settled())),
        nothing()
    );
    let removal = with(
        settled(),
        json!({ "policies": { "project/acme-prod": { "roles/viewer": [gsa()] } } }),
    );
    assert_eq!(
        errors(&plan(&guarded("forbidMembers: [\"*\"]"), removal)),
        nothing()
    );
}

/// So many removals, of accounts that left the spec.
fn removals(n: usize, spec: &str, options: &Options) -> Plan {
    let left: serde_json::Map<String, Value> = (0..n)
        .map(|i| (format!("former-{i}"), json!({ "description": "[wi:shop]" })))
        .collect();
    plan_with(
        spec,
        with(settled(), json!({ "accounts": { "acme-prod": left } })),
        options,
    )
}

#[test]
fn mass_removal_stops_the_plan() {
    // The spec owns six things, and those that left.
    assert_eq!(errors(&removals(1, SPEC, &options())), nothing());
    says(
        &errors(&removals(2, SPEC, &options())),
        &["the plan as a whole: it removes 2 of the 8 things"],
    );
    let meant = Options {
        allow_mass_removal: true,
        ..options()
    };
    assert_eq!(errors(&removals(2, SPEC, &meant)), nothing());
    // A fifth, and one more.
    let owning = |more: usize| {
        let roles: serde_json::Map<String, Value> = (0..more)
            .map(|i| (format!("roles/custom{i}"), json!([gsa()])))
            .collect();
        let grants: Vec<String> = (0..more)
            .map(|i| format!("{{ role: roles/custom{i}, resource: topic/orders }}"))
            .collect();
        let spec = SPEC.replace(
            "grants: [{ role: roles/pubsub",
            &format!("grants: [{}, {{ role: roles/pubsub", grants.join(", ")),
        );
        let world = with(
            settled(),
            json!({
                "policies": { "topic/acme-prod/orders": roles },
                "accounts": { "acme-prod": { "former-a": { "description": "[wi:shop]" }, "former-b": { "description": "[wi:shop]" } } },
            }),
        );
        errors(&plan(&spec, world))
    };
    assert_eq!(owning(2), nothing(), "2 of 10");
    assert_eq!(owning(1).len(), 1, "2 of 9");
}

#[test]
fn dead_members_are_no_removals() {
    let dead: Vec<String> = (0..5)
        .map(|i| format!("deleted:serviceAccount:{CHECKOUT}?uid={i}"))
        .collect();
    let plan = plan(
        &guarded("maxRemovals: 0"),
        with(
            settled(),
            json!({ "policies": { "project/acme-prod": { "roles/viewer": dead } } }),
        ),
    );
    assert_eq!((plan.counts().destroy, errors(&plan)), (5, nothing()));
}

#[test]
fn guard_bounds_removals_whatever_is_meant() {
    let meant = Options {
        allow_mass_removal: true,
        ..options()
    };
    assert_eq!(
        errors(&removals(2, &guarded("maxRemovals: 2"), &meant)),
        nothing()
    );
    says(
        &errors(&removals(3, &guarded("maxRemovals: 2"), &meant)),
        &["the plan as a whole: it removes 3, and the guard allows 2"],
    );
}

#[test]
fn role_that_does_not_exist_is_an_error_where_it_is_granted() {
    let missing = |role: Value| {
        errors(&plan(
            SPEC,
            with(
                bare(),
                json!({ "roles": { "roles/pubsub.publisher": role } }),
            ),
        ))
    };
    says(
        &missing(json!(false)),
        &[&format!(
            "{GRANT}: there is no role roles/pubsub.publisher. gcloud iam roles list has"
        )],
    );
    assert_eq!(
        (missing(json!(true)), missing(json!("403"))),
        (nothing(), nothing())
    );
    let custom = SPEC.replace(
        "roles/pubsub.publisher",
        "projects/acme-prod/roles/publisher",
    );
    let plan_of = plan(
        &custom,
        with(
            bare(),
            json!({ "roles": { "projects/acme-prod/roles/publisher": false } }),
        ),
    );
    says(
        &errors(&plan_of),
        &[
            "there is no role projects/acme-prod/roles/publisher. gcloud iam roles list --project or --organization",
        ],
    );
    let removed = with(
        settled(),
        json!({ "roles": { "roles/viewer": false }, "policies": { "project/acme-prod": { "roles/viewer": [gsa()] } } }),
    );
    assert_eq!(errors(&plan(SPEC, removed)), nothing());
}

/// The topic's policy with so many members of others, in which the role of the spec is to be added.
fn full(members: usize, more: Value) -> Value {
    let users: Vec<String> = (0..members)
        .map(|i| format!("user:u{i}@example.com"))
        .collect();
    with(
        bare(),
        with(
            json!({ "policies": { "topic/acme-prod/orders": { "roles/pubsub.viewer": users } } }),
            more,
        ),
    )
}

#[test]
fn policies_have_room_for_what_is_added() {
    let of = |members: usize| plan(SPEC, full(members, json!({})));
    for roomy in [0, 1349] {
        let plan = of(roomy);
        assert!(
            plan.errors.is_empty() && plan.warnings.is_empty(),
            "{roomy}: {:?}",
            plan.warnings
        );
    }
    for nearly in [1350, 1499] {
        let plan = of(nearly);
        assert!(plan.errors.is_empty());
        says(
            &plan.warnings,
            &[&format!(
                "the policy of topic/acme-prod/orders will have {} of the 1500 members",
                nearly + 1
            )],
        );
    }
    says(
        &errors(&of(1500)),
        &[&format!(
            "{GRANT}: the policy of topic/acme-prod/orders has 1500 members and would have 1501"
        )],
    );
    // Without an addition nobody is stopped.
    let only_removed = with(
        settled(),
        json!({ "policies": { "topic/acme-prod/orders": {
        "roles/pubsub.editor": [gsa()],
        "roles/pubsub.viewer": (0..1600).map(|i| format!("user:u{i}@example.com")).collect::<Vec<_>>(),
    } } }),
    );
    let plan = plan(SPEC, only_removed);
    assert!(plan.errors.is_empty() && plan.warnings.is_empty() && plan.counts().destroy == 1);
}

#[test]
fn what_is_replaced_later_still_takes_room() {
    let old = "old@acme-prod.iam.gserviceaccount.com";
    let leaving = |late: bool| {
        // `old` is in use until the annotation is another, or by nobody.
        let acting = if late {
            json!(ours(Some(old)))
        } else {
            json!(ours(None))
        };
        json!({
            "accounts": { "acme-prod": { "old": { "description": "[wi:shop]" } } },
            "policies": { "topic/acme-prod/orders": { "roles/pubsub.publisher": [format!("serviceAccount:{old}")] } },
            "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": acting } } },
        })
    };
    let of = |members: usize, late: bool| {
        let plan = plan(SPEC, full(members, leaving(late)));
        assert!(
            plan.changes
                .contains_key("grant.old:roles/pubsub.publisher@topic/acme-prod/orders")
        );
        errors(&plan)
            .into_iter()
            .filter(|e| e.contains("IAM allows"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(1499, false),
        nothing(),
        "one comes and one goes in one write"
    );
    says(
        &of(1499, true),
        &["has 1500 members and would have 1501 on the way to 1500"],
    );
    assert_eq!(of(1498, true), nothing());
}

#[test]
fn dead_members_that_go_with_a_write_are_told() {
    let dead = json!({ "policies": { "bucket/acme-receipts": { "roles/storage.legacyBucketReader": ["user:ada@example.com", "deleted:user:ada@example.com?uid=1"] } } });
    says(
        &plan(SPEC, with(bare(), dead.clone())).warnings,
        &[
            "the policy of bucket/acme-receipts has members that are dead",
            "deleted:user:ada@example.com?uid=1",
        ],
    );
    assert!(
        plan(SPEC, with(settled(), dead)).warnings.is_empty(),
        "it is not written"
    );
    let spec = SPEC.replace("topic/orders", "dataset/sales");
    let of_dataset = json!({ "policies": { "dataset/acme-prod/sales": { "roles/x": ["deleted:user:ada@example.com?uid=1"] } } });
    says(
        &plan(&spec, with(bare(), of_dataset)).warnings,
        &["the policy of dataset/acme-prod/sales has members that are dead"],
    );
}

#[test]
fn buckets_without_uniform_access_take_no_conditions_and_no_direct_grants() {
    let without = |uniform: Value| with(bare(), json!({ "uniform": { "acme-receipts": uniform } }));
    says(
        &errors(&plan(SPEC, without(json!(false)))),
        &["grants to a Kubernetes service account itself need uniform bucket-level access"],
    );
    assert_eq!(
        (
            errors(&plan(SPEC, without(json!(true)))),
            errors(&plan(SPEC, without(json!("403"))))
        ),
        (nothing(), nothing())
    );
    let conditional = SPEC.replace(
        "resource: topic/orders }",
        "resource: bucket/acme-receipts, condition: { title: t, expression: \"true\" } }",
    );
    let stopped = plan(&conditional, without(json!(false)));
    says(
        &errors(&stopped),
        &[
            "grant.checkout:",
            "conditions need uniform bucket-level access",
        ],
    );
    let plain = SPEC.replace(
        "resource: topic/orders }",
        "resource: bucket/acme-receipts }",
    );
    assert_eq!(
        errors(&plan(&plain, without(json!(false)))).len(),
        1,
        "the direct one alone"
    );
}

#[test]
fn direct_grants_of_no_use_are_told() {
    let warned = |role: &str, resource: &str| {
        let spec = SPEC.replace(
            "role: roles/storage.objectViewer, resource: bucket/acme-receipts",
            &format!("role: {role}, resource: {resource}"),
        );
        let resource = match resource.split_once('/') {
            Some(("project", _)) => resource.to_owned(),
            Some((kind, rest)) => format!("{kind}/acme-prod/{rest}"),
            None => unreachable!(),
        };
        let plan = plan(&spec, with(bare(), json!({ "policies": { resource: {} } })));
        assert_eq!(errors(&plan), nothing());
        plan.warnings
    };
    says(
        &warned("roles/run.invoker", "run/europe-west1/web"),
        &["is called with ID tokens"],
    );
    says(
        &warned("roles/cloudfunctions.invoker", "function/europe-west1/web"),
        &["is called with ID tokens"],
    );
    says(
        &warned("roles/cloudsql.instanceUser", "project/acme-prod"),
        &["logs in to databases"],
    );
    says(
        &warned("roles/iam.serviceAccountTokenCreator", "project/acme-prod"),
        &["signs in the name of an account"],
    );
    says(
        &warned(
            "roles/artifactregistry.reader",
            "repository/europe-west1/images",
        ),
        &["image pulls are the kubelet's"],
    );
    assert_eq!(
        warned("roles/run.viewer", "run/europe-west1/web"),
        nothing()
    );
    assert_eq!(warned("roles/run.invoker", "project/acme-prod"), nothing());
    assert_eq!(warned("roles/pubsub.viewer", "topic/orders"), nothing());
    // A Google service account can do all of that.
    let spec = SPEC.replace(
        "role: roles/pubsub.publisher, resource: topic/orders",
        "role: roles/run.invoker, resource: run/europe-west1/web",
    );
    assert_eq!(
        plan(
            &spec,
            with(
                bare(),
                json!({ "policies": { "run/acme-prod/europe-west1/web": {} } })
            )
        )
        .warnings,
        nothing()
    );
}

#[test]
fn rights_to_act_as_every_account_of_a_project_are_told() {
    let warned = |resource: &str, role: &str, member: &str| {
        plan(
            SPEC,
            with(
                settled(),
                json!({ "policies": { resource: { role: [member] } } }),
            ),
        )
        .warnings
        .into_iter()
        .filter(|told| !told.starts_with("kept: "))
        .collect::<Vec<_>>()
    };
    let stranger = member("shop", "stranger");
    for role in [
        "roles/iam.workloadIdentityUser",
        "roles/iam.serviceAccountTokenCreator",
    ] {
        for resource in ["project/acme-prod", "folder/12", "organization/1"] {
            says(
                &warned(resource, role, &stranger),
                &[
                    &format!("acme-prod/shop/stranger has {role} on {resource}"),
                    "not only as one",
                ],
            );
        }
    }
    assert_eq!(
        warned(
            "project/acme-prod",
            "roles/iam.serviceAccountUser",
            &stranger
        ),
        nothing()
    );
    assert_eq!(
        warned(
            "project/acme-prod",
            "roles/iam.workloadIdentityUser",
            "user:ada@example.com"
        ),
        nothing()
    );
    assert_eq!(
        warned(
            "bucket/acme-receipts",
            "roles/iam.workloadIdentityUser",
            &stranger
        ),
        nothing()
    );
    // Where this plan removes it, it is not told.
    assert_eq!(
        warned(
            "project/acme-prod",
            "roles/iam.workloadIdentityUser",
            &principal("shop", "worker")
        ),
        nothing()
    );
}

#[test]
fn own_access_is_never_removed() {
    let world = with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "former": { "description": "[wi:shop]" } } },
            "policies": { "project/acme-prod": { "roles/viewer": [gsa(), principal("shop", "worker")] } },
        }),
    );
    let of = |caller: Option<&str>| {
        let mut plan = plan_with(
            SPEC,
            world.clone(),
            &Options {
                allow_mass_removal: true,
                ..options()
            },
        );
        assert!(takes_from_accounts(&plan));
        let caller = Caller {
            account: caller.map(str::to_owned),
            ksa: None,
        };
        protect(&mut plan, &caller);
        plan
    };
    let all = of(Some("ada@example.com"));
    assert_eq!(all.counts().destroy, 3);
    let own = of(Some("Checkout@acme-prod.iam.gserviceaccount.com"));
    assert_eq!(own.counts().destroy, 2);
    says(
        &own.warnings,
        &["grant.checkout:roles/viewer@project/acme-prod is kept"],
    );
    let account = of(Some("former@acme-prod.iam.gserviceaccount.com"));
    assert!(!account.changes.contains_key("gsa.former"));
    let unknown = of(None);
    assert_eq!(unknown.counts().destroy, 3);
    says(
        &unknown.warnings,
        &["whose access token this is could not be found out"],
    );
    assert!(!takes_from_accounts(&plan(SPEC, bare())));
    let only_ksa = with(
        settled(),
        json!({ "policies": { "project/acme-prod": { "roles/viewer": [principal("shop", "worker")] } } }),
    );
    assert!(!takes_from_accounts(&plan(SPEC, only_ksa)));
}

/// The binding by which the caller's pod acts as its account, and the annotation that makes it ask for that.
#[test]
fn own_way_in_is_never_removed() {
    let other = "serviceAccount:acme-prod.svc.id.goog[ci/deployer]";
    let set = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/ci";
    let world = with(
        settled(),
        json!({
            "policies": {
                format!("serviceaccount/{CHECKOUT}"): { "roles/iam.workloadIdentityUser": [other, set] },
                "project/acme-prod": { "roles/viewer": [principal("shop", "worker")] },
            },
        }),
    );
    let of = |account: Option<&str>, ksa: Option<(&str, &str)>| {
        let options = Options {
            allow_mass_removal: true,
            accept_loss: true,
            ..options()
        };
        let mut plan = plan_with(SPEC, world.clone(), &options);
        let caller = Caller {
            account: account.map(str::to_owned),
            ksa: ksa.map(|(namespace, name)| (namespace.to_owned(), name.to_owned())),
        };
        protect(&mut plan, &caller);
        let removed = plan
            .changes
            .iter()
            .filter(|(_, c)| c.action() == Action::Delete);
        let removed: BTreeSet<String> = removed.map(|(a, _)| a.to_string()).collect();
        (removed, plan.warnings)
    };
    let by_ksa = "binding.checkout/acme-prod/ci/deployer";
    let by_set = "binding.checkout/principalSet:acme-prod.svc.id.goog/namespace/ci";
    let direct = "grant.acme-prod/shop/worker:roles/viewer@project/acme-prod";
    let set_of = |all: &[&str]| {
        all.iter()
            .map(|a| (*a).to_owned())
            .collect::<BTreeSet<String>>()
    };
    // Somebody else.
    let (removed, warnings) = of(Some("ada@example.com"), None);
    assert_eq!(removed, set_of(&[by_ksa, by_set, direct]));
    says(
        &warnings,
        &["who is in it cannot be seen. Make sure that it is not you"],
    );
    // The account itself, by which of its users is not known; and in which pod.
    assert_eq!(of(Some(CHECKOUT), None).0, set_of(&[direct]));
    let (removed, warnings) = of(Some(CHECKOUT), Some(("ci", "deployer")));
    assert_eq!(removed, set_of(&[direct]));
    says(&warnings, &[&format!("{by_ksa} is kept")]);
    let elsewhere = of(Some(CHECKOUT), Some(("ci", "other"))).0;
    assert_eq!(elsewhere, set_of(&[by_ksa, direct]));
    // A pod that has roles itself.
    let (removed, warnings) = of(None, Some(("shop", "worker")));
    assert_eq!(removed, set_of(&[by_ksa, by_set]));
    says(
        &warnings,
        &[&format!(
            "{direct} is kept: it is the access of the service account shop/worker"
        )],
    );
}

#[test]
fn clusters_that_the_spec_does_not_mention_are_told_of() {
    let outside = |same: Value| json!({ "outside": { "projects/acme-prod/locations/europe-west1/clusters/other": same } });
    let told = plan(
        SPEC,
        with(
            bare(),
            outside(json!({ "shop/worker": {}, "shop/idle": {} })),
        ),
    );
    says(
        &told.warnings,
        &["clusters/other, which is not in the spec, has shop/worker, too"],
    );
    assert!(!told.warnings[0].contains("idle"));
    assert_eq!(
        plan(SPEC, with(settled(), outside(json!({ "shop/worker": {} })))).warnings,
        nothing(),
        "nothing changes for it"
    );
    assert_eq!(
        plan(SPEC, with(bare(), outside(json!({ "shop/idle": {} })))).warnings,
        nothing()
    );
    assert_eq!(
        plan(SPEC, with(bare(), outside(json!("absent")))).warnings,
        nothing()
    );
    says(
        &plan(SPEC, with(bare(), outside(json!("403")))).warnings,
        &["have the same identities could not be read: projects/acme-prod"],
    );
    assert_eq!(
        plan(SPEC, with(settled(), outside(json!("403")))).warnings,
        nothing()
    );
}
