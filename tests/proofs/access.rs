//! What `wi explain` says is what the oracle finds: over random worlds, and with every link of the chain
//! broken, alone and in pairs. With any read refused nothing is broken, and nothing allowed, that was not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use wi::engine::pipeline::Found;
use wi::explain::{Chain, Query, explain};
use wi_client::auth::TokenSource;
use wi_client::http::{Endpoints, Http, HttpOptions};
use wi_core::access::Subject;
use wi_core::access::ladder::{Rung, State, Verdict};
use wi_core::desired::Desired;
use wi_core::names::ProjectId;
use wi_sandbox::{Fault, Options, Sandbox, Token, World};

use crate::support::inside::{calls_as_matches, runtime};
use crate::support::size;

pub(crate) const WORLDS: usize = 1000;
pub(crate) const CLUSTER: &str = "acme-prod/europe-west1/main";
const POOL: &str =
    "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/acme-prod.svc.id.goog";
const LEGACY: &str = "serviceAccount:acme-prod.svc.id.goog[shop/web]";
const GSA: &str = "web-app@acme-prod.iam.gserviceaccount.com";
pub(crate) const READ: &str = "storage.objects.get";
const ACCESS: &str = "secretmanager.versions.access";
const SECRET: &str = "//secretmanager.googleapis.com/projects/acme-prod/secrets/stripe";
const FOLDER: &str = "//cloudresourcemanager.googleapis.com/folders/7";
const ORGANIZATION: &str = "//cloudresourcemanager.googleapis.com/organizations/9";
const PROJECT: &str = "//cloudresourcemanager.googleapis.com/projects/acme-prod";

/// A world in which every link holds: shop/web acts as web, which reads a bucket and a secret.
pub(crate) fn whole() -> Value {
    json!({
        "apiVersion": "wi.sandbox/v1",
        "customRoles": [
            {"name": "projects/acme-prod/roles/reader", "permissions": [READ]},
            {"name": "projects/acme-prod/roles/off", "permissions": [READ], "stage": "DISABLED"},
        ],
        "denyPolicies": [],
        "accessBoundaries": [],
        "projects": {"acme-prod": {
            "number": 42,
            "ancestors": ["folder/7", "organization/9"],
            "serviceAccounts": {
                "web-app": {"policy": {"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": [LEGACY]}]}},
                "node": {},
            },
        }},
        "buckets": {"acme-receipts": {"project": "acme-prod", "policy": {"bindings": [
            {"role": "roles/storage.objectViewer", "members": [format!("serviceAccount:{GSA}")]},
        ]}}},
        "resources": {
            SECRET: {"policy": {"bindings": [
                {"role": "roles/secretmanager.secretAccessor", "members": [format!("serviceAccount:{GSA}")]},
            ]}},
            FOLDER: {},
            ORGANIZATION: {},
        },
        "clusters": [{
            "project": "acme-prod", "location": "europe-west1", "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{"name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA", "serviceAccount": "node@acme-prod.iam.gserviceaccount.com"}],
            "namespaces": {"shop": {"serviceAccounts": {"web": {"uid": "0f0f", "annotations": {"iam.gke.io/gcp-service-account": GSA}}}}},
            "pods": [{"name": "web-1", "namespace": "shop", "serviceAccountName": "web"}],
        }],
    })
}

pub(crate) const SPEC: &str = "apiVersion: wi/v1
name: proof
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  web-app: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }
namespaces: { shop: { serviceAccounts: { web: { impersonates: web-app } } } }
";

pub(crate) async fn serve(world: &Value) -> (Sandbox, Http) {
    let text = world.to_string();
    let world = World::parse(&text, "world.yaml").unwrap_or_else(|e| panic!("{e}: {text}"));
    let sandbox = Sandbox::start(world, Options::default())
        .await
        .expect("it starts");
    let http = Http::new(HttpOptions {
        endpoints: Endpoints::all_at(&sandbox.endpoint()).expect("endpoints"),
        token: TokenSource::fixed(sandbox.token()),
        ..HttpOptions::default()
    })
    .expect("a client");
    (sandbox, http)
}

async fn ask(http: &Http, with_spec: bool, permission: &str, to: &str) -> Chain {
    let query = Query {
        subject: Subject::parse("pod/shop/web-1").expect("a subject"),
        to: Some(to.to_owned()),
        permission: Some(permission.to_owned()),
        at: Some(jiff::Timestamp::now()),
        cluster: None,
        project: ProjectId::parse("acme-prod").ok(),
    };
    let found = with_spec.then(|| {
        let source = wi_core::spec::Source::new("wi.yaml".to_owned(), SPEC.to_owned());
        let spec = wi_core::spec::load_sources(vec![source]).expect("a valid spec");
        Found {
            desired: Desired::of(&spec),
            lists: BTreeMap::new(),
            unlisted: BTreeMap::new(),
        }
    });
    let mut chains = explain(http, found, &query).await.expect("an answer");
    assert_eq!(chains.len(), 1, "{chains:?}");
    chains.remove(0)
}

fn member() -> impl Strategy<Value = Value> {
    let url =
        "https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters";
    prop::sample::select(vec![
        json!(LEGACY),
        json!(LEGACY),
        json!(format!("principal://{POOL}/subject/ns/shop/sa/web")),
        json!(format!(
            "principal://{}/subject/ns/shop/sa/web",
            POOL.replace("/42/", "/43/")
        )),
        json!(format!("principalSet://{POOL}/namespace/shop")),
        json!(format!("principalSet://{POOL}/namespace/other")),
        json!(format!(
            "principalSet://{POOL}/kubernetes.cluster/{url}/main"
        )),
        json!(format!(
            "principalSet://{POOL}/kubernetes.cluster/{url}/other"
        )),
        json!(format!(
            "principalSet://{POOL}/kubernetes.serviceaccount.uid/0f0f"
        )),
        json!(format!("principalSet://{POOL}/*")),
        json!("serviceAccount:acme-prod.svc.id.goog[shop-dev/web]"),
        json!(format!("serviceAccount:{GSA}")),
        json!(format!("serviceAccount:{GSA}")),
        json!("serviceAccount:node@acme-prod.iam.gserviceaccount.com"),
        json!("principalSet://cloudresourcemanager.googleapis.com/projects/42/type/ServiceAccount"),
        json!("projectOwner:acme-prod"),
        json!("projectEditor:acme-prod"),
        json!("allAuthenticatedUsers"),
        json!("user:ann@example.com"),
        json!("deleted:serviceAccount:web-app@acme-prod.iam.gserviceaccount.com?uid=1"),
    ])
}

fn condition() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![
        None,
        None,
        None,
        Some("request.time < timestamp('2020-01-01T00:00:00Z')"),
        Some("request.time < timestamp('2090-01-01T00:00:00Z')"),
        Some("resource.matchTag('9/env', 'prod')"),
    ])
}

fn policy(roles: &'static [&'static str], most: usize) -> impl Strategy<Value = Value> {
    let binding = (
        prop::sample::select(roles.to_vec()),
        prop::collection::vec(member(), 1..3),
        condition(),
    );
    let binding = binding.prop_map(|(role, members, condition)| {
        let mut binding = json!({"role": role, "members": members});
        if let Some(expression) = condition.filter(|_| !role.starts_with("roles/owner")) {
            binding["condition"] = json!({"title": "t", "expression": expression});
        }
        binding
    });
    prop::collection::vec(binding, 0..most).prop_map(|bindings| json!({"bindings": bindings}))
}

const TOKENS: &[&str] = &[
    "roles/iam.workloadIdentityUser",
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
];
const STORAGE: &[&str] = &[
    "roles/storage.objectViewer",
    "roles/storage.objectCreator",
    "roles/storage.legacyBucketReader",
    "projects/acme-prod/roles/reader",
    "projects/acme-prod/roles/off",
];
const ABOVE: &[&str] = &[
    "roles/owner",
    "roles/editor",
    "roles/storage.objectViewer",
    "roles/secretmanager.secretAccessor",
    "roles/iam.workloadIdentityUser",
    "roles/browser",
];

fn denies() -> impl Strategy<Value = Value> {
    let who = prop::sample::select(vec![
        "principalSet://goog/public:all".to_owned(),
        format!("principal://{POOL}/subject/ns/shop/sa/web"),
        format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{GSA}"),
        "principalSet://goog/group/devs@example.com".to_owned(),
    ]);
    let what = prop::sample::select(vec![
        "storage.googleapis.com/objects.get",
        "storage.googleapis.com/objects.*",
        "storage.googleapis.com/objects.list",
        "secretmanager.googleapis.com/versions.access",
        "iam.googleapis.com/serviceAccounts.getAccessToken",
    ]);
    let at = prop::sample::select(vec!["project/acme-prod", "folder/7", "organization/9"]);
    let rule = (at, who.clone(), what, prop::option::weighted(0.2, who));
    let rule = rule.prop_map(|(at, who, what, but)| {
        json!({"at": at, "id": "x", "rules": [{
            "deniedPrincipals": [who], "deniedPermissions": [what],
            "exceptionPrincipals": but.into_iter().collect::<Vec<_>>(),
        }]})
    });
    prop::option::weighted(0.25, rule).prop_map(|rule| json!(rule.into_iter().collect::<Vec<_>>()))
}

fn boundaries() -> impl Strategy<Value = Value> {
    let to = prop::sample::select(vec![
        PROJECT,
        FOLDER,
        "//cloudresourcemanager.googleapis.com/projects/other-prod",
    ]);
    let bound = prop::sample::select(vec![
        PROJECT.to_owned(),
        FOLDER.to_owned(),
        format!("//{POOL}"),
    ]);
    let version = prop::sample::select(vec!["2", "3", "4"]);
    let one = (to, bound, version).prop_map(|(to, bound, version)| {
        json!({"organization": "9", "id": "b", "resources": [to], "boundTo": [bound], "enforcementVersion": version})
    });
    prop::option::weighted(0.2, one).prop_map(|one| json!(one.into_iter().collect::<Vec<_>>()))
}

pub(crate) fn random() -> impl Strategy<Value = Value> {
    let annotation = prop::sample::select(vec![
        None,
        Some(GSA),
        Some(GSA),
        Some("gone@acme-prod.iam.gserviceaccount.com"),
        Some("nonsense"),
    ]);
    let mode = prop::sample::select(vec![
        "GKE_METADATA",
        "GKE_METADATA",
        "GKE_METADATA",
        "GCE_METADATA",
    ]);
    (
        (
            annotation,
            mode,
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.05),
        ),
        policy(TOKENS, 3),
        policy(STORAGE, 3),
        policy(
            &[
                "roles/secretmanager.secretAccessor",
                "roles/secretmanager.viewer",
            ],
            2,
        ),
        policy(ABOVE, 3),
        policy(ABOVE, 2),
        denies(),
        boundaries(),
    )
        .prop_map(
            |(
                (annotation, mode, host, disabled, no_ksa),
                tokens,
                bucket,
                secret,
                project,
                folder,
                denies,
                boundaries,
            )| {
                let mut world = whole();
                let account = &mut world["clusters"][0]["namespaces"]["shop"]["serviceAccounts"];
                match (annotation, no_ksa) {
                    (_, true) => *account = json!({}),
                    (None, _) => account["web"]["annotations"] = json!({}),
                    (Some(text), _) => {
                        account["web"]["annotations"]["iam.gke.io/gcp-service-account"] =
                            json!(text)
                    }
                }
                let cluster = &mut world["clusters"][0];
                cluster["nodePools"][0]["workloadMetadata"] = json!(mode);
                cluster["pods"][0]["hostNetwork"] = json!(host);
                let home = &mut world["projects"]["acme-prod"];
                home["serviceAccounts"]["web-app"]["policy"] = tokens;
                home["serviceAccounts"]["web-app"]["disabled"] = json!(disabled);
                home["policy"] = project;
                world["buckets"]["acme-receipts"]["policy"] = bucket;
                world["resources"][SECRET]["policy"] = secret;
                world["resources"][FOLDER]["policy"] = folder;
                world["denyPolicies"] = denies;
                world["accessBoundaries"] = boundaries;
                world
            },
        )
}

/// The link that the oracle means.
fn rungs(link: &str) -> &'static [Rung] {
    match link {
        "serviceAccount" => &[Rung::ServiceAccount],
        "pool" => &[Rung::ClusterPool],
        "account" => &[Rung::Account, Rung::Annotation],
        "binding" => &[Rung::Binding, Rung::Deny, Rung::Boundary],
        "grant" => &[Rung::Grant],
        "role" => &[Rung::Role],
        "condition" => &[Rung::Condition],
        "deny" => &[Rung::Deny],
        "boundary" => &[Rung::Boundary],
        "scopes" => &[Rung::NodePool],
        other => panic!("{other}"),
    }
}

fn agrees(chain: &Chain, token: &Token, decision: &wi_sandbox::Decision) -> Result<(), String> {
    let ladder = &chain.ladder;
    let first = ladder.first().map(|l| l.rung);
    let is_node = matches!(token, Token::Node(_));
    let wanted = match decision.allowed {
        Some(true) => Verdict::Allowed,
        Some(false) => Verdict::Denied,
        None => return Ok(()),
    };
    if ladder.verdict != wanted {
        return Err(format!("{:?}, and the oracle {wanted:?}", ladder.verdict));
    }
    let fits = match (wanted, is_node) {
        (Verdict::Denied, false) => first.is_some_and(|f| rungs(decision.link).contains(&f)),
        (_, true) => matches!(first, Some(Rung::HostNetwork | Rung::Node | Rung::NodePool)),
        _ => first.is_none(),
    };
    match fits {
        true => Ok(()),
        false => Err(format!("first {first:?}, and the oracle {}", decision.link)),
    }
}

#[test]
fn explain_says_what_the_oracle_finds_over_random_worlds() {
    let mut runner = TestRunner::deterministic();
    let worlds: Vec<Value> = (0..size(WORLDS))
        .map(|_| random().new_tree(&mut runner).expect("a world").current())
        .collect();
    let (mut allowed, mut denied, mut links) = (0, 0, std::collections::BTreeSet::new());
    runtime().block_on(async {
        for world in worlds {
            let (sandbox, http) = serve(&world).await;
            for (permission, to, name) in [
                (READ, "bucket/acme-receipts", "bucket/acme-receipts"),
                (ACCESS, "secret/stripe", SECRET),
            ] {
                let chain = ask(&http, false, permission, to).await;
                let (token, decision) = sandbox
                    .call(CLUSTER, "shop/web-1", permission, name)
                    .expect("a pod");
                if let Err(why) = agrees(&chain, &token, &decision) {
                    panic!(
                        "{why}\n{token:?} {decision:?}\n{:#?}\n{world:#}",
                        chain.ladder
                    );
                }
                match decision.allowed {
                    Some(true) => allowed += 1,
                    Some(false) => {
                        denied += 1;
                        links.insert(decision.link);
                    }
                    None => {}
                }
            }
        }
    });
    // Both happen, and for all reasons.
    assert!(
        allowed * 20 > size(WORLDS),
        "{allowed} allowed, {denied} denied"
    );
    assert!(
        denied * 5 > size(WORLDS),
        "{allowed} allowed, {denied} denied"
    );
    for link in [
        "serviceAccount",
        "account",
        "binding",
        "grant",
        "role",
        "deny",
    ] {
        assert!(links.contains(link), "{link}: {links:?}");
    }
}

/// A link, and what breaks it alone.
pub(crate) type Break = (Rung, fn(&mut Value));

fn pod(world: &mut Value) -> &mut Value {
    &mut world["clusters"][0]["pods"][0]
}

pub(crate) const BREAKS: [Break; 16] = [
    (Rung::ServiceAccount, |w| {
        w["clusters"][0]["namespaces"]["shop"]["serviceAccounts"] = json!({});
    }),
    (Rung::Annotation, |w| {
        w["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"]["annotations"] = json!({});
    }),
    (Rung::HostNetwork, |w| pod(w)["hostNetwork"] = json!(true)),
    (Rung::Node, |w| {
        let cluster = &mut w["clusters"][0];
        cluster["nodes"] =
            json!([{"name": "n-1", "pool": "p", "ready": true, "metadataServer": false}]);
        cluster["pods"][0]["node"] = json!("n-1");
    }),
    (Rung::NodePool, |w| {
        w["clusters"][0]["nodePools"][0]["workloadMetadata"] = json!("GCE_METADATA");
    }),
    (Rung::Apis, |w| {
        w["projects"]["acme-prod"]["disabledServices"] = json!(["iamcredentials.googleapis.com"]);
    }),
    (Rung::Account, |w| {
        w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["disabled"] = json!(true);
    }),
    (Rung::Binding, |w| {
        w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["policy"]["bindings"][0]["members"] =
            json!(["serviceAccount:acme-prod.svc.id.goog[shop-dev/web]"]);
    }),
    (Rung::Grant, |w| {
        w["buckets"]["acme-receipts"]["policy"]["bindings"][0]["members"] =
            json!(["user:ann@example.com"]);
    }),
    (Rung::Role, |w| {
        w["buckets"]["acme-receipts"]["policy"]["bindings"][0]["role"] =
            json!("roles/storage.objectCreator");
    }),
    (Rung::Condition, |w| {
        w["buckets"]["acme-receipts"]["policy"]["bindings"][0]["condition"] =
            json!({"title": "t", "expression": "request.time < timestamp('2020-01-01T00:00:00Z')"});
    }),
    (Rung::Deny, |w| {
        w["denyPolicies"] = json!([{"at": "folder/7", "id": "x", "rules": [{
            "deniedPrincipals": ["principalSet://goog/public:all"],
            "deniedPermissions": ["storage.googleapis.com/objects.get"],
        }]}]);
    }),
    (Rung::Boundary, |w| {
        w["accessBoundaries"] = json!([{"organization": "9", "id": "b", "boundTo": [PROJECT],
            "resources": ["//cloudresourcemanager.googleapis.com/projects/other-prod"]}]);
    }),
    (Rung::Network, |w| {
        let cluster = &mut w["clusters"][0];
        cluster["extra"] = json!({"networkConfig": {"datapathProvider": "ADVANCED_DATAPATH"}});
        cluster["objects"] = json!([{
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "egress", "namespace": "shop"},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]},
            ]},
        }]);
    }),
    (Rung::Program, |w| {
        pod(w)["containers"] = json!([{"name": "app", "image": "acme/app",
            "env": [{"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/keys/key.json"}],
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}]);
        pod(w)["volumes"] = json!([{"name": "keys", "secret": {"secretName": "key"}}]);
    }),
    (Rung::Pod, |w| {
        pod(w)["nodeSelector"] = json!({"team": "nobody"})
    }),
];

/// Which of two broken links is the first: the lower, once what the other makes irrelevant is left out.
fn expected(a: Rung, b: Rung) -> Rung {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let gives_nodes = |r| matches!(r, Rung::HostNetwork | Rung::Node | Rung::NodePool);
    // Of another's identity the account's own links are not.
    let own = |r| {
        matches!(
            r,
            Rung::ServiceAccount | Rung::Annotation | Rung::Apis | Rung::Account | Rung::Binding
        )
    };
    let of_roles = |r| {
        matches!(
            r,
            Rung::Grant | Rung::Role | Rung::Condition | Rung::Deny | Rung::Boundary
        )
    };
    if (own(low) && gives_nodes(high)) || (low, high) == (Rung::Node, Rung::NodePool) {
        return high;
    }
    if (own(low) || of_roles(low)) && high == Rung::Program {
        return high;
    }
    let denies = |r| matches!(r, Rung::Deny | Rung::Boundary);
    if low >= Rung::Binding && denies(high) && !denies(low) {
        return high;
    }
    low
}

#[test]
fn explain_names_the_first_of_the_links_that_are_broken() {
    runtime().block_on(async {
        let (_sandbox, http) = serve(&whole()).await;
        let chain = ask(&http, true, READ, "bucket/acme-receipts").await;
        assert_eq!(
            chain.ladder.verdict,
            Verdict::Allowed,
            "{:#?}",
            chain.ladder
        );
        assert!(
            chain
                .ladder
                .links
                .iter()
                .all(|l| l.state == State::Holds || l.rung == Rung::Network),
            "{:#?}",
            chain.ladder
        );
        let mut pairs = Vec::new();
        for (i, one) in BREAKS.iter().enumerate() {
            pairs.push((one, one));
            pairs.extend(BREAKS[i + 1..].iter().map(|other| (one, other)));
        }
        let mut tried = 0;
        for (one, other) in pairs {
            let (mut world, mut other_way) = (whole(), whole());
            one.1(&mut world);
            other.1(&mut world);
            other.1(&mut other_way);
            one.1(&mut other_way);
            // What cannot both be so is no case: the second undoes the first.
            let on_a_node_and_on_none = (one.0, other.0) == (Rung::Node, Rung::Pod);
            if world != other_way || on_a_node_and_on_none {
                continue;
            }
            let (sandbox, http) = serve(&world).await;
            let chain = ask(&http, true, READ, "bucket/acme-receipts").await;
            let first = chain.ladder.first().map(|l| l.rung);
            let wanted = expected(one.0, other.0);
            assert_eq!(
                first,
                Some(wanted),
                "{:?} and {:?}: {:#?}",
                one.0,
                other.0,
                chain.ladder
            );
            assert_ne!(
                chain.ladder.verdict,
                Verdict::Allowed,
                "{:?} and {:?}",
                one.0,
                other.0
            );
            let (token, decision) = sandbox
                .call(CLUSTER, "shop/web-1", READ, "bucket/acme-receipts")
                .expect("a pod");
            // Of APIs that are off, of networks and of programs the oracle knows nothing.
            let known = !matches!(
                wanted,
                Rung::Apis | Rung::Network | Rung::Program | Rung::Pod | Rung::Annotation
            );
            if known && one.0 == other.0 && !matches!(token, Token::Node(_)) {
                assert_eq!(decision.allowed, Some(false), "{decision:?}");
                assert!(
                    rungs(decision.link).contains(&wanted),
                    "{wanted:?}: {decision:?}"
                );
            }
            tried += 1;
        }
        assert!(tried > 80, "{tried}");
    });
}

/// The world in which every link holds, and it with each of them broken alone.
pub fn whole_and_broken() -> Vec<Value> {
    let broken = BREAKS.iter().map(|(_, breaks)| {
        let mut world = whole();
        breaks(&mut world);
        world
    });
    std::iter::once(whole()).chain(broken).collect()
}

#[test]
fn explain_takes_what_it_may_not_read_for_neither_broken_nor_whole() {
    runtime().block_on(async {
        let mut worlds = whole_and_broken();
        // A ConfigMap that says that the container has a key.
        let mut by_map = whole();
        pod(&mut by_map)["containers"] = json!([{"name": "app", "image": "acme/app", "envFrom": [{"configMapRef": {"name": "env"}}],
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}]);
        pod(&mut by_map)["volumes"] = json!([{"name": "keys", "secret": {"secretName": "key"}}]);
        by_map["clusters"][0]["objects"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "env", "namespace": "shop"},
            "data": {"GOOGLE_APPLICATION_CREDENTIALS": "/keys/key.json"}}]);
        BREAKS[7].1(&mut by_map);
        worlds.push(by_map);
        let step = if size(10) == 10 { 1 } else { 3 };
        let mut tried = 0;
        for (n, world) in worlds.iter().enumerate() {
            let (sandbox, http) = serve(world).await;
            for with_spec in [false, true] {
                let full = ask(&http, with_spec, READ, "bucket/acme-receipts").await.ladder;
                let broken = |rung| full.links.iter().any(|l| l.rung == rung && l.state == State::Broken);
                for read in calls_as_matches(&sandbox, false).into_iter().skip((n + usize::from(with_spec)) % step).step_by(step) {
                    // Without the clusters there is no answer at all.
                    if read.ends_with("/clusters") {
                        continue;
                    }
                    let fault: Fault = serde_json::from_value(json!({"match": read, "denied": true})).expect("a fault");
                    sandbox.inject([fault]);
                    let now = ask(&http, with_spec, READ, "bucket/acme-receipts").await.ladder;
                    sandbox.heal();
                    for link in now.links.iter().filter(|l| l.state == State::Broken) {
                        assert!(broken(link.rung), "world {n}, {read}: {link:#?}\n{full:#?}");
                    }
                    let is = |verdict| now.verdict != verdict || full.verdict == verdict;
                    assert!(is(Verdict::Allowed) && is(Verdict::Denied), "world {n}, {read}: {:?}, then {now:#?}", full.verdict);
                    tried += 1;
                }
            }
        }
        assert!(tried > 100, "{tried}");
    });
}
