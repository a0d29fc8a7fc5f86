//! Generated fleets, half-migrated in every way: at every mutation of an apply the sandbox's
//! access oracle is asked, and no pod may have lost what it had before and is to have afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
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

const PROJECTS: [&str; 2] = ["acme-one", "acme-two"];
const NAMESPACES: [&str; 2] = ["shop", "jobs"];
const GRANTS: [(&str, &str); 4] = [
    ("roles/cloudsql.client", "project/acme-one"),
    ("roles/pubsub.publisher", "project/acme-one"),
    ("roles/storage.objectViewer", "bucket/receipts"),
    ("roles/logging.logWriter", "project/acme-two"),
];

/// Which of [`GRANTS`], by bit.
type Mask = u8;

fn grants(mask: Mask) -> impl Iterator<Item = (&'static str, &'static str)> {
    GRANTS
        .into_iter()
        .enumerate()
        .filter(move |(i, _)| mask & (1 << i) != 0)
        .map(|(_, grant)| grant)
}

#[derive(Debug, Clone)]
struct Fleet {
    clusters: Vec<ClusterGen>,
    accounts: Vec<AccountGen>,
    ksas: Vec<KsaGen>,
    bystanders: Vec<Bystander>,
    node_grants: Mask,
    seconds: (u32, u32),
    slow_percent: u8,
}

#[derive(Debug, Clone)]
struct ClusterGen {
    project: usize,
    enabled: bool,
    pools: Vec<PoolGen>,
}

#[derive(Debug, Clone)]
struct PoolGen {
    moved: bool,
    nodes: u32,
    settings: usize,
    own_account: bool,
}

const SETTINGS: [&str; 4] = [
    "maxSurge: 1, maxUnavailable: 0",
    "maxSurge: 0, maxUnavailable: 1",
    "maxSurge: 2, maxUnavailable: 1",
    "strategy: BLUE_GREEN, blueGreen: { nodePoolSoakSeconds: 5 }",
];

#[derive(Debug, Clone)]
struct AccountGen {
    exists: bool,
    has: Mask,
    wants: Mask,
}

/// A Kubernetes service account of the spec, on all clusters.
#[derive(Debug, Clone)]
struct KsaGen {
    namespace: usize,
    /// Acts as this account, or has these roles itself.
    wants: Result<usize, Mask>,
    exists: bool,
    /// Annotated with this account before.
    annotated: Option<usize>,
    /// Bound to that account before.
    bound: bool,
    has: Mask,
    /// Where it has pods.
    pods: Vec<(usize, usize)>,
}

/// A workload that the spec does not know.
#[derive(Debug, Clone)]
struct Bystander {
    cluster: usize,
    pool: usize,
    kind: usize,
    accepted: bool,
}

fn fleet() -> impl Strategy<Value = Fleet> {
    let mostly = || prop::bool::weighted(0.75);
    let pool = (mostly(), 1..=3_u32, 0..SETTINGS.len(), any::<bool>()).prop_map(
        |(moved, nodes, settings, own_account)| PoolGen {
            moved,
            nodes,
            settings,
            own_account,
        },
    );
    let cluster = (
        0..PROJECTS.len(),
        mostly(),
        prop::collection::vec(pool, 1..=3),
    )
        .prop_map(|(project, enabled, pools)| ClusterGen {
            project,
            enabled,
            pools,
        });
    let account = (mostly(), 0..16_u8, 0..16_u8).prop_map(|(exists, has, wants)| AccountGen {
        exists,
        has,
        wants,
    });
    let ksa = (
        0..NAMESPACES.len(),
        prop_oneof![(0..3_usize).prop_map(Ok), (0..16_u8).prop_map(Err)],
        mostly(),
        prop::option::weighted(0.75, 0..3_usize),
        mostly(),
        0..16_u8,
        prop::collection::vec((0..3_usize, 0..3_usize), 1..=4),
    )
        .prop_map(
            |(namespace, wants, exists, annotated, bound, has, pods)| KsaGen {
                namespace,
                wants,
                exists,
                annotated,
                bound,
                has,
                pods,
            },
        );
    let bystander = (0..3_usize, 0..3_usize, 0..5_usize, any::<bool>()).prop_map(
        |(cluster, pool, kind, accepted)| Bystander {
            cluster,
            pool,
            kind,
            accepted,
        },
    );
    (
        prop::collection::vec(cluster, 1..=3),
        prop::collection::vec(account, 3),
        prop::collection::vec(ksa, 1..=4),
        prop::collection::vec(bystander, 0..=2),
        0..16_u8,
        (1..60_u32, 1..60_u32),
        0..50_u8,
    )
        .prop_map(
            |(clusters, accounts, ksas, bystanders, node_grants, seconds, slow_percent)| Fleet {
                clusters,
                accounts,
                ksas,
                bystanders,
                node_grants,
                seconds,
                slow_percent,
            },
        )
}

fn email(account: usize) -> String {
    format!("account{account}@acme-one.iam.gserviceaccount.com")
}

impl Fleet {
    fn spec(&self) -> String {
        let mut yaml =
            String::from("apiVersion: wi/v1\nname: fleet\nproject: acme-one\nclusters:\n");
        for (i, c) in self.clusters.iter().enumerate() {
            let _ = writeln!(
                yaml,
                "  c{i}: {{ project: {}, location: europe-west1 }}",
                PROJECTS[c.project]
            );
        }
        let list = |mask| {
            let each: Vec<String> = grants(mask)
                .map(|(role, resource)| format!("{{ role: {role}, resource: {resource} }}"))
                .collect();
            format!("[{}]", each.join(", "))
        };
        yaml.push_str("googleServiceAccounts:\n");
        for (i, account) in self.accounts.iter().enumerate() {
            let _ = writeln!(yaml, "  account{i}: {{ grants: {} }}", list(account.wants));
        }
        yaml.push_str("namespaces:\n");
        for (n, namespace) in NAMESPACES.iter().enumerate() {
            let _ = writeln!(yaml, "  {namespace}:\n    serviceAccounts:");
            let _ = writeln!(yaml, "      always: {{ impersonates: account0 }}");
            for (k, ksa) in self
                .ksas
                .iter()
                .enumerate()
                .filter(|(_, k)| k.namespace == n)
            {
                match ksa.wants {
                    Ok(account) => {
                        let _ =
                            writeln!(yaml, "      ksa{k}: {{ impersonates: account{account} }}");
                    }
                    Err(mask) => {
                        let _ = writeln!(yaml, "      ksa{k}: {{ grants: {} }}", list(mask));
                    }
                }
            }
        }
        let accepted: Vec<String> = (0..self.bystanders.len())
            .filter(|i| self.bystanders[*i].accepted)
            .map(|i| format!("other/Deployment/by{i}"))
            .collect();
        let _ = writeln!(yaml, "acceptLoss: [{}]", accepted.join(", "));
        yaml
    }

    fn world(&self) -> String {
        let mut of_resource: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
        let mut grant = |mask, member: &str| {
            for (role, resource) in grants(mask) {
                of_resource
                    .entry(resource)
                    .or_default()
                    .push((role, member.to_owned()));
            }
        };
        let pools: BTreeSet<usize> = self
            .clusters
            .iter()
            .filter(|c| c.enabled)
            .map(|c| c.project)
            .collect();
        grant(
            self.node_grants,
            "serviceAccount:nodes@acme-one.iam.gserviceaccount.com",
        );
        grant(0b1010, "user:ann@example.com");
        for (i, account) in self.accounts.iter().enumerate().filter(|(_, a)| a.exists) {
            grant(account.has, &format!("serviceAccount:{}", email(i)));
        }
        let subject = |k: usize| format!("{}/ksa{k}", NAMESPACES[self.ksas[k].namespace]);
        for (k, ksa) in self.ksas.iter().enumerate() {
            for project in &pools {
                let member = format!(
                    "serviceAccount:{}.svc.id.goog[{}]",
                    PROJECTS[*project],
                    subject(k)
                );
                grant(ksa.has, &member);
            }
        }
        let policy = |resource: &str| {
            let each: Vec<String> = of_resource
                .get(resource)
                .into_iter()
                .flatten()
                .map(|(role, member)| format!("{{ role: {role}, members: [\"{member}\"] }}"))
                .collect();
            format!("{{ bindings: [{}] }}", each.join(", "))
        };
        let mut yaml = format!(
            "apiVersion: wi.sandbox/v1\ntimeScale: 4000\noperationSeconds: {{ pending: 1, updateCluster: {}, nodeRecreate: {} }}\nfaults: [{{ percent: {}, latencyMs: 4 }}]\nprojects:\n",
            self.seconds.0, self.seconds.1, self.slow_percent
        );
        for (p, project) in PROJECTS.iter().enumerate() {
            let _ = writeln!(
                yaml,
                "  {project}:\n    policy: {}",
                policy(&format!("project/{project}"))
            );
            if p > 0 {
                continue;
            }
            yaml.push_str("    serviceAccounts:\n      nodes: {}\n");
            for (i, _) in self.accounts.iter().enumerate().filter(|(_, a)| a.exists) {
                let bound: Vec<String> = self
                    .ksas
                    .iter()
                    .enumerate()
                    .filter(|(_, k)| k.bound && k.annotated == Some(i))
                    .flat_map(|(k, _)| pools.iter().map(move |p| (k, *p)))
                    .map(|(k, p)| {
                        format!(
                            "\"serviceAccount:{}.svc.id.goog[{}]\"",
                            PROJECTS[p],
                            subject(k)
                        )
                    })
                    .collect();
                let _ = writeln!(
                    yaml,
                    "      account{i}: {{ policy: {{ bindings: [{{ role: roles/iam.workloadIdentityUser, members: [{}] }}] }} }}",
                    bound.join(", ")
                );
            }
        }
        let _ = writeln!(
            yaml,
            "buckets: {{ receipts: {{ project: acme-one, policy: {} }} }}",
            policy("bucket/receipts")
        );
        yaml.push_str("clusters:\n");
        for (c, cluster) in self.clusters.iter().enumerate() {
            self.write_cluster(c, cluster, &mut yaml);
        }
        yaml
    }

    fn write_cluster(&self, c: usize, cluster: &ClusterGen, yaml: &mut String) {
        let project = PROJECTS[cluster.project];
        let _ = writeln!(
            yaml,
            "  - project: {project}\n    location: europe-west1\n    name: c{c}"
        );
        if cluster.enabled {
            let _ = writeln!(yaml, "    workloadPool: {project}.svc.id.goog");
        }
        yaml.push_str("    nodePools:\n");
        for (p, pool) in cluster.pools.iter().enumerate() {
            let mode = if pool.moved && cluster.enabled {
                "GKE_METADATA"
            } else {
                "GCE_METADATA"
            };
            let account = if pool.own_account {
                "nodes@acme-one.iam.gserviceaccount.com"
            } else {
                "default"
            };
            let _ = writeln!(
                yaml,
                "      - {{ name: p{p}, nodes: {}, workloadMetadata: {mode}, serviceAccount: {account}, {} }}",
                pool.nodes, SETTINGS[pool.settings]
            );
        }
        yaml.push_str("    namespaces:\n      other: { serviceAccounts: { ann: { annotations: { iam.gke.io/gcp-service-account: nodes@acme-one.iam.gserviceaccount.com } } } }\n");
        for (n, namespace) in NAMESPACES.iter().enumerate() {
            let there: Vec<(usize, &KsaGen)> = self
                .ksas
                .iter()
                .enumerate()
                .filter(|(_, k)| k.namespace == n && k.exists)
                .collect();
            if there.is_empty() {
                continue;
            }
            let _ = writeln!(yaml, "      {namespace}:\n        serviceAccounts:");
            for (k, ksa) in there {
                let annotation = match ksa.annotated {
                    Some(a) => format!("iam.gke.io/gcp-service-account: {}", email(a)),
                    None => String::new(),
                };
                let _ = writeln!(
                    yaml,
                    "          ksa{k}: {{ annotations: {{ {annotation} }} }}"
                );
            }
        }
        yaml.push_str("    pods:\n");
        let mut any = false;
        for (k, ksa) in self.ksas.iter().enumerate().filter(|(_, k)| k.exists) {
            let here = |at: usize| at % self.clusters.len() == c;
            for (i, (_, pool)) in ksa.pods.iter().enumerate().filter(|(_, p)| here(p.0)) {
                let pool = pool % cluster.pools.len();
                any = true;
                let _ = writeln!(
                    yaml,
                    "      - {{ name: w{k}-{i}, namespace: {}, serviceAccountName: ksa{k}, owner: {{ kind: ReplicaSet, name: w{k}-p{pool} }}, nodeSelector: {{ cloud.google.com/gke-nodepool: p{pool} }} }}",
                    NAMESPACES[ksa.namespace]
                );
            }
        }
        for (b, by) in self.bystanders.iter().enumerate() {
            if by.cluster % self.clusters.len() != c {
                continue;
            }
            any = true;
            let extra = match by.kind {
                1 => ", hostNetwork: true",
                2 => ", serviceAccountName: ann",
                3 => {
                    ", containers: [{ name: c, env: [{ name: GOOGLE_APPLICATION_CREDENTIALS, value: /key.json }] }]"
                }
                _ => "",
            };
            let _ = writeln!(
                yaml,
                "      - {{ name: by{b}, namespace: other, owner: {{ kind: ReplicaSet, name: by{b}-66d9c }}, nodeSelector: {{ cloud.google.com/gke-nodepool: p{} }}{extra} }}",
                by.pool % cluster.pools.len()
            );
        }
        if !any {
            yaml.push_str("      []\n");
        }
    }
}

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
