//! Lists: pages, an expired `continue`, metadata only, gzip. What goes over the wire is seen by a front.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use futures::future::try_join_all;
use serde_json::Value;
use wi_core::wire::kubernetes::ObjectMeta;

use super::real::Real;
use super::{account, say};
use crate::support::front::{Answered, Asked, Front};

/// More than a page, which has 500.
const MANY: usize = 620;

async fn make_many(real: &Real) {
    real.make_namespace().await;
    let kube = real.kube();
    let many: Vec<Value> = (0..MANY)
        .map(|n| {
            let email = "somebody@acme-prod.iam.gserviceaccount.com";
            account(&real.name, &format!("many-{n:03}"), Some(email))
        })
        .collect();
    for part in many.chunks(40) {
        let calls = part
            .iter()
            .map(|one| kube.apply_service_account(one, false));
        try_join_all(calls).await.expect("made");
    }
}

fn ours(all: &[ObjectMeta], real: &Real) -> usize {
    let ours = |a: &&ObjectMeta| a.namespace == real.name && a.name.starts_with("many-");
    all.iter().filter(ours).count()
}

fn lists(front: &Front, path: &str) -> Vec<(Asked, Answered)> {
    let of_path = |(asked, _): &(Asked, Answered)| asked.target.starts_with(path);
    front.seen().into_iter().filter(of_path).collect()
}

#[test]
fn pages_of_metadata_in_gzip() {
    let Some(real) = Real::new("pages") else {
        return;
    };
    let upstream = real.other.clone();
    let front = Front::new(
        "127.0.0.1",
        None,
        Arc::new(move |asked| {
            let upstream = upstream.clone();
            Box::pin(async move { upstream.pass(&asked).await })
        }),
    );
    real.runtime.block_on(async {
        make_many(&real).await;
        let kube = real.behind(&front);
        let all = kube.list_service_accounts().await.expect("listed");
        assert_eq!(ours(&all, &real), MANY, "of {}", all.len());
        kube.list_namespaces().await.expect("namespaces");
        kube.list_nodes().await.expect("nodes");
        let one = kube.get_service_account(&real.name, "many-000").await;
        one.expect("one");
    });
    let pages = lists(&front, "/api/v1/serviceaccounts?");
    assert!(pages.len() > 1, "one page alone");
    assert!(pages[0].1.json()["metadata"]["continue"].is_string());
    assert!(pages[1].0.target.contains("&continue="));
    // Servers pack what is worth it, 128 KiB and more in the case of Kubernetes' own.
    assert!(pages[0].1.is_gzip(), "{:?}", pages[0].1.headers);

    for path in [
        "/api/v1/serviceaccounts?",
        "/api/v1/namespaces?",
        "/api/v1/nodes?",
    ] {
        for (_, answered) in lists(&front, path) {
            let list = answered.json();
            assert_eq!(list["kind"], "PartialObjectMetadataList", "{path}");
            for item in list["items"].as_array().into_iter().flatten() {
                assert_eq!(item["kind"], "PartialObjectMetadata");
                assert!(item.get("spec").is_none() && item.get("status").is_none());
            }
        }
    }
    let one = lists(&front, &format!("/api/v1/namespaces/{}/", real.name));
    assert_eq!(one[0].1.json()["kind"], "PartialObjectMetadata");
}

/// The `continue` of the first page is made older than all that the server remembers: revision 1 is
/// compacted away minutes after a server was set up. The token's form is an inner affair of the API
/// server's; where it is another one, this says so.
#[test]
fn a_list_that_expires_half_way_starts_over() {
    let Some(real) = Real::new("expired") else {
        return;
    };
    let upstream = real.other.clone();
    let aged_once = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&aged_once);
    let front = Front::new(
        "127.0.0.1",
        None,
        Arc::new(move |asked| {
            let (upstream, done) = (upstream.clone(), Arc::clone(&done));
            Box::pin(async move {
                let answered = upstream.pass(&asked).await;
                if !asked.target.starts_with("/api/v1/serviceaccounts?") {
                    return answered;
                }
                let mut page = answered.json();
                let token = page["metadata"]["continue"].as_str().and_then(aged);
                match token {
                    Some(token) if !done.swap(true, Ordering::SeqCst) => {
                        page["metadata"]["continue"] = token.into();
                        answered.with(&page)
                    }
                    _ => answered,
                }
            })
        }),
    );
    let all = real.runtime.block_on(async {
        make_many(&real).await;
        let kube = real.behind(&front);
        kube.list_service_accounts().await.expect("listed")
    });
    if !aged_once.load(Ordering::SeqCst) {
        say("410 is not tested: the server's continue tokens are of a form that is not known");
        return;
    }
    let pages = lists(&front, "/api/v1/serviceaccounts?");
    let statuses: Vec<u16> = pages.iter().map(|(_, a)| a.status.as_u16()).collect();
    if !statuses.contains(&410) {
        // What it had at revision 1 is not what it has now, so that there is nothing to compare.
        say(
            "410 is not tested: the server still has revision 1. Wait for ten minutes after its start",
        );
        return;
    }
    assert_eq!(statuses[..3], [200, 410, 200], "{statuses:?}");
    let refusal = pages[1].1.json();
    assert_eq!(refusal["reason"], "Expired", "{refusal}");
    assert_eq!(ours(&all, &real), MANY, "of {}", all.len());
    // Each account once, for all that pages were read twice.
    let mut names: Vec<&str> = all.iter().map(|a| a.uid.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}

/// The same place in the list, at revision 1.
fn aged(token: &str) -> Option<String> {
    let token = token.trim_end_matches('=');
    let json = URL_SAFE_NO_PAD
        .decode(token)
        .or_else(|_| STANDARD_NO_PAD.decode(token))
        .ok()?;
    let mut parts: Value = serde_json::from_slice(&json).ok()?;
    if parts["v"] != "meta.k8s.io/v1" || !parts["rv"].is_number() {
        return None;
    }
    parts["rv"] = 1.into();
    Some(URL_SAFE_NO_PAD.encode(parts.to_string()))
}
