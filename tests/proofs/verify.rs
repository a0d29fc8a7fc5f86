//! What `wi verify` proves is what the oracle finds: over random worlds, and with every link of the chain broken that has to
//! do with tokens, alone and in pairs. With any call refused nothing is broken, and nothing holds, that did not before.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use wi::verify::{Outcome, Proof, Step, Wanted, verify};
use wi_client::http::Http;
use wi_core::access::ladder::Rung;
use wi_core::desired::Desired;
use wi_sandbox::{Fault, Token};

use crate::access::{BREAKS, CLUSTER, READ, SPEC, WORLDS, random, serve, whole, whole_and_broken};
use crate::support::inside::{calls_as_matches, runtime};
use crate::support::size;

/// As the workload of [`SPEC`], that acts as itself.
const ITSELF: &str = "apiVersion: wi/v1
name: proof
project: acme-prod
clusters: { main: { location: europe-west1 } }
namespaces: { shop: { serviceAccounts: { web: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] } } } }
";

async fn prove(http: &Http, spec: &str) -> Proof {
    let source = wi_core::spec::Source::new("wi.yaml".to_owned(), spec.to_owned());
    let spec = wi_core::spec::load_sources(vec![source]).expect("a valid spec");
    let desired = Desired::of(&spec);
    let lists = std::collections::BTreeMap::new();
    let mut proofs = verify(http, &desired, &lists, &Wanted::default(), &|_| ()).await;
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    proofs.remove(0)
}

fn named(proof: &Proof, outcome: Outcome) -> BTreeSet<(Rung, String)> {
    let steps = proof.steps.iter().filter(|s| s.outcome == outcome);
    steps.map(|s| (s.link, s.title.clone())).collect()
}

/// The step of the permission on the bucket.
fn of_grant(proof: &Proof) -> Option<&Step> {
    let asked = |s: &&Step| s.asked.as_ref().is_some_and(|(p, _)| p == READ);
    proof.steps.iter().find(asked)
}

/// As many as show all that can come out, of those that `wi explain` is tried on.
fn worlds() -> usize {
    size(WORLDS).min(300)
}

#[test]
fn verify_proves_what_the_oracle_finds_over_random_worlds() {
    let mut runner = TestRunner::deterministic();
    let drawn: Vec<Value> = (0..worlds())
        .map(|_| random().new_tree(&mut runner).expect("a world").current())
        .collect();
    let (mut held, mut broken) = (0, 0);
    runtime().block_on(async {
        for world in drawn {
            let (sandbox, http) = serve(&world).await;
            let (token, decision) = sandbox
                .call(CLUSTER, "shop/web-1", READ, "bucket/acme-receipts")
                .expect("a pod");
            let spec = match token {
                Token::Federated(_) => ITSELF,
                _ => SPEC,
            };
            let proof = prove(&http, spec).await;
            let why = format!("{token:?} {decision:?}\n{proof:#?}\n{world:#}");
            match &token {
                // Nodes are not tried.
                Token::Node(_) => continue,
                Token::Refused(_) => {
                    assert!(of_grant(&proof).is_none(), "{why}");
                    assert_ne!(proof.outcome(), Outcome::Holds, "{why}");
                    broken += 1;
                }
                Token::Account(_) | Token::Federated(_) => {
                    let Some(step) = of_grant(&proof) else {
                        // What a condition decides is not simulated.
                        assert_ne!(proof.outcome(), Outcome::Holds, "{why}");
                        continue;
                    };
                    match (decision.link, decision.allowed) {
                        (_, Some(true)) => {
                            assert_eq!(step.outcome, Outcome::Holds, "{why}");
                            held += 1;
                        }
                        (_, Some(false)) => {
                            assert_eq!(step.outcome, Outcome::Broken, "{why}");
                            broken += 1;
                        }
                        (_, None) => assert_ne!(step.outcome, Outcome::Broken, "{why}"),
                    }
                }
            }
        }
    });
    assert!(held * 100 >= worlds(), "{held} held, {broken} broken");
    assert!(broken * 5 > worlds(), "{held} held, {broken} broken");
}

/// The link that `wi verify` finds broken, of those that it tries.
fn seen_as(rung: Rung) -> Option<Rung> {
    match rung {
        Rung::ServiceAccount | Rung::Annotation | Rung::Account | Rung::Binding | Rung::Grant => {
            Some(rung)
        }
        Rung::ClusterPool | Rung::WorkloadPool => Some(Rung::WorkloadPool),
        Rung::Apis => Some(rung),
        // Which of those it is the answer does not say.
        Rung::Role | Rung::Condition | Rung::Deny => Some(Rung::Grant),
        // What a boundary does to tokens is not simulated.
        _ => None,
    }
}

#[test]
fn verify_stops_at_the_first_of_the_links_that_are_broken() {
    runtime().block_on(async {
        let (_sandbox, http) = serve(&whole()).await;
        let proof = prove(&http, SPEC).await;
        assert_eq!(proof.outcome(), Outcome::Holds, "{proof:#?}");
        assert!(of_grant(&proof).is_some());
        let tried: Vec<_> = BREAKS
            .iter()
            .filter_map(|(rung, breaks)| Some((seen_as(*rung)?, breaks)))
            .collect();
        assert!(tried.len() > 8, "{}", tried.len());
        for (i, (first, breaks)) in tried.iter().enumerate() {
            for (second, breaks_too) in &tried[i..] {
                let (mut world, mut other_way) = (whole(), whole());
                breaks(&mut world);
                breaks_too(&mut world);
                breaks_too(&mut other_way);
                breaks(&mut other_way);
                if world != other_way {
                    continue; // the second undoes the first
                }
                let (_sandbox, http) = serve(&world).await;
                let proof = prove(&http, SPEC).await;
                let wanted = *first.min(second);
                let found = proof.broken().map(|s| s.link);
                assert_eq!(found, Some(wanted), "{first:?} and {second:?}: {proof:#?}");
                // Nothing is tried behind a link without which there is no token.
                assert_eq!(named(&proof, Outcome::Broken).len(), 1, "{proof:#?}");
            }
        }
    });
}

#[test]
fn verify_takes_what_is_refused_for_neither_broken_nor_whole() {
    runtime().block_on(async {
        let worlds = whole_and_broken();
        let mut tried = 0;
        for (n, world) in worlds.iter().enumerate() {
            let (sandbox, http) = serve(world).await;
            let full = prove(&http, SPEC).await;
            for call in calls_as_matches(&sandbox, false) {
                for fault in [
                    json!({"match": call, "denied": true}),
                    json!({"match": call, "status": 403, "message": "Request is prohibited by organization's policy."}),
                    json!({"match": call, "status": 401}),
                ] {
                    let fault: Fault = serde_json::from_value(fault).expect("a fault");
                    sandbox.inject([fault.clone()]);
                    let now = prove(&http, SPEC).await;
                    sandbox.heal();
                    for outcome in [Outcome::Broken, Outcome::Holds] {
                        let (before, after) = (named(&full, outcome), named(&now, outcome));
                        assert!(after.is_subset(&before), "world {n}, {fault:?}: {after:?}, and {before:?}");
                    }
                    // What it cannot do without is not taken for done.
                    assert!(now.outcome() == full.outcome() || now.outcome() == Outcome::Untried, "world {n}, {fault:?}: {now:#?}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 200, "{tried}");
    });
}
