//! Parts of a plan: what a target takes along, and what is read again for what is to be done.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wi_core::plan::{Part, Plan, restrict_to, restrict_to_clusters, touched, with_chains};
use wi_core::read_set::ReadSet;

use crate::support::*;

const ACTS_AS: &str = "binding.checkout/acme-prod/shop/checkout";
const GRANT: &str = "grant.checkout:roles/pubsub.publisher@topic/acme-prod/orders";
const DIRECT: &str = "grant.acme-prod/shop/worker:roles/storage.objectViewer@bucket/acme-receipts";

fn targeted(world: &Value, targets: &[&str]) -> (Plan, Vec<String>) {
    let mut plan = plan(SPEC, world.clone());
    let targets: Vec<String> = targets.iter().map(|t| (*t).to_owned()).collect();
    let unmatched = restrict_to(&mut plan, &live(world), &targets);
    (plan, unmatched)
}

#[test]
fn cluster_takes_what_its_workloads_are_given_and_takes_nothing_from_them() {
    let spec = billing();
    let on = |spec: &str, world: &Value, name: &str| {
        let mut plan = plan(spec, world.clone());
        let clusters = BTreeSet::from([name.to_owned()]);
        restrict_to_clusters(&mut plan, &desired(spec), &live(world), &clusters);
        plan
    };
    let only = |world: &Value, name: &str| on(&spec, world, name);
    let all = plan(&spec, unsettled());
    let far = only(&unsettled(), "far");
    let main = only(&unsettled(), "main");
    assert_eq!(far.left_out_by, BTreeSet::from(["--cluster".to_owned()]));
    let of = |plan: &Plan, cluster: &str| {
        let here = plan
            .changes
            .values()
            .filter(|c| c.cluster() == Some(cluster));
        here.count()
    };
    assert_eq!((of(&far, "far"), of(&far, "main")), (of(&all, "far"), 0));
    assert_eq!((of(&main, "main"), of(&main, "far")), (of(&all, "main"), 0));
    assert!(
        main.changes.keys().any(|a| &**a == DIRECT),
        "{:?}",
        changes(&main)
    );
    assert!(
        !far.changes.keys().any(|a| &**a == DIRECT),
        "{:?}",
        changes(&far)
    );
    // What an identity is to lose may be another cluster's, too.
    let more = json!({ "roles/storage.admin": [principal("shop", "worker")] });
    let world = with(
        settled(),
        json!({ "policies": { "bucket/acme-receipts": more } }),
    );
    assert!(plan(SPEC, world.clone()).counts().destroy > 0);
    assert_eq!(on(SPEC, &world, "main").counts().destroy, 0);
}

fn texts<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

#[test]
fn target_takes_what_it_needs_along() {
    let (plan, unmatched) = targeted(&bare(), &["ksa.main/shop/checkout"]);
    assert_eq!(
        changes(&plan),
        [
            format!("+ {ACTS_AS}"),
            format!("+ {GRANT}"),
            "+ gsa.checkout".to_owned(),
            "+ ksa.main/shop/checkout".to_owned()
        ]
    );
    assert!(unmatched.is_empty());
    assert_eq!(
        (plan.left_out, plan.left_out_by),
        (2, BTreeSet::from(["--target".to_owned()]))
    );
    let (all, unmatched) = targeted(
        &bare(),
        &[
            "ksa.main",
            "gsa.checkout",
            "ksa.main/shop",
            "vault.x",
            "ksa.edge",
        ],
    );
    assert_eq!(
        (all.changes.len(), all.left_out, unmatched),
        (6, 0, vec!["vault.x".to_owned(), "ksa.edge".to_owned()])
    );
    assert!(all.left_out_by.is_empty());
}

#[test]
fn target_is_stopped_by_its_own_errors_and_those_of_the_whole() {
    let world = with(
        bare(),
        json!({
            "policies": { "bucket/acme-receipts": "absent" },
            "accounts": { "acme-prod": { "a": { "description": "[wi:shop]" }, "b": { "description": "[wi:shop]" } } },
        }),
    );
    let subjects = |targets: &[&str]| {
        texts(
            targeted(&world, targets)
                .0
                .errors
                .iter()
                .map(|e| &e.subject),
        )
    };
    assert_eq!(subjects(&["gsa.checkout"]), ["the plan as a whole"]);
    assert_eq!(
        subjects(&[DIRECT]),
        [DIRECT.to_owned(), "the plan as a whole".to_owned()]
    );
    let guarded = format!("{SPEC}guard: {{ forbidMembers: [\"*[shop/checkout]\"] }}\n");
    let mut needed = plan(&guarded, bare());
    restrict_to(
        &mut needed,
        &live(&bare()),
        &["ksa.main/shop/checkout".to_owned()],
    );
    assert_eq!(needed.errors.len(), 1, "what it needs is forbidden");
}

#[test]
fn access_is_told_losses_first_with_the_clusters_of_an_identity() {
    let world = with(
        bare(),
        json!({
            "accounts": { "acme-prod": { "former": { "description": "[wi:shop]" }, "gone": { "description": "[wi:shop delete]" } } },
            "policies": { "project/acme-prod": { "roles/viewer": [principal("shop", "worker"), format!("deleted:serviceAccount:{CHECKOUT}?uid=1"), format!("deleted:serviceAccount:{CHECKOUT}?uid=2")] } },
        }),
    );
    let plan = plan(SPEC, world);
    let rows: Vec<String> = plan
        .access()
        .iter()
        .map(|a| {
            format!(
                "{} {} {} {} x{}",
                if a.gains { '+' } else { '-' },
                a.principal,
                a.right.what(),
                a.right.on_what(),
                a.clusters
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "- acme-prod/shop/worker roles/viewer on project/acme-prod x1",
            "- former@acme-prod.iam.gserviceaccount.com everything: it is disabled x0",
            "- gone@acme-prod.iam.gserviceaccount.com everything: it is deleted x0",
            "+ acme-prod/shop/checkout the right to act as checkout@acme-prod.iam.gserviceaccount.com x1",
            "+ acme-prod/shop/worker roles/storage.objectViewer on bucket/acme-receipts x1",
            "+ checkout@acme-prod.iam.gserviceaccount.com roles/pubsub.publisher on topic/acme-prod/orders x0",
        ]
    );
    let risks = plan.risks();
    assert_eq!(
        (risks.losses.len(), risks.increases.len(), risks.is_empty()),
        (3, 0, false)
    );
    let two = crate::support::plan(
        &SPEC.replace(
            "clusters: {",
            "clusters: { edge: { location: europe-west1 },",
        ),
        with(bare(), json!({ "clusters": { "edge": "403" } })),
    );
    assert!(two.access().iter().any(|a| a.clusters == 2));
}

#[test]
fn risks_are_what_a_reviewer_looks_at_first() {
    let none = plan(SPEC, bare());
    assert!(none.risks().is_empty());
    let owner = SPEC.replace("roles/pubsub.publisher", "roles/pubsub.admin");
    assert_eq!(plan(&owner, bare()).risks().increases.len(), 1);
    let moving = |world: Value, accept: bool| {
        let world = with(
            world,
            json!({
                "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } },
                "kubernetes": { "main": { "Node": { "n1": node("p1") }, "Pod": { "shop/a": pod("", "n1", "web") } } },
            }),
        );
        let options = wi_core::plan::Options {
            accept_loss: accept,
            ..options()
        };
        let plan = plan_with(SPEC, world, &options);
        let risks = plan.risks();
        (risks.rolls.len(), risks.losers.len())
    };
    assert_eq!(
        (moving(settled(), true), moving(settled(), false)),
        ((1, 1), (0, 0)),
        "what does not move takes nothing"
    );
}

/// Two clusters, the second in another project, and all of it in the first.
fn fleet() -> String {
    SPEC.replace(
        "clusters: {",
        "clusters: { far: { location: europe-west1, project: other-prod },",
    )
    .replace("  shop:\n", "  shop:\n    clusters: [main]\n")
        + "  pay:
    clusters: [far]
    serviceAccounts:
      pay: { impersonates: billing }
      audit: { grants: [{ role: roles/pubsub.viewer, resource: topic/acme-prod/audit }] }
"
}

fn billing() -> String {
    fleet().replace("googleServiceAccounts:\n", "googleServiceAccounts:\n  billing: { grants: [{ role: roles/pubsub.viewer, resource: topic/orders, condition: { title: t, expression: \"true\" } }] }\n  far: { email: far@third-prod.iam.gserviceaccount.com }\n")
}

#[test]
fn whole_spec_asks_for_all_that_it_names() {
    let set = ReadSet::of(&desired(&billing()));
    assert_eq!(texts(set.clusters.keys()), ["far", "main"]);
    assert_eq!(texts(&set.accounts), ["acme-prod"]);
    assert_eq!(
        texts(&set.managed),
        ["billing@acme-prod.iam.gserviceaccount.com", CHECKOUT]
    );
    assert_eq!(
        texts(&set.accounts_of_others),
        ["far@third-prod.iam.gserviceaccount.com"],
        "whose it is, it says itself"
    );
    assert_eq!(
        texts(&set.numbers),
        ["acme-prod", "other-prod"],
        "of direct grants"
    );
    assert_eq!(texts(&set.buckets), ["acme-receipts"]);
    assert_eq!(
        texts(&set.roles),
        [
            "roles/pubsub.publisher",
            "roles/pubsub.viewer",
            "roles/storage.objectViewer"
        ]
    );
    assert!(set.ancestors_of.is_empty());
    let policies = texts(&set.policies);
    assert_eq!(
        policies,
        [
            "project/acme-prod",
            "project/other-prod",
            "bucket/acme-receipts",
            "topic/acme-prod/audit",
            "topic/acme-prod/orders"
        ],
        "those of its accounts come with them"
    );
    let main = &set.clusters["main"];
    assert_eq!(texts(&main.namespaces), ["shop"]);
    assert!(
        main.ksa("shop", "worker")
            .is_some_and(|k| k.account.is_none())
    );
    assert!(
        main.ksa("shop", "checkout")
            .is_some_and(|k| k.account.as_ref().is_some_and(|e| e.as_str() == CHECKOUT))
    );
    assert!(main.ksa("shop", "pay").is_none() && main.ksa("pay", "pay").is_none());
    let acting = billing().replace("impersonates: billing", "impersonates: far");
    assert_eq!(
        texts(&ReadSet::of(&desired(&acting)).accounts_of_others),
        ["far@third-prod.iam.gserviceaccount.com"]
    );
    let on_project = SPEC.replace(
        "{ role: roles/pubsub.publisher, resource: topic/orders }",
        "roles/viewer",
    );
    assert_eq!(
        texts(&ReadSet::of(&desired(&on_project)).ancestors_of),
        ["acme-prod"]
    );
    let conditional = SPEC.replace(
        "resource: topic/orders }",
        "resource: bucket/other, condition: { title: t, expression: \"true\" } }",
    );
    assert_eq!(
        texts(&ReadSet::of(&desired(&conditional)).buckets),
        ["acme-receipts", "other"]
    );
    let plain = SPEC.replace("topic/orders", "bucket/other");
    assert_eq!(
        texts(&ReadSet::of(&desired(&plain)).buckets),
        ["acme-receipts"]
    );
    let mut wanted = desired(SPEC);
    wanted.succeed(&desired(&billing()));
    let with_former = ReadSet::of(&wanted);
    assert!(texts(&with_former.policies).contains(&"topic/acme-prod/audit".to_owned()));
    let others = SPEC.replace(
        "location: europe-west1",
        "location: europe-west1, manage: false, project: other-prod",
    );
    assert!(
        !texts(&ReadSet::of(&desired(&others)).policies).contains(&"project/other-prod".to_owned()),
        "nothing of it is asked for"
    );
}

fn part(
    of: fn(&wi_core::desired::Desired, &Plan) -> Part,
    world: &Value,
    targets: &[&str],
) -> Part {
    let spec = billing();
    let mut plan = plan(&spec, world.clone());
    let targets: Vec<String> = targets.iter().map(|t| (*t).to_owned()).collect();
    assert!(
        restrict_to(&mut plan, &live(world), &targets).is_empty(),
        "{:?}",
        changes(&plan)
    );
    of(&desired(&spec), &plan)
}

/// Both clusters are there; nothing else of the spec is done.
fn unsettled() -> Value {
    let far = with(
        cluster("far", json!({})),
        json!({ "workloadIdentityConfig": { "workloadPool": "other-prod.svc.id.goog" } }),
    );
    with(
        bare(),
        json!({
            "clusters": { "far": far },
            "kubernetes": { "far": {} },
            "policies": { "project/other-prod": {}, "topic/acme-prod/audit": {} },
            "numbers": { "other-prod": 43 },
        }),
    )
}

#[test]
fn what_is_read_again_is_what_changes_touch() {
    let read = |targets: &[&str]| part(touched, &unsettled(), targets);
    let account = read(&["gsa.checkout"]);
    assert_eq!(texts(&account.reads.accounts), ["acme-prod"]);
    assert_eq!(texts(&account.reads.policies), ["project/acme-prod"]);
    assert!(account.reads.clusters.is_empty() && account.desired.ksas.is_empty());
    assert_eq!(texts(account.desired.accounts.keys()), ["checkout"]);
    let grant = read(&[DIRECT]);
    assert_eq!(texts(&grant.reads.policies), ["bucket/acme-receipts"]);
    assert!(grant.reads.clusters.is_empty() && grant.reads.accounts.is_empty());
    let namespace = read(&["namespace.far/pay"]);
    assert_eq!(texts(namespace.reads.clusters.keys()), ["far"]);
    assert_eq!(
        texts(namespace.desired.namespaces.keys()),
        ["namespace.far/pay"]
    );
    assert_eq!(
        texts(namespace.desired.ksas.keys()),
        ["ksa.far/pay/audit", "ksa.far/pay/pay"],
        "what is in the namespace"
    );
    assert!(namespace.desired.bindings.is_empty());
    let pool = read(&["binding.checkout"]);
    let on_account = format!("serviceaccount/{CHECKOUT}");
    assert!(
        pool.reads.managed.iter().any(|e| e.as_str() == CHECKOUT)
            && !texts(&pool.reads.policies).contains(&on_account),
        "its policy comes with it"
    );
}

#[test]
fn what_left_the_spec_is_read_again_too() {
    let world = with(
        unsettled(),
        json!({ "accounts": { "acme-prod": { "former": { "description": "[wi:shop]" } } }, "policies": {
        "serviceaccount/former@acme-prod.iam.gserviceaccount.com": { "roles/iam.workloadIdentityUser": [member("shop", "stranger")] },
    } }),
    );
    let of = part(touched, &world, &["gsa.former"]);
    assert_eq!(texts(&of.reads.accounts), ["acme-prod"]);
    assert!(of.reads.managed.is_empty());
    assert!(
        texts(&of.reads.policies)
            .contains(&"serviceaccount/former@acme-prod.iam.gserviceaccount.com".to_owned())
    );
}

#[test]
fn all_identities_of_a_cluster_are_read_where_a_node_pool_moves() {
    let world = with(
        unsettled(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } },
            "kubernetes": { "main": { "Node": { "n1": node("p1") } } },
        }),
    );
    let of = part(touched, &world, &["nodepool.main/p1"]);
    assert_eq!(texts(of.reads.clusters.keys()), ["main"]);
    assert_eq!(
        texts(of.desired.ksas.keys()),
        ["ksa.main/shop/checkout", "ksa.main/shop/worker"]
    );
    assert_eq!(texts(of.desired.accounts.keys()), ["checkout"]);
    assert_eq!(texts(of.desired.pools.keys()), [POOL]);
    let settings = with(
        world,
        json!({ "clusters": { "main": { "resourceLabels": { "wi-restore-p1": "surge-2-0" }, "nodePools": { "p1": pool("GKE_METADATA") } } } }),
    );
    let mut restored = plan(&billing(), settings);
    restored
        .changes
        .retain(|address, _| address.starts_with("nodepool."));
    let of = touched(&desired(&billing()), &restored);
    assert_eq!(
        (restored.changes.len(), texts(of.reads.clusters.keys())),
        (1, vec!["main".to_owned()])
    );
    assert!(of.desired.ksas.is_empty(), "no pod is touched");
}

#[test]
fn verifying_reads_the_whole_chain_of_the_clusters() {
    let of = part(with_chains, &unsettled(), &["namespace.far"]);
    assert_eq!(
        texts(of.desired.ksas.keys()),
        ["ksa.far/pay/audit", "ksa.far/pay/pay"]
    );
    assert_eq!(texts(of.desired.accounts.keys()), ["billing"]);
    let grants: Vec<String> = of
        .desired
        .bindings
        .keys()
        .map(|k| of.desired.binding_address(k).to_string())
        .collect();
    assert_eq!(grants.len(), 3, "{grants:?}");
    assert_eq!(texts(&of.reads.numbers), ["other-prod"]);
}

#[test]
fn verifying_a_direct_grant_reads_the_number_that_it_is_written_with() {
    // All of its clusters are as they are to be, so that none of them is changed with it.
    let of = part(with_chains, &unsettled(), &["grant.other-prod/pay/audit"]);
    assert!(of.reads.clusters.is_empty());
    assert_eq!(texts(&of.reads.numbers), ["other-prod"]);
    assert_eq!(of.desired.bindings.len(), 1);
}

#[test]
fn file_keeps_what_verifying_its_waves_takes() {
    let kept = |spec: &str| {
        let (desired, live) = (desired(spec), live(&unsettled()));
        let mut plan = wi_core::plan::plan(&desired, &live, &options());
        plan.changes
            .retain(|address, _| &**address == "namespace.far/pay");
        let file = wi_core::plan::saved::PlanFile::new(&plan, &desired, &live, &options());
        file.desired.bindings.len()
    };
    let waves = billing().replace(
        "googleServiceAccounts:",
        "rollout: { waves: [{ name: all, clusters: [main, far] }] }\ngoogleServiceAccounts:",
    );
    assert_eq!((kept(&billing()), kept(&waves)), (0, 3));
}

#[test]
fn accounts_of_pods_whose_node_pool_moves_are_read_again() {
    let world = with(
        settled(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } },
            "kubernetes": { "main": { "Node": { "n1": node("p1") } } },
        }),
    );
    let of = touched(&desired(SPEC), &plan(SPEC, world.clone()));
    assert_eq!(texts(&of.reads.managed), [CHECKOUT]);
    assert_eq!(texts(&of.reads.accounts), ["acme-prod"]);
    let other = SPEC.replace(
        "checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }",
        &format!("checkout: {{ email: {CHECKOUT} }}"),
    );
    let of = touched(
        &desired(&other),
        &plan(
            &other,
            with(
                world,
                json!({ "accounts": { "acme-prod": { "checkout": { "description": "by hand" } } } }),
            ),
        ),
    );
    assert_eq!(texts(&of.reads.accounts_of_others), [CHECKOUT]);
    assert!(
        of.reads.accounts.is_empty(),
        "no list of another's project is asked for"
    );
}

#[test]
fn policies_and_accounts_of_a_former_spec_are_read() {
    let mut wanted = desired(SPEC);
    wanted.succeed(&desired(&SPEC.replace(
        "checkout: { grants",
        "checkout: { project: old-prod, grants",
    )));
    let set = ReadSet::of(&wanted);
    assert_eq!(texts(&set.accounts), ["acme-prod", "old-prod"]);
    assert!(texts(&set.policies).contains(&"project/old-prod".to_owned()));
}
