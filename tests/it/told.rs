//! What a plan says is so: of nothing that it is there and gone, and "no changes" only where nothing is left.

use serde_json::Value;

use crate::support::{Place, flat};

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
";

/// A project with the account `pay-sa`, which carries this spec's mark; and one cluster.
fn world(of_account: &str, projects: &str, of_cluster: &str) -> String {
    format!(
        "apiVersion: wi.sandbox/v1
projects:
  acme-prod: {{ serviceAccounts: {{ pay-sa: {{ description: \"[wi:shop]\", {of_account} }} }} }}
{projects}clusters: [{{ project: acme-prod, location: europe-west1, name: main, workloadPool: acme-prod.svc.id.goog, nodePools: [{{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }}]{of_cluster} }}]
"
    )
}

/// Whoever may act as an account.
fn acted_as_by(identity: &str) -> String {
    format!(
        "policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [\"serviceAccount:{identity}\"] }}] }}"
    )
}

#[test]
fn what_is_removed_is_not_told_to_be_kept() {
    let spec = format!(
        "{SPEC}googleServiceAccounts: {{ pay-sa: {{}} }}\nnamespaces: {{ pay: {{ serviceAccounts: {{ api: {{ impersonates: pay-sa }} }} }} }}\n"
    );
    let world = world(
        &acted_as_by("far-prod.svc.id.goog[pay/api]"),
        "  far-prod: { workloadPoolSince: \"2025-01-01T00:00:00Z\" }\n",
        "",
    );
    let place = Place::new(&spec, &world);
    let kept = flat(&place.wi(&["plan"]).ok().out);
    assert!(kept.contains("far-prod/pay/api"), "{kept}");
    assert!(!kept.contains("will be removed"), "{kept}");
    let removed = flat(&place.wi(&["plan", "--accept-loss"]).ok().out);
    let removal = "binding.pay-sa/far-prod/pay/api will be removed";
    assert!(removed.contains(removal), "{removed}");
    assert!(!removed.contains("kept"), "{removed}");
}

#[test]
fn no_changes_is_only_said_where_nothing_is_left() {
    // An account of this spec's that left it, on which an annotation of others relies.
    let spec = format!(
        "{SPEC}namespaces: {{ pay: {{ serviceAccounts: {{ api: {{ existing: true }} }} }} }}\n"
    );
    let world = world(
        &acted_as_by("acme-prod.svc.id.goog[pay/api]"),
        "",
        ", namespaces: { pay: { serviceAccounts: { api: { annotations: { iam.gke.io/gcp-service-account: pay-sa@acme-prod.iam.gserviceaccount.com } } } } }",
    );
    let place = Place::new(&spec, &world);
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{}", plan.out);
    assert!(
        flat(&plan.out).contains("gsa.pay-sa@acme-prod.iam.gserviceaccount.com stays")
            || flat(&plan.out).contains("gsa.pay-sa stays"),
        "{}",
        plan.out
    );
    let last = plan.out.trim_end().lines().last().expect("a line");
    assert_eq!(
        last,
        "No changes to what could be planned; see above for the rest."
    );
    let json: Value = serde_json::from_str(&place.wi(&["plan", "--json"]).ok().out).expect("JSON");
    assert_eq!(json["complete"], false);
    let markdown = place.wi(&["plan", "--markdown"]).ok();
    assert!(
        markdown.out.contains("no changes, 2 held back"),
        "{}",
        markdown.out
    );
    assert!(!markdown.out.contains('✅'), "{}", markdown.out);
}

#[test]
fn an_account_that_is_enabled_again_is_a_gain() {
    let spec = format!("{SPEC}googleServiceAccounts: {{ pay-sa: {{}} }}\n");
    let world = world("disabled: true", "", "");
    let place = Place::new(&spec, &world);
    let plan = flat(&place.wi(&["plan"]).ok().out);
    assert!(
        plan.contains("+ gains everything that it has: it is enabled again"),
        "{plan}"
    );
}
