//! `wi logs`: what is told of audit logs by the spec and by the past. The detectors themselves are tested in
//! `crates/wi-logs`, on the same made-up logs.

#[path = "../../crates/wi-logs/tests/made/mod.rs"]
mod made;

use made::{BATCH, Call, METADATA, Made, WEB, WORKER, ksa};
use serde_json::{Value, json};

use crate::support::{Place, Ran};

const SCHEMA: &str = include_str!("../../schemas/wi-findings.v1.schema.json");

const SPEC: &str = r#"
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1 }
googleServiceAccounts:
  web:
    id: web-shop
    grants:
      - roles/cloudsql.client
      - { role: roles/storage.objectViewer, resource: bucket/acme-receipts }
  worker: { grants: [roles/datastore.user] }
namespaces:
  shop:
    serviceAccounts:
      web: { impersonates: web }
      worker: { impersonates: worker }
      reports:
        grants: [roles/bigquery.jobUser]
"#;

/// A place with the shop's spec, and logs of so many days with something planted.
fn place(days: std::ops::Range<i64>, planted: &[&str]) -> Place {
    let place = Place::new(SPEC, "");
    place.write("logs.json", &logs(days, planted));
    place
}

fn logs(days: std::ops::Range<i64>, planted: &[&str]) -> String {
    let mut made = Made::new(7);
    let last = days.end - 1;
    made.quiet(days);
    for detector in planted {
        made.plant(detector, last);
    }
    made.lines().join("\n")
}

#[test]
fn a_service_that_no_role_explains_is_found_on_the_first_day_with_its_numbers() {
    let place = place(0..1, &["L2"]);
    let ran = place.wi(&["logs", "scan", "logs.json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    ran.says(&[
        "L2: web-shop@acme-prod.iam.gserviceaccount.com (shop/web on main) asked BigQuery",
        "InsertJob ×14",
        "its roles: cloudsql.client, storage.objectViewer",
        "declared in wi.yaml:8",
        "expected? audit.expect: [{ account: web, service: bigquery.googleapis.com, reason:",
        "Learning",
    ]);
    // What it prints accepts it.
    let expect = "audit: { expect: [{ account: web, service: bigquery.googleapis.com, reason: the report }] }\n";
    place.write("wi.yaml", &format!("{SPEC}{expect}"));
    let ran = place.wi(&["logs", "scan", "logs.json"]).ok();
    ran.says(&["1 accepted"]);
}

#[test]
fn thirty_quiet_days_are_fit_for_a_job_and_each_format_tells_a_finding() {
    let place = place(0..30, &[]);
    place
        .wi(&["logs", "scan", "logs.json", "--fail-on", "low"])
        .ok()
        .says(&["Findings: none"]);
    place.write("odd.json", &logs(0..30, &["L1", "L5"]));
    for (format, part) in [
        ("json", "\"rule\": \"minter-new\""),
        ("sarif", "\"ruleId\": \"minter-new\""),
        ("markdown", "| high | minter-new |"),
        ("junit", "<testsuite name=\"minter-new\""),
    ] {
        let ran = place.wi(&["logs", "scan", "odd.json", "--format", format]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.out.contains(part), "{format}: {}", ran.out);
    }
    let found = place
        .wi(&["logs", "scan", "odd.json", "--format", "json"])
        .json(SCHEMA);
    assert_eq!(found["command"], "logs scan");
    let mut prints: Vec<&str> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| f["fingerprint"].as_str().expect("a fingerprint"))
        .collect();
    assert_eq!(prints.len(), 3);
    prints.dedup();
    assert_eq!(prints.len(), 3, "each has its own");
    let one = place
        .wi(&[
            "logs",
            "scan",
            "odd.json",
            "--format",
            "json",
            "--detectors",
            "L5",
        ])
        .json(SCHEMA);
    assert_eq!(one["findings"].as_array().expect("findings").len(), 1);
}

#[test]
fn a_baseline_is_learned_once_from_a_file_and_decides_what_is_new() {
    let place = place(0..10, &[]);
    place.write("week.json", &logs(10..17, &["L3", "L8"]));
    let alone = place.wi(&["logs", "scan", "week.json"]).ok();
    alone.says(&["Learning"]);
    place.wi(&["logs", "learn", "logs.json"]).ok();
    let text = std::fs::read_to_string(place.path(".wi/baseline.v1.jsonl")).expect("a baseline");
    assert!(!text.contains("203.0.113.7") && text.contains("203.0.113.0/24"));
    let again = place.wi(&["logs", "learn", "logs.json"]).fails();
    again.says(&["has learned from this already"]);
    assert_eq!(
        text,
        std::fs::read_to_string(place.path(".wi/baseline.v1.jsonl")).expect("a baseline")
    );
    let ran = place.wi(&["logs", "scan", "week.json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    ran.says(&["L3: batch@", "L8: batch@", "never called from"]);
    // Learned with the scan, it is no longer new.
    assert_eq!(
        place.wi(&["logs", "scan", "week.json", "--learn"]).code,
        Some(2)
    );
    place.wi(&["logs", "scan", "week.json"]).ok();
}

#[test]
fn flags_say_who_wi_is_which_networks_are_known_and_when_keys_were_left() {
    let place = place(0..10, &["L6", "L8"]);
    place.write(
        "networks",
        "# ours\n192.0.2.0/24 the office\n0.0.0.0/0 all\n",
    );
    let ran = place.wi(&[
        "logs",
        "scan",
        "logs.json",
        "--ip-map",
        "networks",
        "--migrated",
        "2027-01-01",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    // Somebody else whose program is called wi is not wi, once it is said who is.
    let other = "--wi-identity=other@acme-prod.iam.gserviceaccount.com";
    let ran = place.wi(&["logs", "scan", "logs.json", other, "--detectors", "L10"]);
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    ran.says(&["L10: wi-ci@acme-prod.iam.gserviceaccount.com did SetIAMPolicy"]);
    place.write("networks", "ours 192.0.2.0/24\n");
    place
        .wi(&["logs", "scan", "logs.json", "--ip-map", "networks"])
        .fails()
        .says(&["networks:1:", "is no network"]);
    place
        .wi(&["logs", "scan", "logs.json", "--detectors", "L17"])
        .fails();
    place
        .wi(&["logs", "scan"])
        .fails()
        .says(&["nothing to read"]);
    place
        .wi(&["logs", "scan", "none.json"])
        .fails()
        .says(&["none.json"]);
}

#[test]
fn what_breaks_off_is_incomplete_and_standard_input_is_read() {
    let place = place(0..2, &[]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, logs(0..2, &[]).as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    std::fs::write(place.path("torn.gz"), &gzip[..gzip.len() / 2]).expect("a file");
    let ran = place.wi(&["logs", "scan", "torn.gz"]).fails();
    ran.says(&["Incomplete.", "torn.gz"]);
    place
        .wi(&["logs", "scan", "torn.gz", "--allow-incomplete"])
        .ok();
    place
        .wi(&["logs", "learn", "torn.gz"])
        .fails()
        .says(&["nothing was learned"]);
    let mut command = place.command(&["logs", "summary", "-"]);
    command.stdin(std::fs::File::open(place.path("logs.json")).expect("a file"));
    let piped = Ran::of(&mut command).ok();
    assert_eq!(
        piped.out,
        place.wi(&["logs", "summary", "logs.json"]).ok().out
    );
}

#[test]
fn summary_of_an_array_and_of_lines_are_identical() {
    let place = place(0..2, &[]);
    let mut made = Made::new(7);
    made.quiet(0..2);
    let values: Vec<Value> = made.entries.iter().map(|(_, e)| e.clone()).collect();
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    place.write(
        "array.json",
        &serde_json::to_string_pretty(&values).expect("JSON"),
    );
    place.write("lines.json", &lines.join("\n"));
    for format in ["text", "json"] {
        let of = |file| {
            place
                .wi(&["logs", "summary", file, "--format", format])
                .ok()
                .out
        };
        assert_eq!(of("array.json"), of("lines.json"));
        assert!(of("lines.json").contains("cloudsql.googleapis.com"));
    }
}

#[test]
fn permissions_of_a_subject_are_those_that_entries_name_and_what_is_not_logged_is_said() {
    let place = place(0..2, &[]);
    let ran = place.wi(&["logs", "permissions", "web", "logs.json"]).ok();
    ran.says(&["storage.objects.get", "buckets/acme-receipts", "denied"]);
    assert!(!ran.out.contains("BatchGetDocuments"), "{}", ran.out);
    ran.says(&["Of sqladmin.googleapis.com, which its roles are for, no entry was seen"]);
    let by_email = place.wi(&["logs", "permissions", WEB, "logs.json"]).ok();
    assert_eq!(ran.out, by_email.out);
    let ran = place
        .wi(&[
            "logs",
            "permissions",
            "shop/reports",
            "logs.json",
            "--format",
            "json",
        ])
        .ok();
    let value: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(value["principals"], json!([ksa("reports")]));
    place
        .wi(&["logs", "permissions", "shop/nobody", "logs.json"])
        .fails()
        .says(&["nobody is called"]);
}

#[test]
fn hostile_names_are_shown_escaped_in_every_format() {
    let place = Place::new(SPEC, "");
    let mut made = Made::new(1);
    for n in 0..2 {
        let at = made.at(0) + n;
        let evil = "evil\u{1b}[31m|\n::error::x\u{202e}@acme.com";
        made.mint(at, evil, WEB, METADATA, "gce-internal-ip");
        let call = Call::new(WORKER, "x\u{1b}]0;x.googleapis.com", "::error::y");
        made.call(at, &call, json!({}));
    }
    place.write("logs.json", &made.lines().join("\n"));
    for format in ["text", "json", "sarif", "markdown", "junit"] {
        let ran = place.wi(&["logs", "scan", "logs.json", "--format", format]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(
            !ran.out.contains('\u{1b}') && (format == "json" || !ran.out.contains('\u{202e}')),
            "{format}: {}",
            ran.out
        );
        assert!(
            !ran.out.lines().any(|l| l.trim_start().starts_with("::")),
            "{format}"
        );
    }
    let ran = place.wi(&["logs", "summary", "logs.json"]).ok();
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
}

#[test]
fn audit_of_the_spec_is_checked_with_its_words() {
    let place = Place::new(SPEC, "");
    for (audit, told) in [
        (
            "{ account: wbe, service: x, reason: r }",
            "Declared: web, worker.",
        ),
        (
            "{ service: x, reason: r }",
            "what is expected is of one identity",
        ),
        (
            "{ account: web, principal: x, service: x, reason: r }",
            "what is expected is of one identity",
        ),
        (
            "{ account: web, reason: r }",
            "it is not said what is expected",
        ),
        ("{ account: web, finding: L17, reason: r }", "L17"),
        ("{ account: web, finding: L5 }", "reason"),
        (
            "{ serviceAccount: web, finding: L5, reason: r }",
            "names no Kubernetes service account",
        ),
        (
            "{ account: web, finding: L5, reason: r, until: soon }",
            "is no date",
        ),
    ] {
        place.write(
            "wi.yaml",
            &format!("{SPEC}audit: {{ expect: [{audit}] }}\n"),
        );
        place.wi(&["validate"]).fails().says(&[told]);
    }
    let audit = "audit: { trustedProjects: [acme-shared], expect: [{ serviceAccount: shop/web, finding: L1, about: 'gl-*', reason: r, until: 2027-03-31 }] }\n";
    place.write("wi.yaml", &format!("{SPEC}{audit}"));
    place.wi(&["validate"]).ok();
    // Whoever is not declared is named as entries name him.
    assert!(BATCH.contains('@'));
}

/// A shop on the sandbox: `shop/web-1` is the pod of an account that is for Cloud SQL.
fn sandbox(calls: &str, rest: &str) -> Place {
    let spec = SPEC.replace(
        "      - { role: roles/storage.objectViewer, resource: bucket/acme-receipts }\n",
        "",
    );
    let world = format!(
        r#"
apiVersion: wi.sandbox/v1
projects:
  acme-prod:
    policy:
      auditConfigs:
        - {{ service: iam.googleapis.com, auditLogConfigs: [{{ logType: ADMIN_READ }}, {{ logType: DATA_READ }}] }}
        - {{ service: sts.googleapis.com, auditLogConfigs: [{{ logType: ADMIN_READ }}] }}
        - {{ service: cloudsql.googleapis.com, auditLogConfigs: [{{ logType: DATA_READ }}] }}
      bindings:
        - {{ role: roles/cloudsql.client, members: ["serviceAccount:web-shop@acme-prod.iam.gserviceaccount.com"] }}
    serviceAccounts:
      web-shop:
        policy:
          bindings:
            - {{ role: roles/iam.workloadIdentityUser, members: ["serviceAccount:acme-prod.svc.id.goog[shop/web]"] }}
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }}]
    namespaces:
      shop:
        serviceAccounts:
          web: {{ annotations: {{ iam.gke.io/gcp-service-account: web-shop@acme-prod.iam.gserviceaccount.com }} }}
    pods:
      - {{ namespace: shop, name: web-1, serviceAccountName: web, owner: {{ kind: StatefulSet, name: web }} }}
podCalls:
{calls}
{rest}
"#
    );
    Place::new(&spec, &world)
}

fn hours_ago(hours: i64) -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    at.to_string()
}

fn sql_calls() -> String {
    format!(
        "  - {{ pod: shop/web-1, at: \"{}\", count: 30, service: cloudsql.googleapis.com, method: cloudsql.instances.connect, permission: cloudsql.instances.connect, resource: project/acme-prod }}\n",
        hours_ago(30)
    )
}

#[test]
fn a_pod_that_is_taken_over_and_asks_bigquery_is_told_live() {
    let place = sandbox(&sql_calls(), "");
    let quiet = place.wi(&["logs", "scan", "--live", "--sandbox"]);
    assert_eq!(quiet.code, Some(0), "{}{}", quiet.out, quiet.err);
    quiet.says(&["60 audit entries"]);
    let odd = format!(
        "{}  - {{ pod: shop/web-1, at: \"{}\", count: 14, service: bigquery.googleapis.com, method: google.cloud.bigquery.v2.JobService.InsertJob, permission: bigquery.jobs.create, resource: project/acme-prod }}\n",
        sql_calls(),
        hours_ago(2)
    );
    // Pages come after empty ones, and the quota is used up twice.
    let rest = "evidence: { emptyLogPages: true }\nfaults:\n  - { match: POST /v2/entries, status: 429, times: 2 }\n";
    let place = sandbox(&odd, rest);
    let ran = place.wi(&["logs", "scan", "--live", "--sandbox"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    ran.says(&[
        "L2: web-shop@acme-prod.iam.gserviceaccount.com (shop/web on main) asked BigQuery",
        "InsertJob ×14",
        "all denied",
        "its roles: cloudsql.client",
    ]);
    assert!(
        ran.err
            .contains("is used up: asking for 12 hours at a time"),
        "{}",
        ran.err
    );
}

#[test]
fn a_live_scan_knows_networks_of_clusters_and_what_roles_permit_on_the_first_day() {
    let call = |from: &str, service: &str, permission: &str| {
        format!(
            "  - {{ pod: shop/web-1, at: \"{}\", service: {service}, method: {permission}, permission: {permission}, resource: project/acme-prod, callerIp: {from} }}\n",
            hours_ago(3)
        )
    };
    let sql = "cloudsql.instances.connect";
    // The first is a pod's address, the second a node's.
    let calls = ["10.0.1.9", "10.128.0.7"].map(|from| call(from, "cloudsql.googleapis.com", sql));
    let odd = call(
        "172.20.0.9",
        "bigquery.googleapis.com",
        "bigquery.jobs.create",
    );
    let role = "customRoles: [{ name: projects/acme-prod/roles/web, permissions: [cloudsql.instances.connect, storage.objects.get] }]\n";
    let of = |calls: &str, rest: &str| {
        let place = sandbox(calls, &format!("{role}{rest}"));
        let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("a spec");
        place.write(
            "wi.yaml",
            &spec.replace("roles/cloudsql.client", "projects/acme-prod/roles/web"),
        );
        place
    };
    let quiet = of(&calls.concat(), "").wi(&["logs", "scan", "--live", "--sandbox"]);
    assert_eq!(quiet.code, Some(0), "{}{}", quiet.out, quiet.err);
    let place = of(&[calls.concat(), odd.clone()].concat(), "");
    let ran = place.wi(&["logs", "scan", "--live", "--sandbox"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    ran.says(&[
        "L2: web-shop@acme-prod.iam.gserviceaccount.com (shop/web on main) asked BigQuery",
        "L8: web-shop@acme-prod.iam.gserviceaccount.com (shop/web on main) called from 172.20.0.0/24, where no cluster",
        "10.0.1.0/24 (pods of main)",
        "10.128.0.0/24 (nodes of subnetwork default)",
    ]);
    // What cannot be read says nothing about anybody, and is told.
    let faults = "faults:\n  - { match: 'GET */aggregated/usableSubnetworks', denied: true }\n  - { match: 'GET /v1/projects/acme-prod/roles/web', denied: true }\n";
    let place = of(&[calls.concat(), odd].concat(), faults);
    let ran = place.wi(&["logs", "scan", "--live", "--sandbox"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    ran.says(&[
        "Networks of clusters of project acme-prod are not all known",
        "What projects/acme-prod/roles/web permits is not known",
    ]);
}

#[test]
fn live_scans_say_what_they_did_not_read_and_which_logs_are_off() {
    let place = sandbox(&sql_calls(), "");
    let ran = place
        .wi(&["logs", "scan", "--live", "--sandbox", "--max-entries", "5"])
        .fails();
    ran.says(&["--max-entries 5 is reached", "Incomplete."]);
    let denied = "faults:\n  - { match: POST /v2/entries, denied: true }\n";
    let place = sandbox(&sql_calls(), denied);
    let ran = place.wi(&["logs", "scan", "--live", "--sandbox"]).fails();
    ran.says(&["audit logs of project acme-prod", "Incomplete."]);
    let place = Place::new(
        SPEC,
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\n",
    );
    let ran = place.wi(&["logs", "scan", "--live", "--sandbox"]).ok();
    ran.says(&[
        "Audit logs of project acme-prod are off",
        "gcloud projects set-iam-policy acme-prod",
    ]);
}

#[test]
fn filters_a_sink_and_the_query_are_printed() {
    let place = Place::new(SPEC, "");
    let ran = place.wi(&["logs", "filters"]).ok();
    ran.says(&[
        "what web-shop@acme-prod.iam.gserviceaccount.com did (account: web)",
        "serviceAccount:acme-prod.svc.id.goog[shop/web]",
    ]);
    let ran = place
        .wi(&["logs", "sink", "--dataset", "acme-logs.audit"])
        .ok();
    ran.says(&[
        "gcloud logging sinks create wi-identities",
        "--project=acme-prod",
        "datasets/audit",
    ]);
    let ran = place
        .wi(&[
            "logs",
            "sql",
            "--dataset",
            "acme-logs.audit",
            "--since",
            "7d",
        ])
        .ok();
    ran.says(&[
        "FROM `acme-logs.audit.cloudaudit_googleapis_com_data_access`",
        "timestamp >=",
    ]);
    for wrong in ["audit", "acme-logs.a`b", "acme-logs.a'; rm"] {
        place
            .wi(&["logs", "sql", "--dataset", wrong])
            .fails()
            .says(&["--dataset"]);
    }
}
