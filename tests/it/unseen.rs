//! Under `--allow-incomplete`: what rests on something unread stays as it is and is told; no pod loses what
//! it can do, nothing is claimed of what was not read, and the next plan does it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wi_sandbox::{Granted, World};

use crate::support::inside::{Inside, runtime};
use crate::support::{Place, flat};

/// A read that is refused, and what stays as it is because of that.
struct Case {
    spec: &'static str,
    world: &'static str,
    fault: Value,
    /// Changes that a plan has which sees all, and that this one must not have.
    held: &'static [&'static str],
    /// What the plan says.
    told: &'static [&'static str],
    /// What it must not say.
    claims: &'static [&'static str],
}

async fn changes(inside: &Inside) -> BTreeSet<String> {
    let ran = inside
        .wi(&[
            "plan",
            "wi.yaml",
            "--json",
            "--allow-incomplete",
            "--allow-mass-removal",
            "--force-conflicts",
        ])
        .await
        .ok();
    let plan: Value = serde_json::from_str(&ran.out).expect("JSON");
    let changes = plan["resource_changes"].as_array().expect("changes").iter();
    changes
        .map(|c| c["address"].as_str().expect("an address").to_owned())
        .collect()
}

/// What each workload can do.
fn access(inside: &Inside) -> BTreeMap<(String, String), BTreeSet<Granted>> {
    let pods = inside.sandbox.access().into_iter();
    pods.map(|p| ((p.namespace, p.workload), p.roles)).collect()
}

#[track_caller]
fn holds(case: &Case) {
    runtime().block_on(async {
        let world = World::parse(case.world, "world.yaml").expect("a valid world");
        let inside = Inside::start(case.spec, world).await;
        let before = access(&inside);
        assert!(
            before.values().any(|roles| !roles.is_empty()),
            "nothing to lose: {before:?}"
        );
        inside.inject(&case.fault);
        let plan = inside
            .wi(&[
                "plan",
                "wi.yaml",
                "--allow-incomplete",
                "--allow-mass-removal",
                "--force-conflicts",
            ])
            .await
            .ok();
        let text = flat(&plan.out);
        for told in case.told {
            assert!(text.contains(told), "{told}: {}", plan.out);
        }
        for claim in case.claims {
            assert!(!text.contains(claim), "{claim}: {}", plan.out);
        }
        let partial = changes(&inside).await;
        for held in case.held {
            assert!(!partial.contains(*held), "{held}: {partial:#?}");
        }
        let apply = [
            "apply",
            "wi.yaml",
            "--auto-approve",
            "--allow-incomplete",
            "--allow-mass-removal",
            "--force-conflicts",
        ];
        inside.wi(&apply).await.ok();
        inside.sandbox.settle().await;
        let after = access(&inside);
        for (workload, had) in &before {
            assert!(
                had.is_subset(&after[workload]),
                "{workload:?}: {had:?}, {after:?}"
            );
        }
        inside.sandbox.heal();
        let whole = changes(&inside).await;
        let told = [
            "plan",
            "wi.yaml",
            "--allow-mass-removal",
            "--force-conflicts",
        ];
        let told = flat(&inside.wi(&told).await.out);
        // Or it stays until nobody has a token of before any more.
        let stays = told.split("Warning: ").filter_map(|warning| {
            let (all, _) = warning.split_once(" for now:")?;
            Some(all.trim_end_matches(" stay").trim_end_matches(" stays"))
        });
        let stays: BTreeSet<&str> = stays.flat_map(|all| all.split(", ")).collect();
        for held in case.held {
            assert!(
                whole.contains(*held) || stays.contains(held),
                "the next plan has {held}: {whole:#?} {told}"
            );
        }
        inside.wi(&apply).await.ok();
        let later = Inside::start(case.spec, inside.later()).await;
        inside.sandbox.stop().await;
        later.wi(&apply).await.ok();
        let rest = later.wi(&["plan", "wi.yaml"]).await.ok();
        assert!(rest.out.contains("No changes."), "{}", rest.out);
        later.sandbox.stop().await;
    });
}

const BILLING: &str = "apiVersion: wi/v1
name: shop
project: north-shop
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  billing: { email: billing@old-north.iam.gserviceaccount.com }
namespaces:
  shop: { serviceAccounts: { checkout: { impersonates: billing } } }
";

fn billing_refused() -> Value {
    json!({"match": "POST /v1/projects/old-north/serviceAccounts/billing@old-north.iam.gserviceaccount.com:getIamPolicy", "denied": true})
}

#[test]
fn an_account_whose_policy_is_refused_is_not_relied_on() {
    holds(&Case {
        spec: BILLING,
        world: "apiVersion: wi.sandbox/v1
timeScale: 4000
projects:
  north-shop: { policy: { bindings: [{ role: roles/pubsub.publisher, members: [\"serviceAccount:north-shop.svc.id.goog[shop/checkout]\"] }] } }
  old-north: { serviceAccounts: { billing: {} } }
clusters:
  - project: north-shop
    location: europe-west1
    name: main
    workloadPool: north-shop.svc.id.goog
    nodePools: [{ name: p1, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { checkout: {} } } }
    pods: [{ name: a, namespace: shop, serviceAccountName: checkout, owner: { kind: ReplicaSet, name: checkout-66d9 } }]
",
        fault: billing_refused(),
        held: &[
            "ksa.main/shop/checkout",
            "grant.north-shop/shop/checkout:roles/pubsub.publisher@project/north-shop",
        ],
        told: &[
            "- ksa.main/shop/checkout: stays as it is: it rests on the policy of serviceaccount/billing@old-north.iam.gserviceaccount.com, which could not be read",
            "grant.north-shop/shop/checkout:roles/pubsub.publisher@project/north-shop stays for now",
        ],
        claims: &["gains the right to act as billing@"],
    });
}

/// The pods of the pool that is moved: one of the spec's, and one of nobody's.
const ON_NODE_IDENTITY: &str = "apiVersion: wi.sandbox/v1
timeScale: 4000
projects:
  north-shop: { number: 111111111111 }
  old-north: { serviceAccounts: { billing: {} } }
  partner: {}
buckets:
  partner-data: { project: partner, policy: { bindings: [{ role: roles/storage.objectViewer, members: [\"serviceAccount:111111111111-compute@developer.gserviceaccount.com\"] }] } }
clusters:
  - project: north-shop
    location: europe-west1
    name: main
    workloadPool: north-shop.svc.id.goog
    nodePools:
      - { name: p1, nodes: 1, workloadMetadata: GCE_METADATA }
    namespaces: { shop: { serviceAccounts: { checkout: { annotations: { iam.gke.io/gcp-service-account: billing@old-north.iam.gserviceaccount.com } } } } }
    pods: [{ name: a, namespace: shop, serviceAccountName: checkout, owner: { kind: ReplicaSet, name: checkout-66d9 } }]
";

#[test]
fn a_node_pool_whose_pods_are_to_have_what_was_not_read_is_not_moved() {
    holds(&Case {
        spec: BILLING,
        world: ON_NODE_IDENTITY,
        fault: billing_refused(),
        held: &["nodepool.main/p1"],
        told: &[
            "nodepool.main/p1 is held back: it stays as it is. What its pods are to have rests on the policy of serviceaccount/billing@old-north.iam.gserviceaccount.com, which could not be read",
        ],
        claims: &["+ as billing@"],
    });
}

#[test]
fn a_bucket_that_was_not_read_is_no_bucket_without_roles() {
    holds(&Case {
        spec: "apiVersion: wi/v1
name: shop
project: north-shop
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  checkout: { grants: [{ role: roles/storage.objectViewer, resource: bucket/partner-data }] }
namespaces:
  shop: { serviceAccounts: { checkout: { impersonates: checkout } } }
",
        world: ON_NODE_IDENTITY,
        fault: json!({"match": "GET /storage/v1/b/partner-data/iam", "denied": true}),
        held: &["nodepool.main/p1", "ksa.main/shop/checkout"],
        told: &["rests on the policy of bucket/partner-data, which could not be read"],
        claims: &["holds no role", "+ as checkout@"],
    });
}

/// Nobody's pod is on the pool, so that the roles of its account are told.
#[test]
fn the_roles_of_the_nodes_account_are_not_known_where_a_policy_was_not_read() {
    runtime().block_on(async {
        let world = ON_NODE_IDENTITY.replace("serviceAccountName: checkout, owner", "owner");
        let world = World::parse(&world, "world.yaml").expect("a valid world");
        let spec = "apiVersion: wi/v1
name: shop
project: north-shop
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  checkout: { grants: [{ role: roles/storage.objectViewer, resource: bucket/partner-data }] }
";
        let inside = Inside::start(spec, world).await;
        inside.inject(&json!({"match": "GET /storage/v1/b/partner-data/iam", "denied": true}));
        let plan = inside.wi(&["plan", "wi.yaml", "--allow-incomplete"]).await.ok();
        let text = flat(&plan.out);
        assert!(
            text.contains("Which roles That account holds is not known: the policy of bucket/partner-data could not be read"),
            "{}",
            plan.out
        );
        assert!(!text.contains("holds no role"), "{}", plan.out);
        inside.sandbox.stop().await;
    });
}

/// It acts as `old`, and is to have roles of its own.
const FROM_ACCOUNT_TO_DIRECT: &str = "apiVersion: wi.sandbox/v1
timeScale: 4000
projects:
  north-shop:
    policy: { bindings: [{ role: roles/pubsub.publisher, members: [\"serviceAccount:old@north-shop.iam.gserviceaccount.com\"] }] }
    serviceAccounts:
      kept-here: { description: \"[wi:shop]\" }
      old: { description: \"[wi:shop]\", policy: { bindings: [{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:north-shop.svc.id.goog[shop/checkout]\"] }] } }
clusters:
  - project: north-shop
    location: europe-west1
    name: main
    workloadPool: north-shop.svc.id.goog
    nodePools: [{ name: p1, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { checkout: { annotations: { iam.gke.io/gcp-service-account: old@north-shop.iam.gserviceaccount.com } } } } }
    pods: [{ name: a, namespace: shop, serviceAccountName: checkout, owner: { kind: ReplicaSet, name: checkout-66d9 } }]
";

const DIRECT: &str = "apiVersion: wi/v1
name: shop
project: north-shop
clusters: { main: { location: europe-west1 } }
googleServiceAccounts: { kept-here: {} }
namespaces:
  shop: { serviceAccounts: { checkout: { grants: [roles/pubsub.publisher] } } }
";

const OLD: [&str; 3] = [
    "ksa.main/shop/checkout",
    "gsa.old",
    "grant.old:roles/pubsub.publisher@project/north-shop",
];

#[test]
fn without_the_projects_number_the_account_is_kept_that_is_to_be_left() {
    holds(&Case {
        spec: DIRECT,
        world: FROM_ACCOUNT_TO_DIRECT,
        fault: json!({"match": "GET /v3/projects/north-shop$", "denied": true}),
        held: &OLD,
        told: &[
            "stays as it is: it rests on the project number behind north-shop.svc.id.goog, which could not be read",
        ],
        claims: &["who loses access"],
    });
}

#[test]
fn an_account_that_pods_of_an_unreachable_cluster_may_act_as_keeps_all() {
    holds(&Case {
        spec: DIRECT,
        world: FROM_ACCOUNT_TO_DIRECT,
        fault: json!({"match": "GET /api/v1/namespaces", "denied": true}),
        held: &OLD,
        told: &[
            "stays as it is: it rests on the Kubernetes objects of cluster.main, which could not be read",
        ],
        claims: &["- loses"],
    });
}

/// All is as it is to be; two projects, of which one is looked at in vain.
const DISCOVERED: &str = "apiVersion: wi/v1
name: shop
project: north-shop
discover: [{ project: north-shop }, { project: south-shop }]
googleServiceAccounts:
  billing: { grants: [roles/pubsub.publisher] }
namespaces:
  shop: { serviceAccounts: { checkout: { impersonates: billing } } }
";

const TWO_PROJECTS: &str = "apiVersion: wi.sandbox/v1
timeScale: 4000
projects:
  north-shop:
    policy: { bindings: [{ role: roles/pubsub.publisher, members: [\"serviceAccount:billing@north-shop.iam.gserviceaccount.com\"] }, { role: roles/logging.logWriter, members: [\"serviceAccount:billing@north-shop.iam.gserviceaccount.com\"] }] }
    serviceAccounts:
      billing: { description: \"[wi:shop]\", policy: { bindings: [{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:north-shop.svc.id.goog[shop/checkout]\", \"serviceAccount:south-shop.svc.id.goog[shop/checkout]\"] }] } }
  south-shop: {}
clusters:
  - project: north-shop
    location: europe-west1
    name: north
    workloadPool: north-shop.svc.id.goog
    nodePools: [{ name: p1, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { checkout: { annotations: { iam.gke.io/gcp-service-account: billing@north-shop.iam.gserviceaccount.com } } } } }
    pods: [{ name: a, namespace: shop, serviceAccountName: checkout, owner: { kind: ReplicaSet, name: north } }]
  - project: south-shop
    location: europe-west4
    name: south
    workloadPool: south-shop.svc.id.goog
    nodePools: [{ name: p1, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces: { shop: { serviceAccounts: { checkout: { annotations: { iam.gke.io/gcp-service-account: billing@north-shop.iam.gserviceaccount.com } } } } }
    pods: [{ name: a, namespace: shop, serviceAccountName: checkout, owner: { kind: ReplicaSet, name: south } }]
";

/// Nor is a role taken from the account that pods there act as.
const OF_ACCOUNT: &str = "grant.billing:roles/logging.logWriter@project/north-shop";

#[test]
fn pods_of_clusters_in_a_project_whose_list_is_refused_keep_their_bindings() {
    holds(&Case {
        spec: DISCOVERED,
        world: TWO_PROJECTS,
        fault: json!({"match": "GET /v1/projects/north-shop/locations/-/clusters", "denied": true}),
        held: &[OF_ACCOUNT],
        told: &[
            "binding.billing/north-shop/shop/checkout",
            "stays as it is: it rests on the clusters of project/north-shop, which could not be read",
        ],
        claims: &["- loses"],
    });
}

#[test]
fn pods_of_clusters_in_a_zone_that_did_not_answer_keep_their_bindings() {
    holds(&Case {
        spec: DISCOVERED,
        world: TWO_PROJECTS,
        fault: json!({"missingZones": ["europe-west1"]}),
        held: &[OF_ACCOUNT],
        told: &[
            "binding.billing/north-shop/shop/checkout",
            "rests on the clusters of project/north-shop",
        ],
        claims: &["- loses"],
    });
}

/// What stays as it is keeps what it has: by `--allow-incomplete`, too.
#[test]
fn a_service_account_that_stays_since_its_place_is_going_keeps_what_it_has() {
    for access in [
        "{ impersonates: pay-sa }",
        "{ grants: [roles/logging.logWriter] }",
    ] {
        let spec = |namespace: &str| {
            format!(
                "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: {{ main: {{ location: europe-west1 }} }}
googleServiceAccounts: {{ pay-sa: {{ grants: [roles/logging.logWriter] }} }}
namespaces: {{ {namespace}: {{ serviceAccounts: {{ api: {access} }} }} }}
"
            )
        };
        let world = "apiVersion: wi.sandbox/v1
timeScale: 2000
projects: { acme-prod: { number: 123456789012 } }
clusters:
  - { project: acme-prod, location: europe-west1, name: main, workloadPool: acme-prod.svc.id.goog, nodePools: [{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }], namespaces: { pay: { serviceAccounts: { api: {} } }, new: { terminating: true } } }
";
        let place = Place::new(&spec("pay"), world);
        place.wi(&["apply", "--auto-approve"]).ok();
        let has = || {
            let projects = place.state()["projects"].to_string();
            ["[pay/api]", "subject/ns/pay/sa/api"].map(|member| projects.contains(member))
        };
        let had = has();
        assert_ne!(had, [false; 2]);
        place.write("wi.yaml", &spec("new"));
        let apply = place.wi(&[
            "apply",
            "--auto-approve",
            "--allow-incomplete",
            "--allow-mass-removal",
        ]);
        let said = flat(&apply.out);
        assert!(said.contains("ksa.main/pay/api"), "{said}");
        assert!(said.contains("stays as it is"), "{said}");
        assert!(!said.contains("will be removed"), "{said}");
        assert_eq!(has(), had, "{said}");
    }
}
