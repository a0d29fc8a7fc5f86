//! Over generated pods and templates, on node pools of every kind: what is said of each container is what
//! the oracle finds, and who loses the node's identity by the oracle, before and after, is named by the plan.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wi_core::access::{self, Credential, Given, Ksa, MetadataServer};
use wi_core::desired::GSA_ANNOTATION;
use wi_core::live::{ConfigMaps, Live, Seen};
use wi_core::names::KsaIdentity;
use wi_core::plan::{IdentityEffect, Plan};
use wi_core::read_set::ReadSet;
use wi_core::wire::pods::PodSpec;
use wi_sandbox::{Sandbox, Source, Token, Use, World};

use crate::support::client::Client;
use crate::support::inside::runtime;

mod generate;

use generate::{Gen, KSAS, workload, world};

const WORLDS: usize = 60;
const CLUSTER: &str = "acme-prod/europe-west1/main";
const SPEC: &str = "apiVersion: wi/v1
name: proof
project: acme-prod
clusters: { main: { location: europe-west1 } }
namespaces: { proof: { serviceAccounts: { own: { grants: [roles/browser] } } } }
";

/// Whether nothing can be done with a token: to act as an account by asking for it is not what programs
/// do.
fn is_nobody(of: &Use) -> bool {
    match &of.token {
        Token::Refused(_) => true,
        Token::Federated(_) => of
            .roles
            .iter()
            .all(|g| g.role == "roles/iam.workloadIdentityUser" || g.only_if.is_some()),
        Token::Node(_) | Token::Account(_) => false,
    }
}

fn config_maps() -> ConfigMaps {
    let map = |name: &str, data: &[(&str, &str)]| {
        let data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let key = ("apps".to_owned(), name.to_owned());
        (key, Seen::Found(data.collect::<BTreeMap<_, _>>()))
    };
    let mut maps = ConfigMaps::from([
        map(
            "paths",
            &[("good", "/keys/key.json"), ("bad", "/app/key.json")],
        ),
        map("env", &[("APPLICATION_CREDENTIALS", "/keys/key.json")]),
    ]);
    maps.insert(("apps".to_owned(), "none".to_owned()), Seen::Absent);
    maps
}

/// What is said of each container, against the oracle.
fn check_containers(workloads: &[Gen], after: &[Use]) {
    let maps = config_maps();
    let given = Given::Nobody(access::WhyNot::NoRoles);
    for (i, of) in workloads.iter().enumerate() {
        let spec: PodSpec = serde_json::from_value(of.spec.clone()).expect("a pod");
        for said in access::containers(&spec, "apps", &maps, MetadataServer::Gke(&given)) {
            let workload = format!("{}/w{i}", of.kind);
            let found = after
                .iter()
                .find(|u| u.workload == workload && u.container == said.name);
            let Some(found) = found else { continue };
            let same = match (&found.source, &said.credential) {
                (Source::Container(by), Credential::Own(own)) => by == own.by,
                (Source::MetadataServer, Credential::None | Credential::Ignored { .. }) => true,
                (Source::Unknown(_), Credential::Unclear(_)) => true,
                _ => false,
            };
            assert!(same, "{said:?}\n{found:?}\n{:#}", of.spec);
        }
    }
}

/// What the metadata server is said to give each service account, against the oracle.
fn check_given(live: &Live, after: &[Use], workloads: &[Gen]) -> usize {
    let cluster = &live.clusters["main"].found().expect("the cluster");
    assert_eq!(cluster.name, "main");
    let objects = live.kubernetes["main"].found().expect("its objects");
    let path = wi_core::names::ClusterPath {
        project: "acme-prod".parse().expect("a project"),
        location: "europe-west1".to_owned(),
        name: "main".to_owned(),
    };
    let mut compared = 0;
    for (i, of) in workloads.iter().enumerate() {
        let name = KSAS[of.ksa].0;
        let meta = &objects.service_accounts[&("apps".to_owned(), name.to_owned())];
        let identity = KsaIdentity {
            pool: "acme-prod.svc.id.goog".to_owned(),
            namespace: "apps".to_owned(),
            name: name.to_owned(),
        };
        let ksa = Ksa {
            identity: &identity,
            cluster: &path,
            number: Some(123_456_789_012),
            uid: &meta.uid,
            annotation: meta.annotations.get(GSA_ANNOTATION).map(String::as_str),
        };
        let now = "2026-11-30T00:00:00Z".parse().expect("a time");
        let given = access::by_metadata_server(live, &ksa, Some(now));
        let workload = format!("{}/w{i}", of.kind);
        let is_host = of.spec["hostNetwork"] == true;
        for found in after.iter().filter(|u| u.workload == workload && !is_host) {
            let same = match (&given, &found.token) {
                (Given::Account(email), Token::Account(token)) => email.as_str() == token,
                (Given::Principal(_), Token::Federated(_)) => !is_nobody(found),
                (Given::Nobody(_) | Given::Unseen(_), _) => is_nobody(found),
                _ => false,
            };
            assert!(same, "{name}: {given:?}\n{found:?}");
            compared += 1;
        }
    }
    compared
}

type Named = BTreeSet<(String, String)>;

/// Node pool and `KIND/NAME` of everybody whom the plan says to lose the node's identity.
fn named(plan: &Plan) -> Named {
    let mut named = Named::new();
    for (address, impact) in &plan.impact {
        let pool = address.to_string();
        let pool = pool.rsplit('/').next().expect("a name").to_owned();
        for (fate, workloads) in &impact.workloads {
            if matches!(fate, IdentityEffect::Loses(_)) {
                named.extend(
                    workloads
                        .iter()
                        .map(|w| (pool.clone(), format!("{}/{}", w.kind, w.name))),
                );
            }
        }
    }
    named
}

/// The same by the oracle: whoever asks for the node's token before and is nobody after; with `perhaps`,
/// also where it cannot be known whether it asks.
fn losers(before: &[Use], after: &[Use], workloads: &[Gen], perhaps: bool) -> Named {
    let key = |u: &Use| (u.pool.clone(), u.workload.clone(), u.container.clone());
    let after: BTreeMap<_, &Use> = after.iter().map(|u| (key(u), u)).collect();
    let placed: BTreeMap<String, BTreeSet<&str>> = workloads
        .iter()
        .enumerate()
        .filter(|(_, of)| of.has_pod)
        .map(|(i, of)| (format!("{}/w{i}", of.kind), BTreeSet::new()))
        .collect();
    before
        .iter()
        .filter(|u| matches!(u.token, Token::Node(_)))
        .filter(|u| match u.source {
            Source::MetadataServer => true,
            Source::Unknown(_) => perhaps,
            Source::Container(_) => false,
        })
        .filter(|u| after.get(&key(u)).is_some_and(|u| is_nobody(u)))
        .filter(|u| !placed.contains_key(&u.workload) || perhaps || is_there(u, before))
        .map(|u| (u.pool.clone(), u.workload.clone()))
        .collect()
}

/// Objects of which a pod is on a node count there alone, and are twice in the list.
fn is_there(of: &Use, all: &[Use]) -> bool {
    let same =
        |u: &&Use| u.pool == of.pool && u.workload == of.workload && u.container == of.container;
    all.iter().filter(same).count() > 1
}

async fn sandbox(workloads: &[Gen], moved: bool) -> Sandbox {
    let text = world(workloads, moved).to_string();
    let world = World::parse(&text, "world.yaml").expect("a valid world");
    let started = Sandbox::start(world, wi_sandbox::Options::default()).await;
    started.expect("the sandbox starts")
}

/// How many losers were found.
async fn check(workloads: &[Gen]) -> usize {
    let (stays, moved) = (
        sandbox(workloads, false).await,
        sandbox(workloads, true).await,
    );
    let client = Client::of(SPEC, &stays);
    let live = wi::engine::read::read(&client.http, &ReadSet::of(&client.desired)).await;
    let options = wi_core::plan::Options {
        now: "2026-11-30T00:00:00Z".parse().ok(),
        ..crate::support::client::options()
    };
    let plan = wi_core::plan::plan(&client.desired, &live, &options);
    assert!(
        plan.unseen.is_empty() && plan.errors.is_empty(),
        "{:?}",
        plan.errors
    );
    let (before, after) = (stays.uses(), moved.uses());
    assert!(before.iter().all(|u| u.cluster == CLUSTER));
    check_containers(workloads, &after);
    check_given(&live, &after, workloads);

    let named = named(&plan);
    let sure = losers(&before, &after, workloads, false);
    let silent: Vec<_> = sure.difference(&named).collect();
    assert!(
        silent.is_empty(),
        "not named: {silent:?}\n{:#}",
        world(workloads, false)
    );
    let possible = losers(&before, &after, workloads, true);
    let without_need: Vec<_> = named.difference(&possible).collect();
    assert!(
        without_need.is_empty(),
        "named: {without_need:?}\n{:#}",
        world(workloads, false)
    );
    for (pool, _) in &named {
        let address = format!("nodepool.main/{pool}");
        assert!(
            plan.changes.keys().all(|a| a.to_string() != address),
            "{address} is moved"
        );
    }
    stays.stop().await;
    moved.stop().await;
    sure.len()
}

#[test]
fn nobody_loses_the_nodes_identity_unnamed() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    let mut losers = 0;
    for _ in 0..WORLDS {
        let workloads = prop::collection::vec(workload(), 4..14);
        let workloads = workloads
            .new_tree(&mut runner)
            .expect("workloads")
            .current();
        losers += runtime.block_on(check(&workloads));
    }
    assert!(losers > 3 * WORLDS, "only {losers} losers");
}
