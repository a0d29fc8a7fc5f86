//! Reads and writes one by one.

use serde_json::{Value, json};
use wi_client::kubernetes::Kube;

use super::real::{Real, call};
use super::{ANNOTATION, account, namespace};

#[test]
fn every_call() {
    let Some(real) = Real::new("calls") else {
        return;
    };
    real.runtime.block_on(async {
        let (kube, name) = (real.kube(), real.name.as_str());
        reviews(&kube).await;
        namespaces(&kube, name).await;
        accounts(&kube, &real).await;
        locks(&kube, &real).await;
        refusals(&kube, &real).await;
        kube.list_nodes().await.expect("nodes");
        kube.list_pods().await.expect("pods");
        kube.list_pods_of(name).await.expect("pods of a namespace");
        budgets(&kube, &real).await;
    });
}

async fn reviews(kube: &Kube) {
    for (verb, group, resource) in [
        ("list", "", "pods"),
        ("patch", "", "serviceaccounts"),
        ("list", "policy", "poddisruptionbudgets"),
    ] {
        let may = kube.may(verb, group, resource, "").await.expect("asked");
        assert!(may, "{verb} {resource}");
    }
}

async fn namespaces(kube: &Kube, name: &str) {
    let missing = kube.get_namespace(name).await;
    assert!(missing.is_err_and(|e| e.is_not_found()));
    let object = namespace(name);
    let (made, is_new) = kube.apply_namespace(&object, false).await.expect("made");
    assert!(is_new);
    let (again, is_new) = kube.apply_namespace(&object, false).await.expect("again");
    assert!(!is_new);
    assert_eq!(
        (&made.uid, &made.resource_version),
        (&again.uid, &again.resource_version)
    );
    assert_eq!(kube.get_namespace(name).await.expect("there").uid, made.uid);
    let namespaces = kube.list_namespaces().await.expect("listed");
    let ours = namespaces.iter().find(|n| n.name == name).expect("listed");
    assert!(ours.labels.len() >= 2, "{ours:?}");
}

async fn accounts(kube: &Kube, real: &Real) {
    let name = real.name.as_str();
    // Created by server-side apply, fields owned by us alone.
    let with = |email: &str| account(name, "app", Some(email));
    let ksa = apply_account(kube, &with("a@p.iam.gserviceaccount.com"), false)
        .await
        .expect("made");
    let owns = |m: &wi_core::wire::kubernetes::ManagedFields| {
        m.manager == "wi" && m.owns_annotation(ANNOTATION)
    };
    assert!(ksa.managed_fields.iter().any(owns));
    // What is there already changes nothing.
    let again = apply_account(kube, &with("a@p.iam.gserviceaccount.com"), false)
        .await
        .expect("again");
    assert_eq!(ksa.resource_version, again.resource_version);

    // Somebody else's annotation is a conflict that names them, until it is forced.
    let path =
        format!("/api/v1/namespaces/{name}/serviceaccounts/app?fieldManager=kubectl-annotate");
    let patch = json!({"metadata": {"annotations": {ANNOTATION: "b@p.iam.gserviceaccount.com"}}});
    let (status, _) = call(
        &real.other,
        "PATCH",
        &path,
        "application/merge-patch+json",
        patch,
    )
    .await;
    assert_eq!(status, 200);
    let wanted = with("c@p.iam.gserviceaccount.com");
    let conflict = apply_account(kube, &wanted, false).await;
    let conflict = conflict.expect_err("a conflict");
    assert!(conflict.is_conflict(), "{conflict}");
    let [cause] = &conflict.causes[..] else {
        panic!("{conflict:?}");
    };
    assert_eq!(cause.reason, "FieldManagerConflict");
    assert!(cause.message.contains("kubectl-annotate"), "{cause:?}");
    let field = format!(".metadata.annotations.{ANNOTATION}");
    assert_eq!(cause.field, field);
    let forced = apply_account(kube, &wanted, true).await;
    let forced = forced.expect("forced");
    assert_eq!(
        forced.annotations[ANNOTATION],
        "c@p.iam.gserviceaccount.com"
    );

    // What is no longer applied is gone.
    let bare = account(name, "app", None);
    let bare = apply_account(kube, &bare, false).await;
    assert!(bare.expect("applied").annotations.is_empty());
}

/// Nothing is written or deleted in another version than the one that was seen.
async fn locks(kube: &Kube, real: &Real) {
    let name = real.name.as_str();
    let first = apply_account(
        kube,
        &account(name, "locked", Some("a@p.iam.gserviceaccount.com")),
        false,
    )
    .await
    .expect("made");
    let second = apply_account(
        kube,
        &account(name, "locked", Some("b@p.iam.gserviceaccount.com")),
        false,
    )
    .await
    .expect("changed");
    let removal = |version: &str| json!({"metadata": {"resourceVersion": version, "annotations": {ANNOTATION: null}}});
    let stale = removal(&first.resource_version);
    let refused = kube.patch_service_account(name, "locked", &stale).await;
    assert!(refused.is_err_and(|e| e.is_conflict()));
    let mut applied = account(name, "locked", Some("c@p.iam.gserviceaccount.com"));
    applied["metadata"]["uid"] = json!(first.uid);
    applied["metadata"]["resourceVersion"] = json!(first.resource_version);
    let refused = apply_account(kube, &applied, false).await;
    assert!(refused.is_err_and(|e| e.is_conflict()));
    let fresh = removal(&second.resource_version);
    let bare = kube.patch_service_account(name, "locked", &fresh).await;
    let bare = bare.expect("patched");
    assert!(!bare.annotations.contains_key(ANNOTATION));

    let refused = kube.delete_service_account(&second).await;
    assert!(refused.is_err_and(|e| e.is_conflict()));
    let mut another = bare.clone();
    another.uid = "00000000-0000-0000-0000-000000000000".to_owned();
    let refused = kube.delete_service_account(&another).await;
    assert!(refused.is_err_and(|e| e.is_conflict()));
    kube.delete_service_account(&bare).await.expect("deleted");
    let gone = kube.get_service_account(name, "locked").await;
    assert!(gone.is_err_and(|e| e.is_not_found()));
    let gone = kube.delete_service_account(&bare).await;
    assert!(gone.is_err_and(|e| e.is_not_found()));
    // Made anew by others meanwhile, it is another one: neither changed nor made once more.
    let refused = apply_account(kube, &applied, false).await;
    assert!(refused.is_err_and(|e| e.is_conflict()));
}

async fn refusals(kube: &Kube, real: &Real) {
    let name = real.name.as_str();
    let mut odd = account(name, "odd", None);
    odd["odd"] = json!({});
    // Not by `wi` itself, which tries again what a server calls its own error.
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts/odd?fieldManager=wi");
    let apply = "application/apply-patch+yaml";
    let (status, body) = call(&real.other, "PATCH", &path, apply, odd).await;
    let message = body["message"].as_str().unwrap_or_default();
    assert!(
        status == 500 && message.ends_with(".odd: field not declared in schema"),
        "{body}"
    );
    let lost = apply_account(kube, &account("wi-test-not-there", "x", None), false).await;
    assert!(lost.is_err_and(|e| e.is_not_found()));
    let misnamed = apply_account(kube, &account(name, "Not_A_Name", None), false).await;
    assert!(misnamed.is_err_and(|e| e.code == 422 && e.status == "Invalid"));
}

async fn budgets(kube: &Kube, real: &Real) {
    let path = format!(
        "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
        real.name
    );
    let budget = json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "web" },
        "spec": { "minAvailable": "50%", "selector": { "matchLabels": { "app": "web" } } } });
    assert_eq!(real.call("POST", &path, budget).await.0, 201);
    let all = kube.list_budgets().await.expect("budgets");
    let ours = all
        .iter()
        .find(|b| b.metadata.namespace == real.name)
        .expect("ours");
    assert_eq!(ours.asks_for(), "minAvailable: 50%");
    let labels = [("app".to_owned(), "web".to_owned())].into();
    let selector = ours.spec.selector.as_ref().expect("a selector");
    assert!(selector.selects(&labels) && ours.spec.max_unavailable.is_none());
}

/// What a test makes is taken away when it fails, too.
#[test]
fn a_test_that_fails_cleans_up() {
    let Some(watcher) = Real::new("watcher") else {
        return;
    };
    let name = std::sync::Mutex::new(String::new());
    let failed = std::panic::catch_unwind(|| {
        let real = Real::new("fails").expect("as above");
        real.runtime.block_on(async {
            real.make_namespace().await;
            let path = format!("/api/v1/namespaces/{}", real.name);
            assert_eq!(real.call("GET", &path, Value::Null).await.0, 200);
            name.lock().expect("a name").clone_from(&real.name);
            panic!("as an assertion would: this is meant to be");
        });
    });
    assert!(failed.is_err());
    let path = format!("/api/v1/namespaces/{}", name.lock().expect("a name"));
    let (status, left) = watcher
        .runtime
        .block_on(watcher.call("GET", &path, Value::Null));
    let ends = left["metadata"]["deletionTimestamp"].is_string();
    assert!(status == 404 || ends, "{status} {left}");
}

/// The object as it is afterwards.
async fn apply_account(
    kube: &Kube,
    object: &Value,
    force: bool,
) -> Result<wi_core::wire::kubernetes::ObjectMeta, wi_client::http::ApiError> {
    let (object, _is_new) = kube.apply_service_account(object, force).await?;
    Ok(object)
}
