//! The calls of a plan and of an apply, over generated fleets, against the least that the APIs allow.

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wi::apply::Status;
use wi_core::plan::Edit;
use wi_sandbox::{Sandbox, World};

use crate::generate::{Fleet, NAMESPACES, PROJECTS, email, fleet, grants};
use crate::support::client::Client;
use crate::support::inside::runtime;
use crate::support::size;

const FLEETS: usize = 24;

/// How often each call was made: `METHOD /path`.
type Calls = BTreeMap<String, usize>;

fn calls(sandbox: &Sandbox) -> Calls {
    let shown = sandbox.calls();
    let counts = shown["counts"].as_object().expect("counts");
    let count = |n: &Value| usize::try_from(n.as_u64().expect("a count")).expect("small");
    counts
        .iter()
        .map(|(call, n)| (call.clone(), count(n)))
        .collect()
}

/// What came since.
fn since(before: &Calls, now: &Calls) -> Calls {
    let new = now.iter().map(|(call, n)| {
        let known = before.get(call).copied().unwrap_or_default();
        (call.clone(), n - known)
    });
    new.filter(|(_, n)| *n > 0).collect()
}

fn cluster(fleet: &Fleet, c: usize) -> String {
    let project = PROJECTS[fleet.clusters[c].project];
    format!("projects/{project}/locations/europe-west1/clusters/c{c}")
}

fn policy(resource: &str, verb: &str) -> String {
    match resource.split_once('/').expect("a kind") {
        ("project", id) => format!("POST /v3/projects/{id}:{verb}IamPolicy"),
        ("bucket", name) if verb == "get" => format!("GET /storage/v1/b/{name}/iam"),
        ("bucket", name) => format!("PUT /storage/v1/b/{name}/iam"),
        ("serviceaccount", email) => {
            format!("POST /v1/projects/acme-one/serviceAccounts/{email}:{verb}IamPolicy")
        }
        (_, _) if verb == "get" => "GET /v1/projects/acme-one/secrets/key:getIamPolicy".to_owned(),
        _ => "POST /v1/projects/acme-one/secrets/key:setIamPolicy".to_owned(),
    }
}

/// What a plan cannot do without: by the spec and the world, not by what the planner says.
fn least(fleet: &Fleet) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    let mut needs = |call: String| {
        calls.insert(call);
    };
    needs("GET /v1/projects/acme-one/serviceAccounts".to_owned());
    let wanted = fleet.accounts.iter().map(|a| a.wants);
    let direct: Vec<u8> = fleet.ksas.iter().filter_map(|k| k.wants.err()).collect();
    for (_, resource) in wanted.chain(direct.iter().copied()).flat_map(grants) {
        needs(policy(resource, "get"));
        if let Some(project) = resource.strip_prefix("project/") {
            needs(format!("POST /v1/projects/{project}:getAncestry"));
        }
    }
    // Grants that are to go are most likely on the accounts' own project, and on those of the pools.
    needs(policy("project/acme-one", "get"));
    for (i, account) in fleet.accounts.iter().enumerate() {
        if account.exists {
            needs(policy(&format!("serviceaccount/{}", email(i)), "get"));
        }
    }
    for (c, of) in fleet.clusters.iter().enumerate() {
        let project = PROJECTS[of.project];
        needs(format!("GET /v1/projects/{project}/locations/-/clusters"));
        // Accounts that left are looked for wherever the spec has something.
        needs(format!("GET /v1/projects/{project}/serviceAccounts"));
        needs(policy(&format!("project/{project}"), "get"));
        let below = format!("/kubernetes/{project}/europe-west1/c{c}");
        needs(format!("GET {below}/api/v1/namespaces"));
        needs(format!("GET {below}/api/v1/serviceaccounts"));
        // Who loses the node's identity.
        if of.pools.iter().any(|p| !(p.moved && of.enabled)) {
            needs(format!("GET {below}/api/v1/pods"));
            needs(format!("GET {below}/api/v1/nodes"));
            needs(format!("GET {below}/apis/policy/v1/poddisruptionbudgets"));
            for kind in wi_core::wire::workloads::WORKLOAD_KINDS {
                needs(format!("GET {below}{}", kind.path));
            }
        }
        // A principal has the project's number in it.
        if direct.iter().any(|mask| *mask != 0) {
            needs(format!("GET /v3/projects/{project}"));
        }
    }
    calls
}

/// What a plan may ask beside that, each once: what there is of accounts and grants that left, whether new roles exist, whether buckets take principals,
/// whose identity nodes have, and what pods lose with another one.
fn may(call: &str) -> bool {
    let left = PROJECTS.iter().any(|project| {
        call == format!("GET /v1/projects/{project}/serviceAccounts")
            || call == format!("GET /v1/projects/{project}:searchAllIamPolicies")
    });
    let of_left = || grants(u8::MAX).any(|(_, resource)| call == policy(resource, "get"));
    left || of_left()
        || call.starts_with("GET /v1/roles/")
        || call == "GET /storage/v1/b/receipts"
        || call == "GET /v3/projects/acme-one"
        || call == "GET /v3/projects/acme-two"
        || call.ends_with("/pods")
            && NAMESPACES
                .iter()
                .any(|ns| call.contains(&format!("/{ns}/")))
        || call.ends_with("/api/v1/nodes")
        // The nodes', and whatever account a live annotation names.
        || call.contains("/serviceAccounts/") && call.ends_with(":getIamPolicy")
}

async fn counted(fleet: &Fleet) {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let client = Client::of(&fleet.spec(), &sandbox);

    let (plan, live) = client.plan().await;
    let of_plan = calls(&sandbox);
    let least = least(fleet);
    for call in &least {
        assert_eq!(of_plan.get(call), Some(&1), "{call}\n{of_plan:#?}");
    }
    for (call, n) in of_plan.iter().filter(|(call, _)| !least.contains(*call)) {
        assert!(may(call) && *n == 1, "{n} times {call}\n{fleet:#?}");
    }

    let outcome = client.apply(&plan, &live, CancellationToken::new()).await;
    assert!(
        outcome.values().all(|end| *end == Status::Done),
        "{outcome:#?}"
    );
    let of_apply = since(&of_plan, &calls(&sandbox));
    let mut expected: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut expect = |call: String, least: usize, most: usize| {
        let known = expected.entry(call).or_default();
        *known = (known.0.max(least), known.1 + most);
    };
    // Policies, and whether something is taken out.
    let mut edits: BTreeMap<String, bool> = BTreeMap::new();
    for change in plan.changes.values() {
        match &change.edit {
            Edit::Binding(binding) => {
                let resource = match binding.key.resource.to_string() {
                    named if named.starts_with("secret/") => "secret/key".to_owned(),
                    other => other,
                };
                *edits.entry(resource).or_default() |= !binding.adds();
            }
            Edit::Account(edit) => {
                let account = format!("/v1/projects/acme-one/serviceAccounts/{}", edit.email);
                let polls = if edit.makes_it() {
                    expect(
                        "POST /v1/projects/acme-one/serviceAccounts".to_owned(),
                        1,
                        1,
                    );
                    99 // until IAM finds it, in which it is slow
                } else {
                    expect(format!("PATCH {account}"), 1, 1);
                    1
                };
                expect(format!("GET {account}"), 1, polls);
            }
            _ => {}
        }
    }
    for (resource, removes) in &edits {
        // Removals that wait for the last pod that uses what goes are a write of their own.
        let writes = if *removes { 2 } else { 1 };
        expect(policy(resource, "set"), 1, writes);
        // Before each write, and after it until it reads back.
        expect(policy(resource, "get"), 2, 2 * writes);
    }
    for c in 0..fleet.clusters.len() {
        let name = format!("c{c}");
        let mut changed = 0;
        for change in plan
            .changes
            .values()
            .filter(|ch| ch.cluster() == Some(&name))
        {
            match &change.edit {
                Edit::ClusterPool(_) => {
                    changed += 1;
                    expect(format!("PUT /v1/{}", cluster(fleet, c)), 1, 1);
                }
                Edit::NodePool(pool) => {
                    changed += 1;
                    expect(
                        format!("PUT /v1/{}/nodePools/{}", cluster(fleet, c), pool.node_pool),
                        1,
                        1,
                    );
                }
                _ => {}
            }
        }
        if changed > 0 {
            let project = PROJECTS[fleet.clusters[c].project];
            // Whether it is idle and as planned, and afterwards whether it is as wanted. Projects share
            // the list's path.
            let of_project = fleet
                .clusters
                .iter()
                .filter(|of| PROJECTS[of.project] == project);
            let most = of_project.map(|of| 1 + of.pools.len()).sum();
            let list = format!("GET /v1/projects/{project}/locations/europe-west1/operations");
            expect(list, changed, most);
            expect(
                format!("GET /v1/{}", cluster(fleet, c)),
                2 * changed,
                2 * changed,
            );
        }
        let kubernetes = plan.changes.values().filter(|change| {
            let of_kubernetes = matches!(change.edit, Edit::Namespace(_) | Edit::Ksa(_));
            of_kubernetes && change.cluster() == Some(&name)
        });
        let project = PROJECTS[fleet.clusters[c].project];
        let below = format!("/kubernetes/{project}/europe-west1/{name}/api/v1/namespaces/");
        let writes = of_apply.iter().filter(|(call, _)| call.contains(&below));
        let writes: usize = writes.map(|(_, n)| n).sum();
        let objects = kubernetes.count();
        // A second one where another manager's annotation goes.
        assert!(
            (objects..=2 * objects).contains(&writes),
            "{writes} writes of {objects} objects"
        );
    }
    // Right before a node pool moves it is looked at again who is on it, and what they have.
    let moves = plan.changes.values();
    let moves = moves
        .filter(|c| matches!(c.edit, Edit::NodePool(_)))
        .count();
    let reads = |call: &str| {
        let verbs = [":getIamPolicy", ":getAncestry", ":searchAllIamPolicies"];
        call.starts_with("GET ") || verbs.iter().any(|verb| call.ends_with(verb))
    };
    let again = |call: &str| if reads(call) { moves } else { 0 };
    for (call, (least, most)) in &expected {
        let n = of_apply.get(call).copied().unwrap_or_default();
        let most = most + again(call);
        assert!(
            (*least..=most).contains(&n),
            "{n} times {call}, of {least} to {most}\n{of_apply:#?}"
        );
    }
    for call in of_apply.keys() {
        let polls = call.contains("/operations/operation-");
        let known = expected.contains_key(call) || polls || call.contains("/kubernetes/");
        let n = of_apply.get(call).copied().unwrap_or_default();
        assert!(known || n <= again(call), "{n} times {call}\n{of_apply:#?}");
    }
    sandbox.stop().await;
}

#[test]
fn as_few_calls_as_the_apis_allow() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    for _ in 0..size(FLEETS) {
        let mut fleet = fleet().new_tree(&mut runner).expect("a fleet").current();
        fleet.slow_percent = 0;
        runtime.block_on(counted(&fleet));
    }
}
