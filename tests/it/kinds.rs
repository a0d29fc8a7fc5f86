//! Every kind of resource: how its policy is read and written, against the shapes of the APIs'
//! discovery documents, and that it works from spec to world.

use std::fmt::Write;

use crate::support::Place;
use crate::support::served::Served;
use serde_json::{Value, json};

/// What the spec says; path of its policy; the read's method, query and body; how a write is wrapped.
struct Kind {
    resource: &'static str,
    full: &'static str,
    read: (&'static str, &'static str, &'static str, Value),
    write: (
        &'static str,
        &'static str,
        &'static str,
        &'static [&'static str],
    ),
}

const QUERY: &str = "options.requestedPolicyVersion=3";
const MASKED: &[&str] = &["policy", "updateMask"];
const WRAPPED: &[&str] = &["policy"];

fn kind(
    resource: &'static str,
    full: &'static str,
    path: &'static str,
    post: bool,
    write: &'static [&'static str],
) -> Kind {
    let leak = |s: String| -> &'static str { Box::leak(s.into_boxed_str()) };
    let get = leak(format!("{path}:getIamPolicy"));
    let set = leak(format!("{path}:setIamPolicy"));
    let body = json!({"options": {"requestedPolicyVersion": 3}});
    Kind {
        resource,
        full,
        read: if post {
            ("POST", get, "", body)
        } else {
            ("GET", get, QUERY, Value::Null)
        },
        write: ("POST", set, "", write),
    }
}

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        kind(
            "folder/123",
            "//cloudresourcemanager.googleapis.com/folders/123",
            "/v3/folders/123",
            true,
            MASKED,
        ),
        kind(
            "organization/456",
            "//cloudresourcemanager.googleapis.com/organizations/456",
            "/v3/organizations/456",
            true,
            MASKED,
        ),
        kind(
            "secret/stripe",
            "//secretmanager.googleapis.com/projects/acme-prod/secrets/stripe",
            "/v1/projects/acme-prod/secrets/stripe",
            false,
            MASKED,
        ),
        kind(
            "regional-secret/eu/stripe",
            "//secretmanager.googleapis.com/projects/acme-prod/locations/eu/secrets/stripe",
            "/v1/projects/acme-prod/locations/eu/secrets/stripe",
            false,
            MASKED,
        ),
        kind(
            "topic/orders",
            "//pubsub.googleapis.com/projects/acme-prod/topics/orders",
            "/v1/projects/acme-prod/topics/orders",
            false,
            WRAPPED,
        ),
        kind(
            "subscription/orders",
            "//pubsub.googleapis.com/projects/acme-prod/subscriptions/orders",
            "/v1/projects/acme-prod/subscriptions/orders",
            false,
            WRAPPED,
        ),
        kind(
            "table/sales/orders",
            "//bigquery.googleapis.com/projects/acme-prod/datasets/sales/tables/orders",
            "/bigquery/v2/projects/acme-prod/datasets/sales/tables/orders",
            true,
            MASKED,
        ),
        kind(
            "keyring/eu/ring",
            "//cloudkms.googleapis.com/projects/acme-prod/locations/eu/keyRings/ring",
            "/v1/projects/acme-prod/locations/eu/keyRings/ring",
            false,
            MASKED,
        ),
        kind(
            "key/acme-kms/eu/ring/k",
            "//cloudkms.googleapis.com/projects/acme-kms/locations/eu/keyRings/ring/cryptoKeys/k",
            "/v1/projects/acme-kms/locations/eu/keyRings/ring/cryptoKeys/k",
            false,
            MASKED,
        ),
        kind(
            "spanner-instance/main",
            "//spanner.googleapis.com/projects/acme-prod/instances/main",
            "/v1/projects/acme-prod/instances/main",
            true,
            WRAPPED,
        ),
        kind(
            "spanner/main/db",
            "//spanner.googleapis.com/projects/acme-prod/instances/main/databases/db",
            "/v1/projects/acme-prod/instances/main/databases/db",
            true,
            WRAPPED,
        ),
        kind(
            "repository/eu/images",
            "//artifactregistry.googleapis.com/projects/acme-prod/locations/eu/repositories/images",
            "/v1/projects/acme-prod/locations/eu/repositories/images",
            false,
            WRAPPED,
        ),
        kind(
            "run/europe-west1/api",
            "//run.googleapis.com/projects/acme-prod/locations/europe-west1/services/api",
            "/v2/projects/acme-prod/locations/europe-west1/services/api",
            false,
            MASKED,
        ),
        kind(
            "run-job/europe-west1/batch",
            "//run.googleapis.com/projects/acme-prod/locations/europe-west1/jobs/batch",
            "/v2/projects/acme-prod/locations/europe-west1/jobs/batch",
            false,
            MASKED,
        ),
        kind(
            "queue/europe-west1/mail",
            "//cloudtasks.googleapis.com/projects/acme-prod/locations/europe-west1/queues/mail",
            "/v2/projects/acme-prod/locations/europe-west1/queues/mail",
            true,
            WRAPPED,
        ),
        kind(
            "function/europe-west1/resize",
            "//cloudfunctions.googleapis.com/projects/acme-prod/locations/europe-west1/functions/resize",
            "/v2/projects/acme-prod/locations/europe-west1/functions/resize",
            false,
            MASKED,
        ),
        kind(
            "bigtable-instance/main",
            "//bigtable.googleapis.com/projects/acme-prod/instances/main",
            "/v2/projects/acme-prod/instances/main",
            true,
            MASKED,
        ),
        kind(
            "dns-zone/shop-example",
            "//dns.googleapis.com/projects/acme-prod/managedZones/shop-example",
            "/dns/v1/projects/acme-prod/managedZones/shop-example",
            true,
            MASKED,
        ),
        kind(
            "bigtable/main/orders",
            "//bigtable.googleapis.com/projects/acme-prod/instances/main/tables/orders",
            "/v2/projects/acme-prod/instances/main/tables/orders",
            true,
            MASKED,
        ),
        kind(
            "routine/sales/tax",
            "//bigquery.googleapis.com/projects/acme-prod/datasets/sales/routines/tax",
            "/bigquery/v2/projects/acme-prod/datasets/sales/routines/tax",
            true,
            MASKED,
        ),
        kind(
            "import-job/acme-kms/eu/ring/import",
            "//cloudkms.googleapis.com/projects/acme-kms/locations/eu/keyRings/ring/importJobs/import",
            "/v1/projects/acme-kms/locations/eu/keyRings/ring/importJobs/import",
            false,
            MASKED,
        ),
        kind(
            "spanner-backup/main/daily",
            "//spanner.googleapis.com/projects/acme-prod/instances/main/backups/daily",
            "/v1/projects/acme-prod/instances/main/backups/daily",
            true,
            WRAPPED,
        ),
        kind(
            "run-worker-pool/europe-west1/mailer",
            "//run.googleapis.com/projects/acme-prod/locations/europe-west1/workerPools/mailer",
            "/v2/projects/acme-prod/locations/europe-west1/workerPools/mailer",
            false,
            MASKED,
        ),
        kind(
            "bigtable-backup/main/c1/daily",
            "//bigtable.googleapis.com/projects/acme-prod/instances/main/clusters/c1/backups/daily",
            "/v2/projects/acme-prod/instances/main/clusters/c1/backups/daily",
            true,
            MASKED,
        ),
        kind(
            "bigtable-authorized-view/main/orders/eu",
            "//bigtable.googleapis.com/projects/acme-prod/instances/main/tables/orders/authorizedViews/eu",
            "/v2/projects/acme-prod/instances/main/tables/orders/authorizedViews/eu",
            true,
            MASKED,
        ),
        kind(
            "bigtable-logical-view/main/totals",
            "//bigtable.googleapis.com/projects/acme-prod/instances/main/logicalViews/totals",
            "/v2/projects/acme-prod/instances/main/logicalViews/totals",
            true,
            MASKED,
        ),
        kind(
            "bigtable-materialized-view/main/sums",
            "//bigtable.googleapis.com/projects/acme-prod/instances/main/materializedViews/sums",
            "/v2/projects/acme-prod/instances/main/materializedViews/sums",
            true,
            MASKED,
        ),
        kind(
            "iap-backend-service/shop-frontend",
            "//iap.googleapis.com/projects/acme-prod/iap_web/compute/services/shop-frontend",
            "/v1/projects/acme-prod/iap_web/compute/services/shop-frontend",
            true,
            WRAPPED,
        ),
    ];
    let camel = "optionsRequestedPolicyVersion=3";
    let bare = &["bindings", "etag", "version"];
    kinds.push(Kind {
        resource: "managedfolder/acme-receipts/2026/q1",
        full: "//storage.googleapis.com/projects/_/buckets/acme-receipts/managedFolders/2026/q1",
        read: (
            "GET",
            "/storage/v1/b/acme-receipts/managedFolders/2026%2Fq1%2F/iam",
            camel,
            Value::Null,
        ),
        write: (
            "PUT",
            "/storage/v1/b/acme-receipts/managedFolders/2026%2Fq1%2F/iam",
            "",
            bare,
        ),
    });
    kinds.push(Kind {
        resource: "dataset/sales",
        full: "//bigquery.googleapis.com/projects/acme-prod/datasets/sales",
        read: (
            "GET",
            "/bigquery/v2/projects/acme-prod/datasets/sales",
            "accessPolicyVersion=3&datasetView=FULL",
            Value::Null,
        ),
        write: (
            "PATCH",
            "/bigquery/v2/projects/acme-prod/datasets/sales",
            "accessPolicyVersion=3&updateMode=UPDATE_ACL",
            &["access"],
        ),
    });
    kinds
}

#[test]
fn each_kind_is_read_and_written_as_its_api_wants() {
    let mut spec = String::from(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout:\n    grants:\n",
    );
    let mut world = String::from(
        "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: { acme-prod: {}, acme-kms: {} }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, autopilot: true }\nresources:\n",
    );
    for (i, kind) in kinds().iter().enumerate() {
        // Half of them by their full names.
        let name = if i % 2 == 0 { kind.resource } else { kind.full };
        // Storage takes no basic roles.
        let service = kind.full.split('.').next().unwrap_or_default();
        let role = match service {
            "//storage" => "roles/storage.objectViewer",
            _ => "roles/viewer",
        };
        let _ = writeln!(spec, "      - {{ role: {role}, resource: {name} }}");
        let theirs = format!(
            "{{ policy: {{ bindings: [{{ role: {role}, members: [user:ann@example.com] }}] }} }}"
        );
        let _ = writeln!(world, "  {}: {theirs}", kind.full);
    }
    let served = Served::of(Place::new(&spec, &world));
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );

    let calls = served.request("GET", "/sandbox/v1/calls", "");
    let calls = calls["calls"].as_array().expect("calls");
    let world = served.request("GET", "/sandbox/v1/world", "");
    for kind in kinds() {
        let (method, path, query, body) = kind.read;
        let read = calls
            .iter()
            .find(|c| c["path"] == path && c["method"] == method);
        let read = read.unwrap_or_else(|| panic!("{method} {path} was not called"));
        assert_eq!(read["query"], query, "{path}");
        assert_eq!(read["body"], body, "{path}");
        let (method, path, query, keys) = kind.write;
        let writes: Vec<&Value> = calls
            .iter()
            .filter(|c| {
                c["path"] == path && c["method"] == method && !c["body"]["options"].is_object()
            })
            .collect();
        assert_eq!(writes.len(), 1, "{method} {path}: one write");
        assert_eq!(writes[0]["query"], query, "{path}");
        assert_eq!(writes[0]["status"], 200, "{path}");
        let sent: Vec<&str> = writes[0]["body"]
            .as_object()
            .expect("a body")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(sent, keys, "{path}");
        if keys.contains(&"policy") {
            assert_eq!(writes[0]["body"]["policy"]["version"], 3, "{path}");
            assert!(writes[0]["body"]["policy"]["etag"].is_string(), "{path}");
        }
        let members = &world["resources"][kind.full]["policy"]["bindings"][0]["members"];
        assert_eq!(
            *members,
            json!([
                "user:ann@example.com",
                "serviceAccount:checkout@acme-prod.iam.gserviceaccount.com"
            ]),
            "{path}"
        );
    }
}

/// Audit logs and inventories write the number: it is the same resource as by the id, and has one write.
#[test]
fn a_project_is_named_by_its_id_or_its_number() {
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout:\n    grants:\n      - { role: roles/viewer, resource: project/123456789012 }\n      - { role: roles/browser, resource: //cloudresourcemanager.googleapis.com/projects/123456789012 }\n      - { role: roles/browser, resource: project/acme-prod }\n      - { role: roles/viewer, resource: secret/123456789012/stripe }\n";
    let world = "apiVersion: wi.sandbox/v1\ntimeScale: 2000\nprojects: { acme-prod: { number: 123456789012 } }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, autopilot: true }\nresources: { //secretmanager.googleapis.com/projects/acme-prod/secrets/stripe: {} }\n";
    let served = Served::of(Place::new(spec, world));
    let plan = served.wi(&["plan", "wi.yaml"]).ok();
    assert!(!plan.out.contains("123456789012"), "{}", plan.out);
    assert!(plan.out.contains("secret/acme-prod/stripe"), "{}", plan.out);
    served.wi(&["apply", "wi.yaml", "--auto-approve"]).ok();
    let writes = served.writes();
    let writes = writes
        .iter()
        .filter(|(call, _)| call.ends_with("projects/acme-prod:setIamPolicy"));
    assert_eq!(writes.count(), 1, "two writes of one policy");
    assert_eq!(
        served.wi(&["plan", "wi.yaml", "--detailed-exitcode"]).code,
        Some(0)
    );

    let spec = spec.replace("secret/123456789012", "secret/999");
    served.place.write("wi.yaml", &spec);
    let ran = served.wi(&["plan", "wi.yaml"]).fails();
    let said = crate::support::flat(&ran.err);
    assert!(
        said.contains("the id of the project with the number 999") && said.contains("Write its id"),
        "{said}"
    );
}
