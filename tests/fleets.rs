//! Generated fleets, half-migrated in every way: at every mutation of an apply the sandbox's
//! access oracle is asked, and no pod may have lost what it had before and is to have afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wi::apply::{self, Context, End, Limits, Outcome};
use wi::auth::TokenSource;
use wi::desired::Desired;
use wi::http::{Endpoints, Http, HttpOptions};
use wi::plan::{self, Options, Plan, What};
use wi::render::progress::Progress;
use wi::sandbox::{self, Granted, PodAccess, Sample, Sandbox, Token, World};

#[path = "fleets/generate.rs"]
mod generate;

use generate::{Fleet, email, fleet, grants};

/// A workload in a cluster.
type WorkloadKey = (String, String, String);

fn key(pod: &PodAccess) -> WorkloadKey {
    (
        pod.cluster.clone(),
        pod.namespace.clone(),
        pod.workload.clone(),
    )
}

/// What all pods of each workload can do; `None` where one of them gets no token.
fn by_workload(pods: &[PodAccess]) -> BTreeMap<WorkloadKey, Option<BTreeSet<Granted>>> {
    let mut all: BTreeMap<WorkloadKey, Option<BTreeSet<Granted>>> = BTreeMap::new();
    for pod in pods {
        let roles = (!matches!(pod.token, Token::Refused(_))).then(|| pod.roles.clone());
        all.entry(key(pod))
            .and_modify(|known| {
                *known = match (known.take(), &roles) {
                    (Some(a), Some(b)) => Some(&a & b),
                    _ => None,
                };
            })
            .or_insert(roles);
    }
    all
}

struct Client {
    http: Http,
    desired: Desired,
}

impl Client {
    fn of(spec: &str, sandbox: &Sandbox) -> Self {
        let source = wi::spec::Source::new("wi.yaml".to_owned(), spec.to_owned());
        let spec = wi::spec::load_sources(vec![source]).expect("a valid spec");
        let endpoints = Endpoints::all_at(&sandbox.endpoint()).expect("endpoints");
        let http = Http::new(HttpOptions {
            endpoints,
            token: TokenSource::fixed(sandbox.token()),
            ..HttpOptions::default()
        })
        .expect("a client");
        Self {
            http,
            desired: Desired::of(&spec),
        }
    }

    async fn plan(&self) -> (Plan, wi::live::Live) {
        let live = wi::live::read(&self.http, &self.desired).await;
        let options = Options {
            allow_mass_removal: true,
            ..Options::default()
        };
        (plan::plan(&self.desired, &live, &options), live)
    }

    async fn apply(&self, plan: &Plan, live: &wi::live::Live, stop: CancellationToken) -> Outcome {
        let limits = Limits {
            operation: Duration::from_secs(60),
            propagation: Duration::from_secs(20),
            poll: Duration::from_millis(3),
            ignore_exclusions: false,
        };
        let context = Context::new(
            self.http.clone(),
            plan.clone(),
            &self.desired,
            live,
            Arc::new(Progress::silent()),
            limits,
        );
        apply::apply(Arc::new(context), stop).await
    }
}

/// Applies once or, stopped in between, several times, until nothing is left to do.
async fn migrate(fleet: &Fleet, stop_after: Option<Duration>) -> Result<(), TestCaseError> {
    let world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    let sandbox = Sandbox::start(world, sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    sandbox.record_access();
    let client = Client::of(&fleet.spec(), &sandbox);
    let mut pools = 0;
    let mut moves = 0;
    for run in 0.. {
        let (plan, live) = client.plan().await;
        prop_assert!(plan.errors.is_empty(), "{:?}", plan.errors);
        prop_assert!(plan.unseen.is_empty(), "{:?}", plan.unseen);
        if plan.is_empty() {
            break;
        }
        prop_assert!(run < 4, "not at rest after four runs: {:#?}", plan.changes);
        if run == 0 {
            let count = |f: fn(&What) -> bool| plan.changes.values().filter(|c| f(&c.what)).count();
            pools = count(|w| matches!(w, What::ClusterPool { .. }));
            moves = count(|w| matches!(w, What::NodePool { .. }));
        }
        let stop = CancellationToken::new();
        let stopping = async {
            match stop_after.filter(|_| run == 0) {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = client.apply(&plan, &live, stop.clone()) => outcome,
            () = stopping => unreachable!("it never ends"),
        };
        if stop_after.is_none() {
            for (address, end) in &outcome {
                prop_assert_eq!(end, &End::Done, "{}", address);
            }
        }
    }
    sandbox.settle().await;
    let operations = sandbox.snapshot().operations.len();
    prop_assert_eq!(
        operations,
        pools + moves,
        "as few operations as there are settings to change"
    );
    check_samples(fleet, &sandbox.recorded_access(), &sandbox.access())?;
    check_end(fleet, &sandbox.access())?;
    sandbox.stop().await;
    Ok(())
}

fn check_samples(
    fleet: &Fleet,
    samples: &[Sample],
    end: &[PodAccess],
) -> Result<(), TestCaseError> {
    let start = by_workload(&samples[0].pods);
    let end = by_workload(end);
    for sample in samples {
        for (workload, now) in by_workload(&sample.pods) {
            let (Some(start), Some(end)) = (&start[&workload], &end[&workload]) else {
                continue; // it had no token before, or is to have none
            };
            let kept = start & end;
            let Some(now) = now else {
                return Err(TestCaseError::fail(format!(
                    "after {}: {workload:?} gets no token\n{:#?}",
                    sample.after, sample.pods
                )));
            };
            let lost: Vec<&Granted> = kept.difference(&now).collect();
            prop_assert!(
                lost.is_empty(),
                "after {}: {:?} lost {:?}\n{:#?}",
                sample.after,
                workload,
                lost,
                sample.pods
            );
        }
    }
    // Whom the spec does not know keeps all, unless it was said that it need not.
    for (workload, before) in &start {
        let (_, namespace, name) = workload;
        if namespace != "other" {
            continue;
        }
        let accepted = (0..fleet.bystanders.len())
            .any(|i| fleet.bystanders[i].accepted && *name == format!("ReplicaSet/by{i}-66d9c"));
        // The oracle does not see the credentials file that the third kind has.
        let own_file = (0..fleet.bystanders.len())
            .any(|i| fleet.bystanders[i].kind == 3 && *name == format!("ReplicaSet/by{i}-66d9c"));
        if let (Some(before), false, false) = (before, accepted, own_file) {
            let after = end[workload].clone().unwrap_or_default();
            prop_assert!(
                before.is_subset(&after),
                "{:?} had {:?} and has {:?}",
                workload,
                before,
                after
            );
        }
    }
    Ok(())
}

/// On the GKE metadata server every declared access works, and nothing else does.
fn check_end(fleet: &Fleet, end: &[PodAccess]) -> Result<(), TestCaseError> {
    // A spec speaks of the resources that it grants on, and of its accounts' own projects.
    let wanted = fleet.accounts.iter().map(|a| a.wants);
    let direct = fleet.ksas.iter().filter_map(|k| k.wants.err());
    let looked_at: BTreeSet<&str> = wanted
        .chain(direct)
        .flat_map(grants)
        .map(|(_, resource)| resource)
        .chain(["project/acme-one"])
        .collect();
    for pod in end {
        let Some(k) = pod.service_account.strip_prefix("ksa") else {
            continue;
        };
        let ksa = &fleet.ksas[k.parse::<usize>().expect("its number")];
        let (mask, is_own) = match ksa.wants {
            Ok(account) => (
                fleet.accounts[account].wants,
                pod.token == Token::Account(email(account)),
            ),
            Err(mask) => (mask, matches!(pod.token, Token::Federated(_))),
        };
        if matches!(pod.token, Token::Node(_)) {
            continue; // its node pool is held back
        }
        prop_assert!(is_own, "{:?}", pod);
        let declared: BTreeSet<(&str, &str)> = grants(mask).collect();
        let has: BTreeSet<(&str, &str)> = pod
            .roles
            .iter()
            .map(|g| (g.role.as_str(), g.resource.as_str()))
            .filter(|(_, resource)| looked_at.contains(resource))
            .collect();
        prop_assert_eq!(has, declared, "{:?}", pod);
    }
    Ok(())
}

fn run(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pod_loses_access_on_the_way(fleet in fleet()) {
        run(migrate(&fleet, None))?;
    }

    #[test]
    fn nor_when_an_apply_is_interrupted_and_run_again(fleet in fleet(), after in 1..400_u64) {
        run(migrate(&fleet, Some(Duration::from_millis(after))))?;
    }
}
