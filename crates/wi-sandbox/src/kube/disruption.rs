//! PodDisruptionBudgets: what they may say, the figures that the disruption controller keeps in their
//! status, and which of them hold up a drain.

use std::sync::Arc;

use serde_json::{Value, json};

use super::budget::PodDisruptionBudgetState;
use super::deletion::Preconditions;
use super::kind::Kind;
use super::manifest;
use super::objects::{Key, Objects};
use super::selector;
use super::status::Status;
use super::store::Store;

/// What the controller counts for one budget.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Pods that match and have not ended.
    expected: usize,
    /// Those of them that run.
    healthy: usize,
    /// How many of them have to be healthy after an eviction.
    desired: usize,
}

impl Figures {
    fn of(budget: &PodDisruptionBudgetState, objects: &Objects) -> Self {
        let pods: Vec<&Arc<Value>> = matching(budget, objects)
            .filter(|pod| !has_ended(pod["status"]["phase"].as_str().unwrap_or_default()))
            .collect();
        let expected = pods.len();
        let desired = match (budget.max_unavailable, budget.min_available) {
            (Some(limit), _) => expected.saturating_sub(limit.of(expected)),
            (None, Some(limit)) => limit.of(expected),
            (None, None) => 0,
        };
        Self {
            expected,
            healthy: pods.iter().filter(|pod| is_healthy(pod)).count(),
            desired,
        }
    }

    /// Not even with every pod healthy may one go.
    fn never_admit(self) -> bool {
        self.expected > 0 && self.desired >= self.expected
    }
}

/// The object as the API shows it: a budget with its current figures, anything else as it is stored.
pub fn shown(objects: &Objects, kind: Kind, object: &Arc<Value>) -> Arc<Value> {
    if kind == Kind::Namespace && object["status"].get(manifest::QUOTA).is_some() {
        let mut object = (**object).clone();
        if let Some(status) = object["status"].as_object_mut() {
            status.remove(manifest::QUOTA);
        }
        return Arc::new(object);
    }
    if kind != Kind::PodDisruptionBudget {
        return object.clone();
    }
    let figures = Figures::of(&manifest::disruption_budget_state(object), objects);
    let mut object = (**object).clone();
    object["status"] = json!({
        "currentHealthy": figures.healthy,
        "desiredHealthy": figures.desired,
        "disruptionsAllowed": figures.healthy.saturating_sub(figures.desired),
        "expectedPods": figures.expected,
        "observedGeneration": 1,
    });
    Arc::new(object)
}

impl Store {
    /// `create` of a pod's `eviction`: it ends, if its budget lets it.
    ///
    /// # Errors
    /// 429 where a budget does not; 500 where several mean the pod.
    pub fn evict(&mut self, key: &Key, options: &Preconditions) -> Result<(), Status> {
        let pod = self.get(key)?;
        let budgets: Vec<PodDisruptionBudgetState> = self
            .of_kind(Kind::PodDisruptionBudget)
            .map(|(_, object)| manifest::disruption_budget_state(object))
            .filter(|budget| budget.namespace == key.namespace)
            .filter(|budget| {
                let mut meant = matching(budget, &self.objects);
                meant.any(|other| other["metadata"]["name"] == key.name.as_str())
            })
            .collect();
        if budgets.len() > 1 {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(500, "InternalError", why));
        }
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let needs_leave = !has_ended(phase) && phase != "Pending" && is_healthy(&pod);
        if let (Some(budget), true) = (budgets.first(), needs_leave) {
            let figures = Figures::of(budget, &self.objects);
            if figures.healthy <= figures.desired {
                let why = format!(
                    "The disruption budget {} needs {} healthy pods and has {} currently",
                    budget.name, figures.desired, figures.healthy
                );
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                let status = Status::new(429, "TooManyRequests", message);
                return Err(status.because(json!([
                    { "reason": "DisruptionBudget", "message": why },
                ])));
            }
        }
        self.delete(key, options).map(drop)
    }

    /// The object as the API shows it.
    pub fn shown(&self, kind: Kind, object: &Arc<Value>) -> Arc<Value> {
        shown(&self.objects, kind, object)
    }

    /// `NAMESPACE/NAME` of the first budget that can never let a pod of `node` be evicted.
    pub fn blocks_eviction(&self, node: &str) -> Option<String> {
        let blocking = self
            .of_kind(Kind::PodDisruptionBudget)
            .map(|(_, object)| manifest::disruption_budget_state(object))
            .filter(|budget| matching(budget, &self.objects).any(|pod| is_evicted_from(pod, node)))
            .find(|budget| Figures::of(budget, &self.objects).never_admit())?;
        Some(format!("{}/{}", blocking.namespace, blocking.name))
    }
}

/// Whether a pod is ready and stays. Where no kubelets tell, one that runs is.
fn is_healthy(pod: &Value) -> bool {
    if pod["status"]["conditions"].is_null() {
        return pod["status"]["phase"] == "Running";
    }
    manifest::is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null()
}

/// The pods that a budget's selector matches.
fn matching<'a>(
    budget: &'a PodDisruptionBudgetState,
    objects: &'a Objects,
) -> impl Iterator<Item = &'a Arc<Value>> {
    let rules = budget.selector.as_ref().map(selector::by_selector);
    objects
        .from(Key::new(Kind::Pod, &budget.namespace, ""))
        .take_while(|(key, _)| key.namespace == budget.namespace)
        .map(|(_, pod)| pod)
        .filter(move |pod| {
            rules
                .as_ref()
                .is_some_and(|rules| rules.iter().all(|rule| rule.admits(pod)))
        })
}

/// Whether a drain of `node` has to evict the pod under its budgets. Pods of DaemonSets and of the
/// node itself are left alone, and a pod that does not run yet, or no more, needs no budget's leave.
fn is_evicted_from(pod: &Value, node: &str) -> bool {
    if pod["spec"]["nodeName"] != node {
        return false;
    }
    let pod = manifest::pod_state(pod);
    let bound_for_life = pod
        .owner
        .is_some_and(|owner| matches!(owner.kind.as_str(), "DaemonSet" | "Node"));
    let phase = pod.phase.as_deref().unwrap_or_default();
    !bound_for_life && !has_ended(phase) && phase != "Pending"
}

pub(super) fn has_ended(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}
