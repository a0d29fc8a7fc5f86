//! What comes after the first write of another template: by what is live alone, so that it does not matter who made it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use wi_core::migrate::mark::Way;
use wi_core::migrate::rollout::{self, Health, Stage};
use wi_core::migrate::templates::template;
use wi_core::reason::Reason;
use wi_core::spec::migration::Accept;
use wi_core::words::counted;

use super::{Run, Unread};
use crate::apply::edit::proven;

/// What is live of a Deployment that changes.
struct Seen {
    object: Value,
    /// The templates that workloads of its kind had, in its namespace.
    history: Vec<Value>,
    /// All pods of the namespace.
    pods: Result<Vec<Value>, Unread>,
}

impl Seen {
    /// Its pods, as far as they were read.
    fn pods(&self) -> &[Value] {
        self.pods.as_deref().unwrap_or_default()
    }
}

impl Run<'_> {
    async fn look(&self) -> Result<Seen, Unread> {
        let (object, history, pods) = tokio::join!(
            self.object(),
            self.history(),
            self.kube.list_pods_whole(self.namespace())
        );
        Ok(Seen {
            object: object?,
            history: history?,
            pods: pods.map_err(Unread::from),
        })
    }

    /// All that comes after the first write, whoever made it.
    pub(super) async fn follow(&self) -> Result<(), Reason> {
        let limit = self.context.limits.ready;
        let mut wait = self.wait(limit);
        let mut progress = Value::Null;
        let mut watch = Watch::default();
        let mut undone: Option<String> = None;
        // What an undo is for of which no answer came.
        let mut asked: Option<String> = None;
        loop {
            let seen = match self.look().await {
                Ok(seen) => seen,
                Err(unread) if unread.passes => {
                    self.still(&format!("it could not be read: {}", unread.why));
                    match wait.again().await {
                        true => continue,
                        false => return Err(unread.why),
                    }
                }
                Err(unread) => return Err(unread.why),
            };
            let is_anothers = rollout::is_anothers(&seen.object, &seen.history);
            let Some(way) = rollout::mark(&seen.object).and_then(|m| m.way()) else {
                return self.ended(&seen, undone);
            };
            if way == Way::Back && undone.is_none() {
                undone = asked.take();
            }
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
                // The way back leads to the template of before all that: what others brought since would be gone.
                Next::TurnBack if is_anothers => {
                    return Err("somebody has changed its template since the key was taken out: the way back would take that away. Bring the key back in that template, or go forward with `until: cutover`".into());
                }
                Next::TurnBack => self.undo(&seen),
                Next::Undo(why) => {
                    is_undone = Some(undoes(why)?);
                    self.undo(&seen)
                }
                Next::Wait(what) => {
                    self.replace(&seen, undone.is_some()).await?;
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
                        return Err(format!("interrupted while {what}: all serve as before").into());
                    }
                    if let Some(why) = undone {
                        return Err(
                            format!("{why}; it goes back, and that takes long: {what}").into()
                        );
                    }
                    let minutes = usize::try_from(limit.as_secs() / 60).unwrap_or(usize::MAX);
                    let why = format!("{what} for longer than {}", counted(minutes, "minute"));
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
                    if is_undone.is_some() {
                        undone = is_undone;
                        watch = Watch::default();
                    }
                    wait = self.wait(limit);
                }
                Err(e) => {
                    asked = is_undone.or(asked);
                    self.may_try_again(&seen.object, e).await?;
                    if !wait.again().await {
                        return Err("it is written again and again by others".into());
                    }
                }
            }
        }
    }

    /// Ends pods that no controller replaces by itself: of a DaemonSet the first one; on the way back of a StatefulSet
    /// one of the other template that does not come up, for which its controller waits.
    async fn replace(&self, seen: &Seen, is_undone: bool) -> Result<(), Reason> {
        let Some(current) = rollout::current(&seen.object, &seen.history) else {
            return Ok(());
        };
        let (object, pods) = (&seen.object, seen.pods());
        // Whoever put the key back meanwhile brought the template of before as well.
        let is_back = is_undone || self.edit.way == Way::Back || self.has_key(object);
        let stuck = match is_back {
            true => rollout::stuck(object, current, pods),
            false => Vec::new(),
        };
        for pod in stuck
            .into_iter()
            .chain(rollout::to_replace(object, current, pods))
        {
            let (Some(name), Some(uid)) = (
                pod["metadata"]["name"].as_str(),
                pod["metadata"]["uid"].as_str(),
            ) else {
                continue;
            };
            match self.kube.delete_pod(self.namespace(), name, uid).await {
                Ok(()) => {}
                // It is gone, or another one by now.
                Err(e) if e.is_not_found() || e.is_conflict() => {}
                Err(e) if e.is_denied() => return Err(e.reason()),
                Err(e) => self.still(&e.reason().to_string()),
            }
        }
        Ok(())
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
        let set = rollout::of_revision(&seen.object, &seen.history, &mark.revision)?;
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
        let Some(set) = rollout::current(&seen.object, &seen.history) else {
            return Next::Wait("waiting for its first new pod".to_owned());
        };
        let health = match &seen.pods {
            Ok(pods) => match rollout::health(&seen.object, set, pods) {
                Health::Ready if way == Way::Back => Health::Ready,
                Health::Ready => {
                    let pods = rollout::pods_of(set, pods);
                    let account = self.edit.service_account.as_str();
                    proven::of_pods(self.kube, self.seen, account, &pods).await
                }
                other => other,
            },
            // Who cannot be watched is not proven.
            Err(unread) => {
                let why = format!("its pods could not be read: {}", unread.why);
                match unread.passes {
                    true => Health::Waits(why),
                    false => Health::Fails(why),
                }
            }
        };
        let forward = way == Way::Out && !is_undone;
        match (Stage::of(&seen.object), health) {
            // Pods of before were perhaps started again long ago.
            (Stage::Rolling, _) if way == Way::Back => match rollout::left(&seen.object) {
                None => Next::Settle,
                Some(left) => Next::Wait(left),
            },
            (_, Health::Fails(why)) if !is_undone => Next::Undo(why),
            (Stage::Canary, Health::Ready) => {
                let is_watched = watch.of(set, seen.pods()) >= self.migration.soak.canary;
                match (is_watched, scaled(seen, set)) {
                    (false, Some(why)) if forward => Next::Undo(why),
                    (false, _) => Next::Wait("one new pod is ready, and is watched".to_owned()),
                    (true, _) => Next::GoOn,
                }
            }
            (Stage::Canary, Health::Waits(what) | Health::Fails(what)) => {
                *watch = Watch::default();
                match scaled(seen, set).filter(|_| forward) {
                    Some(why) => Next::Undo(why),
                    None => Next::Wait(what),
                }
            }
            (Stage::Rolling, health) => match (rollout::left(&seen.object), health) {
                (None, Health::Ready) => Next::Settle,
                (None, Health::Waits(what) | Health::Fails(what)) => Next::Wait(what),
                (Some(left), _) => Next::Wait(left),
            },
        }
    }
}

/// Of each pod more that it is given some come without the key, unproven.
fn scaled(seen: &Seen, set: &Value) -> Option<String> {
    let new = rollout::pods_of(set, seen.pods()).len();
    (new > 1).then(|| {
        format!("it was scaled while its new pod was not proven: {new} pods have none of the key")
    })
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
        "updatedNumberScheduled",
        "numberReady",
        "numberAvailable",
    ];
    let of: BTreeMap<&str, &Value> = of.into_iter().map(|f| (f, &status[f])).collect();
    serde_json::json!(of)
}
