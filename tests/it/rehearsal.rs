//! Dry runs: what the API servers would refuse is told before the first write of anything.

use serde_json::Value;

use crate::support::Place;
use crate::support::served::Served;

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts: { checkout: { grants: [roles/cloudsql.client] } }
namespaces: { shop: { serviceAccounts: { checkout: { impersonates: checkout }, cart: {} } } }
";

/// A world whose only cluster has the namespace `shop`, unless `cluster` has others.
fn world(cluster: &str) -> String {
    let namespaces = match cluster.contains("namespaces:") {
        true => "",
        false => "namespaces: { shop: {} }, ",
    };
    format!(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: {{ acme-prod: {{}} }}\nclusters:\n  - {{ project: acme-prod, location: europe-west1, name: main, {namespaces}nodePools: [{{ name: p1, nodes: 1, workloadMetadata: GCE_METADATA }}], {cluster} }}\n"
    )
}

fn webhook(what: &str) -> String {
    format!("webhooks: [{{ name: policy.example.com, resources: [serviceaccounts], {what} }}]")
}

const DENY: &str = "deny: not by this pipeline";

/// Calls that changed something, dry runs not counted: the sandbox keeps nothing of them.
#[track_caller]
fn nothing_is_written(served: &Served) {
    let google = served.writes();
    assert!(google.is_empty(), "{google:?}");
    let world = serde_json::to_value(served.sandbox.snapshot()).expect("JSON");
    let cluster = &world["clusters"][0];
    assert_eq!(cluster["workloadPool"], Value::Null, "{cluster}");
    let accounts = &cluster["namespaces"]["shop"]["serviceAccounts"];
    assert!(
        accounts["checkout"].is_null() && accounts["cart"].is_null(),
        "{accounts}"
    );
}

#[test]
fn what_a_server_would_refuse_stops_the_apply_before_anything_is_written() {
    let rewrites = "rewrite: { metadata: { annotations: { wi/owner: somebody } } }";
    for (cluster, said) in [
        (
            webhook(DENY),
            "admission webhook \"policy.example.com\" denied the request: not by this pipeline",
        ),
        (
            webhook(rewrites),
            "the annotation wi/owner is `somebody`, not `shop`: an admission webhook changes it",
        ),
        (
            "namespaces: { shop: { quota: { count/serviceaccounts: 1 } } }".to_owned(),
            "exceeded quota: objects, requested: count/serviceaccounts=1",
        ),
    ] {
        let served = Served::of(Place::new(SPEC, &world(&cluster)));
        let ran = served.wi(&["apply", "wi.yaml", "--auto-approve"]).fails();
        ran.says(&[
            "nothing was written: in a dry run the servers refuse",
            said,
            "ksa.main/shop/checkout (wi.yaml:",
        ]);
        nothing_is_written(&served);
        // A saved plan is no way round it.
        served.wi(&["plan", "wi.yaml", "--out", "p.plan"]).ok();
        let ran = served.wi(&["apply", "p.plan"]).fails();
        ran.says(&["nothing was written", said]);
        nothing_is_written(&served);
    }
}

/// A field that the plan could not see is somebody's: it is set after the plan.
#[test]
fn a_deletion_that_would_be_refused_takes_nothing_away() {
    let served = Served::of(Place::new(
        SPEC,
        &world(&webhook(
            "operations: [DELETE], deny: kept for the auditors",
        )),
    ));
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let before = served.writes().len();
    let without = SPEC
        .replace("checkout: { impersonates: checkout }, ", "")
        .replace(
            "googleServiceAccounts: { checkout: { grants: [roles/cloudsql.client] } }\n",
            "",
        );
    served.place.write("wi.yaml", &without);
    let apply = ["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"];
    let ran = served.wi(&apply).fails();
    ran.says(&["nothing was written", "kept for the auditors"]);
    assert_eq!(served.writes().len(), before, "something was written");
}

#[test]
fn a_webhook_that_takes_no_dry_runs_is_met_by_the_write() {
    let takes_none = Served::of(Place::new(SPEC, &world(&webhook("sideEffects: true"))));
    takes_none.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();

    let denies = Served::of(Place::new(
        SPEC,
        &world(&webhook(&format!("sideEffects: true, {DENY}"))),
    ));
    let ran = denies.wi(&["apply", "wi.yaml", "--auto-approve"]).fails();
    ran.says(&["Apply incomplete.", "not by this pipeline"]);
}

/// What is not there yet cannot be written into, dry or not.
#[test]
fn what_is_to_be_in_a_namespace_that_the_plan_makes_is_not_asked() {
    let served = Served::of(Place::new(SPEC, &world("namespaces: {}")));
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let calls = served.calls();
    let of = |path: &str| {
        calls[&format!("PATCH /kubernetes/acme-prod/europe-west1/main/api/v1/namespaces/{path}")]
            .as_u64()
    };
    assert_eq!(of("shop"), Some(2), "a dry run and the write");
    assert_eq!(of("shop/serviceaccounts/checkout"), Some(1));

    let refused = Served::of(Place::new(
        SPEC,
        &world(&format!(
            "namespaces: {{}}, {}",
            "webhooks: [{ name: policy.example.com, resources: [namespaces], deny: ask the platform team }]"
        )),
    ));
    let ran = refused.wi(&["apply", "wi.yaml", "--auto-approve"]).fails();
    ran.says(&["nothing was written", "ask the platform team"]);
    assert!(refused.writes().is_empty());
}

#[test]
fn each_planned_write_is_asked_once() {
    let served = Served::of(Place::new(SPEC, &world("")));
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let calls = served.calls();
    for name in ["checkout", "cart"] {
        let path = format!(
            "/kubernetes/acme-prod/europe-west1/main/api/v1/namespaces/shop/serviceaccounts/{name}"
        );
        assert_eq!(
            calls[&format!("PATCH {path}")],
            2,
            "a dry run and the write"
        );
        assert_eq!(
            calls[&format!("GET {path}")],
            1,
            "before the write, not before the dry run"
        );
    }
}

/// What is tried one after another for one object is judged as a whole.
#[test]
fn releases_are_no_refusals_whoever_owns_what_goes() {
    let account = "checkout@acme-prod.iam.gserviceaccount.com";
    let by_others = format!(
        "namespaces: {{ shop: {{ serviceAccounts: {{ checkout: {{ annotations: {{ iam.gke.io/gcp-service-account: {account} }} }} }} }} }}"
    );
    for cluster in [by_others.as_str(), ""] {
        let served = Served::of(Place::new(SPEC, &world(cluster)));
        served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
        // Direct grants: the annotation goes, whoever owns it. Then nothing of the spec is left.
        let direct = SPEC.replace(
            "{ impersonates: checkout }",
            "{ grants: [roles/cloudsql.client] }",
        );
        let apply = [
            "apply",
            "wi.yaml",
            "--auto-approve",
            "--allow-mass-removal",
            "--force-conflicts",
        ];
        served.place.write("wi.yaml", &direct);
        served.wi(&apply).ok();
        let left = SPEC.replace("checkout: { impersonates: checkout }, ", "");
        served.place.write("wi.yaml", &left);
        served.wi(&apply).ok();
    }
}

/// Whoever says that a cluster may fail means it.
#[test]
fn a_rollout_goes_on_where_it_bears_as_many_failures() {
    for (bears, complete) in [(1, true), (0, false)] {
        let spec = SPEC.replace(
            "clusters: { main: { location: europe-west1 } }",
            "clusters: { main: { location: europe-west1 }, more: { location: europe-west1 } }",
        ) + &format!(
            "rollout: {{ maxFailures: {bears}, waves: [{{ name: all, clusters: [main, more] }}] }}\n"
        );
        let world = world(&webhook(DENY))
            + "  - { project: acme-prod, location: europe-west1, name: more, workloadPool: acme-prod.svc.id.goog, namespaces: { shop: {} } }\n";
        let served = Served::of(Place::new(&spec, &world));
        let ran = served.wi(&["apply", "wi.yaml", "--auto-approve"]).fails();
        ran.says(&["not by this pipeline"]);
        let world = serde_json::to_value(served.sandbox.snapshot()).expect("JSON");
        let made = &world["clusters"][1]["namespaces"]["shop"]["serviceAccounts"]["checkout"];
        assert_eq!(made.is_object(), complete, "{}\n{}", ran.out, ran.err);
        assert_eq!(
            ran.err.contains("nothing was written"),
            !complete,
            "{}",
            ran.err
        );
    }
}
