//! Kubernetes objects as a real API server has them: fields of others, webhooks, what comes and goes meanwhile.

use crate::support::Place;
use crate::support::client::Client;
use crate::support::inside::{Inside, runtime};
use crate::support::served::Served;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wi::apply::Status;
use wi_core::plan::Action;

const GSA: &str = "iam.gke.io/gcp-service-account";
const CHECKOUT: &str = "checkout@acme-prod.iam.gserviceaccount.com";
const ACCOUNTS: &str = "/v1/projects/123456789012/locations/europe-west1/gkeMemberships/main/api/v1/namespaces/shop/serviceaccounts";

fn spec(accounts: &str) -> String {
    format!(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: {{ main: {{ location: europe-west1 }} }}\ngoogleServiceAccounts: {{ checkout: {{ grants: [roles/cloudsql.client] }} }}\nnamespaces: {{ shop: {{ serviceAccounts: {{ {accounts} }} }} }}\n"
    )
}

/// The KSA in the namespace of the world, and more of the cluster.
fn world(accounts: &str, cluster: &str) -> String {
    format!(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: {{ acme-prod: {{ number: 123456789012 }} }}\nclusters:\n  - {{ project: acme-prod, location: europe-west1, name: main, membership: main, workloadPool: acme-prod.svc.id.goog, nodePools: [{{ name: p1, nodes: 1, workloadMetadata: GCE_METADATA }}], namespaces: {{ shop: {{ serviceAccounts: {{ {accounts} }} }} }}, {cluster} }}\n"
    )
}

const IMPERSONATES: &str = "checkout: { impersonates: checkout }";

fn place(accounts: &str, cluster: &str) -> Place {
    Place::new(&spec(IMPERSONATES), &world(accounts, cluster))
}

fn account(state: &Value, name: &str) -> Value {
    state["clusters"][0]["namespaces"]["shop"]["serviceAccounts"][name].clone()
}

#[track_caller]
fn nothing_is_left(place: &Place) {
    let again = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}\n{}", again.out, again.err);
}

/// `kubectl create serviceaccount`, then `kubectl annotate`: nobody is named for the annotation.
#[test]
fn a_field_that_nobody_is_named_for_is_somebodys() {
    let there = format!(
        "checkout: {{ annotations: {{ {GSA}: old@x.iam.gserviceaccount.com }}, managedFields: [] }}"
    );
    for wanted in [
        IMPERSONATES,
        "checkout: { grants: [roles/logging.logWriter] }",
    ] {
        let place = place(&there, "");
        place.write("wi.yaml", &spec(wanted));
        let plan = place.wi(&["plan"]).fails();
        plan.says(&["before-first-apply", "--force-conflicts"]);
        place
            .wi(&["apply", "--auto-approve", "--force-conflicts"])
            .ok();
        let now = account(&place.state(), "checkout")["annotations"][GSA].clone();
        let expected = (wanted == IMPERSONATES).then_some(CHECKOUT);
        assert_eq!(now.as_str(), expected);
        nothing_is_left(&place);
    }
}

#[test]
fn what_a_webhook_strips_or_rewrites_is_a_failure_that_stops_what_needs_it() {
    for (rewrite, said) in [
        ("null", "is none, not"),
        ("evil@x.iam.gserviceaccount.com", "is `evil@x"),
    ] {
        let hook = format!(
            "webhooks: [{{ name: policy.example.com, resources: [serviceaccounts], rewrite: {{ metadata: {{ annotations: {{ {GSA}: {rewrite} }} }} }} }}]"
        );
        let place = place("checkout: {}", &hook);
        let apply = place.wi(&["apply", "--auto-approve"]).fails();
        apply.says(&["an admission webhook changes it", said]);
        let pool = &place.state()["clusters"][0]["nodePools"][0];
        assert_eq!(
            pool["workloadMetadata"], "GCE_METADATA",
            "moved all the same"
        );
    }
}

#[test]
fn what_somebody_makes_after_the_plan_is_adopted_and_never_destroyed() {
    runtime().block_on(async {
        let inside = Inside::of(place("", "")).await;
        let client = Client::of(&spec(IMPERSONATES), &inside.sandbox);
        let (plan, live) = client.plan().await;
        let body =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "checkout"}});
        make(&inside, &body).await;
        let outcome = client.apply(&plan, &live, CancellationToken::new()).await;
        assert!(outcome.values().all(|s| *s == Status::Done), "{outcome:?}");
        let now = account(&inside.world(), "checkout");
        assert_eq!(now["annotations"]["wi/adopted"], "true", "{now}");

        let without = Client::of(&spec(""), &inside.sandbox);
        let (plan, live) = without.plan().await;
        let released = plan
            .changes
            .get("ksa.main/shop/checkout")
            .expect("a change");
        assert_eq!(released.action(), Action::Update);
        without.apply(&plan, &live, CancellationToken::new()).await;
        assert!(account(&inside.world(), "checkout").is_object());
    });
}

/// Terraform marks nothing: its hand is seen by the fields that it has set. All that is written on what is somebody
/// else's is shown.
#[test]
fn terraforms_hand_is_named_and_an_adoption_shows_all_that_is_written() {
    for manager in ["HashiCorp", "Terraform"] {
        let managed = format!(
            "[{{ manager: {manager}, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {{ \"f:metadata\": {{ \"f:labels\": {{ \"f:team\": {{}} }} }} }} }}]"
        );
        let there = format!("checkout: {{ labels: {{ team: shop }}, managedFields: {managed} }}");
        let place = place(&there, "");
        let plan = place.wi(&["plan"]).ok();
        plan.says(&[
            &format!(
                "is managed by Terraform (field manager {manager}), which may undo what wi writes"
            ),
            &format!("+ {GSA} = {CHECKOUT}"),
            "+ wi/owner = shop",
            "+ wi/adopted = true",
            "+ app.kubernetes.io/managed-by = wi",
        ]);
        place.wi(&["apply", "--auto-approve"]).ok();
        let now = account(&place.state(), "checkout");
        let keys = |field: &str| now[field].as_object().expect("a map").len();
        assert_eq!((keys("annotations"), keys("labels")), (3, 2), "{now}");
        nothing_is_left(&place);
    }
}

/// The first try is carried out, and its answer is lost: the second one finds what is ours.
#[test]
fn what_a_try_has_made_whose_answer_was_lost_is_not_adopted() {
    let served = Served::of(place("", ""));
    served.inject(
        &json!({"match": "PATCH *serviceaccounts/checkout?*Strict$", "lost": true, "times": 1}),
    );
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let world = serde_json::to_value(served.sandbox.snapshot()).expect("JSON");
    let now = account(&world, "checkout");
    assert_eq!(now["annotations"]["wi/owner"], "shop", "{now}");
    assert!(now["annotations"]["wi/adopted"].is_null(), "{now}");
    // So it goes with the spec that made it.
    served.place.write("wi.yaml", &spec(""));
    let plan = served.wi(&["plan", "wi.yaml", "--allow-mass-removal"]).ok();
    plan.says(&[
        "- ksa.main/shop/checkout",
        "made by this spec and no longer in it",
    ]);
}

#[test]
fn what_another_spec_or_tool_makes_after_the_plan_stays_its_own() {
    for (key, value) in [
        ("wi/owner", "billing"),
        (GSA, "other@x.iam.gserviceaccount.com"),
    ] {
        runtime().block_on(async {
            let inside = Inside::of(place("", "")).await;
            let client = Client::of(&spec(IMPERSONATES), &inside.sandbox);
            let (plan, live) = client.plan().await;
            let body = json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "checkout", "namespace": "shop", "annotations": {key: value}}});
            apply_as_wi(&inside, &body).await;
            let outcome = client.apply(&plan, &live, CancellationToken::new()).await;
            let ended = &outcome["ksa.main/shop/checkout"];
            assert!(
                matches!(ended, Status::Failed(why) if why.contains("made since it was planned")),
                "{ended:?}"
            );
            assert_eq!(
                account(&inside.world(), "checkout")["annotations"],
                json!({key: value})
            );
        });
    }
}

/// As somebody else who is known to the server by the name that wi has.
async fn make(inside: &Inside, body: &Value) {
    write(inside, "POST", "", "application/json", body).await;
}

/// As the `wi` of another spec.
async fn apply_as_wi(inside: &Inside, body: &Value) {
    let name = format!("/{}", body["metadata"]["name"].as_str().expect("a name"));
    write(inside, "PATCH", &name, "application/apply-patch+yaml", body).await;
}

async fn write(inside: &Inside, method: &str, name: &str, form: &str, body: &Value) {
    let base = inside.sandbox.endpoint();
    let base = base.trim_end_matches('/');
    let url = format!("{base}{ACCOUNTS}{name}?fieldManager=wi");
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build();
    let sent = client
        .expect("a client")
        .request(method.parse().expect("a method"), url)
        .bearer_auth(inside.sandbox.token())
        .header("content-type", form.to_owned())
        .body(body.to_string());
    let answer = sent.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 201);
}

#[test]
fn a_saved_plan_rests_on_the_namespace_that_its_accounts_are_made_in() {
    let namespace = ACCOUNTS.trim_end_matches("/serviceaccounts");
    let served = Served::of(place("", ""));
    served.wi(&["plan", "--out", "p.plan"]).ok();
    served.request("DELETE", namespace, "");
    let all = namespace.trim_end_matches("/shop");
    let anew = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    served.request("POST", all, &anew.to_string());
    let before = served.writes().len();
    let ran = served.wi(&["apply", "p.plan"]);
    assert_eq!(ran.code, Some(4), "{}\n{}", ran.out, ran.err);
    ran.says(&["namespace.main/shop", "uid"]);
    assert_eq!(served.writes().len(), before, "something was written");
}

#[test]
fn a_saved_plan_does_not_write_into_a_namespace_that_is_going() {
    let place = place("", "");
    place.wi(&["plan", "--out", "p.plan"]).ok();
    place.edit_state(|text| {
        let mut state: Value = serde_saphyr::from_str(&text).expect("YAML");
        state["clusters"][0]["namespaces"]["shop"]["terminating"] = json!(true);
        state.to_string()
    });
    let ran = place.wi(&["apply", "p.plan"]);
    assert_eq!(ran.code, Some(4), "{}\n{}", ran.out, ran.err);
    ran.says(&["namespace.main/shop", "beingDeleted"]);
}

#[test]
fn default_is_released_and_never_deleted() {
    let place = Place::new(&spec("default: { impersonates: checkout }"), &world("", ""));
    place.wi(&["apply", "--auto-approve"]).ok();
    // As a former wi left it, which took it for its own.
    place.edit_state(|text| {
        text.replace("wi/adopted: 'true'", "x: y")
            .replace("wi/adopted: \"true\"", "x: y")
    });
    place.write("wi.yaml", &spec(""));
    let plan = place.wi(&["plan"]).ok();
    plan.says(&["each namespace has one by this name"]);
    assert!(
        !plan.out.contains("- ksa.main/shop/default"),
        "{}",
        plan.out
    );
    place.wi(&["apply", "--auto-approve"]).ok();
    let now = account(&place.state(), "default");
    assert!(now.is_object(), "{now}");
    assert!(now["annotations"][GSA].is_null(), "{now}");
    nothing_is_left(&place);
}

#[test]
fn an_account_that_is_going_is_told_as_such() {
    let there = "checkout: { appliedBy: wi, annotations: { wi/owner: shop }, extra: { metadata: { finalizers: [example.com/hold] } } }";
    let served = Served::of(place(there, ""));
    served.request("DELETE", &format!("{ACCOUNTS}/checkout"), "");
    let plan = served.wi(&["plan"]);
    plan.says(&["ksa.main/shop/checkout", "it is being deleted"]);
    served.place.write("wi.yaml", &spec(""));
    let plan = served.wi(&["plan"]);
    plan.says(&["is being deleted already"]);
    assert!(!plan.out.contains("to destroy, "), "{}", plan.out);
    assert!(!plan.out.contains("no longer in it"), "{}", plan.out);
}

/// A tool that copies objects owns our marks beside us.
#[test]
fn marks_that_another_manager_owns_too_go_with_a_release() {
    let own = "{ \"f:metadata\": { \"f:labels\": { \"f:app.kubernetes.io/managed-by\": {} }, \"f:annotations\": { \"f:wi/owner\": {}, \"f:wi/adopted\": {}, GSA } } }";
    let entry = |manager: &str, gsa: &str| {
        let fields = own.replace("GSA", gsa);
        format!(
            "{{ manager: {manager}, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {fields} }}"
        )
    };
    let fields = [
        entry("wi", ""),
        entry("velero", &format!("\"f:{GSA}\": {{}}")),
    ];
    let there = format!(
        "checkout: {{ labels: {{ app.kubernetes.io/managed-by: wi }}, annotations: {{ wi/owner: shop, wi/adopted: \"true\", {GSA}: {CHECKOUT} }}, managedFields: [{}] }}",
        fields.join(", ")
    );
    let place = place(&there, "");
    place.write("wi.yaml", &spec(""));
    let plan = place.wi(&["plan"]).ok();
    plan.says(&["stays", "velero owns it"]);
    place.wi(&["apply", "--auto-approve"]).ok();
    let now = account(&place.state(), "checkout");
    assert_eq!(now["annotations"], json!({ GSA: CHECKOUT }), "{now}");
    nothing_is_left(&place);
}

/// `kubectl get -o yaml | kubectl apply`: the labels and annotations come along, and are nobody's.
#[test]
fn a_copy_with_our_marks_is_neither_ours_nor_another_specs() {
    for mark in ["shop", "billing"] {
        let there = format!(
            "checkout: {{ labels: {{ app.kubernetes.io/managed-by: wi }}, annotations: {{ wi/owner: {mark} }} }}"
        );
        let place = place(&there, "");
        place.write("wi.yaml", &spec(""));
        let plan = place.wi(&["plan"]).ok();
        assert!(!plan.out.contains("ksa.main/shop/checkout"), "{}", plan.out);
        place.wi(&["apply", "--auto-approve"]).ok();
        assert!(account(&place.state(), "checkout").is_object());

        place.write("wi.yaml", &spec(IMPERSONATES));
        let plan = place.wi(&["plan"]).ok();
        plan.says(&[&format!("the mark of `{mark}`, which is a copy")]);
        place.wi(&["apply", "--auto-approve"]).ok();
        let now = account(&place.state(), "checkout");
        assert_eq!(now["annotations"]["wi/owner"], "shop", "{now}");
        assert_eq!(now["annotations"]["wi/adopted"], "true", "{now}");
        nothing_is_left(&place);

        place.write("wi.yaml", &spec(""));
        place.wi(&["apply", "--auto-approve"]).ok();
        let now = account(&place.state(), "checkout");
        assert!(
            now.is_object() && now["annotations"]["wi/owner"].is_null(),
            "{now}"
        );
    }
}

#[test]
fn rights_by_role_bindings_are_asked_for_in_their_namespaces() {
    let denied = |place: &str| {
        format!("denied: [patch serviceaccounts in {place}, create serviceaccounts in {place}]")
    };
    place("", &denied("others"))
        .wi(&["apply", "--auto-approve"])
        .ok();

    let refused = place("", &denied("shop"))
        .wi(&["apply", "--auto-approve"])
        .fails();
    refused.says(&[
        "nothing was written",
        "patch serviceaccounts on cluster.main, namespace shop",
    ]);
}

/// Charts of Helm often render the annotation with an empty value.
#[test]
fn an_empty_annotation_is_taken_away_without_a_flag() {
    let there = format!("checkout: {{ annotations: {{ {GSA}: \"\" }} }}");
    let place = place(&there, "");
    place.write(
        "wi.yaml",
        &spec("checkout: { grants: [roles/logging.logWriter] }"),
    );
    let plan = place.wi(&["plan"]).ok();
    plan.says(&[&format!("- {GSA} = \"\"")]);
    assert!(!plan.out.contains("``"), "{}", plan.out);
    place.wi(&["apply", "--auto-approve"]).ok();
    let now = account(&place.state(), "checkout");
    assert!(now["annotations"][GSA].is_null(), "{now}");
    nothing_is_left(&place);
}
