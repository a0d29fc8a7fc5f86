//! Carries a plan out: every change as soon as what it needs is done, one write per policy, one
//! GKE operation per cluster. A failure stops its dependents only.

mod edit;
pub mod gates;
mod gke;
mod observer;
pub mod preflight;
pub mod proof;
mod recheck;
pub mod rehearsal;
pub mod rollout;
mod steps;
mod verify;
mod wait;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::scan::live::ReadSecrets;
pub use observer::{Observer, Unobserved};
use steps::{Step, Steps};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};
use wait::Wait;
use wi_client::http::Http;
use wi_client::kubernetes::Kube;
use wi_core::address::Address;
use wi_core::desired::Desired;
use wi_core::live::{Live, Seen, to_connect};
use wi_core::names::{ClusterPath, Email};
use wi_core::plan::{Edit, Ksa, Options, Plan};
use wi_core::reason::Reason;
use wi_core::resource::Resource;

/// How a change ended. Nothing is carried over in files: running again finds what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Carried out, or found done already.
    Done,
    /// What was tried and what came back.
    Failed(Reason),
    /// Not started, and because of what.
    NotStarted(SkipReason),
}

impl From<Result<(), Reason>> for Status {
    fn from(result: Result<(), Reason>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(why) => Self::Failed(why),
        }
    }
}

/// Because of what a change was not started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// Of this change, which it needs.
    Need(Address),
    /// The user wanted to stop.
    Interrupted,
    /// The rollout was paused, and why.
    Paused(String),
}

/// How each change ended, by address.
pub type Outcome = BTreeMap<Address, Status>;

/// Bounds that the user can set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long one GKE operation may take, those of others that are waited for included.
    pub operation: Duration,
    /// How long a new account or pool may take until IAM accepts it.
    pub propagation: Duration,
    /// How long new pods may take to be ready.
    pub ready: Duration,
    /// The shortest interval between two looks at the same thing.
    pub poll: Duration,
    /// Move node pools within their clusters' maintenance exclusions, too.
    pub ignore_exclusions: bool,
    /// Which Secrets may be opened where it is looked again who has a key.
    pub read_secrets: ReadSecrets,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(6 * 3600),
            propagation: Duration::from_secs(300),
            ready: Duration::from_secs(15 * 60),
            poll: Duration::from_millis(500),
            ignore_exclusions: false,
            read_secrets: ReadSecrets::None,
        }
    }
}

/// What the tasks of one apply share.
#[derive(Debug)]
pub struct Context {
    http: Http,
    plan: Plan,
    observer: Arc<dyn Observer>,
    limits: Limits,
    kubes: BTreeMap<String, Result<Kube, Reason>>,
    /// Where the clusters are, by the spec's name.
    paths: BTreeMap<String, ClusterPath>,
    one_operation: BTreeMap<ClusterPath, Mutex<()>>,
    /// Two writes of one policy at once would only be in each other's way.
    one_write: BTreeMap<Resource, Mutex<()>>,
    /// GKE operations under way, by address: named to the user if `wi` must leave at once.
    operations: std::sync::Mutex<BTreeMap<String, String>>,
    /// Whether IAM may not yet see what this very apply makes.
    makes_principals: bool,
    /// The workload pools that clusters of the spec have, or are given here: IAM may not see them yet.
    pools: BTreeSet<String>,
    /// Cancelled when the user wants to stop.
    stop: CancellationToken,
    /// What is looked at again before something is taken away, or a node pool moved.
    recheck: recheck::Recheck,
    /// Service accounts of Kubernetes that get their former identity back as they are released.
    giving_back: BTreeMap<Address, Mutex<Ksa>>,
}

impl Context {
    /// Prepares to carry out `plan`, which was made of `desired` and `live` with `options`.
    pub fn new(
        http: Http,
        plan: Plan,
        desired: &Desired,
        live: &Live,
        options: &Options,
        observer: Arc<dyn Observer>,
        limits: Limits,
    ) -> Self {
        let recheck = recheck::Recheck::of(&plan, desired, options, limits.read_secrets);
        let kubes = live
            .clusters
            .iter()
            .filter_map(|(name, seen)| {
                let wanted = desired.clusters.get(name)?;
                let cluster = to_connect(wanted, seen)?;
                let kube = Kube::connect(&http, &cluster, &wanted.access);
                Some((name.clone(), kube.map_err(Reason::from)))
            })
            .collect();
        let clusters = desired.clusters.iter();
        let paths: BTreeMap<String, ClusterPath> = clusters
            .map(|(name, cluster)| (name.clone(), cluster.path.clone()))
            .collect();
        let one_operation = plan
            .changes
            .values()
            .filter_map(|c| paths.get(c.cluster()?))
            .map(|path| (path.clone(), Mutex::new(())))
            .collect();
        let one_write = plan
            .changes
            .values()
            .filter_map(|c| match &c.edit {
                Edit::Binding(binding) => Some((binding.key.resource.clone(), Mutex::new(()))),
                _ => None,
            })
            .collect();
        let makes_principals = plan.changes.values().any(|c| match &c.edit {
            Edit::ClusterPool(_) => true,
            Edit::Account(account) => account.makes_it(),
            _ => false,
        });
        let giving_back = plan
            .changes
            .iter()
            .filter_map(|(address, c)| match &c.edit {
                Edit::Ksa(ksa) if ksa.gives_back().is_some() => {
                    Some((address.clone(), Mutex::new(ksa.clone())))
                }
                _ => None,
            });
        let given = plan.changes.values().filter_map(|c| match &c.edit {
            Edit::ClusterPool(pool) => Some(pool.after.clone()),
            _ => None,
        });
        let there = live.clusters.values().filter_map(|seen| match seen {
            Seen::Found(c) => Some(c.workload_identity_config.workload_pool.clone()),
            _ => None,
        });
        let pools = given.chain(there).collect();
        Self {
            giving_back: giving_back.collect(),
            http,
            plan,
            observer,
            limits,
            kubes,
            paths,
            one_operation,
            one_write,
            operations: std::sync::Mutex::default(),
            makes_principals,
            pools,
            stop: CancellationToken::new(),
            recheck,
        }
    }

    /// Somebody was asked, who took time to answer: what the plan takes away is looked at again.
    pub async fn after_a_question(self) -> Self {
        self.recheck.forget().await;
        self
    }

    /// Ends waiting for IAM, too, when `stop` is cancelled.
    #[must_use]
    pub fn stopped_by(self, stop: &CancellationToken) -> Self {
        Self {
            stop: stop.clone(),
            ..self
        }
    }

    /// GKE operations that go on at the server, by address.
    pub fn operations_under_way(&self) -> BTreeMap<String, String> {
        self.operations().clone()
    }

    fn operations(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // Entries are inserted and removed whole, so a poisoned map is still right.
        self.operations
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The accounts that this very apply makes.
    fn made(&self) -> impl Iterator<Item = &Email> {
        self.plan.changes.values().filter_map(|c| match &c.edit {
            Edit::Account(account) if account.makes_it() => Some(&account.email),
            _ => None,
        })
    }

    /// What time it is by the servers' clock, which their times are to be compared with.
    fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::now() - self.http.clock_ahead().unwrap_or_default()
    }

    fn operation_wait(&self) -> Wait {
        Wait::up_to(self.limits.operation, self.limits.poll)
    }

    fn propagation_wait(&self) -> Wait {
        Wait::up_to(self.limits.propagation, self.limits.poll).or_until(&self.stop)
    }

    /// The bound on one operation, for the user.
    fn operation_limit(&self) -> String {
        match self.limits.operation.as_secs() {
            seconds @ 0..120 => format!("{seconds} s"),
            seconds => format!("{} minutes", seconds / 60),
        }
    }

    /// Where a cluster of the spec is.
    fn path(&self, cluster: &str) -> Result<&ClusterPath, Reason> {
        let path = self.paths.get(cluster);
        path.ok_or_else(|| format!("cluster.{cluster} is not in the spec").into())
    }

    /// Where the objects of a cluster of the spec are written.
    fn objects_of(&self, cluster: &str) -> Result<edit::object::Target<'_>, Reason> {
        Ok(edit::object::Target {
            kube: self.kube(cluster)?,
            owner: &self.plan.owner,
            limits: &self.limits,
        })
    }

    fn kube(&self, cluster: &str) -> Result<&Kube, Reason> {
        match self.kubes.get(cluster) {
            Some(Ok(kube)) => Ok(kube),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("cluster.{cluster} was not read").into()),
        }
    }
}

/// Carries out the context's plan, whatever its waves. When `stop` is cancelled nothing more is
/// started, and what is under way is finished.
pub async fn apply(context: Arc<Context>, stop: CancellationToken) -> Outcome {
    let all = context.plan.changes.keys().cloned().collect();
    let mut outcome = Outcome::new();
    carry_out(&context, &all, &mut outcome, &Bounds::default(), &stop).await;
    outcome
}

/// How many clusters may be changed at a time, and how many may fail.
#[derive(Debug, Clone, Default)]
struct Bounds {
    /// `None`: no bound.
    max_parallel: Option<usize>,
    /// More failed clusters than these, and nothing more is started.
    max_failures: Option<usize>,
    /// Clusters that have failed already.
    failed: BTreeSet<String>,
}

/// Carries out `addresses`; how the changes before them ended is in `outcome`.
async fn carry_out(
    context: &Arc<Context>,
    addresses: &BTreeSet<Address>,
    outcome: &mut Outcome,
    bounds: &Bounds,
    stop: &CancellationToken,
) {
    let mut steps = Steps::of(&context.plan, addresses, bounds.max_parallel.is_some());
    let mut turns = ClusterSlots::new(&context.plan, addresses, bounds.max_parallel);
    let mut tasks: JoinSet<Vec<(Address, Status)>> = JoinSet::new();
    loop {
        while let Some(step) = steps.next_ready() {
            turns.waiting.push_back(step);
        }
        let idle = tasks.is_empty();
        if let Some(step) = turns.next(idle) {
            let (mut runnable, mut ended) = split_by_needs(&context.plan, step, outcome, addresses);
            let why = if stop.is_cancelled() {
                Some(SkipReason::Interrupted)
            } else {
                too_many_failures(&context.plan, outcome, bounds)
            };
            if let Some(why) = why {
                let not = std::mem::take(&mut runnable.addresses);
                ended.extend(not.into_iter().map(|a| (a, why.clone())));
            }
            let ended: Vec<(Address, Status)> = ended
                .into_iter()
                .map(|(address, because)| (address, Status::NotStarted(because)))
                .collect();
            turns.settle(&ended);
            settle(&mut steps, outcome, ended);
            if !runnable.addresses.is_empty() {
                let context = Arc::clone(context);
                let span = span_of(&runnable);
                tasks.spawn(async move { run(&context, runnable).await }.instrument(span));
            }
            continue;
        }
        match tasks.join_next().await {
            Some(Ok(ended)) => {
                turns.settle(&ended);
                settle(&mut steps, outcome, ended);
            }
            Some(Err(_panic)) => {
                // The panic is reported by its own hook; what it was doing is told below.
                stop.cancel();
            }
            None => break,
        }
    }
    for address in addresses {
        outcome.entry(address.clone()).or_insert_with(|| {
            Status::Failed("wi failed while carrying this out; run apply again".into())
        });
    }
}

/// Clusters with a change that failed, or that waits for one.
fn failed_clusters(plan: &Plan, outcome: &Outcome) -> BTreeSet<String> {
    outcome
        .iter()
        .filter(|(_, end)| {
            matches!(
                end,
                Status::Failed(_) | Status::NotStarted(SkipReason::Need(_))
            )
        })
        .filter_map(|(address, _)| plan.changes.get(address)?.cluster())
        .map(str::to_owned)
        .collect()
}

fn too_many_failures(plan: &Plan, outcome: &Outcome, bounds: &Bounds) -> Option<SkipReason> {
    let limit = bounds.max_failures?;
    let mut failed = failed_clusters(plan, outcome);
    failed.extend(bounds.failed.iter().cloned());
    (failed.len() > limit).then(|| SkipReason::Paused(rollout::too_many(&failed, limit)))
}

/// Which clusters may be changed now: never more than `max` at a time.
struct ClusterSlots<'a> {
    plan: &'a Plan,
    max: Option<usize>,
    waiting: VecDeque<Step>,
    /// Changes of each cluster that have not ended.
    open: BTreeMap<&'a str, usize>,
    active: BTreeSet<&'a str>,
}

impl<'a> ClusterSlots<'a> {
    fn new(plan: &'a Plan, addresses: &BTreeSet<Address>, max: Option<usize>) -> Self {
        let mut open = BTreeMap::new();
        for (_, change) in plan.changes.iter().filter(|(a, _)| addresses.contains(*a)) {
            if let Some(cluster) = change.cluster() {
                *open.entry(cluster).or_insert(0) += 1;
            }
        }
        Self {
            plan,
            max,
            waiting: VecDeque::new(),
            open,
            active: BTreeSet::new(),
        }
    }

    fn cluster(&self, step: &Step) -> Option<&'a str> {
        let address = step.addresses.first()?;
        self.plan.changes.get(address)?.cluster()
    }

    /// The next step that may start. `idle`: nothing is under way, so that the clusters that have
    /// their turn only wait for others to have it, too.
    fn next(&mut self, idle: bool) -> Option<Step> {
        let may = |step: &Step| match (self.cluster(step), self.max) {
            (Some(cluster), Some(max)) => self.active.contains(cluster) || self.active.len() < max,
            _ => true,
        };
        let at = self.waiting.iter().position(may);
        let at = at.or((idle && !self.waiting.is_empty()).then_some(0))?;
        let step = self.waiting.remove(at)?;
        self.active.extend(self.cluster(&step));
        Some(step)
    }

    fn settle(&mut self, ended: &[(Address, Status)]) {
        for (address, _) in ended {
            let cluster = self.plan.changes.get(address).and_then(|c| c.cluster());
            if let Some(cluster) = cluster
                && let Some(open) = self.open.get_mut(cluster)
            {
                *open -= 1;
                if *open == 0 {
                    self.active.remove(cluster);
                }
            }
        }
    }
}

fn settle(steps: &mut Steps, outcome: &mut Outcome, ended: Vec<(Address, Status)>) {
    for (address, end) in ended {
        steps.settled(&address);
        outcome.insert(address, end);
    }
}

/// Splits a step into what may run and what a failed need stops, with the failed need's address.
fn split_by_needs(
    plan: &Plan,
    step: Step,
    outcome: &Outcome,
    addresses: &BTreeSet<Address>,
) -> (Step, Vec<(Address, SkipReason)>) {
    let mut blocked = Vec::new();
    let mut runnable = BTreeSet::new();
    for address in step.addresses {
        let because =
            plan.changes[&address]
                .needs
                .iter()
                .find_map(|need| match outcome.get(need) {
                    Some(Status::Failed(_)) => Some(SkipReason::Need(need.clone())),
                    Some(Status::NotStarted(because)) => Some(because.clone()),
                    Some(Status::Done) => None,
                    // Of another wave, and not done.
                    None => (plan.changes.contains_key(need) && !addresses.contains(need))
                        .then(|| SkipReason::Need(need.clone())),
                });
        match because {
            Some(because) => blocked.push((address, because)),
            None => {
                runnable.insert(address);
            }
        }
    }
    // What is added in the same write, and cannot be, keeps what it takes the place of.
    let reasons: BTreeMap<Address, SkipReason> = blocked.iter().cloned().collect();
    runnable.retain(|address| {
        let mut needs = plan.changes[address].needs.iter();
        let Some((need, because)) = needs.find_map(|n| reasons.get_key_value(n)) else {
            return true;
        };
        let because = match because {
            SkipReason::Need(_) => SkipReason::Need(need.clone()),
            other => other.clone(),
        };
        blocked.push((address.clone(), because));
        false
    });
    (
        Step {
            addresses: runnable,
            policy: step.policy,
        },
        blocked,
    )
}

/// By which each call of the log says what it is for.
fn span_of(step: &Step) -> tracing::Span {
    let changes: Vec<&str> = step.addresses.iter().map(|a| &**a).collect();
    match &step.policy {
        Some(resource) => info_span!(
            "policy",
            of = resource.to_string(),
            changes = changes.join(", ")
        ),
        None => info_span!("change", address = changes.join(", ")),
    }
}

async fn run(context: &Context, mut step: Step) -> Vec<(Address, Status)> {
    for address in &step.addresses {
        context
            .observer
            .start(address, context.plan.changes[address].action());
    }
    let mut ended = take_out_what_is_relied_on(context, &mut step).await;
    if let Some(resource) = &step.policy {
        ended.extend(edit::binding::edit(context, resource, &step.addresses).await);
    } else {
        for address in step.addresses {
            let result = edit::carry_out(context, &address).await;
            ended.push((address, result.into()));
        }
    }
    for (address, status) in &ended {
        match status {
            Status::Done => context.observer.done(address),
            Status::Failed(why) => context.observer.failed(address, why),
            Status::NotStarted(_) => context.observer.not_started(address),
        }
    }
    ended
}

/// Takes out of a step what somebody has come to rely on since it was planned, and what needs that.
async fn take_out_what_is_relied_on(context: &Context, step: &mut Step) -> Vec<(Address, Status)> {
    let changes = &context.plan.changes;
    let mut out = BTreeMap::new();
    for address in step.addresses.iter().filter(|a| changes[*a].edit.takes()) {
        let now = context.time();
        let (http, plan) = (&context.http, &context.plan);
        if let Err(why) = context.recheck.taking(http, plan, address, now).await {
            out.insert(address.clone(), Status::Failed(why.into()));
        }
    }
    while let Some((address, need)) = step.addresses.iter().find_map(|address| {
        let mut needs = changes[address].needs.iter();
        let need = needs.find(|n| out.contains_key(*n) && !out.contains_key(address))?;
        Some((address.clone(), need.clone()))
    }) {
        out.insert(address, Status::NotStarted(SkipReason::Need(need)));
    }
    step.addresses.retain(|address| !out.contains_key(address));
    out.into_iter().collect()
}
