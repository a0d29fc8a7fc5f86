//! Pod templates: a static key is taken out, or comes back, with one new pod first. What fails is undone, and a run that
//! goes on after another one goes by what is live.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::address::Address;
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::edit::{METADATA_NODES, Step};
use wi_core::migrate::mark::Way;
use wi_core::migrate::rollout::{self, Health, Stage};
use wi_core::migrate::templates::{Strategy, template};
use wi_core::plan::Template;
use wi_core::reason::Reason;
use wi_core::spec::migration::{Accept, Migration};
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind};

use crate::apply::Context;
use crate::apply::proof;
use crate::apply::recheck::FreshTemplate;
use crate::apply::wait::{CONFLICTS, Wait};
use crate::verify::Outcome;

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &Template,
) -> Result<(), Reason> {
    let fresh = context
        .recheck
        .template(&context.http, &context.plan, address, context.time());
    let fresh = fresh.await?;
    let run = Run {
        context,
        address,
        edit,
        kube: context.kube(&edit.key.cluster)?,
        kind: kind_of(&edit.key.kind)?,
        sets: kind_of("ReplicaSet")?,
        seen: &fresh.seen,
        migration: &fresh.migration,
    };
    if !edit.goes_on {
        if edit.takes_out() {
            run.prove_identity(&fresh).await?;
        }
        run.begin(&fresh).await?;
        if edit.strategy == Strategy::AtOnce {
            return Ok(());
        }
    }
    run.follow().await
}

fn kind_of(name: &str) -> Result<&'static WorkloadKind, Reason> {
    let kind = WORKLOAD_KINDS.iter().find(|k| k.kind == name);
    kind.ok_or_else(|| format!("{name} is no kind that makes pods").into())
}

struct Run<'a> {
    context: &'a Context,
    address: &'a Address,
    edit: &'a Template,
    kube: &'a Kube,
    kind: &'static WorkloadKind,
    sets: &'static WorkloadKind,
    seen: &'a TemplateSeen,
    migration: &'a Migration,
}

/// What is live of a Deployment that changes.
struct Seen {
    object: Value,
    /// All ReplicaSets of the namespace.
    sets: Vec<Value>,
    /// All of its pods.
    pods: Vec<Value>,
}

impl Run<'_> {
    fn namespace(&self) -> &str {
        self.edit.key.namespace.as_str()
    }

    fn still(&self, what: &str) {
        self.context.observer.still(self.address, what);
    }

    async fn object(&self) -> Result<Value, Reason> {
        let name = self.edit.key.name.as_str();
        let read = self
            .kube
            .get_workload_whole(self.kind, self.namespace(), name);
        let object = match read.await {
            Ok(object) => object,
            Err(e) if e.is_not_found() => return Err("it is gone. Plan again".into()),
            Err(e) => return Err(e.reason()),
        };
        match object["metadata"]["uid"] == self.edit.uid.as_str() {
            true => Ok(object),
            false => Err("it is another one of that name. Plan again".into()),
        }
    }

    async fn look(&self) -> Result<Seen, Reason> {
        let (object, sets, pods) = tokio::join!(
            self.object(),
            self.kube.list_whole(self.sets, self.namespace()),
            self.kube.list_pods_whole(self.namespace())
        );
        Ok(Seen {
            object: object?,
            sets: sets.map_err(|e| e.reason())?,
            pods: pods.map_err(|e| e.reason())?,
        })
    }

    async fn patch(&self, operations: &[Value]) -> Result<Value, ApiError> {
        let name = self.edit.key.name.as_str();
        let patch = self
            .kube
            .patch_workload(self.kind, self.namespace(), name, operations);
        patch.await
    }

    /// Before a pod does without its key: Google gives the account to whoever has a token of the Kubernetes service
    /// account. A pod that is ready says nothing of that.
    async fn prove_identity(&self, fresh: &FreshTemplate) -> Result<(), Reason> {
        let context = self.context;
        let key = self.edit.ksa();
        let told = |what: &str| self.still(what);
        let wait = context.limits.propagation;
        let proof = proof::identity(&context.http, &fresh.desired, &key, wait, &told).await;
        let Some((outcome, why)) = proof.as_ref().and_then(proof::why) else {
            return match proof {
                Some(_) => Ok(()),
                None => Err("its Kubernetes service account is not in the spec".into()),
            };
        };
        if outcome == Outcome::Broken {
            return Err(format!("nothing was changed: {why}").into());
        }
        if self.migration.accept.contains(&Accept::Unproven) {
            self.still(&format!("that was accepted: {why}"));
            return Ok(());
        }
        let accept = Accept::Unproven.name();
        Err(format!("nothing was changed: {why} (accept: [{accept}] goes on without)").into())
    }

    /// The first write.
    async fn begin(&self, fresh: &FreshTemplate) -> Result<(), Reason> {
        let planned = template(&self.edit.key.kind, &fresh.object);
        for _ in 0..CONFLICTS {
            let (object, sets) = tokio::join!(
                self.object(),
                self.kube.list_whole(self.sets, self.namespace())
            );
            let (object, sets) = (object?, sets.map_err(|e| e.reason())?);
            if template(&self.edit.key.kind, &object) != planned {
                return Err("its template was changed just now. Plan again".into());
            }
            let at_once = self.edit.strategy == Strategy::AtOnce;
            let idle = object["spec"]["replicas"] == 0;
            if at_once != idle {
                return Err("pods of it came or went just now. Plan again".into());
            }
            if let Some(left) = rollout::left(&object).filter(|_| !at_once) {
                return Err(format!("a rollout of it goes on ({left}). Plan again").into());
            }
            let Some(revision) = rollout::revision(&object) else {
                return Err("it has no revision: there would be no way back".into());
            };
            if rollout::current(&object, &sets).is_none() {
                return Err(format!(
                    "no ReplicaSet has the template of revision {revision}: there would be no way back"
                )
                .into());
            }
            let (email, way) = (&self.edit.email, self.edit.way);
            let operations = match at_once {
                true => rollout::at_once(&object, &fresh.template, way, email, revision),
                false => rollout::begin(&object, &fresh.template, way, email, revision),
            };
            match self.patch(&operations).await {
                Ok(_) => return Ok(()),
                Err(e) => self.is_older(&object, e).await?,
            }
        }
        Err("it is written again and again by others".into())
    }

    /// A write that was refused since the object is another one by now is tried again.
    async fn is_older(&self, tried: &Value, e: ApiError) -> Result<(), Reason> {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        if !e.is_conflict() && e.code != 422 {
            return Err(e.reason());
        }
        match version(&self.object().await?) == version(tried) {
            true => Err(e.reason()),
            false => Ok(()),
        }
    }

    /// All that comes after the first write, whoever made it.
    async fn follow(&self) -> Result<(), Reason> {
        let limit = self.context.limits.ready;
        let mut wait = self.wait(limit);
        let mut progress = Value::Null;
        let mut watch = Watch::default();
        let mut undone: Option<String> = None;
        loop {
            let seen = self.look().await?;
            let is_anothers = rollout::is_anothers(&seen.object);
            let Some(way) = rollout::mark(&seen.object).and_then(|m| m.way()) else {
                return self.ended(&seen, undone);
            };
            let next = self.next(&seen, way, &mut watch, undone.is_some()).await;
            // What somebody else has brought meanwhile is not taken back: all pods of before serve.
            let undoes = |why: String| match is_anothers {
                true => Err(Reason::from(format!(
                    "somebody has changed its template while its new pod was watched, and {why}: that is left as it is, beside all pods of before. Mend it, or go back by `kubectl rollout undo`; the next apply goes on"
                ))),
                false => Ok(why),
            };
            let mut is_undone = None;
            let operations = match next {
                Next::Settle => rollout::settle(&seen.object),
                Next::GoOn => rollout::go_on(&seen.object),
                Next::TurnBack => self.undo(&seen),
                Next::Undo(why) => {
                    is_undone = Some(undoes(why)?);
                    self.undo(&seen)
                }
                Next::Wait(what) => {
                    self.still(&what);
                    let now = figures(&seen.object);
                    if now != progress {
                        progress = now;
                        wait = self.wait(limit);
                    }
                    if wait.again().await {
                        continue;
                    }
                    if self.context.stop.is_cancelled() {
                        return Err(format!(
                            "interrupted while {what}: all serve as before, and the next apply goes on"
                        )
                        .into());
                    }
                    if let Some(why) = undone {
                        return Err(
                            format!("{why}; it goes back, and that takes long: {what}").into()
                        );
                    }
                    let why = format!("{what} for longer than {} minutes", limit.as_secs() / 60);
                    is_undone = Some(undoes(why)?);
                    self.undo(&seen)
                }
            };
            let Some(operations) = operations else {
                let why = is_undone.unwrap_or_else(|| "it is to have its key again".to_owned());
                return Err(format!(
                    "{why}; the template of before is not to be had, so that it stands as it is"
                )
                .into());
            };
            match self.patch(&operations).await {
                Ok(_) => {
                    if let Some(why) = is_undone {
                        undone = Some(why);
                        watch = Watch::default();
                    }
                    wait = self.wait(limit);
                }
                Err(e) => {
                    self.is_older(&seen.object, e).await?;
                    if !wait.again().await {
                        return Err("it is written again and again by others".into());
                    }
                }
            }
        }
    }

    fn wait(&self, limit: Duration) -> Wait {
        Wait::up_to(limit, self.context.limits.poll).or_until(&self.context.stop)
    }

    /// Whether it is as it is to be, once nothing goes on any more.
    fn ended(&self, seen: &Seen, undone: Option<String>) -> Result<(), Reason> {
        if let Some(why) = undone {
            return Err(format!("{why}; it has its former template again").into());
        }
        match self.has_key(&seen.object) == self.edit.takes_out() {
            true => Err("somebody has changed its template meanwhile. Plan again".into()),
            false => Ok(()),
        }
    }

    fn has_key(&self, object: &Value) -> bool {
        let all = Accept::ALL.into_iter().collect();
        let edited = self
            .seen
            .edited(template(&self.edit.key.kind, object), &all);
        !edited.steps.is_empty() || !edited.traps.is_empty()
    }

    /// The template of before, from the ReplicaSet that has it.
    fn former(&self, seen: &Seen) -> Option<Value> {
        let mark = rollout::mark(&seen.object)?;
        let set = rollout::of_revision(&seen.object, &seen.sets, &mark.revision)?;
        Some(rollout::template_of(set))
    }

    /// The write that brings it back.
    fn undo(&self, seen: &Seen) -> Option<Vec<Value>> {
        rollout::undo(&seen.object, &self.former(seen)?)
    }

    async fn next(&self, seen: &Seen, way: Way, watch: &mut Watch, is_undone: bool) -> Next {
        // Somebody else has brought another template: it comes about gently, and is theirs, with its own settings.
        if self.has_key(&seen.object) == (way == Way::Out) {
            return match (Stage::of(&seen.object), rollout::left(&seen.object)) {
                (Stage::Canary, _) => Next::GoOn,
                (Stage::Rolling, Some(left)) => Next::Wait(left),
                (Stage::Rolling, None) => Next::Settle,
            };
        }
        if way == Way::Out && self.edit.way == Way::Back {
            return Next::TurnBack;
        }
        let Some(set) = rollout::current(&seen.object, &seen.sets) else {
            return Next::Wait("waiting for its first new pod".to_owned());
        };
        let health = match rollout::health(set, &seen.pods) {
            Health::Ready => self.of_pods(set, seen, way).await,
            other => other,
        };
        match (Stage::of(&seen.object), health) {
            // Pods of before were perhaps started again long ago.
            (Stage::Rolling, _) if way == Way::Back => match rollout::left(&seen.object) {
                None => Next::Settle,
                Some(left) => Next::Wait(left),
            },
            (_, Health::Fails(why)) if !is_undone => Next::Undo(why),
            (Stage::Canary, Health::Ready) => {
                match watch.of(set, &seen.pods) >= self.migration.soak.canary {
                    true => Next::GoOn,
                    false => Next::Wait("one new pod is ready, and is watched".to_owned()),
                }
            }
            (Stage::Canary, Health::Waits(what) | Health::Fails(what)) => {
                *watch = Watch::default();
                let new = rollout::pods_of(set, &seen.pods).len();
                match new > 1 && way == Way::Out && !is_undone {
                    // Of each pod more that it is given some would come without the key, unproven.
                    true => Next::Undo(format!(
                        "it was scaled while its new pod was not proven: {new} pods have none of the key"
                    )),
                    false => Next::Wait(what),
                }
            }
            (Stage::Rolling, health) => match (rollout::left(&seen.object), health) {
                (None, Health::Ready) => Next::Settle,
                (None, Health::Waits(what) | Health::Fails(what)) => Next::Wait(what),
                (Some(left), _) => Next::Wait(left),
            },
        }
    }

    /// Whether pods that are ready are who they are to be.
    async fn of_pods(&self, set: &Value, seen: &Seen, way: Way) -> Health {
        if way == Way::Back {
            return Health::Ready;
        }
        for pod in rollout::pods_of(set, &seen.pods) {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let account = pod["spec"]["serviceAccountName"].as_str();
            if account != Some(self.edit.service_account.as_str()) {
                return Health::Fails(format!(
                    "the new pod {name} runs as another Kubernetes service account"
                ));
            }
            let all = Accept::ALL.into_iter().collect();
            let edited = self.seen.edited(pod, &all);
            if !edited.steps.iter().all(is_of_nodes) {
                return Health::Fails(format!(
                    "the new pod {name} has the key all the same: something gives it to each pod"
                ));
            }
            if !self.seen.mixed_nodes {
                continue;
            }
            let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
            match self.kube.get_node(node).await {
                Ok(node) if node.labels.get(METADATA_NODES).is_some_and(|v| v == "true") => {}
                Ok(_) => {
                    return Health::Fails(format!(
                        "the new pod {name} is on a node without the GKE metadata server: it would be the node"
                    ));
                }
                Err(e) => {
                    return Health::Waits(format!("node {node} could not be read: {}", e.reason()));
                }
            }
        }
        Health::Ready
    }
}

fn is_of_nodes(step: &Step) -> bool {
    matches!(step, Step::SelectNodes)
}

/// Since when the same new pods are ready.
#[derive(Default)]
struct Watch(Option<(Vec<String>, Instant)>);

impl Watch {
    /// For how long these are; it begins anew with others.
    fn of(&mut self, set: &Value, pods: &[Value]) -> Duration {
        let uid = |pod: &&Value| {
            pod["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let mut new: Vec<String> = rollout::pods_of(set, pods).iter().map(uid).collect();
        new.sort();
        match &self.0 {
            Some((watched, since)) if *watched == new => since.elapsed(),
            _ => {
                self.0 = Some((new, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// What is done next.
enum Next {
    Wait(String),
    GoOn,
    Settle,
    /// The key was on its way out, and is to come back.
    TurnBack,
    Undo(String),
}

/// By which a rollout gets on.
fn figures(object: &Value) -> Value {
    let status = &object["status"];
    let of = [
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "replicas",
    ];
    let of: BTreeMap<&str, &Value> = of.into_iter().map(|f| (f, &status[f])).collect();
    serde_json::json!(of)
}
