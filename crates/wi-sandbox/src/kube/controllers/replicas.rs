//! ReplicaSets: as many pods as they ask for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pods::{is_active, of_template};
use super::{count, is_going, namespace, replicas, set_condition};
use crate::kube::kind::Kind;
use crate::kube::manifest::is_ready;
use crate::kube::objects::Key;
use crate::kube::store::Store;

impl Store {
    pub(super) fn run_replica_sets(&mut self) {
        for kind in [Kind::ReplicaSet, Kind::ReplicationController] {
            for (key, set) in self.all(kind) {
                self.run_replica_set(&key, &set);
            }
        }
    }

    fn run_replica_set(&mut self, key: &Key, set: &Value) {
        if is_going(set) {
            return;
        }
        let mut set = set.clone();
        if key.kind == Kind::ReplicationController
            && set["spec"]["selector"]["matchLabels"].is_null()
        {
            // Its selector is a plain map.
            set["spec"]["selector"] = json!({ "matchLabels": set["spec"]["selector"] });
        }
        let mut pods = self.claim_pods(key.kind, &set);
        pods.retain(|(_, pod)| is_active(pod));
        let wanted = replicas(&set);
        let there = i64::try_from(pods.len()).unwrap_or(i64::MAX);
        let mut failure = None;
        for _ in there..wanted {
            let pod = of_template(key.kind, &set, &set["spec"]["template"]);
            if let Err(why) = self.make(Kind::Pod, &namespace(&set), pod) {
                failure = Some(why);
                break;
            }
        }
        let surplus = usize::try_from(there - wanted).unwrap_or(0);
        if surplus > 0 {
            pods.sort_by_key(|(key, pod)| self.worth(key, pod));
            for (key, _) in pods.drain(..surplus) {
                self.end_pod(&key);
            }
        }
        let pods: Vec<Arc<Value>> = self
            .controlled(Kind::Pod, &set)
            .into_iter()
            .map(|(_, pod)| pod)
            .filter(|pod| is_active(pod))
            .collect();
        self.set_replica_status(key, &set, &pods, failure);
    }

    fn set_replica_status(
        &mut self,
        key: &Key,
        set: &Value,
        pods: &[Arc<Value>],
        failure: Option<String>,
    ) {
        let wait = count(set, "/spec/minReadySeconds");
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        let available = pods
            .iter()
            .filter(|pod| self.is_available(pod, wait))
            .count();
        let mut status = json!({
            "replicas": pods.len(),
            "fullyLabeledReplicas": pods.len(),
            "observedGeneration": count(set, "/metadata/generation"),
        });
        for (field, figure) in [("readyReplicas", ready), ("availableReplicas", available)] {
            if figure > 0 {
                status[field] = json!(figure);
            }
        }
        if let Some(why) = failure {
            let mut conditions = super::conditions_of(set);
            let condition = json!({
                "type": "ReplicaFailure", "status": "True",
                "reason": "FailedCreate", "message": why,
            });
            set_condition(&mut conditions, condition, &self.stamp(), false);
            status["conditions"] = json!(conditions);
        }
        self.set_status(key, status);
    }

    /// What goes first when there are too many: pods without a node, then those that are not ready, then the youngest.
    fn worth(&self, key: &Key, pod: &Value) -> (bool, bool, i64, String) {
        let since = self.moments(pod).ready.unwrap_or(i64::MAX);
        let assigned = !pod["spec"]["nodeName"].is_null();
        (assigned, is_ready(pod), -since, key.name.clone())
    }
}
