//! Specs that are made of what is there: a plan of each changes nothing there, whatever was found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::import::{
    Choices, Facts, FoundCluster, Imported, Owner, Owners, Proof, import, proof,
};
use wi_core::live::{Live, Outside};
use wi_core::names::{ClusterPath, ProjectId};
use wi_core::plan;
use wi_core::read_set::ReadSet;
use wi_core::resource::Resource;
use wi_core::spec::fleet::Discovered;
use wi_core::spec::model::{Access, Scope};
use wi_core::spec::{Source, load_sources};

use crate::support::*;

/// What was made of a world.
pub struct Made {
    pub imported: Imported,
    /// All files.
    pub text: String,
    pub desired: Desired,
    pub proof: Proof,
}

fn path(live: &Live, name: &str) -> ClusterPath {
    let cluster = live.clusters[name].found().expect("a cluster");
    let pool = &cluster.workload_identity_config.workload_pool;
    let project = pool.strip_suffix(".svc.id.goog").unwrap_or("acme-prod");
    ClusterPath {
        project: ProjectId::parse(project).expect("a project"),
        location: cluster.location.clone(),
        name: name.to_owned(),
    }
}

/// Imports a world, and plans on it what was made.
fn made_with(world: &Value, choices: &Choices) -> Made {
    let mut live = live(world);
    let paths: BTreeMap<String, ClusterPath> = live
        .clusters
        .keys()
        .map(|name| (name.clone(), path(&live, name)))
        .collect();
    let clusters = paths.iter().map(|(name, path)| {
        let found = FoundCluster {
            cluster: live.clusters[name].found().expect("a cluster").clone(),
            access: Access::Offered,
            objects: live.kubernetes[name].clone(),
        };
        (path.clone(), found)
    });
    let facts = Facts {
        clusters: clusters.collect(),
        partial: BTreeSet::new(),
        accounts: live.accounts.clone(),
        policies: live.policies.clone(),
        uniform: live
            .uniform_access
            .iter()
            .filter_map(|(bucket, seen)| Some((bucket.clone(), *seen.found()?)))
            .collect(),
    };
    let imported = import(&facts, choices).unwrap_or_else(|e| panic!("{e}"));
    let sources = imported.files.iter();
    let sources = sources.map(|(name, text)| Source::new(name.clone(), text.clone()));
    let mut spec = load_sources(sources.collect()).expect("a spec");
    let found = spec.discover.iter().enumerate().flat_map(|(by, entry)| {
        let is_meant = move |(path, found): &(&ClusterPath, &FoundCluster)| {
            let labels = &found.cluster.resource_labels;
            entry.scope == Scope::Project(path.project.clone())
                && entry
                    .resource_labels
                    .iter()
                    .all(|(k, v)| labels.get(k) == Some(v))
        };
        let found = facts.clusters.iter().filter(is_meant);
        found.map(move |(path, _)| Discovered {
            path: path.clone(),
            by,
        })
    });
    let found: Vec<Discovered> = found.collect();
    assert_eq!(spec.take_in(found), []);
    let desired = Desired::of(&spec);
    // What the plan reads is by the spec's names; the rest is outside of it.
    let names: BTreeMap<&ClusterPath, &String> = desired
        .clusters
        .iter()
        .map(|(name, c)| (&c.path, name))
        .collect();
    let (clusters, kubernetes) = (
        std::mem::take(&mut live.clusters),
        std::mem::take(&mut live.kubernetes),
    );
    for (name, path) in &paths {
        match names.get(path) {
            Some(called) => {
                live.clusters
                    .insert((*called).clone(), clusters[name].clone());
                live.kubernetes
                    .insert((*called).clone(), kubernetes[name].clone());
            }
            None => live.outside.push(Outside {
                path: path.clone(),
                service_accounts: kubernetes[name]
                    .clone()
                    .map(|o| o.service_accounts.into_values().collect()),
                cluster: clusters[name].found().expect("a cluster").clone(),
            }),
        }
    }
    // Nobody asks for the policies of accounts that the spec does not name.
    let reads = ReadSet::of(&desired);
    live.policies.retain(|resource, _| match resource {
        Resource::ServiceAccount(email) => {
            reads.managed.contains(email) || reads.policies.contains(resource)
        }
        _ => true,
    });
    let plan = plan::plan(&desired, &live, &options());
    Made {
        text: imported
            .files
            .values()
            .cloned()
            .collect::<Vec<_>>()
            .join("---\n"),
        proof: proof(&plan),
        imported,
        desired,
    }
}

/// With remarks.
pub fn made(world: &Value) -> Made {
    let choices = Choices {
        comments: true,
        ..Choices::default()
    };
    made_with(world, &choices)
}

/// Fails unless a plan of it only adopts.
#[track_caller]
fn proven(world: &Value) -> Made {
    let made = made(world);
    assert_eq!(made.proof.against, [""; 0], "{}", made.text);
    made
}

impl Made {
    pub fn adopted(&self) -> Vec<&str> {
        self.proof.adopted.iter().map(|a| &**a).collect()
    }

    /// Fails unless each is in what was written, or in what is told of what was not.
    #[track_caller]
    fn says(&self, parts: &[&str]) {
        let out = self.imported.left_out.iter();
        let out: String = out.map(|o| format!("{}: {}\n", o.what, o.why)).collect();
        for part in parts {
            let all = format!("{}\n{out}", self.text);
            assert!(all.contains(part), "`{part}` is not in:\n{all}");
        }
    }
}

/// [`settled`], and nobody has marked anything.
fn unmarked() -> Value {
    with(
        settled(),
        json!({
            "accounts": { "acme-prod": { "checkout": { "description": "" } } },
            "kubernetes": { "main": { "=ServiceAccount": {
                "shop/checkout": annotated(Some(CHECKOUT), "kubectl"),
                "shop/worker": {},
                "shop/default": {},
            } } },
        }),
    )
}

#[test]
fn a_spec_that_was_applied_comes_back() {
    let made = proven(&settled());
    assert_eq!(made.adopted(), [""; 0]);
    let (asked, back) = (desired(SPEC), made.desired);
    assert_eq!(back.owner, asked.owner);
    assert!(
        back.bindings.keys().eq(asked.bindings.keys()),
        "{}",
        made.text
    );
    let accounts = |d: &Desired| -> Vec<_> {
        d.ksas
            .iter()
            .map(|(k, v)| (k.clone(), v.account.clone()))
            .collect()
    };
    assert_eq!(accounts(&back), accounts(&asked));
    assert!(back.manages(&asked.accounts["checkout"].email));
}

#[test]
fn what_nobody_has_marked_is_adopted() {
    let made = proven(&unmarked());
    assert_eq!(
        made.adopted(),
        [
            "gsa.checkout",
            "ksa.main/shop/checkout",
            "ksa.main/shop/worker"
        ]
    );
    assert_eq!(made.imported.name, "acme-prod");
    assert_eq!(made.imported.plain, 1);
    let asked = desired(SPEC);
    assert!(
        made.desired.bindings.keys().eq(asked.bindings.keys()),
        "{}",
        made.text
    );
}

#[test]
fn what_others_have_is_counted_and_in_no_file() {
    let world = with(
        unmarked(),
        json!({
            "accounts": { "acme-prod": { "deploy": { "uniqueId": "9" } } },
            "policies": {
                "serviceaccount/deploy@acme-prod.iam.gserviceaccount.com": { "roles/iam.serviceAccountUser": ["group:dev@example.com"] },
                "topic/acme-prod/orders": { "roles/pubsub.publisher": [
                    format!("serviceAccount:{CHECKOUT}"), "user:ann@example.com",
                    "serviceAccount:deploy@acme-prod.iam.gserviceaccount.com",
                ] },
            },
        }),
    );
    let made = proven(&world);
    made.says(&[
        "roles/pubsub.publisher of user:ann@example.com on topic/acme-prod/orders: ",
        "deploy@acme-prod.iam.gserviceaccount.com: no workload of GKE may act as it",
    ]);
    for other in ["ann@", "deploy@", "dev@"] {
        assert!(!made.text.contains(other), "{}", made.text);
    }
}

/// What real projects have, one thing each: what comes to be there, and what is said of it.
fn features() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let acting = |members: Value| json!({ "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": members } } });
    let policy = |resource: &str, bindings: Value| json!({ "policies": { (format!("={resource}")): { "bindings": bindings } } });
    let sa = |name: &str, object: Value| json!({ "kubernetes": { "main": { "ServiceAccount": { name: object } } } });
    let far = with(
        cluster("far", json!({ "p1": pool("GKE_METADATA") })),
        json!({ "location": "us-east1" }),
    );
    let also = |cluster: Value, objects: Value| json!({ "clusters": { "far": cluster }, "kubernetes": { "far": objects } });
    let checkout = member("shop", "checkout");
    vec![
        (
            "others may act as the account",
            acting(json!([
                checkout,
                member("batch", "nightly"),
                "serviceAccount:acme-lab.svc.id.goog[lab/x]",
                "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/tools",
                "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/kubernetes.cluster/https://container.googleapis.com/v1/projects/acme-prod/locations/us-east1/clusters/edge",
            ])),
            vec![
                "- batch/nightly   # no service account of this spec acts as it by this",
                "- acme-lab/lab/x",
                "- \"acme-prod/tools/*\"",
                "- cluster/acme-prod/us-east1/edge",
            ],
        ),
        (
            "a cluster without the one account",
            also(
                far.clone(),
                json!({ "Namespace": { "shop": {} }, "ServiceAccount": { "shop/worker": {}, "shop/checkout": {} } }),
            ),
            vec!["      checkout: { clusters: [main], impersonates: checkout }"],
        ),
        (
            "another account on another cluster",
            with(
                also(
                    far.clone(),
                    json!({ "Namespace": { "shop": {} }, "ServiceAccount": { "shop/checkout": annotated(Some("payments@acme-prod.iam.gserviceaccount.com"), "helm") } }),
                ),
                json!({ "accounts": { "acme-prod": { "payments": { "uniqueId": "2", "displayName": "Pay: \"all\" #1" } } },
                    "policies": { "serviceaccount/payments@acme-prod.iam.gserviceaccount.com": { "roles/iam.workloadIdentityUser": [checkout] } } }),
            ),
            vec![
                "- { clusters: [far], impersonates: payments }",
                "displayName: \"Pay: \\\"all\\\" #1\"",
            ],
        ),
        (
            "a chart's service account",
            sa(
                "shop/checkout",
                json!({ "metadata": { "annotations": { GSA: CHECKOUT, "meta.helm.sh/release-name": "web" } } }),
            ),
            vec!["checkout: { existing: true, impersonates: checkout }   # the Helm release web"],
        ),
        (
            "a namespace of others",
            json!({ "kubernetes": { "main": { "Namespace": { "shop": { "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": "platform:/Namespace:shop" } } } } } } }),
            vec!["create: false   # the Argo CD application platform"],
        ),
        (
            "an account of Terraform's",
            json!({ "accounts": { "acme-prod": { "checkout": { "description": "Managed by Terraform" } } } }),
            vec![
                "checkout: { email: checkout@acme-prod.iam.gserviceaccount.com }   # its description says that it is Terraform's",
            ],
        ),
        (
            "a disabled account",
            json!({ "accounts": { "acme-prod": { "checkout": { "disabled": true } } } }),
            vec![
                "checkout: { email: checkout@acme-prod.iam.gserviceaccount.com }   # it is disabled",
            ],
        ),
        (
            "an account of another spec",
            json!({ "accounts": { "acme-prod": { "checkout": { "description": "[wi:pay]" } }  }, "kubernetes": { "main": { "ServiceAccount": { "shop/checkout": ours(Some(CHECKOUT)), "shop/worker": ours(None) } } } }),
            vec!["# it is of the spec named pay"],
        ),
        (
            "a description without room",
            json!({ "accounts": { "acme-prod": { "checkout": { "description": "x".repeat(250) } } } }),
            vec!["# its description leaves no room for a mark"],
        ),
        (
            "a member that is dead",
            policy(
                "project/acme-prod",
                json!([{ "role": "roles/viewer", "members": [format!("deleted:serviceAccount:{CHECKOUT}?uid=77")] }]),
            ),
            vec!["# policies name one of this email that was deleted"],
        ),
        (
            "an annotation without the right",
            sa("shop/extra", annotated(Some(CHECKOUT), "kubectl")),
            vec![
                "shop/extra in projects/acme-prod/locations/europe-west1/clusters/main: it is annotated with checkout@",
            ],
        ),
        (
            "an annotation in other letters",
            sa(
                "shop/extra",
                annotated(
                    Some("Checkout@acme-prod.iam.gserviceaccount.com"),
                    "kubectl",
                ),
            ),
            vec![
                "shop/extra in projects/acme-prod/locations/europe-west1/clusters/main: its annotation is Checkout@",
            ],
        ),
        (
            "an annotation with an account that is not there",
            with(
                sa(
                    "shop/extra",
                    annotated(Some("gone@acme-prod.iam.gserviceaccount.com"), "kubectl"),
                ),
                json!({ "policies": { "serviceaccount/gone@acme-prod.iam.gserviceaccount.com": "absent" } }),
            ),
            vec![
                "gone@acme-prod.iam.gserviceaccount.com, which it is annotated with, does not exist",
            ],
        ),
        (
            "an account whose policy may not be read",
            with(
                sa(
                    "shop/extra",
                    annotated(Some("dark@acme-prod.iam.gserviceaccount.com"), "kubectl"),
                ),
                json!({ "accounts": { "acme-prod": { "dark": { "uniqueId": "3" } } }, "policies": { "serviceaccount/dark@acme-prod.iam.gserviceaccount.com": "denied" } }),
            ),
            vec!["who may act as dark@acme-prod.iam.gserviceaccount.com could not be read: denied"],
        ),
        (
            "roles of its own beside an account",
            policy(
                "bucket/acme-inbox",
                json!([
                    { "role": "roles/storage.objectUser", "members": [principal("shop", "checkout")] },
                    { "role": "roles/storage.objectUser", "members": [principal("shop", "checkout")], "condition": { "title": "office", "expression": "request.time.getHours() >= 9" } },
                ]),
            ),
            vec![
                "      checkout:\n        impersonates: checkout\n        ownGrants:\n          - { role: roles/storage.objectUser, resource: bucket/acme-inbox }\n          - role: roles/storage.objectUser\n            resource: bucket/acme-inbox\n            condition:\n              title: office",
            ],
        ),
        (
            "roles of its own beside an account, and without one elsewhere",
            with(
                also(
                    far.clone(),
                    json!({ "Namespace": { "shop": {} }, "ServiceAccount": { "shop/checkout": {} } }),
                ),
                policy(
                    "topic/acme-prod/audit",
                    json!([{ "role": "roles/pubsub.publisher", "members": [principal("shop", "checkout")] }]),
                ),
            ),
            vec![
                "        impersonates: checkout\n        overrides:\n          - clusters: [far]\n            grants:\n",
            ],
        ),
        (
            "the right to act as all accounts of a project, too",
            policy(
                "project/acme-prod",
                json!([{ "role": "roles/iam.workloadIdentityUser", "members": [member("shop", "checkout")] }]),
            ),
            vec![
                "- { role: roles/iam.workloadIdentityUser, resource: project/acme-prod }   # it may act as every account of the project by this",
            ],
        ),
        (
            "the right to act as all accounts of a project alone",
            with(
                policy(
                    "project/acme-prod",
                    json!([{ "role": "roles/iam.workloadIdentityUser", "members": [member("shop", "checkout")], "condition": { "title": "until-2028-01-01", "expression": "request.time < timestamp(\"2028-01-01T00:00:00Z\")" } }]),
                ),
                acting(json!([])),
            ),
            vec![
                "checkout: { impersonates: { account: checkout, through: project/acme-prod, expires: 2028-01-01 } }   # it may act as every account of the project by this",
            ],
        ),
        (
            "that right without an annotation",
            policy(
                "project/acme-prod",
                json!([{ "role": "roles/iam.workloadIdentityUser", "members": [member("shop", "worker")] }]),
            ),
            vec![
                "      worker:\n        grants:\n          - { role: roles/iam.workloadIdentityUser, resource: project/acme-prod }   # it may act",
            ],
        ),
        (
            "a right under a condition",
            policy(
                &format!("serviceaccount/{CHECKOUT}"),
                json!([
                    { "role": "roles/iam.workloadIdentityUser", "members": [checkout], "condition": { "title": "until-2027-01-01", "expression": "request.time < timestamp(\"2027-01-01T00:00:00Z\")" } },
                    { "role": "roles/iam.workloadIdentityUser", "members": [checkout, member("batch", "b")], "condition": { "title": "office", "description": "a: b", "expression": "request.time.getHours() >= 9" } },
                ]),
            ),
            vec![
                "impersonates: { account: checkout, ",
                "- { user: batch/b, condition: { title: office, description: \"a: b\", expression: \"request.time.getHours() >= 9\" } }",
                "user: shop/checkout, ",
            ],
        ),
        (
            "tokens by another role",
            with(
                sa(
                    "shop/tok",
                    annotated(Some("tokens@acme-prod.iam.gserviceaccount.com"), "kubectl"),
                ),
                json!({ "accounts": { "acme-prod": { "tokens": { "uniqueId": "5" } } },
                    "policies": { "serviceaccount/tokens@acme-prod.iam.gserviceaccount.com": { "roles/iam.serviceAccountTokenCreator": [principal("shop", "tok")] } } }),
            ),
            vec![
                "it acts as tokens@acme-prod.iam.gserviceaccount.com by roles/iam.serviceAccountTokenCreator on serviceaccount/tokens@acme-prod.iam.gserviceaccount.com, which lets it do more",
                "tokens@acme-prod.iam.gserviceaccount.com: acme-prod/shop/tok may act as it by roles/iam.serviceAccountTokenCreator on",
            ],
        ),
        (
            "conditions with two titles",
            policy(
                "bucket/acme-inbox",
                json!([
                    { "role": "roles/storage.objectUser", "members": [format!("serviceAccount:{CHECKOUT}")], "condition": { "title": "office", "description": "when we work", "expression": "request.time.getHours() >= 9" } },
                    { "role": "roles/storage.objectUser", "members": [format!("serviceAccount:{CHECKOUT}")], "condition": { "title": "until-2027-01-01", "expression": "request.time < timestamp(\"2027-01-01T00:00:00Z\")" } },
                    { "role": "roles/storage.objectUser", "members": [format!("serviceAccount:{CHECKOUT}")], "condition": { "title": "until-2028-01-01", "expression": "request.time < timestamp(\"2029-01-01T00:00:00Z\")" } },
                ]),
            ),
            vec![
                "title: office",
                "description: \"when we work\"",
                "expires: 2027-01-01",
                "title: until-2028-01-01",
            ],
        ),
        (
            "a bucket whose access is by objects, too",
            with(
                policy(
                    "bucket/acme-old",
                    json!([
                        { "role": "roles/storage.objectUser", "members": [format!("serviceAccount:{CHECKOUT}")], "condition": { "title": "t", "expression": "true" } },
                        { "role": "roles/storage.objectUser", "members": [principal("shop", "worker")] },
                    ]),
                ),
                json!({ "uniform": { "acme-old": false } }),
            ),
            vec![
                "# it has roles/storage.objectUser on bucket/acme-old, which has no uniform bucket-level access",
                "shop/worker of acme-prod: it has roles/storage.objectUser on bucket/acme-old",
            ],
        ),
        (
            "a condition that no spec can have",
            policy(
                "bucket/acme-logs",
                json!([
                    { "role": "roles/storage.objectUser", "members": [format!("serviceAccount:{CHECKOUT}")], "condition": { "title": "t", "expression": "true", "location": "x" } },
                ]),
            ),
            vec!["the condition of roles/storage.objectUser on bucket/acme-logs has more fields"],
        ),
        (
            "a condition that the spec cannot read",
            policy(
                "bucket/acme-logs",
                json!([
                    { "role": "roles/storage.objectUser", "members": [principal("shop", "worker")], "condition": { "title": "t", "expression": "what is this" } },
                ]),
            ),
            vec!["shop/worker of acme-prod: the spec refuses it: the condition cannot be read"],
        ),
        (
            "a node pool with the node's identity",
            json!({ "clusters": { "main": { "nodePools": { "old": pool("GCE_METADATA") } } } }),
            vec!["nodePools: { exclude: [old] }"],
        ),
        (
            "no node pool with the metadata server",
            json!({ "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } } }),
            vec!["nodePools: []"],
        ),
        (
            "a cluster where it is off",
            also(
                with(
                    far.clone(),
                    json!({ "workloadIdentityConfig": null, "nodePools": { "p1": pool("GCE_METADATA") } }),
                ),
                json!({ "Namespace": { "shop": {} }, "ServiceAccount": { "shop/checkout": annotated(Some(CHECKOUT), "kubectl") } }),
            ),
            vec!["far: { location: us-east1, manage: false }"],
        ),
        (
            "a cluster that cannot be read",
            also(far.clone(), json!("i/o timeout")),
            vec![
                "projects/acme-prod/locations/us-east1/clusters/far: its Kubernetes API could not be read: i/o timeout",
            ],
        ),
        (
            "text that is hostile",
            with(
                sa(
                    "shop/worker",
                    json!({ "metadata": { "annotations": { "meta.helm.sh/release-name": "x\n  evil: true\u{202e}" } } }),
                ),
                json!({ "accounts": { "acme-prod": { "checkout": { "displayName": "a\" }\n# \u{1b}[31m" } } } }),
            ),
            vec!["\\U0000001B[31m", "x\\u{a}  evil: true\\u{202e}"],
        ),
    ]
}

/// Six clusters of two projects, with labels in GKE; `shop/web` acts as an account on some.
fn fleet() -> Value {
    let mut world = with(unmarked(), json!({ "=clusters": {}, "=kubernetes": {} }));
    for (name, project, ring) in [
        ("a1", "acme-prod", "1"),
        ("a2", "acme-prod", "1"),
        ("a3", "acme-prod", "2"),
        ("a4", "acme-prod", "2"),
        ("a5", "acme-prod", "3"),
        ("lab", "acme-lab", "1"),
    ] {
        let acts = matches!(ring, "1" | "2") && project == "acme-prod";
        let account = if acts {
            annotated(Some(CHECKOUT), "kubectl")
        } else {
            json!({})
        };
        let of_gke = json!({
            "resourceLabels": { "ring": ring, "goog-x": "y" }, "workloadIdentityConfig": { "workloadPool": format!("{project}.svc.id.goog") },
        });
        let cluster = with(cluster(name, json!({ "p1": pool("GKE_METADATA") })), of_gke);
        world = with(
            world,
            json!({
                "clusters": { name: cluster },
                "kubernetes": { name: { "Namespace": { "shop": {} }, "ServiceAccount": { "shop/checkout": account, "shop/worker": {} } } },
            }),
        );
    }
    with(
        world,
        json!({ "policies": { "project/acme-lab": {} }, "accounts": { "acme-lab": {} }, "numbers": { "acme-lab": 77 } }),
    )
}

#[test]
fn a_fleet_is_found_by_labels_and_what_is_equal_is_written_once() {
    let made = proven(&fleet());
    made.says(&[
        "  lab: { project: acme-lab, location: europe-west1, labels: { project: acme-lab, ring: \"1\" } }\n",
        "discover:\n  - { project: acme-prod, resourceLabels: { ring: \"1\" }, labels: { project: acme-prod, ring: \"1\" } }",
        "    clusters: { project: acme-prod }\n",
        "checkout: { clusters: \"ring in (1, 2)\", impersonates: checkout }",
    ]);
    assert_eq!(
        made.text.matches("roles/storage.objectViewer").count(),
        1,
        "{}",
        made.text
    );
    assert_eq!(made.imported.clusters, 6);
    // One that cannot be taken in would be found, too: then all are listed.
    let world = with(fleet(), json!({ "kubernetes": { "a5": "i/o timeout" } }));
    let made = proven(&world);
    assert!(!made.text.contains("discover"), "{}", made.text);
}

#[test]
fn it_does_not_matter_in_which_order_servers_answer() {
    let world = with(
        fleet(),
        json!({ "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": [
        member("shop", "checkout"), member("batch", "b"), member("batch", "a"),
    ] } } }),
    );
    let other = with(
        fleet(),
        json!({ "policies": { (format!("serviceaccount/{CHECKOUT}")): { "roles/iam.workloadIdentityUser": [
        member("batch", "a"), member("shop", "checkout"), member("batch", "b"),
    ] } } }),
    );
    assert_eq!(proven(&world).imported.files, proven(&other).imported.files);
}

#[test]
fn without_comments_there_are_none() {
    let choices = Choices {
        single_file: true,
        ..Choices::default()
    };
    for (what, patch, _) in features() {
        let made = made_with(&with(unmarked(), patch), &choices);
        assert_eq!(made.proof.against, [""; 0], "{what}:\n{}", made.text);
        assert_eq!(made.imported.files.len(), 1, "{what}");
        assert!(!made.text.contains("   #"), "{what}:\n{}", made.text);
    }
}

#[test]
fn whatever_real_projects_have_is_said_or_left_out_with_the_reason() {
    for (what, patch, says) in features() {
        let made = made(&with(unmarked(), patch));
        assert_eq!(made.proof.against, [""; 0], "{what}:\n{}", made.text);
        made.says(&says);
    }
}

/// Any of them together, drawn by a seed.
#[test]
fn whatever_is_together_a_plan_of_it_changes_nothing() {
    let features = features();
    let mut state: u64 = 11;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for _ in 0..100 {
        let mut world = match draw() % 2 {
            0 => unmarked(),
            _ => settled(),
        };
        let mut names = Vec::new();
        for (name, patch, _) in &features {
            if draw() % 5 == 0 {
                world = with(world, patch.clone());
                names.push(*name);
            }
        }
        let made = made(&world);
        assert_eq!(made.proof.against, [""; 0], "{names:?}:\n{}", made.text);
    }
}

/// Of a state in which Terraform has the account, a role of it, `shop/worker`, and all of a bucket's policy.
fn terraform() -> Owners {
    let member = format!("serviceAccount:{CHECKOUT}");
    let resource = |kind: &str, attributes: Value| json!({ "mode": "managed", "type": kind, "name": "this", "instances": [{ "attributes": attributes }] });
    let state = json!({ "version": 4, "lineage": "l", "resources": [
        resource("google_service_account", json!({ "email": CHECKOUT })),
        resource("google_pubsub_topic_iam_member", json!({ "member": member })),
        resource("kubernetes_service_account_v1", json!({ "metadata": [{ "name": "worker", "namespace": "shop" }] })),
        resource("google_storage_bucket_iam_binding", json!({ "members": [principal("shop", "worker"), "user:ann@example.com"] })),
        resource("google_project_iam_member", json!({ "member": "user:ann@example.com" })),
    ] });
    let mut owners = Owners::default();
    owners.take_in(&[state]).expect("a state");
    owners
}

#[test]
fn what_terraform_owns_is_referred_to_or_taken_over_and_then_let_go_there() {
    let mut choices = Choices {
        owners: terraform(),
        comments: true,
        ..Choices::default()
    };
    let made = made_with(&unmarked(), &choices);
    assert_eq!(made.proof.against, [""; 0], "{}", made.text);
    made.says(&[
        "checkout: { email: checkout@acme-prod.iam.gserviceaccount.com }   # Terraform's google_service_account.this",
        "worker:   # Terraform's kubernetes_service_account_v1.this\n        existing: true",
    ]);
    assert_eq!(made.adopted(), ["ksa.main/shop/checkout"]);
    let addresses = |owners: &BTreeSet<Owner>| -> Vec<String> {
        owners.iter().map(|o| o.address.clone()).collect()
    };
    assert_eq!(addresses(&made.imported.to_release), [""; 0]);
    assert_eq!(
        addresses(&made.imported.whole),
        ["google_storage_bucket_iam_binding.this"]
    );
    choices.take_over = true;
    let made = made_with(&unmarked(), &choices);
    assert_eq!(made.proof.against, [""; 0], "{}", made.text);
    assert_eq!(
        made.adopted(),
        [
            "gsa.checkout",
            "ksa.main/shop/checkout",
            "ksa.main/shop/worker"
        ]
    );
    assert_eq!(
        addresses(&made.imported.to_release),
        [
            "google_pubsub_topic_iam_member.this",
            "google_service_account.this",
            "kubernetes_service_account_v1.this"
        ]
    );
}
