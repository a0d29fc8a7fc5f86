//! The HTTP layer against small servers that misbehave in one way each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;
use wi_client::auth::TokenSource;
use wi_client::google::{container, iam, policies};
use wi_client::http::{Endpoints, Http, HttpOptions};
use wi_core::names::{Email, ProjectId};
use wi_core::resource::Resource;

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    uri: String,
    headers: HeaderMap,
    body: Value,
}

/// A server that answers the n-th request with what `answer` says, and remembers all.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn new(answer: impl Fn(usize) -> Response + Clone + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let remembered = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (remembered, answer) = (Arc::clone(&remembered), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let n = {
                    let mut all = remembered.lock().expect("lock");
                    all.push(Seen {
                        method: parts.method.to_string(),
                        uri: parts.uri.to_string(),
                        headers: parts.headers,
                        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
                    });
                    all.len() - 1
                };
                answer(n)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    fn client_with(&self, token: TokenSource) -> Http {
        Http::new(HttpOptions {
            endpoints: Endpoints::all_at(&self.url).expect("loopback"),
            token,
            largest_body: 1 << 20,
            ..HttpOptions::default()
        })
        .expect("a client")
    }

    /// One that reads answers as large as `wi` does.
    fn patient_client(&self) -> Http {
        Http::new(HttpOptions {
            endpoints: Endpoints::all_at(&self.url).expect("loopback"),
            token: TokenSource::none(),
            ..HttpOptions::default()
        })
        .expect("a client")
    }

    fn client(&self) -> Http {
        self.client_with(TokenSource::fixed("s3cret-token".to_owned()))
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }
}

fn answer(status: u16, body: Value) -> Response {
    (
        StatusCode::from_u16(status).expect("a status"),
        body.to_string(),
    )
        .into_response()
}

fn project() -> ProjectId {
    ProjectId::parse("acme-prod").expect("valid")
}

fn email() -> Email {
    Email::parse("checkout@acme-prod.iam.gserviceaccount.com").expect("valid")
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_and_the_call_succeeds() {
    let server = Server::new(|n| match n {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "{}").into_response(),
        1 => answer(503, json!({})),
        _ => answer(200, json!({"clusters": []})),
    })
    .await;
    let started = Instant::now();
    container::list_clusters(&server.client(), &project())
        .await
        .expect("in the end");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(7), "{waited:?}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_not_repeated_but_a_refused_one_is() {
    let lost = Server::new(|_| answer(503, json!({}))).await;
    let create =
        async |http: Http| iam::create_service_account(&http, &project(), "checkout", "", "").await;
    create(lost.client()).await.expect_err("lost");
    assert_eq!(lost.seen().len(), 1);
    let refused = Server::new(|n| match n {
        0 => answer(429, json!({})),
        _ => answer(
            200,
            json!({"email": "checkout@acme-prod.iam.gserviceaccount.com"}),
        ),
    })
    .await;
    create(refused.client()).await.expect("created");
    assert_eq!(refused.seen().len(), 2);
}

#[tokio::test]
async fn quota_in_a_403_is_tried_again_and_a_denial_is_not() {
    let quota = json!({"error": {"code": 403, "message": "x", "errors": [{"reason": "rateLimitExceeded"}]}});
    let server = Server::new(move |n| {
        if n == 0 {
            answer(403, quota.clone())
        } else {
            answer(200, json!({}))
        }
    })
    .await;
    container::list_clusters(&server.client(), &project())
        .await
        .expect("after the quota");
    let denied =
        Server::new(|_| answer(403, json!({"error": {"code": 403, "message": "no"}}))).await;
    let error = container::list_clusters(&denied.client(), &project())
        .await
        .expect_err("denied");
    assert!(error.is_denied());
    assert_eq!(denied.seen().len(), 1);
}

#[tokio::test]
async fn an_expired_token_is_read_again_from_its_file_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, "old\n").expect("written");
    let server = Server::new(|n| {
        if n == 1 {
            answer(401, json!({"error": {"message": "expired"}}))
        } else {
            answer(200, json!({}))
        }
    })
    .await;
    let http = server.client_with(TokenSource::file(file.clone()));
    container::list_clusters(&http, &project())
        .await
        .expect("with the old token");
    std::fs::write(&file, "new\n").expect("written");
    container::list_clusters(&http, &project())
        .await
        .expect("with the new token");
    let tokens: Vec<String> = server
        .seen()
        .iter()
        .map(|s| {
            s.headers["authorization"]
                .to_str()
                .expect("text")
                .to_owned()
        })
        .collect();
    assert_eq!(tokens, ["Bearer old", "Bearer old", "Bearer new"]);
}

#[tokio::test]
async fn accounts_are_read_page_by_page() {
    let server = Server::new(|n| match n {
        0 => answer(
            200,
            json!({"accounts": [{"email": "a@b.c"}], "nextPageToken": "a b&c=/é"}),
        ),
        _ => answer(200, json!({"accounts": [{"email": "d@b.c"}]})),
    })
    .await;
    let http = server.client();
    let accounts: Vec<wi_core::wire::iam::ServiceAccount> =
        iam::service_accounts(&http, &project())
            .try_collect()
            .await
            .expect("two pages");
    assert_eq!(accounts.len(), 2);
    let uris: Vec<String> = server.seen().into_iter().map(|s| s.uri).collect();
    assert_eq!(
        uris,
        [
            "/v1/projects/acme-prod/serviceAccounts?pageSize=100",
            "/v1/projects/acme-prod/serviceAccounts?pageSize=100&pageToken=a%20b%26c%3D%2F%C3%A9",
        ]
    );
}

/// Reads and writes a policy; answers with both requests.
async fn read_and_write(resource: Resource, policy: Value) -> (Seen, Seen) {
    let server = Server::new(move |_| answer(200, policy.clone())).await;
    let http = server.client();
    let policy = policies::read(&http, &resource).await.expect("read");
    policies::write(&http, &resource, &policy)
        .await
        .expect("written");
    let mut seen = server.seen();
    let write = seen.pop().expect("a write");
    (seen.pop().expect("a read"), write)
}

#[tokio::test]
async fn the_policy_of_a_project_goes_over_the_wire_as_documented() {
    let policy = json!({"version": 1, "etag": "BwX=", "bindings": [{"role": "roles/viewer", "members": ["user:a@b.c"]}],
        "auditConfigs": [{"service": "allServices"}]});
    let (read, write) = read_and_write(Resource::Project(project()), policy).await;
    assert_eq!(
        (read.method.as_str(), read.uri.as_str()),
        ("POST", "/v3/projects/acme-prod:getIamPolicy")
    );
    assert_eq!(read.body, json!({"options": {"requestedPolicyVersion": 3}}));
    assert_eq!(
        (write.method.as_str(), write.uri.as_str()),
        ("POST", "/v3/projects/acme-prod:setIamPolicy")
    );
    assert_eq!(write.body["updateMask"], "bindings,etag");
    assert_eq!(write.body["policy"]["version"], 3);
    assert_eq!(write.body["policy"]["etag"], "BwX=");
    assert_eq!(
        write.body["policy"]["bindings"][0]["members"],
        json!(["user:a@b.c"])
    );
}

#[tokio::test]
async fn the_policy_of_an_account_goes_over_the_wire_as_documented() {
    let (read, write) =
        read_and_write(Resource::ServiceAccount(email()), json!({"etag": "ACAB"})).await;
    let path = "/v1/projects/acme-prod/serviceAccounts/checkout@acme-prod.iam.gserviceaccount.com";
    assert_eq!(read.method, "POST");
    assert_eq!(
        read.uri,
        format!("{path}:getIamPolicy?options.requestedPolicyVersion=3")
    );
    assert_eq!(read.body, Value::Null, "no body");
    assert_eq!(
        (write.method.as_str(), write.uri),
        ("POST", format!("{path}:setIamPolicy"))
    );
    assert_eq!(
        write.body,
        json!({"policy": {"etag": "ACAB", "version": 3}, "updateMask": "bindings,etag"})
    );
}

#[tokio::test]
async fn the_policy_of_a_bucket_goes_over_the_wire_as_documented() {
    let policy = json!({"kind": "storage#policy", "resourceId": "projects/_/buckets/b-1", "version": 1, "etag": "CAE=",
        "bindings": [{"role": "roles/storage.legacyBucketOwner", "members": ["projectOwner:acme-prod"]}]});
    let (read, write) = read_and_write(
        Resource::parse("bucket/b-1", None).expect("a bucket"),
        policy,
    )
    .await;
    assert_eq!(
        (read.method.as_str(), read.uri.as_str()),
        (
            "GET",
            "/storage/v1/b/b-1/iam?optionsRequestedPolicyVersion=3"
        )
    );
    assert_eq!(
        (write.method.as_str(), write.uri.as_str()),
        ("PUT", "/storage/v1/b/b-1/iam")
    );
    assert_eq!(
        write.body,
        json!({"kind": "storage#policy", "resourceId": "projects/_/buckets/b-1", "version": 3, "etag": "CAE=",
            "bindings": [{"role": "roles/storage.legacyBucketOwner", "members": ["projectOwner:acme-prod"]}]}),
        "bare, and whole"
    );
}

#[tokio::test]
async fn a_redirect_is_refused_and_the_token_goes_nowhere_else() {
    let other = Server::new(|_| answer(200, json!({}))).await;
    let to = other.url.clone();
    let server = Server::new(move |_| {
        (
            StatusCode::TEMPORARY_REDIRECT,
            [("location", to.clone())],
            "",
        )
            .into_response()
    })
    .await;
    let error = container::list_clusters(&server.client(), &project())
        .await
        .expect_err("refused");
    assert!(error.message.contains("not followed"), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn gzip_is_asked_for_and_read() {
    use std::io::Write;
    let server = Server::new(|_| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(br#"{"clusters": [{"name": "zipped"}]}"#)
            .expect("compressed");
        (
            [("content-encoding", "gzip")],
            gzip.finish().expect("compressed"),
        )
            .into_response()
    })
    .await;
    let list = container::list_clusters(&server.client(), &project())
        .await
        .expect("read");
    assert_eq!(list.clusters[0].name, "zipped");
    assert!(
        server.seen()[0].headers["accept-encoding"]
            .to_str()
            .expect("text")
            .contains("gzip")
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_no_json_is_one_clear_error() {
    let large = Server::new(|_| Body::from(vec![b' '; 2 << 20]).into_response()).await;
    let error = container::list_clusters(&large.client(), &project())
        .await
        .expect_err("too large");
    assert!(error.message.contains("larger than"), "{error}");
    let html = Server::new(|_| {
        (
            StatusCode::FORBIDDEN,
            "<html>blocked by \u{1b}[31mproxy</html>",
        )
            .into_response()
    })
    .await;
    let error = container::list_clusters(&html.client(), &project())
        .await
        .expect_err("HTML");
    assert!(
        error.message.contains("not from the API") && !error.message.contains('\u{1b}'),
        "{error}"
    );
    let nonsense = Server::new(|_| "{\"clusters\": 7".into_response()).await;
    let error = container::list_clusters(&nonsense.client(), &project())
        .await
        .expect_err("no JSON");
    assert!(
        error.message.contains("not what the API documents"),
        "{error}"
    );
}

#[tokio::test]
async fn a_truncated_answer_is_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for body in ["{\"clus", "{}"] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).await;
            let length = if body == "{}" { 2 } else { 500 };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.expect("sent");
        }
    });
    let http = Http::new(HttpOptions {
        endpoints: Endpoints::all_at(&url).expect("loopback"),
        token: TokenSource::fixed("t".into()),
        ..HttpOptions::default()
    })
    .expect("a client");
    container::list_clusters(&http, &project())
        .await
        .expect("the second time");
}

#[tokio::test]
async fn no_error_and_no_debug_output_has_the_token_in_it() {
    let server = Server::new(|_| answer(403, json!({"error": {"message": "no"}}))).await;
    let http = server.client();
    let error = container::list_clusters(&http, &project())
        .await
        .expect_err("denied");
    let all = format!(
        "{error} {error:?} {} {http:?} {:?}",
        error.reason(),
        TokenSource::fixed("s3cret-token".into())
    );
    assert!(!all.contains("s3cret"), "{all}");
}

/// `google.type.Expr` has a location, and titles are optional: whatever others write is carried over.
#[tokio::test]
async fn what_others_wrote_is_carried_over_as_it_came() {
    let bindings = json!([
        {"role": "roles/viewer", "members": ["group:ops@example.com"], "bindingOfTomorrow": {"a": [1]},
         "condition": {"title": "t", "expression": "true", "location": "policy.yaml:3", "fieldOfTomorrow": {"x": null}}},
        {"role": "roles/viewer", "members": ["group:dev@example.com"], "condition": {"expression": "true"}},
        {"members": ["group:ops@example.com"]},
        {"role": "roles/viewer", "members": ["user:ann@example.com"],
         "condition": {"title": 5, "description": "d", "expression": "true"}},
    ]);
    let policy = json!({"etag": "BwX=", "bindings": bindings, "policyOfTomorrow": {"b": 2}});
    for resource in ["project/acme-prod", "bucket/b-1", "topic/t-1"] {
        let resource = Resource::parse(resource, Some(&project())).expect("a resource");
        let (_, write) = read_and_write(resource, policy.clone()).await;
        let written = write.body.get("policy").unwrap_or(&write.body);
        assert_eq!(written["bindings"], bindings);
        assert_eq!(written["policyOfTomorrow"], json!({"b": 2}));
    }
}

/// Written without one, a policy would undo whatever somebody else has done since it was read.
#[tokio::test]
async fn a_policy_that_came_without_an_etag_is_not_written() {
    for resource in ["project/acme-prod", "bucket/b-1", "topic/t-1", "dataset/d"] {
        let resource = Resource::parse(resource, Some(&project())).expect("a resource");
        let server = Server::new(|_| answer(200, json!({"bindings": [], "access": []}))).await;
        let http = server.client();
        let policy = policies::read(&http, &resource).await.expect("read");
        let error = policies::write(&http, &resource, &policy).await;
        let error = error.expect_err("nothing to write under");
        assert!(error.message.contains("without an etag"), "{error}");
        assert_eq!(server.seen().len(), 1, "only the read");
    }
}

/// A dead and a live member of one address in one policy are refused, and BigQuery refuses all dead ones.
#[tokio::test]
async fn dead_members_that_an_api_does_not_take_back_are_left_out() {
    let (dead, live) = (
        "deleted:serviceAccount:CI@acme-prod.iam.gserviceaccount.com?uid=1",
        "serviceAccount:ci@acme-prod.iam.gserviceaccount.com",
    );
    let gone = "deleted:user:bob@example.com?uid=2";
    let policy = json!({"etag": "BwX=", "bindings": [
        {"role": "roles/viewer", "members": [dead, gone]},
        {"role": "roles/browser", "members": [dead]},
        {"role": "roles/editor", "members": ["user:ann@example.com", live]},
    ]});
    let (_, write) = read_and_write(Resource::ServiceAccount(email()), policy).await;
    assert_eq!(
        write.body["policy"]["bindings"],
        json!([
            {"role": "roles/viewer", "members": [gone]},
            {"role": "roles/editor", "members": ["user:ann@example.com", live]},
        ])
    );
    let dataset = Resource::parse("dataset/d", Some(&project())).expect("a dataset");
    let access = json!([{"role": "READER", "iamMember": gone}, {"role": "READER", "userByEmail": "ann@example.com"},
        {"view": {"projectId": "p", "datasetId": "d", "tableId": "v"}}]);
    let (_, write) = read_and_write(dataset, json!({"etag": "e", "access": access})).await;
    assert_eq!(write.body["access"], json!([access[1], access[2]]));
}

/// A server that always has one more page.
#[tokio::test]
async fn a_list_without_end_ends() {
    let server = Server::new(|n| {
        let page = json!({"accounts": [{"email": format!("a{n}@p-12345.iam.gserviceaccount.com")}], "nextPageToken": format!("t{n}")});
        page.to_string().into_response()
    })
    .await;
    let http = server.client();
    let project = ProjectId::parse("p-12345").expect("valid");
    let listed = iam::service_accounts(&http, &project).try_collect::<Vec<_>>();
    let error = listed.await.expect_err("no end");
    assert!(error.message.contains("does not end"), "{error}");
    assert!(error.url.contains("/serviceAccounts"), "{error}");
    assert!(server.seen().len() <= 1001, "{}", server.seen().len());
}

/// Three bytes on the wire are some hundred in memory.
#[tokio::test]
async fn an_answer_of_many_small_things_is_refused_before_it_is_unpacked() {
    let server = Server::new(|_| {
        let clusters = "{},".repeat(2_500_000);
        format!("{{\"clusters\": [{clusters}{{}}]}}").into_response()
    })
    .await;
    let http = server.patient_client();
    let project = ProjectId::parse("p-12345").expect("valid");
    let error = container::list_clusters(&http, &project).await;
    let error = error.expect_err("too many");
    assert!(
        error.message.contains("more than 4000000 values"),
        "{error}"
    );
}

/// What a server says is shown, and saved in plans: it is cut to what somebody reads.
#[tokio::test]
async fn long_texts_of_servers_are_cut() {
    let long = "x".repeat(500_000);
    for (status, body) in [
        (
            403,
            json!({"error": {"code": 403, "message": long, "status": long}}),
        ),
        (
            403,
            json!({"kind": "Status", "message": long, "details": {"causes": vec![json!({"message": long}); 200]}}),
        ),
        (200, json!({"clusters": long})),
    ] {
        let body = body.to_string();
        let server = Server::new(move |_| {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, body.clone()).into_response()
        })
        .await;
        let http = server.patient_client();
        let project = ProjectId::parse("p-12345").expect("valid");
        let error = container::list_clusters(&http, &project).await;
        let error = error.expect_err("refused");
        assert!(error.reason().len() < 3000, "{}", error.reason().len());
        assert!(format!("{error:?}").len() < 120_000);
    }
}

/// A server that takes connections and never says anything.
fn silent_server() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    (listener, url)
}

/// It is told while it lasts, and does not last for ever; whoever asks next is told sooner.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_told_of_and_given_up() {
    let (_listener, url) = silent_server();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let http = Http::new(HttpOptions {
        endpoints: Endpoints::all_at(&url).expect("loopback"),
        token: TokenSource::none(),
        notices: wi_client::http::Notices::to(move |text| drop(told.send(text.to_owned()))),
        ..HttpOptions::default()
    })
    .expect("a client");
    let mut asked = {
        let http = http.clone();
        tokio::spawn(async move { container::list_clusters(&http, &project()).await })
    };
    let said = tokio::select! {
        biased;
        said = heard.recv() => said.expect("it is told"),
        ended = &mut asked => panic!("given up without a word: {ended:?}"),
    };
    let server = url.trim_start_matches("http://").trim_end_matches('/');
    for part in [
        &format!(
            "Waiting for {server}: no answer to GET /v1/projects/acme-prod/locations/-/clusters for "
        ),
        "--request-timeout",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let error = asked.await.expect("no panic").expect_err("nothing came");
    assert_eq!(error.code, 0);
    assert!(error.message.contains("no answer for"), "{error}");
    // A hundred calls that wait for the same are told of once in a while, and wait less long.
    let project = project();
    let all = (0..100).map(|_| container::list_clusters(&http, &project));
    for ended in futures::future::join_all(all).await {
        ended.expect_err("nothing came");
    }
    let mut times = 0;
    while heard.try_recv().is_ok() {
        times += 1;
    }
    assert!(times < 24, "told {times} times");
}

/// What is begun and does not go on is as silent.
#[tokio::test(start_paused = true)]
async fn an_answer_that_stops_half_way_is_given_up() {
    let server = Server::new(|_| {
        let begun = futures::stream::iter([Ok::<_, std::io::Error>("{")]);
        Body::from_stream(begun.chain(futures::stream::pending())).into_response()
    })
    .await;
    let started = Instant::now();
    let error = container::list_clusters(&server.patient_client(), &project()).await;
    assert_eq!(error.expect_err("half an answer").code, 0);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(60), "{waited:?}");
    assert!(!server.seen().is_empty());
}
