//! The search of policies: what is found, when, and in pages.

use serde_json::{Value, json};

use crate::support::{Client, start};

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 0.001
propagationSeconds: { policySearch: 60 }
projects:
  acme: { number: 111111111111, ancestors: [folder/5, organization/7], serviceAccounts: { worker: { policy: { bindings: [{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:acme.svc.id.goog[shop/web]\"] }] } } } }
  other: { number: 222222222222, ancestors: [organization/7], policy: { bindings: [{ role: roles/viewer, members: [\"serviceAccount:worker@acme.iam.gserviceaccount.com\", user:ann@example.com] }, { role: roles/editor, members: [user:ann@example.com] }] } }
buckets:
  one: { project: acme, policy: { etag: CAE=, bindings: [{ role: roles/storage.objectViewer, members: [\"principal://iam.googleapis.com/projects/111111111111/locations/global/workloadIdentityPools/acme.svc.id.goog/subject/ns/shop/sa/web\"] }] } }
  two: { project: acme, policy: { etag: CAE=, bindings: [{ role: roles/storage.objectViewer, members: [\"serviceAccount:worker@acme.iam.gserviceaccount.com\"], condition: { title: t, expression: \"true\" } }] } }
  three: { project: acme, policy: { etag: CAE=, bindings: [{ role: roles/storage.objectViewer, members: [\"serviceAccount:x@my-acme.iam.gserviceaccount.com\"] }] } }
";

fn names(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().into_iter().flatten();
    results.filter_map(|r| r["resource"].as_str()).collect()
}

fn path(scope: &str, query: &str) -> String {
    let query = query.replace('"', "%22").replace(' ', "%20");
    format!("/v1/{scope}:searchAllIamPolicies?query={query}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_are_bindings_by_their_words_in_the_scope() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let pool = client
        .get(&path("projects/acme", r#"policy:"acme.svc.id.goog""#))
        .json();
    let names_of = names(&pool);
    assert_eq!(names_of.len(), 2, "{pool}");
    assert!(names_of.contains(&"//storage.googleapis.com/one"));
    assert!(
        names_of
            .iter()
            .any(|n| n.starts_with("//iam.googleapis.com/projects/acme/serviceAccounts/1"))
    );
    // Words, not texts: who asks has to look again.
    let account = r#"policy:("acme.iam.gserviceaccount.com" OR "acme.svc.id.goog")"#;
    let found = client.get(&path("projects/111111111111", account)).json();
    assert_eq!(names(&found).len(), 4, "{found}");
    let bucket = found["results"]
        .as_array()
        .expect("some")
        .iter()
        .find(|r| r["resource"] == "//storage.googleapis.com/two");
    assert_eq!(
        *bucket.expect("two"),
        json!({
            "resource": "//storage.googleapis.com/two",
            "assetType": "storage.googleapis.com/Bucket",
            "project": "projects/111111111111",
            "folders": ["folders/5"],
            "organization": "organizations/7",
            "policy": { "bindings": [{
                "role": "roles/storage.objectViewer",
                "members": ["serviceAccount:worker@acme.iam.gserviceaccount.com"],
                "condition": { "title": "t", "expression": "true" },
            }] },
        })
    );
    // Only the bindings that match.
    let above = client
        .get(&path(
            "organizations/7",
            r#"policy:"worker@acme.iam.gserviceaccount.com""#,
        ))
        .json();
    assert_eq!(
        names(&above),
        [
            "//cloudresourcemanager.googleapis.com/projects/other",
            "//storage.googleapis.com/two"
        ]
    );
    assert_eq!(
        above["results"][0]["policy"]["bindings"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        names(
            &client
                .get(&path(
                    "folders/5",
                    r#"policy:"worker@acme.iam.gserviceaccount.com""#
                ))
                .json()
        ),
        ["//storage.googleapis.com/two"]
    );
    assert_eq!(
        client.get(&path("projects/nope", r#"policy:"x""#)).status,
        403
    );
    assert_eq!(client.get(&path("projects/acme", "who:x")).status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_one_another() {
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    let (mut all, mut token) = (Vec::new(), String::new());
    for _ in 0..9 {
        let page = format!(
            "{}&pageSize=2&pageToken={token}",
            path("organizations/7", "policy:acme")
        );
        let page = client.get(&page).json();
        let found = names(&page);
        assert!(found.len() <= 2, "{page}");
        all.extend(found.into_iter().map(str::to_owned));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(all.len(), 5, "{all:?}");
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_is_behind_by_simulated_time() {
    let write = |client: &mut Client| {
        let policy = json!({"policy": {"bindings": [{"role": "roles/viewer", "members": ["serviceAccount:worker@acme.iam.gserviceaccount.com"]}]}});
        let answer = client.json("POST", "/v3/projects/acme:setIamPolicy", &policy);
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let asked = path(
        "projects/acme",
        r#"policy:"worker@acme.iam.gserviceaccount.com""#,
    );
    // A clock that all but stands.
    let sandbox = start(WORLD).await;
    let mut client = Client::of(&sandbox);
    write(&mut client);
    assert_eq!(
        names(&client.get(&asked).json()),
        ["//storage.googleapis.com/two"]
    );
    // One that flies.
    let sandbox = start(&WORLD.replace("timeScale: 0.001", "timeScale: 10000000")).await;
    let mut client = Client::of(&sandbox);
    write(&mut client);
    let own = "//cloudresourcemanager.googleapis.com/projects/acme";
    while !names(&client.get(&asked).json()).contains(&own) {}
}
