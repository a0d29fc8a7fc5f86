//! Generated fleets, applied by an account that the spec manages, beside Google's service agents; then
//! specs that lose most of what they had, or grant what a guard forbids.

use std::collections::BTreeSet;

use crate::generate::{Fleet, email, fleet};
use crate::support::inside::{Inside, runtime};
use crate::support::size;
use futures::stream::{self, StreamExt};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use wi_sandbox::World;
use wi_sandbox::world::{Binding, Policy};

const FLEETS: usize = 12;
const AGENTS: [&str; 2] = [
    "serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com",
    "serviceAccount:123456789012@cloudservices.gserviceaccount.com",
];
const APPLY: [&str; 3] = ["apply", "wi.yaml", "--auto-approve"];
const MASS: [&str; 4] = ["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"];

fn policies(world: &mut World) -> Vec<(String, &mut Policy)> {
    let mut all = Vec::new();
    for (project, held) in &mut world.projects {
        all.push((project.clone(), &mut held.policy));
    }
    for (resource, held) in &mut world.resources {
        all.push((resource.clone(), &mut held.policy));
    }
    for (bucket, held) in &mut world.buckets {
        all.extend(held.policy.as_mut().map(|policy| (bucket.clone(), policy)));
    }
    all
}

/// Where Google's agents and the caller have which role.
fn kept(mut world: World, caller: &str) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    for (resource, policy) in policies(&mut world) {
        for binding in &policy.bindings {
            let members = binding.members.iter();
            let members = members.filter(|m| AGENTS.contains(&m.as_str()) || *m == caller);
            kept.extend(members.map(|m| format!("{resource}: {} to {m}", binding.role)));
        }
    }
    kept
}

/// Refused, for the reason, and nothing is written.
async fn is_refused(inside: &Inside, spec: &str, why: &str) {
    let before = inside.sandbox.writes();
    inside.place.write("wi.yaml", spec);
    let ran = inside.wi(&APPLY).await.fails();
    let said = format!("{}{}", ran.out, ran.err);
    let said: Vec<&str> = said.split_whitespace().filter(|w| *w != "│").collect();
    assert!(
        said.join(" ").contains(why),
        "{why}: {}\n{}",
        ran.out,
        ran.err
    );
    assert_eq!(inside.sandbox.writes(), before, "{why}");
}

async fn braked(fleet: Fleet) {
    let mut world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    world.caller = email(1);
    world
        .projects
        .get_mut("acme-one")
        .expect("a project")
        .number = Some(123_456_789_012);
    let caller = format!("serviceAccount:{}", email(1));
    for (_, policy) in policies(&mut world) {
        policy.bindings.push(Binding {
            role: "roles/editor".to_owned(),
            members: AGENTS.map(str::to_owned).to_vec(),
            condition: None,
        });
    }
    let before = kept(world.clone(), &caller);
    assert!(before.len() >= 2 * AGENTS.len(), "{before:?}");
    let spec = fleet.spec();
    let inside = Inside::start(&spec, world).await;
    inside.wi(&MASS).await.ok();
    let after = kept(inside.sandbox.snapshot(), &caller);
    let lost: Vec<&String> = before.difference(&after).collect();
    assert!(lost.is_empty(), "{lost:#?}");

    // A spec that has lost everything, or its accounts.
    let (start, _) = spec.split_once("googleServiceAccounts").expect("accounts");
    is_refused(&inside, start, "which is more than a fifth").await;
    let (_, namespaces) = spec.split_once("namespaces:").expect("namespaces");
    assert!(namespaces.contains("impersonates"));

    // Guards: a role, a member, a number.
    for (guard, why) in [
        (
            "forbidRoles: [roles/logging.logWriter]",
            "the guard forbids roles/logging.logWriter",
        ),
        (
            "forbidMembers: [\"*new-one*\"]",
            "the guard forbids the member",
        ),
    ] {
        let grants = "grants: [{ role: roles/logging.logWriter, resource: project/acme-two }]";
        let spec = spec.replace(
            "googleServiceAccounts:\n",
            &format!("guard: {{ {guard} }}\ngoogleServiceAccounts:\n  new-one: {{ {grants} }}\n"),
        );
        is_refused(&inside, &spec, why).await;
    }
    let spec = format!("{start}guard: {{ maxRemovals: 0 }}\n");
    is_refused(&inside, &spec, "and the guard allows 0").await;
    inside.sandbox.stop().await;
}

#[test]
fn the_brakes_hold() {
    let mut runner = TestRunner::deterministic();
    let fleets: Vec<Fleet> = (0..size(FLEETS))
        .map(|_| fleet().new_tree(&mut runner).expect("a fleet").current())
        .collect();
    let runs = stream::iter(fleets).map(braked).buffer_unordered(4);
    runtime().block_on(runs.collect::<Vec<()>>());
}
