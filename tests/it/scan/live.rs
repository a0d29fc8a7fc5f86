//! `wi scan --live`: who uses which key, and what is not said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wi_sandbox::World;

use super::made::Account;
use super::told;
use crate::support::Ran;
use crate::support::inside::{Inside, runtime};

const SPEC: &str = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\n";

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

/// The account's name before the `@`.
fn short(account: &Account) -> &str {
    account.email.split('@').next().expect("an email")
}

/// A key as the world has it.
fn key(account: &Account, uses: &[Value]) -> Value {
    json!({"id": account.id, "uses": uses, "publicKey": account.rsa.public_pem()})
}

fn secret(name: &str, account: &Account) -> Value {
    let data = STANDARD.encode(account.json());
    let applied = json!({"kind": "Secret", "data": {"key.json": data}}).to_string();
    json!({
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
        "data": {"key.json": data},
    })
}

/// What makes pods that mount a Secret, with the variable or without.
fn workload(kind: &str, name: &str, secret: &str, variable: bool, more: &Value) -> Value {
    let env = match variable {
        true => json!([{"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/k/sa.json"}]),
        false => json!([]),
    };
    let template = json!({"spec": {
        "containers": [{"name": "app", "image": "shop/app", "env": env, "volumeMounts": [{"name": "k", "mountPath": "/k"}]}],
        "volumes": [{"name": "k", "secret": {"secretName": secret, "items": [{"key": "key.json", "path": "sa.json"}]}}],
    }});
    let mut spec = match kind {
        "CronJob" => {
            json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}})
        }
        _ => json!({"template": template}),
    };
    for (field, value) in more["spec"].as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let mut metadata = json!({"name": name, "namespace": "shop"});
    if let Some(owner) = more.get("owner") {
        metadata["ownerReferences"] = json!([owner]);
    }
    json!({"kind": kind, "metadata": metadata, "spec": spec})
}

struct Place {
    inside: Inside,
    runtime: tokio::runtime::Runtime,
}

/// A world with these accounts' keys and these objects.
fn place(accounts: &[(&Account, &[Value])], objects: &[Value], more: &Value) -> Place {
    let mut of_project = json!({});
    for (account, uses) in accounts {
        of_project[short(account)] = json!({"keys": [key(account, uses)]});
    }
    let mut world = json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 1.0,
        "evidence": {"metricLagSeconds": 0},
        "projects": {"acme-prod": {"number": 123_456_789_012_u64, "serviceAccounts": of_project}},
        "clusters": [{"project": "acme-prod", "location": "europe-west1", "name": "main", "autopilot": true,
            "namespaces": {"shop": {}}, "objects": objects}],
    });
    for (field, value) in more["world"].as_object().into_iter().flatten() {
        world[field] = value.clone();
    }
    for (field, value) in more["cluster"].as_object().into_iter().flatten() {
        world["clusters"][0][field] = value.clone();
    }
    let world = World::parse(&world.to_string(), "world").expect("a valid world");
    let runtime = runtime();
    let inside = runtime.block_on(Inside::start(SPEC, world));
    // What lies beside the spec is scanned as well.
    std::fs::remove_file(inside.place.path("world.yaml")).expect("removed");
    Place { inside, runtime }
}

impl Place {
    fn scan(&self, args: &[&str]) -> Ran {
        let all = [&["scan", "--live"], args].concat();
        self.runtime.block_on(self.inside.wi(&all))
    }

    fn json(&self, args: &[&str]) -> Value {
        let ran = self.scan(&[args, &["--format", "json"]].concat());
        ran.json(super::SCHEMA)
    }

    fn calls(&self, part: &str) -> Vec<String> {
        let counts = self.inside.counts();
        counts
            .keys()
            .filter(|k| k.contains(part))
            .cloned()
            .collect()
    }
}

fn live<'a>(found: &'a Value, account: &Account) -> &'a Value {
    let keys = found["keys"].as_array().expect("keys");
    let found = keys
        .iter()
        .find(|k| k["id"] == account.id.as_str() && k.get("live").is_some());
    found.unwrap_or_else(|| panic!("{keys:#?}"))
}

fn users(found: &Value, account: &Account) -> Vec<String> {
    let users = live(found, account)["users"].as_array().expect("users");
    users
        .iter()
        .map(|u| u.as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn variable_is_followed_to_the_key_and_whoever_just_mounts_it_is_told_apart() {
    let account = Account::new(101);
    let objects = [
        secret("checkout-key", &account),
        workload("Deployment", "checkout", "checkout-key", true, &json!({})),
        workload("StatefulSet", "sidecar", "checkout-key", false, &json!({})),
        workload(
            "Deployment",
            "asleep",
            "checkout-key",
            true,
            &json!({"spec": {"replicas": 0}}),
        ),
        workload(
            "CronJob",
            "report",
            "checkout-key",
            true,
            &json!({"spec": {"suspend": true}}),
        ),
        workload(
            "ReplicaSet",
            "checkout-old",
            "checkout-key",
            true,
            &json!({"spec": {"replicas": 0}, "owner": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "1", "controller": true}}),
        ),
    ];
    let place = place(
        &[(&account, &[json!({"at": ago(30), "count": 412})])],
        &objects,
        &json!({}),
    );
    let found = place.json(&["--read-secrets", "referenced", "--auto-approve"]);
    let told_users = users(&found, &account);
    let way = "GOOGLE_APPLICATION_CREDENTIALS -> /k/sa.json, Secret shop/checkout-key#key.json";
    for user in [
        format!("CronJob shop/report in cluster.main, container app: {way}"),
        format!("Deployment shop/asleep in cluster.main, container app: {way}"),
        format!("Deployment shop/checkout in cluster.main, container app: {way}"),
        "StatefulSet shop/sidecar in cluster.main, container app: only mounted at /k, Secret shop/checkout-key#key.json".to_owned(),
        format!("old revision ReplicaSet shop/checkout-old in cluster.main, container app: {way}"),
    ] {
        assert!(told_users.contains(&user), "{user}\n{told_users:#?}");
    }
    assert_eq!(told_users.len(), 5);
    assert_eq!(
        live(&found, &account)["live"]["verdict"],
        "in use by what is known"
    );
    // In use: worse than a Secret that nobody has.
    assert_eq!(
        told(&found),
        ["key-in-secret wi-live/cluster.main/Secret/shop/checkout-key.yaml:null"]
    );
    assert_eq!(found["findings"][0]["severity"], "high");
    assert!(
        live(&found, &account)["live"]["last_use"]
            .to_string()
            .contains("412 in six weeks")
    );
    for canary in account.canaries() {
        assert!(!found.to_string().contains(&canary));
    }
    let graph = place.scan(&[
        "--read-secrets",
        "referenced",
        "--auto-approve",
        "--graph",
        "mermaid",
    ]);
    assert!(
        graph.out.starts_with("graph LR\n") && graph.out.contains("CronJob shop/report"),
        "{}",
        graph.out
    );
}

#[test]
fn without_leave_no_secret_is_opened_nor_are_more_than_names_asked_for() {
    let account = Account::new(102);
    let objects = [
        secret("checkout-key", &account),
        workload("Deployment", "checkout", "checkout-key", true, &json!({})),
    ];
    let place = place(
        &[(&account, &[json!({"at": ago(10)})])],
        &objects,
        &json!({}),
    );
    let found = place.json(&[]);
    assert_eq!(
        place.calls("/secrets"),
        ["GET /kubernetes/acme-prod/europe-west1/main/api/v1/secrets"]
    );
    let asked = place.inside.sandbox.calls().to_string();
    assert!(
        asked.contains("includeObject=None") || !asked.contains("includeObject"),
        "{asked}"
    );
    // Who uses it cannot be told: nobody is accused, and nobody is excused.
    let verdict = live(&found, &account)["live"]["verdict"].to_string();
    assert!(
        verdict.contains("cannot say: 1 Secret was that workloads name not opened")
            || verdict.contains("cannot say: 1 Secret"),
        "{verdict}"
    );
    assert!(told(&found).is_empty(), "{:?}", told(&found));
    assert!(found["out_of_reach"].to_string().contains("the content of Secret shop/checkout-key of cluster.main, which Deployment shop/checkout has"));
    for canary in account.canaries() {
        assert!(!found.to_string().contains(&canary));
    }
    // Somebody has to say yes, and sees to what.
    let ran = place.scan(&["--read-secrets", "referenced"]).fails();
    assert!(
        ran.err.contains("wi will open 1 Secret")
            && ran.err.contains("cluster.main shop/checkout-key"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("pass --auto-approve"), "{}", ran.err);
    assert_eq!(place.calls("/secrets/").len(), 0);
}

#[test]
fn key_that_somebody_uses_who_was_not_seen_is_critical_and_cannot_be_accepted() {
    let account = Account::new(103);
    let idle = Account::new(104);
    let place = place(
        &[
            (&account, &[json!({"at": ago(10), "count": 96})]),
            (&idle, &[]),
        ],
        &[],
        &json!({}),
    );
    let ran = place.scan(&[]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(
        ran.out.contains("[key-used-by-unseen]")
            && ran.out.contains("Do not disable it before they are found."),
        "{}",
        ran.out
    );
    let found = place.json(&[]);
    let rules: Vec<&str> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| f["rule"].as_str().expect("a rule"))
        .collect();
    assert_eq!(rules, ["key-used-by-unseen", "key-without-users"]);
    assert_eq!(
        found["findings"][0]["subject"],
        format!("{}/{}", account.email, account.id)
    );
    assert_eq!(
        found["findings"][1]["subject"],
        format!("{}/{}", idle.email, idle.id)
    );
    assert!(!found.to_string().contains("unused"));
    let ran = place.scan(&["--write-baseline", "draft.yaml"]);
    assert_eq!(ran.code, Some(2));
    let draft = std::fs::read_to_string(place.inside.place.path("draft.yaml")).expect("a draft");
    assert!(
        !draft.contains("key-used-by-unseen") && draft.contains("key-without-users"),
        "{draft}"
    );
    // No byte is asked of a found key, nor is its certificate's URL.
    assert!(place.calls("token").is_empty() && place.calls("x509").is_empty());
}

#[test]
fn callers_are_named_by_audit_logs_where_these_are_on() {
    let account = Account::new(105);
    let uses = [
        json!({"at": ago(10), "callerIp": "10.8.3.17", "userAgent": "gcloud-java/2", "method": "storage.objects.get"}),
    ];
    let place = place(&[(&account, &uses)], &[], &json!({}));
    let args = ["--evidence", "metrics,activity,logs"];
    let found = place.json(&args);
    assert!(
        found["findings"][0]["evidence"]
            .to_string()
            .contains("none told in 24 hours"),
        "{found:#}"
    );
    drop(place);
    let place = self::place(
        &[(&account, &uses)],
        &[],
        &json!({"world": {"projects": {"acme-prod": {
            "number": 123_456_789_012_u64,
            "policy": {"auditConfigs": [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}]},
            "serviceAccounts": {short(&account): {"keys": [key(&account, &uses)]}},
        }}}}),
    );
    let found = place.json(&args);
    let evidence = found["findings"][0]["evidence"].to_string();
    assert!(
        evidence.contains("called from 10.8.3.17 (gcloud-java/2), storage.objects.get: 1 time"),
        "{evidence}"
    );
}

#[test]
fn refused_read_is_told_and_nothing_is_concluded_from_it() {
    let account = Account::new(106);
    let objects = [
        secret("checkout-key", &account),
        workload("Deployment", "checkout", "checkout-key", true, &json!({})),
    ];
    let denied = json!({"cluster": {"denied": ["get secrets in shop"]}});
    let place = place(&[(&account, &[])], &objects, &denied);
    let args = ["--read-secrets", "referenced", "--auto-approve"];
    let ran = place.scan(&args).fails();
    assert!(
        ran.out.contains("Secret shop/checkout-key of cluster.main"),
        "{}",
        ran.out
    );
    let found = place.json(&args);
    assert_eq!(found["complete"], false);
    assert!(told(&found).is_empty(), "{:?}", told(&found));
    let verdict = live(&found, &account)["live"]["verdict"].to_string();
    assert!(verdict.contains("cannot say"), "{verdict}");
}

#[test]
fn monitoring_that_is_partial_or_refused_says_nothing_of_a_key() {
    let account = Account::new(107);
    let place = place(
        &[(&account, &[])],
        &[],
        &json!({"world": {"evidence": {"metricLagSeconds": 0, "unreachable": ["projects/acme-prod/locations/eu"]}}}),
    );
    let found = place.json(&[]);
    let verdict = live(&found, &account)["live"]["verdict"].to_string();
    assert!(
        verdict.contains("cannot say: Cloud Monitoring could not reach"),
        "{verdict}"
    );
    assert!(told(&found).is_empty());
    place.inside.inject(
        &json!({"match": "GET /v3/projects/acme-prod/timeSeries", "status": 403, "message": "no"}),
    );
    let found = place.json(&[]);
    assert!(
        live(&found, &account)["live"]["verdict"]
            .to_string()
            .contains("cannot say"),
        "{found:#}"
    );
    place.inside.inject(&json!({"match": "GET /v1/projects/acme-prod/serviceAccounts", "status": 403, "message": "no"}));
    let ran = place.scan(&[]).fails();
    assert!(
        ran.out
            .contains("the service accounts of project/acme-prod"),
        "{}",
        ran.out
    );
}

#[test]
fn exposed_key_is_critical_and_what_google_says_is_shown_escaped() {
    let account = Account::new(108);
    let status = [
        json!({"key": "SERVICE_ACCOUNT_KEY_EXTENDED_STATUS_KEY_EXPOSED", "value": "https://example.com/\u{1b}[31mred"}),
    ];
    let world = json!({"world": {"projects": {"acme-prod": {"number": 123_456_789_012_u64, "serviceAccounts": {short(&account): {"keys": [
        {"id": account.id, "extendedStatus": status},
        {"id": "77aa01aa01aa01", "disabled": true, "disableReason": "SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED"},
    ]}}}}}});
    let place = place(&[], &[], &world);
    let ran = place.scan(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.out.contains("[key-exposed]") && !ran.out.contains('\u{1b}'),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("\\u{1b}[31mred"), "{}", ran.out);
    assert_eq!(
        ran.out.matches("[key-exposed]").count(),
        1,
        "the other one is disabled"
    );
}

#[test]
fn custom_resources_are_users() {
    let account = Account::new(109);
    let store = json!({"apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": "gsm", "namespace": "shop"},
        "spec": {"provider": {"gcpsm": {"projectID": "acme-prod", "auth": {"secretRef": {"secretAccessKeySecretRef": {"name": "eso-key", "key": "key.json"}}}}}}});
    let issuer = json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "dns"},
        "spec": {"acme": {"solvers": [{"dns01": {"cloudDNS": {"project": "acme-prod"}}}]}}});
    let place = place(
        &[(&account, &[])],
        &[secret("eso-key", &account)],
        &json!({"cluster": {"customObjects": [store, issuer]}}),
    );
    let found = place.json(&["--read-secrets", "referenced", "--auto-approve"]);
    assert_eq!(
        users(&found, &account),
        [
            "SecretStore shop/gsm in cluster.main: spec.provider.gcpsm.auth.secretRef.secretAccessKeySecretRef, Secret shop/eso-key#key.json"
        ]
    );
    assert_eq!(
        live(&found, &account)["live"]["verdict"],
        "referenced, not seen in use"
    );
    place.inside.inject(&json!({"match": "GET .*/apis/external-secrets.io/v1/secretstores", "status": 403, "message": "no"}));
}

#[test]
fn keys_in_config_maps_and_templates_are_found_without_leave() {
    let (account, other) = (Account::new(110), Account::new(111));
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "objstore", "namespace": "shop"}, "data": {"objstore.yml": format!("type: GCS\nconfig:\n  service_account: |-\n    {}", account.json().replace('\n', "\n    "))}});
    let deployment = json!({"kind": "Deployment", "metadata": {"name": "thanos", "namespace": "shop"}, "spec": {"template": {"spec": {
        "containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": "objstore"}}], "env": [{"name": "SA_JSON", "value": other.json()}]}],
    }}}});
    let place = place(
        &[(&account, &[]), (&other, &[])],
        &[map, deployment],
        &json!({}),
    );
    let found = place.json(&[]);
    assert_eq!(
        told(&found),
        [
            "key-in-plain-object wi-live/cluster.main/ConfigMap/shop/objstore.yaml:null",
            "key-in-plain-object wi-live/cluster.main/Deployment/shop/thanos.yaml:null",
        ]
    );
    for canary in account.canaries().iter().chain(&other.canaries()) {
        assert!(!found.to_string().contains(canary));
    }
}

#[test]
fn key_that_says_it_is_another_is_known_by_its_public_half() {
    let account = Account::new(112);
    let edited = account
        .json()
        .replace(&account.id, "0123456789abcdef0123456789abcdef01234567");
    let place = place(&[(&account, &[])], &[], &json!({}));
    place.inside.place.write("key.json", &edited);
    let gone = Account::new(113)
        .json()
        .replace(&Account::new(113).email, &account.email);
    place.inside.place.write("gone.json", &gone);
    let found = place.json(&[]);
    let rules: Vec<(&str, &str)> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| {
            (
                f["rule"].as_str().expect("a rule"),
                f["severity"].as_str().expect("a severity"),
            )
        })
        .collect();
    assert!(rules.contains(&("key-mismatch", "high")), "{rules:?}");
    // A key that the account does not have any more opens nothing.
    assert!(rules.contains(&("key-in-files", "low")), "{rules:?}");
    assert!(found.to_string().contains("no key of the account any more"));
}

#[test]
fn pod_that_started_before_its_secret_changed_may_hold_another_key() {
    let account = Account::new(114);
    let mut secret = secret("checkout-key", &account);
    secret["metadata"]["creationTimestamp"] = json!("2026-11-20T10:00:00Z");
    let pod = json!({"name": "checkout-x2x1p", "namespace": "shop", "creationTimestamp": "2026-11-02T10:00:00Z",
        "containers": [{"name": "app", "env": [{"name": "GOOGLE_CREDENTIALS", "valueFrom": {"secretKeyRef": {"name": "checkout-key", "key": "key.json"}}}]}]});
    let place = place(
        &[(&account, &[])],
        &[secret],
        &json!({"cluster": {"pods": [pod]}}),
    );
    let found = place.json(&["--read-secrets", "all", "--auto-approve"]);
    let of_pod: Vec<&Value> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|f| f["rule"] == "pod-may-hold-another")
        .collect();
    assert_eq!(of_pod.len(), 1, "{found:#}");
    assert!(of_pod[0]["evidence"].to_string().contains(
        "it started on 2026-11-02 10:00, and Secret shop/checkout-key changed on 2026-11-20"
    ));
}

#[test]
fn sarif_of_live_findings_has_a_path_and_a_line_too() {
    let account = Account::new(115);
    let place = place(&[(&account, &[json!({"at": ago(5)})])], &[], &json!({}));
    let ran = place.scan(&["--format", "sarif"]);
    let sarif: Value = serde_json::from_str(&ran.out).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    let location = &result["locations"][0];
    let uri = location["physicalLocation"]["artifactLocation"]["uri"]
        .as_str()
        .expect("a uri");
    assert!(
        uri.starts_with("wi-live/project/acme-prod/serviceAccounts/"),
        "{uri}"
    );
    assert_eq!(location["physicalLocation"]["region"]["startLine"], 1);
    assert!(
        location["logicalLocations"][0]["fullyQualifiedName"]
            .as_str()
            .is_some_and(|n| n.ends_with(&account.id))
    );
}
