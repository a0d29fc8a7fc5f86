//! Proof that workloads may do what the spec says: each of its Kubernetes service accounts gets a token as a pod of it would,
//! and asks with that what it may do.
//!
//! Nothing is written, and no token leaves memory. Nodes, their metadata servers and the pods' network are tried by
//! [`Jobs`] alone, where those are wanted.

mod job;
mod judge;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
pub use job::Jobs;
use tracing::{Instrument, info_span};
use wi_client::google::{container, iam, policies, workload};
use wi_client::http::{Http, seen};
use wi_client::kubernetes::Kube;
use wi_core::access::ladder::Rung;
use wi_core::access::proof::{Declared, Roles, Trial, declared, trial};
use wi_core::desired::{Desired, DesiredKsa, GSA_ANNOTATION, KsaKey};
use wi_core::live::Seen;
use wi_core::names::{ClusterPath, Email, Role};
use wi_core::reason::Reason;
use wi_core::resource::Resource;
use wi_core::spec::model::SourceLine;
use wi_core::words::safe;

use crate::engine::read::Lists;

/// The first pause before what does not hold is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is to be proven.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// These alone; `None`: all service accounts of the spec.
    pub only: Option<BTreeSet<KsaKey>>,
    /// In place of the spec's grants: this permission on this resource.
    pub to: Option<(Resource, String)>,
    /// How long to go on trying what does not hold: policies take minutes to be in force everywhere.
    pub wait: Duration,
    /// A Job for each, too.
    pub jobs: Option<Arc<Jobs>>,
}

/// How a step came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It does not hold.
    Broken,
    /// It could not be tried, or what came back is no proof.
    Untried,
    /// There is nothing to try now.
    Skipped,
    /// It holds.
    Holds,
}

/// One step of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The link of the chain that it tries.
    pub link: Rung,
    /// How it came out.
    pub outcome: Outcome,
    /// What was tried, in words.
    pub title: String,
    /// Why it came out so, in words; empty where it just holds.
    pub why: String,
    /// The permission, and on what.
    pub asked: Option<(String, Resource)>,
    /// Where the spec asks for it.
    pub source: Option<SourceLine>,
}

impl Step {
    fn new(link: Rung, outcome: Outcome, title: impl Into<String>) -> Self {
        Self {
            link,
            outcome,
            title: title.into(),
            why: String::new(),
            asked: None,
            source: None,
        }
    }

    fn holds(link: Rung, title: impl Into<String>) -> Self {
        Self::new(link, Outcome::Holds, title)
    }

    fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }
}

/// What was tried for one service account of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Whose.
    pub key: KsaKey,
    /// As whom its pods call, as the spec has it; `None`: as itself.
    pub account: Option<Email>,
    /// Where the spec has it.
    pub source: SourceLine,
    /// In their order: those of the identity, then one for each grant.
    pub steps: Vec<Step>,
}

impl Proof {
    /// How it came out: as its worst step.
    pub fn outcome(&self) -> Outcome {
        let tried = self.steps.iter().map(|s| s.outcome);
        tried.min().unwrap_or(Outcome::Holds)
    }

    /// The first step that does not hold.
    pub fn broken(&self) -> Option<&Step> {
        self.steps.iter().find(|s| s.outcome == Outcome::Broken)
    }

    /// The first step that could not be tried.
    pub fn untried(&self) -> Option<&Step> {
        self.steps.iter().find(|s| s.outcome == Outcome::Untried)
    }

    /// Whether policies that are not in force yet may be all that it lacks.
    fn may_propagate(&self) -> bool {
        let late = [Rung::Account, Rung::Binding, Rung::Grant];
        self.broken().is_some_and(|s| late.contains(&s.link))
    }
}

/// What a run calls itself: `verify; 1f0c…`.
pub fn run_name() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("verify; {random:016x}")
}

/// What all proofs of a run share.
struct Around<'a> {
    http: &'a Http,
    desired: &'a Desired,
    kubes: BTreeMap<&'a str, Result<Kube, Reason>>,
    roles: Roles,
    now: Timestamp,
    wanted: &'a Wanted,
    until: Instant,
    told: &'a (dyn Fn(&str) + Sync),
}

/// Tries everything, in parallel; the proofs are in the order of the spec's keys. `told` hears of what is waited for.
pub async fn verify(
    http: &Http,
    desired: &Desired,
    lists: &Lists,
    wanted: &Wanted,
    told: &(dyn Fn(&str) + Sync),
) -> Vec<Proof> {
    let is_wanted = |key: &KsaKey| wanted.only.as_ref().is_none_or(|only| only.contains(key));
    let subjects: Vec<(&KsaKey, &DesiredKsa, Vec<Declared>)> = desired
        .ksas
        .iter()
        .filter(|(key, _)| is_wanted(key))
        .map(|(key, ksa)| (key, ksa, declared(desired, ksa)))
        .collect();
    let clusters: BTreeSet<&str> = subjects.iter().map(|(k, ..)| k.cluster.as_str()).collect();
    let granted = subjects.iter().flat_map(|(.., grants)| grants);
    let granted: BTreeSet<&Role> = match wanted.to {
        Some(_) => BTreeSet::new(),
        None => granted.map(|grant| &grant.role).collect(),
    };
    let (kubes, roles) = tokio::join!(
        join_all(
            clusters
                .into_iter()
                .map(async |name| (name, connect(http, desired, lists, name).await))
        ),
        join_all(granted.into_iter().map(async |role| {
            let definition = seen(iam::get_role(http, role).await);
            (role.to_string(), definition)
        }))
    );
    // The servers' clock: this machine's may be wrong.
    let now = Timestamp::now() - http.clock_ahead().unwrap_or_default();
    let around = Around {
        http,
        desired,
        kubes: kubes.into_iter().collect(),
        roles: roles.into_iter().collect(),
        now,
        wanted,
        until: Instant::now() + wanted.wait,
        told,
    };
    let proofs = subjects.iter().map(|(key, ksa, grants)| {
        let span = info_span!("cluster", name = key.cluster);
        proof(&around, key, ksa, grants).instrument(span)
    });
    join_all(proofs).await
}

/// The API of a cluster, or why it is not reached.
async fn connect(
    http: &Http,
    desired: &Desired,
    lists: &Lists,
    name: &str,
) -> Result<Kube, Reason> {
    let Some(wanted) = desired.clusters.get(name) else {
        return Err("the spec does not say where it is".into());
    };
    let path = &wanted.path;
    let list = lists.get(&path.project).and_then(|l| l.as_ref().ok());
    let listed = list.and_then(|list| {
        let mut all = list.clusters.iter();
        all.find(|c| c.name == path.name && c.location == path.location)
    });
    let cluster = match listed {
        Some(cluster) => cluster.clone(),
        None => container::get_cluster(http, path)
            .await
            .map_err(|e| e.reason())?,
    };
    Ok(Kube::connect(http, &cluster, &wanted.access)?)
}

/// Tries one service account, again and again where that is wanted.
async fn proof(around: &Around<'_>, key: &KsaKey, ksa: &DesiredKsa, grants: &[Declared]) -> Proof {
    let mut pause = PAUSES.0;
    loop {
        // The last one begins when the time is up, however long those before it took.
        let jobs = around.wanted.jobs.as_ref();
        let is_last =
            Instant::now() >= around.until || jobs.is_some_and(|jobs| jobs.stop.is_cancelled());
        let steps = steps(around, key, ksa, grants).await;
        let proof = Proof {
            key: key.clone(),
            account: ksa.account.clone(),
            source: ksa.place.clone(),
            steps,
        };
        if is_last || !proof.may_propagate() {
            return proof;
        }
        let what = proof.broken().map(|s| format!("{}: {}", s.title, s.why));
        (around.told)(&format!(
            "{}/{} on {} does not hold yet ({}): trying again, policies can take minutes",
            key.namespace,
            key.name,
            key.cluster,
            what.unwrap_or_default()
        ));
        let left = around.until.saturating_duration_since(Instant::now());
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// The chain up to the identity, then what it may do. What comes after a step without which there is no token is left out.
async fn steps(
    around: &Around<'_>,
    key: &KsaKey,
    ksa: &DesiredKsa,
    grants: &[Declared],
) -> Vec<Step> {
    let kube = match &around.kubes[key.cluster.as_str()] {
        Ok(kube) => kube,
        Err(why) => {
            let title = format!("cluster {}", key.cluster);
            return vec![Step::new(Rung::ClusterPool, Outcome::Untried, title).why(safe(why))];
        }
    };
    let mut steps = Vec::new();
    let is_one = identity(around, kube, key, ksa, &mut steps).await;
    let Some(http) = is_one else {
        let is_there = steps.iter().all(|s| s.link != Rung::ServiceAccount);
        if let Some(jobs) = around.wanted.jobs.as_ref().filter(|_| is_there) {
            steps.extend(jobs.steps(kube, key, ksa, &[]).await);
        }
        return steps;
    };
    let tests = match &around.wanted.to {
        Some((resource, permission)) => {
            let permissions = vec![permission.clone()];
            let trial = Trial::Test {
                permissions,
                shared_with: None,
                unread: Vec::new(),
                depends: false,
            };
            vec![test(&http, ksa.account.is_none(), resource, &trial, None).await]
        }
        None => {
            let all = grants.iter().enumerate().map(async |(i, grant)| {
                let federated = ksa.account.is_none();
                let trial = trial(grants, i, federated, &around.roles, Some(around.now));
                test(&http, federated, &grant.resource, &trial, Some(grant)).await
            });
            join_all(all).await
        }
    };
    steps.extend(tests);
    if let Some(jobs) = &around.wanted.jobs {
        steps.extend(
            jobs.steps(kube, key, ksa, &hosts(around.wanted, grants))
                .await,
        );
    }
    steps
}

/// The hosts that serve what is granted.
fn hosts(wanted: &Wanted, grants: &[Declared]) -> Vec<String> {
    let resources: Vec<&Resource> = match &wanted.to {
        Some((resource, _)) => vec![resource],
        None => grants.iter().map(|grant| &grant.resource).collect(),
    };
    let host = |resource: &Resource| {
        let name = resource.full_name();
        let host = name.trim_start_matches('/').split('/').next();
        host.unwrap_or_default().to_owned()
    };
    let all: BTreeSet<String> = resources.into_iter().map(host).collect();
    all.into_iter()
        .filter(|h| h.ends_with(".googleapis.com"))
        .collect()
}

/// As whom pods of the service account call; `None` where there is no such token.
async fn identity(
    around: &Around<'_>,
    kube: &Kube,
    key: &KsaKey,
    ksa: &DesiredKsa,
    steps: &mut Vec<Step>,
) -> Option<Http> {
    let name = format!("{}/{}", key.namespace, key.name);
    let pool = &ksa.identity.pool;
    let title = format!("token of {name} for {pool}");
    let (object, token) = tokio::join!(
        kube.get_service_account(key.namespace.as_str(), key.name.as_str()),
        kube.create_token(key.namespace.as_str(), key.name.as_str(), pool),
    );
    match seen(object) {
        Seen::Absent => {
            steps.push(judge::no_account(&title));
            return None;
        }
        Seen::Unknown(why) => {
            let title = match &ksa.account {
                Some(email) => format!("annotation: {email}"),
                None => "no annotation".to_owned(),
            };
            steps.push(Step::new(Rung::Annotation, Outcome::Untried, title).why(why));
            // As whom its pods call is not known: what somebody may do proves nothing of them.
            return None;
        }
        Seen::Found(object) => {
            let has = object.annotations.get(GSA_ANNOTATION).map(String::as_str);
            let has = has.filter(|a| !a.is_empty());
            let step = annotation(&name, has, ksa.account.as_ref());
            let is_broken = step.outcome == Outcome::Broken;
            steps.push(step);
            if is_broken {
                return None;
            }
        }
    }
    let token = match token {
        Ok(token) => token,
        Err(e) => {
            steps.push(judge::token(&title, &e));
            return None;
        }
    };
    steps.push(Step::holds(Rung::ServiceAccount, title));
    let path = &around.desired.clusters.get(&key.cluster)?.path;
    let exchanged = workload::exchange(around.http, &token, &audience(pool, path)).await;
    let title = "exchanged for an access token".to_owned();
    let token = match exchanged {
        Ok(token) => token,
        Err(e) => {
            steps.push(judge::exchange(&title, &e));
            return None;
        }
    };
    steps.push(Step::holds(Rung::WorkloadPool, title));
    let itself = around.http.as_workload(&token);
    let Some(email) = &ksa.account else {
        return Some(itself);
    };
    let title = format!("token of {email}");
    match workload::token_of(&itself, email).await {
        Ok(token) => {
            steps.push(Step::holds(Rung::Binding, title));
            Some(around.http.as_workload(&token))
        }
        Err(e) => {
            steps.push(judge::impersonation(&title, &e));
            None
        }
    }
}

/// Pods are whom the annotation names.
fn annotation(name: &str, has: Option<&str>, wanted: Option<&Email>) -> Step {
    let title = match wanted {
        Some(email) => format!("annotation: {email}"),
        None => "no annotation".to_owned(),
    };
    let why = match (has, wanted) {
        (Some(has), Some(wanted)) if has == wanted.as_str() => String::new(),
        (None, None) => String::new(),
        (Some(has), Some(_)) => format!("{name} is annotated with {}", safe(has)),
        (Some(has), None) => format!("{name} is annotated with {}: it acts as that", safe(has)),
        (None, Some(_)) => format!("{name} has none: it acts as itself"),
    };
    let outcome = match why.is_empty() {
        true => Outcome::Holds,
        false => Outcome::Broken,
    };
    Step::new(Rung::Annotation, outcome, title).why(why)
}

/// As Google's own clients on GKE write it.
fn audience(pool: &str, path: &ClusterPath) -> String {
    format!(
        "identitynamespace:{pool}:https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
        path.project, path.location, path.name
    )
}

/// Tries one grant, or one permission that was asked for, as `http` is somebody.
async fn test(
    http: &Http,
    is_federated: bool,
    resource: &Resource,
    trial: &Trial,
    grant: Option<&Declared>,
) -> Step {
    let title = match grant {
        Some(grant) => format!("{} on {resource}", grant.role),
        None => format!("what it may do on {resource}"),
    };
    let mut step = match trial {
        Trial::NotNow => Step::new(Rung::Condition, Outcome::Skipped, title)
            .why("its condition does not hold now"),
        Trial::NotFederated(service) => Step::new(Rung::Service, Outcome::Broken, title)
            .why(format!("{service}: no federated identity is taken")),
        Trial::Untestable(why) => Step::new(Rung::Role, Outcome::Untried, title).why(safe(why)),
        Trial::Test { permissions, .. } => {
            let mut answer = None;
            for permission in permissions {
                let tried = policies::may(http, resource, permission).await;
                let is_unknown = tried.as_ref().is_err_and(|e| e.code == 400);
                answer = Some((permission, tried));
                if !is_unknown {
                    break;
                }
            }
            let Some((permission, tried)) = answer else {
                return Step::new(Rung::Role, Outcome::Untried, title);
            };
            let step = judge::permission(permission, resource, is_federated, trial, tried);
            Step {
                asked: Some((permission.clone(), resource.clone())),
                ..step
            }
        }
    };
    step.source = grant.map(|g| g.place.clone());
    step
}
