//! What a pod is on a node pool that has moved: the identity that it gets, or brings along.

use serde_json::{Value, json};

use crate::impact::{fates, pods, world};
use crate::support::*;

#[test]
fn pods_that_keep_what_they_have_hold_nothing_back() {
    let key = json!({ "name": "app", "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/key.json" }], "volumeMounts": [{ "name": "keys", "mountPath": "/keys" }] });
    let volumes = json!([{ "name": "keys", "secret": { "secretName": "s" } }]);
    let of = |ksa: &str, spec: Value| {
        fates(&plan(
            SPEC,
            pods(json!({ "shop/a": with(pod(ksa, "n1", "web"), json!({ "spec": spec })) })),
        ))
    };
    assert_eq!(
        of("", json!({ "hostNetwork": true })),
        ["StatefulSet shop/web keeps the host's network"]
    );
    assert_eq!(
        of("", json!({ "containers": [key], "volumes": volumes })),
        ["StatefulSet shop/web keeps a credentials file of its own"]
    );
    let beside = json!({ "containers": [key, { "name": "other" }], "volumes": volumes });
    assert_eq!(
        of("", beside.clone()),
        [
            "StatefulSet shop/web loses: only some of its containers have a credentials file of their own, container other has none"
        ]
    );
    assert_eq!(
        of("worker", beside),
        ["StatefulSet shop/web gets acme-prod/shop/worker"]
    );
    let gsutil = with(key.clone(), json!({ "command": ["sh", "-c", "gsutil ls"] }));
    says(
        &of("", json!({ "containers": [gsutil], "volumes": volumes })),
        &["container app runs gcloud or gsutil, which do not read"],
    );
    let unclear = json!({ "name": "app", "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }] });
    says(
        &of("", json!({ "containers": [unclear] })),
        &["loses: whether container app has a credential of its own is not known"],
    );
    assert_eq!(
        of("worker", json!({ "containers": [unclear] })),
        ["StatefulSet shop/web gets acme-prod/shop/worker"]
    );
    assert_eq!(
        of("", json!({ "containers": [unclear], "hostNetwork": true })),
        ["StatefulSet shop/web keeps the host's network"]
    );
    let init = json!({ "initContainers": [{ "name": "setup" }, { "name": "proxy", "restartPolicy": "Always" }], "containers": [key], "volumes": volumes });
    says(&of("", init), &["init container setup has none"]);
    let sidecar = json!({ "initContainers": [{ "name": "proxy", "restartPolicy": "Always" }], "containers": [key], "volumes": volumes });
    says(&of("", sidecar), &["sidecar proxy has none"]);
    let debug = json!({ "ephemeralContainers": [{ "name": "debug" }], "containers": [key], "volumes": volumes });
    says(&of("", debug), &["ephemeral container debug has none"]);
}

#[test]
fn identity_of_a_pod_is_what_the_metadata_server_will_give() {
    let of = |spec: &str, world: Value| {
        fates(&plan(
            spec,
            with(
                world,
                json!({ "kubernetes": { "main": { "Pod": { "shop/a": pod("checkout", "n1", "web") } } } }),
            ),
        ))
    };
    let base = world(json!({}));
    // The spec will annotate it.
    let bare = with(
        base.clone(),
        json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": ours(None) } } } }),
    );
    assert_eq!(
        of(SPEC, bare.clone()),
        ["StatefulSet shop/web gets checkout@acme-prod.iam.gserviceaccount.com"]
    );
    // Others will not, perhaps: then it is what it is.
    let existing = SPEC.replace(
        "impersonates: checkout",
        "impersonates: checkout, existing: true",
    );
    assert_eq!(of(&existing, bare), ["StatefulSet shop/web loses: "]);
    assert_eq!(
        of(&existing, base.clone()),
        ["StatefulSet shop/web gets checkout@acme-prod.iam.gserviceaccount.com"]
    );
    let without_roles = SPEC.replace("impersonates: checkout", "grants: []");
    assert_eq!(
        of(&without_roles, base.clone()),
        ["StatefulSet shop/web loses: the spec gives its service account no role"]
    );
    let conditional = |expression: &str| {
        SPEC.replace("checkout: { impersonates: checkout }", &format!("checkout: {{ grants: [{{ role: roles/browser, condition: {{ title: t, expression: '{expression}' }} }}] }}"))
    };
    let past = conditional("request.time < timestamp(\"2020-01-01T00:00:00Z\")");
    says(
        &of(&past, base.clone()),
        &["loses: the conditions of all roles of its service account no longer hold"],
    );
    let future = conditional("request.time < timestamp(\"2030-01-01T00:00:00Z\")");
    assert_eq!(
        of(&future, base.clone()),
        ["StatefulSet shop/web gets acme-prod/shop/checkout"]
    );
    let unclear = conditional("request.time.getHours() < 18");
    says(
        &of(&unclear, base.clone()),
        &["loses: all roles of its service account are under conditions"],
    );
    // An account of others, which is disabled or unread.
    let far = "far@other-prod.iam.gserviceaccount.com";
    let others = SPEC
        .replace(
            "googleServiceAccounts:\n",
            &format!("googleServiceAccounts:\n  far: {{ email: {far} }}\n"),
        )
        .replace("impersonates: checkout", "impersonates: far");
    let account = |account: Value| {
        with(
            base.clone(),
            json!({ "others": { far: account }, "policies": { (format!("serviceaccount/{far}")): { "roles/iam.workloadIdentityUser": [member("shop", "checkout")] } } }),
        )
    };
    assert_eq!(
        of(&others, account(json!({}))),
        [format!("StatefulSet shop/web gets {far}")]
    );
    says(
        &of(&others, account(json!({ "disabled": true }))),
        &["loses: its service account acts as", "disabled"],
    );
    says(
        &of(&others, account(json!("403"))),
        &["could not be read: 403"],
    );
    // One of ours that is disabled is enabled by the plan.
    let disabled = with(
        base,
        json!({ "accounts": { "acme-prod": { "checkout": { "disabled": true } } } }),
    );
    assert_eq!(
        of(SPEC, disabled),
        ["StatefulSet shop/web gets checkout@acme-prod.iam.gserviceaccount.com"]
    );
}

#[test]
fn accounts_of_others_that_give_no_token_are_told_and_nobody_switches_to_them() {
    let far = "far@other-prod.iam.gserviceaccount.com";
    let spec = SPEC
        .replace(
            "googleServiceAccounts:\n",
            &format!("googleServiceAccounts:\n  far: {{ email: {far} }}\n"),
        )
        .replace("impersonates: checkout", "impersonates: far");
    let world = |account: Value, now: Option<&str>| {
        with(
            settled(),
            json!({
                "others": { far: account },
                "policies": { (format!("serviceaccount/{far}")): { "roles/iam.workloadIdentityUser": [member("shop", "checkout")] } },
                "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": ours(now) } } },
            }),
        )
    };
    let ksa = "ksa.main/shop/checkout";
    let good = plan(&spec, world(json!({}), Some(CHECKOUT)));
    assert!(
        good.changes.contains_key(ksa) && good.warnings.is_empty(),
        "{:?}",
        good.warnings
    );
    let disabled = plan(&spec, world(json!({ "disabled": true }), Some(CHECKOUT)));
    assert!(!disabled.changes.contains_key(ksa));
    says(
        &disabled.warnings,
        &[
            "far@other-prod.iam.gserviceaccount.com is disabled",
            "--project other-prod",
        ],
    );
    says(
        &errors(&disabled),
        &["ksa.main/shop/checkout: its pods would lose the identity that they have"],
    );
    let first = plan(&spec, world(json!({ "disabled": true }), None));
    assert!(
        first.changes.contains_key(ksa) && first.errors.is_empty(),
        "it loses nothing"
    );
    let unread = plan(&spec, world(json!("403"), Some(CHECKOUT)));
    assert!(unread.changes.contains_key(ksa));
    says(
        &unread.warnings,
        &[
            "whether far@other-prod.iam.gserviceaccount.com is enabled could not be read",
            "403",
        ],
    );
    let unread_and_same = plan(&spec, world(json!("403"), Some(far)));
    assert!(
        unread_and_same.warnings.is_empty(),
        "{:?}",
        unread_and_same.warnings
    );
    let absent = plan(&spec, world(json!("absent"), Some(CHECKOUT)));
    assert!(absent.warnings.is_empty(), "{:?}", absent.warnings);
    // Nobody acts as it.
    let idle = spec.replace("impersonates: far", "impersonates: checkout");
    let plan = plan(
        &idle,
        with(
            world(json!({ "disabled": true }), Some(CHECKOUT)),
            json!({ "policies": { (format!("serviceaccount/{far}")): null } }),
        ),
    );
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn doubt_that_nothing_points_to_is_no_credential() {
    let of = |first: Value| {
        let containers = json!({ "spec": { "containers": [first, { "name": "other" }] } });
        fates(&plan(
            SPEC,
            pods(json!({ "shop/a": with(pod("", "n1", "web"), containers) })),
        ))
    };
    // All of a Secret may be anything.
    let whole = json!({ "name": "app", "envFrom": [{ "secretRef": { "name": "s" } }] });
    assert_eq!(of(whole), ["StatefulSet shop/web loses: "]);
    let named = json!({ "name": "app", "env": [{ "name": "GOOGLE_APPLICATION_CREDENTIALS", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }] });
    assert_eq!(
        of(named),
        [
            "StatefulSet shop/web loses: only some of its containers have a credentials file of their own, container other has none"
        ]
    );
}
