//! Pods as controllers make and count them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{controller_of, is_going, namespace, owner_reference, seconds, uid};
use crate::kube::clockwork::{Health, Moments};
use crate::kube::disruption::has_ended;
use crate::kube::kind::Kind;
use crate::kube::manifest::{self, is_ready};
use crate::kube::objects::Key;
use crate::kube::selector::selects;
use crate::kube::store::Store;

/// Whether a pod has neither ended nor is going.
pub fn is_active(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    !has_ended(phase) && !is_going(pod)
}

/// A pod of a template.
pub fn of_template(kind: Kind, owner: &Value, template: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"].clone(),
        "spec": template["spec"].clone(),
    });
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    let name = manifest::name_of(owner);
    let meta = &mut pod["metadata"];
    meta["generateName"] = json!(format!("{name}-"));
    meta["namespace"] = owner["metadata"]["namespace"].clone();
    meta["ownerReferences"] = json!([owner_reference(kind, owner)]);
    if let Some(meta) = meta.as_object_mut() {
        meta.remove("name");
        meta.remove("creationTimestamp");
    }
    pod
}

impl Store {
    fn health(&self, pod: &Value) -> Health {
        let name = (namespace(pod), manifest::name_of(pod));
        let works = self.clockwork.as_ref();
        works
            .and_then(|works| works.healths.get(&name).cloned())
            .unwrap_or_default()
    }

    pub(super) fn health_of(&self, pod: &Value) -> Health {
        self.health(pod)
    }

    /// What a pod has written: what its program prints, or why it fails, a line each.
    pub fn log_of(&self, pod: &Value) -> String {
        if pod["status"]["phase"] == "Pending" {
            return String::new();
        }
        let health = self.health(pod);
        if let Some(said) = health.says {
            return said;
        }
        let lines = [health.crashes, health.fails].into_iter().flatten();
        let mut lines: Vec<String> = lines.map(|line| format!("ERROR {line}\n")).collect();
        lines.dedup();
        lines.concat()
    }

    pub(super) fn moments(&self, pod: &Value) -> Moments {
        let works = self.clockwork.as_ref();
        let known = works.and_then(|works| works.pods.get(&uid(pod)).copied());
        known.unwrap_or_default()
    }

    pub(super) fn set_moments(&mut self, pod: &Value, moments: Moments) {
        if let Some(works) = self.works() {
            works.pods.insert(uid(pod), moments);
        }
    }

    /// Whether a pod has been ready for so many seconds; asks for another look when it will have been.
    pub(super) fn is_available(&mut self, pod: &Value, min_ready_seconds: i64) -> bool {
        if !is_ready(pod) || is_going(pod) {
            return false;
        }
        let since = self.moments(pod).ready.unwrap_or_default();
        let from = since + seconds(min_ready_seconds);
        let available = from <= self.time();
        if !available {
            self.wake(from);
        }
        available
    }

    /// The pods that a controller has, after it has taken those that nobody controls and its selector means, and
    /// let go of those that it means no more.
    pub(super) fn claim_pods(&mut self, kind: Kind, owner: &Value) -> Vec<(Key, Arc<Value>)> {
        self.claim(Kind::Pod, kind, owner)
    }

    /// The same for objects of any kind.
    pub(super) fn claim(&mut self, of: Kind, kind: Kind, owner: &Value) -> Vec<(Key, Arc<Value>)> {
        let (place, own) = (namespace(owner), uid(owner));
        let selector = &owner["spec"]["selector"];
        let there: Vec<(Key, Arc<Value>)> = self
            .objects
            .from(Key::new(of, &place, ""))
            .take_while(|(key, _)| key.namespace == place)
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        let mut claimed = Vec::new();
        for (key, object) in there {
            let meant = selects(selector, &object);
            match controller_of(&object) {
                Some(uid) if uid == own && meant => claimed.push((key, object)),
                Some(uid) if uid == own => {
                    let mut free = (*object).clone();
                    if let Some(owners) = free["metadata"]["ownerReferences"].as_array_mut() {
                        owners.retain(|owner| owner["uid"] != own.as_str());
                    }
                    self.put(key, free);
                }
                None if meant && !is_going(&object) && !is_going(owner) => {
                    let mut taken = (*object).clone();
                    let owners = &mut taken["metadata"]["ownerReferences"];
                    if !owners.is_array() {
                        *owners = json!([]);
                    }
                    if let Some(owners) = owners.as_array_mut() {
                        owners.push(owner_reference(kind, owner));
                    }
                    let taken = self.put(key.clone(), taken);
                    claimed.push((key, taken));
                }
                _ => {}
            }
        }
        claimed
    }

    /// Asks a pod to end, as a controller does.
    pub(super) fn end_pod(&mut self, key: &Key) {
        // Nobody else holds the store: it is there, and no webhook asks of controllers.
        let _ended = self.delete(key, &Default::default());
    }
}
