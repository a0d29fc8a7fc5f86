//! Kubelets: pods start, get ready, work, crash, and end.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DAY, is_going, seconds, set_condition};
use crate::kube::clockwork::{Controllers, Health, Moments};
use crate::kube::disruption::has_ended;
use crate::kube::kind::Kind;
use crate::kube::manifest::{self, has_finalizers, is_ready};
use crate::kube::objects::Key;
use crate::kube::store::Store;
use crate::kube::uid;

/// The first and the longest pause before a container that crashed is started again.
const BACK_OFF: (i64, i64) = (10, 300);

impl Store {
    pub(super) fn run_kubelets(&mut self) {
        for (key, pod) in self.all(Kind::Pod) {
            if is_going(&pod) {
                self.stop(&key, &pod);
            } else {
                self.run(&key, &pod);
            }
        }
    }

    fn stop(&mut self, key: &Key, pod: &Value) {
        let mut moments = self.moments(pod);
        let (now, stop) = (self.time(), self.settings().pod_stop_seconds);
        // What never ran has nothing to end.
        let runs = pod["status"]["phase"] == "Running";
        let takes = if runs { seconds(i64::from(stop)) } else { 0 };
        let ends = *moments.ends.get_or_insert(now + takes);
        self.set_moments(pod, moments);
        if ends > now {
            self.wake(ends);
            return;
        }
        if !has_finalizers(pod) {
            self.remove(key);
        }
    }

    fn run(&mut self, key: &Key, pod: &Arc<Value>) {
        let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
        if pod["spec"]["nodeName"].is_null() || has_ended(phase) {
            return;
        }
        let mut moments = self.moments(pod);
        let health = self.health_of(pod);
        let now = self.time();
        if moments.started.is_none() {
            if phase == "Running" && self.begins_with(pod) {
                // It was there before the sandbox.
                moments.started = Some(now - DAY);
                moments.ready = is_ready(pod).then_some(now - DAY);
            } else {
                if let Some((reason, message)) = self.missing(pod) {
                    return self.show(key, pod, "Pending", Some((&reason, &message)), &moments);
                }
                moments.started = Some(now);
            }
        }
        let started = moments.started.unwrap_or(now);
        if started > now {
            // Its container has crashed and waits; that has no end.
            self.wake_by_schedule(started);
            self.set_moments(pod, moments);
            return;
        }
        if let Some(why) = &health.crashes {
            let (first, most) = BACK_OFF;
            let pause = (first << moments.restarts.min(5)).min(most);
            moments.restarts += 1;
            moments.started = Some(now + seconds(pause));
            moments.ready = None;
            self.wake_by_schedule(now + seconds(pause));
            self.set_moments(pod, moments);
            let waits = Some(("CrashLoopBackOff", why.as_str()));
            return self.show(key, pod, "Running", waits, &moments);
        }
        if self.is_of_job(pod) {
            return self.work(key, pod, moments, &health);
        }
        let takes = health
            .start_seconds
            .unwrap_or(self.settings().pod_start_seconds);
        let answers = match self.is_beginning() {
            true => now,
            false => started + seconds(i64::from(takes)),
        };
        if answers > now {
            self.wake(answers);
        } else if health.unready.is_some() {
            moments.ready = None; // it is told when it answers
        } else if moments.ready.is_none() {
            moments.ready = Some(if self.is_beginning() { now - DAY } else { now });
        }
        self.set_moments(pod, moments);
        self.show(key, pod, "Running", None, &moments);
    }

    /// A pod of a Job runs to its end.
    fn work(&mut self, key: &Key, pod: &Value, mut moments: Moments, health: &Health) {
        let started = moments.started.unwrap_or_default();
        let ends = started + seconds(i64::from(self.settings().job_seconds));
        let now = self.time();
        moments.ready.get_or_insert(now);
        self.set_moments(pod, moments);
        if ends > now {
            self.wake(ends);
            return self.show(key, pod, "Running", None, &moments);
        }
        let phase = if health.fails.is_some() {
            "Failed"
        } else {
            "Succeeded"
        };
        moments.ready = None;
        self.show(key, pod, phase, None, &moments);
    }

    fn is_of_job(&self, pod: &Value) -> bool {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        let mut owners = owners.into_iter().flatten();
        owners.any(|owner| owner["kind"] == "Job" && owner["controller"] == true)
    }

    fn is_beginning(&self) -> bool {
        self.clockwork.as_ref().is_some_and(|works| works.beginning)
    }

    fn begins_with(&self, pod: &Value) -> bool {
        self.is_beginning() && is_ready(pod)
    }

    pub(super) fn settings(&self) -> Controllers {
        let works = self.clockwork.as_ref();
        works
            .map(|works| works.settings.clone())
            .unwrap_or_default()
    }

    /// What keeps a pod's containers from being made: a Secret or a ConfigMap that is not there, or a key of one.
    fn missing(&self, pod: &Value) -> Option<(String, String)> {
        let place = manifest::text(pod, "/metadata/namespace").unwrap_or_default();
        let lacks = |reference: &Value, kind: Kind, field: &str, key: &Value| {
            let name = reference[field].as_str()?;
            if reference["optional"] == true {
                return None;
            }
            let called = if kind == Kind::Secret {
                "secret"
            } else {
                "configmap"
            };
            let Some(found) = self.objects.get(&Key::new(kind, &place, name)) else {
                return Some(format!("{called} {name:?} not found"));
            };
            let key = key.as_str()?;
            let has = |map: &str| found[map].get(key).is_some();
            (!has("data") && !has("binaryData"))
                .then(|| format!("couldn't find key {key} in {called} {place}/{name}"))
        };
        let whole = &Value::Null;
        let spec = &pod["spec"];
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            for source in manifest::volume_sources(volume) {
                let secret = &source["secret"];
                let named = manifest::name_of_secret(secret);
                let why = lacks(secret, Kind::Secret, named, whole)
                    .or_else(|| lacks(&source["configMap"], Kind::ConfigMap, "name", whole))
                    .or_else(|| {
                        let items = secret["items"].as_array().into_iter().flatten();
                        items
                            .filter_map(|item| lacks(secret, Kind::Secret, named, &item["key"]))
                            .next()
                    });
                if let Some(why) = why {
                    let volume = volume["name"].as_str().unwrap_or_default();
                    let why = format!("MountVolume.SetUp failed for volume {volume:?} : {why}");
                    return Some(("ContainerCreating".to_owned(), why));
                }
            }
        }
        let lists = ["initContainers", "containers"];
        let containers = lists
            .into_iter()
            .filter_map(|list| spec[list].as_array())
            .flatten();
        for container in containers {
            let env = container["env"].as_array().into_iter().flatten();
            let of_env = env.filter_map(|entry| {
                let from = &entry["valueFrom"];
                let secret = &from["secretKeyRef"];
                let map = &from["configMapKeyRef"];
                lacks(secret, Kind::Secret, "name", &secret["key"])
                    .or_else(|| lacks(map, Kind::ConfigMap, "name", &map["key"]))
            });
            let from = container["envFrom"].as_array().into_iter().flatten();
            let of_from = from.filter_map(|from| {
                lacks(&from["secretRef"], Kind::Secret, "name", whole)
                    .or_else(|| lacks(&from["configMapRef"], Kind::ConfigMap, "name", whole))
            });
            if let Some(why) = of_env.chain(of_from).next() {
                return Some(("CreateContainerConfigError".to_owned(), why));
            }
        }
        None
    }

    /// Writes how a pod is.
    fn show(
        &mut self,
        key: &Key,
        pod: &Value,
        phase: &str,
        waits: Option<(&str, &str)>,
        moments: &Moments,
    ) {
        let stamp = self.stamp();
        let ready = phase == "Running" && waits.is_none() && moments.ready.is_some();
        let mut status = pod["status"].clone();
        let mut conditions = super::conditions_of(pod);
        let text = |yes: bool| if yes { "True" } else { "False" };
        let done = phase == "Succeeded";
        for (name, yes) in [
            ("PodScheduled", true),
            ("Initialized", phase != "Pending"),
            ("ContainersReady", ready),
            ("Ready", ready),
        ] {
            let mut condition = json!({ "type": name, "status": text(yes) });
            if !yes {
                let reason = if done {
                    "PodCompleted"
                } else {
                    "ContainersNotReady"
                };
                condition["reason"] = json!(reason);
            }
            set_condition(&mut conditions, condition, &stamp, false);
        }
        let state = match (phase, waits) {
            (_, Some((reason, message))) => {
                json!({ "waiting": { "reason": reason, "message": message } })
            }
            ("Succeeded" | "Failed", _) => {
                let code = i64::from(phase == "Failed");
                let reason = if code == 0 { "Completed" } else { "Error" };
                json!({ "terminated": { "exitCode": code, "reason": reason } })
            }
            _ => json!({ "running": {} }),
        };
        let containers = pod["spec"]["containers"].as_array();
        let containers: Vec<Value> = containers
            .into_iter()
            .flatten()
            .map(|container| {
                json!({
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "started": phase == "Running" && waits.is_none(),
                    "restartCount": moments.restarts,
                    "state": state,
                })
            })
            .collect();
        status["phase"] = json!(phase);
        status["conditions"] = json!(conditions);
        status["containerStatuses"] = json!(containers);
        if phase != "Pending" && status["startTime"].is_null() {
            status["startTime"] = json!(stamp);
        }
        if phase != "Pending" && status["podIP"].is_null() {
            let address = address(&super::uid(pod));
            status["podIP"] = json!(address);
            status["podIPs"] = json!([{ "ip": address }]);
        }
        self.set_status(key, status);
    }
}

/// An address of a pod, made from its uid.
fn address(uid: &str) -> String {
    let hex = uid::derive(&["address", uid]);
    let part = |at: usize| {
        let byte = hex
            .get(at..at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.unwrap_or_default() % 254 + 1
    };
    format!("10.{}.{}.{}", part(0), part(2), part(4))
}
