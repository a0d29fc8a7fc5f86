//! 429 of API Priority and Fairness: a level with a seat for one, taken by a request that does not end,
//! for two kinds of requests of one account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::real::{Real, call};
use super::say;
use crate::support::front::{Answered, Asked, Front, Upstream};

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let Some(real) = Real::new("busy") else {
        return;
    };
    real.runtime.block_on(async {
        real.make_namespace().await;
        // Users of system:masters are exempt, whatever a schema says; an account is not.
        let token = real.token_of_an_account("worker").await;
        let Some(schema) = narrow_level(&real).await else {
            return;
        };
        // The front speaks as the account, and without the certificate of the kubeconfig's user.
        let upstream = Upstream {
            client: real.anonymous(),
            server: real.other.server.clone(),
            token,
        };
        if !in_force(&real, &upstream).await {
            say("429 is not tested: the server does not refuse for all that its seat is taken");
            return;
        }
        let front = Front::new(
            "127.0.0.1",
            None,
            Arc::new(move |asked| {
                let upstream = upstream.clone();
                Box::pin(async move { upstream.pass(&asked).await })
            }),
        );
        let kube = real.behind(&front);
        let busy = |front: &Front| {
            let seen = front.seen();
            let refused = seen.into_iter().map(|(_, answered)| answered);
            refused
                .filter(|a| a.status == StatusCode::TOO_MANY_REQUESTS)
                .collect::<Vec<_>>()
        };
        let name = real.name.clone();
        let started = Instant::now();
        let mut listing = tokio::spawn(async move { kube.list_pods_of(&name).await });
        // It is let through while it is being tried again.
        let refused_twice = front.until(|seen| {
            let refused = |(_, a): &&(Asked, Answered)| a.status == StatusCode::TOO_MANY_REQUESTS;
            seen.iter().filter(refused).count() >= 2
        });
        tokio::select! {
            listed = &mut listing => panic!("{listed:?} of {:?}", front.seen()),
            () = refused_twice => {}
        }
        let (status, body) = real.call("DELETE", &schema, json!({})).await;
        assert_eq!(status, 200, "{body}");
        let listed = listing.await.expect("not cancelled");
        listed.expect("it succeeds once it is let through");
        let refused = busy(&front);
        let pause: u64 = refused[0].headers["retry-after"]
            .to_str()
            .expect("text")
            .parse()
            .expect("seconds");
        assert!(pause > 0 && started.elapsed() >= Duration::from_secs(pause));
        assert!(
            refused[0]
                .headers
                .contains_key("x-kubernetes-pf-flowschema-uid")
        );
        let last = front.seen().pop().expect("an answer");
        assert_eq!(last.1.status, StatusCode::OK);
    });
}

/// A flow schema that sends the account's lists of pods in the namespace, and what it creates there, to
/// a level that has no share of seats; one request is let through all the same, while no other is
/// under way. The path of the schema; `None`, and a word about it, where it cannot be made.
async fn narrow_level(real: &Real) -> Option<String> {
    let name = &real.name;
    let level = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
        "metadata": { "name": name },
        "spec": { "type": "Limited", "limited": {
            "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
            "limitResponse": { "type": "Reject" },
        } },
    });
    let schema = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
        "metadata": { "name": name },
        "spec": {
            "priorityLevelConfiguration": { "name": name },
            "matchingPrecedence": 2,
            "rules": [{
                "subjects": [{ "kind": "ServiceAccount",
                    "serviceAccount": { "namespace": name, "name": "worker" } }],
                "resourceRules": [{ "verbs": ["list", "create"], "apiGroups": [""],
                    "resources": ["pods", "serviceaccounts"], "namespaces": [name] }],
            }],
        },
    });
    let mut last = String::new();
    for (plural, object) in [
        ("prioritylevelconfigurations", level),
        ("flowschemas", schema),
    ] {
        last = format!("{GROUP}/{plural}/{name}");
        real.clean_up(last.clone());
        let (status, body) = real
            .call("POST", &format!("{GROUP}/{plural}"), object)
            .await;
        match status {
            201 => {}
            403 | 404 => {
                let why = if status == 403 {
                    "not allowed"
                } else {
                    "not there"
                };
                say(&format!("429 is not tested: {GROUP}/{plural} is {why}"));
                return None;
            }
            _ => panic!("{status} {body}"),
        }
    }
    Some(last)
}

/// Takes the seat by a request whose body never comes, and waits until the account's list is refused
/// for it: once it would be allowed, and once the schema is heeded.
async fn in_force(real: &Real, account: &Upstream) -> bool {
    let base = format!("/api/v1/namespaces/{}", real.name);
    // No event tells what a real server heeds by now: it is asked, more often than any needs.
    for _ in 0..50 {
        let endless = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let taking = account
            .client
            .post(format!(
                "{}{base}/serviceaccounts?dryRun=All",
                account.server
            ))
            .bearer_auth(&account.token)
            .header("content-type", "application/json")
            .body(reqwest::Body::wrap_stream(endless));
        // The runtime ends it with the test.
        let taking = tokio::spawn(taking.send());
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let path = format!("{base}/pods");
            let (status, _) = call(account, "GET", &path, "application/json", Value::Null).await;
            if status == 429 {
                return true;
            }
        }
        taking.abort(); // begun before the schema was heeded, or before it was allowed
    }
    false
}
