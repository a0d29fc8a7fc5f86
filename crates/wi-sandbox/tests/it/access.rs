//! What IAM takes and refuses, and what pods get of it.

use serde_json::{Value, json};
use wi_sandbox::{PodAccess, Sandbox, Token};

use crate::support::{Client, start};

const CLUSTER: &str = "
clusters:
  - project: acme
    location: europe-west1
    name: main
    workloadPool: acme.svc.id.goog
    nodePools: [{ name: p, nodes: 2, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { pay: { uid: 0f0f } } } }
    pods: [{ name: web-1, namespace: shop, serviceAccountName: pay, owner: { kind: ReplicaSet, name: web } }]
";
const POOL: &str = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme.svc.id.goog";
const PROJECT: &str = "/v3/projects/acme";

async fn world(project: &str, rest: &str) -> Sandbox {
    start(&format!(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects:\n  acme: {{ number: 123456789012, {project} }}\n{rest}{CLUSTER}"
    ))
    .await
}

/// Roles as `ROLE on RESOURCE[ if …]`.
fn roles(pod: &PodAccess) -> Vec<String> {
    let roles = pod.roles.iter();
    roles
        .map(|g| {
            let only_if = g.only_if.as_ref().map(|c| format!(" if {c}"));
            format!(
                "{} on {}{}",
                g.role,
                g.resource,
                only_if.unwrap_or_default()
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federated_pod_is_known_by_its_uid_and_as_what_its_roles_make_it() {
    let by_uid = format!("principal://{POOL}/kubernetes.serviceaccount.uid/0f0f");
    let another = format!("principal://{POOL}/kubernetes.serviceaccount.uid/1e1e");
    let principal = format!("principal://{POOL}/subject/ns/shop/sa/pay");
    let sandbox = world(
        &format!("policy: {{ bindings: [{{ role: roles/editor, members: [\"{principal}\"] }}] }}"),
        &format!(
            "buckets:\n  mine: {{ project: acme }}\n  by-uid: {{ project: acme, policy: {{ bindings: [{{ role: roles/storage.objectViewer, members: [\"{by_uid}\"] }}, {{ role: roles/storage.admin, members: [\"{another}\"] }}] }} }}\n  open: {{ project: acme, policy: {{ bindings: [{{ role: roles/storage.objectViewer, members: [allAuthenticatedUsers] }}] }} }}\n"
        ),
    )
    .await;
    let pods = sandbox.access();
    assert_eq!(pods[0].token, Token::Federated(principal));
    assert_eq!(
        roles(&pods[0]),
        [
            "roles/storage.objectViewer on bucket/by-uid",
            "roles/storage.legacyBucketOwner on bucket/mine",
            "roles/storage.objectViewer on bucket/open if allAuthenticatedUsers has the federated identity in it",
            "roles/editor on project/acme",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_has_the_pods_of_its_daemons() {
    let sandbox = start(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: { acme: { number: 1 } }\nclusters:\n  - project: acme\n    location: europe-west1-b\n    name: main\n    workloadPool: acme.svc.id.goog\n    nodePools: [{ name: p, nodes: 3 }]\n    pods: [{ name: agent-1, owner: { kind: DaemonSet, name: agent } }]\n",
    )
    .await;
    let mut client = Client::of(&sandbox);
    let path = "/v1/projects/acme/locations/europe-west1-b/clusters/main/nodePools/p";
    let update = client.json(
        "PUT",
        path,
        &json!({"workloadMetadataConfig": {"mode": "GKE_METADATA"}}),
    );
    assert_eq!(update.status, 200);
    sandbox.settle().await;
    let cluster = &sandbox.snapshot().clusters[0];
    let mut on: Vec<&str> = cluster
        .pods
        .iter()
        .filter_map(|pod| pod.node.as_deref())
        .collect();
    on.sort_unstable();
    let mut nodes: Vec<&str> = cluster
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    nodes.sort_unstable();
    assert_eq!((on.len(), on), (3, nodes));
}

fn set(client: &mut Client, path: &str, bindings: &Value) -> (u16, Value) {
    let body = json!({"policy": {"bindings": bindings, "version": 3}});
    let answer = client.json("POST", &format!("{path}:setIamPolicy"), &body);
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_policy_refuses_one_member_of_several() {
    let sandbox = world(
        "policy: { bindings: [{ role: roles/browser, members: [user:old@other.org] }] }",
        "organizationPolicies:\n  - { constraint: iam.allowedPolicyMemberDomains, refusedMembers: [\"user:*@other.org\"] }\n  - { constraint: constraints/iam.disableServiceAccountCreation, projects: [acme] }\n",
    )
    .await;
    let mut client = Client::of(&sandbox);
    let (code, refused) = set(
        &mut client,
        PROJECT,
        &json!([{"role": "roles/browser", "members": ["user:old@other.org", "user:new@other.org", "user:ann@example.com"]}]),
    );
    assert_eq!(
        (code, &refused["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
    let violations = &refused["error"]["details"][0]["violations"];
    assert_eq!(
        violations[0]["type"],
        "constraints/iam.allowedPolicyMemberDomains"
    );
    assert_eq!(
        violations[0]["subject"],
        "orgpolicy:projects/acme?configvalue=user:new@other.org"
    );
    assert_eq!(
        violations.as_array().map(Vec::len),
        Some(1),
        "who is there may stay"
    );
    let (code, _) = set(
        &mut client,
        PROJECT,
        &json!([{"role": "roles/browser", "members": ["user:old@other.org", "user:ann@example.com"]}]),
    );
    assert_eq!(code, 200);
    let account = json!({"accountId": "checkout"});
    let made = client.json("POST", "/v1/projects/acme/serviceAccounts", &account);
    assert_eq!(
        (made.status, &made.json()["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn iam_takes_back_what_it_holds_and_nothing_else_that_it_cannot_see() {
    let held = "serviceAccount:ci@elsewhere.iam.gserviceaccount.com";
    let dead = "deleted:serviceAccount:pay@acme.iam.gserviceaccount.com?uid=111111111111111111111";
    let workforce =
        "principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/ann";
    let sandbox = world(
        &format!("serviceAccounts: {{ pay: {{}} }}, policy: {{ bindings: [{{ role: roles/browser, members: [\"{held}\", \"{dead}\"] }}] }}"),
        "",
    )
    .await;
    let mut client = Client::of(&sandbox);
    let mut put = |members: &[&str]| {
        let (code, answer) = set(
            &mut client,
            PROJECT,
            &json!([{"role": "roles/browser", "members": members}]),
        );
        (
            code,
            answer["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    assert_eq!(put(&[held, dead, workforce]).0, 200);
    let (code, message) = put(&["serviceAccount:cd@elsewhere.iam.gserviceaccount.com"]);
    assert_eq!(code, 400);
    assert!(message.ends_with("does not exist."), "{message}");
    let (code, message) = put(&[dead, "serviceAccount:pay@acme.iam.gserviceaccount.com"]);
    assert_eq!(code, 400);
    assert!(
        message.starts_with("Inconsistent representation of deleted member"),
        "{message}"
    );
    // Compute Engine's default account has a policy as any other.
    let path =
        "/v1/projects/acme/serviceAccounts/123456789012-compute@developer.gserviceaccount.com";
    let bindings =
        json!([{"role": "roles/iam.serviceAccountUser", "members": ["user:ann@example.com"]}]);
    assert_eq!(set(&mut client, path, &bindings).0, 200);
    assert_eq!(
        client
            .json("POST", &format!("{path}:getIamPolicy"), &json!({}))
            .json()["bindings"],
        bindings
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_does_not_suit_or_is_misspelt_is_refused() {
    let sandbox = world(
        "policy: { bindings: [{ role: roles/storage.objectViewe, members: [user:ann@example.com] }] }",
        "buckets: { b: { project: acme } }\n",
    )
    .await;
    let mut client = Client::of(&sandbox);
    let mut put = |role: &str| {
        let body = json!({"bindings": [{"role": role, "members": ["user:ann@example.com"]}]});
        client.json("PUT", "/storage/v1/b/b/iam", &body).status
    };
    assert_eq!(put("roles/storage.objectViewer"), 200);
    assert_eq!(put("projects/acme/roles/mine"), 200);
    for role in [
        "roles/pubsub.publisher",
        "roles/viewer",
        "roles/storage.objectViewre",
    ] {
        assert_eq!(put(role), 400, "{role}");
    }
    // What is there is not looked at again.
    let there = json!([{"role": "roles/storage.objectViewe", "members": ["user:bob@example.com"]}]);
    assert_eq!(set(&mut client, PROJECT, &there).0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_takes_no_dead_member() {
    let dataset = "//bigquery.googleapis.com/projects/acme/datasets/sales";
    let sandbox = world("", &format!("resources: {{ {dataset}: {{}} }}\n")).await;
    let mut client = Client::of(&sandbox);
    let path = "/bigquery/v2/projects/acme/datasets/sales";
    let mut write = |verb: &str, member: &str| {
        let body = json!({"access": [{"role": "READER", "iamMember": member}]});
        client.json(verb, path, &body).status
    };
    let dead = "deleted:serviceAccount:pay@acme.iam.gserviceaccount.com?uid=1";
    assert_eq!(write("PATCH", dead), 400);
    assert_eq!(write("PUT", "allAuthenticatedUsers"), 200);
    let missing = client
        .get("/bigquery/v2/projects/acme/datasets/nope")
        .json();
    assert_eq!(missing["error"]["message"], "Not found: Dataset acme:nope");
}
