//! Other users than the kubeconfig's own: a service account by its token, and acting as somebody.

use serde_json::{Value, json};

use super::real::{Real, connect};
use super::{account, say};
use crate::support::HANGS;

impl Real {
    /// A token of a new service account that may read and write service accounts of the namespace.
    pub async fn token_of_an_account(&self, account_name: &str) -> String {
        let name = self.name.as_str();
        let (kube, object) = (self.kube(), account(name, account_name, None));
        let made = kube.apply_service_account(&object, false).await;
        made.expect("an account");
        let rbac = "rbac.authorization.k8s.io";
        let base = format!("/apis/{rbac}/v1/namespaces/{name}");
        let role = json!({ "apiVersion": format!("{rbac}/v1"), "kind": "Role",
            "metadata": { "name": account_name },
            "rules": [{ "apiGroups": [""], "resources": ["serviceaccounts", "pods"],
                "verbs": ["get", "list", "create", "patch", "delete"] }] });
        let binding = json!({ "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": { "name": account_name },
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": account_name },
            "subjects": [{ "kind": "ServiceAccount", "name": account_name, "namespace": name }] });
        for (plural, object) in [("roles", role), ("rolebindings", binding)] {
            let (status, body) = self.call("POST", &format!("{base}/{plural}"), object).await;
            assert_eq!(status, 201, "{body}");
        }
        let path = format!("/api/v1/namespaces/{name}/serviceaccounts/{account_name}/token");
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": { "expirationSeconds": 600 } });
        let (status, body) = self.call("POST", &path, request).await;
        assert_eq!(status, 201, "{body}");
        let token = body["status"]["token"].as_str();
        token.expect("a token").to_owned()
    }

    /// Until the binding is seen, as authorizers watch for them, however long that takes: no event tells of it.
    pub async fn until_allowed(&self, kube: &wi_client::kubernetes::Kube) {
        let is_seen = async {
            while kube.list_pods_of(&self.name).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let seen = tokio::time::timeout(HANGS, is_seen).await;
        seen.expect("the role is never seen");
    }
}

#[test]
fn a_token_is_who_it_says() {
    let Some(real) = Real::new("token") else {
        return;
    };
    real.runtime.block_on(async {
        real.make_namespace().await;
        let token = real.token_of_an_account("worker").await;
        let kube = connect(&real.kubeconfig_of(&json!({ "token": token })));
        real.until_allowed(&kube).await;
        let object = account(&real.name, "made", None);
        let made = kube.apply_service_account(&object, false).await;
        made.expect("allowed");
        match kube.list_service_accounts().await {
            Ok(_) => say("403 is not tested: the server allows everybody everything"),
            Err(e) => {
                assert!(e.is_denied() && e.code == 403, "{e}");
                assert!(e.message.contains("worker"), "{e}");
            }
        }
        let wrong = connect(&real.kubeconfig_of(&json!({ "token": "wrong" })));
        let refused = wrong.get_namespace(&real.name).await;
        assert!(refused.is_err_and(|e| e.code == 401));
    });
}

#[test]
fn acting_as_somebody_else() {
    let Some(real) = Real::new("as") else {
        return;
    };
    let acting_as = |more: Value| {
        let mut user = real.user();
        for (field, value) in more.as_object().expect("a map") {
            user[field] = value.clone();
        }
        connect(&real.kubeconfig_of(&user))
    };
    real.runtime.block_on(async {
        real.make_namespace().await;
        let nobody = acting_as(json!({ "as": "wi-test-nobody" }));
        let refused = nobody.get_namespace(&real.name).await;
        let Err(refused) = refused else {
            say("acting as somebody is not tested: the server allows everybody everything");
            return;
        };
        assert_eq!(refused.code, 403);
        assert!(refused.message.contains("wi-test-nobody"), "{refused}");
        assert!(!nobody.may("list", "", "pods", "").await.expect("asked"));

        let master = acting_as(json!({
            "as": "wi-test-nobody", "as-groups": ["wi-test-group", "system:masters"],
            "as-uid": "wi-test-uid", "as-user-extra": { "example.com/Reason": ["a", "b c"] },
        }));
        master.get_namespace(&real.name).await.expect("allowed");
        assert!(master.may("list", "", "pods", "").await.expect("asked"));
    });
}

/// The server is asked who it took us for.
#[test]
fn all_of_somebody_else_reaches_the_server() {
    let Some(real) = Real::new("extra") else {
        return;
    };
    let mut user = real.user();
    user["as"] = json!("wi-test-nobody");
    user["as-uid"] = json!("wi-test-uid");
    user["as-groups"] = json!(["wi-test-a", "wi-test-b", "system:masters"]);
    user["as-user-extra"] = json!({ "example.com/reason": ["a", "b c"] });
    // What the kubeconfig makes `wi` send is caught, and sent with a question that `wi` never asks.
    let front = crate::support::front::Front::new(
        "127.0.0.1",
        None,
        std::sync::Arc::new(|_| Box::pin(async { crate::support::front::Answered::empty(404) })),
    );
    user["token"] = json!("of-the-front");
    for certificate in ["client-certificate-data", "client-key-data", "exec"] {
        user[certificate] = Value::Null;
    }
    real.runtime.block_on(async {
        let kube = real.behind_as(&front, &user);
        let _ = kube.get_namespace("x").await;
        let sent = front.asked()[0].headers.clone();
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let mut request = real
            .other
            .client
            .post(format!("{}{path}", real.other.server))
            .header("content-type", "application/json")
            .body(
                json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" })
                    .to_string(),
            );
        if !real.other.token.is_empty() {
            request = request.bearer_auth(&real.other.token);
        }
        for (name, value) in &sent {
            if name.as_str().starts_with("impersonate-") {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.expect("an answer");
        let body = answer.bytes().await.expect("a body");
        let review: Value = serde_json::from_slice(&body).expect("JSON");
        let taken_for = &review["status"]["userInfo"];
        if taken_for.is_null() {
            say("SelfSubjectReview is not tested: the server does not have it");
            return;
        }
        assert_eq!(taken_for["username"], "wi-test-nobody");
        assert_eq!(taken_for["uid"], "wi-test-uid");
        let groups = taken_for["groups"].as_array().expect("groups");
        for group in ["wi-test-a", "wi-test-b", "system:masters"] {
            assert!(groups.contains(&json!(group)), "{groups:?}");
        }
        assert_eq!(
            taken_for["extra"]["example.com/reason"],
            json!(["a", "b c"])
        );
    });
}
