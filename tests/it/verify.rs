//! `wi verify` as its user sees it: what holds, what is broken, what could not be tried, and what is seen of tokens.
//! tests/proofs/verify.rs compares it with the oracle.

mod jobs;

use serde_json::{Value, json};

use crate::support::served::Served;
use crate::support::{Place, Ran, flat};

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { eu: { location: europe-west1, name: main }, us: { location: us-central1, name: main } }
googleServiceAccounts:
  web-app:
    grants:
      - { role: roles/storage.objectViewer, resource: bucket/acme-receipts }
      - { role: roles/secretmanager.secretAccessor, resource: secret/stripe }
      - { role: roles/bigquery.dataViewer, resource: dataset/sales }
namespaces:
  shop:
    serviceAccounts:
      web: { impersonates: web-app }
      reporter:
        grants:
          - { role: roles/pubsub.subscriber, resource: subscription/orders }
";

const SCHEMA: &str = include_str!("../../schemas/wi-verify.v1.schema.json");
const GSA: &str = "web-app@acme-prod.iam.gserviceaccount.com";
const SECRET: &str = "//secretmanager.googleapis.com/projects/acme-prod/secrets/stripe";
const DATASET: &str = "//bigquery.googleapis.com/projects/acme-prod/datasets/sales";
const ORDERS: &str = "//pubsub.googleapis.com/projects/acme-prod/subscriptions/orders";
const REPORTER: &str = "principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/shop/sa/reporter";

/// Two clusters in which all holds; `edit` breaks what is to be broken.
fn world(edit: impl FnOnce(&mut Value)) -> String {
    let cluster = |location: &str| {
        json!({
            "project": "acme-prod", "location": location, "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{"name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA"}],
            "namespaces": {"shop": {"serviceAccounts": {
                "web": {"annotations": {"iam.gke.io/gcp-service-account": GSA}},
                "reporter": {},
            }}},
        })
    };
    let bound = |role: &str, member: &str| json!({"policy": {"bindings": [{"role": role, "members": [member]}]}});
    let web = format!("serviceAccount:{GSA}");
    let mut bucket = bound("roles/storage.objectViewer", &web);
    bucket["project"] = json!("acme-prod");
    let mut world = json!({
        "apiVersion": "wi.sandbox/v1",
        "projects": {"acme-prod": {"number": 42, "serviceAccounts": {
            "web-app": bound("roles/iam.workloadIdentityUser", "serviceAccount:acme-prod.svc.id.goog[shop/web]"),
        }}},
        "buckets": {"acme-receipts": bucket},
        "resources": {
            SECRET: bound("roles/secretmanager.secretAccessor", &web),
            DATASET: bound("roles/bigquery.dataViewer", &web),
            ORDERS: bound("roles/pubsub.subscriber", REPORTER),
        },
        "clusters": [cluster("europe-west1"), cluster("us-central1")],
    });
    edit(&mut world);
    world.to_string()
}

fn served(edit: impl FnOnce(&mut Value)) -> Served {
    Served::of(Place::new(SPEC, &world(edit)))
}

fn verify(served: &Served, args: &[&str]) -> Ran {
    served.wi(&[&["verify"], args].concat())
}

#[test]
fn committed_schema_of_proofs_is_the_one_that_wi_prints() {
    let ran = Place::new(SPEC, "").wi(&["schema", "verify"]).ok();
    assert_eq!(
        ran.out, SCHEMA,
        "run: cargo run -q -- schema verify > schemas/wi-verify.v1.schema.json"
    );
}

/// Link, outcome and title of the steps of one service account.
fn steps(answer: &Value, cluster: &str, name: &str) -> Vec<(String, String, String)> {
    let proofs = answer["proofs"].as_array().expect("proofs");
    let proof = proofs
        .iter()
        .find(|p| p["cluster"] == cluster && p["serviceAccount"] == name);
    let proof = proof.unwrap_or_else(|| panic!("{cluster} {name}: {answer:#}"));
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    let steps = proof["steps"].as_array().expect("steps");
    let of = |s: &Value| (text(&s["link"]), text(&s["outcome"]), text(&s["title"]));
    steps.iter().map(of).collect()
}

/// The links that are not held of one service account.
fn not_held(answer: &Value, cluster: &str, name: &str) -> Vec<(String, String)> {
    let steps = steps(answer, cluster, name).into_iter();
    let not_held = steps.filter(|(_, outcome, _)| outcome != "holds");
    not_held.map(|(link, outcome, _)| (link, outcome)).collect()
}

fn pair(link: &str, outcome: &str) -> Vec<(String, String)> {
    vec![(link.to_owned(), outcome.to_owned())]
}

/// No part of a token of the sandbox's is in what a run wrote.
fn has_no_token(served: &Served, ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        for part in ["CANARY", "ya29.", "eyJ"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(&served.sandbox.token()), "{text}");
    }
}

#[test]
fn verify_proves_every_grant_with_the_workloads_own_token_and_shows_none() {
    let served = served(|_| ());
    let ran = verify(&served, &[]).ok();
    assert!(
        ran.out
            .contains("✓ shop/web on eu, us → web-app@acme-prod.iam.gserviceaccount.com: 3 grants"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("✓ shop/reporter on eu, us: 1 grant"),
        "{}",
        ran.out
    );
    assert!(
        flat(&ran.out)
            .contains("node pools, their metadata servers and the pods' network were not tried")
    );
    has_no_token(&served, &ran);
    let logged = verify(&served, &["-vv"]).ok();
    assert!(logged.err.contains("generateAccessToken"), "{}", logged.err);
    has_no_token(&served, &logged);
    let json = verify(&served, &["--format", "json"]).ok();
    has_no_token(&served, &json);
    let answer = json.json(SCHEMA);
    assert_eq!(
        answer["counts"],
        json!({"holds": 22, "broken": 0, "untried": 0, "skipped": 0})
    );
    let titles: Vec<String> = steps(&answer, "eu", "web")
        .into_iter()
        .map(|(_, _, t)| t)
        .collect();
    assert!(
        titles.contains(&"storage.objects.get on bucket/acme-receipts".to_owned()),
        "{titles:?}"
    );
    assert!(
        titles.contains(&"secretmanager.versions.access on secret/acme-prod/stripe".to_owned()),
        "{titles:?}"
    );
    assert!(
        titles.contains(&"bigquery.datasets.get on dataset/acme-prod/sales".to_owned()),
        "{titles:?}"
    );
    // Nothing is written, neither at Google nor in a cluster; what is sent says what it is for.
    assert_eq!(served.sandbox.writes(), 0);
    let calls = served.sandbox.calls();
    let calls = calls["calls"].as_array().expect("calls");
    let run = answer["run"].as_str().expect("a run");
    let named = calls.iter().filter(|c| {
        c["userAgent"]
            .as_str()
            .is_some_and(|a| a.contains(&format!("({run})")))
    });
    let paths: Vec<&str> = named.filter_map(|c| c["path"].as_str()).collect();
    assert_eq!(
        paths.iter().filter(|p| **p == "/v1/token").count(),
        4,
        "{paths:?}"
    );
    assert!(
        paths.iter().any(|p| p.ends_with(":generateAccessToken")),
        "{paths:?}"
    );
    assert!(run.starts_with("verify; "), "{run}");
}

#[test]
fn verify_names_the_link_that_broke_and_the_way_on() {
    let served = served(|w| {
        w["resources"][SECRET]["policy"] = json!({});
    });
    let ran = verify(&served, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.out.contains("✗ shop/web on eu, us"), "{}", ran.out);
    assert!(
        ran.out
            .contains("✓ storage.objects.get on bucket/acme-receipts"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("✗ secretmanager.versions.access on secret/acme-prod/stripe: denied"),
        "{}",
        ran.out
    );
    assert!(
        flat(&ran.out).contains(
            "has no role on secret/acme-prod/stripe, nor on anything above it (18-grant)"
        ),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("wi apply --target"), "{}", ran.out);
    let way_on = "wi explain eu/shop/web --to secret/acme-prod/stripe --permission secretmanager.versions.access";
    assert!(ran.out.contains(way_on), "{}", ran.out);
    let ran = served
        .wi(&way_on.split(' ').skip(1).collect::<Vec<_>>())
        .ok();
    assert!(ran.out.contains("(18-grant)"), "{}", ran.out);
    // As a CI server reads it.
    let ran = verify(&served, &["--format", "junit", "--out", "proofs.xml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.contains("✗ shop/web"), "{}", ran.out);
    let xml = std::fs::read_to_string(served.place.path("proofs.xml")).expect("a file");
    assert!(xml.contains("failures=\"2\" errors=\"0\""), "{xml}");
    assert!(
        xml.contains("<testsuite name=\"eu/shop/web\" tests=\"7\" failures=\"1\""),
        "{xml}"
    );
    assert!(
        xml.contains("<failure type=\"18-grant\" message=\"denied\">wi explain"),
        "{xml}"
    );
    let ends = xml.matches("</testcase>").count();
    assert_eq!(xml.matches("<testcase ").count(), ends, "{xml}");
}

#[test]
fn verify_says_what_keeps_a_workload_from_its_identity() {
    type Edit = fn(&mut Value);
    let cases: [(&str, Edit); 7] = [
        ("3-service-account", |w| {
            w["clusters"][0]["namespaces"]["shop"]["serviceAccounts"] = json!({"reporter": {}})
        }),
        ("4-annotation", |w| {
            w["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"] = json!({})
        }),
        ("11-workload-pool", |w| {
            w["clusters"][0]["workloadPool"] = Value::Null;
            w["clusters"][0]["nodePools"][0]["workloadMetadata"] = json!("GCE_METADATA");
        }),
        ("12-apis", |w| {
            w["projects"]["acme-prod"]["disabledServices"] =
                json!(["iamcredentials.googleapis.com"])
        }),
        ("13-account", |w| {
            w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["disabled"] = json!(true)
        }),
        ("13-account", |w| {
            w["projects"]["acme-prod"]["serviceAccounts"] = json!({})
        }),
        ("14-binding", |w| {
            w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["policy"] = json!({})
        }),
    ];
    for (link, edit) in cases {
        let served = served(edit);
        let ran = verify(&served, &["eu/shop/web", "--format", "json"]);
        assert_eq!(ran.code, Some(2), "{link}: {ran:?}");
        let answer = ran.json(SCHEMA);
        assert_eq!(
            not_held(&answer, "eu", "web"),
            pair(link, "broken"),
            "{answer:#}"
        );
        has_no_token(&served, &ran);
        let proof = &answer["proofs"][0];
        assert!(
            proof["firstBrokenLink"]["id"].is_string(),
            "{link}: {proof:#}"
        );
    }
}

#[test]
fn verify_takes_what_could_not_be_tried_for_neither() {
    let bucket = "GET /storage/v1/b/acme-receipts/iam/testPermissions";
    for (fault, link) in [
        (bucket, "18-grant"),
        ("POST /v1/token", "11-workload-pool"),
        (
            "POST /api/v1/namespaces/shop/serviceaccounts/web/token",
            "3-service-account",
        ),
        (
            "GET /api/v1/namespaces/shop/serviceaccounts/web$",
            "4-annotation",
        ),
        (
            "POST /v1/projects/-/serviceAccounts/*:generateAccessToken",
            "14-binding",
        ),
        ("GET /v1/roles/storage.objectViewer", "19-role"),
    ] {
        let served = served(|_| ());
        served.inject(&json!({"match": fault, "denied": true}));
        let ran = verify(&served, &["eu/shop/web", "--format", "json"]);
        assert_eq!(ran.code, Some(1), "{fault}: {ran:?}");
        let answer = ran.json(SCHEMA);
        assert_eq!(
            not_held(&answer, "eu", "web"),
            pair(link, "untried"),
            "{fault}: {answer:#}"
        );
        has_no_token(&served, &ran);
    }
    // Of RBAC it says what is missing.
    let served = served(|w| w["clusters"][0]["denied"] = json!(["create serviceaccounts/token"]));
    let ran = verify(&served, &["shop/reporter"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        flat(&ran.out).contains("container.serviceAccounts.createToken"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("✓ shop/reporter on us"), "{}", ran.out);
}

#[test]
fn verify_of_a_cluster_that_cannot_be_reached_tries_the_others() {
    let served = served(|_| ());
    served.inject(&json!({"match": "TLS acme-prod/europe-west1/main", "tls": "otherAuthority"}));
    let ran = verify(&served, &["--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let answer = ran.json(SCHEMA);
    assert!(not_held(&answer, "us", "web").is_empty(), "{answer:#}");
    let eu = not_held(&answer, "eu", "web");
    assert!(
        !eu.is_empty() && eu.iter().all(|(_, outcome)| outcome == "untried"),
        "{eu:?}"
    );
}

#[test]
fn verify_tells_a_service_that_takes_no_federated_identity_before_any_call() {
    let spec = SPEC.replace(
        "{ role: roles/pubsub.subscriber, resource: subscription/orders }",
        "{ role: roles/run.invoker, resource: run/europe-west1/api }",
    );
    let api = "//run.googleapis.com/projects/acme-prod/locations/europe-west1/services/api";
    let world = world(|w| {
        w["resources"][api] =
            json!({"policy": {"bindings": [{"role": "roles/run.invoker", "members": [REPORTER]}]}});
    });
    let served = Served::of(Place::new(&spec, &world));
    let ran = verify(&served, &["eu/shop/reporter"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        flat(&ran.out).contains("no federated identity is taken"),
        "{}",
        ran.out
    );
    let calls = served.calls();
    assert!(
        !calls
            .keys()
            .any(|c| c.ends_with("services/api:testIamPermissions")),
        "{calls:?}"
    );
}

#[test]
fn verify_waits_for_policies_where_that_is_wanted() {
    let denied = json!({"match": "POST /v1/projects/-/serviceAccounts/*:generateAccessToken", "status": 403, "times": 1,
        "message": "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."});
    let served = served(|_| ());
    served.inject(&denied);
    let ran = verify(&served, &["eu/shop/web"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    served.inject(&denied);
    let ran = verify(&served, &["eu/shop/web", "--wait-propagation=5m"]).ok();
    assert!(flat(&ran.err).contains("does not hold yet"), "{}", ran.err);
}

#[test]
fn verify_of_what_is_named_alone() {
    let served = served(|_| ());
    let names = |args: &[&str]| -> Vec<String> {
        let answer = verify(&served, &[args, &["--format", "json"]].concat())
            .ok()
            .json(SCHEMA);
        let of = |p: &Value| {
            format!(
                "{}/{}",
                p["cluster"].as_str().unwrap_or(""),
                p["serviceAccount"].as_str().unwrap_or("")
            )
        };
        answer["proofs"]
            .as_array()
            .expect("proofs")
            .iter()
            .map(of)
            .collect()
    };
    assert_eq!(names(&[".", "shop/web"]), ["eu/web", "us/web"]);
    assert_eq!(names(&["gsa/web-app", "--cluster", "us"]), ["us/web"]);
    assert_eq!(
        names(&[GSA, "ksa.us/shop/reporter"]),
        ["eu/web", "us/reporter", "us/web"]
    );
    let asked = [
        "shop/reporter",
        "--to",
        "subscription/orders",
        "--permission",
        "pubsub.subscriptions.get",
    ];
    let ran = verify(&served, &asked);
    // A subscriber may consume, and not look at the subscription: what is asked is what is tried.
    let held = ran.out.contains("✓ shop/reporter on eu, us: 1 grant");
    let denied = ran
        .out
        .contains("✗ pubsub.subscriptions.get on subscription/acme-prod/orders: denied");
    assert!(held != denied, "{}", ran.out);
    for (args, says) in [
        (vec!["shop/nobody"], "the spec has no service account"),
        (
            vec!["--cluster", "mars"],
            "the spec has no cluster `mars`: it has eu, us",
        ),
        (vec!["pod/shop/web-1"], "wi explain pod/shop/web-1"),
        (
            vec!["nothing-here"],
            "there is no file or directory `nothing-here`",
        ),
        (vec!["--to", "bucket/acme-receipts"], "--permission"),
    ] {
        let ran = verify(&served, &args).fails();
        assert!(flat(&ran.err).contains(says), "{args:?}: {}", ran.err);
    }
}

#[test]
fn apply_with_verify_fails_where_what_it_made_does_not_hold() {
    let bare = |w: &mut Value| {
        w["projects"]["acme-prod"]["serviceAccounts"] = json!({});
        w["buckets"]["acme-receipts"]["policy"] = json!({});
        for resource in [SECRET, DATASET, ORDERS] {
            w["resources"][resource] = json!({});
        }
        for i in 0..2 {
            w["clusters"][i]["namespaces"] = json!({});
        }
    };
    let apply = [
        "apply",
        "--auto-approve",
        "--verify",
        "--wait-propagation",
        "0s",
    ];
    let served = served(bare);
    let ran = served.wi(&apply).ok();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    assert!(ran.out.contains("✓ shop/web on eu, us"), "{}", ran.out);
    has_no_token(&served, &ran);
    // A right that something else denies: all is written, and does not hold.
    let denied = world(|w| {
        bare(w);
        w["denyPolicies"] = json!([{"at": "project/acme-prod", "id": "x", "rules": [{
            "deniedPrincipals": ["principalSet://goog/public:all"],
            "deniedPermissions": ["storage.googleapis.com/objects.get"],
        }]}]);
    });
    let served = Served::of(Place::new(SPEC, &denied));
    let ran = served.wi(&apply).fails();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    assert!(
        ran.out
            .contains("✗ storage.objects.get on bucket/acme-receipts: denied"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("wi explain eu/shop/web --to bucket/acme-receipts"),
        "{}",
        ran.out
    );
}

#[test]
fn a_wave_that_does_not_hold_is_a_gate_that_does_not_open() {
    let waves = format!(
        "{SPEC}rollout: {{ waves: [ {{ name: canary, clusters: [eu] }}, {{ name: rest, clusters: remaining }} ] }}\n"
    );
    let bare = |w: &mut Value| {
        for i in 0..2 {
            w["clusters"][i]["namespaces"] = json!({});
        }
    };
    let apply = ["apply", "--auto-approve", "--wait-propagation", "0s"];
    let deny = |w: &mut Value| {
        bare(w);
        w["denyPolicies"] = json!([{"at": "project/acme-prod", "id": "x", "rules": [{
            "deniedPrincipals": ["principalSet://goog/public:all"],
            "deniedPermissions": ["storage.googleapis.com/objects.get"],
        }]}]);
    };
    let served = Served::of(Place::new(&waves, &world(deny)));
    let ran = served.wi(&apply).fails();
    let all = flat(&format!("{}{}", ran.out, ran.err));
    assert!(
        all.contains("storage.objects.get on bucket/acme-receipts does not hold: denied"),
        "{all}"
    );
    let state = |served: &Served, i: usize| {
        let world = serde_json::to_value(served.sandbox.snapshot()).expect("JSON");
        world["clusters"][i]["namespaces"]["shop"]["serviceAccounts"]["web"].is_object()
    };
    assert!(state(&served, 0), "the canary was made");
    assert!(!state(&served, 1), "and the gate did not open");
    // What cannot be tried is told, and does not keep a gate shut that nobody asked to prove ...
    let unseen = |w: &mut Value| {
        bare(w);
        w["clusters"][0]["denied"] = json!(["create serviceaccounts/token"]);
    };
    let served = Served::of(Place::new(&waves, &world(unseen)));
    let ran = served.wi(&apply).ok();
    assert!(
        flat(&ran.err).contains("Not proven, and the gate goes on"),
        "{ran:?}"
    );
    assert!(state(&served, 1));
    // ... and does where somebody did.
    let served = Served::of(Place::new(&waves, &world(unseen)));
    served.wi(&[&apply[..], &["--verify"]].concat()).fails();
    assert!(!state(&served, 1), "the gate did not open");
}
