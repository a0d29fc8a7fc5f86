//! StatefulSets: pods with numbers, one after another; and the revisions of templates, which DaemonSets have, too.

use std::sync::Arc;

use serde_json::{Value, json};

use super::deployments::hash_of;
use super::pods::{is_active, of_template};
use super::{count, is_going, namespace, owner_reference, replicas};
use crate::kube::kind::Kind;
use crate::kube::manifest::{self, is_ready};
use crate::kube::objects::Key;
use crate::kube::store::Store;

/// The label of a pod that names its template's revision.
pub const REVISION_LABEL: &str = "controller-revision-hash";

impl Store {
    pub(super) fn run_stateful_sets(&mut self) {
        for (key, set) in self.all(Kind::StatefulSet) {
            if !is_going(&set) {
                self.run_stateful_set(&key, &set);
            }
        }
    }

    fn run_stateful_set(&mut self, key: &Key, set: &Value) {
        let update = self.revision_for(Kind::StatefulSet, set);
        let current = set["status"]["currentRevision"]
            .as_str()
            .unwrap_or(&update)
            .to_owned();
        let wait = count(set, "/spec/minReadySeconds");
        let name = manifest::name_of(set);
        let first = count(set, "/spec/ordinals/start");
        let (wanted, mut pods) = (replicas(set), self.claim_pods(Kind::StatefulSet, set));
        let ordinal = |pod: &Key| -> i64 {
            let number = pod.name.strip_prefix(&format!("{name}-"));
            number.and_then(|n| n.parse().ok()).unwrap_or(-1)
        };
        pods.sort_by_key(|(key, _)| ordinal(key));
        let parallel = set["spec"]["podManagementPolicy"] == "Parallel";
        let strategy = &set["spec"]["updateStrategy"];
        let partition = count(strategy, "/rollingUpdate/partition");
        self.fill(set, &pods, wanted, parallel, (&current, &update));
        self.cut(&pods, first + wanted, parallel, &ordinal);
        let healthy = |pod: &Value| is_active(pod) && is_ready(pod);
        let wanted_pods = pods.iter().filter(|(key, _)| ordinal(key) < first + wanted);
        let all_there = i64::try_from(wanted_pods.count()).unwrap_or(0) == wanted;
        // In order, one that is not healthy is waited for before anything else, even if it is of the former template.
        let is_stuck = !parallel && pods.iter().any(|(_, pod)| !healthy(pod));
        if strategy["type"] != "OnDelete" && all_there && !is_stuck {
            // From the last to the partition, one at a time; one that is not healthy is waited for.
            for (key, pod) in pods
                .iter()
                .rev()
                .filter(|(key, _)| ordinal(key) < first + wanted)
            {
                if ordinal(key) - first < partition {
                    break;
                }
                let is_new = pod["metadata"]["labels"][REVISION_LABEL] == update.as_str();
                if !is_new && !is_going(pod) {
                    self.end_pod(key);
                    break;
                }
                if !healthy(pod) || !self.is_available(pod, wait) {
                    break;
                }
            }
        }
        self.tell_stateful(key, set, (current, update), wanted);
    }

    /// Makes the pods that are missing, in order.
    fn fill(
        &mut self,
        set: &Value,
        pods: &[(Key, Arc<Value>)],
        wanted: i64,
        parallel: bool,
        (current, update): (&str, &str),
    ) {
        let first = count(set, "/spec/ordinals/start");
        let partition = count(set, "/spec/updateStrategy/rollingUpdate/partition");
        let rolls = set["spec"]["updateStrategy"]["type"] != "OnDelete";
        for ordinal in first..first + wanted {
            let name = format!("{}-{ordinal}", manifest::name_of(set));
            let there = pods.iter().find(|(key, _)| key.name == name);
            if there.is_none() {
                // Below the partition a pod is made by the former template.
                let revision = match rolls && ordinal - first >= partition {
                    true => update,
                    false => current,
                };
                let mut pod = of_template(Kind::StatefulSet, set, &self.template_of(set, revision));
                pod["metadata"]["name"] = json!(name);
                let labels = &mut pod["metadata"]["labels"];
                labels[REVISION_LABEL] = json!(revision);
                labels["statefulset.kubernetes.io/pod-name"] = json!(name);
                labels["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
                if let Some(meta) = pod["metadata"].as_object_mut() {
                    meta.remove("generateName");
                }
                let _refused = self.make(Kind::Pod, &namespace(set), pod);
            }
            let ready = there.is_some_and(|(_, pod)| is_active(pod) && is_ready(pod));
            if !parallel && !ready {
                return;
            }
        }
    }

    /// Ends the pods that are too many, the last first.
    fn cut(
        &mut self,
        pods: &[(Key, Arc<Value>)],
        end: i64,
        parallel: bool,
        ordinal: &dyn Fn(&Key) -> i64,
    ) {
        for (key, pod) in pods.iter().rev().filter(|(key, _)| ordinal(key) >= end) {
            if !is_going(pod) {
                self.end_pod(key);
            }
            if !parallel {
                return;
            }
        }
    }

    /// The template of a revision.
    fn template_of(&self, set: &Value, revision: &str) -> Value {
        let key = Key::new(Kind::ControllerRevision, &namespace(set), revision);
        let stored = self.objects.get(&key);
        let stored = stored.map(|r| r["data"]["spec"]["template"].clone());
        let mut template = stored.unwrap_or_else(|| set["spec"]["template"].clone());
        if let Some(template) = template.as_object_mut() {
            template.remove("$patch");
        }
        template
    }

    /// The name of the ControllerRevision of an object's template, which is made if it is not there.
    pub(super) fn revision_for(&mut self, kind: Kind, owner: &Value) -> String {
        let template = &owner["spec"]["template"];
        let name = format!("{}-{}", manifest::name_of(owner), hash_of(template));
        let key = Key::new(Kind::ControllerRevision, &namespace(owner), &name);
        let of_owner = self.controlled(Kind::ControllerRevision, owner);
        let number = of_owner.iter().map(|(_, r)| count(r, "/revision")).max();
        let highest = number.unwrap_or(0);
        match self.objects.get(&key).cloned() {
            Some(there) if count(&there, "/revision") < highest => {
                let mut again = (*there).clone();
                again["revision"] = json!(highest + 1);
                self.set_object(&key, again, "");
            }
            Some(_) => {}
            None => {
                let mut data = template.clone();
                data["$patch"] = json!("replace");
                let mut labels = template["metadata"]["labels"].clone();
                labels[REVISION_LABEL] = json!(hash_of(template));
                let revision = json!({
                    "apiVersion": "apps/v1",
                    "kind": "ControllerRevision",
                    "metadata": {
                        "name": name,
                        "namespace": namespace(owner),
                        "labels": labels,
                        "ownerReferences": [owner_reference(kind, owner)],
                    },
                    "data": { "spec": { "template": data } },
                    "revision": highest + 1,
                });
                let _refused = self.make(Kind::ControllerRevision, &namespace(owner), revision);
                self.forget_revisions(owner, &of_owner);
            }
        }
        name
    }

    /// Revisions beyond `revisionHistoryLimit` go, the oldest first.
    fn forget_revisions(&mut self, owner: &Value, all: &[(Key, Arc<Value>)]) {
        let limit = owner["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
        let mut all: Vec<&(Key, Arc<Value>)> = all.iter().collect();
        all.sort_by_key(|(_, revision)| count(revision, "/revision"));
        let surplus = all
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let used = [
            &owner["status"]["currentRevision"],
            &owner["status"]["updateRevision"],
        ];
        let idle = all.into_iter().take(surplus);
        for (key, _) in idle.filter(|(key, _)| !used.iter().any(|used| **used == key.name)) {
            self.remove(key);
        }
    }

    fn tell_stateful(
        &mut self,
        key: &Key,
        set: &Value,
        (current, update): (String, String),
        wanted: i64,
    ) {
        let wait = count(set, "/spec/minReadySeconds");
        let pods = self.controlled(Kind::Pod, set);
        let pods: Vec<Arc<Value>> = pods.into_iter().map(|(_, pod)| pod).collect();
        let active: Vec<&Arc<Value>> = pods.iter().filter(|pod| is_active(pod)).collect();
        let of = |revision: &str| {
            let mine = active.iter();
            mine.filter(|pod| pod["metadata"]["labels"][REVISION_LABEL] == revision)
                .count()
        };
        let ready = active.iter().filter(|pod| is_ready(pod)).count();
        let available = active
            .iter()
            .filter(|pod| self.is_available(pod, wait))
            .count();
        let updated = of(&update);
        let partition = count(set, "/spec/updateStrategy/rollingUpdate/partition");
        let whole = i64::try_from(updated).unwrap_or(0) == wanted
            && i64::try_from(ready).unwrap_or(0) == wanted
            && pods.len() == active.len();
        let current = if whole && partition == 0 {
            update.clone()
        } else {
            current
        };
        self.set_status(
            key,
            json!({
                "observedGeneration": count(set, "/metadata/generation"),
                "replicas": active.len(),
                "readyReplicas": ready,
                "availableReplicas": available,
                "currentReplicas": of(&current),
                "updatedReplicas": updated,
                "currentRevision": current,
                "updateRevision": update,
                "collisionCount": 0,
            }),
        );
    }
}
