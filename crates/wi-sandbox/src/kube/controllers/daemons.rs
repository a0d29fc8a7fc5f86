//! DaemonSets: a pod on each node that admits it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::pods::{is_active, of_template};
use super::stateful::REVISION_LABEL;
use super::{count, is_going, namespace, share};
use crate::kube::kind::Kind;
use crate::kube::manifest::{self, is_ready};
use crate::kube::nodes::{is_selected, is_tolerated};
use crate::kube::objects::Key;
use crate::kube::store::Store;

impl Store {
    pub(super) fn run_daemon_sets(&mut self) {
        for (key, set) in self.all(Kind::DaemonSet) {
            if !is_going(&set) {
                self.run_daemon_set(&key, &set);
            }
        }
    }

    fn run_daemon_set(&mut self, key: &Key, set: &Value) {
        let revision = self.revision_for(Kind::DaemonSet, set);
        let hash = revision.rsplit('-').next().unwrap_or_default().to_owned();
        let spec = &set["spec"]["template"]["spec"];
        let nodes: BTreeSet<String> = self
            .of_kind(Kind::Node)
            .filter(|(_, node)| manifest::is_ready(node) && admits(node, spec))
            .map(|(key, _)| key.name.clone())
            .collect();
        let pods = self.claim_pods(Kind::DaemonSet, set);
        for node in &nodes {
            if !pods.iter().any(|(_, pod)| node_of(pod) == node) {
                self.place(set, node, &hash);
            }
        }
        for (key, pod) in &pods {
            if !nodes.contains(node_of(pod)) && !is_going(pod) {
                self.end_pod(key);
            }
        }
        let is_new = |pod: &Value| pod["metadata"]["labels"][REVISION_LABEL] == hash.as_str();
        let wait = count(set, "/spec/minReadySeconds");
        if set["spec"]["updateStrategy"]["type"] != "OnDelete" {
            let rolling = &set["spec"]["updateStrategy"]["rollingUpdate"];
            let limit = &rolling["maxUnavailable"];
            let limit = if limit.is_null() { &json!(1) } else { limit };
            let wanted = i64::try_from(nodes.len()).unwrap_or(0);
            let surge = share(&rolling["maxSurge"], wanted, true);
            if surge > 0 {
                self.surge(set, &nodes, &hash, surge);
                return self.tell_daemons(key, set, &nodes, &hash);
            }
            let available = pods
                .iter()
                .filter(|(_, pod)| self.is_available(pod, wait))
                .count();
            let unavailable = wanted - i64::try_from(available).unwrap_or(0);
            let mut may_go = share(limit, wanted, true).max(1) - unavailable;
            for (key, pod) in pods
                .iter()
                .filter(|(_, pod)| !is_new(pod) && !is_going(pod))
            {
                // One that is not available, by the time that is asked of new ones, goes at once.
                let lost = self.is_available(pod, wait);
                if may_go <= 0 && lost {
                    continue;
                }
                may_go -= i64::from(lost);
                self.end_pod(key);
            }
        }
        self.tell_daemons(key, set, &nodes, &hash);
    }

    fn place(&mut self, set: &Value, node: &str, hash: &str) {
        let mut pod = of_template(Kind::DaemonSet, set, &set["spec"]["template"]);
        pod["metadata"]["labels"][REVISION_LABEL] = json!(hash);
        pod["spec"]["nodeName"] = json!(node);
        let _refused = self.make(Kind::Pod, &namespace(set), pod);
    }

    /// New pods come beside those of before, on so many nodes at a time, and on those whose pod of before is not
    /// available, by the time that is asked of new ones; it goes once the new one is available (`rollingUpdate` of
    /// daemon/update.go).
    fn surge(&mut self, set: &Value, nodes: &BTreeSet<String>, hash: &str, limit: i64) {
        let wait = count(set, "/spec/minReadySeconds");
        let is_new = |pod: &Value| pod["metadata"]["labels"][REVISION_LABEL] == hash;
        let pods = self.claim_pods(Kind::DaemonSet, set);
        let mut may_come = limit;
        let (mut at_once, mut waiting) = (Vec::new(), Vec::new());
        for node in nodes {
            let here = || {
                let all = pods.iter();
                all.filter(|(_, pod)| node_of(pod) == node && !is_going(pod))
            };
            let Some((old_key, old)) = here().find(|(_, pod)| !is_new(pod)) else {
                continue;
            };
            match here().find(|(_, pod)| is_new(pod)) {
                Some((_, new)) if self.is_available(new, wait) => self.end_pod(old_key),
                Some(_) => may_come -= 1,
                None if self.is_available(old, wait) => waiting.push(node),
                None => at_once.push(node),
            }
        }
        let may_come = usize::try_from(may_come).unwrap_or(0);
        for node in at_once
            .into_iter()
            .chain(waiting.into_iter().take(may_come))
        {
            self.place(set, node, hash);
        }
    }

    fn tell_daemons(&mut self, key: &Key, set: &Value, nodes: &BTreeSet<String>, hash: &str) {
        let is_new = |pod: &Value| pod["metadata"]["labels"][REVISION_LABEL] == hash;
        let wait = count(set, "/spec/minReadySeconds");
        let pods = self.controlled(Kind::Pod, set);
        let active: Vec<Arc<Value>> = pods
            .into_iter()
            .map(|(_, pod)| pod)
            .filter(|pod| is_active(pod))
            .collect();
        let mut ready = BTreeSet::new();
        let mut available = BTreeSet::new();
        let mut updated = BTreeSet::new();
        let mut there = BTreeSet::new();
        // Nodes are counted, not pods: of two on one the new one comes beside the other.
        for pod in &active {
            let node = node_of(pod);
            there.insert(node);
            for (is_so, nodes) in [
                (is_ready(pod), &mut ready),
                (self.is_available(pod, wait), &mut available),
                (is_new(pod), &mut updated),
            ] {
                if is_so {
                    nodes.insert(node);
                }
            }
        }
        let [ready, available, updated, there] =
            [ready, available, updated, there].map(|nodes| nodes.len());
        let mut status = json!({
            "observedGeneration": count(set, "/metadata/generation"),
            "desiredNumberScheduled": nodes.len(),
            "currentNumberScheduled": there,
            "numberMisscheduled": 0,
            "numberReady": ready,
        });
        for (field, figure) in [
            ("updatedNumberScheduled", updated),
            ("numberAvailable", available),
            ("numberUnavailable", nodes.len().saturating_sub(available)),
        ] {
            if figure > 0 {
                status[field] = json!(figure);
            }
        }
        self.set_status(key, status);
    }
}

fn node_of(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

fn admits(node: &Value, spec: &Value) -> bool {
    let labels = manifest::labels_of(node, "labels");
    is_selected(&|label| labels.get(label).cloned(), spec)
        && is_tolerated(&node["spec"]["taints"], spec)
}
