//! What docs/beside-terraform.md says of `wi`, on what Terraform leaves behind. Terraform itself: `tests/real/terraform.rs`.

use crate::support::Place;

/// As the set-up of the document leaves it: nothing is marked, and the providers are named for their fields.
const LEFT: &str = r#"
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    policy: { bindings: [{ role: roles/cloudsql.client, members: ["serviceAccount:checkout@acme-prod.iam.gserviceaccount.com"] }] }
    serviceAccounts:
      checkout:
        policy: { bindings: [{ role: roles/iam.workloadIdentityUser, members: ["serviceAccount:acme-prod.svc.id.goog[shop/checkout]"] }] }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    workloadPool: acme-prod.svc.id.goog
    nodePools: [{ name: default-pool, nodes: 1, workloadMetadata: GKE_METADATA }]
    namespaces:
      shop:
        serviceAccounts:
          checkout:
            annotations: { iam.gke.io/gcp-service-account: checkout@acme-prod.iam.gserviceaccount.com }
            managedFields: [{ manager: HashiCorp, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: { "f:metadata": { "f:annotations": { ".": {}, "f:iam.gke.io/gcp-service-account": {} } } } }]
"#;

/// The document's spec.
fn spec() -> String {
    let document = include_str!("../../docs/beside-terraform.md");
    let spec = document.split("```yaml\n").nth(1).expect("a spec");
    spec.split("```").next().expect("its end").to_owned()
}

fn is_quiet(place: &Place) {
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}\n{}", plan.out, plan.err);
}

#[test]
fn the_spec_of_the_document_leaves_terraform_its_own_and_tells_a_link_that_is_taken_away() {
    let place = Place::new(&spec(), LEFT);
    is_quiet(&place);
    let text = place.wi(&["plan"]).ok().out;
    assert!(!text.contains("wi/owner"), "{text}");

    for (link, change) in [
        (
            "roles/cloudsql.client",
            "+ grant.checkout:roles/cloudsql.client@project/acme-prod",
        ),
        (
            "roles/iam.workloadIdentityUser",
            "+ binding.checkout/acme-prod/shop/checkout",
        ),
    ] {
        let without = LEFT.replace(link, "roles/browser");
        let plan = Place::new(&spec(), &without).wi(&["plan"]).ok();
        plan.says(&[change]);
    }
    let annotation = LEFT.replace(
        "annotations: { iam.gke.io/gcp-service-account: checkout@",
        "annotations: { iam.gke.io/gcp-service-account: other@",
    );
    let plan = Place::new(&spec(), &annotation).wi(&["plan"]).ok();
    plan.says(&["iam.gke.io/gcp-service-account"]);
}

/// The table: what `wi` writes, and that it writes it again where Terraform has taken it away.
#[test]
fn without_those_words_all_is_adopted_and_marks_that_are_taken_away_come_back() {
    let own = spec()
        .replace(
            "    email: checkout@acme-prod.iam.gserviceaccount.com\n",
            "",
        )
        .replace("existing: true, ", "")
        .replace("    create: false\n", "");
    let place = Place::new(&own, LEFT);
    let plan = place.wi(&["plan"]).ok();
    plan.says(&[
        "0 to add",
        "0 to destroy",
        "is managed by Terraform (field manager HashiCorp)",
    ]);
    place.wi(&["apply", "--auto-approve"]).ok();
    is_quiet(&place);

    let state = place.state();
    let account = &state["projects"]["acme-prod"]["serviceAccounts"]["checkout"];
    assert_eq!(account["description"], "[wi:shop adopted]");
    place.edit_state(|text| text.replace("[wi:shop adopted]", ""));
    let plan = place.wi(&["plan"]).ok();
    plan.says(&["~ gsa.checkout", "[wi:shop adopted]"]);
}
