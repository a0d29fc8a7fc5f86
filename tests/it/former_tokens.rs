//! Pods go on with a token of what their service account was for an hour: what that could do stays until then.

use serde_json::{Value, json};
use wi_sandbox::World;

use crate::support::flat;
use crate::support::inside::Inside;

const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts: { checkout: { grants: [roles/logging.logWriter] } }
namespaces: { shop: { serviceAccounts: { web: { impersonates: checkout } } } }
";

const OWN: &str = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/shop/sa/web";

/// `shop/web` acts as itself, and has a role.
async fn world(pods: Value) -> Inside {
    let world = json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 2000,
        "projects": { "acme-prod": { "number": 123_456_789_012_u64, "policy": { "bindings": [
            { "role": "roles/logging.logWriter", "members": [OWN] },
        ] } } },
        "clusters": [{
            "project": "acme-prod", "location": "europe-west1", "name": "main",
            "workloadPool": "acme-prod.svc.id.goog",
            "nodePools": [{ "name": "p", "nodes": 1, "workloadMetadata": "GKE_METADATA" }],
            "namespaces": { "shop": { "serviceAccounts": { "web": {} } } },
            "pods": pods,
        }],
    });
    let world = World::parse(&world.to_string(), "world.yaml").expect("a world");
    Inside::start(SPEC, world).await
}

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

fn has_own_role(inside: &Inside) -> bool {
    inside.world()["projects"]["acme-prod"]["policy"]
        .to_string()
        .contains(OWN)
}

#[tokio::test]
async fn pods_that_run_lose_nothing_while_they_may_have_tokens_of_before() {
    let web = json!([{ "name": "web-0", "namespace": "shop", "serviceAccountName": "web",
        "owner": { "kind": "StatefulSet", "name": "web" } }]);
    let inside = world(web).await;
    inside.sandbox.record_access();
    let first = inside.wi(&APPLY).await.ok();
    let said = flat(&first.out);
    for words in ["stays for now", "StatefulSet shop/web", "up to 75 minutes"] {
        assert!(said.contains(words), "{words}: {}", first.out);
    }
    let again = inside.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(again.code, Some(2), "something is left: {}", again.out);
    assert!(flat(&again.out).contains("since before"), "{}", again.out);
    assert!(has_own_role(&inside));
    let samples = inside.sandbox.recorded_access();
    let pods = samples
        .iter()
        .flat_map(|s| s.pods.iter().map(move |p| (s, p)));
    let mut had_former = false;
    for (sample, pod) in pods {
        assert!(!pod.roles.is_empty(), "{}: {pod:?}", sample.after);
        for (token, roles) in &pod.former {
            had_former = true;
            assert!(
                !roles.is_empty(),
                "{}: {token} is good for nothing",
                sample.after
            );
        }
    }
    assert!(had_former);
    let later = Inside::start(SPEC, inside.later()).await;
    later.wi(&APPLY).await.ok();
    assert!(!has_own_role(&later), "it was to go");
    let last = later.wi(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(last.code, Some(0), "{}", last.out);
}

/// The removal fails, so that the next run comes soon after the change.
#[tokio::test]
async fn nothing_waits_where_no_pod_has_such_a_token() {
    let inside = world(json!([])).await;
    let refused = "POST /v3/projects/acme-prod:setIamPolicy";
    inside.inject(&json!({ "match": refused, "status": 403, "after": 1 }));
    let failed = inside.wi(&APPLY).await;
    assert_eq!(failed.code, Some(1), "{}{}", failed.out, failed.err);
    assert!(has_own_role(&inside));
    inside.sandbox.heal();
    let next = inside.wi(&APPLY).await.ok();
    assert!(!has_own_role(&inside), "{}", next.out);
}
