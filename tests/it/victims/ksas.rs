//! What the metadata server gives a Kubernetes service account that the spec does not know.

use serde_json::{Value, json};

use super::{SPEC, assert_fate, fates, moves, plan, pod, world};

const POOL: &str =
    "projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog";

fn set(rest: &str) -> String {
    format!("principalSet://iam.googleapis.com/{POOL}/{rest}")
}

fn until(time: &str) -> Value {
    json!({"title": "until", "expression": format!("request.time < timestamp(\"{time}\")")})
}

fn only_if(expression: &str) -> Value {
    json!({"title": "if", "expression": expression})
}

/// Name, annotation, and what it is to become.
type Case = (
    &'static str,
    Option<&'static str>,
    (&'static str, &'static str),
);

const CASES: [Case; 21] = [
    (
        "bound",
        Some("theirs@acme-prod.iam.gserviceaccount.com"),
        ("gets", "theirs@acme-prod"),
    ),
    (
        "unbound",
        Some("theirs@acme-prod.iam.gserviceaccount.com"),
        ("loses", "nothing lets it act as"),
    ),
    (
        "bound-once",
        Some("theirs@acme-prod.iam.gserviceaccount.com"),
        ("loses", "no longer holds"),
    ),
    (
        "bound-still",
        Some("theirs@acme-prod.iam.gserviceaccount.com"),
        ("gets", "theirs@acme-prod"),
    ),
    (
        "bound-perhaps",
        Some("theirs@acme-prod.iam.gserviceaccount.com"),
        ("loses", "only under a condition"),
    ),
    (
        "by-set",
        Some("shared@other-prod.iam.gserviceaccount.com"),
        ("gets", "shared@other-prod"),
    ),
    (
        "disabled",
        Some("off@other-prod.iam.gserviceaccount.com"),
        ("loses", "which is disabled"),
    ),
    (
        "disabled-here",
        Some("off@acme-prod.iam.gserviceaccount.com"),
        ("loses", "which is disabled"),
    ),
    (
        "missing",
        Some("ghost@other-prod.iam.gserviceaccount.com"),
        ("loses", "which does not exist"),
    ),
    (
        "nonsense",
        Some("not an account"),
        ("loses", "which is no account"),
    ),
    ("empty", Some(""), ("gets", "acme-prod/legacy/empty")),
    ("direct", None, ("gets", "acme-prod/legacy/direct")),
    ("direct-ended", None, ("loses", "no longer hold")),
    ("direct-never", None, ("loses", "no longer hold")),
    ("direct-perhaps", None, ("loses", "cannot be told here")),
    (
        "direct-twice",
        None,
        ("gets", "acme-prod/legacy/direct-twice"),
    ),
    ("by-uid", None, ("gets", "acme-prod/legacy/by-uid")),
    ("by-uid-of-another", None, ("loses", "")),
    ("wrong-number", None, ("loses", "")),
    ("bare", None, ("loses", "")),
    ("not-there", None, ("loses", "")),
];

fn policy() -> Value {
    let member = |name: &str| format!("serviceAccount:acme-prod.svc.id.goog[legacy/{name}]");
    let past = until("2020-01-01T00:00:00Z");
    let bucket = only_if("resource.name.startsWith('projects/_/buckets/x')");
    json!({"bindings": [
        {"role": "roles/editor", "members": ["serviceAccount:nodes@acme-prod.iam.gserviceaccount.com"]},
        {"role": "roles/logging.logWriter", "members": [
            member("direct"), member("empty"), set("kubernetes.serviceaccount.uid/uid-1"),
            set("namespace/other"), "principalSet://iam.googleapis.com/projects/99/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/legacy",
            set("kubernetes.cluster/https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters/other"),
        ]},
        {"role": "roles/pubsub.publisher", "members": [member("direct-ended"), member("direct-twice")], "condition": past},
        {"role": "roles/pubsub.viewer", "members": [member("direct-never")], "condition": only_if("false")},
        {"role": "roles/storage.objectViewer", "members": [member("direct-perhaps")], "condition": bucket},
        {"role": "roles/pubsub.viewer", "members": [member("direct-twice")], "condition": until("2999-01-01T00:00:00Z")},
    ]})
}

fn accounts() -> (Value, Value) {
    let member = |name: &str| format!("serviceAccount:acme-prod.svc.id.goog[legacy/{name}]");
    let user =
        |members: Value| json!({"role": "roles/iam.workloadIdentityUser", "members": members});
    let mut once = user(json!([member("bound-once")]));
    once["condition"] = until("2020-01-01T00:00:00Z");
    let mut still = user(json!([member("bound-still")]));
    still["condition"] = until("2999-01-01T00:00:00Z");
    let mut perhaps = user(json!([member("bound-perhaps")]));
    perhaps["condition"] = only_if("request.time.getHours() < 18");
    let off = json!({"disabled": true, "policy": {"bindings": [user(json!([member("disabled"), member("disabled-here")]))]}});
    let ours = json!({
        "nodes": {},
        "off": off,
        "theirs": {"policy": {"bindings": [user(json!([member("bound")])), once, still, perhaps]}},
    });
    let others = json!({
        "off": off,
        "shared": {"policy": {"bindings": [user(json!([set("namespace/legacy")]))]}},
    });
    (ours, others)
}

fn legacy() -> Value {
    let mut accounts = json!({});
    let mut pods = Vec::new();
    for (name, annotation, _) in CASES {
        let mut account = json!({});
        if let Some(annotation) = annotation {
            account["annotations"] = json!({"iam.gke.io/gcp-service-account": annotation});
        }
        match name {
            "by-uid" => account["uid"] = json!("uid-1"),
            "by-uid-of-another" => account["uid"] = json!("uid-2"),
            _ => {}
        }
        if name != "not-there" {
            accounts[name] = account;
        }
        pods.push(pod(
            name,
            "legacy",
            name,
            &json!({"containers": [{"name": "main"}]}),
        ));
    }
    let mut world =
        world(&json!({"namespaces": {"legacy": {"serviceAccounts": accounts}}, "pods": pods}));
    let (ours, others) = self::accounts();
    world["projects"]["acme-prod"]["policy"] = policy();
    world["projects"]["acme-prod"]["serviceAccounts"] = ours;
    world["projects"]["other-prod"] = json!({"number": 77, "serviceAccounts": others});
    world
}

#[test]
fn an_identity_counts_only_where_a_token_and_a_role_come_of_it() {
    let fates = fates(&plan(SPEC, &legacy(), &[]), "p");
    for (name, _, (fate, words)) in CASES {
        assert_fate(&fates, &format!("legacy/StatefulSet/{name}"), fate, words);
    }
}

#[test]
fn sets_of_a_pool_give_an_identity_to_whoever_is_in_them() {
    let cluster =
        "https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters";
    for (member, is_in) in [
        (set("*"), true),
        (set("namespace/web"), true),
        (set("namespace/we"), false),
        (set(&format!("kubernetes.cluster/{cluster}/main")), true),
        (set(&format!("kubernetes.cluster/{cluster}/main2")), false),
        (format!("principal://iam.googleapis.com/{POOL}/kubernetes.serviceaccount.uid/u-1"), true),
        (format!("principal://iam.googleapis.com/{POOL}/namespace/web"), false),
        ("principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount".to_owned(), false),
    ] {
        let mut world = world(&json!({
            "namespaces": {"web": {"serviceAccounts": {"web": {"uid": "u-1"}}}},
            "pods": [pod("web", "web", "web", &json!({"containers": [{"name": "main"}]}))],
        }));
        let bindings = &mut world["projects"]["acme-prod"]["policy"]["bindings"];
        let binding = json!({"role": "roles/logging.logWriter", "members": [member]});
        bindings.as_array_mut().expect("bindings").push(binding);
        let plan = plan(SPEC, &world, &[]);
        assert_eq!(moves(&plan, "p"), is_in, "{member}");
        let (fate, words) = if is_in { ("gets", "acme-prod/web/web") } else { ("loses", "") };
        assert_fate(&fates(&plan, "p"), "web/StatefulSet/web", fate, words);
    }
}

const BILLING: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts: { billing: { email: billing@other-prod.iam.gserviceaccount.com } }
namespaces: { shop: { serviceAccounts: { pay: { impersonates: billing } } } }
";

fn billing(account: &Value, before: Option<&str>) -> Value {
    let annotations = match before {
        Some(before) => json!({"iam.gke.io/gcp-service-account": before}),
        None => json!({}),
    };
    let mut world = world(&json!({
        "namespaces": {"shop": {"serviceAccounts": {"pay": {"annotations": annotations}}}},
        "pods": [pod("pay", "shop", "pay", &json!({"containers": [{"name": "main"}]}))],
    }));
    world["projects"]["other-prod"] =
        json!({"number": 77, "serviceAccounts": {"billing": account}});
    world
}

#[test]
fn a_disabled_account_of_others_is_told_and_is_no_identity() {
    let off = plan(BILLING, &billing(&json!({"disabled": true}), None), &[]);
    let warnings = off["wi"]["warnings"].to_string();
    assert!(
        warnings.contains("billing@other-prod.iam.gserviceaccount.com is disabled"),
        "{warnings}"
    );
    assert!(
        warnings.contains("gcloud iam service-accounts enable"),
        "{warnings}"
    );
    assert_fate(
        &fates(&off, "p"),
        "shop/StatefulSet/pay",
        "loses",
        "which is disabled",
    );
    assert!(!moves(&off, "p"));

    let on = plan(BILLING, &billing(&json!({}), None), &[]);
    assert_eq!(on["wi"]["warnings"], json!([]));
    assert!(moves(&on, "p"));
}

#[test]
fn a_service_account_is_not_taken_from_an_account_that_works_to_a_disabled_one() {
    let old = Some("old@other-prod.iam.gserviceaccount.com");
    let world = billing(&json!({"disabled": true}), old);
    let plan = plan(BILLING, &world, &["--force-conflicts"]);
    let errors = plan["wi"]["errors"].to_string();
    assert!(
        errors.contains("would lose the identity that they have"),
        "{errors}"
    );
    let changes = plan["resource_changes"].to_string();
    assert!(!changes.contains("ksa.main/shop/pay"), "{changes}");
}

/// Whether an account is enabled, and who may act as it: what is refused makes nobody safe.
#[test]
fn an_account_that_cannot_be_read_is_no_identity() {
    let mut world = billing(&json!({}), None);
    world["faults"] = json!([{"match": "GET .*/serviceAccounts/billing@other-prod.iam.gserviceaccount.com$", "denied": true}]);
    let plan = plan(BILLING, &world, &[]);
    assert_fate(
        &fates(&plan, "p"),
        "shop/StatefulSet/pay",
        "loses",
        "could not be read",
    );
    assert!(
        plan["wi"]["warnings"]
            .to_string()
            .contains("whether billing@other-prod")
    );
    assert!(!moves(&plan, "p"));
}
