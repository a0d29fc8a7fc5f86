//! Other writers of the same policies, during an apply: not one binding, condition, audit setting or
//! dead member of theirs is lost, and of ours just what the plan showed is changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wi::apply::{self, Context, Limits, Status};
use wi_core::plan::{Action, Edit};
use wi_sandbox::{Sandbox, World};

use crate::support::client::Client;
use crate::support::size;

const SPEC: &str = "
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
googleServiceAccounts:
  checkout:
    grants:
      - roles/cloudsql.client
      - roles/pubsub.publisher
      - { role: roles/storage.objectViewer, resource: bucket/receipts }
      - { role: roles/logging.logWriter, expires: 2030-01-01 }
  reporter: { grants: [{ role: roles/viewer, resource: secret/stripe }] }
namespaces:
  shop:
    serviceAccounts:
      checkout: { impersonates: checkout }
      direct: { grants: [roles/monitoring.viewer, { role: roles/storage.objectViewer, resource: bucket/receipts }] }
";

const WORLD: &str = "
apiVersion: wi.sandbox/v1
timeScale: 4000
operationSeconds: { updateCluster: 200 }
faults: [{ percent: 30, latencyMs: 3 }]
projects:
  acme-prod:
    policy:
      bindings:
        - { role: roles/owner, members: [user:ann@example.com] }
        - role: roles/editor
          members: [\"serviceAccount:checkout@acme-prod.iam.gserviceaccount.com\", user:bob@example.com]
        - role: roles/logging.logWriter
          members: [group:ops@example.com]
          condition: { title: office, expression: request.time.getHours() < 18 }
      auditConfigs: [{ service: allServices, auditLogConfigs: [{ logType: DATA_READ }] }]
    serviceAccounts: { checkout: {} }
buckets: { receipts: { project: acme-prod } }
resources: { //secretmanager.googleapis.com/projects/acme-prod/secrets/stripe: {} }
clusters:
  - { project: acme-prod, location: europe-west1, name: main, nodePools: [{ name: p, nodes: 2 }] }
";

/// The policies that everybody writes: how each is read, written, and where the world has it.
const POLICIES: [(&str, &str, &str, &str, &str); 3] = [
    (
        "POST",
        "v3/projects/acme-prod:getIamPolicy",
        "POST",
        "v3/projects/acme-prod:setIamPolicy",
        "/projects/acme-prod/policy",
    ),
    (
        "GET",
        "storage/v1/b/receipts/iam?optionsRequestedPolicyVersion=3",
        "PUT",
        "storage/v1/b/receipts/iam",
        "/buckets/receipts/policy",
    ),
    (
        "GET",
        "v1/projects/acme-prod/secrets/stripe:getIamPolicy?options.requestedPolicyVersion=3",
        "POST",
        "v1/projects/acme-prod/secrets/stripe:setIamPolicy",
        "/resources/~1~1secretmanager.googleapis.com~1projects~1acme-prod~1secrets~1stripe/policy",
    ),
];

/// Role, condition and member.
type Entry = (String, String, String);

fn entries(policy: &Value) -> BTreeSet<Entry> {
    let mut all = BTreeSet::new();
    for binding in policy["bindings"].as_array().into_iter().flatten() {
        for member in binding["members"].as_array().into_iter().flatten() {
            all.insert((
                binding["role"].as_str().unwrap_or_default().to_owned(),
                binding["condition"].to_string(),
                member.as_str().unwrap_or_default().to_owned(),
            ));
        }
    }
    all
}

fn is_ours(member: &str) -> bool {
    ["checkout@", "reporter@", "[shop/", "/ns/shop/sa/"]
        .iter()
        .any(|part| member.contains(part))
}

/// Somebody who changes one policy again and again, under its etag; knows what is to be in it.
struct Writer {
    client: reqwest::Client,
    endpoint: String,
    token: String,
    policy: usize,
    theirs: BTreeSet<Entry>,
}

impl Writer {
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.endpoint))
            .bearer_auth(&self.token);
        if method != reqwest::Method::GET {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// One change: a member more or a member fewer.
    async fn change(&mut self, number: u32) {
        let path = POLICIES[self.policy].3;
        let role = if path.contains("/b/") {
            [
                "roles/storage.objectViewer",
                "roles/storage.objectAdmin",
                "roles/storage.admin",
            ]
        } else if path.contains("/secrets/") {
            [
                "roles/viewer",
                "roles/secretmanager.viewer",
                "roles/secretmanager.secretAccessor",
            ]
        } else {
            [
                "roles/viewer",
                "roles/cloudsql.client",
                "roles/logging.logWriter",
            ]
        }[number as usize % 3];
        let member = format!("user:u{}@example.com", number % 7);
        let condition = if number.is_multiple_of(2) {
            Value::Null
        } else {
            json!({"title": "theirs", "expression": "request.time < timestamp(\"2031-01-01T00:00:00Z\")"})
        };
        // Basic roles take no condition.
        let condition = if role == "roles/viewer" {
            Value::Null
        } else {
            condition
        };
        let entry = (role.to_owned(), condition.to_string(), member.clone());
        let (read, read_path, write, write_path, _) = POLICIES[self.policy];
        loop {
            let ask = json!({"options": {"requestedPolicyVersion": 3}});
            let (_, mut policy) = self.call(read, read_path, ask).await;
            let mut bindings = policy["bindings"].as_array().cloned().unwrap_or_default();
            let at = bindings
                .iter()
                .position(|b| b["role"] == role && b["condition"] == condition);
            let adds = !self.theirs.contains(&entry);
            match at {
                Some(at) => {
                    let members = bindings[at]["members"].as_array_mut().expect("members");
                    if adds {
                        members.push(member.clone().into());
                    } else {
                        members.retain(|m| *m != member.as_str());
                    }
                }
                None => {
                    let mut binding = json!({"role": role, "members": [member]});
                    if !condition.is_null() {
                        binding["condition"] = condition.clone();
                    }
                    bindings.push(binding);
                }
            }
            policy["bindings"] = bindings.into();
            policy["version"] = 3.into();
            let body = if write == "PUT" {
                policy
            } else {
                json!({ "policy": policy })
            };
            match self.call(write, write_path, body).await {
                (200, _) => {
                    if adds {
                        self.theirs.insert(entry);
                    } else {
                        self.theirs.remove(&entry);
                    }
                    return;
                }
                (409 | 412, _) => tokio::time::sleep(Duration::from_millis(2)).await,
                (status, body) => panic!("{status}: {body}"),
            }
        }
    }
}

async fn race(numbers: Vec<u32>, pause: u64) -> Result<(), TestCaseError> {
    let sandbox = Sandbox::start(
        World::parse(WORLD, "world.yaml").expect("valid"),
        wi_sandbox::Options::default(),
    )
    .await
    .expect("the sandbox starts");
    let client = Client::of(SPEC, &sandbox);
    let before = json!(sandbox.snapshot());
    let (plan, live) = client.plan().await;
    prop_assert!(plan.errors.is_empty(), "{:?}", plan.errors);

    let writers = POLICIES.iter().enumerate().map(|(policy, (.., place))| {
        let theirs = entries(before.pointer(place).unwrap_or(&Value::Null));
        let mut writer = Writer {
            client: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
            endpoint: sandbox.endpoint(),
            token: sandbox.token(),
            policy,
            theirs: theirs.into_iter().filter(|(.., m)| !is_ours(m)).collect(),
        };
        let numbers = numbers.clone();
        async move {
            for number in numbers {
                writer.change(number).await;
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            writer.theirs
        }
    });
    let limits = Limits {
        poll: Duration::from_millis(3),
        ..Limits::default()
    };
    let context = Context::new(
        client.http.clone(),
        plan.clone(),
        &client.desired,
        &live,
        &crate::support::client::options(),
        Arc::new(wi::apply::Unobserved),
        limits,
    );
    let (outcome, theirs) = tokio::join!(
        apply::apply(Arc::new(context), CancellationToken::new()),
        futures::future::join_all(writers),
    );
    for (address, end) in &outcome {
        prop_assert_eq!(end, &Status::Done, "{}", address);
    }
    let after = json!(sandbox.snapshot());
    for ((.., place), theirs) in POLICIES.iter().zip(theirs) {
        let now = entries(after.pointer(place).unwrap_or(&Value::Null));
        let foreign: BTreeSet<Entry> = now.into_iter().filter(|(.., m)| !is_ours(m)).collect();
        prop_assert_eq!(foreign, theirs, "{}", place);
    }
    prop_assert_eq!(
        &after["projects"]["acme-prod"]["policy"]["auditConfigs"],
        &before["projects"]["acme-prod"]["policy"]["auditConfigs"]
    );

    // Ours changed as the plan said, and in no other way.
    let ours = |world: &Value| -> BTreeSet<(String, Entry)> {
        POLICIES
            .iter()
            .flat_map(|(.., place)| {
                entries(world.pointer(place).unwrap_or(&Value::Null))
                    .into_iter()
                    .filter(|(.., m)| is_ours(m))
                    .map(|e| ((*place).to_owned(), e))
            })
            .collect()
    };
    let (had, has) = (ours(&before), ours(&after));
    let count = |action| {
        plan.changes
            .values()
            .filter(|c| {
                c.action() == action
                    && matches!(&c.edit, Edit::Binding(b) if !b.key.is_impersonation())
            })
            .count()
    };
    prop_assert_eq!(has.difference(&had).count(), count(Action::Create));
    prop_assert_eq!(had.difference(&has).count(), count(Action::Delete));
    prop_assert!(client.plan().await.0.is_empty());
    sandbox.stop().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size(24) as u32, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_others_is_lost(numbers in prop::collection::vec(any::<u32>(), 5..25), pause in 0..12_u64) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(race(numbers, pause))?;
    }
}
