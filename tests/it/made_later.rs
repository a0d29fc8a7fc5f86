//! What others make later, with Helm or an operator: IAM is prepared for it.

use serde_json::{Value, json};

use crate::support::served::Served;
use crate::support::{Place, flat};

const SPEC: &str = "\
apiVersion: wi/v1
name: data
project: north-shop
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  ledger-backup:
    grants:
      - { role: roles/storage.objectAdmin, resource: bucket/north-backups }
namespaces:
  db:
    create: false
    serviceAccounts:
      ledger-db: { impersonates: ledger-backup, existing: true }
";

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects: { north-shop: { number: 111111111111 } }
buckets: { north-backups: { project: north-shop } }
clusters:
  - project: north-shop
    location: europe-west1
    name: main
    workloadPool: north-shop.svc.id.goog
    nodePools: [{ name: p1, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces: { NAMESPACE }
";

const EMAIL: &str = "ledger-backup@north-shop.iam.gserviceaccount.com";

fn place(spec: &str, namespace: &str) -> Place {
    Place::new(spec, &WORLD.replace("NAMESPACE", namespace))
}

/// The state with this in place of the cluster's namespaces.
fn with(place: &Place, namespaces: &Value) -> Place {
    let mut state = place.state();
    state["clusters"][0]["namespaces"] = namespaces.clone();
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    Place::new(&spec, &serde_saphyr::to_string(&state).expect("YAML"))
}

fn ledger(annotation: Option<&str>) -> Value {
    let annotations = annotation.map(|a| json!({"iam.gke.io/gcp-service-account": a}));
    json!({"db": {"serviceAccounts": {"ledger-db": {"annotations": annotations.unwrap_or(json!({}))}}}})
}

#[test]
fn a_service_account_that_an_operator_makes_later_is_prepared_for() {
    for namespace in ["db: {}", ""] {
        let place = place(SPEC, namespace);
        let apply = place.wi(&["apply", "--auto-approve"]).ok();
        let said = flat(&apply.out);
        assert!(
            said.contains(&format!(
                "ksa.main/db/ledger-db is not there yet, and is made by others (`existing: true`): what it needs in IAM is prepared, and it has to be made with the annotation iam.gke.io/gcp-service-account: {EMAIL}"
            )),
            "{said}"
        );
        assert!(said.contains("3 added"), "{said}");
        let there = &place.state()["projects"]["north-shop"]["serviceAccounts"]["ledger-backup"];
        assert_eq!(
            there["policy"]["bindings"][0]["members"],
            json!(["serviceAccount:north-shop.svc.id.goog[db/ledger-db]"])
        );
        // Still to come: nothing to do, and told.
        let plan = place.wi(&["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
        assert!(plan.out.contains("is not there yet"), "{}", plan.out);
        // Made without its annotation: told.
        let plan = with(&place, &ledger(None)).wi(&["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
        assert!(
            flat(&plan.out).contains("is not set and has to become"),
            "{}",
            plan.out
        );
        // There, and right.
        let plan = with(&place, &ledger(Some(EMAIL))).wi(&["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
        assert!(!plan.out.contains("ledger-db"), "{}", plan.out);
    }
}

#[test]
fn a_namespace_that_is_made_later_gets_its_service_accounts_then() {
    let spec = SPEC.replace(", existing: true", "");
    let place = place(&spec, "");
    let apply = place.wi(&["apply", "--auto-approve"]).ok();
    let said = flat(&apply.out);
    assert!(
        said.contains("the namespace db is not there yet in cluster.main, and is made by others (`create: false`): what its service accounts need in IAM is prepared, and once it is there, plan again: then wi makes ledger-db in it"),
        "{said}"
    );
    assert!(said.contains("3 added"), "{said}");
    let later = with(&place, &json!({"db": {}}));
    let apply = later.wi(&["apply", "--auto-approve"]).ok();
    assert!(apply.out.contains("ksa.main/db/ledger-db"), "{}", apply.out);
    let ksa = &later.state()["clusters"][0]["namespaces"]["db"]["serviceAccounts"]["ledger-db"];
    assert_eq!(ksa["annotations"]["iam.gke.io/gcp-service-account"], EMAIL);
    let plan = later.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    assert!(!plan.out.contains("not there yet"), "{}", plan.out);
}

#[test]
fn a_wave_is_verified_though_a_service_account_of_others_is_to_come() {
    let spec = format!(
        "{SPEC}rollout: {{ waves: [{{ name: all, clusters: remaining, gate: {{ verify: true }} }}] }}\n"
    );
    let served = Served::of(place(&spec, ""));
    served.wi(&["apply", "--auto-approve"]).ok();
    let plan = served.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
}
