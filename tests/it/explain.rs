//! `wi explain` as its user sees it: chains, near misses, what mends them, messages, exit codes, and what is
//! not to be seen. tests/proofs/access.rs compares it with the oracle.

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
namespaces:
  shop:
    serviceAccounts:
      web: { impersonates: web-app }
";

const GSA: &str = "web-app@acme-prod.iam.gserviceaccount.com";

/// Two clusters in which every link holds; `edit` breaks what is to be broken.
fn world(edit: impl FnOnce(&mut Value)) -> String {
    let cluster = |location: &str| {
        json!({
            "project": "acme-prod", "location": location, "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{"name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA"}],
            "namespaces": {"shop": {"serviceAccounts": {"web": {"uid": "0f0f", "annotations": {"iam.gke.io/gcp-service-account": GSA}}}}},
            "pods": [{"name": "web-1", "namespace": "shop", "serviceAccountName": "web", "owner": {"kind": "ReplicaSet", "name": "web-5d9"}}],
            "objects": [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
                    "spec": {"serviceAccountName": "web", "containers": [{"name": "app", "image": "acme/app"}]}}}}],
        })
    };
    let member = format!("serviceAccount:{GSA}");
    let mut world = json!({
        "apiVersion": "wi.sandbox/v1",
        "projects": {"acme-prod": {"number": 42, "serviceAccounts": {"web-app": {"policy": {"bindings": [
            {"role": "roles/iam.workloadIdentityUser", "members": ["serviceAccount:acme-prod.svc.id.goog[shop/web]"]},
        ]}}}}},
        "buckets": {"acme-receipts": {"project": "acme-prod", "policy": {"bindings": [
            {"role": "roles/storage.objectViewer", "members": [member]},
        ]}}},
        "clusters": [cluster("europe-west1"), cluster("us-central1")],
    });
    edit(&mut world);
    world.to_string()
}

fn served(edit: impl FnOnce(&mut Value)) -> Served {
    Served::of(Place::new(SPEC, &world(edit)))
}

const QUESTION: [&str; 5] = [
    "pod/shop/web-1",
    "--to",
    "bucket/acme-receipts",
    "--permission",
    "storage.objects.get",
];

fn explain(served: &Served, args: &[&str]) -> Ran {
    served.wi(&[&["explain"], args].concat())
}

fn asked(served: &Served, more: &[&str]) -> Ran {
    explain(served, &[&QUESTION[..], more].concat())
}

fn of_json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

/// The states of links, by id.
fn states(answer: &Value) -> Vec<(&str, &str)> {
    let links = answer["links"].as_array().expect("links");
    links
        .iter()
        .map(|l| {
            (
                l["id"].as_str().expect("an id"),
                l["state"].as_str().expect("a state"),
            )
        })
        .collect()
}

#[test]
fn explain_of_a_whole_chain_is_allowed_and_the_same_in_both_clusters() {
    let served = served(|_| ());
    let ran = asked(&served, &[]).ok();
    assert!(
        ran.out.contains("Pod shop/web-1 on eu") && ran.out.contains("Allowed."),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.contains('✗') && !ran.out.contains('?'),
        "{}",
        ran.out
    );
    for subject in [
        "shop/web",
        "ksa.us/shop/web",
        "gsa/web-app",
        "gsa.web-app",
        GSA,
        "deploy/shop/web",
    ] {
        let ran = explain(&served, &[subject, "--json"]).ok();
        let answer = of_json(&ran);
        assert_eq!(answer["verdict"], "allowed", "{subject}: {answer:#}");
        assert_eq!(answer["first"], Value::Null, "{subject}");
    }
    // `wi access` takes the same, a workload by its template.
    let access = ["access", "--of", "deploy/shop/web", "--allow-incomplete"];
    let ran = served.wi(&access).ok();
    ran.says(&["ksa.eu/shop/web", GSA]);
    // One answer for what is the same.
    let ran = explain(&served, &["shop/web"]).ok();
    assert!(ran.out.starts_with("shop/web on eu, us\n"), "{}", ran.out);
    // Nothing was written.
    assert!(served.writes().is_empty(), "{:?}", served.writes());
}

#[test]
fn explain_marks_what_differs_in_a_near_miss_and_names_what_mends_it() {
    let served = served(|w| {
        w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["policy"]["bindings"][0]["members"] =
            json!(["serviceAccount:acme-prod.svc.id.goog[shop-dev/web]"]);
    });
    let ran = asked(&served, &["--cluster", "eu"]).ok();
    let lines: Vec<&str> = ran.out.lines().collect();
    let at = lines
        .iter()
        .position(|l| l.contains("[shop-dev/web]"))
        .expect("the member");
    let carets = lines[at + 1];
    let start = carets.find('^').expect("carets");
    assert_eq!(&lines[at][start..start + 8], "shop-dev");
    assert_eq!(carets.trim(), "^^^^^^^^ the namespace is shop");
    assert!(
        ran.out
            .contains("wi apply --target binding.web-app/acme-prod/shop/web"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("(14-binding)") && ran.out.contains("wi.yaml:12"),
        "{}",
        ran.out
    );
    let ran = asked(
        &served,
        &["--cluster", "eu", "--json", "--detailed-exitcode"],
    );
    assert_eq!(ran.code, Some(2));
    let answer = of_json(&ran);
    assert_eq!(answer["verdict"], "denied");
    assert_eq!(answer["first"]["id"], "14-binding");
    assert_eq!(answer["first"]["near"][0]["why"], "the namespace is shop");
}

#[test]
fn explain_tells_clusters_apart_that_differ() {
    let served = served(|w| {
        w["clusters"][1]["namespaces"]["shop"]["serviceAccounts"]["web"]["annotations"] = json!({});
    });
    let ran = explain(&served, &["shop/web", "--json"]).ok();
    let answer = of_json(&ran);
    assert_eq!(
        (&answer["clusters"], &answer["verdict"]),
        (&json!(["us"]), &json!("denied"))
    );
    assert_eq!(answer["first"]["id"], "4-annotation");
    assert_eq!(
        answer["first"]["fix"]["command"],
        "wi apply --target ksa.us/shop/web"
    );
    let other = &answer["others"][0];
    assert_eq!(
        (&other["clusters"], &other["verdict"]),
        (&json!(["eu"]), &json!("allowed"))
    );
}

#[test]
fn explain_names_the_pool_before_the_binding_that_no_longer_matters() {
    let served = served(|w| {
        w["clusters"][0]["nodePools"][0]["workloadMetadata"] = json!("GCE_METADATA");
        w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["policy"] = json!({});
    });
    let answer = of_json(&asked(&served, &["--cluster", "eu", "--json"]).ok());
    assert_eq!(answer["first"]["id"], "9-node-pool");
    assert_eq!(
        answer["first"]["fix"]["command"],
        "wi apply --target nodepool.eu/p"
    );
    assert!(
        states(&answer).contains(&("14-binding", "irrelevant")),
        "{answer:#}"
    );
    assert_eq!(
        answer["caller"]["node"],
        "42-compute@developer.gserviceaccount.com"
    );
}

#[test]
fn explain_evaluates_conditions_as_of_a_time() {
    let served = served(|w| {
        w["buckets"]["acme-receipts"]["policy"] = json!({});
        w["projects"]["acme-prod"]["policy"] = json!({"bindings": [{
            "role": "roles/storage.objectViewer", "members": [format!("serviceAccount:{GSA}")],
            "condition": {"title": "until-2026", "expression": "request.time < timestamp('2026-01-01T00:00:00Z')"},
        }]});
    });
    let answer = of_json(&asked(&served, &["--cluster", "eu", "--json"]).ok());
    assert_eq!(answer["first"]["id"], "20-condition");
    assert_eq!(answer["first"]["source"]["line"], 8, "{answer:#}");
    let before = ["--cluster", "eu", "--json", "--at", "2025-06-01T00:00:00Z"];
    assert_eq!(of_json(&asked(&served, &before).ok())["verdict"], "allowed");
}

#[test]
fn explain_says_what_it_may_not_read_and_concludes_nothing_from_it() {
    let served = served(|_| ());
    served.inject(&json!({"match": format!("POST /v1/projects/acme-prod/serviceAccounts/{GSA}:getIamPolicy"), "denied": true}));
    let ran = asked(&served, &["--cluster", "eu"]).fails();
    assert!(!ran.out.contains('✗'), "{}", ran.out);
    assert!(
        flat(&ran.out).contains(
            "? whether shop/web may be web-app@acme-prod.iam.gserviceaccount.com could not be seen"
        ),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("No link is broken in what could be seen"),
        "{}",
        ran.out
    );
    let answer = of_json(&asked(&served, &["--cluster", "eu", "--json"]).fails());
    assert_eq!(answer["verdict"], "unknown");
    assert!(
        states(&answer).contains(&("14-binding", "unseen")),
        "{answer:#}"
    );
}

#[test]
fn explain_judges_network_policies_by_the_data_plane() {
    for (v2, enforced, state) in [
        (true, false, "broken"),
        (false, true, "holds"),
        (false, false, "irrelevant"),
    ] {
        let served = served(|w| {
            let cluster = &mut w["clusters"][0];
            let path = if v2 {
                "ADVANCED_DATAPATH"
            } else {
                "LEGACY_DATAPATH"
            };
            cluster["extra"] = json!({"networkConfig": {"datapathProvider": path}, "networkPolicy": {"enabled": enforced}});
            cluster["objects"].as_array_mut().expect("objects").push(json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": "egress", "namespace": "shop"},
                "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [
                    {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]},
                ]},
            }));
        });
        let answer = of_json(&asked(&served, &["--cluster", "eu", "--json"]));
        assert!(
            states(&answer).contains(&("26-network", state)),
            "{v2} {enforced}: {answer:#}"
        );
    }
}

#[test]
fn explain_needs_no_spec() {
    let served = served(|w| {
        w["buckets"]["acme-receipts"]["policy"] = json!({});
    });
    std::fs::remove_file(served.place.path("wi.yaml")).expect("it goes");
    let ran = asked(&served, &[]).fails();
    assert!(ran.err.contains("--project"), "{}", ran.err);
    let more = [
        "--project",
        "acme-prod",
        "--cluster",
        "europe-west1/main",
        "--json",
    ];
    let answer = of_json(&asked(&served, &more).ok());
    assert_eq!(answer["clusters"], json!(["acme-prod/europe-west1/main"]));
    assert_eq!(answer["first"]["id"], "18-grant", "{answer:#}");
    assert!(answer["first"]["fix"]["specEdit"].is_array(), "{answer:#}");
    let ran = asked(&served, &["--project", "acme-prod", "--cluster", "other"]).fails();
    assert!(
        ran.err.contains("has no cluster `other`: it has main"),
        "{}",
        ran.err
    );
}

#[test]
fn explain_of_what_is_not_there_names_what_is_like_it() {
    let served = served(|_| ());
    let ran = explain(&served, &["pod/shop/web-2", "--cluster", "eu"]).ok();
    assert!(
        ran.out.contains("there is no Pod shop/web-2") && ran.out.contains("there is web-1"),
        "{}",
        ran.out
    );
    let ran = explain(&served, &["shop/weeb", "--cluster", "eu"]).ok();
    assert!(
        flat(&ran.out).contains("there is no Kubernetes service account shop/weeb"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("there is web"), "{}", ran.out);
    let ran = explain(&served, &["web"]).fails();
    assert!(ran.err.contains("NAMESPACE/SERVICEACCOUNT"), "{}", ran.err);
}

#[test]
fn explain_reads_messages_offline_and_shows_no_secret_of_them() {
    let place = Place::new(SPEC, "");
    std::fs::remove_file(place.path("wi.yaml")).expect("it goes");
    let message = r#"{"severity":"ERROR","err":"compute: Received 403 `Unable to generate access token; IAM returned 403 Forbidden: Permission \u0027iam.serviceAccounts.getAccessToken\u0027 denied on resource (or it may not exist).`","token":"ya29.a0AfB_byCANARY1234"}"#;
    place.write("error.txt", message);
    let ran = place.wi(&["explain", "--error", "@error.txt"]).ok();
    assert!(ran.out.contains("link 14-binding"), "{}", ran.out);
    assert!(
        !format!("{}{}", ran.out, ran.err).contains("CANARY"),
        "{ran:?}"
    );
    let ran = place
        .wi(&["explain", "--error", "@error.txt", "--json"])
        .ok();
    assert_eq!(of_json(&ran)["message"]["id"], "E1");
    let ran = place
        .wi(&["explain", "--error", "everything is on fire"])
        .fails();
    assert_eq!(
        ran.out.lines().filter(|l| l.starts_with("- ")).count(),
        3,
        "{}",
        ran.out
    );
}

#[test]
fn explain_says_whether_the_live_state_agrees_with_a_message() {
    let denied = "403: web-app@acme-prod.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get' denied on resource '//storage.googleapis.com/projects/_/buckets/acme-receipts' (or it may not exist).";
    let args = ["pod/shop/web-1", "--cluster", "eu", "--error", denied];
    let whole = served(|_| ());
    let ran = explain(&whole, &args).ok();
    assert!(
        ran.out.contains("does not agree with the message"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("storage.objects.get on //storage.googleapis.com"),
        "{}",
        ran.out
    );
    let broken = served(|w| {
        w["buckets"]["acme-receipts"]["policy"] = json!({});
    });
    let ran = explain(&broken, &args).ok();
    assert!(
        ran.out.contains("The live state agrees with the message."),
        "{}",
        ran.out
    );
}

#[test]
fn explain_shows_hostile_text_escaped() {
    let served = served(|w| {
        w["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"]["annotations"] =
            json!({"iam.gke.io/gcp-service-account": "x\u{1b}[31m\n::error::y\u{202e}"});
    });
    let ran = explain(&served, &["eu/shop/web"]).ok();
    assert!(
        !ran.out.contains('\u{1b}') && !ran.out.contains('\u{202e}'),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.lines().any(|l| l.trim_start().starts_with("::")),
        "{}",
        ran.out
    );
}

#[test]
fn explain_asks_for_what_the_question_takes_and_no_more() {
    let served = served(|_| ());
    served.request("DELETE", "/sandbox/v1/calls", "");
    explain(&served, &["eu/shop/web"]).ok();
    let calls = served.calls();
    let mut paths: Vec<&str> = calls.keys().map(String::as_str).collect();
    paths.retain(|p| !p.contains("/tokeninfo"));
    // Each once.
    assert!(calls.values().all(|n| *n == 1), "{calls:?}");
    // Of pods, nodes, roles that nobody has and other clusters nothing is read.
    for part in [
        "pods",
        "nodes",
        "us-central1",
        "keys",
        "roles/storage.objectViewer",
    ] {
        assert!(!paths.iter().any(|p| p.contains(part)), "{part}: {paths:?}");
    }
    assert!(paths.len() <= 16, "{}: {paths:#?}", paths.len());
}

/// An entry of the log of changes, from an hour ago.
fn change(method: &str, service: &str, labels: Value, payload: Value) -> Value {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    let mut entry = json!({
        "logName": "projects/acme-prod/logs/cloudaudit.googleapis.com%2Factivity",
        "timestamp": at.to_string(),
        "insertId": method,
        "resource": { "type": "audited_resource", "labels": labels },
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": service,
            "methodName": method,
            "authenticationInfo": { "principalEmail": "mallory@acme.example" },
        },
    });
    for (key, value) in payload.as_object().expect("fields") {
        entry["protoPayload"][key] = value.clone();
    }
    entry
}

fn removed(role: &str, member: &str) -> Value {
    json!({ "serviceData": { "policyDelta": { "bindingDeltas": [
        { "action": "ADD", "role": role, "member": "user:jo@acme.example" },
        { "action": "REMOVE", "role": role, "member": member },
    ] } } })
}

#[test]
fn who_changed_last_what_is_broken_is_told_where_the_log_may_be_read() {
    const IAM: &str = "iam.googleapis.com";
    const USER: &str = "roles/iam.workloadIdentityUser";
    let account = json!({ "email_id": GSA, "project_id": "acme-prod" });
    let cluster = json!({ "cluster_name": "main", "location": "europe-west1" });
    let member = format!("serviceAccount:{GSA}");
    let ksa = "serviceAccount:acme-prod.svc.id.goog[shop/web]";
    type Break = fn(&mut Value);
    let breaks: [(&str, Break, Value, &str); 4] = [
        (
            "14-binding",
            |w| w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["policy"] = json!({}),
            change(
                "google.iam.admin.v1.SetIAMPolicy",
                IAM,
                account.clone(),
                removed(USER, ksa),
            ),
            "google.iam.admin.v1.SetIAMPolicy, which took roles/iam.workloadIdentityUser from serviceAccount:acme-prod.svc.id.goog[shop/web]",
        ),
        (
            "13-account",
            |w| w["projects"]["acme-prod"]["serviceAccounts"]["web-app"]["disabled"] = true.into(),
            change(
                "google.iam.admin.v1.DisableServiceAccount",
                IAM,
                account,
                json!({}),
            ),
            "google.iam.admin.v1.DisableServiceAccount",
        ),
        (
            "18-grant",
            |w| w["buckets"]["acme-receipts"]["policy"] = json!({}),
            change(
                "storage.setIamPermissions",
                "storage.googleapis.com",
                json!({}),
                removed("roles/storage.objectViewer", &member),
            ),
            "storage.setIamPermissions, which took roles/storage.objectViewer from",
        ),
        (
            "9-node-pool",
            |w| w["clusters"][0]["nodePools"][0]["workloadMetadata"] = "GCE_METADATA".into(),
            change(
                "google.container.v1.ClusterManager.UpdateNodePool",
                "container.googleapis.com",
                cluster,
                json!({}),
            ),
            "google.container.v1.ClusterManager.UpdateNodePool",
        ),
    ];
    let only = ["--cluster", "eu"];
    for (link, edit, entry, told) in breaks {
        let served = served(|world| {
            edit(world);
            // Others' changes, and tries that failed, are none.
            let mut failed = entry.clone();
            failed["protoPayload"]["status"] = json!({ "code": 7 });
            failed["protoPayload"]["authenticationInfo"]["principalEmail"] =
                "eve@acme.example".into();
            let other = change(
                "google.iam.admin.v1.SetIAMPolicy",
                IAM,
                json!({ "email_id": GSA }),
                removed(USER, "serviceAccount:acme-prod.svc.id.goog[shop/other]"),
            );
            world["logEntries"] = json!([entry, failed, other]);
        });
        let ran = asked(&served, &only);
        let said = flat(&ran.out);
        assert!(said.contains(&format!("({link})")), "{link}: {}", ran.out);
        assert!(
            said.contains("Changed last by mallory@acme.example on") && said.contains(told),
            "{link}: {}",
            ran.out
        );
        let answer = of_json(&asked(&served, &["--cluster", "eu", "--json"]));
        assert_eq!(answer["changed"]["by"], "mallory@acme.example", "{link}");
        served.sandbox.inject([serde_json::from_value(json!({
            "match": "POST /v2/entries:list", "status": 403,
        }))
        .expect("a fault")]);
        let said = flat(&asked(&served, &only).out);
        assert!(
            said.contains("who changed it last (audit logs of project acme-prod: "),
            "{link}: {said}"
        );
        assert!(!said.contains("mallory"), "{link}: {said}");
    }
    // Where nothing is broken, no log is asked.
    let served = served(|_| {});
    asked(&served, &only).ok();
    let calls = served.sandbox.calls().to_string();
    assert!(!calls.contains("entries:list"), "{calls}");
}
