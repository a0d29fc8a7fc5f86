//! What kube-apiserver 1.34 was seen to answer, request by request.

use super::*;

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const LIST: &str = "/api/v1/namespaces/shop/serviceaccounts";

fn account(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } })
}

async fn shop_with_account() -> Server {
    let server = Server::start(shop()).await;
    let (code, _) = server.apply("wi", "", json!({ "a": "1" })).await;
    assert_eq!(code, 201);
    server
}

async fn post(server: &Server, path: &str, content_type: &str, body: &str) -> (u16, Value) {
    let request = server.request(Method::POST, path);
    let request = request.header("content-type", content_type);
    send(request.body(body.to_owned())).await
}

#[tokio::test]
async fn options_that_are_none_are_invalid() {
    let server = shop_with_account().await;
    let body = account("checkout");
    for (query, field, reason) in [
        ("", "fieldManager", "FieldValueRequired"),
        (
            "?fieldManager=wi&dryRun=Some",
            "dryRun",
            "FieldValueNotSupported",
        ),
        (
            "?fieldManager=wi&fieldValidation=Odd",
            "fieldValidation",
            "FieldValueNotSupported",
        ),
    ] {
        let (code, status) = server
            .patch(&format!("{ACCOUNT}{query}"), APPLY, &body)
            .await;
        assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
        let details = &status["details"];
        assert_eq!(
            (&details["group"], &details["kind"]),
            (&json!("meta.k8s.io"), &json!("PatchOptions"))
        );
        assert_eq!(
            (
                &details["causes"][0]["field"],
                &details["causes"][0]["reason"]
            ),
            (&json!(field), &json!(reason))
        );
    }
}

#[tokio::test]
async fn a_body_for_another_object_is_refused() {
    let server = shop_with_account().await;
    let path = format!("{ACCOUNT}?fieldManager=wi");
    let mut elsewhere = account("checkout");
    elsewhere["metadata"]["namespace"] = json!("default");
    let mut secret = account("checkout");
    secret["kind"] = json!("Secret");
    let mut untyped = account("checkout");
    untyped["apiVersion"].take();
    for (body, message) in [
        (
            account("other"),
            "the name of the object (other) does not match the name on the URL (checkout)",
        ),
        (
            elsewhere,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (secret, "invalid object type: /v1, Kind=Secret"),
        (untyped, "invalid object type: /, Kind=ServiceAccount"),
    ] {
        let (code, status) = server.patch(&path, APPLY, &body).await;
        assert_eq!((code, &status["message"]), (400, &json!(message)));
    }
}

#[tokio::test]
async fn fields_that_are_not_known_or_given_twice() {
    let server = shop_with_account().await;
    let odd = r#"{"metadata":{"name":"odd","odd":1},"odd":{}}"#;
    let twice = r#"{"metadata":{"name":"twice","name":"twice"}}"#;
    for (body, said) in [
        (odd, r#"unknown field "odd", unknown field "metadata.odd""#),
        (twice, r#"duplicate field "metadata.name""#),
    ] {
        let strict = format!("{LIST}?fieldValidation=Strict");
        let (code, status) = post(&server, &strict, "application/json", body).await;
        assert_eq!(code, 400);
        let message = status["message"].as_str().unwrap();
        assert!(
            message.ends_with(&format!("strict decoding error: {said}")),
            "{message}"
        );
    }
    let request = server.request(Method::POST, LIST).body(twice);
    let warned = request.send().await.unwrap();
    assert_eq!(warned.status(), 201);
    assert_eq!(
        warned.headers()["warning"],
        r#"299 - "duplicate field \"metadata.name\"""#
    );
    let silent = format!("{LIST}?fieldValidation=Ignore");
    let request = server.request(Method::POST, &silent).body(odd);
    let silent = request.send().await.unwrap();
    assert!(silent.status() == 201 && !silent.headers().contains_key("warning"));

    // An applied configuration has a type: the same is the server's own error, with no reason given.
    let mut applied = account("more");
    applied["metadata"]["odd"] = json!(1);
    let path = format!("{LIST}/more?fieldManager=wi");
    let (code, status) = server.patch(&path, APPLY, &applied).await;
    assert_eq!((code, status.get("reason")), (500, None));
    let message = status["message"].as_str().unwrap();
    assert!(message.ends_with(".metadata.odd: field not declared in schema"));

    let strict = format!("{ACCOUNT}?fieldValidation=Strict");
    let (code, status) = server.patch(&strict, MERGE, &json!({ "odd": 1 })).await;
    assert_eq!(
        (code, &status["details"]["causes"][0]["field"]),
        (422, &json!("patch"))
    );
}

#[tokio::test]
async fn names_labels_and_annotations() {
    let server = shop_with_account().await;
    let labelled = |key: &str, value: &str| {
        let mut object = account("checkout");
        object["metadata"]["labels"] = json!({ key: value });
        object
    };
    let path = format!("{ACCOUNT}?fieldManager=wi");
    for (body, why) in [
        (
            labelled("a", "not ok!"),
            "a valid label must be an empty string or consist of",
        ),
        (
            labelled("a b", "ok"),
            "name part must consist of alphanumeric characters",
        ),
        (
            labelled("Example.COM/x", "ok"),
            "prefix part a lowercase RFC 1123 subdomain must",
        ),
        (labelled("a/b/c", "ok"), "a qualified name must consist of"),
    ] {
        let (code, status) = server.patch(&path, APPLY, &body).await;
        let message = status["message"].as_str().unwrap();
        assert!(code == 422 && message.contains(why), "{message}");
    }
    let dotted = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "a.b" } });
    let (code, status) = server
        .patch("/api/v1/namespaces/a.b?fieldManager=wi", APPLY, &dotted)
        .await;
    let message = status["message"].as_str().unwrap();
    assert!(
        code == 422 && message.ends_with("must not contain dots"),
        "{message}"
    );

    // Keys of annotations may have capitals before the slash, and all of them have 256 KiB.
    let (code, _) = server
        .apply("wi", "", json!({ "Example.COM/X": "ok", "empty": null }))
        .await;
    assert_eq!(code, 200);
    let (_, object) = server.get(ACCOUNT).await;
    assert_eq!(
        object["metadata"]["annotations"],
        json!({ "Example.COM/X": "ok", "empty": "" })
    );
    let (code, status) = server
        .apply("wi", "", json!({ "a": "x".repeat(270_000) }))
        .await;
    assert_eq!(code, 422);
    assert_eq!(
        status["details"]["causes"][0]["reason"],
        "FieldValueTooLong"
    );
}

#[tokio::test]
async fn who_made_a_map_and_when() {
    let server = Server::start(shop()).await;
    let body = json!({ "metadata": { "name": "checkout", "annotations": { "a": "1" } } });
    let made = format!("{LIST}?fieldManager=kubectl-create");
    let (_, object) = post(&server, &made, "application/json", &body.to_string()).await;
    assert_eq!(
        object["metadata"]["managedFields"][0]["fieldsV1"],
        json!({ "f:metadata": { "f:annotations": { ".": {}, "f:a": {} } } })
    );
    // The state file keeps it, and so does the next write.
    let state = serde_json::to_value(server.cluster.state()).unwrap();
    let again = Server::start(state).await;
    let annotate = json!({ "metadata": { "annotations": { "b": "1" } } });
    let path = format!("{ACCOUNT}?fieldManager=kubectl-annotate");
    let (_, object) = again.patch(&path, MERGE, &annotate).await;
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let made = entries.iter().find(|e| e["manager"] == "kubectl-create");
    assert!(
        made.unwrap()["fieldsV1"]["f:metadata"]["f:annotations"]
            .get(".")
            .is_some()
    );
    // Whoever applies what is there already is written down without a time.
    let (_, object) = again.apply("wi", "", json!({ "a": "1" })).await;
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let ours = entries.iter().find(|e| e["manager"] == "wi").unwrap();
    assert_eq!(ours.get("time"), None);
    // Maps with nothing in them are not there.
    let (_, bare) = again
        .patch(
            &format!("{LIST}/bare?fieldManager=wi"),
            APPLY,
            &json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "annotations": {} } }),
        )
        .await;
    assert_eq!(bare["metadata"].get("annotations"), None);
}

#[tokio::test]
async fn locks_on_what_is_not_there() {
    let server = Server::start(shop()).await;
    let path = format!("{ACCOUNT}?fieldManager=wi");
    let mut body = account("checkout");
    body["metadata"]["uid"] = json!("gone");
    let (code, status) = server.patch(&path, APPLY, &body).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    // A version alone locks nothing: whoever applies to an object that was deleted makes it anew.
    body["metadata"] = json!({ "name": "checkout", "resourceVersion": "5" });
    let (code, _) = server.patch(&path, APPLY, &body).await;
    assert_eq!(code, 201);
    let odd = json!({ "metadata": { "resourceVersion": "abc" } });
    let (code, _) = server.patch(ACCOUNT, MERGE, &odd).await;
    assert_eq!(code, 500);
}

#[tokio::test]
async fn json_patches() {
    let server = shop_with_account().await;
    let json_patch = "application/json-patch+json";
    let patch = json!([
        { "op": "test", "path": "/metadata/annotations/a", "value": "1" },
        { "op": "add", "path": "/metadata/annotations/x~1y", "value": "2" },
        { "op": "move", "from": "/metadata/annotations/a", "path": "/metadata/annotations/b" },
        { "op": "add", "path": "/imagePullSecrets", "value": [{ "name": "q" }] },
        { "op": "add", "path": "/imagePullSecrets/-", "value": { "name": "r" } },
    ]);
    let (code, object) = server.patch(ACCOUNT, json_patch, &patch).await;
    assert_eq!(code, 200, "{object}");
    assert_eq!(
        object["metadata"]["annotations"],
        json!({ "b": "1", "x/y": "2" })
    );
    assert_eq!(
        object["imagePullSecrets"],
        json!([{ "name": "q" }, { "name": "r" }])
    );
    for (patch, expected) in [
        (
            json!([{ "op": "test", "path": "/metadata/name", "value": "x" }]),
            422,
        ),
        (
            json!([{ "op": "remove", "path": "/metadata/annotations/none" }]),
            422,
        ),
        (json!({ "op": "remove" }), 400),
    ] {
        let (code, _) = server.patch(ACCOUNT, json_patch, &patch).await;
        assert_eq!(code, expected, "{patch}");
    }
}

#[tokio::test]
async fn deletes_answer_with_what_was_there() {
    let server = shop_with_account().await;
    let (code, _) = send(server.request(Method::DELETE, &format!("{ACCOUNT}?dryRun=All"))).await;
    assert_eq!((code, server.get(ACCOUNT).await.0), (200, 200));
    let pod = json!({ "kind": "Pod", "apiVersion": "v1" }).to_string();
    let (code, _) = send(server.request(Method::DELETE, ACCOUNT).body(pod)).await;
    assert_eq!((code, server.get(ACCOUNT).await.0), (500, 200));
    // A body stands for the query's parameters too: this is no dry run.
    let request = server.request(Method::DELETE, &format!("{ACCOUNT}?dryRun=All"));
    let (code, deleted) = send(request.body("{}")).await;
    assert_eq!(
        (code, &deleted["metadata"]["name"]),
        (200, &json!("checkout"))
    );
    assert_eq!(server.get(ACCOUNT).await.0, 404);
    let (_, namespace) = send(server.request(Method::DELETE, "/api/v1/namespaces/shop")).await;
    assert_eq!(namespace["status"]["phase"], "Terminating");
}

#[tokio::test]
async fn what_is_accepted_and_what_is_sent() {
    let server = shop_with_account().await;
    let partial = |what: &str| format!("application/json;as={what};g=meta.k8s.io;v=v1");
    for (path, accept, code) in [
        (LIST, partial("PartialObjectMetadata"), 406),
        (ACCOUNT, partial("PartialObjectMetadataList"), 406),
        (LIST, partial("PartialObjectMetadataList"), 200),
        (ACCOUNT, "text/html".to_owned(), 406),
        (ACCOUNT, "text/html,*/*".to_owned(), 200),
    ] {
        let request = server.request(Method::GET, path).header("accept", &accept);
        assert_eq!(send(request).await.0, code, "{path} {accept}");
    }
    let (code, _) = post(&server, LIST, "text/plain", "{}").await;
    assert_eq!(code, 415);
    let (code, _) = server.patch(ACCOUNT, "application/json", &json!({})).await;
    assert_eq!(code, 415);
    let dry = format!("{LIST}?dryRun=All");
    let (_, object) = post(&server, &dry, "application/json", &account("x").to_string()).await;
    assert_eq!(object["metadata"].get("resourceVersion"), None);
}

#[tokio::test]
async fn paths_that_are_none() {
    let server = shop_with_account().await;
    let text = json!("404 page not found\n");
    assert_eq!(server.get("/nope").await, (404, text.clone()));
    assert_eq!(server.get("/apis/nope.io/v1/things").await, (404, text));
    let (code, status) = server.get("/api/v1/nopes").await;
    assert_eq!((code, &status["details"]), (404, &json!({})));
    for (method, path) in [
        (Method::POST, "/version"),
        (
            Method::GET,
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        ),
        (Method::POST, ACCOUNT),
    ] {
        assert_eq!(send(server.request(method, path)).await.0, 405, "{path}");
    }
    let url = format!("https://{}/readyz", server.served.addr);
    let wrong = server.client.get(url).bearer_auth("wrong");
    assert_eq!(send(wrong).await.0, 401);
}
