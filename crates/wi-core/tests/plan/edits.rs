//! What an edit says of itself: what is shown, what it takes, what Terraform would call it, what is written.

use serde_json::{Value, json};
use wi_core::plan::{Account, Edit, Options, Permission, Plan};

use crate::support::*;

/// An edit as the views ask for it.
fn told(spec: &str, plan: &Plan, address: &str) -> Value {
    let edit = &plan.changes[address].edit;
    let attributes: Vec<Value> = edit
        .attributes("shop")
        .iter()
        .map(|a| json!([a.name, a.before, a.after]))
        .collect();
    json!({ "verb": edit.verb(), "attributes": attributes, "permissions": permissions(spec, edit) })
}

fn permissions(spec: &str, edit: &Edit) -> Vec<String> {
    let all = edit.permissions(&desired(spec)).into_iter();
    all.map(|p| match p {
        Permission::Google { on, permission } => format!("{permission} on {on}"),
        Permission::Kubernetes {
            cluster,
            namespace,
            verb,
            resource,
        } => format!("{verb} {resource} in {cluster}/{namespace}"),
    })
    .collect()
}

fn terraform(spec: &str, plan: &Plan, address: &str) -> Value {
    let of = plan.changes[address].edit.terraform("shop", &desired(spec));
    json!({ "kind": of.kind, "before": of.before, "after": of.after, "removal": of.removal })
}

fn account(before: Value, spec: &str) -> Plan {
    plan(
        spec,
        with(
            settled(),
            json!({ "accounts": { "acme-prod": { "=checkout": before } } }),
        ),
    )
}

fn edit<'a>(plan: &'a Plan, address: &str) -> &'a Account {
    match &plan.changes[address].edit {
        Edit::Account(account) => account,
        other => panic!("{other:?}"),
    }
}

const GSA_ADDRESS: &str = "gsa.checkout";

#[test]
fn account_that_is_made() {
    let named = SPEC.replace(
        "checkout: { grants",
        "checkout: { displayName: Pays, grants",
    );
    let made = plan(&named, bare());
    assert_eq!(
        told(&named, &made, GSA_ADDRESS),
        json!({
            "verb": "will be created",
            "attributes": [["email", null, CHECKOUT], ["displayName", null, "Pays"], ["description", null, "[wi:shop]"]],
            "permissions": ["iam.serviceAccounts.create on project/acme-prod"],
        })
    );
    assert_eq!(
        terraform(&named, &made, GSA_ADDRESS),
        json!({
            "kind": "google_service_account", "before": null, "removal": null,
            "after": { "project": "acme-prod", "account_id": "checkout", "email": CHECKOUT, "display_name": "Pays", "description": "[wi:shop]" },
        })
    );
    assert_eq!(
        told(SPEC, &plan(SPEC, bare()), GSA_ADDRESS)["attributes"]
            .as_array()
            .map(Vec::len),
        Some(2),
        "nothing is said of what is not set"
    );
    let one = edit(&made, GSA_ADDRESS);
    assert!(one.makes_it() && !one.only_describes() && !one.ends_it());
    let dead = json!({ "roles/viewer": [format!("deleted:serviceAccount:{CHECKOUT}?uid=7")] });
    let back = plan(
        SPEC,
        with(bare(), json!({ "policies": { "project/acme-prod": dead } })),
    );
    assert_eq!(back.changes[GSA_ADDRESS].edit.verb(), "will be undeleted");
    assert_eq!(
        permissions(SPEC, &back.changes[GSA_ADDRESS].edit),
        ["iam.serviceAccounts.undelete on project/acme-prod"]
    );
}

#[test]
fn account_that_is_changed() {
    let enabled = account(
        json!({ "description": "[wi:shop]", "disabled": true }),
        SPEC,
    );
    assert_eq!(
        told(SPEC, &enabled, GSA_ADDRESS),
        json!({
            "verb": "will be updated in-place",
            "attributes": [["disabled", "true", "false"]],
            "permissions": [format!("iam.serviceAccounts.update on serviceaccount/{CHECKOUT}"), format!("iam.serviceAccounts.enable on serviceaccount/{CHECKOUT}")],
        })
    );
    let of = terraform(SPEC, &enabled, GSA_ADDRESS);
    assert_eq!(
        (&of["before"]["disabled"], &of["after"]["disabled"]),
        (&json!(true), &json!(false))
    );
    assert!(
        !edit(&enabled, GSA_ADDRESS).only_describes() && !edit(&enabled, GSA_ADDRESS).makes_it()
    );
    let marked = account(
        json!({ "displayName": "true", "description": "Pays" }),
        &SPEC.replace(
            "checkout: { grants",
            "checkout: { displayName: \"false\", grants",
        ),
    );
    let of = terraform(SPEC, &marked, GSA_ADDRESS);
    assert_eq!(of["after"]["display_name"], json!("false"), "it is a name");
    assert!(edit(&marked, GSA_ADDRESS).only_describes());
    assert_eq!(
        permissions(SPEC, &marked.changes[GSA_ADDRESS].edit),
        [format!(
            "iam.serviceAccounts.update on serviceaccount/{CHECKOUT}"
        )]
    );
    let stays_disabled = plan(
        SPEC,
        with(
            settled(),
            json!({ "accounts": { "acme-prod": { "former": { "description": "[wi:shop keep]", "disabled": true } } } }),
        ),
    );
    let one = &stays_disabled.changes["gsa.former"].edit;
    assert_eq!(permissions(SPEC, one).len(), 1, "it is not enabled");
}

#[test]
fn account_that_ends() {
    let left = |mark: &str| {
        plan(
            SPEC,
            with(
                settled(),
                json!({ "accounts": { "acme-prod": { "former": { "uniqueId": "9", "description": mark } } } }),
            ),
        )
    };
    let email = "former@acme-prod.iam.gserviceaccount.com";
    let disabled = left("Old [wi:shop]");
    assert_eq!(
        told(SPEC, &disabled, "gsa.former"),
        json!({
            "verb": "will be disabled",
            "attributes": [["email", email, email], ["disabled", "false", "true"], ["description", "Old [wi:shop]", "Old [wi:shop released]"]],
            "permissions": [format!("iam.serviceAccounts.disable on serviceaccount/{email}"), format!("iam.serviceAccounts.update on serviceaccount/{email}")],
        })
    );
    let deleted = left("[wi:shop delete]");
    assert_eq!(
        told(SPEC, &deleted, "gsa.former"),
        json!({
            "verb": "will be destroyed",
            "attributes": [["email", email, null]],
            "permissions": [format!("iam.serviceAccounts.delete on serviceaccount/{email}")],
        })
    );
    let removal = |plan: &Plan| terraform(SPEC, plan, "gsa.former")["removal"].clone();
    assert_eq!(
        (removal(&disabled), removal(&deleted)),
        (json!("disable"), json!("delete"))
    );
    assert_eq!(
        terraform(SPEC, &deleted, "gsa.former")["after"],
        Value::Null
    );
    assert!(
        deleted.changes["gsa.former"].edit.rank()
            > plan(SPEC, bare()).changes[GSA_ADDRESS].edit.rank()
    );
}

#[test]
fn member_of_a_binding() {
    let conditional = SPEC.replace(
        "resource: topic/orders }",
        "resource: topic/orders, condition: { title: t, description: why, expression: \"true\" } }",
    );
    let made = plan(&conditional, bare());
    let address = made
        .changes
        .keys()
        .find(|a| a.starts_with("grant.checkout:"))
        .expect("the grant")
        .to_string();
    let member = format!("serviceAccount:{CHECKOUT}");
    assert_eq!(
        told(&conditional, &made, &address),
        json!({
            "verb": "will be created",
            "attributes": [
                ["resource", null, "topic/acme-prod/orders"], ["role", null, "roles/pubsub.publisher"], ["member", null, member],
                ["condition.title", null, "t"], ["condition.description", null, "why"], ["condition.expression", null, "true"],
            ],
            "permissions": ["pubsub.topics.setIamPolicy on topic/acme-prod/orders"],
        })
    );
    let of = terraform(&conditional, &made, &address);
    assert_eq!(
        (&of["kind"], &of["before"]),
        (&json!("google_pubsub_topic_iam_member"), &Value::Null)
    );
    assert_eq!(
        (&of["after"]["role"], &of["after"]["member"]),
        (&json!("roles/pubsub.publisher"), &json!(member))
    );
    assert_eq!(
        of["after"]["condition"],
        json!([{ "title": "t", "description": "why", "expression": "true" }])
    );
    let untold = plan(&conditional.replace("description: why, ", ""), bare());
    let address = untold
        .changes
        .keys()
        .find(|a| a.starts_with("grant.checkout:"))
        .expect("the grant")
        .to_string();
    assert!(
        !told(&conditional, &untold, &address)
            .to_string()
            .contains("condition.description")
    );
    let removed = plan(
        SPEC,
        with(
            settled(),
            json!({ "policies": { "project/acme-prod": { "roles/viewer": [member] } } }),
        ),
    );
    let address = "grant.checkout:roles/viewer@project/acme-prod";
    assert_eq!(
        told(SPEC, &removed, address),
        json!({
            "verb": "will be removed",
            "attributes": [["resource", "project/acme-prod", null], ["role", "roles/viewer", null], ["member", member, null]],
            "permissions": ["resourcemanager.projects.setIamPolicy on project/acme-prod"],
        })
    );
    let of = terraform(SPEC, &removed, address);
    assert_eq!(
        (&of["after"], &of["before"]["member"]),
        (&Value::Null, &json!(member))
    );
    assert!(of["before"].get("condition").is_none());
}

#[test]
fn cluster_and_node_pool() {
    let world = with(
        settled(),
        json!({
            "clusters": { "main": { "workloadIdentityConfig": null, "nodePools": { "p1": pool("GCE_METADATA") } } },
            "kubernetes": { "main": { "Node": { "n1": node("p1") } } },
        }),
    );
    let options = Options {
        upgrade: wi_core::plan::UpgradeOverride {
            max_surge: Some(3),
            ..Default::default()
        },
        ..options()
    };
    let plan_of = plan_with(SPEC, world, &options);
    assert_eq!(
        told(SPEC, &plan_of, "cluster.main"),
        json!({
            "verb": "will be updated in-place",
            "attributes": [["workloadIdentityConfig.workloadPool", null, POOL]],
            "permissions": ["container.clusters.update on project/acme-prod"],
        })
    );
    let of = terraform(SPEC, &plan_of, "cluster.main");
    assert_eq!(of["kind"], json!("google_container_cluster"));
    assert_eq!(
        of["before"],
        json!({ "project": "acme-prod", "location": "europe-west1", "name": "main", "workload_identity_config": [] })
    );
    assert_eq!(
        of["after"]["workload_identity_config"],
        json!([{ "workload_pool": POOL }])
    );
    let p1 = "nodepool.main/p1";
    assert_eq!(
        told(SPEC, &plan_of, p1),
        json!({
            "verb": "will be updated in-place, its nodes recreated",
            "attributes": [
                ["config.workloadMetadataConfig.mode", "GCE_METADATA", "GKE_METADATA"],
                ["upgradeSettings, for this run", "SURGE, maxSurge 1, maxUnavailable 0", "SURGE, maxSurge 3, maxUnavailable 0"],
            ],
            "permissions": ["container.clusters.update on project/acme-prod"],
        })
    );
    let of = terraform(SPEC, &plan_of, p1);
    assert_eq!(
        of["before"]["node_config"],
        json!([{ "workload_metadata_config": [{ "mode": "GCE_METADATA" }] }])
    );
    assert_eq!(
        (&of["after"]["cluster"], &of["after"]["name"]),
        (&json!("main"), &json!("p1"))
    );
    let world = with(
        settled(),
        json!({ "clusters": { "main": { "resourceLabels": { "wi-restore-p1": "blue-green-d-d-d" } } } }),
    );
    let restored = plan(SPEC, world);
    assert_eq!(
        told(SPEC, &restored, p1)["attributes"],
        json!([[
            "upgradeSettings",
            "SURGE, maxSurge 0, maxUnavailable 0",
            "BLUE_GREEN"
        ]])
    );
    assert_eq!(
        terraform(SPEC, &restored, p1)["after"]["upgrade_settings"],
        json!([{ "strategy": "BLUE_GREEN", "max_surge": 0, "max_unavailable": 0 }])
    );
}

#[test]
fn namespace() {
    let made = plan(
        SPEC,
        with(
            bare(),
            json!({ "kubernetes": { "main": { "Namespace": null } } }),
        ),
    );
    let address = "namespace.main/shop";
    assert_eq!(
        told(SPEC, &made, address),
        json!({ "verb": "will be created", "attributes": [], "permissions": ["create namespaces in main/", "patch namespaces in main/"] })
    );
    let metadata = json!([{ "name": "shop", "labels": { "app.kubernetes.io/managed-by": "wi" }, "annotations": { "wi/owner": "shop" } }]);
    assert_eq!(
        terraform(SPEC, &made, address),
        json!({ "kind": "kubernetes_namespace_v1", "before": null, "after": { "metadata": metadata }, "removal": null })
    );
    let left = plan(
        SPEC,
        with(
            settled(),
            json!({ "kubernetes": { "main": { "Namespace": { "former": marked("shop") } } } }),
        ),
    );
    let address = "namespace.main/former";
    assert_eq!(
        told(SPEC, &left, address),
        json!({ "verb": "will be updated in-place", "attributes": [["wi/owner", "shop", null]], "permissions": ["patch namespaces in main/"] })
    );
    assert_eq!(
        terraform(SPEC, &left, address)["after"],
        json!({ "metadata": [{ "name": "former" }] })
    );
    assert_eq!(
        terraform(SPEC, &left, address)["before"]["metadata"][0]["annotations"],
        json!({ "wi/owner": "shop" })
    );
}

#[test]
fn kubernetes_service_account() {
    let address = "ksa.main/shop/checkout";
    let configuration = |plan: &Plan| match &plan.changes[address].edit {
        Edit::Ksa(ksa) => ksa.configuration("shop"),
        other => panic!("{other:?}"),
    };
    let of = |object: Value| {
        plan(
            SPEC,
            with(
                settled(),
                json!({ "kubernetes": { "main": { "ServiceAccount": { "=shop/checkout": object } } } }),
            ),
        )
    };
    let made = of(Value::Null);
    assert_eq!(
        told(SPEC, &made, address),
        json!({
            "verb": "will be created",
            "attributes": [[GSA, null, CHECKOUT], ["wi/owner", null, "shop"]],
            "permissions": ["create serviceaccounts in main/shop", "patch serviceaccounts in main/shop"],
        })
    );
    let mut object = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "checkout", "namespace": "shop", "labels": { "app.kubernetes.io/managed-by": "wi" },
        "annotations": { "wi/owner": "shop", GSA: CHECKOUT },
    } });
    assert_eq!(configuration(&made), Some(object.clone()));
    let mut secret = annotated(None, "x");
    secret["metadata"]["annotations"]["token"] = json!("hunter2");
    let was_there = of(secret);
    object["metadata"]["annotations"]["wi/adopted"] = json!("true");
    assert_eq!(configuration(&was_there), Some(object.clone()));
    assert_eq!(
        terraform(SPEC, &was_there, address)["before"],
        json!({ "metadata": [{ "name": "checkout", "namespace": "shop", "labels": {}, "annotations": {} }] }),
        "others' are nobody's business"
    );
    let mut labelled = annotated(None, "x");
    labelled["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
    object["metadata"]
        .as_object_mut()
        .expect("a map")
        .remove("labels");
    assert_eq!(configuration(&of(labelled)), Some(object));
    assert_eq!(
        told(SPEC, &of(annotated(Some(""), "wi")), address)["attributes"][0],
        json!([GSA, "\"\"", CHECKOUT]),
        "set, to nothing"
    );
    let former = |object: Value| {
        plan(
            SPEC,
            with(
                settled(),
                json!({ "kubernetes": { "main": { "ServiceAccount": { "shop/former": object } } } }),
            ),
        )
    };
    let deleted = former(ours(Some(CHECKOUT)));
    assert_eq!(
        told(SPEC, &deleted, "ksa.main/shop/former"),
        json!({
            "verb": "will be destroyed",
            "attributes": [[GSA, CHECKOUT, null], ["wi/owner", "shop", null]],
            "permissions": ["delete serviceaccounts in main/shop"],
        })
    );
    assert_eq!(
        terraform(SPEC, &deleted, "ksa.main/shop/former")["after"],
        Value::Null
    );
    let released = former(adopted(None, "wi"));
    let Edit::Ksa(ksa) = &released.changes["ksa.main/shop/former"].edit else {
        panic!("a service account")
    };
    assert_eq!(
        ksa.configuration("shop"),
        Some(
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "former", "namespace": "shop" } })
        )
    );
    assert_eq!(
        told(SPEC, &released, "ksa.main/shop/former")["attributes"],
        json!([["wi/owner", "shop", null]])
    );
}
