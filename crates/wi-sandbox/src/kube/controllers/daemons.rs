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
                let mut pod = of_template(Kind::DaemonSet, set, &set["spec"]["template"]);
                pod["metadata"]["labels"][REVISION_LABEL] = json!(hash);
                pod["spec"]["nodeName"] = json!(node);
                let _refused = self.make(Kind::Pod, &namespace(set), pod);
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
            let limit = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
            let limit = if limit.is_null() { &json!(1) } else { limit };
            let wanted = i64::try_from(nodes.len()).unwrap_or(0);
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
                let lost = is_ready(pod);
                if may_go <= 0 && lost {
                    continue;
                }
                may_go -= i64::from(lost);
                self.end_pod(key);
            }
        }
        let pods = self.controlled(Kind::Pod, set);
        let active: Vec<Arc<Value>> = pods
            .into_iter()
            .map(|(_, pod)| pod)
            .filter(|pod| is_active(pod))
            .collect();
        let ready = active.iter().filter(|pod| is_ready(pod)).count();
        let available = active
            .iter()
            .filter(|pod| self.is_available(pod, wait))
            .count();
        let mut status = json!({
            "observedGeneration": count(set, "/metadata/generation"),
            "desiredNumberScheduled": nodes.len(),
            "currentNumberScheduled": active.len(),
            "numberMisscheduled": 0,
            "numberReady": ready,
        });
        for (field, figure) in [
            (
                "updatedNumberScheduled",
                active.iter().filter(|pod| is_new(pod)).count(),
            ),
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
