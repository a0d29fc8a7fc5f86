//! What goes on and on: watches, whole collections that go, and answers in YAML.

use std::time::Duration;

use super::*;

const LIST: &str = "/api/v1/namespaces/shop/serviceaccounts";
const MERGE: &str = "application/merge-patch+json";

/// The lines of a watch, one by one.
struct Events {
    answer: reqwest::Response,
    rest: String,
}

impl Events {
    async fn of(server: &Server, query: &str) -> Self {
        let request = server.request(Method::GET, &format!("{LIST}?watch=1{query}"));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        Self {
            answer,
            rest: String::new(),
        }
    }

    /// Type, name and version of the next; `None` at the end.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        let line = loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let line = line.to_owned();
                self.rest = rest.to_owned();
                break line;
            }
            let chunk = self.answer.chunk().await.unwrap()?;
            self.rest.push_str(&String::from_utf8_lossy(&chunk));
        };
        let event: Value = serde_json::from_str(&line).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let object = event["object"].clone();
        Some((
            text(&event["type"]),
            text(&object["metadata"]["name"]),
            object,
        ))
    }
}

fn account(name: &str, labels: &Value) -> String {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "labels": labels } })
        .to_string()
}

async fn make(server: &Server, name: &str, labels: &Value) {
    let request = server.request(Method::POST, LIST);
    let request = request.header("content-type", "application/json");
    let (code, body) = send(request.body(account(name, labels))).await;
    assert_eq!(code, 201, "{body}");
}

#[tokio::test]
async fn watch_tells_what_is_there_and_then_what_changes() {
    let server = Server::start(json!({ "namespaces": { "shop": {} } })).await;
    make(&server, "a", &json!({ "team": "x" })).await;
    let mut events = Events::of(&server, "&labelSelector=team%3Dx").await;
    let is = |(kind, name, _): &(String, String, Value)| format!("{kind} {name}");
    assert_eq!(is(&events.next().await.unwrap()), "ADDED a");

    make(&server, "other", &json!({ "team": "y" })).await;
    make(&server, "b", &json!({ "team": "x" })).await;
    let one = events.next().await.unwrap();
    assert_eq!(is(&one), "ADDED b");
    let made = one.2["metadata"]["resourceVersion"].clone();

    // A dry run is nobody's news.
    let path = format!("{LIST}/b");
    let dry = format!("{path}?dryRun=All");
    let patch = json!({ "metadata": { "annotations": { "k": "v" } } });
    assert_eq!(server.patch(&dry, MERGE, &patch).await.0, 200);
    assert_eq!(server.patch(&path, MERGE, &patch).await.0, 200);
    let one = events.next().await.unwrap();
    assert_eq!(is(&one), "MODIFIED b");
    assert_eq!(one.2["metadata"]["annotations"]["k"], "v");

    // What no longer fits the selector is gone for this watch.
    let off = json!({ "metadata": { "labels": { "team": "y" } } });
    assert_eq!(server.patch(&path, MERGE, &off).await.0, 200);
    assert_eq!(is(&events.next().await.unwrap()), "DELETED b");

    // From a version on: what came later, in order.
    let version = made.as_str().unwrap();
    let mut later = Events::of(&server, &format!("&resourceVersion={version}")).await;
    assert_eq!(is(&later.next().await.unwrap()), "MODIFIED b");
    assert_eq!(is(&later.next().await.unwrap()), "MODIFIED b");
    let (code, _) = send(server.request(Method::DELETE, &format!("{LIST}/a"))).await;
    assert_eq!(code, 200);
    assert_eq!(is(&later.next().await.unwrap()), "DELETED a");
    assert_eq!(is(&events.next().await.unwrap()), "DELETED a");

    // A server that stops waits for no watch.
    server.served.stop().await;
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn watch_ends_when_its_time_is_up_and_one_that_comes_too_late_is_told() {
    let server =
        Server::start(json!({ "namespaces": { "shop": {} }, "resourceVersion": 1000 })).await;
    let mut events = Events::of(
        &server,
        "&timeoutSeconds=0&fieldSelector=metadata.name%3Dnone",
    )
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(1800), events.next()).await;
    assert!(ended.unwrap().is_none());
    let (code, status) = server
        .get(&format!("{LIST}?watch=1&resourceVersion=7"))
        .await;
    assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
    let said = status["message"].as_str().unwrap();
    assert!(said.starts_with("too old resource version: 7 ("), "{said}");
}

#[tokio::test]
async fn collections_are_deleted_by_their_selectors() {
    let server = Server::start(json!({ "namespaces": { "shop": {} } })).await;
    for (name, team) in [("a", "x"), ("b", "x"), ("c", "y")] {
        make(&server, name, &json!({ "team": team })).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        let name = |i: &Value| i["metadata"]["name"].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    };
    let path = format!("{LIST}?labelSelector=team%3Dx");
    let (code, dry) = send(server.request(Method::DELETE, &format!("{path}&dryRun=All"))).await;
    assert_eq!(
        (code, names(&dry)),
        (200, vec!["a".to_owned(), "b".to_owned()])
    );
    let (code, gone) = send(server.request(Method::DELETE, &path)).await;
    assert_eq!(
        (code, names(&gone)),
        (200, vec!["a".to_owned(), "b".to_owned()])
    );
    let (_, left) = server.get(LIST).await;
    assert_eq!(names(&left), ["c", "default"]);
    // Namespaces go one by one.
    let (code, _) = send(server.request(Method::DELETE, "/api/v1/namespaces")).await;
    assert_eq!(code, 405);
}

#[tokio::test]
async fn answers_are_in_yaml_where_a_client_takes_that_first() {
    let server = Server::start(json!({ "namespaces": { "shop": {} } })).await;
    make(&server, "a", &json!({ "team": "x" })).await;
    let of = async |path: &str, accept: &str| {
        let request = server.request(Method::GET, path).header("accept", accept);
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (kind, answer.text().await.unwrap())
    };
    for path in [format!("{LIST}/a"), LIST.to_owned(), format!("{LIST}/none")] {
        let (kind, yaml) = of(&path, "application/yaml").await;
        assert_eq!(kind, "application/yaml");
        let (kind, json) = of(&path, "application/json, application/yaml").await;
        assert_eq!(kind, "application/json");
        let yaml: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(
            yaml,
            serde_json::from_str::<Value>(&json).unwrap(),
            "{path}"
        );
    }
}
