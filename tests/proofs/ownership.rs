//! Two specs of different owners on the same projects, clusters and policies, over generated fleets:
//! neither touches what is the other's, or anybody's.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tokio_util::sync::CancellationToken;
use wi::apply::Status;
use wi_sandbox::{Sandbox, World};

use crate::check::{check_of_others, of_others};
use crate::generate::{Fleet, PROJECTS, fleet};
use crate::support::client::Client;
use crate::support::inside::runtime;
use crate::support::size;

const FLEETS: usize = 16;

/// A spec of another owner: accounts and principals of its own, roles on the same resources, service
/// accounts in the same namespaces.
fn neighbour(fleet: &Fleet, account: &str) -> String {
    let clusters: Vec<String> = fleet
        .clusters
        .iter()
        .enumerate()
        .map(|(c, of)| {
            let project = PROJECTS[of.project];
            format!("  c{c}: {{ project: {project}, location: europe-west1 }}\n")
        })
        .collect();
    format!(
        "apiVersion: wi/v1
name: neighbour
project: acme-one
clusters:
{}googleServiceAccounts:
  neighbour0: {{ grants: [roles/cloudsql.client, {{ role: roles/storage.objectViewer, resource: bucket/receipts }}] }}
  neighbour1: {{ grants: [{{ role: roles/secretmanager.secretAccessor, resource: secret/key }}] }}
namespaces:
  neighbourhood:
    serviceAccounts:
      one: {{ impersonates: neighbour0 }}
      two: {{ grants: [{{ role: roles/pubsub.publisher, resource: project/acme-one }}] }}
  shop:
    serviceAccounts:
      {account}: {{ impersonates: neighbour1 }}
",
        clusters.concat()
    )
}

/// Applies until nothing is left to do.
async fn to_the_end(client: &Client) {
    for round in 0.. {
        let (plan, live) = client.plan().await;
        assert!(plan.errors.is_empty(), "{:?}", plan.errors);
        if plan.is_empty() {
            return;
        }
        assert!(round < 3, "not at rest: {:#?}", plan.changes);
        let outcome = client.apply(&plan, &live, CancellationToken::new()).await;
        assert!(outcome.values().all(|e| *e == Status::Done), "{outcome:#?}");
    }
}

async fn side_by_side(fleet: &Fleet) {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let others = of_others(&sandbox);
    let neighbour_spec = neighbour(fleet, "three");
    let (ours, theirs) = (
        Client::of(&fleet.spec(), &sandbox),
        Client::of(&neighbour_spec, &sandbox),
    );
    to_the_end(&theirs).await;
    check_of_others(&others, &sandbox);
    // What the neighbour has is others', too.
    let others = of_others(&sandbox);
    let theirs_in = |text: &String| text.contains("neighbour");
    assert!(
        others.iter().filter(|line| theirs_in(line)).count() >= 3,
        "{others:#?}"
    );
    to_the_end(&ours).await;
    check_of_others(&others, &sandbox);
    let (plan, _) = theirs.plan().await;
    assert!(
        plan.is_empty() && plan.errors.is_empty(),
        "{:#?}",
        plan.changes
    );

    // What carries another owner's mark is refused, by name, and stays as it is.
    let grabbing = Client::of(&neighbour(fleet, "always"), &sandbox);
    let (plan, _) = grabbing.plan().await;
    let refused = plan.errors.iter().filter(|e| e.message.contains("`fleet`"));
    assert_eq!(refused.count(), fleet.clusters.len(), "{:#?}", plan.errors);
    let touched = plan
        .changes
        .keys()
        .find(|a| a.contains("always") && a.starts_with("ksa."));
    assert_eq!(touched, None);

    // Whose spec is emptied loses its own, and nobody else anything.
    let start = neighbour_spec
        .split("googleServiceAccounts")
        .next()
        .expect("the clusters");
    to_the_end(&Client::of(start, &sandbox)).await;
    let (plan, _) = ours.plan().await;
    assert!(
        plan.is_empty() && plan.errors.is_empty(),
        "{:#?}",
        plan.changes
    );
    sandbox.stop().await;
}

#[test]
fn ownership_is_by_principal() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    for _ in 0..size(FLEETS) {
        let fleet = fleet().new_tree(&mut runner).expect("a fleet").current();
        runtime.block_on(side_by_side(&fleet));
    }
}
