//! The controllers and kubelets of a cluster: what objects ask for comes about, step by step, on the sandbox's clock.
//!
//! Each controller looks at all of its objects and does what is missing, as the real ones do; a pass in which
//! nothing is left to do says when the next thing will be.

mod autoscale;
mod cron;
mod daemons;
mod deployments;
mod foreign;
mod jobs;
mod kubelet;
mod pods;
mod replicas;
mod rollouts;
mod services;
mod stateful;

use std::sync::Arc;

use serde_json::{Value, json};

use super::clockwork::{Clockwork, Health, Healths, Order};
use super::fields::{self, Manager};
use super::kind::Kind;
use super::manifest;
use super::objects::Key;
use super::store::Store;
use crate::clock::{self, Millis};

/// Who writes what controllers write.
const MANAGER: &str = "kube-controller-manager";

/// More passes than anything needs that comes to rest.
const PASSES: usize = 2000;

const DAY: Millis = 24 * 3600 * 1000;

impl Store {
    /// The controllers, where they run.
    fn works(&mut self) -> Option<&mut Clockwork> {
        self.clockwork.as_mut().map(Arc::make_mut)
    }

    /// The simulated time of this pass.
    fn time(&self) -> Millis {
        self.clockwork.as_ref().map_or(0, |works| works.now)
    }

    /// Asks for another pass at a time; a time that is over asks for none.
    fn wake(&mut self, at: Millis) {
        if let Some(works) = self.works()
            && at > works.now
        {
            works.wake(at);
        }
    }

    fn wake_by_schedule(&mut self, at: Millis) {
        if let Some(works) = self.works() {
            works.wake_by_schedule(at);
        }
    }

    /// When the controllers have something to do: `Some(0)` at once. `all`: by schedules, too.
    pub fn next_due(&self, all: bool) -> Option<Millis> {
        let works = self.clockwork.as_ref()?;
        if works.seen != self.revision {
            return Some(0);
        }
        let scheduled = works.scheduled.filter(|_| all);
        [works.due, scheduled].into_iter().flatten().min()
    }

    /// Does all that there is to do at a time.
    pub fn reconcile(&mut self, now: Millis, healths: Healths) {
        let Some(works) = self.works() else { return };
        works.now = now;
        works.healths = Arc::new(healths);
        for _ in 0..PASSES {
            let before = self.revision;
            if let Some(works) = self.works() {
                works.due = None;
                works.scheduled = None;
            }
            self.run_owners();
            self.run_makers();
            self.run_cron_jobs();
            self.run_jobs();
            self.run_autoscalers();
            self.run_deployments();
            self.run_replica_sets();
            self.run_stateful_sets();
            self.run_daemon_sets();
            self.schedule();
            self.run_kubelets();
            self.run_services();
            self.end_foreground();
            if self.revision == before {
                break;
            }
        }
        let there: Vec<String> = self.of_kind(Kind::Pod).map(|(_, pod)| uid(pod)).collect();
        let revision = self.revision;
        if let Some(works) = self.works() {
            works.pods.retain(|uid, _| there.contains(uid));
            works.beginning = false;
            works.seen = revision;
        }
    }

    /// Hears how programs are. Those that are no longer as they were are seen to at once.
    pub fn hear(&mut self, healths: Healths) -> bool {
        let Some(works) = self.works() else {
            return false;
        };
        let told = |all: &Healths| -> Healths {
            let all = all.iter().map(|(name, health)| {
                let utilization = None; // autoscalers look by themselves
                let health = Health {
                    utilization,
                    ..health.clone()
                };
                (name.clone(), health)
            });
            all.collect()
        };
        let is_new = told(&works.healths) != told(&healths);
        if is_new {
            works.seen = u64::MAX;
        }
        works.healths = Arc::new(healths);
        is_new
    }

    /// The keys that makers have asked for since the last time.
    pub fn take_orders(&mut self) -> Vec<Order> {
        let works = self.works();
        works
            .map(|works| std::mem::take(&mut works.orders))
            .unwrap_or_default()
    }

    /// Now, as objects have it; what the world begins with is a day old.
    pub(super) fn stamp(&self) -> String {
        match self.clockwork.as_ref().is_some_and(|w| w.beginning) {
            true => yesterday(),
            false => manifest::now(),
        }
    }

    /// Writes a status, if it is another.
    fn set_status(&mut self, key: &Key, status: Value) {
        let Some(live) = self.objects.get(key) else {
            return;
        };
        if live["status"] == status {
            return;
        }
        let mut object = (**live).clone();
        object["status"] = status;
        self.put(key.clone(), object);
    }

    /// Writes an object as a controller does, if it is another.
    fn set_object(&mut self, key: &Key, object: Value, subresource: &str) {
        let Some(live) = self.objects.get(key).cloned() else {
            return;
        };
        if *live == object {
            return;
        }
        let mut object = object;
        if super::workloads::counts_generations(key.kind) && object["spec"] != live["spec"] {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(1);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        let manager = Manager(MANAGER.to_owned());
        let object = fields::record_update_by(key.kind, Some(&live), object, &manager, subresource);
        self.put(key.clone(), object);
    }

    /// Makes what a controller asks for. `Err`: in the words of who refuses it.
    fn make(&mut self, kind: Kind, namespace: &str, object: Value) -> Result<(), String> {
        let manager = Manager(MANAGER.to_owned());
        match self.create(kind, namespace, object, &manager) {
            Ok(_) => Ok(()),
            Err(status) => Err(status.message().to_owned()),
        }
    }

    /// The objects of a kind, as they are now.
    fn all(&self, kind: Kind) -> Vec<(Key, Arc<Value>)> {
        let all = self.of_kind(kind);
        all.map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    }

    /// Those of a kind that an object controls.
    fn controlled(&self, kind: Kind, owner: &Value) -> Vec<(Key, Arc<Value>)> {
        let (namespace, uid) = (namespace(owner), uid(owner));
        self.objects
            .from(Key::new(kind, &namespace, ""))
            .take_while(|(key, _)| key.namespace == namespace)
            .filter(|(_, object)| controller_of(object) == Some(uid.as_str()))
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    }
}

/// A day before now, as the API writes it.
fn yesterday() -> String {
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_millis(DAY);
    then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A simulated moment, as the API writes it.
fn written(at: Millis) -> String {
    clock::text(at / 1000 * 1000)
}

fn seconds(count: i64) -> Millis {
    count * 1000
}

fn uid(object: &Value) -> String {
    manifest::text(object, "/metadata/uid").unwrap_or_default()
}

fn namespace(object: &Value) -> String {
    manifest::text(object, "/metadata/namespace").unwrap_or_default()
}

/// The uid of the controller of an object.
fn controller_of(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let controller = owners.iter().find(|owner| owner["controller"] == true)?;
    controller["uid"].as_str()
}

fn owner_reference(kind: Kind, owner: &Value) -> Value {
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn is_going(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn count(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// `spec.replicas`, of which the default is one.
fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// A number of pods, or a share of them.
fn share(value: &Value, of: i64, round_up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent = value.as_str().and_then(|t| t.strip_suffix('%'));
    let percent: i64 = percent.and_then(|t| t.parse().ok()).unwrap_or(0);
    match round_up {
        true => (of * percent + 99) / 100,
        false => of * percent / 100,
    }
}

/// Sets a condition: its transition is when its status changes.
fn set_condition(conditions: &mut Vec<Value>, new: Value, stamp: &str, updated: bool) {
    let mut new = new;
    let at = conditions.iter().position(|c| c["type"] == new["type"]);
    let former = at.map(|at| conditions[at].clone()).unwrap_or_default();
    let same = |field: &str| former[field] == new[field];
    let transition = match same("status") {
        true => former["lastTransitionTime"].clone(),
        false => json!(stamp),
    };
    if updated {
        let unchanged = same("status") && same("reason") && same("message");
        new["lastUpdateTime"] = match unchanged {
            true => former["lastUpdateTime"].clone(),
            false => json!(stamp),
        };
    }
    new["lastTransitionTime"] = transition;
    match at {
        Some(at) => conditions[at] = new,
        None => conditions.push(new),
    }
}

fn conditions_of(object: &Value) -> Vec<Value> {
    let conditions = object["status"]["conditions"].as_array();
    conditions.cloned().unwrap_or_default()
}
